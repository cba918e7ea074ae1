"""Faults that no server software can be configured to show: raw sockets on one event loop in a thread.

Each handler reads the ClientHello (or not) and then does the one wrong thing it is named for.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import struct
import threading
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeVar, cast

import dns.flags
import dns.message
import dns.rcode
import dns.rrset

Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
T = TypeVar("T")


class Loop:
    """An event loop in a thread, with the servers and tasks that live on it."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="faults", daemon=True)
        self._thread.start()
        self._servers: list[asyncio.Server] = []
        self._datagrams: list[asyncio.DatagramTransport] = []
        self._writers: set[asyncio.StreamWriter] = set()

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(10)

    def serve(
        self,
        address: str,
        port: int,
        handler: Handler,
        *,
        segment: int | None = None,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        """Listen; `segment` caps the peer's TCP segments (TCP_MAXSEG), as a real path's MTU would.

        With `tls` the handler is called after the handshake.
        """
        self.run(self._serve(address, port, handler, segment, tls))

    async def _serve(
        self, address: str, port: int, handler: Handler, segment: int | None, tls: ssl.SSLContext | None = None
    ) -> None:
        async def guarded(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            self._writers.add(writer)
            try:
                with contextlib.suppress(OSError, asyncio.IncompleteReadError):
                    await handler(reader, writer)
            except asyncio.CancelledError:
                pass  # the bench is closing; 3.11's stream callback would log it as an error
            finally:
                self._writers.discard(writer)
                writer.close()

        listener = socket.create_server((address, port), backlog=128)
        if segment:
            listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, segment)
        self._servers.append(await asyncio.start_server(guarded, sock=listener, ssl=tls))

    def serve_dns(self, address: str, port: int, answers: dict[str, DnsAnswer]) -> None:
        self.run(self._serve_dns(address, port, answers))

    async def _serve_dns(self, address: str, port: int, answers: dict[str, DnsAnswer]) -> None:
        transport, _ = await self._loop.create_datagram_endpoint(
            lambda: NameServer(answers), local_addr=(address, port)
        )
        self._datagrams.append(transport)

        async def over_tcp(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            query = await reader.readexactly(int.from_bytes(await reader.readexactly(2), "big"))
            reply = answered(query, answers, datagram=False)
            if reply is not None:
                writer.write(len(reply).to_bytes(2, "big") + reply)
                await writer.drain()

        await self._serve(address, port, over_tcp, None)

    def close(self) -> None:
        self.run(self._close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5)
        self._loop.close()

    async def _close(self) -> None:
        for server in self._servers:
            server.close()
        for datagram in self._datagrams:
            datagram.close()
        for writer in tuple(self._writers):
            writer.transport.abort()
        tasks = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.sleep(0)


# ── one wrong thing each ────────────────────────────────────────────────────────


async def client_hello(reader: asyncio.StreamReader) -> bytes:
    """The first record, whole."""
    head = await reader.readexactly(5)
    return head + await reader.readexactly(int.from_bytes(head[3:5], "big"))


def reset(writer: asyncio.StreamWriter) -> None:
    sock: socket.socket = writer.get_extra_info("socket")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


async def resets(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await client_hello(reader)
    reset(writer)


async def closes(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await client_hello(reader)


async def is_silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while await reader.read(4096):
        pass


def greets(banner: bytes) -> Handler:
    """The server speaks first, as SSH, SMTP and databases do."""

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(banner)
        await writer.drain()
        await is_silent(reader, writer)

    return handler


def replies(answer: bytes) -> Handler:
    """The server answers the hello in another protocol and closes."""

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await client_hello(reader)
        writer.write(answer)
        await writer.drain()

    return handler


def alerts(code: int, *, then_reset: bool = False) -> Handler:
    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await client_hello(reader)
        writer.write(bytes([21, 3, 3, 0, 2, 2, code]))
        await writer.drain()
        if then_reset:
            # The alert must have left before the RST discards what is queued.
            await asyncio.sleep(0.02)
            reset(writer)

    return handler


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, limit: int | None = None) -> None:
    while (limit is None or limit > 0) and (piece := await reader.read(limit or 65536)):
        writer.write(piece)
        await writer.drain()
        limit = None if limit is None else limit - len(piece)


def forwards(address: str, port: int, *, after_s: float = 0.0, stall_after: int | None = None) -> Handler:
    """A TCP proxy; waits `after_s` before it connects, and swallows the answer after `stall_after` bytes."""

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(after_s)
        far_reader, far_writer = await asyncio.open_connection(address, port)
        try:
            up = asyncio.ensure_future(_pump(reader, far_writer))
            await _pump(far_reader, writer, stall_after)
            if stall_after is not None:
                await up
            else:
                up.cancel()
        finally:
            far_writer.close()

    return handler


def bounds_hello(address: str, port: int, *, limit: int, how: str) -> Handler:
    """A box on the path that cannot take a hello beyond `limit` bytes: it resets, closes or drops ("silence")."""

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        hello = await client_hello(reader)
        if len(hello) > limit:
            if how == "reset":
                reset(writer)
            elif how == "silence":
                await is_silent(reader, writer)
            return
        await _relayed(address, port, hello, reader, writer)

    return handler


def refuses_hello(address: str, port: int, *, refuses: Callable[[bytes], bool], how: str) -> Handler:
    """A box that resets ("reset") or closes ("close") on the hellos that `refuses` says."""

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        hello = await client_hello(reader)
        if not refuses(hello):
            await _relayed(address, port, hello, reader, writer)
        elif how == "reset":
            reset(writer)

    return handler


def extension(hello: bytes, number: int) -> bytes:
    """The body of one extension of a ClientHello record, empty when it is not there (RFC 8446 section 4.1.2)."""
    at = 5 + 4 + 2 + 32  # record header, handshake header, version, random
    at += 1 + hello[at]  # session id
    at += 2 + int.from_bytes(hello[at : at + 2], "big")  # suites
    at += 1 + hello[at]  # compression
    at += 2
    while at + 4 <= len(hello):
        kind, size = int.from_bytes(hello[at : at + 2], "big"), int.from_bytes(hello[at + 2 : at + 4], "big")
        if kind == number:
            return hello[at + 4 : at + 4 + size]
        at += 4 + size
    return b""


def wants_one_segment(address: str, port: int) -> Handler:
    """A box that reads once and resets when the whole hello is not in that one read."""

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        first = await reader.read(1400)
        if len(first) < 5 or len(first) < 5 + int.from_bytes(first[3:5], "big"):
            reset(writer)
            return
        await _relayed(address, port, first, reader, writer)

    return handler


def _ended(pump: asyncio.Task[None]) -> None:
    """A client that resets ends its half of a relay: nothing to report."""
    if not pump.cancelled():
        pump.exception()


async def _relayed(
    address: str, port: int, hello: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> None:
    far_reader, far_writer = await asyncio.open_connection(address, port)
    try:
        far_writer.write(hello)
        up = asyncio.ensure_future(_pump(reader, far_writer))
        up.add_done_callback(_ended)
        await _pump(far_reader, writer)
        up.cancel()
    finally:
        far_writer.close()


class Counting:
    """A TCP proxy that counts its connections, and how many were open at once."""

    def __init__(self, address: str, port: int) -> None:
        self._forward = forwards(address, port)
        self.connections = 0
        self.at_once = 0
        self._open = 0

    async def handler(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self._open += 1
        self.at_once = max(self.at_once, self._open)
        try:
            await self._forward(reader, writer)
        finally:
            self._open -= 1


class FullQueue:
    """A listener whose accept queue is full: Linux drops further SYNs, so connecting times out."""

    def __init__(self, address: str) -> None:
        self._listener = socket.create_server((address, 0), backlog=0)
        self.port: int = self._listener.getsockname()[1]
        self._fillers: list[socket.socket] = []
        for _ in range(4):
            filler = socket.socket()
            filler.setblocking(False)
            filler.connect_ex((address, self.port))
            self._fillers.append(filler)

    def close(self) -> None:
        for sock in (*self._fillers, self._listener):
            sock.close()


# ── names ───────────────────────────────────────────────────────────────────────

DnsAnswer = str | tuple[str, ...]  # "nxdomain" | "servfail" | "refused" | "no-data" | "silence" | records


class NameServer(asyncio.DatagramProtocol):
    """Answers from a table: an rcode by name, silence, or records as `TYPE text`."""

    def __init__(self, answers: dict[str, DnsAnswer]) -> None:
        self._answers = answers
        self._transport: asyncio.DatagramTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, addr: tuple[str | Any, int]) -> None:
        reply = answered(data, self._answers, datagram=True)
        if reply is not None and self._transport is not None:
            self._transport.sendto(reply, addr)


def answered(data: bytes, answers: dict[str, DnsAnswer], *, datagram: bool) -> bytes | None:
    query = dns.message.from_wire(data)
    question = query.question[0]
    name = question.name.to_text(omit_final_dot=True).lower()
    known = answers.get(name, "nxdomain")
    reply = dns.message.make_response(query, recursion_available=True)
    if known == "silence":
        return None
    if isinstance(known, str):
        codes = {"nxdomain": "NXDOMAIN", "servfail": "SERVFAIL", "refused": "REFUSED", "no-data": "NOERROR"}
        reply.set_rcode(dns.rcode.from_text(codes[known]))
        return reply.to_wire()
    if "truncate" in known and datagram:
        reply.flags |= dns.flags.TC
        return reply.to_wire()
    asked = dns.rdatatype.to_text(question.rdtype)
    for record in known:
        kind, _, text = record.partition(" ")
        if kind == f"{asked}-SERVFAIL":
            reply.set_rcode(dns.rcode.SERVFAIL)
        elif kind == "CNAME":
            target = text
            reply.answer.append(dns.rrset.from_text(question.name, 60, "IN", "CNAME", target))
            for inner in answers.get(target.rstrip("."), ()):
                if inner.startswith(f"{asked} "):
                    reply.answer.append(dns.rrset.from_text(target, 60, "IN", asked, inner.partition(" ")[2]))
        elif kind == asked:
            reply.answer.append(dns.rrset.from_text(question.name, 60, "IN", asked, text))
    return reply.to_wire()
