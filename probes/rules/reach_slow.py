"""The handshake works, but its first byte takes over a second longer than a round trip, again and again."""

from __future__ import annotations

from collections.abc import Iterator

from probes.facts import Facts
from probes.look import Look
from probes.model import Finding, Rule
from probes.rules.phrase import addresses, many, s_client, where

_SLOW_MS = 1000.0
_TRIES = 3


def _waits(look: Look) -> list[float]:
    """Milliseconds between the ClientHello and the first byte, beyond the round trip of the quickest TCP connect."""
    timed = [shake.timing for shake in look.agreed]
    round_trip = min((t.tcp for t in timed if t.tcp is not None), default=0.0)
    return sorted(t.first_byte - t.tcp - round_trip for t in timed if t.first_byte is not None and t.tcp is not None)


def check(facts: Facts) -> Iterator[Finding]:
    waits = {look: _waits(look) for look in facts.looks if look.works}
    slow = tuple(look for look, waited in waits.items() if len(waited) >= _TRIES and waited[0] > _SLOW_MS)
    if not slow:
        return
    yield Finding(
        code="reach.slow",
        severity="warning",
        explanation=f"{where(slow)} answers every handshake, but only {waits[slow[0]][0] / 1000:.1f} s or more after the ClientHello.",
        evidence=tuple(
            f"{look.address}: first byte {waits[look][0]:.0f} to {waits[look][-1]:.0f} ms after the round trip, "
            f"in each of {many(len(waits[look]), 'handshake')}"
            for look in slow
        ),
        addresses=addresses(slow),
        fix="Something waits before TLS answers: a reverse DNS or PROXY-header time-out, an inspect-delay, a key in a slow HSM, or a starved CPU. Clients with short time-outs fail first.",
        next_command=f"time {s_client(slow[0])}",
    )


RULE = Rule(code="reach.slow", source="RFC 8446 section 2", check=check)
