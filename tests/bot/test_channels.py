"""Channels that are private, shared, archived, renamed, deleted; people who are guests or from another workspace."""

from __future__ import annotations

import sqlite3
import time
from contextlib import closing
from typing import Any

import pytest

from bot.departures import Departures
from bot.history import History
from bot.places import Places
from bot.render import incident as room
from bot.watchlist import Watchlist
from tests.bot import reports
from tests.bot.conftest import Desk, said

SECRET = "internal.example.com"


def rows(desk: Desk, sql: str) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(desk.database)) as beside:
        return beside.execute(sql).fetchall()


async def watched(desk: Desk, channel: str) -> None:
    """An incident in *channel*, watched until fixed."""
    ws = desk.workspace
    await desk.tls("check api.example.com", channel=channel)

    def root() -> Any:
        return next((m for m in desk.bot_messages(channel) if "is broken" in m["text"]), None)

    message = await ws.wait_for(root)
    await ws.click(message, room.WATCH, channel=channel)
    await desk.worked_off()
    await desk.settled()
    assert len(rows(desk, "select * from vigils")) == 1


def stranger(desk: Desk, channel: str) -> str:
    """Somebody of another workspace, in a channel that both share."""
    user: str = desk.workspace.team.add_user("mallory", "Mallory of Elsewhere", team="T0ELSEWHERE").id
    desk.workspace.team.channel(channel).members.add(user)
    return user


def guest(desk: Desk, channel: str) -> str:
    user: str = desk.workspace.team.add_user("guy", "Guy the Guest", is_guest=True).id
    desk.workspace.team.channel(channel).members.add(user)
    return user


# ── closed and opened again ─────────────────────────────────────────────────────


@pytest.mark.parametrize("act", ["archive", "delete_channel", "sent away"])
@pytest.mark.parametrize("is_private", [False, True])
async def test_where_a_channel_is_closed_the_watching_ends_and_nothing_is_said(
    desk: Desk, act: str, is_private: bool
) -> None:
    ws = desk.workspace
    place = ws.team.add_channel("war-room", {ws.me, ws.bot}, is_private=is_private).id
    await watched(desk, place)
    calls = len(ws.calls)
    if act == "sent away":
        await ws.remove_member(ws.bot, place)
    else:
        await getattr(ws, act)(place)
    await desk.settled()
    assert rows(desk, "select * from vigils") == []
    assert [call.method for call in ws.calls[calls:] if call.method.startswith("chat.")] == []
    assert rows(desk, "select channel from closed_channels where why != ''") == [(place,)]
    assert rows(desk, "select state from incidents") == [("open",)]  # it is remembered as it was


async def test_endpoints_watched_for_a_closed_channel_alone_are_looked_at_no_more(desk: Desk) -> None:
    ws = desk.workspace
    desk.checker.answer = reports.healthy()
    await desk.tls("watch add api.example.com")
    await desk.whisper("I watch it from now on")
    await desk.worked_off()
    assert rows(desk, "select count(*) from watches") == [(1,)]
    await ws.archive(ws.incidents)
    await ws.settled()
    await desk.stop()
    memory = await History.open(desk.database)
    try:
        assert await Watchlist(memory).lookouts() == []
        places = await Places.known(memory)
        await places.open(ws.team.id, ws.incidents, at=time.time() + 1)
        assert len(await Watchlist(memory).lookouts()) == 1
    finally:
        await memory.close()


async def test_a_channel_that_is_opened_again_is_spoken_in_again(desk: Desk) -> None:
    ws = desk.workspace
    await ws.archive(ws.incidents)
    await ws.unarchive(ws.incidents)
    await desk.settled()
    await desk.tls("check api.example.com")
    await desk.headline("is broken")
    assert rows(desk, "select why from closed_channels where channel != '*'") == [("",)]


async def test_a_bot_that_is_invited_back_may_speak_again(desk: Desk) -> None:
    ws = desk.workspace
    await ws.remove_member(ws.bot, ws.incidents)
    await desk.settled()
    await ws.join(ws.bot, ws.incidents)
    await desk.settled()
    assert rows(desk, "select why from closed_channels where channel != '*'") == [("",)]


async def test_news_of_a_channel_come_twice_and_out_of_order(idle_desk: Desk) -> None:
    history = await History.open(idle_desk.database)
    try:
        places = await Places.known(history)
        assert await places.close("T1", "C1", "archived", at=100.000002)
        assert not await places.close("T1", "C1", "archived", at=100.000002)
        assert not places.is_open("T1", "C1")
        assert places.is_open("T2", "C1")
        assert not await places.open("T1", "C1", at=100.000001)  # it was open before it was closed
        assert not (await Places.known(history)).is_open("T1", "C1")
        assert await places.open("T1", "C1", at=100.000003)
        assert not await places.close("T1", "C1", "archived", at=100.000002)
        assert places.is_open("T1", "C1")
        assert (await Places.known(history)).is_open("T1", "C1")
        await places.open("T1", "C2", at=7.0)  # the news that it was closed comes later
        assert not await places.close("T1", "C2", "archived", at=6.0)
    finally:
        await history.close()


async def test_a_channel_that_gets_another_id_takes_what_it_has_along(desk: Desk) -> None:
    """Slack does so when a private channel is shared with another workspace."""
    ws = desk.workspace
    old = ws.team.add_channel("war-room", {ws.me, ws.bot}, is_private=True).id
    new = ws.team.add_channel("war-room-shared", {ws.me, ws.bot}, is_private=True).id
    await watched(desk, old)  # an incident, its thread, its vigil
    await desk.tls("watch add api.example.com", channel=old)
    await desk.tls("watch add both.example.com", channel=old)
    await desk.tls("watch add both.example.com --label new", channel=new)
    await desk.tls("digest at 09:00 UTC", channel=old)
    await desk.worked_off()
    event = {
        "type": "channel_id_changed",
        "old_channel_id": old,
        "new_channel_id": new,
        "event_ts": f"{time.time():.6f}",
    }
    for _ in range(2):
        ws.emit(event, "channel_id_changed")
        await desk.settled()
    assert rows(desk, f"select channel, why from closed_channels where why != '' and channel = '{old}'") == [
        (old, "moved")
    ]
    for table in ("incidents", "digest_plans", "outbox", "checks", "intakes"):
        assert rows(desk, f"select count(*) from {table} where channel = '{old}'") == [(0,)], table
    found = rows(
        desk, f"select l.host, w.labels from watches w join lookouts l on l.id = w.lookout where channel = '{new}'"
    )
    assert sorted(found) == [("api.example.com", "[]"), ("both.example.com", '["new"]')]
    assert rows(desk, "select count(*) from vigils") == [(1,)]
    await desk.tls("watch list", channel=new)
    await desk.whisper("2 endpoints")
    await desk.tls("check api.example.com", channel=new)
    await desk.whisper("INC-1")  # the incident went along


async def test_old_news_of_an_uninstall_changes_nothing_where_the_bot_has_one_workspace(idle_desk: Desk) -> None:
    history = await History.open(idle_desk.database)
    try:
        places = await Places.known(history)
        departures = Departures(history=history, places=places, installations=None)
        begun = time.time()
        await places.come_back("T1")  # what the bot does when it starts
        await departures.uninstalled("T1", at=begun - 60)
        assert places.is_open("T1", "C1")
        await departures.uninstalled("T1", at=begun + 60)
        assert not places.is_open("T1", "C1")
        await places.come_back("T1")
        assert places.is_open("T1", "C1") and (await Places.known(history)).is_open("T1", "C1")
    finally:
        await history.close()


async def test_what_was_owed_to_a_channel_that_is_archived_is_said_nowhere(desk: Desk) -> None:
    ws = desk.workspace
    desk.checker.gate.clear()
    await desk.tls("check api.example.com")
    await desk.headline("Checking")
    await ws.archive(ws.incidents)
    await ws.settled()
    desk.checker.gate.set()
    await desk.worked_off()
    await desk.settled()
    assert rows(desk, "select count(*) from outbox where sent_revision < revision and state = 'live'") == [(0,)]
    assert all("is broken" not in m["text"] for m in desk.bot_messages())


async def test_a_channels_name_is_kept_nowhere(desk: Desk) -> None:
    ws = desk.workspace
    place = ws.team.add_channel("project-nightingale", {ws.me, ws.bot}, is_private=False).id
    await watched(desk, place)
    await ws.rename(place, "project-albatross")
    await desk.tls("history", channel=place)
    await desk.whisper("api.example.com")
    await desk.tls("check api.example.com", channel=place)
    await desk.whisper("INC-1")
    await desk.settled()
    await desk.stop()
    stored = b"".join(path.read_bytes() for path in desk.database.parent.iterdir() if path.is_file())
    assert b"nightingale" not in stored
    assert b"albatross" not in stored


# ── guests and strangers ────────────────────────────────────────────────────────


@pytest.mark.parametrize("make", [guest, stranger])
async def test_everybody_may_check_where_they_are(desk: Desk, make: Any) -> None:
    ws = desk.workspace
    user = make(desk, ws.incidents)
    await ws.mention(user, ws.incidents, "check api.example.com")
    await desk.headline("is broken")


@pytest.mark.parametrize("text", ["identity remove payments", "watch add api.example.com", "watch import"])
@pytest.mark.parametrize(("make", "why"), [(guest, "you are a guest here"), (stranger, "from another workspace")])
async def test_who_is_no_member_changes_no_settings(idle_desk: Desk, make: Any, why: str, text: str) -> None:
    ws = idle_desk.workspace
    await idle_desk.start(secret_key="k" * 40)
    user = make(idle_desk, ws.incidents)
    await ws.mention(user, ws.incidents, text)

    def told() -> Any:
        return next((w for w in ws.whispers(user) if why in said(w.message)), None)

    await ws.wait_for(told)


async def test_a_group_makes_no_member_of_a_stranger(idle_desk: Desk) -> None:
    ws = idle_desk.workspace
    user = stranger(idle_desk, ws.incidents)
    ws.team.usergroups["S0ADMINS"] = [user]
    await idle_desk.start(secret_key="k" * 40, admin_usergroups=frozenset({"S0ADMINS"}))
    await ws.mention(user, ws.incidents, "identity remove payments")
    await ws.wait_for(lambda: any("from another workspace" in said(w.message) for w in ws.whispers(user)))


@pytest.mark.parametrize("make", [guest, stranger])
async def test_who_is_no_member_is_told_of_this_channel_alone(desk: Desk, make: Any) -> None:
    ws = desk.workspace
    await desk.tls(f"check {SECRET}", channel=ws.general)
    await desk.worked_off()
    user = make(desk, ws.incidents)
    before = len(desk.bot_messages())
    await ws.mention(user, ws.incidents, "history")
    answer = await ws.wait_for(lambda: desk.bot_messages()[before:])
    assert SECRET not in said(answer[0])


async def test_in_a_shared_channel_nothing_of_other_channels_is_told_to_members_either(desk: Desk) -> None:
    ws = desk.workspace
    await desk.tls(f"check {SECRET}", channel=ws.general)
    await desk.worked_off()
    stranger(desk, ws.incidents)
    before = len(desk.bot_messages())
    await ws.mention(ws.me, ws.incidents, "history")
    answer = await ws.wait_for(lambda: desk.bot_messages()[before:])
    assert SECRET not in said(answer[0])
    await desk.tls("history", channel=ws.general)
    await desk.whisper(SECRET)


async def test_what_a_stranger_asks_belongs_to_the_workspace_of_the_bot(desk: Desk) -> None:
    ws = desk.workspace
    user = stranger(desk, ws.incidents)
    await ws.mention(user, ws.incidents, "check api.example.com")
    root = await desk.headline("is broken")
    await desk.replies(root, 2)
    await ws.click(root, room.COMMAND_TAKEN, user=user)
    await desk.worked_off()
    await desk.settled()
    assert rows(desk, "select distinct team from checks union select team from audit") == [(ws.team.id,)]
    assert rows(desk, "select commander from incidents") == [(user,)]


async def test_a_stranger_uses_no_identity_and_reads_of_none(idle_desk: Desk) -> None:
    ws = idle_desk.workspace
    await idle_desk.start(secret_key="k" * 40)
    user = stranger(idle_desk, ws.incidents)
    await ws.mention(user, ws.incidents, "check api.example.com --identity payments")
    await idle_desk.headline("people of other workspaces cannot use them")
    await ws.mention(user, ws.incidents, "identity list")
    await ws.wait_for(lambda: any("for this workspace to know" in said(w.message) for w in ws.whispers(user)))
    assert idle_desk.checker.asked == []


async def test_where_slack_never_says_who_is_a_guest_members_are_not_locked_out(idle_desk: Desk) -> None:
    ws = idle_desk.workspace
    await idle_desk.start(secret_key="k" * 40)
    ws.faults.answer("users.info", times=9, error="missing_scope")
    await idle_desk.tls("identity remove payments")
    await idle_desk.whisper("no client identity")


async def test_while_slack_does_not_say_who_somebody_is_nothing_is_changed(idle_desk: Desk) -> None:
    ws = idle_desk.workspace
    await idle_desk.start(secret_key="k" * 40)
    ws.faults.answer("users.info", times=9, error="internal_error")
    await idle_desk.tls("identity remove payments")
    await idle_desk.whisper("could not ask Slack")


async def test_while_slack_does_not_say_who_somebody_is_nothing_of_other_channels_is_told(desk: Desk) -> None:
    ws = desk.workspace
    ws.faults.answer("users.info", times=9, error="internal_error")
    await desk.tls(f"check {SECRET}", channel=ws.general)
    await desk.worked_off()
    before = len(desk.bot_messages())
    await ws.mention(ws.me, ws.incidents, "history")
    answer = await ws.wait_for(lambda: desk.bot_messages()[before:])
    assert SECRET not in said(answer[0])


async def test_a_private_channels_checks_are_told_there_alone(desk: Desk) -> None:
    ws = desk.workspace
    private = ws.team.add_channel("board", {ws.me, ws.bot}, is_private=True).id
    desk.checker.answer = reports.broken(SECRET)
    await desk.tls(f"check {SECRET}", channel=private)
    await desk.worked_off()
    await desk.tls("history")
    await desk.settled()
    assert all(SECRET not in said(w.message) for w in ws.whispers())
