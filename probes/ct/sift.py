"""From a batch of entries to its leaf hashes and the entries that concern somebody: what a monitor runs all day.

The names of every entry are walked; only hits become values. Hits are matched on the leaf, which the tree
authenticates, never on the chain or precertificate beside it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from probes.ct.entries import BadTile, LeafEntry, decode_leaf_input, leaf_bytes, spans, unpacked
from probes.ct.lookalikes import Lookalike, Lookalikes
from probes.ct.merkle import leaf_hash
from probes.ct.walk import Names, names_within
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
    listed = spans(data, first_index)
    if count is not None and len(listed) != count:
        raise BadTile(f"the tile has {len(listed)} entries, not {count}")
    hashes: list[bytes] = []
    hits: list[Hit] = []
    newest = 0
    for index, span in enumerate(listed, first_index):
        leaf = b"\x00\x00" + data[span.start : span.end]
        hashes.append(leaf_hash(leaf))
        newest = max(newest, int.from_bytes(leaf[2:10], "big"))
        names = names_within(data, span.body, span.body_end, span.is_precert)
        hit = _hit(names, leaf, index, watch, lookalikes)
        if hit:
            hits.append(hit)
    return Sifted(first_index=first_index, hashes=tuple(hashes), hits=tuple(hits), newest_ms=newest)


def sift_leaves(
    leaves: Sequence[str | bytes], *, first_index: int, watch: WatchSet, lookalikes: Lookalikes | None = None
) -> Sifted:
    """The `leaf_input` fields of a get-entries answer, base64 as they come; BadLeaf unless each is a leaf."""
    hashes: list[bytes] = []
    hits: list[Hit] = []
    newest = 0
    for index, encoded in enumerate(leaves, first_index):
        entry = decode_leaf_input(leaf_bytes(encoded, index=index), index=index)
        hashes.append(leaf_hash(entry.leaf))
        newest = max(newest, entry.timestamp_ms)
        names = names_within(entry.tbs, 0, len(entry.tbs), entry.is_precert)
        hit = _hit(names, entry.leaf, index, watch, lookalikes)
        if hit:
            hits.append(hit)
    return Sifted(first_index=first_index, hashes=tuple(hashes), hits=tuple(hits), newest_ms=newest)


def _hit(names: Names, leaf: bytes, index: int, watch: WatchSet, lookalikes: Lookalikes | None) -> Hit | None:
    similar = lookalikes.match(names) if lookalikes else ()
    matches = watch.match(names)
    if not (matches or similar or names.problems):
        return None
    entry = decode_leaf_input(leaf, index=index)
    if names.problems:
        matches = matches or watch.inside(entry.tbs)
    return Hit(entry=entry, names=names, matches=matches, lookalikes=similar)
