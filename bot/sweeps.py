"""Sweeps that somebody asked for: how far each is, in the one message that shows it, and what came of it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Final

from bot.answers import Answers
from bot.model import Note
from bot.render import watch as render
from bot.watched import Lookout, Seen, Tally
from probes.model import Target

PROGRESS_EVERY_S: Final = 3.0


@dataclass(slots=True)
class _Sweep:
    """A sweep that somebody asked for, and the message that shows how far it is."""

    note: Note
    left: set[int]
    tally: Tally
    begun: datetime
    told: Tally | None = None
    failed: list[str] = field(default_factory=list)
    broken: list[tuple[Target, str]] = field(default_factory=list)


class Sweeps:
    """Those that are under way. *lookouts*: what is watched, as it stands now."""

    def __init__(self, answers: Answers, lookouts: Mapping[int, Lookout]) -> None:
        self._answers = answers
        self._lookouts = lookouts
        self._sweeps: list[_Sweep] = []

    async def begin(self, note: Note, numbers: Iterable[int]) -> list[int]:
        """*note* says from now on how many of these were looked at; those that are to be looked at."""
        left = set(numbers) & self._lookouts.keys()
        if not left:
            return []
        sweep = _Sweep(note=note, left=left, tally=Tally(total=len(left)), begun=_now())
        self._sweeps.append(sweep)
        await self._answers.note(replace(note, content=render.sweeping(sweep.tally)))
        return sorted(sweep.left)

    def count(self, batch: Sequence[Seen]) -> None:
        """These were looked at."""
        for sweep in self._sweeps:
            for seen in batch:
                if seen.lookout in sweep.left:
                    sweep.left.discard(seen.lookout)
                    what = "failed" if seen.why else seen.status
                    sweep.tally = replace(sweep.tally, **{what: getattr(sweep.tally, what) + 1})
                    lookout = self._lookouts.get(seen.lookout)
                    if seen.why and lookout is not None:
                        sweep.failed.append(f"{lookout.target}: {seen.why}")
                    elif seen.status == "broken" and lookout is not None:
                        sweep.broken.append((lookout.target, seen.cause or "broken"))

    async def progress(self) -> None:
        """Say how far they are, until cancelled."""
        while True:
            await asyncio.sleep(PROGRESS_EVERY_S if self._sweeps else 0.5)
            for sweep in list(self._sweeps):
                sweep.left &= self._lookouts.keys()  # removed meanwhile
                if sweep.left:
                    content = render.sweeping(sweep.tally)
                else:
                    self._sweeps.remove(sweep)
                    content = render.swept(sweep.tally, _now() - sweep.begun, sweep.failed, sweep.broken)
                if sweep.told != sweep.tally or not sweep.left:
                    sweep.told = sweep.tally
                    # How far it is gives way to edits that say something.
                    await self._answers.note(replace(sweep.note, content=content, is_passing=bool(sweep.left)))

    async def break_off(self) -> None:
        """Looking ends: those that are under way say so."""
        notes = [replace(sweep.note, content=render.broken_off(sweep.tally)) for sweep in self._sweeps]
        if notes:
            await self._answers.note(*notes)


def _now() -> datetime:
    return datetime.now(UTC)
