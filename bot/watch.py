"""Looks at what is watched when it is due, remembers what was seen, and tells what broke.

One loop begins looks (`bot.schedule` says which, the patrol makes them, so many at a time), one stores what comes back
in batches and steps each lookout, one tells what broke (`bot.alarms`); an endpoint recovers after two good looks.

When what used to work cannot be reached any more, a few others are looked at first: if none of them can, the fault
is nearer to us than to them, and that is what is told, once.
"""

from __future__ import annotations

import asyncio
import heapq
import logging
from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from typing import Final

from bot import schedule
from bot.alarms import Alarms
from bot.answers import Answers
from bot.identities import Identities
from bot.look_book import Looked, NewsOf
from bot.looks import Ask, Looker
from bot.model import Check, Intake, Note
from bot.outages import Outage, Outages
from bot.sighting import Kind
from bot.sweeps import Sweeps
from bot.watched import Lookout, Seen
from bot.watchlist import Watchlist
from probes.model import UsageError

LOG = logging.getLogger("bot.watch")
_BATCH: Final = 100  # looks a transaction: acknowledgements wait for the memory's thread
_BATCH_GATHERED_S: Final = 0.1
_NEARER_TO_US: Final = frozenset({"reach.dns", "reach.timeout", "reach.unreachable"})
_CANARIES: Final = 5
_DOMAINS: Final = 3
_CANARIES_EVERY_S: Final = 30.0
_PRUNED_AFTER_S: Final = 900.0
_UNDER_WAY: Final = 1_000  # looks handed to the patrol and not answered


class Watching:
    """The looks of all channels. `run` it as a task."""

    def __init__(
        self,
        *,
        watchlist: Watchlist,
        outages: Outages,
        identities: Identities,
        answers: Answers,
        alarms: Alarms,
        look: Looker,
        news_of: NewsOf,
    ) -> None:
        self._watchlist = watchlist
        self._outages = outages
        self._identities = identities
        self._answers = answers
        self._alarms = alarms
        self._look = look
        self._news_of = news_of
        self._started = _now()
        self._lookouts: dict[int, Lookout] = {}
        self._plan: dict[int, schedule.Due] = {}
        self._heap: list[tuple[datetime, int]] = []
        self._running: dict[int, asyncio.Task[None]] = {}
        self._seen: asyncio.Queue[Seen] = asyncio.Queue()
        self._news = asyncio.Event()
        self._sweeps = Sweeps(answers, self._lookouts)
        self._outage: Outage | None = None
        self._canaries_at = float("-inf")
        self.loaded = asyncio.Event()
        self.troubles: dict[int, str] = {}  # lookouts that could not be looked at when it was tried last, and why

    async def run(self) -> None:
        """Look, remember and tell until cancelled."""
        self._started = _now()
        await self.reload()
        self._outage = await self._outages.standing()
        self.loaded.set()
        # An alarm, or a recovery, may have been cut off between its look and its telling.
        self._alarms.untold |= set(await self._watchlist.untold())
        broken = {number for number, each in self._lookouts.items() if each.status == "broken"}
        self.look_now(sorted(broken | self._alarms.untold), "full")
        loops = [
            asyncio.create_task(self._kept_going(loop), name=f"watch {loop.__name__}")
            for loop in (self._begin_looks, self._store_looks, self._tell_alarms, self._sweeps.progress, self._pruned)
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
                await self._sweeps.break_off()

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

    async def sweep(self, note: Note, numbers: Iterable[int]) -> None:
        """Look at all these lookouts now, and let *note* say how far it is."""
        await self.reload()
        self.look_now(await self._sweeps.begin(note, numbers))

    def look_now(self, numbers: Iterable[int], kind: Kind = "light") -> None:
        """These are due now; one that was never looked at in full is looked at so."""
        now = _now()
        for number in numbers:
            lookout = self._lookouts.get(number)
            if lookout is not None:
                chosen: Kind = "full" if lookout.full_at is None else kind
                self._put(number, schedule.Due(at=now, kind=chosen))

    def _plan_next(self, number: int) -> None:
        due = schedule.next_look(self._lookouts[number], len(self._lookouts), _now(), since=self._started)
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
            if at > _now():
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
                wait = max(0.0, (self._heap[0][0] - _now()).total_seconds())
            with suppress(TimeoutError):
                await asyncio.wait_for(self._news.wait(), wait)

    def _begin(self, number: int, kind: Kind) -> None:
        async def made() -> None:
            seen = Seen(lookout=number, kind=kind, at=_now(), why="this program failed")
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
            return Seen(lookout=lookout.id, kind=kind, at=_now(), why=str(error))
        known = lookout.light if kind == "light" else lookout.full
        # What is to be told is told from its report, even if a look like it was stored before.
        if kind == "full" and (lookout.status == "broken" or lookout.id in self._alarms.untold):
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
            now = _now()
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
                self._answers.wake()
        self.look_now(full_now, "full")
        self._sweeps.count(batch)
        await self._alarms.gather(looked)

    async def again(self, intake: Intake) -> None:
        """An alarm that was cut off: it is told from a new look."""
        await self._answers.finish(intake)
        number = int(intake.text) if intake.text.isdecimal() else 0
        await self.loaded.wait()
        watch = await self._watchlist.watch(number)
        if watch is not None:
            self._alarms.untold.add(watch.lookout.id)
            self.look_now([watch.lookout.id], "full")

    async def _tell_alarms(self) -> None:
        await self._alarms.tell(self._look_again)

    def _look_again(self, numbers: set[int]) -> None:
        """What was not told is told from these looks."""
        for number in numbers & self._lookouts.keys():
            self._put(number, schedule.Due(at=_now() + schedule.ONCE_MORE, kind="full"))

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
        self._outage = await self._outages.begin(_now(), tried, await self._watchlist.places())
        LOG.warning("nothing can be reached tried=%s; looks wait", tried)
        self._answers.wake()
        self._news.set()

    async def _try_canaries(self, outage: Outage) -> None:
        await asyncio.sleep(_CANARIES_EVERY_S)
        found = await asyncio.gather(*(self._made(each, "light") for each in self._canary_birds()[:_CANARIES]))
        if found and all(seen.cause in _NEARER_TO_US or seen.why for seen in found):
            return
        await self._outages.end(outage, _now())
        self._outage = None
        self._started = now = _now()  # what was missed is caught up, spread over a minute
        for number in self._lookouts:
            if number not in self._running:
                self._plan_next(number)
        LOG.info("reached again after_s=%.0f", (now - outage.began).total_seconds())
        self._answers.wake()

    async def _pruned(self) -> None:
        # Not with the start's own work; and a bot that is started anew each day forgets, too.
        await asyncio.sleep(_PRUNED_AFTER_S)
        while True:
            LOG.info("forgotten looks=%s", await self._watchlist.looks.prune(_now()))
            await asyncio.sleep(schedule.DAY.total_seconds())


def _now() -> datetime:
    return datetime.now(UTC)
