"""The doors of the App Home and of the welcome: it was opened, the bot came into a channel.

Both are events: they are taken in before bolt acknowledges them, and begun after it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any

from slack_bolt import BoltResponse
from slack_bolt.async_app import AsyncBoltContext

from bot.home import JOINED, OPENED
from bot.listeners.events import INTAKE, Next
from bot.listeners.gate import Gate
from bot.model import Intake

Middleware = Callable[..., Awaitable[BoltResponse | None]]


def looked_at(gate: Gate) -> Middleware:
    """The Home tab was opened; the tab of messages is no concern of ours."""

    async def middleware(body: dict[str, Any], context: AsyncBoltContext, next: Next) -> BoltResponse | None:
        event: dict[str, Any] = body.get("event") or {}
        if event.get("user") and event.get("tab", "home") == "home":
            context[INTAKE] = await gate.take_in(_event(body, OPENED, channel=""))
        return await next()

    return middleware


def joined(gate: Gate) -> Middleware:
    """Somebody came into a channel; it concerns us when it is the bot, and the bot may speak there."""

    async def middleware(body: dict[str, Any], context: AsyncBoltContext, next: Next) -> BoltResponse | None:
        event: dict[str, Any] = body.get("event") or {}
        channel = str(event.get("channel") or "")
        is_us = bool(event.get("user")) and event.get("user") == context.bot_user_id
        if is_us and channel and gate.answers_in(channel):
            context[INTAKE] = await gate.take_in(_event(body, JOINED, channel=channel))
        return await next()

    return middleware


def _event(body: dict[str, Any], action: str, *, channel: str) -> Intake:
    event: dict[str, Any] = body.get("event") or {}
    return Intake(
        key=f"event:{body['event_id']}",
        kind="event",
        team=str(body.get("team_id") or event.get("team") or ""),
        channel=channel,
        user=str(event["user"]),
        text="",
        action=action,
        received_at=datetime.now(UTC),
    )
