"""`python -m bot doctor`: looks at everything that has to be right before the bot can work, and says what to do.

It changes nothing: the database is opened to read, the port is let go at once, and no WebSocket is held beside those of
a running bot, for Slack would send it requests. What belongs to this machine is in `bot.doctor_here`.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from email.utils import parsedate_to_datetime
from types import MappingProxyType
from typing import Any, Final

import aiohttp
from slack_sdk.errors import SlackApiError, SlackClientError
from slack_sdk.web.async_client import AsyncWebClient

from bot import doctor_here as here
from bot.config import HttpMode, LocalMode, ManyWorkspaces, Settings, SocketMode
from bot.doctor_here import Finding
from bot.manifest import MANIFEST

_FINE, _WRONG, _UNSEEN = 0, 1, 3  # exit statuses
_PATIENCE_S: Final = 10.0
_CLOCK_WRONG_S: Final = 60.0  # signed requests five minutes off are refused; long before that something is amiss
_CLOCK_NOTED_S: Final = 3.0  # Slack's Date counts whole seconds

# What stops working without each scope of the manifest.
WITHOUT: Mapping[str, str] = MappingProxyType(
    {
        "app_mentions:read": "mentions of the bot are not heard",
        "channels:history": "messages of public channels are not read: notes are not mirrored, and after a crash a "
        "message may be posted twice",
        "channels:read": "history quotes no public channel, and archived channels are not noticed",
        "chat:write": "nothing can be posted",
        "commands": "/tls and the shortcuts are not there",
        "files:read": "whether a file was shared is not known, and dropped files are not read",
        "files:write": "reports, chains and post-mortems are not uploaded",
        "groups:history": "messages of private channels are not read, as with channels:history",
        "groups:read": "archived private channels are not noticed, and shared ones are not known as such",
        "im:history": "direct messages are not heard",
        "im:write": "nobody is written to directly who has not written first",
        "reactions:read": "📌 puts nothing into a timeline",
        "usergroups:read": "ADMIN_USERGROUPS lets nobody in",
        "users:read": "guests are not told from members",
    }
)


def status(findings: Sequence[Finding]) -> int:
    """0: nothing is wrong; 1: something is; 3: nothing that was seen is, and not everything could be looked at."""
    wrong = [finding for finding in findings if finding.state == "WRONG"]
    if not wrong:
        return _FINE
    return _UNSEEN if all(finding.is_unseen for finding in wrong) else _WRONG


def as_text(findings: Sequence[Finding]) -> str:
    lines: list[str] = []
    for finding in findings:
        lines.append(f"{finding.state:<5} {finding.name}: {finding.said}")
        lines += [f"      → {finding.remedy}"] if finding.remedy else []
    wrong = sum(finding.state == "WRONG" for finding in findings)
    lines.append(f"{len(findings)} things looked at, {wrong or 'nothing'} wrong.")
    return "\n".join(lines)


def as_json(findings: Sequence[Finding]) -> str:
    shown = [
        {"name": each.name, "state": each.state, "said": each.said, "remedy": each.remedy, "unseen": each.is_unseen}
        for each in findings
    ]
    return json.dumps({"schema": 1, "status": status(findings), "findings": shown}, indent=2, ensure_ascii=False)


async def examined(settings: Settings) -> list[Finding]:
    """Everything, in the order in which it is needed."""
    is_running = here.holder(settings.database) is not None
    looks: list[Callable[[], Awaitable[list[Finding]]]] = [
        lambda: _slack(settings, is_running=is_running),
        lambda: here.database(settings),
        lambda: here.secret_key(settings),
        lambda: here.trust(settings),
        lambda: here.egress(settings),
        lambda: here.resolver(settings),
        lambda: here.log_list(settings),
    ]
    found: list[Finding] = []
    for look in looks:
        found += await look()
    return found


# ── Slack ───────────────────────────────────────────────────────────────────────


async def _slack(settings: Settings, *, is_running: bool) -> list[Finding]:
    match settings.connection:
        case LocalMode(port=port):
            said = f"no token is set: the local workspace would be used, on http://127.0.0.1:{port}"
            return [
                Finding(name="Slack", state="note", said=said),
                *here.port(port, "LOCAL_PORT", is_running=is_running),
            ]
        case SocketMode() as connection:
            return [
                *await _token(connection.bot_token, connection.api_url),
                await _socket_mode(connection, is_running=is_running),
            ]
        case HttpMode() as connection:
            return [
                *await _token(connection.bot_token, connection.api_url),
                *here.port(connection.port, "PORT", is_running=is_running),
                _signing_secret(connection.signing_secret),
            ]
        case ManyWorkspaces() as connection:
            return [
                *await _reached(connection.api_url),
                *await here.installations(settings),
                *here.port(connection.port, "PORT", is_running=is_running),
                _signing_secret(connection.signing_secret),
            ]


async def _token(token: str, api_url: str) -> list[Finding]:
    """auth.test: whose token it is, what it may do, and what time Slack has."""
    asked_at = time.time()
    try:
        answer = await AsyncWebClient(token=token, base_url=api_url, timeout=int(_PATIENCE_S)).auth_test()
    except SlackApiError as error:
        code = str(error.response.get("error"))
        return [
            Finding(
                name="bot token",
                state="WRONG",
                said=f"Slack answered {code} to auth.test",
                remedy="Copy the Bot User OAuth Token anew (OAuth & Permissions) into SLACK_BOT_TOKEN; after a change "
                "of scopes, reinstall the app first.",
            ),
            *_clock(error.response.headers, asked_at),
        ]
    except (SlackClientError, aiohttp.ClientError, TimeoutError, OSError) as error:
        return [_unreached(api_url, error)]
    said = f"{answer.get('user')} ({answer.get('user_id')}) in {answer.get('team')} ({answer.get('team_id')})"
    whole = Finding(name="bot token", state="ok", said=said)
    return [whole, *_scopes(answer.headers), *_clock(answer.headers, asked_at)]


def _unreached(api_url: str, error: Exception) -> Finding:
    return Finding(
        name="Slack",
        state="WRONG",
        said=f"{api_url} cannot be reached ({type(error).__name__}: {str(error)[:200]})",
        remedy="Let this machine connect there by HTTPS, or set HTTPS_PROXY; then look again.",
        is_unseen=True,
    )


def _scopes(headers: Mapping[str, Any]) -> list[Finding]:
    """The scopes that the token has (header x-oauth-scopes) against those of the manifest."""
    told = _header(headers, "x-oauth-scopes")
    if told is None:
        said = "Slack did not tell which scopes the token has"
        return [Finding(name="scopes", state="note", said=said)]
    granted = {scope.strip() for scope in told.split(",") if scope.strip()}
    wanted = set(MANIFEST["oauth_config"]["scopes"]["bot"])
    missing, surplus = sorted(wanted - granted), sorted(granted - wanted)
    if missing:
        said = "; ".join(f"{scope} is missing: {WITHOUT.get(scope, 'something does not work')}" for scope in missing)
        remedy = (
            f"Add {', '.join(missing)} under OAuth & Permissions (or paste manifest.yml anew), and reinstall the app."
        )
        return [Finding(name="scopes", state="WRONG", said=said, remedy=remedy)]
    said = f"all {len(wanted)} of the manifest are granted"
    if surplus:
        said += f"; {', '.join(surplus)} beside them {'is' if len(surplus) == 1 else 'are'} not needed"
    return [Finding(name="scopes", state="note" if surplus else "ok", said=said)]


def _clock(headers: Mapping[str, Any], asked_at: float) -> list[Finding]:
    """Our clock against Slack's, which tells whole seconds: the middle of that second, as of half the way."""
    told = _header(headers, "date")
    try:
        theirs = parsedate_to_datetime(told or "").timestamp() + 0.5
    except ValueError:
        return [Finding(name="clock", state="note", said="Slack sent no Date to compare with")]
    now = time.time()
    off = (asked_at + now) / 2 - theirs
    doubt_ms = 500 + (now - asked_at) * 500
    direction = "ahead of" if off > 0 else "behind"
    said = f"{abs(off) * 1000:.0f} ms {direction} Slack's, give or take {doubt_ms:.0f} ms"
    if abs(off) > _CLOCK_WRONG_S:
        remedy = "Set this machine's clock (NTP): Slack's signed requests are refused, and certificates are misjudged."
        return [Finding(name="clock", state="WRONG", said=said, remedy=remedy)]
    if abs(off) > _CLOCK_NOTED_S:
        return [Finding(name="clock", state="note", said=said, remedy="Have NTP keep this machine's clock.")]
    return [Finding(name="clock", state="ok", said=said)]


def _header(headers: Mapping[str, Any], name: str) -> str | None:
    return next((str(value) for key, value in headers.items() if str(key).lower() == name), None)


async def _reached(api_url: str) -> list[Finding]:
    """Without a token of one workspace: is the Web API there, and what time has it?"""
    asked_at = time.time()
    try:
        answer = await AsyncWebClient(base_url=api_url, timeout=int(_PATIENCE_S)).api_test()
    except SlackApiError as error:  # it said something: it is there
        return [Finding(name="Slack", state="ok", said=f"{api_url} answers"), *_clock(error.response.headers, asked_at)]
    except (SlackClientError, aiohttp.ClientError, TimeoutError, OSError) as error:
        return [_unreached(api_url, error)]
    return [Finding(name="Slack", state="ok", said=f"{api_url} answers"), *_clock(answer.headers, asked_at)]


async def _socket_mode(connection: SocketMode, *, is_running: bool) -> Finding:
    """apps.connections.open, and the hello of the WebSocket that it names."""
    name = "Socket Mode"
    client = AsyncWebClient(base_url=connection.api_url, timeout=int(_PATIENCE_S))
    try:
        url = str((await client.apps_connections_open(app_token=connection.app_token))["url"])
        if is_running:
            said = "the app-level token is right; no connection was opened beside those of the bot that runs"
            return Finding(name=name, state="ok", said=said)
        hello = await _hello(url)
    except SlackApiError as error:
        return Finding(
            name=name,
            state="WRONG",
            said=f"Slack answered {error.response.get('error')} to apps.connections.open",
            remedy="Make an app-level token with connections:write (Basic Information, App-Level Tokens) for "
            "SLACK_APP_TOKEN, and switch Socket Mode on.",
        )
    except (SlackClientError, aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
        return Finding(
            name=name,
            state="WRONG",
            said=f"no WebSocket: {type(error).__name__}: {str(error)[:200]}",
            remedy="Let this machine open WebSockets (wss, port 443) to Slack, or set HTTPS_PROXY.",
            is_unseen=True,
        )
    number = hello.get("num_connections")
    return Finding(name=name, state="ok", said=f"Slack said hello; connections of this app: {number}")


async def _hello(url: str) -> dict[str, Any]:
    async with (
        asyncio.timeout(_PATIENCE_S),
        aiohttp.ClientSession(trust_env=True) as session,
        session.ws_connect(url) as socket,
    ):
        while True:
            frame = await socket.receive()
            if frame.type is not aiohttp.WSMsgType.TEXT:
                raise ValueError(f"the connection ended before hello ({frame.type.name.lower()})")
            told = json.loads(frame.data)
            if told.get("type") == "hello":
                return dict(told)


def _signing_secret(secret: str) -> Finding:
    name = "signing secret"
    if len(secret) == 32 and all(character in "0123456789abcdef" for character in secret):
        return Finding(name=name, state="ok", said="is of Slack's form")
    return Finding(
        name=name,
        state="note",
        said="is not 32 hexadecimal digits, as Slack's are",
        remedy="Compare it with Basic Information, App Credentials, Signing Secret: with a wrong one every request is "
        "refused with 401.",
    )
