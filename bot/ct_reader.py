"""CT logs read in a process of their own: fetching and parsing what strangers logged never keeps the bot waiting.

The child follows the logs (`probes.ct_follow`); what must survive is kept by the parent, which the child asks: its store
is a pair of frames. So position, findings and what is said of them are one transaction of the bot's memory, and a child
that dies at any moment repeats nothing and skips nothing. The parent asks the child in turn for what wants the network:
CAA records, a proof, a back-fill. Frames are a length and a pickle; both ends are this program.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import os
import pickle
import struct
import sys
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from random import SystemRandom
from typing import TYPE_CHECKING, Any, Final

from probes.caa import Finding
from probes.model import UsageError

if TYPE_CHECKING:
    from probes.ct.issuance import Issuance
    from probes.ct.loglist import Log, LogList
    from probes.ct.position import Event, Position
    from probes.ct_evidence import Bundle
    from probes.ct_follow import Habits, Status, Told
    from probes.ct_store import Found, News
    from probes.net.crtsh import Filled
    from probes.net.logfetch import Manners

LOG = logging.getLogger("bot.ct")
_NICENESS: Final = 10
_LENGTH: Final = struct.Struct(">I")
_ASK_S: Final = 60.0
_LIST_AGAIN_S: Final = (5.0, 30.0, 120.0, 600.0)
_CAA_S: Final = 5.0
MOST_NAMES: Final = 10  # of one certificate whose CAA is asked


class Died(Exception):
    """The child ended before it answered."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CtSource:
    """Where logs are listed and how they are read. *crtsh*: the back-fill's own address."""

    log_list: str
    manners: Manners
    habits: Habits
    crtsh: str = "https://crt.sh"


@dataclass(frozen=True, slots=True, kw_only=True)
class Begin:
    """What the child begins with. *following*: the logs (hex ids) that were followed until now."""

    source: CtSource
    domains: tuple[str, ...]
    similar: tuple[str, ...]
    following: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """The log list as the child read it. *logs*: hex id → name and state. *trouble*: why it could not be read."""

    version: str = ""
    timestamp: datetime | None = None
    logs: dict[str, tuple[str, str]] = field(default_factory=dict)
    followed: int = 0
    problems: tuple[str, ...] = ()
    trouble: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Keeper:
    """What the parent does for the child: keep, and be told."""

    load: Callable[[str], Awaitable[Position | None]]
    commit: Callable[[Position, Sequence[Found], Sequence[Event]], Awaitable[None]]
    told: Callable[[Status | Listed | str], Awaitable[None]]


class Reader:
    """The child, from `run` until it ends."""

    def __init__(self, keeper: Keeper) -> None:
        self._keeper = keeper
        self._number = 0
        self._waiting: dict[int, asyncio.Future[Any]] = {}
        self._process: asyncio.subprocess.Process | None = None
        self._writing = asyncio.Lock()

    @property
    def is_up(self) -> bool:
        return self._process is not None and self._process.returncode is None

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process is not None else None

    async def run(self, begin: Begin) -> None:
        """Start it, serve it, and come back when it is gone; cancelling ends it."""
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "bot.ct_reader",
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            start_new_session=True,
        )
        self._process = process
        try:
            await self._send(begin)
            assert process.stdout is not None
            # One frame after the other: what was committed before a question is seen by its answer.
            while (frame := await _received(process.stdout)) is not None:
                await self._serve(*frame)
            await process.wait()
            LOG.warning("ct reader ended status=%s", process.returncode)
        except ConnectionError:
            LOG.warning("ct reader hung up")
        finally:
            for answer in self._waiting.values():
                if not answer.done():
                    answer.set_exception(Died())
            self._waiting.clear()
            await _ended(process)

    async def watch(self, domains: Sequence[str], similar: Sequence[str]) -> None:
        """From here on these domains."""
        await self._send(("watch", 0, (tuple(domains), tuple(similar))))

    async def caa(self, names: Sequence[str], issuer: str) -> tuple[Finding, ...]:
        """What CAA says of these names for that issuer (RFC 4514 text). Raises Died."""
        found: tuple[Finding, ...] = await self._ask("caa", tuple(names), issuer)
        return found

    async def evidence(self, log_id: str, issuance: Issuance) -> Bundle | None:
        """The proof for an entry that was found without; None when the log gives none now. Raises Died."""
        bundle: Bundle | None = await self._ask("evidence", log_id, issuance)
        return bundle

    async def backfill(self, domain: str) -> tuple[Filled, ...] | str:
        """What crt.sh knows of the domain, or why it does not say. Raises Died."""
        found: tuple[Filled, ...] | str = await self._ask("backfill", domain)
        return found

    async def _ask(self, kind: str, *arguments: object) -> Any:
        if not self.is_up:
            raise Died
        self._number += 1
        number = self._number
        answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._waiting[number] = answer
        try:
            await self._send((kind, number, arguments))
            async with asyncio.timeout(_ASK_S):
                return await answer
        except (ConnectionError, TimeoutError):
            raise Died from None
        finally:
            self._waiting.pop(number, None)

    async def _serve(self, kind: str, number: int, value: Any) -> None:
        if kind == "answer":
            waiting = self._waiting.get(number)
            if waiting is not None and not waiting.done():
                waiting.set_result(value)
            return
        if kind == "told":
            await self._keeper.told(value)
            return
        try:
            said: object = None
            if kind == "load":
                said = await self._keeper.load(value)
            else:
                await self._keeper.commit(*value)
            answer = (True, said)
        except Exception as error:  # the child tries again, and says in the log's state that it has to
            LOG.exception("ct %s", kind)
            answer = (False, f"{type(error).__name__}: {error}")
        # Not waited for: the child may be writing to us, and would wait for us to read.
        self._write(("answer", number, answer))

    async def _send(self, value: object) -> None:
        self._write(value)
        assert self._process is not None
        assert self._process.stdin is not None
        async with self._writing:
            await self._process.stdin.drain()

    def _write(self, value: object) -> None:
        assert self._process is not None
        assert self._process.stdin is not None
        self._process.stdin.write(_frame(value))


async def _ended(process: asyncio.subprocess.Process) -> None:
    if process.stdin is not None:
        process.stdin.close()
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(process.wait(), 2.0)
    if process.returncode is None:
        process.kill()
        await process.wait()


def _frame(value: object) -> bytes:
    body = pickle.dumps(value)
    return _LENGTH.pack(len(body)) + body


async def _received(stream: asyncio.StreamReader) -> Any:
    """The next value, or None at the end."""
    try:
        (length,) = _LENGTH.unpack(await stream.readexactly(_LENGTH.size))
        return pickle.loads(await stream.readexactly(length))  # noqa: S301 - written by this program, see above
    except (asyncio.IncompleteReadError, ConnectionError):
        return None


# ── the child ───────────────────────────────────────────────────────────────────


class _Parent:
    """The store of the follower, and whom it tells: the process above."""

    def __init__(self, write: Callable[[bytes], object]) -> None:
        self._write = write
        self._number = 0
        self._waiting: dict[int, asyncio.Future[tuple[bool, Any]]] = {}

    async def load(self, log_id: str) -> Position | None:
        position: Position | None = await self._asked("load", log_id)
        return position

    async def commit(self, position: Position, found: Sequence[Found], events: Sequence[Event]) -> News:
        from probes.ct_store import News

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
        self._write(_frame((kind, number, value)))


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

    def start(self) -> None:
        self._task = asyncio.create_task(self._kept_going(), name="ct following")

    async def watch(self, domains: tuple[str, ...], similar: tuple[str, ...]) -> None:
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
                known = isinstance(error, (UsageError, ValueError)) or type(error).__name__ == "Unavailable"
                if not known:
                    LOG.exception("ct following")
                self._tell(Listed(trouble=str(error) or type(error).__name__))
            await asyncio.sleep(_LIST_AGAIN_S[min(attempts, len(_LIST_AGAIN_S) - 1)])
            attempts += 1

    async def _read_list(self) -> LogList:
        from probes.ct_follow import wanted
        from probes.net.ctlist import log_list

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
        from probes.ct.lookalikes import lookalikes
        from probes.ct.watchset import WatchSet
        from probes.ct_follow import follow, wanted

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
        from probes.ct_follow import ListChange, Status

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
            case "caa":
                return await self._caa(*arguments)
            case "evidence":
                return await self._evidence(*arguments)
            case "backfill":
                return await self._backfill(*arguments)
        return None

    async def _caa(self, names: tuple[str, ...], issuer: str) -> tuple[Finding, ...]:
        from probes.caa import judged
        from probes.net.dns_records import caa
        from probes.net.system import System
        from probes.published import domains_of

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
            else judged(name, each, domains_of(issuer))
            for name, each in zip(wanted, found, strict=True)
        )

    async def _evidence(self, log_id: str, issuance: Issuance) -> Bundle | None:
        from probes.ct.heads import BadHead, verify_head
        from probes.ct.merkle import BadTree
        from probes.ct_evidence import BadEvidence, evidence
        from probes.net.ctlog import client
        from probes.net.logfetch import Unavailable

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
        from probes.net.crtsh import filled
        from probes.net.logfetch import Unavailable

        try:
            return await filled(domain, self._source.crtsh, self._source.manners, rng=SystemRandom())
        except (Unavailable, UsageError) as missing:
            return str(missing)


async def _serve(write: Callable[[bytes], object]) -> None:
    loop = asyncio.get_running_loop()
    stream = asyncio.StreamReader(limit=1 << 26)
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(stream), sys.stdin)
    begin: Begin | None = await _received(stream)
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
    while (frame := await _received(stream)) is not None:
        kind, number, value = frame
        if kind == "answer":
            parent.answered(number, value)
        elif kind == "watch":
            # Beside the reading: what it waits for may be an answer that stands behind this frame.
            task = asyncio.create_task(following.watch(*value))
            running.add(task)
            task.add_done_callback(running.discard)
        else:
            task = asyncio.create_task(run(kind, number, value))
            running.add(task)
            task.add_done_callback(running.discard)
    for task in running:  # the parent is gone: nobody keeps what is found
        task.cancel()
    await asyncio.gather(*running, return_exceptions=True)
    await following.stop()


def main() -> None:
    """Follow until the parent closes the pipe."""
    from probes.sweep import loop_factory

    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    os.nice(_NICENESS)
    gc.freeze()
    gc.set_threshold(20_000, 20, 50)  # what a tile is made of has no cycles, and there is much of it
    # What a library prints goes to the log, not between the frames.
    answers = os.fdopen(os.dup(1), "wb", buffering=0)
    os.dup2(2, 1)

    def write(frame: bytes) -> None:
        view = memoryview(frame)
        while view:
            view = view[answers.write(view) or 0 :]

    with answers, contextlib.suppress(BrokenPipeError), asyncio.Runner(loop_factory=loop_factory()) as runner:
        runner.run(_serve(write))


if __name__ == "__main__":
    from bot import ct_reader  # noqa: PLW0406 - what is unpickled names this module so; once is enough

    ct_reader.main()
