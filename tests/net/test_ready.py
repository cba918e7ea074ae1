"""Both ways to be told of sockets tell the same, and nothing of what was forgotten."""

from __future__ import annotations

import asyncio
import select
import socket
from collections.abc import Callable, Iterator

import pytest

from probes.net import ready
from probes.net.ready import READ, WRITE, Watcher

KINDS = [
    ready._Loop,
    pytest.param(ready._Epoll, marks=pytest.mark.skipif(not hasattr(select, "epoll"), reason="no epoll here")),
]


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    with ours, theirs:
        yield ours, theirs


@pytest.mark.parametrize("kind", KINDS)
async def test_what_is_wanted_is_told_until_it_is_forgotten(
    kind: Callable[[asyncio.AbstractEventLoop], Watcher], pair: tuple[socket.socket, socket.socket]
) -> None:
    ours, theirs = pair
    loop = asyncio.get_running_loop()
    watcher = kind(loop)
    told: asyncio.Queue[int] = asyncio.Queue()
    number = ours.fileno()

    def tell(how: int) -> None:
        watcher.forget(number)
        told.put_nowait(how)

    watcher.watch(number, WRITE, tell)
    assert await told.get() == WRITE
    watcher.watch(number, WRITE | READ, lambda how: None)
    watcher.watch(number, READ, tell)  # and no longer of WRITE, for which it is ready
    theirs.send(b"x")
    assert await told.get() == READ
    watcher.watch(number, READ, tell)
    ours.recv(10)
    theirs.close()
    assert await told.get() == READ  # the end is something to read
    watcher.forget(number)
    assert told.empty()
    if isinstance(watcher, ready._Epoll):
        loop.remove_reader(watcher._epoll.fileno())


async def test_a_loop_has_one_watcher() -> None:
    loop = asyncio.get_running_loop()
    assert ready.watcher(loop) is ready.watcher(loop)
