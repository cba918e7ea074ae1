"""*Watch until fixed*: looks with growing pauses until an endpoint works, told once; they outlive the process.

Each look is a request of its own, stored before it begins: after a crash it is taken up as any other. What it sees is
recorded when it is news; the same as before only moves the time in the root.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, datetime
from typing import Protocol

from bot import commands, incidents
from bot.casebook import KEEP, Watching
from bot.history import History
from bot.model import Check, Content, Entry, Incident, Intake, Note, PastCheck, Transition, Vigil
from bot.notify import Outbox
from bot.render import incident as room
from bot.response import Response, below, root_note
from probes.model import Report, UsageError

LOOK = "incident.look"


class Checks(Protocol):
    """What makes the looks and draws the conclusions (`bot.work`)."""

    async def look_at(self, team: str, check: Check) -> Report: ...

    async def conclude(
        self, intake: Intake, check: Check, headline: Note, seen: Report, before: PastCheck | None, *, is_a_look: bool
    ) -> None: ...

    def hand_over(self, intake: Intake) -> None: ...


class Vigils:
    """The looks of all vigils, each when it is due."""

    def __init__(self, *, history: History, outbox: Outbox, response: Response, checks: Checks) -> None:
        self._history = history
        self._outbox = outbox
        self._response = response
        self._checks = checks

    async def run(self) -> None:
        """Begin each look when it is due. Runs until it is cancelled."""
        while True:
            self._response.vigil_begun.clear()
            vigil = await self._history.next_look()
            wait = None if vigil is None or vigil.next_at is None else (vigil.next_at - _now()).total_seconds()
            if vigil is not None and wait is not None and wait <= 0:
                await self._begin(vigil)
                continue
            try:
                await asyncio.wait_for(self._response.vigil_begun.wait(), wait)
            except TimeoutError:
                continue

    async def _begin(self, vigil: Vigil) -> None:
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
            self._checks.hand_over(replace(intake, id=number))

    async def look(self, intake: Intake) -> None:
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
            seen = await self._checks.look_at(intake.team, replace(check, is_background=True))
        except UsageError as error:
            await self._end(intake, incident, vigil, room.gave_up_watching(incident, vigil, str(error)))
            return
        if await self._history.vigil(incident.id) is None:  # resolved, or called off, while we looked
            await self._history.looked(intake.id, None, (), _now())
        elif (seen.status, seen.cause) == (old.report.status, old.report.cause):
            await self._same(intake, incident, vigil, old)
        else:
            headline = root_note(incident, Content(text="…"))
            await self._checks.conclude(intake, check, headline, seen, old, is_a_look=True)
        self._outbox.wake()
        self._response.vigil_begun.set()

    async def _same(self, intake: Intake, incident: Incident, vigil: Vigil, old: PastCheck) -> None:
        async with self._response.alone(incident.channel, incident.endpoint):
            after = looked(vigil, _now())
            current = await self._history.incident(incident.id) or incident
            notes = []
            # Meanwhile somebody may have checked, resolved or stopped it: then the root says something newer.
            if current.last_check == old.id and await self._history.vigil(incident.id) is not None:
                notes.append(root_note(current, room.root(current, old, after)))
            await self._history.looked(intake.id, after, notes, _now())

    async def failed(self, intake: Intake, error_id: str) -> None:
        """A look that failed by our own fault is over; the next one comes."""
        await self._history.finish(intake.id, _now(), (), error=error_id)
        vigil = await self._history.vigil(_number(intake))
        if vigil is not None:
            await self._history.looked(intake.id, looked(vigil, vigil.looked_at), (), _now())
            self._response.vigil_begun.set()

    async def _end(self, intake: Intake, incident: Incident, vigil: Vigil, told: Content | None) -> None:
        async with self._response.alone(incident.channel, incident.endpoint):
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


def looked(vigil: Vigil, looked_at: datetime | None) -> Vigil:
    """The vigil after a look, with the time of the next one."""
    return replace(vigil, looked_at=looked_at, next_at=_now() + incidents.pause_after(vigil.looks))


def vigil_after(transition: Transition, vigil: Vigil | None, at: datetime, *, is_a_look: bool) -> Watching:
    """What becomes of a vigil when a check is recorded."""
    if vigil is None:
        return KEEP
    if transition.kind == "recovered":
        return None
    return looked(vigil, at) if is_a_look else KEEP


def _number(intake: Intake) -> int:
    return int(intake.text)


def _now() -> datetime:
    return datetime.now(UTC)
