"""The form of a watch: opened by a command or a button; checked field by field, then stored as any other request."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from typing import Any

from slack_bolt.async_app import AsyncAck
from slack_sdk.web.async_client import AsyncWebClient

from bot.listeners import modals
from bot.listeners.actions import taken_on
from bot.listeners.gate import Gate
from bot.model import Content, Intake
from bot.render import watch as render
from bot.render import words
from bot.watch_desk import WatchDesk
from bot.watch_form import FieldError, given


def opened(watches: WatchDesk) -> modals.Open:
    """Opens the form for those who may change watches."""

    async def open_form(client: AsyncWebClient, intake: Intake, trigger: str) -> Content | None:
        refusal = await watches.refusal(intake.team, intake.user)
        if refusal is not None:
            return words.answer(refusal)
        view = render.form(json.dumps(modals.place_of(intake)))
        return None if await modals.shown(client, trigger, view) else render.offer()

    return open_form


def submitted(gate: Gate) -> Callable[..., Awaitable[None]]:
    """Take in what the form holds, or say under the field what is wrong with it."""

    async def view(ack: AsyncAck, body: dict[str, Any]) -> None:
        values = _typed(body)
        intake = _intake(body, values)
        refusal = gate.refusal(intake.channel, intake.user)
        if refusal is not None:
            await ack(response_action="errors", errors={render.HOST: refusal.text[: modals.LONGEST_ERROR]})
            return
        try:
            given(values)
        except FieldError as error:
            await ack(response_action="errors", errors={error.field: error.why[: modals.LONGEST_ERROR]})
            return
        await taken_on(gate, ack, intake)

    return view


def _typed(body: dict[str, Any]) -> dict[str, str]:
    found = {name: modals.field_of(body, name) for name in render.FIELDS}
    return {
        name: str(
            field.get("value") or field.get("selected_user") or (field.get("selected_option") or {}).get("value") or ""
        )
        for name, field in found.items()
    }


def _intake(body: dict[str, Any], values: dict[str, str]) -> Intake:
    text = json.dumps({name: value for name, value in values.items() if value}, ensure_ascii=False)
    return modals.submission(body, text=text, place=modals.metadata_of(body), action=render.WATCH_FORM)
