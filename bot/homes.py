"""What a Home draws upon, and what is said once: who looks at it, which channels were welcomed. Above the memory."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from bot.history import History
from bot.model import Incident, Intake, Note
from bot.rows import incident_of, stamp

_NEWEST_CHECKS = 2_000  # looked through for targets; who is not among them was not checked for long
_MOST_TARGETS = 60
_MOST_INCIDENTS = 200
# The newest check of each endpoint, and the first end of the leaves that its addresses served. The reports are read for
# the few that are shown only.
_ENDINGS = """
    with newest as (
        select max(id) as id from (
            select id, target, server_name, starttls, channel from checks where team = ?1 order by id desc limit ?2)
        where channel in (select value from json_each(?3))
        group by target, server_name, starttls order by max(id) desc limit ?4)
    select c.target as target, c.channel as channel, c.user as user,
        (select min(json_extract(e.value, '$.chain[0].not_after')) from json_each(c.report, '$.endpoints') e) as ends
    from newest n join checks c on c.id = n.id where ends is not null order by ends"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """A target whose certificate was seen by a check."""

    target: str
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Looker:
    """A person whose Home was opened not long ago. `shown`: a digest of what it shows."""

    team: str
    user: str
    shown: str


class Homes:
    """The memory of Homes and welcomes."""

    def __init__(self, history: History) -> None:
        self._memory = history

    async def opened(self, intake: Intake) -> None:
        """The person looks at the Home; what it shows is not known from here on, so that it is published anew."""
        await self._memory._write(
            self._memory._db.execute,
            "insert into homes (team, user, opened_at, shown) values (?, ?, ?, '')"
            " on conflict (team, user) do update set opened_at = max(opened_at, excluded.opened_at), shown = ''",
            (intake.team, intake.user, stamp(intake.received_at)),
        )

    async def lookers(self, since: datetime, *, limit: int) -> list[Looker]:
        """Who opened a Home since then, the latest first."""
        sql = "select team, user, shown from homes where opened_at >= ? order by opened_at desc limit ?"
        rows = await self._memory._run(self._memory._rows, sql, stamp(since), limit)
        return [Looker(team=row["team"], user=row["user"], shown=row["shown"]) for row in rows]

    async def shown(self, looker: Looker, digest: str) -> None:
        """The Home shows this now."""
        sql = "update homes set shown = ? where team = ? and user = ?"
        await self._memory._write(self._memory._db.execute, sql, (digest, looker.team, looker.user))

    async def is_new(self, team: str, user: str) -> bool:
        """Nobody of that name ever asked for anything."""
        sql = "select 1 from met where team = ? and user = ?"
        return not await self._memory._run(self._memory._rows, sql, team, user)

    async def standing(self, team: str) -> list[Incident]:
        """The incidents that nobody resolved: open ones first, then the newest."""
        sql = (
            "select * from incidents where team = ? and state != 'resolved'"
            " order by state = 'open' desc, id desc limit ?"
        )
        return [incident_of(row) for row in await self._memory._run(self._memory._rows, sql, team, _MOST_INCIDENTS)]

    async def endings(self, team: str, seen_in: Sequence[str]) -> list[Ending]:
        """By the newest check of each endpoint, in channels *seen_in*: which certificate ends when, soonest first."""
        values = (team, _NEWEST_CHECKS, json.dumps(list(seen_in)), _MOST_TARGETS)
        rows = await self._memory._run(self._memory._rows, _ENDINGS, *values)
        return [Ending(target=row["target"], at=_moment(row["ends"])) for row in rows]

    async def welcome(self, intake: Intake, note: Note, now: datetime) -> bool:
        """One transaction: the channel's first welcome, if it is the first, and the request is done."""

        def welcomed() -> bool:
            sql = "insert or ignore into welcomes (team, channel, at) values (?, ?, ?)"
            is_first = bool(self._memory._db.execute(sql, (intake.team, intake.channel, stamp(now))).rowcount == 1)
            self._memory._finish(intake.id, now, (note,) if is_first else (), None)
            return is_first

        return await self._memory._write(welcomed)


def _moment(text: str) -> datetime:
    found = datetime.fromisoformat(text.replace("Z", "+00:00"))
    return found if found.tzinfo else found.replace(tzinfo=UTC)
