"""Many checks in one process: bounded, streaming, in whatever order they end; nothing is held that was handed on."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable

from probes.check import Options, check
from probes.model import Report, Target, UsageError, shown
from probes.values import value

FULL_AT_ONCE, LIGHT_AT_ONCE = 16, 64  # targets under way; a target in trouble waits, and must not hold up the others
# Values made until the collector looks at the youngest: of 700 most belong to checks in flight, and it looks in vain.
COLLECTED_AFTER = 10_000
_MOST_BAD_LINES = 5


@value
class Failed:
    """A target that could not be checked at all, and why, in words."""

    target: Target
    why: str


@value
class Tally:
    """How far a sweep has come."""

    total: int
    broken: int = 0
    warning: int = 0
    ok: int = 0
    failed: int = 0

    @property
    def done(self) -> int:
        return self.broken + self.warning + self.ok + self.failed

    def counting(self, result: Report | Failed) -> Tally:
        """The tally with one result more."""
        status = result.status if isinstance(result, Report) else "failed"
        counts = {name: getattr(self, name) + (name == status) for name in ("broken", "warning", "ok", "failed")}
        return Tally(total=self.total, **counts)

    def __str__(self) -> str:
        failed = f", {self.failed} could not be checked" if self.failed else ""
        return f"{self.done} of {self.total}: {self.broken} broken, {self.warning} warnings, {self.ok} ok{failed}"


def targets_in(lines: Iterable[str]) -> tuple[Target, ...]:
    """One `HOST[:PORT]` a line, `#` begins a comment, repeats count once. Raises UsageError naming each bad line."""
    found: dict[Target, None] = {}
    bad: list[str] = []
    for number, line in enumerate(lines, start=1):
        text = line.partition("#")[0].strip()
        if not text:
            continue
        try:
            found[Target.parse(text)] = None
        except UsageError:
            bad.append(f"line {number} (“{shown(text, 40)}”)")
    if bad:
        more = f" and {len(bad) - _MOST_BAD_LINES} more" if len(bad) > _MOST_BAD_LINES else ""
        raise UsageError(
            f"I cannot read {', '.join(bad[:_MOST_BAD_LINES])}{more}. One HOST[:PORT] a line, as in example.com:8443; "
            "# begins a comment."
        )
    if not found:
        raise UsageError("I read a file without a target. One HOST[:PORT] a line, as in example.com:8443.")
    return tuple(found)


def loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """uvloop's, where the extra `speed` is installed: up to a sixth of a light sweep's CPU, and in other runs nothing.

    A single check would pay its import.
    """
    try:
        import uvloop
    except ImportError:
        return None
    return uvloop.new_event_loop


async def sweep(
    targets: Iterable[Target], options: Options, *, at_once: int | None = None
) -> AsyncIterator[Report | Failed]:
    """Check each of *targets*, at most *at_once* at a time, and yield what comes of each as it ends."""
    limit = at_once or (LIGHT_AT_ONCE if options.light else FULL_AT_ONCE)
    waiting = iter(targets)
    running: set[asyncio.Task[Report | Failed]] = set()
    try:
        while True:
            while len(running) < limit and (target := next(waiting, None)) is not None:
                running.add(asyncio.create_task(_one(target, options)))
            if not running:
                return
            done, running = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                yield task.result()
    finally:
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)


async def _one(target: Target, options: Options) -> Report | Failed:
    try:
        return await check(target, options)
    except UsageError as error:
        return Failed(target=target, why=str(error))
    # Our own mistake about one target must not cost the thousands behind it; it is told in the target's own line.
    except Exception as error:
        return Failed(target=target, why=f"this program failed ({_innermost(error)}): please report it")


def _innermost(error: BaseException) -> str:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return type(error).__name__
