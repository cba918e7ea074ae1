"""Extensions in encodings that a strict parser refuses and clients forgive: what path validation needs of them."""

from __future__ import annotations

from ipaddress import ip_address

from probes.pki import der
from probes.pki.distinguished import capped
from probes.pki.extensions import (
    AUTHORITY_KEY_IDENTIFIER,
    BASIC_CONSTRAINTS,
    EXTENDED_KEY_USAGE,
    KEY_USAGE,
    NAME_CONSTRAINTS,
    SUBJECT_ALT_NAME,
    SUBJECT_KEY_IDENTIFIER,
    Address,
    Extensions,
    NameConstraints,
)

_EMPTY = b"\x30\x00"
# The bits of keyUsage from the first on (RFC 5280 section 4.2.1.3).
_USAGES = (
    *("digitalSignature", "nonRepudiation", "keyEncipherment", "dataEncipherment"),
    *("keyAgreement", "keyCertSign", "cRLSign"),
)


def read(listed: tuple[der.Extension, ...]) -> tuple[Extensions, bool]:
    """What can be read, and whether all that clients must act on could be. Of two with one OID the last is read."""
    found = {each.oid: each.value for each in listed}
    reader = _Reader(found)
    dns, addresses = reader.names()
    is_ca, path_len = reader.basic_constraints()
    extensions = Extensions(
        present=frozenset(found),
        critical=frozenset(each.oid for each in listed if each.critical),
        basic_constraints=BASIC_CONSTRAINTS in found,
        is_ca=is_ca,
        path_len=path_len,
        key_usage=reader.key_usage(),
        eku=reader.extended_usage(),
        has_san=SUBJECT_ALT_NAME in found,
        dns_names=tuple(dns),
        ip_addresses=tuple(addresses),
        aki=reader.authority_key(),
        ski=reader.own_key(),
        name_constraints=reader.constraints(),
    )
    return extensions, reader.whole


class _Reader:
    """One certificate's extensions; *whole* turns False at the first that cannot be read."""

    def __init__(self, found: dict[str, bytes]) -> None:
        self.found = found
        self.whole = True

    def names(self) -> tuple[list[str], list[Address]]:
        dns: list[str] = []
        addresses: list[Address] = []
        value = self.found.get(SUBJECT_ALT_NAME, _EMPTY)
        for name in self._inside(value):
            body = value[name.body : name.end]
            if name.tag == 0x82:
                dns.append(capped(body.decode("utf-8", "replace")))
            elif name.tag == 0x87 and len(body) in (4, 16):
                addresses.append(ip_address(body))
            elif name.tag == 0x87:
                self.whole = False
        return dns, addresses

    def basic_constraints(self) -> tuple[bool, int | None]:
        value = self.found.get(BASIC_CONSTRAINTS, _EMPTY)
        is_ca, path_len = False, None
        for part in self._inside(value):
            body = value[part.body : part.end]
            if part.tag == der.BOOLEAN:
                is_ca = any(body)
            elif part.tag == der.INTEGER:
                path_len = int.from_bytes(body[:8], "big", signed=True)
                self.whole = self.whole and path_len >= 0
        return is_ca, path_len

    def key_usage(self) -> frozenset[str] | None:
        if KEY_USAGE not in self.found:
            return None
        bits = self._one(KEY_USAGE, der.BIT_STRING)
        first = bits[1] if len(bits) > 1 else 0
        return frozenset(usage for at, usage in enumerate(_USAGES) if first & (0x80 >> at))

    def extended_usage(self) -> tuple[str, ...] | None:
        if EXTENDED_KEY_USAGE not in self.found:
            return None
        value = self.found[EXTENDED_KEY_USAGE]
        try:
            return tuple(der.object_identifier(value[part.body : part.end]) for part in self._inside(value))
        except der.Malformed:
            self.whole = False
            return ()

    def authority_key(self) -> bytes | None:
        value = self.found.get(AUTHORITY_KEY_IDENTIFIER, _EMPTY)
        return next((value[part.body : part.end] for part in _readable(value) if part.tag == 0x80), None)

    def own_key(self) -> bytes | None:
        value = self.found.get(SUBJECT_KEY_IDENTIFIER, b"")
        return value[2:] if value[:1] == bytes([der.OCTET_STRING]) and len(value) > 2 else None

    def constraints(self) -> NameConstraints | None:
        """Trees that a strict parser refuses limit nobody knows what; none at all limit nothing."""
        value = self.found.get(NAME_CONSTRAINTS, _EMPTY)
        try:
            limits = value[0] != der.SEQUENCE or any(part.end > part.body for part in der.inside(value))
        except (der.Malformed, IndexError):
            limits = True
        return NameConstraints(unread=frozenset({"any"})) if limits else None

    def _inside(self, value: bytes) -> list[der.Element]:
        try:
            return list(der.inside(value))
        except der.Malformed:
            self.whole = False
            return []

    def _one(self, oid: str, tag: int) -> bytes:
        value = self.found[oid]
        try:
            part = der.element(value, 0, len(value))
        except der.Malformed:
            self.whole = False
            return b""
        self.whole = self.whole and part.tag == tag
        return value[part.body : part.end]


def _readable(value: bytes) -> list[der.Element]:
    """The elements of what no client needs to understand."""
    try:
        return list(der.inside(value))
    except der.Malformed:
        return []
