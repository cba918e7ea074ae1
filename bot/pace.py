"""At Slack's pace: how often something may be done, and who goes first when there is too little for all."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from dataclasses import dataclass


class Pace:
    """At most `calls` within any `per_s` seconds; a pause lasts until it is over."""

    def __init__(self, calls: int, per_s: float) -> None:
        self._calls = calls
        self._per_s = per_s
        self._taken: deque[float] = deque()
        self._paused_until = 0.0

    def pause(self, seconds: float) -> None:
        self._paused_until = max(self._paused_until, time.monotonic() + seconds)

    def resume(self) -> None:
        """No pause any more. Who waits already waits out what it saw."""
        self._paused_until = 0.0

    async def turn(self) -> None:
        """Wait for the next turn and take it."""
        while True:
            now = time.monotonic()
            while self._taken and self._taken[0] <= now - self._per_s:
                self._taken.popleft()
            wait = self._paused_until - now
            if len(self._taken) >= self._calls:
                wait = max(wait, self._taken[0] + self._per_s - now)
            if wait <= 0:
                self._taken.append(now)
                return
            await asyncio.sleep(wait)

    def done(self) -> None:
        """The call whose turn it was last has been answered: Slack counted it no later than now."""
        if self._taken:
            self._taken[-1] = time.monotonic()


@dataclass(eq=False, slots=True, kw_only=True)
class _Waiter:
    key: int
    is_passing: bool
    turn: asyncio.Future[None]


class Budget:
    """At most `calls` within any `per_s` seconds, for what lasts before what passes.

    What is passing (a progress edit) may take no more than `for_passing` of them, and only while nothing lasting
    waits. A waiter whose message has come to say something lasting is moved forward (`rank`).
    """

    def __init__(self, calls: int, per_s: float, *, for_passing: int) -> None:
        self._calls = calls
        self._per_s = per_s
        self._for_passing = for_passing
        self._taken: deque[float] = deque()
        self._paused_until = 0.0
        self._waiting: list[_Waiter] = []
        self._alarm: asyncio.TimerHandle | None = None

    def pause(self, seconds: float) -> None:
        self._paused_until = max(self._paused_until, time.monotonic() + seconds)

    def rank(self, key: int, *, is_passing: bool) -> None:
        """What *key* waits for says something else by now."""
        for waiter in self._waiting:
            if waiter.key == key and waiter.is_passing != is_passing:
                waiter.is_passing = is_passing
                self._grant()

    async def turn(self, key: int, *, is_passing: bool) -> None:
        """Wait for the next turn and take it."""
        waiter = _Waiter(key=key, is_passing=is_passing, turn=asyncio.get_running_loop().create_future())
        self._waiting.append(waiter)
        self._grant()
        try:
            await waiter.turn
        finally:
            if waiter in self._waiting:
                self._waiting.remove(waiter)

    def _grant(self) -> None:
        """Give every turn that there is now, and come back when there is another."""
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None
        now = time.monotonic()
        while self._taken and self._taken[0] <= now - self._per_s:
            self._taken.popleft()
        while self._waiting:
            waiter = min(self._waiting, key=lambda each: each.is_passing)  # the first of the foremost
            wait = self._wait(now, is_passing=waiter.is_passing)
            if wait > 0:
                self._alarm = asyncio.get_running_loop().call_later(wait, self._grant)
                return
            self._waiting.remove(waiter)
            if not waiter.turn.done():
                self._taken.append(now)
                waiter.turn.set_result(None)

    def _wait(self, now: float, *, is_passing: bool) -> float:
        most = self._for_passing if is_passing else self._calls
        wait = self._paused_until - now
        if len(self._taken) >= most:
            wait = max(wait, self._taken[len(self._taken) - most] + self._per_s - now)
        return wait
