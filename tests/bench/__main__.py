"""`python -m tests.bench`: run the benchmarks, print them, and write BENCHMARKS.md.

Only a whole run of full length is written: `--quick` and `--only` print.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import platform
import sys
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from tests.bench.acks import acks
from tests.bench.burst import bursts
from tests.bench.checks import cold, dead, far, importtime, parts, warm
from tests.bench.compared import compared
from tests.bench.ground import Ground, NoServer, ground
from tests.bench.logs import logs
from tests.bench.page import page
from tests.bench.path import ROOT
from tests.bench.results import Machine, Results, Section
from tests.bench.sweeps import sweeps
from tests.bench.tools import rivals
from tests.bench.watch import watched

BENCHMARKS: dict[str, Callable[[Ground], Awaitable[Section]]] = {
    "warm": warm,
    "far": far,
    "cold": cold,
    "dead": dead,
    "sweep": sweeps,
    "compared": compared,
    "parts": parts,
    "acks": acks,
    "burst": bursts,
    "watched": watched,
    "logs": logs,
}
QUICK = 0.2


def machine() -> Machine:
    """This machine, as it is before anything runs."""
    from cryptography.hazmat.backends.openssl import backend

    tools, _ = rivals()
    cryptography = f"cryptography {version('cryptography')} with {backend.openssl_version_text()}"
    return Machine(
        date=datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        system=f"{platform.system()} {platform.release()}",
        cores=len(os.sched_getaffinity(0)),
        processor=_processor(),
        load=os.getloadavg()[0],
        software=(f"Python {platform.python_version()}", cryptography, *(tool.version for tool in tools)),
    )


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


async def run(ground: Ground, names: list[str], machine: Machine) -> Results:
    """The benchmarks *names*, one after another."""
    sections = []
    for name in names:
        print(f"{name}…", file=sys.stderr, flush=True)
        sections.append(await BENCHMARKS[name](ground))
    lacking = rivals()[1] if "compared" in names else ()
    skipped = (*lacking, *(f"{name}: not asked for" for name in BENCHMARKS if name not in names))
    served = f"{ground.software}, TLS 1.2 and 1.3, an RSA-2048 certificate with one intermediate, in its own process"
    return Results(machine=machine, server=served, quick=ground.repeats < 1, sections=tuple(sections), skipped=skipped)


def main() -> int:
    """0: measured, whatever the aims; 2: nothing here can serve."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a fifth of the repeats; prints and does not write")
    parser.add_argument("--only", action="append", choices=list(BENCHMARKS), help="this one (repeatable); prints alone")
    parser.add_argument("--verbose", action="store_true", help="also list the slowest imports of a cold check")
    args = parser.parse_args()
    try:
        here = machine()
        with ground(repeats=QUICK if args.quick else 1) as healthy:
            text = page(asyncio.run(run(healthy, args.only or list(BENCHMARKS), here)))
            imports = importtime(healthy) if args.verbose else ""
    except NoServer as error:
        print(f"no benchmark: {error}", file=sys.stderr)
        return 2
    print(text)
    if imports:
        print(imports)
    if not args.quick and not args.only:
        (ROOT / "BENCHMARKS.md").write_text(text, encoding="utf-8")
        print("written to BENCHMARKS.md", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
