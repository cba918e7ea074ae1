"""Who may change what is stored: everyone, or the members of ADMIN_USERGROUPS as Slack says now. In doubt, nobody."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable

import aiohttp
from slack_sdk.errors import SlackApiError, SlackClientError

from bot.clients import Clients
from bot.people import People

LOG = logging.getLogger("bot.admins")
_KNOWN_FOR_S = 60.0  # who left the group may change things no longer than this
_PATIENCE_S = 1.0  # a modal must be opened within three seconds of the command


class Admins:
    """Asks usergroups.users.list (scope usergroups:read), and remembers the answer for a minute."""

    def __init__(
        self, clients: Clients, groups: frozenset[str], *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._clients = clients
        self.people = People(clients)
        self._groups = groups
        self._clock = clock
        self._known: dict[tuple[str, str], tuple[float, frozenset[str]]] = {}

    async def includes(self, team: str, user: str) -> bool | None:
        """May *user* of *team* change what is stored? None: Slack did not say, which counts as no.

        Guests and people of other workspaces may not, whatever their groups.
        """
        is_member = await self.people.is_member(team, user)
        if not is_member or not self._groups:
            return is_member
        members = await asyncio.gather(*(self._members(team, group) for group in sorted(self._groups)))
        if any(user in known for known in members if known is not None):
            return True
        return None if None in members else False

    async def refusal(self, team: str, user: str, what: str) -> str | None:
        """Why *what* ("Watches") is not *user*'s to change, in a sentence or two; None where it is."""
        allowed = await self.includes(team, user)
        if allowed:
            return None
        if allowed is None:
            return (
                "I could not ask Slack who belongs to ADMIN_USERGROUPS, or who you are, so nothing was changed. Please "
                "try again; if it stays so, the app lacks the scope usergroups:read or a group's id is wrong."
            )
        return f"{what} stay as they are: {await self.why_not(team, user)}."

    async def why_not(self, team: str, user: str) -> str:
        """Why *user* may change nothing, for a sentence that goes on."""
        standing = await self.people.standing(team, user)
        if standing == "guest":
            return "you are a guest here; a member of the workspace can do it"
        if standing == "stranger":
            return "you are from another workspace; a member of this one can do it"
        if standing is None:
            return "Slack did not say who you are; please try again"
        return "only members of my operator's user groups can do it (ADMIN_USERGROUPS)"

    async def _members(self, team: str, group: str) -> frozenset[str] | None:
        at, known = self._known.get((team, group), (-_KNOWN_FOR_S, frozenset()))
        if self._clock() - at < _KNOWN_FOR_S:
            return known
        try:
            async with asyncio.timeout(_PATIENCE_S):
                client = await self._clients.client(team)
                answer = await client.usergroups_users_list(usergroup=group)
        except SlackApiError as error:
            LOG.warning("admins unknown usergroup=%s error=%s", group, error.response.get("error"))
            return None
        except (SlackClientError, aiohttp.ClientError, TimeoutError, OSError) as error:
            LOG.warning("admins unknown usergroup=%s error=%s", group, type(error).__name__)
            return None
        members = frozenset(str(user) for user in answer.get("users") or ())
        self._known[team, group] = self._clock(), members
        return members
