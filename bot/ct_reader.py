"""CT logs read in a process of their own (`bot.ct_follower`), seen from above: what strangers logged is never fetched
or parsed in the bot's own process.

What must survive is kept here, where the child asks for it: its store is a pair of frames. So position, findings and
what is said of them are one transaction of the bot's memory, and a child that dies at any moment repeats nothing and
skips nothing. The child is asked in turn for what wants the network: CAA records, a proof, a back-fill. Frames are a
length and a pickle; both ends are this program.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from bot import pipes
from probes.caa import Finding

if TYPE_CHECKING:
    from probes.ct.issuance import Issuance
    from probes.ct.position import Event, Position
    from probes.ct_evidence import Bundle
    from probes.ct_follow import Habits, Status
    from probes.ct_store import Found
    from probes.net.crtsh import Filled
    from probes.net.logfetch import Manners

LOG = logging.getLogger("bot.ct")
_ASK_S: Final = 60.0


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
        process = await pipes.started("bot.ct_follower")
        self._process = process
        try:
            await self._send(begin)
            assert process.stdout is not None
            # One frame after the other: what was committed before a question is seen by its answer.
            while (each := await pipes.received(process.stdout)) is not None:
                await self._serve(*each)
            await process.wait()
            LOG.warning("ct reader ended status=%s", process.returncode)
        except ConnectionError:
            LOG.warning("ct reader hung up")
        finally:
            for answer in self._waiting.values():
                if not answer.done():
                    answer.set_exception(Died())
            self._waiting.clear()
            await pipes.ended(process)

    async def watch(self, domains: Sequence[str], similar: Sequence[str]) -> None:
        """Back when it goes by these domains. Raises Died."""
        await self._ask("watch", tuple(domains), tuple(similar))

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
        self._process.stdin.write(pipes.frame(value))
