"""From a batch of entries to its leaf hashes and the entries that concern somebody: what a monitor runs all day.

Every entry's frames are followed to its names; only hits become values, and are walked element by element. Hits are
matched on the leaf, which the tree authenticates, never on the chain or precertificate beside it.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256

from probes.ct.entries import BadLeaf, BadTile, LeafEntry, entry_at, leaf_bytes, leaf_span, read_leaf, spans, unpacked
from probes.ct.lookalikes import Lookalike, Lookalikes
from probes.ct.walk import CANNOT_EXCLUDE, Names, hopped, names_of, names_within
from probes.ct.watchset import Match, WatchSet, ends_of, is_plain

MOST_ODD = 8 << 10  # bytes of one certificate's names that are not plain; such names are forbidden since 2015


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
    names: list[bytes] = []
    counts: list[int] = []
    slow: list[int] = []
    newest = b""
    for index, (is_precert, start, body, body_end, end) in enumerate(found):
        # In front of the TimestampedEntry: the leaf prefix of the tree, version 1, type timestamped_entry.
        hashes.append(sha256(b"\x00\x00\x00" + data[start:end]).digest())
        newest = max(newest, data[start : start + 8])
        of_entry = hopped(data, body, body_end, is_precert)
        if of_entry is None and (of_entry := _walked(data, body, body_end, is_precert)) is None:
            slow.append(index)
        else:
            names += of_entry
        counts.append(len(names))
    hits: list[Hit] = []
    for index in _concerned(names, counts, slow, watch, lookalikes):
        hits += _hit(entry_at(data, found[index], first_index + index), watch, lookalikes)
    return Sifted(
        first_index=first_index, hashes=tuple(hashes), hits=tuple(hits), newest_ms=int.from_bytes(newest, "big")
    )


def sift_leaves(
    leaves: Sequence[str | bytes], *, first_index: int, watch: WatchSet, lookalikes: Lookalikes | None = None
) -> Sifted:
    """The `leaf_input` fields of a get-entries answer, base64 as they come; BadLeaf unless each is base64.

    What is no leaf of a known kind is a malformed entry: one of them must not hide those behind it.
    """
    read = [leaf_bytes(encoded, index=index) for index, encoded in enumerate(leaves, first_index)]
    names: list[bytes] = []
    counts: list[int] = []
    slow: list[int] = []
    newest = b""
    for index, leaf in enumerate(read):
        try:
            is_precert, body, body_end = leaf_span(leaf, index=first_index + index)
        except BadLeaf:
            slow.append(index)
            counts.append(len(names))
            continue
        newest = max(newest, leaf[2:10])
        of_entry = hopped(leaf, body, body_end, is_precert)
        if of_entry is None and (of_entry := _walked(leaf, body, body_end, is_precert)) is None:
            slow.append(index)
        else:
            names += of_entry
        counts.append(len(names))
    hits: list[Hit] = []
    for index in _concerned(names, counts, slow, watch, lookalikes):
        hits += _hit(read_leaf(read[index], index=first_index + index), watch, lookalikes)
    return Sifted(
        first_index=first_index,
        hashes=tuple(sha256(b"\x00" + leaf).digest() for leaf in read),
        hits=tuple(hits),
        newest_ms=int.from_bytes(newest, "big"),
    )


def _walked(data: bytes, start: int, end: int, is_precert: bool) -> list[bytes] | None:
    """The dNSNames and common names, unless there is more to it: addresses, or frames that do not hold."""
    names = names_within(data, start, end, is_precert)
    return None if names.ips or names.problems else [*names.dns, *names.cns]


def _concerned(
    names: list[bytes], counts: list[int], slow: list[int], watch: WatchSet, lookalikes: Lookalikes | None
) -> list[int]:
    """The entries to be looked at without haste: the *slow* ones, and those with a name that may touch somebody.

    *counts* says how many of the names belong to each entry and those before it.
    """
    ends = ends_of(names)
    touching = watch.touching(names, ends)
    if lookalikes:
        touching += lookalikes.touching(names, ends)
    return sorted({*slow, *(bisect_right(counts, at) for at in touching)})


def _bounded(names: Names) -> Names:
    """Without the odd names where they are so many that reading every host name into them takes long: one certificate
    must not hold up all logs. Then names cannot be excluded."""
    odd = {name for name in (*names.dns, *names.cns) if not is_plain(name)}
    if (size := sum(map(len, odd))) <= MOST_ODD:
        return names
    return names._replace(
        dns=tuple(name for name in names.dns if name not in odd),
        cns=tuple(name for name in names.cns if name not in odd),
        problems=(*names.problems, f"{CANNOT_EXCLUDE} ({size} bytes of names that are no host names)"),
    )


def _hit(entry: LeafEntry, watch: WatchSet, lookalikes: Lookalikes | None) -> tuple[Hit, ...]:
    """The entry, walked element by element."""
    names = names_of(entry.tbs, entry.is_precert)
    if entry.fault:
        names = names._replace(problems=(f"{CANNOT_EXCLUDE} ({entry.fault})",))
    names = _bounded(names)
    matches = watch.match(names)
    if names.problems:
        matches = matches or watch.inside(entry.tbs)
    similar = lookalikes.match(names) if lookalikes and not matches else ()
    if matches or similar or names.problems:
        return (Hit(entry=entry, names=names, matches=matches, lookalikes=similar),)
    return ()
