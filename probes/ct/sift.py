"""From a batch of entries to its leaf hashes and the entries that concern somebody: what a monitor runs all day.

The names of every entry are walked; only hits become values. Hits are matched on the leaf, which the tree
authenticates, never on the chain or precertificate beside it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256

from probes.ct.entries import BadTile, LeafEntry, decode_leaf_input, entry_at, leaf_bytes, leaf_span, spans, unpacked
from probes.ct.lookalikes import Lookalike, Lookalikes
from probes.ct.walk import Malformed, Names, names_of, walked
from probes.ct.watchset import Match, WatchSet


@dataclass(frozen=True, slots=True, kw_only=True)
class Hit:
    """An entry that touches a watched domain, looks like one, or cannot be read (*names.problems*)."""

    entry: LeafEntry
    names: Names
    matches: tuple[Match, ...] = ()
    lookalikes: tuple[Lookalike, ...] = ()

    @property
    def is_malformed(self) -> bool:
        """Whether more names may be in it than were found."""
        return bool(self.names.problems)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sifted:
    """A batch: the leaf hashes of all its entries, in order, and the hits among them. *newest_ms*: its newest entry."""

    first_index: int
    hashes: tuple[bytes, ...]
    hits: tuple[Hit, ...]
    newest_ms: int = 0


def sift_tile(
    data: bytes, *, first_index: int, watch: WatchSet, lookalikes: Lookalikes | None = None, count: int | None = None
) -> Sifted:
    """A data tile, packed or not; BadTile unless all of it is right (and *count* entries, when given)."""
    data = unpacked(data)
    found = spans(data, first_index)
    if count is not None and len(found) != count:
        raise BadTile(f"the tile has {len(found)} entries, not {count}")
    hashes: list[bytes] = []
    hits: list[Hit] = []
    newest = b""
    for index, span in enumerate(found, first_index):
        is_precert, start, body, body_end, end = span
        # In front of the TimestampedEntry: the leaf prefix of the tree, version 1, type timestamped_entry.
        hashes.append(sha256(b"\x00\x00\x00" + data[start:end]).digest())
        newest = max(newest, data[start : start + 8])
        if _concerns(data, body, body_end, is_precert, watch, lookalikes):
            hits += _hit(entry_at(data, span, index), watch, lookalikes)
    return Sifted(
        first_index=first_index,
        hashes=tuple(hashes),
        hits=tuple(hits),
        newest_ms=int.from_bytes(newest, "big"),
    )


def sift_leaves(
    leaves: Sequence[str | bytes], *, first_index: int, watch: WatchSet, lookalikes: Lookalikes | None = None
) -> Sifted:
    """The `leaf_input` fields of a get-entries answer, base64 as they come; BadLeaf unless each is a leaf."""
    hashes: list[bytes] = []
    hits: list[Hit] = []
    newest = b""
    for index, encoded in enumerate(leaves, first_index):
        leaf = leaf_bytes(encoded, index=index)
        is_precert, body, body_end = leaf_span(leaf, index=index)
        hashes.append(sha256(b"\x00" + leaf).digest())
        newest = max(newest, leaf[2:10])
        if _concerns(leaf, body, body_end, is_precert, watch, lookalikes):
            hits += _hit(decode_leaf_input(leaf, index=index), watch, lookalikes)
    return Sifted(
        first_index=first_index,
        hashes=tuple(hashes),
        hits=tuple(hits),
        newest_ms=int.from_bytes(newest, "big"),
    )


def _concerns(
    data: bytes, body: int, body_end: int, is_precert: bool, watch: WatchSet, lookalikes: Lookalikes | None
) -> bool:
    """False only when _hit would find nothing in the certificate or TBS data[body:body_end]."""
    try:
        names, ips, cns = walked(data, body, body_end, is_precert)
    except Malformed:
        return True
    names += [each for each in cns if each not in names]
    return watch.may_match(names, ips) or (lookalikes is not None and lookalikes.may_match(names))


def _hit(entry: LeafEntry, watch: WatchSet, lookalikes: Lookalikes | None) -> tuple[Hit, ...]:
    """The entry, looked at without haste."""
    names = names_of(entry.tbs, entry.is_precert)
    matches = watch.match(names)
    if names.problems:
        matches = matches or watch.inside(entry.tbs)
    similar = lookalikes.match(names) if lookalikes and not matches else ()
    if matches or similar or names.problems:
        return (Hit(entry=entry, names=names, matches=matches, lookalikes=similar),)
    return ()
