"""A file of targets → what is to be watched, and which lines say nothing that can be. Pure.

Three forms: one host a line; CSV with or without a header; a zone file, of which the names of A, AAAA and CNAME records
are taken. Which it is, is read off the file itself. Nothing is left out in silence: what is not taken is a `Problem`,
or counted.
"""

from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal, TypeAlias

from bot import zone_text
from bot.wanted import Aside, Problem, Read, Unread, Wanted, read_row
from bot.zone_targets import read_zone
from probes.model import Target, UsageError, shown

MOST_BYTES: Final = 1_000_000
MOST_LINES: Final = 20_000  # four times what is watched at most; reading them takes seconds
_HOPELESS: Final = 2_000  # lines that are wrong before the first that is not: this is no list of targets
_LONGEST_CELL: Final = 20  # lines
_MOST_COLUMNS: Final = 100
Form: TypeAlias = Literal["lines", "csv", "zone"]
_COLUMNS: Final = {
    **dict.fromkeys(("host", "hostname", "host name", "name", "dns name", "fqdn"), "host"),
    **dict.fromkeys(("target", "domain", "server", "url", "endpoint", "record name"), "host"),
    "port": "port",
    "owner": "owner",
    **dict.fromkeys(("label", "labels", "tag", "tags"), "labels"),
    "starttls": "starttls",
    **dict.fromkeys(("sni", "server name"), "sni"),
    **dict.fromkeys(("identity", "client identity"), "identity"),
    **dict.fromkeys(("expected ca", "expected cas", "ca", "cas"), "cas"),
    **dict.fromkeys(("type", "record type", "rrtype"), "type"),
}
_PLAIN: Final = ("host", "port", "owner", "labels", "starttls", "sni")
_MARKS: Final = ",;\t"
_PATH: Final = re.compile(r"(://[^/?#\s]*)[/?#]\S*")


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What a file holds; of what stands in it twice, the first.

    `offered`: endpoints that its MX, SRV and TLSA records name, which `wanted` does not. `aside`: records that name no
    endpoint, by type. `unread`: columns of unknown meaning.
    """

    form: Form
    wanted: tuple[Wanted, ...]
    problems: tuple[Problem, ...] = ()
    repeats: int = 0
    offered: tuple[Target, ...] = ()
    aside: Mapping[str, int] = field(default_factory=dict, hash=False)
    unread: tuple[str, ...] = ()


def read(name: str, data: bytes) -> Found:
    """The targets of a file of that name. Raises UsageError when it is not a text that holds any."""
    lines = re.split(r"\r\n|\n|\r", _text(name, data))
    if len(lines) > MOST_LINES + 1:
        raise UsageError(f"I read {shown(name, 60)}, which has more than {MOST_LINES:,} lines. Split it.")
    form = form_of(name, lines)
    readers: dict[Form, Callable[[str, list[str]], Iterator[Read]]] = {"zone": read_zone, "csv": _csv, "lines": _lines}
    wanted: dict[Target, Wanted] = {}
    problems: list[Problem] = []
    offered: list[Target] = []
    unread: list[str] = []
    aside: Counter[str] = Counter()
    repeats = 0
    for each in readers[form](name, lines):
        match each:
            case Problem():
                problems.append(each)
            case Aside():
                aside[each.kind] += 1
            case Unread():
                unread.append(each.column)
            case Target():
                offered.append(each)
            case Wanted() if each.target in wanted:
                repeats += 1
            case Wanted():
                wanted[each.target] = each
                problems += [Problem(line=each.line, why=why, kind="in-part") for why in each.unsaid]
        if not wanted and len(problems) >= _HOPELESS:
            break
    if not wanted and not offered:
        raise UsageError(f"I read {shown(name, 60)} and found no target in it.{_first(problems)}")
    return Found(
        form=form,
        wanted=tuple(wanted.values()),
        problems=tuple(problems),
        repeats=repeats,
        offered=tuple(each for each in dict.fromkeys(offered) if each not in wanted),
        aside=dict(sorted(aside.items())),
        unread=tuple(unread),
    )


def _first(problems: Sequence[Problem]) -> str:
    """The first thing that is wrong, and how many follow."""
    if not problems:
        return ""
    first = problems[0]
    why = f"{first.subject}: {first.why}" if first.subject else first.why
    many = f"{len(problems):,} lines name none; the first is line" if len(problems) > 1 else "Line"
    return f" {many} {first.line}: {why.rstrip('.')}."


# ── what kind of text it is ─────────────────────────────────────────────────────


def _text(name: str, data: bytes) -> str:
    """As UTF-8, as UTF-16 (a spreadsheet's "Unicode text"), or in the code page of Windows. Raises UsageError."""
    said = f"I read {shown(name, 60)}, which is"
    if data.startswith(b"PK\x03\x04"):
        raise UsageError(f"{said} a spreadsheet or an archive. Save it as CSV and drop that.")
    text = data.decode(_encoding(data), "replace")
    odd = sum(c == "\N{REPLACEMENT CHARACTER}" or (c < " " and c not in "\t\r\n\f\x1a") for c in text)
    if odd > len(text) // 50:
        raise UsageError(f"{said} no text. I read one host a line, CSV, or a zone file.")
    return text.removeprefix("\ufeff").rstrip("\x1a")


def _encoding(data: bytes) -> str:
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        return "utf-16"
    if data.count(0) * 5 > len(data) * 2:  # every other byte of a text in ASCII
        return "utf-16-be" if data[0] == 0 else "utf-16-le"
    try:
        data.decode("utf-8")
    except UnicodeDecodeError:
        return "cp1252"
    return "utf-8"


def form_of(name: str, lines: list[str]) -> Form:
    """What kind of file it is."""
    low = name.lower()
    if low.endswith((".zone", ".db")):
        return "zone"
    said = [line for line in lines[:400] if line.strip() and not line.lstrip().startswith(("#", ";"))]
    title = re.split(r"[,;\t]", said[0]) if said else []
    if low.endswith((".csv", ".tsv")) or (len(title) > 1 and "host" in map(_meaning, title)):
        return "csv"
    if any(map(zone_text.is_record, said)):
        return "zone"
    # What stands behind the host of a URL separates nothing.
    return "csv" if any(mark in _PATH.sub(r"\1", line) for line in said for mark in _MARKS) else "lines"


# ── one host a line ─────────────────────────────────────────────────────────────


def _lines(_: str, lines: list[str]) -> Iterator[Read]:
    is_first = True
    for number, line in enumerate(lines, start=1):
        words = line.partition("#")[0].split()
        if not words or words[0].startswith(";"):
            continue
        is_title, is_first = is_first and len(words) == 1 and _meaning(words[0]) == "host", False
        if is_title:
            continue
        if len(words) == 2 and words[1].isdecimal():
            yield read_row(number, {"host": words[0], "port": words[1]})
        else:
            yield read_row(number, {"host": " ".join(words).strip("\"'`,;")})


# ── CSV ─────────────────────────────────────────────────────────────────────────


def _csv(_: str, lines: list[str]) -> Iterator[Read]:
    told = lines[0].lower().partition("sep=")[2][:1] if lines[0].lower().startswith("sep=") else ""  # Excel's
    sample = next((line for line in lines[bool(told) :] if line.strip() and not line.lstrip().startswith("#")), "")
    mark = told if told and told in _MARKS else max(_MARKS, key=sample.count)
    columns: tuple[str, ...] = _PLAIN
    is_first = True
    for number, row in _rows(lines, mark, sample.count(mark), first=int(bool(told))):
        cells = [cell.strip() for cell in row[:_MOST_COLUMNS]]
        if not any(cells) or cells[0].startswith(("#", ";")):
            continue
        names = [_meaning(cell) for cell in cells] if is_first else []
        is_first = False
        if "host" in names:
            columns = tuple(names)
            yield from (Unread(column=cell) for cell, name in zip(cells, names, strict=True) if cell and not name)
        else:
            yield read_row(number, dict(zip(columns, cells, strict=False)))


def _meaning(cell: str) -> str:
    return _COLUMNS.get(re.sub(r"[\s_-]+", " ", cell.strip().lower()), "")


def _rows(lines: list[str], mark: str, marks: int, *, first: int) -> Iterator[tuple[int, list[str]]]:
    """Rows with the line each begins on. *marks*: how many a row has. A line that has them all stands in no cell: a
    quotation mark that is never closed costs its own line alone."""
    at = first
    while at < len(lines):
        end, most = at + 1, min(len(lines), at + _LONGEST_CELL if marks else 0)
        while end < most and _is_open(lines[at:end]) and lines[end].count(mark) < marks:
            end += 1
        row = None if _is_open(lines[at:end]) else _cells(lines[at:end], mark)
        if row is None:
            end, row = at + 1, lines[at].replace('"', "").split(mark)
        yield at + 1, row
        at = end


def _is_open(lines: Sequence[str]) -> bool:
    return sum(line.count('"') for line in lines) % 2 == 1


def _cells(lines: Sequence[str], mark: str) -> list[str] | None:
    """The row that *lines* are; None where they are none."""
    try:
        return next(csv.reader(["\n".join(lines)], delimiter=mark, skipinitialspace=True), [])
    except csv.Error:
        return None
