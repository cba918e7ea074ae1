"""What people ask of Certificate Transparency: watch, list, status, remove, and the answers to what was told."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

from bot.admins import Admins
from bot.answers import Answers
from bot.ct_book import MOST_GUARDS, CtBook
from bot.ct_grammar import CtCommand
from bot.ct_watch import CtWatch
from bot.issuances import Guard, Issued
from bot.model import Content, Intake, PastCheck
from bot.render import ct as render
from bot.render import ct_advice, ct_logs, words
from bot.render.ct_issuance import ACTIONS, EXPECTED

_BEFORE: Final = timedelta(hours=24)


class CtDesk:
    """Answers everything that is asked about certificates in logs."""

    def __init__(self, *, book: CtBook, watch: CtWatch, answers: Answers, admins: Admins) -> None:
        self._book = book
        self._watch = watch
        self._answers = answers
        self._admins = admins

    def acts(self) -> dict[str, Callable[[Intake], Awaitable[None]]]:
        """What its buttons do."""
        return dict.fromkeys(ACTIONS, self.pressed)

    async def command(self, intake: Intake, command: CtCommand) -> None:
        """Do what was asked, and say what came of it."""
        if command.act in {"list", "status"}:
            await self._answers.as_asked(intake, "ct:request", await self._shown(intake, command))
            return
        refusal = await self._admins.refusal(intake.team, intake.user, "Watched domains")
        if refusal is not None:
            await self._answers.private(intake, words.answer(refusal))
        elif command.act == "remove":
            was_there = await self._book.remove(intake.team, intake.channel, command.domain)
            await self._watch.changed()
            await self._answers.as_asked(intake, "ct:request", render.removed(command.domain, was_there=was_there))
        elif not self._watch.is_on:
            await self._answers.private(intake, render.off())
        else:
            await self._begin(intake, command)

    async def _shown(self, intake: Intake, command: CtCommand) -> Content:
        if not self._watch.is_on:
            return render.off()
        now = _now()
        overview, running = await self._book.overview(intake.team, intake.channel, now), self._watch.running()
        if command.act == "status":
            return ct_logs.status(overview, running, now)
        return render.listing(await self._book.guards(intake.team, intake.channel), overview, running, now)

    async def _begin(self, intake: Intake, command: CtCommand) -> None:
        guard = Guard(
            team=intake.team,
            channel=intake.channel,
            domain=command.domain,
            expected_cas=command.expected_cas,
            lookalikes=command.lookalikes,
            added_by=intake.user,
            added_at=intake.received_at,
        )
        is_watched, before = await self._book.watch(guard)
        if not is_watched:
            await self._answers.private(intake, render.full(MOST_GUARDS))
            return
        await self._watch.changed()
        filled = await self._watch.backfill(command.domain) if command.backfill else ""
        content = render.watching(guard, before=before, logs=self._watch.logs, filled=filled)
        await self._answers.as_asked(intake, "ct:request", content)

    async def rooms(self, team: str) -> list[str]:
        """The channels that watch a domain."""
        return await self._book.guarding_channels(team)

    async def at_home(self, team: str, channels: Sequence[str]) -> str:
        """What an App Home says: what those channels watch, what waits there, and whether it works; empty where it is
        off."""
        if not self._watch.is_on:
            return ""
        return ct_logs.at_home(await self._book.standing(team, channels), self._watch.running())

    async def issued_before(self, team: str, channels: Sequence[str], host: str, at: datetime) -> Sequence[Issued]:
        """Certificates for *host* that were logged within the day before *at*, as those channels know them."""
        return await self._book.issued_for(team, channels, host, at - _BEFORE, at)

    async def appeared(
        self, check: PastCheck, channels: Sequence[str], old: PastCheck | None, opened_at: datetime | None
    ) -> list[str]:
        """What *What changed* says, in mrkdwn, of certificates for the host of *check*: those that were logged since
        the *old* one, and within the day before the incident that began at *opened_at*, or before the check."""
        host, at = check.report.target.host, opened_at or check.at
        since = min(at - _BEFORE, old.at) if old is not None else at - _BEFORE
        issued = await self._book.issued_for(check.team, channels, host, since, check.at)
        what = "this check" if opened_at is None and check.report.status != "broken" else "the failure"
        return [ct_advice.appeared(each, host, at, what) for each in issued]

    async def pressed(self, intake: Intake) -> None:
        """*Expected* and *Investigate*. To investigate is for everybody: it silences nothing."""
        refusal = None
        if intake.action == EXPECTED and not intake.text.endswith(":investigate"):
            refusal = await self._admins.refusal(intake.team, intake.user, "Answers to certificates")
        await self._book.answer(intake, _now(), refusal=None if refusal is None else words.answer(refusal))
        self._answers.wake()


def _now() -> datetime:
    return datetime.now(UTC)
