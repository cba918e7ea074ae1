"""A workspace on a free port with a small app of slack-bolt in it: what the tests of ``bot.local`` share."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from slack_bolt.adapter.socket_mode.async_handler import AsyncSocketModeHandler
from slack_bolt.app.async_app import AsyncApp
from slack_sdk.web.async_client import AsyncWebClient

from bot.local import UNLIMITED, Running, Workspace, serve

MANIFEST: dict[str, Any] = {
    "display_information": {"name": "probe"},
    "features": {
        "bot_user": {"display_name": "probe"},
        "slash_commands": [{"command": "/tls", "description": "look", "usage_hint": "check HOST"}],
        "shortcuts": [
            {"name": "Explain", "type": "message", "callback_id": "explain", "description": "what it means"},
            {"name": "Look", "type": "global", "callback_id": "look", "description": "look at a host"},
        ],
    },
    "oauth_config": {
        "scopes": {
            "bot": [
                "app_mentions:read",
                "channels:history",
                "channels:join",
                "channels:read",
                "chat:write",
                "commands",
                "files:read",
                "files:write",
                "groups:history",
                "groups:read",
                "im:history",
                "im:read",
                "im:write",
                "pins:write",
                "reactions:read",
                "reactions:write",
                "usergroups:read",
                "users:read",
            ]
        }
    },
    "settings": {
        "event_subscriptions": {
            "bot_events": [
                "app_home_opened",
                "app_mention",
                "channel_archive",
                "channel_rename",
                "file_shared",
                "function_executed",
                "member_joined_channel",
                "message.channels",
                "message.im",
                "reaction_added",
                "reaction_removed",
            ]
        }
    },
}


@asynccontextmanager
async def running(**settings: Any) -> AsyncIterator[Running]:
    """A served workspace without rate limits, unless *settings* say otherwise."""
    chosen: dict[str, Any] = {"manifest": MANIFEST, "limits": UNLIMITED, **settings}
    workspace = Workspace(**chosen)
    served = await serve(workspace, port=0)
    try:
        yield served
    finally:
        await served.close()


def web_client(served: Running) -> AsyncWebClient:
    """The app's client of the Web API."""
    return AsyncWebClient(token=served.bot_token, base_url=served.api_url)


def bolt_app(served: Running) -> AsyncApp:
    """An app of slack-bolt without listeners."""
    return AsyncApp(client=web_client(served), signing_secret=served.signing_secret)


@asynccontextmanager
async def connected(served: Running, app: AsyncApp, connections: int = 1) -> AsyncIterator[None]:
    """*app* in Socket Mode, with so many connections."""
    handlers = [AsyncSocketModeHandler(app, served.app_token) for _ in range(connections)]
    try:
        for handler in handlers:
            await handler.connect_async()  # type: ignore[no-untyped-call]
        await served.workspace.connected(connections)
        yield
    finally:
        for handler in handlers:
            await handler.close_async()  # type: ignore[no-untyped-call]
