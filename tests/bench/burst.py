"""200 commands and clicks in 10 s, while a sweep of 1,000 targets runs: each acknowledged, stored once, finished.

The bot is a process of its own, as are its prober and its patrol; the local workspace is the other end, here. By
itself (`python -m tests.bench.burst [--http]`) it prints what it measured.
"""

from __future__ import annotations

import asyncio
import json
import random
import sqlite3
import sys
import tempfile
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, closing, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from types import MappingProxyType

from bot.history import History
from bot.local import UNLIMITED, Refused, Running, Workspace, serve
from bot.local.delivery import Delivery
from bot.local.errors import Json
from bot.manifest import MANIFEST
from bot.render import report
from bot.watched import Lookout, Watch
from bot.watchlist import Watchlist
from probes.model import Target
from tests.bench.ground import NAME, Ground, ground
from tests.bench.results import Aim, Section, Spread, spread
from tests.bot.process import Spec, free_port, killed, started

REQUESTS = 200
WITHIN_S = 10.0
WATCHED = 1_000
LIMIT_MS = 500
_ROOMS = 8
_PATIENCE_S = 120.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Burst:
    """What came of it. `lost`: requests that were acknowledged and are not finished; `double`: stored more than once,
    or said more than once."""

    acks_ms: Spread
    unacknowledged: int
    lost: int
    double: int
    looks: int  # that the sweep made meanwhile


async def bursts(ground: Ground) -> Section:
    found = {
        "Socket Mode": await burst(ground, is_http=False),
        "HTTP mode": await burst(ground, is_http=True),
    }
    return Section(
        name="burst",
        title=f"{REQUESTS} commands and clicks in {WITHIN_S:.0f} s while {WATCHED:,} targets are swept",
        method=f"Half are clicks on buttons of earlier verdicts, half are commands (`check`, `history`, `help`, "
        f"`explain`), by two people in {_ROOMS} channels, at random moments; meanwhile `/tls watch sweep` of "
        f"{WATCHED:,} names runs, and begins anew when it is through. Bot, prober and patrol are processes of their "
        "own, the local workspace is another, the server a further one, all on this machine's cores. Time is from "
        "handing the request to the connection to its acknowledgement, as the workspace sees it.",
        columns=("", "median, ms", "p95, ms", "p99, ms", "most, ms", "lost", "double", "looks meanwhile"),
        rows=tuple(
            (
                mode,
                made.acks_ms.median,
                made.acks_ms.percentile(0.95),
                made.acks_ms.percentile(0.99),
                made.acks_ms.most,
                made.lost + made.unacknowledged,
                made.double,
                made.looks,
            )
            for mode, made in found.items()
        ),
        aims=tuple(
            Aim(
                what=f"burst, {mode}, request to acknowledgement, p99",
                limit=LIMIT_MS,
                measured=made.acks_ms.percentile(0.99),
                unit="ms",
            )
            for mode, made in found.items()
        )
        + tuple(
            Aim(
                what=f"burst, {mode}, requests lost or double",
                limit=0,
                measured=made.lost + made.double + made.unacknowledged,
                unit="",
            )
            for mode, made in found.items()
        ),
    )


async def burst(ground: Ground, *, is_http: bool, faults: Mapping[str, bool] = MappingProxyType({})) -> Burst:
    """One burst, of as many requests as the ground's repeats leave. *faults* of the workspace hold while it lasts."""
    count, watched = max(20, ground.times(REQUESTS)), max(20, ground.times(WATCHED))
    with tempfile.TemporaryDirectory(prefix="bench-") as home:
        database = Path(home) / "bot.db"
        async with _bot(ground, database, watched, is_http=is_http) as (running, targets):
            workspace = running.workspace
            rooms = [_room(workspace, f"room{number}") for number in range(_ROOMS)]
            pressed = await asyncio.gather(*(_verdict(workspace, room, targets[at]) for at, room in enumerate(rooms)))
            sweeping = asyncio.create_task(_sweep(workspace))
            for name, value in faults.items():
                setattr(workspace.faults, name, value)
            before = _count(database, "select coalesce(sum(count), 0) from looks")
            deliveries = await _driven(workspace, rooms, pressed, targets, count)
            looks = _count(database, "select coalesce(sum(count), 0) from looks") - before
            sweeping.cancel()
            await asyncio.gather(sweeping, return_exceptions=True)
            lost = await _unfinished(database)
            acked = [each for each in deliveries if each.acked_after_s is not None]
            return Burst(
                acks_ms=spread([(each.acked_after_s or 0.0) * 1000 for each in acked]),
                unacknowledged=len(deliveries) - len(acked),
                lost=lost,
                double=_doubled(database, workspace),
                looks=looks,
            )


@asynccontextmanager
async def _bot(
    ground: Ground, database: Path, watched: int, *, is_http: bool
) -> AsyncIterator[tuple[Running, list[str]]]:
    port = free_port() if is_http else None
    url = f"http://127.0.0.1:{port}/slack/events" if port else None
    workspace = Workspace(manifest=MANIFEST, limits=UNLIMITED, request_url=url)
    running = await serve(workspace, port=0)
    try:
        names = [f"e{number}.{NAME}" for number in range(watched)]
        await _watch(workspace, database, [Target.parse(f"{name}:{ground.port}") for name in names])
        spec = replace(
            Spec.of(running, database, http_port=port),
            root=ground.root_file.read_text(),
            overrides=[(name, ground.port, [ground.address]) for name in names],
        )
        process = await started(spec, running)
        try:
            yield running, [f"{name}:{ground.port}" for name in names]
        finally:
            await killed(process)
    finally:
        await running.close()


async def _watch(workspace: Workspace, database: Path, targets: list[Target]) -> None:
    """Let the bot find *targets* on its watch list."""
    history = await History.open(database)
    at = datetime.now(UTC)
    watches = [
        Watch(
            id=0,
            team=workspace.team.id,
            channel=workspace.general,
            lookout=Lookout(id=0, team=workspace.team.id, target=target),
            added_at=at,
        )
        for target in targets
    ]
    await Watchlist(history).add_all(watches, most=len(watches))
    await history.close()


def _room(workspace: Workspace, name: str) -> str:
    return workspace.team.add_channel(name, {workspace.me, workspace.other, workspace.bot}).id


async def _verdict(workspace: Workspace, room: str, target: str) -> Json:
    """A verdict whose buttons can be pressed."""
    await workspace.command(workspace.me, room, "/tls", f"check {target}")

    def found() -> Json | None:
        shown = [each for each in workspace.messages(room) if "Checking" not in each["text"]]
        return shown[0] if shown else None

    verdict = await workspace.wait_for(found, _PATIENCE_S)
    assert verdict is not None
    return verdict


async def _sweep(workspace: Workspace) -> None:
    """Keep a sweep of everything that is watched going."""
    while True:
        await workspace.command(workspace.me, workspace.general, "/tls", "watch sweep")
        await asyncio.sleep(3.0)


async def _driven(
    workspace: Workspace, rooms: list[str], pressed: Sequence[Json], targets: list[str], count: int
) -> list[Delivery]:
    """*count* requests at random moments within the time; how each was delivered."""
    chance = random.Random(8446)
    within_s = WITHIN_S * count / REQUESTS

    async def one(number: int) -> Delivery:
        await asyncio.sleep(chance.uniform(0, within_s))
        user, at = (workspace.me, workspace.other)[number % 2], number % _ROOMS
        if number % 2:
            action = (report.RAW, report.CHANGED, report.AGAIN)[number // 2 % 3]
            with suppress(Refused):  # while it is checked again, a message has no buttons
                return await workspace.click(pressed[at], action, user=user)
        text = (f"check {targets[number % len(targets)]}", "history", "help", "explain certificate has expired")
        return await workspace.command(user, rooms[at], "/tls", text[number // 2 % 4])

    return list(await asyncio.gather(*(one(number) for number in range(count))))


def _count(database: Path, sql: str) -> int:
    with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True, timeout=30)) as beside:
        return int(beside.execute(sql).fetchone()[0])


async def _unfinished(database: Path) -> int:
    """How many stored requests are not finished after some patience."""
    sql = "select count(*) from intakes where finished_at is null and kind != 'look'"
    async with asyncio.timeout(_PATIENCE_S + 1):
        for _ in range(int(_PATIENCE_S * 5)):
            if _count(database, sql) == 0:
                return 0
            await asyncio.sleep(0.2)
    return _count(database, sql)


def _doubled(database: Path, workspace: Workspace) -> int:
    """Requests that are stored twice, and messages that stand in a channel twice."""
    stored = _count(database, "select count(*) - count(distinct key) from intakes")
    keys = [
        each["metadata"]["event_payload"]["key"]
        for channel in workspace.team.channels.values()
        for each in channel.messages.values()
        if (each.get("metadata") or {}).get("event_payload")
    ]
    return stored + len(keys) - len(set(keys))


def main() -> None:
    with ground(repeats=1) as made:
        found = asyncio.run(burst(made, is_http="--http" in sys.argv))
    took = found.acks_ms
    print(
        json.dumps(
            {
                "median": round(took.median, 1),
                "p95": round(took.percentile(0.95), 1),
                "p99": round(took.percentile(0.99), 1),
                "most": round(took.most, 1),
                "acked": len(took.samples),
                "unacknowledged": found.unacknowledged,
                "lost": found.lost,
                "double": found.double,
                "looks": found.looks,
            }
        )
    )


if __name__ == "__main__":
    main()
