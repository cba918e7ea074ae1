"""A zone → what of it is to be watched: the names of address records, and what MX, SRV and TLSA records offer. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Set
from ipaddress import IPv4Address, IPv6Address
from typing import Final

from bot import zone_text
from bot.wanted import DELEGATED, OUTSIDE, TAKEN, Aside, Problem, Read, read_row
from probes.model import Target, UsageError, hostname, ip_literal, shown

# Services whose SRV records promise TLS, and what it begins with (RFC 8314, RFC 6186, RFC 6120, RFC 4513, RFC 6764).
_SERVICES: Final[Mapping[str, str | None]] = {
    "_https": None,
    "_sips": None,
    "_imaps": None,
    "_imap": "imap",
    "_pop3s": None,
    "_pop3": "pop3",
    "_submissions": None,
    "_submission": "smtp",
    "_ldaps": None,
    "_ldap": "ldap",
    "_xmpps-client": None,
    "_xmpps-server": None,
    "_xmpp-client": "xmpp",
    "_xmpp-server": "xmpp",
    "_caldavs": None,
    "_carddavs": None,
    "_postgresql": "postgres",
    "_mysql": "mysql",
}
_BY_PORT: Final[Mapping[int, str]] = {25: "smtp", 587: "smtp", 143: "imap", 110: "pop3", 389: "ldap", 5432: "postgres"}


def read_zone(name: str, lines: list[str]) -> Iterator[Read]:
    """The names of address records that can be servers', and what other records offer."""
    found = list(zone_text.records(lines, _origin(name)))
    records = [each for each in found if isinstance(each, zone_text.Record)]
    apexes = {each.owner for each in records if each.kind == "SOA"}
    is_whole = bool(apexes)
    cuts = {each.owner for each in records if each.kind == "NS"}
    # A part of a zone: of its first origin, or below its uppermost name servers.
    apexes = apexes or {each.origin for each in records[:1] if each.origin} or set(sorted(cuts, key=_depth)[:1])
    seen: set[str] = set()
    for each in found:
        if isinstance(each, zone_text.Fault):
            yield Problem(line=each.line, why=each.why)
        elif each.kind not in TAKEN:
            yield Aside(kind=each.kind)
        elif why := _no_address(each):
            yield Problem(line=each.line, why=why)
        elif each.owner not in seen:
            seen.add(each.owner)
            strange = _strange(each.owner, apexes, cuts - apexes, is_whole=is_whole)
            if strange:
                yield Problem(line=each.line, subject=each.owner, why=strange, kind="no-server")
            else:
                yield read_row(each.line, {"host": each.owner})
    for each in records:
        target = _offered(each)
        if target is not None and any(_above(target.host, apexes)):
            yield target


def _strange(name: str, apexes: set[str], cuts: set[str], *, is_whole: bool) -> str:
    """Why another zone answers for *name*, where one does."""
    is_inside = any(_above(name, apexes))
    if is_inside and next(_above(name, apexes | cuts)) in cuts:
        return DELEGATED
    return OUTSIDE if is_whole and not is_inside else ""


def _depth(name: str) -> int:
    return name.count(".")


def _above(name: str, those: Set[str]) -> Iterator[str]:
    """*name*, and the names that it is below, as far as they are among *those*; the nearest first."""
    labels = name.split(".")
    return (up for at in range(len(labels)) if (up := ".".join(labels[at:])) in those)


def _origin(name: str) -> str:
    """What a zone file's name says it is of."""
    stem = re.sub(r"\.(?:zone|db|txt)$", "", name.lower()).removeprefix("db.")
    try:
        return hostname(stem) if "." in stem else ""
    except UsageError:
        return ""


def _no_address(record: zone_text.Record) -> str:
    """What is wrong with the address of an A or AAAA record."""
    if record.kind == "CNAME":
        return "" if record.data else "a CNAME record without a name"
    address = ip_literal(record.data[0]) if record.data else None
    if isinstance(address, IPv4Address if record.kind == "A" else IPv6Address):
        return ""
    return f"“{shown(' '.join(record.data), 60)}” is no {'IPv4' if record.kind == 'A' else 'IPv6'} address"


def _offered(record: zone_text.Record) -> Target | None:
    """The endpoint that an MX, SRV or TLSA record of a service with TLS names."""
    host, port, starttls = "", "", None
    labels = record.owner.split(".")
    match record.kind:
        case "MX":
            host, port, starttls = record.name(1), "25", "smtp"
        case "SRV" if labels[0] in _SERVICES and labels[1:2] == ["_tcp"] and len(record.data) > 3:
            host, port, starttls = record.name(3), record.data[2], _SERVICES[labels[0]]
        case "TLSA" if labels[1:2] == ["_tcp"] and re.fullmatch(r"_[0-9]{1,5}", labels[0]):
            host, port = ".".join(labels[2:]), labels[0][1:]
            starttls = _BY_PORT.get(int(port))
    try:
        return Target.parse(f"{host}:{port}", starttls=starttls) if host else None
    except UsageError:
        return None
