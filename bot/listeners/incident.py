"""The doors of the timeline: the shortcut *Add to timeline*, the reaction 📌, and what happens to noted messages.

Reactions, edits and deletions of a whole workspace come by here. Only what concerns an incident is taken in; to
everything else nobody is answered, for nobody asked us.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any

from slack_bolt import BoltResponse
from slack_bolt.async_app import AsyncAck, AsyncBoltContext

from bot import commands
from bot.listeners.actions import let_in
from bot.listeners.events import INTAKE, Next
from bot.listeners.gate import Gate
from bot.messages import message_of
from bot.model import Intake
from bot.render import incident as render
from bot.response import DELETED, EDITED, PIN, PUSHPIN, UNPIN


def shortcut(gate: Gate) -> Callable[..., Awaitable[None]]:
    async def used(ack: AsyncAck, body: dict[str, Any]) -> None:
        await let_in(gate, ack, _used(body))

    return used


def _used(body: dict[str, Any]) -> Intake:
    shown: dict[str, Any] = body.get("message") or {}
    message = message_of({"ts": body.get("message_ts"), **shown})
    user = str(body["user"]["id"])
    given = {
        "ts": message.ts,
        "thread_ts": message.thread_ts,
        "user": message.user,
        "text": _kept(message.text),
        "edited_ts": message.edited_ts,
    }
    return Intake(
        key=f"shortcut:{message.ts}:{body.get('action_ts')}:{user}:{render.ADD_TO_TIMELINE}",
        kind="action",
        team=str((body.get("team") or {}).get("id") or ""),
        channel=str((body.get("channel") or {}).get("id") or ""),
        user=user,
        text=json.dumps(given, ensure_ascii=False),
        action=render.ADD_TO_TIMELINE,
        received_at=datetime.now(UTC),
        message_ts=message.ts or None,
        thread_ts=message.thread_ts,
        response_url=body.get("response_url"),
    )


def marked(gate: Gate) -> Callable[..., Awaitable[BoltResponse | None]]:
    """📌 added or taken back."""

    async def middleware(body: dict[str, Any], context: AsyncBoltContext, next: Next) -> BoltResponse | None:
        event: dict[str, Any] = body.get("event") or {}
        item: dict[str, Any] = event.get("item") or {}
        channel, ts = str(item.get("channel") or ""), str(item.get("ts") or "")
        if event.get("reaction") == PUSHPIN and item.get("type") == "message" and ts and event.get("user"):
            is_added = event.get("type") == "reaction_added"
            intake = _event(body, PIN if is_added else UNPIN, channel, str(event["user"]), ts)
            if await gate.has_incidents(intake.team, channel) and gate.refusal(channel, intake.user) is None:
                context[INTAKE] = await gate.take_in(intake)
        return await next()

    return middleware


def changed(gate: Gate) -> Callable[..., Awaitable[BoltResponse | None]]:
    """A message was edited or deleted: of concern where a note was taken from it."""

    async def middleware(body: dict[str, Any], context: AsyncBoltContext, next: Next) -> BoltResponse | None:
        intake = _changed(body, context.bot_user_id or "")
        if intake is not None and await gate.is_noted(intake.team, intake.channel, intake.message_ts or ""):
            context[INTAKE] = await gate.take_in(intake)
        return await next()

    return middleware


def _changed(body: dict[str, Any], bot_user: str) -> Intake | None:
    event: dict[str, Any] = body.get("event") or {}
    channel = str(event.get("channel") or "")
    was: dict[str, Any] = event.get("previous_message") or {}
    now: dict[str, Any] = event.get("message") or {}
    match event.get("subtype"):
        case "message_deleted":
            ts = str(event.get("deleted_ts") or was.get("ts") or "")
            return _event(body, DELETED, channel, str(was.get("user") or ""), ts) if ts else None
        case "message_changed" if now.get("subtype") == "tombstone":  # the root of a thread that goes on without it
            return _event(body, DELETED, channel, str(was.get("user") or ""), str(now.get("ts") or ""))
        case "message_changed" if now.get("ts") and now.get("text") != was.get("text"):
            text = commands.without_mention(str(now.get("text") or ""), bot_user)
            version = (now.get("edited") or {}).get("ts")
            return _event(body, EDITED, channel, str(now.get("user") or ""), str(now["ts"]), text=text, version=version)
    return None


def _event(
    body: dict[str, Any], action: str, channel: str, user: str, ts: str, *, text: str = "", version: str | None = None
) -> Intake:
    event: dict[str, Any] = body.get("event") or {}
    given = {"version": version or event.get("event_ts") or event.get("ts")} | ({"text": _kept(text)} if text else {})
    return Intake(
        key=f"event:{body['event_id']}",
        kind="event",
        team=str(body.get("team_id") or event.get("team") or ""),
        channel=channel,
        user=user,
        text=json.dumps(given, ensure_ascii=False),
        action=action,
        received_at=datetime.now(UTC),
        message_ts=ts,
    )


def _kept(text: str) -> str:
    return commands.without_secrets(commands.plain(text))[: commands.LONGEST_NOTE]
