"""No version in common: alert 70, or the server goes along with old hellos alone. Hurts current clients."""

from __future__ import annotations

from collections.abc import Iterator

from probes.facts import Facts
from probes.model import Finding, Rule
from probes.rules.obstructed import obstructed
from probes.rules.phrase import s_client


def check(facts: Facts) -> Iterator[Finding]:
    for found in obstructed(facts, "negotiation.protocol-version"):
        look = found.looks[0]
        yield found.finding(
            explanation=f"{found.place} and current clients have no TLS version in common: TLS 1.2 and 1.3 are refused.",
            fix="Enable TLS 1.2 and 1.3 (nginx `ssl_protocols TLSv1.2 TLSv1.3;`). A server that fails only when 1.3 is offered is version intolerant: update it or what stands before it.",
            next_command=s_client(look, "-tls1_2"),
        )


RULE = Rule(code="negotiation.protocol-version", source="RFC 8446 section 4.2.1", check=check)
