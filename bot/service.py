"""The running bot: memory, outbox, app and connection, opened in order and closed in reverse."""

from __future__ import annotations

import asyncio
import logging
import re
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import aiohttp
from aiohttp import web
from slack_bolt.adapter.aiohttp import to_aiohttp_response, to_bolt_request
from slack_bolt.adapter.socket_mode.aiohttp import AsyncSocketModeHandler
from slack_bolt.async_app import AsyncApp
from slack_sdk.web.async_client import AsyncWebClient

from bot.admins import Admins
from bot.app import authorized, build_app
from bot.clients import OneClient
from bot.config import HttpMode, SocketMode
from bot.history import History
from bot.identities import Identities
from bot.listeners.gate import MOST_A_MINUTE, Gate
from bot.messages import Messages
from bot.notify import Outbox
from bot.rooms import Rooms
from bot.store import InUse
from bot.supervisor import Supervisor
from bot.work import Checker, Work

LOG = logging.getLogger("bot.service")
CONNECTIONS = 2  # while Slack refreshes one, the other is there
EVENTS_PATH = "/slack/events"
DRAIN_S = 4.0  # most checks end sooner; what is cut off begins anew at the next start
_LAST_WORDS_S = 2.0
KEPT = timedelta(days=90)  # requests, sent messages and the audit; checks and their reports stay
_DAY_S = 86_400.0


@asynccontextmanager
async def serving(
    connection: SocketMode | HttpMode,
    *,
    database: Path,
    checker: Checker,
    allowed_channels: frozenset[str] = frozenset(),
    most_a_minute: int = MOST_A_MINUTE,
    secret_key: str | None = None,
    admin_usergroups: frozenset[str] = frozenset(),
) -> AsyncIterator[Outbox]:
    """The bot, connected, until the block is left; then it stops listening, finishes what runs, and says it."""
    history = await opened(database)
    try:
        async with aiohttp.ClientSession() as session:
            client = AsyncWebClient(token=connection.bot_token, base_url=connection.api_url, session=session)
            identity = await authorized(client)
            clients = OneClient(client, bot_user=identity.bot_user_id or "")
            outbox = Outbox(history=history, clients=clients)
            supervisor = Supervisor()
            work = Work(
                history=history,
                outbox=outbox,
                rooms=Rooms(clients),
                supervisor=supervisor,
                checker=checker,
                identities=Identities(history=history, secret_key=secret_key, admins=Admins(clients, admin_usergroups)),
                messages=Messages(clients),
                url=identity.get("url") or "",
            )
            gate = Gate(
                history=history,
                work=work,
                outbox=outbox,
                allowed_channels=allowed_channels,
                most_a_minute=most_a_minute,
            )
            secret = connection.signing_secret if isinstance(connection, HttpMode) else ""
            # The app's own client carries no token: `authorize` gives it to each request.
            bare = AsyncWebClient(base_url=connection.api_url, session=session)
            app = build_app(client=bare, identity=identity, gate=gate, signing_secret=secret)
            LOG.info("serving team=%s bot_user=%s", identity.team_id, identity.bot_user_id)
            beside = (
                asyncio.create_task(outbox.run(), name="outbox"),
                asyncio.create_task(_forgetting(history), name="forgetting"),
                asyncio.create_task(work.vigils.run(), name="keep watch"),
            )
            try:
                await work.recover()
                async with connected(app, connection):
                    yield outbox
                await supervisor.drain(DRAIN_S)
                await _said(outbox)
            finally:
                await supervisor.drain(0)
                for task in beside:
                    task.cancel()
                await asyncio.gather(*beside, return_exceptions=True)
    finally:
        await history.close()


async def _forgetting(history: History) -> None:
    """Once at the start and then daily, what is old is forgotten."""
    while True:
        try:
            forgotten = await history.prune(datetime.now(UTC) - KEPT)
            LOG.info("forgotten rows=%s older_than_days=%s", forgotten, KEPT.days)
        except sqlite3.Error:
            LOG.exception("forgetting failed; it is tried again in a day")
        await asyncio.sleep(_DAY_S)


async def opened(database: Path) -> History:
    """The memory; waits for another bot process that still holds it."""
    told = False
    while True:
        try:
            return await History.open(database)
        except InUse as error:
            if not told:
                LOG.warning(
                    "%s: waiting for that one to end, as during a deploy. If it is not meant to end, stop this one or "
                    "give it a database of its own (DATABASE_PATH)",
                    error,
                )
            told = True
            await asyncio.sleep(0.5)


async def _said(outbox: Outbox) -> None:
    try:
        await asyncio.wait_for(outbox.settled(), _LAST_WORDS_S)
    except TimeoutError:
        LOG.info("unsent messages remain; they are sent at the next start")


@asynccontextmanager
async def connected(app: AsyncApp, connection: SocketMode | HttpMode) -> AsyncIterator[None]:
    """Slack's requests reach *app* while the block runs."""
    match connection:
        case SocketMode(app_token=app_token):
            async with _sockets(app, app_token):
                yield
        case HttpMode(port=port):
            async with _listening(app, port):
                yield


@asynccontextmanager
async def _sockets(app: AsyncApp, app_token: str) -> AsyncIterator[None]:
    # The handlers make sessions and tasks in their constructors: they must be built inside the running loop.
    handlers = [AsyncSocketModeHandler(app, app_token) for _ in range(CONNECTIONS)]
    try:
        for handler in handlers:
            await handler.connect_async()  # type: ignore[no-untyped-call]
        yield
    finally:
        for handler in handlers:
            await handler.close_async()  # type: ignore[no-untyped-call]


@asynccontextmanager
async def _listening(app: AsyncApp, port: int) -> AsyncIterator[None]:
    runner = web.AppRunner(http_application(app), access_log=None, shutdown_timeout=3.0)
    await runner.setup()
    try:
        await web.TCPSite(runner, port=port).start()
        LOG.info("listening port=%s path=%s", port, EVENTS_PATH)
        yield
    finally:
        await runner.cleanup()


def http_application(app: AsyncApp) -> web.Application:
    """`POST /slack/events` with signature checks, and `GET /healthz`."""

    async def events(request: web.Request) -> web.Response:
        # slack_sdk's verifier raises on a timestamp that is no number, which would answer 500.
        if not re.fullmatch(r"[0-9]{1,12}", request.headers.get("X-Slack-Request-Timestamp", "0")):
            return web.Response(status=401, text="invalid request")
        return await to_aiohttp_response(await app.async_dispatch(await to_bolt_request(request)))

    async def healthy(_: web.Request) -> web.Response:
        return web.Response(text="ok")

    application = web.Application(client_max_size=4 * 1024 * 1024)
    application.router.add_post(EVENTS_PATH, events)
    application.router.add_get("/healthz", healthy)
    return application
