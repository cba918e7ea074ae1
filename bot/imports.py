"""A file of targets → what is to be watched, and which lines say nothing that can be. Pure.

Three forms: one host a line; CSV with or without a header (host, port, owner, labels, starttls, sni); a zone file, of
which the names of A, AAAA and CNAME records are taken. Which it is, is read off the file itself.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Literal

from bot.watch_grammar import labels, owner_id
from probes.model import Target, UsageError, hostname, shown

MOST_BYTES: Final = 1_000_000
Form = Literal["lines", "csv", "zone"]
MOST_LINES: Final = 20_000  # four times what is watched at most; reading them takes seconds
_IN_ZONES: Final = frozenset({"SOA", "NS", "A", "AAAA", "CNAME", "MX", "TXT"})
_COLUMNS: Final = {
    "host": "host",
    "hostname": "host",
    "name": "host",
    "target": "host",
    "domain": "host",
    "port": "port",
    "owner": "owner",
    "label": "labels",
    "labels": "labels",
    "tags": "labels",
    "starttls": "starttls",
    "sni": "sni",
    "server_name": "sni",
}
_PLAIN: Final = ("host", "port", "owner", "labels", "starttls", "sni")
_TAKEN: Final = frozenset({"A", "AAAA", "CNAME"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """One line's target."""

    target: Target
    owner: str | None = None
    labels: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """A line that was left out, counted from 1, and why. `is_meant`: it says nothing that could be watched."""

    line: int
    why: str
    is_meant: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What a file holds; of what stands in it twice, the first."""

    form: Form
    wanted: tuple[Wanted, ...]
    problems: tuple[Problem, ...] = ()
    repeats: int = 0


def read(name: str, data: bytes) -> Found:
    """The targets of a file of that name. Raises UsageError when it is not a text that holds any."""
    text = data.decode("utf-8-sig", "replace")
    if "\x00" in text or text.count("\N{REPLACEMENT CHARACTER}") > len(text) // 20:
        raise UsageError(f"I read {shown(name, 60)}, which is no text in UTF-8. One host a line, CSV, or a zone file.")
    if len(text.splitlines()) > MOST_LINES:
        raise UsageError(f"I read {shown(name, 60)}, which has more than {MOST_LINES:,} lines. Split it.")
    form = form_of(name, text)
    lines = {"zone": _zone, "csv": _csv, "lines": _lines}[form](name, text)
    wanted: dict[Target, Wanted] = {}
    problems: list[Problem] = []
    repeats = 0
    for each in lines:
        if isinstance(each, Problem):
            problems.append(each)
        elif each.target in wanted:
            repeats += 1
        else:
            wanted[each.target] = each
    if not wanted:
        first = f" Line {problems[0].line}: {problems[0].why}" if problems else ""
        raise UsageError(f"I read {shown(name, 60)} and found no target in it.{first}")
    return Found(form=form, wanted=tuple(wanted.values()), problems=tuple(problems), repeats=repeats)


def form_of(name: str, text: str) -> Form:
    """What kind of file it is."""
    if name.lower().endswith((".zone", ".db")) or any(map(_is_of_a_zone, text[:20_000].splitlines())):
        return "zone"
    first = next((line for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")), "")
    return "csv" if any(mark in first for mark in ",;\t") else "lines"


def _is_of_a_zone(line: str) -> bool:
    """`$ORIGIN …`, `$TTL …`, or a record: `[name] [ttl] IN type …`."""
    words = line.upper().split(maxsplit=4)
    if words[:1] in (["$ORIGIN"], ["$TTL"]):
        return len(words) > 1
    if "IN" not in words[:3]:
        return False
    at = words.index("IN")
    has_type = len(words) > at + 1 and words[at + 1] in _IN_ZONES
    return has_type and (at < 2 or words[1].isdecimal())


def _lines(_: str, text: str) -> Iterator[Wanted | Problem]:
    for number, line in enumerate(text.splitlines(), start=1):
        said = line.partition("#")[0].strip()
        if said:
            yield _wanted(number, {"host": said})


def _csv(_: str, text: str) -> Iterator[Wanted | Problem]:
    sample = next((line for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")), "")
    mark = max(",;\t", key=sample.count)
    columns: tuple[str, ...] = _PLAIN
    is_first = True
    reader = csv.reader(io.StringIO(text), delimiter=mark, skipinitialspace=True)
    try:
        for row in reader:
            cells = [cell.strip() for cell in row]
            if not any(cells) or cells[0].startswith("#"):
                continue
            names = [_COLUMNS.get(cell.lower(), "") for cell in cells]
            if is_first and "host" in names:
                columns, is_first = tuple(names), False
                continue
            is_first = False
            yield _wanted(reader.line_num, dict(zip(columns, cells, strict=False)))
    except csv.Error as error:
        yield Problem(line=reader.line_num, why=f"no CSV: {error}")


def _wanted(number: int, cells: dict[str, str]) -> Wanted | Problem:
    """One line of a list or a table."""
    host, port = cells.get("host", ""), cells.get("port", "")
    if host.count(":") > 1 and port and not host.startswith("["):
        host = f"[{host}]"
    try:
        target = Target.parse(
            f"{host}:{port}" if port and not host.startswith(("http:", "https:")) else host,
            sni=cells.get("sni") or None,
            starttls=(cells.get("starttls") or "").lower() or None,
        )
        found = labels((cells.get("labels") or "").replace(";", ",").replace("|", ","))
        return Wanted(target=target, owner=owner_id(_bare(cells.get("owner", ""))), labels=found)
    except UsageError as error:
        return Problem(line=number, why=str(error))


def _bare(owner: str) -> str:
    return re.sub(r"^<(?:@|!subteam\^)([A-Z0-9]+)(?:\|[^>]*)?>$", r"\1", owner)


def _zone(name: str, text: str) -> Iterator[Wanted | Problem]:
    """The names of address records. What cannot be a server's name (wildcards, `_service` labels) is left out."""
    import dns.exception  # heavy, and only here
    import dns.zone

    stem = re.sub(r"\.(?:zone|db|txt)$", "", name.lower()).removeprefix("db.")
    try:
        origin: str | None = hostname(stem) + "." if "." in stem else None
    except UsageError:
        origin = None
    try:
        zone = dns.zone.from_text(
            f"$TTL 3600\n{text}",
            origin=origin,
            relativize=False,
            check_origin=False,
            # $GENERATE writes any number of records in one line; $INCLUDE reads files.
            allow_directives=("$ORIGIN", "$TTL"),
        )
    except (dns.exception.DNSException, ValueError) as error:
        told = re.search(r":(\d+): (.*)", str(error))
        line = max(1, int(told[1]) - 2) if told else 1  # counted behind the line, and with the one put before
        why = told[2] if told else (str(error) or type(error).__name__)
        if origin is None and "origin" in why.lower():
            why = "names here are relative, and nothing says to what: begin with $ORIGIN example.com."
        yield Problem(line=line, why=f"no zone file from here on: {shown(why, 160)}")
        return
    at = _lines_of(text)
    for owner in zone.nodes:
        types = {rdataset.rdtype.name for rdataset in zone.nodes[owner].rdatasets}
        if not types & _TAKEN:
            continue
        written = owner.to_text(omit_final_dot=True)
        number = at.get(written.lower(), at.get(written.split(".")[0].lower(), 1))
        if "*" in written or written.startswith("_") or "._" in written:
            yield Problem(line=number, why=f"{shown(written, 80)} is no server's name", is_meant=True)
            continue
        yield _wanted(number, {"host": written})


def _lines_of(text: str) -> dict[str, int]:
    """The first line that begins with each name: near enough to find it."""
    found: dict[str, int] = {}
    for number, line in enumerate(text.splitlines(), start=1):
        first = line.split(maxsplit=1)[0].rstrip(".").lower() if line[:1].strip() else ""
        if first:
            found.setdefault(first, number)
    return found
