"""Following CT logs: each log its own task, so that what one does never delays another.

The order that makes it safe: entries are downloaded and looked through; what concerns somebody waits; the root of
everything downloaded is compared with the signed head, or each waiting entry is proved by itself; then, in one commit,
position and findings become durable; then they are told. What `probes.ct.monitor` decides is not decided here.
Long: the one order in which a log is looked at, read and kept, which only holds when it is seen whole.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from random import Random
from typing import TypeAlias

from probes.ct.heads import BadHead, TreeHead, verify_head
from probes.ct.issuance import issuance_of
from probes.ct.loglist import Log, LogList, Watchable, changes, watchable
from probes.ct.lookalikes import Lookalikes
from probes.ct.merkle import TILE_WIDTH, BadTree
from probes.ct.monitor import MOST_MALFORMED, Event, Lag, Position, Progress, start_at
from probes.ct.sift import Hit
from probes.ct.tiles import data_path
from probes.ct.watchset import WatchSet
from probes.ct_evidence import BadEvidence, Bundle, prove
from probes.ct_store import Found, Store
from probes.model import UsageError
from probes.net.ctlog import LogClient, Sifter, client
from probes.net.logfetch import Manners, Unavailable

logger = logging.getLogger(__name__)
OLDEST_LIST = timedelta(days=70)  # Chrome stops enforcing CT by a list older than that
_HEAD = "its tree head"


@dataclass(frozen=True, slots=True, kw_only=True)
class Habits:
    """How logs are followed. Times in seconds.

    *partial_wait_s*: how long the last, partial tile of a tiled log is left alone before it is fetched. *commit_every*:
    entries after which the position is kept though no head is reached yet. *gone_after_s*: how long a log must answer
    "there is no such thing" before it counts as gone. *recheck_s*: between two attempts to read an inconsistent log
    anew. *prove*: fetch the inclusion proof of every match. *unreadable_after_s*: how long a wrong answer where an
    entry or a proof belongs is taken for an accident; no answer at all is one for *lag_limit*.
    """

    from_start: bool = False
    once: bool = False
    prove: bool = False
    poll_s: float = 60.0
    partial_wait_s: float = 60.0
    commit_every: int = 1 << 16
    gone_after_s: float = 3600.0
    recheck_s: float = 600.0
    unreadable_after_s: float = 600.0
    reload_s: float = 3600.0
    lag_limit: timedelta = timedelta(hours=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """How it stands with one log. *trouble*: why it cannot be read now. *note*: what happened, once."""

    log: Log
    state: str
    first: int = 0
    downloaded: int = 0
    verified: int = 0
    promised: int = 0
    lag: Lag | None = None
    trouble: str = ""
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ListChange:
    """What is different in the log list since it was read last."""

    text: str


Told: TypeAlias = Found | Event | Status | ListChange
Tell: TypeAlias = Callable[[Told], None]
"""Findings and events come after they are durable, each once; a Status may come at any time."""


async def follow(
    logs: Sequence[Log],
    watch: WatchSet,
    store: Store,
    on_event: Tell,
    *,
    manners: Manners,
    now: Callable[[], datetime],
    rng: Random,
    habits: Habits | None = None,
    lookalikes: Lookalikes | None = None,
    listed: LogList | None = None,
    reload: Callable[[], Awaitable[LogList]] | None = None,
) -> None:
    """Follow *logs* until cancelled, or, with `once`, until each was read to the end that it has now.

    *listed* is the list that they are from, and *reload* gives it anew; logs that come, go or change in it are followed
    accordingly. It may raise Unavailable or ValueError: then the logs stay as they are.
    """
    habits = habits or Habits()
    sifter = Sifter(watch=watch, lookalikes=lookalikes)

    def follower(log: Log) -> Follower:
        return Follower(log, sifter, store, on_event, manners=manners, now=now, rng=rng, habits=habits)

    async with asyncio.TaskGroup() as group:
        following = _Following(group, follower)
        following.take(logs)
        while reload is not None and not habits.once:
            await asyncio.sleep(habits.reload_s * (0.9 + rng.random() / 5))
            try:
                newer = await reload()
            except (Unavailable, ValueError) as error:
                on_event(ListChange(text=f"the log list cannot be read: {error}; the logs stay as they were"))
                continue
            for line in changes(listed, newer) if listed else ():
                on_event(ListChange(text=line))
            if (old := stale(newer, now())) is not None:
                on_event(ListChange(text=old))
            listed = newer
            await following.drop_all_but(newer)
            await following.exchange(wanted(newer, now(), following=following.tasks.keys()))


class _Following:
    """The task of each log, by log id."""

    def __init__(self, group: asyncio.TaskGroup, follower: Callable[[Log], Follower]) -> None:
        self._group, self._follower = group, follower
        self.tasks: dict[bytes, tuple[Log, asyncio.Task[None]]] = {}

    def take(self, logs: Iterable[Log]) -> None:
        for log in logs:
            task = self._group.create_task(self._follower(log).run(), name=f"ct {log.description}")
            self.tasks[log.log_id] = (log, task)

    async def exchange(self, logs: Iterable[Log]) -> None:
        """Follow the new ones, and those with other parameters by these. Each goes on from its stored position."""
        for log in logs:
            before = self.tasks.get(log.log_id)
            if before is None or before[0] != log:
                await self._end(log.log_id)
                self.take([log])

    async def drop_all_but(self, listed: LogList) -> None:
        for log_id in self.tasks.keys() - listed.by_id().keys():
            await self._end(log_id)

    async def _end(self, log_id: bytes) -> None:
        if log_id in self.tasks:
            _, task = self.tasks.pop(log_id)
            task.cancel()
            await asyncio.wait([task])


def wanted(listed: LogList, now: datetime, *, following: Iterable[bytes] = ()) -> tuple[Log, ...]:
    """The logs of the list to be followed: those that may be, and those that were until now (by log id).

    A log that was followed and is retired is asked once more: it ends finished, or with a gap that is told.
    """
    kept = set(following)

    def takes(each: Watchable) -> bool:
        return each.follow or each.log.log_id in kept

    return tuple(each.log for each in watchable(listed, now) if takes(each))


def stale(listed: LogList, now: datetime) -> str | None:
    """What to say of a list so old that browsers would not go by it any more; None when it is not."""
    if listed.timestamp is None:
        return "the log list does not say how old it is"
    age = now - listed.timestamp
    return f"the log list is {age.days} days old: logs opened since are not in it" if age > OLDEST_LIST else None


class Follower:
    """One log. `run` it; everything else is how."""

    def __init__(
        self,
        log: Log,
        sifter: Sifter,
        store: Store,
        tell: Tell,
        *,
        manners: Manners,
        now: Callable[[], datetime],
        rng: Random,
        habits: Habits,
    ) -> None:
        self.log, self._sifter, self._store, self._tell = log, sifter, store, tell
        self._manners, self._now, self._rng, self._habits = manners, now, rng, habits
        self._client: LogClient
        self._progress = Progress(log)
        self._joined = False
        self._waiting: list[Hit] = []  # found in entries that no signed head accounts for yet
        self._odd = 0  # malformed ones among these
        self._more, self._more_upto = 0, 0  # malformed ones beside these, which are only counted
        self._kept = self._progress.position.tree  # the tree up to which every finding is durable
        self._durable: Position | None = None
        self._began = now()
        self._tail_since: datetime | None = None
        self._gone_since: datetime | None = None
        self._rechecked: datetime | None = None
        self._answers = False  # a head, in the present look
        self._trouble = ""
        self._asked = _HEAD  # what the present look is about to ask for
        self._meaning = ""  # what it would mean not to get it
        self._unproved: TreeHead | None = None  # an older head whose tree it does not show

    async def run(self) -> None:
        """Look, wait, look again. A fault of ours in one log is logged and tried again: the others go on."""
        try:
            self._client = client(self.log, self._manners, rng=self._rng)
        except UsageError as wrong:
            self._trouble = str(wrong)
            self._say()
            return
        try:
            self._return_to(await self._store.load(self.log.log_id.hex()))
            self._say()  # the first answer may be long in coming
            while True:
                pause = await self._cycle()
                if self._habits.once or (self._ends() and self._progress.position.state == "finished"):
                    return
                await asyncio.sleep(pause * (0.9 + self._rng.random() / 5))
        finally:
            await self._client.aclose()

    async def _cycle(self) -> float:
        """One look; back with the seconds until the next."""
        pause = self._habits.poll_s
        try:
            try:
                await self._look()
                self._trouble = ""
                if self._progress.position.trouble is not None:
                    await self._commit((), self._progress.went_well(), always=True)
            except Unavailable as missing:
                self._trouble = str(missing)
                pause = max(pause, missing.retry_after_s or 0.0)
                await self._failed(missing)
                await self._missing(missing)
            await self._watch_clock()
        except OSError as error:
            self._trouble = f"the position cannot be kept: {error.strerror or error}"
        except Exception as error:  # the one broad except here: one log never stops another
            logger.exception("ct log=%s", self.log.url)
            self._trouble = f"an error of this program ({type(error).__name__}); it is tried again"
        self._say()
        return pause

    def _return_to(self, position: Position | None) -> None:
        """Go on from what is durable."""
        self._progress = Progress(self.log, position)
        self._durable = position
        # What was told of a log that could not be joined yet is remembered, and it is joined all the same.
        self._joined = position is not None and (position.verified is not None or position.downloaded > 0)
        self._forget()

    async def _look(self) -> None:
        self._answers, self._asked, self._meaning, self._unproved = False, _HEAD, "", None
        head = None
        try:
            head = await self._client.head()
            verify_head(head, self.log)
        except BadHead as wrong:
            await self._commit((), self._progress.unsigned(str(wrong), head, wrong.raw))
            raise Unavailable("garbage", f"its tree head does not hold: {wrong}") from None
        self._answers, self._gone_since = True, None
        if not self._joined:
            await self._join(head)
        judged = self._progress.judge(head, self._now())
        if judged.rewound:
            self._forget()
        await self._commit((), judged.events)
        if judged.target is not None:
            await self._read(judged.target)
        if judged.prove is not None:
            await self._ask_proof(*judged.prove)
        self._held_against_list(head)

    def _held_against_list(self, head: TreeHead) -> None:
        """A read-only log that does not show what the list says it ended with: Unavailable, as for an entry."""
        final, promised = self.log.final, self._progress.position.promised
        if final and promised and max(head.size, promised.size) < final[0]:
            self._asked = f"its entries from {promised.size} to {final[0] - 1}, with which it ended by the log list,"
            self._meaning = "your names in them cannot be excluded"
            raise Unavailable("garbage", f"its newest tree head is of {promised.size} entries")

    async def _join(self, head: TreeHead) -> None:
        """Begin at the first entry, or at the end that *head* names, of which the log gives the compact tree."""
        if not self._habits.from_start:
            self._asked = f"the tree of its first {head.size} entries"
            self._meaning = "until it can, nothing in this log is watched"
            try:
                tree = await self._client.seed(head)
            except BadTree as wrong:
                raise Unavailable("garbage", str(wrong)) from None
            raised = self._progress.position.raised
            self._progress = Progress(self.log, replace(start_at(self.log, tree, head), raised=raised))
            self._kept = self._progress.position.tree
            await self._commit((), (), always=True)
            how = "from its hash tiles" if self._client.tiled else "from the inclusion proof of its last entry"
            self._say(f"followed from entry {head.size} on; its tree was taken {how} and has the root that it signed")
        self._joined = True

    async def _ask_proof(self, old: TreeHead, new: TreeHead) -> None:
        self._unproved = old
        self._asked = f"the proof that its tree of {new.size} entries extends the older one of {old.size}"
        self._meaning = "that entries were taken away or changed cannot be excluded"
        try:
            proof = await self._client.consistency(old.size, new)
        except BadTree:
            proof = ()
        await self._commit((), self._progress.proved(old, new, proof))

    async def _read(self, target: TreeHead) -> None:
        """Download up to *target*, and settle it where that is reached. A mismatch is read once more."""
        if self._progress.position.state == "inconsistent":
            self._read_anew()
        end = self._end(target)
        await self._download(target, end)
        if self._progress.downloaded != target.size:
            await self._keep_proved(target)
            return
        settled = self._progress.settle(target, self._now())
        if settled.rewind:
            self._forget()
            await self._read(target)
            return
        self._tail_since = None
        found = await self._found(self._waiting, target, verified=settled.verified)
        await self._commit(found, (*self._malformed(), *settled.events), always=settled.verified, all_told=True)
        self._say()

    def _read_anew(self) -> None:
        """From the last verified head, now and then: what was changed may have been put right."""
        now = self._now()
        due = self._rechecked is None or now - self._rechecked >= timedelta(seconds=self._habits.recheck_s)
        if due and not self._waiting:
            self._rechecked = now
            self._progress.again()
            self._forget()

    def _end(self, target: TreeHead) -> int:
        """Up to where to download now: the partial tile at the end of a tiled log may be full in a moment."""
        if not self._client.tiled or target.size % TILE_WIDTH == 0:
            return target.size
        whole = max(target.size - target.size % TILE_WIDTH, self._progress.downloaded)
        now = self._now()
        self._tail_since = self._tail_since or now
        ends = self._habits.once or self._ends()
        waited = now - self._tail_since >= timedelta(seconds=self._habits.partial_wait_s)
        return target.size if ends or waited else whole

    async def _download(self, target: TreeHead, end: int) -> None:
        start = self._progress.downloaded
        committed = start
        self._asked = self._entries_from(start)
        self._meaning = "your names in them, and behind them, cannot be excluded"
        async with aclosing(self._client.sifted(start, end, self._sifter)) as batches:
            async for batch in batches:
                self._progress.feed(batch.first_index, batch.hashes, newest_ms=batch.newest_ms)
                self._take(batch.hits)
                self._asked = self._entries_from(self._progress.downloaded)
                if self._progress.downloaded - committed >= self._habits.commit_every:
                    committed = self._progress.downloaded
                    await self._keep_proved(target)
                    self._say()

    def _take(self, hits: Sequence[Hit]) -> None:
        """Keep what concerns somebody, and as many malformed entries as are told: a log can be full of them."""
        for hit in hits:
            if hit.matches or hit.lookalikes or self._odd < MOST_MALFORMED:
                self._waiting.append(hit)
                self._odd += hit.is_malformed
            elif (index := hit.entry.index) >= max(self._progress.malformed_upto, self._more_upto):
                self._more, self._more_upto = self._more + 1, index + 1

    def _entries_from(self, index: int) -> str:
        where = f" ({data_path(index // TILE_WIDTH)})" if self._client.tiled else ""
        return f"its entries from {index} on{where}"

    async def _keep_proved(self, target: TreeHead) -> None:
        """Short of a head's size: keep the position where each finding up to it is proved by itself."""
        if self._kept == self._progress.position.tree:
            return
        try:
            for hit in self._waiting:
                await prove(self._client, hit.entry, target)
        except (BadEvidence, BadTree, Unavailable):
            return  # whether the log lies or stumbles is seen when the head is reached
        found = await self._found(self._waiting, target, verified=True)
        await self._commit(found, self._malformed(), always=True, all_told=True)

    async def _found(self, hits: Sequence[Hit], head: TreeHead, *, verified: bool) -> list[Found]:
        return [
            Found(
                issuance=issuance_of(hit, log_id=self.log.log_id),
                log=self.log,
                leaf=hit.entry.leaf,
                verified=verified,
                lookalikes=hit.lookalikes,
                bundle=await self._bundle(hit, head) if verified and self._habits.prove else None,
            )
            for hit in hits
            if hit.matches or hit.lookalikes
        ]

    async def _bundle(self, hit: Hit, head: TreeHead) -> Bundle | None:
        try:
            return await prove(self._client, hit.entry, head)
        except (BadEvidence, BadTree, Unavailable):
            return None  # the finding is not held back for it; it can be asked for again

    def _malformed(self) -> tuple[Event, ...]:
        odd = [
            (hit.entry.index, "; ".join(hit.names.problems), hit.entry.leaf)
            for hit in self._waiting
            if hit.is_malformed
        ]
        return self._progress.malformed(odd, self._now(), more=self._more, upto=self._more_upto)

    async def _commit(
        self, found: Sequence[Found], events: Sequence[Event], *, always: bool = False, all_told: bool = False
    ) -> None:
        """Make it durable, then tell. Unless *all_told*, the position kept is the one before the waiting findings."""
        if not (found or events or always):
            return
        position = self._progress.position
        if self._waiting and not all_told:
            position = replace(position, tree=self._kept)
        try:
            news = await self._store.commit(position, tuple(found), tuple(events))
        except Exception:
            self._return_to(self._durable)  # what is in memory alone is read again
            raise
        self._durable, self._kept = position, position.tree
        if all_told:
            self._none_waiting()
        for issuance in news.found:
            self._tell(issuance)
        for event in news.events:
            self._tell(event)

    def _forget(self) -> None:
        """The tree went back: what was found beyond will be found again."""
        self._none_waiting()
        self._kept = self._progress.position.tree

    def _none_waiting(self) -> None:
        self._waiting.clear()
        self._odd = self._more = self._more_upto = 0

    async def _failed(self, missing: Unavailable) -> None:
        """Remember what could not be had; what lasts is told, for nobody sees what a log keeps back."""
        silent = missing.trouble in ("unreachable", "timeout", "throttled", "server")
        limit = self._habits.lag_limit if silent else timedelta(seconds=self._habits.unreadable_after_s)
        before = self._progress.position.trouble
        events = self._progress.failed(
            self._asked,
            str(missing),
            self._now(),
            limit=timedelta() if self._habits.once else limit,
            meaning=self._meaning,
            head=self._unproved,
        )
        await self._commit((), events, always=before != self._progress.position.trouble)

    async def _missing(self, missing: Unavailable) -> None:
        """A log that has no head any more, for long enough, is gone; at once, when the list says that it ends."""
        if self._answers or missing.trouble != "gone":
            return
        now = self._now()
        self._gone_since = self._gone_since or now
        if self._ends() or now - self._gone_since >= timedelta(seconds=self._habits.gone_after_s):
            await self._commit((), self._progress.gone(str(missing)))

    def _ends(self) -> bool:
        """Whether, by the list, nothing more will come."""
        return self.log.state in ("readonly", "retired", "rejected")

    async def _watch_clock(self) -> None:
        now = self._now()
        lagging = self._progress.watch_lag(now, limit=self._habits.lag_limit)
        aged = self._progress.watch_age(now, since=self._began)
        counted, odd = self._progress.position.malformed, self._progress.watch_malformed(now)
        await self._commit((), (*lagging, *aged, *odd), always=counted != self._progress.position.malformed)

    def _say(self, note: str = "") -> None:
        position = self._progress.position
        self._tell(
            Status(
                log=self.log,
                state=position.state,
                first=position.first,
                downloaded=position.downloaded,
                verified=position.verified_size,
                promised=position.promised.size if position.promised else 0,
                lag=self._progress.lag(self._now()),
                trouble=self._trouble,
                note=note,
            )
        )
