"""`/tls …`: parse, store, acknowledge, hand over. Nothing fallible follows the acknowledgement."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any

from slack_bolt.async_app import AsyncAck
from slack_sdk.web.async_client import AsyncWebClient

from bot import commands
from bot.digest_times import DigestCommand
from bot.listeners import digest, views, watch
from bot.listeners.gate import Gate
from bot.model import Content, Help, IdentityCommand, Intake, Misread, NotYet
from bot.watched import WatchCommand
from bot.work import at_once


def tls(gate: Gate) -> Callable[..., Awaitable[None]]:
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
        opens_watch = isinstance(asked, WatchCommand) and asked.act == "add" and asked.target is None
        opens_digest = isinstance(asked, DigestCommand) and asked.act == "at" and asked.plan is None
        opens_form = opens_watch or opens_digest or (isinstance(asked, IdentityCommand) and asked.act == "add")
        if answer is None and opens_form:
            open_form = watch.opened if opens_watch else digest.opened if opens_digest else views.opened
            answer = await open_form(client, gate, intake, str(body["trigger_id"]))
        elif answer is None and isinstance(asked, Help | NotYet | Misread):
            answer = at_once(asked)
        verdict = "refused" if refusal else type(asked).__name__.lower()
        stored = await gate.take_in(intake, verdict=verdict, finished=answer is not None or opens_form)
        if stored is None or (opens_form and answer is None):
            await ack()
        elif answer is not None:
            await ack(**_ephemeral(answer))
        else:
            await ack()
            gate.work.hand_over(stored)

    return command


def _ephemeral(content: Content) -> dict[str, Any]:
    return {"response_type": "ephemeral", "text": content.text, "blocks": list(content.blocks)}
