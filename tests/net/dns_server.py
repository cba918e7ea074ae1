"""A name server on loopback for tests: UDP and TCP on one ephemeral port, and every way to misbehave."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Callable
from types import TracebackType
from typing import Literal, TypeAlias, cast

import dns.flags
import dns.message
import dns.rcode
import dns.rdatatype
import dns.rrset

from probes.model import Endpoint

Transport: TypeAlias = Literal["udp", "tcp"]
Reply: TypeAlias = Callable[[dns.message.QueryMessage, Transport], bytes | None]
"""What goes back for a question; None: nothing."""


class DnsServer:
    """`async with DnsServer(reply) as server:` listens; `server.asked` lists (name, type, transport) in order."""

    def __init__(self, reply: Reply) -> None:
        self._reply = reply
        self.asked: list[tuple[str, str, Transport]] = []

    @property
    def endpoint(self) -> Endpoint:
        return Endpoint(address="127.0.0.1", port=self._port)

    async def __aenter__(self) -> DnsServer:
        loop = asyncio.get_running_loop()
        self._tcp = await asyncio.start_server(self._serve_tcp, "127.0.0.1", 0)
        self._port: int = self._tcp.sockets[0].getsockname()[1]
        self._udp, _ = await loop.create_datagram_endpoint(lambda: _Udp(self), local_addr=("127.0.0.1", self._port))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._udp.abort()
        self._tcp.close()
        await self._tcp.wait_closed()
        await asyncio.sleep(0)

    def answer(self, wire: bytes, transport: Transport) -> bytes | None:
        query = dns.message.from_wire(wire)
        assert isinstance(query, dns.message.QueryMessage)
        question = query.question[0]
        name, kind = str(question.name).rstrip("."), dns.rdatatype.to_text(question.rdtype)
        self.asked.append((name, kind, transport))
        return self._reply(query, transport)

    async def _serve_tcp(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            (size,) = struct.unpack("!H", await reader.readexactly(2))
            reply = self.answer(await reader.readexactly(size), "tcp")
            if reply is not None:
                writer.write(struct.pack("!H", len(reply)) + reply)
                await writer.drain()
        except (EOFError, OSError):
            return
        finally:
            writer.close()


class _Udp(asyncio.DatagramProtocol):
    def __init__(self, server: DnsServer) -> None:
        self._server = server

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.DatagramTransport, transport)  # asyncio's own is no subclass of it

    def datagram_received(self, data: bytes, addr: tuple[str | object, int]) -> None:
        reply = self._server.answer(data, "udp")
        if reply is not None:
            self._transport.sendto(reply, addr)


def kind_of(query: dns.message.QueryMessage) -> str:
    return dns.rdatatype.to_text(query.question[0].rdtype)


def name_of(query: dns.message.QueryMessage) -> str:
    return str(query.question[0].name).rstrip(".")


def records(query: dns.message.QueryMessage, *lines: str) -> bytes:
    """An answer of records in zone-file form: `name TTL IN TYPE data`; none: the name exists, the type does not."""
    reply = dns.message.make_response(query)
    for line in lines:
        name, ttl, kind, data = line.split(maxsplit=3)[0], *line.split()[1:2], line.split()[3], line.split()[4]
        reply.answer.append(dns.rrset.from_text(name, int(ttl), "IN", kind, data))
    return reply.to_wire(max_size=65535)


def addresses(query: dns.message.QueryMessage, **by_kind: list[str]) -> bytes:
    """`addresses(query, A=[…], AAAA=[…])`: those of the type that was asked for."""
    kind, name = kind_of(query), str(query.question[0].name)
    reply = dns.message.make_response(query)
    if found := by_kind.get(kind):
        reply.answer.append(dns.rrset.from_text_list(name, 60, "IN", kind, found))
    return reply.to_wire(max_size=65535)


def rcode(query: dns.message.QueryMessage, name: str) -> bytes:
    reply = dns.message.make_response(query)
    reply.set_rcode(dns.rcode.from_text(name))
    return reply.to_wire()


def truncated(query: dns.message.QueryMessage) -> bytes:
    reply = dns.message.make_response(query)
    reply.flags |= dns.flags.TC
    return reply.to_wire()
