"""`explain` in Slack: by command, by mention in a thread, in a direct message; and the button under it."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot import commands
from bot.model import ExplainText, Misread
from bot.render import explain as render
from bot.render import limits
from probes.explain import explain
from tests.bot.conftest import Desk, said

TEXT = 'Get "https://api.example.com:8443/v1": x509: certificate has expired or is not yet valid'


@pytest.mark.parametrize(
    ("typed", "text"),
    [
        ("explain certificate has expired", "certificate has expired"),
        ("explain “certificate has expired”", '"certificate has expired"'),
        ("explain\n```\nx509: a\nb\n```", "```\nx509: a\nb\n```"),
        ("explain Get <https://api.example.com/v1>: EOF", "Get https://api.example.com/v1: EOF"),
        ("Explain a &lt;b&gt; &amp; c", "a <b> & c"),
    ],
)
def test_the_text_is_taken_as_it_was_pasted(typed: str, text: str) -> None:
    assert commands.parse(typed) == ExplainText(text=text)


@pytest.mark.parametrize("typed", ["explain", "explain  ", "explain ```\n```", "explain ''"])
def test_explain_without_a_text_says_what_it_wants(typed: str) -> None:
    command = commands.parse(typed)
    assert isinstance(command, Misread)
    assert "/tls explain x509" in command.answer


def test_a_pasted_log_may_be_longer_than_any_other_command() -> None:
    command = commands.parse("explain " + "x" * 5000)
    assert isinstance(command, ExplainText)
    assert isinstance(commands.parse("check " + "x" * 5000), Misread)


async def test_a_command_is_answered_privately_with_a_button_that_checks_the_host(desk: Desk) -> None:
    await desk.tls(f"explain {TEXT}")
    whisper = await desk.whisper("validity.expired")
    shown = said(whisper.message)
    assert "tls check api.example.com:8443" in shown
    assert "It could also be" in shown
    assert "raised by the client" in shown
    assert desk.bot_messages() == []
    await desk.workspace.act(
        desk.workspace.me, action_id=render.CHECK, channel=whisper.channel, ephemeral_id=whisper.id
    )
    headline = await desk.headline("is broken")
    assert "api.example.com:8443" in headline["text"]
    assert [str(check.target) for check in desk.checker.asked] == ["api.example.com:8443"]


async def test_a_mention_in_a_thread_is_explained_in_that_thread_and_checked_there(desk: Desk) -> None:
    ws = desk.workspace
    root = await ws.say(ws.me, ws.incidents, "checkout is failing")
    await ws.mention(ws.me, ws.incidents, f"explain ```{TEXT}```", root["ts"])
    [answer] = await desk.replies(root, 1)
    assert "`validity.expired`" in said(answer)
    await ws.click(answer, render.CHECK)
    replies = await desk.replies(root, 4)
    assert "api.example.com:8443" in replies[1]["text"]


async def test_a_check_from_there_that_fails_by_our_fault_says_so_in_its_headline(desk: Desk) -> None:
    desk.checker.answer = RuntimeError("a fault of our own")
    await desk.tls(f"explain {TEXT}")
    whisper = await desk.whisper("validity.expired")
    await desk.workspace.act(
        desk.workspace.me, action_id=render.CHECK, channel=whisper.channel, ephemeral_id=whisper.id
    )
    headline = await desk.headline("could not be checked")
    assert "Checking" not in headline["text"]


async def test_a_direct_message_is_explained(desk: Desk) -> None:
    ws = desk.workspace
    await ws.say(ws.me, ws.dm, "explain curl: (60) SSL certificate problem: unable to get local issuer certificate")
    await ws.wait_for(lambda: any("chain.incomplete" in message["text"] for message in desk.bot_messages(ws.dm)))


async def test_a_text_that_is_not_known_is_answered_calmly(desk: Desk) -> None:
    await desk.tls("explain java.lang.NullPointerException at Foo.java:42")
    whisper = await desk.whisper("I know no TLS error in this text")
    assert not any(block["type"] == "actions" for block in whisper.message["blocks"])


async def test_help_teaches_it(desk: Desk) -> None:
    await desk.tls("help explain")
    await desk.whisper("/tls explain remote error: tls: bad certificate")


def test_what_a_text_carries_pings_and_formats_nothing() -> None:
    content = render.explained(explain("<!channel> <@U123> *x* https://a.example.com/ : certificate has expired"))
    assert "<!" not in json.dumps(content.blocks) + content.text
    assert "<@" not in json.dumps(content.blocks) + content.text


@given(
    st.text(max_size=300),
    st.sampled_from(["certificate has expired", "tls alert number 40", "wrong version number ssl"]),
)
@settings(max_examples=60, deadline=None)
def test_an_answer_keeps_slack_s_limits_whatever_the_text(words: str, known: str) -> None:
    content = render.explained(explain(f"{words} {known} {words}"))
    assert len(content.text) <= limits.FALLBACK_TEXT
    assert len(content.blocks) <= limits.BLOCKS
    assert limits.weight(content.blocks) <= limits.WHOLE
