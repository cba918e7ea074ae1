"""Checks in a process of their own, so that cryptography never keeps an acknowledgement waiting.

One long-lived child runs every check on an event loop of its own. Frames travel over its stdin and stdout: a length
and a pickle (both ends are this program; nothing foreign is ever unpickled). The child has no Slack token in its hands
and a lower priority. When it dies, it is started again and what it was doing is done once more.

What nobody waits for (`Check.is_background`) gives way: so many such checks run at once, few while a person's runs, and
the rest waits here, where it is in nobody's way. (What is watched is looked at in `bot.patrol`.)
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import itertools
import logging
from collections import deque
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from typing import Any, Literal, TypeAlias

from bot import pipes
from bot.model import Check
from probes.check import Options, check
from probes.facts import anchors
from probes.model import Report, UsageError
from probes.sweep import COLLECTED_AFTER

LOG = logging.getLogger("bot.prober")
_NICENESS = 5
_ATTEMPTS = 2
BACKGROUND_AT_ONCE = 24
BACKGROUND_BESIDE_PEOPLE = 3
Answer: TypeAlias = tuple[int, Literal["report", "usage", "fault", "progress"], Any]
OnProgress: TypeAlias = Callable[[str], None]


class ProberDied(Exception):
    """The child ended while a check ran, twice in a row."""


class ProberFault(Exception):
    """The check failed by our own fault; the text says how."""


class _Lanes:
    """Who may begin: people at once, the background when there is room."""

    def __init__(self) -> None:
        self._people = 0
        self._background = 0
        self._waiting: deque[asyncio.Future[None]] = deque()

    @contextlib.asynccontextmanager
    async def turn(self, *, is_background: bool) -> AsyncIterator[None]:
        """Wait for a turn; it lasts as long as the block."""
        if not is_background:
            self._people += 1
            try:
                yield
            finally:
                self._people -= 1
                self._admit()
            return
        admitted: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(admitted)
        self._admit()
        try:
            await admitted
            yield
        finally:
            if admitted.done() and not admitted.cancelled():
                self._background -= 1
            self._admit()

    def _admit(self) -> None:
        most = BACKGROUND_BESIDE_PEOPLE if self._people else BACKGROUND_AT_ONCE
        while self._waiting and self._background < most:
            admitted = self._waiting.popleft()
            if not admitted.cancelled():
                self._background += 1
                admitted.set_result(None)


class Prober:
    """Makes checks in the child. `async with Prober(options) as check: await check(…)`."""

    def __init__(self, options: Options) -> None:
        self._options = options
        self._numbers = itertools.count(1)
        self._waiting: dict[int, tuple[asyncio.Future[Report], OnProgress]] = {}
        self._process: asyncio.subprocess.Process | None = None
        self._reader: asyncio.Task[None] | None = None
        self._starting = asyncio.Lock()
        self._lanes = _Lanes()

    async def __aenter__(self) -> Prober:
        await self._child()
        return self

    async def __aexit__(self, *_: object) -> None:
        process, self._process = self._process, None
        if process is not None:
            await pipes.ended(process)
        if self._reader is not None:
            await self._reader

    async def __call__(self, asked: Check, on_progress: OnProgress = lambda _: None, /) -> Report:
        """The report; meanwhile *on_progress* is told how far it is. Raises UsageError when the target may not or
        cannot be checked."""
        async with self._lanes.turn(is_background=asked.is_background):
            return await self._made(asked, on_progress)

    async def _made(self, asked: Check, on_progress: OnProgress) -> Report:
        for attempt in range(_ATTEMPTS):
            process = await self._child()
            number = next(self._numbers)
            answer: asyncio.Future[Report] = asyncio.get_running_loop().create_future()
            self._waiting[number] = answer, on_progress
            try:
                await pipes.written(process, (number, asked))
                return await answer
            except (ProberDied, ConnectionError):
                if attempt + 1 == _ATTEMPTS:
                    raise
                LOG.warning("checking again after the prober ended target=%s", asked.target)
            finally:
                self._waiting.pop(number, None)
        raise ProberDied

    async def _child(self) -> asyncio.subprocess.Process:
        async with self._starting:
            if self._process is None or self._process.returncode is not None:
                self._process = await pipes.started("bot.prober")
                self._reader = asyncio.create_task(self._read(self._process), name="prober answers")
                await pipes.written(self._process, self._options)
            return self._process

    async def _read(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdout is not None
        while (frame := await pipes.received(process.stdout)) is not None:
            number, kind, value = frame
            answer, on_progress = self._waiting.get(number, (None, None))
            if answer is None or on_progress is None or answer.done():
                continue
            if kind == "progress":
                on_progress(value)
            elif kind == "report":
                answer.set_result(value)
            else:
                answer.set_exception(UsageError(value) if kind == "usage" else ProberFault(value))
        await process.wait()
        if self._process is process:
            LOG.warning("prober ended status=%s", process.returncode)
        for answer, _ in self._waiting.values():
            if not answer.done():
                answer.set_exception(ProberDied())


# ── the child ───────────────────────────────────────────────────────────────────


async def answered(options: Options, number: int, asked: Check, on_progress: OnProgress) -> Answer:
    """One check, and what the parent is told."""
    origin = asked.origin
    if origin is not None and options.permit is not None and (why := options.permit(origin.address, origin.port)):
        return (number, "usage", f"I read --origin {origin}, and {why}.")
    try:
        chosen = replace(
            options,
            addresses=asked.addresses,
            origin=asked.origin,
            identity=asked.credential,
            light=asked.light or options.light,
        )
        report = await check(asked.target, chosen, on_progress=on_progress)
    except UsageError as error:
        return (number, "usage", str(error))
    except Exception as error:
        LOG.exception("check failed target=%s", asked.target)
        return (number, "fault", f"{type(error).__name__}: {error}")
    return (number, "report", report)


async def _serve(stream: asyncio.StreamReader, write: pipes.Write) -> None:
    options: Options | None = await pipes.received(stream)
    if options is not None:
        settle(options)
    running: set[asyncio.Task[None]] = set()

    def say(answer: Answer) -> None:
        write(pipes.frame(answer))

    async def run(number: int, asked: Check) -> None:
        assert options is not None
        say(await answered(options, number, asked, lambda text: say((number, "progress", text))))

    while options is not None and (request := await pipes.received(stream)) is not None:
        task = asyncio.create_task(run(*request))
        running.add(task)
        task.add_done_callback(running.discard)
    for task in running:  # the parent is gone: nobody reads the answers
        task.cancel()
    await asyncio.gather(*running, return_exceptions=True)


def settle(options: Options) -> None:
    """Read the store once, then keep what lives for good out of the collector's way: a fifth of a check."""
    _ = anchors(options.trust).fingerprint
    gc.collect()
    gc.freeze()
    gc.set_threshold(COLLECTED_AFTER, 10, 10)


def main() -> None:
    """Answer the parent until it closes the pipe."""
    pipes.answering(_serve, niceness=_NICENESS)


if __name__ == "__main__":
    main()
