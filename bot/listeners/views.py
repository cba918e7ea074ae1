"""The form of a client identity: opened by a command or a button, stored when it is submitted.

What stands in the form is stored sealed or not at all: neither the request that is remembered nor a log line nor an
answer holds any of it but the name and what is public in the certificate.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import aiohttp
from slack_bolt.async_app import AsyncAck
from slack_sdk.errors import SlackApiError, SlackClientError
from slack_sdk.web.async_client import AsyncWebClient

from bot.identities import FieldError
from bot.listeners.actions import intake_of
from bot.listeners.gate import Gate
from bot.model import Content, Intake
from bot.render import identities as render
from bot.render import words

LOG = logging.getLogger("bot.listeners")
_PATIENCE_S = 1.5  # Slack drops the trigger, and the command, after three seconds
# The form's fields by what is wrong; texts under a field are short.
_LONGEST_ERROR = 280


async def opened(client: AsyncWebClient, gate: Gate, intake: Intake, trigger: str) -> Content | None:
    """Open the form for whoever sent *intake*; None, or why it did not open."""
    refusal = await gate.work.identities.refusal(intake.team, intake.user, to_add=True)
    if refusal is not None:
        return words.answer(refusal)
    metadata = {"channel": intake.channel, "thread_ts": intake.thread_ts, "response_url": intake.response_url}
    view = render.form(json.dumps({name: value for name, value in metadata.items() if value}))
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
    """Store what the form holds, or say under the field what is wrong with it."""

    async def view(ack: AsyncAck, body: dict[str, Any]) -> None:
        intake = _intake(body)
        refusal = await gate.work.identities.refusal(intake.team, intake.user, to_add=True)
        if refusal is not None:
            await ack(response_action="errors", errors={render.NAME: refusal[:_LONGEST_ERROR]})
            return
        given = _given(body)
        try:
            identity = await gate.work.identities.add(
                team=intake.team,
                user=intake.user,
                name=given[render.NAME],
                patterns=given[render.PATTERNS],
                certificate=f"{given[render.CERTIFICATE]}\n{given[render.FURTHER]}",
                key=f"{given[render.KEY]}\n{given[render.KEY_REST]}".strip(),
            )
        except FieldError as error:
            await ack(response_action="errors", errors={error.field: error.why[:_LONGEST_ERROR]})
            return
        known = replace(intake, text=f"identity add {identity.name}")
        await gate.conclude(known, render.added(identity, intake.received_at), verdict="identity")
        LOG.info("identity added name=%s team=%s user=%s", identity.name, identity.team, identity.added_by)
        await ack()

    return view


def _given(body: dict[str, Any]) -> dict[str, str]:
    values: dict[str, Any] = ((body.get("view") or {}).get("state") or {}).get("values") or {}
    fields = (render.NAME, render.PATTERNS, render.CERTIFICATE, render.FURTHER, render.KEY, render.KEY_REST)
    return {name: str((values.get(name) or {}).get(name, {}).get("value") or "") for name in fields}


def _intake(body: dict[str, Any]) -> Intake:
    """The submission as a request, without anything that was filled in."""
    view: dict[str, Any] = body.get("view") or {}
    try:
        metadata: dict[str, Any] = json.loads(view.get("private_metadata") or "{}")
    except ValueError:
        metadata = {}
    return Intake(
        key=f"view:{view.get('id')}:{view.get('hash')}",
        kind="action",
        team=str((body.get("team") or {}).get("id") or view.get("team_id") or ""),
        channel=str(metadata.get("channel") or ""),
        user=str(body["user"]["id"]),
        text="identity add",
        action=render.FORM,
        received_at=datetime.now(UTC),
        thread_ts=metadata.get("thread_ts"),
        response_url=metadata.get("response_url"),
    )
