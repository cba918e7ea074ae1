"""Trust anchors: certificates that are believed, found by subject and key.

Reading a store is I/O and not done here: `Anchors.from_pem` takes text. Building is cheap (no root is parsed until
it is asked for), because every cold command line pays for it.
"""

from __future__ import annotations

import binascii
import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

from probes.pki import der, distinguished
from probes.pki.certificate import Certificate, Unreadable, parse
from probes.values import once, value

_BLOCK = re.compile(r"-----BEGIN ([A-Z0-9 ]+)-----(.*?)-----END \1-----", re.DOTALL)
# To lower case, and PrintableString, T61String, IA5String to UTF8String.
_FOLDING = bytes(0x0C if each in b"\x13\x14\x16" else each for each in bytes(range(256)).lower())
_CERTIFICATE_LABELS = ("CERTIFICATE", "X509 CERTIFICATE")


@value
class Anchor:
    """One member of a store. *added*: by the user, beside the default store."""

    der: bytes
    subject_der: bytes
    spki: bytes
    source: str
    added: bool

    @property
    def subject(self) -> distinguished.Name:
        return distinguished.read(self.subject_der)

    @property
    def certificate(self) -> Certificate:
        """The whole certificate, parsed on first need. Anchors.named hands out none that cannot be parsed."""
        parsed = parse(self.der)
        assert isinstance(parsed, Certificate)
        return parsed


@dataclass(frozen=True, eq=False)
class Anchors:
    """A store of trust anchors; any certificate may be one, also an intermediate or a leaf.

    Equal when the members are (by bytes and label). *unreadable* tells of blocks that were left out, and why.
    """

    members: tuple[Anchor, ...] = ()
    unreadable: tuple[str, ...] = ()

    @classmethod
    def from_pem(cls, text: str, *, source: str, added: bool = False) -> Anchors:
        """Every certificate of a PEM bundle; *source* says where it is from, *added* that the user put it there."""
        ders: list[bytes] = []
        complaints: list[str] = []
        for number, block in enumerate(_BLOCK.finditer(text), 1):
            label, body = block.group(1), block.group(2)
            if label not in _CERTIFICATE_LABELS:
                complaints.append(f"block {number} of {source} is a {label}, not a certificate")
                continue
            try:
                ders.append(binascii.a2b_base64(body))
            except ValueError as wrong:
                complaints.append(f"block {number} of {source} is not base64: {wrong}")
        if not ders and not complaints:
            complaints.append(f"{source} holds no PEM certificate")
        found = cls.from_ders(ders, source=source, added=added)
        return cls(found.members, (*complaints, *found.unreadable))

    @classmethod
    def from_ders(cls, ders: Iterable[bytes], *, source: str, added: bool = False) -> Anchors:
        """Anchors from DER certificates. What the user *added* is read whole, to tell what of it is of no use."""
        members: dict[bytes, Anchor] = {}
        complaints: list[str] = []
        for number, data in enumerate(ders, 1):
            try:
                subject, spki = der.authority(data)
            except der.Malformed as malformed:
                complaints.append(f"certificate {number} of {source} is unreadable: {malformed}")
                continue
            whole = parse(data) if added else None
            if isinstance(whole, Unreadable):
                complaints.append(f"certificate {number} of {source} is unreadable: {whole.why}")
                continue
            members[data] = Anchor(der=data, subject_der=subject, spki=spki, source=source, added=added)
        return cls(tuple(members.values()), tuple(complaints))

    def __or__(self, other: Anchors) -> Anchors:
        """Both stores; what both hold keeps the label it has here."""
        members = {member.der: member for member in (*other.members, *self.members)}
        return Anchors(tuple(members.values()), (*self.unreadable, *other.unreadable))

    def __len__(self) -> int:
        return len(self.members)

    def __bool__(self) -> bool:
        return bool(self.members)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Anchors) and self.fingerprint == other.fingerprint

    def __hash__(self) -> int:
        return hash(self.fingerprint)

    @once
    def fingerprint(self) -> str:
        """SHA-256 over the members, whatever their order."""
        digests = sorted(hashlib.sha256(member.der + bytes([member.added])).digest() for member in self.members)
        return hashlib.sha256(b"".join(digests)).hexdigest()

    @once
    def added(self) -> tuple[Anchor, ...]:
        """What the user trusts beside the default store."""
        return tuple(member for member in self.members if member.added)

    def named(self, name: bytes) -> tuple[Anchor, ...]:
        """The anchors whose subject is this DER name, whatever their keys.

        Names are compared without letter case and string type (RFC 5280 section 7.1), which is what re-issued roots
        differ in; not without inner white space, which would take reading every subject of the store.
        """
        found = self._by_subject.get(_folded(name), ())
        key = distinguished.read(name).key
        return tuple(each for each in found if each.subject.key == key and isinstance(parse(each.der), Certificate))

    def holding(self, certificate: Certificate) -> tuple[Anchor, ...]:
        """The anchors that are this authority: same subject, same key. Their dates may differ (re-issued roots)."""
        return tuple(member for member in self.named(certificate.subject_der) if member.spki == certificate.spki)

    @once
    def _by_subject(self) -> dict[bytes, tuple[Anchor, ...]]:
        index: dict[bytes, tuple[Anchor, ...]] = {}
        for member in self.members:
            folded_name = _folded(member.subject_der)
            index[folded_name] = (*index.get(folded_name, ()), member)
        return index


def _folded(name: bytes) -> bytes:
    """A DER Name in which case and string type make no difference; lengths and tags fold too, so that equal ones may
    still be different names."""
    return name.translate(_FOLDING)


@lru_cache(maxsize=8)
def organisations(anchors: Anchors) -> frozenset[str]:
    """The organisations that the anchors' subjects name, folded for comparing."""
    found = (member.subject.organisation for member in anchors.members)
    return frozenset(folded(name) for name in found if name)


def folded(text: str) -> str:
    """Text for comparing organisations: case, space and punctuation aside."""
    return " ".join(re.sub(r"[^\w]+", " ", text.casefold()).split())
