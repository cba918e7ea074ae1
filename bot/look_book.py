"""What was seen of what is watched, as it is remembered: looks, sightings, certificates and handshake times.

A look that equals the one before it is a count and a time. A sighting and a certificate stand once, by their digests,
however many looks and endpoints showed them. A batch of looks is one transaction, with the notes that tell of them.
"""

from __future__ import annotations

import itertools
import json
import logging
import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, Final, Protocol

from bot.history import Book
from bot.model import Note
from bot.schedule import Step, wants_news
from bot.sighting import Kind, Sighting, from_json, sighting_of, to_json
from bot.watch_rows import HEARD, WATCHES, Row, seconds, utc, watch_of
from bot.watched import Look, Lookout, Pace, Seen, Watch, bucket, median_of
from probes.codec import moment
from probes.model import CertificateReport, Target

LOG = logging.getLogger("bot.looks")
KEPT: Final = timedelta(days=400)  # a year to compare with, and some
MOST_RUNS: Final = 500  # of one lookout and kind: what flaps for months is known by then
_LOOKS_AT_ONCE: Final = 6
_PRUNED_AT_ONCE: Final = 50  # lookouts a transaction: acknowledgements wait for this thread
_CHECKED_AT_ONCE: Final = 5_000
_ASKED_AT_ONCE: Final = 500  # lookouts a question: others wait for the thread that reads
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


class LookBook(Book):
    """The looks at all that is watched, in the bot's memory."""

    async def record(self, looked: Sequence[Looked], news_of: NewsOf, now: datetime) -> Recorded:
        """Store looks, each with what there is to say of it; some in a transaction, for requests wait for none."""
        recorded = Recorded()
        for start in range(0, len(looked), _LOOKS_AT_ONCE):
            part = looked[start : start + _LOOKS_AT_ONCE]
            try:
                recorded += await self._write(self._record, part, news_of, now)
            except Exception:
                LOG.exception("looks not stored")
                recorded += Recorded(failed=frozenset(one.seen.lookout for one in part))
        return recorded

    def _record(self, looked: Sequence[Looked], news_of: NewsOf, now: datetime) -> Recorded:
        recorded = Recorded()
        for one in looked:
            try:
                with self._db.atomic():  # what is odd about one endpoint costs the others nothing
                    recorded += self._record_one(one, news_of, now)
            except sqlite3.OperationalError:  # the disk's fault: it concerns all of them
                raise
            except Exception:
                LOG.exception("look not stored lookout=%s", one.seen.lookout)
                recorded += Recorded(failed=frozenset({one.seen.lookout}))
        return recorded

    def _record_one(self, one: Looked, news_of: NewsOf, now: datetime) -> Recorded:
        if not self._rows("select 1 from lookouts where id = ?", one.seen.lookout):
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
        self._note(said)
        return Recorded(notes=len(said), told=frozenset({one.seen.lookout}))

    def _keep_look(self, seen: Seen) -> bool:
        """Count it, or begin a new run; whether it saw something else than the one before."""
        execute, at = self._db.execute, int(seen.at.timestamp())
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
        execute = self._db.execute
        for endpoint in seen.report.endpoints:
            chains = (endpoint.chain, *endpoint.other_chains)
            for each in itertools.chain.from_iterable(chains):
                execute(
                    "insert into certificates values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
                    " on conflict (sha256) do update set last_seen = max(last_seen, excluded.last_seen)",
                    (*_certificate_row(each), at, at),
                )
            for leaf in (chain[0] for chain in chains if chain):
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
        newest = self.newest(seen.lookout, seen.kind)
        if newest is None:
            return
        execute = self._db.execute
        for chain in {each for one in newest.sighting.served for each in (one.chain, *one.others)}:
            for digest in chain:
                execute("update certificates set last_seen = max(last_seen, ?) where sha256 = ?", (at, digest))
            for leaf in chain[:1]:
                sql = "update leaves set last_seen = max(last_seen, ?) where lookout = ? and sha256 = ?"
                execute(sql, (at, seen.lookout, leaf))

    def _keep_state(self, lookout: Lookout, seen: Seen, told_at: datetime | None) -> None:
        self._db.execute(
            "update lookouts set status = ?, cause = ?, broken_since = ?, goods = ?, light = ?, full = ?, gist = ?,"
            " seen_leaves = ?, light_at = ?, full_at = ?, told_at = coalesce(?, told_at) where id = ?",
            (
                lookout.status,
                lookout.cause,
                seconds(lookout.broken_since),
                lookout.goods,
                lookout.light,
                lookout.full,
                lookout.gist,
                " ".join(lookout.leaves),
                seconds(lookout.light_at),
                seconds(lookout.full_at),
                seconds(told_at),
                seen.lookout,
            ),
        )

    def _keep_pace(self, seen: Seen) -> None:
        execute, day = self._db.execute, int(seen.at.timestamp()) // 86_400
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
        after = self.newest(seen.lookout, seen.kind, seen.ms)
        if after is None:
            return []
        before: Look | None = after
        if changed or seen.status == "broken":
            good = f"{_RUNS} where r.lookout = ? and r.kind = ? and r.status != 'broken' and r.id < ?"
            rows = self._rows(f"{good} order by r.id desc limit 1", seen.lookout, seen.kind, after.id)
            before = _look_of(rows[0]) if rows else None
        digests = {
            digest
            for look in (before, after)
            if look is not None
            for one in look.sighting.served
            for digest in one.digests
        }
        certificates = self.certificates(digests)
        rows = self._rows(f"{WATCHES} where {HEARD} and w.lookout = ? order by w.id", seen.lookout)
        return [note for row in rows for note in news_of(watch_of(row), before, after, certificates, now)]

    def newest(self, lookout: int, kind: Kind, ms: Mapping[str, float] | None = None) -> Look | None:
        """The newest run of that kind. On the memory's thread."""
        rows = self._rows(f"{_RUNS} where r.lookout = ? and r.kind = ? order by r.id desc limit 1", lookout, kind)
        return _look_of(rows[0], ms) if rows else None

    def certificates(self, digests: set[str]) -> dict[str, CertificateReport]:
        """Those of *digests* that were ever seen, by SHA-256. On the memory's thread."""
        rows = self._rows(
            "select * from certificates where sha256 in (select value from json_each(?))", json.dumps(sorted(digests))
        )
        return {row["sha256"]: _certificate_of(row) for row in rows}

    # ── what was seen ───────────────────────────────────────────────────────────

    async def runs(self, lookout: int, kind: Kind | None = None, *, limit: int) -> list[Look]:
        """The newest runs of looks, newest first."""
        kinds: tuple[Kind, ...] = (kind,) if kind else ("light", "full")
        return await self._run(self._runs, lookout, kinds, limit)

    def _runs(self, lookout: int, kinds: Sequence[Kind], limit: int) -> list[Look]:
        sql = f"{_RUNS} where r.lookout = ? and r.kind = ? order by r.id desc limit ?"
        rows = [row for kind in kinds for row in self._rows(sql, lookout, kind, limit)]
        rows.sort(key=lambda row: int(row["id"]), reverse=True)
        return [_look_of(row) for row in rows[:limit]]

    async def last_good(
        self, team: str, target: Target, *, seen_in: Sequence[str], before: datetime
    ) -> tuple[Look, dict[str, CertificateReport]] | None:
        """The newest look before *before* that did not find *target* broken, with its certificates by SHA-256; of
        endpoints that are watched in channels *seen_in*."""
        return await self._run(self._last_good, team, target, list(seen_in), before)

    def _last_good(
        self, team: str, target: Target, seen_in: list[str], before: datetime
    ) -> tuple[Look, dict[str, CertificateReport]] | None:
        rows = self._rows(
            f"{_RUNS} join lookouts l on l.id = r.lookout where l.team = ? and l.host = ? and l.port = ?"  # noqa: S608
            " and l.server_name = ? and l.starttls = ? and r.status != 'broken' and r.first_at < ?"
            " and exists (select 1 from watches w where w.lookout = l.id"
            "  and w.channel in (select value from json_each(?))) order by r.last_at desc limit 1",
            team,
            target.host,
            target.port,
            target.server_name or "",
            target.starttls or "",
            before.timestamp(),
            json.dumps(seen_in),
        )
        if not rows:
            return None
        look = _look_of(rows[0])
        return look, self.certificates({digest for one in look.sighting.served for digest in one.digests})

    async def paces_of(self, lookouts: Sequence[int], since: date) -> dict[int, list[Pace]]:
        """How long handshakes took, day by day, by lookout."""
        day, found = (since - date(1970, 1, 1)).days, dict[int, list[Pace]]()
        for start in range(0, len(lookouts), _ASKED_AT_ONCE):
            found |= await self._run(self._paces_of, lookouts[start : start + _ASKED_AT_ONCE], day)
        return found

    def _paces_of(self, lookouts: Sequence[int], day: int) -> dict[int, list[Pace]]:
        sql = "select * from paces where lookout in (select value from json_each(?)) and day >= ? order by lookout, day"
        found: dict[int, list[Pace]] = {}
        for row in self._rows(sql, json.dumps(list(lookouts)), day):
            found.setdefault(row["lookout"], []).append(pace_of(row))
        return found

    # ── forgetting ──────────────────────────────────────────────────────────────

    def forget(self, lookout: int) -> None:
        """All that was seen there. On the memory's thread."""
        for table in ("looks", "paces", "leaves"):
            self._db.execute(f"delete from {table} where lookout = ?", (lookout,))  # noqa: S608 - our own names

    async def prune(self, now: datetime) -> int:
        """Forget looks of more than a year ago and, of what flaps, all but the newest runs; how many."""
        before, forgotten = int((now - KEPT).timestamp()), 0
        numbers = [int(row["id"]) for row in await self._run(self._rows, "select id from lookouts")]
        for start in range(0, len(numbers), _PRUNED_AT_ONCE):
            forgotten += await self._write(self._pruned, numbers[start : start + _PRUNED_AT_ONCE], before)
        most = (await self._run(self._rows, "select max(id) as id from sightings"))[0]["id"] or 0
        for start in range(0, int(most), _CHECKED_AT_ONCE):
            await self._write(
                self._db.execute,
                "delete from sightings where id > ? and id <= ?"
                " and not exists (select 1 from looks where sighting = sightings.id)",
                (start, start + _CHECKED_AT_ONCE),
            )
        await self._write(
            self._db.execute,
            "delete from certificates where last_seen < ? and sha256 not in (select sha256 from leaves)",
            (before,),
        )
        return forgotten

    def _pruned(self, numbers: Sequence[int], before: int) -> int:
        execute, forgotten = self._db.execute, 0
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


def _look_of(row: Row, ms: Mapping[str, float] | None = None) -> Look:
    sighting: Sighting = from_json(json.loads(row["body"]))
    return Look(
        id=row["id"],
        lookout=row["lookout"],
        sighting=sighting,
        first_at=utc(row["first_at"]),
        last_at=utc(row["last_at"]),
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


def pace_of(row: Row) -> Pace:
    """A row of `paces`."""
    return Pace(
        day=date(1970, 1, 1) + timedelta(days=row["day"]),
        count=row["count"],
        mean=row["sum"] / row["count"],
        least=row["least"],
        most=row["most"],
        median=median_of(_buckets(row["buckets"])),
    )
