"""The manifest check finds what it is for."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from bot.manifest import MANIFEST
from tests import manifest_check
from tests.manifest_check import Used


def test_the_manifest_is_right() -> None:
    assert manifest_check.problems() == []


def broken(change: str, value: Any) -> list[str]:
    manifest = copy.deepcopy(MANIFEST)
    *path, last = change.split("/")
    place: Any = manifest
    for step in path:
        place = place[int(step)] if step.isdecimal() else place[step]
    place[int(last) if last.isdecimal() else last] = value
    used = Used.in_code()
    found = (
        manifest_check._limits(manifest),
        manifest_check._listeners(manifest, used),
        manifest_check._scopes(manifest, used),
    )
    return [problem for each in found for problem in each]


@pytest.mark.parametrize(
    ("change", "value", "part"),
    [
        ("display_information/name", "x" * 36, "name must have"),
        ("display_information/long_description", "short", "long_description"),
        ("display_information/background_color", "blue", "background_color"),
        ("features/slash_commands/0/command", "/lts", "command /tls is listened to"),
        ("features/slash_commands/0/usage_hint", "x" * 1001, "usage_hint"),
        ("settings/event_subscriptions/bot_events", ["app_mention"], "event message is listened to"),
        ("settings/event_subscriptions/bot_events", ["app_mention", "message.im", "app_mentioned"], "app_mentioned"),
        ("settings/event_subscriptions/bot_events", ["app_mention", "message.im", "file_shared"], "nothing listens"),
        ("settings/interactivity/is_enabled", False, "interactivity"),
        ("settings/socket_mode_enabled", False, "socket_mode_enabled"),
        ("oauth_config/scopes/bot/0", "users:read", "users:read is asked for, but nothing needs it"),
        ("oauth_config/scopes/bot/3", "chat:read", "chat:read is not known"),
        ("oauth_config/scopes/bot/3", "commands", "chat.postMessage is used"),
    ],
)
def test_a_manifest_that_does_not_fit_the_code_is_found_out(change: str, value: Any, part: str) -> None:
    assert any(part in problem for problem in broken(change, value))
