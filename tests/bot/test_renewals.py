"""Rounds of questions to a CA on loopback, and the buttons of a certificate's thread, on the real memory."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from slack_sdk.web.async_client import AsyncWebClient

from bot.admins import Admins
from bot.clients import OneClient
from bot.history import History
from bot.lineage_book import LineageBook
from bot.look_book import Looked
from bot.looks import Ask, told
from bot.model import Check, Intake
from bot.notify import Outbox
from bot.render import expiry as words
from bot.renewals import Renewals
from bot.schedule import step
from bot.watched import Lookout, Watch
from bot.watchlist import Watchlist
from probes.ari import certificate_id
from probes.model import CertificateReport, Target
from probes.net.ari import RenewalInformation
from tests.ari.server import CA, Authority, asking, running
from tests.bot import reports
from tests.bot.year import certificate, day

ISSUER = f"CN=Test CA 1,O={CA}"


class Room:
    """A channel in which some hosts are watched, with the clock in the test's hand."""

    def __init__(self, history: History) -> None:
        self.history = history
        self.watchlist = Watchlist(history)
        self.book = LineageBook(history, self.watchlist)
        self.now: datetime = day(10)
        self.admins: Admins | None = None
        self.leaves: dict[str, CertificateReport] = {}

    def renewals(self, ari: RenewalInformation | None) -> Renewals:
        client = AsyncWebClient(token="xoxb-none", base_url="http://127.0.0.1:9/")
        outbox = Outbox(history=self.history, clients=OneClient(client, bot_user="U0"))
        return Renewals(book=self.book, outbox=outbox, ari=ari, admins=self.admins, clock=lambda: self.now)

    async def watch(self, name: str, *, channel: str = "C1") -> Watch:
        lookout = Lookout(id=0, team="T1", target=Target.parse(name))
        watch = Watch(id=0, team="T1", channel=channel, lookout=lookout, owner="U1", added_by="U1", added_at=day(0))
        added = await self.watchlist.add(watch, "", most=50)
        assert added is not None
        self.leaves.setdefault(name, certificate((name,), day(0), 90, issuer=ISSUER))
        return added

    async def look(self, name: str) -> None:
        lookout = next(each for each in await self.watchlist.lookouts() if each.target.host == name)
        report = reports.healthy(name, started_at=self.now, endpoints=(reports.endpoint(chain=(self.leaves[name],)),))
        seen = told(Ask(lookout=lookout.id, kind="light", check=Check(target=lookout.target)), report)
        looked = Looked(seen=seen, step=step(lookout, seen))
        await self.watchlist.looks.record([looked], self.book.news_of, self.now)

    async def said(self) -> list[tuple[str, str]]:
        rows = await self.history._run(self.history._rows, "select key, content from outbox order by id")
        return [(row["key"], json.loads(row["content"])["text"]) for row in rows]

    async def press(self, action: str, text: str, *, user: str = "U2", key: str = "k1", channel: str = "C1") -> bool:
        """False: it was delivered before."""
        intake = Intake(
            key=key,
            kind="action",
            team="T1",
            channel=channel,
            user=user,
            text=text,
            action=action,
            received_at=self.now,
        )
        number = await self.history.take_in(intake, verdict="accepted")
        if number is not None:
            await self.renewals(None).pressed(replace(intake, id=number))
        return number is not None


@pytest.fixture
async def room(tmp_path: Path) -> AsyncIterator[Room]:
    history = await History.open(tmp_path / "bot.db")
    try:
        yield Room(history)
    finally:
        await history.close()


def suggests(authority: Authority, leaf: CertificateReport, start: float, end: float) -> str:
    """The path at which it says so."""
    path = certificate_id(bytes.fromhex(leaf.authority_key_id), int(leaf.serial, 16))
    window = {"start": day(start).isoformat(), "end": day(end).isoformat()}
    body: dict[str, Any] = {"suggestedWindow": window, "explanationURL": "https://ca.test/why"}
    authority.answers[f"/renewal-info/{path}"] = (200, {"Retry-After": "21600"}, json.dumps(body).encode())
    return path


async def test_a_window_that_jumps_for_many_is_one_message(room: Room, tmp_path: Path) -> None:
    async with running(tmp_path) as (authority, trusting):
        renewals = room.renewals(asking(authority, trusting))
        names = [f"{number}.test" for number in range(1, 6)]
        for name in names:
            await room.watch(name)
            await room.look(name)
            suggests(authority, room.leaves[name], 58, 62)
        await renewals.round()
        assert await room.said() == []
        asked = len(authority.asked)
        for name in names[:4]:
            suggests(authority, room.leaves[name], 10, 12)
        room.now += timedelta(hours=5)
        await renewals.round()
        assert len(authority.asked) == asked  # Retry-After
        room.now += timedelta(hours=2)
        await renewals.round()
        keys = [key for key, _ in await room.said()]
        assert keys == ["mass:1", "mass:1:owners"]
        for name in names[:4]:
            room.leaves[name] = certificate((name,), room.now, 90, issuer=ISSUER)
            await room.look(name)
        assert [key for key, _ in await room.said()] == ["mass:1", "mass:1:owners", "mass:1:over"]


async def test_one_alone_gets_its_own_thread_and_a_silent_ca_none(room: Room, tmp_path: Path) -> None:
    async with running(tmp_path) as (authority, trusting):
        renewals = room.renewals(asking(authority, trusting))
        for name in ("a.test", "b.test"):
            await room.watch(name)
            await room.look(name)
        await renewals.round()  # 404 for both: nothing is known, nothing is said
        assert await room.said() == []
        suggests(authority, room.leaves["a.test"], 10, 12)
        room.now += timedelta(days=1)
        await renewals.round()
        assert await room.said() == [
            ("lineage:1:1", "Certificate of a.test: its CA wants it replaced (until 2027-04-01)")
        ]


async def test_a_click_counts_once_and_belongs_to_its_channel(room: Room) -> None:
    await room.watch("a.test")
    room.now = day(83)
    await room.look("a.test")
    assert await room.press(words.ACKNOWLEDGE, "1:1")
    assert not await room.press(words.ACKNOWLEDGE, "1:1")
    await room.press(words.ACKNOWLEDGE, "1:1", user="U3", key="k2")
    await room.press(words.SNOOZE, "1:1:1w", user="U3", key="k3")
    await room.press(words.ACKNOWLEDGE, "1:1", key="k4", channel="C2")
    await room.press(words.ACKNOWLEDGE, "99:1", key="k5")
    await room.press(words.ACKNOWLEDGE, "nonsense", key="k6")
    kinds = [key.split(":")[0] for key, _ in await room.said()]
    assert kinds == ["lineage", "lineage", "reply", "lineage", "reply", "reply", "reply"]
    (lineage,) = await room.book.open_ones("T1")
    assert (lineage.acknowledged_by, lineage.snoozed_until) == ("U2", day(90))
    assert await room.history.unfinished() == []


async def test_what_is_no_longer_watched_is_no_longer_warned_of(room: Room) -> None:
    watch = await room.watch("a.test")
    room.now = day(83)
    await room.look("a.test")
    await room.watchlist.remove(watch)
    await room.renewals(None).round()
    assert await room.book.open_ones("T1") == []
    assert (await room.said())[0][1] == "a.test: no longer watched here"
    assert len(await room.said()) == 1


async def test_people_of_other_workspaces_silence_nothing(room: Room) -> None:
    await room.watch("a.test")
    room.now = day(76)
    await room.look("a.test")
    client = AsyncWebClient(token="xoxb-none", base_url="http://127.0.0.1:9/")
    room.admins = Admins(OneClient(client, bot_user="U0"), frozenset())
    room.admins.people.met("T1", "U9", "T2")
    await room.press(words.SNOOZE, "1:1:1w", user="U9")
    await room.press(words.ACKNOWLEDGE, "1:1", user="U9", key="k2")
    (lineage,) = await room.book.open_ones("T1")
    assert lineage.snoozed_until is None and not lineage.acknowledged_by
    refusals = [text for _, text in await room.said() if "from another workspace" in text]
    assert [text.split(":")[0] for text in refusals] == ["Not snoozed", "Not acknowledged"]


async def test_two_hosts_with_one_certificate_are_one_lineage(room: Room) -> None:
    shared = certificate(("a.test", "b.test"), day(0), 90, issuer=ISSUER)
    room.leaves = {"a.test": shared, "b.test": shared}
    room.now = day(83)
    for name in ("a.test", "b.test"):
        await room.watch(name)
        await room.look(name)
    assert [key for key, _ in await room.said()] == ["lineage:1:1"]
    (lineage,) = await room.book.open_ones("T1")
    assert [place.target for place in lineage.places] == ["a.test:443", "b.test:443"]
    room.leaves["a.test"] = certificate(("b.test", "a.test"), day(83), 90, issuer=ISSUER)
    await room.look("a.test")
    assert (await room.book.open_ones("T1")) != []
    room.leaves["b.test"] = room.leaves["a.test"]
    await room.look("b.test")
    assert await room.book.open_ones("T1") == []


async def test_our_own_fault_in_one_look_does_not_cost_the_others(room: Room, caplog: pytest.LogCaptureFixture) -> None:
    await room.watch("a.test")
    await room.look("a.test")
    await room.history._write(room.history._db.execute, "update lineages set state = 'no JSON'")
    room.now += timedelta(hours=2)
    await room.look("a.test")
    assert "news of a look failed" in caplog.text
    lookout = (await room.watchlist.lookouts())[0]
    assert [each.count for each in await room.watchlist.looks.runs(lookout.id, limit=3)] == [2]


async def test_one_certificate_at_many_endpoints_is_one_thread_and_is_read_once(
    room: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bot.lineage_book._CROWD", 400)  # two places or so: the third look is gathered
    shared = certificate(("*.many.test",), day(0), 90, issuer=ISSUER)
    names = [f"h{number}.many.test" for number in range(12)]
    for name in names:
        room.leaves[name] = shared
        await room.watch(name)
    room.now = day(76)
    for name in names:
        await room.look(name)
    before = await room.said()
    assert await room.book.flush(room.now) > 0
    assert await room.book.flush(room.now) == 0
    roots = [(key, text) for key, text in await room.said() if key.count(":") == 2]
    assert len(roots) == 1 and len(before) <= 1
    [lineage] = await room.book.open_ones("T1")
    assert {place.target for place in lineage.places} == {f"{name}:443" for name in names}

    room.now = day(77)
    renewed = certificate(("*.many.test",), day(77), 90, issuer=ISSUER)
    for name in names:
        room.leaves[name] = renewed
        await room.look(name)
    await room.book.flush(room.now)
    assert await room.book.open_ones("T1") == []
    assert any("closed" in key for key, _ in await room.said())
