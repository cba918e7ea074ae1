"""Tells in each channel what looks have seen break and recover.

Alarms are gathered for some seconds, so that what fails together is one message. A broken endpoint opens an incident,
by the path that a person's check takes; many at once are a flood: one message, which grows while more come.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Final, Protocol

from bot import incidents, schedule
from bot.cases import Cases, below, root_note
from bot.history import History
from bot.look_book import Looked
from bot.model import Check, Content, Incident, Intake, Note, PastCheck
from bot.notify import Outbox
from bot.render import watch as render
from bot.watched import Failing, Flood, Watch
from bot.watchlist import Watchlist
from probes.model import Report

LOG = logging.getLogger("bot.alarms")
LOOK: Final = "watch.look"  # the action of the request that an alarm is
GATHERED_S: Final = 5.0  # alarms that come within this time are told together
_MOST_ALONE: Final = 10  # alarms of one channel that get a message each, within
_ALONE_WITHIN: Final = timedelta(minutes=15)


class Checks(Protocol):
    """What draws the conclusions of a look that is news (`bot.verdicts`)."""

    async def conclude(
        self,
        intake: Intake,
        check: Check,
        headline: Note,
        seen: Report,
        before: PastCheck | None,
        *,
        is_a_look: bool,
        along: Callable[[Incident | None], list[Note]],
    ) -> None: ...


class Alarms:
    """What is to be told of full looks, and in which channels it was told already."""

    def __init__(
        self,
        *,
        history: History,
        watchlist: Watchlist,
        outbox: Outbox,
        cases: Cases,
        checks: Checks,
    ) -> None:
        self._history = history
        self._watchlist = watchlist
        self._outbox = outbox
        self._cases = cases
        self._checks = checks
        self._gathered: list[tuple[Watch, Report]] = []
        self._alarmed = asyncio.Event()
        self._recent: dict[tuple[str, str], deque[datetime]] = {}
        self.untold: set[int] = set()  # lookouts of whose last full look some channel does not know yet

    async def gather(self, looked: Sequence[Looked]) -> None:
        """What a full look says of broken endpoints, and of those that were: to be told where it is not known yet."""
        told = {
            one.seen.lookout: one
            for one in looked
            if one.seen.kind == "full" and one.seen.report is not None and self._is_to_be_told(one)
        }
        if not told:
            return
        for watch in await self._watchlist.of_lookouts(list(told)):
            one = told[watch.lookout.id]
            assert one.seen.report is not None
            is_broken = one.seen.status == "broken"
            is_snoozed = watch.snoozed_until is not None and watch.snoozed_until > _now()
            if (is_broken and watch.told != one.seen.cause and not is_snoozed) or (not is_broken and watch.told):
                self._gathered.append((watch, one.seen.report))
                self.untold.add(watch.lookout.id)
        if self._gathered:
            self._alarmed.set()

    @staticmethod
    def _is_to_be_told(one: Looked) -> bool:
        return one.seen.status == "broken" or one.step.verdict == "recovered" or one.step.lookout.status != "broken"

    # ── telling ─────────────────────────────────────────────────────────────────

    async def tell(self, look_again: Callable[[set[int]], None]) -> None:
        """Tell what is gathered, until cancelled. *look_again*: at what could not be told."""
        while True:
            await self._alarmed.wait()
            await asyncio.sleep(GATHERED_S)
            alarms, self._gathered = self._gathered, []
            self._alarmed.clear()
            places: dict[tuple[str, str], list[tuple[Watch, Report]]] = {}
            for watch, report in alarms:
                places.setdefault((watch.team, watch.channel), []).append((watch, report))
            for place, news in places.items():
                try:
                    left = await self._tell_channel(place, news)
                except Exception:
                    LOG.exception("alarms not told channel=%s", place[1])
                    left = [watch for watch, _ in news]
                if left:
                    numbers = {watch.lookout.id for watch in left}
                    self.untold |= numbers
                    look_again(numbers)
            self._outbox.wake()

    async def _told(self, watches: Sequence[Watch], cause: str | None) -> None:
        await self._watchlist.tell(watches, cause)
        self.untold -= {watch.lookout.id for watch in watches}

    async def _tell_channel(self, place: tuple[str, str], news: Sequence[tuple[Watch, Report]]) -> list[Watch]:
        """Tell *news* there; those that could not be told."""
        recent = self._recent.setdefault(place, deque())
        while recent and _now() - recent[0] > _ALONE_WITHIN:
            recent.popleft()
        flooded = {number for flood in await self._open_floods(*place) for number in flood.members}
        broken = [(watch, report) for watch, report in news if report.status == "broken"]
        first_time = [watch for watch, _ in broken if watch.told is None and watch.id not in flooded]
        if len(first_time) + len(recent) > _MOST_ALONE:
            flooded |= {watch.id for watch in first_time}
        # What was told in a flood goes on there, whatever its cause becomes.
        together = [(watch, report) for watch, report in broken if watch.id in flooded]
        if together:
            await self._tell_flood(place, together)
        left = []
        for watch, report in news:
            if report.status == "broken" and watch.id in flooded:
                continue
            try:
                await self._tell_alone(watch, report)
            except Exception:
                LOG.exception("alarm not told watch=%s", watch.id)
                left.append(watch)
        recent.extend([_now()] * len(first_time))
        return left

    async def _tell_alone(self, watch: Watch, report: Report) -> None:
        """By the path of a person's check: an incident, its thread, its recovery."""
        is_broken = report.status == "broken"
        cause = report.cause if is_broken else None
        check = Check(target=watch.target, identity=watch.lookout.identity)
        endpoint = incidents.endpoint_of(watch.target)
        standing = await self._cases.standing(watch.team, watch.channel, endpoint)
        if is_broken or (standing is not None and standing.state == "open"):
            intake = self._intake(watch, report)
            number = await self._history.take_in(intake, verdict="watch")
            if number is not None:
                intake = replace(intake, id=number)
                old = await self._history.check(standing.last_check) if standing is not None else None
                headline = self._headline(intake)
                if standing is not None:
                    _, is_given_up = await self._history.posted_as(standing.root)
                    headline = headline if is_given_up else root_note(standing, Content(text="…"))

                def along(incident: Incident | None) -> list[Note]:
                    """In the same transaction: else a crash between the two would tell it once more."""
                    self._watchlist.mark([watch.id], cause)
                    if incident is None or watch.owner is None or not is_broken:
                        return []
                    return [below(incident, f"owner:{watch.owner}", render.calls(watch))]

                await self._checks.conclude(
                    intake, check, headline, report, old, is_a_look=standing is not None, along=along
                )
                self._outbox.wake()  # the others of this batch are no reason to wait
        if not is_broken:
            await self._recede(watch)
        await self._told([watch], cause)

    def _intake(self, watch: Watch, report: Report) -> Intake:
        return Intake(
            key=f"watch:{watch.id}:{report.started_at.timestamp():.3f}",
            kind="look",
            team=watch.team,
            channel=watch.channel,
            user="",
            text=str(watch.id),
            action=LOOK,
            received_at=_now(),
        )

    @staticmethod
    def _headline(intake: Intake) -> Note:
        return Note(
            key=f"check:{intake.id}",
            kind="message",
            team=intake.team,
            channel=intake.channel,
            content=Content(text="…"),
        )

    # ── floods ──────────────────────────────────────────────────────────────────

    async def _tell_flood(self, place: tuple[str, str], news: Sequence[tuple[Watch, Report]]) -> None:
        """One message for all of them, which grows while more come."""
        team, channel = place
        now = _now()
        begun = Flood(
            key=f"flood:{team}:{channel}:{now.timestamp():.3f}", team=team, channel=channel, began_at=now, members={}
        )
        flood = next(iter(await self._open_floods(*place)), begun)
        new = {
            watch.id: Failing(target=incidents.endpoint_of(watch.target), cause=report.cause or "")
            for watch, report in news
        }
        await self._say_flood(replace(flood, members={**flood.members, **new}), {w.owner for w, _ in news if w.owner})
        by_cause: dict[str, list[Watch]] = {}
        for watch, report in news:
            by_cause.setdefault(report.cause or "", []).append(watch)
        for cause, watches in by_cause.items():
            await self._told(watches, cause)

    async def _open_floods(self, team: str, channel: str) -> list[Flood]:
        found = await self._watchlist.floods(team, channel)
        return [flood for flood in found if _now() - flood.began_at < schedule.DAY]

    async def _recede(self, watch: Watch) -> None:
        """It has recovered: the flood it was told in says so."""
        for flood in await self._watchlist.floods(watch.team, watch.channel):
            member = flood.members.get(watch.id)
            if member is not None and not member.is_over:
                await self._say_flood(
                    replace(flood, members={**flood.members, watch.id: replace(member, is_over=True)}), set()
                )

    async def _say_flood(self, flood: Flood, owners: set[str]) -> None:
        total = await self._watchlist.count(flood.team, flood.channel)
        root = Note(
            key=flood.key, kind="message", team=flood.team, channel=flood.channel, content=render.flood(flood, total)
        )
        notes = [root]
        if owners:
            notes.append(replace(root, key=f"{flood.key}:owners", parent=flood.key, content=render.calls_all(owners)))
        if flood.is_over:
            over = render.flood_over(flood, _now())
            notes.append(replace(root, key=f"{flood.key}:over", parent=flood.key, content=over))
        await self._watchlist.keep_flood(flood, notes)
        self._outbox.wake()


def _now() -> datetime:
    return datetime.now(UTC)
