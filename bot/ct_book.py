"""Certificate Transparency, as it is remembered: what is watched, how far logs are read, what was found.

A commit of the follower is one transaction: a log's position, what was found up to it, and the messages that tell of
it. So whatever dies when, no entry is passed over and none is told twice.

The layers below: `bot.ct_cases` (issuances in channels), `bot.ct_answers` (what people say), `bot.ct_logs`,
`bot.ct_inquiries` (what is found out after).
"""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from bot.ct_cases import case_of, guard_of, text_of
from bot.ct_inquiries import Inquiries
from bot.ct_logs import seconds_of
from bot.issuances import Case, Guard, Issued, Name, folded
from bot.model import Note
from bot.render import ct_evidence
from bot.render.ct_issuance import not_understood

if TYPE_CHECKING:
    from probes.ct.position import Event, Position
    from probes.ct_store import Found

LOG = logging.getLogger("bot.ct")
MOST_GUARDS: Final = 2_000  # domains of a workspace
MOST_SIMILAR: Final = 200  # domains whose look-alikes are looked for: they cost more than matches
KEPT_NAMES: Final = 100  # of one certificate
_MOST_LOOKALIKES: Final = 200  # of one domain a day


class CtBook(Inquiries):
    """The store of the follower, and what is watched."""

    # ── what is watched ─────────────────────────────────────────────────────────

    async def watch(self, guard: Guard) -> tuple[bool, Guard | None]:
        """Watch the domain, or otherwise than before. Back with whether it is watched (not where too many are), and
        how it was until now."""
        return await self._write(self._watch, guard)

    def _watch(self, guard: Guard) -> tuple[bool, Guard | None]:
        where = (guard.team, guard.channel, guard.domain)
        old = self._rows("select * from ct_guards where team = ? and channel = ? and domain = ?", *where)
        if not old:
            count = self._rows("select count(*) as n from ct_guards where team = ?", guard.team)
            if count[0]["n"] >= MOST_GUARDS:
                return False, None
        self._db.execute(
            "insert into ct_guards (team, channel, domain, expected_cas, lookalikes, added_by, added_at)"
            " values (?, ?, ?, ?, ?, ?, ?) on conflict (team, channel, domain) do update set"
            " expected_cas = excluded.expected_cas, lookalikes = excluded.lookalikes",
            (*where, json.dumps(guard.expected_cas, ensure_ascii=False), int(guard.lookalikes), guard.added_by,
             guard.added_at.timestamp()),
        )  # fmt: skip
        return True, guard_of(old[0]) if old else None

    async def remove(self, team: str, channel: str, domain: str) -> bool:
        """Watch it no longer in this channel, and forget what was approved there. False: it was not watched."""

        def removed() -> bool:
            execute, where = self._db.execute, (team, channel, domain)
            cursor = execute("delete from ct_guards where team = ? and channel = ? and domain = ?", where)
            execute("delete from ct_approvals where team = ? and channel = ? and domain = ?", where)
            if not self._rows("select 1 from ct_guards limit 1"):
                # Nobody watches anything: when somebody does again, logs begin at their ends of then.
                execute("delete from ct_positions")
            return bool(cursor.rowcount)

        return await self._write(removed)

    async def guards(self, team: str, channel: str) -> list[Guard]:
        """What a channel watches, by name."""
        sql = "select * from ct_guards where team = ? and channel = ? order by domain"
        return [guard_of(row) for row in await self._run(self._rows, sql, team, channel)]

    async def guarding_channels(self, team: str) -> list[str]:
        """The channels of a workspace that watch a domain."""
        sql = "select distinct channel from ct_guards where team = ? order by 1 limit 200"
        return [row["channel"] for row in await self._run(self._rows, sql, team)]

    async def domains(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Every domain watched where anything can be said, and those whose look-alikes are wanted (none where they are
        too many)."""
        sql = "select domain, team, channel, lookalikes from ct_guards order by domain"
        rows = await self._run(self._rows, sql)
        spoken = [row for row in rows if self._is_open(row["team"], row["channel"])]
        similar = tuple(dict.fromkeys(row["domain"] for row in spoken if row["lookalikes"]))
        return tuple(dict.fromkeys(row["domain"] for row in spoken)), similar if len(similar) <= MOST_SIMILAR else ()

    # ── the follower's store ────────────────────────────────────────────────────

    async def following(self) -> tuple[str, ...]:
        """The logs (hex ids) that are not read to their ends."""
        sql = "select log_id from ct_positions where state != 'finished'"
        return tuple(row["log_id"] for row in await self._run(self._rows, sql))

    async def load(self, log_id: str) -> Position | None:
        from probes.ct.position import Position

        sql = "select position from ct_positions where log_id = ?"
        rows = await self._run(self._rows, sql, log_id)
        return Position.from_json(json.loads(rows[0]["position"])) if rows else None

    async def commit(self, position: Position, found: Sequence[Found], events: Sequence[Event], now: datetime) -> int:
        """All of it in one transaction; how many messages that made."""
        return await self._write(self._commit, position, found, events, now)

    def _commit(self, position: Position, found: Sequence[Found], events: Sequence[Event], now: datetime) -> int:
        notes: list[Note] = []
        touched: list[Case] = []
        for each in found:
            cases, odd = self._take(each, now)
            touched += cases
            notes += odd
        notes += self._said_of(touched)
        for event in events:
            notes += self._tell_event(event, now)
        promised = position.promised.size if position.promised else 0
        self._db.execute(
            "insert or replace into ct_positions"
            " (log_id, position, downloaded, verified, promised, state, newest_ms, at) values (?, ?, ?, ?, ?, ?, ?, ?)",
            (position.log_id, json.dumps(position.to_json()), position.downloaded, position.verified_size, promised,
             position.state, min(position.newest_ms, 1 << 62), now.timestamp()),
        )  # fmt: skip
        self._note(notes)
        return len(notes)

    def _take(self, found: Found, now: datetime) -> tuple[list[Case], list[Note]]:
        """One entry: new, or one more of an issuance that is known; the cases that it changes. What goes wrong with a
        strange certificate must neither stop its log nor go unsaid: then the messages that say so."""
        try:
            with self._db.atomic():
                return self._taken(found, now), []
        except Exception:
            LOG.exception("ct entry not understood log=%s index=%s", found.log.url, found.issuance.first.index)
            seen = found.issuance.first
            domains = sorted({match.domain for match in found.issuance.matches})
            return [], [
                Note(
                    key=f"ct:odd:{seen.log_id}:{seen.index}:{team}:{channel}",
                    kind="message",
                    team=team,
                    channel=channel,
                    content=not_understood(guards[0].domain, found.log.description, seen.index),
                )
                for (team, channel), guards in self._watchers(domains).items()
            ]

    def _taken(self, found: Found, now: datetime) -> list[Case]:
        issuance, seen = found.issuance, found.issuance.first
        self._keep_lookalikes(found, now)
        if not issuance.matches:
            return []
        issued = _issued(found, now)
        execute = self._db.execute
        is_new = execute(
            "insert or ignore into ct_issuances (tbs, facts, ca, spki, not_after, logged_at, found_at)"
            " values (?, ?, ?, ?, ?, ?, ?)",
            (issued.tbs, text_of(issued), folded(issued.ca), issued.spki, seconds_of(issued.not_after),
             issued.logged_at.timestamp(), now.timestamp()),
        ).rowcount == 1  # fmt: skip
        evidence = (
            json.dumps(ct_evidence.evidence(found, now), ensure_ascii=False) if found.bundle is not None else None
        )
        execute(
            "insert into ct_entries (tbs, log_id, idx, log, at, is_precert, is_verified, evidence)"
            " values (?, ?, ?, ?, ?, ?, ?, ?) on conflict (tbs, log_id, idx) do update set"
            " is_verified = max(is_verified, excluded.is_verified), evidence = coalesce(evidence, excluded.evidence)",
            (issued.tbs, seen.log_id, seen.index, found.log.description, _at_ms(seen.timestamp_ms).timestamp(),
             int(seen.is_precert), int(found.verified), evidence),
        )  # fmt: skip
        if is_new:
            for name in issued.names:
                execute("insert or ignore into ct_names (name, tbs) values (?, ?)", (name.lower(), issued.tbs))
        else:
            issued = self._known_issuance(issued.tbs)
        known = {(row["team"], row["channel"]) for row in self._cases_of(issued.tbs)}
        domains = sorted({match.domain for match in issuance.matches})
        for place, guards in self._watchers(domains).items():
            if place not in known:
                self._open_case(issued, place, guards, now)
        return [case_of(row) for row in self._cases_of(issued.tbs)]

    def _keep_lookalikes(self, found: Found, now: datetime) -> None:
        for each in found.lookalikes:
            sql = "select count(*) as n from ct_lookalikes where domain = ? and at > ?"
            day = (now - timedelta(days=1)).timestamp()
            if self._rows(sql, each.domain, day)[0]["n"] < _MOST_LOOKALIKES:
                self._db.execute(
                    "insert or ignore into ct_lookalikes (domain, name, why, ca, tbs, log, at)"
                    " values (?, ?, ?, ?, ?, ?, ?)",
                    (each.domain, each.name, each.why, found.issuance.facts.ca, found.issuance.tbs_sha256,
                     found.log.description, now.timestamp()),
                )  # fmt: skip


def _issued(found: Found, now: datetime) -> Issued:
    issuance, facts = found.issuance, found.issuance.facts
    names = tuple(dict.fromkeys(facts.names))
    matched = tuple(Name(domain=each.domain, name=each.name, how=each.how) for each in issuance.matches[:50])
    # Those that matter first, so that the cut leaves them.
    touching = {each.name for each in matched}
    ordered = sorted(names, key=lambda name: name not in touching)
    return Issued(
        tbs=issuance.tbs_sha256,
        serial=facts.serial[:80],
        issuer=facts.issuer,
        ca=facts.ca,
        spki=facts.spki_sha256,
        names=tuple(ordered[:KEPT_NAMES]),
        more_names=max(0, len(names) - KEPT_NAMES),
        not_before=facts.not_before,
        not_after=facts.not_after,
        is_ca=facts.is_ca,
        problems=tuple(each[:200] for each in facts.problems[:5]),
        matches=matched,
        found_at=now,
        logged_at=_at_ms(issuance.logged_ms),
    )


def _at_ms(stamp: int) -> datetime:
    """An entry's timestamp; what no calendar holds is the end of the year 9999."""
    return datetime.fromtimestamp(min(max(stamp, 0), 253_402_300_799_000) / 1000, UTC)
