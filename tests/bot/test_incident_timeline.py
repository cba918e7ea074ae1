"""What an incident remembers: notes, pins and edits, what was seen before, the post-mortem, `history`."""

from __future__ import annotations

import json

from bot.render import incident as room
from bot.render import listing, report
from tests.bot import reports
from tests.bot.conftest import Desk, said
from tests.bot.room import HOST, in_thread, opened, rows, shows, threaded, timeline, until

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
