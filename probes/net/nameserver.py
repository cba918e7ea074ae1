"""One DNS question put to name servers over UDP and TCP, on asyncio's own sockets.

dnspython builds and parses the messages; its asyncio resolver is left alone because importing it costs
more than a whole check. What servers do wrong comes back as a failure with a line that says who and what.
"""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Coroutine, Iterator
from contextlib import suppress
from ipaddress import ip_address
from itertools import chain, repeat
from typing import TYPE_CHECKING, Literal, TypeAlias

from probes.model import Endpoint, ResolutionFailure
from probes.net.system import DNS_PORT
from probes.values import row, value

if TYPE_CHECKING:
    from dns.message import Message, QueryMessage

Family: TypeAlias = Literal["A", "AAAA"]

FAMILIES: tuple[Family, ...] = ("A", "AAAA")
RETRANSMIT_S = 0.8
UDP_PAYLOAD = 1232  # what crosses every path unfragmented: dnsflagday.net/2020
MAX_ADDRESSES = 64  # more behind one name is an attack on the prober, not a service


@value
class Answer:
    """What one family of a name came to. `failure` is None exactly when there is an address."""

    addresses: tuple[str, ...] = ()
    failure: ResolutionFailure | None = None
    lines: tuple[str, ...] = ()
    server: Endpoint | None = None  # who decided it
    aliases: tuple[str, ...] = ()  # the CNAME chain, from the name asked for to the last one
    authentic: bool = False  # the server says that DNSSEC holds (AD, RFC 4035 section 3.2.3)


@row
class _Verdict:
    """What one reply means: `final` ends the question, the others send us to the next server."""

    final: bool
    failure: ResolutionFailure | None
    said: str
    addresses: tuple[str, ...] = ()
    aliases: tuple[str, ...] = ()
    authentic: bool = False


def server_name(server: Endpoint) -> str:
    return server.address if server.port == DNS_PORT else str(server)


async def ask(
    name: str,
    family: Family,
    servers: tuple[Endpoint, ...],
    *,
    attempts: int,
    deadline: float,
    checking_disabled: bool = False,
) -> Answer:
    """Ask *servers* for the addresses of *name*, until one decides or *deadline* (loop time) passes.

    The next server is asked when one is silent for 0.8 s, and at once when it fails (REFUSED, nonsense; SERVFAIL when
    asking it once more changes nothing, since it may be of the moment). A silent server may still answer: its socket
    stays open to the end. Each is asked at most *attempts* times, that repetition aside.

    *checking_disabled* asks for data that fails DNSSEC, too (CD, RFC 4035 section 3.2.2).
    """
    question = _Question(name, family, checking_disabled=checking_disabled)
    lines: list[str] = []
    worst: _Verdict | None = None
    failed: set[Endpoint] = set()
    repeated: set[Endpoint] = set()
    loop = asyncio.get_running_loop()
    turns = chain.from_iterable(repeat(servers, attempts))
    try:
        next_send = loop.time()
        while loop.time() < deadline and len(failed) < len(set(servers)):
            if loop.time() >= next_send:
                server = next((turn for turn in turns if turn not in failed), None)
                next_send = loop.time() + RETRANSMIT_S if server else deadline
                if server:
                    await question.send(server, deadline)
            event = await question.event(min(next_send, deadline))
            if event is None:
                continue
            server, verdict = event
            if server in failed:
                continue
            lines.append(f"{family}: {verdict.said} {server_name(server)}")
            if verdict.final:
                return Answer(
                    addresses=verdict.addresses,
                    failure=verdict.failure,
                    lines=tuple(dict.fromkeys(lines)),
                    server=server,
                    aliases=verdict.aliases,
                    authentic=verdict.authentic,
                )
            if verdict.failure == "servfail" and server not in repeated:
                repeated.add(server)
                await question.send(server, deadline)
                continue
            failed.add(server)
            worst = worst if worst and worst.failure != "timeout" else verdict
            next_send = loop.time()
    finally:
        question.close()
    silent = [server_name(server) for server in dict.fromkeys(servers) if server not in failed]
    lines += [f"{family}: no answer in time from {server}" for server in silent]
    return Answer(failure=worst.failure if worst else "timeout", lines=tuple(dict.fromkeys(lines)))


class _Question:
    """One question and the sockets it went out on; what comes back waits in one queue."""

    def __init__(self, name: str, family: Family, *, checking_disabled: bool = False) -> None:
        self._name, self._family, self._unchecked = name, family, checking_disabled
        self._query = _query(name, family, edns=True, checking_disabled=checking_disabled)
        self._events: asyncio.Queue[tuple[Endpoint, _Verdict]] = asyncio.Queue()
        self._open: dict[Endpoint, asyncio.DatagramTransport] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._plain: set[Endpoint] = set()  # servers that did not understand EDNS

    async def send(self, server: Endpoint, deadline: float) -> None:
        transport = self._open.get(server)
        if transport is None:
            loop = asyncio.get_running_loop()
            try:
                async with asyncio.timeout_at(deadline):
                    transport, _ = await loop.create_datagram_endpoint(
                        lambda: _Datagrams(self, server), remote_addr=(server.address, server.port)
                    )
            except TimeoutError:
                return
            except OSError as error:
                self.failed(server, error)
                return
            self._open[server] = transport
        transport.sendto(self._wire(server))

    async def event(self, until: float) -> tuple[Endpoint, _Verdict] | None:
        try:
            async with asyncio.timeout_at(until):
                return await self._events.get()
        except TimeoutError:
            return None

    def received(self, server: Endpoint, wire: bytes) -> None:
        verdict = self._judge(server, wire)
        if verdict is not None:
            self._events.put_nowait((server, verdict))

    def failed(self, server: Endpoint, error: OSError) -> None:
        # A port-unreachable is no REFUSED: nobody decided about the name.
        said = f"cannot be sent ({error.strerror or type(error).__name__}) to"
        self._events.put_nowait((server, _Verdict(False, "timeout", said)))

    def close(self) -> None:
        for transport in self._open.values():
            transport.abort()
        for task in self._tasks:
            task.cancel()

    def _wire(self, server: Endpoint) -> bytes:
        if server in self._plain:
            plain = _query(
                self._name, self._family, edns=False, identity=self._query.id, checking_disabled=self._unchecked
            )
            return plain.to_wire()
        return self._query.to_wire()

    def _judge(self, server: Endpoint, wire: bytes) -> _Verdict | None:
        """What *wire* decides; None when it is not an answer to our question (forged, late, or not the whole)."""
        if len(wire) < 12 or wire[:2] != self._query.id.to_bytes(2) or not wire[2] & 0x80:
            return None
        reply = _parse(wire)
        if reply is None:
            return _Verdict(False, "malformed", "malformed answer from")
        if not self._query.is_response(reply):
            return None
        truncated = bool(wire[2] & 0x02)
        if truncated:
            self._later(self._over_tcp(server))
            return None
        rcode = wire[3] & 0x0F
        if rcode in {1, 4} and server not in self._plain:  # FORMERR, NOTIMP: RFC 6891 section 7, ask without EDNS
            self._plain.add(server)
            if server in self._open:
                self._open[server].sendto(self._wire(server))
                return None
        return _verdict(reply, self._family)

    def _later(self, work: Coroutine[object, object, None]) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _over_tcp(self, server: Endpoint) -> None:
        """RFC 7766: the same question again over TCP, two bytes of length before each message."""
        try:
            reader, writer = await asyncio.open_connection(server.address, server.port)
        except OSError as error:
            self.failed(server, error)
            return
        try:
            wire = self._wire(server)
            writer.write(struct.pack("!H", len(wire)) + wire)
            (size,) = struct.unpack("!H", await reader.readexactly(2))
            reply = _whole(await reader.readexactly(size))
        except (OSError, EOFError):
            self._events.put_nowait((server, _Verdict(False, "malformed", "truncated over UDP, cut off over TCP by")))
            return
        finally:
            writer.transport.abort()
            with suppress(OSError):
                await writer.wait_closed()
        self.received(server, reply)


def _whole(wire: bytes) -> bytes:
    """A TCP answer that claims to be truncated would send us round in circles: the claim is dropped."""
    return wire[:2] + bytes([wire[2] & ~0x02]) + wire[3:] if len(wire) > 2 else wire


class _Datagrams(asyncio.DatagramProtocol):
    """A connected UDP socket: the kernel lets through only what comes from the server that was asked."""

    def __init__(self, question: _Question, server: Endpoint) -> None:
        self._question, self._server = question, server

    def datagram_received(self, data: bytes, addr: object) -> None:
        self._question.received(self._server, data)

    def error_received(self, exc: Exception) -> None:
        if isinstance(exc, OSError):
            self._question.failed(self._server, exc)


def _query(
    name: str, family: Family, *, edns: bool, identity: int | None = None, checking_disabled: bool = False
) -> QueryMessage:
    import dns.flags
    import dns.message  # dear to import, so only when a name is really asked for
    import dns.name

    query = dns.message.make_query(
        dns.name.from_text(name + "."), family, use_edns=0 if edns else False, payload=UDP_PAYLOAD, id=identity
    )
    # RFC 6840 section 5.7: AD in a query asks for AD in the answer.
    query.flags |= dns.flags.AD | (dns.flags.CD if checking_disabled else 0)
    return query


def _parse(wire: bytes) -> Message | None:
    import dns.exception
    import dns.message

    try:
        return dns.message.from_wire(wire)
    except (dns.exception.DNSException, ValueError, LookupError, struct.error):
        return None


def _verdict(reply: Message, family: Family) -> _Verdict:
    import dns.exception
    import dns.flags
    import dns.message
    import dns.rcode

    code = reply.rcode()
    if code not in {dns.rcode.NOERROR, dns.rcode.NXDOMAIN}:
        failure: ResolutionFailure = "refused" if code == dns.rcode.REFUSED else "servfail"
        return _Verdict(False, failure, f"{dns.rcode.to_text(code)} from")
    try:
        chained = reply.resolve_chaining() if isinstance(reply, dns.message.QueryMessage) else None
    except (dns.exception.DNSException, ValueError, LookupError):
        chained = None
    if chained is None:
        return _Verdict(False, "malformed", "contradictory answer from")
    aliases = tuple(str(record.target).rstrip(".").lower() for each in chained.cnames for record in each[:1])
    authentic = bool(reply.flags & dns.flags.AD)
    if chained.answer is not None:
        addresses = tuple(_addresses(record.address for record in chained.answer))
        more = len(chained.answer) - len(addresses)
        said = ", ".join(addresses) + (f" and {more} more" if more else "")
        return _Verdict(True, None, f"{said} from", addresses, aliases, authentic)
    alias = f" (alias of {str(chained.canonical_name).rstrip('.')})" if chained.cnames else ""
    if code == dns.rcode.NXDOMAIN:
        return _Verdict(True, "nxdomain", f"NXDOMAIN{alias} from", (), aliases, authentic)
    if not chained.cnames and _is_referral(reply):
        return _Verdict(False, "servfail", "a referral instead of an answer from")
    return _Verdict(True, "no-data", f"no {family} record{alias} from", (), aliases, authentic)


def _addresses(found: Iterator[str]) -> list[str]:
    """In numerical order: servers rotate theirs, and the same check is to read the same twice."""
    return sorted(set(found), key=ip_address)[:MAX_ADDRESSES]


def _is_referral(reply: Message) -> bool:
    """RFC 2308 section 2.1.3: NS without SOA in the authority section points elsewhere, it does not deny."""
    import dns.rdatatype

    kinds = {rrset.rdtype for rrset in reply.authority}
    return dns.rdatatype.NS in kinds and dns.rdatatype.SOA not in kinds and not reply.answer
