"""Digests on their way: when one is due it is composed and posted, and on its day it is kept current.

A digest that was missed because the bot was down is caught up once: the newest, not each of them.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from datetime import time as clock_time
from typing import Any, Final, TypeAlias
from zoneinfo import ZoneInfo

import aiohttp
from slack_sdk.errors import SlackClientError

from bot import digest
from bot.admins import Admins
from bot.answers import reply
from bot.clients import Clients
from bot.digest import Digest, Said
from bot.digest_book import DigestBook, Planned, Posted, day_of
from bot.digest_times import DigestCommand, DigestPlan, last_due
from bot.drawing import Drawing, NotDrawn
from bot.history import History
from bot.messages import permalink
from bot.model import Content, Intake, Note, Picture
from bot.notify import Outbox
from bot.places import Places
from bot.render import digest as render
from bot.render.figures import Figure, alt_of
from bot.watchlist import Watchlist

LOG = logging.getLogger("bot.digesting")
Source: TypeAlias = Callable[[str, str, datetime, datetime], Awaitable[Said]]
"""What one part of the bot has to say: of a workspace's channel, since a moment, as of now."""

EVERY_S: Final = 30.0
_KEPT_CURRENT_EVERY: Final = timedelta(minutes=5)
_FIRST_SINCE: Final = timedelta(days=1)
_TOO_OLD: Final = timedelta(days=7)  # a digest that was missed longer ago is history
_MOST_PEOPLE: Final = 20
_PATIENCE_S: Final = 3.0
_LOCAL_MIDNIGHT: Final = clock_time(0, 0)


class Digesting:
    """The digests of all channels. `run` it as a task."""

    def __init__(
        self,
        *,
        book: DigestBook,
        history: History,
        watchlist: Watchlist,
        outbox: Outbox,
        clients: Clients,
        admins: Admins,
        places: Places,
        drawing: Drawing,
        sources: Sequence[Source] = (),
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._book = book
        self._history = history
        self._watchlist = watchlist
        self._outbox = outbox
        self._clients = clients
        self._admins = admins
        self._places = places
        self._drawing = drawing
        self._sources = tuple(sources)
        self._now = now
        self._drawn: dict[Figure, Picture] = {}
        self._people: dict[tuple[str, str], str] = {}
        self._refreshed_at: datetime | None = None

    def listen_to(self, source: Source) -> None:
        """Ask *source*, too, from the next digest on."""
        self._sources = (*self._sources, source)

    # ── when it is due ──────────────────────────────────────────────────────────

    async def run(self) -> None:
        """Post and keep current until cancelled."""
        while True:
            try:
                await self.turn()
            except Exception:
                LOG.exception("digests")
            await asyncio.sleep(EVERY_S)

    async def turn(self) -> None:
        """Post what is due; bring up to date what was posted today."""
        now = self._now()
        for planned in await self._book.plans():
            if self._places.is_open(planned.team, planned.channel):
                with self._alone(planned):
                    await self._post_if_due(planned, now)
        if self._refreshed_at is None or now - self._refreshed_at >= _KEPT_CURRENT_EVERY:
            self._refreshed_at = now
            for posted in await self._book.current(now):
                if self._places.is_open(posted.team, posted.channel):
                    with self._alone(posted):
                        await self._keep_current(posted, now)

    @staticmethod
    @contextmanager
    def _alone(digest: Planned | Posted) -> Iterator[None]:
        """What is odd about one channel keeps no other from its digest; it is tried again with the next turn."""
        try:
            yield
        except Exception:
            LOG.exception("digest failed team=%s channel=%s", digest.team, digest.channel)

    async def _post_if_due(self, planned: Planned, now: datetime) -> None:
        day, due = last_due(planned.plan, now)
        if due <= planned.set_at or now - due > _TOO_OLD:
            return
        newest = await self._book.newest(planned.team, planned.channel, is_planned=True)
        before = day_of(newest) if newest is not None else None
        if before is not None and before >= day:
            return
        since = newest.posted_at if newest is not None else now - _FIRST_SINCE
        await self._post(planned.team, planned.channel, planned.plan.zone, since, now, day=day)

    async def _post(
        self,
        team: str,
        channel: str,
        zone: str,
        since: datetime,
        now: datetime,
        *,
        day: date | None = None,
        intake: Intake | None = None,
    ) -> None:
        name = f"{day:%Y-%m-%d}" if day is not None else f"request-{intake.id if intake else 0}"
        posted = Posted(
            team=team,
            channel=channel,
            key=f"digest:{team}:{channel}:{name}",
            day=day.isoformat() if day is not None else "",
            zone=zone,
            posted_at=now,
            since=since,
            until=_end_of_day(now, zone),
        )
        note = await self._note(posted, intake)
        if await self._book.post(posted, (note,), intake_id=intake.id if intake is not None else 0):
            LOG.info("digest posted team=%s channel=%s day=%s", team, channel, name)
        self._outbox.wake()

    async def _keep_current(self, posted: Posted, now: datetime) -> None:
        note = await self._note(posted, None)
        await self._history.note((note,))
        self._outbox.wake()

    # ── what it says ────────────────────────────────────────────────────────────

    async def _note(self, posted: Posted, intake: Intake | None) -> Note:
        composed = await self._composed(posted)
        pictures = await self._pictures(posted.team, composed)
        content = render.said(
            composed,
            zone=posted.zone,
            links=await self._links(posted.team, posted.channel, composed),
            images=[picture.block() for picture in pictures],
        )
        return Note(
            key=posted.key,
            kind="message",
            team=posted.team,
            channel=posted.channel,
            thread_ts=intake.thread_ts if intake is not None else None,
            content=content,
            pictures=pictures,
        )

    async def _composed(self, posted: Posted) -> Digest:
        """The facts of now; dated as it was posted, so that an edit tells of nothing but news."""
        team, channel, now = posted.team, posted.channel, self._now()
        watches = await self._watchlist.watches(team, channel)
        standing = await self._book.standing(team, channel)
        said = [
            digest.of_incidents(standing, await self._book.ended(team, channel, posted.since)),
            digest.of_watches(watches, frozenset(incident.target for incident in standing)),
        ]
        for source in self._sources:
            try:
                said.append(await source(team, channel, posted.since, now))
            except Exception:
                LOG.exception("a source of the digest failed")
                said.append(Said(aside=("Something could not be read for this digest; my log says what.",)))
        back = posted.posted_at.date() - timedelta(days=digest.SLOW_DAYS)
        working = [watch.lookout.id for watch in watches if watch.lookout.status != "broken"]
        paces = await self._watchlist.looks.paces_of(working, back)
        return digest.composed(at=posted.posted_at, since=posted.since, said=said, watches=watches, paces=paces)

    async def _pictures(self, team: str, composed: Digest) -> tuple[Picture, ...]:
        owners = tuple(dict.fromkeys(each.owner for each in composed.endings if each.owner))
        figures = render.figures_of(composed, await self._names(team, owners))
        pictures = []
        for figure in figures:
            if figure not in self._drawn:
                try:
                    png = await self._drawing.drawn(figure)
                except NotDrawn as error:
                    LOG.warning("digest without its picture: %s", error)
                    continue
                self._drawn = dict(list(self._drawn.items())[-50:])
                self._drawn[figure] = Picture.named("digest", png, alt_of(figure))
            pictures.append(self._drawn[figure])
        return tuple(pictures)

    async def _links(self, team: str, channel: str, composed: Digest) -> dict[str, str]:
        url = await self._clients.url(team)
        links: dict[str, str] = {}
        for key in {item.key for item in (*composed.needs, *composed.changed) if item.key} if url else ():
            ts, is_given_up = await self._history.posted_as(key)
            if ts is not None and not is_given_up:
                links[key] = permalink(url, channel, ts)
        return links

    async def _names(self, team: str, owners: Sequence[str]) -> dict[str, str]:
        """How owners are called, for pictures; whom Slack does not tell of stays an id."""
        for owner in owners[:_MOST_PEOPLE]:
            if (team, owner) not in self._people:
                try:
                    async with asyncio.timeout(_PATIENCE_S):
                        self._people[team, owner] = await self._name(team, owner)
                except (SlackClientError, aiohttp.ClientError, TimeoutError, OSError) as error:
                    LOG.info("name unknown owner=%s error=%s", owner, error)
                    self._people[team, owner] = owner
        return {owner: self._people.get((team, owner), owner) for owner in owners}

    async def _name(self, team: str, owner: str) -> str:
        client = await self._clients.client(team)
        if owner.startswith("S"):
            groups: list[dict[str, Any]] = (await client.usergroups_list()).get("usergroups") or []
            return next((f"@{group['handle']}" for group in groups if group.get("id") == owner), owner)
        person: dict[str, Any] = (await client.users_info(user=owner)).get("user") or {}
        profile: dict[str, Any] = person.get("profile") or {}
        return str(profile.get("display_name") or person.get("real_name") or person.get("name") or owner)

    # ── what people ask ─────────────────────────────────────────────────────────

    async def command(self, intake: Intake, command: DigestCommand) -> None:
        """Do what was asked, and say what came of it."""
        match command.act:
            case "now":
                await self.now(intake)
            case "off":
                await self.off(intake)
            case "at" if command.plan is not None:
                await self.at(intake, command.plan)
            case _:
                await self._history.finish(intake.id, self._now(), (reply(intake, render.offer()),))
                self._outbox.wake()

    async def now(self, intake: Intake) -> None:
        """`digest now`: one for whoever wants to look, counted from the last planned one."""
        newest = await self._book.newest(intake.team, intake.channel, is_planned=True)
        planned = await self.plan_of(intake.team, intake.channel)
        zone = planned.plan.zone if planned is not None else "UTC"
        now = self._now()
        since = newest.posted_at if newest is not None else now - _FIRST_SINCE
        await self._post(intake.team, intake.channel, zone, since, now, intake=intake)

    async def refusal(self, team: str, user: str) -> Content | None:
        """Why *user* may not change when digests come, or None."""
        allowed = await self._admins.includes(team, user)
        return None if allowed else render.not_allowed(self._admins.groups, is_unknown=allowed is None)

    async def at(self, intake: Intake, plan: DigestPlan) -> None:
        """`digest at …`: this channel's plan from now on."""
        why = await self.refusal(intake.team, intake.user)
        now = self._now()
        if why is not None:
            await self._history.finish(intake.id, now, (reply(intake, why),))
            self._outbox.wake()
            return
        planned = Planned(team=intake.team, channel=intake.channel, plan=plan, set_by=intake.user, set_at=now)
        note = Note(
            key=f"request:{intake.id}",
            kind="message",
            team=intake.team,
            channel=intake.channel,
            thread_ts=intake.thread_ts,
            content=render.planned(plan, now, intake.user),
        )
        await self._book.plan(planned, intake.id, (note,))
        self._outbox.wake()

    async def off(self, intake: Intake) -> None:
        """`digest off`."""
        why = await self.refusal(intake.team, intake.user)
        if why is None:
            why = render.off(await self._book.unplan(intake.team, intake.channel))
        await self._history.finish(intake.id, self._now(), (reply(intake, why),))
        self._outbox.wake()

    async def plan_of(self, team: str, channel: str) -> Planned | None:
        plans = await self._book.plans(team)
        return next((each for each in plans if each.channel == channel), None)


def _end_of_day(now: datetime, zone: str) -> datetime:
    """When the local day of *now* ends."""
    tomorrow = now.astimezone(ZoneInfo(zone)).date() + timedelta(days=1)
    return datetime.combine(tomorrow, _LOCAL_MIDNIGHT, ZoneInfo(zone)).astimezone(UTC)
