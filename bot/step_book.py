"""What workflows are to be told, as it is remembered until Slack has taken it."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime
from typing import Any, TypeAlias

from bot.history import Book
from bot.model import Intake

Outcome: TypeAlias = dict[str, Any]  # {"outputs": …} or {"error": …}, as Slack takes it


class StepBook(Book):
    """The outcomes of all workflow steps; an execution has one."""

    async def decline(self, intake: Intake, outcome: Outcome) -> None:
        """The request is refused, and *outcome* says why; nothing, when it was delivered before."""

        def declined() -> None:
            if self._take_in(intake, "refused", finished=True) is not None:
                self._add(intake, outcome)

        await self._write(declined)

    async def conclude(self, intake: Intake, outcome: Outcome, error: str | None) -> None:
        """The request is done, and *outcome* is to be told."""

        def concluded() -> None:
            self._add(intake, outcome)
            self._finish(intake.id, datetime.now(UTC), error=error)

        await self._write(concluded)

    def _add(self, intake: Intake, outcome: Outcome) -> None:
        self._db.execute(
            "insert or ignore into workflow_steps (execution, team, outcome, noted_at) values (?, ?, ?, ?)",
            (json.loads(intake.text)["execution"], intake.team, json.dumps(outcome, ensure_ascii=False), time.time()),
        )

    async def untold(self) -> list[dict[str, Any]]:
        """The outcomes that Slack does not have, the next to be told first."""
        sql = "select * from workflow_steps where told_at is null order by retry_at limit 50"
        return await self._run(self._rows, sql)

    async def over(self, execution: str, error: str | None) -> None:
        """Slack has it, or will never take it."""
        sql = "update workflow_steps set told_at = ?, error = ? where execution = ?"
        await self._write(self._db.execute, sql, (datetime.now(UTC).isoformat(), error, execution))

    async def later(self, execution: str, at: float, error: str) -> None:
        """To be told again at *at*, in Unix seconds."""
        sql = "update workflow_steps set attempts = attempts + 1, retry_at = ?, error = ? where execution = ?"
        await self._write(self._db.execute, sql, (at, error, execution))
