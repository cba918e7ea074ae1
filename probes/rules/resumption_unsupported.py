"""Nothing is ever resumed: each connection pays a full handshake, in time and in the server's CPU. Breaks nobody."""

from __future__ import annotations

from collections.abc import Iterator

from probes.clients import TLS12
from probes.facts import Facts
from probes.look import Look
from probes.model import Finding, Rule
from probes.rules.phrase import addresses, where
from probes.rules.resumed import Resuming, count, resume_command, resuming
from probes.wire.registry import version_name


def check(facts: Facts) -> Iterator[Finding]:
    if facts.evidence.light:
        return  # nobody waited for tickets
    by_look: dict[Look, list[Resuming]] = {}
    for each in resuming(facts):
        by_look.setdefault(each.look, []).append(each)
    lacking = {look: tried for look, tried in by_look.items() if _told(look, tried) and all(t.lacks for t in tried)}
    looks = tuple(lacking)
    if not looks:
        return
    yield Finding(
        code="resumption.unsupported",
        severity="notice",
        explanation=f"{where(looks)} resumes no session: every connection pays a full handshake.",
        evidence=tuple(_line(each) for look in looks[:4] for each in lacking[look]),
        addresses=addresses(looks),
        fix="Turn session tickets on, with keys that are rotated (nginx `ssl_session_tickets on;`), or keep a session cache "
        "(nginx `ssl_session_cache shared:TLS:10m;`).",
        next_command=resume_command(looks[0], looks[0], lacking[looks[0]][0].version),
    )


def _told(look: Look, tried: list[Resuming]) -> bool:
    """Was each version that current clients come to finished, so that its sessions would have been seen?"""
    agreed = {version for version in look.versions if version >= TLS12}
    return look.works and bool(agreed) and agreed <= {each.version for each in tried}


def _line(each: Resuming) -> str:
    version = version_name(each.version)
    if each.here is None:
        return f"{each.look.address}: neither a ticket nor a session id in {version}"
    return count(each.here)


RULE = Rule(code="resumption.unsupported", source="RFC 8446 section 2.2; RFC 5077 section 1", check=check)
