"""chain.expired-intermediate: an issuing certificate sent by the server is expired, and no other path holds."""

from __future__ import annotations

from dataclasses import replace

from probes.diagnose import judge
from tests.evidence import DAY, HEALTHY, ders, facts, fires, healthy, issuing, root, silent
from tests.pki import NOW, intermediate, leaf

EXPIRED = intermediate(root(), not_before=NOW - 400 * DAY, not_after=NOW - DAY)


def test_an_expired_issuer_stops_everyone_and_is_named() -> None:
    seen = facts(healthy(server=replace(HEALTHY, chain=ders(leaf(EXPIRED), EXPIRED))))
    finding = fires("chain.expired-intermediate", seen, severity="critical")
    assert finding.stops_all and "Test Issuing CA" in finding.explanation
    assert any(EXPIRED.certificate.not_valid_after_utc.strftime("%Y-%m-%d") in line for line in finding.evidence)
    assert {"chrome", "curl", "java-8"} <= set(finding.fails_for)
    assert judge(seen).cause == finding


def test_the_renewed_issuer_beside_it_is_another_path() -> None:
    served = ders(leaf(issuing()), EXPIRED, issuing())
    assert silent("chain.expired-intermediate", facts(healthy(server=replace(HEALTHY, chain=served))))


def test_an_expired_leaf_is_another_code() -> None:
    stale = leaf(issuing(), not_after=NOW - DAY)
    seen = facts(healthy(server=replace(HEALTHY, chain=ders(stale, issuing()))))
    assert silent("chain.expired-intermediate", seen)
    fires("validity.expired", seen, severity="critical")


def test_an_issuer_with_an_hour_left_is_silent() -> None:
    nearly = intermediate(root(), not_after=NOW + DAY / 24)
    served = ders(leaf(nearly), nearly)
    assert silent("chain.expired-intermediate", facts(healthy(server=replace(HEALTHY, chain=served))))


def test_a_healthy_chain_is_silent() -> None:
    assert silent("chain.expired-intermediate", facts())
