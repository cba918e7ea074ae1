"""The form of a client identity: opened by a command or a button, stored when it is submitted.

What stands in the form is stored sealed or not at all: neither the request that is remembered nor a log line nor an
answer holds any of it but the name and what is public in the certificate.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

from slack_bolt.async_app import AsyncAck
from slack_sdk.web.async_client import AsyncWebClient

from bot.identities import FieldError, Identities
from bot.listeners import modals
from bot.listeners.gate import Gate
from bot.model import Content, Intake
from bot.render import identities as render
from bot.render import words

LOG = logging.getLogger("bot.listeners")


def opened(identities: Identities) -> modals.Open:
    """Opens the form for those who may add identities."""

    async def open_form(client: AsyncWebClient, intake: Intake, trigger: str) -> Content | None:
        refusal = await identities.refusal(intake.team, intake.user, to_add=True)
        if refusal is not None:
            return words.answer(refusal)
        view = render.form(json.dumps(modals.place_of(intake)))
        return None if await modals.shown(client, trigger, view) else render.offer()

    return open_form


def submitted(gate: Gate, identities: Identities) -> Callable[..., Awaitable[None]]:
    """Store what the form holds, or say under the field what is wrong with it."""

    async def view(ack: AsyncAck, body: dict[str, Any]) -> None:
        intake = _intake(body)
        refusal = await identities.refusal(intake.team, intake.user, to_add=True)
        if refusal is not None:
            await ack(response_action="errors", errors={render.NAME: refusal[: modals.LONGEST_ERROR]})
            return
        given = _given(body)
        try:
            identity = await identities.add(
                team=intake.team,
                user=intake.user,
                name=given[render.NAME],
                patterns=given[render.PATTERNS],
                certificate=f"{given[render.CERTIFICATE]}\n{given[render.FURTHER]}",
                key=f"{given[render.KEY]}\n{given[render.KEY_REST]}".strip(),
            )
        except FieldError as error:
            await ack(response_action="errors", errors={error.field: error.why[: modals.LONGEST_ERROR]})
            return
        known = replace(intake, text=f"identity add {identity.name}")
        await gate.conclude(known, render.added(identity, intake.received_at), verdict="identity")
        LOG.info("identity added name=%s team=%s user=%s", identity.name, identity.team, identity.added_by)
        await ack()

    return view


def _given(body: dict[str, Any]) -> dict[str, str]:
    fields = (render.NAME, render.PATTERNS, render.CERTIFICATE, render.FURTHER, render.KEY, render.KEY_REST)
    return {name: str(modals.field_of(body, name).get("value") or "") for name in fields}


def _intake(body: dict[str, Any]) -> Intake:
    """The submission as a request, without anything that was filled in."""
    return modals.submission(body, text="identity add", place=modals.metadata_of(body), action=render.FORM)
