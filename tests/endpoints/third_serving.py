"""What the third matrix is built from: client identities, ticket keys, TLS by the standard library on the loop."""

from __future__ import annotations

import asyncio
import os
import ssl
from collections.abc import Callable, Sequence
from datetime import timedelta
from functools import cache

from tests.endpoints.authority import CLIENT_AUTH, NOW, SERVER_AUTH, Party, authority, bundle, issue, key
from tests.endpoints.bench import Bench, Vhost
from tests.endpoints.cases import Case, Place
from tests.endpoints.faults import Handler
from tests.endpoints.second_serving import At, Build, at

DAY = timedelta(days=1)
HOUR = timedelta(hours=1)
OK_200 = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nfine\n"
Face = Callable[[Bench, Case, Sequence[Party], At], object]
__all__ = ["DAY", "HOUR", "NOW", "At", "Build", "Face", "at"]


def chain_of(bench: Bench, case: Case, **changed: object) -> tuple[Party, ...]:
    return (bench.hierarchy.leaf(case.host, **changed), bench.hierarchy.intermediate)  # type: ignore[arg-type]


# ── identities ──


class Identities:
    """The authority that servers of the matrix trust for clients, and certificates that differ in one thing."""

    def __init__(self) -> None:
        self.root = authority("Third Clients Root", under=key("rsa2048", "third-clients"))
        self.issuing = authority("Third Clients Issuing", by=self.root, under=key("rsa2048", "third-issuing"))
        self.stranger = authority("Third Stranger Root")
        self.stranger_issuing = authority("Third Stranger Issuing", by=self.stranger)
        self.kinds: dict[str, tuple[Party, ...]] = {
            "good": (self._one(), self.issuing),
            "good-rsa": (self._one(kind="rsa2048"), self.issuing),
            "good-both-uses": (self._one(usages=(SERVER_AUTH, CLIENT_AUTH)), self.issuing),
            "good-no-usage": (self._one(usages=None), self.issuing),
            "wrong-ca": (self._one(by=self.stranger_issuing), self.stranger_issuing),
            "self-signed": (issue("client", under=key("p256", "third-self"), usages=(CLIENT_AUTH,)),),
            "alone": (self._one(),),
            "expired": (self._one(since=-90 * DAY, until=-2 * DAY), self.issuing),
            "future": (self._one(since=2 * DAY, until=90 * DAY), self.issuing),
            "server-only": (self._one(usages=(SERVER_AUTH,)), self.issuing),
            "revoked": (self._one(), self.issuing),
        }

    def _one(self, *, by: Party | None = None, kind: str = "p256", **changed: object) -> Party:
        changed.setdefault("usages", (CLIENT_AUTH,))
        return issue("client", by=by or self.issuing, under=key(kind, "third-client"), **changed)  # type: ignore[arg-type]


@cache
def identities() -> Identities:
    return Identities()


# ── ticket keys ──


def ticket_key(bench: Bench, name: str) -> str:
    """A file of 48 random bytes, the same one for the same name: OpenSSL's ticket key as nginx and apache read it."""
    path = bench.directory / f"ticket-{name}.key"
    if not path.exists():
        path.write_bytes(os.urandom(48))
    return str(path)


def keyed_nginx(
    name: str | None, extra: str = "", protocols: str = "TLSv1.2 TLSv1.3", http2: bool = True, leaf: Party | None = None
) -> Face:
    """nginx with the ticket key *name* of the case, None for one of its own."""

    def face(bench: Bench, case: Case, chain: Sequence[Party], place: At) -> object:
        # The bench has one key for all; a key of one's own is a file of one's own.
        key_file = ticket_key(bench, f"{case.host}-{name or place[0]}")
        lines = f"{extra} ssl_session_ticket_key {key_file};"
        vhost = Vhost(names=(case.host,), chains=(tuple(chain),), extra=lines)
        return bench.nginx(vhost, at=place, protocols=protocols, http2=http2)

    return face


def several(*faces: Face) -> Build:
    """One address a face, one port, one chain."""

    def build(bench: Bench, case: Case) -> Place:
        addresses, port = bench.places(len(faces))
        chain = chain_of(bench, case)
        for address, face in zip(addresses, faces, strict=True):
            face(bench, case, chain, (address, port))
        return Place(addresses=tuple(addresses), port=port)

    return build


def robin(*faces: Face) -> Build:
    """One address; haproxy in TCP mode gives each connection to the next back end."""

    def build(bench: Bench, case: Case) -> Place:
        chain = chain_of(bench, case)
        lines = []
        for number, face in enumerate(faces):
            place = bench.place()
            face(bench, case, chain, place)
            lines.append(f" server b{number} {place[0]}:{place[1]}")
        return at(bench.haproxy("listen {id}\n mode tcp\n balance roundrobin\n bind {bind}\n" + "\n".join(lines)))

    return build


# ── TLS on the loop ──


def context(
    bench: Bench,
    chain: Sequence[Party],
    *,
    least: ssl.TLSVersion = ssl.TLSVersion.TLSv1_2,
    most: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3,
    asks: ssl.VerifyMode = ssl.CERT_NONE,
    alpn: tuple[str, ...] = (),
    tickets: int = 2,
) -> ssl.SSLContext:
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.load_cert_chain(bench.combined(*chain))
    made.minimum_version, made.maximum_version = least, most
    made.num_tickets = tickets
    made.verify_mode = asks
    if asks != ssl.CERT_NONE:
        made.load_verify_locations(cadata=bundle(identities().root))
    if alpn:
        made.set_alpn_protocols(list(alpn))
    return made


def serve_tls(bench: Bench, tls: ssl.SSLContext, handler: Handler, place: At | None = None) -> At:
    """*handler* after a handshake by the standard library."""
    where = place or bench.place()
    bench.loop.serve(*where, handler, tls=tls)
    return where


def answers(text: bytes = OK_200) -> Handler:
    """One HTTP/1.1 answer to whatever is asked."""

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if await reader.read(4096):
            writer.write(text)
            await writer.drain()

    return handler


def http(status: str, body: str = "no\n", *headers: str) -> bytes:
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", "Connection: close", *headers]
    return ("\r\n".join(lines) + "\r\n\r\n" + body).encode()
