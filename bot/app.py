"""The Slack app: every listener that there is, on one screen."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from typing import Any, TypeAlias

from slack_bolt.async_app import AsyncApp
from slack_bolt.authorization import AuthorizeResult
from slack_bolt.oauth.async_oauth_flow import AsyncOAuthFlow
from slack_sdk.web.async_client import AsyncWebClient

from bot.listeners import (
    actions,
    channels,
    commands,
    digest,
    events,
    faults,
    forms,
    home,
    incident,
    modals,
    triage,
    views,
    watch,
    workflow,
    workspace,
)
from bot.listeners.gate import Desks, Gate
from bot.manifest import COMMAND
from bot.people import People
from bot.places import Places
from bot.render import ct_issuance, expiry, explain, figures, help, identities, listing, repair, report
from bot.render import digest as digest_words
from bot.render import forms as check_form
from bot.render import imports as import_words
from bot.render import incident as room
from bot.render import triage as questions
from bot.render import watch as watch_words

LOG = logging.getLogger("bot.app")
NOT_INSTALLED = "I am not installed in this workspace any more. Whoever runs me has the address to install me from."
Authorize: TypeAlias = Callable[..., Awaitable[Any]]  # an AuthorizeResult, or None: not installed there


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


def always(identity: AuthorizeResult) -> Authorize:
    """Every request is of one workspace."""

    async def authorize(**_: Any) -> AuthorizeResult:
        return identity

    return authorize


def build_app(
    *,
    client: AsyncWebClient,
    authorize: Authorize,
    gate: Gate,
    desks: Desks,
    departures: workspace.Departures,
    places: Places,
    people: People,
    signing_secret: str = "",
    oauth_flow: AsyncOAuthFlow | None = None,
) -> AsyncApp:
    """The app, for Socket Mode and HTTP mode alike, of one workspace or, with *oauth_flow*, of many."""
    app = AsyncApp(
        name="clienthello",
        client=client,
        authorize=authorize,
        oauth_flow=oauth_flow,
        signing_secret=signing_secret,
        raise_error_for_unhandled_request=True,
        user_facing_authorize_error_message=NOT_INSTALLED,
    )
    app.error(faults.answered)
    app.middleware(faults.verified)
    app.middleware(workspace.at_home(people))

    app.command(COMMAND)(commands.tls(gate, desks))
    app.event("app_mention", middleware=[events.taken_in(gate)])(events.begun(gate))
    heard = [events.taken_in(gate), incident.changed(gate)]
    app.event("message", middleware=heard)(events.begun(gate))
    app.event("reaction_added", middleware=[incident.marked(gate)])(events.begun(gate))
    app.event("reaction_removed", middleware=[incident.marked(gate)])(events.begun(gate))
    app.function(workflow.TLS_CHECK, middleware=[workflow.taken_in(gate, desks.steps)])(events.begun(gate))
    _told_of_workspaces(app, departures, places)
    app.action(report.AGAIN)(actions.pressed(gate))
    app.action(report.RAW)(actions.pressed(gate))
    app.action(report.CHANGED)(actions.pressed(gate))
    app.action(repair.ALL)(actions.pressed(gate))
    app.action(explain.CHECK)(actions.pressed(gate))
    app.action(listing.OLDER)(actions.pressed(gate))
    app.action(listing.NEWER)(actions.pressed(gate))
    _in_the_room(app, gate)
    app.action(report.TRIAGE)(actions.pressed(gate))
    app.action(questions.PRESSED)(actions.pressed(gate))
    app.action(questions.HOST)(modals.pressed(gate, triage.opened))
    app.view(questions.HOST_FORM)(triage.host_given(gate))
    app.shortcut(questions.SHORTCUT)(triage.used(gate))
    app.event("app_home_opened", middleware=[home.looked_at(gate)])(events.begun(gate))
    app.event("member_joined_channel", middleware=[channels.entered(places), home.joined(gate)])(events.begun(gate))
    app.action(figures.FIGURES)(actions.pressed(gate))
    app.action(help.RUNS)(forms.run(gate))
    app.action(help.CHECK_FORM)(forms.pressed(gate, desks.identities))
    app.action(help.HELP)(forms.asked_for_help(gate))
    app.shortcut(check_form.CHECK_SHORTCUT)(forms.used(gate, desks.identities))
    app.view(check_form.CHECK_FILLED)(forms.submitted(gate, desks.identities))
    _of_the_watch_list(app, gate, desks)
    app.action(digest_words.OPEN)(modals.pressed(gate, digest.opened(desks.digests)))
    app.view(digest_words.FORM)(digest.submitted(gate))
    app.action(identities.ADD)(modals.pressed(gate, views.opened(desks.identities)))
    app.view(identities.FORM)(views.submitted(gate, desks.identities))
    return _warning_of_certificates(app, gate)


def _of_the_watch_list(app: AsyncApp, gate: Gate, desks: Desks) -> None:
    """Its pages, its form, and what a file would bring."""
    app.action(watch_words.WATCH_PAGE)(actions.pressed(gate))
    app.action(watch_words.WATCH_ADD)(modals.pressed(gate, watch.opened(desks.watches)))
    app.view(watch_words.WATCH_FORM)(watch.submitted(gate))
    app.action(import_words.WATCH_IMPORT)(actions.pressed(gate))
    app.action(import_words.WATCH_IMPORT_ALL)(actions.pressed(gate))


def _in_the_room(app: AsyncApp, gate: Gate) -> None:
    """The buttons of an incident's root, and *Add to timeline*."""
    app.action(room.COMMAND_TAKEN)(actions.pressed(gate))
    app.action(room.SEVERITY)(actions.pressed(gate))
    app.action(room.WATCH)(actions.pressed(gate))
    app.action(room.UNWATCH)(actions.pressed(gate))
    app.action(room.RESOLVE)(actions.pressed(gate))
    app.action(room.REOPEN)(actions.pressed(gate))
    app.action(room.POSTMORTEM)(actions.pressed(gate))
    app.action(room.MORE)(actions.pressed(gate))
    app.shortcut(room.ADD_TO_TIMELINE)(incident.shortcut(gate))


def _told_of_workspaces(app: AsyncApp, departures: workspace.Departures, places: Places) -> None:
    """Channels that come and go, and workspaces that take the bot out."""
    app.event("channel_archive", middleware=[channels.told(places)])(workspace.heard)
    app.event("channel_unarchive", middleware=[channels.told(places)])(workspace.heard)
    app.event("channel_deleted", middleware=[channels.told(places)])(workspace.heard)
    app.event("channel_id_changed", middleware=[channels.moved(places)])(workspace.heard)
    app.event("channel_left", middleware=[channels.told(places)])(workspace.heard)
    app.event("group_archive", middleware=[channels.told(places)])(workspace.heard)
    app.event("group_unarchive", middleware=[channels.told(places)])(workspace.heard)
    app.event("group_deleted", middleware=[channels.told(places)])(workspace.heard)
    app.event("group_left", middleware=[channels.told(places)])(workspace.heard)
    app.event("app_uninstalled", middleware=[workspace.taken_away(departures)])(workspace.heard)
    app.event("tokens_revoked", middleware=[workspace.taken_away(departures)])(workspace.heard)


def _warning_of_certificates(app: AsyncApp, gate: Gate) -> AsyncApp:
    """The buttons of the threads about renewals and issuances."""
    app.action(expiry.ACKNOWLEDGE)(actions.pressed(gate))
    app.action(expiry.SNOOZE)(actions.pressed(gate))
    app.action(ct_issuance.EXPECTED)(actions.pressed(gate))
    app.action(ct_issuance.INVESTIGATE)(actions.pressed(gate))
    return app
