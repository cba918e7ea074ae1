"""Digests in the local workspace: asked for, planned by command and form, posted when due, kept current on the day."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from slack_sdk.web.async_client import AsyncWebClient

from bot.admins import Admins
from bot.clients import OneClient
from bot.digest import Item, Said
from bot.digest_book import DigestBook, Planned
from bot.digest_times import plan_of
from bot.digesting import Digesting
from bot.drawing import Drawing
from bot.history import History
from bot.migrations import _DIGEST_MOMENTS, _DIGESTS
from bot.model import Intake
from bot.notify import Outbox
from bot.places import Places
from bot.render import digest as render
from bot.watched import Lookout, Watch, bucket
from bot.watchlist import Watchlist
from probes.model import Target
from tests.bot import reports
from tests.bot.conftest import Desk, said


async def test_a_digest_now_tells_of_the_open_incident(desk: Desk) -> None:
    desk.checker.answer = lambda check: reports.broken(str(check.target))
    await desk.tls("check api.example.com")
    await desk.settled()
    await desk.tls("digest now")
    message = await desk.headline("TLS digest")
    assert "INC-1 open" in said(message)
    assert "nobody commands" in said(message)
    assert "|thread>" in said(message)


async def test_a_digest_with_nothing_to_say_is_one_line(desk: Desk) -> None:
    await desk.tls("digest now")
    message = await desk.headline("TLS digest")
    assert "nothing is watched here yet" in said(message)


async def test_a_plan_by_command_is_confirmed_for_all_and_can_be_ended(desk: Desk) -> None:
    await desk.tls("digest at 09:00 Europe/Berlin weekdays")
    message = await desk.headline("09:00 Europe/Berlin, weekdays")
    assert f"<@{desk.workspace.me}>" in said(message)
    await desk.tls("digest off")
    await desk.whisper("no digest any more")
    await desk.tls("digest off")
    await desk.whisper("has no digest")


async def test_a_plan_by_form(desk: Desk) -> None:
    ws = desk.workspace
    await desk.tls("digest")
    zone = {render.ZONE: {render.ZONE: {"type": "plain_text_input", "value": "Mars/Olympus"}}}
    at = {render.AT: {render.AT: {"type": "timepicker", "selected_time": "07:30"}}}
    days = [{"text": {"type": "plain_text", "text": each}, "value": each.lower()} for each in ("Mon", "Thu")]
    on = {render.DAYS_OF_WEEK: {render.DAYS_OF_WEEK: {"type": "checkboxes", "selected_options": days}}}
    refused = await ws.submit_view(values=zone | at | on)
    assert "Mars/Olympus" in str(refused.response)
    zone[render.ZONE][render.ZONE]["value"] = "Asia/Tokyo"
    await ws.submit_view(values=zone | at | on)
    await desk.headline("07:30 Asia/Tokyo, Mon, Thu")


async def test_whoever_is_no_admin_changes_no_plan(idle_desk: Desk) -> None:
    idle_desk.workspace.team.usergroups["S0ADMINS"] = [idle_desk.workspace.other]
    await idle_desk.start(admin_usergroups=frozenset({"S0ADMINS"}))
    await idle_desk.tls("digest at 09:00 UTC")
    await idle_desk.whisper("Digests stay as they are: only members of my operator's user groups can do it")
    await idle_desk.settled()
    assert not idle_desk.bot_messages()


async def test_whoever_set_the_plan_is_told_that_the_channel_takes_no_digest(idle_desk: Desk) -> None:
    ws, now = idle_desk.workspace, datetime.now(UTC)
    history = await History.open(idle_desk.database)
    at = (now - timedelta(minutes=1)).strftime("%H:%M")
    plan, before = plan_of([at, "UTC"]), now - timedelta(days=1)
    planned = Planned(team=ws.team.id, channel=ws.incidents, plan=plan, set_by=ws.me, set_at=before)
    await DigestBook(history).plan(planned, 0, ())
    await history.close()
    ws.team.channels[ws.incidents].members.discard(ws.bot)
    await idle_desk.start()
    told = await ws.wait_for(lambda: [m for m in ws.messages(ws.dm) if "cannot write here" in said(m)])
    assert len(told) == 1 and f"<#{ws.incidents}>" in said(told[0])
    await idle_desk.settled()
    assert not idle_desk.bot_messages()


# ── when it is due, by a clock of the test's own ────────────────────────────────────────────


class Clock:
    def __init__(self) -> None:
        self.now = datetime(2026, 3, 27, 12, 0, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now


class Bench:
    """Digesting over a memory of its own; what is owed to Slack is read where it is owed."""

    def __init__(self, history: History, clock: Clock) -> None:
        self.history, self.clock = history, clock
        self.said: list[Item] = []
        client = OneClient(AsyncWebClient())  # nothing is sent here
        self.book = DigestBook(history)

        async def source(team: str, channel: str, since: datetime, now: datetime) -> Said:
            return Said(changed=tuple(self.said))

        self._source = source
        self._client = client

    def make(self, places: Places) -> Digesting:
        return Digesting(
            book=self.book,
            history=self.history,
            watchlist=Watchlist(self.history),
            outbox=Outbox(history=self.history, clients=self._client),
            clients=self._client,
            admins=Admins(self._client, frozenset()),
            places=places,
            drawing=Drawing(),
            sources=(self._source,),
            now=self.clock,
        )

    async def planned(self, text: str) -> Digesting:
        digesting = self.make(await Places.known(self.history))
        planned = Planned(team="T1", channel="C1", plan=plan_of(text.split()), set_by="U1", set_at=self.clock())
        await self.book.plan(planned, 0, ())
        return digesting

    async def owed(self, key: str) -> list[dict[str, Any]]:
        return await self.history._run(self.history._rows, "select * from outbox where key = ?", key)

    async def posted(self) -> list[tuple[str, str]]:
        """(key, text) of each digest that is owed."""
        sql = "select key, content from outbox where key like 'digest:%' order by id"
        rows = await self.history._run(self.history._rows, sql)
        return [(row["key"], row["content"]) for row in rows]


def intake(number: int) -> Intake:
    return Intake(
        id=number, key=f"k{number}", kind="command", team="T1", channel="C1", user=f"U{number}", text="digest now",
        received_at=datetime(2026, 3, 27, tzinfo=UTC),
    )  # fmt: skip


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    history = await History.open(tmp_path / "bot.db")
    try:
        yield Bench(history, Clock())
    finally:
        await history.close()


async def test_each_local_day_has_its_digest_through_the_change_of_clocks(bench: Bench) -> None:
    digesting = await bench.planned("02:30 Europe/Berlin")
    end = bench.clock.now + timedelta(days=5)
    while bench.clock.now < end:
        await digesting.turn()
        bench.clock.now += timedelta(minutes=20)
    moments = [key.rpartition(":")[2] for key, _ in await bench.posted()]
    assert moments == [
        "2026-03-28T0130Z",
        "2026-03-29T0130Z",  # 02:30 does not exist: 03:30 by the new time
        "2026-03-30T0030Z",
        "2026-03-31T0030Z",
        "2026-04-01T0030Z",
    ]


async def test_a_plan_begins_with_the_next_time_not_with_the_last(bench: Bench) -> None:
    digesting = await bench.planned("09:00 UTC")
    await digesting.turn()
    assert await bench.posted() == []


async def test_what_was_missed_is_caught_up_once(bench: Bench) -> None:
    await bench.planned("09:00 UTC")
    bench.clock.now += timedelta(days=4)
    again = bench.make(await Places.known(bench.history))  # the bot was down meanwhile
    for _ in range(3):
        await again.turn()
        bench.clock.now += timedelta(minutes=1)
    assert [key.rpartition(":")[2] for key, _ in await bench.posted()] == ["2026-03-31T0900Z"]


async def test_it_is_current_on_its_day_and_left_alone_afterwards(bench: Bench) -> None:
    digesting = await bench.planned("13:00 UTC")
    bench.clock.now = datetime(2026, 3, 27, 13, 1, tzinfo=UTC)
    await digesting.turn()
    [(key, text)] = await bench.posted()
    assert "nothing is watched here yet" in text
    bench.said.append(Item(weight="warning", subject="api.example.com", text="chain shortened"))
    bench.clock.now += timedelta(minutes=10)
    await digesting.turn()
    [(same, text)] = await bench.posted()
    assert same == key
    assert "chain shortened" in text
    bench.said.append(Item(weight="warning", subject="later.example.com", text="another issuer"))
    bench.clock.now = datetime(2026, 3, 28, 0, 5, tzinfo=UTC)
    await digesting.turn()
    assert "another issuer" not in (await bench.posted())[0][1]


async def test_the_planned_one_is_kept_current_though_somebody_asked_for_another(bench: Bench) -> None:
    digesting = await bench.planned("13:00 UTC")
    bench.clock.now = datetime(2026, 3, 27, 13, 1, tzinfo=UTC)
    await digesting.turn()
    await digesting.now(intake(1))
    bench.said.append(Item(weight="warning", subject="api.example.com", text="chain shortened"))
    bench.clock.now += timedelta(minutes=10)
    await digesting.turn()
    posted = await bench.posted()
    assert len(posted) == 2
    assert all("chain shortened" in text for _, text in posted)


async def test_who_asks_a_moment_later_is_shown_the_digest_that_is_there(bench: Bench) -> None:
    digesting = await bench.planned("13:00 UTC")
    await asyncio.gather(*(digesting.now(intake(number)) for number in (1, 2)))
    await digesting.now(replace(intake(3), thread_ts="1.5"))  # a thread has its own
    assert len(await bench.posted()) == 2
    [answer] = await bench.owed("reply:k2")
    assert "a moment ago" in answer["content"]
    bench.clock.now += timedelta(minutes=2)
    await digesting.now(intake(4))
    assert len(await bench.posted()) == 3


async def test_nothing_to_say_is_one_line_and_whoever_asks_sees_the_horizon(bench: Bench) -> None:
    digesting = await bench.planned("13:00 UTC")
    added = Watch(
        id=0, team="T1", channel="C1", lookout=Lookout(id=0, team="T1", target=Target.parse("a.example")),
        added_at=bench.clock(),
    )  # fmt: skip
    watch = await Watchlist(bench.history).add(added, "", most=9)
    assert watch is not None
    ends = (bench.clock() + timedelta(days=40)).timestamp()
    sql = "update lookouts set expires_at = ?, status = 'ok'"
    await bench.history._write(bench.history._db.execute, sql, (ends,))
    bench.clock.now = datetime(2026, 3, 27, 13, 1, tzinfo=UTC)
    await digesting.turn()
    await digesting.now(intake(1))
    planned, asked = [json.loads(text)["blocks"] for _, text in await bench.posted()]
    assert [block["type"] for block in planned] == ["section"]
    assert [block["type"] for block in asked] == ["section", "image"]


async def test_a_channel_that_takes_no_digest_is_tried_once_a_day_and_told_of_once(bench: Bench) -> None:
    digesting = await bench.planned("13:00 UTC")
    refused = []
    for day in (27, 28, 29):
        bench.clock.now = datetime(2026, 3, day, 13, 1, tzinfo=UTC)
        await digesting.turn()
        [row] = await bench.owed(f"digest:T1:C1:2026-03-{day}T1300Z")
        refused.append(row["user"])
        await bench.history.undeliverable(row["id"], "not_in_channel")  # as the outbox does
        for _ in range(3):
            bench.said.append(Item(weight="warning", subject="api.example.com", text=f"change {len(bench.said)}"))
            bench.clock.now += timedelta(minutes=10)
            await digesting.turn()
        [row] = await bench.owed(row["key"])
        assert (row["state"], row["revision"]) == ("dead", 1)
    assert refused == ["U1", None, None]


async def test_what_was_posted_before_an_update_of_the_bot_is_not_posted_again(bench: Bench) -> None:
    digesting = await bench.planned("13:00 UTC")
    bench.clock.now = datetime(2026, 3, 27, 13, 1, tzinfo=UTC)
    await digesting.turn()

    def as_before() -> None:
        execute = bench.history._db.execute
        execute("drop table digests")
        execute(next(sql for sql in _DIGESTS if "create table digests" in sql))
        moment = "2026-03-27T13:01:00.000+00:00"
        old = ("T1", "C1", "digest:T1:C1:2026-03-27", "2026-03-27", "UTC", moment, moment, moment)
        execute("insert into digests values (?, ?, ?, ?, ?, ?, ?, ?)", old)
        execute("insert into digests values ('T1', 'C1', 'k', null, 'UTC', ?, ?, ?)", (moment, moment, moment))
        for statement in _DIGEST_MOMENTS:
            execute(statement)

    await bench.history._write(as_before)
    newest = await bench.book.newest("T1", "C1")
    assert newest is not None and newest.key == "digest:T1:C1:2026-03-27"
    for _ in range(3):
        await digesting.turn()
        bench.clock.now += timedelta(minutes=10)
    assert len(await bench.posted()) == 1
    bench.clock.now += timedelta(days=1)
    await digesting.turn()
    assert len(await bench.posted()) == 2


async def test_a_source_that_fails_does_not_take_the_digest_with_it(bench: Bench) -> None:
    digesting = await bench.planned("13:00 UTC")

    async def broken(team: str, channel: str, since: datetime, now: datetime) -> Said:
        raise ValueError("no")

    digesting.listen_to(broken)
    bench.clock.now = datetime(2026, 3, 27, 13, 1, tzinfo=UTC)
    await digesting.turn()
    assert "could not be read" in (await bench.posted())[0][1]


async def test_what_is_odd_about_one_channel_keeps_no_other_from_its_digest(bench: Bench) -> None:
    gone = replace(plan_of(["13:00", "UTC"]), zone="Europe/Kyiw")  # known once, and not to this machine any more
    await bench.book.plan(Planned(team="T1", channel="C0", plan=gone, set_by="U1", set_at=bench.clock()), 0, ())
    digesting = await bench.planned("13:00 UTC")
    bench.clock.now = datetime(2026, 3, 27, 13, 1, tzinfo=UTC)
    await digesting.turn()
    assert [key for key, _ in await bench.posted()] == ["digest:T1:C1:2026-03-27T1300Z"]


async def test_an_archived_channel_gets_none(bench: Bench) -> None:
    await bench.planned("13:00 UTC")
    places = await Places.known(bench.history)
    await places.close("T1", "C1", "archived", at=bench.clock.now.timestamp())
    bench.clock.now = datetime(2026, 3, 27, 13, 1, tzinfo=UTC)
    await bench.make(places).turn()
    assert await bench.posted() == []


async def test_handshake_times_are_read_for_all_endpoints_at_once(bench: Bench) -> None:
    today = bench.clock().date()
    number = (today - date(1970, 1, 1)).days
    for lookout, day, ms in ((1, number, 20.0), (1, number - 1, 30.0), (2, number, 40.0), (3, number - 90, 50.0)):
        values = (lookout, day, 1, ms, ms, ms, f"{bucket(ms)}:1")
        await bench.history._write(bench.history._db.execute, "insert into paces values (?, ?, ?, ?, ?, ?, ?)", values)
    found = await Watchlist(bench.history).looks.paces_of([1, 3], today - timedelta(days=14))
    assert {key: [(pace.day, pace.mean) for pace in paces] for key, paces in found.items()} == {
        1: [(today - timedelta(days=1), 30.0), (today, 20.0)]
    }
