"""Who is a member of the workspace, who is a guest, and who comes from another one through a shared channel.

Everybody may ask for checks where they are. What the workspace remembers of other channels, and what changes its
settings, is for members. A payload names the workspace that a person comes from; who is a guest is asked of users.info
(scope users:read), and remembered for a while.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from typing import Literal, TypeAlias

import aiohttp
from slack_sdk.errors import SlackApiError, SlackClientError

from bot.clients import Clients

LOG = logging.getLogger("bot.people")
Standing: TypeAlias = Literal["member", "guest", "stranger"]
_KNOWN_FOR_S = 600.0
_PATIENCE_S = 1.0  # a modal must be opened within three seconds of the command
_MOST_KNOWN = 5_000
# Slack will not ever say: the scope is missing, or there is no such method. `python -m bot doctor` tells.
_NEVER = frozenset({"missing_scope", "unknown_method", "not_allowed_token_type", "user_not_visible"})


class People:
    """The people of all workspaces."""

    def __init__(self, clients: Clients, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clients = clients
        self._clock = clock
        self._known: dict[tuple[str, str], tuple[float, Standing]] = {}
        self._from: dict[tuple[str, str], str] = {}

    def met(self, team: str, user: str, home: str) -> None:
        """A payload for *team* says that *user* comes from workspace *home*."""
        if not (team and user and home):
            return
        if len(self._from) > _MOST_KNOWN:
            self._from.clear()
        if home != team:
            self._from[team, user] = home
        else:
            self._from.pop((team, user), None)

    async def standing(self, team: str, user: str) -> Standing | None:
        """What *user* is in *team*; None: Slack does not say now."""
        if (team, user) in self._from:
            return "stranger"
        at, known = self._known.get((team, user), (-_KNOWN_FOR_S, "member"))
        if self._clock() - at < _KNOWN_FOR_S:
            return known
        try:
            async with asyncio.timeout(_PATIENCE_S):
                client = await self._clients.client(team)
                found = (await client.users_info(user=user))["user"]
        except SlackApiError as error:
            code = str(error.response.get("error"))
            LOG.info("standing unknown user=%s error=%s", user, code)
            if code == "user_not_found":
                return "stranger"
            return "member" if code in _NEVER else None
        except (SlackClientError, aiohttp.ClientError, TimeoutError, OSError) as error:
            LOG.info("standing unknown user=%s error=%s", user, type(error).__name__)
            return None
        if len(self._known) > _MOST_KNOWN:
            self._known.clear()
        standing = _standing(found, team)
        self._known[team, user] = self._clock(), standing
        return standing

    async def is_member(self, team: str, user: str) -> bool | None:
        """A member, neither guest nor stranger? None: Slack does not say now."""
        standing = await self.standing(team, user)
        return None if standing is None else standing == "member"


def _standing(found: dict[str, object], team: str) -> Standing:
    org = found.get("enterprise_user")
    teams = {found.get("team_id")} | (set(org.get("teams") or ()) if isinstance(org, dict) else set())
    if found.get("is_stranger") or (found.get("team_id") and team not in teams):
        return "stranger"
    return "guest" if found.get("is_restricted") or found.get("is_ultra_restricted") else "member"
