"""revocation.ocsp-slow: over two seconds, and what that does to whom."""

from __future__ import annotations

from probes.diagnose import judge
from tests.evidence import facts, fires, silent
from tests.status import CRL_GOOD, LEAF, OCSP_GOOD, OCSP_URL, at, facts_of, said

CODE = "revocation.ocsp-slow"
SLOW = said("ocsp", samples=(3100.0, 2900.0, 4200.0))


def test_a_responder_over_two_seconds_is_named_a_hanging_handshake() -> None:
    seen = facts_of(SLOW, CRL_GOOD)
    finding = fires(CODE, seen, severity="warning", asks=OCSP_URL)
    assert "3.1 s, at worst 4.2 s" in finding.explanation and "hang" in finding.explanation
    assert "Firefox" in finding.explanation and finding.fails_for == ()
    assert any("3100 ms, 2900 ms, 4200 ms" in line for line in finding.evidence)
    diagnosis = judge(seen)
    assert diagnosis.cause == finding and diagnosis.status == "warning"
    assert silent("revocation.ocsp-unreachable", seen)


def test_one_and_a_half_seconds_are_no_fault() -> None:
    assert silent("revocation.ocsp-slow", facts_of(said("ocsp", samples=(1500.0, 1600.0, 1900.0)), CRL_GOOD))


def test_a_long_tail_alone_is_a_notice() -> None:
    seen = facts_of(said("ocsp", samples=(90.0, 110.0, 3500.0)), CRL_GOOD)
    finding = fires(CODE, seen, severity="notice", asks=OCSP_URL)
    assert "3.5 s once in 3 tries" in finding.explanation
    assert judge(seen).status == "ok"


def test_beside_a_quick_responder_a_slow_one_is_a_notice() -> None:
    from probes.lab.status import sources
    from tests.evidence import issuing
    from tests.pki import leaf

    two = leaf(issuing(), more=sources(ocsp_urls=[OCSP_URL, "http://second.test/"]))
    slow = said("ocsp", about=two, samples=(3000.0,) * 3)
    quick = said("ocsp", about=two, url="http://second.test/")
    fires(CODE, facts_of(slow, quick, chain=(two, issuing())), severity="notice", asks=OCSP_URL)


def test_quick_silent_and_absent_responders_are_not_slow() -> None:
    assert silent("revocation.ocsp-slow", facts_of(OCSP_GOOD, CRL_GOOD))
    assert silent("revocation.ocsp-slow", facts_of(said("ocsp", failure="timeout"), CRL_GOOD))
    assert silent("revocation.ocsp-slow", facts())


def test_it_is_said_once_for_all_addresses() -> None:
    seen = facts_of(SLOW, CRL_GOOD, looks=(at(), at("192.0.2.8")))
    fires(CODE, seen, severity="warning", at=("192.0.2.7", "192.0.2.8"), asks=OCSP_URL)
    assert LEAF.der in {each.certificate for each in seen.evidence.statuses}
