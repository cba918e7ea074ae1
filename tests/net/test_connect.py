"""TCP connections that do not come about, against real sockets."""

from __future__ import annotations

import asyncio
import errno
import os
import socket
import sys
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from probes.model import Dropped, Endpoint, Unreached
from probes.net.connect import connect, not_connected, unreached

V4 = Endpoint(address="127.0.0.1", port=1)
V6 = Endpoint(address="::1", port=1)


def in_seconds(seconds: float) -> float:
    return asyncio.get_running_loop().time() + seconds


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    sock = socket.create_server(("127.0.0.1", 0), backlog=8)
    with sock:
        yield sock


def endpoint_of(sock: socket.socket) -> Endpoint:
    return Endpoint(address="127.0.0.1", port=sock.getsockname()[1])


async def test_a_listening_port_gives_a_socket(listener: socket.socket) -> None:
    sock = await connect(endpoint_of(listener), permit=None, deadline=in_seconds(5))
    assert isinstance(sock, socket.socket)
    with sock:
        assert not sock.getblocking()
        assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


async def test_a_closed_port_is_refused(listener: socket.socket) -> None:
    endpoint = endpoint_of(listener)
    listener.close()
    assert await connect(endpoint, permit=None, deadline=in_seconds(5)) == Unreached(
        kind="refused", detail="ECONNREFUSED"
    )


async def test_permit_is_asked_for_the_address_in_all_its_spellings(listener: socket.socket) -> None:
    asked: list[tuple[str, int]] = []

    def permit(address: str, port: int) -> str | None:
        asked.append((address, port))
        return "loopback is refused" if address.startswith("127.") else None

    mapped = Endpoint(address="::ffff:127.0.0.1", port=endpoint_of(listener).port)
    for endpoint in (endpoint_of(listener), mapped):
        outcome = await connect(endpoint, permit=permit, deadline=in_seconds(5))
        assert outcome == Unreached(kind="local", detail="loopback is refused")
    assert asked[0] == ("127.0.0.1", mapped.port)
    listener.setblocking(False)
    with pytest.raises(BlockingIOError):  # nobody knocked
        listener.accept()


def test_a_reset_of_a_connection_that_stood_is_not_a_refusal() -> None:
    """ECONNREFUSED is an RST in answer to the SYN; ECONNRESET means that somebody had accepted.

    Whether connect() or the first read tells of it is a race that no peer can win on purpose.
    """
    with socket.socket() as sock:
        reset = OSError(errno.ECONNRESET, os.strerror(errno.ECONNRESET))
        assert not_connected(V4, sock, reset) == Dropped(kind="rst", awaiting="server_hello", received=0)


@pytest.mark.skipif(sys.platform != "linux", reason="other systems refuse when the accept queue is full")
async def test_a_dropped_syn_is_a_timeout() -> None:
    with ExitStack() as stack:
        full = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
        first = stack.enter_context(socket.create_connection(full.getsockname()))
        assert first.getpeername() == full.getsockname()
        outcome = await connect(endpoint_of(full), permit=None, deadline=in_seconds(5), patience_s=0.2)
        assert outcome == Unreached(kind="timeout", detail="no answer to SYN in 0.2 s")
        late = await connect(endpoint_of(full), permit=None, deadline=in_seconds(0.1))
        assert isinstance(late, Unreached)
        assert late.kind == "timeout"


@pytest.mark.parametrize(
    ("code", "endpoint", "kind"),
    [
        (errno.ECONNREFUSED, V4, "refused"),
        (errno.EHOSTUNREACH, V4, "unreachable"),
        (errno.ENETUNREACH, V6, "unreachable"),  # ::1 has a route wherever there is IPv6
        (errno.EACCES, V4, "unreachable"),
        (errno.EPERM, V6, "unreachable"),
        (errno.EMFILE, V4, "local"),
        (errno.EADDRNOTAVAIL, V6, "local"),
        (errno.EAFNOSUPPORT, V6, "local"),
    ],
)
def test_errors_are_read_by_number(code: int, endpoint: Endpoint, kind: str) -> None:
    if endpoint is V6 and not socket.has_ipv6:
        pytest.skip("this machine has no IPv6")
    outcome = unreached(endpoint, OSError(code, os.strerror(code)))
    assert outcome.kind == kind
    assert outcome.detail.startswith(errno.errorcode[code])


async def test_an_ipv6_address_without_a_route_is_this_machines_lack() -> None:
    nowhere = Endpoint(address="2001:db8::1", port=1)
    with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect((nowhere.address, 1))  # looks the route up, sends nothing
        except OSError:
            pass
        else:
            pytest.skip("this machine has an IPv6 route; nothing may be sent along it")
    outcome = await connect(nowhere, permit=None, deadline=in_seconds(2))
    assert isinstance(outcome, Unreached)
    assert outcome.kind == "local"


async def test_a_cancelled_connect_leaves_no_socket_behind() -> None:
    with ExitStack() as stack:
        full = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
        stack.enter_context(socket.create_connection(full.getsockname()))
        task = asyncio.ensure_future(connect(endpoint_of(full), permit=None, deadline=in_seconds(5)))
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait([task])
        assert task.cancelled() or isinstance(task.result(), socket.socket | Unreached)
