"""The handshake works, but its first byte takes over a second longer than a round trip, again and again."""

from __future__ import annotations

from collections.abc import Iterator

from probes.facts import Facts
from probes.look import Look
from probes.model import Finding, Rule, Timing
from probes.rules.phrase import addresses, many, s_client, where

_SLOW_MS = 1000.0
_TRIES = 3


def _waits(look: Look) -> list[float]:
    """Milliseconds between the ClientHello and the first byte, beyond the round trip of the quickest TCP connect."""
    timed = [shake.timing for shake in look.agreed]
    round_trip = min((t.tcp for t in timed if t.tcp is not None), default=0.0)
    # Behind STARTTLS the hello leaves when the conversation is through; servers delay a greeting on purpose.
    return sorted(
        t.first_byte - (t.starttls or t.tcp) - round_trip
        for t in timed
        if t.first_byte is not None and t.tcp is not None
    )


def _stages(look: Look) -> str:
    """Where the time of the best handshake went, stage by stage, and which stage took most of it."""
    timing = look.best.timing if look.best is not None else Timing()
    marks = {
        "TCP": timing.tcp,
        "STARTTLS": timing.starttls,
        "ServerHello": timing.server_hello,
        "Certificate": timing.certificate,
        "Finished": timing.finished,
    }
    took: dict[str, float] = {}
    before = 0.0
    for stage, at in marks.items():
        if at is not None:
            took[stage], before = at - before, at
    most = max(took, key=lambda stage: took[stage], default="ServerHello")
    told = ", ".join(f"{stage} {span:.0f} ms" for stage, span in took.items())
    return f"{told}; the wait is for the {most}"


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
        )
        + tuple(f"{look.address}: {_stages(look)}" for look in slow[:4]),
        addresses=addresses(slow),
        fix="Something waits before TLS answers: a reverse DNS or PROXY-header time-out, an inspect-delay, a key in a slow HSM, or a starved CPU. Clients with short time-outs fail first.",
        next_command=f"time {s_client(slow[0])}",
    )


RULE = Rule(code="reach.slow", source="RFC 8446 section 2", check=check)
