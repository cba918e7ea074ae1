"""revocation.crl-unreachable: none to be had, or one that is stale or badly signed."""

from __future__ import annotations

import pytest
from cryptography import x509

from probes.diagnose import judge
from probes.lab.status import sources
from probes.report import report
from tests.evidence import facts, fires, issuing, silent
from tests.pki import authority, intermediate, leaf
from tests.status import CRL_GOOD, CRL_URL, DAY, OCSP_GOOD, facts_of, listing, said

CODE = "revocation.crl-unreachable"


def broken(body: bytes) -> bytes:
    return body[:-2] + bytes([body[-2] ^ 1]) + body[-1:]


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (said("crl", listing(age=10 * DAY)), "out of date since"),
        (said("crl", failure="error", detail="HTTP 404"), "cannot be had: HTTP 404"),
        (said("crl", failure="unreachable", detail="crl.test does not resolve (nxdomain)"), "nxdomain"),
        (said("crl", failure="timeout"), "did not come in time"),
        (said("crl", b"<html>"), "no readable CRL"),
        (said("crl", broken(listing())), "badly signed"),
    ],
)
def test_a_crl_that_no_client_can_use_is_said(answer: object, words: str) -> None:
    seen = facts_of(OCSP_GOOD, answer)  # type: ignore[arg-type]
    finding = fires(CODE, seen, severity="warning", asks=CRL_URL)
    assert words in finding.explanation and finding.fails_for == ()
    assert judge(seen).status == "warning"


def test_one_of_two_distribution_points_suffices() -> None:
    two = leaf(issuing(), more=sources(crl_urls=[CRL_URL, "http://mirror.test/ca.crl"]))
    dead = said("crl", failure="unreachable", about=two)
    alive = said("crl", about=two, url="http://mirror.test/ca.crl")
    fires(CODE, facts_of(dead, alive, chain=(two, issuing())), severity="notice", asks=CRL_URL)


def test_what_is_not_followed_is_a_gap_and_no_fault() -> None:
    delta = listing(more=[(x509.DeltaCRLIndicator(3), True)])
    seen = facts_of(OCSP_GOOD, said("crl", delta))
    assert silent("revocation.crl-unreachable", seen) and judge(seen).status == "ok"
    gaps = [gap for gap in report(seen, judge(seen), elapsed_ms=1.0).gaps if gap.what == "revocation"]
    assert len(gaps) == 1 and CRL_URL in gaps[0].why


def test_a_crl_of_a_stranger_is_of_no_use() -> None:
    seen = facts_of(OCSP_GOOD, said("crl", listing(intermediate(authority("Stranger Root"), "Stranger CA"))))
    finding = fires("revocation.crl-unreachable", seen, severity="warning", asks=CRL_URL)
    assert any("not by the certificate's issuer" in line for line in finding.evidence)


def test_a_crl_good_for_years_is_good() -> None:
    assert silent("revocation.crl-unreachable", facts_of(OCSP_GOOD, said("crl", listing(lasts=4000 * DAY))))


def test_ldap_alone_is_a_gap_and_no_fault() -> None:
    listed = leaf(issuing(), more=sources(crl_urls=["ldap://dc.test/cn=ca"]))
    seen = facts_of(chain=(listed, issuing()))
    assert silent("revocation.crl-unreachable", seen) and judge(seen).status == "ok"
    assert any("over HTTP" in gap.why for gap in report(seen, judge(seen), elapsed_ms=1.0).gaps)


def test_fresh_ones_and_none_at_all_are_silent() -> None:
    assert silent("revocation.crl-unreachable", facts_of(OCSP_GOOD, CRL_GOOD)) and silent(
        "revocation.crl-unreachable", facts()
    )
