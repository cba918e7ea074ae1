"""Issuances in channels: whether each was expected there, and the message that tells of it, made anew from its rows
whenever they change (the outbox edits what differs).

All of it runs on the memory's thread, inside a transaction of whoever calls.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final, TypeAlias

from bot import issuances
from bot.expiry import authority
from bot.history import Book, History
from bot.issuances import Case, Guard, Issued, Known, Place, Served, Shown, folded
from bot.model import Content, Incident, Note
from bot.plain import plain, typed
from bot.render import ct_evidence
from bot.render import ct_issuance as words
from bot.render.ct_advice import ca_domains
from bot.rows import incident_of
from probes.caa import Finding

Row: TypeAlias = dict[str, Any]
_MOST_ALONE: Final = 5  # unanswered messages of one channel within an hour; what comes beyond shares one
_ALONE_WITHIN: Final = timedelta(hours=1)
CAA_ATTEMPTS: Final = 3
CHANGES_KEPT: Final = 50


def _always(team: str, channel: str) -> bool:
    return True


class Cases(Book):
    """The cases of all channels. *is_open*: whether anything can be said in a channel."""

    def __init__(self, memory: History, *, is_open: Callable[[str, str], bool] = _always) -> None:
        super().__init__(memory)
        self._is_open = is_open

    # ── whether it was expected ─────────────────────────────────────────────────

    def _watchers(self, domains: Sequence[str]) -> dict[tuple[str, str], list[Guard]]:
        """The channels that watch one of them, and can be spoken in."""
        sql = "select * from ct_guards where domain in (select value from json_each(?)) order by id"
        found: dict[tuple[str, str], list[Guard]] = {}
        for row in self._rows(sql, json.dumps(list(domains))):
            if self._is_open(row["team"], row["channel"]):
                found.setdefault((row["team"], row["channel"]), []).append(guard_of(row))
        return found

    def _open_case(self, issued: Issued, place: tuple[str, str], guards: Sequence[Guard], now: datetime) -> None:
        team, channel = place
        known = {guard.domain: self._known(team, channel, guard.domain) for guard in guards}
        verdict = issuances.judged(issued, guards, known, ca_domains(issued.issuer))
        ca = folded(issued.ca)
        self._db.execute(
            "insert into ct_cases (team, channel, tbs, domains, state, because, at, ca_before, key_before, told_in)"
            " values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                team,
                channel,
                issued.tbs,
                json.dumps([guard.domain for guard in guards]),
                "expected" if verdict.is_expected else "open",
                verdict.because,
                now.timestamp(),
                int(any(ca in each.cas for each in known.values()) or self._was_seen("ca", ca, issued, guards, now)),
                int(
                    any(issued.spki in each.keys for each in known.values())
                    or self._was_seen("spki", issued.spki, issued, guards, now)
                ),
                "" if verdict.is_expected else self._flood(team, channel, now),
            ),
        )

    def _was_seen(self, what: str, value: str, issued: Issued, guards: Sequence[Guard], now: datetime) -> bool:
        """In an earlier issuance for a domain of this channel, whatever was made of it."""
        sql = (
            f"select 1 from ct_cases c join ct_issuances i on i.tbs = c.tbs where c.team = ? and c.channel = ?"  # noqa: S608
            f" and i.{what} = ? and c.tbs != ? and exists (select 1 from json_each(c.domains) d where d.value in"
            " (select value from json_each(?))) limit 1"
        )
        domains = json.dumps([guard.domain for guard in guards])
        return bool(value and self._rows(sql, guards[0].team, guards[0].channel, value, issued.tbs, domains))

    def _flood(self, team: str, channel: str, now: datetime) -> str:
        """The key of the message that many share; empty while each has its own."""
        since = (now - _ALONE_WITHIN).timestamp()
        sql = "select count(*) as n from ct_cases where team = ? and channel = ? and state = 'open' and at > ?"
        if self._rows(sql, team, channel, since)[0]["n"] < _MOST_ALONE:
            return ""
        return f"ct:flood:{team}:{channel}:{now:%Y-%m-%d}"

    def _known(self, team: str, channel: str, domain: str) -> Known:
        """What this channel may go by: its own watch list, its own answers, and a back-fill."""
        approved: dict[str, set[str]] = {"ca": set(), "key": set(), "certificate": set()}
        sql = "select kind, value from ct_approvals where team = ? and channel = ? and domain = ?"
        for row in self._rows(sql, team, channel, domain):
            approved[row["kind"]].add(row["value"])
        served = self._rows(
            "select distinct c.spki, c.issuer from watches w join lookouts l on l.id = w.lookout"
            " join leaves f on f.lookout = l.id join certificates c on c.sha256 = f.sha256"
            " where w.team = ?1 and w.channel = ?2 and (l.host = ?3 or l.host like '%.' || ?3)",
            team,
            channel,
            domain,
        )
        rows = self._rows("select found from ct_fills where domain = ?", domain)
        filled = json.loads(rows[0]["found"]) if rows else []
        return Known(
            served_cas=frozenset(folded(authority(row["issuer"])) for row in served),
            served_keys=frozenset(row["spki"] for row in served if row["spki"]),
            filled_cas=frozenset(folded(each["ca"]) for each in filled),
            filled_keys=frozenset(each["spki"] for each in filled if each["spki"]),
            approved_cas=frozenset(approved["ca"]),
            approved_keys=frozenset(approved["key"]),
            approved_certificates=frozenset(approved["certificate"]),
        )

    # ── what is said of an issuance ─────────────────────────────────────────────

    def _said_of(self, cases: Sequence[Case]) -> list[Note]:
        """The messages of many, each once: what they share is made when all of them are known."""
        alone = {case.id: case for case in cases if not case.told_in}
        shared = {case.told_in: case for case in cases if case.told_in}
        return [note for case in (*alone.values(), *shared.values()) for note in self._said(case)]

    def _said(self, case: Case) -> list[Note]:
        """The message of a case as it is now, and its evidence; nothing for what was expected all along."""
        if case.state == "expected":
            return []
        if case.told_in:
            return [self._flood_note(case, case.told_in)]
        shown = self._shown(case)
        notes = [note_of(case, case.root, self._headline(shown))]
        evidence = self._rows(
            "select log, idx, evidence from ct_entries where tbs = ? and evidence is not null order by at, log limit 1",
            case.tbs,
        )
        if evidence:
            notes.append(
                replace(
                    note_of(
                        case, f"{case.root}:evidence", ct_evidence.evidence_said(evidence[0]["log"], evidence[0]["idx"])
                    ),
                    kind="file",
                    parent=case.root,
                    filename=ct_evidence.filename(shown.issued, evidence[0]["log"], evidence[0]["idx"]),
                    file_text=json.dumps(json.loads(evidence[0]["evidence"]), indent=2, ensure_ascii=False) + "\n",
                )
            )
        return notes

    def _headline(self, shown: Shown) -> Content:
        incident = self._incident(shown.case)
        return words.root(shown) if incident is None else words.investigated(shown, incident)

    def _incident(self, case: Case) -> Incident | None:
        rows = self._rows("select * from incidents where id = ?", case.incident) if case.incident else []
        return incident_of(rows[0]) if rows else None

    def _flood_note(self, case: Case, key: str) -> Note:
        sql = "select * from ct_cases where told_in = ? order by id desc limit ?"
        cases = [case_of(row) for row in self._rows(sql, key, words.FLOOD_SHOWN)][::-1]
        counted = self._rows(
            "select json_extract(i.facts, '$.ca') as ca, count(*) as n, sum(c.state = 'open') as waiting,"
            """ sum(coalesce(i.caa, '') like '%"forbidden"%') as forbidden"""
            " from ct_cases c join ct_issuances i on i.tbs = c.tbs where c.told_in = ? group by i.ca order by n desc",
            key,
        )
        shown = [(each, self._known_issuance(each.tbs)) for each in cases]
        by_ca = {str(row["ca"]): int(row["n"]) for row in counted}
        waiting, forbidden = (sum(row[name] for row in counted) for name in ("waiting", "forbidden"))
        return note_of(case, key, words.flood(shown, by_ca, waiting=waiting, forbidden=forbidden))

    def _shown(self, case: Case) -> Shown:
        issued = self._known_issuance(case.tbs)
        rows = self._rows("select caa, caa_at from ct_issuances where tbs = ?", case.tbs)
        served = self._rows("select served from ct_cases where id = ?", case.id)
        caa = rows[0]["caa"]
        return Shown(
            case=case,
            issued=issued,
            places=tuple(self._places(case.tbs)),
            caa=tuple(typed(Finding, each) for each in json.loads(caa)) if caa is not None else None,
            caa_at=moment_of(rows[0]["caa_at"]),
            served=typed(Served, json.loads(served[0]["served"])) if served else Served(),
        )

    def _places(self, tbs: str) -> list[Place]:
        sql = "select *, evidence is not null as proved from ct_entries where tbs = ? order by at, log, idx"
        return [
            Place(
                log_id=row["log_id"],
                log=row["log"],
                index=row["idx"],
                at=datetime.fromtimestamp(row["at"], UTC),
                is_precert=bool(row["is_precert"]),
                is_verified=bool(row["is_verified"]),
                has_proof=bool(row["proved"]),
            )
            for row in self._rows(sql, tbs)
        ]

    def _known_issuance(self, tbs: str) -> Issued:
        return typed(Issued, json.loads(self._rows("select facts from ct_issuances where tbs = ?", tbs)[0]["facts"]))

    def _cases_of(self, tbs: str) -> list[Row]:
        return self._rows("select * from ct_cases where tbs = ? order by id", tbs)


# ── rows ────────────────────────────────────────────────────────────────────────


def note_of(case: Case, key: str, content: Content) -> Note:
    return Note(key=key, kind="message", team=case.team, channel=case.channel, content=content)


def guard_of(row: Row) -> Guard:
    return Guard(
        team=row["team"],
        channel=row["channel"],
        domain=row["domain"],
        expected_cas=tuple(json.loads(row["expected_cas"])),
        lookalikes=bool(row["lookalikes"]),
        added_by=row["added_by"],
        added_at=datetime.fromtimestamp(row["added_at"], UTC),
    )


def case_of(row: Row) -> Case:
    kept = ("id", "team", "channel", "tbs", "state", "because", "answered_by", "remembered", "incident", "told_in")
    return Case(
        **{name: row[name] for name in kept},
        domains=tuple(json.loads(row["domains"])),
        at=datetime.fromtimestamp(row["at"], UTC),
        ca_before=bool(row["ca_before"]),
        key_before=bool(row["key_before"]),
    )


def text_of(value: object) -> str:
    return json.dumps(plain(value), ensure_ascii=False, separators=(",", ":"))


def moment_of(seconds: float | None) -> datetime | None:
    return datetime.fromtimestamp(seconds, UTC) if seconds is not None else None
