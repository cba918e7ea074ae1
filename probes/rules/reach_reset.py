"""A TCP reset answers the ClientHello. Hurts everyone (RFC 9293 section 3.5.2)."""

from __future__ import annotations

from collections.abc import Iterator

from probes.facts import Facts
from probes.model import Finding, Rule
from probes.rules.obstructed import obstructed
from probes.rules.phrase import due_before_tls, s_client


def check(facts: Facts) -> Iterator[Finding]:
    for found in obstructed(facts, "reach.reset"):
        look = found.looks[0]
        due = due_before_tls(found.looks)
        yield found.finding(
            explanation=f"{found.place} accepts the connection, then resets it before {due or 'a byte of TLS'}.",
            fix="Something refuses the hello without a word: a firewall or proxy that filters by name, a TCP balancer without a healthy back end, a listener that expects a PROXY protocol header first, a crashing server. Capture on both sides to see who sends the RST.",
            next_command=s_client(look, "-msg"),
        )


RULE = Rule(code="reach.reset", source="RFC 9293 section 3.5.2", check=check)
