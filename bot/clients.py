"""Which Slack client speaks for which workspace. Whoever calls the Web API asks here, by team, at each call."""

from __future__ import annotations

from typing import Protocol

from slack_sdk.errors import SlackClientError
from slack_sdk.web.async_client import AsyncWebClient


class NotInstalled(SlackClientError):
    """The bot has no token for that workspace (any more). Handled as what it is, or as any failed call."""

    def __init__(self, team: str) -> None:
        super().__init__(f"not installed in {team}")
        self.team = team


class Clients(Protocol):
    """The clients of all workspaces that the bot is installed in.

    Ask again for each call and keep nothing: tokens are rotated and taken away.
    """

    async def client(self, team: str) -> AsyncWebClient:
        """The client that holds *team*'s bot token. Raises NotInstalled."""
        ...

    async def bot_user(self, team: str) -> str:
        """Who the bot is in *team*; empty when nobody knows."""
        ...

    async def url(self, team: str) -> str:
        """The workspace's own address, for links; empty when nobody knows."""
        ...


class OneClient:
    """One workspace, by its token: every team's client is this one."""

    def __init__(self, client: AsyncWebClient, bot_user: str = "", url: str = "") -> None:
        self._client = client
        self._bot_user = bot_user
        self._url = url

    async def client(self, team: str) -> AsyncWebClient:
        return self._client

    async def bot_user(self, team: str) -> str:
        return self._bot_user

    async def url(self, team: str) -> str:
        return self._url
