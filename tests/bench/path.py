"""A TCP path of a given round trip, as a process of its own: `python -m tests.bench.path ADDRESS PORT RTT_MS`.

Each direction holds every byte for half the round trip. The kernel accepts a connection at once, so the round
trip of its SYN is added where a client that speaks first feels it: nothing it says leaves before one round trip
after the accept. With 0 ms it only counts. It prints its port; for each line on stdin it prints how many
connections it has taken; at the end of stdin it ends.
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections import deque
from pathlib import Path
from types import TracebackType
from typing import cast

ROOT = Path(__file__).resolve().parents[2]


class DelayedPath:
    """The other side of this process: start it, ask it, end it."""

    def __init__(self, address: str, port: int, rtt_ms: float) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.bench.path", address, str(port), str(rtt_ms)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
        )
        self.address, self.rtt_ms = "127.0.0.1", rtt_ms
        self.port = self._read()

    def __enter__(self) -> DelayedPath:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.stdout.close()
        try:
            self._process.wait(5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def connections(self) -> int:
        """How many were taken so far."""
        assert self._process.stdin is not None
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        return self._read()

    def _read(self) -> int:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError("the delaying proxy ended by itself")
        return int(line)


class _Side(asyncio.Protocol):
    """One end of a connection: what it hears leaves at the other end, later and in order."""

    def __init__(self, delay_s: float) -> None:
        self.loop = asyncio.get_running_loop()
        self.delay_s = delay_s
        self.not_before = 0.0  # loop time before which nothing heard here sets out
        self.transport: asyncio.Transport | None = None
        self.other: _Side | None = None
        self._under_way: deque[tuple[float, bytes | None]] = deque()  # (due, bytes; None: the end)
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        self._later(data)

    def eof_received(self) -> bool:
        self._later(None)
        return True

    def connection_lost(self, exc: Exception | None) -> None:
        self._later(None)

    def _later(self, data: bytes | None) -> None:
        self._under_way.append((max(self.loop.time(), self.not_before) + self.delay_s, data))
        if self._timer is None:
            self._deliver()

    def _deliver(self) -> None:
        self._timer = None
        while self._under_way and self.other is not None and self.other.transport is not None:
            due, data = self._under_way[0]
            if due > self.loop.time():
                self._timer = self.loop.call_at(due, self._deliver)
                return
            self._under_way.popleft()
            if data is None:
                self.other.transport.close()
            else:
                self.other.transport.write(data)

    def joined(self, other: _Side) -> None:
        self.other = other
        self._deliver()


class _Proxy:
    def __init__(self, address: str, port: int, rtt_s: float) -> None:
        self.address, self.port, self.rtt_s = address, port, rtt_s
        self.taken = 0
        self._dialling: set[asyncio.Task[None]] = set()

    def accept(self) -> _Side:
        self.taken += 1
        near = _Side(self.rtt_s / 2)
        near.not_before = near.loop.time() + self.rtt_s
        task = asyncio.ensure_future(self._dial(near))
        self._dialling.add(task)
        task.add_done_callback(self._dialling.discard)
        return near

    async def _dial(self, near: _Side) -> None:
        far = _Side(self.rtt_s / 2)
        try:
            await near.loop.create_connection(lambda: far, self.address, self.port)
        except OSError:
            if near.transport is not None:
                near.transport.abort()
            return
        far.joined(near)
        near.joined(far)


async def _serve(address: str, port: int, rtt_ms: float) -> None:
    loop = asyncio.get_running_loop()
    proxy = _Proxy(address, port, rtt_ms / 1000)
    server = await loop.create_server(proxy.accept, "127.0.0.1", 0, backlog=512)
    questions = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(questions), sys.stdin)
    print(server.sockets[0].getsockname()[1], flush=True)
    while await questions.readline():
        print(proxy.taken, flush=True)
    server.close()


if __name__ == "__main__":
    asyncio.run(_serve(sys.argv[1], int(sys.argv[2]), float(sys.argv[3])))
