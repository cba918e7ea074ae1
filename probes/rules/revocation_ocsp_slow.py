"""An OCSP responder takes over two seconds: what looks like a hanging handshake is a client that waits for it (RFC 5019 section 6)."""

from __future__ import annotations

from collections.abc import Iterator

from probes.facts import Facts
from probes.model import Finding, Rule
from probes.rules.phrase import subject
from probes.rules.sourced import Sourced, checking, slow, title


def _explain(found: Sourced) -> str:
    source = found.first
    took = f"takes {source.median_ms / 1000:.1f} s, at worst {source.worst_ms / 1000:.1f} s,"
    if not source.is_slow:
        took = f"took {source.worst_ms / 1000:.1f} s once in {len(source.samples_ms)} tries"
    asking = checking("soft", "hard")
    who = f" ({asking})" if asking else ""
    return f"The {title(source)} {took} to answer about “{subject(source.certificate)}”: clients that ask it before they go on{who} hang that long, up to their own time-out, as if the handshake were slow."


def check(facts: Facts) -> Iterator[Finding]:
    yield from slow(
        facts,
        "ocsp",
        explain=_explain,
        fix="Staple the response (nginx `ssl_stapling on;`, Apache `SSLUseStapling on`), so that no client has to ask; tell the authority, or put more or nearer responders behind the name if it is your own.",
    )


RULE = Rule(code="revocation.ocsp-slow", source="RFC 5019 section 6; RFC 6066 section 8", check=check)
