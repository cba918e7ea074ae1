"""revocation.revoked: a staple, a responder or a CRL says so, signed by whom it must be."""

from __future__ import annotations

from cryptography import x509

from probes.diagnose import judge
from probes.report import report
from tests.evidence import ADDRESS, OTHER, facts, fires, issuing, silent
from tests.pki import authority, intermediate
from tests.status import (
    CRL_GOOD,
    CRL_URL,
    DAY,
    LEAF,
    LISTED_CA,
    OCSP_GOOD,
    OCSP_URL,
    ROOT_CRL_URL,
    at,
    facts_of,
    listing,
    response,
    said,
)

CODE = "revocation.revoked"
COMPROMISED = x509.ReasonFlags.key_compromise
REVOKED = said("ocsp", response(status="revoked", reason=COMPROMISED))


def test_a_revoked_leaf_fails_for_those_who_check() -> None:
    seen = facts_of(REVOKED, CRL_GOOD)
    finding = fires(CODE, seen, severity="critical", asks=OCSP_URL)
    assert {"firefox", "safari"} <= set(finding.fails_for) and "curl" not in finding.fails_for
    assert "keyCompromise" in finding.explanation and not finding.stops_all
    assert any("disagrees" in line and CRL_URL in line for line in finding.evidence)
    diagnosis = judge(seen)
    assert (diagnosis.cause, diagnosis.status) == (finding, "broken")
    clients = {c.name: (c.outcome, c.code) for c in report(seen, diagnosis, elapsed_ms=1.0).clients}
    assert clients["firefox"] == ("fail", CODE) and clients["go"] == ("pass", None)


def test_the_report_tells_revoked_from_good() -> None:
    seen = facts_of(REVOKED, CRL_GOOD)
    [endpoint] = report(seen, judge(seen), elapsed_ms=1.0).endpoints
    assert [(s.kind, s.url, s.outcome) for s in endpoint.revocation] == [
        ("ocsp", OCSP_URL, "revoked"),
        ("crl", CRL_URL, "good"),
    ]
    assert endpoint.revocation[0].samples_ms == (80.0, 90.0, 110.0)


def test_a_crl_that_lists_it_is_enough() -> None:
    seen = facts_of(OCSP_GOOD, said("crl", listing(revoked=[LEAF])))
    fires(CODE, seen, severity="critical", asks=CRL_URL)


def test_a_staple_that_says_so_is_enough() -> None:
    fires(CODE, facts_of(staple=response(status="revoked")), severity="critical")


def test_a_revoked_intermediate_is_named() -> None:
    from tests.evidence import root
    from tests.pki import leaf

    chain = (leaf(LISTED_CA), LISTED_CA)
    answer = said("crl", listing(root(), revoked=[LISTED_CA]), url=ROOT_CRL_URL, about=LISTED_CA, issuer=root())
    finding = fires(CODE, facts_of(answer, chain=chain), severity="critical", asks=ROOT_CRL_URL)
    assert "the intermediate “Listed CA”" in finding.explanation


def test_only_the_address_that_serves_it_is_named() -> None:
    from tests.evidence import healthy

    seen = facts_of(REVOKED, looks=(healthy(), at(OTHER)))
    fires(CODE, seen, severity="critical", at=(OTHER,), asks=OCSP_URL)


def test_a_stranger_s_word_revokes_nothing() -> None:
    stranger = intermediate(authority("Stranger Root"), "Stranger CA")
    forged = said("ocsp", response(status="revoked", signer=stranger))
    other = said("ocsp", response(LEAF, stranger, status="revoked"))
    assert silent("revocation.revoked", facts_of(forged)) and silent("revocation.revoked", facts_of(other))


def test_unknown_good_and_another_certificate_s_fate_are_silent() -> None:
    assert silent("revocation.revoked", facts_of(said("ocsp", response(status="unknown"))))
    assert silent("revocation.revoked", facts_of(OCSP_GOOD, CRL_GOOD, staple=response()))
    assert silent("revocation.revoked", facts_of(said("crl", listing(revoked=[issuing()]))))


def test_a_healthy_address_without_sources_is_silent() -> None:
    assert silent("revocation.revoked", facts()) and judge(facts()).status == "ok"


def test_an_expired_leaf_comes_first() -> None:
    from tests.pki import NOW, leaf

    old = leaf(issuing(), not_after=NOW - DAY)
    stapled = response(old, status="revoked")
    cause = judge(facts_of(chain=(old, issuing()), staple=stapled)).cause
    assert cause is not None and cause.code == "validity.expired" and cause.addresses == (ADDRESS,)
