"""The incident in its thread, against the local workspace: one root, everybody's clicks, its timeline, its end."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from bot import incidents
from bot.render import incident as room
from bot.render import listing, report
from tests.bot import reports
from tests.bot.conftest import Desk, Json, said

HOST = "api.example.com"


async def opened(desk: Desk, host: str = HOST) -> Json:
    await desk.tls(f"check {host}")
    root = await desk.headline(f"{host} is broken")
    await desk.replies(root, 2)
    await desk.settled()
    return root


async def shows(desk: Desk, message: Json, part: str) -> None:
    await desk.workspace.wait_for(lambda: part in said(message))


def in_thread(desk: Desk, root: Json) -> list[str]:
    return [said(each) for each in desk.workspace.thread(desk.workspace.incidents, root["ts"])[1:]]


async def threaded(desk: Desk, root: Json, part: str) -> str:
    """The first message of the thread that says *part*, once it is there."""
    return await desk.workspace.wait_for(lambda: next((t for t in in_thread(desk, root) if part in t), None)) or ""


async def timeline(desk: Desk, root: Json) -> str:
    await desk.settled()
    before = len(desk.answers())
    await desk.workspace.click(root, room.MORE, "1:timeline")
    await desk.workspace.wait_for(lambda: len(desk.answers()) > before)
    return said(desk.answers()[-1].message)


async def until(desk: Desk, claim: Callable[[], bool]) -> None:
    """Wait for what shows in no message."""
    async with asyncio.timeout(20):
        while not claim():
            await desk.settled()
            await asyncio.sleep(0)


def values(message: Json, action: str) -> list[Json]:
    return [e for block in message["blocks"] for e in block.get("elements", ()) if e.get("action_id") == action]


def rows(desk: Desk, sql: str) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(desk.database)) as beside:
        return beside.execute(sql).fetchall()


# ── one root ────────────────────────────────────────────────────────────────────


async def test_the_headline_of_a_broken_endpoint_is_the_root_of_its_incident(desk: Desk) -> None:
    root = await opened(desk)
    shown = said(root)
    for part in ("INC-1", "`validity.expired`", "SEV1", "nobody yet", "*Since*", "fails for every client"):
        assert part in shown
    labels = [e["text"]["text"] for block in root["blocks"] for e in block.get("elements", ()) if e["type"] == "button"]
    assert labels[:4] == ["Take command", "Watch until fixed", "Resolve", "Post-mortem"]
    assert values(root, room.SEVERITY) and values(root, room.MORE)


async def test_what_works_or_merely_warns_opens_nothing(desk: Desk) -> None:
    for host, status in (("a.example", "ok"), ("b.example", "warning")):
        desk.checker.answer = reports.broken(host, status=status)
        await desk.tls(f"check {host}")
        headline = await desk.headline(host)
        await desk.settled()
        assert "INC-" not in said(headline)


async def test_a_further_check_goes_into_the_thread_and_whoever_asked_gets_the_way_there(desk: Desk) -> None:
    root = await opened(desk)
    await desk.tls(f"check {HOST}", user=desk.workspace.other)
    whisper = await desk.whisper("has an incident in this channel")
    assert whisper.user == desk.workspace.other
    assert f"/archives/{desk.workspace.incidents}/p{root['ts'].replace('.', '')}|INC-1>" in said(whisper.message)
    await threaded(desk, root, "Checked again")
    await desk.settled()
    roots = [m for m in desk.bot_messages() if m.get("thread_ts") in {None, m["ts"]}]
    assert [m["ts"] for m in roots] == [root["ts"]]
    assert "is broken" in root["text"] and "INC-1" in said(root)


async def test_another_cause_is_told_in_the_same_incident(desk: Desk) -> None:
    root = await opened(desk)
    desk.checker.answer = reports.broken(code="chain.incomplete")
    await desk.tls(f"check {HOST}")
    assert "*changed*" in await threaded(desk, root, "Checked again")
    await shows(desk, root, "`chain.incomplete` · fails")
    assert rows(desk, "select count(*) from incidents") == [(1,)]


async def test_a_look_at_one_address_stands_in_the_thread_and_does_not_recover_the_incident(desk: Desk) -> None:
    root = await opened(desk)
    desk.checker.answer = reports.healthy()
    await desk.tls(f"check {HOST} --ip 192.0.2.7")
    await threaded(desk, root, "is healthy")
    await desk.settled()
    assert "is broken" in root["text"]
    assert rows(desk, "select state from incidents") == [("open",)]


async def test_other_channels_and_other_server_names_have_their_own_incidents(desk: Desk) -> None:
    desk.checker.answer = lambda check: replace(reports.broken(), target=check.target)
    await opened(desk)
    await desk.tls(f"check {HOST}", channel=desk.workspace.general)
    await desk.workspace.wait_for(
        lambda: any("is broken" in m["text"] for m in desk.bot_messages(desk.workspace.general))
    )
    await desk.tls(f"check {HOST} --sni other.example.com")
    await desk.headline("is broken", 2)
    await desk.settled()
    assert rows(desk, "select count(*) from incidents where state = 'open'") == [(3,)]


async def test_two_first_checks_at_once_make_one_incident(desk: Desk) -> None:
    desk.checker.gate.clear()
    for user in (desk.workspace.me, desk.workspace.other):
        await desk.tls(f"check {HOST}", user=user)
    await until(desk, lambda: len(desk.checker.asked) == 2)
    desk.checker.gate.set()
    await desk.headline("is broken", 2)
    await desk.settled()
    assert rows(desk, "select state, checks from incidents") == [("open", 2)]
    assert sum("belongs to INC-1" in said(m) for m in desk.bot_messages()) == 1


async def test_a_check_that_may_not_be_made_leaves_the_root_as_it_was(desk: Desk) -> None:
    from probes.model import UsageError

    root = await opened(desk)
    desk.checker.answer = UsageError("egress is refused now")
    await desk.tls(f"check {HOST}")
    await desk.settled()
    await until(desk, lambda: len(desk.checker.asked) == 2)
    await desk.worked_off()
    await desk.settled()
    assert "is broken" in root["text"] and values(root, room.RESOLVE)


# ── clicks ──────────────────────────────────────────────────────────────────────


async def test_who_takes_command_stands_in_the_root_and_of_two_at_once_one_is_told(desk: Desk) -> None:
    ws = desk.workspace
    root = await opened(desk)
    stale = json.loads(json.dumps(root))
    await ws.click(root, room.COMMAND_TAKEN)
    await shows(desk, root, f"*Commander* <@{ws.me}>")
    root["blocks"] = stale["blocks"]  # what the other person's screen still showed
    await ws.click(root, room.COMMAND_TAKEN, user=ws.other)
    whisper = await desk.whisper("since your screen was drawn")
    assert whisper.user == ws.other
    assert rows(desk, "select commander from incidents") == [(ws.me,)]


async def test_severity_is_chosen_in_the_root(desk: Desk) -> None:
    root = await opened(desk)
    await desk.workspace.click(root, room.SEVERITY, "1:sev3")
    await shows(desk, root, "SEV3 minor")
    await shows(desk, root, "*Severity* SEV3")
    assert "set the severity to SEV3" in await timeline(desk, root)


async def test_resolved_reopened_and_buttons_of_last_week(desk: Desk) -> None:
    ws = desk.workspace
    root = await opened(desk)
    stale = json.loads(json.dumps(root["blocks"]))
    await ws.click(root, room.RESOLVE)
    await shows(desk, root, "INC-1 resolved")
    assert not values(root, room.RESOLVE) and values(root, room.REOPEN)
    current, root["blocks"] = root["blocks"], stale
    await ws.click(root, room.RESOLVE, user=ws.other)
    await desk.whisper("was resolved")
    root["blocks"] = current
    await ws.click(root, room.REOPEN, user=ws.other)
    await ws.wait_for(lambda: bool(values(root, room.RESOLVE)))
    story = await timeline(desk, root)
    assert story.index("resolved it") < story.index("reopened it")


async def test_after_it_is_resolved_a_failure_is_a_new_incident_with_what_was_seen_before(desk: Desk) -> None:
    root = await opened(desk)
    await desk.workspace.click(root, room.RESOLVE)
    await shows(desk, root, "INC-1 resolved")
    await desk.tls(f"check {HOST}")
    second = await desk.headline("api.example.com is broken", 2)
    text = await threaded(desk, second, "Seen before")
    assert "INC-1" in text and "same host and cause and issuer" in text and "resolved by" in text


async def test_every_press_twice_is_one_act(desk: Desk) -> None:
    root = await opened(desk)
    desk.workspace.faults.deliver_to_all = True
    await desk.workspace.click(root, room.COMMAND_TAKEN)
    await desk.workspace.click(root, room.RESOLVE)
    await shows(desk, root, "INC-1 resolved")
    story = await timeline(desk, root)
    assert story.count("took command") == 1 and story.count("resolved it") == 1
    assert sum("took command" in text for text in in_thread(desk, root)) == 1


async def test_twenty_clicks_of_two_people_leave_one_consistent_incident(desk: Desk) -> None:
    ws = desk.workspace
    root = await opened(desk)
    acts = [
        (room.COMMAND_TAKEN, None),
        (room.SEVERITY, "1:sev2"),
        (room.COMMAND_TAKEN, None),
        (room.SEVERITY, "1:sev3"),
    ]
    clicks = [ws.click(root, a, v, user=u) for a, v in acts * 3 for u in (ws.me, ws.other)]
    assert all(delivery.is_acked for delivery in await asyncio.gather(*clicks))
    await desk.worked_off()
    await desk.settled()
    [(commander, severity)] = rows(desk, "select commander, severity from incidents")
    assert f"*Commander* <@{commander}>" in said(root) and f"*Severity* {severity.upper()}" in said(root)
    taken = rows(desk, "select count(*) from timeline where text like 'took command%'")
    told = sum("took command" in text for text in in_thread(desk, root))
    assert taken == [(told,)]


async def test_each_act_leaves_an_audit_row_with_its_target(desk: Desk) -> None:
    root = await opened(desk)
    await desk.workspace.click(root, room.RESOLVE)
    await shows(desk, root, "INC-1 resolved")
    await desk.settled()
    found = rows(desk, "select user, channel, action, verdict, target from audit order by id")
    me, place = desk.workspace.me, desk.workspace.incidents
    assert found == [
        (me, place, "command", "check", f"{HOST}:443"),
        (me, place, "incident.resolve", "done", f"{HOST}:443"),
    ]


# ── the timeline ────────────────────────────────────────────────────────────────


async def test_a_note_by_command_goes_to_the_channels_newest_and_is_seen_in_its_thread(desk: Desk) -> None:
    await desk.tls("note nobody listens")
    await desk.whisper("no open incident")
    root = await opened(desk)
    await desk.tls("note failover to eu-west began")
    await threaded(desk, root, "failover to eu-west began")
    await desk.whisper("Noted in the timeline")
    assert "failover to eu-west began" in await timeline(desk, root)


async def test_a_note_in_the_thread_of_an_older_incident_belongs_to_that(desk: Desk) -> None:
    ws = desk.workspace
    root = await opened(desk)
    await opened(desk, "other.example.com")
    note = await ws.mention(ws.me, ws.incidents, "note restarted envoy", root["ts"])
    await desk.whisper("INC-1")
    assert "restarted envoy" in await timeline(desk, root)
    await ws.edit_message(ws.me, ws.incidents, note["ts"], f"<@{ws.bot}> note restarted nginx")
    await until(desk, lambda: rows(desk, "select text from timeline where kind = 'note'") == [("restarted nginx",)])
    await ws.delete_message(ws.me, ws.incidents, note["ts"])
    await until(desk, lambda: rows(desk, "select state, text from timeline where kind = 'note'") == [("deleted", "")])
    assert "restarted" not in await timeline(desk, root)


async def test_a_pinned_message_stands_at_its_own_time_and_the_pin_can_be_taken_back(desk: Desk) -> None:
    ws = desk.workspace
    early = await ws.say(ws.other, ws.incidents, "checkout returns 502 since 21:58")
    root = await opened(desk)
    await ws.react(ws.me, ws.incidents, early["ts"], "pushpin")
    await threaded(desk, root, "checkout returns 502")
    story = await timeline(desk, root)
    assert story.index("checkout returns 502") < story.index("opened:")
    assert f"<@{ws.other}>" in story
    await ws.react(ws.me, ws.incidents, early["ts"], "pushpin", remove=True)
    await threaded(desk, root, "taken out of the timeline")
    assert "checkout" not in await timeline(desk, root)


async def test_other_reactions_and_pins_where_there_is_no_incident_mean_nothing_to_us(desk: Desk) -> None:
    ws = desk.workspace
    message = await ws.say(ws.other, ws.general, "lunch?")
    await ws.react(ws.me, ws.general, message["ts"], "pushpin")
    root = await opened(desk)
    other = await ws.say(ws.other, ws.incidents, "looking")
    await ws.react(ws.me, ws.incidents, other["ts"], "eyes")
    await desk.settled()
    assert ws.calls_of("conversations.replies") == []
    assert "looking" not in await timeline(desk, root)


async def test_the_shortcut_takes_a_message_once(desk: Desk) -> None:
    ws = desk.workspace
    root = await opened(desk)
    message = await ws.say(ws.other, ws.incidents, "the new certificate is in the vault")
    for _ in range(2):
        delivery = await ws.message_shortcut(ws.me, room.ADD_TO_TIMELINE, ws.incidents, message["ts"])
        assert delivery.is_acked
    await desk.whisper("already")
    story = await timeline(desk, root)
    assert story.count("the new certificate is in the vault") == 1


async def test_an_edit_of_a_noted_message_changes_its_copy_in_the_thread(desk: Desk) -> None:
    ws = desk.workspace
    root = await opened(desk)
    message = await ws.say(ws.me, ws.incidents, "rolled back to v41")
    await ws.message_shortcut(ws.me, room.ADD_TO_TIMELINE, ws.incidents, message["ts"])
    await threaded(desk, root, "rolled back to v41")
    await ws.edit_message(ws.me, ws.incidents, message["ts"], "rolled back to v40")
    await threaded(desk, root, "rolled back to v40")
    assert "(edited)" in await timeline(desk, root)


async def test_a_note_cannot_ping_anybody(desk: Desk) -> None:
    root = await opened(desk)
    await desk.tls("note <!channel> *look*")
    await threaded(desk, root, "look")
    assert not any("<!channel>" in text for text in in_thread(desk, root))


# ── watching ────────────────────────────────────────────────────────────────────


@pytest.fixture
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(incidents, "PAUSES", (timedelta(milliseconds=30),))


@pytest.mark.usefixtures("short_pauses")
class TestWatching:
    async def test_it_looks_until_it_works_and_tells_once(self, desk: Desk) -> None:
        ws = desk.workspace
        root = await opened(desk)
        await ws.click(root, room.WATCH, user=ws.other)
        await until(desk, lambda: len(desk.checker.asked) >= 4)
        await shows(desk, root, "watched until it is fixed")
        await shows(desk, root, "still broken")
        desk.checker.answer = reports.healthy()
        text = await threaded(desk, root, "Resolve INC-1?")
        assert f"<@{ws.other}>" in text
        await desk.worked_off()
        await desk.settled()
        looks = len(desk.checker.asked)
        assert sum("Resolve INC-1?" in each for each in in_thread(desk, root)) == 1
        assert rows(desk, "select count(*) from vigils") == [(0,)]
        assert rows(desk, "select count(*) from checks") == [(2,)]  # what was seen again and again is not kept
        message = next(m for m in ws.thread(ws.incidents, root["ts"]) if "Resolve INC-1?" in said(m))
        await ws.click(message, room.RESOLVE)
        await shows(desk, root, "INC-1 resolved")
        assert len(desk.checker.asked) == looks

    async def test_it_goes_on_after_a_restart(self, desk: Desk) -> None:
        root = await opened(desk)
        await desk.workspace.click(root, room.WATCH)
        await until(desk, lambda: len(desk.checker.asked) >= 2)
        await desk.stop()
        desk.checker.answer = reports.healthy()
        await desk.start()
        await threaded(desk, root, "Resolve INC-1?")
        await desk.settled()
        assert sum("Resolve INC-1?" in each for each in in_thread(desk, root)) == 1

    async def test_it_stops_when_told_and_when_the_incident_is_resolved(self, desk: Desk) -> None:
        root = await opened(desk)
        for action in (room.UNWATCH, room.RESOLVE):
            await desk.workspace.click(root, room.WATCH)
            await desk.workspace.wait_for(lambda: bool(values(root, room.UNWATCH)))
            await desk.workspace.click(root, action)
            await until(desk, lambda: rows(desk, "select count(*) from vigils") == [(0,)])
            await desk.workspace.wait_for(lambda: not values(root, room.UNWATCH))

    async def test_a_look_that_fails_by_our_own_fault_is_not_the_last(self, desk: Desk) -> None:
        root = await opened(desk)
        desk.checker.answer = RuntimeError("boom")
        await desk.workspace.click(root, room.WATCH)
        await until(desk, lambda: len(desk.checker.asked) >= 3)
        desk.checker.answer = reports.healthy()
        await threaded(desk, root, "Resolve INC-1?")

    async def test_another_cause_is_told_and_the_watching_goes_on(self, desk: Desk) -> None:
        root = await opened(desk)
        await desk.workspace.click(root, room.WATCH)
        desk.checker.answer = reports.broken(code="chain.incomplete")
        assert "*changed*" in await threaded(desk, root, "Looked again")
        await shows(desk, root, "`chain.incomplete`")
        desk.checker.answer = reports.healthy()
        await threaded(desk, root, "Resolve INC-1?")

    async def test_where_nobody_can_read_it_the_watching_ends(self, desk: Desk) -> None:
        root = await opened(desk)
        await desk.workspace.click(root, room.WATCH)
        await until(desk, lambda: len(desk.checker.asked) >= 2)
        await desk.workspace.archive(desk.workspace.incidents)
        await until(desk, lambda: rows(desk, "select count(*) from vigils") == [(0,)])


# ── what it remembers ───────────────────────────────────────────────────────────


async def test_what_changed_since_it_last_worked_comes_with_the_incident(desk: Desk) -> None:
    desk.checker.answer = reports.healthy()
    await desk.tls(f"check {HOST}")
    await desk.headline("is healthy")
    await desk.settled()
    old = reports.endpoint(chain=(reports.leaf(issuer="CN=R12", sha256="cd" * 32),))
    desk.checker.answer = reports.broken(endpoints=(old,))
    await desk.tls(f"check {HOST}")
    root = await desk.headline("is broken")
    text = await threaded(desk, root, "What changed since it last worked")
    assert "Issuer" in text and "CN=R12" in text


async def test_seen_before_tells_nothing_of_private_channels(desk: Desk) -> None:
    ws = desk.workspace
    board = ws.team.add_channel("board", {ws.me, ws.bot}, is_private=True).id
    await desk.tls(f"check {HOST}", channel=board)
    await ws.wait_for(lambda: any("is broken" in m["text"] for m in desk.bot_messages(board)))
    await desk.settled()
    root = await opened(desk)
    await ws.click(root, room.MORE, "2:before")
    await desk.whisper("no earlier incident")
    assert not any("Seen before" in text for text in in_thread(desk, root))


async def test_the_post_mortem_is_two_files_once_for_each_state_of_things(desk: Desk) -> None:
    ws = desk.workspace
    root = await opened(desk)
    await desk.tls("note *rolled* back")
    await threaded(desk, root, "rolled")
    desk.checker.answer = reports.healthy()
    await ws.click(root, report.AGAIN)
    await threaded(desk, root, "*recovered*")
    await ws.click(root, room.RESOLVE)
    await shows(desk, root, "INC-1 resolved")
    await ws.click(root, room.POSTMORTEM)

    def files() -> dict[str, str]:
        found = [f for m in ws.thread(ws.incidents, root["ts"]) for f in m.get("files") or ()]
        return {f["name"]: (ws.files.file(f["id"]).content or b"").decode() for f in found}

    await ws.wait_for(lambda: len(files()) == 2)
    data = json.loads(files()["inc-1-api.example.com-post-mortem.json"])
    assert data["root_cause"]["code"] == "validity.expired" and data["root_cause"]["evidence"]
    assert (data["verdicts"]["at_the_start"]["status"], data["verdicts"]["after"]["status"]) == ("broken", "ok")
    assert data["time_to_root_cause_s"] >= 0
    assert [entry["kind"] for entry in data["timeline"]] == ["verdict", "note", "verdict", "act"]
    text = files()["inc-1-api.example.com-post-mortem.md"]
    headings = ("# INC-1: api.example.com", "## Root cause", "### Evidence", "## Timeline")
    for part in (*headings, r"\*rolled\* back", "3.8 hours"):
        assert part in text
    await ws.click(root, room.POSTMORTEM)
    await desk.whisper("Nothing happened in INC-1 since")


async def test_history_finds_the_words_of_notes_and_turns_its_pages_both_ways(desk: Desk) -> None:
    ws = desk.workspace
    root = await opened(desk)
    await desk.tls("note the HSM firmware was upgraded")
    await threaded(desk, root, "firmware")
    await desk.tls("history firmw")
    whisper = await desk.whisper("*Incidents of `firmw`*")
    assert "INC-1" in said(whisper.message)
    for number in range(listing.PAGE + 2):
        await desk.tls(f"check host{number}.example.net")
    await desk.worked_off()
    await desk.tls("history host")
    first = await desk.whisper("*Checks of `host`*")
    await ws.act(ws.me, action_id=listing.OLDER, channel=first.channel, ephemeral_id=first.id)
    older = await desk.whisper("*Checks of `host`*, older")
    assert "host0.example.net" in said(older.message)
    await ws.act(ws.me, action_id=listing.NEWER, channel=older.channel, ephemeral_id=older.id)
    newest = f"host{listing.PAGE + 1}.example.net"

    def is_back() -> bool:
        pages = [said(each.message).partition("*Checks of `host`*\n")[2] for each in desk.answers()]
        return any(newest in page for page in pages)

    await ws.wait_for(is_back)
