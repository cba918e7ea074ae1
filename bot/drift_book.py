"""Drift, as it is remembered: what a look makes of it, and the notes that tell it, in the transaction of the look."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from bot.drift import Drift
from bot.drift_memory import FullLook, Memory, Stepped, Told, step
from bot.expiry import Certificates
from bot.history import Book, History
from bot.look_book import pace_of
from bot.model import Note
from bot.plain import text_of, typed
from bot.render import drift as words
from bot.watched import Look, Pace, Watch
from bot.watchlist import Watchlist
from probes.model import CertificateReport

_MOST_ALONE: Final = 10  # messages that a channel is given within _TOGETHER; what comes beside them shares a thread
_TOGETHER: Final = timedelta(hours=1)
_PACES_KEPT: Final = 29  # days of handshake times that are compared


class DriftBook(Book):
    """What drifted at all that is watched."""

    def __init__(self, history: History, watchlist: Watchlist) -> None:
        super().__init__(history)
        self._watchlist = watchlist

    def news(
        self,
        watch: Watch,
        before: Look | None,
        after: Look,
        certificates: Mapping[str, CertificateReport],
        now: datetime,
    ) -> list[Note]:
        """What there is to say of a look's drift in one channel. On the memory's thread, inside the transaction."""
        if is_snoozed(watch, now):
            return []
        rows = self._rows("select state from drift_memories where watch = ?", watch.id)
        was = typed(Memory, json.loads(rows[0]["state"])) if rows else None
        memory = was or _begun(before, after, now)
        full = after if after.kind == "full" else self._watchlist.looks.newest(watch.lookout.id, "full")
        paces, today = None, f"{now:%Y-%m-%d}"
        if memory.paced_on != today:
            memory, paces = replace(memory, paced_on=today), self._paces(watch.lookout.id, now)
        sightings = (memory.light, memory.full, after.sighting, full.sighting if full is not None else None)
        wanted = {sha256 for each in sightings if each is not None for one in each.served for sha256 in one.digests}
        known = completed(self._watchlist, certificates, wanted)
        stepped = step(
            memory,
            after.sighting,
            FullLook(run=full.id, count=full.count, sighting=full.sighting) if full is not None else None,
            known,
            now,
            expected=watch.expected_cas,
            paces=paces,
        )
        memory, notes = self._drift_notes(watch, stepped, len(after.sighting.served), now)
        if memory != was:
            self._db.execute(
                "insert into drift_memories (watch, state) values (?, ?)"
                " on conflict (watch) do update set state = excluded.state",
                (watch.id, text_of(memory)),
            )
        return notes

    def _drift_notes(self, watch: Watch, stepped: Stepped, total: int, now: datetime) -> tuple[Memory, list[Note]]:
        memory, notes = stepped.memory, []
        if stepped.news and (thread := self._thread_for(watch, now)):
            memory = replace(memory, within=(*memory.within, (memory.messages, thread)))
        within = dict(memory.within)
        numbers = [*stepped.changed, *([memory.messages] if stepped.news else [])]
        for number in dict.fromkeys(numbers):
            told = [each for each in memory.told if each.message == number]
            self._keep_drifts(watch, told, now)
            content = words.message(watch, told, total)
            root = Note(
                key=f"drift:{watch.id}:{number}",
                kind="message",
                team=watch.team,
                channel=watch.channel,
                parent=within.get(number),
                content=content,
            )
            notes.append(root)
            if number in stepped.back:
                place = root.parent or root.key
                notes.append(replace(root, key=f"{root.key}:back", parent=place, content=words.back(watch)))
        if stepped.news and memory.messages in within:
            notes.insert(0, self._shared(watch, within[memory.messages], now))
        return memory, notes

    def _thread_for(self, watch: Watch, now: datetime) -> str:
        """Empty: a message of its own. One change of a fleet's configuration concerns hundreds: they share a thread."""
        rows = self._rows(
            "select count(*) as n from (select distinct watch, message from drifts where team = ? and channel = ?"
            " and at >= ?)",
            watch.team,
            watch.channel,
            (now - _TOGETHER).timestamp(),
        )
        if rows[0]["n"] < _MOST_ALONE:
            return ""
        # By the hour: who comes later finds the same thread without asking for it.
        return f"drifts:{watch.team}:{watch.channel}:{now:%Y%m%d%H}"

    def _shared(self, watch: Watch, key: str, now: datetime) -> Note:
        """The message over those that share a thread: how many changed, and what most of them say."""
        where = "team = ? and channel = ? and at >= ?"
        place = (watch.team, watch.channel, (now - _TOGETHER).timestamp())
        count = self._rows(f"select count(distinct watch) as n from drifts where {where}", *place)  # noqa: S608
        rows = self._rows(
            f"select text, severity, count(distinct watch) as n from drifts where {where}"  # noqa: S608 - ours
            " group by text, severity order by n desc, text limit 5",
            *place,
        )
        said = [(str(row["text"]), int(row["n"])) for row in rows]
        content = words.together(int(count[0]["n"]), said, [row["severity"] for row in rows])
        return Note(key=key, kind="message", team=watch.team, channel=watch.channel, content=content)

    def _keep_drifts(self, watch: Watch, told: Iterable[Told], now: datetime) -> None:
        execute = self._db.execute
        for each in told:
            drift: Drift = each.drift
            ended_at = each.ended_at.timestamp() if each.ended_at is not None else None
            cursor = execute(
                "update drifts set ended_at = ?, ended = ?, addresses = ? where watch = ? and message = ? and key = ?",
                (ended_at, each.ended, json.dumps(drift.addresses), watch.id, each.message, drift.key),
            )
            if cursor.rowcount:
                continue
            execute(
                "insert into drifts (watch, team, channel, target, message, kind, key, severity, text, addresses,"
                " evidence, at, ended_at, ended) values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    watch.id,
                    watch.team,
                    watch.channel,
                    str(watch.target),
                    each.message,
                    drift.kind,
                    drift.key,
                    drift.severity,
                    drift.text,
                    json.dumps(drift.addresses),
                    json.dumps(drift.evidence, ensure_ascii=False),
                    each.at.timestamp(),
                    ended_at,
                    each.ended,
                ),
            )

    def _paces(self, lookout: int, now: datetime) -> list[Pace]:
        """The days before today: today is not over."""
        today = int(now.timestamp()) // 86_400
        sql = "select * from paces where lookout = ? and day >= ? and day < ? order by day"
        return [pace_of(row) for row in self._rows(sql, lookout, today - _PACES_KEPT, today)]


def completed(watchlist: Watchlist, certificates: Mapping[str, CertificateReport], wanted: set[str]) -> Certificates:
    """*certificates*, with those of *wanted* that are missing. On the memory's thread."""
    missing = wanted - certificates.keys()
    return {**certificates, **watchlist.looks.certificates(missing)} if missing else certificates


def is_snoozed(watch: Watch, now: datetime) -> bool:
    return watch.snoozed_until is not None and now < watch.snoozed_until


def _begun(before: Look | None, after: Look, now: datetime) -> Memory:
    memory = Memory(began=now)
    if before is None or before.id == after.id:
        return memory
    return replace(memory, light=before.sighting) if before.kind == "light" else replace(memory, full=before.sighting)
