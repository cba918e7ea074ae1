"""The form of a channel's digest: opened by a command or a button; submitted it is the command that it spells."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from typing import Any

from slack_bolt.async_app import AsyncAck
from slack_sdk.web.async_client import AsyncWebClient

from bot.digest_times import command_of
from bot.digesting import Digesting
from bot.listeners import modals
from bot.listeners.actions import taken_on
from bot.listeners.gate import Gate
from bot.model import Content, Intake
from bot.render import digest as render
from probes.model import UsageError


def opened(digests: Digesting) -> modals.Open:
    """Opens the form for those who may plan digests."""

    async def open_form(client: AsyncWebClient, intake: Intake, trigger: str) -> Content | None:
        refusal = await digests.refusal(intake.team, intake.user)
        if refusal is not None:
            return refusal
        planned = await digests.plan_of(intake.team, intake.channel)
        view = render.form(json.dumps(modals.place_of(intake)), planned.plan if planned is not None else None)
        return None if await modals.shown(client, trigger, view) else render.offer()

    return open_form


def submitted(gate: Gate) -> Callable[..., Awaitable[None]]:
    """Take in what the form spells, or say under the field what is wrong with it."""

    async def view(ack: AsyncAck, body: dict[str, Any]) -> None:
        intake = _intake(body)
        refusal = gate.refusal(intake.channel, intake.user)
        if refusal is not None:
            await ack(response_action="errors", errors={render.ZONE: refusal.text[: modals.LONGEST_ERROR]})
            return
        try:
            command_of(intake.text.split()[1:])
        except UsageError as error:
            await ack(response_action="errors", errors={render.ZONE: str(error)[: modals.LONGEST_ERROR]})
            return
        await taken_on(gate, ack, intake)

    return view


def _intake(body: dict[str, Any]) -> Intake:
    """The submission as the command `digest at …`."""
    chosen = modals.field_of(body, render.DAYS_OF_WEEK).get("selected_options") or []
    days = ",".join(str(each.get("value")) for each in chosen)
    zone = "".join(str(modals.field_of(body, render.ZONE).get("value") or "?").split()) or "?"
    text = f"digest at {modals.field_of(body, render.AT).get('selected_time') or '?'} {zone} {days}".strip()
    return modals.submission(body, text=text, place=modals.metadata_of(body), kind="command")
