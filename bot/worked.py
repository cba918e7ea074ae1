"""When an endpoint last worked and what it was like then: by a check that somebody asked for, or by a look at what is
watched, whichever saw it last."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from bot.history import History
from bot.look_book import LookBook
from bot.model import PastCheck
from bot.sighting import as_it_was


class LastWorked:
    """`good = await last_worked(check, seen_in=channels)`."""

    def __init__(self, history: History, looks: LookBook) -> None:
        self._history = history
        self._looks = looks

    async def __call__(self, check: PastCheck, *, seen_in: Sequence[str]) -> PastCheck | None:
        """The newest time before *check* that its endpoint was not broken, as seen in channels *seen_in*.

        Of a look, it is a check that nobody asked for and that has no number (`id` is 0, `user` is empty).
        """
        report = check.report
        checked = await self._history.last_good(check, seen_in=seen_in)
        found = await self._looks.last_good(check.team, report.target, seen_in=seen_in, before=report.started_at)
        if found is None:
            return checked
        look, certificates = found
        at = min(look.last_at, report.started_at)
        if checked is not None and checked.at >= at:
            return checked
        was = as_it_was(look.sighting, certificates, report)
        return replace(check, id=0, user="", at=at, report=replace(was, started_at=at))
