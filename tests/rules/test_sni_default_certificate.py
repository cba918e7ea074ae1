"""sni.default-certificate: with the name sent, the server still serves its default certificate."""

from __future__ import annotations

from dataclasses import replace

from probes.diagnose import judge
from probes.model import Target
from tests.evidence import (
    HEALTHY,
    OTHER,
    alerted,
    default_chain,
    ders,
    facts,
    fires,
    healthy,
    issuing,
    serves,
    silent,
)
from tests.pki import leaf

UNROUTED = replace(HEALTHY, chain=default_chain())


def test_the_same_wrong_certificate_for_every_name_is_the_default() -> None:
    seen = facts(healthy(server=UNROUTED))
    finding = fires("sni.default-certificate", seen, severity="critical")
    assert finding.stops_all
    assert "default.test" in finding.explanation and "healthy.test" in finding.explanation
    assert {"chrome", "curl", "rustls", "java-8"} <= set(finding.fails_for)
    assert silent("sni.name-mismatch", seen)
    assert judge(seen).cause == finding


def test_a_name_of_its_own_with_a_wrong_certificate_is_a_mismatch() -> None:
    wrong = ders(leaf(issuing(), names=("other.test",), owner="wrong"), issuing())
    seen = facts(healthy(server=replace(HEALTHY, chain=wrong, default=default_chain())))
    assert silent("sni.default-certificate", seen)
    fires("sni.name-mismatch", seen, severity="critical")


def test_it_outranks_all_that_is_wrong_with_the_default_itself() -> None:
    from tests.evidence import DAY
    from tests.pki import NOW

    stale = ders(leaf(issuing(), names=("default.test",), owner="default", not_after=NOW - DAY))
    seen = facts(healthy(server=replace(HEALTHY, chain=stale)))
    cause = judge(seen).cause
    assert cause and cause.code == "sni.default-certificate"


def test_a_good_certificate_that_is_also_the_default_is_silent() -> None:
    assert silent("sni.default-certificate", facts(healthy(server=replace(HEALTHY, default=None))))


def test_another_default_beside_a_good_certificate_is_silent() -> None:
    assert silent("sni.default-certificate", facts(healthy(server=replace(HEALTHY, default=default_chain()))))


def test_without_a_look_at_another_name_the_default_is_not_known() -> None:
    seen = facts(healthy(server=UNROUTED, other_name=alerted(112), no_sni=alerted(40)))
    assert silent("sni.default-certificate", seen)
    fires("sni.name-mismatch", seen, severity="critical")


def test_it_does_not_apply_to_an_address() -> None:
    literal = Target.parse("192.0.2.7")
    seen = facts(healthy(target=literal, server=UNROUTED), target=literal)
    assert silent("sni.default-certificate", seen)


def test_only_the_address_that_does_not_know_the_name_is_named() -> None:
    seen = facts(healthy(), healthy(OTHER, server=UNROUTED))
    fires("sni.default-certificate", seen, severity="critical", at=(OTHER,))


def test_a_host_that_hides_behind_a_different_default_each_time_is_no_default() -> None:
    another = ders(leaf(issuing(), names=("third.test",), owner="third"), issuing())
    seen = facts(healthy(server=UNROUTED, other_name=serves(another), no_sni=serves(another)))
    assert silent("sni.default-certificate", seen)
