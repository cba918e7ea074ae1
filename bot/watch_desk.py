"""What people ask of the watch list: add, list, remove, snooze, import, sweep. Each is a request that is stored."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Final

from bot import imports, schedule
from bot.admins import Admins
from bot.alarms import LOOK
from bot.answers import Answers
from bot.dropped import DroppedFiles
from bot.history import History
from bot.identities import Identities, check_covered
from bot.model import Check, Content, Intake, Note, StoredIdentity
from bot.render import imports as import_words
from bot.render import watch as render
from bot.render import words
from bot.wanted import Problem, Wanted
from bot.watch import Watching
from bot.watch_form import FieldError, given
from bot.watched import LONGEST_SNOOZE_D, MOST_WATCHED, Lookout, Watch, WatchCommand
from bot.watchlist import Watchlist
from probes.model import Target, UsageError, shown

_ADDED_AT_ONCE: Final = 200  # watches a transaction: acknowledgements wait for the memory's thread


class WatchDesk:
    """Answers everything that is asked about watches."""

    def __init__(
        self,
        *,
        history: History,
        watchlist: Watchlist,
        watching: Watching,
        answers: Answers,
        identities: Identities,
        admins: Admins,
        files: DroppedFiles,
        most: int = MOST_WATCHED,
    ) -> None:
        self._history = history
        self._watchlist = watchlist
        self._watching = watching
        self._answers = answers
        self._identities = identities
        self._admins = admins
        self._files = files
        self._most = most

    def acts(self) -> dict[str, Callable[[Intake], Awaitable[None]]]:
        """What each of its buttons and forms does."""
        return {
            render.WATCH_PAGE: self._turned,
            import_words.WATCH_IMPORT: self._confirmed,
            import_words.WATCH_IMPORT_ALL: self._confirmed,
            render.WATCH_FORM: self._submitted,
            LOOK: self._watching.again,
        }

    async def refusal(self, team: str, user: str) -> str | None:
        """Why *user* may not change watches, or None."""
        return await self._admins.refusal(team, user, "Watches")

    async def command(self, intake: Intake, command: WatchCommand) -> None:
        """Do what was asked, and say what came of it."""
        if command.act == "list":
            await self._answers.as_asked(intake, "watch", await self._page(intake, command.word, 0))
            return
        refusal = await self.refusal(intake.team, intake.user)
        if refusal is not None:
            await self._answers.private(intake, words.answer(refusal))
            return
        try:
            match command.act:
                case "add" if command.target is None:
                    await self._answers.private(intake, render.offer())
                case "add":
                    await self._add(intake, command)
                case "remove":
                    await self._remove(intake, command)
                case "snooze":
                    await self._snooze(intake, command)
                case "sweep":
                    await self._sweep(intake, command.word)
                case "import":
                    await self._preview(intake, command.word)
        except UsageError as error:
            await self._answers.private(intake, words.answer(str(error)))

    # ── one watch ───────────────────────────────────────────────────────────────

    async def _add(self, intake: Intake, command: WatchCommand) -> None:
        assert command.target is not None
        # Raises where the identity is unknown, or bound to other hosts.
        await self._identities.armed(intake.team, Check(target=command.target, identity=command.identity))
        bundle = hashlib.sha256(command.bundle.encode()).hexdigest() if command.bundle else ""
        old = (await self._watchlist.watched(intake.team, intake.channel, [command.target])).get(command.target)
        asked = Wanted(
            target=command.target,
            owner=command.owner,
            labels=command.labels,
            identity=command.identity,
            expected_cas=command.expected_cas,
        )
        watch = _wanted(intake, asked, old)
        if bundle:
            watch = replace(watch, lookout=replace(watch.lookout, bundle=bundle))
        stored = await self._watchlist.add(watch, command.bundle, most=self._most)
        if stored is None:
            await self._answers.private(intake, render.full(self._most))
            return
        await self._watching.reload()
        self._watching.look_now([stored.lookout.id])
        every = schedule.light_every(self._watching.count)
        await self._answers.as_asked(intake, "watch", render.added(stored, old=old, every=every))

    async def _remove(self, intake: Intake, command: WatchCommand) -> None:
        watch = await self._known(intake, command.target)
        if watch is not None:
            await self._watchlist.remove(watch)
            await self._watching.reload()
            await self._answers.as_asked(intake, "watch", render.removed(watch.target))

    async def _snooze(self, intake: Intake, command: WatchCommand) -> None:
        watch = await self._known(intake, command.target)
        if watch is not None:
            span = min(timedelta(seconds=command.snooze_s), timedelta(days=LONGEST_SNOOZE_D))
            until = intake.received_at + span
            await self._watchlist.snooze(watch, until)
            await self._answers.as_asked(intake, "watch", render.snoozed(watch, until))

    async def _known(self, intake: Intake, target: Target | None) -> Watch | None:
        """The watch that is meant; whoever asked is told when there is none."""
        assert target is not None
        watch = await self._watchlist.watching(intake.team, intake.channel, target)
        if watch is None:
            alike = await self._watchlist.of_host(intake.team, intake.channel, target.host, most=render.LINES)
            await self._answers.private(intake, render.unknown(target, [each.target for each in alike]))
        return watch

    async def _submitted(self, intake: Intake) -> None:
        """The form, which was checked before it was stored."""
        try:
            command = given(json.loads(intake.text))
            refusal = await self.refusal(intake.team, intake.user)
            if refusal is None:
                await self._add(intake, command)
                return
        except UsageError as error:
            refusal = str(error)
        except FieldError as error:
            refusal = error.why
        await self._answers.private(intake, words.answer(refusal))

    # ── the list ────────────────────────────────────────────────────────────────

    async def _turned(self, intake: Intake) -> None:
        word, start = render.page_asked(intake.text)
        content = await self._page(intake, word, start)
        await self._answers.private(intake, content, replaces=True)

    async def _page(self, intake: Intake, word: str, start: int) -> Content:
        page = await self._watchlist.page(intake.team, intake.channel, word, start, render.LINES)
        return render.listing(page, word, _now(), self._watching.troubles)

    # ── sweeps ──────────────────────────────────────────────────────────────────

    async def _sweep(self, intake: Intake, word: str) -> None:
        numbers = await self._watchlist.lookouts_of(intake.team, intake.channel, word)
        if not numbers:
            await self._answers.private(intake, render.nothing_to_sweep(word))
            return
        await self._watching.sweep(_progress(intake), numbers)
        await self._answers.finish(intake)

    # ── imports ─────────────────────────────────────────────────────────────────

    async def _preview(self, intake: Intake, file_id: str) -> None:
        thread = intake.thread_ts
        for ts in (intake.message_ts, thread):  # the file came with the message, or into its thread before it
            if not file_id and ts:
                file_id = await self._files.newest_in_thread(intake.team, intake.channel, ts) or ""
        if not file_id:
            await self._answers.private(intake, import_words.how_to_import())
            return
        name, found, digest = await self._read(intake, file_id)
        known = len(await self._watched_here(intake, found))
        content = import_words.preview(name, found, known=known, value=f"{file_id}:{digest}")
        note = replace(_public(intake, f"import:{intake.id}", content), thread_ts=thread or intake.message_ts)
        await self._answers.finish(intake, note)

    async def _confirmed(self, intake: Intake) -> None:
        refusal = await self.refusal(intake.team, intake.user)
        file_id, _, digest = intake.text.partition(":")
        try:
            if refusal is not None:
                raise UsageError(refusal)
            name, found, now_digest = await self._read(intake, file_id)
            if now_digest != digest:
                raise UsageError(f"{name} is not what it was when I showed it. Ask for `watch import` again.")
        except UsageError as error:
            await self._answers.private(intake, words.answer(str(error)))
            return
        if intake.action == import_words.WATCH_IMPORT_ALL:
            found = replace(found, wanted=(*found.wanted, *(Wanted(target=each) for each in found.offered)))
        here = await self._watched_here(intake, found)
        known = len(here)
        stored: list[Watch] = []
        left = 0
        for start in range(0, len(found.wanted), _ADDED_AT_ONCE):
            wanted = [
                _wanted(intake, each, here.get(each.target)) for each in found.wanted[start : start + _ADDED_AT_ONCE]
            ]
            some, without_room = await self._watchlist.add_all(wanted, most=self._most)
            stored += some
            left += without_room
        content = import_words.imported(name, found, len(stored), known, left, self._most)
        place = replace(_public(intake, f"imported:{intake.id}", content), thread_ts=intake.thread_ts)
        key = await self._history.posted_at(intake.channel, intake.message_ts) if intake.message_ts else None
        await self._watching.sweep(_progress(intake), [watch.lookout.id for watch in stored])
        await self._answers.finish(intake, replace(place, key=key) if key else place)

    async def _read(self, intake: Intake, file_id: str) -> tuple[str, imports.Found, str]:
        """The file's name, its targets, and a digest of it. Raises UsageError."""
        file = await self._files.read(intake.team, intake.channel, file_id, most=imports.MOST_BYTES)
        # Parsing a large zone takes a while: not on the loop that acknowledges.
        found = await asyncio.to_thread(imports.read, file.name, file.data)
        if len(found.wanted) > self._most:
            raise UsageError(
                f"I read {len(found.wanted):,} endpoints in {file.name}, and I watch {self._most:,} at most. Split it."
            )
        found = await self._with_identities(intake.team, found)
        return file.name, found, hashlib.sha256(file.data).hexdigest()[:32]

    async def _with_identities(self, team: str, found: imports.Found) -> imports.Found:
        """*found*, less the lines whose client identity there is none of, or is bound to other hosts."""
        if not any(each.identity for each in found.wanted):
            return found
        known = {identity.name: identity for identity in await self._identities.listed(team)}
        wanted, wrong = [], []
        for each in found.wanted:
            why = _not_bound(known, each)
            if why:
                wrong.append(Problem(line=each.line, why=why))
            else:
                wanted.append(each)
        return replace(found, wanted=tuple(wanted), problems=(*wrong, *found.problems))

    async def _watched_here(self, intake: Intake, found: imports.Found) -> dict[Target, Watch]:
        """What of it is watched already."""
        asked = {each.target for each in found.wanted}
        here = await self._watchlist.watched(intake.team, intake.channel, list(asked))
        return {target: watch for target, watch in here.items() if target in asked}


def _not_bound(known: Mapping[str, StoredIdentity], each: Wanted) -> str:
    """Why the target may not be shown the client identity that its line names."""
    if not each.identity:
        return ""
    if each.identity not in known:
        return f"I have no client identity “{shown(each.identity, 40)}”: `/tls identity list` names those that I have"
    try:
        check_covered(known[each.identity], Check(target=each.target))
    except UsageError as error:
        return str(error)
    return ""


def _wanted(intake: Intake, each: Wanted, old: Watch | None) -> Watch:
    """The watch that is asked for; what is not said of it stays as it was."""
    if old is not None:
        return replace(
            old,
            lookout=replace(old.lookout, identity=each.identity or old.lookout.identity),
            owner=each.owner or old.owner,
            labels=each.labels or old.labels,
            expected_cas=each.expected_cas or old.expected_cas,
        )
    return Watch(
        id=0,
        team=intake.team,
        channel=intake.channel,
        lookout=Lookout(id=0, team=intake.team, target=each.target, identity=each.identity),
        owner=each.owner,
        labels=each.labels,
        expected_cas=each.expected_cas,
        added_by=intake.user,
        added_at=_now(),
    )


def _public(intake: Intake, key: str, content: Content) -> Note:
    return Note(
        key=key,
        kind="message",
        team=intake.team,
        channel=intake.channel,
        user=intake.user,
        response_url=intake.response_url,
        content=content,
    )


def _progress(intake: Intake) -> Note:
    """The one message that says how far the sweep is."""
    note = _public(intake, f"sweep:{intake.id}", Content(text="…"))
    return replace(note, thread_ts=intake.thread_ts)


def _now() -> datetime:
    return datetime.now(UTC)
