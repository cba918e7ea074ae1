"""The memory: requests, checks and identities, above the incidents of `bot.casebook`. Every method is one
short job on the one thread that owns the connection (`bot.store`)."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, TypeVar

from sqlite_utils import Database

from bot.casebook import KEEP, Casebook, Say, Watching
from bot.model import Intake, Note, PastCheck, StoredIdentity, Transition, Vigil
from bot.rows import (
    identity_row,
    intake_of,
    past_check_of,
    stamp,
    stored_identity_of,
)
from probes.codec import to_json

Result = TypeVar("Result")
_PRUNED_AT_ONCE = 200
_OLD_INTAKES = (
    "delete from intakes where id in (select id from intakes where finished_at < :text"
    # The newest stays: its number would be given again, and messages are known by it.
    " and id not in (select id from checks) and id != (select max(id) from intakes) limit :most)"
)
# A posted message that is forgotten leaves its place behind: what is said of its matter later is an edit there, and no
# second message that calls people to what they have dealt with. The place is forgotten after some years.
_PLACES_KEPT_S = 1_000 * 86_400
_KEPT_NOTES = (
    "key not in (select headline from checks)"
    # The thread of a renewal, or of a CA's recall, may be older: it is edited for as long as it is open.
    " and (key not like 'lineage:%' or not exists (select 1 from lineages l where l.is_open"
    "  and (key = 'lineage:' || l.id || ':' || json_extract(l.state, '$.episode'))))"
    " and (key not like 'due:%' or not exists (select 1 from lineages l where l.is_open and l.within = outbox.key))"
    " and (key not like 'mass:%' or not exists (select 1 from masses m where m.is_open and key = 'mass:' || m.id))"
    # So may that of a certificate which waits for an answer, or is an incident.
    " and key not in (select 'ct:' || id from ct_cases where state in ('open', 'investigated'))"
    " and key not in (select told_in from ct_cases where state = 'open')"
)
_OLD_NOTES = (
    "delete from outbox where id in (select id from outbox where noted_at < :seconds and (state = 'dead'"  # noqa: S608
    " or parent in (select key from outbox where state = 'dead')"
    f" or (sent_revision >= revision and (kind != 'message' or noted_at < :seconds - {_PLACES_KEPT_S})))"
    f" and {_KEPT_NOTES} limit :most)"
)
_OLD_WORDS = (
    "update outbox set content = '', pictures = null where id in (select id"  # noqa: S608 - ours
    " from outbox where noted_at < :seconds"
    f" and kind = 'message' and content != '' and sent_revision >= revision and {_KEPT_NOTES} limit :most)"
)
_OLD_PICTURES = (
    "delete from pictures where rowid in (select i.rowid from pictures i where i.noted_at < :seconds and not exists"
    " (select 1 from outbox o, json_each(o.pictures) each where o.pictures is not null and o.team = i.team"
    " and each.value = i.key) limit :most)"
)
_OLD_AUDIT = "delete from audit where id in (select id from audit where at < :text limit :most)"


class History(Casebook):
    """The bot's memory. Make it with `History.open`; `close` it when done."""

    # ── requests ────────────────────────────────────────────────────────────────

    async def take_in(
        self,
        intake: Intake,
        *,
        verdict: str,
        finished: bool = False,
        notes: Sequence[Note] = (),
        first: Sequence[Note] = (),
    ) -> int | None:
        """Store a request before it is acknowledged, with its audit row; its number, or None when it was known already.

        *finished*: nothing remains to be done but to say *notes*, or what goes with the acknowledgement. *first*: said
        besides when nobody of that name ever asked for anything.
        """
        return await self._write_first(self._take_in, intake, verdict, finished, notes, first)

    async def take_in_once(self, intake: Intake, *, verdict: str) -> int:
        """Store a request that another one makes, as finished; its number. The other one is not finished, and makes it
        once more after a crash: it is the same then."""
        number = await self.take_in(intake, verdict=verdict, finished=True)
        if number is not None:
            return number
        rows = await self._run(self._rows, "select id from intakes where key = ?", intake.key)
        return int(rows[0]["id"])

    def _take_in(
        self, intake: Intake, verdict: str, finished: bool, notes: Sequence[Note], first: Sequence[Note] = ()
    ) -> int | None:
        cursor = self._db.execute(
            "insert or ignore into intakes (key, kind, team, channel, user, text, action, message_ts, thread_ts,"
            " response_url, ephemeral_button, received_at, finished_at)"
            " values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                intake.key,
                intake.kind,
                intake.team,
                intake.channel,
                intake.user,
                intake.text,
                intake.action,
                intake.message_ts,
                intake.thread_ts,
                intake.response_url,
                int(intake.ephemeral_button),
                stamp(intake.received_at),
                stamp(intake.received_at) if finished else None,
            ),
        )
        number = cursor.lastrowid if cursor.rowcount == 1 else None
        if number is not None:
            self._note(notes)
            if first and self._meets(intake):
                self._note(first)
        self._db.execute(
            "insert into audit (at, team, channel, user, action, text, verdict, intake)"
            " values (?, ?, ?, ?, ?, ?, ?, ?)",
            (
                stamp(intake.received_at),
                intake.team,
                intake.channel,
                intake.user,
                intake.action or intake.kind,
                intake.text,
                verdict if number is not None else "duplicate",
                number,
            ),
        )
        return number

    def _meets(self, intake: Intake) -> bool:
        """Whether this is the first that the person asks for; from here on it was."""
        sql = "insert or ignore into met (team, user, at) values (?, ?, ?)"
        return bool(self._db.execute(sql, (intake.team, intake.user, stamp(intake.received_at))).rowcount == 1)

    async def unfinished(self) -> list[Intake]:
        """The requests that were taken in and not finished, oldest first."""
        rows = await self._run(self._rows, "select * from intakes where finished_at is null order by id")
        return [intake_of(row) for row in rows]

    async def begin(self, intake_id: int) -> int:
        """Count one more attempt at a request; how many there were before."""
        sql = "update intakes set attempts = attempts + 1 where id = ? returning attempts"
        rows = await self._write(self._rows, sql, intake_id)
        return int(rows[0]["attempts"]) - 1

    async def finish(
        self, intake_id: int, now: datetime, notes: Sequence[Note] = (), *, error: str | None = None
    ) -> None:
        """The request is done; what it still has to say is noted in the same transaction."""
        await self._write(self._finish, intake_id, now, notes, error)

    # ── checks and incidents ────────────────────────────────────────────────────

    async def record(
        self,
        check: PastCheck,
        transition: Transition,
        say: Say,
        now: datetime,
        *,
        vigil: Watching = KEEP,
    ) -> None:
        """One transaction: the check, what it does to the incident, what is to be said, and the request is done."""
        await self._write(self._record, check, transition, say, now, vigil)

    def _record(
        self,
        check: PastCheck,
        transition: Transition,
        say: Say,
        now: datetime,
        vigil: Watching,
    ) -> None:
        report = check.report
        self._db.table("checks").insert(
            {
                "id": check.id,
                "team": check.team,
                "channel": check.channel,
                "user": check.user,
                "command": check.command,
                "headline": check.headline,
                "at": stamp(check.at),
                "target": str(report.target),
                "host": report.target.host,
                "server_name": report.target.server_name,
                "starttls": report.target.starttls,
                "status": report.status,
                "cause": report.cause,
                "mode": report.mode,
                "summary": report.summary,
                "elapsed_ms": report.elapsed_ms,
                "report": json.dumps(to_json(report), ensure_ascii=False, separators=(",", ":")),
            }
        )
        self._index("check", check.id, 0, _words_of(check))
        self._finish(check.id, now, self._step(check, transition, say, vigil), None)

    async def look(self, vigil: Vigil, intake: Intake) -> int | None:
        """A look begins: its request is stored, and the vigil waits for it; None when that was done already."""

        def begun() -> int | None:
            cursor = self._db.execute(
                "update vigils set next_at = null, looks = looks + 1 where incident = ? and looks = ?",
                (vigil.incident, vigil.looks),
            )
            return self._take_in(intake, "accepted", False, ()) if cursor.rowcount else None

        return await self._write(begun)

    async def looked(self, intake_id: int, vigil: Vigil | None, notes: Sequence[Note], now: datetime) -> None:
        """A look that saw nothing new is over. None: the vigil was ended meanwhile."""

        def done() -> None:
            if vigil is not None:
                self._db.execute(
                    "update vigils set looked_at = ?, next_at = ? where incident = ? and started_at = ?",
                    (
                        stamp(vigil.looked_at) if vigil.looked_at else None,
                        stamp(vigil.next_at) if vigil.next_at else None,
                        vigil.incident,
                        stamp(vigil.started_at),
                    ),
                )
            self._finish(intake_id, now, notes, None)

        await self._write(done)

    async def check(self, number: int) -> PastCheck | None:
        """The check of request *number*, if it is remembered."""
        rows = await self._run(self._rows, "select * from checks where id = ?", number)
        return past_check_of(rows[0]) if rows else None

    async def check_behind(self, intake: Intake) -> PastCheck | None:
        """The check that a pressed button names, if it is remembered, and of that channel."""
        text = intake.text
        found = await self.check(int(text)) if text.isascii() and text.isdecimal() and len(text) < 19 else None
        is_of_there = found is not None and (found.team, found.channel) == (intake.team, intake.channel)
        return found if is_of_there else None

    async def newest_of(self, headline: str) -> int | None:
        """The number of the newest check that the message *headline* shows."""
        rows = await self._run(self._rows, "select max(id) as id from checks where headline = ?", headline)
        newest: int | None = rows[0]["id"]
        return newest

    async def channels(self, team: str, *, limit: int) -> list[str]:
        """The channels in which *team* made checks, those with the newest first."""
        rows = await self._run(
            self._rows,
            "select channel from checks where team = ? group by channel order by max(id) desc limit ?",
            team,
            limit,
        )
        return [row["channel"] for row in rows]

    # ── forgetting ──────────────────────────────────────────────────────────────

    async def prune(self, before: datetime) -> int:
        """Forget requests, sent messages and audit rows older than *before*; how many. Checks with their reports and
        headlines stay, so that old buttons work; so does whatever is not sent yet. Of a message its words go first,
        and its place later.

        A few hundred rows at a time: acknowledgements wait for this thread.
        """
        forgotten = 0
        for sql in (_OLD_INTAKES, _OLD_NOTES, _OLD_WORDS, _OLD_PICTURES, _OLD_AUDIT):
            while True:
                counted = await self._write(self._deleted, sql, stamp(before), before.timestamp())
                forgotten += counted
                if counted < _PRUNED_AT_ONCE:
                    break
        return forgotten

    def _deleted(self, sql: str, text: str, seconds: float) -> int:
        values = {"text": text, "seconds": seconds, "most": _PRUNED_AT_ONCE}
        return int(self._db.execute(sql, values).rowcount)

    # ── client identities ───────────────────────────────────────────────────────

    async def keep_identity(self, identity: StoredIdentity, sealed: bytes) -> bool:
        """Store *identity* with its *sealed* key; False when the name is taken."""
        return await self._write(self._keep_identity, identity, sealed)

    def _keep_identity(self, identity: StoredIdentity, sealed: bytes) -> bool:
        row = identity_row(identity) | {"sealed": sealed}
        marks = ", ".join("?" * len(row))
        cursor = self._db.execute(
            f"insert or ignore into identities ({', '.join(row)}) values ({marks})",  # noqa: S608 - our own names
            tuple(row.values()),
        )
        return cursor.rowcount == 1

    async def identities(self, team: str) -> list[tuple[StoredIdentity, bytes]]:
        """The identities of *team* with their sealed keys, by name."""
        rows = await self._run(self._rows, "select * from identities where team = ? order by name", team)
        return [(stored_identity_of(row), bytes(row["sealed"])) for row in rows]

    async def drop_identity(self, team: str, name: str) -> bool:
        """Forget one; False when there is none of that name."""
        sql = "delete from identities where team = ? and name = ? returning name"
        return bool(await self._write(self._rows, sql, team, name))

    # ── what Slack refused before ───────────────────────────────────────────────

    async def refuse_blocks(self, team: str, now: datetime) -> None:
        """Remember that *team*'s Slack does not know the newer blocks."""
        await self._write(
            self._db.execute, "insert or ignore into refusals (team, at) values (?, ?)", (team, stamp(now))
        )

    async def refusing_teams(self) -> frozenset[str]:
        return frozenset(row["team"] for row in await self._run(self._rows, "select team from refusals"))


class Book:
    """A part of the memory with rows of its own, in a module of its own.

    Its jobs run as the memory's do: they read on one thread and write on the other; each write is a transaction, with
    what it notes and the request that it ends.
    """

    def __init__(self, history: History) -> None:
        self._history = history

    @property
    def _db(self) -> Database:
        return self._history._db

    async def _run(self, job: Callable[..., Result], *arguments: Any) -> Result:
        return await self._history._run(job, *arguments)

    async def _write(self, job: Callable[..., Result], *arguments: Any) -> Result:
        return await self._history._write(job, *arguments)

    def _rows(self, sql: str, *values: Any) -> list[dict[str, Any]]:
        return self._history._rows(sql, *values)

    def _take_in(self, intake: Intake, verdict: str, *, finished: bool) -> int | None:
        return self._history._take_in(intake, verdict, finished, ())

    def _note(self, notes: Sequence[Note]) -> None:
        self._history._note(notes)

    def _finish(self, request: int, now: datetime, notes: Sequence[Note] = (), error: str | None = None) -> None:
        self._history._finish(request, now, notes, error)

    def _audited(self, request: int, verdict: str | None, target: str) -> None:
        self._history._audited(request, verdict, target)


def _words_of(check: PastCheck) -> str:
    """What a check is found by."""
    report = check.report
    names = {
        name for endpoint in report.endpoints for each in endpoint.chain[:1] for name in (each.subject, each.issuer)
    }
    parts = [str(report.target), report.target.server_name or "", report.status, report.cause or "", report.summary]
    parts += [f"{finding.code} {finding.title} {finding.explanation}" for finding in report.findings]
    return " ".join([*parts, *sorted(names), *(endpoint.address for endpoint in report.endpoints)])
