"""What is watched, as it is remembered: watches, their lookouts, looks, certificates and handshake times.

A look that equals the one before it is a count and a time. A sighting and a certificate stand once, by their digests,
however many looks and endpoints showed them. A batch of looks is one transaction, with the notes that tell of them.
"""

from __future__ import annotations

import json
import logging
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final, Protocol, TypeAlias

from bot.history import History
from bot.model import Note
from bot.rows import like
from bot.schedule import Step, wants_news
from bot.sighting import Kind, Sighting, from_json, sighting_of, to_json
from bot.watched import Failing, Flood, Look, Lookout, Pace, Seen, Watch, bucket, median_of
from probes.codec import moment
from probes.model import CertificateReport, Target

LOG = logging.getLogger("bot.watchlist")
Row: TypeAlias = dict[str, Any]
KEPT: Final = timedelta(days=400)  # a year to compare with, and some
MOST_RUNS: Final = 500  # of one lookout and kind: what flaps for months is known by then
_LOOKS_AT_ONCE: Final = 6
_PRUNED_AT_ONCE: Final = 50  # lookouts a transaction: acknowledgements wait for this thread
_CHECKED_AT_ONCE: Final = 5_000
_LOOKOUT: Final = (
    "l.id as l_id, l.host, l.port, l.server_name, l.starttls, l.identity, l.bundle, l.status, l.cause,"
    " l.broken_since, l.goods, l.light, l.full, l.gist, l.light_at, l.full_at, l.told_at, l.expires_at"
)
_WATCHES: Final = f"select w.*, {_LOOKOUT} from watches w join lookouts l on l.id = w.lookout"  # noqa: S608 - ours
# Not where the channel was archived or deleted, the bot sent away, or taken out of the workspace (`bot.places`).
_HEARD: Final = (
    "not exists (select 1 from closed_channels x where x.team = w.team and x.channel in (w.channel, '*')"
    " and x.why != '')"
)
_RUNS: Final = (
    "select r.id, r.lookout, r.first_at, r.last_at, r.count, s.body from looks r join sightings s on s.id = r.sighting"
)


class NewsOf(Protocol):
    """What there is to say about one look in one channel.

    Called on the memory's own thread, inside the transaction that stores the look: whoever needs state of their own
    may read and write the memory there, without awaiting. *before* is the last look of the same kind that was not
    broken (*after* itself where that saw the same), None when there was none. *certificates*: those of both, by
    SHA-256. Called for each look that saw something else than the one before, and otherwise about once an hour.
    """

    def __call__(
        self,
        watch: Watch,
        before: Look | None,
        after: Look,
        certificates: Mapping[str, CertificateReport],
        now: datetime,
    ) -> Sequence[Note]: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Looked:
    """A look and what it made of its lookout, to be stored."""

    seen: Seen
    step: Step


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded:
    """What came of a batch: how many notes, the lookouts whose news were asked for, and those whose look could not be
    stored: of these nothing was learned."""

    notes: int = 0
    told: frozenset[int] = frozenset()
    failed: frozenset[int] = frozenset()

    def __add__(self, other: Recorded) -> Recorded:
        return Recorded(notes=self.notes + other.notes, told=self.told | other.told, failed=self.failed | other.failed)


class Watchlist:
    """The watches of all channels, in the bot's memory."""

    def __init__(self, memory: History) -> None:
        self._memory = memory

    # ── watches ─────────────────────────────────────────────────────────────────

    async def add(self, watch: Watch, bundle: str, *, most: int) -> Watch | None:
        """Watch it, or change how it is watched here; None when *most* are watched already. `watch.id` and the
        lookout's are given here; what the lookout knows of itself stays."""
        return await self._memory._write(lambda: self._add(watch, bundle, self._room(watch.team, most)))

    async def add_all(self, watches: Sequence[Watch], *, most: int) -> tuple[list[Watch], int]:
        """Watch all of them, as far as there is room; which they are, and how many found none."""

        def added() -> tuple[list[Watch], int]:
            rooms = {team: self._room(team, most) for team in {watch.team for watch in watches}}
            found = [self._add(watch, "", rooms[watch.team]) for watch in watches]
            return [watch for watch in found if watch is not None], sum(watch is None for watch in found)

        return await self._memory._write(added)

    def _room(self, team: str, most: int) -> Callable[[], bool]:
        """Is there room for one watch more? Counted once, and from then on with each that asks."""
        left = most - self._memory._db.execute("select count(*) from watches where team = ?", (team,)).fetchone()[0]

        def has_room() -> bool:
            nonlocal left
            left -= 1
            return bool(left >= 0)

        return has_room

    def _add(self, watch: Watch, bundle: str, has_room: Callable[[], bool]) -> Watch | None:
        execute, lookout = self._memory._db.execute, watch.lookout
        key = _key(lookout)
        # The same endpoint, looked at in another way, is the same watch of this channel.
        old = self._memory._rows(
            # Cross join: by the endpoint first, not through all that the channel watches.
            f"select w.*, {_LOOKOUT} from lookouts l cross join watches w on w.lookout = l.id and w.channel = ?"  # noqa: S608
            " where l.team = ? and l.host = ? and l.port = ? and l.server_name = ? and l.starttls = ?",
            watch.channel,
            *key[:5],
        )
        if not old and not has_room():
            return None
        if bundle:
            execute("insert or ignore into bundles (sha256, pem) values (?, ?)", (lookout.bundle, bundle))
        execute(
            "insert or ignore into lookouts (team, host, port, server_name, starttls, identity, bundle)"
            " values (?, ?, ?, ?, ?, ?, ?)",
            key,
        )
        number = execute(
            "select id from lookouts where team = ? and host = ? and port = ? and server_name = ? and starttls = ?"
            " and identity = ? and bundle = ?",
            key,
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
        return _watch_of(self._memory._rows(f"{_WATCHES} {where}", watch.channel, number)[0])

    async def remove(self, watch: Watch) -> bool:
        """Watch it no longer here; its looks go when no channel watches it. False: it was not watched."""

        def removed() -> bool:
            cursor = self._memory._db.execute("delete from watches where id = ?", (watch.id,))
            self._forget_unwatched(watch.lookout.id)
            return bool(cursor.rowcount)

        return await self._memory._write(removed)

    def _forget_unwatched(self, lookout: int) -> None:
        execute = self._memory._db.execute
        if execute("select 1 from watches where lookout = ?", (lookout,)).fetchone() is None:
            for table in ("looks", "paces", "leaves"):
                execute(f"delete from {table} where lookout = ?", (lookout,))  # noqa: S608 - our own names
            execute("delete from lookouts where id = ?", (lookout,))

    async def snooze(self, watch: Watch, until: datetime | None) -> None:
        """Say nothing of it here until then."""
        at = until.timestamp() if until else None
        await self._memory._write(
            self._memory._db.execute, "update watches set snoozed_until = ? where id = ?", (at, watch.id)
        )

    async def tell(self, watches: Sequence[Watch], cause: str | None) -> None:
        """Their channels know that they are broken by *cause*; None: that they are not any more."""
        await self._memory._write(
            self._memory._db.execute,
            "update watches set told = ? where id in (select value from json_each(?))",
            (cause, json.dumps([watch.id for watch in watches])),
        )

    async def watches(self, team: str, channel: str | None = None, word: str = "") -> list[Watch]:
        """Those of *team*, or of one channel, that end first first; *word*: in host, owner, label or state."""
        where, values = "where w.team = ?", [team]
        if channel is not None:
            where, values = f"{where} and w.channel = ?", [team, channel]
        if word:
            where += (
                " and (l.host like ? escape '\\' or w.labels like ? escape '\\' or w.owner = ? or l.status = ?"
                " or l.cause = ?)"
            )
            values += [like(word), like(word), word.lstrip("@").upper(), word, word]
        order = "order by l.status = 'broken' desc, l.expires_at is null, l.expires_at, l.host, w.id"
        rows = await self._memory._run(self._memory._rows, f"{_WATCHES} {where} {order}", *values)
        return [_watch_of(row) for row in rows]

    async def watching(self, team: str, channel: str, target: Target) -> Watch | None:
        """The watch of that endpoint in that channel; a target without a name of its own finds any of that host and
        port, if it is the only one."""
        found = [
            watch
            for watch in await self.watches(team, channel)
            if (watch.target.host, watch.target.port) == (target.host, target.port)
        ]
        exact = next((watch for watch in found if watch.target == target), None)
        return exact or (found[0] if len(found) == 1 else None)

    async def of_lookouts(self, numbers: Sequence[int]) -> list[Watch]:
        """The watches of these lookouts, in every channel that is open."""
        sql = f"{_WATCHES} where {_HEARD} and w.lookout in (select value from json_each(?)) order by w.id"  # noqa: S608
        return [_watch_of(row) for row in await self._memory._run(self._memory._rows, sql, json.dumps(list(numbers)))]

    async def lookouts(self) -> list[Lookout]:
        """All that is watched anywhere that is open."""
        watched = f"select w.lookout from watches w where {_HEARD}"  # noqa: S608 - ours
        sql = f"select l.team, {_LOOKOUT} from lookouts l where id in ({watched}) order by id"  # noqa: S608 - ours
        return [_lookout_of(row) for row in await self._memory._run(self._memory._rows, sql)]

    async def untold(self) -> list[int]:
        """The lookouts that have recovered, which some channel that was told of the fault does not know."""
        sql = (
            f"select distinct w.lookout from watches w join lookouts l on l.id = w.lookout where {_HEARD}"  # noqa: S608
            " and w.told is not null and l.status != 'broken'"
        )
        return [int(row["lookout"]) for row in await self._memory._run(self._memory._rows, sql)]

    async def bundle(self, sha256: str) -> str:
        """The PEM of a CA bundle; empty when there is none."""
        rows = await self._memory._run(self._memory._rows, "select pem from bundles where sha256 = ?", sha256)
        return str(rows[0]["pem"]) if rows else ""

    # ── looks ───────────────────────────────────────────────────────────────────

    async def record(self, looked: Sequence[Looked], news_of: NewsOf, now: datetime) -> Recorded:
        """Store looks, each with what there is to say of it; some in a transaction, for requests wait for none."""
        recorded = Recorded()
        for start in range(0, len(looked), _LOOKS_AT_ONCE):
            part = looked[start : start + _LOOKS_AT_ONCE]
            try:
                recorded += await self._memory._write(self._record, part, news_of, now)
            except Exception:
                LOG.exception("looks not stored")
                recorded += Recorded(failed=frozenset(one.seen.lookout for one in part))
        return recorded

    def _record(self, looked: Sequence[Looked], news_of: NewsOf, now: datetime) -> Recorded:
        recorded = Recorded()
        for one in looked:
            try:
                with self._memory._db.atomic():  # what is odd about one endpoint costs the others nothing
                    recorded += self._record_one(one, news_of, now)
            except sqlite3.OperationalError:  # the disk's fault: it concerns all of them
                raise
            except Exception:
                LOG.exception("look not stored lookout=%s", one.seen.lookout)
                recorded += Recorded(failed=frozenset({one.seen.lookout}))
        return recorded

    def _record_one(self, one: Looked, news_of: NewsOf, now: datetime) -> Recorded:
        if not self._memory._rows("select 1 from lookouts where id = ?", one.seen.lookout):
            return Recorded()  # removed while it was looked at: nothing is kept of it
        changed = self._keep_look(one.seen)
        after = one.step.lookout
        is_time = wants_news(after, now)
        self._keep_state(after, one.seen, now if is_time or changed else None)
        if one.seen.ms:
            self._keep_pace(one.seen)
        if not changed and not is_time:
            return Recorded()
        said = self._news(one.seen, news_of, now, changed=changed)
        self._memory._note(said)
        return Recorded(notes=len(said), told=frozenset({one.seen.lookout}))

    def _keep_look(self, seen: Seen) -> bool:
        """Count it, or begin a new run; whether it saw something else than the one before."""
        execute, at = self._memory._db.execute, int(seen.at.timestamp())
        if seen.report is None:
            execute(
                "update looks set last_at = max(last_at, ?), count = count + 1"
                " where id = (select max(id) from looks where lookout = ? and kind = ?)",
                (at, seen.lookout, seen.kind),
            )
            if seen.kind == "full":
                self._still_served(seen, at)
            return False
        sighting = sighting_of(seen.report, kind=seen.kind)
        execute(
            "insert or ignore into sightings (sha256, body) values (?, ?)",
            (seen.fingerprint, json.dumps(to_json(sighting), ensure_ascii=False, separators=(",", ":"))),
        )
        number = execute("select id from sightings where sha256 = ?", (seen.fingerprint,)).fetchone()[0]
        newest = execute(
            "select id, sighting from looks where lookout = ? and kind = ? order by id desc limit 1",
            (seen.lookout, seen.kind),
        ).fetchone()
        self._keep_certificates(seen, at)
        if newest is not None and newest[1] == number:
            sql = "update looks set last_at = max(last_at, ?), count = count + 1 where id = ?"
            execute(sql, (at, newest[0]))
            return False
        execute(
            "insert into looks (lookout, kind, sighting, status, first_at, last_at, count)"
            " values (?, ?, ?, ?, ?, ?, 1)",
            (seen.lookout, seen.kind, number, seen.status, at, at),
        )
        return True

    def _keep_certificates(self, seen: Seen, at: int) -> None:
        assert seen.report is not None
        execute = self._memory._db.execute
        for endpoint in seen.report.endpoints:
            for each in endpoint.chain:
                execute(
                    "insert into certificates values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
                    " on conflict (sha256) do update set last_seen = max(last_seen, excluded.last_seen)",
                    (*_certificate_row(each), at, at),
                )
            for leaf in endpoint.chain[:1]:
                execute(
                    "insert into leaves values (?, ?, ?, ?)"
                    " on conflict (lookout, sha256) do update set last_seen = max(last_seen, excluded.last_seen)",
                    (seen.lookout, leaf.sha256, at, at),
                )
        leaves = [endpoint.chain[0].not_after for endpoint in seen.report.endpoints if endpoint.chain]
        ends = [moment(text).timestamp() for text in leaves if text]
        if ends:
            execute("update lookouts set expires_at = ? where id = ?", (min(ends), seen.lookout))

    def _still_served(self, seen: Seen, at: int) -> None:
        """Once a day, what goes on being served is known to be."""
        newest = self._newest(seen.lookout, seen.kind)
        if newest is None:
            return
        execute = self._memory._db.execute
        for chain in {one.chain for one in newest.sighting.served}:
            for digest in chain:
                execute("update certificates set last_seen = max(last_seen, ?) where sha256 = ?", (at, digest))
            for leaf in chain[:1]:
                sql = "update leaves set last_seen = max(last_seen, ?) where lookout = ? and sha256 = ?"
                execute(sql, (at, seen.lookout, leaf))

    def _keep_state(self, lookout: Lookout, seen: Seen, told_at: datetime | None) -> None:
        self._memory._db.execute(
            "update lookouts set status = ?, cause = ?, broken_since = ?, goods = ?, light = ?, full = ?, gist = ?,"
            " light_at = ?, full_at = ?, told_at = coalesce(?, told_at) where id = ?",
            (
                lookout.status,
                lookout.cause,
                _seconds(lookout.broken_since),
                lookout.goods,
                lookout.light,
                lookout.full,
                lookout.gist,
                _seconds(lookout.light_at),
                _seconds(lookout.full_at),
                _seconds(told_at),
                seen.lookout,
            ),
        )

    def _keep_pace(self, seen: Seen) -> None:
        execute, day = self._memory._db.execute, int(seen.at.timestamp()) // 86_400
        took = sum(seen.ms.values()) / len(seen.ms)
        row = execute(
            "select count, sum, least, most, buckets from paces where lookout = ? and day = ?", (seen.lookout, day)
        ).fetchone()
        count, total, least, most, written = row or (0, 0.0, took, took, "")
        buckets = _buckets(written)
        place = bucket(took)
        buckets[place] = buckets.get(place, 0) + 1
        text = ",".join(f"{number}:{times}" for number, times in buckets.items())
        values = (count + 1, total + took, min(least, took), max(most, took), text, seen.lookout, day)
        sets = "count = ?, sum = ?, least = ?, most = ?, buckets = ?"
        if row is not None:
            execute(f"update paces set {sets} where lookout = ? and day = ?", values)  # noqa: S608 - our own names
        else:
            sql = "insert into paces (count, sum, least, most, buckets, lookout, day) values (?, ?, ?, ?, ?, ?, ?)"
            execute(sql, values)

    def _news(self, seen: Seen, news_of: NewsOf, now: datetime, *, changed: bool) -> list[Note]:
        after = self._newest(seen.lookout, seen.kind, seen.ms)
        if after is None:
            return []
        before: Look | None = after
        if changed or seen.status == "broken":
            good = f"{_RUNS} where r.lookout = ? and r.kind = ? and r.status != 'broken' and r.id < ?"
            rows = self._memory._rows(f"{good} order by r.id desc limit 1", seen.lookout, seen.kind, after.id)
            before = _look_of(rows[0]) if rows else None
        digests = {
            digest
            for look in (before, after)
            if look is not None
            for one in look.sighting.served
            for digest in one.chain
        }
        certificates = self._certificates(digests)
        rows = self._memory._rows(f"{_WATCHES} where {_HEARD} and w.lookout = ? order by w.id", seen.lookout)
        return [note for row in rows for note in news_of(_watch_of(row), before, after, certificates, now)]

    def _newest(self, lookout: int, kind: Kind, ms: Mapping[str, float] | None = None) -> Look | None:
        rows = self._memory._rows(
            f"{_RUNS} where r.lookout = ? and r.kind = ? order by r.id desc limit 1", lookout, kind
        )
        return _look_of(rows[0], ms) if rows else None

    def _certificates(self, digests: set[str]) -> dict[str, CertificateReport]:
        rows = self._memory._rows(
            "select * from certificates where sha256 in (select value from json_each(?))", json.dumps(sorted(digests))
        )
        return {row["sha256"]: _certificate_of(row) for row in rows}

    # ── what was seen ───────────────────────────────────────────────────────────

    async def runs(self, lookout: int, kind: Kind | None = None, *, limit: int) -> list[Look]:
        """The newest runs of looks, newest first."""
        kinds = [kind] if kind else ["light", "full"]
        found = [
            await self._memory._run(
                self._memory._rows,
                f"{_RUNS} where r.lookout = ? and r.kind = ? order by r.id desc limit ?",
                lookout,
                each,
                limit,
            )
            for each in kinds
        ]
        looks = sorted((_look_of(row) for rows in found for row in rows), key=lambda look: look.id, reverse=True)
        return looks[:limit]

    async def begun_between(self, team: str, since: datetime, until: datetime, *, limit: int = 2_000) -> list[Look]:
        """The runs of *team*'s looks that began between two times: each is a change. Oldest first."""
        rows = await self._memory._run(
            self._memory._rows,
            f"{_RUNS} join lookouts l on l.id = r.lookout where l.team = ? and r.first_at >= ? and r.first_at < ?"
            " order by r.first_at, r.id limit ?",
            team,
            int(since.timestamp()),
            int(until.timestamp()),
            limit,
        )
        return [_look_of(row) for row in rows]

    async def look_at(self, lookout: int, kind: Kind, when: datetime) -> Look | None:
        """The run that was under way at *when*, or ended last before it."""
        rows = await self._memory._run(
            self._memory._rows,
            f"{_RUNS} where r.lookout = ? and r.kind = ? and r.first_at <= ? order by r.id desc limit 1",
            lookout,
            kind,
            int(when.timestamp()),
        )
        return _look_of(rows[0]) if rows else None

    async def paces_of(self, lookouts: Sequence[int], since: date) -> dict[int, list[Pace]]:
        """How long handshakes took, day by day, by lookout."""
        rows = await self._memory._run(
            self._memory._rows,
            "select * from paces where lookout in (select value from json_each(?)) and day >= ? order by lookout, day",
            json.dumps(list(lookouts)),
            (since - date(1970, 1, 1)).days,
        )
        found: dict[int, list[Pace]] = {}
        for row in rows:
            found.setdefault(row["lookout"], []).append(_pace_of(row))
        return found

    async def certificates(self, digests: Sequence[str]) -> dict[str, CertificateReport]:
        """Those of *digests* that were ever seen."""
        return await self._memory._run(self._certificates, set(digests))

    async def leaves(self, lookout: int) -> list[tuple[CertificateReport, datetime, datetime]]:
        """The leaves served there, each with when it was seen first and last; the newest last."""
        rows = await self._memory._run(
            self._memory._rows,
            "select c.*, v.first_seen as since, v.last_seen as until from leaves v join certificates c"
            " on c.sha256 = v.sha256 where v.lookout = ? order by v.first_seen",
            lookout,
        )
        return [(_certificate_of(row), _utc(row["since"]), _utc(row["until"])) for row in rows]

    async def remembered(
        self, team: str, word: str, *, seen_in: Sequence[str], limit: int
    ) -> list[tuple[Watch, list[Look]]]:
        """The watches in channels *seen_in* that *word* names, each with its newest runs: what `history` tells."""
        rows = await self._memory._run(
            self._memory._rows,
            f"{_WATCHES} where w.team = ? and w.channel in (select value from json_each(?)) and l.host like ?"  # noqa: S608
            " escape '\\' group by l.id order by l.host = ? desc, l.host limit ?",
            team,
            json.dumps(list(seen_in)),
            like(word),
            word.lower(),
            limit,
        )
        watches = [_watch_of(row) for row in rows]
        return [(watch, await self.runs(watch.lookout.id, limit=4)) for watch in watches]

    # ── floods ──────────────────────────────────────────────────────────────────

    async def keep_flood(self, flood: Flood, notes: Sequence[Note]) -> None:
        """The flood as it is now, and what is to be said of it; one that is over ends."""

        def kept() -> None:
            members = {number: [one.target, one.cause, one.is_over] for number, one in flood.members.items()}
            self._memory._db.execute(
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
            self._memory._note(notes)

        await self._memory._write(kept)

    async def floods(self, team: str, channel: str) -> list[Flood]:
        """Those of a channel that are not over, the newest first."""
        sql = "select * from floods where team = ? and channel = ? and ended_at is null order by began_at desc"
        return [_flood_of(row) for row in await self._memory._run(self._memory._rows, sql, team, channel)]

    # ── forgetting ──────────────────────────────────────────────────────────────

    async def prune(self, now: datetime) -> int:
        """Forget looks of more than a year ago and, of what flaps, all but the newest runs; how many."""
        before, forgotten = int((now - KEPT).timestamp()), 0
        numbers = [int(row["id"]) for row in await self._memory._run(self._memory._rows, "select id from lookouts")]
        for start in range(0, len(numbers), _PRUNED_AT_ONCE):
            forgotten += await self._memory._write(self._pruned, numbers[start : start + _PRUNED_AT_ONCE], before)
        most = (await self._memory._run(self._memory._rows, "select max(id) as id from sightings"))[0]["id"] or 0
        for start in range(0, int(most), _CHECKED_AT_ONCE):
            await self._memory._write(
                self._memory._db.execute,
                "delete from sightings where id > ? and id <= ?"
                " and not exists (select 1 from looks where sighting = sightings.id)",
                (start, start + _CHECKED_AT_ONCE),
            )
        await self._memory._write(
            self._memory._db.execute,
            "delete from certificates where last_seen < ? and sha256 not in (select sha256 from leaves)",
            (before,),
        )
        return forgotten

    def _pruned(self, numbers: Sequence[int], before: int) -> int:
        execute, forgotten = self._memory._db.execute, 0
        for number in numbers:
            for kind in ("light", "full"):
                # The newest run stays, however old: it is what the endpoint is like.
                cursor = execute(
                    "delete from looks where lookout = ?1 and kind = ?2 and id < (select max(id) from looks where"
                    " lookout = ?1 and kind = ?2) and (last_at < ?3 or id <= coalesce((select id from looks where"
                    " lookout = ?1 and kind = ?2 order by id desc limit 1 offset ?4), 0))",
                    (number, kind, before, MOST_RUNS),
                )
                forgotten += cursor.rowcount
            execute("delete from paces where lookout = ? and day < ?", (number, before // 86_400))
            execute("delete from leaves where lookout = ? and last_seen < ?", (number, before))
        return forgotten


# ── rows ↔ values ───────────────────────────────────────────────────────────────


def _key(lookout: Lookout) -> tuple[Any, ...]:
    target = lookout.target
    name = target.server_name or ""
    return (
        lookout.team,
        target.host,
        target.port,
        name,
        target.starttls or "",
        lookout.identity or "",
        lookout.bundle,
    )


def _seconds(at: datetime | None) -> float | None:
    return at.timestamp() if at else None


def _utc(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def _maybe(seconds: float | None) -> datetime | None:
    return None if seconds is None else _utc(seconds)


def _lookout_of(row: Row) -> Lookout:
    return Lookout(
        id=row["l_id"],
        team=row["team"],
        target=Target(
            host=row["host"],
            port=row["port"],
            server_name=row["server_name"] or None,
            starttls=row["starttls"] or None,
        ),
        identity=row["identity"] or None,
        bundle=row["bundle"],
        status=row["status"],
        cause=row["cause"],
        broken_since=_maybe(row["broken_since"]),
        goods=row["goods"],
        light=row["light"],
        full=row["full"],
        gist=row["gist"],
        light_at=_maybe(row["light_at"]),
        full_at=_maybe(row["full_at"]),
        told_at=_maybe(row["told_at"]),
        expires_at=_maybe(row["expires_at"]),
    )


def _flood_of(row: Row) -> Flood:
    members = json.loads(row["members"])
    return Flood(
        key=row["key"],
        team=row["team"],
        channel=row["channel"],
        began_at=_utc(row["began_at"]),
        members={
            int(number): Failing(target=target, cause=cause, is_over=is_over)
            for number, (target, cause, is_over) in members.items()
        },
    )


def _watch_of(row: Row) -> Watch:
    return Watch(
        id=row["id"],
        team=row["team"],
        channel=row["channel"],
        lookout=_lookout_of(row),
        owner=row["owner"],
        labels=tuple(json.loads(row["labels"])),
        expected_cas=tuple(json.loads(row["expected_cas"])),
        snoozed_until=_maybe(row["snoozed_until"]),
        told=row["told"],
        added_by=row["added_by"],
        added_at=_utc(row["added_at"]),
    )


def _look_of(row: Row, ms: Mapping[str, float] | None = None) -> Look:
    sighting: Sighting = from_json(json.loads(row["body"]))
    return Look(
        id=row["id"],
        lookout=row["lookout"],
        sighting=sighting,
        first_at=_utc(row["first_at"]),
        last_at=_utc(row["last_at"]),
        count=row["count"],
        ms=ms or {},
    )


def _certificate_row(each: CertificateReport) -> tuple[Any, ...]:
    return (
        each.sha256,
        each.spki_sha256,
        each.tbs_sha256,
        each.serial,
        each.authority_key_id,
        each.subject,
        each.issuer,
        each.not_before,
        each.not_after,
        json.dumps(each.names, ensure_ascii=False),
    )


def _certificate_of(row: Row) -> CertificateReport:
    return CertificateReport(
        subject=row["subject"],
        issuer=row["issuer"],
        not_before=row["not_before"],
        not_after=row["not_after"],
        sha256=row["sha256"],
        names=tuple(json.loads(row["names"])),
        spki_sha256=row["spki"],
        serial=row["serial"],
        authority_key_id=row["aki"],
        tbs_sha256=row["tbs"],
    )


def _buckets(written: str) -> dict[int, int]:
    pairs = (pair.partition(":") for pair in written.split(",") if pair)
    return {int(number): int(times) for number, _, times in pairs}


def _pace_of(row: Row) -> Pace:
    return Pace(
        day=date(1970, 1, 1) + timedelta(days=row["day"]),
        count=row["count"],
        mean=row["sum"] / row["count"],
        least=row["least"],
        most=row["most"],
        median=median_of(_buckets(row["buckets"])),
    )
