"""Mentions and direct messages: the same grammar, answered where it was asked."""

from __future__ import annotations

from tests.bot.conftest import Desk, said


async def test_a_mention_in_a_thread_is_answered_in_that_thread(desk: Desk) -> None:
    ws = desk.workspace
    root = await ws.say(ws.me, ws.incidents, "checkout is failing")
    await ws.mention(ws.me, ws.incidents, "check api.example.com:8443", root["ts"])
    headline, why, remedy = await desk.replies(root, 3)
    await ws.wait_for(lambda: "is broken" in headline["text"])
    assert "notAfter" in said(why)
    assert "Renew the certificate" in said(remedy)
    assert all(message["thread_ts"] == root["ts"] for message in desk.bot_messages())


async def test_a_mention_in_the_channel_is_answered_there(desk: Desk) -> None:
    ws = desk.workspace
    await ws.mention(ws.me, ws.incidents, "check api.example.com")
    headline = await desk.headline("is broken")
    await desk.replies(headline, 1)


async def test_a_mention_that_is_not_understood_is_answered_privately(desk: Desk) -> None:
    ws = desk.workspace
    await ws.mention(ws.me, ws.incidents, "please look at checkout")
    await desk.whisper("which is not a command")
    assert desk.bot_messages() == []


async def test_history_asked_aloud_in_a_thread_becomes_part_of_it(desk: Desk) -> None:
    ws = desk.workspace
    root = await ws.say(ws.me, ws.incidents, "checkout is failing")
    await ws.mention(ws.me, ws.incidents, "history", root["ts"])
    [answer] = await desk.replies(root, 1)
    assert "I remember no check" in said(answer)


async def test_a_direct_message_needs_no_mention(desk: Desk) -> None:
    ws = desk.workspace
    await ws.say(ws.me, ws.dm, "check api.example.com")
    await ws.wait_for(lambda: any("is broken" in message["text"] for message in desk.bot_messages(ws.dm)))


async def test_the_bot_does_not_answer_itself(desk: Desk) -> None:
    ws = desk.workspace
    await ws.say(ws.me, ws.dm, "help")
    await desk.whisper("Why does this TLS handshake fail?")
    await desk.settled()
    assert len(desk.answers()) == 1


async def test_a_direct_message_with_a_file_or_shown_in_the_channel_too_is_answered(desk: Desk) -> None:
    ws = desk.workspace
    for number, subtype in enumerate(("file_share", "thread_broadcast", "message_changed")):
        event = {"type": "message", "subtype": subtype, "channel": ws.dm, "channel_type": "im", "user": ws.me}
        body = {"type": "event_callback", "event_id": f"Ev{number}", "team_id": ws.team.id}
        ws.courier.event(body | {"event": event | {"text": f"check host{number}.example.com", "ts": f"1.{number}"}})
    await ws.wait_for(lambda: sum("is broken" in message["text"] for message in desk.bot_messages(ws.dm)) == 2)
    await desk.settled()
    assert [str(check.target.host) for check in desk.checker.asked] == ["host0.example.com", "host1.example.com"]
