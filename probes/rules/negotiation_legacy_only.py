"""TLS 1.1 or older is all there is: current clients refuse (RFC 8996)."""

from __future__ import annotations

from collections.abc import Iterator

from probes.facts import Facts
from probes.model import Finding, Rule
from probes.rules.obstructed import obstructed
from probes.rules.phrase import newest, s_client


def check(facts: Facts) -> Iterator[Finding]:
    for found in obstructed(facts, "negotiation.legacy-only"):
        look = found.looks[0]
        yield found.finding(
            explanation=f"{found.place} speaks nothing newer than {newest(found.looks)}: current clients refuse that.",
            fix="Enable TLS 1.2 and 1.3 (nginx `ssl_protocols TLSv1.2 TLSv1.3;`); a stack too old for that needs an update or a TLS proxy before it.",
            next_command=s_client(look, "-tls1_2"),
        )


RULE = Rule(code="negotiation.legacy-only", source="RFC 8996 section 2", check=check)
