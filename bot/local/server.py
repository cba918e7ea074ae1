"""The workspace on a port of this machine: routes, the page's files, uploads and downloads."""

import errno
import mimetypes
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from aiohttp import web

from bot.local import api_chat, api_rooms, api_views, client, functions, hooks, webapi
from bot.local.errors import ApiError, PortInUse
from bot.local.files import MAX_FILE_BYTES
from bot.local.security import Guard
from bot.local.workspace import Workspace

METHODS = {**api_chat.METHODS, **api_rooms.METHODS, **api_views.METHODS, **functions.METHODS}
PAGE = Path(__file__).parent / "page"
_LOOPBACK = ("127.0.0.1", "::1")
_MAX_UPLOAD = MAX_FILE_BYTES + 65_536
_LOGIN_PAGE = """<!DOCTYPE html><html lang="en"><head><title>Slack</title></head>
<body><h1>Sign in to your workspace</h1></body></html>
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Running:
    """A workspace that is being served; ``await close()`` ends it."""

    workspace: Workspace
    url: str
    _neighbours: tuple[Workspace, ...]
    _runner: web.AppRunner

    @property
    def api_url(self) -> str:
        """The base of the Web API, with the slash that slack_sdk needs."""
        return f"{self.url}/api/"

    @property
    def bot_token(self) -> str:
        """The app's bot token, new in every run."""
        return self.workspace.bot_token

    @property
    def app_token(self) -> str:
        """The app-level token for Socket Mode, new in every run."""
        return self.workspace.app_token

    @property
    def signing_secret(self) -> str:
        """What requests to the app are signed with in HTTP mode, new in every run."""
        return self.workspace.signing_secret

    async def close(self) -> None:
        """Stop serving and drop every connection."""
        for each in (self.workspace, *self._neighbours):
            await each.close()
        await self._runner.cleanup()


async def serve(
    workspace: Workspace,
    *,
    port: int,
    host: str = "127.0.0.1",
    page: Path = PAGE,
    neighbours: Sequence[Workspace] = (),
) -> Running:
    """Serve *workspace* on a loopback address; port 0 takes any free one. Raises PortInUse.

    *neighbours* are further workspaces behind the same Web API, as Slack has them: each call goes to the one whose
    token it carries, and one app with one signing secret is installed in all of them. The page shows the first.
    """
    for neighbour in neighbours:
        neighbour.installs = workspace.installs
        neighbour.signing_secret = neighbour.courier.signing_secret = workspace.signing_secret
    if host not in _LOOPBACK:
        raise ValueError(f"a local workspace is served on this machine only, not on {host}")
    guard = Guard()
    application = _application(workspace, guard, page, neighbours)
    runner = web.AppRunner(application, access_log=None, shutdown_timeout=1.0)
    await runner.setup()
    site = web.TCPSite(runner, host, port)
    try:
        await site.start()
    except OSError as error:
        await runner.cleanup()
        if error.errno == errno.EADDRINUSE:
            raise PortInUse(f"port {port} is in use by another program; set LOCAL_PORT to a free one") from error
        raise
    guard.port = int(runner.addresses[0][1])
    url = f"http://{'[::1]' if host == '::1' else host}:{guard.port}"
    for each in (workspace, *neighbours):
        each.base_url = each.files.base_url = url
    return Running(workspace=workspace, url=url, _neighbours=tuple(neighbours), _runner=runner)


def _application(
    workspace: Workspace, guard: Guard, page: Path, neighbours: Sequence[Workspace] = ()
) -> web.Application:
    everybody = (workspace, *neighbours)
    app = web.Application(middlewares=[guard.middleware()], client_max_size=webapi.MAX_BODY_BYTES)
    app.on_response_prepare.append(guard.dress)

    async def index(request: web.Request) -> web.StreamResponse:
        response = _page_file(page, "index.html")
        if response is None:
            response = web.Response(status=404, text="the page is not installed")
        response.set_cookie(guard.cookie, guard.session, httponly=True, samesite="Strict", path="/")
        return response

    async def page_file(request: web.Request) -> web.StreamResponse:
        return _page_file(page, request.match_info["path"]) or web.Response(status=404, text="no such file")

    async def api(request: web.Request) -> web.StreamResponse:
        token = request.headers.get("Authorization", "").partition(" ")[2].strip()
        whose = next((each for each in everybody if each.knows(token)), workspace)
        return await webapi.serve_method(whose, METHODS, request)

    async def authorize(request: web.Request) -> web.StreamResponse:
        return _authorized(everybody, request)

    async def link(request: web.Request) -> web.StreamResponse:
        return await workspace.socket_mode.accept(request)

    async def respond(request: web.Request) -> web.StreamResponse:
        whose = next((each for each in everybody if each.team.id == request.match_info["team"]), workspace)
        return await hooks.respond(whose, request)

    async def receive_upload(request: web.Request) -> web.StreamResponse:
        whose = next((each for each in everybody if each.files.expects(request.match_info["ticket"])), workspace)
        return await hooks.receive_upload(whose, request.clone(client_max_size=_MAX_UPLOAD))

    async def download(request: web.Request) -> web.StreamResponse:
        return _download(workspace, guard, request)

    async def page_socket(request: web.Request) -> web.StreamResponse:
        return await client.page_socket(workspace, request)

    async def upload(request: web.Request) -> web.StreamResponse:
        return await client.upload(workspace, request.clone(client_max_size=_MAX_UPLOAD))

    async def act(request: web.Request) -> web.StreamResponse:
        return await client.act(workspace, request)

    async def permalink(request: web.Request) -> web.StreamResponse:
        channel, link = request.match_info["channel"], request.match_info["link"]
        ts, thread_ts = f"{link[:-6]}.{link[-6:]}", request.query.get("thread_ts")
        raise web.HTTPFound("/#/" + "/".join(quote(part) for part in (channel, thread_ts, ts) if part))

    app.router.add_get("/", index)
    app.router.add_get("/archives/{channel}/p{link}", permalink)
    app.router.add_get("/page/{path:.+}", page_file)
    app.router.add_route("*", "/api/{method}", api)
    app.router.add_get("/oauth/v2/authorize", authorize)
    app.router.add_get("/link/", link)
    app.router.add_post("/hooks/{kind}/{team}/{secret}", respond)
    app.router.add_post("/upload/v1/{ticket}", receive_upload)
    app.router.add_get("/files/{id}/{name}", download)
    app.router.add_get("/client/ws", page_socket)
    app.router.add_post("/client/upload", upload)
    app.router.add_post("/client/{verb}", act)
    return app


def _authorized(everybody: Sequence[Workspace], request: web.Request) -> web.Response:
    """Slack's question whether the app may come in, answered with yes by the first person of the workspace ``team``."""
    team = request.query.get("team") or everybody[0].team.id
    whose = next((each for each in everybody if each.team.id == team), everybody[0])
    try:
        if request.query.get("client_id") != whose.installs.client_id:
            raise ApiError("invalid_client_id")
        raise web.HTTPFound(whose.installs.way_back(whose, whose.me, request.query.get("state", "")))
    except ApiError as error:
        return web.Response(status=400, text=f"Something went wrong: {error.code}")


def _page_file(page: Path, path: str) -> web.Response | None:
    """A file of the page; ``None`` for what is not one, wherever ``..`` or a link may point."""
    root = page.resolve()
    if "\0" in path:
        return None
    file = (root / path).resolve()
    if not file.is_relative_to(root) or not file.is_file():
        return None
    kind = mimetypes.guess_type(file.name)[0] or "application/octet-stream"
    kind = "text/javascript" if file.suffix in {".js", ".mjs"} else kind
    is_text = kind.startswith("text/") or kind == "image/svg+xml"
    headers = {"Content-Type": f"{kind}; charset=utf-8" if is_text else kind, "Cache-Control": "no-cache"}
    return web.Response(body=file.read_bytes(), headers=headers)


def _download(workspace: Workspace, guard: Guard, request: web.Request) -> web.Response:
    """A file, for the app's token with files:read or for our page; everybody else gets a login page, status 200."""
    token = request.headers.get("Authorization", "").removeprefix("Bearer ").strip()
    is_app = token == workspace.bot_token and workspace.is_installed and "files:read" in workspace.team.app.scopes
    is_page = guard.has_session(request) and request.headers.get("Sec-Fetch-Site", "none") in {"same-origin", "none"}
    if not is_app and not is_page:
        return web.Response(text=_LOGIN_PAGE, content_type="text/html")
    try:
        file = workspace.files.file(request.match_info["id"])
    except ApiError:
        return web.Response(status=404, text="file_not_found")
    if file.content is None:
        return web.Response(status=404, text="file_not_found")
    headers = {
        "Content-Type": file.mimetype,
        "Content-Disposition": f"attachment; filename*=UTF-8''{quote(file.name, safe='')}",
        # Whatever was uploaded runs nowhere, not even when it is opened in a tab of its own.
        "Content-Security-Policy": "default-src 'none'; sandbox",
    }
    return web.Response(body=file.content, headers=headers)
