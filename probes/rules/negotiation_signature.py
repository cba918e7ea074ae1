"""No common signature algorithm: the key or the server's settings allow none that clients accept (RFC 8446 section 4.2.3)."""

from __future__ import annotations

from collections.abc import Iterator

from probes.facts import Facts
from probes.model import Finding, Rule
from probes.rules.obstructed import obstructed
from probes.rules.partly import partly
from probes.rules.phrase import s_client, wants

_FIX = "Use a certificate with an RSA (2048 bits or more) or P-256 key beside or instead of this one, and do not restrict the server's signature algorithms."


def check(facts: Facts) -> Iterator[Finding]:
    for found in obstructed(facts, "negotiation.signature"):
        yield found.finding(
            explanation=f"{found.place} has no key or signature scheme that current clients accept{wants(found.looks)}.",
            fix=_FIX,
            next_command=s_client(found.looks[0], "-msg"),
        )
    yield from partly(facts, "negotiation.signature", lacks="signature algorithm", fix=_FIX)


RULE = Rule(code="negotiation.signature", source="RFC 8446 section 4.2.3", check=check)
