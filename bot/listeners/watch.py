"""The form of a watch: opened by a command or a button; checked field by field, then stored as any other request."""

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

from bot.listeners.actions import intake_of
from bot.listeners.gate import Gate
from bot.model import Content, Intake
from bot.render import watch as render
from bot.render import words
from bot.watch_desk import FieldError, given

LOG = logging.getLogger("bot.listeners")
_PATIENCE_S = 1.5  # Slack drops the trigger, and the command, after three seconds
_LONGEST_ERROR = 280


async def opened(client: AsyncWebClient, gate: Gate, intake: Intake, trigger: str) -> Content | None:
    """Open the form for whoever sent *intake*; None, or why it did not open."""
    refusal = await gate.work.watch_desk.refusal(intake.team, intake.user)
    if refusal is not None:
        return words.answer(refusal)
    place = {"channel": intake.channel, "thread_ts": intake.thread_ts, "response_url": intake.response_url}
    view = render.form(json.dumps({name: value for name, value in place.items() if value}))
    try:
        async with asyncio.timeout(_PATIENCE_S):
            await client.views_open(trigger_id=trigger, view=view)
    except SlackApiError as error:
        LOG.warning("form not opened error=%s", error.response.get("error"))
        return render.offer()
    except (SlackClientError, aiohttp.ClientError, TimeoutError, OSError) as error:
        LOG.warning("form not opened error=%s", type(error).__name__)
        return render.offer()
    return None


def pressed(gate: Gate) -> Callable[..., Awaitable[None]]:
    """The button that opens the form."""

    async def action(ack: AsyncAck, body: dict[str, Any], client: AsyncWebClient) -> None:
        intake = intake_of(body)
        refusal = gate.refusal(intake.channel, intake.user)
        if refusal is None:
            refusal = await opened(client, gate, intake, str(body.get("trigger_id") or ""))
        if refusal is not None:
            await gate.turn_away(intake, refusal)
        else:
            await gate.take_in(intake, finished=True)
        await ack()

    return action


def submitted(gate: Gate) -> Callable[..., Awaitable[None]]:
    """Take in what the form holds, or say under the field what is wrong with it."""

    async def view(ack: AsyncAck, body: dict[str, Any]) -> None:
        values = _typed(body)
        intake = _intake(body, values)
        refusal = gate.refusal(intake.channel, intake.user)
        if refusal is not None:
            await ack(response_action="errors", errors={render.HOST: refusal.text[:_LONGEST_ERROR]})
            return
        try:
            given(values)
        except FieldError as error:
            await ack(response_action="errors", errors={error.field: error.why[:_LONGEST_ERROR]})
            return
        stored = await gate.take_in(intake)
        await ack()
        if stored is not None:
            gate.work.hand_over(stored)

    return view


def _typed(body: dict[str, Any]) -> dict[str, str]:
    values: dict[str, Any] = ((body.get("view") or {}).get("state") or {}).get("values") or {}
    found = {name: (values.get(name) or {}).get(name) or {} for name in render.FIELDS}
    return {
        name: str(
            field.get("value") or field.get("selected_user") or (field.get("selected_option") or {}).get("value") or ""
        )
        for name, field in found.items()
    }


def _intake(body: dict[str, Any], values: dict[str, str]) -> Intake:
    view: dict[str, Any] = body.get("view") or {}
    try:
        place: dict[str, Any] = json.loads(view.get("private_metadata") or "{}")
    except ValueError:
        place = {}
    return Intake(
        key=f"view:{view.get('id')}:{view.get('hash')}",
        kind="action",
        team=str((body.get("team") or {}).get("id") or view.get("team_id") or ""),
        channel=str(place.get("channel") or ""),
        user=str(body["user"]["id"]),
        text=json.dumps({name: value for name, value in values.items() if value}, ensure_ascii=False),
        action=render.WATCH_FORM,
        received_at=datetime.now(UTC),
        thread_ts=place.get("thread_ts"),
        response_url=place.get("response_url"),
    )
