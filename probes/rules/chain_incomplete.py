"""An intermediate needed for a path to a trusted root is not sent. Hurts all clients that do not fetch it by AIA (RFC 8446 section 4.4.2)."""

from __future__ import annotations

from collections.abc import Iterator

from probes.facts import Facts
from probes.model import Finding, Rule, shown
from probes.rules.chained import Chained, chained
from probes.rules.phrase import issuer, listed, s_client, subject


def missing(found: Chained) -> str:
    """The name of what is missing."""
    wanted = found.known.missing
    return f"“{shown(wanted.subject, 100)}”" if wanted else "that issued its certificate"


def repair(facts: Facts, found: Chained) -> tuple[str, ...]:
    """Can AIA repair it, and with what?"""
    wanted = found.known.missing
    said = []
    if found.known.completes_with:
        complete = listed(f"{subject(c)} (issued by {issuer(c)})" for c in found.known.completes_with)
        said.append(f"AIA can repair it: fetching {complete} completes the path to a trusted root")
    elif wanted is not None and not wanted.ca_issuers:
        said.append("AIA cannot repair it: the certificate names no caIssuers URL")
    for fetched in facts.evidence.fetched:
        if fetched.problem is not None:
            said.append(f"AIA {shown(fetched.url, 100)}: {fetched.problem}")
    if found.known.root is not None:
        said += found.known.root.reasons[:2]
    return tuple(said)


def check(facts: Facts) -> Iterator[Finding]:
    for found in chained(facts, "chain.incomplete"):
        look = found.looks[0]
        yield found.finding(
            explanation=f"{found.place} does not send the intermediate {missing(found)}: clients that do not fetch it themselves fail.",
            fix="Serve the full chain: the leaf, then each intermediate (nginx: `cat leaf.pem intermediate.pem` as `ssl_certificate`, certbot's fullchain.pem); then reload.",
            next_command=s_client(look, "-showcerts"),
            more=repair(facts, found),
        )


RULE = Rule(code="chain.incomplete", source="RFC 8446 section 4.4.2; RFC 5280 section 4.2.2.1", check=check)
