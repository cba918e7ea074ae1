"""Log entries: what RFC 6962 get-entries and static data tiles hold, and the identity of what was issued.

Only the leaf is authenticated (RFC 6962 section 3.4): version, type and TimestampedEntry. The chain and the
precertificate beside it are not: names and identity are read from the leaf alone.
"""

from __future__ import annotations

import binascii
import zlib
from dataclasses import dataclass
from hashlib import sha256

from probes.ct import walk
from probes.ct.merkle import TILE_WIDTH, leaf_hash

X509_ENTRY, PRECERT_ENTRY = 0, 1
LARGEST_TILE = 64 << 20  # bytes unpacked; a tile of 256 of the largest certificates seen stays far below
_GZIP = b"\x1f\x8b"
_MOST_MEMBERS = 64  # of a gzip stream: what is left is copied for each


class BadTile(ValueError):
    """A data tile that is not what static-ct-api says; the text says where."""


class BadLeaf(ValueError):
    """A MerkleTreeLeaf that is not what RFC 6962 section 3.4 says."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LeafEntry:
    """One entry. *tbs*: the TBSCertificate of a precertificate entry, the whole certificate otherwise; *leaf*: the
    MerkleTreeLeaf, which the log's tree authenticates. *issuer_key_hash* is empty for certificates. With a *fault* the
    leaf is of no kind that is known, and *tbs* is all of it.
    """

    index: int
    timestamp_ms: int
    is_precert: bool
    tbs: bytes
    issuer_key_hash: bytes
    leaf: bytes
    fault: str = ""

    @property
    def leaf_hash(self) -> bytes:
        """The hash of the leaf in the log's tree."""
        return leaf_hash(self.leaf)


@dataclass(frozen=True, slots=True, kw_only=True)
class DataTile:
    """A decoded data tile: its entries and their leaf hashes."""

    entries: tuple[LeafEntry, ...]
    hashes: tuple[bytes, ...]


Span = tuple[bool, int, int, int, int]
"""Where an entry lies in a data tile: (is_precert, start, body, body_end, end). Its TimestampedEntry is [start, end),
the certificate or TBS in it [body, body_end). A bare tuple: one is made for each entry of each log."""


def unpacked(data: bytes, *, limit: int = LARGEST_TILE) -> bytes:
    """The bytes behind gzip, which a static log may send without being asked; others as they are. BadTile when cut."""
    if data[:2] != _GZIP:
        return data
    members: list[bytes] = []
    size = 0
    while data[:2] == _GZIP:  # a gzip file may have several members (RFC 1952 section 2.2)
        inflater = zlib.decompressobj(31)
        try:
            members.append(inflater.decompress(data, limit - size or 1))
        except zlib.error as wrong:
            raise BadTile("the gzip stream is damaged") from wrong
        if not inflater.eof:
            raise BadTile("the gzip stream is cut short, or larger than any tile")
        data, size = inflater.unused_data, size + len(members[-1])
        if size > limit or len(members) > _MOST_MEMBERS:
            raise BadTile("the gzip stream is larger, or in more pieces, than any tile")
    return members[0] if len(members) == 1 else b"".join(members)


def decode_tile(data: bytes, *, first_index: int, count: int | None = None) -> DataTile:
    """The entries of a data tile (static-ct-api, "Log Entries"), unpacked or not; BadTile unless all of it is right.

    *first_index* is the tile's first entry: each entry's leaf_index extension must agree. With *count*, exactly so
    many entries must be there.
    """
    data = unpacked(data)
    found = spans(data, first_index)
    if count is not None and len(found) != count:
        raise BadTile(f"the tile has {len(found)} entries, not {count}")
    entries = tuple(entry_at(data, span, index) for index, span in enumerate(found, first_index))
    return DataTile(entries=entries, hashes=tuple(entry.leaf_hash for entry in entries))


def entry_at(data: bytes, span: Span, index: int) -> LeafEntry:
    """The entry at *span* of an unpacked data tile."""
    is_precert, start, body, body_end, end = span
    return LeafEntry(
        index=index,
        timestamp_ms=int.from_bytes(data[start : start + 8], "big"),
        is_precert=is_precert,
        tbs=data[body:body_end],
        issuer_key_hash=data[start + 10 : start + 42] if is_precert else b"",
        leaf=b"\x00\x00" + data[start:end],
    )


def spans(data: bytes, first_index: int) -> list[Span]:
    """Where the entries of an unpacked data tile lie; BadTile unless every byte of it is accounted for."""
    found: list[Span] = []
    at, total, index = 0, len(data), first_index
    while at < total:
        # Eight bytes of timestamp, two of type; a precertificate has its issuer's key hash; then three of length.
        is_precert = data[at + 8 : at + 10] == b"\x00\x01"
        body = at + 45 if is_precert else at + 13
        if not is_precert and data[at + 8 : at + 10] != b"\x00\x00":
            raise BadTile(f"entry {index} has type {data[at + 8 : at + 10].hex() or 'none'}")
        if body > total:
            raise BadTile(f"the tile ends inside entry {index}")
        body_end = body + (data[body - 3] << 16 | data[body - 2] << 8 | data[body - 1])
        end = body_end + 10
        # One extension is known, and every entry has it alone: type 0, five bytes, the 40-bit leaf index.
        if data[body_end:end] != b"\x00\x08\x00\x00\x05" + index.to_bytes(5, "big"):
            end, said = _extensions(data, body_end, index)
            if said != index:
                raise BadTile(f"entry {index} says that it is entry {said}")
        found.append((is_precert, at, body, body_end, end))
        at = end
        if is_precert:
            if at + 3 > total:
                raise BadTile(f"the tile ends inside entry {index}")
            at += 3 + (data[at] << 16 | data[at + 1] << 8 | data[at + 2])
        if at + 2 > total:
            raise BadTile(f"the tile ends inside entry {index}")
        length = data[at] << 8 | data[at + 1]
        at += 2 + length
        if length % 32 or at > total:
            raise BadTile(f"the tile ends inside the chain of entry {index}")
        index += 1
    if len(found) > TILE_WIDTH:
        raise BadTile(f"the tile has {len(found)} entries")
    return found


def decode_leaf_input(leaf: bytes, *, index: int) -> LeafEntry:
    """A MerkleTreeLeaf as get-entries gives it, base64 already undone (RFC 6962 section 3.4); BadLeaf unless right."""
    is_precert, body, body_end = leaf_span(leaf, index=index)
    return LeafEntry(
        index=index,
        timestamp_ms=int.from_bytes(leaf[2:10], "big"),
        is_precert=is_precert,
        tbs=leaf[body:body_end],
        issuer_key_hash=leaf[12:44] if is_precert else b"",
        leaf=leaf,
    )


def read_leaf(leaf: bytes, *, index: int) -> LeafEntry:
    """decode_leaf_input, but whatever a log holds is an entry: what is no leaf has a *fault*, and is looked through."""
    try:
        return decode_leaf_input(leaf, index=index)
    except BadLeaf as wrong:
        return LeafEntry(
            index=index, timestamp_ms=0, is_precert=False, tbs=leaf, issuer_key_hash=b"", leaf=leaf, fault=str(wrong)
        )


def leaf_span(leaf: bytes, *, index: int) -> tuple[bool, int, int]:
    """Whether the leaf is of a precertificate, and where its certificate or TBS begins and ends; BadLeaf if nowhere."""
    is_precert = leaf[10:12] == b"\x00\x01"
    body = 47 if is_precert else 15
    if leaf[:2] != b"\x00\x00":
        raise BadLeaf(f"entry {index} is of an unknown version or leaf type")
    if not is_precert and leaf[10:12] != b"\x00\x00":
        raise BadLeaf(f"entry {index} has type {leaf[10:12].hex() or 'none'}")
    if body > len(leaf):
        raise BadLeaf(f"entry {index} is cut short")
    body_end = body + (leaf[body - 3] << 16 | leaf[body - 2] << 8 | leaf[body - 1])
    end = body_end + 2
    if len(leaf) < end or len(leaf) != end + (leaf[end - 2] << 8 | leaf[end - 1]):
        raise BadLeaf(f"entry {index} does not have the length that it says")
    return is_precert, body, body_end


def leaf_bytes(leaf_input: str | bytes, *, index: int) -> bytes:
    """The base64 of `leaf_input` undone; BadLeaf when it is none."""
    try:
        return binascii.a2b_base64(leaf_input, strict_mode=True)
    except (ValueError, TypeError) as wrong:
        raise BadLeaf(f"entry {index} is not base64") from wrong


def chain_of(extra_data: bytes, *, is_precert: bool) -> tuple[bytes, ...]:
    """The certificates in `extra_data` (RFC 6962 section 4.6), the precertificate first where there is one.

    Not authenticated by the log: for display. BadLeaf when it is not of that form.
    """
    first: tuple[bytes, ...] = ()
    if is_precert:
        end = 3 + int.from_bytes(extra_data[:3], "big")
        first, extra_data = (extra_data[3:end],), extra_data[end:]
    if len(extra_data) < 3 or int.from_bytes(extra_data[:3], "big") != len(extra_data) - 3:
        raise BadLeaf("the chain does not have the length that it says")
    certificates = []
    at = 3
    while at < len(extra_data):
        end = at + 3 + int.from_bytes(extra_data[at : at + 3], "big")
        if end > len(extra_data):
            raise BadLeaf("the chain is cut short")
        certificates.append(extra_data[at + 3 : end])
        at = end
    return (*first, *certificates)


def tbs_identity(entry: LeafEntry) -> bytes:
    """SHA-256 of the TBSCertificate without poison and SCT list (RFC 6962 section 3.2): what was issued.

    The same for the precertificate and its certificate, in every log. Bytes that are no certificate are their own
    identity.
    """
    return identity_of(entry.tbs, is_tbs=entry.is_precert)


def identity_of(der: bytes, *, is_tbs: bool) -> bytes:
    """tbs_identity for a certificate (or its TBS) from anywhere: a served one, say."""
    try:
        return sha256(walk.bare_tbs(der, is_tbs=is_tbs)).digest()
    except walk.Malformed:
        return sha256(der).digest()


def _extensions(data: bytes, at: int, index: int) -> tuple[int, int]:
    """Where CtExtensions end, and the leaf index in them. Unknown extensions are passed over."""
    end = at + 2 + int.from_bytes(data[at : at + 2], "big")
    if at + 2 > len(data) or end > len(data):
        raise BadTile(f"the tile ends inside entry {index}")
    at += 2
    said: int | None = None
    while at < end:
        kind, length = data[at], int.from_bytes(data[at + 1 : at + 3], "big")
        value = data[at + 3 : at + 3 + length]
        at += 3 + length
        if at > end:
            raise BadTile(f"entry {index} has an extension that is longer than all of them")
        if kind == 0:
            if length != 5 or said is not None:
                raise BadTile(f"entry {index} has a malformed leaf index")
            said = int.from_bytes(value, "big")
    if said is None:
        raise BadTile(f"entry {index} does not say its leaf index")
    return end, said
