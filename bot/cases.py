"""Incidents: which one something belongs to, where its root stands and what that says; one step at a time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import TypeAlias

from bot import incidents
from bot.casebook import KEEP, Watching
from bot.history import History
from bot.messages import permalink
from bot.model import Content, Entry, Incident, Note, PastCheck
from bot.notify import Outbox
from bot.render import incident as render

ALIKE = 4  # earlier incidents that are told of
AddressOf: TypeAlias = Callable[[str], Awaitable[str]]  # of a workspace; empty when nobody knows
HeadlineOf: TypeAlias = Callable[[Incident], Awaitable[Content | None]]  # of an incident that no check opened
# Certificates that CT logs took, in mrkdwn: for the host of a check, as those channels know them, since the earlier
# check and shortly before the incident began (None: before the check).
Appeared: TypeAlias = Callable[[PastCheck, Sequence[str], PastCheck | None, datetime | None], Awaitable[Sequence[str]]]


class Cases:
    """The incidents of all channels. `url_of` names a workspace's own address, for links."""

    def __init__(self, *, history: History, outbox: Outbox, url_of: AddressOf, headline_of: HeadlineOf) -> None:
        self._history = history
        self._outbox = outbox
        self._url_of = url_of
        self._headline_of = headline_of
        self._stepping: dict[tuple[str, str], asyncio.Lock] = {}

    @asynccontextmanager
    async def alone(self, channel: str, endpoint: str) -> AsyncIterator[None]:
        """What happens to one incident happens one after the other."""
        lock = self._stepping.setdefault((channel, endpoint), asyncio.Lock())
        async with lock:
            yield
        if not lock.locked():
            self._stepping.pop((channel, endpoint), None)

    async def standing(self, team: str, channel: str, endpoint: str) -> Incident | None:
        """The incident of *endpoint* that further checks belong to; one that is over for long ends here."""
        async with self.alone(channel, endpoint):
            found = await self._history.standing(team, channel, endpoint)
            now = datetime.now(UTC)
            ended = incidents.lapsed(found, now) if found is not None else None
            if found is None or ended is None:
                return found
            text = "🟢 ended by itself: not broken for a day, and nobody resolved it"
            entry = Entry(key="lapsed", kind="verdict", at=now, user="", text=text)
            await self._history.settle(ended, [entry], await self.root(ended, vigil=None))
            self._outbox.wake()
            return None

    async def link(self, incident: Incident) -> str:
        """Where the root stands; empty while it stands nowhere, or where the workspace did not say its address."""
        ts, _ = await self._history.posted_as(incident.root)
        url = await self._url_of(incident.team) if ts is not None else ""
        if ts is None or not url:
            return ""
        return permalink(url, incident.channel, ts, thread_ts=incident.thread_ts)

    async def root(self, incident: Incident, *, vigil: Watching = KEEP) -> list[Note]:
        """The root's message as it is to be now, or will be with *vigil*."""
        watched = await self._history.vigil(incident.id) if vigil == KEEP else vigil
        check = await self._history.check(incident.last_check)
        if check is not None:
            return [root_note(incident, render.root(incident, check, watched))]
        headline = await self._headline_of(incident)
        return [root_note(incident, headline)] if headline is not None else []

    async def alike(self, incident: Incident, seen_in: Sequence[str]) -> list[tuple[Incident, str]]:
        """Earlier incidents like this one, each with its link."""
        found = await self._history.alike(incident, seen_in=seen_in, limit=ALIKE)
        return [(each, await self.link(each)) for each in found]


# ── notes that belong to an incident ────────────────────────────────────────────


def root_note(incident: Incident, content: Content) -> Note:
    """The root's message."""
    return Note(
        key=incident.root,
        kind="message",
        team=incident.team,
        channel=incident.channel,
        thread_ts=incident.thread_ts,
        content=content,
    )


def below_key(incident: Incident, what: str) -> str:
    return f"incident:{incident.id}:{what}"


def below(incident: Incident, what: str, content: Content) -> Note:
    """A message in the incident's thread."""
    return Note(
        key=below_key(incident, what),
        kind="message",
        team=incident.team,
        channel=incident.channel,
        parent=incident.root,
        thread_ts=incident.thread_ts,
        content=content,
    )
