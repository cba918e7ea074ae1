"""The workspaces that the bot is installed in by OAuth: tokens sealed in the memory, refreshed in time, erased when
they are taken away.

Bolt's OAuth flow stores what Slack grants here (`Installations` is its installation store, `States` its state store);
whoever calls the Web API asks `InstalledClients`. A state is kept as its digest and comes back once. One process owns
the memory (`bot.store`), so what is known here is never stale.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
import secrets
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, Final

import aiohttp
from slack_bolt.authorization import AuthorizeResult
from slack_bolt.authorization.async_authorize import AsyncAuthorize
from slack_bolt.context.async_context import AsyncBoltContext
from slack_sdk.errors import SlackApiError, SlackClientError, SlackTokenRotationError
from slack_sdk.oauth.installation_store import Bot, Installation
from slack_sdk.oauth.installation_store.async_installation_store import AsyncInstallationStore
from slack_sdk.oauth.state_store.async_state_store import AsyncOAuthStateStore
from slack_sdk.oauth.token_rotation.async_rotator import AsyncTokenRotator
from slack_sdk.web.async_client import AsyncWebClient

from bot.clients import NotInstalled
from bot.history import Book, History
from bot.rows import stamp
from bot.sealing import Seal, WrongKey

LOG = logging.getLogger("bot.installations")
STATE_LIVES_S: Final = 600
_REFRESH_BEFORE_MIN: Final = 120  # Slack's tokens that rotate live for twelve hours
# Slack's words for a token that will never work again.
_TAKEN_AWAY: Final = frozenset({"invalid_refresh_token", "token_revoked", "account_inactive", "invalid_auth"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Installed:
    """One installation, opened. `id` is a workspace's, or an organisation's (`is_org`); times are Unix seconds."""

    id: str
    is_org: bool
    name: str
    app: str
    bot_user: str
    bot_id: str
    scopes: tuple[str, ...]
    url: str
    installed_by: str
    installed_at: float
    token: str = field(repr=False)
    refresh_token: str | None = field(default=None, repr=False)
    expires_at: int | None = None

    @classmethod
    def of(cls, installation: Installation, url: str) -> Installed:
        """What bolt's flow has got from oauth.v2.access."""
        is_org = bool(installation.is_enterprise_install)
        return cls(
            id=str((installation.enterprise_id if is_org else installation.team_id) or ""),
            is_org=is_org,
            name=str((installation.enterprise_name if is_org else installation.team_name) or ""),
            app=installation.app_id or "",
            bot_user=installation.bot_user_id or "",
            bot_id=installation.bot_id or "",
            scopes=tuple(installation.bot_scopes or ()),
            url=url,
            installed_by=installation.user_id or "",
            installed_at=installation.installed_at,
            token=installation.bot_token or "",
            refresh_token=installation.bot_refresh_token,
            expires_at=installation.bot_token_expires_at,
        )

    def as_bot(self) -> Bot:
        return Bot(
            app_id=self.app,
            enterprise_id=self.id if self.is_org else None,
            team_id=None if self.is_org else self.id,
            bot_token=self.token,
            bot_id=self.bot_id,
            bot_user_id=self.bot_user,
            bot_scopes=self.scopes,
            bot_refresh_token=self.refresh_token,
            bot_token_expires_at=self.expires_at,
            is_enterprise_install=self.is_org,
            installed_at=self.installed_at,
        )


async def _nobody(_: str) -> None:
    return


class Installations(Book, AsyncInstallationStore):
    """Where installations are kept. `on_installed` is told each workspace that the bot comes (back) to."""

    def __init__(
        self,
        history: History,
        secret_key: str,
        *,
        client: AsyncWebClient,
        on_installed: Callable[[str], Awaitable[None]] = _nobody,
    ) -> None:
        super().__init__(history)
        self._on_installed = on_installed
        self._seal = Seal(secret_key)
        self._client = client  # carries no token of its own
        self._known: dict[str, Installed] = {}
        self._orgs: dict[str, str] = {}

    @property
    def logger(self) -> logging.Logger:
        return LOG

    # ── what bolt's flow calls ──────────────────────────────────────────────────

    async def async_save(self, installation: Installation) -> None:
        installed = Installed.of(installation, await self._address(installation.bot_token or ""))
        await self.keep(installed)
        for team in [installed.id, *(await self.members(installed.id) if installed.is_org else [])]:
            await self._on_installed(team)
        LOG.info("installed id=%s org=%s scopes=%s", installed.id, installed.is_org, ",".join(installed.scopes))

    async def async_delete_all(self, *, enterprise_id: str | None, team_id: str | None) -> None:
        await self.erase(team_id or enterprise_id or "")

    async def _address(self, token: str) -> str:
        """The workspace's own address, for links; empty when Slack does not say."""
        try:
            answer = await self._client.auth_test(token=token)
        except (SlackClientError, aiohttp.ClientError, TimeoutError, OSError) as error:
            LOG.warning("address of a workspace unknown error=%s", type(error).__name__)
            return ""
        return str(answer.get("url") or "")

    # ── keeping and finding ─────────────────────────────────────────────────────

    async def keep(self, installed: Installed) -> None:
        """Store *installed* with its tokens sealed; what was there of the same workspace gives way."""
        row = {
            "id": installed.id,
            "is_org": int(installed.is_org),
            "name": installed.name,
            "app": installed.app,
            "bot_user": installed.bot_user,
            "bot_id": installed.bot_id,
            "scopes": ",".join(installed.scopes),
            "url": installed.url,
            "sealed": self._sealed(installed),
            "expires_at": installed.expires_at,
            "installed_by": installed.installed_by,
            "installed_at": stamp(datetime.fromtimestamp(installed.installed_at, UTC)),
            "ended_at": None,
        }
        marks = ", ".join("?" * len(row))
        sql = f"insert or replace into installations ({', '.join(row)}) values ({marks})"  # noqa: S608 - our own names
        await self._write(self._db.execute, sql, tuple(row.values()))
        self._known[installed.id] = installed

    async def refresh(self, installed: Installed) -> None:
        """Store the new tokens of an installation that stands. Raises NotInstalled when it was taken away meanwhile."""
        sql = "update installations set sealed = ?, expires_at = ? where id = ? and sealed is not null returning id"
        sealed = self._sealed(installed)
        if not await self._write(self._rows, sql, sealed, installed.expires_at, installed.id):
            raise NotInstalled(installed.id)
        self._known[installed.id] = installed

    def _sealed(self, installed: Installed) -> bytes:
        tokens = json.dumps({"bot": installed.token, "refresh": installed.refresh_token}).encode()
        return self._seal.close(tokens, about=_about(installed.id))

    async def find(self, team: str, org: str | None = None) -> Installed:
        """The installation that speaks for *team*: its own, or that of its organisation. Raises NotInstalled."""
        if (own := await self._read(team)) is not None:
            return own
        if org and await self._read(org) is not None:
            await self._belongs(team, org)
        found = await self._read(await self._org_of(team))
        if found is None or not found.is_org:
            raise NotInstalled(team)
        return found

    async def _read(self, id: str) -> Installed | None:
        if id in self._known:
            return self._known[id]
        if not id:
            return None
        sql = "select * from installations where id = ? and sealed is not null"
        rows = await self._run(self._rows, sql, id)
        if not rows:
            return None
        try:
            self._known[id] = self._opened(rows[0])
        except WrongKey:
            LOG.error("the tokens of %s were sealed with another SECRET_KEY: it has to install the app again", id)
            return None
        return self._known[id]

    def _opened(self, row: dict[str, Any]) -> Installed:
        tokens = json.loads(self._seal.open(bytes(row["sealed"]), about=_about(row["id"])))
        return Installed(
            id=row["id"],
            is_org=bool(row["is_org"]),
            name=row["name"],
            app=row["app"],
            bot_user=row["bot_user"],
            bot_id=row["bot_id"],
            scopes=tuple(filter(None, row["scopes"].split(","))),
            url=row["url"],
            installed_by=row["installed_by"],
            installed_at=datetime.fromisoformat(row["installed_at"]).timestamp(),
            token=tokens["bot"],
            refresh_token=tokens["refresh"],
            expires_at=row["expires_at"],
        )

    async def _belongs(self, team: str, org: str) -> None:
        if self._orgs.get(team) == org:
            return
        sql = "insert or replace into org_workspaces (team, org) values (?, ?)"
        await self._write(self._db.execute, sql, (team, org))
        self._orgs[team] = org

    async def _org_of(self, team: str) -> str:
        if team not in self._orgs:
            sql = "select org from org_workspaces where team = ?"
            rows = await self._run(self._rows, sql, team)
            if not rows:
                return ""
            self._orgs[team] = str(rows[0]["org"])
        return self._orgs[team]

    async def erase(self, id: str, *, before: float | None = None) -> bool:
        """Forget the tokens of *id*; False when there are none, or when it was installed again after *before* (Unix
        seconds): such news is old."""
        sql = (
            "update installations set sealed = null, expires_at = null, ended_at = ?"
            " where id = ? and sealed is not null and installed_at < ? returning id"
        )
        # Slack tells the time of an event in whole seconds.
        latest = stamp(datetime.fromtimestamp(before + 1.0 if before is not None else time.time() + 60.0, UTC))
        erased = await self._write(self._rows, sql, stamp(datetime.now(UTC)), id, latest)
        if erased:
            self._known.pop(id, None)
            LOG.info("uninstalled id=%s tokens erased", id)
        return bool(erased)

    async def members(self, org: str) -> list[str]:
        """The workspaces that *org*'s installation has spoken for."""
        rows = await self._run(self._rows, "select team from org_workspaces where org = ?", org)
        return [str(row["team"]) for row in rows]


def _about(id: str) -> tuple[str, ...]:
    return ("installation", id, "tokens")


class States(Book, AsyncOAuthStateStore):
    """The states of installations under way: each is good once, for ten minutes."""

    @property
    def logger(self) -> logging.Logger:
        return LOG

    async def async_issue(self, *_: object, **__: object) -> str:
        state = secrets.token_urlsafe(32)
        now = time.time()

        def issued() -> None:
            self._db.execute("delete from oauth_states where expires_at < ?", (now,))
            self._db.execute("insert into oauth_states values (?, ?)", (_digest(state), now + STATE_LIVES_S))

        await self._write(issued)
        return state

    async def async_consume(self, state: str) -> bool:
        sql = "delete from oauth_states where digest = ? and expires_at >= ? returning digest"
        return bool(await self._write(self._rows, sql, _digest(state), time.time()))


def _digest(state: str) -> str:
    return hashlib.sha256(state.encode()).hexdigest()


class InstalledClients:
    """`bot.clients.Clients` of all installations. A token that is about to expire is refreshed before it is used."""

    def __init__(
        self, installations: Installations, *, client_id: str, client_secret: str, client: AsyncWebClient
    ) -> None:
        self._installations = installations
        self._client = client  # carries no token; its address, session and proxy are those of all
        self._rotator = AsyncTokenRotator(client_id=client_id, client_secret=client_secret, client=client)
        self._refreshing: dict[str, asyncio.Task[Installed]] = {}

    async def client(self, team: str) -> AsyncWebClient:
        """The client that holds *team*'s bot token. Raises NotInstalled."""
        return AsyncWebClient(
            token=(await self.installed(team)).token,
            base_url=self._client.base_url,
            session=self._client.session,
            proxy=self._client.proxy,
        )

    async def bot_user(self, team: str) -> str:
        """Who the bot is in *team*; empty when it is not installed there."""
        try:
            return (await self._installations.find(team)).bot_user
        except NotInstalled:
            return ""

    async def url(self, team: str) -> str:
        """The workspace's own address, for links; empty when nobody knows."""
        try:
            found = await self._installations.find(team)
        except NotInstalled:
            return ""
        return "" if found.is_org else found.url

    async def installed(self, team: str, org: str | None = None) -> Installed:
        """The installation that speaks for *team*, with a token that works. Raises NotInstalled, SlackApiError."""
        found = await self._installations.find(team, org)
        if not _is_to_be_refreshed(found):
            return found
        # A refresh token is good once. Of all who wait at a time one asks; and who loses patience does not break it
        # off: what Slack has given out by then would be lost, and with it the workspace.
        task = self._refreshing.get(found.id)
        if task is None:
            task = asyncio.create_task(self._refreshed(team, found), name=f"refresh {found.id}")
            self._refreshing[found.id] = task
            task.add_done_callback(lambda done: self._is_over(found.id, done))
        return await asyncio.shield(task)

    def _is_over(self, id: str, done: asyncio.Task[Installed]) -> None:
        self._refreshing.pop(id, None)
        if not done.cancelled():
            done.exception()  # whoever still waits is told; if nobody does, it is in the log already

    async def _refreshed(self, team: str, old: Installed) -> Installed:
        try:
            bot = await self._rotator.perform_bot_token_rotation(
                bot=old.as_bot(), minutes_before_expiration=_REFRESH_BEFORE_MIN
            )
        except SlackTokenRotationError as error:
            code = str(error.api_error.response.get("error"))
            LOG.error("token not refreshed id=%s error=%s", old.id, code)
            if code in _TAKEN_AWAY:
                raise NotInstalled(team) from None
            return self._while_it_lasts(old, error.api_error)
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            LOG.warning("token not refreshed id=%s error=%s", old.id, type(error).__name__)
            return self._while_it_lasts(old, error)
        if bot is None:
            return old
        fresh = replace(
            old, token=bot.bot_token, refresh_token=bot.bot_refresh_token, expires_at=bot.bot_token_expires_at
        )
        await self._installations.refresh(fresh)
        LOG.info("token refreshed id=%s", fresh.id)
        return fresh

    @staticmethod
    def _while_it_lasts(old: Installed, error: Exception) -> Installed:
        if old.expires_at is not None and old.expires_at <= time.time():
            raise error
        return old


def _is_to_be_refreshed(installed: Installed) -> bool:
    return (
        installed.refresh_token is not None
        and installed.expires_at is not None
        and installed.expires_at <= time.time() + _REFRESH_BEFORE_MIN * 60
    )


class ByInstallation(AsyncAuthorize):
    """Bolt's question, whose request this is, answered from the memory: no call of Slack stands before an
    acknowledgement but the refresh of a token."""

    def __init__(self, clients: InstalledClients) -> None:
        self._clients = clients

    async def __call__(
        self,
        *,
        context: AsyncBoltContext,
        enterprise_id: str | None,
        team_id: str | None,
        user_id: str | None,
        actor_enterprise_id: str | None = None,
        actor_team_id: str | None = None,
        actor_user_id: str | None = None,
    ) -> AuthorizeResult | None:
        try:
            found = await self._clients.installed(team_id or enterprise_id or "", enterprise_id)
        except NotInstalled as error:
            LOG.info("%s", error)
            return None
        except (SlackApiError, aiohttp.ClientError, TimeoutError, OSError):
            LOG.exception("no token that works team=%s", team_id)
            return None
        return AuthorizeResult(
            enterprise_id=enterprise_id,
            team_id=team_id,
            bot_user_id=found.bot_user,
            bot_id=found.bot_id,
            bot_token=found.token,
            bot_scopes=list(found.scopes),
            user_id=user_id,
        )
