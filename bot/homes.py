"""What a Home draws upon, and what is said once: who looks at it, which channels were welcomed. Above the memory."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from bot.history import Book
from bot.model import Incident, Intake, Note
from bot.rows import incident_of, stamp

_NEWEST_CHECKS = 2_000  # looked through for targets; who is not among them was not checked for long
_MOST_TARGETS = 60
_MOST_INCIDENTS = 200
# What is watched is looked at more often than it is checked. Of what is only checked: the newest check of each
# endpoint, and the first end of the leaves that its addresses served; the reports are read for few.
_ENDINGS = """
    with watched as (
        select iif(instr(l.host, ':'), '[' || l.host || ']', l.host) || ':' || l.port as target,
            min(l.expires_at) as ends
        from watches w join lookouts l on l.id = w.lookout
        where w.team = ?1 and w.channel in (select value from json_each(?3)) and l.expires_at is not null
        group by l.host, l.port),
    newest as (
        select max(id) as id from (
            select id, target, server_name, starttls, channel from checks where team = ?1 order by id desc limit ?2)
        where channel in (select value from json_each(?3))
        group by target, server_name, starttls order by max(id) desc limit ?4),
    checked as (
        select c.target, min((
            select min(strftime('%s', json_extract(e.value, '$.chain[0].not_after')))
            from json_each(c.report, '$.endpoints') e)) as ends
        from newest n join checks c on c.id = n.id group by c.target),
    known as (
        select target, ends, 1 as is_watched from watched union all
        select target, cast(ends as real), 0 from checked
        where ends is not null and target not in (select target from watched))
    select *, count(*) over () as total from known order by ends, target limit ?5"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """A target and when its certificate ends."""

    target: str
    at: datetime
    is_watched: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Looker:
    """A person whose Home was opened not long ago. `shown`: a digest of what it shows."""

    team: str
    user: str
    shown: str


class Homes(Book):
    """The memory of Homes and welcomes."""

    async def opened(self, intake: Intake) -> None:
        """The person looks at the Home; what it shows is not known from here on, so that it is published anew."""
        await self._write(
            self._db.execute,
            "insert into homes (team, user, opened_at, shown) values (?, ?, ?, '')"
            " on conflict (team, user) do update set opened_at = max(opened_at, excluded.opened_at), shown = ''",
            (intake.team, intake.user, stamp(intake.received_at)),
        )

    async def lookers(self, since: datetime, *, limit: int) -> list[Looker]:
        """Who opened a Home since then, the latest first."""
        sql = "select team, user, shown from homes where opened_at >= ? order by opened_at desc limit ?"
        rows = await self._run(self._rows, sql, stamp(since), limit)
        return [Looker(team=row["team"], user=row["user"], shown=row["shown"]) for row in rows]

    async def shown(self, looker: Looker, digest: str) -> None:
        """The Home shows this now."""
        sql = "update homes set shown = ? where team = ? and user = ?"
        await self._write(self._db.execute, sql, (digest, looker.team, looker.user))

    async def is_new(self, team: str, user: str) -> bool:
        """Nobody of that name ever asked for anything."""
        sql = "select 1 from met where team = ? and user = ?"
        return not await self._run(self._rows, sql, team, user)

    async def standing(self, team: str) -> list[Incident]:
        """The incidents that nobody resolved: open ones first, then the newest."""
        sql = (
            "select * from incidents where team = ? and state != 'resolved'"
            " order by state = 'open' desc, id desc limit ?"
        )
        return [incident_of(row) for row in await self._run(self._rows, sql, team, _MOST_INCIDENTS)]

    async def endings(self, team: str, seen_in: Sequence[str], *, limit: int) -> tuple[list[Ending], int]:
        """Which certificate ends when, soonest first, by what is watched or was checked in channels *seen_in*; and of
        how many that is known."""
        values = (team, _NEWEST_CHECKS, json.dumps(list(seen_in)), _MOST_TARGETS, limit)
        rows = await self._run(self._rows, _ENDINGS, *values)
        found = [
            Ending(
                target=row["target"],
                at=datetime.fromtimestamp(row["ends"], UTC),
                is_watched=bool(row["is_watched"]),
            )
            for row in rows
        ]
        return found, rows[0]["total"] if rows else 0

    async def welcome(self, intake: Intake, note: Note, now: datetime) -> bool:
        """One transaction: the channel's first welcome, if it is the first, and the request is done."""

        def welcomed() -> bool:
            sql = "insert or ignore into welcomes (team, channel, at) values (?, ?, ?)"
            is_first = bool(self._db.execute(sql, (intake.team, intake.channel, stamp(now))).rowcount == 1)
            self._finish(intake.id, now, (note,) if is_first else (), None)
            return is_first

        return await self._write(welcomed)
