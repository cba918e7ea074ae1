"""Where walkthroughs are kept, and what triage asks the memory. A change and the words that tell it are one commit.

A walkthrough is saved only over the revision that it was read at: of two clicks at once, one is late.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from bot.history import Book
from bot.model import Note, PastCheck
from bot.rows import moment, past_check_of, stamp
from bot.triage import Answer, Clue, Sibling, Walkthrough

KEPT = timedelta(days=90)  # as long as the messages that show them
_FORGOTTEN_AT_ONCE = 200
_COLUMNS = ("id", "team", "channel", "parent", "thread_ts", "command", "revision")
_MOST_ELSEWHERE = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """The thread that a message stands in, or begins: its ts where Slack has said it, else the key of its root."""

    parent: str | None = None
    thread_ts: str | None = None


class Walkthroughs(Book):
    """The walkthroughs of every workspace."""

    async def begin(self, walk: Walkthrough, notes: Sequence[Note], *, request: int, now: datetime) -> Walkthrough:
        """Store *walk* and finish its *request*; or, where one like it is open in that thread, that one instead."""
        return await self._write(self._begin, walk, tuple(notes), request, now)

    def _begin(self, walk: Walkthrough, notes: tuple[Note, ...], request: int, now: datetime) -> Walkthrough:
        there = self._open_beside(walk)
        if there is not None:
            return there
        self._forget(now)
        row = _row(walk, now)
        marks = ", ".join("?" * len(row))
        self._db.execute(
            f"insert into walkthroughs ({', '.join(row)}) values ({marks})",  # noqa: S608 - our own names
            tuple(row.values()),
        )
        self._finish(request, now, notes)
        return walk

    def _open_beside(self, walk: Walkthrough) -> Walkthrough | None:
        """The open walkthrough of the same thread and host; a new one without a host is about any."""
        rows = self._rows(
            "select w.*, coalesce(w.thread_ts, p.thread_ts, p.ts) as place from walkthroughs w"
            " left join outbox p on p.key = w.parent where w.channel = ? and w.team = ? and w.is_open",
            walk.channel,
            walk.team,
        )
        for row in rows:
            is_here = walk.parent is not None and row["parent"] == walk.parent
            is_here = is_here or (walk.thread_ts is not None and row["place"] == walk.thread_ts)
            if is_here and walk.command in {None, row["command"]}:
                return _walkthrough(row)
        return None

    def _forget(self, now: datetime) -> None:
        self._db.execute(
            "delete from walkthroughs where id in (select id from walkthroughs where updated_at < ? limit ?)",
            (stamp(now - KEPT), _FORGOTTEN_AT_ONCE),
        )

    async def load(self, number: int, *, team: str, channel: str) -> Walkthrough | None:
        """Walkthrough *number* as it stands, if it is of that channel and its message is still known."""
        rows = await self._run(
            self._rows,
            "select w.* from walkthroughs w join outbox o on o.key = 'triage:' || w.id"
            " where w.id = ? and w.team = ? and w.channel = ?",
            number,
            team,
            channel,
        )
        return _walkthrough(rows[0]) if rows else None

    async def save(self, walk: Walkthrough, notes: Sequence[Note], *, request: int | None, now: datetime) -> bool:
        """Store *walk* over the revision it was read at, with *notes*, and finish *request*; False: somebody was
        first, and nothing is stored."""
        return await self._write(self._save, walk, tuple(notes), request, now)

    def _save(self, walk: Walkthrough, notes: tuple[Note, ...], request: int | None, now: datetime) -> bool:
        row = _row(replace(walk, revision=walk.revision + 1), now)
        cursor = self._db.execute(
            "update walkthroughs set command = ?, is_open = ?, revision = ?, updated_at = ?, state = ?"
            " where id = ? and revision = ?",
            (row["command"], row["is_open"], row["revision"], row["updated_at"], row["state"], walk.id, walk.revision),
        )
        if cursor.rowcount != 1:
            return False
        if request is None:
            self._note(notes)
        else:
            self._finish(request, now, notes)
        return True

    # ── what triage asks the memory ─────────────────────────────────────────────

    async def recent(self, *, team: str, channel: str, command: str, since: datetime) -> PastCheck | None:
        """The newest check that *command* asked for in that channel, not older than *since*."""
        return await self._newest(
            "team = ? and channel = ? and command = ? and at >= ?", team, channel, command, stamp(since)
        )

    async def in_thread(self, *, team: str, channel: str, thread_ts: str) -> PastCheck | None:
        """The newest check whose headline stands in that thread, or begins it."""
        return await self._newest(
            "team = ? and channel = ? and headline in (select o.key from outbox o left join outbox p"
            " on p.key = o.parent where o.channel = ? and ? in (o.ts, o.thread_ts, p.ts))",
            team,
            channel,
            channel,
            thread_ts,
        )

    async def _newest(self, condition: str, *values: Any) -> PastCheck | None:
        rows = await self._run(
            self._rows,
            f"select * from checks where {condition} order by id desc limit 1",  # noqa: S608 - ours
            *values,
        )
        return past_check_of(rows[0]) if rows else None

    async def failing_elsewhere(self, *, team: str, channel: str, target: str, since: datetime) -> tuple[str, ...]:
        """Other targets of that channel whose incidents are open and not older than *since*."""
        rows = await self._run(
            self._rows,
            "select distinct target from incidents where team = ? and channel = ? and target != ? and state = 'open'"
            " and opened_at >= ? order by target limit ?",
            team,
            channel,
            target,
            stamp(since),
            _MOST_ELSEWHERE,
        )
        return tuple(row["target"] for row in rows)

    async def place_of(self, key: str) -> Place:
        """The thread of the message *key*: the one it stands in, else its own."""
        rows = await self._run(self._rows, "select parent, thread_ts, ts from outbox where key = ?", key)
        if not rows:
            return Place()
        found = rows[0]
        if found["thread_ts"]:
            return Place(parent=key, thread_ts=found["thread_ts"])
        return Place(parent=found["parent"] or key)

    async def posted(self, key: str) -> str | None:
        """Where Slack put the message *key*, once it has said so."""
        rows = await self._run(self._rows, "select ts from outbox where key = ?", key)
        return str(rows[0]["ts"]) if rows and rows[0]["ts"] else None


# ── rows ────────────────────────────────────────────────────────────────────────


def _row(walk: Walkthrough, now: datetime) -> dict[str, Any]:
    state = {name: value for name, value in asdict(walk).items() if name not in _COLUMNS}
    return {name: getattr(walk, name) for name in _COLUMNS} | {
        "is_open": int(not walk.is_concluded),
        "updated_at": stamp(now),
        "state": json.dumps(state, default=stamp, ensure_ascii=False, separators=(",", ":")),
    }


def _walkthrough(row: dict[str, Any]) -> Walkthrough:
    state: dict[str, Any] = json.loads(row["state"])
    nested = {
        "started_at": moment(state["started_at"]),
        "clues": tuple(Clue(**clue) for clue in state["clues"]),
        "answers": tuple(Answer(**answer | {"at": moment(answer["at"])}) for answer in state["answers"]),
        "siblings": tuple(Sibling(**sibling) for sibling in state["siblings"]),
    }
    return Walkthrough(**{name: row[name] for name in _COLUMNS}, **(state | nested))
