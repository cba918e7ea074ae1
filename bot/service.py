"""The running bot: memory, outbox, app and connection, opened in order and closed in reverse."""

from __future__ import annotations

import asyncio
import logging
import re
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import aiohttp
from aiohttp import web
from slack_bolt.adapter.aiohttp import to_aiohttp_response, to_bolt_request
from slack_bolt.adapter.socket_mode.aiohttp import AsyncSocketModeHandler
from slack_bolt.async_app import AsyncApp, AsyncBoltRequest
from slack_bolt.oauth.async_oauth_flow import AsyncOAuthFlow
from slack_bolt.response import BoltResponse
from slack_sdk.web.async_client import AsyncWebClient

from bot.admins import Admins
from bot.app import Authorize, always, authorized, build_app
from bot.clients import Clients, OneClient
from bot.config import HttpMode, ManyWorkspaces, SocketMode
from bot.ct_book import CtBook
from bot.ct_desk import CtDesk
from bot.ct_reader import CtSource
from bot.ct_watch import CtWatch
from bot.departures import Departures
from bot.digest_book import DigestBook
from bot.digest_sources import of_drift, of_issuances, of_lineages
from bot.digesting import Digesting
from bot.drawing import Drawing
from bot.history import History
from bot.home import Home
from bot.identities import Identities
from bot.installations import ByInstallation, Installations, InstalledClients, States
from bot.lineage_book import LineageBook
from bot.listeners.gate import MOST_A_MINUTE, Gate
from bot.looks import Looker
from bot.messages import Messages
from bot.notify import Outbox
from bot.places import Places
from bot.renewals import Renewals
from bot.rooms import Rooms
from bot.store import InUse
from bot.supervisor import Supervisor
from bot.watchlist import Watchlist
from bot.work import Checker, Work
from probes.net.ari import RenewalInformation

LOG = logging.getLogger("bot.service")
CONNECTIONS = 2  # while Slack refreshes one, the other is there
EVENTS_PATH = "/slack/events"
DRAIN_S = 4.0  # most checks end sooner; what is cut off begins anew at the next start
_LAST_WORDS_S = 2.0
KEPT = timedelta(days=90)  # requests, sent messages and the audit; checks and their reports stay
_DAY_S = 86_400.0
_AGAIN_S = 1.0
_PAGE_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; img-src data:; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
}


@asynccontextmanager
async def serving(
    connection: SocketMode | HttpMode | ManyWorkspaces,
    *,
    database: Path,
    checker: Checker,
    allowed_channels: frozenset[str] = frozenset(),
    most_a_minute: int = MOST_A_MINUTE,
    secret_key: str | None = None,
    admin_usergroups: frozenset[str] = frozenset(),
    look: Looker | None = None,
    renewal_information: RenewalInformation | None = None,
    anchored: Callable[[], frozenset[str]] = frozenset,
    ct: CtSource | None = None,
) -> AsyncIterator[Outbox]:
    """The bot, connected, until the block is left; then it stops listening, finishes what runs, and says it."""
    history = await opened(database)
    try:
        async with aiohttp.ClientSession() as session:
            # The app's own client carries no token: `authorize` gives it to each request.
            bare = AsyncWebClient(base_url=connection.api_url, session=session)
            places = await Places.known(history)
            seat = await _seat(connection, history=history, places=places, bare=bare, secret_key=secret_key)
            clients = seat.clients
            outbox = Outbox(history=history, clients=clients)
            supervisor = Supervisor()
            admins = Admins(clients, admin_usergroups)
            rooms = Rooms(clients)
            drawing = Drawing()
            ct_book = CtBook(history, is_open=places.is_open)
            ct_watch = CtWatch(book=ct_book, outbox=outbox, rooms=rooms, source=ct)
            book = DigestBook(history)
            watchlist = Watchlist(history)
            lineages = LineageBook(history, watchlist, newer_of=ct_book.newer_of, anchored=anchored)
            digests = Digesting(
                book=book,
                history=history,
                watchlist=watchlist,
                outbox=outbox,
                clients=clients,
                admins=admins,
                places=places,
                drawing=drawing,
                sources=(of_lineages(lineages), of_issuances(ct_book), of_drift(book)),
            )
            renewals = Renewals(book=lineages, outbox=outbox, ari=renewal_information, admins=admins)
            work = Work(
                history=history,
                outbox=outbox,
                rooms=rooms,
                supervisor=supervisor,
                checker=checker,
                identities=Identities(history=history, secret_key=secret_key, admins=admins),
                messages=Messages(clients),
                clients=clients,
                admins=admins,
                digests=digests,
                ct=CtDesk(history=history, book=ct_book, watch=ct_watch, outbox=outbox, admins=admins),
                look=look,
                news_of=lineages.news_of,
            )
            work.also(renewals.acts())
            work.response.headline_of = ct_book.headline_of
            places.on_change = work.watching.reload
            home = Home(
                history=history,
                outbox=outbox,
                clients=clients,
                rooms=rooms,
                places=places,
                link=work.response.link,
                is_member=admins.people.is_member,
            )
            work.also(home.acts())
            gate = Gate(
                history=history,
                work=work,
                outbox=outbox,
                allowed_channels=allowed_channels,
                most_a_minute=most_a_minute,
            )
            app = build_app(
                client=bare,
                authorize=seat.authorize,
                gate=gate,
                places=places,
                people=admins.people,
                departures=Departures(history=history, places=places, installations=seat.installations),
                signing_secret="" if isinstance(connection, SocketMode) else connection.signing_secret,
                oauth_flow=seat.oauth_flow,
            )
            parts: dict[str, Callable[[], Awaitable[None]]] = {
                "outbox": outbox.run,
                "forgetting": partial(_forgetting, history),
                "keep watch": work.vigils.run,
                "watching": work.watching.run,
                "renewals": renewals.run,
                "ct": ct_watch.run,
                "homes": home.run,
                "digests": digests.run,
                "workflow steps": work.steps.run,
            }
            beside = [asyncio.create_task(kept_up(name, run), name=name) for name, run in parts.items()]
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


@dataclass(frozen=True, slots=True, kw_only=True)
class _Seat:
    """How the bot speaks for its workspaces, one or many."""

    clients: Clients
    authorize: Authorize
    installations: Installations | None = None
    oauth_flow: AsyncOAuthFlow | None = None


async def _seat(
    connection: SocketMode | HttpMode | ManyWorkspaces,
    *,
    history: History,
    places: Places,
    bare: AsyncWebClient,
    secret_key: str | None,
) -> _Seat:
    """One workspace is asked who the bot is there; many are known as they install it. Raises SlackClientError."""
    if isinstance(connection, ManyWorkspaces):
        assert secret_key is not None  # `bot.config` insists
        return _many(connection, history=history, places=places, bare=bare, secret_key=secret_key)
    client = AsyncWebClient(token=connection.bot_token, base_url=connection.api_url, session=bare.session)
    identity = await authorized(client)
    LOG.info("serving team=%s bot_user=%s", identity.team_id, identity.bot_user_id)
    await places.come_back(identity.team_id or "")
    clients = OneClient(client, bot_user=identity.bot_user_id or "", url=identity.get("url") or "")
    return _Seat(clients=clients, authorize=always(identity))


def _many(
    connection: ManyWorkspaces, *, history: History, places: Places, bare: AsyncWebClient, secret_key: str
) -> _Seat:
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
    return _Seat(clients=clients, authorize=ByInstallation(clients), installations=installations, oauth_flow=flow)


async def kept_up(name: str, run: Callable[[], Awaitable[None]]) -> None:
    """*run* until it is over or cancelled. Nobody waits for the bot's parts: one that a fault ended (ours, or the
    disk's) begins again, for nothing else would notice that no message is sent any more."""
    while True:
        try:
            return await run()
        except Exception:
            LOG.exception("part=%s ended by a fault; it begins again", name)
        await asyncio.sleep(_AGAIN_S)


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
async def connected(app: AsyncApp, connection: SocketMode | HttpMode | ManyWorkspaces) -> AsyncIterator[None]:
    """Slack's requests reach *app* while the block runs."""
    match connection:
        case SocketMode(app_token=app_token):
            async with _sockets(app, app_token):
                yield
        case HttpMode(port=port) | ManyWorkspaces(port=port):
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
    """`POST /slack/events` with signature checks, `GET /healthz`, and where many workspaces may install the app,
    `GET /slack/install` and where Slack sends the browser back to."""

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
    if app.oauth_flow is not None:
        _add_pages(application, app.oauth_flow)
    return application


def _add_pages(application: web.Application, flow: AsyncOAuthFlow) -> None:
    async def page(
        request: web.Request, handler: Callable[[AsyncBoltRequest], Awaitable[BoltResponse]]
    ) -> web.Response:
        response = await to_aiohttp_response(await handler(await to_bolt_request(request)))
        # A code that Slack sent along is not to travel on, and nobody frames the button.
        response.headers.update(_PAGE_HEADERS)
        return response

    async def install(request: web.Request) -> web.Response:
        return await page(request, flow.handle_installation)

    async def sent_back(request: web.Request) -> web.Response:
        return await page(request, flow.handle_callback)

    application.router.add_get(flow.install_path, install)
    application.router.add_get(flow.redirect_uri_path, sent_back)
