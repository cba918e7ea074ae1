"""The certificate chosen for the name does not cover it. Hurts everyone."""

from __future__ import annotations

from collections.abc import Iterator

from probes.facts import Facts
from probes.model import Finding, Rule
from probes.rules.misnamed import misnamed


def check(facts: Facts) -> Iterator[Finding]:
    for found in misnamed(facts, "sni.name-mismatch"):
        yield found.finding(
            explanation=f"The certificate that {found.place} serves for {facts.reference} does not cover that name: it is for {found.names}.",
            fix="Issue a certificate with this name among its subjectAltNames, or bind the right one to this name; then reload. A wildcard covers one label only, and browsers do not read the common name.",
        )


RULE = Rule(code="sni.name-mismatch", source="RFC 9525 section 6.3", check=check)
