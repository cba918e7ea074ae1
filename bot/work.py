"""What listeners hand over: check, record, step, announce; history; the buttons. And taking it up again after a crash.

A request's number (`Intake.id`) names everything that comes of it: the check, and the keys of its messages. So a
request that is begun a second time finds what the first attempt left and says nothing twice.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Protocol, assert_never

from bot import commands, incidents
from bot.history import History
from bot.identities import Identities
from bot.model import (
    Check,
    Content,
    ExplainText,
    Help,
    HistoryQuery,
    IdentityCommand,
    Intake,
    Misread,
    Note,
    NotYet,
    PastCheck,
    TriageCommand,
)
from bot.notify import Outbox, Pace
from bot.render import changes, explain, listing, repair, report, words
from bot.render import identities as identity
from bot.rooms import Rooms
from bot.supervisor import Supervisor
from bot.triage_work import Triaging
from probes.codec import to_json
from probes.model import Report, UsageError

LOG = logging.getLogger("bot.work")
DEADLINE_S = 120.0  # a check keeps its own, shorter one; this is for our faults
_MOST_AT_ONCE = 32
_MOST_ROOMS = 40  # other channels that a page of history looks into; conversations.info is Tier 3 (50 a minute)
# A request begun this often over this long is what takes the process down. Either alone proves nothing: a process that
# is killed again and again for other reasons is to finish what it was asked.
_MOST_ATTEMPTS = 10
_TRIED_LONG_ENOUGH = timedelta(hours=1)
_QUIET_S = 1.5  # most checks end before; what takes longer says how far it is
_PROGRESS_EVERY_S = 2.0  # over all checks: edits are few (Slack's Tier 3), and verdicts need them more


class Checker(Protocol):
    """Makes a check. Raises UsageError when it may not (egress) or cannot be; never for what the far end does.

    `on_progress` is told, in a few words, how far it is.
    """

    def __call__(self, check: Check, on_progress: Callable[[str], None], /) -> Awaitable[Report]: ...


def now() -> datetime:
    return datetime.now(UTC)


class Work:
    """Everything that happens after an acknowledgement."""

    def __init__(
        self,
        *,
        history: History,
        outbox: Outbox,
        rooms: Rooms,
        supervisor: Supervisor,
        checker: Checker,
        identities: Identities,
    ) -> None:
        self.identities = identities
        self._history = history
        self._rooms = rooms
        self._outbox = outbox
        self._supervisor = supervisor
        self._checker = checker
        self._slots = asyncio.Semaphore(_MOST_AT_ONCE)
        self._progress = Pace(1, _PROGRESS_EVERY_S)
        self._stepping: dict[tuple[str, str], asyncio.Lock] = {}
        self._triage = Triaging(
            history=history,
            outbox=outbox,
            checker=checker,
            first_check=self._first_check,
            quotable=self._quotable,
        )
        self._running: set[str] = set()  # keys of headlines whose check runs

    def hand_over(self, intake: Intake) -> None:
        """Begin a request that is stored. Never raises: it is called after the acknowledgement."""

        async def on_fault(error_id: str) -> None:
            await self._tell_fault(intake, error_id)

        self._supervisor.start(self._run(intake), name=f"request {intake.id}", deadline_s=DEADLINE_S, on_fault=on_fault)

    async def recover(self) -> int:
        """Take up what an earlier process was asked and did not finish; how many requests that is."""
        unfinished = await self._history.unfinished()
        for intake in unfinished:
            LOG.info("taking up request=%s kind=%s", intake.id, intake.kind)
            self.hand_over(intake)
        return len(unfinished)

    async def _run(self, intake: Intake) -> None:
        attempts = await self._history.begin(intake.id)
        if attempts >= _MOST_ATTEMPTS and now() - intake.received_at > _TRIED_LONG_ENOUGH:
            await self._tell_fault(intake, f"request-{intake.id}")
            return
        match intake.action:
            case None:
                await self._command(intake)
            case report.AGAIN:
                await self._again(intake)
            case report.RAW:
                await self._raw(intake)
            case repair.ALL:
                await self._repairs(intake)
            case report.CHANGED:
                await self._changed(intake)
            case listing.OLDER:
                await self._older(intake)
            case str(action) if action in self._triage.acts():
                await self._triage.acts()[action](intake)
            case explain.CHECK:
                await self._check_named(intake)
            case _:
                await self._answer(intake, words.unknown_button())

    async def _command(self, intake: Intake) -> None:
        command = commands.parse(intake.text)
        match command:
            case Check():
                await self._first_check(intake, command)
            case HistoryQuery(word=word):
                await self._history_page(intake, word)
            case IdentityCommand():
                await self._identity(intake, command)
            case TriageCommand():
                await self._triage.begin(intake, command)
            case ExplainText(text=text):
                await self._explanation(intake, text)
            case Help() | NotYet() | Misread():
                await self._answer(intake, at_once(command))
            case _:
                assert_never(command)

    # ── checks ──────────────────────────────────────────────────────────────────

    async def _first_check(self, intake: Intake, check: Check) -> None:
        headline = _headline(intake, report.checking(check.target, intake.user))
        await self._check(intake, check, headline, before=None)

    async def _again(self, intake: Intake) -> None:
        old = await self._known(intake)
        if old is None:
            return
        newest = await self._history.newest_of(old.headline)
        old = (await self._history.check(newest) if newest is not None else None) or old
        check = commands.parse(old.command)
        if not isinstance(check, Check):
            await self._answer(intake, words.stale_button())
            return
        if old.headline in self._running:
            await self._answer(intake, words.running_already(old.report.target))
            return
        headline = Note(
            key=old.headline,
            kind="message",
            team=intake.team,
            channel=intake.channel,
            content=report.checking(check.target, intake.user, before=old.report),
        )
        await self._check(intake, check, headline, before=old)

    async def _check(self, intake: Intake, check: Check, headline: Note, *, before: PastCheck | None) -> None:
        self._running.add(headline.key)
        try:
            await self._noted(headline)
            try:
                async with self._slots, self._progress_of(headline, intake, check, before) as on_progress:
                    # Unsealed for this one call: what is kept and shown of the check has the name alone.
                    seen = await self._checker(await self.identities.armed(intake.team, check), on_progress)
            except UsageError as error:
                await self._history.finish(
                    intake.id, now(), (_saying(headline, report.declined(check.target, str(error))),)
                )
            else:
                await self._conclude(intake, check, headline, seen, before)
        finally:
            self._running.discard(headline.key)
            self._outbox.wake()

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
                    await self._noted(_saying(headline, content))
                await asyncio.sleep(_PROGRESS_EVERY_S / 4)

        editing = asyncio.create_task(edits(), name=f"progress {intake.id}")
        try:
            yield on_progress
        finally:
            # What it was writing comes before what is written next: the memory has one thread.
            editing.cancel()
            await asyncio.gather(editing, return_exceptions=True)

    async def _conclude(
        self, intake: Intake, check: Check, headline: Note, seen: Report, before: PastCheck | None
    ) -> None:
        done = PastCheck(
            id=intake.id,
            team=intake.team,
            channel=intake.channel,
            user=intake.user,
            command=commands.written(check),
            headline=headline.key,
            at=now(),
            report=seen,
        )
        target = str(seen.target)
        async with self._stepping_alone(intake.channel, target):
            transition = incidents.step(await self._history.standing(intake.channel, target), seen.cause)
            notes = [_saying(headline, report.headline(done))]
            if before is not None:
                notes.append(self._below(done, intake, "outcome", report.outcome(done, transition)))
            if before is None or (before.report.status, before.report.cause) != (seen.status, seen.cause):
                notes += self._details(done, intake)
            await self._history.record(done, transition, notes, now())
        LOG.info(
            "checked request=%s target=%s status=%s cause=%s elapsed_ms=%.0f incident=%s",
            intake.id, target, seen.status, seen.cause, seen.elapsed_ms, transition.kind,
        )  # fmt: skip

    @asynccontextmanager
    async def _stepping_alone(self, channel: str, target: str) -> AsyncIterator[None]:
        """Two checks of one target that end together step its incidents one after the other."""
        lock = self._stepping.setdefault((channel, target), asyncio.Lock())
        async with lock:
            yield
        if not lock.locked():
            self._stepping.pop((channel, target), None)

    def _details(self, check: PastCheck, intake: Intake) -> list[Note]:
        """Why, after it what to do, and then the corrected chain; the outbox keeps that order."""
        remedy = report.what_to_do(check)
        why = self._below(check, intake, "why", report.why(check))
        notes = [why] if remedy is None else [why, self._below(check, intake, "remedy", remedy)]
        chain = repair.chain_of(check.report)
        if chain is None:
            return notes
        name, content = repair.chain_name(check.report), repair.chain_file(check.report, chain)
        file = self._file(check, intake, "chain", content, filename=name, text=chain.pem)
        return [*notes, file, self._below(check, intake, "in-place", repair.in_place(check, chain, report.AGAIN))]

    @staticmethod
    def _file(check: PastCheck, intake: Intake, what: str, content: Content, *, filename: str, text: str) -> Note:
        """A file in the same place as `_below`."""
        return Note(
            key=f"check:{check.id}:{what}",
            kind="file",
            team=check.team,
            channel=check.channel,
            parent=check.headline,
            thread_ts=intake.thread_ts,
            content=content,
            filename=filename,
            file_text=text,
        )

    def _below(self, check: PastCheck, intake: Intake, what: str, content: Content) -> Note:
        """A message in the thread of the check's headline, or beside it when that stands in a thread itself."""
        return Note(
            key=f"check:{check.id}:{what}",
            kind="message",
            team=check.team,
            channel=check.channel,
            parent=check.headline,
            thread_ts=intake.thread_ts,
            content=content,
        )

    # ── the other buttons ───────────────────────────────────────────────────────

    async def _raw(self, intake: Intake) -> None:
        check = await self._known(intake)
        if check is None:
            return
        host = "".join(c if c.isalnum() or c in ".-" else "_" for c in check.report.target.host)[:100]
        note = self._file(
            check,
            intake,
            "raw",
            Content(text=f"Raw report of {words.named(check.report.target)}, check {check.id}"),
            filename=f"tls-{host}-{check.report.target.port}-check-{check.id}.json",
            text=json.dumps(to_json(check.report), indent=2, ensure_ascii=False) + "\n",
        )
        await self._once(intake, note)

    async def _repairs(self, intake: Intake) -> None:
        check = await self._known(intake)
        if check is None:
            return
        note = self._file(
            check,
            intake,
            "repairs",
            Content(text=f"What mends {words.named(check.report.target)}, by check {check.id}"),
            filename=f"{repair.stem(check.report)}-repairs.txt",
            text=repair.everything(check.report),
        )
        await self._once(intake, note)

    async def _once(self, intake: Intake, note: Note) -> None:
        """A file that a button asks for stands in its thread once."""
        if await self._history.is_noted(note.key):
            await self._answer(intake, words.uploaded_already())
            return
        await self._finish(intake, note)

    async def _changed(self, intake: Intake) -> None:
        check = await self._known(intake)
        if check is None:
            return
        old = await self._history.check_before(check, seen_in=await self._quotable(intake))
        content = changes.first_look(check) if old is None else changes.changed(old, check)
        key = f"check:{check.id}:changed"
        if old is None or await self._history.is_noted(key):
            await self._answer(intake, content)
            return
        await self._finish(intake, self._below(check, intake, "changed", content))

    async def _known(self, intake: Intake) -> PastCheck | None:
        """The check behind a pressed button; None, and an answer that explains, when it is no longer known."""
        check = await self._history.check(_number(intake.text))
        if check is None or (check.team, check.channel) != (intake.team, intake.channel):
            await self._answer(intake, words.stale_button())
            return None
        return check

    # ── explanations ────────────────────────────────────────────────────────────

    async def _explanation(self, intake: Intake, text: str) -> None:
        content = await asyncio.to_thread(_explained, text)
        await self._answer_as_asked(intake, "explain", content)

    async def _check_named(self, intake: Intake) -> None:
        """The button under an explanation: check the host that the text named."""
        check = commands.parse(intake.text)
        if isinstance(check, Check):
            await self._first_check(intake, check)
        else:
            await self._answer(intake, words.unknown_button())

    # ── client identities ───────────────────────────────────────────────────────

    async def _identity(self, intake: Intake, command: IdentityCommand) -> None:
        if command.act == "list":
            await self._answer(intake, identity.listing(await self.identities.listed(intake.team), now()))
            return
        refusal = await self.identities.refusal(intake.user, to_add=command.act == "add")
        if refusal is not None:
            await self._answer(intake, words.answer(refusal))
        elif command.act == "add":
            await self._answer(intake, identity.offer())
        else:
            was_there = await self.identities.remove(intake.team, command.name)
            await self._answer(intake, identity.removed(command.name, was_there=was_there))

    # ── history ─────────────────────────────────────────────────────────────────

    async def _history_page(self, intake: Intake, word: str) -> None:
        await self._answer_as_asked(intake, "history", await self._page(intake, word, before=None))

    async def _older(self, intake: Intake) -> None:
        try:
            value = json.loads(intake.text)
            word, before = str(value["word"]), int(value["before"])
        except (ValueError, KeyError, TypeError):
            await self._answer(intake, words.unknown_button())
            return
        content = await self._page(intake, word, before=before)
        await self._answer(intake, content)

    async def _page(self, intake: Intake, word: str, *, before: int | None) -> Content:
        seen_in = await self._quotable(intake)
        checks = await self._history.lines(intake.team, word, seen_in=seen_in, before=before, limit=listing.PAGE + 1)
        standing = await self._history.incidents(intake.team, word, seen_in=seen_in, limit=listing.OPEN_INCIDENTS)
        return listing.history(
            word,
            checks[: listing.PAGE],
            standing,
            now(),
            has_older=len(checks) > listing.PAGE,
            is_later_page=before is not None,
        )

    async def _quotable(self, intake: Intake) -> list[str]:
        """The channels whose checks may be told where *intake* was asked: that one itself, and the public ones."""
        others = await self._history.channels(intake.team, limit=_MOST_ROOMS)
        return [intake.channel, *await self._rooms.public([room for room in others if room != intake.channel])]

    # ── saying it ───────────────────────────────────────────────────────────────

    async def _answer(self, intake: Intake, content: Content) -> None:
        """Tell whoever asked, and nobody else; the request is done."""
        await self._finish(intake, reply(intake, content))

    async def _answer_as_asked(self, intake: Intake, what: str, content: Content) -> None:
        """Asked aloud, answered aloud: in a thread it becomes part of the incident. A command's answer is private."""
        if intake.kind != "mention":
            await self._answer(intake, content)
            return
        note = Note(
            key=f"{what}:{intake.id}",
            kind="message",
            team=intake.team,
            channel=intake.channel,
            thread_ts=intake.thread_ts,
            user=intake.user,
            content=content,
        )
        await self._finish(intake, note)

    async def _finish(self, intake: Intake, *notes: Note) -> None:
        await self._history.finish(intake.id, now(), notes)
        self._outbox.wake()

    async def _noted(self, *notes: Note) -> None:
        await self._history.note(notes)
        self._outbox.wake()

    async def _tell_fault(self, intake: Intake, error_id: str) -> None:
        command = commands.parse(intake.text) if intake.action is None else None
        if isinstance(command, Check):
            content = report.unfinished(command.target, error_id)
            note = _headline(intake, content)
            await self._history.finish(intake.id, now(), (note,), error=error_id)
        else:
            notes = [reply(intake, words.fault(error_id, what="That"))]
            old = await self._history.check(_number(intake.text)) if intake.action == report.AGAIN else None
            if old is not None:
                # The headline said "checking again": it goes back to what is known.
                notes.append(
                    Note(
                        key=old.headline,
                        kind="message",
                        team=old.team,
                        channel=old.channel,
                        content=report.headline(old),
                    )
                )
            await self._history.finish(intake.id, now(), notes, error=error_id)
        self._outbox.wake()


def at_once(command: Help | NotYet | Misread) -> Content:
    """The answer to what needs no work."""
    match command:
        case Help(word=word):
            return listing.help_about(word)
        case NotYet(word=word):
            return words.not_yet(word, commands.PLANNED[word], commands.WHAT_WORKS)
        case Misread(answer=answer):
            return words.answer(answer)


def _explained(text: str) -> Content:
    """In a thread of its own: the first text of a process brings the phrases in, a long one takes a while."""
    from probes.explain import explain as causes_of

    return explain.explained(causes_of(text))


def _number(text: str) -> int:
    """The check that a button's value names; 0, which names none, when it is no number."""
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 19 else 0


def _headline(intake: Intake, content: Content) -> Note:
    """The message that a check answers with, to be edited in place; one for each request."""
    return Note(
        key=f"check:{intake.id}",
        kind="message",
        team=intake.team,
        channel=intake.channel,
        thread_ts=intake.thread_ts,
        user=intake.user,
        response_url=intake.response_url,
        content=content,
    )


def _saying(note: Note, content: Content) -> Note:
    """*note* with other words."""
    return Note(
        key=note.key,
        kind=note.kind,
        team=note.team,
        channel=note.channel,
        thread_ts=note.thread_ts,
        user=note.user,
        response_url=note.response_url,
        content=content,
    )


def reply(intake: Intake, content: Content) -> Note:
    """*content* for whoever asked, and for nobody else."""
    return Note(
        key=f"reply:{intake.key}",
        kind="reply",
        team=intake.team,
        channel=intake.channel,
        user=intake.user,
        response_url=intake.response_url,
        thread_ts=intake.thread_ts,
        replace_original=intake.action == listing.OLDER and intake.ephemeral_button,
        content=content,
    )
