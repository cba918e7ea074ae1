"""Processes of our own below the bot, and what travels between: frames over stdin and stdout.

A frame is a length and a pickle. Both ends are this program, and nothing foreign is ever unpickled: what strangers send
is read in the child, and comes up as values of ours.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import pickle
import struct
import sys
from collections.abc import Awaitable, Callable
from typing import Any, Final, TypeAlias

Write: TypeAlias = Callable[[bytes], object]
_LENGTH: Final = struct.Struct(">I")
_MOST_BUFFERED: Final = 1 << 26
_PATIENCE_S: Final = 2.0


def frame(value: object) -> bytes:
    body = pickle.dumps(value)
    return _LENGTH.pack(len(body)) + body


async def received(stream: asyncio.StreamReader) -> Any:
    """The next value, or None at the end."""
    try:
        (length,) = _LENGTH.unpack(await stream.readexactly(_LENGTH.size))
        return pickle.loads(await stream.readexactly(length))  # noqa: S301 - written by this program, see above
    except (asyncio.IncompleteReadError, ConnectionError):
        return None


# ── above ───────────────────────────────────────────────────────────────────────


async def started(module: str) -> asyncio.subprocess.Process:
    """`python -m MODULE` below us. Ctrl-C is for the bot alone, which lets what runs finish. Raises OSError."""
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        module,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        start_new_session=True,
    )


async def written(process: asyncio.subprocess.Process, value: object) -> None:
    """Send *value* to the child. Raises ConnectionError."""
    assert process.stdin is not None
    process.stdin.write(frame(value))
    await process.stdin.drain()


async def ended(process: asyncio.subprocess.Process) -> None:
    """Close its pipe, and wait for it to go; who does not go is killed."""
    if process.stdin is not None:
        process.stdin.close()
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(process.wait(), _PATIENCE_S)
    if process.returncode is None:
        process.kill()
        await process.wait()


# ── below ───────────────────────────────────────────────────────────────────────


def answering(serve: Callable[[asyncio.StreamReader, Write], Awaitable[None]], *, niceness: int) -> None:
    """Be the child: *serve* the parent's frames, with a lower priority, until the parent closes the pipe."""
    from probes.sweep import loop_factory

    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    os.nice(niceness)
    # What a library prints goes to the log, not between the frames.
    answers = os.fdopen(os.dup(1), "wb", buffering=0)
    os.dup2(2, 1)

    def write(whole: bytes) -> None:
        view = memoryview(whole)
        while view:
            view = view[answers.write(view) or 0 :]

    async def served() -> None:
        stream = asyncio.StreamReader(limit=_MOST_BUFFERED)
        loop = asyncio.get_running_loop()
        await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(stream), sys.stdin)
        await serve(stream, write)

    with answers, contextlib.suppress(BrokenPipeError), asyncio.Runner(loop_factory=loop_factory()) as runner:
        runner.run(served())
