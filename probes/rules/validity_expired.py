"""The leaf is past its notAfter. Hurts everyone (RFC 5280 section 4.1.2.5)."""

from __future__ import annotations

from collections.abc import Iterator

from probes.facts import Facts
from probes.model import Finding, Rule
from probes.rules.phrase import date, duration
from probes.rules.untimely import untimely


def check(facts: Facts) -> Iterator[Finding]:
    for found in untimely(facts, "validity.expired"):
        ended = found.leaf.not_after
        yield found.finding(
            explanation=f"{found.subject} expired {duration(facts.now - ended)} ago, on {date(ended)}.",
            fix="Renew and deploy it: then reload the server, since a renewed file that nobody reloaded looks exactly like this. If the renewal failed, its log (certbot, acme client) says why.",
            next_command=found.next_command,
        )


RULE = Rule(code="validity.expired", source="RFC 5280 section 4.1.2.5", check=check)
