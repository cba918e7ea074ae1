"""CRLs (RFC 5280 section 5): what one says of a certificate. Pure, and quick with the largest there are.

Delta CRLs and indirect ones are not followed: what they alone could tell is "unknown".
"""

from __future__ import annotations

import base64
from datetime import datetime
from typing import TypeVar

from cryptography import x509

from probes.pki import der, distinguished
from probes.pki.certificate import Certificate
from probes.pki.signatures import REFUSALS
from probes.pki.status import Standing, Status, freshness, made_signature, signed

_BEGIN, _END = b"-----BEGIN X509 CRL-----", b"-----END X509 CRL-----"
E = TypeVar("E", bound=x509.ExtensionType)


def judge_crl(body: bytes, certificate: Certificate, issuer: Certificate, at: datetime) -> Status:
    """What a CRL says of *certificate*, issued by *issuer*, at this time. Never raises.

    PEM is read, too: no RFC allows it here, but many clients take it.
    """
    try:
        data = _der(body)
        return _judged(data, x509.load_der_x509_crl(data), certificate, issuer, at)
    except (der.Malformed, *REFUSALS) as refused:
        said = distinguished.capped(str(refused) or type(refused).__name__, 120)
        return Status(outcome="error", why=f"no readable CRL: {said}", size=len(body))


def _der(body: bytes) -> bytes:
    if body[:11] != b"-----BEGIN ":
        return body
    # Not by a regular expression: over 32 MB of first lines that no last line follows, one would search for days.
    _, begins, rest = body.partition(_BEGIN)
    armoured, ends, _ = rest.partition(_END)
    return base64.b64decode(armoured) if begins and ends else body


def _judged(
    data: bytes, crl: x509.CertificateRevocationList, certificate: Certificate, issuer: Certificate, at: datetime
) -> Status:
    verified, outcome, why = _signature(data, crl, issuer)
    entry = None
    if outcome == "good":
        outside = _outside(crl, certificate)
        entry = None if outside else crl.get_revoked_certificate_by_serial_number(certificate.serial)
        outcome, why = ("unknown", outside) if outside else _said(crl, entry, at)
    return Status(
        outcome=outcome,
        why=why,
        verified=verified,
        signer="its issuer" if verified else "",
        this_update=crl.last_update_utc,
        next_update=crl.next_update_utc,
        revoked_at=entry.revocation_date_utc if entry else None,
        reason=_reason(entry) if entry else None,
        size=len(data),
        entries=len(crl),
    )


def _said(
    crl: x509.CertificateRevocationList, entry: x509.RevokedCertificate | None, at: datetime
) -> tuple[Standing, str]:
    if entry is not None:
        reason = _reason(entry)
        when = f"revoked {entry.revocation_date_utc:%Y-%m-%d %H:%M:%S} UTC"
        return "revoked", when + (f", {reason}" if reason else "")
    match freshness(crl.last_update_utc, crl.next_update_utc, at, lasts=None):
        case "early":
            return "early", f"its thisUpdate is {crl.last_update_utc:%Y-%m-%d %H:%M:%S} UTC, later than now"
        case "stale":
            return "stale", f"out of date since {crl.next_update_utc:%Y-%m-%d %H:%M:%S} UTC (nextUpdate)"
        case "fresh":
            return "good", ""


def _is_indirect(crl: x509.CertificateRevocationList) -> bool:
    try:
        return crl.extensions.get_extension_for_class(x509.IssuingDistributionPoint).value.indirect_crl
    except (x509.ExtensionNotFound, x509.DuplicateExtension, ValueError):
        return False


def _signature(data: bytes, crl: x509.CertificateRevocationList, issuer: Certificate) -> tuple[bool, Standing, str]:
    named = distinguished.read(crl.issuer.public_bytes())
    if named.key != issuer.subject_name.key:
        if _is_indirect(crl):
            return False, "unknown", f"issued by {named.text}: an indirect CRL, which is not followed"
        # RFC 5280 section 6.3.3 (b)(1): a CRL that is not indirect must come from the certificate's own issuer.
        return False, "invalid", f"issued by {named.text}, not by the certificate's issuer, and not as an indirect CRL"
    match made_signature(issuer.spki, signed(data)):
        case True:
            return True, "good", ""
        case None:
            return False, "unchecked", f"signed with an algorithm not known here ({crl.signature_algorithm_oid})"
        case False:
            key = _extension(crl, x509.AuthorityKeyIdentifier)
            if key and key.key_identifier and issuer.extensions.ski and key.key_identifier != issuer.extensions.ski:
                # RFC 5280 section 6.3.3 f: a CA that changed its key may sign its CRLs with the other one.
                return False, "unknown", "signed with another key of the same authority, whose certificate is not here"
            return False, "invalid", "badly signed: its issuer's key did not make the signature"


def _outside(crl: x509.CertificateRevocationList, certificate: Certificate) -> str | None:
    """Why this CRL does not speak of the certificate (RFC 5280 sections 5.2.4 and 5.2.5), or None."""
    if _extension(crl, x509.DeltaCRLIndicator) is not None:
        return "a delta CRL, which tells nothing by itself"
    point = _extension(crl, x509.IssuingDistributionPoint)
    if point is None:
        return None
    if point.indirect_crl:
        return "an indirect CRL, which is not followed"
    if point.only_contains_attribute_certs:
        return "a CRL of attribute certificates alone"
    if point.only_contains_ca_certs and not certificate.is_ca:
        return "a CRL of CA certificates alone"
    if point.only_contains_user_certs and certificate.is_ca:
        return "a CRL of end-entity certificates alone"
    names = {each.value for each in point.full_name or () if isinstance(each, x509.UniformResourceIdentifier)}
    if names and not names & set(certificate.crl_urls):
        return f"a CRL for another distribution point ({distinguished.capped(min(names), 120)})"
    return None


def _extension(crl: x509.CertificateRevocationList, kind: type[E]) -> E | None:
    try:
        return crl.extensions.get_extension_for_class(kind).value
    except x509.ExtensionNotFound:
        return None


def _reason(entry: x509.RevokedCertificate) -> str | None:
    try:
        return entry.extensions.get_extension_for_class(x509.CRLReason).value.reason.value
    except (x509.ExtensionNotFound, *REFUSALS):
        return None
