"""The manifest check finds what it is for."""

from __future__ import annotations

import copy
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from bot import app
from bot.doctor import WITHOUT
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
        ("oauth_config/scopes/bot/0", "pins:write", "pins:write is asked for, but nothing needs it"),
        ("oauth_config/scopes/bot/3", "chat:read", "chat:read is not known"),
        ("oauth_config/scopes/bot/3", "commands", "chat.postMessage is used"),
        ("oauth_config/scopes/bot", ["commands"], "users.info is used, but none of users:read"),
        ("functions", {}, "function tls_check is listened to, but not in the manifest"),
        ("functions", {}, "function_executed must be subscribed exactly when there are functions"),
        ("functions/tls_check/title", "", "function title"),
        ("functions/tls_check/input_parameters/required", ["port"], "requires port"),
        ("settings/function_runtime", "slack", "function_runtime: remote"),
        ("settings/org_deploy_enabled", False, "org_deploy_enabled: true"),
        ("features/shortcuts", [], "shortcut triage_here is listened to"),
        ("features/shortcuts/0/name", "x" * 25, "shortcut name"),
        ("features/shortcuts/0/callback_id", "other", "shortcut other is in the manifest, but nothing listens"),
        ("settings/event_subscriptions/bot_events", ["app_mention", "channel_created"], "channel_created"),
    ],
)
def test_a_manifest_that_does_not_fit_the_code_is_found_out(change: str, value: Any, part: str) -> None:
    assert any(part in problem for problem in broken(change, value))


def test_each_scope_of_the_manifest_has_a_method_or_an_event_that_needs_it() -> None:
    scopes = set(MANIFEST["oauth_config"]["scopes"]["bot"])
    assert scopes <= manifest_check.SCOPES.keys()
    assert all(manifest_check.SCOPES[scope] for scope in scopes)


def test_the_doctor_knows_what_stops_without_each_scope() -> None:
    assert set(MANIFEST["oauth_config"]["scopes"]["bot"]) == set(WITHOUT)


def test_every_listener_that_is_registered_is_one_that_the_source_shows() -> None:
    """The check reads the source: none may be registered in a way that it does not see."""
    shown = Used.in_code().listeners
    source = Path(app.__file__).read_text(encoding="utf-8")
    registered = len(
        re.findall(r"^    app\.(?:command|event|action|shortcut|view|function|options)\(", source, re.MULTILINE)
    )
    assert registered == sum(len(names) for names in shown.values())


def test_both_ways_to_write_the_manifest_say_the_same() -> None:
    written = yaml.safe_load((manifest_check.ROOT / "manifest.yml").read_text(encoding="utf-8"))
    assert written == MANIFEST
