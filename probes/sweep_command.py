"""`tls sweep FILE [--light] [--json]`: the edge around `probes.sweep`. Reports go to stdout, progress to stderr."""

from __future__ import annotations

import asyncio
import gc
import json
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

from probes.check import Options
from probes.codec import to_json
from probes.model import Report, Target, UsageError, shown
from probes.sweep import COLLECTED_AFTER, Failed, Tally, loop_factory, sweep, targets_in

_MARK = {"broken": "✗", "warning": "!", "ok": "✓"}
_NAME_WIDTH = 44


def read_targets(path: str) -> tuple[Target, ...]:
    """The targets of the file at *path*, or of standard input for `-`. Raises UsageError."""
    try:
        text = sys.stdin.read() if path == "-" else Path(path).read_text(encoding="utf-8-sig", errors="replace")
    except OSError as error:
        raise UsageError(f"I cannot read {shown(path)}: {error.strerror or error}.") from None
    try:
        return targets_in(text.splitlines())
    except UsageError as error:
        raise UsageError(f"{shown(path)}: {error}") from None


def run(targets: tuple[Target, ...], options: Options, *, as_json: bool, at_once: int | None) -> Tally:
    """Sweep, print one line a target as it ends, and return the counts."""
    gc.freeze()  # what the program consists of is not looked through again and again
    gc.set_threshold(COLLECTED_AFTER, 10, 10)
    with asyncio.Runner(loop_factory=loop_factory()) as runner:
        return runner.run(_run(targets, options, as_json=as_json, at_once=at_once))


async def _run(targets: tuple[Target, ...], options: Options, *, as_json: bool, at_once: int | None) -> Tally:
    tally = Tally(total=len(targets))
    line = json_line if as_json else text_line
    with _progress() as tell:
        async for result in sweep(targets, options, at_once=at_once):
            tally = tally.counting(result)
            print(line(result), flush=True)
            tell(str(tally))
    if not as_json:
        print(tally, file=sys.stderr)
    return tally


def _progress() -> AbstractContextManager[Callable[[str], None]]:
    if not sys.stderr.isatty():
        return nullcontext(lambda _: None)
    from probes.terminal import progress

    return progress()


def json_line(result: Report | Failed) -> str:
    """The report on one line; for a target that could not be checked, its name and why."""
    if isinstance(result, Failed):
        host, port = result.target.host, result.target.port
        return json.dumps(
            {"schema": 1, "target": {"host": host, "port": port}, "error": result.why}, ensure_ascii=False
        )
    return json.dumps(to_json(result), ensure_ascii=False, separators=(",", ":"))


def text_line(result: Report | Failed) -> str:
    """Mark, target, cause and summary on one line."""
    name = f"{result.target!s:<{_NAME_WIDTH}}"
    if isinstance(result, Failed):
        return f"? {name} {shown(result.why, 200)}"
    said = f"{result.cause}: {shown(result.summary, 160)}" if result.cause else "ok"
    return f"{_MARK[result.status]} {name} {said}"
