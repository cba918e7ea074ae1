"""`/tls …`: parse, store, acknowledge, hand over. Nothing fallible follows the acknowledgement."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any

from slack_bolt.async_app import AsyncAck
from slack_sdk.web.async_client import AsyncWebClient

from bot import commands
from bot.digest_times import DigestCommand
from bot.listeners import digest, modals, views, watch
from bot.listeners.gate import Desks, Gate
from bot.model import Command, Content, Help, IdentityCommand, Intake, Misread, NotYet
from bot.render import help
from bot.watched import WatchCommand


def tls(gate: Gate, desks: Desks) -> Callable[..., Awaitable[None]]:
    async def command(ack: AsyncAck, body: dict[str, Any], client: AsyncWebClient) -> None:
        intake = Intake(
            key=f"command:{body['trigger_id']}",
            kind="command",
            team=str(body.get("team_id") or ""),
            channel=str(body["channel_id"]),
            user=str(body["user_id"]),
            text=commands.without_secrets(str(body.get("text") or "")[: commands.LONGEST * 20]),
            received_at=datetime.now(UTC),
            response_url=body.get("response_url"),
        )
        asked = commands.parse(intake.text)
        refusal = gate.refusal(intake.channel, intake.user)
        answer = refusal
        open_form = _form_of(asked, desks)
        if answer is None and open_form is not None:
            answer = await open_form(client, intake, str(body["trigger_id"]))
        elif answer is None and isinstance(asked, Help | NotYet | Misread):
            answer = help.at_once(asked)
        verdict = "refused" if refusal else type(asked).__name__.lower()
        stored = await gate.take_in(intake, verdict=verdict, finished=answer is not None or open_form is not None)
        if stored is None or (open_form is not None and answer is None):
            await ack()
        elif answer is not None:
            await ack(**_ephemeral(answer))
        else:
            await ack()
            gate.hand_over(stored)

    return command


def _form_of(asked: Command, desks: Desks) -> modals.Open | None:
    """The form that a command without its particulars opens."""
    match asked:
        case WatchCommand(act="add", target=None):
            return watch.opened(desks.watches)
        case DigestCommand(act="at", plan=None):
            return digest.opened(desks.digests)
        case IdentityCommand(act="add"):
            return views.opened(desks.identities)
    return None


def _ephemeral(content: Content) -> dict[str, Any]:
    return {"response_type": "ephemeral", "text": content.text, "blocks": list(content.blocks)}
