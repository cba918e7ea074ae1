"""Lineages ↔ rows. Everything here runs on the memory's thread, inside a transaction of whoever calls."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from bot import lineages
from bot.drift_book import completed
from bot.expiry import Certificates
from bot.history import Book, History
from bot.lineages import Lineage
from bot.plain import text_of, typed
from bot.watched import Watch
from bot.watchlist import Watchlist
from probes.model import CertificateReport


class LineageRows(Book):
    """The lineages of all channels, the watches that each has places at, and the names that each ever had."""

    def __init__(self, history: History, watchlist: Watchlist) -> None:
        super().__init__(history)
        self._watchlist = watchlist

    def lineage(self, number: int) -> Lineage | None:
        rows = self._rows("select id, state from lineages where id = ?", number)
        return _lineage_of(rows[0]) if rows else None

    def all(self) -> list[Lineage]:
        sql = "select id, state from lineages where id in (select lineage from lineage_watches)"
        return [_lineage_of(row) for row in self._rows(sql)]

    def open_ones(self, team: str, channel: str | None) -> list[Lineage]:
        sql = (
            "select id, state from lineages where team = ?1 and channel = coalesce(?2, channel) and is_open order by id"
        )
        return [_lineage_of(row) for row in self._rows(sql, team, channel)]

    def linked_to(self, watch: int) -> list[int]:
        rows = self._rows("select lineage from lineage_watches where watch = ?", watch)
        return [int(row["lineage"]) for row in rows]

    def unwatched(self) -> list[tuple[int, int]]:
        """Lineages with places at what is no longer watched, each with the watch."""
        sql = "select lineage, watch from lineage_watches where watch not in (select id from watches)"
        return [(int(row["lineage"]), int(row["watch"])) for row in self._rows(sql)]

    def of_names(self, watch: Watch, names_key: str) -> int | None:
        """The lineage of that owner and channel that has these names, or had them once."""
        rows = self._rows(
            "select l.id from lineage_names n join lineages l on l.id = n.lineage where n.names_key = ?1"
            " and +l.team = ?2 and +l.channel = ?3 and l.owner = ?4 order by l.names_key = ?1 desc, l.id limit 1",
            names_key,
            watch.team,
            watch.channel,
            watch.owner or "",
        )
        return int(rows[0]["id"]) if rows else None

    def is_crowded(self, watch: Watch, names_keys: Sequence[str], most: int) -> bool:
        """Does one of the lineages that a look of *watch* concerns have more than *most* characters to be read?

        By watch and by names, never through all of a channel's lineages (the unary plus keeps SQLite from that).
        """
        rows = self._rows(
            "select 1 from lineages where length(state) > ?1 and (id in (select lineage from lineage_watches where"
            " watch = ?2) or (+team = ?3 and +channel = ?4 and id in (select lineage from lineage_names where"
            " names_key in (select value from json_each(?5))))) limit 1",
            most,
            watch.id,
            watch.team,
            watch.channel,
            json.dumps(names_keys),
        )
        return bool(rows)

    def keep(self, lineage: Lineage) -> Lineage:
        """Write it down; a new one is given its number."""
        execute, key = self._db.execute, lineages.names_key(lineage.names)
        opened = lineage.opened_at.timestamp() if lineage.opened_at is not None else None
        row = (key, int(lineage.is_open), lineage.owner, opened, lineage.within or None, text_of(lineage))
        if lineage.id:
            sets = "names_key = ?, is_open = ?, owner = ?, opened_at = ?, within = ?, state = ?"
            execute(f"update lineages set {sets} where id = ?", (*row, lineage.id))  # noqa: S608 - our own names
        else:
            cursor = execute(
                "insert into lineages (names_key, is_open, owner, opened_at, within, state, team, channel)"
                " values (?, ?, ?, ?, ?, ?, ?, ?)",
                (*row, lineage.team, lineage.channel),
            )
            lineage = replace(lineage, id=int(cursor.lastrowid or 0))
        execute("insert or ignore into lineage_names (names_key, lineage) values (?, ?)", (key, lineage.id))
        return lineage

    def link(self, lineage: Lineage) -> None:
        """Which watches it has places at."""
        watches = {place.watch for place in lineage.places}
        rows = self._rows("select watch from lineage_watches where lineage = ?", lineage.id)
        known = {int(row["watch"]) for row in rows}
        for each in watches - known:
            self._db.execute("insert into lineage_watches (watch, lineage) values (?, ?)", (each, lineage.id))
        for each in known - watches:
            self._db.execute("delete from lineage_watches where watch = ? and lineage = ?", (each, lineage.id))

    def known(self, lineage: Lineage, certificates: Mapping[str, CertificateReport]) -> Certificates:
        """The certificates that a judgement of *lineage* needs."""
        wanted = {sha256 for place in lineage.places for sha256 in place.path}
        wanted |= {sha256 for each in lineage.replacements for sha256 in (each.old, each.new)}
        return completed(self._watchlist, certificates, wanted)

    # ── many in one thread ──────────────────────────────────────────────────────

    def opened_since(self, lineage: Lineage, since: datetime) -> int:
        """How many others of its channel began a thread of their own since then."""
        rows = self._rows(
            "select count(*) as n from lineages where team = ? and channel = ? and opened_at >= ? and id != ?"
            " and within is null",
            lineage.team,
            lineage.channel,
            since.timestamp(),
            lineage.id,
        )
        return int(rows[0]["n"])

    def shared_thread(self, lineage: Lineage, since: datetime) -> str | None:
        """The newest thread that others of its channel share since then."""
        rows = self._rows(
            "select within from lineages where team = ? and channel = ? and opened_at >= ? and within is not null"
            " order by opened_at desc limit 1",
            lineage.team,
            lineage.channel,
            since.timestamp(),
        )
        return str(rows[0]["within"]) if rows else None

    def within(self, key: str) -> list[tuple[str, bool]]:
        """Those that are told in one thread, by name, and which are not over."""
        rows = self._rows("select id, state, is_open from lineages where within = ? order by id", key)
        return [(_lineage_of(row).name, bool(row["is_open"])) for row in rows]


def _lineage_of(row: Mapping[str, object]) -> Lineage:
    return replace(typed(Lineage, json.loads(str(row["state"]))), id=int(str(row["id"])))
