"""An ACME server on loopback that offers renewal information, over TLS with a root of its own."""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from probes.net.ari import RenewalInformation
from tests import pki

CA = "Test CA"


@dataclass
class Authority:
    """An ACME server that offers renewal information; a test changes what it answers, by path."""

    answers: dict[str, tuple[int, dict[str, str], bytes]] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    port: int = 0

    @property
    def base(self) -> str:
        return f"https://acme.test:{self.port}"

    def offers(self) -> None:
        directory = json.dumps({"newOrder": f"{self.base}/order", "renewalInfo": f"{self.base}/renewal-info/"})
        self.answers["/directory"] = (200, {}, directory.encode())

    async def connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            path = head.split(b" ")[1].decode()
            self.asked.append(path)
            assert f"Host: acme.test:{self.port}".encode() in head
            status, headers, body = self.answers.get(path, (404, {}, b""))
            lines = [f"HTTP/1.1 {status} X", f"Content-Length: {len(body)}", "Connection: close"]
            lines += [f"{name}: {value}" for name, value in headers.items()]
            writer.write("\r\n".join([*lines, "", ""]).encode() + body)
            await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()


@asynccontextmanager
async def running(place: Path) -> AsyncIterator[tuple[Authority, ssl.SSLContext]]:
    """The server, and a context that trusts it; its files are in *place*."""
    root = pki.authority("ACME Root")
    served = pki.leaf(root, names=("acme.test",))
    (place / "chain.pem").write_text(served.pem)
    (place / "key.pem").write_text(served.key_pem)
    (place / "root.pem").write_text(root.pem)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(place / "chain.pem", place / "key.pem")
    made = Authority()
    server = await asyncio.start_server(made.connection, "127.0.0.1", 0, ssl=context)
    made.port = server.sockets[0].getsockname()[1]
    made.offers()
    try:
        yield made, ssl.create_default_context(cafile=str(place / "root.pem"))
    finally:
        server.close()
        await server.wait_closed()


def asking(
    authority: Authority, context: ssl.SSLContext, permit: Callable[[str, int], str | None] | None = None
) -> RenewalInformation:
    return RenewalInformation(
        permit=permit,
        directories={CA: f"{authority.base}/directory"},
        context=context,
        overrides={("acme.test", authority.port): ("127.0.0.1",)},
    )
