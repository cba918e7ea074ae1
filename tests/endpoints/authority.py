"""Certificates for the matrix: the defaults are healthy, a case names only what it breaks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from ipaddress import ip_address

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed448, ed25519, padding, rsa
from cryptography.x509.oid import AuthorityInformationAccessOID, ExtendedKeyUsageOID, NameOID

Key = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey | ed448.Ed448PrivateKey
SERVER_AUTH = ExtendedKeyUsageOID.SERVER_AUTH
CLIENT_AUTH = ExtendedKeyUsageOID.CLIENT_AUTH
CURVES: dict[str, ec.EllipticCurve] = {
    "p256": ec.SECP256R1(),
    "p384": ec.SECP384R1(),
    "p521": ec.SECP521R1(),
}
# DER of the OBJECT IDENTIFIERs; equal length, so that one can stand where the other did.
SHA256_WITH_RSA = bytes.fromhex("06092a864886f70d01010b")
SHA1_WITH_RSA = bytes.fromhex("06092a864886f70d010105")

NOW = datetime.now(UTC).replace(microsecond=0)  # one "now" for all certificates of a run


@cache
def key(kind: str, label: str = "leaf") -> Key:
    """A private key; the same one for the same kind and label, because RSA keys are slow to make."""
    if kind.startswith("rsa"):
        return rsa.generate_private_key(65537, int(kind[3:]))
    if kind == "ed25519":
        return ed25519.Ed25519PrivateKey.generate()
    if kind == "ed448":
        return ed448.Ed448PrivateKey.generate()
    return ec.generate_private_key(CURVES[kind])


@cache
def dsa_key() -> dsa.DSAPrivateKey:
    return dsa.generate_private_key(2048)


@dataclass(frozen=True, slots=True, kw_only=True)
class Party:
    """A certificate and the key behind it: a leaf, or an issuer of others."""

    certificate: x509.Certificate
    key: Key

    @property
    def pem(self) -> str:
        return self.certificate.public_bytes(serialization.Encoding.PEM).decode()

    @property
    def der(self) -> bytes:
        return self.certificate.public_bytes(serialization.Encoding.DER)

    @property
    def key_pem(self) -> str:
        return self.key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        ).decode()


def common_name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _general_name(text: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(text))
    except ValueError:
        return x509.DNSName(text)


def _key_usage(*, ca: bool, encipher: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=encipher and not ca,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=ca,
        crl_sign=ca,
        encipher_only=False,
        decipher_only=False,
    )


def issue(
    subject: str,
    *,
    by: Party | None = None,
    under: Key | None = None,
    names: Sequence[str] = (),
    since: timedelta = timedelta(days=-30),
    until: timedelta = timedelta(days=60),
    ca: bool | None = False,
    usages: Sequence[x509.ObjectIdentifier] | None = (SERVER_AUTH,),
    key_usage: x509.KeyUsage | None = None,
    issuers_at: str | None = None,
    sha1: bool = False,
) -> Party:
    """A certificate signed by *by* (None: by itself), valid from NOW+*since* to NOW+*until*.

    `names` become SANs (the subject's own text when it is a leaf without any is *not* added);
    `ca` None leaves basicConstraints out; `issuers_at` is a caIssuers URL.
    """
    own = under or key("rsa2048")
    signer = by.key if by else own
    issuer_name = by.certificate.subject if by else common_name(subject)
    builder = (
        x509.CertificateBuilder()
        .subject_name(common_name(subject[:64]))
        .issuer_name(issuer_name)
        .public_key(own.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(NOW + since)
        .not_valid_after(NOW + until)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(own.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), critical=False)
    )
    if ca is not None:
        builder = builder.add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
    usage = key_usage or _key_usage(ca=bool(ca), encipher=isinstance(own, rsa.RSAPrivateKey))
    builder = builder.add_extension(usage, critical=True)
    if usages and not (ca and usages == (SERVER_AUTH,)):
        builder = builder.add_extension(x509.ExtendedKeyUsage(list(usages)), critical=False)
    if names:
        builder = builder.add_extension(
            x509.SubjectAlternativeName([_general_name(name) for name in names]), critical=False
        )
    if issuers_at:
        access = x509.AccessDescription(
            AuthorityInformationAccessOID.CA_ISSUERS, x509.UniformResourceIdentifier(issuers_at)
        )
        builder = builder.add_extension(x509.AuthorityInformationAccess([access]), critical=False)
    edwards = isinstance(signer, ed25519.Ed25519PrivateKey | ed448.Ed448PrivateKey)
    certificate = builder.sign(signer, None if edwards else hashes.SHA256())
    if sha1:
        certificate = _signed_with_sha1(certificate, signer)
    return Party(certificate=certificate, key=own)


def _signed_with_sha1(certificate: x509.Certificate, signer: Key) -> x509.Certificate:
    """*certificate* signed again with sha1WithRSAEncryption, which the library refuses to issue."""
    assert isinstance(signer, rsa.RSAPrivateKey)
    body = certificate.tbs_certificate_bytes.replace(SHA256_WITH_RSA, SHA1_WITH_RSA)
    signature = signer.sign(body, padding.PKCS1v15(), hashes.SHA1())
    der = certificate.public_bytes(serialization.Encoding.DER)
    der = der.replace(certificate.tbs_certificate_bytes, body).replace(SHA256_WITH_RSA, SHA1_WITH_RSA)
    return x509.load_der_x509_certificate(der.replace(certificate.signature, signature))


def authority(
    subject: str,
    *,
    by: Party | None = None,
    under: Key | None = None,
    since: timedelta = timedelta(days=-400),
    until: timedelta = timedelta(days=3000),
    usages: Sequence[x509.ObjectIdentifier] | None = None,
    sha1: bool = False,
    ca: bool = True,
) -> Party:
    """A certification authority: a root when *by* is None, else an intermediate."""
    own = under or ec.generate_private_key(ec.SECP256R1())
    return issue(subject, by=by, under=own, since=since, until=until, ca=ca, usages=usages, sha1=sha1)


def bundle(*parties: Party) -> str:
    return "".join(party.pem for party in parties)


class Hierarchy:
    """The healthy world: one trusted root with an intermediate, and an untrusted pair beside it."""

    def __init__(self) -> None:
        self.root = authority("Matrix Root R1", under=key("rsa2048", "root"))
        self.intermediate = authority("Matrix Issuing I1", by=self.root, under=key("rsa2048", "intermediate"))
        self.lower = authority("Matrix Issuing I2", by=self.intermediate)
        self.ec_root = authority("Matrix Root E1", under=key("p384", "ec-root"))
        self.ec_intermediate = authority("Matrix Issuing E2", by=self.ec_root)
        self.stranger = authority("Private Root P1")
        self.stranger_intermediate = authority("Private Issuing P2", by=self.stranger)

    @property
    def trusted(self) -> tuple[Party, ...]:
        return (self.root, self.ec_root)

    def leaf(self, *names: str, by: Party | None = None, **changed: object) -> Party:
        """A healthy leaf of the intermediate for *names*; `changed` goes to `issue`."""
        return issue(names[0], by=by or self.intermediate, names=names, **changed)  # type: ignore[arg-type]
