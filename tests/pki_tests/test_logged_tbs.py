"""The TBSCertificate as logs see it: against cryptography, and for certificates that have nothing to leave out."""

from __future__ import annotations

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.x509 import ObjectIdentifier, UnrecognizedExtension

from probes.pki.der import Malformed, logged_tbs
from tests.pki import authority, leaf

_SCT_LIST = ObjectIdentifier("1.3.6.1.4.1.11129.2.4.2")
_POISON = ObjectIdentifier("1.3.6.1.4.1.11129.2.4.3")


def _with(*extra: UnrecognizedExtension, critical: bool = False) -> x509.Certificate:
    """The same certificate each time, but for *extra*."""
    ca, plain = authority(), leaf()
    builder = x509.CertificateBuilder(
        subject_name=plain.certificate.subject,
        issuer_name=ca.certificate.subject,
        public_key=plain.certificate.public_key(),
        serial_number=7,
        not_valid_before=plain.certificate.not_valid_before_utc,
        not_valid_after=plain.certificate.not_valid_after_utc,
    )
    for each in plain.certificate.extensions:
        builder = builder.add_extension(each.value, critical=each.critical)
    for value in extra:
        builder = builder.add_extension(value, critical=critical)
    return builder.sign(ca.key, hashes.SHA256())


def _der(certificate: x509.Certificate) -> bytes:
    from cryptography.hazmat.primitives.serialization import Encoding

    return certificate.public_bytes(Encoding.DER)


def test_certificate_and_precertificate_have_one_tbs() -> None:
    bare = _with()
    # A large SCT list makes lengths take one byte more than without it.
    stamped = _with(UnrecognizedExtension(_SCT_LIST, bytes([4, 0x82, 4, 0]) + bytes(1024)))
    poisoned = _with(UnrecognizedExtension(_POISON, b"\x05\x00"), critical=True)
    assert logged_tbs(_der(bare)) == bare.tbs_certificate_bytes
    assert logged_tbs(_der(stamped)) == logged_tbs(_der(poisoned)) == bare.tbs_certificate_bytes
    assert logged_tbs(_der(stamped)) == stamped.tbs_precertificate_bytes


def test_what_is_no_certificate_is_malformed() -> None:
    with pytest.raises(Malformed):
        logged_tbs(b"\x30\x05\x30\x10\x00")
