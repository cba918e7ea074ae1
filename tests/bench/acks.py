"""Slash command to acknowledgement, over Socket Mode, while twenty checks run.

As a program (`python -m tests.bench.acks`) it is the lab alone, so that its servers' work is nobody else's delay.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from itertools import count
from pathlib import Path
from typing import Any

from bot.config import SocketMode
from bot.local import UNLIMITED, Workspace, serve
from bot.manifest import MANIFEST
from bot.model import Check
from bot.prober import Prober
from bot.service import serving
from probes.check import Options, default_trust, ders
from probes.lab import start
from probes.model import Target
from tests.bench.ground import Ground
from tests.bench.path import ROOT
from tests.bench.results import Aim, Section, Spread, spread

AT_ONCE = 20
EVERY_S = 0.1
_FAMILIES = ("validity", "chain")


async def acks(ground: Ground) -> Section:
    with _lab() as lab:
        single, burst = await _took_ms(lab, ground)
    promised = single.percentile(0.99)
    return Section(
        name="acks",
        title=f"Acknowledgement of a slash command while {AT_ONCE} checks run",
        method=f"`/tls check` over Socket Mode, while {AT_ONCE} checks of the lab's healthy endpoints and of those "
        f"with a faulty chain are kept running: {len(single.samples)} commands, one each {EVERY_S * 1000:.0f} ms. "
        f"And {AT_ONCE} commands given in one instant, {len(burst.samples) // AT_ONCE} times, with nothing else "
        "running. The bot shares its event loop with the local workspace, which Slack would not; checks run in the "
        "bot's child process, the lab in another, all on this machine's cores. Time is from handing the command to "
        "the connection to its acknowledgement.",
        columns=("acknowledged after, ms", "median", "p95", "p99", "most"),
        rows=tuple(
            (what, took.median, took.percentile(0.95), took.percentile(0.99), took.most)
            for what, took in (
                (f"a command, while {AT_ONCE} checks run", single),
                (f"{AT_ONCE} commands in one instant", burst),
            )
        ),
        aims=(
            Aim(
                what=f"command to acknowledgement, {AT_ONCE} checks running, p99",
                limit=100,
                measured=promised,
                unit="ms",
            ),
        ),
    )


Lab = dict[str, Any]  # targets, the root, and where the names lead, as the lab's process prints them


@contextmanager
def _lab() -> Iterator[Lab]:
    words = [sys.executable, "-m", "tests.bench.acks"]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            yield json.loads(process.stdout.readline())
        finally:
            process.stdin.close()  # the lab ends with its stdin


async def _be_the_lab() -> None:
    async with await start(port=0) as lab:
        chosen = [case for case in lab.cases if case.expected is None or case.expected.startswith(_FAMILIES)]
        overrides = [(host, port, value) for (host, port), value in lab.overrides.items()]
        told = {"targets": [case.target for case in chosen], "root": lab.root_pem, "overrides": overrides}
        print(json.dumps(told), flush=True)
        await asyncio.to_thread(sys.stdin.read)


def _options(lab: Lab) -> Options:
    overrides: dict[tuple[str, int], Any] = {
        (h, p): value if isinstance(value, str) else tuple(value) for h, p, value in lab["overrides"]
    }
    return Options(trust=default_trust(ders(lab["root"])), overrides=overrides)


async def _took_ms(lab: Lab, ground: Ground) -> tuple[Spread, Spread]:
    """Single commands while checks run; and bursts of them."""
    workspace = Workspace(manifest=MANIFEST, limits=UNLIMITED)
    running = await serve(workspace, port=0)
    connection = SocketMode(bot_token=running.bot_token, app_token=running.app_token, api_url=running.api_url)
    targets: list[str] = lab["targets"]
    try:
        with tempfile.TemporaryDirectory(prefix="bench-") as home:
            async with (
                Prober(_options(lab)) as prober,
                serving(connection, database=Path(home) / "bot.db", checker=prober),
            ):
                await workspace.connected(2)
                await _given(workspace, targets[:2])  # warm
                single: list[float] = []
                async with _kept_running(prober, targets):
                    for number in range(ground.times(200)):
                        single += await _given(workspace, [targets[number % len(targets)]])
                        await asyncio.sleep(EVERY_S)
                burst: list[float] = []
                for _ in range(ground.times(10)):
                    burst += await _given(workspace, [targets[each % len(targets)] for each in range(AT_ONCE)])
    finally:
        await running.close()
    return spread(single), spread(burst)


@asynccontextmanager
async def _kept_running(prober: Prober, targets: list[str]) -> AsyncIterator[None]:
    async def lane(first: int) -> None:
        for number in count(first):
            await prober(Check(target=Target.parse(targets[number % len(targets)])))

    lanes = [asyncio.create_task(lane(number)) for number in range(AT_ONCE)]
    try:
        yield
        broken = [task for task in lanes if task.done()]
        if broken:
            broken[0].result()
    finally:
        for task in lanes:
            task.cancel()
        await asyncio.gather(*lanes, return_exceptions=True)


async def _given(workspace: Workspace, targets: list[str]) -> list[float]:
    """Check *targets* by commands given in one instant; how long each waited for its acknowledgement, in ms."""
    users = (workspace.me, workspace.other)
    commands = (
        workspace.command(users[at % 2], workspace.incidents, "/tls", f"check {target}")
        for at, target in enumerate(targets)
    )
    deliveries = await asyncio.gather(*commands)
    took = [delivery.acked_after_s * 1000 for delivery in deliveries if delivery.acked_after_s is not None]
    if len(took) != len(targets):
        raise RuntimeError(f"{len(targets) - len(took)} of {len(targets)} commands were not acknowledged")
    return took


if __name__ == "__main__":
    asyncio.run(_be_the_lab())
