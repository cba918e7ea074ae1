"""Outages of our own network, as they are remembered: we reach nothing of what we reached before, and have said so."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from bot.history import Book
from bot.model import Note
from bot.render import watch as words


@dataclass(frozen=True, slots=True, kw_only=True)
class Outage:
    """Since `began`; all of `tried` endpoints failed. `places`: team and channel of each message that says so."""

    began: datetime
    tried: int
    places: tuple[tuple[str, str], ...]

    def notes(self, ended: datetime | None = None) -> list[Note]:
        """Those messages, as they stand now."""
        return [
            Note(
                key=f"outage:{team}:{channel}:{self.began.timestamp():.0f}",
                kind="message",
                team=team,
                channel=channel,
                content=words.outage(self.tried, self.began, ended),
            )
            for team, channel in self.places
        ]


class Outages(Book):
    """At most one stands at a time; a restart goes on with it."""

    async def begin(self, began: datetime, tried: int, places: Sequence[tuple[str, str]]) -> Outage:
        """It is stored with its messages."""
        outage = Outage(began=began, tried=tried, places=tuple(places))

        def begun() -> None:
            self._db.execute(
                "insert into outages (began_at, tried, places) values (?, ?, ?)",
                (began.timestamp(), tried, json.dumps(outage.places)),
            )
            self._note(outage.notes())

        await self._write(begun)
        return outage

    async def standing(self) -> Outage | None:
        sql = "select began_at, tried, places from outages where ended_at is null order by began_at desc limit 1"
        rows = await self._run(self._rows, sql)
        if not rows:
            return None
        return Outage(
            began=datetime.fromtimestamp(rows[0]["began_at"], UTC),
            tried=rows[0]["tried"],
            places=tuple((team, channel) for team, channel in json.loads(rows[0]["places"])),
        )

    async def end(self, outage: Outage, now: datetime) -> None:
        """Its messages say so."""

        def ended() -> None:
            self._db.execute("update outages set ended_at = ? where ended_at is null", (now.timestamp(),))
            self._note(outage.notes(now))

        await self._write(ended)
