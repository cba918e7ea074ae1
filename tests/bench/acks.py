"""Slash command to acknowledgement, over Socket Mode, while twenty checks run."""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path

from bot.config import SocketMode
from bot.local import UNLIMITED, Workspace, serve
from bot.manifest import MANIFEST
from bot.model import Check
from bot.prober import Prober
from bot.service import serving
from probes.check import Options, default_trust, ders
from probes.lab import Lab, start
from probes.model import Target
from tests.bench.ground import Ground
from tests.bench.results import Aim, Section, spread

AT_ONCE = 20
_FAMILIES = ("validity", "chain")


async def acks(ground: Ground) -> Section:
    async with await start(port=0) as lab:
        took = await _took_ms(lab, ground.times(15))
    return Section(
        name="acks",
        title=f"Acknowledgement of a slash command while {AT_ONCE} checks run",
        method=f"{len(took) // AT_ONCE} rounds of {AT_ONCE} `/tls check` commands at once, over Socket Mode, against "
        "the lab's healthy endpoints and those with a faulty chain. The local workspace, the lab's servers and the bot "
        "share one event loop here, checks run in the bot's child process; all of it shares this machine's cores. Time "
        "is from handing the command to the connection to its acknowledgement.",
        columns=("", "median", "p95", "p99", "most"),
        rows=(
            (
                "acknowledged after, ms",
                (samples := spread(took)).median,
                samples.percentile(0.95),
                samples.percentile(0.99),
                samples.most,
            ),
        ),
        aims=(
            Aim(
                what=f"slash command to acknowledgement, {AT_ONCE} checks running, p99",
                limit=100,
                measured=samples.percentile(0.99),
                unit="ms",
            ),
        ),
    )


async def _took_ms(lab: Lab, rounds: int) -> list[float]:
    names = [case.name for case in lab.cases if case.expected is None or case.expected.startswith(_FAMILIES)]
    workspace = Workspace(manifest=MANIFEST, limits=UNLIMITED)
    running = await serve(workspace, port=0)
    connection = SocketMode(bot_token=running.bot_token, app_token=running.app_token, api_url=running.api_url)
    options = Options(trust=default_trust(ders(lab.root_pem)), overrides=dict(lab.overrides))
    took: list[float] = []
    try:
        with tempfile.TemporaryDirectory(prefix="bench-") as home:
            async with (
                Prober(options) as prober,
                serving(connection, database=Path(home) / "bot.db", checker=prober),
            ):
                await workspace.connected(2)
                await asyncio.gather(*(prober(_asked(lab, name)) for name in names[:3]))  # warm
                for number in range(rounds):
                    took += await _round(workspace, lab, names, number)
    finally:
        await running.close()
    return took


async def _round(workspace: Workspace, lab: Lab, names: list[str], number: int) -> list[float]:
    users = (workspace.me, workspace.other)
    first = number * AT_ONCE
    deliveries = await asyncio.gather(
        *(
            workspace.command(
                users[each % 2], workspace.incidents, "/tls", f"check {lab.case(names[each % len(names)]).target}"
            )
            for each in range(first, first + AT_ONCE)
        )
    )
    took = [delivery.acked_after_s * 1000 for delivery in deliveries if delivery.acked_after_s is not None]
    if len(took) != AT_ONCE:
        raise RuntimeError(f"{AT_ONCE - len(took)} of {AT_ONCE} commands were not acknowledged")
    return took


def _asked(lab: Lab, name: str) -> Check:
    return Check(target=Target.parse(lab.case(name).target))
