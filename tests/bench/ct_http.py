"""`python -m tests.bench.ct_http`: what following a log over HTTP costs, beside Debian's certspotter on the same log.

One log in a process of its own, served over loopback; each monitor is a process that reads it from its start with its
state written, and is charged the CPU time of its whole life, start included. A busy machine stretches the wall time and
hardly the CPU time.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from tests.bench.results import Aim
from tests.ct import certspotter

WATCHED = tuple(f"watched{number}.test" for number in range(50))
TILES_AIM, TIMES_CERTSPOTTER = 28_000, 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Read:
    """One monitor's reading of the whole log. *matches*: distinct issuances."""

    monitor: str
    entries: int
    matches: int
    cpu_s: float
    wall_s: float
    peak_mb: float = 0.0

    @property
    def per_cpu_s(self) -> float:
        return self.entries / self.cpu_s


@contextmanager
def served(entries: int) -> Iterator[dict[str, Any]]:
    """The log lists, by protocol, of a log that is being served."""
    watched = [option for domain in WATCHED for option in ("--watched", domain)]
    with subprocess.Popen(
        [sys.executable, "-m", "tests.ct.logserver", "--entries", str(entries), *watched],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdin is not None
        yield json.loads(process.stdout.readline())
        process.stdin.close()


def ours(protocol: str, lists: dict[str, Any], folder: Path) -> Read:
    """`tls ct follow` over this protocol."""
    folder.mkdir(parents=True)
    (folder / "logs.json").write_text(json.dumps(lists[protocol]))
    (folder / "domains").write_text("\n".join(WATCHED))
    files = ("--log-list", folder / "logs.json", "--state", folder / "state.json", "--domains", folder / "domains")
    began = time.monotonic()
    pid = os.posix_spawn(
        sys.executable,
        [sys.executable, "-m", "probes", "ct", "follow", *map(str, files), "--from", "start", "--once", "--rate", "0"],
        os.environ,
        file_actions=[(os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0)],
    )
    _, status, used = os.wait4(pid, 0)
    wall_s = time.monotonic() - began
    if os.waitstatus_to_exitcode(status):
        raise RuntimeError(f"tls ct follow ended with {os.waitstatus_to_exitcode(status)}")
    state = json.loads((folder / "state.json").read_text())
    [position] = state["positions"].values()
    findings = [json.loads(line) for line in (folder / "state.json.findings").read_text().splitlines()]
    return Read(
        monitor=f"tls ct follow, {protocol}",
        entries=position["verified_tree"]["size"],
        matches=len({each["tbs_sha256"] for each in findings if each["type"] == "issuance"}),
        cpu_s=used.ru_utime + used.ru_stime,
        wall_s=wall_s,
        peak_mb=used.ru_maxrss / 1024,
    )


def theirs(lists: dict[str, Any], folder: Path) -> Read:
    """certspotter over RFC 6962, the only protocol that it has."""
    folder.mkdir(parents=True)
    run = certspotter.run(folder, lists["rfc6962"], WATCHED)
    return Read(
        monitor="certspotter 0.16, rfc6962",
        entries=run.verified,
        matches=len(run.identities),
        cpu_s=run.cpu_s,
        wall_s=run.wall_s,
    )


def measure(entries: int, rounds: int) -> list[list[Read]]:
    """Each monitor *rounds* times, in turns."""
    found: list[list[Read]] = []
    with tempfile.TemporaryDirectory() as scratch, served(entries) as lists:
        for number in range(rounds):
            base = Path(scratch) / str(number)
            reads = [ours("static", lists, base / "static"), ours("rfc6962", lists, base / "rfc6962")]
            if certspotter.PROGRAM is not None:
                reads.append(theirs(lists, base / "theirs"))
            found.append(reads)
    return found


def aims(reads: dict[str, list[Read]]) -> list[Aim]:
    """What the project promises, judged by medians."""
    rate = {name: median(each.per_cpu_s for each in several) for name, several in reads.items()}
    tiles = rate["tls ct follow, static"]
    found = [Aim(what="tiles over HTTP", limit=TILES_AIM, measured=tiles, unit="entries per CPU second", at_least=True)]
    if "certspotter 0.16, rfc6962" in rate:
        times = rate["tls ct follow, rfc6962"] / rate["certspotter 0.16, rfc6962"]
        what = "RFC 6962 beside certspotter"
        found.append(Aim(what=what, limit=TIMES_CERTSPOTTER, measured=times, unit="times its entries", at_least=True))
    return found


def main() -> int:
    """0: measured, whatever the aims."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.ct_http", description=__doc__)
    parser.add_argument("--entries", type=int, default=200_192)
    parser.add_argument("--rounds", type=int, default=3)
    args = parser.parse_args()
    by_monitor: dict[str, list[Read]] = {}
    load = os.getloadavg()[0]
    for reads in measure(args.entries, args.rounds):
        for read in reads:
            by_monitor.setdefault(read.monitor, []).append(read)
    print(f"{args.entries:,} entries, {len(WATCHED)} domains, {args.rounds} rounds; load before: {load:.1f}\n")
    print(f"{'monitor':28} {'entries/CPU s':>14} {'entries/s wall':>15} {'matches':>8} {'peak MB':>8}")
    for name, several in by_monitor.items():
        cpu = median(each.per_cpu_s for each in several)
        wall = median(each.entries / each.wall_s for each in several)
        print(
            f"{name:28} {cpu:14,.0f} {wall:15,.0f} {several[0].matches:8} {max(each.peak_mb for each in several):8.0f}"
        )
    if certspotter.PROGRAM is None:
        print(f"\n{certspotter.MISSING}: no comparison")
    if len({each.matches for several in by_monitor.values() for each in several}) > 1:
        print("\nThe monitors do NOT have the same matches.")
    print()
    for aim in aims(by_monitor):
        verdict = "met" if aim.met else "NOT met"
        print(f"{aim.what}: {aim.measured:,.1f} {aim.unit} (aim: at least {aim.limit:,.0f}): {verdict}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
