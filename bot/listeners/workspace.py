"""Whose request it is, and what becomes of workspaces: in every payload the installation's team, at the uninstall
everything stops.

In a channel that two workspaces share (Slack Connect) a payload may name the other one, where the person or the message
comes from. What is remembered belongs to the workspace that the bot is installed in: `authorizations` of an event,
`app_installed_team_id` of a view, `team` of an interaction (bolt reads them into the context).
Source: docs.slack.dev/apis/events-api (authorizations), slackapi/bolt-js#935, #1614.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Awaitable, Callable
from typing import Any, Protocol

from slack_bolt import BoltResponse
from slack_bolt.async_app import AsyncBoltContext

LOG = logging.getLogger("bot.listeners")
Next = Callable[[], Awaitable[BoltResponse | None]]


class Departures(Protocol):
    """What stops when a workspace takes the bot away (`bot.departures`)."""

    async def uninstalled(self, team: str, *, at: float, is_org: bool = False) -> None: ...


async def at_home(body: dict[str, Any], context: AsyncBoltContext, next: Next) -> Any:
    """Every listener finds the installation's team where it looks for a team."""
    team = context.team_id
    if team:
        if isinstance(body.get("team"), dict):
            body["team"]["id"] = team
        elif body.get("type") != "event_callback" and "command" not in body:
            body["team"] = {"id": team}  # an installation for all of an organisation: Slack leaves it out
        body["team_id"] = team
    return await next()


def taken_away(departures: Departures) -> Callable[..., Awaitable[BoltResponse | None]]:
    """The app was uninstalled, or its token revoked. Done before Slack hears that it was heard."""

    async def middleware(body: dict[str, Any], context: AsyncBoltContext, next: Next) -> BoltResponse | None:
        event: dict[str, Any] = body.get("event") or {}
        # Of a person's token that is taken back we never had any.
        if event.get("type") == "app_uninstalled" or (event.get("tokens") or {}).get("bot"):
            is_org = bool(context.is_enterprise_install)
            team = (context.enterprise_id if is_org else context.team_id) or ""
            at = body.get("event_time")
            await departures.uninstalled(
                str(team), at=float(at) if isinstance(at, int | float) else time.time(), is_org=is_org
            )
        return await next()

    return middleware


async def heard() -> None:
    """Nothing is left to do: the middleware did it."""
