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

from bot.people import People

LOG = logging.getLogger("bot.listeners")
Next = Callable[[], Awaitable[BoltResponse | None]]


class Departures(Protocol):
    """What stops when a workspace takes the bot away (`bot.departures`)."""

    async def uninstalled(self, team: str, *, at: float, is_org: bool = False) -> None: ...


def at_home(people: People) -> Callable[..., Awaitable[Any]]:
    """Every listener finds the installation's team where it looks for one; *people* learn who is from elsewhere."""

    async def middleware(body: dict[str, Any], context: AsyncBoltContext, next: Next) -> Any:
        team = context.team_id
        if team:
            if isinstance(body.get("team"), dict):
                body["team"]["id"] = team
            elif body.get("type") != "event_callback" and "command" not in body:
                body["team"] = {"id": team}  # an installation for all of an organisation: Slack leaves it out
            body["team_id"] = team
            user, home = _author(body)
            # The workspaces of one organisation share people: whose they are is asked of Slack.
            if not context.enterprise_id:
                people.met(team, user, home)
        return await next()

    return middleware


def _author(body: dict[str, Any]) -> tuple[str, str]:
    """Who did it, and the workspace that the payload says they come from, if it says so."""
    person = body.get("user")
    if isinstance(person, dict):
        return str(person.get("id") or ""), str(person.get("team_id") or "")
    event: dict[str, Any] = body.get("event") or {}
    home = event.get("user_team") or event.get("source_team")
    if not home and event.get("type") in {"message", "app_mention"}:
        home = event.get("team")
    return (str(event.get("user") or ""), home) if isinstance(home, str) else ("", "")


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
