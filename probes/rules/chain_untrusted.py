"""A complete chain, to a root that the client's store does not hold. Hurts every client without that root (RFC 5280 section 6.1)."""

from __future__ import annotations

from collections.abc import Iterator

from probes.facts import Facts
from probes.model import Finding, Rule
from probes.rules.chained import Chained, chained
from probes.rules.phrase import issuer, s_client


def top(found: Chained) -> str:
    """The issuer at the end of the chain."""
    return f"“{issuer(found.known.top or found.leaf)}”"


def check(facts: Facts) -> Iterator[Finding]:
    for found in chained(facts, "chain.untrusted"):
        look = found.looks[0]
        yield found.finding(
            explanation=f"{found.place} serves a chain that ends at a root nobody here trusts: {top(found)}.",
            fix="If this is a private CA, give its root to the clients (here: `--ca-file root.pem`, or TRUST_FILE for the bot). If not, replace the certificate by one of a public CA.",
            next_command=s_client(look, "-showcerts"),
            more=tuple(found.known.root.reasons) if found.known.root else (),
        )


RULE = Rule(code="chain.untrusted", source="RFC 5280 section 6.1", check=check)
