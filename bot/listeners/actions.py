"""Pressed buttons: store, acknowledge, hand over. Nothing fallible follows the acknowledgement."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any

from slack_bolt.async_app import AsyncAck

from bot.listeners.gate import Gate
from bot.model import Intake


def pressed(gate: Gate) -> Callable[..., Awaitable[None]]:
    async def action(ack: AsyncAck, body: dict[str, Any]) -> None:
        await let_in(gate, ack, intake_of(body))

    return action


async def let_in(gate: Gate, ack: AsyncAck, intake: Intake) -> None:
    """Take *intake* on, or turn it away and say why."""
    refusal = gate.refusal(intake.channel, intake.user)
    if refusal is not None:
        await gate.turn_away(intake, refusal)
        await ack()
        return
    await taken_on(gate, ack, intake)


async def taken_on(gate: Gate, ack: AsyncAck, intake: Intake) -> None:
    """Store *intake*, acknowledge, and hand it over unless it was delivered before."""
    stored = await gate.take_in(intake)
    await ack()
    if stored is not None:
        gate.hand_over(stored)


def intake_of(body: dict[str, Any]) -> Intake:
    """The request in a block_actions payload.

    `container.thread_ts` is undocumented and may be missing: the message says where it stands, when it is sent along.
    """
    container: dict[str, Any] = body.get("container") or {}
    message: dict[str, Any] = body.get("message") or {}
    action: dict[str, Any] = body["actions"][0]
    user = str(body["user"]["id"])
    message_ts = str(container.get("message_ts") or message.get("ts") or "")
    thread_ts = container.get("thread_ts") or message.get("thread_ts")
    # A headline in the channel is the root of its own thread, and its thread_ts then names itself.
    return Intake(
        key=f"action:{message_ts}:{action.get('action_ts')}:{user}:{action.get('action_id')}",
        kind="action",
        team=str((body.get("team") or {}).get("id") or ""),
        channel=str((body.get("channel") or {}).get("id") or container.get("channel_id") or ""),
        user=user,
        text=str(action.get("value") or (action.get("selected_option") or {}).get("value") or ""),
        action=str(action.get("action_id") or ""),
        received_at=datetime.now(UTC),
        message_ts=message_ts or None,
        thread_ts=str(thread_ts) if thread_ts and thread_ts != message_ts else None,
        response_url=body.get("response_url"),
        ephemeral_button=bool(container.get("is_ephemeral")),
    )
