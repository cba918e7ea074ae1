"""Triage in the local workspace: by command, by button, by shortcut; answered, overruled, raced for and resumed."""

from __future__ import annotations

from tests.bot.conftest import Desk, Json, said


async def questions(desk: Desk, containing: str = "Triage") -> Json:
    """The bot's message that asks, once it does."""

    def found() -> Json | None:
        return next((m for m in desk.bot_messages() if m["text"].startswith("Triage") and containing in said(m)), None)

    message = await desk.workspace.wait_for(found)
    assert message is not None
    return message


def action_of(message: Json, label: str) -> str:
    """The action id of the button that reads *label*."""
    for block in message["blocks"]:
        for element in block.get("elements", ()):
            if element.get("type") == "button" and element["text"]["text"] == label:
                return str(element["action_id"])
    raise AssertionError(f"no button {label!r} in {said(message)}")


async def press(desk: Desk, message: Json, label: str, then: str) -> None:
    """Press the button that reads *label*, and wait until the message says *then*."""
    delivery = await desk.workspace.click(message, action_of(message, label))
    assert delivery.is_acked
    await desk.workspace.wait_for(lambda: then in said(message))


CONFIRMED = (
    ("One host", "question 2 of 4"),
    ("Nothing was changed", "question 3 of 4"),
    ("All clients", "question 4 of 4"),
    ("After the ServerHello", "likely cause"),
)


async def test_a_command_checks_and_asks_in_the_thread(desk: Desk) -> None:
    await desk.tls("triage api.example.com")
    message = await questions(desk, "One host or many?")
    headline = await desk.headline("is broken")
    assert message["thread_ts"] == headline["ts"]
    assert "probed 1 address: it fails" in said(message)
    for label, then in CONFIRMED:
        await press(desk, message, label, then)
    shown = said(message)
    assert "`validity.expired` (over 95 %)" in shown
    assert shown.count("(as the probes said)") == 4
    assert "openssl s_client -connect 192.0.2.7:443" in shown
    assert "*Proves it:*" in shown
    assert "*Refutes it:*" in shown
    await desk.settled()
    assert len(desk.bot_messages()) == 4  # headline, why, what to do, triage
