"""CT logs as they are remembered: how they misbehaved, what changed in their list, and how far each is read."""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from bot.ct_answers import Answers
from bot.ct_cases import Row, case_of, moment_of
from bot.model import Note
from bot.render import ct_evidence
from bot.render import ct_logs as words

if TYPE_CHECKING:
    from bot.ct_reader import Listed
    from probes.ct.position import Event

LOG = logging.getLogger("bot.ct")
CHANGES_KEPT: Final = 50
_SHARED_KINDS: Final = frozenset({"bad-signature", "stale-head", "future-head", "gap", "unreadable"})
_TOLD_KINDS: Final = _SHARED_KINDS | {"split-view", "shrunken", "inconsistent", "malformed-many"}
_SHARED_WITHIN: Final = timedelta(hours=6)
_RAISED_FOR: Final = timedelta(days=30)
_UNPROVED_KINDS: Final = frozenset({"stale-head"})  # silence leaves nothing to show


class Logs(Answers):
    """What was told of logs: to every channel that watches a domain, once for each fact."""

    def _tell_event(self, event: Event, now: datetime) -> list[Note]:
        if event.kind == "resumed":
            return self._over(event, now)
        fact = _fact(event)
        known = "select 1 from ct_events where log_id = ? and fact = ? and (ended_at is null or kind in"
        known += " ('malformed-entry', 'split-view', 'shrunken'))"
        if self._rows(known, event.log_id, fact):
            return []
        text = json.dumps(ct_evidence.event_evidence(event, now), ensure_ascii=False)
        cursor = self._db.execute(
            "insert into ct_events (log_id, log, kind, fact, severity, text, evidence, at)"
            " values (?, ?, ?, ?, ?, ?, ?, ?)",
            (event.log_id, event.log, event.kind, fact, event.severity, event.text, text, now.timestamp()),
        )
        LOG.warning("ct log=%s kind=%s text=%s", event.log, event.kind, event.text)
        number = int(cursor.lastrowid or 0)
        # A log that lies has a message of its own. What many may suffer at once (as when our own network fails) is
        # told by the message of the first of them.
        told_in = (self._begun(event.kind, now) if event.kind in _SHARED_KINDS else 0) or number
        self._db.execute("update ct_events set told_in = ? where id = ?", (told_in, number))
        return self._event_notes(told_in) if event.kind in _TOLD_KINDS else []

    def _begun(self, kind: str, now: datetime) -> int:
        """The message of another log in the same trouble since not long ago; 0 for none."""
        sql = "select told_in from ct_events where kind = ? and at > ? and told_in != 0 and ended_at is null limit 1"
        rows = self._rows(sql, kind, (now - _SHARED_WITHIN).timestamp())
        return int(rows[0]["told_in"]) if rows else 0

    def _over(self, event: Event, now: datetime) -> list[Note]:
        """What was told of the log is over: its message says so."""
        was = str(event.evidence.get("was") or "").partition(" ")[0]
        kind = "inconsistent" if was in {"beyond-final", "final-root"} else was
        sql = "select id, kind, told_in from ct_events where log_id = ? and kind = ? and ended_at is null"
        notes: list[Note] = []
        for row in self._rows(sql, event.log_id, kind):
            self._db.execute("update ct_events set ended_at = ? where id = ?", (now.timestamp(), row["id"]))
            if row["kind"] in _TOLD_KINDS:
                notes += self._event_notes(row["told_in"])
        return notes

    def _event_notes(self, told_in: int) -> list[Note]:
        """To each channel that watches a domain, with what proves it."""
        rows = self._rows("select * from ct_events where told_in = ? order by id", told_in)
        content, is_over = words.log_events(rows), all(row["ended_at"] is not None for row in rows)
        notes = []
        for place in self._rows("select distinct team, channel from ct_guards"):
            if not self._is_open(place["team"], place["channel"]):
                continue
            key = f"ct:event:{told_in}:{place['team']}:{place['channel']}"
            if is_over and not self._rows("select 1 from outbox where key = ?", key):
                continue  # whoever was not told that it began is not told that it is over
            root = Note(key=key, kind="message", team=place["team"], channel=place["channel"], content=content)
            notes.append(root)
            notes += [_proof(root, row) for row in rows if row["kind"] not in _UNPROVED_KINDS]
        return notes

    async def listed(self, listed: Listed, now: datetime) -> list[str]:
        """The list as it was read; what differs from the one before, in words."""
        return await self._write(self._listed, listed, now)

    def _listed(self, listed: Listed, now: datetime) -> list[str]:
        execute = self._db.execute
        before = {row["log_id"]: (row["name"], row["state"]) for row in self._rows("select * from ct_logs")}
        lines = words.list_changes(before, listed.logs) if before else []
        for log_id, (name, state) in listed.logs.items():
            execute(
                "insert into ct_logs (log_id, name, state) values (?, ?, ?) on conflict (log_id) do update set"
                " name = excluded.name, state = excluded.state",
                (log_id, name[:200], state),
            )
        for log_id in before.keys() - listed.logs.keys():
            execute("delete from ct_logs where log_id = ?", (log_id,))
        execute("delete from ct_lists")
        execute(
            "insert into ct_lists (version, dated_at, read_at) values (?, ?, ?)",
            (listed.version, seconds_of(listed.timestamp), now.timestamp()),
        )
        for line in (*lines, *(() if before else listed.problems[:10])):
            self._changed(line, now)
        return lines

    async def changed(self, line: str, now: datetime) -> None:
        """A line about the log list, or about how a log began."""
        await self._write(self._changed, line, now)

    def _changed(self, line: str, now: datetime) -> None:
        execute, day = self._db.execute, (now - timedelta(days=1)).timestamp()
        if not self._rows("select 1 from ct_changes where text = ? and at > ?", line[:600], day):
            execute("insert into ct_changes (at, text) values (?, ?)", (now.timestamp(), line[:600]))
            execute(
                "delete from ct_changes where id not in (select id from ct_changes order by id desc limit ?)",
                (CHANGES_KEPT,),
            )

    async def standing(self, team: str, channels: Sequence[str]) -> words.Standing:
        """What those channels watch, and how it stands with the logs: facts that change seldom."""

        def found() -> words.Standing:
            rows, here = self._rows, json.dumps(list(channels))
            among = "team = ? and channel in (select value from json_each(?))"
            domains = rows(f"select count(distinct domain) as n from ct_guards where {among}", team, here)  # noqa: S608
            waiting = rows(
                f"select channel, count(*) as n from ct_cases where {among} and state = 'open'"  # noqa: S608
                " group by channel order by n desc",
                team, here,
            )  # fmt: skip
            raised = rows("select kind, count(distinct log_id) as n from ct_events where ended_at is null and at > ?"
                          " and kind not in ('malformed-entry', 'finished') group by kind",
                          (datetime.now(UTC) - _RAISED_FOR).timestamp())  # fmt: skip
            return words.Standing(
                domains=domains[0]["n"],
                waiting={row["channel"]: row["n"] for row in waiting},
                raised={row["kind"]: row["n"] for row in raised},
            )

        return await self._run(found)

    async def overview(self, team: str, channel: str, now: datetime) -> words.Overview:
        """Everything that `ct list` and `ct status` say that is stored."""

        def found() -> words.Overview:
            rows = self._rows
            sql = (
                "select p.*, coalesce(l.name, p.log_id) as name, coalesce(l.state, 'no longer listed') as listed"
                " from ct_positions p left join ct_logs l on l.log_id = p.log_id order by name"
            )
            lists = rows("select * from ct_lists limit 1")
            raised = rows("select log_id, log, kind, severity, text from ct_events where ended_at is null and at > ?"
                          " and kind not in ('malformed-entry', 'finished') order by at desc limit 500",
                          (now - _RAISED_FOR).timestamp())  # fmt: skip
            counts = rows(
                "select state, count(*) as n from ct_cases where team = ? and channel = ? and at > ? group by state",
                team, channel, (now - timedelta(days=7)).timestamp(),
            )  # fmt: skip
            waiting = rows(
                "select * from ct_cases where team = ? and channel = ? and state = 'open' order by id desc limit 10",
                team, channel,
            )  # fmt: skip
            in_all = rows("select count(*) as n from ct_cases where team = ? and channel = ? and state = 'open'",
                          team, channel)  # fmt: skip
            return words.Overview(
                positions=rows(sql),
                version=lists[0]["version"] if lists else "",
                dated_at=moment_of(lists[0]["dated_at"]) if lists else None,
                read_at=moment_of(lists[0]["read_at"]) if lists else None,
                raised=raised,
                changes=rows("select at, text from ct_changes order by id desc limit 8"),
                counts={row["state"]: row["n"] for row in counts},
                waiting=[(case_of(row), self._known_issuance(row["tbs"])) for row in waiting],
                waiting_in_all=in_all[0]["n"],
            )

        return await self._run(found)


def _proof(root: Note, row: Row) -> Note:
    return replace(
        root,
        key=f"{root.key}:evidence" + (f":{row['id']}" if row["id"] != row["told_in"] else ""),
        kind="file",
        parent=root.key,
        content=ct_evidence.event_evidence_said(),
        filename=ct_evidence.event_filename(row["kind"], row["log"]),
        file_text=json.dumps(json.loads(row["evidence"]), indent=2, ensure_ascii=False) + "\n",
    )


def _fact(event: Event) -> str:
    """What of a log an event tells: the same fact is told once while it lasts."""
    head = event.evidence.get("head")
    match event.kind:
        case "malformed-entry":
            return f"{event.kind} {event.evidence.get('index')}"
        case "split-view" | "shrunken" if isinstance(head, dict):
            return f"{event.kind} {json.dumps(head, sort_keys=True)}"[:400]
        case _:
            return event.kind


def seconds_of(moment: datetime | None) -> float | None:
    return moment.timestamp() if moment is not None else None
