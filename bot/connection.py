"""How Slack's requests reach the app: Socket Mode, or HTTP with the pages that install it."""

from __future__ import annotations

import logging
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from aiohttp import web
from slack_bolt.adapter.aiohttp import to_aiohttp_response, to_bolt_request
from slack_bolt.adapter.socket_mode.aiohttp import AsyncSocketModeHandler
from slack_bolt.async_app import AsyncApp, AsyncBoltRequest
from slack_bolt.oauth.async_oauth_flow import AsyncOAuthFlow
from slack_bolt.response import BoltResponse

from bot.config import HttpMode, ManyWorkspaces, SocketMode

LOG = logging.getLogger("bot.connection")
CONNECTIONS = 2  # while Slack refreshes one, the other is there
EVENTS_PATH = "/slack/events"
_PAGE_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; img-src data:; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
}


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
