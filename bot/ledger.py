"""What is owed to Slack, and what was made of it: the outbox's rows and the pictures that messages show."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from bot.model import Content, Due, Note, Owed, Shown
from bot.rows import owed_of
from bot.store import Store, content_text

# What is owed, with the place where it belongs; and what has to stand before it in the same thread and does not yet.
_OWED = (
    "select o.*, coalesce(o.thread_ts, p.ts) as place from outbox o left join outbox p on p.key = o.parent"
    " where o.sent_revision < o.revision and o.state = 'live'"
)
_EARLIER = (
    "select 1 from outbox e where e.parent = o.parent and e.id < o.id and e.kind = 'message' and e.ts is null"
    " and e.sent_revision < e.revision and e.state = 'live' and o.ts is null"
)
_AWAITED = (
    "o.pictures is not null and exists (select 1 from json_each(o.pictures) each join pictures i"
    " on i.team = o.team and i.key = each.value where i.state = 'new')"
)
# One slow channel must not fill the sender's hands: each has only its first posts there.
_DUE = (
    "select id, key, kind, team, channel, ts, passing, awaited from (select o.id, o.key, o.kind,"  # noqa: S608 - ours
    f" o.team, o.channel, o.ts, o.passing, {_AWAITED} as awaited, row_number() over"
    " (partition by case when o.ts is null and o.kind != 'reply' then o.team || ' ' || o.channel else o.id end"
    " order by o.id) as place"
    f" from ({_OWED} and o.retry_at <= :now and (o.parent is null or p.ts is not null)"
    f" and not exists ({_EARLIER} and e.retry_at > :now)) o) where place <= 20 order by id limit 2000"
)
_NEXT = (
    f"select min(retry_at) as at from ({_OWED} and (o.parent is null or p.ts is not null)"  # noqa: S608 - ours
    f" and not exists ({_EARLIER}))"
)


class Ledger(Store):
    """The rows behind `bot.notify`."""

    # ── what can be sent ────────────────────────────────────────────────────────

    async def note(self, notes: Sequence[Note]) -> None:
        """Owe *notes* to Slack."""
        await self._write(self._note, notes)

    async def is_noted(self, key: str) -> bool:
        """The note is sent, or will be; what was given up may be noted again."""
        return bool(await self._run(self._rows, "select 1 from outbox where key = ? and state = 'live'", key))

    async def unsent(self, now: float) -> tuple[list[Due], float | None]:
        """What can be sent at *now* (Unix seconds), oldest first: its parent is posted and its time has come.

        Of each channel's new messages the first few only. And when the next of all that can be sent is due.
        """

        def found() -> tuple[list[Due], float | None]:
            due = [_due_of(row) for row in self._db.query(_DUE, {"now": now})]
            [row] = self._db.query(_NEXT)
            return due, None if row["at"] is None else float(row["at"])

        return await self._run(found)

    async def current(self, owed_id: int) -> Owed | None:
        """The note as it stands now, or None when nothing is to be sent, or one before it has to be sent first."""

        def found() -> Owed | None:
            rows = self._rows(f"{_OWED} and o.id = ? and not exists ({_EARLIER})", owed_id)
            return owed_of(rows[0]) if rows else None

        return await self._run(found)

    async def posted_at(self, channel: str, ts: str) -> str | None:
        """The key of the note that is message *ts* of *channel*."""
        rows = await self._run(self._rows, "select key from outbox where channel = ? and ts = ?", channel, ts)
        return str(rows[0]["key"]) if rows else None

    # ── what became of it ───────────────────────────────────────────────────────

    async def attempt(self, owed_id: int, now: float) -> None:
        """From here on a message may exist that nobody has recorded."""
        await self._write(self._db.execute, "update outbox set attempted_at = ? where id = ?", (now, owed_id))

    async def uploaded(self, owed_id: int, now: float, upload: str | None) -> None:
        """Slack has the file's bytes as *upload*, and may show them from here on; None: it has them no more."""
        await self._write(
            self._db.execute, "update outbox set attempted_at = ?, upload = ? where id = ?", (now, upload, owed_id)
        )

    async def sent(self, owed_id: int, revision: int, ts: str | None) -> None:
        """Slack has *revision* of the note, as message *ts*."""
        await self._write(
            self._db.execute,
            "update outbox set sent_revision = ?, ts = coalesce(?, ts), attempted_at = null, attempts = 0, error = null"
            " where id = ?",
            (revision, ts, owed_id),
        )

    async def postponed(self, owed_id: int, retry_at: float, error: str, *, outcome_known: bool) -> None:
        """Not sent; try again at *retry_at*. *outcome_known*: Slack said that it did not take it."""
        await self._write(
            self._db.execute,
            "update outbox set retry_at = ?, error = ?, attempts = attempts + 1,"
            " attempted_at = case when ? then null else attempted_at end where id = ?",
            (retry_at, error, int(outcome_known), owed_id),
        )

    async def put_off(self, owed_id: int, retry_at: float, error: str, *, outcome_known: bool = True) -> None:
        """Like `postponed`, for a reason that says nothing of this note: it is not counted."""
        await self._write(
            self._db.execute,
            "update outbox set retry_at = ?, error = ?,"
            " attempted_at = case when ? then null else attempted_at end where id = ?",
            (retry_at, error, int(outcome_known), owed_id),
        )

    async def lessened(self, owed: Owed, content: Content, error: str, notes: Sequence[Note] = ()) -> None:
        """Slack does not take what *owed* says: it is to say *content*, unless it says something newer by now."""

        def done() -> None:
            self._db.execute(
                "update outbox set content = ?, error = ?, attempted_at = null where id = ? and revision = ?",
                (content_text(content), error, owed.id, owed.revision),
            )
            self._note(notes)

        await self._write(done)

    async def undeliverable(self, owed_id: int, error: str, notes: Sequence[Note] = ()) -> None:
        """The note, and what belongs into its thread, will never be sent; *notes* tell whoever asked."""

        def done() -> None:
            self._db.execute("update outbox set state = 'dead', error = ? where id = ?", (error, owed_id))
            self._note(notes)

        await self._write(done)

    async def vanished(self, owed_id: int) -> None:
        """The posted message is gone: it is to be posted anew."""
        await self._write(
            self._db.execute, "update outbox set ts = null, attempted_at = null, retry_at = 0 where id = ?", (owed_id,)
        )

    async def thread_vanished(self, owed: Owed) -> bool:
        """The message in whose thread *owed* belongs is gone: it is posted anew first. False: it is not one of ours."""

        def done() -> bool:
            cursor = self._db.execute(
                "update outbox set ts = null, sent_revision = 0, attempted_at = null, retry_at = 0"
                " where key = ? and ts = ? and state = 'live' and content != ''",  # its words may be forgotten
                (owed.note.parent, owed.thread_ts),
            )
            if cursor.rowcount:
                return True
            # Another message of the same thread saw it first.
            anew = "select 1 from outbox where key = ? and state = 'live' and ts is not ?"
            return bool(self._rows(anew, owed.note.parent, owed.thread_ts))

        return await self._write(done)

    async def resume(self, errors: Sequence[str], team: str | None = None) -> None:
        """What was put off for one of *errors* (of *team*, or of all) may be tried at once."""
        await self._write(
            self._db.execute,
            "update outbox set retry_at = 0 where sent_revision < revision and state = 'live' and retry_at > 0"
            " and error in (select value from json_each(?)) and (? is null or team = ?)",
            (json.dumps(list(errors)), team, team),
        )

    async def abandon(self, team: str) -> None:
        """*team* has removed the bot: nothing is owed to it any more."""
        await self._write(
            self._db.execute,
            "update outbox set state = 'dead', error = 'uninstalled' where team = ? and sent_revision < revision",
            (team,),
        )

    # ── pictures ────────────────────────────────────────────────────────────────

    async def pictures(self, owed_id: int) -> list[Shown]:
        """What the note shows, in its order."""

        def found() -> list[Shown]:
            rows = self._db.query(
                "select i.key, i.png, i.alt, i.upload, i.state, i.attempts from outbox o, json_each(o.pictures) each"
                " join pictures i on i.team = o.team and i.key = each.value where o.id = ? order by each.key",
                (owed_id,),
            )
            return [Shown(**row) for row in rows]

        return await self._run(found)

    async def picture_uploaded(self, team: str, key: str, upload: str | None) -> None:
        """Slack has its bytes as *upload*, shown or not; None: it has them no more."""
        await self._write(
            self._db.execute, "update pictures set upload = ? where team = ? and key = ?", (upload, team, key)
        )

    async def picture_is_ready(self, team: str, key: str) -> None:
        await self._write(
            self._db.execute, "update pictures set state = 'ready' where team = ? and key = ?", (team, key)
        )

    async def picture_failed(self, team: str, key: str, error: str, *, most: int) -> None:
        """It has to be brought to Slack anew; after *most* times messages are said without it."""
        await self._write(
            self._db.execute,
            "update pictures set attempts = attempts + 1, upload = null, error = ?,"
            " state = case when attempts + 1 >= ? then 'refused' else 'new' end where team = ? and key = ?",
            (error, most, team, key),
        )


def _due_of(row: dict[str, Any]) -> Due:
    return Due(
        id=row["id"],
        key=row["key"],
        kind=row["kind"],
        team=row["team"],
        channel=row["channel"],
        is_posted=row["ts"] is not None,
        is_passing=bool(row["passing"]),
        awaits_pictures=bool(row["awaited"]),
    )
