"""What becomes of channels: archived, deleted, opened again, and the bot sent away. Done before Slack hears that it was
heard. Names are kept nowhere, so that a channel is renamed needs no listener.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Mapping
from types import MappingProxyType
from typing import Any

from slack_bolt import BoltResponse
from slack_bolt.async_app import AsyncBoltContext

from bot.listeners.events import Next
from bot.places import Places, Why

CLOSED: Mapping[str, Why] = MappingProxyType(
    {
        "channel_archive": "archived",
        "group_archive": "archived",
        "channel_deleted": "deleted",
        "group_deleted": "deleted",
        "channel_left": "left",
        "group_left": "left",
    }
)
OPENED = frozenset({"channel_unarchive", "group_unarchive"})


def told(places: Places) -> Callable[..., Awaitable[BoltResponse | None]]:
    async def middleware(body: dict[str, Any], context: AsyncBoltContext, next: Next) -> BoltResponse | None:
        event: dict[str, Any] = body.get("event") or {}
        kind, team, channel = str(event.get("type")), str(body.get("team_id") or ""), str(event.get("channel") or "")
        if channel and kind in CLOSED:
            await places.close(team, channel, CLOSED[kind], at=_at(body, event))
        elif channel and kind in OPENED:
            await places.open(team, channel, at=_at(body, event))
        return await next()

    return middleware


def moved(places: Places) -> Callable[..., Awaitable[BoltResponse | None]]:
    """A private channel is shared with another workspace: from then on it has another id.

    Source: docs.slack.dev/reference/events/channel_id_changed.
    """

    async def middleware(body: dict[str, Any], next: Next) -> BoltResponse | None:
        event: dict[str, Any] = body.get("event") or {}
        old, new = str(event.get("old_channel_id") or ""), str(event.get("new_channel_id") or "")
        if old and new and old != new:
            await places.move(str(body.get("team_id") or ""), old, new, at=_at(body, event))
        return await next()

    return middleware


def entered(places: Places) -> Callable[..., Awaitable[BoltResponse | None]]:
    """The bot itself was let into a channel: it may speak there (again)."""

    async def middleware(body: dict[str, Any], context: AsyncBoltContext, next: Next) -> BoltResponse | None:
        event: dict[str, Any] = body.get("event") or {}
        if event.get("user") == context.bot_user_id and event.get("channel"):
            await places.open(str(body.get("team_id") or ""), str(event["channel"]), at=_at(body, event))
        return await next()

    return middleware


def _at(body: dict[str, Any], event: dict[str, Any]) -> float:
    for told_at in (event.get("event_ts"), body.get("event_time")):
        try:
            return float(str(told_at))
        except ValueError:
            continue
    return time.time()
