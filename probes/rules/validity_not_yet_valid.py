"""The leaf is before its notBefore. Hurts everyone whose clock is right (RFC 5280 section 4.1.2.5)."""

from __future__ import annotations

from collections.abc import Iterator

from probes.facts import Facts
from probes.model import Finding, Rule
from probes.rules.phrase import date, duration
from probes.rules.untimely import untimely


def check(facts: Facts) -> Iterator[Finding]:
    for found in untimely(facts, "validity.not-yet-valid"):
        begins = found.leaf.not_before
        yield found.finding(
            explanation=f"{found.subject} is not valid before {date(begins)}, {duration(begins - facts.now)} from now.",
            fix="Serve the previous certificate until then, or issue it anew with a notBefore in the past; check the clock of the issuing CA.",
            next_command=found.next_command,
        )


RULE = Rule(code="validity.not-yet-valid", source="RFC 5280 section 4.1.2.5", check=check)
