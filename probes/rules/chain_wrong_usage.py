"""Key usage, extended key usage or constraints forbid a TLS server (RFC 5280 sections 4.2.1.3, 4.2.1.9, 4.2.1.10, 4.2.1.12)."""

from __future__ import annotations

from collections.abc import Iterator

from probes.facts import Facts
from probes.model import Finding, Rule
from probes.rules.chained import Chained, chained
from probes.rules.phrase import subject, x509


def forbidden(found: Chained) -> str:
    """What forbids it, and where."""
    faults = found.known.best.faults if found.known.best else ()
    rights = [f for f in faults if f.kind not in {"expired", "not_yet_valid", "weak_key", "weak_signature"}]
    return f"“{subject(rights[0].certificate)}”: {rights[0].detail}" if rights else "its rights do not allow it"


def check(facts: Facts) -> Iterator[Finding]:
    for found in chained(facts, "chain.wrong-usage"):
        look = found.looks[0]
        yield found.finding(
            explanation=f"{found.place} serves a chain that may not be used for a TLS server: {forbidden(found)}.",
            fix="Issue the certificate from a server profile: extended key usage serverAuth, digitalSignature among the key usages, from a CA whose constraints allow the name.",
            next_command=x509(look, "-ext", "keyUsage,extendedKeyUsage,basicConstraints"),
        )


RULE = Rule(code="chain.wrong-usage", source="RFC 5280 section 4.2.1.12", check=check)
