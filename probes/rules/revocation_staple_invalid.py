"""The stapled OCSP response is stale, for another certificate, or badly signed: who reads staples refuses it (RFC 6066 section 8)."""

from __future__ import annotations

from collections.abc import Iterator

from probes.facts import Facts
from probes.model import Finding, Rule
from probes.rules.phrase import addresses
from probes.rules.sourced import again, sourced


def check(facts: Facts) -> Iterator[Finding]:
    found = sourced(facts, facts.standings.bad_staples)
    if found is None:
        return
    first = found.first
    failing = facts.fails_for("revocation.staple-invalid", found.looks)
    yield Finding(
        code="revocation.staple-invalid",
        severity="critical",
        explanation=f"{found.place} staples an OCSP response that no client can use: {first.why}.",
        evidence=found.evidence(),
        addresses=addresses(found.looks),
        fails_for=failing,
        fix="Let the server fetch a new response: reload it, see that it reaches its responder (nginx `resolver`, `ssl_trusted_certificate`; haproxy `ocsp-update on`), and replace a response kept in a file (`ssl_stapling_file`) before its nextUpdate.",
        next_command=again(first, found.looks[0]),
    )


RULE = Rule(code="revocation.staple-invalid", source="RFC 6066 section 8; RFC 6960 section 3.2", check=check)
