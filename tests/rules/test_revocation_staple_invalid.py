"""revocation.staple-invalid: stale, for another certificate, or badly signed."""

from __future__ import annotations

from datetime import timedelta

import pytest

from probes.diagnose import judge
from probes.lab.status import OCSP_SIGNING, ocsp_error
from probes.report import report
from tests.evidence import OTHER, facts, fires, issuing, silent
from tests.pki import NOW, authority, intermediate, leaf
from tests.status import CRL_GOOD, DAY, LEAF, MUST_STAPLE, OCSP_GOOD, at, facts_of, response, said

CODE = "revocation.staple-invalid"
STRANGER = intermediate(authority("Stranger Root"), "Stranger CA")
EXPIRED_RESPONDER = leaf(
    issuing(), names=("Old Responder",), owner="responder", usages=(OCSP_SIGNING,), not_after=NOW - DAY
)


@pytest.mark.parametrize(
    ("staple", "words"),
    [
        (response(age=8 * DAY), "out of date"),
        (response(leaf(issuing(), names=("other.test",))), "another certificate"),
        (response(signer=STRANGER), "badly signed"),
        (response(signer=EXPIRED_RESPONDER, enclosed=[EXPIRED_RESPONDER]), "expired"),
        (response(status="unknown"), "does not know"),
        (ocsp_error(), "tryLater"),
        (b"\x30\x03\x0a\x01", "no readable OCSP response"),
    ],
)
def test_a_staple_that_nobody_can_use_is_said(staple: bytes, words: str) -> None:
    seen = facts_of(OCSP_GOOD, CRL_GOOD, staple=staple)
    finding = fires(CODE, seen, severity="critical")
    assert words in finding.explanation and finding.fails_for == ("firefox",)
    diagnosis = judge(seen)
    assert diagnosis.cause == finding and diagnosis.status == "broken"
    [endpoint] = report(seen, diagnosis, elapsed_ms=1.0).endpoints
    assert endpoint.revocation[0].kind == "staple" and endpoint.revocation[0].outcome not in {"good", "slow"}


def test_a_staple_with_ten_minutes_left_is_good() -> None:
    seen = facts_of(OCSP_GOOD, CRL_GOOD, staple=response(age=7 * DAY - timedelta(minutes=10)))
    assert silent("revocation.staple-invalid", seen) and judge(seen).status == "ok"


def test_a_delegated_responder_s_staple_is_good() -> None:
    delegate = leaf(issuing(), names=("Responder",), owner="responder", usages=(OCSP_SIGNING,))
    assert silent(
        "revocation.staple-invalid",
        facts_of(OCSP_GOOD, CRL_GOOD, staple=response(signer=delegate, enclosed=[delegate])),
    )


def test_only_the_address_that_staples_it_is_named() -> None:
    seen = facts_of(OCSP_GOOD, CRL_GOOD, looks=(at(staple=response()), at(OTHER, staple=response(age=9 * DAY))))
    fires(CODE, seen, severity="critical", at=(OTHER,))


def test_stale_by_our_clock_alone_is_no_fault_of_the_server() -> None:
    assert silent(
        "revocation.staple-invalid",
        facts_of(OCSP_GOOD, CRL_GOOD, staple=response(age=8 * DAY), skew=timedelta(days=-2)),
    )


def test_without_a_staple_there_is_nothing_to_be_wrong() -> None:
    assert silent("revocation.staple-invalid", facts_of(OCSP_GOOD, CRL_GOOD)) and silent(
        "revocation.staple-invalid", facts()
    )


def test_revoked_is_another_code() -> None:
    seen = facts_of(staple=response(status="revoked"))
    assert silent("revocation.staple-invalid", seen)


def test_a_staple_that_is_bad_is_not_a_missing_one() -> None:
    stale = response(MUST_STAPLE, age=9 * DAY)
    seen = facts_of(said("ocsp", about=MUST_STAPLE), chain=(MUST_STAPLE, issuing()), staple=stale)
    fires(CODE, seen, severity="critical")
    assert silent("revocation.staple-missing", seen) and LEAF != MUST_STAPLE
