"""The buttons of a headline: each answers, each works, each once."""

from __future__ import annotations

import json

from bot.render import listing, report
from tests.bot import reports
from tests.bot.conftest import Desk, Json, said


async def checked(desk: Desk, host: str = "api.example.com") -> Json:
    await desk.tls(f"check {host}")
    headline = await desk.headline("is broken")
    await desk.replies(headline, 2)
    await desk.settled()
    return headline


async def test_run_again_changes_the_headline_in_place_and_adds_one_line(desk: Desk) -> None:
    headline = await checked(desk)
    await desk.workspace.click(headline, report.AGAIN)
    replies = await desk.replies(headline, 3)
    await desk.settled()
    assert len(desk.checker.asked) == 2
    assert desk.checker.asked[0] == desk.checker.asked[1]
    assert "Checked again" in said(replies[2])
    assert "still broken (`validity.expired`)" in said(replies[2])
    assert "is broken" in headline["text"]
    assert len(desk.bot_messages()) == 4


async def test_while_it_runs_again_the_headline_says_so_and_a_second_press_is_answered(desk: Desk) -> None:
    headline = await checked(desk)
    desk.checker.gate.clear()
    await desk.workspace.click(headline, report.AGAIN)
    await desk.workspace.wait_for(lambda: "again" in headline["text"])
    assert "before: 🔴 broken, `validity.expired`" in said(headline)
    assert not any(block["type"] == "actions" for block in headline["blocks"])
    desk.checker.gate.set()
    await desk.workspace.wait_for(lambda: "is broken" in headline["text"])


async def test_run_again_pressed_twice_runs_once_and_answers_the_second_press(desk: Desk) -> None:
    headline = await checked(desk)
    desk.checker.gate.clear()
    desk.workspace.faults.answer("chat.update", delay_s=1.0)  # the button is still there
    await desk.workspace.click(headline, report.AGAIN)
    await desk.workspace.wait_for(lambda: desk.workspace.calls_of("chat.update") or len(desk.checker.asked) == 2)
    await desk.workspace.click(headline, report.AGAIN)
    await desk.whisper("is being checked right now")
    desk.checker.gate.set()
    await desk.replies(headline, 3)
    assert len(desk.checker.asked) == 2


async def test_a_changed_verdict_brings_its_details(desk: Desk) -> None:
    headline = await checked(desk)
    desk.checker.answer = reports.healthy()
    await desk.workspace.click(headline, report.AGAIN)
    replies = await desk.replies(headline, 4)
    assert "*recovered*" in said(replies[2])
    assert "What was looked at" in said(replies[3])
    assert "is healthy" in headline["text"]


async def test_the_raw_report_is_a_file_in_the_thread_once(desk: Desk) -> None:
    headline = await checked(desk)
    await desk.workspace.click(headline, report.RAW)
    replies = await desk.replies(headline, 3)
    [file] = replies[2]["files"]
    assert file["name"] == "tls-api.example.com-443-check-1.json"
    stored = desk.workspace.files.file(file["id"])
    assert stored.content is not None
    assert json.loads(stored.content)["cause"] == "validity.expired"
    await desk.workspace.click(headline, report.RAW)
    await desk.whisper("in the thread already")
    assert len(await desk.replies(headline, 3)) == 3


async def test_a_file_that_slack_never_shares_is_tried_again(desk: Desk) -> None:
    headline = await checked(desk)
    desk.workspace.faults.lose_shares = 1
    await desk.workspace.click(headline, report.RAW)
    await desk.workspace.wait_for(lambda: len(desk.workspace.calls_of("files.completeUploadExternal")) == 2, 20)
    replies = await desk.replies(headline, 3)
    assert replies[2]["files"]


async def test_a_file_that_was_given_up_is_sent_when_the_button_is_pressed_again(desk: Desk) -> None:
    headline = await checked(desk)
    desk.workspace.faults.answer("files.getUploadURLExternal", error="restricted_action")
    await desk.workspace.click(headline, report.RAW)
    await desk.workspace.wait_for(lambda: desk.workspace.calls_of("files.getUploadURLExternal"))
    await desk.settled()
    await desk.workspace.click(headline, report.RAW)
    replies = await desk.replies(headline, 3)
    assert replies[2]["files"]


async def test_what_changed_compares_with_the_check_before(desk: Desk) -> None:
    headline = await checked(desk)
    await desk.workspace.click(headline, report.CHANGED)
    await desk.whisper("nothing to compare with")
    desk.checker.answer = reports.healthy()
    await desk.workspace.click(headline, report.AGAIN)
    await desk.replies(headline, 4)
    await desk.settled()
    await desk.workspace.click(headline, report.CHANGED)
    replies = await desk.replies(headline, 5)
    assert "Verdict: 🔴 broken → 🟢 healthy" in said(replies[4])


async def test_a_button_whose_check_is_forgotten_is_explained(desk: Desk, idle_desk: Desk) -> None:
    headline = await checked(desk)
    for block in headline["blocks"]:
        for element in block.get("elements", ()):
            if "value" in element:
                element["value"] = "4711"
    for action in (report.AGAIN, report.RAW, report.CHANGED):
        before = len(desk.answers())
        await desk.workspace.click(headline, action)
        await desk.workspace.wait_for(lambda before=before: len(desk.answers()) > before)  # type: ignore[misc]
        assert "no longer know" in said(desk.answers()[-1].message)


async def test_a_button_of_another_version_is_answered(desk: Desk) -> None:
    headline = await checked(desk)
    headline["blocks"][-1]["elements"][0]["action_id"] = "check.gone"
    delivery = await desk.workspace.click(headline, "check.gone")
    assert delivery.is_acked
    await desk.whisper("another version")
    assert desk.workspace.notices == []


async def test_without_the_undocumented_thread_ts_a_button_still_answers_in_its_thread(desk: Desk) -> None:
    ws = desk.workspace
    ws.faults.omit_container_thread_ts = True
    root = await ws.say(ws.me, ws.incidents, "checkout is failing")
    await ws.mention(ws.me, ws.incidents, "check api.example.com", root["ts"])
    headline = (await desk.replies(root, 3))[0]
    await desk.settled()
    await ws.click(headline, report.AGAIN)
    replies = await desk.replies(root, 4)
    assert "Checked again" in said(replies[3])


async def test_history_turns_its_pages(desk: Desk) -> None:
    for number in range(listing.PAGE + 3):
        await desk.tls(f"check host{number}.example.com")
    await desk.worked_off()
    await desk.tls("history example.com")
    whisper = await desk.whisper("*Checks of `example.com`*")
    assert f"`host{listing.PAGE + 2}.example.com:443`" in said(whisper.message)
    assert "`host2.example.com:443`" not in said(whisper.message).partition("*Checks of")[2]
    await desk.workspace.act(
        desk.workspace.me, action_id=listing.OLDER, channel=whisper.channel, ephemeral_id=whisper.id
    )
    older = await desk.whisper(", older")
    assert "`host2.example.com:443`" in said(older.message)
    assert "That is all I remember." in said(older.message)


async def test_history_of_nothing_says_so(desk: Desk) -> None:
    await desk.tls("history nowhere.example")
    await desk.whisper("I remember no check of `nowhere.example`")
