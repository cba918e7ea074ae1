"""An orderly close answers the ClientHello. Hurts everyone (RFC 8446 section 6.1 wants an alert first)."""

from __future__ import annotations

from collections.abc import Iterator

from probes.facts import Facts
from probes.model import Finding, Rule
from probes.rules.obstructed import obstructed
from probes.rules.phrase import due_before_tls, s_client


def check(facts: Facts) -> Iterator[Finding]:
    for found in obstructed(facts, "reach.closed"):
        look = found.looks[0]
        due = due_before_tls(found.looks)
        yield found.finding(
            explanation=f"{found.place} accepts the connection, then closes it {f'before {due}' if due else 'on the ClientHello, without an alert'}.",
            fix="Usually a TCP balancer without a healthy back end, a listener that expects a PROXY protocol header first, a port that is closing, or a server that is misconfigured for this name: read its error log at this moment.",
            next_command=s_client(look, "-msg"),
        )


RULE = Rule(code="reach.closed", source="RFC 8446 section 6.1", check=check)
