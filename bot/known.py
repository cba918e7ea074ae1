"""What is answered from what is known, without a look at anything: help, explanations, which identities are stored."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

from bot.answers import Answers
from bot.identities import Identities
from bot.model import Content, ExplainText, Help, IdentityCommand, Intake, Misread, NotYet
from bot.render import explain, help, words
from bot.render import identities as render


class Known:
    """Answers at once, or nearly so."""

    def __init__(self, *, answers: Answers, identities: Identities) -> None:
        self._answers = answers
        self._identities = identities

    async def help(self, intake: Intake, command: Help | NotYet | Misread) -> None:
        await self._answers.private(intake, help.at_once(command))

    async def explanation(self, intake: Intake, asked: ExplainText) -> None:
        """`explain TEXT`."""
        content = await asyncio.to_thread(_explained, asked.text)
        await self._answers.as_asked(intake, "explain", content)

    async def identity(self, intake: Intake, command: IdentityCommand) -> None:
        """`identity add`, `list` and `remove`."""
        await self._answers.private(intake, await self._of_identities(intake, command))

    async def _of_identities(self, intake: Intake, command: IdentityCommand) -> Content:
        if command.act == "list":
            if not await self._identities.may_use(intake.team, intake.user):
                return words.answer("Which client identities there are is for this workspace to know.")
            return render.listing(await self._identities.listed(intake.team), datetime.now(UTC))
        refusal = await self._identities.refusal(intake.team, intake.user, to_add=command.act == "add")
        if refusal is not None:
            return words.answer(refusal)
        if command.act == "add":
            return render.offer()
        was_there = await self._identities.remove(intake.team, command.name)
        return render.removed(command.name, was_there=was_there)


def _explained(text: str) -> Content:
    """In a thread of its own: the first text of a process brings the phrases in, a long one takes a while."""
    from probes.explain import explain as causes_of

    return explain.explained(causes_of(text))
