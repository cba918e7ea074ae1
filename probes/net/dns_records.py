"""CAA and TLSA records, with what DNSSEC makes of them: asked only where they may explain a failure.

The questions go to the name servers that gave the addresses. What cannot be had is a `failure`, never an exception.
"""

from __future__ import annotations

import asyncio
import struct
from contextlib import suppress
from typing import TYPE_CHECKING, Literal, TypeAlias

from probes.model import Endpoint
from probes.net.nameserver import RETRANSMIT_S, UDP_PAYLOAD
from probes.observed import Published

if TYPE_CHECKING:
    from dns.message import Message, QueryMessage

Kind: TypeAlias = Literal["CAA", "TLSA"]
Dnssec: TypeAlias = Literal["secure", "insecure", "bogus", "unknown"]

PATIENCE_S = 1.5
MAX_LABELS = 8  # of a name whose parents are asked for CAA, too
MAX_RECORDS, MAX_RECORD = 32, 600
MAIL_PORTS = (25, 465, 587)


async def caa(name: str, servers: tuple[Endpoint, ...], deadline: float) -> Published:
    """The CAA records that hold for *name*: its own, else those of its closest parent (RFC 8659 section 3).

    All levels are asked at once. A level that fails ends the climb: a certificate authority stops there as well.
    """
    labels = name.split(".")[-MAX_LABELS:]
    levels = [".".join(labels[at:]) for at in range(len(labels))]
    found = await asyncio.gather(*(published("CAA", level, servers, deadline) for level in levels))
    return next((each for each in found if each.records or each.failure), found[0])


async def tlsa(host: str, port: int, servers: tuple[Endpoint, ...], deadline: float) -> Published:
    """The TLSA records of the service (RFC 6698 section 3)."""
    return await published("TLSA", f"_{port}._tcp.{host}", servers, deadline)


async def published(kind: Kind, name: str, servers: tuple[Endpoint, ...], deadline: float) -> Published:
    """The *kind* records at *name*; back by *deadline* (loop time) and within 1.5 s.

    SERVFAIL is asked about again with checking disabled: what answers then is bogus (RFC 4035 section 3.2.2).
    """
    deadline = min(deadline, asyncio.get_running_loop().time() + PATIENCE_S)
    reply = await _asked(kind, name, servers, deadline, unchecked=False)
    if reply is None:
        return Published(kind=kind, name=name, failure="no name server answered in time")
    code = _code(reply)
    if code == "SERVFAIL":
        again = await _asked(kind, name, servers, deadline, unchecked=True)
        if again is not None and _code(again) in {"NOERROR", "NXDOMAIN"}:
            records = _records(again, kind)
            why = "SERVFAIL, but an answer with DNSSEC checking disabled"
            return Published(kind=kind, name=name, records=records, dnssec="bogus", failure=why)
    if code not in {"NOERROR", "NXDOMAIN"}:
        return Published(kind=kind, name=name, failure=code)
    return Published(kind=kind, name=name, records=_records(reply, kind), dnssec=_dnssec(reply))


async def _asked(
    kind: Kind, name: str, servers: tuple[Endpoint, ...], deadline: float, *, unchecked: bool
) -> Message | None:
    """The first answer that decides, from one server after the other; SERVFAIL counts when no other has better."""
    loop = asyncio.get_running_loop()
    failed: Message | None = None
    query = _query(kind, name, unchecked=unchecked)
    for server in servers:
        if loop.time() >= deadline:
            break
        limit = deadline if server == servers[-1] else min(deadline, loop.time() + RETRANSMIT_S)
        reply = await _exchange(query, server, limit)
        if reply is not None and _code(reply) in {"NOERROR", "NXDOMAIN"}:
            return reply
        failed = reply or failed
    return failed


async def _exchange(query: QueryMessage, server: Endpoint, deadline: float) -> Message | None:
    """One question over UDP, over TCP where the answer does not fit (RFC 7766 section 5). None: nothing usable came."""
    loop = asyncio.get_running_loop()
    answer: asyncio.Future[Message] = loop.create_future()
    try:
        transport, _ = await loop.create_datagram_endpoint(
            lambda: _Once(query, answer), remote_addr=(server.address, server.port)
        )
    except OSError:
        return None
    try:
        async with asyncio.timeout_at(deadline):
            transport.sendto(query.to_wire())
            reply = await answer
            return await _over_tcp(query, server) if _is_truncated(reply) else reply
    except (TimeoutError, OSError, EOFError):
        return None
    finally:
        transport.abort()


class _Once(asyncio.DatagramProtocol):
    """Waits for the one answer to *query* on a connected socket."""

    def __init__(self, query: QueryMessage, answer: asyncio.Future[Message]) -> None:
        self._query, self._answer = query, answer

    def datagram_received(self, data: bytes, addr: object) -> None:
        reply = _reply(self._query, data)
        if reply is not None and not self._answer.done():
            self._answer.set_result(reply)

    def error_received(self, exc: Exception) -> None:
        if not self._answer.done():
            self._answer.set_exception(exc)


async def _over_tcp(query: QueryMessage, server: Endpoint) -> Message | None:
    reader, writer = await asyncio.open_connection(server.address, server.port)
    try:
        wire = query.to_wire()
        writer.write(struct.pack("!H", len(wire)) + wire)
        (size,) = struct.unpack("!H", await reader.readexactly(2))
        return _reply(query, await reader.readexactly(size))
    finally:
        writer.transport.abort()
        with suppress(OSError):
            await writer.wait_closed()


def _query(kind: Kind, name: str, *, unchecked: bool) -> QueryMessage:
    import dns.flags
    import dns.message  # dear to import, so only when a record is really asked for
    import dns.name

    query = dns.message.make_query(dns.name.from_text(name + "."), kind, use_edns=0, payload=UDP_PAYLOAD)
    query.flags |= dns.flags.AD | (dns.flags.CD if unchecked else 0)
    return query


def _reply(query: QueryMessage, wire: bytes) -> Message | None:
    import dns.exception
    import dns.message

    try:
        reply = dns.message.from_wire(wire, ignore_trailing=True)
    except (dns.exception.DNSException, ValueError, LookupError, struct.error):
        return None
    return reply if query.is_response(reply) else None


def _is_truncated(reply: Message) -> bool:
    import dns.flags

    return bool(reply.flags & dns.flags.TC)


def _code(reply: Message) -> str:
    import dns.rcode

    return dns.rcode.to_text(reply.rcode())


def _dnssec(reply: Message) -> Dnssec:
    """AD is the resolver's word for it; without, the zone is unsigned or the resolver does not look."""
    import dns.flags

    return "secure" if reply.flags & dns.flags.AD else "insecure"


def _records(reply: Message, kind: Kind) -> tuple[str, ...]:
    """In presentation form, aliases followed by the server, sorted: servers rotate theirs."""
    import dns.rdatatype

    wanted = dns.rdatatype.from_text(kind)
    texts = [record.to_text() for rrset in reply.answer if rrset.rdtype == wanted for record in rrset]
    return tuple(sorted(text for text in texts if len(text) <= MAX_RECORD)[:MAX_RECORDS])
