"""A zone file → its records, read with forgiveness: what one line gets wrong costs no other. Pure.

The format is RFC 1035 section 5.1 with $TTL (RFC 2308 section 4). Records of every type are understood, for only their
owners are needed, and the data of some. $INCLUDE and $GENERATE are told, not done: one names files, the other stands
for any number of records.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from probes.model import shown

_TOKEN: Final = re.compile(r'"(?:\\.|[^"\\])*"|[()]|;.*|(?:\\.|[^\s();"\\])+|["\\]')
_TTL: Final = re.compile(r"(?:[0-9]{1,10}[smhdw]?){1,5}", re.IGNORECASE)
_TYPE: Final = re.compile(r"[A-Z][A-Z0-9-]{0,15}")
_CLASSES: Final = frozenset({"IN", "CH", "CS", "HS"})
_MOST_LINES: Final = 100  # of one record in parentheses: one that is never closed must not swallow the rest
_TOLD: Final = 160


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """One record. `owner` is absolute, in lower case and without the root's dot; `data` are its words as written, names
    in it made absolute by `names`."""

    line: int
    owner: str
    kind: str  # its type in capitals; with its class before it where that is not IN
    data: tuple[str, ...]
    origin: str

    def name(self, at: int) -> str:
        """The name that stands at that place in its data; empty where there is none."""
        return absolute(self.data[at], self.origin) if at < len(self.data) else ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """A line that could not be read, counted from 1."""

    line: int
    why: str


def records(lines: list[str], origin: str = "") -> Iterator[Record | Fault]:
    """What the lines of a zone file say; *origin*: what relative names belong to until the file says it itself."""
    owner = ""
    for number, entry, is_indented in _entries(lines):
        if isinstance(entry, str):
            yield Fault(line=number, why=entry)
        elif entry[0].startswith("$"):
            found = _directive(entry, origin)
            if isinstance(found, Fault):
                yield Fault(line=number, why=found.why)
            else:
                origin = found
        else:
            if not is_indented:
                owner = absolute(entry[0], origin)
            record = _record(number, owner, entry if is_indented else entry[1:], origin)
            if isinstance(record, Record) and record.kind == "SOA" and not origin:
                origin = record.owner
            yield record


def absolute(name: str, origin: str) -> str:
    """*name* as it stands in a zone, in full; empty where it is relative and nothing says to what."""
    bare = name.lower()
    if bare == "@":
        return origin
    if bare.endswith("."):
        return bare[:-1]
    return f"{bare}.{origin}" if origin else ""


def is_record(line: str) -> bool:
    """Does this line alone look like a part of a zone: a directive, or `[name] [ttl] [class] type data`?"""
    words = line.split(maxsplit=5)
    if words[:1] and words[0].upper() in {"$ORIGIN", "$TTL"}:
        return len(words) > 1
    if "," in line.partition('"')[0]:
        return False  # a table's header may name types
    rest, has_class = words if line[:1].isspace() else words[1:], False
    while rest and (rest[0].upper() in _CLASSES or _TTL.fullmatch(rest[0])):
        has_class = has_class or rest[0].upper() in _CLASSES
        rest = rest[1:]
    # Without a class, people write types in capitals, and hosts are seldom called so.
    return len(rest) > 1 and (rest[0].upper() if has_class else rest[0]) in _COMMON


_COMMON: Final = frozenset({"SOA", "NS", "A", "AAAA", "CNAME", "MX", "TXT", "SRV", "CAA", "TLSA", "PTR"})


# ── entries: lines, and what parentheses join ───────────────────────────────────


def _entries(lines: list[str]) -> Iterator[tuple[int, list[str] | str, bool]]:
    """The line each begins on, its words (or why it has none), and whether it leaves the owner to the one before."""
    words = [_words(line) for line in lines]
    at = 0
    while at < len(lines):
        begun, found = at, words[at]
        at += 1
        if not found:
            continue
        entry, depth = _joined([], 0, found)
        end = min(len(lines), begun + _MOST_LINES)
        while depth > 0 and at < end:
            entry, depth = _joined(entry, depth, words[at])
            at += 1
        if depth > 0:
            at = begun + 1
            yield begun + 1, "a parenthesis is opened here and not closed", False
        elif '"' in entry or "\\" in entry:
            yield begun + 1, "a quotation mark is opened here and not closed", False
        elif entry:
            yield begun + 1, entry, lines[begun][:1].isspace()


def _words(line: str) -> list[str]:
    return [word for word in _TOKEN.findall(line) if not word.startswith(";")]


def _joined(entry: list[str], depth: int, words: list[str]) -> tuple[list[str], int]:
    for word in words:
        if word == "(":
            depth += 1
        elif word == ")":
            depth = max(0, depth - 1)
        else:
            entry.append(word)
    return entry, depth


# ── what an entry says ──────────────────────────────────────────────────────────


def _directive(words: list[str], origin: str) -> str | Fault:
    """The origin from here on."""
    match words[0].upper(), words[1:]:
        case "$ORIGIN", [name, *_]:
            return absolute(name, origin) or name.lower().rstrip(".")
        case "$TTL", _:
            return origin
        case "$INCLUDE", rest:
            return Fault(line=0, why=f"I read one file at a time: import {shown(' '.join(rest[:1]) or 'it', 80)}, too")
        case "$GENERATE", _:
            return Fault(line=0, why="$GENERATE stands for many records; name those that are to be watched")
    return Fault(line=0, why=f"I do not know {shown(words[0], 40)}")


def _record(number: int, owner: str, words: list[str], origin: str) -> Record | Fault:
    zone_class = "IN"
    rest = words
    while rest and (rest[0].upper() in _CLASSES or _TTL.fullmatch(rest[0])):
        zone_class = rest[0].upper() if rest[0].upper() in _CLASSES else zone_class
        rest = rest[1:]
    if len(rest) < 2 or not _TYPE.fullmatch(rest[0].upper()):
        return Fault(line=number, why=f"no record: {shown(' '.join(words), _TOLD) or 'a name alone'}")
    if not owner:
        why = "its name is relative, and nothing says to what: begin with $ORIGIN example.com."
        return Fault(line=number, why=why)
    kind = rest[0].upper()
    return Record(
        line=number,
        owner=owner,
        kind=kind if zone_class == "IN" else f"{zone_class} {kind}",
        data=tuple(rest[1:]),
        origin=origin,
    )
