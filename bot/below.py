"""What the buttons of a verdict bring: the raw report, everything that mends it, what changed since it worked."""

from __future__ import annotations

import json

from bot import check_notes
from bot.answers import Answers
from bot.cases import Appeared
from bot.history import History
from bot.model import Act, Content, Intake, Note, PastCheck
from bot.quotable import Quotable
from bot.render import changes, repair, report, words
from bot.worked import LastWorked
from probes.codec import to_json


class Below:
    """Answers below the verdicts of all channels."""

    def __init__(
        self,
        *,
        history: History,
        answers: Answers,
        quotable: Quotable,
        last_worked: LastWorked,
        appeared: Appeared,
    ) -> None:
        self._history = history
        self._answers = answers
        self._quotable = quotable
        self._last_worked = last_worked
        self._appeared = appeared

    def acts(self) -> dict[str, Act]:
        """What each of these buttons does."""
        return {report.RAW: self._raw, repair.ALL: self._repairs, report.CHANGED: self._changed}

    async def _raw(self, intake: Intake) -> None:
        check = await self._behind(intake)
        if check is None:
            return
        host = "".join(c if c.isalnum() or c in ".-" else "_" for c in check.report.target.host)[:100]
        note = check_notes.file_below(
            check,
            intake,
            "raw",
            Content(text=f"Raw report of {words.named(check.report.target)}, check {check.id}"),
            filename=f"tls-{host}-{check.report.target.port}-check-{check.id}.json",
            text=json.dumps(to_json(check.report), indent=2, ensure_ascii=False) + "\n",
        )
        await self._once(intake, note)

    async def _repairs(self, intake: Intake) -> None:
        check = await self._behind(intake)
        if check is None:
            return
        note = check_notes.file_below(
            check,
            intake,
            "repairs",
            Content(text=f"What mends {words.named(check.report.target)}, by check {check.id}"),
            filename=f"{repair.stem(check.report)}-repairs.txt",
            text=repair.everything(check.report),
        )
        await self._once(intake, note)

    async def _once(self, intake: Intake, note: Note) -> None:
        """A file that a button asks for stands in its thread once."""
        if await self._history.is_noted(note.key):
            await self._answers.private(intake, words.uploaded_already())
        else:
            await self._answers.finish(intake, note)

    async def _behind(self, intake: Intake) -> PastCheck | None:
        """The check whose button was pressed; None, and an answer that explains, when it is no longer known."""
        check = await self._history.check_behind(intake)
        if check is None:
            await self._answers.private(intake, words.stale_button())
        return check

    async def _changed(self, intake: Intake) -> None:
        check = await self._behind(intake)
        if check is None:
            return
        seen_in = await self._quotable(intake)
        good = await self._last_worked(check, seen_in=seen_in) if check.report.status == "broken" else None
        old = good or await self._history.check_before(check, seen_in=seen_in)
        appeared = await self._appeared(check, seen_in, old, None)
        content = changes.first_look(check, appeared) if old is None else changes.changed(old, check, appeared)
        if old is None or await self._history.is_noted(check_notes.below_key(check, "changed")):
            await self._answers.private(intake, content)
        else:
            await self._answers.finish(intake, check_notes.below(check, intake, "changed", content))
