"""The Slack app: every listener that there is, on one screen."""

from __future__ import annotations

import logging
from typing import Any

from slack_bolt.async_app import AsyncApp
from slack_bolt.authorization import AuthorizeResult
from slack_sdk.web.async_client import AsyncWebClient

from bot.listeners import actions, commands, events, faults, incident, triage, views
from bot.listeners.gate import Gate
from bot.manifest import COMMAND
from bot.render import explain, identities, listing, repair, report
from bot.render import incident as room
from bot.render import triage as questions

LOG = logging.getLogger("bot.app")


async def authorized(client: AsyncWebClient) -> AuthorizeResult:
    """Who this bot is in its workspace: auth.test, asked once. Raises SlackApiError."""
    answer = await client.auth_test()
    return AuthorizeResult(
        enterprise_id=answer.get("enterprise_id"),
        team_id=answer["team_id"],
        bot_user_id=answer["user_id"],
        bot_id=answer.get("bot_id"),
        bot_token=client.token,
        url=answer.get("url"),
    )


def build_app(*, client: AsyncWebClient, identity: AuthorizeResult, gate: Gate, signing_secret: str = "") -> AsyncApp:
    """The app, for Socket Mode and HTTP mode alike."""

    async def authorize(**_: Any) -> AuthorizeResult:
        return identity

    app = AsyncApp(
        name="clienthello",
        client=client,
        authorize=authorize,
        signing_secret=signing_secret,
        raise_error_for_unhandled_request=True,
    )
    app.error(faults.answered)
    app.middleware(faults.verified)

    bot_user = identity.bot_user_id or ""
    app.command(COMMAND)(commands.tls(gate))
    app.event("app_mention", middleware=[events.taken_in(gate, bot_user)])(events.begun(gate))
    heard = [events.taken_in(gate, bot_user), incident.changed(gate, bot_user)]
    app.event("message", middleware=heard)(events.begun(gate))
    app.event("reaction_added", middleware=[incident.marked(gate)])(events.begun(gate))
    app.event("reaction_removed", middleware=[incident.marked(gate)])(events.begun(gate))
    app.action(report.AGAIN)(actions.pressed(gate))
    app.action(report.RAW)(actions.pressed(gate))
    app.action(report.CHANGED)(actions.pressed(gate))
    app.action(repair.ALL)(actions.pressed(gate))
    app.action(explain.CHECK)(actions.pressed(gate))
    app.action(listing.OLDER)(actions.pressed(gate))
    app.action(listing.NEWER)(actions.pressed(gate))
    app.action(room.COMMAND_TAKEN)(actions.pressed(gate))
    app.action(room.SEVERITY)(actions.pressed(gate))
    app.action(room.WATCH)(actions.pressed(gate))
    app.action(room.UNWATCH)(actions.pressed(gate))
    app.action(room.RESOLVE)(actions.pressed(gate))
    app.action(room.REOPEN)(actions.pressed(gate))
    app.action(room.POSTMORTEM)(actions.pressed(gate))
    app.action(room.MORE)(actions.pressed(gate))
    app.shortcut(room.ADD_TO_TIMELINE)(incident.shortcut(gate))
    app.action(report.TRIAGE)(actions.pressed(gate))
    app.action(questions.PRESSED)(actions.pressed(gate))
    app.action(questions.HOST)(triage.asks_host(gate))
    app.view(questions.HOST_FORM)(triage.host_given(gate))
    app.shortcut(questions.SHORTCUT)(triage.used(gate))
    app.action(identities.ADD)(views.pressed(gate))
    app.view(identities.FORM)(views.submitted(gate))
    return app
