"""When a digest is posted, by quarters of an hour, against a table that was made by hand from IANA's rules.

Nothing here asks `bot.digest_times` what is due: each row names the moments, in UTC, that a person with a calendar
would expect.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from slack_sdk.web.async_client import AsyncWebClient

from bot.admins import Admins
from bot.clients import OneClient
from bot.digest_book import DigestBook, Planned
from bot.digest_times import plan_of
from bot.digesting import Digesting
from bot.drawing import Drawing
from bot.history import History
from bot.notify import Outbox
from bot.places import Places
from bot.watchlist import Watchlist

EVERY = timedelta(minutes=15)


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


class Days:
    """A bot whose clock the test moves."""

    def __init__(self, history: History, now: datetime) -> None:
        self.history, self.now = history, now
        self.book = DigestBook(history)
        self._bot: Digesting | None = None

    async def start(self) -> None:
        clients = OneClient(AsyncWebClient())  # nothing is sent here
        self._bot = Digesting(
            book=self.book,
            history=self.history,
            watchlist=Watchlist(self.history),
            outbox=Outbox(history=self.history, clients=clients),
            clients=clients,
            admins=Admins(clients, frozenset()),
            places=await Places.known(self.history),
            drawing=Drawing(),
            now=lambda: self.now,
        )

    async def plan(self, text: str, channel: str = "C1", team: str = "T1") -> None:
        planned = Planned(team=team, channel=channel, plan=plan_of(text.split()), set_by="U1", set_at=self.now)
        await self.book.plan(planned, 0, ())

    async def until(self, end: str) -> None:
        """The bot is up until then."""
        if self._bot is None:
            await self.start()
        assert self._bot is not None
        while self.now < at(end):
            await self._bot.turn()
            self.now += EVERY

    def down_until(self, end: str) -> None:
        self._bot, self.now = None, at(end)

    async def posted(self, channel: str = "C1", team: str = "T1") -> list[str]:
        """The moments at which messages were made, oldest first."""
        sql = (
            "select d.posted_at from digests d join outbox o on o.key = d.key where d.team = ? and d.channel = ?"
            " order by o.id"
        )
        rows = await self.history._run(self.history._rows, sql, team, channel)
        return [f"{datetime.fromisoformat(row['posted_at']):%m-%d %H:%M}" for row in rows]


@pytest.fixture
async def days(tmp_path: Path) -> AsyncIterator[Days]:
    history = await History.open(tmp_path / "bot.db")
    try:
        yield Days(history, at("2026-01-01"))
    finally:
        await history.close()


@pytest.mark.parametrize(
    ("plan", "begin", "end", "expected"),
    [
        # Berlin leaps from 02:00 to 03:00 on 29 March 2026 (01:00 UTC): 02:30 is not, 03:30 stands for it.
        ("02:30 Europe/Berlin", "2026-03-28", "2026-03-31", ["03-28 01:30", "03-29 01:30", "03-30 00:30"]),
        ("03:00 Europe/Berlin", "2026-03-28", "2026-03-31", ["03-28 02:00", "03-29 01:00", "03-30 01:00"]),
        # It goes back from 03:00 to 02:00 on 25 October (01:00 UTC): 02:30 is twice, at 00:30 and 01:30.
        ("02:30 Europe/Berlin", "2026-10-24", "2026-10-27", ["10-24 00:30", "10-25 00:30", "10-26 01:30"]),
        ("09:00 Europe/Berlin", "2026-10-24", "2026-10-27", ["10-24 07:00", "10-25 08:00", "10-26 08:00"]),
        # New York: 8 March at 07:00 UTC, 1 November at 06:00 UTC.
        ("02:30 America/New_York", "2026-03-07", "2026-03-10", ["03-07 07:30", "03-08 07:30", "03-09 06:30"]),
        ("01:30 America/New_York", "2026-10-31", "2026-11-03", ["10-31 05:30", "11-01 05:30", "11-02 06:30"]),
        # Lord Howe leaps half an hour: 4 October 02:00 (+10:30) to 02:30 (+11); back on 5 April 02:00 (+11) to 01:30.
        ("02:15 Australia/Lord_Howe", "2026-10-02", "2026-10-05", ["10-02 15:45", "10-03 15:45", "10-04 15:15"]),
        ("01:45 Australia/Lord_Howe", "2026-04-03", "2026-04-06", ["04-03 14:45", "04-04 14:45", "04-05 15:15"]),
        # Half an hour and three quarters from UTC, and the other side of the date line (+13 all year).
        ("09:00 Asia/Kolkata", "2026-03-28", "2026-03-30", ["03-28 03:30", "03-29 03:30"]),
        ("00:00 Asia/Kathmandu", "2026-03-28", "2026-03-30", ["03-28 18:15", "03-29 18:15"]),
        ("09:00 Pacific/Apia", "2026-03-28", "2026-03-30", ["03-28 20:00", "03-29 20:00"]),
        # Midnight itself leaps in Havana on 8 March: that day begins at 01:00 (-4), which is 05:00 UTC.
        ("00:00 America/Havana", "2026-03-07", "2026-03-10", ["03-07 05:00", "03-08 05:00", "03-09 04:00"]),
        # Weekdays are those of the zone: Monday 09:00 in Apia is Sunday 20:00 in UTC (23 November 2026 is a Monday).
        ("09:00 Pacific/Apia mon", "2026-11-20", "2026-11-27", ["11-22 20:00"]),
        ("21:00 America/New_York fri", "2026-11-18", "2026-11-26", ["11-21 02:00"]),
        (
            "09:00 UTC weekdays",
            "2026-11-19",
            "2026-11-25",
            ["11-19 09:00", "11-20 09:00", "11-23 09:00", "11-24 09:00"],
        ),
        ("09:00 UTC sat-mon", "2026-11-19", "2026-11-26", ["11-21 09:00", "11-22 09:00", "11-23 09:00"]),
    ],
)
async def test_a_digest_comes_when_a_calendar_says(
    days: Days, plan: str, begin: str, end: str, expected: Sequence[str]
) -> None:
    days.now = at(begin)
    await days.plan(plan)
    await days.until(end)
    assert await days.posted() == expected


@pytest.mark.parametrize(
    ("plan", "back", "expected"),
    [
        # Set on Monday 2 November at noon; the bot goes down at 13:00.
        ("09:00 UTC", "2026-11-03T14:00", ["11-03 14:00", "11-04 09:00"]),
        ("09:00 UTC", "2026-11-23T14:00", ["11-23 14:00", "11-24 09:00"]),
        ("09:00 UTC", "2026-11-23T08:00", ["11-23 08:00", "11-23 09:00"]),
        ("09:00 UTC mon", "2026-11-22T12:00", ["11-22 12:00", "11-23 09:00"]),
        ("09:00 UTC weekdays", "2026-11-08T12:00", ["11-08 12:00", "11-09 09:00"]),
        ("14:00 UTC", "2026-11-02T13:30", ["11-02 14:00", "11-03 14:00"]),  # none was missed
    ],
)
async def test_what_was_missed_is_caught_up_once(days: Days, plan: str, back: str, expected: list[str]) -> None:
    days.now = at("2026-11-02T12:00")
    await days.plan(plan)
    await days.until("2026-11-02T13:00")
    days.down_until(back)
    await days.until(f"{at(back) + timedelta(hours=25):%Y-%m-%dT%H:%M}")
    assert await days.posted() == expected


async def test_a_restart_posts_nothing_anew(days: Days) -> None:
    days.now = at("2026-11-02T08:00")
    await days.plan("09:00 UTC")
    for hour in range(9, 15):
        await days.until(f"2026-11-02T{hour:02}:00")
        days.down_until(f"2026-11-02T{hour:02}:02")
    assert await days.posted() == ["11-02 09:02"]


@pytest.mark.parametrize(
    ("first", "changed_at", "then", "expected"),
    [
        ("09:00 UTC", "2026-11-02T10:00", "14:00 UTC", ["11-02 09:00", "11-02 14:00", "11-03 14:00"]),
        ("09:00 UTC", "2026-11-02T10:00", "08:00 UTC", ["11-02 09:00", "11-03 08:00"]),
        ("09:00 UTC", "2026-11-02T08:00", "07:00 UTC", ["11-03 07:00"]),
        # From Apia's Tuesday to New York's Monday: Tuesday 09:00 comes there as well (14:00 UTC).
        ("09:00 Pacific/Apia", "2026-11-02T21:00", "09:00 America/New_York", ["11-02 20:00", "11-03 14:00"]),
        ("09:00 UTC weekdays", "2026-11-02T10:00", "09:00 UTC sun", ["11-02 09:00"]),
        # Set again as it was, one minute after it was due: it comes all the same, and once.
        ("09:00 UTC", "2026-11-02T09:00", "09:00 UTC", ["11-02 09:00", "11-03 09:00"]),
    ],
)
async def test_a_changed_plan_holds_from_its_change(
    days: Days, first: str, changed_at: str, then: str, expected: list[str]
) -> None:
    days.now = at("2026-11-02T06:30")
    await days.plan(first)
    await days.until(changed_at)
    await days.plan(then)
    await days.until("2026-11-04T00:00")
    assert await days.posted() == expected


async def test_channels_and_workspaces_have_digests_of_their_own(days: Days) -> None:
    days.now = at("2026-11-02T06:30")
    await days.plan("09:00 UTC")
    await days.plan("10:00 UTC", channel="C2")
    await days.plan("11:00 UTC", team="T2")
    await days.until("2026-11-03T00:00")
    assert await days.posted() == ["11-02 09:00"]
    assert await days.posted("C2") == ["11-02 10:00"]
    assert await days.posted("C1", "T2") == ["11-02 11:00"]


async def test_a_plan_that_was_taken_away_posts_nothing(days: Days) -> None:
    days.now = at("2026-11-02T06:30")
    await days.plan("09:00 UTC")
    await days.until("2026-11-02T08:30")
    assert await days.book.unplan("T1", "C1")
    await days.until("2026-11-03T10:00")
    assert await days.posted() == []
