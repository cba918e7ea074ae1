"""One of several paths runs over an expired or distrusted cross-sign: some clients pass, some fail (RFC 5280 section 6.1)."""

from __future__ import annotations

from collections.abc import Iterator

from probes.facts import Facts
from probes.model import Finding, Rule
from probes.rules.chained import Chained, chained
from probes.rules.phrase import s_client, subject


def bad(found: Chained) -> tuple[str, ...]:
    """Which certificates the unlucky clients trip over."""
    faults = [f for path in (*found.known.old_clients, *found.known.paths) for f in path.faults if f.depth > 0]
    return tuple(dict.fromkeys(f"fails on one path: {subject(f.certificate)} ({f.detail})" for f in faults))[:4]


def check(facts: Facts) -> Iterator[Finding]:
    for found in chained(facts, "chain.cross-sign"):
        look = found.looks[0]
        yield found.finding(
            explanation=f"{found.place} sends a cross-sign that no longer holds: clients that follow it fail, clients that look for another path pass.",
            fix="Stop sending the expired cross-signed certificate: most CAs offer the shorter chain (certbot `--preferred-chain`).",
            next_command=s_client(look, "-showcerts"),
            more=bad(found),
            severity="warning",
        )


RULE = Rule(code="chain.cross-sign", source="RFC 5280 section 6.1; RFC 4158 section 2", check=check)
