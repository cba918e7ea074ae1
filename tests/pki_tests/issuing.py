"""Certificates for these tests: healthy by default, a test names only what it breaks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import AuthorityInformationAccessOID, ExtendedKeyUsageOID, NameOID

from probes.pki.anchors import Anchors
from probes.pki.certificate import Certificate, parse

AT = datetime(2026, 6, 1, 12, tzinfo=UTC)
HOST = "www.example.com"
DAY = timedelta(days=1)
Key = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey


@dataclass(frozen=True)
class Issued:
    """A certificate with the key that it certifies."""

    x509: x509.Certificate
    key: Key

    @property
    def der(self) -> bytes:
        return self.x509.public_bytes(Encoding.DER)

    @property
    def pem(self) -> str:
        return self.x509.public_bytes(Encoding.PEM).decode()

    @property
    def value(self) -> Certificate:
        parsed = parse(self.der)
        assert isinstance(parsed, Certificate), parsed
        return parsed


def name(common_name: str | None, organisation: str | None = None) -> x509.Name:
    attributes = []
    if organisation:
        attributes.append(x509.NameAttribute(NameOID.ORGANIZATION_NAME, organisation))
    if common_name:
        attributes.append(x509.NameAttribute(NameOID.COMMON_NAME, common_name))
    return x509.Name(attributes)


@lru_cache(maxsize=4)
def rsa_key(bits: int) -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=bits)


def usage(*names: str) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature="digital_signature" in names,
        content_commitment="content_commitment" in names,
        key_encipherment="key_encipherment" in names,
        data_encipherment=False,
        key_agreement="key_agreement" in names,
        key_cert_sign="key_cert_sign" in names,
        crl_sign="crl_sign" in names,
        encipher_only=False,
        decipher_only=False,
    )


CA_USAGE = usage("key_cert_sign", "crl_sign")
SERVER = (ExtendedKeyUsageOID.SERVER_AUTH,)
CLIENT = (ExtendedKeyUsageOID.CLIENT_AUTH,)


def issue(
    subject: x509.Name,
    issuer: Issued | None,
    *,
    ca: bool | None,
    key: Key | None = None,
    start: datetime = AT - 30 * DAY,
    end: datetime = AT + 60 * DAY,
    path_len: int | None = None,
    key_usage: x509.KeyUsage | None = None,
    eku: Sequence[x509.ObjectIdentifier] | None = None,
    names: Sequence[x509.GeneralName] = (),
    algorithm: hashes.SHA1 | hashes.MD5 | None = None,
    aia: str | None = None,
    aki: str | None = "keyid",
    constraints: x509.NameConstraints | None = None,
    more: Sequence[tuple[x509.ExtensionType, bool]] = (),
) -> Issued:
    """Issue a certificate; without *issuer* it signs itself. *aki* is "keyid", "issuer" or None."""
    key = key or ec.generate_private_key(ec.SECP256R1())
    signer = issuer.key if issuer else key
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer.x509.subject if issuer else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(start)
        .not_valid_after(end)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )
    if ca is not None:
        builder = builder.add_extension(x509.BasicConstraints(ca=ca, path_length=path_len), critical=True)
    if key_usage:
        builder = builder.add_extension(key_usage, critical=True)
    if eku:
        builder = builder.add_extension(x509.ExtendedKeyUsage(eku), critical=False)
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    if constraints:
        builder = builder.add_extension(constraints, critical=True)
    if aia:
        access = x509.AccessDescription(AuthorityInformationAccessOID.CA_ISSUERS, x509.UniformResourceIdentifier(aia))
        builder = builder.add_extension(x509.AuthorityInformationAccess([access]), critical=False)
    if issuer and aki == "keyid":
        identifier = x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key())
        builder = builder.add_extension(identifier, critical=False)
    if issuer and aki == "issuer":
        general = x509.DirectoryName(issuer.x509.issuer)
        serial = issuer.x509.serial_number
        builder = builder.add_extension(x509.AuthorityKeyIdentifier(None, [general], serial), critical=False)
    for extension, critical in more:
        builder = builder.add_extension(extension, critical=critical)
    signed = builder.sign(signer, hashes.SHA256())
    return Issued(resigned(signed, signer, algorithm) if algorithm else signed, key)


def resigned(certificate: x509.Certificate, signer: Key, algorithm: hashes.SHA1 | hashes.MD5) -> x509.Certificate:
    """The same certificate signed with a hash that no current library signs with; the signer's key is RSA."""
    assert isinstance(signer, rsa.RSAPrivateKey)
    sha256 = bytes.fromhex("06092a864886f70d01010b")
    weak = sha256[:-1] + (b"\x04" if isinstance(algorithm, hashes.MD5) else b"\x05")
    assert certificate.tbs_certificate_bytes.count(sha256) == 1
    tbs = certificate.tbs_certificate_bytes.replace(sha256, weak)
    signature = signer.sign(tbs, padding.PKCS1v15(), algorithm)
    whole = tlv(0x30, tbs, tlv(0x30, weak, b"\x05\x00"), tlv(0x03, b"\0", signature))
    return x509.load_der_x509_certificate(whole)


def root(common_name: str = "Example Root", organisation: str | None = "Example Trust", **changes: object) -> Issued:
    """A self-signed CA."""
    return authority(common_name, None, organisation=organisation, **changes)


def authority(
    common_name: str, issuer: Issued | None, *, organisation: str | None = "Example Trust", **changes: object
) -> Issued:
    """A CA certificate under *issuer*."""
    settings: dict[str, object] = {
        "ca": True,
        "key_usage": CA_USAGE,
        "start": AT - 900 * DAY,
        "end": AT + 900 * DAY,
    }
    return issue(name(common_name, organisation), issuer, **(settings | changes))  # type: ignore[arg-type]


def server(issuer: Issued | None, *hosts: str, **changes: object) -> Issued:
    """A server's leaf for *hosts* (default HOST)."""
    settings: dict[str, object] = {
        "ca": False,
        "key_usage": usage("digital_signature"),
        "eku": SERVER,
        "names": [x509.DNSName(host) for host in hosts or (HOST,)],
    }
    return issue(name((hosts or (HOST,))[0]), issuer, **(settings | changes))  # type: ignore[arg-type]


def store(*members: Issued, added: bool = False) -> Anchors:
    return Anchors.from_ders([each.der for each in members], source="test", added=added)


def tlv(tag: int, *parts: bytes) -> bytes:
    """One DER element."""
    body = b"".join(parts)
    size = len(body)
    length = (
        bytes([size]) if size < 128 else b"\x81" + bytes([size]) if size < 256 else b"\x82" + size.to_bytes(2, "big")
    )
    return bytes([tag]) + length + body


def version_one(subject: x509.Name, issuer: Issued, key: ec.EllipticCurvePrivateKey) -> Issued:
    """A certificate of version 1: no extensions at all, as no current library issues it."""
    ecdsa_sha256 = tlv(0x30, bytes.fromhex("06082a8648ce3d040302"))
    dates = tlv(0x30, tlv(0x17, b"240101000000Z"), tlv(0x17, b"300101000000Z"))
    tbs = tlv(
        0x30,
        tlv(0x02, b"\x05"),
        ecdsa_sha256,
        issuer.x509.subject.public_bytes(),
        dates,
        subject.public_bytes(),
        key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo),
    )
    assert isinstance(issuer.key, ec.EllipticCurvePrivateKey)
    signature = issuer.key.sign(tbs, ec.ECDSA(hashes.SHA256()))
    return Issued(x509.load_der_x509_certificate(tlv(0x30, tbs, ecdsa_sha256, tlv(0x03, b"\0", signature))), key)
