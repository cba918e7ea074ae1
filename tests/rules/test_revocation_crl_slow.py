"""revocation.crl-slow: a CRL that takes over two seconds, by its server or by its size."""

from __future__ import annotations

from probes.diagnose import judge
from tests.evidence import facts, fires, silent
from tests.status import CRL_GOOD, CRL_URL, OCSP_GOOD, facts_of, said

CODE = "revocation.crl-slow"


def test_a_slow_crl_is_named_with_its_size_and_time() -> None:
    seen = facts_of(OCSP_GOOD, said("crl", samples=(2600.0,)))
    finding = fires(CODE, seen, severity="warning", asks=CRL_URL)
    assert "2.6 s" in finding.explanation and " bytes)" in finding.explanation
    assert any("3 entries" in line for line in finding.evidence)
    assert judge(seen).cause == finding


def test_one_still_coming_when_the_time_ran_out_is_slow_and_not_silent() -> None:
    late = said("crl", failure="timeout", detail="no complete answer in time", received=8_000_000)
    seen = facts_of(OCSP_GOOD, late)
    finding = fires(CODE, seen, severity="warning", asks=CRL_URL)
    assert "7812 KB" in finding.explanation
    assert silent("revocation.crl-unreachable", seen)


def test_quick_ones_are_silent() -> None:
    assert silent("revocation.crl-slow", facts_of(OCSP_GOOD, CRL_GOOD))
    assert silent("revocation.crl-slow", facts_of(OCSP_GOOD, said("crl", samples=(1500.0, 1400.0, 1700.0))))


def test_one_that_never_comes_is_another_code() -> None:
    assert silent("revocation.crl-slow", facts_of(OCSP_GOOD, said("crl", failure="timeout")))


def test_without_a_crl_there_is_nothing_to_be_slow() -> None:
    assert silent("revocation.crl-slow", facts())
