"""Triage's own doors: the message shortcut, and the form that asks for a host. Its buttons are buttons as others."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any

import aiohttp
from slack_bolt.async_app import AsyncAck
from slack_sdk.errors import SlackApiError, SlackClientError
from slack_sdk.web.async_client import AsyncWebClient

from bot import alert_text, commands
from bot.listeners.actions import intake_of
from bot.listeners.gate import Gate
from bot.model import Check, Intake, Misread
from bot.render import triage as render
from bot.render import words
from bot.triage_work import told_here

LOG = logging.getLogger("bot.listeners")
_PATIENCE_S = 1.5  # Slack drops the trigger after three seconds
_LONGEST_ERROR = 280


def used(gate: Gate) -> Callable[..., Awaitable[None]]:
    """ "Diagnose TLS here" on a message. Of that message host and causes are kept, and none of its words."""

    async def shortcut(ack: AsyncAck, body: dict[str, Any]) -> None:
        message: dict[str, Any] = body.get("message") or {}
        shown, behind = alert_text.readings(message)
        found = await asyncio.to_thread(alert_text.heard, commands.without_secrets(shown), behind)
        intake = _used(body, message, told_here(found))
        refusal = gate.refusal(intake.channel, intake.user)
        if refusal is not None:
            await gate.turn_away(intake, refusal)
            await ack()
            return
        stored = await gate.take_in(intake)
        await ack()
        if stored is not None:
            gate.work.hand_over(stored)

    return shortcut


def _used(body: dict[str, Any], message: dict[str, Any], text: str) -> Intake:
    message_ts = str(body.get("message_ts") or message.get("ts") or "")
    user = str(body["user"]["id"])
    return Intake(
        key=f"shortcut:{message_ts}:{body.get('action_ts')}:{user}:{render.SHORTCUT}",
        kind="action",
        team=str((body.get("team") or {}).get("id") or ""),
        channel=str((body.get("channel") or {}).get("id") or ""),
        user=user,
        text=text,
        action=render.SHORTCUT,
        received_at=datetime.now(UTC),
        message_ts=message_ts or None,
        thread_ts=str(message.get("thread_ts") or message_ts) or None,
        response_url=body.get("response_url"),
    )


def asks_host(gate: Gate) -> Callable[..., Awaitable[None]]:
    """The button that opens the form."""

    async def action(ack: AsyncAck, body: dict[str, Any], client: AsyncWebClient) -> None:
        intake = intake_of(body)
        refusal = gate.refusal(intake.channel, intake.user)
        if refusal is None and not await _opened(client, intake, str(body.get("trigger_id") or "")):
            refusal = words.answer("The form did not open. Press the button again, or type `/tls triage HOST`.")
        if refusal is not None:
            await gate.turn_away(intake, refusal)
        else:
            await gate.take_in(intake, finished=True)
        await ack()

    return action


async def _opened(client: AsyncWebClient, intake: Intake, trigger: str) -> bool:
    place = {"channel": intake.channel, "thread_ts": intake.thread_ts, "response_url": intake.response_url}
    view = render.form(intake.text, {name: value for name, value in place.items() if value})
    try:
        async with asyncio.timeout(_PATIENCE_S):
            await client.views_open(trigger_id=trigger, view=view)
    except SlackApiError as error:
        LOG.warning("form not opened error=%s", error.response.get("error"))
        return False
    except (SlackClientError, aiohttp.ClientError, TimeoutError, OSError) as error:
        LOG.warning("form not opened error=%s", type(error).__name__)
        return False
    return True


def host_given(gate: Gate) -> Callable[..., Awaitable[None]]:
    """The submitted form: a host as `check` takes it, or what is wrong with it under the field."""

    async def view(ack: AsyncAck, body: dict[str, Any]) -> None:
        values: dict[str, Any] = ((body.get("view") or {}).get("state") or {}).get("values") or {}
        typed = str((values.get(render.FIELD) or {}).get(render.FIELD, {}).get("value") or "")
        asked = commands.parse(f"check {typed}")
        if not isinstance(asked, Check):
            why = asked.answer if isinstance(asked, Misread) else "Type a host, as in api.example.com:8443."
            await ack(response_action="errors", errors={render.FIELD: why[:_LONGEST_ERROR]})
            return
        intake = _submitted(body, asked)
        refusal = gate.refusal(intake.channel, intake.user)
        if refusal is not None:
            await ack(response_action="errors", errors={render.FIELD: refusal.text[:_LONGEST_ERROR]})
            return
        stored = await gate.take_in(intake)
        await ack()
        if stored is not None:
            gate.work.hand_over(stored)

    return view


def _submitted(body: dict[str, Any], asked: Check) -> Intake:
    view: dict[str, Any] = body.get("view") or {}
    metadata: dict[str, Any] = json.loads(view.get("private_metadata") or "{}")
    walk = render.read_value(str(metadata.get("walk") or ""))
    return Intake(
        key=f"view:{view.get('id')}:{view.get('hash')}",
        kind="action",
        team=str((body.get("team") or {}).get("id") or view.get("team_id") or ""),
        channel=str(metadata.get("channel") or ""),
        user=str(body["user"]["id"]),
        text=f"{walk[0] if walk else 0} {commands.written(asked)}",
        action=render.HOST_FORM,
        received_at=datetime.now(UTC),
        thread_ts=metadata.get("thread_ts"),
        response_url=metadata.get("response_url"),
    )
