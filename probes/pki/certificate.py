"""One certificate as a value, read from DER that may be hostile.

`parse` is the only door and never raises. All text is attacker's text: length is capped here, escaping is for
whoever shows it.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache

from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed448, ed25519, mldsa, rsa

from probes.pki import der, distinguished, reading
from probes.pki.extensions import USAGE_NAMES, Address, Extensions
from probes.pki.signatures import HASHES, RSA_PSS, PublicKey, pss_hash, public_key, signed_by
from probes.values import value


@value
class Unreadable:
    """Bytes that are not even the frame of a certificate."""

    der: bytes
    why: str


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Certificate:
    """A certificate, read; equal to another of the same bytes.

    *defects* names what a strict parser refuses; with *broken*, every client refuses it, too.

    Dates are aware UTC. Key usages carry their RFC 5280 names, extended ones are dotted OIDs (`eku_names` has names).
    *key_bits* is None where the kind says it all; *signature_hash* is None where the scheme brings its own hash.
    """

    der: bytes
    sha256: str
    version: int
    serial: int
    subject_der: bytes
    issuer_der: bytes
    not_before: datetime
    not_after: datetime
    spki: bytes
    spki_sha256: str
    key_kind: str
    key_bits: int | None
    curve: str | None
    signature_oid: str
    signature_hash: str | None
    extensions: Extensions
    unknown_critical: tuple[str, ...]
    defects: tuple[str, ...]
    broken: bool

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Certificate) and self.der == other.der

    def __hash__(self) -> int:
        return hash(self.der)

    @property
    def subject(self) -> str:
        """RFC 4514 text, capped."""
        return self.subject_name.text

    @property
    def issuer(self) -> str:
        """RFC 4514 text, capped."""
        return self.issuer_name.text

    @property
    def subject_name(self) -> distinguished.Name:
        return distinguished.read(self.subject_der)

    @property
    def issuer_name(self) -> distinguished.Name:
        return distinguished.read(self.issuer_der)

    @property
    def common_name(self) -> str | None:
        return self.subject_name.common_name

    @property
    def organisation(self) -> str | None:
        return self.subject_name.organisation

    @property
    def is_ca(self) -> bool:
        return self.extensions.is_ca

    @property
    def path_len(self) -> int | None:
        return self.extensions.path_len

    @property
    def key_usage(self) -> frozenset[str] | None:
        return self.extensions.key_usage

    @property
    def eku(self) -> tuple[str, ...] | None:
        return self.extensions.eku

    @property
    def eku_names(self) -> tuple[str, ...] | None:
        return None if self.eku is None else tuple(USAGE_NAMES.get(oid, oid) for oid in self.eku)

    @property
    def dns_names(self) -> tuple[str, ...]:
        return self.extensions.dns_names

    @property
    def ip_addresses(self) -> tuple[Address, ...]:
        return self.extensions.ip_addresses

    @property
    def ca_issuers(self) -> tuple[str, ...]:
        return self.extensions.ca_issuers

    @property
    def ocsp_urls(self) -> tuple[str, ...]:
        return self.extensions.ocsp_urls

    @property
    def crl_urls(self) -> tuple[str, ...]:
        return self.extensions.crl_urls

    @property
    def must_staple(self) -> bool:
        return self.extensions.must_staple

    @property
    def is_self_issued(self) -> bool:
        """Subject and issuer are one name (RFC 5280 section 3.2); it says nothing of the key."""
        return self.subject_name.key == self.issuer_name.key

    @property
    def is_self_signed(self) -> bool:
        """Self-issued, and its own key made its signature."""
        return self.is_self_issued and signed_by(self.der, self.spki)

    @property
    def identity(self) -> tuple[distinguished.Key, bytes]:
        """Subject and key: what makes two certificates the same authority (cross-signs, re-issued roots)."""
        return self.subject_name.key, self.spki

    def is_valid(self, at: datetime) -> bool:
        """Within notBefore and notAfter, both inclusive; certificates know no parts of a second."""
        return self.not_before <= at and (at <= self.not_after or at.replace(microsecond=0) <= self.not_after)


@lru_cache(maxsize=4096)
def parse(data: bytes) -> Certificate | Unreadable:
    """Read one DER certificate; never raises. What only a strict parser refuses is read with its *defects* named."""
    try:
        frame = der.skeleton(data)
        not_before, not_after = der.validity(frame.validity)
    except der.Malformed as malformed:
        return Unreadable(der=data, why=str(malformed))
    found = reading.read(data, frame)
    key = public_key(frame.spki)
    kind, bits, curve = _key(key)
    return Certificate(
        der=data,
        sha256=hashlib.sha256(data).hexdigest(),
        version=frame.version,
        serial=frame.serial,
        subject_der=frame.subject,
        issuer_der=frame.issuer,
        not_before=not_before,
        not_after=not_after,
        spki=frame.spki,
        spki_sha256=hashlib.sha256(frame.spki).hexdigest(),
        key_kind=kind,
        key_bits=bits,
        curve=curve,
        signature_oid=frame.signature_oid,
        signature_hash=pss_hash(data) if frame.signature_oid == RSA_PSS else HASHES.get(frame.signature_oid),
        extensions=found.extensions,
        unknown_critical=found.unknown_critical,
        defects=found.defects,
        broken=found.broken,
    )


def _key(key: PublicKey | None) -> tuple[str, int | None, str | None]:
    """Kind, size in bits, curve."""
    match key:
        case rsa.RSAPublicKey():
            return "rsa", key.key_size, None
        case ec.EllipticCurvePublicKey():
            return "ec", key.curve.key_size, key.curve.name
        case dsa.DSAPublicKey():
            return "dsa", key.key_size, None
        case ed25519.Ed25519PublicKey():
            return "ed25519", None, None
        case ed448.Ed448PublicKey():
            return "ed448", None, None
        case mldsa.MLDSA44PublicKey() | mldsa.MLDSA65PublicKey() | mldsa.MLDSA87PublicKey():
            return "ml-dsa", None, None
        case None:
            return "unknown", None, None
