"""Sockets of the lab: bound on loopback, listening or deaf, and closed without a trace."""

from __future__ import annotations

import asyncio
import errno
import socket
from collections.abc import Sequence
from typing import cast
from weakref import WeakSet

from probes.lab.gate import Peer
from probes.lab.spec import Deaf, Service

UNROUTED = "127.255.255.255"  # the broadcast address of 127.0.0.0/8: connect() fails, nothing is sent
_TRIES = 20
_FULL_AFTER_S = 0.1


class NotPossible(Exception):
    """This machine cannot show that; the text says why."""


class Sockets:
    """Everything that is open, so that `close` can end it."""

    def __init__(self) -> None:
        self._servers: list[asyncio.Server] = []
        self._connections: WeakSet[asyncio.Transport] = WeakSet()
        self._held: list[socket.socket] = []

    async def open(self, bound: socket.socket, service: Service) -> None:
        """Put *service* behind a bound socket. NotPossible where the machine does not play along."""
        match service:
            case Deaf.REFUSING:
                self._held.append(bound)
            case Deaf.FULL:
                self._held.append(bound)
                self._held += await _fill(bound)
            case peer:
                loop = asyncio.get_running_loop()
                self._servers.append(await loop.create_server(lambda: _Door(peer, self._connections), sock=bound))

    async def close(self) -> None:
        """Stop listening, drop every connection, release every port."""
        for server in self._servers:
            server.close()
        for transport in list(self._connections):
            transport.abort()
        for held in self._held:
            held.close()
        for server in self._servers:
            await server.wait_closed()
        await asyncio.sleep(0)  # aborted transports close their sockets in the loop's next turn
        self._servers.clear()
        self._held.clear()


class _Door(asyncio.Protocol):
    """Notes the connection, then steps aside."""

    def __init__(self, peer: Peer, connections: WeakSet[asyncio.Transport]) -> None:
        self._peer = peer
        self._connections = connections

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        connection = cast(asyncio.Transport, transport)
        self._connections.add(connection)
        protocol = self._peer()
        connection.set_protocol(protocol)
        protocol.connection_made(connection)


async def _fill(listener: socket.socket) -> list[socket.socket]:
    """Fill the accept queue of *listener* and return what fills it; NotPossible when it has no end.

    A queue of length 0 takes one connection on Linux, more elsewhere; from then on SYNs are dropped.
    """
    listener.listen(0)
    loop = asyncio.get_running_loop()
    waiting: list[socket.socket] = []
    while len(waiting) < _TRIES:
        client = socket.socket(listener.family)
        client.setblocking(False)
        try:
            await asyncio.wait_for(loop.sock_connect(client, listener.getsockname()), _FULL_AFTER_S)
        except TimeoutError:
            client.close()
            return waiting
        waiting.append(client)
    for client in waiting:
        client.close()
    raise NotPossible("this machine's accept queues do not fill up")


def bind(addresses: Sequence[str], port: int) -> list[socket.socket]:
    """A socket on each address, all on one port: *port*, or one of the system's choice if that is 0 or taken."""
    try:
        return _bind_all(addresses, port)
    except OSError as error:
        if error.errno != errno.EADDRINUSE:
            raise
    for _ in range(_TRIES):
        try:
            return _bind_all(addresses, 0)
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise
    raise OSError(errno.EADDRINUSE, f"no port is free on all of {', '.join(addresses)}")


def _bind_all(addresses: Sequence[str], port: int) -> list[socket.socket]:
    bound: list[socket.socket] = []
    try:
        for address in addresses:
            bound.append(_bound(address, port))
            port = bound[0].getsockname()[1]
    except OSError:
        for one in bound:
            one.close()
        raise
    return bound


def _bound(address: str, port: int) -> socket.socket:
    one = socket.socket(socket.AF_INET)
    try:
        # A port of the last run may still be in TIME_WAIT.
        one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        one.bind((address, port))
    except OSError:
        one.close()
        raise
    one.setblocking(False)
    return one


def has_many_addresses() -> bool:
    """Can this machine bind more of 127.0.0.0/8 than 127.0.0.1? Linux can, macOS cannot by default."""
    try:
        _bound("127.0.0.2", 0).close()
    except OSError:
        return False
    return True


def is_unrouted(address: str, port: int) -> bool:
    """Does connect() to *address* fail at once for want of a route? Asked on loopback addresses only."""
    with socket.socket(socket.AF_INET) as client:
        client.setblocking(False)
        return client.connect_ex((address, port)) in (errno.ENETUNREACH, errno.EHOSTUNREACH)
