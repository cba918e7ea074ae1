"""revocation.staple-missing: the certificate demands a staple, and none comes."""

from __future__ import annotations

from dataclasses import replace

from probes.diagnose import judge
from probes.lab.status import sources
from probes.report import report
from tests.evidence import ADDRESS, OTHER, evidence, facts, fires, issuing, silent
from tests.pki import leaf
from tests.status import LEAF, MUST_STAPLE, OCSP_URL, at, facts_of, response, said

CODE = "revocation.staple-missing"
CHAIN = (MUST_STAPLE, issuing())
GOOD = said("ocsp", about=MUST_STAPLE)


def test_a_must_staple_certificate_without_a_staple_fails_where_that_is_read() -> None:
    seen = facts_of(GOOD, chain=CHAIN)
    finding = fires(CODE, seen, severity="warning")
    assert finding.fails_for == ("firefox",)
    assert any(OCSP_URL in line for line in finding.evidence)
    diagnosis = judge(seen)
    assert diagnosis.cause == finding
    shown = report(seen, diagnosis, elapsed_ms=1.0)
    assert {c.name: c.code for c in shown.clients}["firefox"] == CODE
    assert ("staple", "missing") in {(each.kind, each.outcome) for each in shown.endpoints[0].revocation}


def test_a_staple_now_and_then_is_counted() -> None:
    stapled = response(MUST_STAPLE)
    look = tuple(
        replace(shake, staple=stapled if shake.offer.purpose == "modern" else None) for shake in at(chain=CHAIN)
    )
    finding = fires(CODE, facts_of(GOOD, looks=(look,)), severity="warning")
    assert " 3 times in 4" in finding.explanation
    assert f"{ADDRESS}: 3 of 4 handshakes came without a staple" in finding.evidence


def test_without_a_responder_the_demand_can_never_be_met() -> None:
    orphan = leaf(issuing(), more=sources(must_staple=True))
    finding = fires(CODE, facts_of(chain=(orphan, issuing())), severity="warning")
    assert "issued anew" in finding.fix


def test_with_its_staple_it_is_healthy() -> None:
    seen = facts_of(GOOD, chain=CHAIN, staple=response(MUST_STAPLE))
    assert silent("revocation.staple-missing", seen) and judge(seen).status == "ok"


def test_nobody_owes_a_staple_who_did_not_promise_one() -> None:
    seen = facts_of(said("ocsp"), said("crl"), chain=(LEAF, issuing()))
    assert silent("revocation.staple-missing", seen) and judge(seen).status == "ok"
    assert silent("revocation.staple-missing", facts())


def test_handshakes_that_broke_off_before_a_certificate_prove_nothing() -> None:
    from tests.evidence import dropped, healthy

    assert silent("revocation.staple-missing", facts(healthy(every=dropped())))
    assert evidence().statuses == ()


def test_at_one_of_two_addresses_the_difference_is_the_cause() -> None:
    stapled = tuple(replace(shake, staple=response(MUST_STAPLE)) for shake in at(OTHER, chain=CHAIN))
    seen = facts_of(GOOD, looks=(at(chain=CHAIN), stapled))
    cause = judge(seen).cause
    assert cause and cause.code == "balancer.configuration-differs" and cause.severity == "warning"
    assert cause.addresses == (ADDRESS,) and any("missing, though demanded" in line for line in cause.evidence)
    fires(CODE, seen, severity="warning")
