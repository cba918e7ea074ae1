"""`history figures`: how long it took to root causes and which were frequent, in words and as pictures."""

from __future__ import annotations

import logging
from dataclasses import replace

from bot.answers import Answers, reply
from bot.drawing import Drawing, NotDrawn
from bot.history import History
from bot.model import Act, Intake, Picture
from bot.quotable import Quotable
from bot.render import figures as render

LOG = logging.getLogger("bot.retrospect")
_MOST_INCIDENTS = 3_000


class Retrospect:
    """Counts past incidents and draws what it counts."""

    def __init__(self, *, history: History, answers: Answers, drawing: Drawing, quotable: Quotable) -> None:
        self._history = history
        self._answers = answers
        self._drawing = drawing
        self._quotable = quotable

    def acts(self) -> dict[str, Act]:
        """What the button under a page of history does."""
        return {render.FIGURES: self.told}

    async def told(self, intake: Intake) -> None:
        """Post the figures where they were asked for; of nothing, a private word."""
        seen_in = await self._quotable(intake)
        found = await self._history.incidents(intake.team, "", seen_in=seen_in, limit=_MOST_INCIDENTS)
        past = render.past_of(found)
        pictures = [picture for each in render.pictures_of(past) if (picture := await self._picture(each))]
        content = render.told(past, [picture.block() for picture in pictures], intake.user)
        note = reply(intake, content)
        if past.incidents:
            note = replace(note, key=f"figures:{intake.id}", kind="message", pictures=tuple(pictures))
        await self._answers.finish(intake, note)

    async def _picture(self, figure: render.Figure) -> Picture | None:
        """None where it cannot be drawn: the words say everything."""
        try:
            png = await self._drawing.drawn(figure)
        except NotDrawn as error:
            LOG.warning("not drawn title=%s why=%s", figure.title, error)
            return None
        return Picture.named("figures", png, render.alt_of(figure))
