"""Signatures of every kind that certificates carry."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed448, ed25519, mldsa, padding
from cryptography.hazmat.primitives.asymmetric.types import CertificateIssuerPrivateKeyTypes
from cryptography.hazmat.primitives.serialization import Encoding

from probes.pki.certificate import Certificate, parse
from probes.pki.signatures import public_key, signed_by
from tests.pki_tests.issuing import AT, DAY, name, rsa_key

PSS = padding.PSS(padding.MGF1(hashes.SHA384()), 48)
Hash = hashes.SHA256 | hashes.SHA384 | hashes.SHA512
KINDS: dict[str, tuple[Callable[[], CertificateIssuerPrivateKeyTypes], Hash | None, str | None]] = {
    "rsa": (lambda: rsa_key(2048), hashes.SHA512(), "sha512"),
    "rsa-pss": (lambda: rsa_key(2048), hashes.SHA384(), "sha384"),
    "ec": (lambda: ec.generate_private_key(ec.SECP384R1()), hashes.SHA384(), "sha384"),
    "dsa": (lambda: dsa.generate_private_key(1024), hashes.SHA256(), "sha256"),
    "ed25519": (ed25519.Ed25519PrivateKey.generate, None, None),
    "ed448": (ed448.Ed448PrivateKey.generate, None, None),
    "ml-dsa": (mldsa.MLDSA44PrivateKey.generate, None, None),
}


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_of_signature_is_verified(kind: str) -> None:
    make, algorithm, hash_name = KINDS[kind]
    key = make()
    builder = (
        x509.CertificateBuilder()
        .subject_name(name("Self"))
        .issuer_name(name("Self"))
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(AT - DAY)
        .not_valid_after(AT + DAY)
    )
    signed = builder.sign(key, algorithm, rsa_padding=PSS) if kind == "rsa-pss" else builder.sign(key, algorithm)
    data = signed.public_bytes(Encoding.DER)
    read = parse(data)
    assert isinstance(read, Certificate)
    assert read.key_kind == kind.removesuffix("-pss") and read.signature_hash == hash_name
    assert read.is_self_signed
    assert not signed_by(data[:-1] + bytes([data[-1] ^ 1]), read.spki)


def test_a_key_of_another_kind_or_none_signed_nothing() -> None:
    key = ed25519.Ed25519PrivateKey.generate()
    builder = x509.CertificateBuilder().subject_name(name("Self")).issuer_name(name("Self")).serial_number(1)
    dated = builder.not_valid_before(AT - DAY).not_valid_after(AT + DAY).public_key(key.public_key())
    data = dated.sign(rsa_key(2048), hashes.SHA256()).public_bytes(Encoding.DER)
    read = parse(data)
    assert isinstance(read, Certificate) and not read.is_self_signed and read.is_self_issued
    assert public_key(b"\x30\x00") is None and not signed_by(data, b"\x30\x00") and not signed_by(b"", read.spki)
