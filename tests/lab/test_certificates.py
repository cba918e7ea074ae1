"""What the cases of modes 1, 2 and 4 serve, judged by clients that know nothing of the lab."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from urllib.parse import urlsplit

import pytest
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.x509.oid import ExtensionOID

from probes.lab import Lab
from tests.lab.client import Seen, exchange, shake, verify_code

pytestmark = pytest.mark.asyncio(loop_scope="package")

# verify(1): 9 not yet valid, 10 expired, 18 self-signed leaf, 19 self-signed in chain, 20 no local issuer,
# 26 unsuitable purpose, 62 host name, 66 key too weak, 68 digest too weak
_VERDICTS = {
    "expired.lab": 10,
    "expired-and-incomplete.lab": 20,  # OpenSSL stops at the missing issuer; the dates are looked at below
    "not-yet-valid.lab": 9,
    "expiring.lab": 0,
    "clock-skew.lab": 0,
    "clock-ahead.lab": 9,
    "no-intermediate.lab": 20,
    "no-intermediate-no-aia.lab": 20,
    "untrusted-root.lab": 19,
    "self-signed.lab": 18,
    "expired-intermediate.lab": 10,
    "cross-sign.lab": 0,
    "wrong-intermediate.lab": 20,
    "stale-intermediate.lab": 20,
    "misordered.lab": 0,
    "root-sent.lab": 0,
    "stray.lab": 0,
    "sha1.lab": 68,
    "rsa-1024.lab": 66,
    "wrong-usage.lab": 26,
    "default-certificate.lab": 62,
    "wrong-host.lab": 62,
    "sni-required.lab": 0,
    "sni-default.lab": 0,
}

_SENT = {
    "expired.lab": 2,
    "expired-and-incomplete.lab": 1,
    "no-intermediate.lab": 1,
    "no-intermediate-no-aia.lab": 1,
    "untrusted-root.lab": 3,
    "self-signed.lab": 1,
    "expired-intermediate.lab": 2,
    "cross-sign.lab": 3,
    "wrong-intermediate.lab": 2,
    "stale-intermediate.lab": 2,
    "misordered.lab": 3,
    "root-sent.lab": 3,
    "stray.lab": 3,
}


async def _seen(lab: Lab, name: str, **offer: object) -> Seen:
    case = lab.case(name)
    return await shake(case.addresses[0], case.port, name, **offer)


@pytest.mark.parametrize("name", _VERDICTS)
async def test_openssl_finds_what_is_announced(lab: Lab, name: str) -> None:
    case = lab.case(name)
    assert await verify_code(case.addresses[0], case.port, name, lab.root_pem) == _VERDICTS[name]


@pytest.mark.parametrize("name", _SENT)
async def test_as_many_certificates_are_sent_as_announced(lab: Lab, name: str) -> None:
    assert len((await _seen(lab, name)).chain) == _SENT[name]


@pytest.mark.parametrize("name", ["expired.lab", "expired-and-incomplete.lab"])
async def test_an_expired_leaf_is_past_its_end_and_its_issuer_is_not(lab: Lab, name: str) -> None:
    leaf, *above = (await _seen(lab, name)).chain
    now = datetime.now(UTC)
    assert leaf.not_valid_after_utc < now
    assert all(issuer.not_valid_after_utc > now for issuer in above)


async def test_an_expiring_leaf_has_less_than_a_sixth_left(lab: Lab) -> None:
    leaf = (await _seen(lab, "expiring.lab")).chain[0]
    left = leaf.not_valid_after_utc - datetime.now(UTC)
    assert timedelta(0) < left < (leaf.not_valid_after_utc - leaf.not_valid_before_utc) / 6


@pytest.mark.parametrize(("name", "hours"), [("clock-skew.lab", -7), ("clock-ahead.lab", 5)])
async def test_the_clock_of_the_answer_is_off(lab: Lab, name: str, hours: int) -> None:
    seen = await _seen(lab, name)
    date = _date(seen.answer)
    assert abs(date - datetime.now(UTC) - timedelta(hours=hours)) < timedelta(seconds=30)
    assert seen.chain[0].not_valid_before_utc < date < seen.chain[0].not_valid_after_utc


async def test_the_missing_intermediate_is_where_the_certificate_says(lab: Lab) -> None:
    leaf = (await _seen(lab, "no-intermediate.lab")).chain[0]
    access = leaf.extensions.get_extension_for_oid(ExtensionOID.AUTHORITY_INFORMATION_ACCESS).value
    assert isinstance(access, x509.AuthorityInformationAccess)
    url = urlsplit(access[0].access_location.value)
    assert url.hostname and url.port and (url.hostname, url.port) in lab.allowed
    answer = await exchange(url.hostname, url.port, f"GET {url.path} HTTP/1.1\r\nHost: aia\r\n\r\n".encode())
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 ") and b"application/pkix-cert" in head
    leaf.verify_directly_issued_by(x509.load_der_x509_certificate(body))


async def test_no_aia_means_none(lab: Lab) -> None:
    leaf = (await _seen(lab, "no-intermediate-no-aia.lab")).chain[0]
    with pytest.raises(x509.ExtensionNotFound):
        leaf.extensions.get_extension_for_oid(ExtensionOID.AUTHORITY_INFORMATION_ACCESS)


async def test_an_expired_intermediate_did_issue_the_leaf(lab: Lab) -> None:
    leaf, issuer = (await _seen(lab, "expired-intermediate.lab")).chain
    leaf.verify_directly_issued_by(issuer)
    assert issuer.not_valid_after_utc < datetime.now(UTC) < leaf.not_valid_after_utc


async def test_a_cross_sign_leads_past_the_trusted_root_to_an_expired_one(lab: Lab) -> None:
    leaf, issuer, cross = (await _seen(lab, "cross-sign.lab")).chain
    root = x509.load_pem_x509_certificate(lab.root_pem.encode())
    leaf.verify_directly_issued_by(issuer)
    issuer.verify_directly_issued_by(root)
    issuer.verify_directly_issued_by(cross)
    assert cross.subject == root.subject and cross.issuer != root.subject
    assert cross.not_valid_after_utc < datetime.now(UTC)


@pytest.mark.parametrize(("name", "same_name"), [("wrong-intermediate.lab", False), ("stale-intermediate.lab", True)])
async def test_a_wrong_intermediate_did_not_issue_the_leaf(lab: Lab, name: str, same_name: bool) -> None:
    leaf, other = (await _seen(lab, name)).chain
    assert (leaf.issuer == other.subject) is same_name
    with pytest.raises((InvalidSignature, ValueError, TypeError)):  # TypeError: a key of another algorithm
        leaf.verify_directly_issued_by(other)


async def test_misordered_certificates_are_right_in_another_order(lab: Lab) -> None:
    leaf, upper, lower = (await _seen(lab, "misordered.lab")).chain
    leaf.verify_directly_issued_by(lower)
    lower.verify_directly_issued_by(upper)
    assert leaf.issuer != upper.subject


async def test_a_root_sent_along_is_the_root_and_a_stray_is_nobody_s_issuer(lab: Lab) -> None:
    assert (await _seen(lab, "root-sent.lab")).chain[2] == x509.load_pem_x509_certificate(lab.root_pem.encode())
    *chain, stray = (await _seen(lab, "stray.lab")).chain
    assert stray.subject not in [certificate.issuer for certificate in chain]


async def test_weak_means_sha1_or_a_short_key(lab: Lab) -> None:
    sha1, issuer = (await _seen(lab, "sha1.lab")).chain
    assert isinstance(sha1.signature_hash_algorithm, hashes.SHA1)
    # The library has no name for SHA-1 signatures on certificates any more; the signature itself it still checks.
    signer = issuer.public_key()
    assert isinstance(signer, rsa.RSAPublicKey)
    signer.verify(sha1.signature, sha1.tbs_certificate_bytes, padding.PKCS1v15(), hashes.SHA1())
    key = (await _seen(lab, "rsa-1024.lab")).chain[0].public_key()
    assert isinstance(key, rsa.RSAPublicKey) and key.key_size == 1024


async def test_a_default_certificate_is_the_same_for_every_name(lab: Lab) -> None:
    case = lab.case("default-certificate.lab")
    leaves = {
        (await shake(case.addresses[0], case.port, name)).chain[0] for name in (case.name, "nobody-else.lab", None)
    }
    assert [_names(leaf) for leaf in leaves] == [["default.hosting.lab"]]


async def test_a_wrong_certificate_is_chosen_for_the_name(lab: Lab) -> None:
    case = lab.case("wrong-host.lab")
    chosen = (await shake(case.addresses[0], case.port, case.name)).chain[0]
    default = (await shake(case.addresses[0], case.port, None)).chain[0]
    assert _names(chosen) == ["right-host.lab"]
    assert _names(default) == ["default.hosting.lab"]


@pytest.mark.parametrize(("name", "code"), [("unrecognized-name.lab", 112), ("name-internal-error.lab", 80)])
async def test_an_unknown_name_is_alerted_and_no_name_is_served(lab: Lab, name: str, code: int) -> None:
    case = lab.case(name)
    assert (await shake(case.addresses[0], case.port, name)).alert == code
    assert (await shake(case.addresses[0], case.port, None)).version == "TLSv1.3"


async def test_a_box_resets_one_name_alone(lab: Lab) -> None:
    case = lab.case("name-resets.lab")
    with pytest.raises(ConnectionResetError):
        await shake(case.addresses[0], case.port, case.name)
    assert (await shake(case.addresses[0], case.port, "another.lab")).version == "TLSv1.3"


async def test_without_a_name_sni_required_alerts_and_sni_default_serves_another(lab: Lab) -> None:
    strict, lax = lab.case("sni-required.lab"), lab.case("sni-default.lab")
    assert (await shake(strict.addresses[0], strict.port, None)).alert == 40
    assert _names((await shake(lax.addresses[0], lax.port, None)).chain[0]) == ["default.hosting.lab"]


def _names(leaf: x509.Certificate) -> list[str]:
    names = leaf.extensions.get_extension_for_oid(ExtensionOID.SUBJECT_ALTERNATIVE_NAME).value
    assert isinstance(names, x509.SubjectAlternativeName)
    return names.get_values_for_type(x509.DNSName)


def _date(answer: bytes) -> datetime:
    [line] = [line for line in answer.split(b"\r\n") if line.startswith(b"Date: ")]
    return parsedate_to_datetime(line[6:].decode())
