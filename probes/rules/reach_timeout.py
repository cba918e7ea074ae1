"""No answer to the SYN: a packet filter drops, the machine is off, or its accept queue is full. Hurts everyone."""

from __future__ import annotations

from collections.abc import Iterator

from probes.facts import Facts
from probes.model import Finding, Rule
from probes.rules.obstructed import obstructed
from probes.rules.phrase import quoted


def check(facts: Facts) -> Iterator[Finding]:
    for found in obstructed(facts, "reach.timeout"):
        look = found.looks[0]
        yield found.finding(
            explanation=f"{found.place} does not answer on port {look.endpoint.port}: packets are dropped on the way, the machine is down, or its accept queue is full.",
            fix="Look for a security group or firewall that drops this port, then whether the machine is up and its listen queue overflows (`nstat TcpExtListenOverflows`).",
            next_command=quoted("nc", "-vz", "-w", "3", look.address, str(look.endpoint.port)),
        )


RULE = Rule(code="reach.timeout", source="RFC 9293 section 3.8.3", check=check)
