"""No common key-exchange group: varying only the groups cures it (RFC 8446 section 4.2.7)."""

from __future__ import annotations

from collections.abc import Iterator

from probes.facts import Facts
from probes.model import Finding, Rule
from probes.rules.obstructed import obstructed
from probes.rules.partly import partly
from probes.rules.phrase import s_client, wants

_FIX = "Add X25519 and P-256 to the server's groups (nginx `ssl_ecdh_curve X25519:prime256v1;`)."


def check(facts: Facts) -> Iterator[Finding]:
    for found in obstructed(facts, "negotiation.group"):
        yield found.finding(
            explanation=f"{found.place} accepts no key-exchange group that current clients offer{wants(found.looks)}.",
            fix=_FIX,
            next_command=s_client(found.looks[0], "-msg"),
        )
    yield from partly(facts, "negotiation.group", lacks="key-exchange group", fix=_FIX)


RULE = Rule(code="negotiation.group", source="RFC 8446 section 4.2.7", check=check)
