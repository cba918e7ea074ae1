"""What stands in front of a server: it reads the whole ClientHello and decides who answers.

A peer is anything that makes an `asyncio.Protocol` for one connection, so peers compose: a gate
either ends the connection itself or hands it, with every byte read so far, to another peer.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Callable, Iterable, Mapping
from itertools import cycle
from typing import TypeAlias, cast

from probes.values import value
from probes.wire.hello import ClientHello, parse_client_hello
from probes.wire.octets import WireError

Peer: TypeAlias = Callable[[], asyncio.Protocol]

_RECORD_HEADER = 5
_HANDSHAKE = 22
# Linux `struct tcp_info`, tcpi_data_segs_in: segments with payload received on this connection
_DATA_SEGMENTS_AT = 152


@value
class FirstFlight:
    """The client's first record, whole, and how it came."""

    record: bytes
    segments: int

    def hello(self) -> ClientHello | None:
        """The ClientHello in it; None when it is something else, or goes on in another record."""
        try:
            return parse_client_hello(self.record[_RECORD_HEADER:])
        except WireError:
            return None


Decision: TypeAlias = Callable[["Gate", FirstFlight], None]


class Gate(asyncio.Protocol):
    """One connection up to the end of the first record; then *decide* has the word, once."""

    transport: asyncio.Transport

    def __init__(self, decide: Decision) -> None:
        self._decide: Decision | None = decide
        self._received = bytearray()
        self._reads = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        self._received += data
        self._reads += 1
        if self._decide is None or not _is_whole(self._received):
            return
        decide, self._decide = self._decide, None
        decide(self, FirstFlight(record=bytes(self._received), segments=self._segments()))

    def hand_over(self, peer: Peer) -> None:
        """Let *peer* serve this connection as if it had accepted it."""
        if self.transport.is_closing():
            return
        inner = peer()
        self.transport.set_protocol(inner)
        inner.connection_made(self.transport)
        inner.data_received(bytes(self._received))

    def reset(self) -> None:
        """End with RST: a zero linger time makes close() drop the connection (socket(7), SO_LINGER)."""
        self.transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.transport.abort()

    def close(self, last_words: bytes = b"") -> None:
        """End with FIN, after *last_words*."""
        self.transport.write(last_words)
        self.transport.close()

    def _segments(self) -> int:
        connection = self.transport.get_extra_info("socket")
        if not hasattr(socket, "TCP_INFO"):
            return self._reads
        info = connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 256)
        if len(info) < _DATA_SEGMENTS_AT + 4:
            return self._reads
        return int(struct.unpack_from("=I", info, _DATA_SEGMENTS_AT)[0])


def _is_whole(received: bytearray) -> bool:
    """Is the first TLS record here? What is no handshake record is whole at once (nothing to wait for)."""
    if received[:1] != bytes([_HANDSHAKE]):
        return True
    return len(received) >= _RECORD_HEADER and len(received) >= _RECORD_HEADER + int.from_bytes(received[3:5], "big")


def gate(decide: Decision) -> Peer:
    return lambda: Gate(decide)


def resetting() -> Peer:
    return gate(lambda connection, _: connection.reset())


def closing() -> Peer:
    return gate(lambda connection, _: connection.close())


def silent() -> Peer:
    return gate(lambda _connection, _flight: None)


def alerting(code: int) -> Peer:
    """Answers every ClientHello with one fatal alert (RFC 8446 section 6), in the clear."""
    return gate(lambda connection, _: connection.close(fatal_alert(code)))


def fatal_alert(code: int) -> bytes:
    # RFC 8446 section 5.1: a record says 0x0303 whatever is negotiated
    return bytes([21, 3, 3, 0, 2, 2, code])


def delayed(peer: Peer, *, delay_s: float) -> Peer:
    """*peer*, but the ClientHello reaches it *delay_s* late."""

    def decide(connection: Gate, _: FirstFlight) -> None:
        asyncio.get_running_loop().call_later(delay_s, connection.hand_over, peer)

    return gate(decide)


def by_hello(choose: Callable[[ClientHello], Peer]) -> Peer:
    """The peer that *choose* names for the ClientHello; alert 50 (decode_error) to what is none."""

    def decide(connection: Gate, flight: FirstFlight) -> None:
        hello = flight.hello()
        if hello is None:
            connection.close(fatal_alert(50))
        else:
            connection.hand_over(choose(hello))

    return gate(decide)


def by_name(names: Mapping[str | None, Peer], *, otherwise: Peer) -> Peer:
    """A virtual host for each server name; the key None is for clients that send none."""
    return by_hello(lambda hello: names.get(hello.server_name, otherwise))


def in_turn(peers: Iterable[Peer]) -> Peer:
    """Each connection goes to the next of *peers*, round and round: several backends behind one address."""
    turn = cycle(peers)

    def accept() -> asyncio.Protocol:
        return next(turn)()

    return accept


def first_segment_only(peer: Peer, *, limit: int = 1400) -> Peer:
    """A box that looks at one segment alone: a ClientHello longer than *limit* bytes, or split, is reset.

    Loopback carries 64 KiB in one segment, so the size has to be looked at beside the count.
    """

    def decide(connection: Gate, flight: FirstFlight) -> None:
        if flight.segments > 1 or len(flight.record) > limit:
            connection.reset()
        else:
            connection.hand_over(peer)

    return gate(decide)


def size_limited(peer: Peer, *, limit: int = 1400) -> Peer:
    """A path that loses full-size packets: a ClientHello longer than *limit* bytes is never answered."""

    def decide(connection: Gate, flight: FirstFlight) -> None:
        # A path forgets segments, not sums: what was split small enough passes.
        if len(flight.record) / max(flight.segments, 1) <= limit:
            connection.hand_over(peer)

    return gate(decide)
