"""What a look is asked as, and how it is answered; who makes it is chosen elsewhere (`bot.patrol`). Does no I/O."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Protocol

from bot.model import Check
from bot.sighting import Kind, handshake_ms, sighting_of
from bot.watched import Seen, fingerprints, leaves
from probes.model import Report, UsageError


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """One look to be made. `known`: the fingerprint that needs no report; `bundle`: PEM trusted beside the rest."""

    lookout: int
    kind: Kind
    check: Check
    known: str = ""
    bundle: str = field(default="", repr=False)


class Looker(Protocol):
    """Makes a look. Never raises for what the far end does; what could not be looked at says why."""

    async def __call__(self, ask: Ask, /) -> Seen: ...


def told(ask: Ask, report: Report) -> Seen:
    """*report* as the answer to *ask*."""
    sighting = sighting_of(report, kind=ask.kind)
    whole, gist = fingerprints(sighting)
    return Seen(
        lookout=ask.lookout,
        kind=ask.kind,
        at=report.started_at,
        fingerprint=whole,
        gist=gist,
        leaves=leaves(sighting),
        status=report.status,
        cause=report.cause,
        ms=handshake_ms(report) if ask.kind == "light" else {},
        report=None if whole == ask.known else report,
    )


def unmade(ask: Ask, why: str) -> Seen:
    return Seen(lookout=ask.lookout, kind=ask.kind, at=datetime.now(UTC), why=why)


class Checker(Protocol):
    """Makes a check. Raises UsageError when it may not (egress) or cannot be; never for what the far end does.

    `on_progress` is told, in a few words, how far it is.
    """

    def __call__(self, check: Check, on_progress: Callable[[str], None], /) -> Awaitable[Report]: ...


class ByChecks:
    """Looks made by whoever makes people's checks: where there is no patrol. A bundle of one's own needs one."""

    def __init__(self, check: Checker) -> None:
        self._check = check

    async def __call__(self, ask: Ask, /) -> Seen:
        if ask.bundle:
            return unmade(ask, "a CA bundle of its own is trusted by the patrol alone, and this bot runs without it")
        try:
            return told(ask, await self._check(ask.check, lambda _: None))
        except UsageError as error:
            return unmade(ask, str(error))
