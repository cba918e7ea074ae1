"""Side by side: the check and other tools against one server in one run."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Awaitable, Callable
from subprocess import TimeoutExpired
from typing import TypeAlias

from tests.bench.checks import expect_ok
from tests.bench.ground import FAR_MS, Ground
from tests.bench.path import DelayedPath
from tests.bench.results import Aim, Cell, Section, spread
from tests.bench.timing import PATIENCE_S, Cost, timed_check, timed_command
from tests.bench.tools import Tool, rivals, tls_check

FASTER_THAN = {"sslscan": 8, "sslyze": 20, "testssl.sh": 1000}
WARM, COLD = "check, warm process", "tls check --json"
_OUR_WORK = "every client's verdict, and why"
Run: TypeAlias = Callable[[str, int], Awaitable[Cost]]
Costs: TypeAlias = dict[str, list[Cost]]


async def compared(ground: Ground) -> Section:
    tools, lacking = rivals()
    runs = _runs(ground, tools)
    once = frozenset(tool.name for tool in tools if tool.once)
    near = await _rounds(runs, once, ground.times(7), ground.address, ground.port)
    far = await _rounds(runs, once, ground.times(3), ground.far.address, ground.far.port)
    connections = await _counted(runs, ground.counting)
    does = {COLD: _OUR_WORK, WARM: _OUR_WORK, **{tool.name: tool.does for tool in tools}}
    return Section(
        name="compared",
        title="Side by side with other tools",
        method=f"All against the same server, in an order drawn anew for each of {ground.times(7)} rounds on loopback "
        f"and {ground.times(3)} behind {FAR_MS:.0f} ms. Every time but the warm one includes the start of the process; "
        "CPU is of the client alone, on loopback. Each “×” is the median to its left divided by that of `tls check`, "
        f"a process of its own like the others. No tool is given more than {PATIENCE_S:.0f} s.",
        columns=("", "finds out", "connections", "loopback, ms", "×", "CPU, ms", "×", f"{FAR_MS:.0f} ms path, ms", "×"),
        rows=tuple(_row(name, does[name], connections[name], near, far) for name in runs),
        aims=_aims(near),
        notes=(
            "The tools answer different questions: sslscan and sslyze enumerate every suite, which `tls check` does "
            "only where it matters; s_client and curl make one connection and name no cause. A ratio is therefore "
            "what an answer costs, not a contest of equal work.",
            *(f"Not compared here: {line}." for line in lacking),
        ),
    )


def _aims(near: Costs) -> tuple[Aim, ...]:
    """How many times faster a warm check is than the tools that look as widely, of those that are here."""
    ours = spread([cost.wall_ms for cost in near[WARM]]).median
    return tuple(
        Aim(
            what=f"{name}, in warm checks of the same server",
            limit=times,
            measured=spread([cost.wall_ms for cost in near[name]]).median / ours,
            unit="",
            at_least=True,
        )
        for name, times in FASTER_THAN.items()
        if name in near
    )


def _row(name: str, does: str, connections: int, near: Costs, far: Costs) -> tuple[Cell, ...]:
    wall, cpu = (spread([getattr(cost, field) for cost in near[name]]) for field in ("wall_ms", "cpu_ms"))
    our_wall, our_cpu = (spread([getattr(cost, field) for cost in near[COLD]]) for field in ("wall_ms", "cpu_ms"))
    distant, our_distant = (spread([cost.wall_ms for cost in far[each]]) for each in (name, COLD))
    return (
        name,
        does,
        connections,
        wall,
        wall.median / our_wall.median,
        cpu,
        cpu.median / our_cpu.median,
        distant,
        distant.median / our_distant.median,
    )


def _runs(ground: Ground, tools: tuple[Tool, ...]) -> dict[str, Run]:
    async def warm(address: str, port: int) -> Cost:
        judged, cost = await timed_check(ground.target(port), ground.options(address, port=port))
        expect_ok(judged)
        return cost

    async def cold(address: str, port: int) -> Cost:
        run = timed_command(tls_check(ground, address, port))
        if run.status:
            raise RuntimeError(f"tls check ended with {run.status}")
        return run.cost

    def rival(tool: Tool) -> Run:
        async def run(address: str, port: int) -> Cost:
            try:
                return timed_command(tool.words(ground, address, port)).cost
            except TimeoutExpired:
                return Cost(wall_ms=PATIENCE_S * 1000, cpu_ms=0.0)

        return run

    return {COLD: cold, WARM: warm, **{tool.name: rival(tool) for tool in tools}}


async def _rounds(runs: dict[str, Run], once: frozenset[str], rounds: int, address: str, port: int) -> Costs:
    """The costs of *rounds* runs each; of one run of those in *once*. A round before them, not counted, warms all."""
    costs: Costs = defaultdict(list)
    for number in range(rounds + 1):
        for name in random.sample(list(runs), len(runs)):
            if name in once and number != 1:
                continue
            cost = await runs[name](address, port)
            if number:
                costs[name].append(cost)
    return costs


async def _counted(runs: dict[str, Run], path: DelayedPath) -> dict[str, int]:
    """The connections that one run of each makes."""
    counted = {}
    for name, run in runs.items():
        before = path.connections()
        await run(path.address, path.port)
        counted[name] = path.connections() - before
    return counted
