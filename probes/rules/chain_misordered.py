"""The right certificates in the wrong order (a warning), or strays among them (a notice) (RFC 8446 section 4.4.2)."""

from __future__ import annotations

from collections.abc import Iterator

from probes.facts import Facts
from probes.model import Finding, Rule
from probes.rules.chained import chained
from probes.rules.phrase import listed, s_client, subject

_FIX = "Serve the leaf first, then each certificate's issuer in turn, and nothing else; the root may be left out."


def check(facts: Facts) -> Iterator[Finding]:
    for found in chained(facts, "chain.misordered"):
        order = found.known.order
        spare = [*order.strays, *order.duplicates]
        command = s_client(found.looks[0], "-showcerts")
        if order.leaf_position:
            said = f"{found.place} sends its own certificate in place {order.leaf_position + 1}: every client takes the first for the server's."
            yield found.finding(explanation=said, fix=_FIX, next_command=command)
        elif not order.in_order:
            said = f"{found.place} sends the right certificates in the wrong order: strict clients fail."
            yield found.finding(explanation=said, fix=_FIX, next_command=command, severity="warning")
        else:
            said = f"{found.place} sends certificates that belong to no path: {listed(map(subject, spare))}. They do no harm."
            yield found.finding(explanation=said, fix=_FIX, next_command=command, severity="notice")


RULE = Rule(code="chain.misordered", source="RFC 8446 section 4.4.2", check=check)
