"""Watching in Slack: what people ask of it, and what it tells, in the local workspace."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from bot import looks, schedule
from bot.history import History
from bot.look_book import Looked
from bot.model import Check, Content, Note
from bot.render import watch as render
from bot.render.imports import WATCH_IMPORT, WATCH_IMPORT_ALL
from bot.watched import Look, Lookout, Watch
from bot.watchlist import Watchlist
from probes.model import CertificateReport, Report, Target
from tests.bot import reports
from tests.bot.conftest import Desk, Json, said
from tests.pki import authority


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Alarms are gathered for a moment, not for seconds."""
    monkeypatch.setattr("bot.alarms.GATHERED_S", 0.05)
    monkeypatch.setattr("bot.sweeps.PROGRESS_EVERY_S", 0.05)


class World:
    """What every endpoint is like: healthy, until the test breaks it."""

    def __init__(self) -> None:
        self.broken: dict[str, str] = {}
        self.looks: list[str] = []

    def __call__(self, check: Check) -> Report:
        host = check.target.host
        self.looks.append(f"{'light' if check.light else 'full'} {host}")
        cause = self.broken.get(host)
        made = reports.healthy(str(check.target)) if cause is None else reports.broken(str(check.target))
        if cause is not None and cause != made.cause:
            made = replace(made, cause=cause, findings=(reports.finding(cause),))
        return replace(made, target=check.target, started_at=datetime.now(UTC))


@pytest.fixture
def world(desk: Desk) -> World:
    world = World()
    desk.checker.answer = world
    return world


def rows(desk: Desk, sql: str) -> list[tuple[Any, ...]]:
    with sqlite3.connect(desk.database) as database:
        return database.execute(sql).fetchall()


async def until(desk: Desk, sql: str, expected: object) -> None:
    """Wait until the memory's *sql* gives *expected*: looks are told nowhere else."""

    async def there() -> None:
        while [row[0] for row in rows(desk, sql)] != expected:
            await asyncio.sleep(0.02)

    await asyncio.wait_for(there(), 20)


async def looked(desk: Desk, count: int) -> None:
    await until(desk, "select count(*) from lookouts where full_at is not null", [count])


async def sweep(desk: Desk, count: int = 1) -> Json:
    """Look at everything now; the message that says what came of it."""
    await desk.tls("watch sweep")
    return await desk.headline("Looked at", count)


async def dropped(desk: Desk, name: str, text: str) -> None:
    """A file in the channel, with the message that asks to import it."""
    ws = desk.workspace
    await ws.upload(ws.me, ws.incidents, name, text.encode(), comment=f"<@{ws.bot}> watch import")


async def confirmed(desk: Desk) -> Json:
    """The preview, whose button is pressed then."""
    ws = desk.workspace
    found = await ws.wait_for(lambda: next((m for m in desk.bot_messages() if "to watch?" in m["text"]), None))
    assert found is not None
    await ws.act(ws.me, action_id=WATCH_IMPORT, channel=ws.incidents, message_ts=found["ts"])
    return dict(found)


# ── add, list, remove, snooze ───────────────────────────────────────────────────


async def test_an_endpoint_is_added_looked_at_listed_and_removed(desk: Desk, world: World) -> None:
    await desk.tls('watch add api.example.com --label payments,edge --owner U0OWNER1 --expect-ca "Let\'s Encrypt"')
    answer = said((await desk.whisper("I watch it from now on")).message)
    assert "<@U0OWNER1>" in answer and "`payments`" in answer and "Let's Encrypt" in answer and "5 minutes" in answer
    await looked(desk, 1)
    assert world.looks == ["full api.example.com"]
    await desk.tls("watch list")
    listed = said((await desk.whisper("1 endpoint")).message)
    assert "🟢 `api.example.com`" in listed and "left" in listed and "`edge`" in listed
    await desk.tls("watch list nothing-like-it")
    await desk.whisper("Nothing with `nothing-like-it` is watched")
    await desk.tls("watch remove api.example.com")
    await desk.whisper("is not watched here any more")
    assert rows(desk, "select count(*) from lookouts") == [(0,)] == rows(desk, "select count(*) from looks")
    await desk.tls("watch remove api.example.com")
    await desk.whisper("is not watched in this channel")


async def test_adding_again_changes_the_watch_and_keeps_its_looks(desk: Desk, world: World) -> None:
    await desk.tls("watch add api.example.com --label one")
    await looked(desk, 1)
    await desk.tls("watch add api.example.com --label two")
    await desk.whisper("I watch it differently from now on")
    assert rows(desk, "select labels from watches") == [('["two"]',)]
    assert rows(desk, "select count(*) from lookouts") == [(1,)]


async def test_what_is_not_said_of_a_watch_stays_as_it_was(desk: Desk, world: World) -> None:
    await desk.tls("watch add api.example.com --label edge --owner U0OWNER1 --expect-ca R3")
    await desk.whisper("I watch it from now on")
    await desk.tls("watch add api.example.com --label core")
    again = said((await desk.whisper("I watch it differently from now on")).message)
    assert "<@U0OWNER1>" in again and "`core`" in again and "`edge`" not in again and "R3" in again
    await desk.tls("watch add api.example.com")
    await desk.whisper("I watch it already")
    assert rows(desk, "select owner, labels, expected_cas from watches") == [("U0OWNER1", '["core"]', '["R3"]')]


async def test_a_host_that_is_watched_at_another_port_is_pointed_out(desk: Desk, world: World) -> None:
    await desk.tls("watch add api.example.com:8443")
    await desk.tls("watch snooze api.example.com 3d")
    await desk.whisper("Of that host I watch `api.example.com:8443`")


async def test_the_number_of_a_watch_that_was_removed_is_nobodys(desk: Desk, world: World) -> None:
    """Messages, lineages and looks under way are known by it."""
    await desk.tls("watch add wrong.example.com")
    await looked(desk, 1)
    before = rows(desk, "select id, lookout from watches")
    await desk.tls("watch remove wrong.example.com")
    await until(desk, "select count(*) from watches", [0])
    await desk.tls("watch add right.example.com")
    await looked(desk, 1)
    [(watch, lookout)] = rows(desk, "select id, lookout from watches")
    assert watch > before[0][0] and lookout > before[0][1]


async def test_two_channels_share_the_looks_of_one_endpoint(desk: Desk, world: World) -> None:
    await desk.tls("watch add api.example.com")
    await looked(desk, 1)
    await desk.tls("watch add api.example.com", channel=desk.workspace.general)
    await until(desk, "select count(*) from watches", [2])
    assert rows(desk, "select count(*) from lookouts") == [(1,)]


async def test_what_is_wrong_is_said(desk: Desk) -> None:
    for text, told in (
        ("watch add a.test --owner @alice", "does not tell me who that is"),
        ("watch add a.test --ca-file x.pem", "pasted into the form"),
        ("watch snooze a.test 91d", "90 days at most"),
        ("watch snooze a.test tomorrow", "I read the time"),
        ("watch ad a.test", "Did you mean `watch add`"),
        ("watch add a.test --identity nobody", "I have no identity of that name"),
        ("watch import", "Drop a file into this channel"),
        ("watch sweep", "nothing to look at"),
    ):
        await desk.tls(text)
        await desk.whisper(told)


async def test_only_admins_change_watches(idle_desk: Desk) -> None:
    workspace = idle_desk.workspace
    workspace.team.usergroups["S0ADMINS"] = [workspace.other]
    await idle_desk.start(admin_usergroups=frozenset({"S0ADMINS"}))
    await idle_desk.tls("watch add api.example.com")
    await idle_desk.whisper("members of my operator's user groups")
    await idle_desk.tls("watch list")
    await idle_desk.whisper("Nothing is watched")


# ── the form ────────────────────────────────────────────────────────────────────


def filled(**changed: str) -> Json:
    values: dict[str, Json] = {
        name: {name: {"value": changed.get(name) or None}}
        for name in render.FIELDS
        if name not in {render.PERSON, render.STARTTLS}
    }
    if render.STARTTLS in changed:
        option = {"text": {"type": "plain_text", "text": changed["starttls"]}, "value": changed["starttls"]}
        values[render.STARTTLS] = {render.STARTTLS: {"selected_option": option}}
    if render.PERSON in changed:
        values[render.PERSON] = {render.PERSON: {"selected_user": changed["person"]}}
    return values


async def test_a_watch_is_set_up_in_the_form(desk: Desk, world: World) -> None:
    pem = authority().pem
    await desk.tls("watch add")
    await desk.workspace.submit_view(
        values=filled(
            host="mail.example.com:25",
            starttls="smtp",
            person=desk.workspace.me,
            labels="mail",
            cas="Our CA\nLet's Encrypt",
            bundle=pem,
        )
    )
    answer = said((await desk.whisper("I watch it from now on")).message)
    assert "`mail.example.com:25 --starttls smtp`" in answer and f"<@{desk.workspace.me}>" in answer
    assert "Our CA" in answer and "CA bundle is trusted" in answer
    assert rows(desk, "select pem from bundles") == [(pem.strip(),)]


async def test_what_is_wrong_stands_under_its_field(desk: Desk) -> None:
    for changed, field, told in (
        ({"host": "not a host"}, "host", "I read"),
        ({"host": "a.test", "group": "payments"}, "group", "begins with S"),
        ({"host": "a.test", "bundle": "hello"}, "bundle", "PEM"),
        ({"host": "a.test", "labels": "x" * 60}, "labels", "40 characters"),
    ):
        await desk.tls("watch add")
        delivery = await desk.workspace.submit_view(values=filled(**changed))
        assert delivery.response is not None and told in delivery.response["errors"][field]
    assert rows(desk, "select count(*) from watches") == [(0,)]


# ── imports ─────────────────────────────────────────────────────────────────────


async def test_a_file_is_shown_confirmed_and_swept(desk: Desk, world: World) -> None:
    world.broken["c.example.com"] = "validity.expired"
    await dropped(
        desk,
        "hosts.csv",
        "host,port,owner,labels\na.example.com,8443,U0OWNER1,edge;web\nb.example.com\n\nc.example.com\nc.example.com\n"
        "bad host,\n",
    )
    preview = said(await confirmed(desk))
    assert "CSV" in preview and "3 endpoints: 3 new" in preview and "line 7" in preview and "1 line said" in preview
    ws = desk.workspace
    found = await ws.wait_for(lambda: next((m for m in desk.bot_messages() if "Looked at 3" in m["text"]), None))
    done = said(found or {})
    assert "🔴 1 broken" in done and "🟢 2 ok" in done and "🔴 `c.example.com` `validity.expired`" in done
    assert rows(desk, "select owner, labels from watches order by id")[0] == ("U0OWNER1", '["edge", "web"]')
    await desk.headline("c.example.com is broken")
    replaced = [said(m) for m in desk.bot_messages() if "more endpoints watched here" in said(m)]
    assert len(replaced) == 1


async def test_what_a_file_says_and_is_not_watched_is_told_before_and_after(desk: Desk, world: World) -> None:
    text = (
        "host,owner,identity,cost\na.test,bob,,1\n_dmarc.a.test,,,\n*.a.test,,,\nnot a host,,,\nb.test,,payments,\n"
        "a.test,,,\n"
    )
    await dropped(desk, "targets.csv", text)
    asked = await confirmed(desk)
    now = await desk.workspace.wait_for(
        lambda: next((m for m in desk.bot_messages() if "1 more endpoint watched here" in m["text"]), None)
    )
    assert now is not None and asked["ts"] == now["ts"]
    for message in (asked, now):
        words = said(message)
        assert "2 lines left out" in words and "line 5" in words and "no client identity “payments”" in words
        assert "1 line taken in part" in words and "“bob” is no Slack id" in words
        assert "`_dmarc.a.test`" in words and "`*.a.test`" in words
        assert "1 line said the same again" in words and "Columns not read: cost" in words
    assert rows(desk, "select host from lookouts") == [("a.test",)]


async def test_services_that_a_zone_names_are_watched_when_that_is_asked(desk: Desk, world: World) -> None:
    ws = desk.workspace
    await dropped(desk, "x.zone", "$ORIGIN a.test.\n@ MX 10 mail\nwww A 192.0.2.1\nmail A 192.0.2.2\n_dmarc TXT x\n")
    found = await ws.wait_for(lambda: next((m for m in desk.bot_messages() if "to watch?" in m["text"]), None))
    assert found is not None and "`mail.a.test:25 --starttls smtp`" in said(found)
    await ws.act(ws.me, action_id=WATCH_IMPORT_ALL, channel=ws.incidents, message_ts=found["ts"])
    sql = "select host || ' ' || starttls from lookouts order by host, port"
    await until(desk, sql, ["mail.a.test smtp", "mail.a.test ", "www.a.test "])


async def test_a_file_of_another_channel_is_not_read(desk: Desk) -> None:
    ws = desk.workspace
    elsewhere = ws.general
    message = await ws.upload(ws.me, elsewhere, "hosts.txt", b"a.example.com\n")
    await ws.mention(ws.me, ws.incidents, f"watch import {message['files'][0]['id']}")
    await desk.whisper("was not dropped into this channel")


async def test_a_login_page_is_noticed_and_the_token_goes_nowhere_else(desk: Desk) -> None:
    await dropped(desk, "hosts.txt", "<!DOCTYPE html><html>sign in</html>")
    await desk.whisper("login page")


async def test_a_file_that_is_too_large_is_not_fetched(desk: Desk) -> None:
    await dropped(desk, "hosts.txt", "a.example.com\n" * 80_000)
    await desk.whisper("I read 1,000,000 at most")


# ── what it tells ───────────────────────────────────────────────────────────────


async def test_what_breaks_opens_an_incident_and_recovers_after_two_good_looks(desk: Desk, world: World) -> None:
    await desk.tls(f"watch add api.example.com --owner {desk.workspace.me}")
    await looked(desk, 1)
    world.broken["api.example.com"] = "validity.expired"
    await sweep(desk)
    root = await desk.headline("api.example.com is broken")
    assert "seen by the watch" in said(root) and "INC-1" in said(root)
    await desk.settled()
    thread = [said(m) for m in await desk.replies(root, 3)]
    assert any(f"<@{desk.workspace.me}>" in text and "is yours" in text for text in thread)
    assert world.looks[-2:] == ["light api.example.com", "full api.example.com"]  # believed after the second look

    del world.broken["api.example.com"]
    await sweep(desk, 2)
    await until(desk, "select status from lookouts", ["ok"])
    await until(desk, "select state from incidents", ["recovered"])
    root = await desk.headline("api.example.com is healthy")
    assert "Not broken any more" in said(root)
    assert rows(desk, "select told from watches") == [(None,)]


async def test_the_same_fault_is_told_once_and_another_cause_in_its_thread(desk: Desk, world: World) -> None:
    await desk.tls("watch add api.example.com")
    await looked(desk, 1)
    world.broken["api.example.com"] = "validity.expired"
    await sweep(desk)
    await desk.headline("api.example.com is broken")
    await sweep(desk, 2)
    world.broken["api.example.com"] = "chain.incomplete"
    await sweep(desk, 3)
    await until(desk, "select cause from incidents", ["chain.incomplete"])
    await desk.settled()
    assert rows(desk, "select checks from incidents") == [(2,)]
    roots = [m for m in desk.bot_messages() if "is broken" in m["text"] and m.get("thread_ts") in {None, m["ts"]}]
    assert len(roots) == 1


async def test_an_incident_that_a_person_resolved_is_not_opened_again_by_the_same_fault(
    desk: Desk, world: World
) -> None:
    await desk.tls("watch add api.example.com")
    await looked(desk, 1)
    world.broken["api.example.com"] = "validity.expired"
    await sweep(desk)
    root = await desk.headline("api.example.com is broken")
    ws = desk.workspace
    await ws.act(ws.me, action_id="incident.resolve", channel=ws.incidents, message_ts=root["ts"])
    await until(desk, "select state from incidents", ["resolved"])
    await desk.tls("watch remove other.example.com")
    await sweep(desk, 2)
    await desk.settled()
    assert rows(desk, "select state from incidents") == [("resolved",)]


async def test_a_snoozed_watch_says_nothing(desk: Desk, world: World) -> None:
    await desk.tls("watch add api.example.com")
    await looked(desk, 1)
    await desk.tls("watch snooze api.example.com 3d")
    await desk.whisper("I say nothing of it here until")
    world.broken["api.example.com"] = "validity.expired"
    await sweep(desk)
    await until(desk, "select status from lookouts", ["broken"])
    await desk.tls("watch list")
    assert "💤 until" in said((await desk.whisper("💤")).message)
    await desk.settled()
    assert rows(desk, "select count(*) from incidents") == [(0,)]


async def test_what_fails_together_is_one_message_that_follows_them(desk: Desk, world: World) -> None:
    hosts = [f"h{number}.example.com" for number in range(15)]
    await dropped(desk, "hosts.txt", "\n".join(hosts))
    await confirmed(desk)
    await looked(desk, 15)
    world.broken = dict.fromkeys(hosts, "validity.expired")
    await desk.tls("watch sweep")
    flood = await desk.headline("15 watched endpoints fail together")
    assert "`validity.expired` 15" in said(flood) and "h7.example.com" in said(flood)
    assert rows(desk, "select count(*) from incidents") == [(0,)]
    for host in hosts[:5]:
        del world.broken[host]
    await desk.tls("watch sweep")
    await desk.headline("10 watched endpoints fail together")
    world.broken.clear()
    await desk.tls("watch sweep")
    flood = await desk.headline("All 15 endpoints that failed together work again")
    assert "All 15 work again" in said((await desk.replies(flood, 1))[-1])
    assert rows(desk, "select count(*) from incidents") == [(0,)]


async def test_when_nothing_can_be_reached_that_is_told_once_and_no_incident_is_opened(
    desk: Desk, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bot.watch._CANARIES_EVERY_S", 0.3)
    hosts = [f"www.example{number}.com" for number in range(6)]
    await dropped(desk, "hosts.txt", "\n".join(hosts))
    await confirmed(desk)
    await looked(desk, 6)
    world.broken = dict.fromkeys(hosts, "reach.timeout")
    await desk.tls("watch sweep")
    outage = await desk.headline("I reach nothing of what I watch")
    assert "My own network is likelier at fault" in said(outage)
    world.broken.clear()
    await desk.headline("I reach what I watch again")
    await desk.settled()
    assert rows(desk, "select count(*) from incidents") == [(0,)]
    assert rows(desk, "select count(*) from looks where status = 'broken'") == [(0,)]


async def test_an_outage_of_our_own_network_goes_on_over_a_restart_in_the_same_message(
    desk: Desk, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bot.watch._CANARIES_EVERY_S", 0.3)
    hosts = [f"www.example{number}.com" for number in range(6)]
    await dropped(desk, "hosts.txt", "\n".join(hosts))
    await confirmed(desk)
    await looked(desk, 6)
    world.broken = dict.fromkeys(hosts, "reach.timeout")
    await desk.tls("watch sweep")
    await desk.headline("I reach nothing of what I watch")
    await desk.settled()
    await desk.stop()
    world.looks.clear()
    await desk.start()
    async with asyncio.timeout(20):
        while len(world.looks) < 10:  # it is tried whether something answers, and nothing else is looked at
            await asyncio.sleep(0.02)
    assert {look.split()[0] for look in world.looks} == {"light"}
    world.broken.clear()
    await desk.headline("I reach what I watch again")
    await desk.settled()
    assert rows(desk, "select count(*) from outbox where key like 'outage:%'") == [(1,)]
    assert rows(desk, "select count(*), count(ended_at) from outages") == [(1, 1)]
    assert rows(desk, "select count(*) from incidents") == [(0,)]


async def test_an_alarm_is_told_and_marked_as_told_at_once(
    desk: Desk, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever dies after it was told: it is not told once more."""
    await desk.tls("watch add api.example.com")
    await looked(desk, 1)
    died = asyncio.Event()

    async def dies(*_: object) -> None:
        died.set()
        await asyncio.Event().wait()

    with monkeypatch.context() as patched:
        patched.setattr(Watchlist, "tell", dies)
        world.broken["api.example.com"] = "validity.expired"
        await sweep(desk)
        async with asyncio.timeout(20):
            await died.wait()
        await desk.stop()
    world.looks.clear()
    await desk.start()
    await desk.headline("api.example.com is broken")
    async with asyncio.timeout(20):
        while not world.looks:
            await asyncio.sleep(0.02)
    await until(desk, "select count from looks where status = 'broken' and kind = 'full'", [2])
    await desk.settled()
    assert rows(desk, "select told from watches") == [("validity.expired",)]
    assert rows(desk, "select count(*) from outbox where key like '%look:%'") == [(0,)]
    assert rows(desk, "select max(checks) from incidents") == [(1,)]


async def test_history_tells_of_the_looks(desk: Desk, world: World) -> None:
    await desk.tls("watch add api.example.com")
    await looked(desk, 1)
    await sweep(desk)
    await sweep(desk, 2)
    await desk.tls("history api.example.com")
    text = said((await desk.whisper("*Watched*")).message)
    assert "the same since" in text and "2 light looks" in text and "full check" in text


async def test_looks_go_on_after_a_restart_and_nothing_is_told_twice(desk: Desk, world: World) -> None:
    await desk.tls("watch add api.example.com")
    await looked(desk, 1)
    world.broken["api.example.com"] = "validity.expired"
    await sweep(desk)
    await desk.headline("api.example.com is broken")
    await desk.settled()
    await desk.stop()
    world.looks.clear()
    await desk.start()
    async with asyncio.timeout(20):
        while not world.looks:  # what is broken is looked at again at once
            await asyncio.sleep(0.02)
    await desk.settled()
    assert rows(desk, "select count(*), max(checks) from incidents") == [(1, 1)]


async def test_a_recovery_that_was_cut_off_before_it_was_told_is_told_after_the_restart(
    desk: Desk, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    await desk.tls("watch add api.example.com")
    await looked(desk, 1)
    world.broken["api.example.com"] = "validity.expired"
    await sweep(desk)
    await desk.headline("api.example.com is broken")
    await until(desk, "select told from watches", ["validity.expired"])
    await desk.settled()
    monkeypatch.setattr("bot.alarms.GATHERED_S", 60.0)
    del world.broken["api.example.com"]
    await sweep(desk, 2)
    await until(desk, "select status from lookouts", ["ok"])
    await desk.stop()
    monkeypatch.setattr("bot.alarms.GATHERED_S", 0.05)
    await desk.start()
    await until(desk, "select state from incidents", ["recovered"])
    await desk.headline("api.example.com is healthy")
    await until(desk, "select told from watches", [None])


async def test_a_look_that_cannot_be_stored_costs_the_others_nothing(tmp_path: Path) -> None:
    history = await History.open(tmp_path / "memory.db")
    try:
        watchlist, now = Watchlist(history), datetime.now(UTC)
        looked = []
        for host in ("odd.test", "plain.test"):
            lookout = Lookout(id=0, team="T", target=Target.parse(host))
            watch = Watch(id=0, team="T", channel="C1", lookout=lookout, added_by="U1", added_at=now)
            stored = await watchlist.add(watch, "", most=10)
            assert stored is not None
            ask = looks.Ask(
                lookout=stored.lookout.id, kind="full", check=Check(target=lookout.target), known="", bundle=""
            )
            seen = looks.told(ask, reports.healthy(host))
            looked.append(Looked(seen=seen, step=schedule.step(stored.lookout, seen)))

        def news_of(
            watch: Watch, before: Look | None, after: Look, certificates: Mapping[str, CertificateReport], now: datetime
        ) -> list[Note]:
            if watch.target.host == "odd.test":
                raise ValueError("odd")
            return [Note(key="news", kind="message", team="T", channel="C1", content=Content(text="news"))]

        recorded = await watchlist.looks.record(looked, news_of, now)
        assert recorded.failed == {looked[0].seen.lookout} and recorded.notes == 1
        assert [len(await watchlist.looks.runs(one.seen.lookout, limit=5)) for one in looked] == [0, 1]

        [_, plain] = await watchlist.watches("T", "C1")
        await watchlist.remove(plain)
        await watchlist.looks.record(looked[1:], news_of, now)  # it was on its way when the watch was removed
        assert await watchlist.looks.runs(plain.lookout.id, limit=5) == []
    finally:
        await history.close()


async def test_a_target_that_may_not_be_looked_at_says_so_in_the_list(desk: Desk) -> None:
    from probes.model import UsageError

    desk.checker.answer = UsageError("I did not connect to it: a loopback address.")
    await desk.tls("watch add api.example.com")
    await desk.workspace.wait_for(lambda: desk.checker.asked)
    await desk.tls("watch sweep")
    await desk.headline("Looked at 1 endpoint")
    await desk.tls("watch list")
    assert "⛔ I did not connect to it" in said((await desk.whisper("⛔")).message)


async def test_a_stored_form_holds_what_was_typed(desk: Desk, world: World) -> None:
    await desk.tls("watch add")
    await desk.workspace.submit_view(values=filled(host="api.example.com", labels="a"))
    await desk.whisper("I watch it from now on")
    [(text,)] = rows(desk, "select text from intakes where action = 'watch_form'")
    assert json.loads(text) == {"host": "api.example.com", "labels": "a"}
