"""Who may speak to the server: the Host and Origin of every request, and the headers of every answer.

The server listens on the loopback interface only. What remains are other web pages in the same browser: they are kept
out by Host (DNS rebinding), by Origin and Sec-Fetch-Site (cross-site requests), and by answering without CORS headers.
"""

import secrets
from urllib.parse import urlsplit

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

_NAMES = ("127.0.0.1", "localhost", "[::1]")


class Guard:
    """The checks for one port."""

    def __init__(self) -> None:
        self.session = secrets.token_urlsafe(24)
        self.port = 0

    @property
    def cookie(self) -> str:
        """Cookies are shared by all ports of a host, so the name carries ours."""
        return f"workspace_{self.port}"

    def policy(self) -> str:
        """The Content-Security-Policy of the page."""
        # A policy has no syntax for IPv6 addresses; there 'self' must do, which covers websockets in current browsers.
        sockets = " ".join(f"ws://{name}:{self.port}" for name in _NAMES if not name.startswith("["))
        return (
            f"default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; font-src 'self'; "
            f"connect-src 'self' {sockets}; form-action 'none'; base-uri 'none'; frame-ancestors 'none'"
        )

    def has_known_host(self, request: web.Request) -> bool:
        """Whether the request was meant for this server, by a name that nobody else's DNS can give out."""
        return request.headers.get("Host", "") in {f"{name}:{self.port}" for name in _NAMES}

    def is_same_origin(self, request: web.Request) -> bool:
        """Whether no other web page made this request. Programs send neither header; browsers cannot leave them out."""
        origin = request.headers.get("Origin")
        if origin is not None:
            parts = urlsplit(origin)
            if parts.scheme != "http" or parts.netloc != request.headers.get("Host"):
                return False
        return request.headers.get("Sec-Fetch-Site", "same-origin") == "same-origin"

    def has_session(self, request: web.Request) -> bool:
        """Whether the request carries the cookie that our page was given."""
        given = request.cookies.get(self.cookie, "")
        return secrets.compare_digest(given.encode(), self.session.encode())

    def middleware(self) -> Middleware:
        """The middleware that refuses strangers and dresses every answer."""

        @web.middleware
        async def guard(request: web.Request, handler: Handler) -> web.StreamResponse:
            if not self.has_known_host(request):
                return web.json_response({"ok": False, "error": "unknown host"}, status=421)
            if request.path.startswith("/client/") and not self.is_same_origin(request):
                return web.json_response({"ok": False, "error": "cross-site request"}, status=403)
            return await handler(request)

        return guard

    async def dress(self, request: web.Request, response: web.StreamResponse) -> None:
        """Security headers for every answer, errors included (an on_response_prepare signal)."""
        response.headers.setdefault("Content-Security-Policy", self.policy())
        response.headers["X-Content-Type-Options"] = "nosniff"
        response.headers["Referrer-Policy"] = "no-referrer"
        response.headers["Cross-Origin-Resource-Policy"] = "same-origin"
        response.headers["Cross-Origin-Opener-Policy"] = "same-origin"
        response.headers["X-Frame-Options"] = "DENY"
        response.headers.setdefault("Cache-Control", "no-store")
