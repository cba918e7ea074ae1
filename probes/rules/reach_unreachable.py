"""The network says that there is no way there (ICMP unreachable or no route). Hurts everyone on this path."""

from __future__ import annotations

from collections.abc import Iterator

from probes.facts import Facts
from probes.model import Finding, Rule
from probes.rules.obstructed import obstructed
from probes.rules.phrase import quoted


def check(facts: Facts) -> Iterator[Finding]:
    for found in obstructed(facts, "reach.unreachable"):
        look = found.looks[0]
        yield found.finding(
            explanation=f"There is no route to {found.place}: the network says so, before TLS begins.",
            fix="Check routes and the address in DNS; an ICMP prohibition comes from a firewall on the path.",
            next_command=quoted("ip", "route", "get", look.address),
        )


RULE = Rule(code="reach.unreachable", source="RFC 1122 section 3.2.2.1", check=check)
