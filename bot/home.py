"""The App Home of each person, published when opened and when what it shows changes; and the welcome of a channel.

Whoever looked within the last hour is kept up to date: a write to the memory stirs, some seconds of writes are one
look at the facts, and an equal view is not published. What a private channel holds is for its members alone.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final, Protocol

import aiohttp
from slack_sdk.errors import SlackApiError, SlackClientError

from bot.clients import Clients
from bot.digest_book import DigestBook
from bot.history import History
from bot.homes import Homes, Looker
from bot.model import Incident, Intake, Note
from bot.notify import Outbox
from bot.places import Places
from bot.render import help
from bot.render import home as render
from bot.rooms import Rooms
from bot.watchlist import Watchlist

LOG = logging.getLogger("bot.home")
OPENED: Final = "home.opened"
JOINED: Final = "channel.joined"
_LOOKED_AT = timedelta(hours=1)  # who opened it earlier opens it again before looking: Slack tells us then
_MOST_LOOKERS = 30
_EVERY_S = 3.0
_PATIENCE_S = 10.0
_MEMBERS_KNOWN_FOR_S = 120.0
_MOST_MEMBER_PAGES = 5
_MOST_ROOMS = 40
_MOST_KNOWN = 2_000


# A member of the workspace, neither guest nor from elsewhere? None: Slack does not say now.
IsMember = Callable[[str, str], Awaitable[bool | None]]


async def everyone(team: str, user: str) -> bool | None:
    """Nobody tells members from guests."""
    return True


class Certificates(Protocol):
    """What is known of Certificate Transparency."""

    async def rooms(self, team: str) -> list[str]:
        """The channels that watch a domain."""

    async def at_home(self, team: str, channels: Sequence[str]) -> str:
        """What is said to somebody who may read those channels; empty for nothing."""


class Home:
    """Publishes Homes. `run` it as a task."""

    def __init__(
        self,
        *,
        history: History,
        outbox: Outbox,
        clients: Clients,
        rooms: Rooms,
        places: Places,
        link: Callable[[Incident], Awaitable[str]],
        is_member: IsMember = everyone,
        ct: Certificates | None = None,
        every_s: float = _EVERY_S,
    ) -> None:
        self._memory = history
        self._homes = Homes(history)
        self._watchlist = Watchlist(history)
        self._digests = DigestBook(history)
        self._outbox = outbox
        self._clients = clients
        self._rooms = rooms
        self._places = places
        self._link = link
        self._is_of_the_team = is_member
        self._ct = ct
        self._every_s = every_s
        self._members: dict[tuple[str, str], tuple[float, frozenset[str]]] = {}

    def acts(self) -> dict[str, Callable[[Intake], Awaitable[None]]]:
        """What each event does."""
        return {OPENED: self.opened, JOINED: self.joined}

    async def run(self) -> None:
        """Keep the Homes that people look at up to date, until cancelled."""
        while True:
            await self._memory.written.wait()
            await asyncio.sleep(self._every_s)
            self._memory.written.clear()
            try:
                for looker in await self._homes.lookers(_now() - _LOOKED_AT, limit=_MOST_LOOKERS):
                    await self._bring_up_to_date(looker)
            except Exception:
                # Our own fault: people see an older Home, and the next write tries again.
                LOG.exception("homes not brought up to date")

    # ── events ──────────────────────────────────────────────────────────────────

    async def opened(self, intake: Intake) -> None:
        """Somebody looks."""
        await self._homes.opened(intake)
        await self._bring_up_to_date(Looker(team=intake.team, user=intake.user, shown=""))
        await self._memory.finish(intake.id, _now())

    async def joined(self, intake: Intake) -> None:
        """The bot came into a channel: the first time it says what it is for."""
        note = Note(
            key=f"welcome:{intake.team}:{intake.channel}",
            kind="message",
            team=intake.team,
            channel=intake.channel,
            content=help.welcome(),
        )
        if await self._homes.welcome(intake, note, _now()):
            self._outbox.wake()

    # ── publishing ──────────────────────────────────────────────────────────────

    async def _bring_up_to_date(self, looker: Looker) -> None:
        view = render.view(await self._of(looker.team, looker.user))
        text = json.dumps(render.lasting(view), sort_keys=True, ensure_ascii=False)
        digest = hashlib.sha256(text.encode()).hexdigest()
        if digest == looker.shown:
            return
        try:
            async with asyncio.timeout(_PATIENCE_S):
                client = await self._clients.client(looker.team)
                await client.views_publish(user_id=looker.user, view=view)
        except SlackApiError as error:
            # `not_enabled`: the app's Home tab is switched off. `ratelimited`: the next change tries again.
            LOG.warning("home not published user=%s error=%s", looker.user, error.response.get("error"))
            return
        except (SlackClientError, aiohttp.ClientError, TimeoutError, OSError) as error:
            LOG.warning("home not published user=%s error=%s", looker.user, type(error).__name__)
            return
        await self._homes.shown(looker, digest)

    async def _of(self, team: str, user: str) -> render.Home:
        standing = await self._homes.standing(team)
        plans = await self._digests.plans(team)
        others = await self._memory.channels(team, limit=_MOST_ROOMS)
        here = [each.channel for each in standing] + [each.channel for each in plans]
        here += await self._ct.rooms(team) if self._ct is not None else []
        rooms = dict.fromkeys([*here, *await self._watchlist.channels(team), *others])
        visible = await self._visible(team, user, [*rooms][: _MOST_ROOMS * 2])
        # A direct message with the bot belongs to whoever asked there.
        own = {each.channel for each in standing if each.opened_by == user and each.channel.startswith("D")}
        incidents = [each for each in standing if each.channel in visible | own]
        endings, known = await self._homes.endings(team, sorted(visible), limit=render.MOST_TARGETS)
        return render.Home(
            user=user,
            is_new=await self._homes.is_new(team, user),
            incidents=[render.Shown(incident=each, link=await self._link(each)) for each in incidents],
            renewals=[
                render.Renewal(
                    target=each.target, expires_at=each.at, source="watched" if each.is_watched else "checked"
                )
                for each in endings
            ],
            more_renewals=known - len(endings),
            settings=tuple(render.digest_at(each.channel, str(each.plan)) for each in plans if each.channel in visible),
            ct=await self._ct.at_home(team, sorted(visible)) if self._ct is not None else "",
            now=_now(),
        )

    # ── who may see what ────────────────────────────────────────────────────────

    async def _visible(self, team: str, user: str, channels: Sequence[str]) -> set[str]:
        """Those of *channels* that *user* may read now: public ones (but not guests), and those with the user in."""
        there = [channel for channel in channels if self._places.is_open(team, channel)]
        reads_all = await self._is_of_the_team(team, user) is True
        public = set(await self._rooms.public(team, there)) if reads_all else set()
        rest = [channel for channel in there if channel not in public and channel[:1] in {"C", "G"}]
        are_in = await asyncio.gather(*(self._is_member(team, user, channel) for channel in rest))
        return public | {channel for channel, is_in in zip(rest, are_in, strict=True) if is_in}

    async def _is_member(self, team: str, user: str, channel: str) -> bool:
        if len(self._members) > _MOST_KNOWN:
            self._members.clear()
        at, known = self._members.get((team, channel), (-_MEMBERS_KNOWN_FOR_S, frozenset()))
        if time.monotonic() - at >= _MEMBERS_KNOWN_FOR_S:
            known = await self._asked(team, channel)
            self._members[team, channel] = time.monotonic(), known
        return user in known

    async def _asked(self, team: str, channel: str) -> frozenset[str]:
        """Who is in *channel*; nobody, where Slack does not say."""
        found: set[str] = set()
        cursor: str | None = None
        try:
            async with asyncio.timeout(_PATIENCE_S):
                client = await self._clients.client(team)
                for _ in range(_MOST_MEMBER_PAGES):
                    answer = await client.conversations_members(channel=channel, limit=1000, cursor=cursor)
                    found |= {str(member) for member in answer.get("members") or ()}
                    cursor = (answer.get("response_metadata") or {}).get("next_cursor") or None
                    if cursor is None:
                        break
        except SlackApiError as error:
            LOG.info("members not known channel=%s error=%s", channel, error.response.get("error"))
        except (SlackClientError, aiohttp.ClientError, TimeoutError, OSError) as error:
            LOG.info("members not known channel=%s error=%s", channel, type(error).__name__)
        return frozenset(found)


def _now() -> datetime:
    return datetime.now(UTC)
