"""How the bot speaks for its workspaces: one, whose token it was given, or every one that installs the app."""

from __future__ import annotations

import logging
from dataclasses import dataclass

from slack_bolt.oauth.async_oauth_flow import AsyncOAuthFlow
from slack_sdk.web.async_client import AsyncWebClient

from bot.app import Authorize, always, authorized
from bot.clients import Clients, OneClient
from bot.config import HttpMode, ManyWorkspaces, SocketMode
from bot.history import History
from bot.installations import ByInstallation, Installations, InstalledClients, States
from bot.places import Places

LOG = logging.getLogger("bot.seat")


@dataclass(frozen=True, slots=True, kw_only=True)
class Seat:
    """How the bot speaks for its workspaces, one or many."""

    clients: Clients
    authorize: Authorize
    installations: Installations | None = None
    oauth_flow: AsyncOAuthFlow | None = None


async def taken(
    connection: SocketMode | HttpMode | ManyWorkspaces,
    *,
    history: History,
    places: Places,
    bare: AsyncWebClient,
    secret_key: str | None,
) -> Seat:
    """One workspace is asked who the bot is there; many are known as they install it. Raises SlackClientError."""
    if isinstance(connection, ManyWorkspaces):
        assert secret_key is not None  # `bot.config` insists
        return _many(connection, history=history, places=places, bare=bare, secret_key=secret_key)
    client = AsyncWebClient(token=connection.bot_token, base_url=connection.api_url, session=bare.session)
    identity = await authorized(client)
    LOG.info("serving team=%s bot_user=%s", identity.team_id, identity.bot_user_id)
    await places.come_back(identity.team_id or "")
    clients = OneClient(client, bot_user=identity.bot_user_id or "", url=identity.get("url") or "")
    return Seat(clients=clients, authorize=always(identity))


def _many(
    connection: ManyWorkspaces, *, history: History, places: Places, bare: AsyncWebClient, secret_key: str
) -> Seat:
    from bot import oauth

    client_id, client_secret = connection.client_id, connection.client_secret
    installations = Installations(history, secret_key, client=bare, on_installed=places.come_back)
    clients = InstalledClients(installations, client_id=client_id, client_secret=client_secret, client=bare)
    flow = oauth.flow(
        client=bare,
        client_id=client_id,
        client_secret=client_secret,
        installations=installations,
        states=States(history),
    )
    LOG.info("serving every workspace that installs the app path=%s", flow.install_path)
    return Seat(clients=clients, authorize=ByInstallation(clients), installations=installations, oauth_flow=flow)
