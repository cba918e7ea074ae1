"""Incidents as they are remembered: their state, their timelines, who watches them, and what is like them."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, Final, Literal, TypeAlias

from bot.fulltext import FullText
from bot.model import CheckLine, Entry, Incident, Intake, Note, PastCheck, Transition, Vigil
from bot.rows import (
    check_line_of,
    entry_of,
    entry_row,
    incident_of,
    incident_row,
    past_check_of,
    vigil_of,
    vigil_row,
)

# What an incident, once it has its number, adds to its timeline, and what is to be said of it.
Say: TypeAlias = Callable[[Incident | None], tuple[Sequence[Entry], Sequence[Note]]]
KEEP: Final = "keep"
Watching: TypeAlias = Vigil | Literal["keep"] | None  # None: nobody watches it any more
_STANDING = "state != 'resolved'"


class Casebook(FullText):
    """The incidents of all channels."""

    # ── what happens to them ────────────────────────────────────────────────────

    def _step(self, check: PastCheck, transition: Transition, say: Say, vigil: Watching) -> Sequence[Note]:
        incident = None if transition.now is None else self._keep(transition.now)
        entries, notes = say(incident)
        if incident is not None:
            for entry in entries:
                self._enter(incident.id, entry)
            if vigil != KEEP:
                self._keep_vigil(incident.id, vigil)
        self._audited(check.id, None, str(check.report.target))
        return notes

    async def act(
        self,
        intake: Intake,
        incident: Incident,
        entries: Sequence[Entry],
        notes: Sequence[Note],
        now: datetime,
        *,
        vigil: Watching = KEEP,
    ) -> None:
        """One transaction: the incident as it is now, its timeline, what is to be said, and the request is done."""
        await self._write(self._act, intake, incident, entries, notes, now, vigil)

    def _act(
        self,
        intake: Intake,
        incident: Incident,
        entries: Sequence[Entry],
        notes: Sequence[Note],
        now: datetime,
        vigil: Watching,
    ) -> None:
        self._keep(incident)
        for entry in entries:
            self._enter(incident.id, entry)
        if vigil != KEEP:
            self._keep_vigil(incident.id, vigil)
        self._audited(intake.id, "done", incident.target)
        self._finish(intake.id, now, notes, None)

    async def decline(self, intake: Intake, why: str, target: str, notes: Sequence[Note], now: datetime) -> None:
        """The request changed nothing, and the audit says why."""

        def declined() -> None:
            self._audited(intake.id, f"declined: {why}", target)
            self._finish(intake.id, now, notes, None)

        await self._write(declined)

    async def settle(self, incident: Incident, entries: Sequence[Entry], notes: Sequence[Note]) -> None:
        """What happens by itself: nobody asked for it."""

        def settled() -> None:
            self._keep(incident)
            for entry in entries:
                self._enter(incident.id, entry)
            self._keep_vigil(incident.id, None)
            self._note(notes)

        await self._write(settled)

    def _audited(self, intake_id: int, verdict: str | None, target: str) -> None:
        self._db.execute(
            "update audit set target = ?, verdict = coalesce(?, verdict) where intake = ? and verdict != 'duplicate'",
            (target, verdict, intake_id),
        )

    def _keep(self, incident: Incident) -> Incident:
        row = incident_row(incident)
        if incident.id:
            sets = ", ".join(f"{name} = ?" for name in row)
            self._db.execute(
                f"update incidents set {sets} where id = ?",  # noqa: S608 - our own names
                (*row.values(), incident.id),
            )
        else:
            marks = ", ".join("?" * len(row))
            cursor = self._db.execute(
                f"insert into incidents ({', '.join(row)}) values ({marks})",  # noqa: S608 - our own names
                tuple(row.values()),
            )
            incident = replace(incident, id=int(cursor.lastrowid or 0))
        words = ("INC", str(incident.id), incident.target, incident.endpoint, incident.cause, incident.issuer)
        self._index("incident", incident.id, 0, " ".join((*words, incident.state)))
        return incident

    def _enter(self, incident_id: int, entry: Entry) -> None:
        row = entry_row(entry) | {"incident": incident_id}
        marks = ", ".join("?" * len(row))
        cursor = self._db.execute(
            f"insert into timeline ({', '.join(row)}) values ({marks})"  # noqa: S608 - our own names
            " on conflict (incident, key) do update set text = excluded.text, state = excluded.state,"
            " edited_ts = excluded.edited_ts returning id",
            tuple(row.values()),
        )
        number = int(cursor.fetchone()[0])
        if entry.kind == "note":
            if entry.state == "live":
                self._index("incident", incident_id, number, entry.text)
            else:
                self._unindex("incident", incident_id, number)

    # ── which there are ─────────────────────────────────────────────────────────

    async def _incident(self, where: str, *values: Any) -> Incident | None:
        sql = f"select i.* from incidents i left join outbox p on p.key = i.root where {where}"  # noqa: S608 - ours
        rows = await self._run(self._rows, sql, *values)
        return incident_of(rows[0]) if rows else None

    async def incident(self, number: int) -> Incident | None:
        return await self._incident("i.id = ?", number)

    async def standing(self, team: str, channel: str, endpoint: str) -> Incident | None:
        """The incident of *endpoint* in *channel* that is not resolved."""
        where = f"i.team = ? and i.channel = ? and i.endpoint = ? and i.{_STANDING}"
        return await self._incident(where, team, channel, endpoint)

    async def rooted(self, headline: str) -> Incident | None:
        """The newest incident that the message *headline* shows."""
        return await self._incident("i.root = ? order by i.id desc limit 1", headline)

    async def in_thread(self, team: str, channel: str, thread_ts: str) -> Incident | None:
        """The incident of a thread: one that stands, or else the newest."""
        where = "i.team = ? and i.channel = ? and (p.ts = ? or i.thread_ts = ?)"
        newest = f" order by (i.{_STANDING}) desc, i.id desc limit 1"
        return await self._incident(where + newest, team, channel, thread_ts, thread_ts)

    async def newest_standing(self, team: str, channel: str) -> Incident | None:
        where = f"i.team = ? and i.channel = ? and i.{_STANDING} order by i.state = 'open' desc, i.id desc limit 1"
        return await self._incident(where, team, channel)

    async def incidents(self, team: str, word: str, *, seen_in: Sequence[str], limit: int) -> list[Incident]:
        """The incidents in channels *seen_in*, open ones first and then the newest, that *word* is found in: in what
        they are, or in a note."""
        matching, values = self._matching("incident", word)
        sql = (
            "select * from incidents where team = ? and channel in (select value from json_each(?))"  # noqa: S608 - ours
            f" and id in ({matching}) order by ({_STANDING}) desc, id desc limit ?"
        )
        rows = await self._run(
            self._rows,
            sql,
            team,
            json.dumps(list(seen_in)),
            *values,
            limit,
        )
        return [incident_of(row) for row in rows]

    async def alike(self, incident: Incident, *, seen_in: Sequence[str], limit: int) -> list[Incident]:
        """Earlier incidents of the same host, cause or issuer, in channels *seen_in*: the likest and newest first."""
        rows = await self._run(
            self._rows,
            "select * from incidents where team = ?1 and id < ?2 and channel in (select value from json_each(?3))"
            " and (host = ?4 or cause = ?5 or (issuer = ?6 and issuer != ''))"
            " order by (host = ?4) * 4 + (cause = ?5) * 2 + (issuer = ?6) desc, id desc limit ?7",
            incident.team,
            incident.id,
            json.dumps(list(seen_in)),
            incident.host,
            incident.cause,
            incident.issuer,
            limit,
        )
        return [incident_of(row) for row in rows]

    # ── their timelines ─────────────────────────────────────────────────────────

    async def timeline(self, incident_id: int) -> list[Entry]:
        """What is told of an incident, in the order in which it happened."""
        sql = "select * from timeline where incident = ? and state = 'live' order by at, id"
        return [entry_of(row) for row in await self._run(self._rows, sql, incident_id)]

    async def entry(self, incident_id: int, key: str) -> Entry | None:
        rows = await self._run(self._rows, "select * from timeline where incident = ? and key = ?", incident_id, key)
        return entry_of(rows[0]) if rows else None

    async def taken_from(self, team: str, channel: str, ts: str) -> list[tuple[Incident, Entry]]:
        """The notes that were taken from message *ts* of *channel*, each with its incident."""
        rows = await self._run(
            self._rows,
            "select t.* from timeline t join incidents i on i.id = t.incident"
            " where t.source_ts = ? and i.team = ? and i.channel = ? order by t.id",
            ts,
            team,
            channel,
        )
        found = [(await self.incident(row["incident"]), entry_of(row)) for row in rows]
        return [(incident, entry) for incident, entry in found if incident is not None]

    async def is_source(self, team: str, channel: str, ts: str) -> bool:
        """A note was taken from that message, or is about to be."""
        sql = (
            "select 1 from timeline t join incidents i on i.id = t.incident where t.source_ts = ?1 and i.channel = ?2"
            " and i.team = ?3 union all select 1 from intakes where finished_at is null and channel = ?2"
            " and message_ts = ?1 and team = ?3 and kind in ('mention', 'event', 'action') limit 1"
        )
        return bool(await self._run(self._rows, sql, ts, channel, team))

    async def has_incidents(self, team: str, channel: str) -> bool:
        sql = "select 1 from incidents where channel = ? and team = ? limit 1"
        return bool(await self._run(self._rows, sql, channel, team))

    async def last_unpinned(self, team: str, channel: str, ts: str, user: str) -> str:
        """When (Slack's time) *user* last took the pin off that message, as far as was heard; empty for never."""
        sql = (
            "select max(json_extract(text, '$.version')) as at from intakes"
            " where action = 'incident.unpin' and team = ? and channel = ? and message_ts = ? and user = ?"
        )
        rows = await self._run(self._rows, sql, team, channel, ts, user)
        return str(rows[0]["at"] or "")

    # ── watching until it is fixed ──────────────────────────────────────────────

    def _keep_vigil(self, incident_id: int, vigil: Vigil | None) -> None:
        if vigil is None:
            self._db.execute("delete from vigils where incident = ?", (incident_id,))
            return
        row = vigil_row(vigil)
        marks = ", ".join("?" * len(row))
        self._db.execute(
            f"insert or replace into vigils ({', '.join(row)}) values ({marks})",  # noqa: S608 - our own names
            tuple(row.values()),
        )

    async def vigil(self, incident_id: int) -> Vigil | None:
        rows = await self._run(self._rows, "select * from vigils where incident = ?", incident_id)
        return vigil_of(rows[0]) if rows else None

    async def next_look(self) -> Vigil | None:
        """The vigil whose look is due first, if there is any that waits."""
        sql = "select * from vigils where next_at is not null order by next_at limit 1"
        rows = await self._run(self._rows, sql)
        return vigil_of(rows[0]) if rows else None

    # ── checks, as incidents ask for them ───────────────────────────────────────

    async def last_good(self, check: PastCheck, *, seen_in: Sequence[str]) -> PastCheck | None:
        """The newest check of the same endpoint before *check* that was not broken, in channels *seen_in*."""
        return await self._before(check, seen_in, "status != 'broken'")

    async def check_before(self, check: PastCheck, *, seen_in: Sequence[str]) -> PastCheck | None:
        """The newest before it, whatever it found."""
        return await self._before(check, seen_in, "true")

    async def _before(self, check: PastCheck, seen_in: Sequence[str], condition: str) -> PastCheck | None:
        """The newest check of the same endpoint (host, port, server name, STARTTLS) before *check*."""
        target = check.report.target
        sql = (
            "select * from checks where target = ? and server_name is ? and starttls is ? and team = ? and id < ?"  # noqa: S608 - ours
            f" and channel in (select value from json_each(?)) and {condition} order by id desc limit 1"
        )
        rows = await self._run(
            self._rows,
            sql,
            str(target),
            target.server_name,
            target.starttls,
            check.team,
            check.id,
            json.dumps(list(seen_in)),
        )
        return past_check_of(rows[0]) if rows else None

    async def lines(
        self,
        team: str,
        word: str,
        *,
        seen_in: Sequence[str],
        before: int | None = None,
        after: int | None = None,
        limit: int,
    ) -> list[CheckLine]:
        """The checks in channels *seen_in* that *word* is found in, newest first: the newest, those just before check
        *before*, or those just after check *after*."""
        matching, values = self._matching("check", word)
        low, high = after if after is not None else 0, before if before is not None else 1 << 62
        order = "asc" if after is not None else "desc"
        sql = (
            "select id, target, at, status, cause, summary, user from checks where team = ? and id > ?"  # noqa: S608
            f" and id < ? and channel in (select value from json_each(?)) and id in ({matching})"
            f" order by id {order} limit ?"
        )
        rows = await self._run(
            self._rows,
            sql,
            team,
            low,
            high,
            json.dumps(list(seen_in)),
            *values,
            limit,
        )
        lines = [check_line_of(row) for row in rows]
        return lines[::-1] if after is not None else lines

    # ── what the outbox knows of their messages ─────────────────────────────────

    async def posted_as(self, key: str) -> tuple[str | None, bool]:
        """Where the message *key* stands (its ts), and whether it was given up for good."""
        rows = await self._run(self._rows, "select ts, state from outbox where key = ?", key)
        return (rows[0]["ts"], rows[0]["state"] == "dead") if rows else (None, True)
