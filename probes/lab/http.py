"""Just enough HTTP/1.1 to answer a GET or a HEAD once, with a Date that a clock can be compared with."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import format_datetime

from probes.values import value

_LIMIT = 16_384


@value
class Request:
    method: str  # "" when the bytes are no HTTP request
    path: str


class Requests:
    """Bytes in, one request out when its header section is complete (RFC 9112 section 2.1)."""

    def __init__(self) -> None:
        self._received = b""

    def receive(self, data: bytes) -> Request | None:
        self._received += data
        line, found, _ = self._received.partition(b"\r\n")
        if not _could_be_http(line, complete=bool(found)) or len(self._received) > _LIMIT:
            return Request(method="", path="")
        if b"\r\n\r\n" not in self._received:
            return None
        method, path, _ = line.decode("ascii").split(" ", 2)
        return Request(method=method, path=path)


def _could_be_http(line: bytes, *, complete: bool) -> bool:
    if not line.isascii() or any(byte < 0x20 for byte in line.rstrip(b"\r")):
        return False
    return not complete or (line.count(b" ") == 2 and b" HTTP/1." in line)


def response(
    request: Request,
    *,
    now: datetime,
    files: Mapping[str, tuple[str, bytes]] | None = None,
    status: str | None = None,
    greeting: str = "lab",
) -> bytes:
    """The whole answer; the connection closes after it. Without *files* every path has *greeting*, with *status*."""
    usual, kind, body = _content(request, files, greeting)
    status = status or usual
    head = (
        f"HTTP/1.1 {status}\r\nDate: {http_date(now)}\r\nServer: clienthello-lab\r\n"
        f"Content-Type: {kind}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    ).encode("ascii")
    return head if request.method == "HEAD" else head + body


def http_date(now: datetime) -> str:
    """IMF-fixdate (RFC 9110 section 5.6.7)."""
    return format_datetime(now.astimezone(UTC), usegmt=True)


def _content(request: Request, files: Mapping[str, tuple[str, bytes]] | None, greeting: str) -> tuple[str, str, bytes]:
    if not request.method:
        return "400 Bad Request", "text/plain", b"This port speaks HTTP, not TLS.\n"
    if request.method not in ("GET", "HEAD"):
        return "405 Method Not Allowed", "text/plain", b"GET and HEAD only.\n"
    if files is None:
        return "200 OK", "text/plain", f"{greeting}\n".encode()
    if request.path not in files:
        return "404 Not Found", "text/plain", b"Not here.\n"
    kind, body = files[request.path]
    return "200 OK", kind, body
