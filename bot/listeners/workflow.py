"""The step of Workflow Builder: taken in before bolt acknowledges, handed over after it."""

from __future__ import annotations

import json
import re
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any, Final

from slack_bolt import BoltResponse
from slack_bolt.async_app import AsyncBoltContext

from bot import commands
from bot.listeners.events import INTAKE, Next
from bot.listeners.gate import Gate
from bot.model import Intake
from bot.steps import STEP, Steps

TLS_CHECK: Final = "tls_check"
_CHANNEL = re.compile(r"[CDG][A-Z0-9]{2,}")
_USER = re.compile(r"[UW][A-Z0-9]{2,}")


def taken_in(gate: Gate, steps: Steps) -> Callable[..., Awaitable[BoltResponse | None]]:
    async def middleware(body: dict[str, Any], context: AsyncBoltContext, next: Next) -> BoltResponse | None:
        intake = _asked(body)
        whose = f"workflows of {intake.team}"  # of a workflow no person is known
        refusal = gate.refusal(intake.channel or whose, intake.user or whose)
        if refusal is not None:
            await steps.decline(intake, refusal.text)
        else:
            context[INTAKE] = await gate.take_in(intake)
        return await next()

    return middleware


def _asked(body: dict[str, Any]) -> Intake:
    event: dict[str, Any] = body["event"]
    inputs: dict[str, Any] = event.get("inputs") or {}
    channel, user = str(inputs.get("channel") or ""), str(event.get("user") or "")
    given = {
        "execution": str(event["function_execution_id"]),
        "host": commands.without_secrets(str(inputs.get("host") or "")[: commands.LONGEST]),
        "app": str(body.get("api_app_id") or ""),
    }
    return Intake(
        key=f"function:{given['execution']}",
        kind="event",
        team=str(body.get("team_id") or ""),
        channel=channel if _CHANNEL.fullmatch(channel) else "",
        user=user if _USER.fullmatch(user) else "",
        text=json.dumps(given, ensure_ascii=False),
        action=STEP,
        received_at=datetime.now(UTC),
    )
