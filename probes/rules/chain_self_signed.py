"""The leaf is its own issuer, and no store holds it. Hurts everyone (RFC 5280 section 3.2)."""

from __future__ import annotations

from collections.abc import Iterator

from probes.facts import Facts
from probes.model import Finding, Rule
from probes.rules.chained import chained
from probes.rules.phrase import subject, x509


def check(facts: Facts) -> Iterator[Finding]:
    for found in chained(facts, "chain.self-signed"):
        look = found.looks[0]
        yield found.finding(
            explanation=f"{found.place} serves a self-signed certificate, “{subject(found.leaf)}”, which no client trusts.",
            fix="Issue a certificate from a CA that the clients trust. A self-signed one works only where each client pins it (here: `--ca-file`).",
            next_command=x509(look, "-subject", "-issuer", "-dates"),
        )


RULE = Rule(code="chain.self-signed", source="RFC 5280 section 3.2", check=check)
