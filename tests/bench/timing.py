"""Stopwatches: for a check in this process, and for a command with its CPU time."""

from __future__ import annotations

import os
import resource
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass

from probes.check import Options, check
from probes.model import Report, Target

PATIENCE_S = 120.0  # no tool is given longer
# What would change what `tls` does; and what keeps Python from storing byte code, for an installed program has it.
_NOT_PASSED = frozenset(("RESOLVER", "TRUST_FILE", "PYTHONDONTWRITEBYTECODE"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """Of one run, in milliseconds."""

    wall_ms: float
    cpu_ms: float


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandRun:
    cost: Cost
    status: int
    output: bytes  # stdout


async def timed_check(target: Target, options: Options) -> tuple[Report, Cost]:
    """A check in this process. CPU is of the whole process, all threads."""
    wall, cpu = time.perf_counter(), time.process_time()
    report = await check(target, options)
    spent = Cost(wall_ms=(time.perf_counter() - wall) * 1000, cpu_ms=(time.process_time() - cpu) * 1000)
    return report, spent


def timed_command(words: Sequence[str], *, patience_s: float = PATIENCE_S) -> CommandRun:
    """A command from start to end, with the CPU of it and of the children it waited for.

    Raises TimeoutExpired after *patience_s*.
    """
    before = _children_s()
    began = time.perf_counter()
    done = subprocess.run(
        list(words),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=plain_environment(),
        timeout=patience_s,
        check=False,
    )
    wall_ms = (time.perf_counter() - began) * 1000
    # What was waited for since is this child alone: nothing else ends meanwhile.
    cpu_ms = (_children_s() - before) * 1000
    return CommandRun(cost=Cost(wall_ms=wall_ms, cpu_ms=cpu_ms), status=done.returncode, output=done.stdout)


def plain_environment() -> dict[str, str]:
    """What a command is run with: ours, without what would change its work."""
    return {key: value for key, value in os.environ.items() if key not in _NOT_PASSED}


def _children_s() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
