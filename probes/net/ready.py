"""Which sockets are ready: one epoll for all exchanges of a loop, which the loop watches as a single socket.

asyncio's own add_reader makes a handle, a key and an entry in three tables for every socket, and runs each event by
itself: a tenth of what a handshake costs. Where there is no epoll (macOS, Windows), it does the work all the same.
"""

from __future__ import annotations

import asyncio
import select
from collections.abc import Callable
from typing import Protocol
from weakref import WeakKeyDictionary

READ, WRITE = 1, 4  # as epoll numbers them (EPOLLIN, EPOLLOUT); errors and hang-ups count as both
Told = Callable[[int], None]


class Watcher(Protocol):
    """Tells of sockets, by their numbers, until they are forgotten; they are to be forgotten before they are closed."""

    def watch(self, number: int, wanted: int, told: Told) -> None:
        """Call *told* with READ, WRITE or both of *wanted* whenever they are so; again for other wishes."""

    def forget(self, number: int) -> None: ...


class _Epoll:
    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._epoll = select.epoll()
        self._watched: dict[int, tuple[int, Told]] = {}
        loop.add_reader(self._epoll.fileno(), self._dispatch)

    def watch(self, number: int, wanted: int, told: Told) -> None:
        if number in self._watched:
            self._epoll.modify(number, wanted)
        else:
            self._epoll.register(number, wanted)
        self._watched[number] = wanted, told

    def forget(self, number: int) -> None:
        if self._watched.pop(number, None) is not None:
            self._epoll.unregister(number)

    def _dispatch(self) -> None:
        # Nothing that is told opens a socket at once, so no number stands for another one within a batch.
        for number, event in self._epoll.poll(0):
            known = self._watched.get(number)
            if known is None:
                continue
            wanted, told = known
            ready = (READ if event & ~WRITE else 0) | (WRITE if event & ~READ else 0)
            if ready & wanted:
                told(ready & wanted)


class _Loop:
    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._watched: dict[int, int] = {}

    def watch(self, number: int, wanted: int, told: Told) -> None:
        former = self._watched.get(number, 0)
        self._watched[number] = wanted
        # What is new comes first: the loop forgets a socket that is watched for nothing, and that costs more.
        if wanted & READ:
            self._loop.add_reader(number, told, READ)
        if wanted & WRITE:
            self._loop.add_writer(number, told, WRITE)
        self._drop(number, former & ~wanted)

    def forget(self, number: int) -> None:
        self._drop(number, self._watched.pop(number, 0))

    def _drop(self, number: int, unwanted: int) -> None:
        if unwanted & WRITE:
            self._loop.remove_writer(number)
        if unwanted & READ:
            self._loop.remove_reader(number)


_watchers: WeakKeyDictionary[asyncio.AbstractEventLoop, Watcher] = WeakKeyDictionary()


def watcher(loop: asyncio.AbstractEventLoop) -> Watcher:
    """The one of *loop*, which is running."""
    known = _watchers.get(loop)
    if known is None:
        known = _watchers[loop] = _Epoll(loop) if hasattr(select, "epoll") else _Loop(loop)
    return known
