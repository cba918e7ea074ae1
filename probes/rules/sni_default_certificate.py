"""With the name sent, the server still serves its default certificate: the name is not routed. Hurts everyone."""

from __future__ import annotations

from collections.abc import Iterator

from probes.facts import Facts
from probes.model import Finding, Rule
from probes.rules.misnamed import misnamed


def check(facts: Facts) -> Iterator[Finding]:
    for found in misnamed(facts, "sni.default-certificate"):
        yield found.finding(
            explanation=f"{found.place} does not know {facts.reference}: it serves its default certificate, for {found.names}.",
            fix="Add the name to the server block or listener that holds its certificate (nginx `server_name`, HAProxy `crt-list`, Apache `ServerName`), reload, and check that the balancer passes the name on.",
            next_command=found.next_command,
        )


RULE = Rule(code="sni.default-certificate", source="RFC 6066 section 3; RFC 9525 section 6", check=check)
