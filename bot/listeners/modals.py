"""What every form needs: opened in time, remembering where it was asked for, and read when it comes back."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any, Literal, TypeAlias

import aiohttp
from slack_bolt.async_app import AsyncAck
from slack_sdk.errors import SlackApiError, SlackClientError
from slack_sdk.web.async_client import AsyncWebClient

from bot.listeners.actions import intake_of
from bot.listeners.gate import Gate
from bot.model import Content, Intake, Json

LOG = logging.getLogger("bot.listeners")
LONGEST_ERROR = 280  # texts under a field are short
_PATIENCE_S = 1.5  # Slack drops the trigger, and the command, after three seconds
Open: TypeAlias = Callable[[AsyncWebClient, Intake, str], Awaitable[Content | None]]
"""Opens a form for whoever sent the request, by its trigger; None, or why it did not open."""


async def shown(client: AsyncWebClient, trigger: str, view: Json) -> bool:
    """Open *view*; False when Slack did not."""
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


def pressed(gate: Gate, opened: Open) -> Callable[..., Awaitable[None]]:
    """The button that opens a form."""

    async def action(ack: AsyncAck, body: dict[str, Any], client: AsyncWebClient) -> None:
        intake = intake_of(body)
        refusal = gate.refusal(intake.channel, intake.user)
        if refusal is None:
            refusal = await opened(client, intake, str(body.get("trigger_id") or ""))
        if refusal is not None:
            await gate.turn_away(intake, refusal)
        else:
            await gate.take_in(intake, finished=True)
        await ack()

    return action


# ── where it was asked for, and back ────────────────────────────────────────────


def place_of(intake: Intake) -> dict[str, str]:
    """Where the answer to a form belongs, to be kept in its metadata."""
    place = {"channel": intake.channel, "thread_ts": intake.thread_ts, "response_url": intake.response_url}
    return {name: value for name, value in place.items() if value}


def metadata_of(body: dict[str, Any]) -> dict[str, Any]:
    """What a submitted form's metadata holds; nothing when it cannot be read."""
    try:
        found: dict[str, Any] = json.loads((body.get("view") or {}).get("private_metadata") or "{}")
    except ValueError:
        return {}
    return found


def field_of(body: dict[str, Any], name: str) -> dict[str, Any]:
    """The state of one field; its block and its element bear the same name."""
    values: dict[str, Any] = ((body.get("view") or {}).get("state") or {}).get("values") or {}
    found: dict[str, Any] = (values.get(name) or {}).get(name) or {}
    return found


def submission(
    body: dict[str, Any],
    *,
    text: str,
    place: dict[str, Any],
    kind: Literal["command", "action"] = "action",
    action: str | None = None,
) -> Intake:
    """A submitted form as a request, answered at *place*."""
    view: dict[str, Any] = body.get("view") or {}
    return Intake(
        key=f"view:{view.get('id')}:{view.get('hash')}",
        kind=kind,
        team=str((body.get("team") or {}).get("id") or view.get("team_id") or ""),
        channel=str(place.get("channel") or ""),
        user=str(body["user"]["id"]),
        text=text,
        action=action,
        received_at=datetime.now(UTC),
        thread_ts=place.get("thread_ts"),
        response_url=place.get("response_url"),
    )
