"""The outbox against a workspace on a bad day: nothing lost, nothing twice, every refusal has a plan."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing

import pytest
from slack_sdk.web.async_client import AsyncWebClient

from bot.clients import OneClient
from bot.history import History
from bot.local import SLACK, Limits
from bot.model import Content, Note
from bot.notify import Outbox
from bot.render import report
from tests.bot.conftest import Desk, said


async def finished(desk: Desk) -> None:
    headline = await desk.headline("is broken")
    why, remedy = await desk.replies(headline, 2)
    await desk.settled()
    assert len(desk.bot_messages()) == 3
    assert why["text"].startswith("Why: ")
    assert remedy["text"].startswith("What to do: ")


@pytest.mark.parametrize("method", ["chat.postMessage", "chat.update"])
async def test_a_rate_limit_is_waited_out(desk: Desk, method: str) -> None:
    desk.checker.gate.clear()
    if method == "chat.postMessage":
        desk.workspace.faults.answer(method, retry_after_s=1)
    await desk.tls("check api.example.com")
    if method == "chat.update":
        await desk.headline("Checking")
        desk.workspace.faults.answer(method, retry_after_s=1)
    desk.checker.gate.set()
    await finished(desk)
    first, second = desk.workspace.calls_of(method)[:2]
    assert first.error == "ratelimited"
    assert second.at - first.at >= 1.0


@pytest.mark.parametrize("error", ["internal_error", "fatal_error", "service_unavailable"])
async def test_a_passing_error_is_tried_again(desk: Desk, error: str) -> None:
    desk.workspace.faults.answer("chat.postMessage", error=error)
    await desk.tls("check api.example.com")
    await finished(desk)


async def test_a_server_error_is_tried_again(desk: Desk) -> None:
    desk.workspace.faults.answer("chat.postMessage", status=503)
    await desk.tls("check api.example.com")
    await finished(desk)


async def test_a_post_whose_answer_was_lost_is_found_and_not_made_again(desk: Desk) -> None:
    desk.workspace.faults.answer("chat.postMessage", status=500, takes_effect=True)
    await desk.tls("check api.example.com")
    await desk.workspace.wait_for(lambda: desk.workspace.calls_of("conversations.history"))
    await finished(desk)


async def test_a_reply_whose_answer_was_lost_is_found_in_its_thread(desk: Desk) -> None:
    desk.checker.gate.clear()
    await desk.tls("check api.example.com")
    await desk.headline("Checking")
    await desk.settled()
    desk.workspace.faults.answer("chat.postMessage", status=500, takes_effect=True)
    desk.checker.gate.set()
    await desk.workspace.wait_for(lambda: desk.workspace.calls_of("conversations.replies"))
    await finished(desk)


async def test_what_to_do_never_stands_before_the_why(desk: Desk) -> None:
    desk.checker.gate.clear()
    await desk.tls("check api.example.com")
    await desk.headline("Checking")
    await desk.settled()
    desk.workspace.faults.answer("chat.postMessage", error="internal_error", times=2)
    desk.checker.gate.set()
    await finished(desk)
    texts = [call.args["text"][:4] for call in desk.workspace.calls_of("chat.postMessage")]
    assert texts == ["Chec", "Why:", "Why:", "Why:", "What"]


async def test_what_to_do_is_said_even_where_the_why_never_can_be(desk: Desk) -> None:
    desk.checker.gate.clear()
    await desk.tls("check api.example.com")
    headline = await desk.headline("Checking")
    await desk.settled()
    desk.workspace.faults.answer("chat.postMessage", error="restricted_action")
    desk.checker.gate.set()
    [remedy] = await desk.replies(headline, 1)
    assert remedy["text"].startswith("What to do: ")


async def test_one_message_that_cannot_be_sent_does_not_stop_the_others(
    desk: Desk, caplog: pytest.LogCaptureFixture
) -> None:
    ws = desk.workspace
    path = desk.database.with_name("beside.db")
    history = await History.open(path)
    client = AsyncWebClient(token=desk.running.bot_token, base_url=desk.running.api_url)
    outbox = Outbox(history=history, clients=OneClient(client, ws.bot))
    for key in ("poison", "good"):
        content = Content(text=key)
        await history.note([Note(key=key, kind="message", team=ws.team.id, channel=ws.incidents, content=content)])
    with closing(sqlite3.connect(path)) as beside, beside:  # blocks that are none
        beside.execute("update outbox set content = replace(content, '[]', '[1]') where key = 'poison'")
    sending = asyncio.create_task(outbox.run())
    await ws.wait_for(lambda: [m["text"] for m in desk.bot_messages()] == ["good"])
    sending.cancel()
    await asyncio.gather(sending, return_exceptions=True)
    await history.close()
    assert "not sent key=poison" in caplog.text


async def test_a_headline_that_somebody_deleted_is_posted_anew(desk: Desk) -> None:
    desk.checker.gate.clear()
    await desk.tls("check api.example.com")
    headline = await desk.headline("Checking")
    desk.workspace.delete(desk.workspace.team.channel(desk.workspace.incidents), headline["ts"])
    desk.checker.gate.set()
    anew = await desk.headline("is broken")
    assert anew["ts"] != headline["ts"]


async def test_a_team_that_refuses_tables_gets_text_from_then_on(desk: Desk) -> None:
    desk.checker.gate.clear()
    await desk.tls("check api.example.com")
    await desk.headline("Checking")
    desk.workspace.faults.answer("chat.postMessage", error="invalid_blocks")
    desk.checker.gate.set()
    await finished(desk)
    why = desk.bot_messages()[1]
    assert not any(block["type"] == "table" for block in why["blocks"])
    assert "192.0.2.7" in said(why)
    await desk.tls("check other.example.com")
    other = await desk.headline("other.example.com is broken")
    why, _ = await desk.replies(other, 2)
    assert not any(block["type"] == "table" for block in why["blocks"])


async def test_blocks_that_are_refused_in_every_form_are_said_in_text_and_all_of_it_in_a_file(desk: Desk) -> None:
    desk.checker.gate.clear()
    await desk.tls("check api.example.com")
    headline = await desk.headline("Checking")
    desk.workspace.faults.answer("chat.postMessage", error="msg_blocks_too_long", times=2)
    desk.checker.gate.set()
    why, *_, file = await desk.replies(headline, 3)
    assert why["text"].startswith("Why: ")
    assert why["blocks"] == []
    whole = (desk.workspace.files.file(file["files"][0]["id"]).content or b"").decode()
    assert "192.0.2.7" in whole


async def test_an_archived_channel_is_said_to_whoever_asked(desk: Desk) -> None:
    desk.workspace.faults.answer("chat.postMessage", error="is_archived")
    await desk.tls("check api.example.com")
    await desk.whisper("This channel is archived")


async def test_a_mention_has_no_response_url_and_is_answered_all_the_same(desk: Desk) -> None:
    ws = desk.workspace
    await ws.mention(ws.me, ws.incidents, "nonsense nonsense")
    await desk.whisper("not a command")
    assert ws.calls_of("chat.postEphemeral")


async def test_edits_of_one_message_are_coalesced(desk: Desk) -> None:
    await desk.tls("check api.example.com")
    headline = await desk.headline("is broken")
    await desk.replies(headline, 2)
    await desk.settled()
    before = len(desk.workspace.calls_of("chat.update"))
    desk.workspace.faults.answer("chat.update", delay_s=0.3)
    for _ in range(3):
        await desk.workspace.click(headline, report.AGAIN)
        await desk.worked_off()
    await desk.settled()
    # Six edits were noted (checking, verdict; three times over): one under way, then the newest.
    assert len(desk.workspace.calls_of("chat.update")) - before <= 4
    assert "is broken" in headline["text"]


class TestAtSlacksPace:
    @pytest.fixture
    def limits(self) -> Limits:
        return SLACK

    async def test_a_burst_of_checks_never_hits_the_rate_limit(self, desk: Desk) -> None:
        for number in range(4):
            await desk.tls(f"check host{number}.example.com")
        await desk.headline("is broken", 4)
        async with asyncio.timeout(30):
            await desk.settled()
        assert len(desk.bot_messages()) == 12
        refused = [call for call in desk.workspace.calls if call.error == "ratelimited"]
        assert refused == []
