"""Far ends on loopback: OpenSSL over memory buffers, and raw TCP servers with one fault each."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import TypeAlias, cast

from OpenSSL import SSL

from probes.lab.issue import Issued
from probes.model import Endpoint

Action: TypeAlias = Callable[["Raw"], None]
Respond: TypeAlias = Callable[["Raw", bytes], None]
"""What a raw server does with the bytes that arrived; b"" stands for the connection itself."""


class Raw(asyncio.Protocol):
    """A TCP server whose every move is *respond*'s. `received` and `pieces` tell what came, and in which cuts."""

    transport: asyncio.Transport

    def __init__(self, respond: Respond) -> None:
        self._respond = respond
        self.received = bytearray()
        self.pieces: list[int] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self._respond(self, b"")

    def data_received(self, data: bytes) -> None:
        self.received += data
        self.pieces.append(len(data))
        self._respond(self, data)

    def send(self, data: bytes) -> None:
        self.transport.write(data)

    def fin(self) -> None:
        self.transport.close()

    def rst(self) -> None:
        linger = struct.pack("ii", 1, 0)  # close() discards and resets
        self.transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        self.transport.abort()


@asynccontextmanager
async def listening(respond: Respond) -> AsyncIterator[tuple[Endpoint, list[Raw]]]:
    """A raw server; yields its endpoint and its connections so far."""
    connections: list[Raw] = []

    def accept() -> Raw:
        connections.append(Raw(respond))
        return connections[-1]

    async with served(accept) as endpoint:
        yield endpoint, connections


@asynccontextmanager
async def served(factory: Callable[[], asyncio.Protocol], address: str = "127.0.0.1") -> AsyncIterator[Endpoint]:
    """A server of *factory*'s protocols on an ephemeral port; at the end no connection is left."""
    transports: list[asyncio.BaseTransport] = []

    def accept() -> asyncio.Protocol:
        protocol = factory()
        original = protocol.connection_made

        def connection_made(transport: asyncio.BaseTransport) -> None:
            transports.append(transport)
            original(transport)

        protocol.connection_made = connection_made  # type: ignore[method-assign]
        return protocol

    server = await asyncio.get_running_loop().create_server(accept, address, 0)
    try:
        yield Endpoint(address=address, port=server.sockets[0].getsockname()[1])
    finally:
        server.close()
        for transport in transports:
            cast(asyncio.Transport, transport).abort()
        await server.wait_closed()
        await asyncio.sleep(0)


def once(*actions: Action) -> Respond:
    """The *actions* in turn, when the first bytes arrive."""

    def respond(server: Raw, data: bytes) -> None:
        if data and len(server.pieces) == 1:
            for action in actions:
                action(server)

    return respond


def sends(data: bytes) -> Action:
    return lambda server: server.send(data)


def silent(server: Raw, data: bytes) -> None:
    """Reads, and never says a word."""


def record(kind: int, body: bytes, version: int = 0x0303) -> bytes:
    return struct.pack("!BHH", kind, version, len(body)) + body


def alert(code: int, level: int = 2) -> bytes:
    return record(21, bytes((level, code)))


def server_hello(*, version: int = 0x0303, cipher: int = 0xC02F) -> bytes:
    """A ServerHello of TLS 1.2 or before without extensions (RFC 5246 section 7.4.1.3), in its record."""
    body = struct.pack("!H", version) + bytes(range(32)) + b"\0" + struct.pack("!HB", cipher, 0)
    return record(22, b"\x02" + len(body).to_bytes(3) + body)


class OpenSsl(asyncio.Protocol):
    """One TLS connection of a real server; *answer* is said to whatever arrives after the handshake."""

    def __init__(self, context: SSL.Context, answer: bytes = b"", *, rst_after_flight: bool = False) -> None:
        self._tls = SSL.Connection(context, None)
        self._tls.set_accept_state()
        self._answer = answer
        self._rst_after_flight = rst_after_flight
        self._established = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        self._tls.bio_write(data)
        try:
            if not self._established:
                self._tls.do_handshake()
                self._established = True
            self._tls.recv(1 << 14)
            self._tls.sendall(self._answer)
            self._flush()
            self._transport.close()
        except SSL.WantReadError:
            self._flush()
        except SSL.Error:  # its alert lies in the buffer
            self._flush()
            self._transport.close()

    def _flush(self) -> None:
        records = bytearray()
        while True:
            try:
                records += self._tls.bio_read(1 << 15)
            except SSL.WantReadError:
                break
        self._transport.write(bytes(records))
        if records and self._rst_after_flight:
            linger = struct.pack("ii", 1, 0)
            self._transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            self._transport.abort()


def openssl_context(
    leaf: Issued,
    *above: Issued,
    oldest: int = SSL.TLS1_2_VERSION,
    newest: int = SSL.TLS1_3_VERSION,
    client_ca: Issued | None = None,
    client_required: bool = False,
    staple: bytes | None = None,
    alpn: bytes | None = None,
) -> SSL.Context:
    """A server's context; *client_ca* makes it ask for a client certificate."""
    context = SSL.Context(SSL.TLS_SERVER_METHOD)
    context.set_min_proto_version(oldest)
    context.set_max_proto_version(newest)
    context.set_cipher_list(b"ALL:@SECLEVEL=0")
    context.use_certificate(leaf.certificate)
    for ca in above:
        context.add_extra_chain_cert(ca.certificate)
    context.use_privatekey(leaf.key)
    if client_ca is not None:
        mode = SSL.VERIFY_PEER | (SSL.VERIFY_FAIL_IF_NO_PEER_CERT if client_required else 0)
        context.set_verify(mode, lambda *_: True)
        context.add_client_ca(client_ca.certificate)
    if staple is not None:
        context.set_ocsp_server_callback(lambda *_: staple)
    if alpn is not None:
        context.set_alpn_select_callback(
            lambda _connection, offered: alpn if alpn in offered else SSL.NO_OVERLAPPING_PROTOCOLS
        )
    return context
