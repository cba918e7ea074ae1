"""When a workspace takes the bot away: tokens are erased, what waits or watches stops, nothing more is said there.

What was remembered stays, for the bot may be installed again: then incidents, history and identities are as they were,
and what is to be watched is asked for anew.
"""

from __future__ import annotations

import logging
from datetime import UTC, datetime

from bot.history import Book, History
from bot.installations import Installations
from bot.places import Places
from bot.rows import stamp

LOG = logging.getLogger("bot.departures")


class Departures(Book):
    """Of all workspaces. *installations* is None where the one workspace is known by its token."""

    def __init__(self, *, history: History, places: Places, installations: Installations | None) -> None:
        super().__init__(history)
        self._places = places
        self._installations = installations

    async def uninstalled(self, team: str, *, at: float, is_org: bool = False) -> None:
        """*team* (or, *is_org*, an organisation) took the bot away at *at* (Unix seconds). Old news change nothing."""
        if self._installations is not None and not await self._installations.erase(team, before=at):
            LOG.info("old news of an uninstall id=%s", team)
            return
        gone = [team]
        if is_org and self._installations is not None:
            gone = await self._installations.members(team)
        for each in gone:
            # Slack tells the time of an event in whole seconds.
            is_news = await self._places.leave(each, at=at + 1.0, stop=self._stop)
            LOG.info("everything stopped team=%s" if is_news else "old news of an uninstall id=%s", each)

    def _stop(self, team: str) -> None:
        db, now = self._db, stamp(datetime.now(UTC))
        db.execute("delete from vigils where incident in (select id from incidents where team = ?)", (team,))
        db.execute(
            "update outbox set state = 'dead', error = 'uninstalled' where team = ? and sent_revision < revision"
            " and state = 'live'",
            (team,),
        )
        db.execute(
            "update intakes set finished_at = ?, error = 'uninstalled' where team = ? and finished_at is null",
            (now, team),
        )
        db.execute(
            "update workflow_steps set told_at = ?, error = 'uninstalled' where team = ? and told_at is null",
            (now, team),
        )
