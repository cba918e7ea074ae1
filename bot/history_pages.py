"""`history [WORD]`: what is remembered, page by page, as far as it may be told where it was asked for."""

from __future__ import annotations

import json
from datetime import UTC, datetime

from bot.answers import Answers
from bot.cases import Cases
from bot.history import History
from bot.model import Act, Content, HistoryQuery, Intake
from bot.quotable import Quotable
from bot.render import listing, words
from bot.render import watch as watch_words
from bot.watchlist import Watchlist


class HistoryPages:
    """Composes the pages. `figures` answers `history figures`."""

    def __init__(
        self,
        *,
        history: History,
        answers: Answers,
        cases: Cases,
        watchlist: Watchlist,
        quotable: Quotable,
        figures: Act,
    ) -> None:
        self._history = history
        self._answers = answers
        self._cases = cases
        self._watchlist = watchlist
        self._quotable = quotable
        self._figures = figures

    def acts(self) -> dict[str, Act]:
        """A page on, or back."""
        return {listing.OLDER: self._turned, listing.NEWER: self._turned}

    async def command(self, intake: Intake, query: HistoryQuery) -> None:
        """The first page, or the figures."""
        if query.figures:
            await self._figures(intake)
        else:
            await self._answers.as_asked(intake, "history", await self._page(intake, query.word))

    async def _turned(self, intake: Intake) -> None:
        try:
            value = json.loads(intake.text)
            word, number = str(value["word"]), int(value["before" if intake.action == listing.OLDER else "after"])
        except (ValueError, KeyError, TypeError):
            await self._answers.private(intake, words.unknown_button(), replaces=True)
            return
        if intake.action == listing.OLDER:
            content = await self._page(intake, word, before=number)
        else:
            content = await self._page(intake, word, after=number)
        await self._answers.private(intake, content, replaces=True)

    async def _page(self, intake: Intake, word: str, *, before: int | None = None, after: int | None = None) -> Content:
        seen_in = await self._quotable(intake)
        most = listing.PAGE
        lines = await self._history.lines(
            intake.team, word, seen_in=seen_in, before=before, after=after, limit=most + 1
        )
        has_further = len(lines) > most
        lines = lines[:most] if after is None else lines[-most:]
        is_first = before is None and not (after is not None and has_further)
        standing = await self._history.incidents(intake.team, word, seen_in=seen_in, limit=listing.OPEN_INCIDENTS)
        watched = []
        if is_first and word:
            watched = await self._watchlist.remembered(intake.team, word, seen_in=seen_in, limit=3)
        now = datetime.now(UTC)
        return listing.history(
            word,
            lines,
            standing,
            now,
            has_older=has_further if after is None else True,
            is_later_page=not is_first,
            is_by_words=bool(word) and not self._history.has_index,
            watched=watch_words.remembered(watched, now),
            links={each.id: await self._cases.link(each) for each in standing},
        )
