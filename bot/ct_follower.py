"""The process that reads CT logs: it follows them (`probes.ct_follow`), and keeps and tells through the bot above it.

It also goes on the errands that want the network. It ends when the bot does: nobody would keep what it finds.
"""

from __future__ import annotations

import asyncio
import gc
import logging
from collections.abc import Sequence
from datetime import UTC, datetime
from random import SystemRandom
from typing import Any, Final

from bot import pipes
from bot.ct_reader import Begin, CtSource, Listed
from probes.caa import Finding
from probes.caa import judged as caa_judged
from probes.ct.heads import BadHead, verify_head
from probes.ct.issuance import Issuance
from probes.ct.loglist import Log, LogList
from probes.ct.lookalikes import lookalikes
from probes.ct.merkle import BadTree
from probes.ct.position import Event, Position
from probes.ct.watchset import WatchSet
from probes.ct_evidence import BadEvidence, Bundle, evidence
from probes.ct_follow import ListChange, Status, Told, follow, wanted
from probes.ct_store import Found, News
from probes.model import UsageError
from probes.net.crtsh import Filled, filled
from probes.net.ctlist import log_list
from probes.net.ctlog import client
from probes.net.dns_records import caa
from probes.net.logfetch import Unavailable
from probes.net.system import System
from probes.published import domains_of

LOG = logging.getLogger("bot.ct")
_NICENESS: Final = 10
_LIST_AGAIN_S: Final = (5.0, 30.0, 120.0, 600.0)
_CAA_S: Final = 5.0
MOST_NAMES: Final = 10  # of one certificate whose CAA is asked


class _Parent:
    """The store of the follower, and whom it tells: the process above."""

    def __init__(self, write: pipes.Write) -> None:
        self._write = write
        self._number = 0
        self._waiting: dict[int, asyncio.Future[tuple[bool, Any]]] = {}

    async def load(self, log_id: str) -> Position | None:
        position: Position | None = await self._asked("load", log_id)
        return position

    async def commit(self, position: Position, found: Sequence[Found], events: Sequence[Event]) -> News:

        await self._asked("commit", (position, tuple(found), tuple(events)))
        return News()  # the parent has told already

    async def _asked(self, kind: str, value: object) -> Any:
        self._number += 1
        number = self._number
        answer: asyncio.Future[tuple[bool, Any]] = asyncio.get_running_loop().create_future()
        self._waiting[number] = answer
        try:
            self.say(kind, number, value)
            is_done, said = await answer
        finally:
            self._waiting.pop(number, None)
        if not is_done:
            raise OSError(f"the memory refused: {said}")
        return said

    def answered(self, number: int, value: tuple[bool, Any]) -> None:
        waiting = self._waiting.get(number)
        if waiting is not None and not waiting.done():
            waiting.set_result(value)

    def say(self, kind: str, number: int, value: object) -> None:
        self._write(pipes.frame((kind, number, value)))


class _Following:
    """The following of the logs, begun anew when other domains are watched. Each log goes on where it is durable."""

    def __init__(self, begin: Begin, parent: _Parent) -> None:
        self._begin = begin
        self._parent = parent
        self._rng = SystemRandom()
        self._listed: LogList | None = None
        self._task: asyncio.Task[None] | None = None
        self._domains, self._similar = begin.domains, begin.similar
        self._known = {bytes.fromhex(each) for each in begin.following}
        self._changing = asyncio.Lock()

    def start(self) -> None:
        self._task = asyncio.create_task(self._kept_going(), name="ct following")

    async def watch(self, domains: tuple[str, ...], similar: tuple[str, ...]) -> None:
        async with self._changing:  # never two of them beside each other
            if (domains, similar) != (self._domains, self._similar):
                await self.stop()
                self._domains, self._similar = domains, similar
                self.start()

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    def log(self, log_id: str) -> Log | None:
        return self._listed.by_id().get(bytes.fromhex(log_id)) if self._listed is not None else None

    async def _kept_going(self) -> None:
        attempts = 0
        while True:
            try:
                if self._listed is None:
                    await self._read_list()
                attempts = 0
                await self._follow()
            except Exception as error:
                if not isinstance(error, UsageError | ValueError | Unavailable):
                    LOG.exception("ct following")
                self._tell(Listed(trouble=str(error) or type(error).__name__))
            await asyncio.sleep(_LIST_AGAIN_S[min(attempts, len(_LIST_AGAIN_S) - 1)])
            attempts += 1

    async def _read_list(self) -> LogList:

        listed = await log_list(self._begin.source.log_list, self._begin.source.manners, self._rng)
        logs = wanted(listed, datetime.now(UTC), following=self._known)
        self._listed = listed
        self._known |= {each.log_id for each in logs}
        self._tell(
            Listed(
                version=listed.version,
                timestamp=listed.timestamp,
                logs={each.log_id.hex(): (each.description, each.state) for each in listed.logs},
                followed=len(logs),
                problems=listed.problems,
                trouble="" if logs else "it lists no log to follow: all are pending, retired or rejected",
            )
        )
        return listed

    async def _follow(self) -> None:

        assert self._listed is not None
        source = self._begin.source
        await follow(
            wanted(self._listed, datetime.now(UTC), following=self._known),
            WatchSet.compile(self._domains),
            self._parent,
            self._tell_of,
            manners=source.manners,
            now=lambda: datetime.now(UTC),
            rng=self._rng,
            habits=source.habits,
            lookalikes=lookalikes(self._similar) if self._similar else None,
            listed=self._listed,
            reload=self._read_list,
        )

    def _tell_of(self, told: Told) -> None:

        if isinstance(told, Status):
            self._tell(told)
        elif isinstance(told, ListChange):
            self._tell(told.text)

    def _tell(self, value: Status | Listed | str) -> None:
        self._parent.say("told", 0, value)


class _Errands:
    """What the parent asks for: questions to the network."""

    def __init__(self, source: CtSource, following: _Following) -> None:
        self._source, self._following = source, following

    async def done(self, kind: str, arguments: tuple[Any, ...]) -> Any:
        match kind:
            case "watch":
                return await self._following.watch(*arguments)
            case "caa":
                return await self._caa(*arguments)
            case "evidence":
                return await self._evidence(*arguments)
            case "backfill":
                return await self._backfill(*arguments)
        return None

    async def _caa(self, names: tuple[str, ...], issuer: str) -> tuple[Finding, ...]:

        resolver = self._source.manners.resolver
        servers = (resolver,) if resolver is not None else System.read().nameservers
        deadline = asyncio.get_running_loop().time() + _CAA_S
        wanted = list(dict.fromkeys(names))[:MOST_NAMES]
        found = await asyncio.gather(
            *(caa(name.removeprefix("*."), servers, deadline) for name in wanted), return_exceptions=True
        )
        return tuple(
            Finding(name=name, verdict="failed", why="it is no name that DNS can be asked for")
            if isinstance(each, BaseException)
            else caa_judged(name, each, domains_of(issuer))
            for name, each in zip(wanted, found, strict=True)
        )

    async def _evidence(self, log_id: str, issuance: Issuance) -> Bundle | None:

        log = self._following.log(log_id)
        if log is None:
            return None
        reader = client(log, self._source.manners, rng=SystemRandom())
        try:
            head = await reader.head()
            verify_head(head, log)
            return await evidence(reader, issuance, head)
        except (BadEvidence, BadHead, BadTree, Unavailable) as missing:
            LOG.info("no proof log=%s why=%s", log.url, missing)
            return None
        finally:
            await reader.aclose()

    async def _backfill(self, domain: str) -> tuple[Filled, ...] | str:

        try:
            return await filled(domain, self._source.crtsh, self._source.manners, rng=SystemRandom())
        except (Unavailable, UsageError) as missing:
            return str(missing)


async def _serve(stream: asyncio.StreamReader, write: pipes.Write) -> None:
    begin: Begin | None = await pipes.received(stream)
    if begin is None:
        return
    parent = _Parent(write)
    following = _Following(begin, parent)
    errands = _Errands(begin.source, following)
    running: set[asyncio.Task[None]] = set()

    async def run(kind: str, number: int, arguments: tuple[Any, ...]) -> None:
        try:
            said = await errands.done(kind, arguments)
        except Exception:
            LOG.exception("ct %s", kind)
            said = None
        parent.say("answer", number, said)

    following.start()
    while (asked := await pipes.received(stream)) is not None:
        kind, number, value = asked
        if kind == "answer":
            parent.answered(number, value)
        else:
            # Beside the reading: what it waits for may be an answer that stands behind this frame.
            task = asyncio.create_task(run(kind, number, value))
            running.add(task)
            task.add_done_callback(running.discard)
    for task in running:  # the parent is gone: nobody keeps what is found
        task.cancel()
    await asyncio.gather(*running, return_exceptions=True)
    await following.stop()


def main() -> None:
    """Follow until the parent closes the pipe."""
    gc.freeze()
    gc.set_threshold(20_000, 20, 50)  # what a tile is made of has no cycles, and there is much of it
    pipes.answering(_serve, niceness=_NICENESS)


if __name__ == "__main__":
    main()
