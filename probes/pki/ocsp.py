"""OCSP (RFC 6960): the question about one certificate, and what an answer to it amounts to. Pure.

No nonce is sent: responders that sign in advance ignore it (RFC 5019 section 4), and it would keep caches, which
real clients benefit from, from answering. Staleness is judged by the dates, as those clients do.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator
from datetime import datetime
from urllib.parse import quote

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from probes.pki import der, distinguished
from probes.pki.certificate import Certificate, parse
from probes.pki.judge import issued_by
from probes.pki.signatures import REFUSALS
from probes.pki.status import LASTS, SKEW, Signed, Standing, Status, freshness, key_bits, made_signature, signed

MAX_GET = 255  # bytes of the whole URL (RFC 5019 section 5)
_OCSP_SIGNING = "1.3.6.1.5.5.7.3.9"
_SHA1 = bytes.fromhex("300906052b0e03021a0500")  # AlgorithmIdentifier with NULL, as RFC 5019 section 2.1.1 has it
_MAX_CERTIFICATES = 8  # looked at in one response
_SAYS = {
    "MALFORMED_REQUEST": "malformedRequest: it does not understand the question",
    "INTERNAL_ERROR": "internalError",
    "TRY_LATER": "tryLater",
    "SIG_REQUIRED": "sigRequired: it answers signed questions alone",
    "UNAUTHORIZED": "unauthorized: it has no answer for this certificate",
}


def request(certificate: Certificate, issuer: Certificate) -> bytes:
    """The OCSPRequest for one certificate, in DER: SHA-1 for the CertID, which every responder knows."""
    size = max(1, (certificate.serial.bit_length() + 8) // 8)
    identifier = _tlv(
        der.SEQUENCE,
        _SHA1,
        _tlv(der.OCTET_STRING, _sha1(certificate.issuer_der)),
        _tlv(der.OCTET_STRING, _sha1(key_bits(issuer.spki))),
        _tlv(der.INTEGER, certificate.serial.to_bytes(size, "big", signed=True)),
    )
    single = _tlv(der.SEQUENCE, identifier)
    return _tlv(der.SEQUENCE, _tlv(der.SEQUENCE, _tlv(der.SEQUENCE, single)))


def get_url(url: str, question: bytes) -> str | None:
    """Where to GET the answer (RFC 6960 appendix A.1); None when the question has to be POSTed."""
    if "?" in url or "#" in url:
        return None
    asked = f"{url.rstrip('/')}/{quote(base64.b64encode(question), safe='')}"
    return asked if len(asked) <= MAX_GET else None


def judge_ocsp(body: bytes, certificate: Certificate, issuer: Certificate | None, at: datetime) -> Status:
    """What an OCSP response says of *certificate* at this time. Never raises.

    Without the *issuer* its signature cannot be checked: such a response is "unchecked" at best.
    """
    try:
        return _judged(body, certificate, issuer, at)
    except (der.Malformed, *REFUSALS) as refused:
        return Status(outcome="error", why=f"no readable OCSP response: {_short(refused)}", size=len(body))


def _judged(body: bytes, certificate: Certificate, issuer: Certificate | None, at: datetime) -> Status:
    from cryptography.x509 import ocsp

    response = ocsp.load_der_ocsp_response(body)
    if response.response_status is not ocsp.OCSPResponseStatus.SUCCESSFUL:
        said = _SAYS.get(response.response_status.name, response.response_status.name)
        return Status(outcome="error", why=f"the responder says {said}", size=len(body))
    singles = list(response.responses)
    about = [each for each in singles if each.serial_number == certificate.serial]
    fitting = [each for each in about if issuer is None or _names_issuer(each, certificate, issuer)]
    if not fitting:
        return Status(outcome="invalid", why=_about_another(singles, bool(about), certificate), size=len(body))
    single = max(fitting, key=lambda each: each.this_update_utc)
    outcome: Standing = "unchecked"
    why, signer = "its signature cannot be checked without the issuer's certificate", ""
    verified = False
    if issuer is not None:
        outcome, why, signer = _signature(body, response, issuer, at)
        verified = outcome == "good"
    if outcome == "good":
        outcome, why = _said(single, at)
    elif outcome == "unchecked":
        state = freshness(single.this_update_utc, single.next_update_utc, at, lasts=LASTS)
        outcome, why = (outcome, why) if state == "fresh" else _out_of_time(state, single, at)
    return Status(
        outcome=outcome,
        why=why,
        verified=verified,
        signer=signer,
        this_update=single.this_update_utc,
        next_update=single.next_update_utc,
        produced_at=response.produced_at_utc,
        revoked_at=single.revocation_time_utc,
        reason=single.revocation_reason.value if single.revocation_reason else None,
        size=len(body),
    )


def _said(single: x509.ocsp.OCSPSingleResponse, at: datetime) -> tuple[Standing, str]:
    status = single.certificate_status.name
    if status == "REVOKED" and single.revocation_time_utc is not None:
        reason = f", {single.revocation_reason.value}" if single.revocation_reason else ""
        return "revoked", f"revoked {single.revocation_time_utc:%Y-%m-%d %H:%M:%S} UTC{reason}"
    state = freshness(single.this_update_utc, single.next_update_utc, at, lasts=LASTS)
    if state != "fresh":
        return _out_of_time(state, single, at)
    if status == "UNKNOWN":
        return "unknown", "the responder does not know the certificate"
    return "good", ""


def _out_of_time(state: str, single: x509.ocsp.OCSPSingleResponse, at: datetime) -> tuple[Standing, str]:
    if state == "early":
        return "early", f"its thisUpdate is {single.this_update_utc:%Y-%m-%d %H:%M:%S} UTC, later than now"
    if single.next_update_utc is None:
        return "stale", f"made {single.this_update_utc:%Y-%m-%d %H:%M:%S} UTC, without nextUpdate: over 7 days old"
    return "stale", f"out of date since {single.next_update_utc:%Y-%m-%d %H:%M:%S} UTC (nextUpdate)"


def _names_issuer(single: x509.ocsp.OCSPSingleResponse, certificate: Certificate, issuer: Certificate) -> bool:
    """RFC 6960 section 4.1.1; the name may be spelt as the certificate does, or as the issuer itself."""
    algorithm = single.hash_algorithm.name
    names = {hashlib.new(algorithm, each).digest() for each in (certificate.issuer_der, issuer.subject_der)}
    keyed = hashlib.new(algorithm, key_bits(issuer.spki)).digest()
    return single.issuer_name_hash in names and single.issuer_key_hash == keyed


def _about_another(singles: list[x509.ocsp.OCSPSingleResponse], same_serial: bool, certificate: Certificate) -> str:
    if not singles:
        return "it speaks of no certificate"
    if same_serial:
        return "it is about a certificate of another issuer with the same serial number"
    return f"it is about another certificate (serial {singles[0].serial_number:x}, not {certificate.serial:x})"


def _signature(
    body: bytes, response: x509.ocsp.OCSPResponse, issuer: Certificate, at: datetime
) -> tuple[Standing, str, str]:
    """Who signed it, and had they the right to (RFC 6960 section 4.2.2.2)? "good" when they had."""
    parts = signed(basic(body))
    enclosed = [parse(each.public_bytes(Encoding.DER)) for each in response.certificates[:_MAX_CERTIFICATES]]
    candidates = [issuer, *(each for each in enclosed if isinstance(each, Certificate) and each != issuer)]
    signer = next(_makers(candidates, parts), None)
    if signer is None:
        if made_signature(issuer.spki, parts) is None:
            return "unchecked", f"signed with an algorithm not known here ({parts.algorithm})", ""
        return "invalid", "badly signed: neither its issuer's key nor an enclosed certificate's made the signature", ""
    if not _is_responder(response, signer):
        return "invalid", "the responder it names is not the one that signed it", ""
    if signer.spki == issuer.spki:
        return "good", "", "its issuer"
    wrong = _no_right(signer, issuer, at)
    return ("invalid", f"signed by {_name(signer)}, {wrong}", "") if wrong else ("good", "", _name(signer))


def _makers(candidates: list[Certificate], parts: Signed) -> Iterator[Certificate]:
    return (each for each in candidates if made_signature(each.spki, parts))


def _no_right(signer: Certificate, issuer: Certificate, at: datetime) -> str | None:
    if not issued_by(signer, issuer):
        return "which the certificate's issuer did not appoint"
    if signer.eku is None or _OCSP_SIGNING not in signer.eku:
        return "whose certificate is not for signing OCSP responses"
    if at > signer.not_after + SKEW:
        return f"whose certificate expired {signer.not_after:%Y-%m-%d %H:%M:%S} UTC"
    if at < signer.not_before - SKEW:
        return f"whose certificate is not valid before {signer.not_before:%Y-%m-%d %H:%M:%S} UTC"
    return None


def _is_responder(response: x509.ocsp.OCSPResponse, signer: Certificate) -> bool:
    if response.responder_name is not None:
        return distinguished.read(response.responder_name.public_bytes()).key == signer.subject_name.key
    return response.responder_key_hash == _sha1(key_bits(signer.spki))


def basic(body: bytes) -> bytes:
    """The BasicOCSPResponse as it was signed (RFC 6960 section 4.2.1), not as a parser would write it anew."""
    parts = list(der.inside(body))
    wrapped = der.element(body, parts[1].body, parts[1].end)
    fields = list(der.children(body, wrapped))
    return body[fields[1].body : fields[1].end]


def _name(certificate: Certificate) -> str:
    return certificate.common_name or certificate.subject or "a nameless certificate"


def _short(refused: Exception) -> str:
    return distinguished.capped(str(refused) or type(refused).__name__, 120)


def _sha1(data: bytes) -> bytes:
    return hashlib.sha1(data, usedforsecurity=False).digest()


def _tlv(tag: int, *parts: bytes) -> bytes:
    body = b"".join(parts)
    size = len(body)
    length = bytes([size]) if size < 128 else bytes([0x80 | (size.bit_length() + 7) // 8]) + _big_endian(size)
    return bytes([tag]) + length + body


def _big_endian(number: int) -> bytes:
    return number.to_bytes((number.bit_length() + 7) // 8, "big")
