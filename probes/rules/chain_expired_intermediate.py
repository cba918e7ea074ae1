"""An issuing certificate that was sent has expired, and no other path holds. Hurts everyone (RFC 5280 section 6.1.3)."""

from __future__ import annotations

from collections.abc import Iterator

from probes.facts import Facts
from probes.model import Finding, Rule
from probes.rules.chained import Chained, chained
from probes.rules.phrase import s_client, subject


def culprit(found: Chained) -> str:
    """The issuer that is out of its time."""
    faults = found.known.best.faults if found.known.best else ()
    dated = [f for f in faults if f.depth > 0 and f.kind in {"expired", "not_yet_valid"}]
    return subject(dated[0].certificate) if dated else "an issuer"


def check(facts: Facts) -> Iterator[Finding]:
    for found in chained(facts, "chain.expired-intermediate"):
        look = found.looks[0]
        yield found.finding(
            explanation=f"{found.place} sends an intermediate that is out of its time, “{culprit(found)}”; no other path to a trusted root holds.",
            fix="Replace the intermediate by the CA's current one (its AIA URL, or the chain your CA delivers with a renewal); the leaf may stay if the new one has the same key.",
            next_command=s_client(look, "-showcerts"),
        )


RULE = Rule(code="chain.expired-intermediate", source="RFC 5280 section 6.1.3", check=check)
