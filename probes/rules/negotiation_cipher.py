"""No common cipher suite: alert 40 or 71, cured by suites that current clients do not offer (RFC 8446 section 4.1.1)."""

from __future__ import annotations

from collections.abc import Iterator

from probes.facts import Facts
from probes.model import Finding, Rule
from probes.rules.obstructed import obstructed
from probes.rules.partly import partly
from probes.rules.phrase import s_client, wants

# Nothing was agreed, whatever was offered: alert 40 names no part, and a suite is the likeliest.
_UNKNOWN = " (it agrees to nothing, whatever is offered: a server without a usable certificate or key looks the same)"
_FIX = "Enable ECDHE with AES-GCM or ChaCha20 for TLS 1.2 and the standard TLS 1.3 suites (nginx `ssl_ciphers`, HAProxy `ssl-default-bind-ciphers`)."


def check(facts: Facts) -> Iterator[Finding]:
    for found in obstructed(facts, "negotiation.cipher"):
        yield found.finding(
            explanation=f"{found.place} and current clients have no cipher suite in common{wants(found.looks) or _UNKNOWN}.",
            fix=_FIX,
            next_command=s_client(found.looks[0], "-msg"),
        )
    yield from partly(facts, "negotiation.cipher", lacks="cipher suite", fix=_FIX)


RULE = Rule(code="negotiation.cipher", source="RFC 8446 section 4.1.1", check=check)
