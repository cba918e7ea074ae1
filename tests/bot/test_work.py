"""The tables of what the bot does: every command is answered, and every name that a listener lets in has one act."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, get_args

import pytest

from bot.assembly import each_once
from bot.model import Check, Command, Help, Intake
from bot.work import Work, on


async def nothing(intake: Intake, *_: Any) -> None:
    """Does it."""


def test_a_name_that_two_parts_act_on_is_found_at_the_start() -> None:
    with pytest.raises(AssertionError, match="two parts"):
        each_once({"a": nothing, "b": nothing}, {"b": nothing})
    assert set(each_once({"a": nothing}, {"b": nothing})) == {"a", "b"}


@pytest.mark.parametrize("known", [on(Check, nothing), on(Check, nothing) | on(Help, nothing)])
def test_a_command_that_nobody_answers_is_found_at_the_start(
    known: dict[type[object], Callable[..., Any]],
) -> None:
    assert len(get_args(Command)) > len(known)
    with pytest.raises(AssertionError, match="nobody answers"):
        Work(history=None, answers=None, supervisor=None, asked=known, acts={}, faults={})  # type: ignore[arg-type]
