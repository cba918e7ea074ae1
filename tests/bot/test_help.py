"""Help teaches every word of the grammar and of the catalogue, and what was meant can be run by a click."""

from __future__ import annotations

import pytest

from bot import commands
from bot.local.blocks import block_problems, validate_view
from bot.model import Check, Help, Misread
from bot.render import help
from bot.render.lessons import CODES, COMMANDS, MODES
from probes.catalogue import CATALOGUE
from tests.bot.conftest import Desk, said

SCREEN = 34  # lines of a phone, at some 45 characters each


def lines_on_a_phone(text: str) -> int:
    return sum(1 + len(line) // 45 for line in text.splitlines())


def test_every_code_of_the_catalogue_has_a_lesson_and_no_other() -> None:
    assert set(CODES) == set(CATALOGUE)
    assert len(MODES) == 9
    assert {mode.family for mode in MODES} == {code.partition(".")[0] for code in CATALOGUE}


def test_every_command_has_a_lesson_whose_examples_are_understood() -> None:
    assert set(commands.AVAILABLE) <= set(COMMANDS)
    for name in commands.AVAILABLE:
        for example, _ in COMMANDS[name].examples:
            assert not isinstance(commands.parse(example), Misread), example


@pytest.mark.parametrize("word", ["", *COMMANDS, *CODES, *(f"mode {n}" for n in range(9)), "zebra", "x" * 253])
def test_no_page_is_longer_than_a_screen_or_than_slack_takes(word: str) -> None:
    content = help.help_about(word)
    assert block_problems(list(content.blocks), "message") == []
    shown = [text for block in content.blocks for text in [said({"blocks": [block]})]]
    assert lines_on_a_phone("\n".join(shown)) <= SCREEN


@pytest.mark.parametrize(
    ("word", "part"),
    [
        ("chain.incomplete", "*First:* Put the full chain"),
        ("CHAIN.Incomplete", "*First:* Put the full chain"),
        ("mode 3", "Failure mode 3: negotiation"),
        ("3", "Failure mode 3: negotiation"),
        ("mtls", "Failure mode 5"),
        ("ocsp", "Failure mode 6"),
        ("--sni", "Makes the handshakes itself"),
        ("chian.incomplet", "Did you mean `/tls help chain.incomplete`"),
        ("incomplete", "Did you mean `/tls help chain.incomplete`"),
        ("hystory", "Did you mean `/tls help history`"),
        ("zebra", "I have no help about `zebra`"),
    ],
)
def test_what_help_says_about_a_word(word: str, part: str) -> None:
    assert part in said({"blocks": list(help.help_about(word).blocks)})


def test_the_help_over_a_home_is_a_view_that_slack_takes() -> None:
    assert validate_view(help.modal()) == []


@pytest.mark.parametrize(
    ("typed", "instead"),
    [
        ("chekc api.example.com:8443", "check api.example.com:8443"),
        ("api.example.com", "check api.example.com"),
        ("check a.example.com --starttl smtp", "check a.example.com --starttls smtp"),
        ("histroy", "history"),
    ],
)
def test_a_harmless_command_that_was_probably_meant_has_a_button(typed: str, instead: str) -> None:
    asked = commands.parse(typed)
    assert isinstance(asked, Misread)
    [button] = next(block for block in help.misread(asked).blocks if block["type"] == "actions")["elements"]
    assert (button["text"]["text"], button["value"]) == ("Run this", instead)


@pytest.mark.parametrize("typed", ["noet we failed over", "identiy remove payments", "zebra", "check a --nonsense 3"])
def test_what_changes_something_or_is_not_near_has_none(typed: str) -> None:
    asked = commands.parse(typed)
    assert isinstance(asked, Misread)
    assert [block["type"] for block in help.misread(asked).blocks] == ["section"]


def test_a_root_cause_typed_alone_is_explained_not_checked() -> None:
    assert commands.parse("chain.incomplete") == Help(word="chain.incomplete")


async def test_run_this_runs_it_once(desk: Desk) -> None:
    ws = desk.workspace
    await desk.tls("chekc api.example.com:8443")
    whisper = await desk.whisper("Did you mean")
    for _ in range(2):
        await ws.act(ws.me, action_id="help.run", ephemeral_id=whisper.id)
        await desk.headline("api.example.com:8443 is broken")
    assert {str(each.target) for each in desk.checker.asked} == {"api.example.com:8443"}


async def test_run_this_does_nothing_that_changes_anything(desk: Desk) -> None:
    """A button of another version, or a payload that somebody made up."""
    ws = desk.workspace
    await desk.tls("chekc api.example.com")
    whisper = await desk.whisper("Did you mean")
    whisper.message["blocks"][-1]["elements"][0]["value"] = "note we failed over"
    await ws.act(ws.me, action_id="help.run", ephemeral_id=whisper.id)
    await desk.whisper("does nothing any more")
    assert desk.checker.asked == []


async def test_help_from_the_welcome_is_private(desk: Desk) -> None:
    ws = desk.workspace
    fresh = ws.team.add_channel("payments", {ws.me}).id
    await ws.join(ws.bot, fresh)
    await ws.wait_for(lambda: desk.bot_messages(fresh))
    await ws.click(desk.bot_messages(fresh)[0], "help.run")
    await desk.whisper("more about a command")
    assert isinstance(commands.parse("check x.example.com"), Check)
