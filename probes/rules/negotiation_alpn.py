"""Alert 120 for the application protocols that clients name, or for http/1.1 alone (RFC 7301 section 3.2)."""

from __future__ import annotations

from collections.abc import Iterator

from probes.facts import Facts
from probes.model import Finding, Rule
from probes.rules.obstructed import obstructed
from probes.rules.phrase import addresses, lines, s_client, where

_FIX = (
    "Let the server accept h2 and http/1.1 in ALPN, or ignore names it does not know (nginx `http2 on;`, HAProxy `alpn h2,http/1.1`). "
    "Clients that send no ALPN pass."
)


def check(facts: Facts) -> Iterator[Finding]:
    for found in obstructed(facts, "negotiation.alpn"):
        yield found.finding(
            explanation=f"{found.place} refuses every application protocol that web clients name in ALPN (h2, http/1.1).",
            fix=_FIX,
            next_command=s_client(found.looks[0], "-alpn", "h2,http/1.1"),
        )
    looks = tuple(look for look in facts.looks if look.works and look.refuses_http1)
    if looks:
        yield Finding(
            code="negotiation.alpn",
            severity="warning",
            explanation=f"{where(looks)} agrees to h2, but refuses clients that name http/1.1 alone (alert 120).",
            evidence=tuple(evidence for look in looks[:3] for evidence in lines(look.tries("http", "small"), at=True)),
            addresses=addresses(looks),
            fails_for=facts.fails_for("negotiation.alpn", looks),
            fix=_FIX,
            next_command=s_client(looks[0], "-alpn", "http/1.1"),
        )


RULE = Rule(code="negotiation.alpn", source="RFC 7301 section 3.2", check=check)
