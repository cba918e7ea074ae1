"""What listeners hand over: check, record, step, announce; history; the buttons. And taking it up again after a crash.

A request's number (`Intake.id`) names everything that comes of it: the check, and the keys of its messages. So a
request that is begun a second time finds what the first attempt left and says nothing twice.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Protocol, assert_never

from bot import commands, incidents
from bot.admins import Admins
from bot.clients import Clients
from bot.ct_desk import CtDesk
from bot.ct_grammar import CtCommand
from bot.digest_times import DigestCommand
from bot.digesting import Digesting
from bot.drawing import Drawing
from bot.dropped import DroppedFiles
from bot.history import History
from bot.identities import Identities
from bot.issuances import Issued
from bot.looks import ByChecks, Looker
from bot.messages import Messages
from bot.model import (
    Check,
    Content,
    Entry,
    ExplainText,
    Help,
    HistoryQuery,
    IdentityCommand,
    Incident,
    Intake,
    Misread,
    Note,
    NotYet,
    PastCheck,
    TimelineNote,
    Transition,
    TriageCommand,
    Vigil,
)
from bot.notify import Outbox
from bot.pace import Pace
from bot.render import changes, explain, figures, help, listing, repair, report, words
from bot.render import ct as ct_words
from bot.render import identities as identity
from bot.render import incident as room
from bot.render import watch as watch_words
from bot.response import Response, below, reply, root_note
from bot.retrospect import Retrospect
from bot.rooms import Rooms
from bot.steps import STEP, Steps
from bot.supervisor import Supervisor
from bot.triage_work import Triaging
from bot.vigils import LOOK, Vigils, vigil_after
from bot.watch import LOOK as ALARM
from bot.watch import NewsOf, Watching, nothing_new
from bot.watch_desk import WatchDesk
from bot.watched import WatchCommand
from bot.watchlist import Watchlist
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
        messages: Messages,
        clients: Clients,
        admins: Admins,
        digests: Digesting,
        ct: CtDesk,
        look: Looker | None = None,
        news_of: NewsOf = nothing_new,
    ) -> None:
        self.identities = identities
        self.digests = digests
        self._ct = ct
        self.response = Response(
            history=history, outbox=outbox, messages=messages, quotable=self._quotable, url_of=clients.url
        )
        self._history = history
        self._rooms = rooms
        self._people = admins.people
        self._outbox = outbox
        self._supervisor = supervisor
        self._checker = checker
        self._slots = asyncio.Semaphore(_MOST_AT_ONCE)
        self._progress = Pace(1, _PROGRESS_EVERY_S)
        self._triage = Triaging(
            history=history,
            outbox=outbox,
            checker=checker,
            first_check=self.first_check,
            quotable=self._quotable,
        )
        self._retrospect = Retrospect(history=history, outbox=outbox, drawing=Drawing(), quotable=self._quotable)
        self._running: set[str] = set()  # keys of headlines whose check runs
        self.vigils = Vigils(history=history, outbox=outbox, response=self.response, checks=self)
        self.steps = Steps(history=history, clients=clients, checks=self)
        self.watchlist = Watchlist(history)
        self.watching = Watching(
            history=history,
            watchlist=self.watchlist,
            outbox=outbox,
            response=self.response,
            identities=identities,
            checks=self,
            look=look or ByChecks(checker),
            news_of=news_of,
        )
        self.watch_desk = WatchDesk(
            history=history,
            watchlist=self.watchlist,
            watching=self.watching,
            outbox=outbox,
            identities=identities,
            admins=admins,
            files=DroppedFiles(clients),
        )
        # What each button, shortcut and event does.
        self._acts: dict[str, Callable[[Intake], Awaitable[None]]] = {
            report.AGAIN: self._again,
            report.RAW: self._raw,
            repair.ALL: self._repairs,
            report.CHANGED: self._changed,
            listing.OLDER: self._turned,
            listing.NEWER: self._turned,
            explain.CHECK: self._check_named,
            figures.FIGURES: self._retrospect.told,
            LOOK: self.vigils.look,
            STEP: self.steps.perform,
            **self.response.acts(),
            **self._triage.acts(),
            **self.watch_desk.acts(),
            **ct.acts(),
        }

    def also(self, acts: Mapping[str, Callable[[Intake], Awaitable[None]]]) -> None:
        """What further buttons and events do."""
        self._acts.update(acts)

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
        if intake.action is None:
            await self._command(intake)
        elif (act := self._acts.get(intake.action)) is not None:
            await act(intake)
        else:
            await self._answer(intake, words.unknown_button())

    async def _command(self, intake: Intake) -> None:
        command = commands.parse(intake.text)
        match command:
            case Check():
                await self.first_check(intake, command)
            case HistoryQuery(figures=True):
                await self._retrospect.told(intake)
            case HistoryQuery(word=word):
                await self._history_page(intake, word)
            case IdentityCommand():
                await self._identity(intake, command)
            case TriageCommand():
                await self._triage.begin(intake, command)
            case WatchCommand():
                await self.watch_desk.command(intake, command)
            case DigestCommand():
                await self.digests.command(intake, command)
            case CtCommand():
                await self._ct.command(intake, command)
            case ExplainText(text=text):
                await self._explanation(intake, text)
            case TimelineNote(text=text):
                await self.response.note(intake, text)
            case Help() | NotYet() | Misread():
                await self._answer(intake, at_once(command))
            case _:
                assert_never(command)

    async def look_at(self, team: str, check: Check) -> Report:
        """A check that nobody sees being made. Raises UsageError when it may not be."""
        if check.is_background:  # the prober bounds it: it takes nobody's slot while it waits
            return await self._checker(await self.identities.armed(team, check), lambda _: None)
        async with self._slots:
            return await self._checker(await self.identities.armed(team, check), lambda _: None)

    # ── checks ──────────────────────────────────────────────────────────────────

    async def first_check(self, intake: Intake, check: Check) -> None:
        """A check as `check …` makes it: its headline, its details, its incident."""
        headline = _headline(intake, report.checking(check.target, intake.user))
        standing = None
        if not await self._history.is_noted(headline.key):  # else it was begun before, and goes on where it stands
            standing = await self._to_be_joined(intake, check)
        if standing is None:
            await self._check(intake, check, headline, before=None)
        else:
            await self._further_check(intake, check, standing)

    async def _to_be_joined(self, intake: Intake, check: Check) -> Incident | None:
        """The incident that a check of the same endpoint belongs to, if its message can be seen."""
        endpoint = incidents.endpoint_of(check.target)
        found = await self.response.standing(intake.team, intake.channel, endpoint)
        if found is None:
            return None
        _, is_given_up = await self._history.posted_as(found.root)
        return None if is_given_up else found

    async def _further_check(self, intake: Intake, check: Check, standing: Incident) -> None:
        """A check of what has an incident here: in its thread, and whoever asked gets the way there."""
        link = await self.response.link(standing)
        old = await self._history.check(standing.last_check)
        is_the_same = old is not None and commands.written(check) == old.command
        if not is_the_same and not incidents.speaks_for(check):
            await self._noted(reply(intake, room.linked(standing, link)))
            content = report.checking(check.target, intake.user)
            headline = replace(below(standing, "", content), key=_headline_key(intake))
            await self._check(intake, check, headline, before=None)
            return
        if standing.root in self._running:
            await self._answer(intake, room.linked(standing, link, is_running=True))
            return
        await self._noted(reply(intake, room.linked(standing, link)))
        content = report.checking(check.target, intake.user, before=old.report if old else None)
        await self._check(intake, check, root_note(standing, content), before=old)

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
        standing = await self._to_be_joined(intake, check)
        if standing is not None and standing.root != old.headline and incidents.speaks_for(check):
            await self._further_check(intake, check, standing)
            return
        headline = Note(
            key=old.headline,
            kind="message",
            team=intake.team,
            channel=intake.channel,
            thread_ts=intake.thread_ts,
            content=report.checking(check.target, intake.user, before=old.report),
        )
        await self._check(intake, check, headline, before=old)

    async def _check(self, intake: Intake, check: Check, headline: Note, *, before: PastCheck | None) -> None:
        self._running.add(headline.key)
        try:
            await self._noted(replace(headline, is_passing=True))
            try:
                async with self._slots, self._progress_of(headline, intake, check, before) as on_progress:
                    # Unsealed for this one call: what is kept and shown of the check has the name alone.
                    armed = await self.identities.armed(intake.team, check, user=intake.user)
                    seen = await self._checker(armed, on_progress)
            except UsageError as error:
                await self._declined(intake, headline, report.declined(check.target, str(error)), before)
            else:
                await self.conclude(intake, check, headline, seen, before)
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
                    await self._noted(replace(headline, content=content, is_passing=True))
                await asyncio.sleep(_PROGRESS_EVERY_S / 4)

        editing = asyncio.create_task(edits(), name=f"progress {intake.id}")
        try:
            yield on_progress
        finally:
            # What it was writing comes before what is written next: the memory has one thread.
            editing.cancel()
            await asyncio.gather(editing, return_exceptions=True)

    async def _declined(self, intake: Intake, headline: Note, why: Content, before: PastCheck | None) -> None:
        """The check was not made. What the message said of an earlier one stands; the asker learns why."""
        if before is None:
            await self._history.finish(intake.id, now(), (_saying(headline, why),))
        else:
            await self._finish(intake, *await self._as_before(before), reply(intake, why))

    async def _as_before(self, old: PastCheck) -> list[Note]:
        """The message that shows *old*, as it was before it said "checking"."""
        incident = await self._history.rooted(old.headline)
        if incident is not None:
            return await self.response.root(incident)
        key, team, channel = old.headline, old.team, old.channel
        return [Note(key=key, kind="message", team=team, channel=channel, content=report.headline(old))]

    async def conclude(
        self,
        intake: Intake,
        check: Check,
        headline: Note,
        seen: Report,
        before: PastCheck | None,
        *,
        is_a_look: bool = False,
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
        endpoint = incidents.endpoint_of(check.target)
        async with self.response.alone(intake.channel, endpoint):
            transition, vigil = await self._stepped(intake, check, headline, done, endpoint)
            issued = await self._issued_before(intake, done, transition)
            told = await self._told_with(intake, done, transition, issued)
            details = before is None or (before.report.status, before.report.cause) != (seen.status, seen.cause)

            def say(incident: Incident | None) -> tuple[list[Entry], list[Note]]:
                notes = self._verdict(headline, done, incident, vigil, transition)
                if is_a_look and incident is not None:
                    notes.append(below(incident, f"look:{done.id}", room.looked_again(done, transition)))
                elif before is not None:
                    notes.append(self._below(done, headline, "outcome", report.outcome(done, transition)))
                if details and not (incident is not None and headline.key != incident.root and not headline.parent):
                    notes += self._details(done, headline)
                if incident is None:
                    return [], notes
                if transition.kind == "recovered" and vigil is not None:
                    notes.append(below(incident, f"recovered:{done.id}", room.recovered(incident, done, vigil)))
                if told is not None:
                    notes.append(below(incident, "context", told))
                events = incidents.certificate_events(before.report if before is not None else None, done)
                logged = [ct_words.timeline_entry(each) for each in issued]
                return [*logged, *events, _verdict_entry(done, transition)], notes

            await self._history.record(
                done, transition, say, now(), vigil=vigil_after(transition, vigil, done.at, is_a_look=is_a_look)
            )
        LOG.info(
            "checked request=%s target=%s status=%s cause=%s elapsed_ms=%.0f incident=%s",
            intake.id, seen.target, seen.status, seen.cause, seen.elapsed_ms, transition.kind,
        )  # fmt: skip

    async def _stepped(
        self, intake: Intake, check: Check, headline: Note, done: PastCheck, endpoint: str
    ) -> tuple[Transition, Vigil | None]:
        """What the check means for the incident of its endpoint, and who watches that."""
        standing = await self._history.standing(intake.team, intake.channel, endpoint)
        if standing is None:
            standing = await self._history.rooted(headline.key)
        if standing is None:
            asked = intake.received_at
            return incidents.step(None, done, asked_at=asked, thread_ts=headline.thread_ts), None
        vigil = await self._history.vigil(standing.id)
        if headline.key != standing.root:
            if headline.parent == standing.root or not incidents.speaks_for(check):
                # It tells of one address, or of one client: the incident is about more.
                return Transition(
                    kind="healthy", was=standing, now=replace(standing, checks=standing.checks + 1)
                ), vigil
            _, is_given_up = await self._history.posted_as(standing.root)
            if is_given_up:  # nobody can see that message: from here on it is this one
                standing = replace(standing, root=headline.key, thread_ts=headline.thread_ts)
        return incidents.step(standing, done, asked_at=intake.received_at), vigil

    async def _issued_before(self, intake: Intake, done: PastCheck, transition: Transition) -> Sequence[Issued]:
        """Certificates for the host of a new incident that were logged within the day before."""
        if transition.kind not in {"opened", "relapsed"}:
            return ()
        host, seen_in = done.report.target.host, await self._quotable(intake)
        return await self._ct.issued_before(intake.team, seen_in, host, done.at)

    async def _told_with(
        self, intake: Intake, done: PastCheck, transition: Transition, issued: Sequence[Issued]
    ) -> Content | None:
        """What a new incident brings with it from the past."""
        if transition.kind != "opened" or transition.now is None:
            return None
        seen_in = await self._quotable(intake)
        good = await self._history.last_good(done, seen_in=seen_in)
        newest = replace(transition.now, id=1 << 62)  # it has no number yet: all others are earlier
        # In a burst of failures, what opened a moment before says nothing yet.
        known = await self.response.alike(newest, seen_in)
        alike = [(each, link) for each, link in known if each.host == newest.host or each.state == "resolved"]
        appeared = [ct_words.appeared(each, newest.host, done.at) for each in issued]
        return room.context_of(newest, done, good, alike, now(), appeared=appeared)

    def _verdict(
        self,
        headline: Note,
        done: PastCheck,
        incident: Incident | None,
        vigil: Vigil | None,
        transition: Transition,
    ) -> list[Note]:
        """The message that was asked for, and the root where that is another one."""
        if incident is None:
            return [_saying(headline, report.headline(done))]
        shown = None if transition.kind == "recovered" else vigil
        if headline.key == incident.root:
            return [_saying(headline, room.root(incident, done, shown))]
        if transition.kind == "healthy" and incident.last_check != done.id:
            return [_saying(headline, report.headline(done))]
        own = room.belonging(report.headline(done), incident)
        return [_saying(headline, own), root_note(incident, room.root(incident, done, shown))]

    def _details(self, check: PastCheck, headline: Note) -> list[Note]:
        """Why, after it what to do, and then the corrected chain; the outbox keeps that order."""
        remedy = report.what_to_do(check)
        why = self._below(check, headline, "why", report.why(check))
        notes = [why] if remedy is None else [why, self._below(check, headline, "remedy", remedy)]
        chain = repair.chain_of(check.report)
        if chain is None:
            return notes
        name, content = repair.chain_name(check.report), repair.chain_file(check.report, chain)
        file = self._file(check, headline, "chain", content, filename=name, text=chain.pem)
        return [*notes, file, self._below(check, headline, "in-place", repair.in_place(check, chain, report.AGAIN))]

    def _file(
        self, check: PastCheck, place: Intake | Note, what: str, content: Content, *, filename: str, text: str
    ) -> Note:
        """A file in the same place as `_below`."""
        return replace(self._below(check, place, what, content), kind="file", filename=filename, file_text=text)

    def _below(self, check: PastCheck, place: Intake | Note, what: str, content: Content) -> Note:
        """A message in the thread of the check's headline, or beside it when that stands in a thread itself."""
        return Note(
            key=f"check:{check.id}:{what}",
            kind="message",
            team=check.team,
            channel=check.channel,
            parent=(place.parent if isinstance(place, Note) else None) or check.headline,
            thread_ts=place.thread_ts,
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
        seen_in = await self._quotable(intake)
        good = await self._history.last_good(check, seen_in=seen_in) if check.report.status == "broken" else None
        old = good or await self._history.check_before(check, seen_in=seen_in)
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
            await self.first_check(intake, check)
        else:
            await self._answer(intake, words.unknown_button())

    # ── client identities ───────────────────────────────────────────────────────

    async def _identity(self, intake: Intake, command: IdentityCommand) -> None:
        if command.act == "list" and not await self.identities.may_use(intake.team, intake.user):
            await self._answer(intake, words.answer("Which client identities there are is for this workspace to know."))
            return
        if command.act == "list":
            await self._answer(intake, identity.listing(await self.identities.listed(intake.team), now()))
            return
        refusal = await self.identities.refusal(intake.team, intake.user, to_add=command.act == "add")
        if refusal is not None:
            await self._answer(intake, words.answer(refusal))
        elif command.act == "add":
            await self._answer(intake, identity.offer())
        else:
            was_there = await self.identities.remove(intake.team, command.name)
            await self._answer(intake, identity.removed(command.name, was_there=was_there))

    # ── history ─────────────────────────────────────────────────────────────────

    async def _history_page(self, intake: Intake, word: str) -> None:
        await self._answer_as_asked(intake, "history", await self._page(intake, word))

    async def _turned(self, intake: Intake) -> None:
        """A page on, or back."""
        try:
            value = json.loads(intake.text)
            word, number = str(value["word"]), int(value["before" if intake.action == listing.OLDER else "after"])
        except (ValueError, KeyError, TypeError):
            await self._answer(intake, words.unknown_button())
            return
        if intake.action == listing.OLDER:
            content = await self._page(intake, word, before=number)
        else:
            content = await self._page(intake, word, after=number)
        await self._answer(intake, content)

    async def _page(self, intake: Intake, word: str, *, before: int | None = None, after: int | None = None) -> Content:
        seen_in = await self._quotable(intake)
        most = listing.PAGE
        lines = await self._history.lines(
            intake.team, word, seen_in=seen_in, before=before, after=after, limit=most + 1
        )
        has_further = len(lines) > most
        lines = lines[:most] if after is None else lines[-most:]
        is_first = before is None and not (after is not None and has_further)
        standing = await self._history.incidents(intake.team, word, seen_in=seen_in, limit=listing.OPEN_INCIDENTS)
        watched = []
        if is_first and word:
            watched = await self.watchlist.remembered(intake.team, word, seen_in=seen_in, limit=3)
        return listing.history(
            word,
            lines,
            standing,
            now(),
            has_older=has_further if after is None else True,
            is_later_page=not is_first,
            is_by_words=bool(word) and not self._history.has_index,
            watched=watch_words.remembered(watched, now()),
            links={each.id: await self.response.link(each) for each in standing},
        )

    async def _quotable(self, intake: Intake) -> list[str]:
        """The channels whose checks may be told where *intake* was asked: that one itself, and the public ones where
        all who read along are members of the workspace, and so is who asked."""
        # Nobody asked for a look: what it says stands in the channel, and there the channel alone decides.
        is_member = not intake.user or await self._people.is_member(intake.team, intake.user)
        if not is_member or await self._rooms.is_shared(intake.team, intake.channel):
            return [intake.channel]
        others = await self._history.channels(intake.team, limit=_MOST_ROOMS)
        others = [room for room in others if room != intake.channel]
        return [intake.channel, *await self._rooms.public(intake.team, others)]

    # ── saying it ───────────────────────────────────────────────────────────────

    async def _answer(self, intake: Intake, content: Content) -> None:
        """Tell whoever asked, and nobody else; the request is done."""
        turns = intake.action in {listing.OLDER, listing.NEWER}
        await self._finish(intake, reply(intake, content, replaces=turns))

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
        if intake.action == LOOK:
            await self.vigils.failed(intake, error_id)
            return
        if intake.action == ALARM:
            await self.watching.again(intake)
            return
        if intake.action == STEP:
            await self.steps.failed(intake, error_id)
            return
        command = commands.parse(intake.text) if intake.action is None else None
        own = _headline_key(intake)
        incident = await self._root_of(intake, command) if isinstance(command, Check) else None
        if isinstance(command, Check) and (
            await self._history.is_noted(own) or not await self._root_of(intake, command)
        ):
            content = report.unfinished(command.target, error_id)
            note = _headline(intake, content)
            await self._history.finish(intake.id, now(), (note,), error=error_id)
        else:
            notes = [reply(intake, words.fault(error_id, what="That"))]
            old = await self._history.check(_number(intake.text)) if intake.action == report.AGAIN else None
            if incident is not None:
                old = await self._history.check(incident.last_check)
            if old is not None:
                # The headline said "checking again": it goes back to what is known.
                notes += await self._as_before(old)
            await self._history.finish(intake.id, now(), notes, error=error_id)
        self._outbox.wake()

    async def _root_of(self, intake: Intake, check: Check) -> Incident | None:
        return await self._history.standing(intake.team, intake.channel, incidents.endpoint_of(check.target))


def _verdict_entry(check: PastCheck, transition: Transition) -> Entry:
    """What the timeline says of a check."""
    seen = check.report
    first = "opened: " if transition.kind == "opened" else ""
    cause = f", {seen.cause}" if seen.cause else ""
    summary = f": {words.clause(seen.summary)}" if seen.status != "ok" else ""
    text = f"{words.SIGN[seen.status]} {first}{words.STATUS[seen.status]}{cause}{summary} ({check.command})"
    return Entry(key=f"check:{check.id}", kind="verdict", at=check.at, user=check.user, text=text, check=check.id)


def at_once(command: Help | NotYet | Misread) -> Content:
    """The answer to what needs no work."""
    match command:
        case Help(word=word):
            return help.help_about(word)
        case NotYet(word=word):
            return words.not_yet(word, commands.PLANNED[word], commands.WHAT_WORKS)
        case Misread():
            return help.misread(command)


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
        key=_headline_key(intake),
        kind="message",
        team=intake.team,
        channel=intake.channel,
        thread_ts=intake.thread_ts,
        user=intake.user,
        response_url=intake.response_url,
        content=content,
    )


def _headline_key(intake: Intake) -> str:
    return f"check:{intake.id}"


def _saying(note: Note, content: Content) -> Note:
    """*note* with other words."""
    return replace(note, content=content)
