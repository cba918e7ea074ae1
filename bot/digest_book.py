"""Digests as they are remembered: each channel's plan, and which digests were posted, with what they count from."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, time
from typing import Any, Final, TypeAlias

from bot.digest_times import DigestPlan
from bot.history import Book
from bot.model import Incident, Note
from bot.rows import incident_of, moment, stamp

Row: TypeAlias = dict[str, Any]
_MOST: Final = 200  # incidents that one digest may name


@dataclass(frozen=True, slots=True, kw_only=True)
class Planned:
    """A channel's plan, and since when."""

    team: str
    channel: str
    plan: DigestPlan
    set_by: str
    set_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Posted:
    """A digest that is in its channel. `due`: when its plan wanted it; None for one that was asked for.

    It is kept current until `until`. `since`: what its "changed" is measured from.
    """

    team: str
    channel: str
    key: str
    due: datetime | None
    zone: str
    posted_at: datetime
    since: datetime
    until: datetime


class DigestBook(Book):
    """The digests of all channels, in the bot's memory."""

    async def plan(self, planned: Planned, intake_id: int, notes: Sequence[Note]) -> None:
        """This is the channel's plan from now on, and the request that asked for it is done.

        A plan that is set again as it was goes on: what it owes already is not lost.
        """

        def set_() -> None:
            plan = planned.plan
            self._db.execute(
                "insert into digest_plans (team, channel, at, zone, weekdays, set_by, set_at)"
                " values (?, ?, ?, ?, ?, ?, ?) on conflict (team, channel) do update set at = excluded.at,"
                " zone = excluded.zone, weekdays = excluded.weekdays, set_by = excluded.set_by, set_at = case when"
                " at = excluded.at and zone = excluded.zone and weekdays = excluded.weekdays then set_at"
                " else excluded.set_at end",
                (
                    planned.team,
                    planned.channel,
                    f"{plan.at:%H:%M}",
                    plan.zone,
                    json.dumps(sorted(plan.weekdays)),
                    planned.set_by,
                    stamp(planned.set_at),
                ),
            )
            self._finish(intake_id, planned.set_at, notes, None)

        await self._write(set_)

    async def unplan(self, team: str, channel: str) -> bool:
        """No digest there any more; whether there was one."""

        def removed() -> bool:
            sql = "delete from digest_plans where team = ? and channel = ?"
            return bool(self._db.execute(sql, (team, channel)).rowcount)

        return await self._write(removed)

    async def plans(self, team: str | None = None) -> list[Planned]:
        """All plans, or those of one workspace."""
        where, values = ("", ()) if team is None else ("where team = ?", (team,))
        rows = await self._run(self._rows, f"select * from digest_plans {where}", *values)  # noqa: S608
        return [_planned_of(row) for row in rows]

    async def post(self, posted: Posted, notes: Sequence[Note], *, intake_id: int = 0) -> bool:
        """Remember it together with what is to be said; False: that one is posted already. *intake_id*: the request
        that asked for it, which is done then."""

        def kept() -> bool:
            cursor = self._db.execute(
                "insert or ignore into digests (team, channel, key, due, zone, posted_at, since, until)"
                " values (?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    posted.team,
                    posted.channel,
                    posted.key,
                    stamp(posted.due) if posted.due is not None else None,
                    posted.zone,
                    stamp(posted.posted_at),
                    stamp(posted.since),
                    stamp(posted.until),
                ),
            )
            if cursor.rowcount:
                self._note(notes)
            if intake_id:
                self._finish(intake_id, posted.posted_at, (), None)
            return bool(cursor.rowcount)

        return await self._write(kept)

    async def newest(self, team: str, channel: str) -> Posted | None:
        """The newest digest that a plan of the channel asked for."""
        rows = await self._run(
            self._rows,
            "select * from digests where team = ? and channel = ? and due is not null order by due desc limit 1",
            team,
            channel,
        )
        return _posted_of(rows[0]) if rows else None

    async def current(self, now: datetime) -> list[Posted]:
        """Those that are to be kept current now: of each channel the newest that was planned, and the newest that was
        asked for, on their day. What Slack refused for good is left alone."""
        rows = await self._run(
            self._rows,
            "select d.* from digests d where d.until > ? and not exists (select 1 from digests e where"
            " e.team = d.team and e.channel = d.channel and (e.due is null) = (d.due is null) and e.rowid > d.rowid)"
            " and not exists (select 1 from outbox o where o.key = d.key and o.state = 'dead')",
            stamp(now),
        )
        return [_posted_of(row) for row in rows]

    async def was_refused(self, posted: Posted) -> bool:
        """Slack did not let it be said."""
        refused = "select 1 from outbox where key = ? and state = 'dead'"
        return bool(await self._run(self._rows, refused, posted.key))

    async def asked_since(self, team: str, channel: str, since: datetime) -> tuple[str | None] | None:
        """Where the digest stands (its ts, once it is posted) that was asked for in the channel itself since then."""
        rows = await self._run(
            self._rows,
            "select o.ts from digests d join outbox o on o.key = d.key and o.state = 'live' and o.thread_ts is null"
            " where d.team = ? and d.channel = ? and d.due is null and d.posted_at > ? order by d.rowid desc limit 1",
            team,
            channel,
            stamp(since),
        )
        return (rows[0]["ts"],) if rows else None

    async def standing(self, team: str, channel: str) -> list[Incident]:
        """The incidents of the channel that nobody has resolved, oldest first."""
        sql = "select * from incidents where team = ? and channel = ? and state != 'resolved' order by id limit ?"
        rows = await self._run(self._rows, sql, team, channel, _MOST)
        return [incident_of(row) for row in rows]

    async def ended(self, team: str, channel: str, since: datetime) -> list[Incident]:
        """Those that were resolved since then."""
        rows = await self._run(
            self._rows,
            "select * from incidents where team = ? and channel = ? and state = 'resolved' and ended_at > ?"
            " order by id limit ?",
            team,
            channel,
            stamp(since),
            _MOST,
        )
        return [incident_of(row) for row in rows]

    async def drifted(self, team: str, channel: str, since: datetime) -> list[Row]:
        """What was told of drift since then, and what went back: target, severity, text, addresses, ended."""
        return await self._run(
            self._rows,
            "select target, severity, text, addresses, ended, message from drifts where team = ? and channel = ?"
            " and (at > ? or ended_at > ?) order by id limit ?",
            team,
            channel,
            since.timestamp(),
            since.timestamp(),
            _MOST,
        )


def _planned_of(row: Row) -> Planned:
    plan = DigestPlan(
        at=time.fromisoformat(row["at"]), zone=row["zone"], weekdays=frozenset(json.loads(row["weekdays"]))
    )
    return Planned(
        team=row["team"], channel=row["channel"], plan=plan, set_by=row["set_by"], set_at=moment(row["set_at"])
    )


def _posted_of(row: Row) -> Posted:
    return Posted(
        team=row["team"],
        channel=row["channel"],
        key=row["key"],
        due=moment(row["due"]) if row["due"] is not None else None,
        zone=row["zone"],
        posted_at=moment(row["posted_at"]),
        since=moment(row["since"]),
        until=moment(row["until"]),
    )
