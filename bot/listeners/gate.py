"""What stands before every listener's work: where the bot answers, how much one person may ask, and the memory."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace

from bot.answers import reply
from bot.digesting import Digesting
from bot.history import History
from bot.identities import Identities
from bot.model import Content, Intake, Note
from bot.notify import Outbox
from bot.render import help, words
from bot.steps import Steps
from bot.watch_desk import WatchDesk

MOST_A_MINUTE = 240  # from one person: far more than hands can do, little enough for a script gone wild
_ROOM = 2.5  # times as much is taken from a channel; an incident with everybody in it stays below
_REMEMBERED = 10_000


class Rate:
    """How often something was let through within the last minute, by whom or where."""

    def __init__(self, most: int, clock: Callable[[], float]) -> None:
        self.most = most
        self._clock = clock
        self._recent: dict[str, deque[float]] = {}

    def wait_s(self, key: str) -> float | None:
        """How long *key* has to wait for its next turn; None: it may go now."""
        now = self._clock()
        recent = self._recent.get(key, deque())
        while recent and recent[0] <= now - 60.0:
            recent.popleft()
        return recent[0] + 60.0 - now if len(recent) >= self.most else None

    def count(self, key: str) -> None:
        now = self._clock()
        self._recent.setdefault(key, deque()).append(now)
        if len(self._recent) > _REMEMBERED:
            self._recent = {name: times for name, times in self._recent.items() if times and times[-1] > now - 60.0}


class Gate:
    """Lets a request in, stored, or says why not. Nothing here waits for Slack.

    `hand_over` begins what was let in, after it is acknowledged; it never raises.
    """

    def __init__(
        self,
        *,
        history: History,
        hand_over: Callable[[Intake], None],
        outbox: Outbox,
        allowed_channels: frozenset[str] = frozenset(),
        most_a_minute: int = MOST_A_MINUTE,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.hand_over = hand_over
        self._history = history
        self._outbox = outbox
        self._allowed = allowed_channels
        self._people = Rate(most_a_minute, clock)
        self._rooms = Rate(int(most_a_minute * _ROOM), clock)

    def answers_in(self, channel: str) -> bool:
        """Whether the operator lets the bot speak in *channel*."""
        return not self._allowed or channel in self._allowed

    def refusal(self, channel: str, user: str) -> Content | None:
        """Why this request is not taken, or None. A request that is taken counts."""
        if self._allowed and channel not in self._allowed:
            return words.refused_here(sorted(self._allowed))
        wait = self._people.wait_s(user)
        if wait is not None:
            return words.too_many(self._people.most, wait)
        wait = self._rooms.wait_s(channel)
        if wait is not None:
            return words.too_many_here(self._rooms.most, wait)
        self._people.count(user)
        self._rooms.count(channel)
        return None

    async def has_incidents(self, team: str, channel: str) -> bool:
        """Whether anything that happens in *channel* can concern an incident."""
        return await self._history.has_incidents(team, channel)

    async def is_noted(self, team: str, channel: str, ts: str) -> bool:
        """Whether a timeline has, or is about to have, a note from that message."""
        return await self._history.is_source(team, channel, ts)

    async def take_in(self, intake: Intake, *, verdict: str = "accepted", finished: bool = False) -> Intake | None:
        """Store *intake* before it is acknowledged; None when it was delivered before."""
        first = (greeting(intake),) if intake.action is None else ()
        number = await self._history.take_in(intake, verdict=verdict, finished=finished, first=first)
        if first and finished:
            self._outbox.wake()  # nothing else will, and there may be a greeting to say
        return None if number is None else replace(intake, id=number)

    async def conclude(self, intake: Intake, content: Content, *, verdict: str) -> None:
        """Store that *intake* was done at once, together with the answer that says so."""
        await self._history.take_in(intake, verdict=verdict, finished=True, notes=(reply(intake, content),))
        self._outbox.wake()

    async def turn_away(self, intake: Intake, why: Content) -> None:
        """Store that *intake* was refused, together with the answer that says so."""
        await self._history.take_in(intake, verdict="refused", finished=True, notes=(reply(intake, why),))
        self._outbox.wake()


@dataclass(frozen=True, slots=True, kw_only=True)
class Desks:
    """Who is asked before a form opens, and what it shows; and who tells a workflow that it was turned away."""

    identities: Identities
    watches: WatchDesk
    digests: Digesting
    steps: Steps


def greeting(intake: Intake) -> Note:
    """What a person is told once, beside the answer to the first command."""
    return replace(reply(intake, help.first_time()), key=f"first:{intake.team}:{intake.user}")
