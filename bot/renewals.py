"""What keeps lineages current beside the looks: the CAs' own word on renewal (RFC 9773), what is no longer watched, and
the buttons of their threads.

A CA is asked for all its certificates in one round, one after the other, and not again before the latest time it named:
so a window that jumps for many is seen at once, and is one message.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

from bot.admins import Admins
from bot.lineage_book import Heard, LineageBook
from bot.model import Intake
from bot.notify import Outbox
from bot.render import expiry as words
from probes.ari import SOONEST
from probes.model import CertificateReport
from probes.net.ari import RenewalInformation

LOG = logging.getLogger("bot.renewals")
_EVERY_S: Final = 600.0
_FLUSHED_EVERY_S: Final = 5.0
_APART_S: Final = 0.05  # between two questions: a round of thousands is no burst
_PROBLEMS: Final = 5  # in a row: the CA cannot answer now, the rest waits for the next round
_NEXT_ROUND: Final = timedelta(hours=6)


class Renewals:
    """Rounds and buttons. `run` it as a task. Without *ari* no CA is asked."""

    def __init__(
        self,
        *,
        book: LineageBook,
        outbox: Outbox,
        ari: RenewalInformation | None,
        admins: Admins | None = None,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._book = book
        self._outbox = outbox
        self._ari = ari
        self._admins = admins
        self._clock = clock

    def acts(self) -> dict[str, Callable[[Intake], Awaitable[None]]]:
        return dict.fromkeys(words.ACTIONS, self.pressed)

    async def pressed(self, intake: Intake) -> None:
        """*Acknowledge* and *Snooze*: either ends the repeats, which is for members of the workspace to ask for."""
        admins = self._admins
        if admins is not None and await admins.people.is_member(intake.team, intake.user) is False:
            why = await admins.why_not(intake.team, intake.user)
            what = "snoozed" if intake.action == words.SNOOZE else "acknowledged"
            await self._book.declined(intake, f"Not {what}: {why}.", self._clock())
            self._outbox.wake()
            return
        await self._book.pressed(intake, self._clock())
        self._outbox.wake()

    async def run(self) -> None:
        """Until cancelled; a round that fails by our own fault does not end the others."""
        next_round = 0.0
        while True:
            try:
                if await self._book.flush(self._clock()):
                    self._outbox.wake()
                if time.monotonic() >= next_round:
                    next_round = time.monotonic() + _EVERY_S
                    await self.round()
            except Exception:
                LOG.exception("a round of renewal information failed")
            await asyncio.sleep(_FLUSHED_EVERY_S)

    async def round(self) -> None:
        """Tidy up, and ask each CA whose pause is over."""
        notes = await self._book.tidy(self._clock())
        if self._ari is not None:
            asked = await self._book.asked_about(self._ari.offered_by, self._clock())
            for authority, certificates in asked.items():
                notes += await self._ask(self._ari, authority, certificates)
        if notes:
            self._outbox.wake()

    async def _ask(self, ari: RenewalInformation, authority: str, certificates: Sequence[CertificateReport]) -> int:
        answers, problems = [], 0
        next_at = self._clock() + SOONEST
        for each in certificates:
            told = await ari.ask(authority, bytes.fromhex(each.authority_key_id), int(each.serial, 16), self._clock())
            next_at = max(next_at, told.ask_again_at)
            if told.window is not None:
                answers.append(Heard(certificate=each.sha256, window=told.window))
            problems = 0 if told.window is not None else problems + 1
            if problems >= _PROBLEMS:
                LOG.info("no renewal information authority=%s why=%s", authority, told.problem)
                break
            await asyncio.sleep(_APART_S)
        now = self._clock()
        return await self._book.heard(authority, answers, min(next_at, now + 4 * _NEXT_ROUND), now)
