"""Looks at what is watched when it is due, remembers what was seen, and tells what broke.

One loop begins looks (`bot.schedule` says which, the patrol makes them, so many at a time), one stores what comes back
in batches and steps each lookout, one tells: alarms are gathered for some seconds, so that what fails together is one
message. A broken endpoint opens an incident, by the path that a person's check takes; it recovers after two good looks.

When what used to work cannot be reached any more, a few others are looked at first: if none of them can, the fault
is nearer to us than to them, and that is what is told, once.
"""

from __future__ import annotations

import asyncio
import heapq
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Final, Protocol

from bot import incidents, schedule
from bot.cases import Cases, below, root_note
from bot.history import History
from bot.identities import Identities
from bot.look_book import Looked, NewsOf
from bot.looks import Ask, Looker
from bot.model import Check, Content, Incident, Intake, Note, PastCheck
from bot.notify import Outbox
from bot.outages import Outage, Outages
from bot.render import watch as render
from bot.sighting import Kind
from bot.watched import Failing, Flood, Look, Lookout, Seen, Tally, Watch
from bot.watchlist import Watchlist
from probes.model import CertificateReport, Report, Target, UsageError

__all__ = ["LOOK", "Checks", "NewsOf", "Watching", "nothing_new"]

LOG = logging.getLogger("bot.watch")
LOOK: Final = "watch.look"  # the action of the request that an alarm is
GATHERED_S: Final = 5.0  # alarms that come within this time are told together
_BATCH: Final = 100  # looks a transaction: acknowledgements wait for the memory's thread
_BATCH_GATHERED_S: Final = 0.1
_MOST_ALONE: Final = 10  # alarms of one channel that get a message each, within
_ALONE_WITHIN: Final = timedelta(minutes=15)
_NEARER_TO_US: Final = frozenset({"reach.dns", "reach.timeout", "reach.unreachable"})
_CANARIES: Final = 5
_DOMAINS: Final = 3
_CANARIES_EVERY_S: Final = 30.0
_PROGRESS_EVERY_S: Final = 3.0
_PRUNED_AFTER_S: Final = 900.0
_UNDER_WAY: Final = 1_000  # looks handed to the patrol and not answered


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


def nothing_new(
    watch: Watch,
    before: Look | None,
    after: Look,
    certificates: Mapping[str, CertificateReport],
    now: datetime,
) -> Sequence[Note]:
    """What is said of a look beside that its endpoint broke or recovered: nothing."""
    return ()


@dataclass(slots=True)
class _Sweep:
    """A sweep that somebody asked for, and the message that shows how far it is."""

    note: Note
    left: set[int]
    tally: Tally
    begun: datetime
    told: Tally | None = None
    failed: list[str] = field(default_factory=list)
    broken: list[tuple[Target, str]] = field(default_factory=list)


class Watching:
    """The looks of all channels. `run` it as a task."""

    def __init__(
        self,
        *,
        history: History,
        watchlist: Watchlist,
        outbox: Outbox,
        cases: Cases,
        identities: Identities,
        checks: Checks,
        look: Looker,
        news_of: NewsOf = nothing_new,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._history = history
        self._watchlist = watchlist
        self._outbox = outbox
        self._cases = cases
        self._identities = identities
        self._checks = checks
        self._look = look
        self._news_of = news_of
        self._clock = clock
        self._started = clock()
        self._lookouts: dict[int, Lookout] = {}
        self._plan: dict[int, schedule.Due] = {}
        self._heap: list[tuple[datetime, int]] = []
        self._running: dict[int, asyncio.Task[None]] = {}
        self._seen: asyncio.Queue[Seen] = asyncio.Queue()
        self._alarms: list[tuple[Watch, Report]] = []
        self._news = asyncio.Event()
        self._alarmed = asyncio.Event()
        self._sweeps: list[_Sweep] = []
        self._recent: dict[tuple[str, str], deque[datetime]] = {}
        self._outages = Outages(history)
        self._outage: Outage | None = None
        self._canaries_at = float("-inf")
        self._untold: set[int] = set()  # lookouts of whose last full look some channel does not know yet
        self.loaded = asyncio.Event()
        self.troubles: dict[int, str] = {}  # lookouts that could not be looked at when it was tried last, and why

    async def run(self) -> None:
        """Look, remember and tell until cancelled."""
        self._started = self._clock()
        await self.reload()
        self._outage = await self._outages.standing()
        self.loaded.set()
        # An alarm, or a recovery, may have been cut off between its look and its telling.
        self._untold |= set(await self._watchlist.untold())
        broken = {number for number, each in self._lookouts.items() if each.status == "broken"}
        self.look_now(sorted(broken | self._untold), "full")
        loops = [
            asyncio.create_task(self._kept_going(loop), name=f"watch {loop.__name__}")
            for loop in (self._begin_looks, self._store_looks, self._tell_alarms, self._tell_progress, self._pruned)
        ]
        try:
            await asyncio.gather(*loops)
        finally:
            tasks = [*loops, *self._running.values()]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            self._running.clear()
            with suppress(Exception):
                await self._break_off_sweeps()

    async def _kept_going(self, loop: Callable[[], Awaitable[None]]) -> None:
        """One batch that fails, by our fault or the disk's, must not end the watching."""
        while True:
            try:
                await loop()
            except Exception:
                LOG.exception("watching loop=%s", getattr(loop, "__name__", loop))
                await asyncio.sleep(1.0)

    @property
    def count(self) -> int:
        """How many endpoints are looked at."""
        return len(self._lookouts)

    # ── what there is to look at ────────────────────────────────────────────────

    async def reload(self) -> None:
        """Watch what the memory says is watched: after something was added or removed."""
        watched = await self._watchlist.numbers()
        for number in self._lookouts.keys() - watched:
            self._lookouts.pop(number, None)
            self._plan.pop(number, None)
        for lookout in await self._watchlist.lookouts(watched - self._lookouts.keys()):
            if lookout.id not in self._lookouts:
                self._lookouts[lookout.id] = lookout
                self._plan_next(lookout.id)

    def look_now(self, numbers: Iterable[int], kind: Kind = "light") -> None:
        """These are due now; one that was never looked at in full is looked at so."""
        now = self._clock()
        for number in numbers:
            lookout = self._lookouts.get(number)
            if lookout is not None:
                chosen: Kind = "full" if lookout.full_at is None else kind
                self._put(number, schedule.Due(at=now, kind=chosen))

    def _plan_next(self, number: int) -> None:
        due = schedule.next_look(self._lookouts[number], len(self._lookouts), self._clock(), since=self._started)
        self._put(number, due)

    def _put(self, number: int, due: schedule.Due) -> None:
        self._plan[number] = due
        heapq.heappush(self._heap, (due.at, number))
        if len(self._heap) > 2 * len(self._lookouts) + _UNDER_WAY:  # mostly plans that sweeps have overtaken
            self._heap = [(planned.at, each) for each, planned in self._plan.items()]
            heapq.heapify(self._heap)
        self._news.set()

    def _due(self) -> int | None:
        """The next lookout whose time has come; what stands in the heap may be older than the plan."""
        while self._heap:
            at, number = self._heap[0]
            planned = self._plan.get(number)
            if planned is None or planned.at != at or number in self._running:
                heapq.heappop(self._heap)
                continue
            if at > self._clock():
                return None
            heapq.heappop(self._heap)
            return number
        return None

    async def _begin_looks(self) -> None:
        while True:
            self._news.clear()
            if self._outage is not None:
                await self._try_canaries(self._outage)
                continue
            while len(self._running) < _UNDER_WAY and (number := self._due()) is not None:
                self._begin(number, self._plan.pop(number).kind)
            wait = None
            if self._heap and len(self._running) < _UNDER_WAY:
                wait = max(0.0, (self._heap[0][0] - self._clock()).total_seconds())
            with suppress(TimeoutError):
                await asyncio.wait_for(self._news.wait(), wait)

    def _begin(self, number: int, kind: Kind) -> None:
        async def made() -> None:
            seen = Seen(lookout=number, kind=kind, at=self._clock(), why="this program failed")
            try:
                seen = await self._made(self._lookouts[number], kind)
            except Exception:
                LOG.exception("look failed lookout=%s", number)
            finally:
                self._seen.put_nowait(seen)

        self._running[number] = asyncio.create_task(made(), name=f"watch look {number}")

    async def _made(self, lookout: Lookout, kind: Kind) -> Seen:
        check = Check(target=lookout.target, identity=lookout.identity, light=kind == "light")
        try:
            armed = await self._identities.armed(lookout.team, check)
        except UsageError as error:
            return Seen(lookout=lookout.id, kind=kind, at=self._clock(), why=str(error))
        known = lookout.light if kind == "light" else lookout.full
        # What is to be told is told from its report, even if a look like it was stored before.
        if kind == "full" and (lookout.status == "broken" or lookout.id in self._untold):
            known = ""
        bundle = await self._watchlist.bundle(lookout.bundle) if lookout.bundle else ""
        return await self._look(Ask(lookout=lookout.id, kind=kind, check=armed, known=known, bundle=bundle))

    # ── what came of it ─────────────────────────────────────────────────────────

    async def _store_looks(self) -> None:
        while True:
            batch = [await self._seen.get()]
            await asyncio.sleep(_BATCH_GATHERED_S)
            while len(batch) < _BATCH and not self._seen.empty():
                batch.append(self._seen.get_nowait())
            try:
                await self._store(batch)
            finally:
                for seen in batch:
                    self._running.pop(seen.lookout, None)
                    planned = self._plan.get(seen.lookout)
                    if planned is not None:  # asked for while it was being looked at: the heap forgot that
                        self._put(seen.lookout, planned)
                    elif seen.lookout in self._lookouts:
                        self._plan_next(seen.lookout)
                self._news.set()

    async def _store(self, batch: Sequence[Seen]) -> None:
        if await self._is_our_own_fault(batch):
            return
        looked, full_now = [], []
        for seen in batch:
            lookout = self._lookouts.get(seen.lookout)
            if lookout is None:
                continue  # removed meanwhile
            self.troubles.pop(seen.lookout, None)
            if seen.why:
                self.troubles[seen.lookout] = seen.why
                LOG.info("not looked at target=%s why=%s", lookout.target, seen.why)
                light_at = lookout.light_at if seen.kind == "full" and lookout.light_at else seen.at
                full_at = lookout.full_at if seen.kind == "light" else seen.at
                self._lookouts[seen.lookout] = replace(lookout, light_at=light_at, full_at=full_at)
            else:
                looked.append(Looked(seen=seen, step=schedule.step(lookout, seen)))
        if looked:
            now = self._clock()
            recorded = await self._watchlist.looks.record(looked, self._news_of, now)
            # What is not on the disk was not seen: the next look shows it again.
            looked = [one for one in looked if one.seen.lookout not in recorded.failed]
            for one in looked:
                number = one.seen.lookout
                if number in self._lookouts:
                    told_at = now if number in recorded.told else one.step.lookout.told_at
                    self._lookouts[number] = replace(one.step.lookout, told_at=told_at)
                if one.step.full_now:
                    full_now.append(number)
            if recorded.notes:
                self._outbox.wake()
        self.look_now(full_now, "full")
        self._count(batch)
        await self._gather_alarms(looked)

    async def _gather_alarms(self, looked: Sequence[Looked]) -> None:
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
            is_snoozed = watch.snoozed_until is not None and watch.snoozed_until > self._clock()
            if (is_broken and watch.told != one.seen.cause and not is_snoozed) or (not is_broken and watch.told):
                self._alarms.append((watch, one.seen.report))
                self._untold.add(watch.lookout.id)
        if self._alarms:
            self._alarmed.set()

    @staticmethod
    def _is_to_be_told(one: Looked) -> bool:
        return one.seen.status == "broken" or one.step.verdict == "recovered" or one.step.lookout.status != "broken"

    # ── telling ─────────────────────────────────────────────────────────────────

    async def _tell_alarms(self) -> None:
        while True:
            await self._alarmed.wait()
            await asyncio.sleep(GATHERED_S)
            alarms, self._alarms = self._alarms, []
            self._alarmed.clear()
            places: dict[tuple[str, str], list[tuple[Watch, Report]]] = {}
            for watch, report in alarms:
                places.setdefault((watch.team, watch.channel), []).append((watch, report))
            for place, news in places.items():
                try:
                    await self._tell_channel(place, news)
                except Exception:
                    LOG.exception("alarms not told channel=%s", place[1])
                    self._tell_later(watch for watch, _ in news)
            self._outbox.wake()

    def _tell_later(self, watches: Iterable[Watch]) -> None:
        """From a further look: what was not told is told then."""
        for number in {watch.lookout.id for watch in watches} & self._lookouts.keys():
            self._untold.add(number)
            self._put(number, schedule.Due(at=self._clock() + schedule.ONCE_MORE, kind="full"))

    async def _told(self, watches: Sequence[Watch], cause: str | None) -> None:
        await self._watchlist.tell(watches, cause)
        self._untold -= {watch.lookout.id for watch in watches}

    async def _tell_channel(self, place: tuple[str, str], news: Sequence[tuple[Watch, Report]]) -> None:
        recent = self._recent.setdefault(place, deque())
        while recent and self._clock() - recent[0] > _ALONE_WITHIN:
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
        for watch, report in news:
            if report.status == "broken" and watch.id in flooded:
                continue
            try:
                await self._tell_alone(watch, report)
            except Exception:
                LOG.exception("alarm not told watch=%s", watch.id)
                self._tell_later([watch])
        recent.extend([self._clock()] * len(first_time))

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
            received_at=self._clock(),
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

    async def again(self, intake: Intake) -> None:
        """An alarm that was cut off: it is told from a new look."""
        await self._history.finish(intake.id, self._clock(), ())
        number = int(intake.text) if intake.text.isdecimal() else 0
        await self.loaded.wait()
        watch = await self._watchlist.watch(number)
        if watch is not None:
            self._untold.add(watch.lookout.id)
            self.look_now([watch.lookout.id], "full")

    # ── floods ──────────────────────────────────────────────────────────────────

    async def _tell_flood(self, place: tuple[str, str], news: Sequence[tuple[Watch, Report]]) -> None:
        """One message for all of them, which grows while more come."""
        team, channel = place
        now = self._clock()
        open_ones = [
            flood for flood in await self._watchlist.floods(team, channel) if now - flood.began_at < schedule.DAY
        ]
        flood = (
            open_ones[0]
            if open_ones
            else Flood(
                key=f"flood:{team}:{channel}:{now.timestamp():.3f}",
                team=team,
                channel=channel,
                began_at=now,
                members={},
            )
        )
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
        return [flood for flood in found if self._clock() - flood.began_at < schedule.DAY]

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
            over = render.flood_over(flood, self._clock())
            notes.append(replace(root, key=f"{flood.key}:over", parent=flood.key, content=over))
        await self._watchlist.keep_flood(flood, notes)
        self._outbox.wake()

    # ── is it us? ───────────────────────────────────────────────────────────────

    async def _is_our_own_fault(self, batch: Sequence[Seen]) -> bool:
        """Some that could be reached cannot any more: can any other? If none, nothing of it is believed."""
        if self._outage is not None:
            return all(seen.cause in _NEARER_TO_US or seen.why for seen in batch)
        lost = {seen.lookout for seen in batch if self._is_lost(seen)}
        loop = asyncio.get_running_loop()
        if not lost or loop.time() - self._canaries_at < _CANARIES_EVERY_S:
            return False
        if any(seen.lookout not in lost and not seen.why and seen.cause not in _NEARER_TO_US for seen in batch):
            return False  # one of them got through just now
        hosts = {self._lookouts[number].target.host for number in lost}
        others = [each for each in self._canary_birds() if each.target.host not in hosts][:_CANARIES]
        tried = hosts | {each.target.host for each in others}
        # Few, or all of one domain: that may well be one broken balancer, and is told as any fault.
        if len(tried) < _CANARIES or len({tuple(host.split(".")[-2:]) for host in tried}) < _DOMAINS:
            return False
        self._canaries_at = loop.time()
        found = await asyncio.gather(*(self._made(each, "light") for each in others))
        if not all(seen.cause in _NEARER_TO_US for seen in found if not seen.why):
            return False
        await self._begin_outage(len(tried))
        return True

    def _is_lost(self, seen: Seen) -> bool:
        lookout = self._lookouts.get(seen.lookout)
        return lookout is not None and lookout.status not in {None, "broken"} and seen.cause in _NEARER_TO_US

    def _canary_birds(self) -> list[Lookout]:
        good = [each for each in self._lookouts.values() if each.status not in {None, "broken"}]
        return sorted(good, key=lambda each: schedule.share(each, "canary"))

    async def _begin_outage(self, tried: int) -> None:
        self._outage = await self._outages.begin(self._clock(), tried, await self._watchlist.places())
        LOG.warning("nothing can be reached tried=%s; looks wait", tried)
        self._outbox.wake()
        self._news.set()

    async def _try_canaries(self, outage: Outage) -> None:
        await asyncio.sleep(_CANARIES_EVERY_S)
        found = await asyncio.gather(*(self._made(each, "light") for each in self._canary_birds()[:_CANARIES]))
        if found and all(seen.cause in _NEARER_TO_US or seen.why for seen in found):
            return
        await self._outages.end(outage, self._clock())
        self._outage = None
        self._started = now = self._clock()  # what was missed is caught up, spread over a minute
        for number in self._lookouts:
            if number not in self._running:
                self._plan_next(number)
        LOG.info("reached again after_s=%.0f", (now - outage.began).total_seconds())
        self._outbox.wake()

    # ── sweeps that somebody waits for ──────────────────────────────────────────

    async def sweep(self, note: Note, numbers: Iterable[int]) -> None:
        """Look at all these lookouts now, and let *note* say how far it is."""
        await self.reload()
        left = set(numbers) & self._lookouts.keys()
        if not left:
            return
        sweep = _Sweep(note=note, left=left, tally=Tally(total=len(left)), begun=self._clock())
        self._sweeps.append(sweep)
        await self._history.note([replace(note, content=render.sweeping(sweep.tally))])
        self._outbox.wake()
        self.look_now(sorted(left))

    def _count(self, batch: Sequence[Seen]) -> None:
        for sweep in self._sweeps:
            for seen in batch:
                if seen.lookout in sweep.left:
                    sweep.left.discard(seen.lookout)
                    what = "failed" if seen.why else seen.status
                    sweep.tally = replace(sweep.tally, **{what: getattr(sweep.tally, what) + 1})
                    lookout = self._lookouts.get(seen.lookout)
                    if seen.why and lookout is not None:
                        sweep.failed.append(f"{lookout.target}: {seen.why}")
                    elif seen.status == "broken" and lookout is not None:
                        sweep.broken.append((lookout.target, seen.cause or "broken"))

    async def _tell_progress(self) -> None:
        while True:
            await asyncio.sleep(_PROGRESS_EVERY_S if self._sweeps else 0.5)
            for sweep in list(self._sweeps):
                sweep.left &= self._lookouts.keys()  # removed meanwhile
                if sweep.left:
                    content = render.sweeping(sweep.tally)
                else:
                    self._sweeps.remove(sweep)
                    content = render.swept(sweep.tally, self._clock() - sweep.begun, sweep.failed, sweep.broken)
                if sweep.told != sweep.tally or not sweep.left:
                    sweep.told = sweep.tally
                    # How far it is gives way to edits that say something.
                    note = replace(sweep.note, content=content, is_passing=bool(sweep.left))
                    await self._history.note([note])
                    self._outbox.wake()

    async def _break_off_sweeps(self) -> None:
        notes = [replace(sweep.note, content=render.broken_off(sweep.tally)) for sweep in self._sweeps]
        if notes:
            await self._history.note(notes)
            self._outbox.wake()

    async def _pruned(self) -> None:
        # Not with the start's own work; and a bot that is started anew each day forgets, too.
        await asyncio.sleep(_PRUNED_AFTER_S)
        while True:
            LOG.info("forgotten looks=%s", await self._watchlist.looks.prune(self._clock()))
            await asyncio.sleep(schedule.DAY.total_seconds())
