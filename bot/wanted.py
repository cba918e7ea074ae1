"""What a file says is to be watched, line by line: the values, and how one line's words become a target. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final, Literal, TypeAlias

from bot.watch_grammar import labels, owner_id
from probes.model import DEFAULT_PORT, Target, UsageError, shown

LONGEST: Final = 300  # characters that can name a host and its port
Kind: TypeAlias = Literal["wrong", "no-server", "in-part"]
TAKEN: Final = frozenset({"A", "AAAA", "CNAME"})
WILDCARD: Final = "wildcards, which no server is called"
SERVICE: Final = "names with an underscore in front, which stand for services and keys"
OUTSIDE: Final = "outside the zone, which name servers pass over"
DELEGATED: Final = "below a delegation, where another zone says what there is"


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """One line's target. `unsaid`: what the line says besides, and wrongly."""

    target: Target
    owner: str | None = None
    labels: tuple[str, ...] = ()
    identity: str | None = None
    expected_cas: tuple[str, ...] = ()
    line: int = 0
    unsaid: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """A line that was left out, counted from 1, and why; "no-server": *subject* is one of those that *why* names.

    "in-part": its target is taken, and something else that it says is not.
    """

    line: int
    why: str
    kind: Kind = "wrong"
    subject: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Aside:
    """A record that names no server to watch, by its type."""

    kind: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Unread:
    """A column that is not understood."""

    column: str


Read: TypeAlias = "Wanted | Problem | Aside | Unread | Target"  # a Target alone is offered


def read_row(number: int, cells: Mapping[str, str]) -> Read:
    """One line of a list or a table."""
    kind = cells.get("type", "").upper()
    if kind and kind not in TAKEN and re.fullmatch(r"[A-Z][A-Z0-9-]{0,15}", kind):
        return Aside(kind=kind)
    host = cells.get("host", "")
    if not host:
        return Problem(line=number, why="there is no host in it")
    if len(host) > LONGEST:
        return Problem(line=number, why=f"I read “{shown(host, 60)}”, which is too long for a host")
    name = re.split(r"[/:?#]", host.partition("://")[2] or host, maxsplit=1)[0]
    if "*" in name:
        return Problem(line=number, subject=host, why=WILDCARD, kind="no-server")
    if _is_of_a_service(name):
        return Problem(line=number, subject=host, why=SERVICE, kind="no-server")
    try:
        target = _at_port(
            Target.parse(host, sni=cells.get("sni") or None, starttls=(cells.get("starttls") or "").lower() or None),
            cells.get("port", ""),
        )
    except UsageError as error:
        return Problem(line=number, why=str(error))
    cas = [ca.strip() for ca in re.split(r"[|;]", cells.get("cas", ""))]
    owner, no_owner = _owner(cells.get("owner", ""))
    marks, no_labels = _labels(cells.get("labels", ""))
    return Wanted(
        line=number,
        target=target,
        owner=owner,
        labels=marks,
        identity=cells.get("identity", "").lower() or None,
        expected_cas=tuple(dict.fromkeys(filter(None, cas))),
        unsaid=tuple(filter(None, (no_owner, no_labels))),
    )


def _at_port(target: Target, port: str) -> Target:
    """*target*, at the port that stands beside it. Raises UsageError."""
    if not port:
        return target
    number = int(port) if port.isascii() and port.isdecimal() and len(port) <= 5 else 0
    if not 1 <= number <= 65_535:
        raise UsageError(f"I read the port “{shown(port, 20)}”. It is a number from 1 to 65535.")
    if target.port not in {DEFAULT_PORT, number}:
        raise UsageError(f"The host says port {target.port}, and the port beside it is {number}.")
    return replace(target, port=number)


def _is_of_a_service(name: str) -> bool:
    """`_dmarc.example.com`, `_443._tcp.www.example.com`: no such name is a host's (RFC 8552 section 1.1)."""
    return any(label.startswith("_") for label in name.split("."))


def _owner(text: str) -> tuple[str | None, str]:
    """Slack's id; or why there is none."""
    bare = re.sub(r"^<(?:@|!subteam\^)([A-Z0-9]+)(?:\|[^>]*)?>$", r"\1", text)
    try:
        return owner_id(bare), ""
    except UsageError:
        return None, f"“{shown(text, 60)}” is no Slack id (U… or S…): watched without an owner"


def _labels(text: str) -> tuple[tuple[str, ...], str]:
    """The labels; or why there are none."""
    try:
        return labels(re.sub(r"[;|]", ",", text)), ""
    except UsageError as error:
        return (), f"{str(error).rstrip('.')}: watched without labels"
