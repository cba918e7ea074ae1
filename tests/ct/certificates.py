"""Certificates as a CA puts them into logs: precertificate with poison, final certificate with SCTs, one TBS for both.

Signatures are real, names and serials come from a seeded generator, leaf keys from a small pool: a log of some
thousands is made in seconds. `odd` makes what strict parsers refuse.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from ipaddress import ip_address

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import AuthorityInformationAccessOID, ExtendedKeyUsageOID, NameOID

SCT_LIST = x509.ObjectIdentifier("1.3.6.1.4.1.11129.2.4.2")
EPOCH = datetime(2026, 11, 1, tzinfo=UTC)
_WORDS = (
    "api",
    "www",
    "mail",
    "cdn",
    "shop",
    "app",
    "login",
    "dev",
    "stage",
    "blog",
    "img",
    "static",
    "auth",
    "db",
    "vpn",
)
_LAST = ("test", "example", "invalid")


@cache
def _key(number: int) -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


@cache
def _leaf_key(number: int) -> ec.EllipticCurvePublicKey | rsa.RSAPublicKey:
    """Every third is RSA, as large as they come."""
    return (rsa.generate_private_key(65537, 2048) if number % 3 == 2 else _key(number)).public_key()


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """One issuance: what the log gets before, what the server shows after, and the TBS that both stand for."""

    names: tuple[str, ...]
    precertificate: bytes
    certificate: bytes
    tbs: bytes
    issuer_key_hash: bytes

    @property
    def identity(self) -> str:
        """Hex SHA-256 of the TBS without poison and SCTs."""
        return hashlib.sha256(self.tbs).hexdigest()


class Authority:
    """An issuing CA under a root. Same *seed*, same names and serials (keys and signatures differ)."""

    def __init__(self, name: str = "Example Trust", *, seed: int = 1) -> None:
        self.name = name
        self._random = random.Random(seed)
        root_key, self._issuer_key = _key(-1), _key(-2 - sum(name.encode()))
        root_name = _name(f"{name} Root X1", name)
        self._subject = _name(f"{name} R11", name)
        self.root = self._ca(root_name, root_name, root_key, root_key)
        self.issuer = self._ca(self._subject, root_name, self._issuer_key, root_key)
        spki = self._issuer_key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        self.issuer_key_hash = hashlib.sha256(spki).digest()

    @property
    def chain(self) -> tuple[bytes, ...]:
        return (self.issuer, self.root)

    def issue(self, *names: str, common_name: str | None = None, key: int | None = None) -> Pair:
        """A certificate for *names* (the first is the CN unless one is given; none: made up)."""
        names = names or self.made_up()
        builder = self._leaf(names, common_name if common_name is not None else names[0][:64], key)
        tbs = builder.sign(self._issuer_key, SHA256()).tbs_certificate_bytes
        precertificate = builder.add_extension(x509.PrecertPoison(), critical=True)
        certificate = builder.add_extension(x509.UnrecognizedExtension(SCT_LIST, self._scts()), critical=False)
        return Pair(
            names=names,
            precertificate=precertificate.sign(self._issuer_key, SHA256()).public_bytes(Encoding.DER),
            certificate=certificate.sign(self._issuer_key, SHA256()).public_bytes(Encoding.DER),
            tbs=tbs,
            issuer_key_hash=self.issuer_key_hash,
        )

    def made_up(self) -> tuple[str, ...]:
        """One to eight names of a domain that nobody watches."""
        choose = self._random
        label = "".join(choose.choices("abcdefghijklmnopqrstuvwxyz0123456789", k=choose.randint(5, 14)))
        domain = f"x{label}.{choose.choice(_LAST)}"
        wanted = choose.choice((1, 2, 2, 2, 3, 4, 8))
        return (domain, *(f"{word}.{domain}" for word in choose.sample(_WORDS, wanted - 1)))

    def _leaf(self, names: Sequence[str], common_name: str, key: int | None) -> x509.CertificateBuilder:
        public = _leaf_key(self._random.randrange(6) if key is None else key)
        begin = EPOCH + timedelta(seconds=self._random.randrange(20 * 86400))
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)] if common_name else [])
        general = [_general(name) for name in names]
        base = f"http://r11.{self.name.split()[0].lower()}.invalid"
        ca_issuers = x509.AccessDescription(
            AuthorityInformationAccessOID.CA_ISSUERS, x509.UniformResourceIdentifier(f"{base}/i")
        )
        point = x509.DistributionPoint([x509.UniformResourceIdentifier(f"{base}/crl/97.crl")], None, None, None)
        policy = x509.PolicyInformation(x509.ObjectIdentifier("2.23.140.1.2.1"), None)
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._subject)
            .public_key(public)
            .serial_number(self._random.getrandbits(143) | 1 << 142)
            .not_valid_before(begin)
            .not_valid_after(begin + timedelta(days=90))
            .add_extension(_usage(ca=False), critical=True)
            .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(self._issuer_key.public_key()), critical=False
            )
            .add_extension(x509.AuthorityInformationAccess([ca_issuers]), critical=False)
            .add_extension(x509.SubjectAlternativeName(general), critical=not common_name)
            .add_extension(x509.CertificatePolicies([policy]), critical=False)
            .add_extension(x509.CRLDistributionPoints([point]), critical=False)
        )

    def _ca(
        self, subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey, signer: ec.EllipticCurvePrivateKey
    ) -> bytes:
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(issuer)
            .public_key(key.public_key())
            .serial_number(self._random.getrandbits(127) | 1)
            .not_valid_before(EPOCH - timedelta(days=1000))
            .not_valid_after(EPOCH + timedelta(days=3000))
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .add_extension(_usage(ca=True), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .sign(signer, SHA256())
            .public_bytes(Encoding.DER)
        )

    def _scts(self) -> bytes:
        """Two SCTs in the right form (RFC 6962 section 3.3), of logs that do not exist."""
        stamps = [
            b"\0"
            + self._random.randbytes(32)
            + int(EPOCH.timestamp() * 1000).to_bytes(8, "big")
            + b"\0\0\4\3\0\x46"
            + self._random.randbytes(70)
            for _ in range(2)
        ]
        listed = b"".join(len(sct).to_bytes(2, "big") + sct for sct in stamps)
        listed = len(listed).to_bytes(2, "big") + listed
        return b"\x04\x81" + bytes([len(listed)]) + listed if len(listed) < 256 else _octets(listed)


@cache
def bystanders(count: int = 300) -> tuple[Pair, ...]:
    """Issuances that nobody watches: made once, logged again and again."""
    authority = Authority(seed=3)
    return tuple(authority.issue() for _ in range(count))


def odd(pair: Pair) -> bytes:
    """The final certificate with a byte in its first SAN that is no IA5String: strict parsers refuse the extension."""
    name = pair.names[0].encode()
    at = pair.certificate.rindex(b"\x82" + bytes([len(name)]) + name) + 2
    return pair.certificate[:at] + b"\xe9" + pair.certificate[at + 1 :]


def _octets(content: bytes) -> bytes:
    return b"\x04\x82" + len(content).to_bytes(2, "big") + content


def _name(common: str, organisation: str) -> x509.Name:
    return x509.Name(
        [
            x509.NameAttribute(NameOID.COUNTRY_NAME, "XX"),
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, organisation),
            x509.NameAttribute(NameOID.COMMON_NAME, common),
        ]
    )


def _general(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _usage(*, ca: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        key_cert_sign=ca,
        crl_sign=ca,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )
