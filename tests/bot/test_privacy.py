"""What was asked in private is told in no other place."""

from __future__ import annotations

import pytest
from slack_sdk.web.async_client import AsyncWebClient

from bot.clients import OneClient
from bot.render import report
from bot.rooms import Rooms
from tests.bot import reports
from tests.bot.conftest import Desk, said

SECRET = "merger.example.com"


async def checked(desk: Desk, channel: str, text: str = f"check {SECRET}") -> None:
    await desk.tls(text, channel=channel)
    await desk.workspace.wait_for(lambda: any("is broken" in m["text"] for m in desk.bot_messages(channel)))
    await desk.settled()


async def history_in(desk: Desk, channel: str, word: str = "") -> str:
    before = len(desk.answers())
    await desk.tls(f"history {word}", channel=channel)
    await desk.workspace.wait_for(lambda: len(desk.answers()) > before)
    return said(desk.answers()[-1].message)


def rooms(desk: Desk) -> list[str]:
    """A private channel, and the direct messages with the bot."""
    ws = desk.workspace
    return [ws.team.add_channel("board", {ws.me, ws.bot}, is_private=True).id, ws.dm]


async def test_history_tells_of_private_rooms_in_those_alone(desk: Desk) -> None:
    private, direct = rooms(desk)
    for room in (private, direct):
        await checked(desk, room)
    for elsewhere in (desk.workspace.incidents, desk.workspace.general):
        assert "I remember no check" in await history_in(desk, elsewhere)
        assert "I remember no check" in await history_in(desk, elsewhere, SECRET)
    for room in (private, direct):
        shown = await history_in(desk, room)
        assert shown.count(SECRET) == 2  # an incident and a check: its own, and not the other room's


async def test_what_a_public_channel_asked_is_told_everywhere(desk: Desk) -> None:
    await checked(desk, desk.workspace.general, "check shop.example.com")
    for room in (desk.workspace.incidents, *rooms(desk)):
        assert "shop.example.com" in await history_in(desk, room)


async def test_a_channel_that_became_private_is_no_longer_told_of(desk: Desk) -> None:
    ws = desk.workspace
    await checked(desk, ws.general)
    ws.team.channel(ws.general).is_private = True
    assert "I remember no check" in await history_in(desk, ws.incidents)


@pytest.mark.parametrize("error", ["missing_scope", "ratelimited", "fatal_error"])
async def test_where_slack_does_not_say_that_a_channel_is_public_it_is_not_told_of(desk: Desk, error: str) -> None:
    await checked(desk, desk.workspace.general)
    desk.workspace.faults.answer("conversations.info", times=9, error=error)
    assert "I remember no check" in await history_in(desk, desk.workspace.incidents)


async def test_what_changed_does_not_compare_with_a_private_check(desk: Desk) -> None:
    private, _ = rooms(desk)
    await checked(desk, private)
    desk.checker.answer = reports.healthy(SECRET)
    await desk.tls(f"check {SECRET}")
    headline = await desk.headline("is healthy")
    await desk.replies(headline, 1)
    await desk.settled()
    await desk.workspace.click(headline, report.CHANGED)
    await desk.whisper("nothing to compare with")


async def test_slack_is_asked_about_a_channel_once_in_a_while(desk: Desk) -> None:
    ws = desk.workspace
    now = 1000.0
    client = AsyncWebClient(token=desk.running.bot_token, base_url=desk.running.api_url)
    asked = Rooms(OneClient(client), clock=lambda: now)
    for _ in range(3):
        assert await asked.public(ws.team.id, [ws.general, ws.dm]) == [ws.general]
    assert len(ws.calls_of("conversations.info")) == 1
    now += 601
    ws.team.channel(ws.general).is_private = True
    assert await asked.public(ws.team.id, [ws.general, ws.dm]) == []
