"""Mentions and direct messages: the same grammar as `/tls`.

Bolt acknowledges an event before its listener runs; the memory must come first, so a middleware takes it in. A failure
there leaves the event unacknowledged, and Slack delivers it again.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any

from slack_bolt import BoltResponse
from slack_bolt.async_app import AsyncBoltContext

from bot import commands
from bot.listeners.gate import Gate
from bot.model import Intake

INTAKE = "clienthello_intake"
_SPOKEN = (None, "file_share", "thread_broadcast")  # what a person says; the other subtypes are edits and notices
Next = Callable[[], Awaitable[BoltResponse | None]]


def taken_in(gate: Gate) -> Callable[..., Awaitable[BoltResponse | None]]:
    async def middleware(body: dict[str, Any], context: AsyncBoltContext, next: Next) -> BoltResponse | None:
        asked = _asked(body, context.bot_user_id or "")
        if asked is not None:
            refusal = gate.refusal(asked.channel, asked.user)
            if refusal is not None:
                await gate.turn_away(asked, refusal)
            else:
                context[INTAKE] = await gate.take_in(asked)
        return await next()

    return middleware


def begun(gate: Gate) -> Callable[..., Awaitable[None]]:
    async def event(context: AsyncBoltContext) -> None:
        intake: Intake | None = context.get(INTAKE)
        if intake is not None:
            gate.hand_over(intake)

    return event


def _asked(body: dict[str, Any], bot_user: str) -> Intake | None:
    """The request in an event, or None: an edit, a bot's message, or words that are not for us."""
    event: dict[str, Any] = body.get("event") or {}
    user, text = event.get("user"), event.get("text")
    if event.get("subtype") not in _SPOKEN or event.get("bot_id") or not user or text is None or user == bot_user:
        return None
    if event.get("type") == "message" and event.get("channel_type") != "im":
        return None
    return Intake(
        key=f"event:{body['event_id']}",
        kind="mention",
        team=str(body.get("team_id") or event.get("team") or ""),
        channel=str(event["channel"]),
        user=str(user),
        text=commands.without_secrets(commands.without_mention(str(text), bot_user)[: commands.LONGEST * 20]),
        received_at=datetime.now(UTC),
        message_ts=str(event["ts"]) if event.get("ts") else None,
        thread_ts=event.get("thread_ts"),
    )
