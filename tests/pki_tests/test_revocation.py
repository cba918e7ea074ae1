"""OCSP responses, CRLs and staples: what each is worth, and that no bytes break the reading."""

from __future__ import annotations

import base64
from datetime import datetime, timedelta
from time import process_time
from urllib.parse import unquote

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp
from hypothesis import given, settings
from hypothesis import strategies as st

from probes.lab.status import DAY, OCSP_SIGNING, crl, ocsp_error, ocsp_response, sources
from probes.pki.anchors import Anchors
from probes.pki.certificate import Certificate, parse
from probes.pki.crl import judge_crl
from probes.pki.judge import ChainFacts, assess
from probes.pki.ocsp import MAX_GET, basic, get_url, judge_ocsp, request
from probes.pki.revocation import judge, judge_staple, names_sources, not_earlier_than, questions
from probes.pki.status import SKEW, Status, freshness, signed
from tests import pki
from tests.pki import NOW, Issued

HOUR = timedelta(hours=1)
URL, CRL_URL = "http://ocsp.test/r", "http://crl.test/ca.crl"
COMPROMISED = x509.ReasonFlags.key_compromise

ROOT = pki.authority()
CA = pki.intermediate(ROOT)
LEAF = pki.leaf(CA, more=sources(ocsp_urls=[URL], crl_urls=[CRL_URL]))
OTHER = pki.leaf(CA, names=("other.test",))
STRANGER = pki.intermediate(pki.authority("Stranger Root"), "Stranger CA")


def value(issued: Issued) -> Certificate:
    parsed = parse(issued.der)
    assert isinstance(parsed, Certificate)
    return parsed


def responder(
    issuer: Issued = CA,
    *,
    name: str = "OCSP Responder",
    usages: tuple[x509.ObjectIdentifier, ...] = (OCSP_SIGNING,),
    until: datetime = NOW + 30 * DAY,
    since: datetime = NOW - 30 * DAY,
) -> Issued:
    """A delegated responder (RFC 6960 section 4.2.2.2)."""
    return pki.leaf(issuer, names=(name,), owner=name, usages=usages, not_before=since, not_after=until)


def answered(at: datetime = NOW, issuer: Issued | None = CA, **changes: object) -> Status:
    body = ocsp_response(LEAF, CA, at=NOW, **changes)  # type: ignore[arg-type]
    return judge_ocsp(body, value(LEAF), value(issuer) if issuer else None, at)


def listed(at: datetime = NOW, about: Issued = LEAF, issuer: Issued = CA, **changes: object) -> Status:
    body = crl(CA, at=NOW, **changes)  # type: ignore[arg-type]
    return judge_crl(body, value(about), value(issuer), at)


# ── OCSP ────────────────────────────────────────────────────────────────────────


def test_a_fresh_response_of_the_issuer_is_good() -> None:
    status = answered()
    assert (status.outcome, status.verified, status.signer, status.why) == ("good", True, "its issuer", "")
    assert status.this_update == NOW - HOUR and status.next_update == NOW - HOUR + 7 * DAY


@pytest.mark.parametrize("by_name", [True, False])
@pytest.mark.parametrize("digest", [hashes.SHA1(), hashes.SHA256(), hashes.SHA384()])
def test_every_hash_and_form_of_responder_id_is_understood(by_name: bool, digest: hashes.HashAlgorithm) -> None:
    assert answered(by_name=by_name, digest=digest).outcome == "good"


def test_revoked_is_told_with_time_and_reason() -> None:
    status = answered(status="revoked", reason=COMPROMISED)
    assert (status.outcome, status.reason, status.revoked_at) == ("revoked", "keyCompromise", NOW - DAY)
    assert status.why.startswith("revoked ") and "keyCompromise" in status.why


def test_a_stale_response_that_says_revoked_still_says_so() -> None:
    assert answered(status="revoked", age=30 * DAY, lasts=DAY).outcome == "revoked"


def test_unknown_is_not_revoked() -> None:
    status = answered(status="unknown")
    assert status.outcome == "unknown" and "does not know" in status.why


@pytest.mark.parametrize(
    ("code", "word"),
    [
        (ocsp.OCSPResponseStatus.TRY_LATER, "tryLater"),
        (ocsp.OCSPResponseStatus.UNAUTHORIZED, "unauthorized"),
        (ocsp.OCSPResponseStatus.MALFORMED_REQUEST, "malformedRequest"),
        (ocsp.OCSPResponseStatus.INTERNAL_ERROR, "internalError"),
        (ocsp.OCSPResponseStatus.SIG_REQUIRED, "sigRequired"),
    ],
)
def test_the_responder_s_errors_are_named(code: ocsp.OCSPResponseStatus, word: str) -> None:
    status = judge_ocsp(ocsp_error(code), value(LEAF), value(CA), NOW)
    assert status.outcome == "error" and word in status.why


def test_a_response_about_another_certificate_is_none() -> None:
    body = ocsp_response(OTHER, CA, at=NOW)
    status = judge_ocsp(body, value(LEAF), value(CA), NOW)
    assert status.outcome == "invalid" and "another certificate" in status.why
    assert f"{OTHER.certificate.serial_number:x}" in status.why


def test_the_same_serial_of_another_issuer_is_another_certificate() -> None:
    status = judge_ocsp(ocsp_response(LEAF, STRANGER, at=NOW), value(LEAF), value(CA), NOW)
    assert status.outcome == "invalid" and "another issuer" in status.why


def test_a_response_signed_by_a_stranger_is_badly_signed() -> None:
    status = answered(signer=STRANGER)
    assert (status.outcome, status.verified) == ("invalid", False) and "badly signed" in status.why


def test_a_changed_signature_is_a_bad_one() -> None:
    body = bytearray(ocsp_response(LEAF, CA, at=NOW))
    body[-3] ^= 1
    assert judge_ocsp(bytes(body), value(LEAF), value(CA), NOW).outcome == "invalid"


def test_a_delegated_responder_may_sign() -> None:
    delegate = responder()
    status = answered(signer=delegate, enclosed=[delegate])
    assert (status.outcome, status.signer) == ("good", "OCSP Responder")


@pytest.mark.parametrize(
    ("delegate", "words"),
    [
        (responder(until=NOW - DAY), "expired"),
        (responder(since=NOW + DAY), "not valid before"),
        (responder(usages=(pki.SERVER_AUTH,)), "not for signing OCSP"),
        (responder(STRANGER), "did not appoint"),
    ],
)
def test_a_delegate_without_the_right_is_refused(delegate: Issued, words: str) -> None:
    status = answered(signer=delegate, enclosed=[delegate])
    assert status.outcome == "invalid" and words in status.why


def test_a_delegate_whose_certificate_is_not_enclosed_cannot_be_known() -> None:
    assert answered(signer=responder()).outcome == "invalid"


def test_the_responder_named_must_be_the_one_that_signed() -> None:
    signer = pki.intermediate(ROOT, "Ed CA", key_kind="ed25519")  # whose signatures all have one length
    about = pki.leaf(signer)
    body = ocsp_response(about, signer, at=NOW)
    named = x509.SubjectKeyIdentifier.from_public_key(signer.key.public_key()).digest
    parts = signed(basic(body))
    forged = parts.body.replace(b"\xa2\x16\x04\x14" + named, b"\xa2\x16\x04\x14" + bytes(20))
    assert forged != parts.body
    whole = body.replace(parts.body, forged).replace(parts.signature, signer.key.sign(forged))  # type: ignore[call-arg]
    status = judge_ocsp(whole, value(about), value(signer), NOW)
    assert status.outcome == "invalid" and "not the one that signed" in status.why


@pytest.mark.parametrize(
    ("minutes", "outcome"), [(0, "good"), (10, "good"), (70, "stale"), (64, "good"), (-64, "good"), (-70, "early")]
)
def test_five_minutes_of_skew_are_forgiven_at_both_ends(minutes: int, outcome: str) -> None:
    body = ocsp_response(LEAF, CA, at=NOW, age=timedelta(0), lasts=HOUR)
    at = NOW + timedelta(minutes=minutes) if minutes >= 0 else NOW - timedelta(minutes=-minutes - 60)
    assert judge_ocsp(body, value(LEAF), value(CA), at).outcome == outcome


def test_a_response_with_ten_minutes_left_is_fresh() -> None:
    assert answered(age=timedelta(days=7) - timedelta(minutes=10)).outcome == "good"


def test_without_next_update_seven_days_are_fresh() -> None:
    assert answered(lasts=None, age=6 * DAY).outcome == "good"
    status = answered(lasts=None, age=8 * DAY)
    assert status.outcome == "stale" and "without nextUpdate" in status.why


def test_without_the_issuer_the_signature_is_unchecked_but_dates_and_serial_count() -> None:
    assert answered(issuer=None).outcome == "unchecked"
    assert answered(issuer=None, age=9 * DAY).outcome == "stale"
    assert judge_staple(ocsp_response(OTHER, CA, at=NOW), value(LEAF), None, NOW).outcome == "invalid"


@pytest.mark.parametrize("kind", ["rsa2048", "p384", "ed25519"])
def test_any_kind_of_key_may_have_signed(kind: pki.KeyKind) -> None:
    signer = pki.intermediate(ROOT, "Signing CA", key_kind=kind)
    about = pki.leaf(signer)
    assert judge_ocsp(ocsp_response(about, signer, at=NOW), value(about), value(signer), NOW).outcome == "good"
    assert judge_crl(crl(signer, at=NOW), value(about), value(signer), NOW).outcome == "good"


def test_a_crl_signed_with_rsa_pss_is_verified() -> None:
    signer = pki.intermediate(ROOT, "PSS CA", key_kind="rsa2048")
    builder = (
        x509.CertificateRevocationListBuilder()
        .issuer_name(signer.certificate.subject)
        .last_update(NOW - HOUR)
        .next_update(NOW + DAY)
    )
    pss = padding.PSS(mgf=padding.MGF1(hashes.SHA256()), salt_length=padding.PSS.DIGEST_LENGTH)
    body = builder.sign(signer.key, hashes.SHA256(), rsa_padding=pss).public_bytes(Encoding.DER)
    about = pki.leaf(signer)
    assert judge_crl(body, value(about), value(signer), NOW).outcome == "good"
    assert judge_crl(body[:-4] + bytes(4), value(about), value(signer), NOW).outcome == "invalid"


# ── CRL ─────────────────────────────────────────────────────────────────────────


def test_a_crl_without_the_certificate_is_good() -> None:
    status = listed()
    assert (status.outcome, status.verified, status.entries) == ("good", True, 3)
    assert status.size > 100


def test_a_crl_with_the_certificate_revokes_it() -> None:
    status = listed(revoked=[LEAF], reason=COMPROMISED)
    assert (status.outcome, status.reason, status.revoked_at) == ("revoked", "keyCompromise", NOW - DAY)
    assert listed(revoked=[LEAF]).reason is None


def test_a_crl_past_its_next_update_is_stale_and_one_for_years_is_not() -> None:
    assert listed(age=8 * DAY).outcome == "stale"
    assert listed(lasts=4000 * DAY).outcome == "good"
    assert listed(at=NOW - 2 * DAY).outcome == "early"


def test_a_crl_of_another_key_is_badly_signed() -> None:
    unnamed = crl(CA, at=NOW, signer=STRANGER)
    status = judge_crl(unnamed, value(LEAF), value(CA), NOW)
    # Its AKI says that another key of the same authority signed it: nobody can tell without that certificate.
    assert status.outcome == "unknown" and "another key" in status.why
    broken = bytearray(crl(CA, at=NOW))
    broken[-2] ^= 1
    assert judge_crl(bytes(broken), value(LEAF), value(CA), NOW).outcome == "invalid"


def test_a_crl_of_another_issuer_counts_only_as_an_indirect_one_which_is_not_followed() -> None:
    status = judge_crl(crl(STRANGER, at=NOW), value(LEAF), value(CA), NOW)
    assert status.outcome == "invalid" and "not by the certificate's issuer" in status.why
    indirect = judge_crl(crl(STRANGER, at=NOW, more=[scope(indirect_crl=True)]), value(LEAF), value(CA), NOW)
    assert indirect.outcome == "unknown" and "indirect" in indirect.why


def scope(**changes: object) -> tuple[x509.ExtensionType, bool]:
    plain: dict[str, object] = {
        "full_name": None,
        "relative_name": None,
        "only_contains_user_certs": False,
        "only_contains_ca_certs": False,
        "only_some_reasons": None,
        "indirect_crl": False,
        "only_contains_attribute_certs": False,
    }
    return x509.IssuingDistributionPoint(**(plain | changes)), True  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("extension", "outcome"),
    [
        (scope(only_contains_user_certs=True), "good"),
        (scope(only_contains_ca_certs=True), "unknown"),
        (scope(only_contains_attribute_certs=True), "unknown"),
        (scope(indirect_crl=True), "unknown"),
        (scope(full_name=[x509.UniformResourceIdentifier(CRL_URL)]), "good"),
        (scope(full_name=[x509.UniformResourceIdentifier("http://crl.test/other.crl")]), "unknown"),
        ((x509.DeltaCRLIndicator(3), True), "unknown"),
        ((x509.FreshestCRL([x509.DistributionPoint([x509.DNSName("x")], None, None, None)]), False), "good"),
    ],
)
def test_the_scope_of_a_crl_counts(extension: tuple[x509.ExtensionType, bool], outcome: str) -> None:
    assert listed(more=[extension]).outcome == outcome


def test_a_crl_of_user_certificates_says_nothing_of_an_intermediate() -> None:
    body = crl(ROOT, at=NOW, more=[scope(only_contains_user_certs=True)])
    assert judge_crl(body, value(CA), value(ROOT), NOW).outcome == "unknown"


def test_a_crl_of_first_lines_alone_is_read_in_one_pass() -> None:
    """What a distribution point may send (32 MB) must not be searched again from each line."""
    began = process_time()
    status = judge_crl(b"-----BEGIN X509 CRL-----" * 100_000, value(LEAF), value(CA), NOW)
    assert status.outcome == "error" and process_time() - began < 2.0


def test_a_crl_in_pem_is_read() -> None:
    body = x509.load_der_x509_crl(crl(CA, at=NOW, revoked=[LEAF])).public_bytes(Encoding.PEM)
    assert judge_crl(body, value(LEAF), value(CA), NOW).outcome == "revoked"


def test_a_large_crl_costs_milliseconds() -> None:
    body = crl(CA, at=NOW, revoked=[LEAF], others=20_000)
    assert judge_crl(body, value(LEAF), value(CA), NOW).outcome == "revoked"


# ── the question ────────────────────────────────────────────────────────────────


def test_the_question_is_the_one_cryptography_asks() -> None:
    builder = ocsp.OCSPRequestBuilder().add_certificate(LEAF.certificate, CA.certificate, hashes.SHA1())
    assert request(value(LEAF), value(CA)) == builder.build().public_bytes(Encoding.DER)


@pytest.mark.parametrize("url", ["http://ocsp.test", "http://ocsp.test/", "http://ocsp.test/a/b/"])
def test_get_appends_the_encoded_question(url: str) -> None:
    question = request(value(LEAF), value(CA))
    asked = get_url(url, question)
    assert asked is not None and len(asked) <= MAX_GET
    assert asked.startswith(url.rstrip("/") + "/")
    last = asked.rpartition("/")[2]
    assert base64.b64decode(unquote(last)) == question and not set("+/=") & set(last)


def test_a_long_or_queried_url_is_for_post() -> None:
    question = request(value(LEAF), value(CA))
    assert get_url("http://ocsp.test/" + "x" * 200, question) is None
    assert get_url("http://ocsp.test/?ca=7", question) is None


def known(leaf: Issued, *above: Issued, roots: tuple[Issued, ...] = (ROOT,), at: datetime = NOW) -> ChainFacts:
    anchors = Anchors.from_ders([each.der for each in roots], source="test")
    return assess(tuple(each.der for each in (leaf, *above)), "healthy.test", anchors, at)


def test_every_certificate_but_the_anchor_is_asked_about() -> None:
    ca = pki.intermediate(ROOT, more=sources(crl_urls=["http://crl.test/root.crl"]))
    asked = questions(known(pki.leaf(ca, more=sources(ocsp_urls=[URL], crl_urls=[CRL_URL])), ca, ROOT))
    assert [(each.kind, each.url) for each in asked.questions] == [
        ("ocsp", URL),
        ("crl", CRL_URL),
        ("crl", "http://crl.test/root.crl"),
    ]
    assert asked.questions[2].issuer.der == ROOT.der and asked.unasked == ()


def test_a_root_s_own_crl_is_nobody_s_business() -> None:
    root = pki.authority("Listing Root")
    leaf = pki.leaf(pki.intermediate(root))
    assert questions(known(leaf, pki.intermediate(root), root, roots=(root,))).questions == ()


def test_a_certificate_that_names_nothing_asks_nobody() -> None:
    assert not names_sources((OTHER.der, CA.der))
    assert questions(known(OTHER, CA)).questions == ()


def test_ldap_is_passed_over_and_named_only_where_there_is_nothing_else() -> None:
    ldap = "ldap://dc.test/cn=ca?certificateRevocationList"
    both = pki.leaf(CA, more=sources(crl_urls=[ldap, CRL_URL]))
    alone = pki.leaf(CA, more=sources(crl_urls=[ldap]))
    assert [each.url for each in questions(known(both, CA)).questions] == [CRL_URL]
    assert questions(known(both, CA)).unasked == ()
    [unasked] = questions(known(alone, CA)).unasked
    assert "over HTTP" in unasked.why and questions(known(alone, CA)).questions == ()


def test_https_is_asked_too() -> None:
    leaf = pki.leaf(CA, more=sources(ocsp_urls=["HTTPS://ocsp.test/"]))
    assert [each.url for each in questions(known(leaf, CA)).questions] == ["HTTPS://ocsp.test/"]


def test_without_the_issuer_nobody_can_be_asked() -> None:
    asked = questions(known(LEAF))
    assert asked.questions == () and "neither sent nor found" in asked.unasked[0].why


def test_an_expired_certificate_is_not_asked_about() -> None:
    asked = questions(known(LEAF, CA, at=NOW + 80 * DAY))
    assert asked.questions == () and "expired" in asked.unasked[0].why


def test_a_certificate_with_fifty_urls_costs_six_questions() -> None:
    many = [f"http://ocsp.test/{number}" for number in range(50)]
    leaf = pki.leaf(CA, more=sources(ocsp_urls=many, crl_urls=many))
    assert len(questions(known(leaf, CA)).questions) == 6


# ── clocks ──────────────────────────────────────────────────────────────────────


def test_verified_answers_bound_now_from_below_and_others_do_not() -> None:
    early = answered(at=NOW - 5 * HOUR)
    assert early.outcome == "early" and early.verified
    assert max(not_earlier_than([early])) >= NOW - HOUR
    assert not_earlier_than([answered(signer=STRANGER), answered(issuer=None)]) == ()


@given(st.integers(-10_000_000, 10_000_000), st.integers(0, 10_000_000))
def test_freshness_has_no_gap(offset: int, length: int) -> None:
    begin, end = NOW, NOW + timedelta(seconds=length)
    at = NOW + timedelta(seconds=offset)
    state = freshness(begin, end, at, lasts=None)
    assert (state == "early") == (at < begin - SKEW)
    assert (state == "stale") == (at > end + SKEW)


# ── hostile bytes ───────────────────────────────────────────────────────────────

GOOD_OCSP = ocsp_response(LEAF, CA, at=NOW, signer=responder(), enclosed=[responder()])
GOOD_CRL = crl(CA, at=NOW, revoked=[OTHER], reason=COMPROMISED, more=[scope(only_contains_user_certs=True)])


@settings(max_examples=500)
@given(st.binary(max_size=300), st.sampled_from(["ocsp", "crl"]))
def test_no_bytes_break_the_judging(body: bytes, kind: str) -> None:
    status = judge(kind, body, value(LEAF), value(CA), NOW)  # type: ignore[arg-type]
    assert status.outcome == "error" and not status.verified


@settings(max_examples=1000)
@given(st.data())
def test_no_change_of_a_good_answer_is_taken_for_good(data: st.DataObject) -> None:
    """Whatever is changed within what is signed: never good, never revoked, and no exception."""
    kind, good = data.draw(st.sampled_from([("ocsp", GOOD_OCSP), ("crl", GOOD_CRL)]))
    assert judge(kind, good, value(LEAF), value(CA), NOW).outcome == "good"  # type: ignore[arg-type]
    changed = bytearray(good)
    for _ in range(data.draw(st.integers(1, 4))):
        changed[data.draw(st.integers(0, len(good) - 1))] = data.draw(st.integers(0, 255))
    status = judge(kind, bytes(changed), value(LEAF), value(CA), NOW)  # type: ignore[arg-type]
    if status.outcome in {"good", "revoked"}:
        # What was changed lies outside the signed part, in the frame or an enclosed certificate nobody needs.
        assert status.this_update == NOW - HOUR and status.verified


@settings(max_examples=300)
@given(st.data())
def test_no_truncation_is_taken_for_good(data: st.DataObject) -> None:
    kind, good = data.draw(st.sampled_from([("ocsp", GOOD_OCSP), ("crl", GOOD_CRL)]))
    cut = good[: data.draw(st.integers(0, len(good) - 1))]
    assert judge(kind, cut, value(LEAF), value(CA), NOW).outcome == "error"  # type: ignore[arg-type]
