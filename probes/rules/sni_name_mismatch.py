"""The certificate chosen for the name does not cover it. Hurts everyone."""

from __future__ import annotations

from collections.abc import Iterator

from probes.facts import Facts
from probes.model import Finding, Rule
from probes.rules.misnamed import misnamed

_FIX = "Issue a certificate with this name among its subjectAltNames, or bind the right one to this name; then reload. A wildcard covers one label only, and browsers do not read the common name."
_FIX_ADDRESS = "Ask by a name that the certificate covers: clients send no server name to an address (RFC 6066 section 3), so it gets the default certificate. Or issue one that lists the address as an iPAddress subjectAltName; a dNSName or the common name does not count."


def check(facts: Facts) -> Iterator[Finding]:
    for found in misnamed(facts, "sni.name-mismatch"):
        yield found.finding(
            explanation=f"The certificate that {found.place} serves for {facts.reference} does not cover that name: it is for {found.names}.",
            fix=_FIX_ADDRESS if facts.evidence.target.server_name is None else _FIX,
            next_command=found.next_command,
        )


RULE = Rule(code="sni.name-mismatch", source="RFC 9525 section 6.3", check=check)
