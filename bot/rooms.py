"""Which channels may be quoted elsewhere: the public ones, as Slack says now. What cannot be asked is private."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import aiohttp
from slack_sdk.errors import SlackApiError, SlackClientError

from bot.clients import Clients

LOG = logging.getLogger("bot.rooms")
_KNOWN_FOR_S = 600.0  # a public channel that was made private is quoted no longer than this
_PATIENCE_S = 3.0
_MOST_KNOWN = 2_000


class Rooms:
    """Asks conversations.info, and remembers the answers for a while.

    The scopes channels:read and groups:read cover the channels that the bot is in. A refusal means "not public", and
    so does every failure: the memory is then quoted less, never more. A channel that another workspace shares (Slack
    Connect) is read by strangers: in it nothing of other channels is told.
    """

    def __init__(self, clients: Clients, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clients = clients
        self._clock = clock
        self._known: dict[tuple[str, str, str], tuple[float, _Room]] = {}

    async def public(self, team: str, channels: Sequence[str]) -> list[str]:
        """Those of *channels* that everybody in the workspace *team* may read."""
        if len(self._known) > _MOST_KNOWN:
            self._known.clear()
        are_public = await asyncio.gather(*(self._is_public(team, channel) for channel in channels))
        return [channel for channel, is_public in zip(channels, are_public, strict=True) if is_public]

    async def is_shared(self, team: str, channel: str) -> bool:
        """Whether people of other workspaces read *channel*. In doubt they do; direct messages are for one person."""
        return not channel.startswith("D") and (await self._room(team, channel, "who reads it")).is_shared

    async def _is_public(self, team: str, channel: str) -> bool:
        # D: a direct message; G: a private channel or a group's messages
        return channel.startswith("C") and (await self._room(team, channel, "is it public")).is_public

    async def _room(self, team: str, channel: str, asks: str) -> _Room:
        # Each question for itself: that a check was made there does not let it be quoted for longer.
        asked_at, known = self._known.get((team, channel, asks), (-_KNOWN_FOR_S, _UNKNOWN))
        if self._clock() - asked_at < _KNOWN_FOR_S:
            return known
        try:
            async with asyncio.timeout(_PATIENCE_S):
                client = await self._clients.client(team)
                room = (await client.conversations_info(channel=channel))["channel"]
        except SlackApiError as error:
            LOG.info("taken for private channel=%s error=%s", channel, error.response.get("error"))
            if error.response.get("error") in {"ratelimited", "internal_error", "fatal_error"}:
                return _UNKNOWN
            room = {"is_private": True, "is_ext_shared": error.response.get("error") != "missing_scope"}
        except (SlackClientError, aiohttp.ClientError, TimeoutError, OSError) as error:
            LOG.info("taken for private for now channel=%s error=%s", channel, type(error).__name__)
            return _UNKNOWN
        found = _Room(
            is_public=room.get("is_private") is False and not room.get("is_im") and not room.get("is_mpim"),
            is_shared=bool(room.get("is_ext_shared") or room.get("is_pending_ext_shared")),
        )
        self._known[team, channel, asks] = self._clock(), found
        return found


@dataclass(frozen=True, slots=True, kw_only=True)
class _Room:
    is_public: bool
    is_shared: bool


_UNKNOWN = _Room(is_public=False, is_shared=True)
