"""What is watched where, as it is remembered: watches, their lookouts, what their channels were told. The looks
themselves are in `bot.look_book`.

A workspace watches thousands. Whoever asks for all of them is answered in pieces, made on the thread that reads:
neither the loop nor whoever else reads waits for the whole.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from typing import Any, Final

from bot.history import Book, History
from bot.look_book import LookBook
from bot.model import Note
from bot.rows import like
from bot.watch_rows import HEARD, LOOKOUT, WATCHES, flood_of, key, lookout_of, watch_of
from bot.watched import Flood, Look, Lookout, Page, Watch
from probes.model import Target

_ASKED_AT_ONCE: Final = 250  # watches, or lookouts: some milliseconds
_WORD: Final = (
    " and (l.host like ? escape '\\' or w.labels like ? escape '\\' or w.owner = ? or l.status = ? or l.cause = ?)"
)
_BROKEN_FIRST: Final = "order by l.status = 'broken' desc, l.expires_at is null, l.expires_at, l.host, w.id"
_JOINED: Final = "from watches w join lookouts l on l.id = w.lookout"


class Watchlist(Book):
    """The watches of all channels, in the bot's memory; `looks` is what was seen of them."""

    def __init__(self, history: History) -> None:
        super().__init__(history)
        self.looks = LookBook(history)

    # ── watches ─────────────────────────────────────────────────────────────────

    async def add(self, watch: Watch, bundle: str, *, most: int) -> Watch | None:
        """Watch it, or change how it is watched here; None when *most* are watched already. `watch.id` and the
        lookout's are given here; what the lookout knows of itself stays."""
        return await self._write(lambda: self._add(watch, bundle, self._room(watch.team, most)))

    async def add_all(self, watches: Sequence[Watch], *, most: int) -> tuple[list[Watch], int]:
        """Watch all of them, as far as there is room; which they are, and how many found none."""

        def added() -> tuple[list[Watch], int]:
            rooms = {team: self._room(team, most) for team in {watch.team for watch in watches}}
            found = [self._add(watch, "", rooms[watch.team]) for watch in watches]
            return [watch for watch in found if watch is not None], sum(watch is None for watch in found)

        return await self._write(added)

    def _room(self, team: str, most: int) -> Callable[[], bool]:
        """Is there room for one watch more? Counted once, and from then on with each that asks."""
        left = most - self._db.execute("select count(*) from watches where team = ?", (team,)).fetchone()[0]

        def has_room() -> bool:
            nonlocal left
            left -= 1
            return bool(left >= 0)

        return has_room

    def _add(self, watch: Watch, bundle: str, has_room: Callable[[], bool]) -> Watch | None:
        execute, lookout = self._db.execute, watch.lookout
        known_by = key(lookout)
        # The same endpoint, looked at in another way, is the same watch of this channel.
        old = self._rows(
            # Cross join: by the endpoint first, not through all that the channel watches.
            f"select w.*, {LOOKOUT} from lookouts l cross join watches w on w.lookout = l.id and w.channel = ?"  # noqa: S608
            " where l.team = ? and l.host = ? and l.port = ? and l.server_name = ? and l.starttls = ?",
            watch.channel,
            *known_by[:5],
        )
        if not old and not has_room():
            return None
        if bundle:
            execute("insert or ignore into bundles (sha256, pem) values (?, ?)", (lookout.bundle, bundle))
        execute(
            "insert or ignore into lookouts (team, host, port, server_name, starttls, identity, bundle)"
            " values (?, ?, ?, ?, ?, ?, ?)",
            known_by,
        )
        number = execute(
            "select id from lookouts where team = ? and host = ? and port = ? and server_name = ? and starttls = ?"
            " and identity = ? and bundle = ?",
            known_by,
        ).fetchone()[0]
        values = (
            number,
            watch.owner,
            json.dumps(watch.labels, ensure_ascii=False),
            json.dumps(watch.expected_cas, ensure_ascii=False),
        )
        if old:
            execute(
                "update watches set lookout = ?, owner = ?, labels = ?, expected_cas = ? where id = ?",
                (*values, old[0]["id"]),
            )
            if old[0]["l_id"] != number:
                self._forget_unwatched(old[0]["l_id"])
        else:
            execute(
                "insert into watches (lookout, owner, labels, expected_cas, team, channel, added_by, added_at)"
                " values (?, ?, ?, ?, ?, ?, ?, ?)",
                (*values, watch.team, watch.channel, watch.added_by, watch.added_at.timestamp()),
            )
        where = "where w.channel = ? and w.lookout = ?"
        return watch_of(self._rows(f"{WATCHES} {where}", watch.channel, number)[0])

    async def remove(self, watch: Watch) -> bool:
        """Watch it no longer here; its looks go when no channel watches it. False: it was not watched."""

        def removed() -> bool:
            cursor = self._db.execute("delete from watches where id = ?", (watch.id,))
            self._forget_unwatched(watch.lookout.id)
            return bool(cursor.rowcount)

        return await self._write(removed)

    def _forget_unwatched(self, lookout: int) -> None:
        execute = self._db.execute
        if execute("select 1 from watches where lookout = ?", (lookout,)).fetchone() is None:
            self.looks.forget(lookout)
            execute("delete from lookouts where id = ?", (lookout,))

    async def snooze(self, watch: Watch, until: datetime | None) -> None:
        """Say nothing of it here until then."""
        at = until.timestamp() if until else None
        await self._write(self._db.execute, "update watches set snoozed_until = ? where id = ?", (at, watch.id))

    # ── which there are ─────────────────────────────────────────────────────────

    async def page(self, team: str, channel: str, word: str, start: int, most: int) -> Page:
        """*most* watches of a channel from the *start*-th on (or its last, where there are fewer), the broken first,
        then those that end first. *word*: in host, owner, label or state."""
        return await self._run(self._page, team, channel, word, start, most)

    def _page(self, team: str, channel: str, word: str, start: int, most: int) -> Page:
        where, values = _where(team, channel, word)
        rows = self._rows(f"select l.status, count(*) as count {_JOINED} {where} group by l.status", *values)
        counts = Counter({row["status"]: int(row["count"]) for row in rows})
        start = min(max(0, start), max(0, counts.total() - 1))
        # Their numbers first: thousands of whole rows would be sorted for a dozen.
        sql = f"select w.id {_JOINED} {where} {_BROKEN_FIRST} limit ? offset ?"
        numbers = [int(row["id"]) for row in self._rows(sql, *values, most, start)]
        return Page(watches=tuple(self._those(numbers)), start=start, counts=counts)

    async def watches(self, team: str, channel: str, word: str = "") -> list[Watch]:
        """All of a channel, in the order of their pages."""
        found: list[Watch] = []
        numbers = await self._run(self._numbered, "w.id", team, channel, word)
        for start in range(0, len(numbers), _ASKED_AT_ONCE):
            found += await self._run(self._those, numbers[start : start + _ASKED_AT_ONCE])
        return found

    async def lookouts_of(self, team: str, channel: str, word: str = "") -> list[int]:
        """The numbers of what a channel's watches look at."""
        return await self._run(self._numbered, "l.id", team, channel, word)

    def _numbered(self, what: str, team: str, channel: str, word: str) -> list[int]:
        where, values = _where(team, channel, word)
        rows = self._rows(f"select {what} {_JOINED} {where} {_BROKEN_FIRST}", *values)
        return [int(row["id"]) for row in rows]

    def _those(self, numbers: Sequence[int]) -> list[Watch]:
        """Watches by their numbers, in that order."""
        sql = f"{WATCHES} join json_each(?) n on n.value = w.id order by n.key"
        return [watch_of(row) for row in self._rows(sql, json.dumps(list(numbers)))]

    async def watch(self, number: int) -> Watch | None:
        """The watch of that number, while there is one."""
        return next(iter(await self._run(self._those, (number,))), None)

    async def count(self, team: str, channel: str) -> int:
        """How many a channel watches."""
        sql = "select count(*) as count from watches where team = ? and channel = ?"
        return int((await self._run(self._rows, sql, team, channel))[0]["count"])

    async def watching(self, team: str, channel: str, target: Target) -> Watch | None:
        """The watch of that endpoint in that channel; a target without a name of its own finds any of that host and
        port, if it is the only one."""
        found = await self._run(self._at, team, channel, (target,))
        exact = next((watch for watch in found if watch.target == target), None)
        return exact or (found[0] if len(found) == 1 else None)

    async def of_host(self, team: str, channel: str, host: str, *, most: int) -> list[Watch]:
        """The watches of that host in that channel, at whatever port."""
        sql = f"{WATCHES} where l.team = ? and l.host = ? and w.channel = ? order by l.port, w.id limit ?"
        return [watch_of(row) for row in await self._run(self._rows, sql, team, host, channel, most)]

    async def watched(self, team: str, channel: str, targets: Sequence[Target]) -> dict[Target, Watch]:
        """Those of *targets* that a channel watches."""
        found: list[Watch] = []
        for start in range(0, len(targets), _ASKED_AT_ONCE):
            found += await self._run(self._at, team, channel, targets[start : start + _ASKED_AT_ONCE])
        return {watch.target: watch for watch in found}

    def _at(self, team: str, channel: str, targets: Iterable[Target]) -> list[Watch]:
        """The watches of these hosts and ports."""
        asked = json.dumps([[host, port] for host, port in dict.fromkeys((each.host, each.port) for each in targets)])
        rows = self._rows(
            f"select w.*, {LOOKOUT} from json_each(?) a cross join lookouts l on l.team = ?"  # noqa: S608
            " and l.host = json_extract(a.value, '$[0]') and l.port = json_extract(a.value, '$[1]')"
            " join watches w on w.lookout = l.id and w.channel = ? order by w.id",
            asked,
            team,
            channel,
        )
        return [watch_of(row) for row in rows]

    async def of_lookouts(self, numbers: Sequence[int]) -> list[Watch]:
        """The watches of these lookouts, in every channel that is open."""
        sql = f"{WATCHES} where {HEARD} and w.lookout in (select value from json_each(?)) order by w.id"  # noqa: S608
        return [watch_of(row) for row in await self._run(self._rows, sql, json.dumps(list(numbers)))]

    async def channels(self, team: str) -> list[str]:
        """Those of *team* that watch anything."""
        sql = "select distinct channel from watches where team = ? order by channel"
        return [row["channel"] for row in await self._run(self._rows, sql, team)]

    async def places(self) -> list[tuple[str, str]]:
        """The open channels that watch anything, each with its team."""
        sql = f"select distinct w.team, w.channel from watches w where {HEARD} order by w.team, w.channel"  # noqa: S608
        return [(row["team"], row["channel"]) for row in await self._run(self._rows, sql)]

    # ── what is looked at ───────────────────────────────────────────────────────

    async def numbers(self) -> set[int]:
        """The lookouts of all that is watched anywhere that is open."""
        sql = f"select distinct w.lookout from watches w where {HEARD}"  # noqa: S608
        return {int(row["lookout"]) for row in await self._run(self._rows, sql)}

    async def lookouts(self, numbers: Iterable[int] | None = None) -> list[Lookout]:
        """Those lookouts; None: all that is watched anywhere that is open."""
        asked = sorted(await self.numbers() if numbers is None else numbers)
        found: list[Lookout] = []
        for start in range(0, len(asked), _ASKED_AT_ONCE):
            found += await self._run(self._lookouts, asked[start : start + _ASKED_AT_ONCE])
        return found

    def _lookouts(self, numbers: Sequence[int]) -> list[Lookout]:
        sql = f"select l.team, {LOOKOUT} from lookouts l where id in (select value from json_each(?)) order by id"  # noqa: S608
        return [lookout_of(row) for row in self._rows(sql, json.dumps(list(numbers)))]

    async def bundle(self, sha256: str) -> str:
        """The PEM of a CA bundle; empty when there is none."""
        rows = await self._run(self._rows, "select pem from bundles where sha256 = ?", sha256)
        return str(rows[0]["pem"]) if rows else ""

    async def remembered(
        self, team: str, word: str, *, seen_in: Sequence[str], limit: int
    ) -> list[tuple[Watch, list[Look]]]:
        """The watches in channels *seen_in* that *word* names, each with its newest runs: what `history` tells."""
        rows = await self._run(
            self._rows,
            f"{WATCHES} where w.team = ? and w.channel in (select value from json_each(?)) and l.host like ?"  # noqa: S608
            " escape '\\' group by l.id order by l.host = ? desc, l.host limit ?",
            team,
            json.dumps(list(seen_in)),
            like(word),
            word.lower(),
            limit,
        )
        watches = [watch_of(row) for row in rows]
        return [(watch, await self.looks.runs(watch.lookout.id, limit=4)) for watch in watches]

    # ── what was told ───────────────────────────────────────────────────────────

    async def tell(self, watches: Sequence[Watch], cause: str | None) -> None:
        """Their channels know that they are broken by *cause*; None: that they are not any more."""
        await self._write(self.mark, [watch.id for watch in watches], cause)

    def mark(self, numbers: Sequence[int], cause: str | None) -> None:
        """The same, on the memory's thread, in a transaction of whoever tells them."""
        self._db.execute(
            "update watches set told = ? where id in (select value from json_each(?))", (cause, json.dumps(numbers))
        )

    async def untold(self) -> list[int]:
        """The lookouts that have recovered, which some channel that was told of the fault does not know."""
        sql = f"select distinct w.lookout {_JOINED} where {HEARD} and w.told is not null and l.status != 'broken'"
        return [int(row["lookout"]) for row in await self._run(self._rows, sql)]

    async def keep_flood(self, flood: Flood, notes: Sequence[Note]) -> None:
        """The flood as it is now, and what is to be said of it; one that is over ends."""

        def kept() -> None:
            members = {number: [one.target, one.cause, one.is_over] for number, one in flood.members.items()}
            self._db.execute(
                "insert into floods (key, team, channel, began_at, members, ended_at) values (?, ?, ?, ?, ?, ?)"
                " on conflict (key) do update set members = excluded.members, ended_at = excluded.ended_at",
                (
                    flood.key,
                    flood.team,
                    flood.channel,
                    flood.began_at.timestamp(),
                    json.dumps(members, ensure_ascii=False),
                    flood.began_at.timestamp() if flood.is_over else None,
                ),
            )
            self._note(notes)

        await self._write(kept)

    async def floods(self, team: str, channel: str) -> list[Flood]:
        """Those of a channel that are not over, the newest first."""
        sql = "select * from floods where team = ? and channel = ? and ended_at is null order by began_at desc"
        return [flood_of(row) for row in await self._run(self._rows, sql, team, channel)]


def _where(team: str, channel: str, word: str) -> tuple[str, list[Any]]:
    """Watches of a channel, or those of them that *word* is about."""
    where, values = "where w.team = ? and w.channel = ?", [team, channel]
    if not word:
        return where, values
    return where + _WORD, [*values, like(word), like(word), word.lstrip("@").upper(), word, word]
