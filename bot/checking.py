"""A check from the request to its report: in which message it stands, how far it is, and what becomes of a fault."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace

from bot import check_notes, commands, incidents
from bot.answers import Answers, reply
from bot.cases import Cases, below, root_note
from bot.history import History
from bot.identities import Identities
from bot.looks import Checker
from bot.model import Act, Check, Content, Incident, Intake, Note, PastCheck
from bot.pace import Pace
from bot.render import explain, report, words
from bot.render import incident as room
from bot.verdicts import Verdicts
from probes.model import Report, UsageError

_MOST_AT_ONCE = 32
_QUIET_S = 1.5  # most checks end before; what takes longer says how far it is
_PROGRESS_EVERY_S = 2.0  # over all checks: edits are few (Slack's Tier 3), and verdicts need them more


class Checking:
    """Makes the checks that people ask for."""

    def __init__(
        self,
        *,
        history: History,
        answers: Answers,
        cases: Cases,
        identities: Identities,
        checker: Checker,
        verdicts: Verdicts,
    ) -> None:
        self._history = history
        self._answers = answers
        self._cases = cases
        self._identities = identities
        self._checker = checker
        self._verdicts = verdicts
        self._slots = asyncio.Semaphore(_MOST_AT_ONCE)
        self._progress = Pace(1, _PROGRESS_EVERY_S)
        self._running: set[str] = set()  # keys of headlines whose check runs

    def acts(self) -> dict[str, Act]:
        """What *Check again* does, and the button under an explanation."""
        return {report.AGAIN: self._again, explain.CHECK: self._named}

    async def look_at(self, team: str, check: Check) -> Report:
        """A check that nobody sees being made. Raises UsageError when it may not be."""
        armed = await self._identities.armed(team, check)
        if check.is_background:  # the prober bounds it: it takes nobody's slot while it waits
            return await self._checker(armed, lambda _: None)
        async with self._slots:
            return await self._checker(armed, lambda _: None)

    # ── in which message ────────────────────────────────────────────────────────

    async def begin(self, intake: Intake, check: Check) -> None:
        """A check as `check …` makes it: its headline, its details, its incident."""
        headline = check_notes.headline(intake, report.checking(check.target, intake.user))
        standing = None
        if not await self._history.is_noted(headline.key):  # else it was begun before, and goes on where it stands
            standing = await self._to_be_joined(intake, check)
        if standing is None:
            await self._check(intake, check, headline, before=None)
        else:
            await self._further(intake, check, standing)

    async def _to_be_joined(self, intake: Intake, check: Check) -> Incident | None:
        """The incident that a check of the same endpoint belongs to, if its message can be seen."""
        found = await self._cases.standing(intake.team, intake.channel, incidents.endpoint_of(check.target))
        if found is None:
            return None
        _, is_given_up = await self._history.posted_as(found.root)
        return None if is_given_up else found

    async def _further(self, intake: Intake, check: Check, standing: Incident) -> None:
        """A check of what has an incident here: in its thread, and whoever asked gets the way there."""
        link = await self._cases.link(standing)
        old = await self._history.check(standing.last_check)
        is_the_same = old is not None and commands.written(check) == old.command
        if not is_the_same and not incidents.speaks_for(check):
            await self._answers.note(reply(intake, room.linked(standing, link)))
            content = report.checking(check.target, intake.user)
            headline = replace(below(standing, "", content), key=check_notes.headline_key(intake))
            await self._check(intake, check, headline, before=None)
            return
        if standing.root in self._running:
            await self._answers.private(intake, room.linked(standing, link, is_running=True))
            return
        await self._answers.note(reply(intake, room.linked(standing, link)))
        content = report.checking(check.target, intake.user, before=old.report if old else None)
        await self._check(intake, check, root_note(standing, content), before=old)

    async def _again(self, intake: Intake) -> None:
        old = await self._history.check_behind(intake)
        if old is None:
            await self._answers.private(intake, words.stale_button())
            return
        newest = await self._history.newest_of(old.headline)
        old = (await self._history.check(newest) if newest is not None else None) or old
        check = commands.parse(old.command)
        if not isinstance(check, Check):
            await self._answers.private(intake, words.stale_button())
            return
        if old.headline in self._running:
            await self._answers.private(intake, words.running_already(old.report.target))
            return
        standing = await self._to_be_joined(intake, check)
        if standing is not None and standing.root != old.headline and incidents.speaks_for(check):
            await self._further(intake, check, standing)
            return
        content = report.checking(check.target, intake.user, before=old.report)
        await self._check(intake, check, check_notes.headline_of(old, content, thread_ts=intake.thread_ts), before=old)

    async def _named(self, intake: Intake) -> None:
        """The button under an explanation: check the host that the text named."""
        check = commands.parse(intake.text)
        if isinstance(check, Check):
            await self.begin(intake, check)
        else:
            await self._answers.private(intake, words.unknown_button())

    # ── making it ───────────────────────────────────────────────────────────────

    async def _check(self, intake: Intake, check: Check, headline: Note, *, before: PastCheck | None) -> None:
        self._running.add(headline.key)
        try:
            await self._answers.note(replace(headline, is_passing=True))
            try:
                async with self._slots, self._progress_of(headline, intake, check, before) as on_progress:
                    # Unsealed for this one call: what is kept and shown of the check has the name alone.
                    armed = await self._identities.armed(intake.team, check, user=intake.user)
                    seen = await self._checker(armed, on_progress)
            except UsageError as error:
                await self._declined(intake, headline, report.declined(check.target, str(error)), before)
            else:
                await self._verdicts.conclude(intake, check, headline, seen, before)
        finally:
            self._running.discard(headline.key)
            self._answers.wake()

    @asynccontextmanager
    async def _progress_of(
        self, headline: Note, intake: Intake, check: Check, before: PastCheck | None
    ) -> AsyncIterator[Callable[[str], None]]:
        """While the block runs, and if it runs long, the headline says what was told last."""
        told = ""

        def on_progress(text: str) -> None:
            nonlocal told
            told = text

        async def edits() -> None:
            shown = ""
            await asyncio.sleep(_QUIET_S)
            while True:
                if told != shown:
                    await self._progress.turn()
                    shown = told
                    content = report.checking(
                        check.target, intake.user, before=before.report if before else None, progress=shown
                    )
                    await self._answers.note(replace(headline, content=content, is_passing=True))
                await asyncio.sleep(_PROGRESS_EVERY_S / 4)

        editing = asyncio.create_task(edits(), name=f"progress {intake.id}")
        try:
            yield on_progress
        finally:
            # What it was writing comes before what is written next: the memory has one thread.
            editing.cancel()
            await asyncio.gather(editing, return_exceptions=True)

    # ── when none is made ───────────────────────────────────────────────────────

    async def _declined(self, intake: Intake, headline: Note, why: Content, before: PastCheck | None) -> None:
        """The check was not made. What the message said of an earlier one stands; the asker learns why."""
        if before is None:
            await self._answers.finish(intake, replace(headline, content=why))
        else:
            await self._answers.finish(intake, *await self._verdicts.as_before(before), reply(intake, why))

    async def failed(self, intake: Intake, error_id: str) -> None:
        """A check failed by our own fault: its headline says so, or the incident's root says again what it did."""
        check = commands.parse(intake.text)
        if not isinstance(check, Check):
            await self._answers.fault(intake, error_id)
            return
        standing = await self._history.standing(intake.team, intake.channel, incidents.endpoint_of(check.target))
        if standing is None or await self._history.is_noted(check_notes.headline_key(intake)):
            note = check_notes.headline(intake, report.unfinished(check.target, error_id))
            await self._answers.finish(intake, note, error=error_id)
        else:
            await self._restored(intake, await self._history.check(standing.last_check), error_id)

    async def again_failed(self, intake: Intake, error_id: str) -> None:
        """*Check again* failed by our own fault."""
        await self._restored(intake, await self._history.check_behind(intake), error_id)

    async def _restored(self, intake: Intake, old: PastCheck | None, error_id: str) -> None:
        """The headline said "checking again": it goes back to what is known."""
        notes = [reply(intake, words.fault(error_id, what="That"))]
        if old is not None:
            notes += await self._verdicts.as_before(old)
        await self._answers.finish(intake, *notes, error=error_id)
