"""Which channels may be quoted elsewhere: the public ones, as Slack says now. What cannot be asked is private."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Sequence

import aiohttp
from slack_sdk.errors import SlackApiError, SlackClientError

from bot.clients import Clients

LOG = logging.getLogger("bot.rooms")
_KNOWN_FOR_S = 600.0  # a public channel that was made private is quoted no longer than this
_PATIENCE_S = 3.0
_MOST_KNOWN = 2_000


class Rooms:
    """Asks conversations.info, and remembers the answers for a while.

    The scope channels:read covers public channels alone: for private ones and direct messages Slack refuses, and a
    refusal means "not public". So does every failure: the memory is then quoted less, never more.
    """

    def __init__(self, clients: Clients, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clients = clients
        self._clock = clock
        self._known: dict[tuple[str, str], tuple[float, bool]] = {}

    async def public(self, team: str, channels: Sequence[str]) -> list[str]:
        """Those of *channels* that everybody in the workspace *team* may read."""
        if len(self._known) > _MOST_KNOWN:
            self._known.clear()
        are_public = await asyncio.gather(*(self._is_public(team, channel) for channel in channels))
        return [channel for channel, is_public in zip(channels, are_public, strict=True) if is_public]

    async def _is_public(self, team: str, channel: str) -> bool:
        if not channel.startswith("C"):
            return False  # D: a direct message; G: a private channel or a group's messages
        asked_at, is_public = self._known.get((team, channel), (-_KNOWN_FOR_S, False))
        if self._clock() - asked_at < _KNOWN_FOR_S:
            return is_public
        try:
            async with asyncio.timeout(_PATIENCE_S):
                client = await self._clients.client(team)
                room = (await client.conversations_info(channel=channel))["channel"]
        except SlackApiError as error:
            LOG.info("taken for private channel=%s error=%s", channel, error.response.get("error"))
            if error.response.get("error") == "ratelimited":
                return False
            room = {"is_private": True}
        except (SlackClientError, aiohttp.ClientError, TimeoutError, OSError) as error:
            LOG.info("taken for private for now channel=%s error=%s", channel, type(error).__name__)
            return False
        is_public = room.get("is_private") is False and not room.get("is_im") and not room.get("is_mpim")
        self._known[team, channel] = self._clock(), is_public
        return is_public
