"""The incident in its thread, against the local workspace: one root, everybody's clicks, watching, its end."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from datetime import timedelta

import pytest

from bot import incidents
from bot.render import incident as room
from tests.bot import reports
from tests.bot.conftest import Desk, said
from tests.bot.room import HOST, in_thread, opened, rows, shows, threaded, timeline, until, values

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
