"""*Watch until fixed*: looks with growing pauses until an endpoint works, told once; they outlive the process.

Each look is a request of its own, stored before it begins: after a crash it is taken up as any other. What it sees is
recorded when it is news; the same as before only moves the time in the root.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime

from bot import commands, incidents
from bot.cases import Cases, below, root_note
from bot.checking import Checking
from bot.history import History
from bot.model import Act, Check, Content, Entry, Incident, Intake, PastCheck, Vigil
from bot.notify import Outbox
from bot.render import incident as room
from bot.verdicts import Verdicts
from probes.model import UsageError

LOOK = "incident.look"


class Vigils:
    """The looks of all vigils, each when it is due."""

    def __init__(
        self, *, history: History, outbox: Outbox, cases: Cases, checking: Checking, verdicts: Verdicts
    ) -> None:
        self._history = history
        self._outbox = outbox
        self._cases = cases
        self._checking = checking
        self._verdicts = verdicts
        self._news = asyncio.Event()

    def acts(self) -> dict[str, Act]:
        """What a look does."""
        return {LOOK: self._look}

    def begun(self) -> None:
        """Somebody has an incident watched from now on: `run` looks when."""
        self._news.set()

    async def run(self, hand_over: Callable[[Intake], None]) -> None:
        """Begin each look when it is due. Runs until it is cancelled."""
        while True:
            self._news.clear()
            vigil = await self._history.next_look()
            wait = None if vigil is None or vigil.next_at is None else (vigil.next_at - _now()).total_seconds()
            if vigil is not None and wait is not None and wait <= 0:
                await self._begin(vigil, hand_over)
                continue
            try:
                await asyncio.wait_for(self._news.wait(), wait)
            except TimeoutError:
                continue

    async def _begin(self, vigil: Vigil, hand_over: Callable[[Intake], None]) -> None:
        incident = await self._history.incident(vigil.incident)
        assert incident is not None  # a vigil refers to its incident
        intake = Intake(
            key=f"look:{vigil.incident}:{vigil.started_at.timestamp():.3f}:{vigil.looks}",
            kind="look",
            team=incident.team,
            channel=incident.channel,
            user=vigil.user,
            text=str(vigil.incident),
            action=LOOK,
            received_at=_now(),
            thread_ts=incident.thread_ts,
        )
        number = await self._history.look(vigil, intake)
        if number is not None:
            hand_over(replace(intake, id=number))

    async def _look(self, intake: Intake) -> None:
        """One look: news is recorded and told, the same as before is not."""
        incident = await self._history.incident(_number(intake))
        vigil = await self._history.vigil(incident.id) if incident is not None else None
        old = await self._history.check(incident.last_check) if incident is not None else None
        check = commands.parse(old.command) if old is not None else None
        if incident is None or vigil is None or old is None or not isinstance(check, Check):
            await self._history.looked(intake.id, None, (), _now())
            return
        _, is_given_up = await self._history.posted_as(incident.root)
        if is_given_up:  # archived, or we were sent away: nobody would read what comes of it
            await self._end(intake, incident, vigil, None)
            return
        if _now() - vigil.started_at > incidents.WATCHED_FOR:
            await self._end(intake, incident, vigil, room.gave_up_watching(incident, vigil))
            return
        try:
            seen = await self._checking.look_at(intake.team, replace(check, is_background=True))
        except UsageError as error:
            await self._end(intake, incident, vigil, room.gave_up_watching(incident, vigil, str(error)))
            return
        if await self._history.vigil(incident.id) is None:  # resolved, or called off, while we looked
            await self._history.looked(intake.id, None, (), _now())
        elif (seen.status, seen.cause) == (old.report.status, old.report.cause):
            await self._same(intake, incident, vigil, old)
        else:
            headline = root_note(incident, Content(text="…"))
            await self._verdicts.conclude(intake, check, headline, seen, old, is_a_look=True)
        self._outbox.wake()
        self._news.set()

    async def _same(self, intake: Intake, incident: Incident, vigil: Vigil, old: PastCheck) -> None:
        async with self._cases.alone(incident.channel, incident.endpoint):
            now = _now()
            after = incidents.looked(vigil, now, now=now)
            current = await self._history.incident(incident.id) or incident
            notes = []
            # Meanwhile somebody may have checked, resolved or stopped it: then the root says something newer.
            if current.last_check == old.id and await self._history.vigil(incident.id) is not None:
                notes.append(root_note(current, room.root(current, old, after)))
            await self._history.looked(intake.id, after, notes, now)

    async def failed(self, intake: Intake, error_id: str) -> None:
        """A look that failed by our own fault is over; the next one comes."""
        await self._history.finish(intake.id, _now(), (), error=error_id)
        vigil = await self._history.vigil(_number(intake))
        if vigil is not None:
            now = _now()
            after = incidents.looked(vigil, vigil.looked_at, now=now)
            await self._history.looked(intake.id, after, (), now)
            self._news.set()

    async def _end(self, intake: Intake, incident: Incident, vigil: Vigil, told: Content | None) -> None:
        async with self._cases.alone(incident.channel, incident.endpoint):
            current = await self._history.incident(incident.id) or incident
            check = await self._history.check(current.last_check)
            notes = [] if told is None else [below(current, f"vigil:{vigil.started_at.timestamp():.3f}", told)]
            if told is not None and check is not None:
                notes.append(root_note(current, room.root(current, check, None)))
            entry = Entry(
                key=f"request:{intake.id}", kind="verdict", at=_now(), user=vigil.user, text="the watching ended"
            )
            await self._history.act(intake, current, [entry], notes, _now(), vigil=None)
        self._outbox.wake()


def _number(intake: Intake) -> int:
    return int(intake.text)


def _now() -> datetime:
    return datetime.now(UTC)
