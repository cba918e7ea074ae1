"""The form of check options: opened by a global shortcut and by buttons; submitted it is the command that it spells.

Also the buttons that run what was probably meant. Either way what follows is the path of `/tls …`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from slack_bolt.async_app import AsyncAck
from slack_sdk.web.async_client import AsyncWebClient

from bot import commands
from bot.identities import Identities, check_covered
from bot.listeners import modals
from bot.listeners.actions import intake_of, taken_on
from bot.listeners.gate import Gate
from bot.model import Check, Content, Intake
from bot.render import forms as render
from bot.render import help, words
from probes.model import UsageError

_NOT_OPENED = "The form did not open. Press again, or type `/tls check HOST[:PORT]`."


def used(gate: Gate, identities: Identities) -> Callable[..., Awaitable[None]]:
    """The global shortcut: it knows no channel, so the form asks for one."""

    async def shortcut(ack: AsyncAck, body: dict[str, Any], client: AsyncWebClient) -> None:
        user = str(body["user"]["id"])
        intake = Intake(
            key=f"shortcut:{body.get('action_ts')}:{user}:{render.CHECK_SHORTCUT}",
            kind="action",
            team=str((body.get("team") or {}).get("id") or ""),
            channel="",
            user=user,
            text="new",
            action=render.CHECK_SHORTCUT,
            received_at=datetime.now(UTC),
        )
        await _open(gate, identities, client, intake, str(body.get("trigger_id") or ""))
        await ack()

    return shortcut


def pressed(gate: Gate, identities: Identities) -> Callable[..., Awaitable[None]]:
    """A button that opens the form; its value may be a command to fill in."""

    async def action(ack: AsyncAck, body: dict[str, Any], client: AsyncWebClient) -> None:
        await _open(gate, identities, client, intake_of(body), str(body.get("trigger_id") or ""))
        await ack()

    return action


async def _open(gate: Gate, identities: Identities, client: AsyncWebClient, intake: Intake, trigger: str) -> None:
    """Open the form and remember that; or say why it did not open."""
    why = gate.refusal(intake.channel, intake.user) if intake.channel else None
    if why is None:
        why = await _opened(identities, client, intake, trigger)
    if why is not None:
        await gate.turn_away(intake, why)
    else:
        await gate.take_in(intake, finished=True)


async def _opened(identities: Identities, client: AsyncWebClient, intake: Intake, trigger: str) -> Content | None:
    asked = commands.parse(intake.text)
    listed = await identities.listed(intake.team)
    view = render.form(
        [identity.name for identity in listed],
        given=asked if isinstance(asked, Check) else None,
        channel=intake.channel,
    )
    return None if await modals.shown(client, trigger, view) else words.answer(_NOT_OPENED)


def asked_for_help(gate: Gate) -> Callable[..., Awaitable[None]]:
    """*Help* on the Home: there is no channel to answer in, so it opens over it."""

    async def action(ack: AsyncAck, body: dict[str, Any], client: AsyncWebClient) -> None:
        intake = intake_of(body)
        if await modals.shown(client, str(body.get("trigger_id") or ""), help.modal()):
            await gate.take_in(intake, finished=True)
        else:
            await gate.turn_away(intake, help.help_about(""))
        await ack()

    return action


def submitted(gate: Gate, identities: Identities) -> Callable[..., Awaitable[None]]:
    """The filled form: what is wrong is said at its field, else it is stored as the command that it spells."""

    async def view(ack: AsyncAck, body: dict[str, Any]) -> None:
        try:
            filled = render.filled(body)
            intake = _submitted(body, filled)
            await _check_identity(identities, intake, filled.check)
            refusal = gate.refusal(intake.channel, intake.user)
            if refusal is not None:
                raise render.FieldErrors({render.CHANNEL: refusal.text})
        except render.FieldErrors as wrong:
            await ack(response_action="errors", errors=wrong.errors)
            return
        await taken_on(gate, ack, intake)

    return view


def _submitted(body: dict[str, Any], filled: render.Filled) -> Intake:
    place = {"channel": filled.channel, "response_url": filled.response_url}
    return modals.submission(body, text=commands.written(filled.check), place=place, kind="command")


async def _check_identity(identities: Identities, intake: Intake, check: Check) -> None:
    """Raises FieldErrors where the identity may not be shown to that host."""
    if check.identity is None:
        return
    listed = await identities.listed(intake.team)
    identity = next((each for each in listed if each.name == check.identity), None)
    if identity is None:
        raise render.FieldErrors({render.IDENTITY: "This identity was removed meanwhile. Choose another one."})
    try:
        check_covered(identity, check)
    except UsageError as error:
        raise render.FieldErrors({render.IDENTITY: str(error)}) from None


def run(gate: Gate) -> Callable[..., Awaitable[None]]:
    """*Run this*: the command that the button holds, if it changes nothing."""

    async def action(ack: AsyncAck, body: dict[str, Any]) -> None:
        pressed = intake_of(body)
        # As the command would be: a button of a view stands in no channel, and is answered in a direct message.
        intake = replace(pressed, kind="command", action=None, channel=pressed.channel or pressed.user)
        refusal = gate.refusal(intake.channel, intake.user) if pressed.channel else None
        if refusal is None and not commands.is_harmless(commands.parse(intake.text)):
            refusal = words.unknown_button()
        if refusal is not None:
            await gate.turn_away(pressed, refusal)
            await ack()
            return
        await taken_on(gate, ack, intake)

    return action
