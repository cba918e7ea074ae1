"""Third matrix, mode 0: boxes on the path that mind sizes, delays and origins, and their healthy neighbours."""

from __future__ import annotations

import asyncio

from tests.endpoints import faults
from tests.endpoints.bench import Bench, Vhost
from tests.endpoints.cases import HURT, WARNING, Case, Proof, Register
from tests.endpoints.faults import Handler
from tests.endpoints.third_serving import DAY, Build, at, chain_of

VALID = r"Verify return code: 0 \(ok\)"
NOT_TLS = "wrong version number|packet length too long|unexpected message|http request"
GAVE_UP = "the tool gave up"
SMALL = ("-groups", "P-256")


def behind(bench: Bench, case: Case, **leaf: object) -> tuple[str, int]:
    return bench.nginx(Vhost(names=(case.host,), chains=(chain_of(bench, case, **leaf),)))


def before(box: object, **leaf: object) -> Build:
    """A box in front of a healthy nginx; `box` makes its handler from nginx's place."""
    return lambda bench, case: at(bench.raw(box(*behind(bench, case, **leaf))))  # type: ignore[operator]


def late_hello(seconds: float) -> object:
    """The hello is taken, and passed on after so long: each handshake's first byte is late."""

    def box(address: str, port: int) -> Handler:
        async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            hello = await faults.client_hello(reader)
            await asyncio.sleep(seconds)
            await faults._relayed(address, port, hello, reader, writer)

        return handler

    return box


def late_sometimes(seconds: float, every: int) -> object:
    """Only each `every`-th connection is late, as behind a box that collects its garbage."""

    def box(address: str, port: int) -> Handler:
        count = 0

        async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            nonlocal count
            count += 1
            late = count % every == 0
            hello = await faults.client_hello(reader)
            await asyncio.sleep(seconds if late else 0)
            await faults._relayed(address, port, hello, reader, writer)

        return handler

    return box


def bounds(limit: int, how: str) -> object:
    return lambda address, port: faults.bounds_hello(address, port, limit=limit, how=how)


def stalls(after: int) -> object:
    return lambda address, port: faults.forwards(address, port, stall_after=after)


def one_segment_or_silence(address: str, port: int) -> Handler:
    """A box that reads once, and drops the connection's bytes when the hello is not whole in them."""

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        first = await reader.read(1400)
        if len(first) < 5 or len(first) < 5 + int.from_bytes(first[3:5], "big"):
            await faults.is_silent(reader, writer)
        else:
            await faults._relayed(address, port, first, reader, writer)

    return handler


def raw(handler: Handler) -> Build:
    return lambda bench, case: at(bench.raw(handler))


def register(to: Register) -> None:
    def add(name: str, build: Build, code: str, **more: object) -> None:
        to.add(f"reach/third-{name}", str(more.pop("server", "nginx")), build, code, **more)  # type: ignore[arg-type]

    for seconds in (1.6, 2.0):
        add(f"first-byte-after-{seconds}-s", before(late_hello(seconds)), "reach.slow", status=WARNING, proof=VALID,
            waits=True)  # fmt: skip
    add("first-byte-never-in-time", before(late_hello(6.0)), "reach.stalled", proof=GAVE_UP, silent=True)
    pages = {
        "407-proxy": b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n",
        "503-page": b"HTTP/1.0 503 Service Unavailable\r\nContent-Type: text/html\r\n\r\n<html>no server</html>",
        "302-portal": b"HTTP/1.1 302 Found\r\nLocation: http://portal.test/\r\nContent-Length: 0\r\n\r\n",
        "bare-html": b"<html><body>Blocked by policy</body></html>",
    }
    for name, page in pages.items():
        add(name, raw(faults.replies(page)), "reach.not-tls", server="none", proof=NOT_TLS)
    for name, banner in {
        "ftp": b"220 (vsFTPd 3.0.3)\r\n",
        "redis": b"-ERR unknown command\r\n",
        "mysql": b"\x4a\0\0\0\x0a8.0.36\0",
    }.items():
        add(f"greets-as-{name}", raw(faults.greets(banner)), "reach.not-tls", server="none", proof=NOT_TLS)
    small = Proof(want=VALID, args=SMALL)
    for how in ("silence", "reset", "close"):
        add(f"large-hello-{how}", before(bounds(900, how)), "reach.large-hello", status=HURT, proof=small,
            waits=how == "silence")  # fmt: skip
    add("split-hello-dropped", before(one_segment_or_silence), "reach.large-hello", status=HURT, proof=small,
        waits=True)  # fmt: skip
    for name, after in {"server-hello": 130, "certificate": 900}.items():
        add(f"stops-after-{name}", before(stalls(after)), "reach.stalled", proof=GAVE_UP, silent=True)
    to.add("validity/third-lapsed-behind-a-slow-box", "nginx", before(late_hello(1.6), until=-2 * DAY),
        "validity.expired", proof="code: 10", waits=True)  # fmt: skip

    def fine(name: str, build: Build, **more: object) -> None:
        to.add(f"healthy/third-{name}", "nginx", build, **more)  # type: ignore[arg-type]

    fine("first-byte-after-0.3-s", before(late_hello(0.3)), waits=True)
    fine("first-byte-after-0.6-s", before(late_hello(0.6)), waits=True)
    fine("first-byte-late-once-in-five", before(late_sometimes(1.3, 5)), waits=True)
    fine("a-box-that-bounds-at-8000", before(bounds(8000, "reset")))
