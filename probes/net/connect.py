"""A TCP connection to one address, or why there is none: errors by their number, never by their text."""

from __future__ import annotations

import asyncio
import errno
import os
import socket

from probes.model import Dropped, Endpoint, Unreached
from probes.net.egress import Permit, refusal
from probes.net.icmp import keep_errors, said_by

SYN_TIMEOUT_S = 2.5
# What this machine lacks says nothing about the far end: descriptors, memory, ports, the protocol family.
_OUR_LACK = frozenset(
    (
        errno.EMFILE,
        errno.ENFILE,
        errno.ENOBUFS,
        errno.ENOMEM,
        errno.EADDRNOTAVAIL,
        errno.EADDRINUSE,
        errno.EAGAIN,
        errno.EAFNOSUPPORT,
        errno.EPROTONOSUPPORT,
        errno.EINVAL,
        errno.ENODEV,
        errno.ENXIO,
    )
)
_REFUSED = frozenset((errno.ECONNREFUSED, errno.ECONNABORTED))
_NO_ROUTE = frozenset((errno.ENETUNREACH, errno.EHOSTUNREACH, errno.ENETDOWN, errno.EADDRNOTAVAIL))


async def connect(
    endpoint: Endpoint, *, permit: Permit | None, deadline: float, patience_s: float = SYN_TIMEOUT_S
) -> socket.socket | Unreached | Dropped:
    """A connected, non-blocking socket that the caller closes. *deadline* is loop time.

    *permit* is asked first, for the address as it will be connected to.
    """
    why = refusal(permit, endpoint.address, endpoint.port)
    if why is not None:
        return Unreached(kind="local", detail=why)
    loop = asyncio.get_running_loop()
    began = loop.time()
    patience = min(began + patience_s, deadline)
    sock = begin(endpoint)
    if not isinstance(sock, socket.socket):
        return sock
    try:
        async with asyncio.timeout_at(patience):
            await _established(loop, sock)
    except TimeoutError as error:
        # ETIMEDOUT is a TimeoutError too: then the kernel gave up, not we.
        failed = not_connected(endpoint, sock, error) if error.errno else overdue(loop.time() - began)
        sock.close()
        return failed
    except OSError as error:
        failed = not_connected(endpoint, sock, error)
        sock.close()
        return failed
    except BaseException:
        sock.close()
        raise
    return sock


def begin(endpoint: Endpoint) -> socket.socket | Unreached | Dropped:
    """A non-blocking socket on its way to *endpoint*; it is writable once it stands or has failed (SO_ERROR)."""
    try:
        sock = socket.socket(socket.AF_INET6 if ":" in endpoint.address else socket.AF_INET, socket.SOCK_STREAM)
    except OSError as error:
        return unreached(endpoint, error)
    try:
        sock.setblocking(False)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        keep_errors(sock, is_v6=":" in endpoint.address)
        sock.connect(_sockaddr(endpoint))
    except (BlockingIOError, InterruptedError):
        return sock
    except OSError as error:
        failed = not_connected(endpoint, sock, error)
        sock.close()
        return failed
    except BaseException:
        sock.close()
        raise
    return sock


def is_connected(sock: socket.socket) -> bool:
    """Does the connection stand already? On one machine it does when connect() returns, which saves a wait."""
    try:
        sock.getpeername()
    except OSError:
        return False
    return True


async def _established(loop: asyncio.AbstractEventLoop, sock: socket.socket) -> None:
    """Wait for the end of what `begin` began; OSError when it failed."""
    if not is_connected(sock):
        writable: asyncio.Future[None] = loop.create_future()
        loop.add_writer(sock.fileno(), _told, writable)
        try:
            await writable
        finally:
            loop.remove_writer(sock.fileno())
    code = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
    if code:
        raise OSError(code, os.strerror(code))


def _told(writable: asyncio.Future[None]) -> None:
    if not writable.done():
        writable.set_result(None)


def overdue(waited_s: float) -> Unreached:
    """Nobody answered the SYN within our patience."""
    return Unreached(kind="timeout", detail=f"no answer to SYN in {waited_s:.1f} s")


def not_connected(endpoint: Endpoint, sock: socket.socket, error: OSError) -> Unreached | Dropped:
    """What a failed connect() of *sock*, still open, means.

    Dropped: the far end accepted, and reset at once. An RST in answer to the SYN itself is ECONNREFUSED
    (tcp(7)); ECONNRESET tells of a connection that stood.
    """
    if isinstance(error, ConnectionResetError):
        return Dropped(kind="rst", awaiting="server_hello", received=0)
    if isinstance(error, TimeoutError):
        return Unreached(kind="timeout", detail="ETIMEDOUT")
    return unreached(endpoint, error, said_by(sock))


def unreached(endpoint: Endpoint, error: OSError, said: str = "") -> Unreached:
    """What a failed socket() or connect() means for *endpoint*; *said* is who on the path answered what, if known."""
    code = error.errno or 0
    name = errno.errorcode.get(code, type(error).__name__)
    if code in _REFUSED:
        return Unreached(kind="refused", detail=name)
    if code in _OUR_LACK:
        return Unreached(kind="local", detail=f"{name}: this machine cannot connect ({error.strerror})")
    if code in _NO_ROUTE and not _has_route(endpoint):
        # A prober without IPv6 is a gap; without IPv4 it could not say anything about anybody.
        is_v6 = ":" in endpoint.address
        return Unreached(kind="local" if is_v6 else "unreachable", detail=f"{name}: no route from this machine")
    if said:
        return Unreached(kind="unreachable", detail=f"{name}: {said}")
    if code in {errno.EACCES, errno.EPERM}:
        return Unreached(kind="unreachable", detail=f"{name}: prohibited by this machine or a firewall")
    return Unreached(kind="unreachable", detail=f"{name}, said on the path")


def _has_route(endpoint: Endpoint) -> bool:
    """Connecting a UDP socket looks the route up and sends nothing."""
    try:
        family = socket.AF_INET6 if ":" in endpoint.address else socket.AF_INET
        with socket.socket(family, socket.SOCK_DGRAM) as sock:
            sock.connect(_sockaddr(endpoint))
    except OSError:
        return False
    return True


def _sockaddr(endpoint: Endpoint) -> tuple[str, int] | tuple[str, int, int, int]:
    """With a zone (`fe80::1%eth0`) the interface goes in as a number, so that asyncio starts no thread for it."""
    address, _, zone = endpoint.address.partition("%")
    if not zone:
        return address, endpoint.port
    return address, endpoint.port, 0, _scope(zone)


def _scope(zone: str) -> int:
    """The number of the interface that *zone* names. OSError (ENODEV) where this machine has none of that name."""
    if zone.isdecimal() and zone.isascii() and int(zone) < 1 << 32:
        return int(zone)
    try:
        return socket.if_nametoindex(zone)
    except OSError:  # it comes without a number
        raise OSError(errno.ENODEV, os.strerror(errno.ENODEV)) from None
