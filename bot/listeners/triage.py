"""Triage's own doors: the message shortcut, and the form that asks for a host. Its buttons are buttons as others."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any

from slack_bolt.async_app import AsyncAck
from slack_sdk.web.async_client import AsyncWebClient

from bot import alert_text, commands
from bot.listeners import modals
from bot.listeners.actions import let_in, taken_on
from bot.listeners.gate import Gate
from bot.model import Check, Content, Intake, Misread
from bot.render import triage as render
from bot.render import words
from bot.triage_work import told_here


def used(gate: Gate) -> Callable[..., Awaitable[None]]:
    """ "Diagnose TLS here" on a message. Of that message host and causes are kept, and none of its words."""

    async def shortcut(ack: AsyncAck, body: dict[str, Any]) -> None:
        message: dict[str, Any] = body.get("message") or {}
        shown, behind = alert_text.readings(message)
        found = await asyncio.to_thread(alert_text.heard, commands.without_secrets(shown), behind)
        await let_in(gate, ack, _used(body, message, told_here(found)))

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


async def opened(client: AsyncWebClient, intake: Intake, trigger: str) -> Content | None:
    """Open the form that asks for a host; None, or why it did not open."""
    view = render.form(intake.text, modals.place_of(intake))
    if await modals.shown(client, trigger, view):
        return None
    return words.answer("The form did not open. Press the button again, or type `/tls triage HOST`.")


def host_given(gate: Gate) -> Callable[..., Awaitable[None]]:
    """The submitted form: a host as `check` takes it, or what is wrong with it under the field."""

    async def view(ack: AsyncAck, body: dict[str, Any]) -> None:
        typed = str(modals.field_of(body, render.FIELD).get("value") or "")
        asked = commands.parse(f"check {typed}")
        if not isinstance(asked, Check):
            why = asked.answer if isinstance(asked, Misread) else "Type a host, as in api.example.com:8443."
            await ack(response_action="errors", errors={render.FIELD: why[: modals.LONGEST_ERROR]})
            return
        intake = _submitted(body, asked)
        refusal = gate.refusal(intake.channel, intake.user)
        if refusal is not None:
            await ack(response_action="errors", errors={render.FIELD: refusal.text[: modals.LONGEST_ERROR]})
            return
        await taken_on(gate, ack, intake)

    return view


def _submitted(body: dict[str, Any], asked: Check) -> Intake:
    place = modals.metadata_of(body)
    walk = render.read_value(str(place.get("walk") or ""))
    text = f"{walk[0] if walk else 0} {commands.written(asked)}"
    return modals.submission(body, text=text, place=place, action=render.HOST_FORM)
