"""balancer.certificate-differs: addresses behind one name serve different certificates or chains."""

from __future__ import annotations

from dataclasses import replace

import pytest

from probes.diagnose import judge
from tests.evidence import (
    ADDRESS,
    DAY,
    HEALTHY,
    OTHER,
    THIRD,
    Chain,
    chain,
    default_chain,
    ders,
    facts,
    fires,
    healthy,
    issuing,
    serves,
    silent,
    untouched,
)
from tests.pki import NOW, leaf, self_signed

RENEWED = ders(leaf(issuing(), owner="renewed"), issuing())


@pytest.mark.parametrize(
    ("served", "code"),
    [
        (ders(leaf(issuing(), not_after=NOW - DAY), issuing()), "validity.expired"),
        (ders(leaf(issuing(), not_before=NOW + DAY), issuing()), "validity.not-yet-valid"),
        (chain()[:1], "chain.incomplete"),
        (ders(self_signed()), "chain.self-signed"),
        (default_chain(), "sni.default-certificate"),
    ],
)
def test_one_wrong_certificate_is_the_cause_and_its_fault_a_finding(served: Chain, code: str) -> None:
    seen = facts(healthy(), healthy(OTHER, server=replace(HEALTHY, chain=served)), healthy(THIRD))
    finding = fires("balancer.certificate-differs", seen, severity="critical", at=(OTHER,))
    assert code in finding.explanation and "curl" in finding.fails_for
    assert any(line.startswith(ADDRESS) for line in finding.evidence)
    diagnosis = judge(seen)
    assert (diagnosis.status, diagnosis.cause) == ("broken", finding)
    assert [f.addresses for f in diagnosis.findings if f.code == code] == [(OTHER,)]


def test_each_right_is_a_warning() -> None:
    seen = facts(healthy(), healthy(OTHER, server=replace(HEALTHY, chain=RENEWED)))
    finding = fires("balancer.certificate-differs", seen, severity="warning", at=(ADDRESS, OTHER))
    assert finding.fails_for == ()
    diagnosis = judge(seen)
    assert (diagnosis.status, diagnosis.cause) == ("warning", finding)


def test_the_same_leaf_with_another_chain_says_so() -> None:
    seen = facts(healthy(), healthy(OTHER, server=replace(HEALTHY, chain=chain()[:1])))
    finding = fires("balancer.certificate-differs", seen, severity="critical", at=(OTHER,))
    assert "same certificate with different chains" in finding.explanation


def test_the_same_certificate_everywhere_is_silent() -> None:
    assert silent("balancer.certificate-differs", facts(healthy(), healthy(OTHER), healthy(THIRD)))


def test_the_same_wrong_certificate_everywhere_is_that_fault() -> None:
    bad = replace(HEALTHY, chain=ders(self_signed()))
    seen = facts(healthy(server=bad), healthy(OTHER, server=bad))
    assert silent("balancer.certificate-differs", seen)
    cause = judge(seen).cause
    assert cause and cause.code == "chain.self-signed" and cause.addresses == (ADDRESS, OTHER)


def test_an_address_without_a_certificate_is_another_code() -> None:
    from tests.evidence import REFUSED

    seen = facts(healthy(), healthy(OTHER, every=REFUSED))
    assert silent("balancer.certificate-differs", seen)


def test_an_address_that_changes_its_mind_is_another_code() -> None:
    seen = facts(healthy(), healthy(OTHER, http=serves(RENEWED), modern=untouched))
    assert silent("balancer.certificate-differs", seen)
    assert not silent("balancer.intermittent", seen)
