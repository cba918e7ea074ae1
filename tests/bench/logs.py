"""Certificate Transparency as a section of the benchmarks: from memory, over HTTP, and certspotter beside."""

from __future__ import annotations

import asyncio
from statistics import median

from tests.bench import ct, ct_http
from tests.bench.ground import Ground
from tests.bench.results import Aim, Cell, Section

MEMORY_AIM = 40_000
ENTRIES, ROUNDS = 200_192, 3


async def logs(ground: Ground) -> Section:
    """The log that is read is a process of its own; what is counted is the reader's processor time."""
    packed = list(ct.tiles())
    from_memory = [ct.measured(packed, watched) for watched in (20, 200, 2000)]
    reads = await asyncio.to_thread(ct_http.measure, ground.times(ENTRIES), ground.times(ROUNDS))
    by_monitor: dict[str, list[ct_http.Read]] = {}
    for read in (each for several in reads for each in several):
        by_monitor.setdefault(read.monitor, []).append(read)
    rows: list[tuple[Cell, ...]] = [
        (f"tiles from memory, {each.watched:,} watched domains", round(each.rate), "", each.matches)
        for each in from_memory
    ]
    rows += [
        (
            name,
            round(median(each.per_cpu_s for each in several)),
            round(median(each.entries / each.wall_s for each in several)),
            several[0].matches,
        )
        for name, several in by_monitor.items()
    ]
    slowest = min(each.rate for each in from_memory)
    first = from_memory[0]
    return Section(
        name="logs",
        title="Certificate Transparency",
        method=f"From memory: {first.entries:,} entries in gzipped tiles, {first.mean_bytes:.0f} bytes and "
        f"{first.mean_names:.1f} names in the mean; unpacked, hashed into the tree, walked and matched, the root "
        "computed at each tile; the best of three. Over HTTP: a local log of "
        f"{reads[0][0].entries:,} entries, followed to a verified root with state written, by each monitor in turns. "
        "Entries are per second of the monitor's own processor time; matches are distinct issuances.",
        columns=("", "entries / CPU s", "entries / s", "matches"),
        rows=tuple(rows),
        aims=(
            Aim(
                what="verified entries from memory", limit=MEMORY_AIM, measured=slowest, unit="a second", at_least=True
            ),
            *ct_http.aims(by_monitor),
        ),
    )
