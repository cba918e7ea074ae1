"""The form of check options: opened from anywhere, wrong at the right field, and then the command that it spells."""

from __future__ import annotations

from typing import Any

import pytest

from bot import commands
from bot.local.blocks import validate_view
from bot.model import Check
from bot.render import forms, help
from tests.bot.conftest import Desk, Json, said


def filled(desk: Desk, **typed: str) -> Json:
    values: dict[str, Any] = {name: {name: {"value": text}} for name, text in typed.items() if name != "channel"}
    for name in values.keys() & {forms.STARTTLS, forms.IDENTITY}:
        values[name] = {name: {"selected_option": {"value": typed[name]}}}
    channel = typed.get("channel", desk.workspace.incidents)
    return values | {forms.CHANNEL: {forms.CHANNEL: {"selected_conversation": channel}}}


async def opened(desk: Desk) -> None:
    await desk.workspace.shortcut(desk.workspace.me, forms.CHECK_SHORTCUT)
    assert await desk.workspace.wait_for(desk.workspace.view)


async def errors_of(desk: Desk, **typed: str) -> dict[str, str]:
    await opened(desk)
    delivery = await desk.workspace.submit_view(values=filled(desk, **typed))
    assert delivery.response is not None and delivery.response["response_action"] == "errors"
    errors: dict[str, str] = delivery.response["errors"]
    return errors


def test_the_form_is_one_that_slack_takes_however_it_is_filled() -> None:
    given = commands.parse(
        "check 192.0.2.7:25 --sni mail.example.com --starttls smtp --origin 10.0.0.8:26 --identity b"
    )
    assert isinstance(given, Check)
    for identities in ([], ["a", "b"], [f"identity-{number}" for number in range(300)]):
        assert validate_view(forms.form(identities)) == []
        assert validate_view(forms.form(identities, given=given, channel="C0123456789")) == []


async def test_the_global_shortcut_ends_in_the_check_that_the_command_makes(desk: Desk) -> None:
    await opened(desk)
    typed = {"host": "api.example.com", "port": "8443", "ip": "192.0.2.7, 2001:db8::7", "sni": "www.example.com"}
    await desk.workspace.submit_view(values=filled(desk, **typed, starttls="smtp", origin="10.0.0.8:9443"))
    await desk.headline("api.example.com:8443 is broken")
    [asked] = desk.checker.asked
    written = "check api.example.com:8443 --ip 192.0.2.7 --ip 2001:db8::7 --sni www.example.com"
    assert commands.written(asked) == f"{written} --starttls smtp --origin 10.0.0.8:9443"


async def test_a_submission_delivered_twice_is_one_check(desk: Desk) -> None:
    ws = desk.workspace
    ws.faults.deliver_twice = True
    await opened(desk)
    await ws.submit_view(values=filled(desk, host="api.example.com"))
    await desk.headline("api.example.com is broken")
    await desk.settled()
    assert len(desk.checker.asked) == 1


@pytest.mark.parametrize(
    ("typed", "field", "part"),
    [
        ({"host": "exa mple..com"}, "host", "not a host name"),
        ({"host": "api.example.com", "port": "70000"}, "port", "1 to 65535"),
        ({"host": "api.example.com", "port": "https"}, "port", "1 to 65535"),
        ({"host": "api.example.com:8443", "port": "9443"}, "port", "The host says port 8443"),
        ({"host": "api.example.com", "ip": "192.0.2.7 elsewhere"}, "ip", "no address"),
        ({"host": "api.example.com", "sni": "a b"}, "sni", "not a host name"),
        ({"host": "api.example.com", "origin": "origin.example.com"}, "origin", "must be an address"),
    ],
)
async def test_what_is_wrong_stands_at_its_field(desk: Desk, typed: dict[str, str], field: str, part: str) -> None:
    errors = await errors_of(desk, **typed)
    assert list(errors) == [field]
    assert part in errors[field]
    assert "`" not in errors[field]
    assert desk.checker.asked == []


async def test_several_mistakes_are_told_at_once(desk: Desk) -> None:
    assert set(await errors_of(desk, host="a b", port="0", ip="x", sni="-")) == {"host", "port", "ip", "sni"}


async def test_a_channel_that_the_operator_does_not_allow_is_told_at_its_field(idle_desk: Desk) -> None:
    await idle_desk.start(allowed_channels=frozenset({idle_desk.workspace.incidents}))
    errors = await errors_of(idle_desk, host="api.example.com", channel=idle_desk.workspace.general)
    assert "do not answer" in errors[forms.CHANNEL]


async def test_where_the_bot_is_no_member_whoever_asked_is_told(desk: Desk) -> None:
    ws = desk.workspace
    elsewhere = ws.team.add_channel("elsewhere", {ws.me}).id
    await opened(desk)
    await ws.submit_view(values=filled(desk, host="api.example.com", channel=elsewhere))
    await desk.whisper("cannot write here before I am a member")


async def test_a_button_under_help_fills_in_the_channel(desk: Desk) -> None:
    ws = desk.workspace
    await desk.tls("help check")
    whisper = await desk.whisper("Makes the handshakes itself")
    await ws.act(ws.me, action_id=help.CHECK_FORM, ephemeral_id=whisper.id)
    view = ws.view()
    assert view is not None
    chosen = view["state"]["values"][forms.CHANNEL][forms.CHANNEL]
    assert chosen["selected_conversation"] == ws.incidents


async def test_a_form_that_does_not_open_says_so_in_a_direct_message(desk: Desk) -> None:
    ws = desk.workspace
    ws.faults.answer("views.open", error="internal_error")
    await ws.shortcut(ws.me, forms.CHECK_SHORTCUT)
    await ws.wait_for(lambda: any("did not open" in said(message) for message in desk.bot_messages(ws.dm)))
