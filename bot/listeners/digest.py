"""The form of a channel's digest: opened by a command or a button; submitted it is the command that it spells."""

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

from bot.digest_times import command_of
from bot.digesting import Digesting
from bot.listeners.actions import intake_of
from bot.listeners.gate import Gate
from bot.model import Content, Intake
from bot.render import digest as render
from probes.model import UsageError

LOG = logging.getLogger("bot.listeners")
_PATIENCE_S = 1.5  # Slack drops the trigger, and the command, after three seconds
_LONGEST_ERROR = 280


async def opened(client: AsyncWebClient, gate: Gate, intake: Intake, trigger: str) -> Content | None:
    """Open the form for whoever sent *intake*; None, or why it did not open."""
    digests = _digests(gate)
    refusal = await digests.refusal(intake.team, intake.user)
    if refusal is not None:
        return refusal
    place = {"channel": intake.channel, "thread_ts": intake.thread_ts, "response_url": intake.response_url}
    planned = await digests.plan_of(intake.team, intake.channel)
    metadata = json.dumps({name: value for name, value in place.items() if value})
    view = render.form(metadata, planned.plan if planned is not None else None)
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
    """Take in what the form spells, or say under the field what is wrong with it."""

    async def view(ack: AsyncAck, body: dict[str, Any]) -> None:
        intake = _intake(body)
        refusal = gate.refusal(intake.channel, intake.user)
        if refusal is not None:
            await ack(response_action="errors", errors={render.ZONE: refusal.text[:_LONGEST_ERROR]})
            return
        try:
            command_of(intake.text.split()[1:])
        except UsageError as error:
            await ack(response_action="errors", errors={render.ZONE: str(error)[:_LONGEST_ERROR]})
            return
        stored = await gate.take_in(intake)
        await ack()
        if stored is not None:
            gate.work.hand_over(stored)

    return view


def _digests(gate: Gate) -> Digesting:
    return gate.work.digests


def _intake(body: dict[str, Any]) -> Intake:
    """The submission as the command `digest at …`."""
    view: dict[str, Any] = body.get("view") or {}
    try:
        place: dict[str, Any] = json.loads(view.get("private_metadata") or "{}")
    except ValueError:
        place = {}
    values: dict[str, Any] = (view.get("state") or {}).get("values") or {}

    def field(name: str) -> dict[str, Any]:
        found: dict[str, Any] = (values.get(name) or {}).get(name) or {}
        return found

    chosen = field(render.DAYS_OF_WEEK).get("selected_options") or []
    days = ",".join(str(each.get("value")) for each in chosen)
    zone = "".join(str(field(render.ZONE).get("value") or "?").split()) or "?"
    return Intake(
        key=f"view:{view.get('id')}:{view.get('hash')}",
        kind="command",
        team=str((body.get("team") or {}).get("id") or view.get("team_id") or ""),
        channel=str(place.get("channel") or ""),
        user=str(body["user"]["id"]),
        text=f"digest at {field(render.AT).get('selected_time') or '?'} {zone} {days}".strip(),
        received_at=datetime.now(UTC),
        thread_ts=place.get("thread_ts"),
        response_url=place.get("response_url"),
    )
