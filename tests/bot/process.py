"""The bot as a process of its own, so that it can be killed, and measured, as it is run.

As a program (`python -m tests.bot.process SPEC`) it is the bot; SPEC is the JSON of a `Spec`.
"""

from __future__ import annotations

import asyncio
import gc
import json
import os
import sys
from contextlib import AsyncExitStack
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from bot.config import HttpMode, SocketMode
from bot.local import Running
from bot.model import Check
from probes.model import Report

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True, slots=True, kw_only=True)
class Spec:
    """How to run it. With `root` (PEM) it checks and looks as the real one does, names leading where `overrides` say;
    without, every target is broken after `takes_s`."""

    api_url: str
    bot_token: str
    app_token: str
    signing_secret: str
    database: str
    http_port: int | None = None
    secret_key: str | None = None
    takes_s: float = 0.05
    root: str | None = None
    overrides: list[tuple[str, int, Any]] = field(default_factory=list)

    @classmethod
    def of(cls, running: Running, database: Path, **more: Any) -> Spec:
        return cls(
            api_url=running.api_url,
            bot_token=running.bot_token,
            app_token=running.app_token,
            signing_secret=running.signing_secret,
            database=str(database),
            **more,
        )


async def started(spec: Spec, running: Running, *, stderr: Any = None) -> asyncio.subprocess.Process:
    """The process, once it listens."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.bot.process", json.dumps(asdict(spec)), stderr=stderr, cwd=ROOT
    )
    up = running.workspace.connected(2, 60) if spec.http_port is None else _listening(spec.http_port)
    listening, ended = asyncio.ensure_future(up), asyncio.ensure_future(process.wait())
    await asyncio.wait({listening, ended}, return_when=asyncio.FIRST_COMPLETED)
    if process.returncode is not None:
        listening.cancel()
        raise RuntimeError(f"the bot ended with status {process.returncode} before it listened")
    ended.cancel()
    await listening
    return process


async def _listening(port: int) -> None:
    async with asyncio.timeout(60):
        while True:
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
            except OSError:
                await asyncio.sleep(0.05)
            else:
                writer.close()
                return


async def killed(process: asyncio.subprocess.Process) -> None:
    """kill -9, with whatever it started; back when it is gone."""
    if process.returncode is None:
        process.kill()
    await process.wait()


def free_port() -> int:
    """A port of loopback that nobody listens on at the moment."""
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


# ── the bot ─────────────────────────────────────────────────────────────────────


async def _be_the_bot(spec: Spec) -> None:
    from bot.service import serving

    connection: SocketMode | HttpMode
    if spec.http_port is None:
        connection = SocketMode(bot_token=spec.bot_token, app_token=spec.app_token, api_url=spec.api_url)
    else:
        connection = HttpMode(
            bot_token=spec.bot_token, signing_secret=spec.signing_secret, port=spec.http_port, api_url=spec.api_url
        )
    async with AsyncExitStack() as stack:
        tools = await _tools(spec, stack)
        serving_ = serving(
            connection, database=Path(spec.database), secret_key=spec.secret_key, most_a_minute=100_000, **tools
        )
        await stack.enter_async_context(serving_)
        gc.collect()  # as bot.__main__ does
        gc.freeze()
        await asyncio.Event().wait()


async def _tools(spec: Spec, stack: AsyncExitStack) -> dict[str, Any]:
    from tests.bot import reports

    async def broken(asked: Check, on_progress: object) -> Report:
        await asyncio.sleep(spec.takes_s)
        return reports.broken(str(asked.target))

    if spec.root is None:
        return {"checker": broken}
    from bot.patrol import Patrol
    from bot.prober import Prober
    from probes.check import Options, default_trust, ders

    overrides: dict[tuple[str, int], Any] = {
        (h, p): value if isinstance(value, str) else tuple(value) for h, p, value in spec.overrides
    }
    options = Options(trust=default_trust(ders(spec.root)), overrides=overrides)
    prober = await stack.enter_async_context(Prober(options))
    return {"checker": prober, "look": await stack.enter_async_context(Patrol(options))}


if __name__ == "__main__":
    logging_level = os.environ.get("LOG_LEVEL", "ERROR")
    import logging

    logging.basicConfig(level=logging_level, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    asyncio.run(_be_the_bot(Spec(**json.loads(sys.argv[1]))))
