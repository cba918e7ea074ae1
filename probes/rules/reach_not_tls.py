"""The peer answers, but not in TLS. Hurts everyone."""

from __future__ import annotations

from collections.abc import Iterator

from probes.facts import Facts
from probes.model import Finding, Rule
from probes.rules.obstructed import obstructed
from probes.rules.phrase import plain_command, protocols


def check(facts: Facts) -> Iterator[Finding]:
    for found in obstructed(facts, "reach.not-tls"):
        look = found.looks[0]
        yield found.finding(
            explanation=f"Port {look.endpoint.port} of {found.place} answers, but not in TLS: {protocols(found.looks)}.",
            fix="Point clients at the TLS port, or turn TLS on for this listener (nginx: `listen … ssl`; HAProxy: `bind … ssl crt`). A protocol that begins in clear needs STARTTLS.",
            next_command=plain_command(look),
        )


RULE = Rule(code="reach.not-tls", source="RFC 8446 section 5.1", check=check)
