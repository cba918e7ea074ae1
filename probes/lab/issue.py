"""Issues certificates: any the lab or a test needs, healthy unless told otherwise.

Pure over keys and times: no sockets, no clock. The caller hands in both ends of every validity
period. Nothing here is fit for anything but the lab: keys are small or shared on purpose.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from ipaddress import ip_address
from typing import Literal, TypeAlias, get_args

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, padding, rsa
from cryptography.x509.oid import AuthorityInformationAccessOID, ExtendedKeyUsageOID, NameOID

from probes.values import value

KeyKind: TypeAlias = Literal["rsa1024", "rsa2048", "rsa3072", "rsa4096", "p256", "p384", "p521", "ed25519", "ed448"]
Key: TypeAlias = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey | ed448.Ed448PrivateKey
Hash: TypeAlias = Literal["sha1", "sha256", "sha384", "sha512"]

SERVER_AUTH = ExtendedKeyUsageOID.SERVER_AUTH
CLIENT_AUTH = ExtendedKeyUsageOID.CLIENT_AUTH

_CURVES = {"p256": ec.SECP256R1(), "p384": ec.SECP384R1(), "p521": ec.SECP521R1()}
_HASHES: dict[Hash, hashes.SHA256 | hashes.SHA384 | hashes.SHA512] = {
    "sha256": hashes.SHA256(),
    "sha384": hashes.SHA384(),
    "sha512": hashes.SHA512(),
}
# sha256WithRSAEncryption and sha1WithRSAEncryption (RFC 8017 appendix A.2.4), DER, tag and length included
_SHA256_RSA = bytes.fromhex("06092a864886f70d01010b")
_SHA1_RSA = bytes.fromhex("06092a864886f70d010105")


def new_key(kind: KeyKind) -> Key:
    """A fresh private key. RSA costs 20 to 200 ms at 2048 bits: share it where that does no harm."""
    if kind not in get_args(KeyKind):
        raise ValueError(f"{kind!r} is not one of {', '.join(get_args(KeyKind))}")
    if kind.startswith("rsa"):
        return rsa.generate_private_key(public_exponent=65537, key_size=int(kind[3:]))
    if kind == "ed25519":
        return ed25519.Ed25519PrivateKey.generate()
    if kind == "ed448":
        return ed448.Ed448PrivateKey.generate()
    return ec.generate_private_key(_CURVES[kind])


@value
class Issued:
    """A certificate and the private key of its subject."""

    certificate: x509.Certificate
    key: Key

    @property
    def der(self) -> bytes:
        return self.certificate.public_bytes(serialization.Encoding.DER)

    @property
    def pem(self) -> str:
        return self.certificate.public_bytes(serialization.Encoding.PEM).decode("ascii")

    @property
    def key_pem(self) -> str:
        return self.key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        ).decode("ascii")


def issue(
    *,
    subject: str,
    key: Key,
    not_before: datetime,
    not_after: datetime,
    issuer: Issued | None = None,
    names: Sequence[str] = (),
    is_ca: bool = False,
    path_length: int | None = None,
    usages: Sequence[x509.ObjectIdentifier] = (SERVER_AUTH,),
    permitted: Sequence[str] = (),
    signed_with: Hash = "sha256",
    issuer_url: str | None = None,
    more: Sequence[tuple[x509.ExtensionType, bool]] = (),
) -> Issued:
    """A certificate for *key*, signed by *issuer*, or by itself without one.

    *names* become the SAN: IP literals as iPAddress, the rest as dNSName. An empty *usages* leaves
    extended key usage out. *permitted* are dNSName name constraints, *issuer_url* is the caIssuers
    AIA (RFC 5280 section 4.2.2.1), *more* are further extensions with their critical flag.
    "sha1" needs an RSA issuer.
    """
    signer_key = issuer.key if issuer else key
    builder = (
        x509.CertificateBuilder()
        .subject_name(_name(subject))
        .issuer_name(issuer.certificate.subject if issuer else _name(subject))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(not_before)
        .not_valid_after(not_after)
    )
    for extension, critical in (
        *_identity(key, issuer),
        *_purpose(is_ca, path_length, usages if not is_ca or issuer else ()),
        *_names(names, permitted, issuer_url),
        *more,
    ):
        builder = builder.add_extension(extension, critical)
    certificate = builder.sign(signer_key, _hash(signer_key, signed_with))
    if signed_with == "sha1":
        certificate = _resigned_with_sha1(certificate, signer_key)
    return Issued(certificate=certificate, key=key)


_Extensions: TypeAlias = list[tuple[x509.ExtensionType, bool]]


def _name(common_name: str) -> x509.Name:
    return x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Clienthello Lab"),
            x509.NameAttribute(NameOID.COMMON_NAME, common_name),
        ]
    )


def _identity(key: Key, issuer: Issued | None) -> _Extensions:
    own = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    signer = issuer.key.public_key() if issuer else key.public_key()
    return [(own, False), (x509.AuthorityKeyIdentifier.from_issuer_public_key(signer), False)]


def _purpose(is_ca: bool, path_length: int | None, usages: Sequence[x509.ObjectIdentifier]) -> _Extensions:
    key_usage = x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=is_ca,
        crl_sign=is_ca,
        encipher_only=False,
        decipher_only=False,
    )
    extensions: _Extensions = [
        (x509.BasicConstraints(ca=is_ca, path_length=path_length if is_ca else None), True),
        (key_usage, True),
    ]
    if usages:
        extensions.append((x509.ExtendedKeyUsage(list(usages)), False))
    return extensions


def _names(names: Sequence[str], permitted: Sequence[str], issuer_url: str | None) -> _Extensions:
    extensions: _Extensions = []
    if names:
        extensions.append((x509.SubjectAlternativeName([_general_name(name) for name in names]), False))
    if permitted:
        subtrees = [x509.DNSName(name) for name in permitted]
        extensions.append((x509.NameConstraints(permitted_subtrees=subtrees, excluded_subtrees=None), True))
    if issuer_url:
        location = x509.UniformResourceIdentifier(issuer_url)
        access = x509.AccessDescription(AuthorityInformationAccessOID.CA_ISSUERS, location)
        extensions.append((x509.AuthorityInformationAccess([access]), False))
    return extensions


def _general_name(text: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(text))
    except ValueError:
        return x509.DNSName(text)


def _hash(key: Key, name: Hash) -> hashes.SHA256 | hashes.SHA384 | hashes.SHA512 | None:
    if isinstance(key, ed25519.Ed25519PrivateKey | ed448.Ed448PrivateKey):
        return None  # EdDSA hashes by itself (RFC 8410 section 3)
    return _HASHES.get(name, _HASHES["sha256"])


def _resigned_with_sha1(certificate: x509.Certificate, key: Key) -> x509.Certificate:
    """The same certificate under sha1WithRSAEncryption.

    The library refuses to issue SHA-1 certificates. Both OIDs have the same length, and so have both
    signatures, so exchanging them in place leaves every DER length right.
    """
    if not isinstance(key, rsa.RSAPrivateKey):
        raise ValueError("only an RSA issuer can sign with SHA-1 here")
    body = certificate.tbs_certificate_bytes
    # The first occurrence is tbsCertificate.signature (RFC 5280 section 4.1.2.3): only version and serial precede it.
    weak_body = body.replace(_SHA256_RSA, _SHA1_RSA, 1)
    der = certificate.public_bytes(serialization.Encoding.DER)
    start = der.index(body)
    algorithm = der[start + len(body) : -len(certificate.signature)].replace(_SHA256_RSA, _SHA1_RSA, 1)
    signature = key.sign(weak_body, padding.PKCS1v15(), hashes.SHA1())  # noqa: S303  weak on purpose
    return x509.load_der_x509_certificate(der[:start] + weak_body + algorithm + signature)
