"""A signature or key that current clients refuse: SHA-1, MD5, RSA below 2048 bits (CA/B Forum BR 6.1.5, 7.1.3)."""

from __future__ import annotations

from collections.abc import Iterator

from probes.facts import Facts
from probes.model import Finding, Rule
from probes.rules.chained import Chained, chained
from probes.rules.phrase import s_client, subject


def weakness(found: Chained) -> str:
    """What is weak, and where."""
    faults = found.known.best.faults if found.known.best else ()
    weak = [f for f in faults if f.kind in {"weak_signature", "weak_key"}]
    return f"{weak[0].detail} at “{subject(weak[0].certificate)}”" if weak else "a weak key or signature"


def check(facts: Facts) -> Iterator[Finding]:
    for found in chained(facts, "chain.weak"):
        look = found.looks[0]
        yield found.finding(
            explanation=f"{found.place} serves a chain that current clients refuse as too weak: {weakness(found)}.",
            fix="Issue the certificate anew with an RSA key of 2048 bits or a P-256 key, signed with SHA-256 or better.",
            next_command=s_client(look, "-showcerts"),
        )


RULE = Rule(code="chain.weak", source="RFC 9155 section 2; CA/B Forum Baseline Requirements 6.1.5", check=check)
