"""A CRL takes over two seconds to come, by its size or its server: clients that fetch it hang that long (RFC 5280 section 4.2.1.13)."""

from __future__ import annotations

from collections.abc import Iterator

from probes.facts import Facts
from probes.model import Finding, Rule
from probes.rules.phrase import subject
from probes.rules.sourced import Sourced, checking, size, slow, title


def _explain(found: Sourced) -> str:
    source = found.first
    large = size(source.status.size if source.status else source.received)
    took = f"takes {source.median_ms / 1000:.1f} s, at worst {source.worst_ms / 1000:.1f} s,"
    if source.status is None:
        took = "was still coming when the time for it ran out, too slow"
    elif not source.is_slow:
        took = f"took {source.worst_ms / 1000:.1f} s once in {len(source.samples_ms)} tries"
    asking = checking("soft", "hard")
    who = f" ({asking})" if asking else ""
    return f"The {title(source)} ({large}) {took} to be had for “{subject(source.certificate)}”: clients that fetch it before they go on{who} hang that long."


def check(facts: Facts) -> Iterator[Finding]:
    yield from slow(
        facts,
        "crl",
        explain=_explain,
        fix="Have it served from a cache near the clients; if it is your own and has grown large, split it into partitions (issuing distribution points) so that each certificate names a small one.",
    )


RULE = Rule(code="revocation.crl-slow", source="RFC 5280 section 4.2.1.13", check=check)
