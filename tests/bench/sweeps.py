"""Many endpoints in one process: how many a minute, at what CPU each, and whether memory stays flat."""

from __future__ import annotations

import os
import resource
import time
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from bot.prober import settle
from probes.check import Options
from probes.model import Report, Target
from probes.sweep import sweep
from tests.bench.ground import NAME, Ground
from tests.bench.results import Aim, Section

ENDPOINTS = 2000
WARM_UPS = 50
LIGHT_A_MINUTE, FULL_A_MINUTE = 25_000, 4_000
GROWTH_PERCENT = 5  # from a tenth of a sweep on: what one check leaves behind would show two thousandfold


@dataclass(frozen=True, slots=True, kw_only=True)
class Swept:
    """One sweep: `early_mb` is the memory after a tenth of it, `late_mb` at its end."""

    count: int
    wall_s: float
    cpu_s: float
    early_mb: float
    late_mb: float

    @property
    def a_minute(self) -> float:
        return self.count / self.wall_s * 60

    @property
    def growth_percent(self) -> float:
        return max(0.0, (self.late_mb / self.early_mb - 1) * 100)


async def sweeps(ground: Ground) -> Section:
    names = [f"e{number}.{NAME}" for number in range(ground.times(ENDPOINTS))]
    light = await _swept(ground, names, light=True)
    full = await _swept(ground, names, light=False)
    return Section(
        name="sweep",
        title="Many endpoints in one process",
        method=f"{len(names)} names, each resolved by an override to the same server, which shares the cores with the "
        f"sweep; all names have one certificate. {WARM_UPS} checks before them are not counted. Memory is the resident "
        "set after a tenth of a sweep and at its end. CPU is this process alone.",
        columns=("", "endpoints a minute", "CPU each, ms", "memory after a tenth, MB", "at the end, MB"),
        rows=tuple(
            (what, made.a_minute, made.cpu_s / made.count * 1000, made.early_mb, made.late_mb)
            for what, made in (("light look, three handshakes", light), ("full suite", full))
        ),
        aims=(
            _pace("light look", LIGHT_A_MINUTE, light),
            _pace("full suite", FULL_A_MINUTE, full),
            Aim(
                what="sweep, growth of memory after its first tenth",
                limit=GROWTH_PERCENT,
                measured=max(light.growth_percent, full.growth_percent),
                unit="%",
            ),
        ),
    )


def _pace(what: str, wanted: int, made: Swept) -> Aim:
    return Aim(what=f"sweep, {what}, endpoints a minute", limit=wanted, measured=made.a_minute, unit="", at_least=True)


async def _swept(ground: Ground, names: list[str], *, light: bool) -> Swept:
    options = replace(
        ground.options(timeout_s=60.0),  # on a busy machine a target waits for its turn, and that is no fault of it
        light=light,
        overrides={(name, ground.port): (ground.address,) for name in (NAME, *names)},
    )
    await _run([ground.target()] * min(WARM_UPS, len(names)), options)
    settle(options)
    targets = [Target.parse(f"{name}:{ground.port}") for name in names]
    cut = max(1, len(targets) // 10)
    wall, cpu = time.perf_counter(), time.process_time()
    early = await _run(targets[:cut], options)
    late = await _run(targets[cut:], options)
    return Swept(
        count=len(targets),
        wall_s=time.perf_counter() - wall,
        cpu_s=time.process_time() - cpu,
        early_mb=early,
        late_mb=late,
    )


async def _run(targets: Iterable[Target], options: Options) -> float:
    """Sweep *targets*, which are all healthy; the megabytes that this process holds afterwards."""
    async for result in sweep(targets, options):
        if not isinstance(result, Report) or result.cause not in {None, "reach.slow"}:
            raise RuntimeError(f"a healthy endpoint of a sweep ended as {result}")
    return _resident_mb()


def _resident_mb() -> float:
    """What this process holds now, where the system tells; else the most it ever held."""
    try:
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return pages * os.sysconf("SC_PAGE_SIZE") / (1 << 20)
