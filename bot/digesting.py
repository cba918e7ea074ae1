"""Digests on their way: when one is due it is composed and posted, and on its day it is kept current.

A digest that was missed because the bot was down is caught up once: the newest, not each of them.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
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
from bot.digest_book import DigestBook, Planned, Posted
from bot.digest_times import DigestCommand, DigestPlan, last_due
from bot.drawing import Drawing, NotDrawn
from bot.history import History
from bot.messages import permalink
from bot.model import Content, Intake, Note, Picture
from bot.notify import Outbox
from bot.places import Places
from bot.render import digest as render
from bot.render import words
from bot.render.figures import Figure, alt_of, drawable
from bot.watchlist import Watchlist

LOG = logging.getLogger("bot.digesting")
Source: TypeAlias = Callable[[str, str, datetime, datetime], Awaitable[Said]]
"""What one part of the bot has to say: of a workspace's channel, since a moment, as of now."""

EVERY_S: Final = 30.0
_KEPT_CURRENT_EVERY: Final = timedelta(minutes=5)
_FIRST_SINCE: Final = timedelta(days=1)
_A_MOMENT: Final = timedelta(minutes=1)  # so long a digest that was asked for is the answer to the next who asks
_NAMES_KNOWN_FOR: Final = timedelta(days=1)
_NAMES_UNKNOWN_FOR: Final = timedelta(minutes=30)
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
        self._people: dict[tuple[str, str], tuple[str, datetime]] = {}  # and until when that is believed
        self._one_at_a_time: dict[tuple[str, str], asyncio.Lock] = {}  # by channel: digests that are asked for
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
                        await self._keep_current(posted)

    @staticmethod
    @contextmanager
    def _alone(digest: Planned | Posted) -> Iterator[None]:
        """What is odd about one channel keeps no other from its digest; it is tried again with the next turn."""
        try:
            yield
        except Exception:
            LOG.exception("digest failed team=%s channel=%s", digest.team, digest.channel)

    async def _post_if_due(self, planned: Planned, now: datetime) -> None:
        _, due = last_due(planned.plan, now)
        if due <= planned.set_at:
            return
        newest = await self._book.newest(planned.team, planned.channel)
        if newest is not None and newest.due is not None and newest.due >= due:
            return
        # Whoever set the plan is told when the channel takes no digest, and not again with each that follows.
        is_told = newest is not None and await self._book.was_refused(newest)
        since = newest.posted_at if newest is not None else now - _FIRST_SINCE
        posted = Posted(
            team=planned.team,
            channel=planned.channel,
            key=f"digest:{planned.team}:{planned.channel}:{due:%Y-%m-%dT%H%MZ}",
            due=due,
            zone=planned.plan.zone,
            posted_at=now,
            since=since,
            until=_end_of_day(now, planned.plan.zone),
        )
        await self._post(posted, replace(await self._note(posted), user=None if is_told else planned.set_by))

    async def _post(self, posted: Posted, note: Note, intake_id: int = 0) -> None:
        if await self._book.post(posted, (note,), intake_id=intake_id):
            LOG.info("digest posted team=%s channel=%s key=%s", posted.team, posted.channel, posted.key)
        self._outbox.wake()

    async def _keep_current(self, posted: Posted) -> None:
        await self._history.note((await self._note(posted),))
        self._outbox.wake()

    # ── what it says ────────────────────────────────────────────────────────────

    async def _note(self, posted: Posted, thread_ts: str | None = None) -> Note:
        composed = await self._composed(posted)
        # Nothing to say is one line; whoever asks wants to look at something.
        is_one_line = composed.is_quiet and posted.due is not None
        pictures = () if is_one_line else await self._pictures(posted.team, composed)
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
            thread_ts=thread_ts,
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
            digest.of_watches(watches, frozenset(incident.target for incident in standing), now),
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
        for key in composed.keys if url else ():
            ts, is_given_up = await self._history.posted_as(key)
            if ts is not None and not is_given_up:
                links[key] = permalink(url, channel, ts)
        return links

    async def _names(self, team: str, owners: Sequence[str]) -> dict[str, str]:
        """How owners are called, for pictures; whom Slack does not tell of stays an id."""
        now = self._now()
        for owner in owners[:_MOST_PEOPLE]:
            known = self._people.get((team, owner))
            if known is None or known[1] <= now:
                try:
                    async with asyncio.timeout(_PATIENCE_S):
                        found = await self._name(team, owner), now + _NAMES_KNOWN_FOR
                except (SlackClientError, aiohttp.ClientError, TimeoutError, OSError) as error:
                    LOG.info("name unknown owner=%s error=%s", owner, error)
                    found = (known or (owner,))[0], now + _NAMES_UNKNOWN_FOR
                self._people[team, owner] = found
        return {owner: self._people[team, owner][0] for owner in owners if (team, owner) in self._people}

    async def _name(self, team: str, owner: str) -> str:
        """The first of its names that a picture can show."""
        client = await self._clients.client(team)
        if owner.startswith("S"):
            groups: list[dict[str, Any]] = (await client.usergroups_list()).get("usergroups") or []
            group = next((each for each in groups if each.get("id") == owner), {})
            names = [f"@{group['handle']}" if group.get("handle") else "", group.get("name")]
        else:
            person: dict[str, Any] = (await client.users_info(user=owner)).get("user") or {}
            profile: dict[str, Any] = person.get("profile") or {}
            names = [profile.get("display_name"), person.get("real_name"), person.get("name")]
        return next((shown for name in names if name and (shown := drawable(str(name)))), owner)

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
        place = intake.team, intake.channel
        async with self._one_at_a_time.setdefault(place, asyncio.Lock()):
            now = self._now()
            asked = None if intake.thread_ts is not None else await self._book.asked_since(*place, now - _A_MOMENT)
            if asked is not None:
                url = await self._clients.url(intake.team)
                link = permalink(url, intake.channel, asked[0]) if url and asked[0] is not None else ""
                await self._history.finish(intake.id, now, (reply(intake, render.a_moment_ago(link)),))
                self._outbox.wake()
                return
            newest = await self._book.newest(*place)
            planned = await self.plan_of(*place)
            zone = planned.plan.zone if planned is not None else "UTC"
            posted = Posted(
                team=intake.team,
                channel=intake.channel,
                key=f"digest:{intake.team}:{intake.channel}:request-{intake.id}",
                due=None,
                zone=zone,
                posted_at=now,
                since=newest.posted_at if newest is not None else now - _FIRST_SINCE,
                until=_end_of_day(now, zone),
            )
            note = replace(await self._note(posted, intake.thread_ts), user=intake.user)
            await self._post(posted, note, intake.id)

    async def refusal(self, team: str, user: str) -> Content | None:
        """Why *user* may not change when digests come, or None."""
        refusal = await self._admins.refusal(team, user, "Digests")
        return None if refusal is None else words.answer(refusal)

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
