"""The connection stands, but the server's flight never comes or stops midway. Hurts everyone."""

from __future__ import annotations

from collections.abc import Iterator

from probes.facts import Facts
from probes.model import Finding, Rule
from probes.rules.obstructed import obstructed
from probes.rules.phrase import s_client, stalled_at


def check(facts: Facts) -> Iterator[Finding]:
    for found in obstructed(facts, "reach.stalled"):
        look = found.looks[0]
        yield found.finding(
            explanation=f"{found.place} goes silent: {stalled_at(found.looks)}.",
            fix="Silence before the first byte: a hung or overloaded server, or a proxy waiting for a PROXY header. A flight that stops midway: large packets are lost (MTU); clamp the MSS or mend path MTU discovery.",
            next_command=s_client(look, "-msg"),
        )


RULE = Rule(code="reach.stalled", source="RFC 8446 section 4", check=check)
