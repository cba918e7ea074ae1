"""Looks at what is watched, in a process of their own: thousands of them never keep a person's check waiting.

A child of a lower priority runs them on its own event loop, so many at a time; beside it the prober, which answers
people, has the processor whenever it wants it. Looks go there and come back in batches, and a look that saw what was
known already comes back without its report: that, not the pipe, decides how many there can be. The child is started
with the first look. When it dies it is started again, and what it was doing is done once more.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import deque
from dataclasses import replace
from functools import lru_cache
from typing import Final

from bot import pipes
from bot.looks import Ask, told, unmade
from bot.prober import settle
from bot.sighting import Kind
from bot.watched import Seen
from probes.check import Options, check, ders
from probes.model import UsageError

LOG = logging.getLogger("bot.patrol")
LIGHT_AT_ONCE: Final = 48
FULL_AT_ONCE: Final = 8
_NICENESS: Final = 10  # below the prober (5); lower still, a busy machine would leave it nothing
_MOST_IN_A_FRAME: Final = 200
_GATHERED_S: Final = 0.05  # answers that come within this time travel together
_ATTEMPTS: Final = 2
_TICK_S: Final = 0.2
_AGAIN_S: Final = 1.0  # before a child that could not be started is tried once more
_HELD_UP_S: Final = 1.0  # the processor was elsewhere for so long: silence in that time proves nothing


class Patrol:
    """Makes looks in the child. `async with Patrol(options) as look: seen = await look(ask)`."""

    def __init__(self, options: Options) -> None:
        self._options = options
        self._number = 0
        self._waiting: dict[int, tuple[Ask, asyncio.Future[Seen], int]] = {}
        self._unsent: deque[int] = deque()
        self._sender: asyncio.Task[None] | None = None
        self._reader: asyncio.Task[None] | None = None
        self._process: asyncio.subprocess.Process | None = None
        self._closed = False

    async def __aenter__(self) -> Patrol:
        return self

    async def __aexit__(self, *_: object) -> None:
        self._closed = True
        for task in (self._sender, self._reader):
            if task is not None:
                task.cancel()
        await asyncio.gather(*(task for task in (self._sender, self._reader) if task), return_exceptions=True)
        for waiting in self._waiting.values():
            waiting[1].cancel()
        if self._process is not None:
            await pipes.ended(self._process)

    async def __call__(self, ask: Ask, /) -> Seen:
        self._number += 1
        number = self._number
        answer: asyncio.Future[Seen] = asyncio.get_running_loop().create_future()
        self._waiting[number] = ask, answer, 1
        self._unsent.append(number)
        self._send_soon()
        try:
            return await answer
        finally:
            self._waiting.pop(number, None)

    def _send_soon(self) -> None:
        if self._sender is None or self._sender.done():
            self._sender = asyncio.create_task(self._send(), name="patrol asks")

    async def _send(self) -> None:
        """One task sends: frames keep whole, and what is asked meanwhile goes along."""
        while self._unsent and not self._closed:
            try:
                process = await self._child()
            except OSError as error:  # no memory, no processes left, or it died while it was told its options
                LOG.error("patrol not started error=%s", error)
                await asyncio.sleep(_AGAIN_S)
                continue
            batch: list[tuple[int, Ask]] = []
            while self._unsent and len(batch) < _MOST_IN_A_FRAME:
                number = self._unsent.popleft()
                if number in self._waiting:
                    batch.append((number, self._waiting[number][0]))
            try:
                await pipes.written(process, batch)
            except ConnectionError:
                await process.wait()  # the reader asks again for what is lost

    async def _child(self) -> asyncio.subprocess.Process:
        if self._process is None or self._process.returncode is not None:
            if self._reader is not None:
                await self._reader
            self._process = await pipes.started("bot.patrol")
            self._reader = asyncio.create_task(self._read(self._process), name="patrol answers")
            await pipes.written(self._process, self._options)
        return self._process

    async def _read(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdout is not None
        while (answers := await pipes.received(process.stdout)) is not None:
            for number, seen in answers:
                waiting = self._waiting.get(number)
                if waiting is not None and not waiting[1].done():
                    waiting[1].set_result(seen)
        await process.wait()
        if self._closed:
            return
        LOG.warning("patrol ended status=%s looks=%s", process.returncode, len(self._waiting))
        unsent = set(self._unsent)
        for number, (ask, answer, attempts) in list(self._waiting.items()):
            if answer.done() or number in unsent:
                continue
            if attempts >= _ATTEMPTS:
                answer.set_result(unmade(ask, "this program's own prober ended"))
            else:
                self._waiting[number] = ask, answer, attempts + 1
                self._unsent.append(number)
        if self._unsent:
            asyncio.get_running_loop().call_soon(self._send_soon)


# ── looks ───────────────────────────────────────────────────────────────────────


async def look(options: Options, ask: Ask) -> Seen:
    """Make one look, and say what it saw."""
    try:
        chosen = replace(_trusting(options, ask.bundle), identity=ask.check.credential, light=ask.kind == "light")
        report = await check(ask.check.target, chosen)
    except UsageError as error:
        return unmade(ask, str(error))
    # Our own mistake about one target must not cost the thousands beside it.
    except Exception as error:
        LOG.exception("look failed target=%s", ask.check.target)
        return unmade(ask, f"this program failed ({type(error).__name__})")
    return told(ask, report)


@lru_cache(maxsize=8)
def _added(bundle: str) -> tuple[bytes, ...]:
    return ders(bundle)


def _trusting(options: Options, bundle: str) -> Options:
    if not bundle:
        return options
    return replace(options, trust=replace(options.trust, added=(*options.trust.added, *_added(bundle))))


# ── the child ───────────────────────────────────────────────────────────────────


class _Lag:
    """How long the processor was elsewhere: the latest tick that came over a second late."""

    def __init__(self) -> None:
        self.held_up_at = float("-inf")

    async def watch(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            before = loop.time()
            await asyncio.sleep(_TICK_S)
            if loop.time() - before > _TICK_S + _HELD_UP_S:
                self.held_up_at = loop.time()


class _Answers:
    """Gathers answers for a moment and writes them in one frame."""

    def __init__(self, write: pipes.Write) -> None:
        self._write = write
        self._ready: list[tuple[int, Seen]] = []

    def add(self, number: int, seen: Seen) -> None:
        if not self._ready:
            asyncio.get_running_loop().call_later(_GATHERED_S, self.flush)
        self._ready.append((number, seen))

    def flush(self) -> None:
        ready, self._ready = self._ready, []
        if ready:
            with contextlib.suppress(BrokenPipeError):  # the bot is gone: nobody reads, and `_serve` ends by itself
                self._write(pipes.frame(ready))


async def _serve(stream: asyncio.StreamReader, write: pipes.Write) -> None:
    options: Options | None = await pipes.received(stream)
    if options is None:
        return
    settle(options)
    lag, answers = _Lag(), _Answers(write)
    asked: dict[Kind, asyncio.Queue[tuple[int, Ask]]] = {"light": asyncio.Queue(), "full": asyncio.Queue()}

    async def lane(kind: Kind) -> None:
        while True:
            number, ask = await asked[kind].get()
            answers.add(number, await _fair(options, ask, lag))

    lanes = [asyncio.create_task(lane("light")) for _ in range(LIGHT_AT_ONCE)]
    lanes += [asyncio.create_task(lane("full")) for _ in range(FULL_AT_ONCE)]
    lanes.append(asyncio.create_task(lag.watch()))
    while (batch := await pipes.received(stream)) is not None:
        for number, ask in batch:
            asked[ask.kind].put_nowait((number, ask))
    for task in lanes:  # the parent is gone: nobody reads the answers
        task.cancel()
    await asyncio.gather(*lanes, return_exceptions=True)


async def _fair(options: Options, ask: Ask, lag: _Lag) -> Seen:
    """A look; one that found a fault while this process was held up is made again."""
    begun = asyncio.get_running_loop().time()
    seen = await look(options, ask)
    if seen.status == "broken" and lag.held_up_at >= begun:
        return await look(options, ask)
    return seen


def main() -> None:
    """Answer the parent until it closes the pipe."""
    pipes.answering(_serve, niceness=_NICENESS)


if __name__ == "__main__":
    from bot import patrol  # noqa: PLW0406 - what is unpickled names this module so; once is enough

    patrol.main()
