"""`make check`: the manifest is one that Slack accepts, and says neither less nor more than the code does.

Limits: slackapi/manifest-schema, schemas/manifest.schema.2.0.0.json. The schema knows neither scopes nor event names;
the lists here hold what this kind of app may use.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any

import yaml

from bot import app
from bot import manifest as packaged

ROOT = Path(__file__).parent.parent
Json = dict[str, Any]

_ROOMS = ("conversations.info", "conversations.list", "conversations.members", "member_joined_channel")
_BECOMES = ("archive", "unarchive", "deleted", "left", "rename")  # of channels
# Scope → the Web API methods and events that need it. A scope whose row is empty needs no method: see the remark.
SCOPES: Mapping[str, frozenset[str]] = MappingProxyType(
    {
        "app_mentions:read": frozenset({"app_mention"}),
        "channels:history": frozenset({"message.channels", "conversations.history", "conversations.replies"}),
        "groups:history": frozenset({"message.groups", "conversations.history", "conversations.replies"}),
        "im:history": frozenset({"message.im", "conversations.history", "conversations.replies"}),
        "chat:write": frozenset({"chat.postMessage", "chat.update", "chat.postEphemeral", "chat.delete"}),
        "chat:write.public": frozenset({"chat.postMessage in channels the bot has not joined"}),
        "commands": frozenset({"a slash command", "a shortcut"}),
        "files:read": frozenset({"files.info", "file_shared"}),
        "files:write": frozenset({"files.getUploadURLExternal", "files.completeUploadExternal"}),
        "channels:read": frozenset({*_ROOMS, *(f"channel_{act}" for act in _BECOMES)}),
        "groups:read": frozenset({*_ROOMS, "channel_id_changed", *(f"group_{act}" for act in _BECOMES)}),
        "im:write": frozenset({"conversations.open"}),
        "users:read": frozenset({"users.info"}),
        "usergroups:read": frozenset({"usergroups.users.list", "usergroups.list"}),
        "reactions:read": frozenset({"reaction_added", "reaction_removed"}),
        "reactions:write": frozenset({"reactions.add", "reactions.remove"}),
        "pins:write": frozenset({"pins.add", "pins.remove"}),
    }
)
# What needs a scope, and which of them: any row of SCOPES that names it, of the kinds of channel the bot serves.
EVENTS = frozenset(
    {
        "app_mention",
        "app_home_opened",
        "channel_id_changed",
        "message.channels",
        "message.groups",
        "message.im",
        "file_shared",
        "reaction_added",
        "reaction_removed",
        "member_joined_channel",
        *(f"channel_{act}" for act in _BECOMES),
        *(f"group_{act}" for act in _BECOMES),
        "tokens_revoked",
        "app_uninstalled",
        "function_executed",
    }
)
# The Web API methods that Slack lets every token call.
UNSCOPED = frozenset(
    {
        "auth.test",
        "apps.connections.open",
        "oauth.v2.access",
        "views.open",
        "views.publish",
        "app_home_opened",
        "functions.completeSuccess",
        "functions.completeError",
    }
)
# A wrapper of slack_sdk and what it calls.
WRAPPERS: Mapping[str, frozenset[str]] = MappingProxyType(
    {
        "files_upload_v2": frozenset({"files.getUploadURLExternal", "files.completeUploadExternal"}),
        "apps_connections_open": frozenset({"apps.connections.open"}),
        "usergroups_users_list": frozenset({"usergroups.users.list"}),
    }
)
# Of events that tell what becomes of the app itself Slack asks for no scope.
UNSCOPED_EVENTS = frozenset({"app_uninstalled", "tokens_revoked", "function_executed"})
_METHOD = re.compile(
    r"(?:chat|conversations|files|users|usergroups|reactions|pins|views|auth|apps|bookmarks|functions)_\w+"
)


def problems() -> list[str]:
    """Everything that is wrong; empty when nothing is."""
    manifest: Json = yaml.safe_load((ROOT / "manifest.yml").read_text(encoding="utf-8"))
    found = list(_limits(manifest))
    if manifest != packaged.MANIFEST:
        found.append("manifest.yml and bot/manifest.py differ")
    used = Used.in_code()
    return [*found, *_listeners(manifest, used), *_scopes(manifest, used)]


# ── what the code uses ──────────────────────────────────────────────────────────


class Used:
    """Listeners registered on the app, and Web API methods called, as the source says."""

    def __init__(self) -> None:
        self.listeners: dict[str, set[str]] = {
            kind: set() for kind in ("command", "event", "action", "shortcut", "view", "function", "options")
        }
        self.methods: set[str] = set()

    @classmethod
    @cache
    def in_code(cls) -> Used:
        used = cls()
        for path in sorted((ROOT / "bot").rglob("*.py")):
            if "local" not in path.relative_to(ROOT / "bot").parts:
                used._read(ast.parse(path.read_text(encoding="utf-8")))
        return used

    def _read(self, tree: ast.AST) -> None:
        for node in ast.walk(tree):
            if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
                continue
            name = node.func.attr
            if name in self.listeners and isinstance(node.func.value, ast.Name) and node.func.value.id == "app":
                self.listeners[name].add(_constant(node.args[0]))
            elif name in WRAPPERS:
                self.methods |= WRAPPERS[name]
            elif _METHOD.fullmatch(name):
                self.methods.add(name.replace("_", ".", 1))


def _constant(node: ast.expr) -> str:
    """What a listener is registered for, as `bot.app` knows it: a text, a name of its own, or a module's constant."""
    match node:
        case ast.Constant(value=str(text)):
            return text
        case ast.Name(id=name) if name in vars(app):
            found = vars(app)[name]
        case ast.Attribute(value=ast.Name(id=module), attr=name) if module in vars(app):
            found = getattr(vars(app)[module], name)
        case _:
            raise ValueError(f"a listener is registered for something this check cannot read: {ast.unparse(node)}")
    return str(found.pattern) if isinstance(found, re.Pattern) else str(found)


# ── the checks ──────────────────────────────────────────────────────────────────


def _limits(manifest: Json) -> Iterator[str]:
    shown, features, settings = (manifest.get(k) or {} for k in ("display_information", "features", "settings"))
    yield from _length("name", shown.get("name"), 1, 35)
    yield from _length("description", shown.get("description"), 1, 140)
    yield from _length("long_description", shown.get("long_description"), 175, 4000)
    if not re.fullmatch(r"#([0-9a-fA-F]{3}){1,2}", str(shown.get("background_color"))):
        yield "background_color must be #rgb or #rrggbb"
    yield from _length("bot display_name", (features.get("bot_user") or {}).get("display_name"), 1, 80)
    commands = features.get("slash_commands") or []
    if len(commands) > 50:
        yield "more than 50 slash commands"
    for command in commands:
        yield from _length("command", command.get("command"), 2, 32)
        yield from _length("command description", command.get("description"), 1, 2000)
        yield from _length("usage_hint", command.get("usage_hint"), 1, 1000)
        if not str(command.get("command")).startswith("/"):
            yield f"{command.get('command')}: a command begins with /"
    shortcuts = features.get("shortcuts") or []
    if len(shortcuts) > 10:
        yield "more than 10 shortcuts"
    for shortcut in shortcuts:
        yield from _length("shortcut name", shortcut.get("name"), 1, 24)
        yield from _length("shortcut description", shortcut.get("description"), 1, 150)
        yield from _length("callback_id", shortcut.get("callback_id"), 1, 255)
    events = (settings.get("event_subscriptions") or {}).get("bot_events") or []
    if len(events) > 100:
        yield "more than 100 bot events"
    yield from (f"{event} is not a bot event that is known here" for event in events if event not in EVENTS)
    if not settings.get("socket_mode_enabled"):
        yield "socket_mode_enabled must be true: it is the default way to run"


def _length(what: str, text: object, least: int, most: int) -> Iterator[str]:
    if not isinstance(text, str) or not least <= len(text) <= most:
        size = len(text) if isinstance(text, str) else "none"
        yield f"{what} must have {least} to {most} characters, and has {size}"


def _listeners(manifest: Json, used: Used) -> Iterator[str]:
    features, settings = manifest.get("features") or {}, manifest.get("settings") or {}
    declared = {str(command["command"]) for command in features.get("slash_commands") or []}
    yield from _both_ways("command", declared, used.listeners["command"])
    shortcuts = {str(shortcut["callback_id"]) for shortcut in features.get("shortcuts") or []}
    yield from _both_ways("shortcut", shortcuts, used.listeners["shortcut"])
    yield from _both_ways("function", set(manifest.get("functions") or {}), used.listeners["function"])
    subscribed = {event.partition(".")[0] for event in _events(manifest)}
    yield from _steps(manifest, used, subscribed)
    subscribed -= {"function_executed"}  # bolt's `function` listens to it
    yield from _both_ways("event", subscribed, used.listeners["event"])
    interactive = used.listeners["action"] | used.listeners["view"] | used.listeners["shortcut"]
    if bool((settings.get("interactivity") or {}).get("is_enabled")) != bool(interactive):
        yield "interactivity must be enabled exactly when there are buttons, views or shortcuts"


def _steps(manifest: Json, used: Used, subscribed: set[str]) -> Iterator[str]:
    """Steps of Workflow Builder: docs.slack.dev/workflows/workflow-steps, and the limits of the schema."""
    functions: Json = manifest.get("functions") or {}
    settings = manifest.get("settings") or {}
    if bool(functions) != ("function_executed" in subscribed):
        yield "function_executed must be subscribed exactly when there are functions"
    if functions and (settings.get("function_runtime"), settings.get("org_deploy_enabled")) != ("remote", True):
        yield "functions want function_runtime: remote and org_deploy_enabled: true"
    if len(functions) > 50:
        yield "more than 50 functions"
    for name, function in functions.items():
        yield from _length("function title", function.get("title"), 1, 255)
        yield from _length("function description", function.get("description"), 1, 255)
        for way in ("input_parameters", "output_parameters"):
            given = function.get(way) or {}
            known = set(given.get("properties") or {})
            if len(known) > 20:
                yield f"{name} has more than 20 {way}"
            yield from (f"{name} requires {each}, which {way} do not have" for each in set(given["required"]) - known)


def _both_ways(kind: str, declared: set[str], registered: set[str]) -> Iterator[str]:
    yield from (f"{kind} {name} is in the manifest, but nothing listens" for name in sorted(declared - registered))
    yield from (f"{kind} {name} is listened to, but not in the manifest" for name in sorted(registered - declared))


def _events(manifest: Json) -> list[str]:
    return list(((manifest.get("settings") or {}).get("event_subscriptions") or {}).get("bot_events") or [])


def _scopes(manifest: Json, used: Used) -> Iterator[str]:
    granted: Json = (manifest.get("oauth_config") or {}).get("scopes") or {}
    scopes = {*(granted.get("bot") or ()), *(granted.get("bot_optional") or ())}
    needs = used.methods | set(_events(manifest))
    if used.listeners["command"] or used.listeners["shortcut"]:
        needs |= {"a slash command"}
    for scope in sorted(scopes):
        if scope not in SCOPES:
            yield f"scope {scope} is not known here"
        elif not SCOPES[scope] & needs:
            yield f"scope {scope} is asked for, but nothing needs it"
    for need in sorted(needs - UNSCOPED - UNSCOPED_EVENTS):
        enough = {scope for scope, served in SCOPES.items() if need in served}
        if not enough:
            yield f"{need} is used, and the scope it needs is not known here"
        elif not enough & scopes:
            yield f"{need} is used, but none of {', '.join(sorted(enough))} is asked for"
    if {"conversations.history", "conversations.replies"} & used.methods:
        # One scope for each kind of channel that the bot is asked in.
        for scope in ("channels:history", "groups:history", "im:history"):
            if scope not in scopes:
                yield f"posted messages are looked for in every kind of channel, but {scope} is not asked for"


def main() -> int:
    found = problems()
    for problem in found:
        print(f"manifest: {problem}", file=sys.stderr)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
