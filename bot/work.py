"""What listeners hand over is begun, whatever it is; taken up again after a crash; and a fault in it is told.

A request's number (`Intake.id`) names everything that comes of it. So a request that is begun a second time finds what
the first attempt left and says nothing twice.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, TypeAlias, TypeVar, get_args

from bot import commands
from bot.answers import Answers
from bot.history import History
from bot.model import Act, Command, Fault, Intake
from bot.render import words
from bot.supervisor import Supervisor

LOG = logging.getLogger("bot.work")
DEADLINE_S = 120.0  # a check keeps its own, shorter one; this is for our faults
# A request begun this often over this long is what takes the process down. Either alone proves nothing: a process that
# is killed again and again for other reasons is to finish what it was asked.
_MOST_ATTEMPTS = 10
_TRIED_LONG_ENOUGH = timedelta(hours=1)
Asked = TypeVar("Asked")
Answer: TypeAlias = Callable[[Intake, Any], Awaitable[None]]  # the second is of the type that it stands for


def on(kind: type[Asked], answer: Callable[[Intake, Asked], Awaitable[None]]) -> dict[type[object], Answer]:
    """A line of the table of commands."""
    return {kind: answer}


class Work:
    """Everything that happens after an acknowledgement.

    `asked` answers commands by their type; `acts` does what buttons, forms, shortcuts and events ask, by their name;
    `faults` tells of one, where the asker is to be told otherwise than in a private word.
    """

    def __init__(
        self,
        *,
        history: History,
        answers: Answers,
        supervisor: Supervisor,
        asked: Mapping[type[object], Answer],
        acts: Mapping[str, Act],
        faults: Mapping[type[object] | str, Fault],
    ) -> None:
        assert set(asked) == set(get_args(Command)), "a command that nobody answers"
        self._history = history
        self._answers = answers
        self._supervisor = supervisor
        self._asked = asked
        self._acts = acts
        self._faults = faults

    def hand_over(self, intake: Intake) -> None:
        """Begin a request that is stored. Never raises: it is called after the acknowledgement."""

        async def on_fault(error_id: str) -> None:
            await self._tell_fault(intake, error_id)

        self._supervisor.start(self._run(intake), name=f"request {intake.id}", deadline_s=DEADLINE_S, on_fault=on_fault)

    async def recover(self) -> int:
        """Take up what an earlier process was asked and did not finish; how many requests that is."""
        unfinished = await self._history.unfinished()
        for intake in unfinished:
            LOG.info("taking up request=%s kind=%s", intake.id, intake.kind)
            self.hand_over(intake)
        return len(unfinished)

    async def _run(self, intake: Intake) -> None:
        attempts = await self._history.begin(intake.id)
        if attempts >= _MOST_ATTEMPTS and datetime.now(UTC) - intake.received_at > _TRIED_LONG_ENOUGH:
            await self._tell_fault(intake, f"request-{intake.id}")
        elif intake.action is None:
            command = commands.parse(intake.text)
            await self._asked[type(command)](intake, command)
        elif (act := self._acts.get(intake.action)) is not None:
            await act(intake)
        else:
            await self._answers.private(intake, words.unknown_button())

    async def _tell_fault(self, intake: Intake, error_id: str) -> None:
        name = type(commands.parse(intake.text)) if intake.action is None else intake.action
        await self._faults.get(name, self._answers.fault)(intake, error_id)
