"""RST answers the SYN: nothing listens there, or a firewall rejects. Hurts everyone (RFC 9293 section 3.5.2)."""

from __future__ import annotations

from collections.abc import Iterator

from probes.facts import Facts
from probes.model import Finding, Rule
from probes.rules.obstructed import obstructed
from probes.rules.phrase import quoted


def check(facts: Facts) -> Iterator[Finding]:
    for found in obstructed(facts, "reach.refused"):
        look = found.looks[0]
        yield found.finding(
            explanation=f"Nothing accepts connections on port {look.endpoint.port} of {found.place}: the connection is refused before TLS begins.",
            fix="Start the server, or correct the port: on that machine, `ss -ltnp` shows what listens. A firewall that rejects looks the same.",
            next_command=quoted("nc", "-vz", "-w", "3", look.address, str(look.endpoint.port)),
        )


RULE = Rule(code="reach.refused", source="RFC 9293 section 3.5.2", check=check)
