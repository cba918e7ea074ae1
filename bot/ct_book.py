"""Certificate Transparency, as it is remembered: what is watched, how far logs are read, issuances, what people said.

A commit of the follower is one transaction: a log's position, what was found up to it, and the messages that tell of it.
So whatever dies when, no entry is passed over and none is told twice. Every message is made anew from its rows when they
change; the outbox edits what differs.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from bot import issuances
from bot.casebook import Casebook
from bot.expiry import SeenInCt, authority
from bot.issuances import Case, Guard, Issued, Known, Name, Place, Remember, Served, Shown, folded
from bot.lineages import Lineage
from bot.model import Content, Entry, Incident, Intake, Note
from bot.plain import plain, typed
from bot.render import ct as words
from bot.response import reply
from bot.rows import incident_of
from probes.caa import Finding

if TYPE_CHECKING:
    from bot.ct_reader import Listed
    from probes.ct.position import Event, Position
    from probes.ct_store import Found
    from probes.net.crtsh import Filled

LOG = logging.getLogger("bot.ct")
Row: TypeAlias = dict[str, Any]
MOST_GUARDS: Final = 2_000  # domains of a workspace
MOST_SIMILAR: Final = 200  # domains whose look-alikes are looked for: they cost more than matches
KEPT_NAMES: Final = 100  # of one certificate
_MOST_LOOKALIKES: Final = 200  # of one domain a day
_MOST_ALONE: Final = 5  # unanswered messages of one channel within an hour; what comes beyond shares one
_ALONE_WITHIN: Final = timedelta(hours=1)
CAA_ATTEMPTS: Final = 3
CHANGES_KEPT: Final = 50
_TOLD_KINDS: Final = frozenset(
    {"split-view", "shrunken", "inconsistent", "bad-signature", "stale-head", "future-head", "gap"}
)


def _always(team: str, channel: str) -> bool:
    return True


class CtBook:
    """Issuances and logs, in the bot's memory. *is_open*: whether anything can be said in a channel."""

    def __init__(self, memory: Casebook, *, is_open: Callable[[str, str], bool] = _always) -> None:
        self._memory = memory
        self._is_open = is_open

    # ── what is watched ─────────────────────────────────────────────────────────

    async def watch(self, guard: Guard) -> tuple[Guard, bool] | None:
        """Watch the domain, or otherwise than before; with whether it was watched. None: too many are."""
        return await self._memory._write(self._watch, guard)

    def _watch(self, guard: Guard) -> tuple[Guard, bool] | None:
        where = (guard.team, guard.channel, guard.domain)
        old = self._memory._rows("select id from ct_guards where team = ? and channel = ? and domain = ?", *where)
        if not old:
            count = self._memory._rows("select count(*) as n from ct_guards where team = ?", guard.team)
            if count[0]["n"] >= MOST_GUARDS:
                return None
        self._memory._db.execute(
            "insert into ct_guards (team, channel, domain, expected_cas, lookalikes, added_by, added_at)"
            " values (?, ?, ?, ?, ?, ?, ?) on conflict (team, channel, domain) do update set"
            " expected_cas = excluded.expected_cas, lookalikes = excluded.lookalikes",
            (*where, json.dumps(guard.expected_cas, ensure_ascii=False), int(guard.lookalikes), guard.added_by,
             guard.added_at.timestamp()),
        )  # fmt: skip
        return guard, bool(old)

    async def remove(self, team: str, channel: str, domain: str) -> bool:
        """Watch it no longer in this channel, and forget what was approved there. False: it was not watched."""

        def removed() -> bool:
            execute, where = self._memory._db.execute, (team, channel, domain)
            cursor = execute("delete from ct_guards where team = ? and channel = ? and domain = ?", where)
            execute("delete from ct_approvals where team = ? and channel = ? and domain = ?", where)
            if not self._memory._rows("select 1 from ct_guards limit 1"):
                # Nobody watches anything: when somebody does again, logs begin at their ends of then.
                execute("delete from ct_positions")
            return bool(cursor.rowcount)

        return await self._memory._write(removed)

    async def guards(self, team: str, channel: str) -> list[Guard]:
        """What a channel watches, by name."""
        sql = "select * from ct_guards where team = ? and channel = ? order by domain"
        return [_guard_of(row) for row in await self._memory._run(self._memory._rows, sql, team, channel)]

    async def domains(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Every domain watched anywhere, and those whose look-alikes are wanted (none where they are too many)."""
        rows = await self._memory._run(
            self._memory._rows, "select domain, max(lookalikes) as similar from ct_guards group by domain order by 1"
        )
        similar = tuple(row["domain"] for row in rows if row["similar"])
        return tuple(row["domain"] for row in rows), similar if len(similar) <= MOST_SIMILAR else ()

    # ── the follower's store ────────────────────────────────────────────────────

    async def following(self) -> tuple[str, ...]:
        """The logs (hex ids) that are not read to their ends."""
        sql = "select log_id from ct_positions where state != 'finished'"
        return tuple(row["log_id"] for row in await self._memory._run(self._memory._rows, sql))

    async def load(self, log_id: str) -> Position | None:
        from probes.ct.position import Position

        sql = "select position from ct_positions where log_id = ?"
        rows = await self._memory._run(self._memory._rows, sql, log_id)
        return Position.from_json(json.loads(rows[0]["position"])) if rows else None

    async def commit(self, position: Position, found: Sequence[Found], events: Sequence[Event], now: datetime) -> int:
        """All of it in one transaction; how many messages that made."""
        return await self._memory._write(self._commit, position, found, events, now)

    def _commit(self, position: Position, found: Sequence[Found], events: Sequence[Event], now: datetime) -> int:
        notes: list[Note] = []
        for each in found:
            notes += self._take(each, now)
        for event in events:
            notes += self._tell_event(event, now)
        promised = position.promised.size if position.promised else 0
        self._memory._db.execute(
            "insert or replace into ct_positions"
            " (log_id, position, downloaded, verified, promised, state, newest_ms, at) values (?, ?, ?, ?, ?, ?, ?, ?)",
            (position.log_id, json.dumps(position.to_json()), position.downloaded, position.verified_size, promised,
             position.state, min(position.newest_ms, 1 << 62), now.timestamp()),
        )  # fmt: skip
        self._memory._note(notes)
        return len(notes)

    def _take(self, found: Found, now: datetime) -> list[Note]:
        """One entry: new, or one more of an issuance that is known. What goes wrong with a strange certificate must
        neither stop its log nor go unsaid."""
        try:
            with self._memory._db.atomic():
                return self._taken(found, now)
        except Exception:
            LOG.exception("ct entry not understood log=%s index=%s", found.log.url, found.issuance.first.index)
            seen = found.issuance.first
            domains = sorted({match.domain for match in found.issuance.matches})
            return [
                Note(
                    key=f"ct:odd:{seen.log_id}:{seen.index}:{team}:{channel}",
                    kind="message",
                    team=team,
                    channel=channel,
                    content=words.not_understood(guards[0].domain, found.log.description, seen.index),
                )
                for (team, channel), guards in self._watchers(domains).items()
            ]

    def _taken(self, found: Found, now: datetime) -> list[Note]:
        issuance, seen = found.issuance, found.issuance.first
        self._keep_lookalikes(found, now)
        if not issuance.matches:
            return []
        issued = _issued(found, now)
        execute = self._memory._db.execute
        is_new = execute(
            "insert or ignore into ct_issuances (tbs, facts, ca, spki, not_after, logged_at, found_at)"
            " values (?, ?, ?, ?, ?, ?, ?)",
            (issued.tbs, _text(issued), folded(issued.ca), issued.spki, _seconds(issued.not_after),
             issued.logged_at.timestamp(), now.timestamp()),
        ).rowcount == 1  # fmt: skip
        evidence = json.dumps(words.evidence(found, now), ensure_ascii=False) if found.bundle is not None else None
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
        notes = []
        known = {(row["team"], row["channel"]) for row in self._cases_of(issued.tbs)}
        domains = sorted({match.domain for match in issuance.matches})
        for place, guards in self._watchers(domains).items():
            if place not in known:
                self._open_case(issued, place, guards, now)
        for row in self._cases_of(issued.tbs):
            notes += self._said(_case_of(row))
        return notes

    def _watchers(self, domains: Sequence[str]) -> dict[tuple[str, str], list[Guard]]:
        """The channels that watch one of them, and can be spoken in."""
        sql = "select * from ct_guards where domain in (select value from json_each(?)) order by id"
        found: dict[tuple[str, str], list[Guard]] = {}
        for row in self._memory._rows(sql, json.dumps(list(domains))):
            if self._is_open(row["team"], row["channel"]):
                found.setdefault((row["team"], row["channel"]), []).append(_guard_of(row))
        return found

    def _open_case(self, issued: Issued, place: tuple[str, str], guards: Sequence[Guard], now: datetime) -> None:
        team, channel = place
        known = {guard.domain: self._known(team, channel, guard.domain) for guard in guards}
        verdict = issuances.judged(issued, guards, known, words.ca_domains(issued.issuer))
        ca = folded(issued.ca)
        self._memory._db.execute(
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
        return bool(value and self._memory._rows(sql, guards[0].team, guards[0].channel, value, issued.tbs, domains))

    def _flood(self, team: str, channel: str, now: datetime) -> str:
        """The key of the message that many share; empty while each has its own."""
        since = (now - _ALONE_WITHIN).timestamp()
        sql = "select count(*) as n from ct_cases where team = ? and channel = ? and state = 'open' and at > ?"
        if self._memory._rows(sql, team, channel, since)[0]["n"] < _MOST_ALONE:
            return ""
        return f"ct:flood:{team}:{channel}:{now:%Y-%m-%d}"

    def _known(self, team: str, channel: str, domain: str) -> Known:
        """What this channel may go by: its own watch list, its own answers, and a back-fill."""
        approved: dict[str, set[str]] = {"ca": set(), "key": set(), "certificate": set()}
        sql = "select kind, value from ct_approvals where team = ? and channel = ? and domain = ?"
        for row in self._memory._rows(sql, team, channel, domain):
            approved[row["kind"]].add(row["value"])
        served = self._memory._rows(
            "select distinct c.spki, c.issuer from watches w join lookouts l on l.id = w.lookout"
            " join leaves f on f.lookout = l.id join certificates c on c.sha256 = f.sha256"
            " where w.team = ?1 and w.channel = ?2 and (l.host = ?3 or l.host like '%.' || ?3)",
            team,
            channel,
            domain,
        )
        rows = self._memory._rows("select found from ct_fills where domain = ?", domain)
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

    def _keep_lookalikes(self, found: Found, now: datetime) -> None:
        for each in found.lookalikes:
            sql = "select count(*) as n from ct_lookalikes where domain = ? and at > ?"
            day = (now - timedelta(days=1)).timestamp()
            if self._memory._rows(sql, each.domain, day)[0]["n"] < _MOST_LOOKALIKES:
                self._memory._db.execute(
                    "insert or ignore into ct_lookalikes (domain, name, why, ca, tbs, log, at)"
                    " values (?, ?, ?, ?, ?, ?, ?)",
                    (each.domain, each.name, each.why, found.issuance.facts.ca, found.issuance.tbs_sha256,
                     found.log.description, now.timestamp()),
                )  # fmt: skip

    # ── what is said of an issuance ─────────────────────────────────────────────

    def _said(self, case: Case) -> list[Note]:
        """The message of a case as it is now, and its evidence; nothing for what was expected all along."""
        if case.state == "expected":
            return []
        if case.told_in:
            return [self._flood_note(case, case.told_in)]
        shown = self._shown(case)
        notes = [_note(case, case.root, self._headline(shown))]
        evidence = self._memory._rows(
            "select log, idx, evidence from ct_entries where tbs = ? and evidence is not null order by at, log limit 1",
            case.tbs,
        )
        if evidence:
            notes.append(
                replace(
                    _note(case, f"{case.root}:evidence", words.evidence_said(evidence[0]["log"], evidence[0]["idx"])),
                    kind="file",
                    parent=case.root,
                    filename=words.filename(shown.issued, evidence[0]["log"], evidence[0]["idx"]),
                    file_text=json.dumps(json.loads(evidence[0]["evidence"]), indent=2, ensure_ascii=False) + "\n",
                )
            )
        return notes

    def _headline(self, shown: Shown) -> Content:
        incident = self._incident(shown.case)
        return words.root(shown) if incident is None else words.investigated(shown, incident)

    def _incident(self, case: Case) -> Incident | None:
        rows = self._memory._rows("select * from incidents where id = ?", case.incident) if case.incident else []
        return incident_of(rows[0]) if rows else None

    def _flood_note(self, case: Case, key: str) -> Note:
        sql = "select * from ct_cases where team = ? and channel = ? and told_in = ? order by id"
        cases = [_case_of(row) for row in self._memory._rows(sql, case.team, case.channel, key)]
        shown = [(each, self._known_issuance(each.tbs)) for each in cases[-words.FLOOD_SHOWN :]]
        return _note(case, key, words.flood(shown, len(cases), sum(each.state == "open" for each in cases)))

    def _shown(self, case: Case) -> Shown:
        issued = self._known_issuance(case.tbs)
        rows = self._memory._rows("select caa, caa_at from ct_issuances where tbs = ?", case.tbs)
        served = self._memory._rows("select served from ct_cases where id = ?", case.id)
        caa = rows[0]["caa"]
        return Shown(
            case=case,
            issued=issued,
            places=tuple(self._places(case.tbs)),
            caa=tuple(typed(Finding, each) for each in json.loads(caa)) if caa is not None else None,
            caa_at=_moment(rows[0]["caa_at"]),
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
            for row in self._memory._rows(sql, tbs)
        ]

    def _known_issuance(self, tbs: str) -> Issued:
        return typed(
            Issued, json.loads(self._memory._rows("select facts from ct_issuances where tbs = ?", tbs)[0]["facts"])
        )

    def _cases_of(self, tbs: str) -> list[Row]:
        return self._memory._rows("select * from ct_cases where tbs = ? order by id", tbs)

    # ── what is found out after it is told ──────────────────────────────────────

    async def unexamined(self, most: int = 20) -> list[Issued]:
        """Issuances whose CAA was not looked up, oldest first."""
        sql = "select facts from ct_issuances where caa is null order by found_at limit ?"
        rows = await self._memory._run(self._memory._rows, sql, most)
        return [typed(Issued, json.loads(row["facts"])) for row in rows]

    async def examined(self, tbs: str, caa: Sequence[Finding] | None, now: datetime) -> int:
        """What CAA says of it; None: nobody could be asked, which counts as an answer after some attempts. What CAA
        forbids is told even where its CA was expected. Back with how many messages that changes."""
        return await self._memory._write(self._examined, tbs, caa, now)

    def _examined(self, tbs: str, caa: Sequence[Finding] | None, now: datetime) -> int:
        execute = self._memory._db.execute
        execute("update ct_issuances set caa_attempts = caa_attempts + 1 where tbs = ?", (tbs,))
        attempts = self._memory._rows("select caa_attempts as n from ct_issuances where tbs = ?", tbs)[0]["n"]
        if caa is None and attempts < CAA_ATTEMPTS:
            return 0
        found = caa if caa is not None else [Finding(name="", verdict="failed", why="nobody could be asked")]
        execute(
            "update ct_issuances set caa = ?, caa_at = ? where tbs = ?",
            (json.dumps([plain(each) for each in found], ensure_ascii=False), now.timestamp(), tbs),
        )
        notes: list[Note] = []
        for row in self._cases_of(tbs):
            case = _case_of(row)
            if case.state == "expected" and issuances.is_forbidden(found) and not self._is_approved(case):
                because = "CAA forbids its CA to issue for this name"
                execute("update ct_cases set state = 'open', because = ? where id = ?", (because, case.id))
                told_in = self._flood(case.team, case.channel, now)
                execute("update ct_cases set told_in = ? where id = ?", (told_in, case.id))
                case = replace(case, state="open", because=because, told_in=told_in)
            notes += self._said(case)
        self._memory._note(notes)
        return len(notes)

    def _is_approved(self, case: Case) -> bool:
        """A person said so: of this certificate, or its key. That a CA is expected says nothing of what CAA forbids."""
        issued = self._known_issuance(case.tbs)
        known = [self._known(case.team, case.channel, domain) for domain in case.domains]
        return all(
            case.tbs in each.approved_certificates
            or issued.spki in each.approved_keys
            or issued.spki in each.served_keys
            for each in known
        )

    async def unproved(self) -> list[tuple[Issued, Place]]:
        """Open cases none of whose entries has a proof, each with an entry to be proved."""

        def found() -> list[tuple[Issued, Place]]:
            rows = self._memory._rows(
                "select distinct tbs from ct_cases c where state in ('open', 'investigated') and told_in = '' and not"
                " exists (select 1 from ct_entries e where e.tbs = c.tbs and e.evidence is not null) limit 20"
            )
            return [(self._known_issuance(row["tbs"]), self._places(row["tbs"])[0]) for row in rows]

        return await self._memory._run(found)

    async def proved(self, tbs: str, place: Place, evidence: Mapping[str, Any]) -> int:
        """The proof of one entry; how many messages that adds."""

        def done() -> int:
            self._memory._db.execute(
                "update ct_entries set evidence = ? where tbs = ? and log_id = ? and idx = ?",
                (json.dumps(evidence, ensure_ascii=False), tbs, place.log_id, place.index),
            )
            notes = [note for row in self._cases_of(tbs) for note in self._said(_case_of(row))]
            self._memory._note(notes)
            return len(notes)

        return await self._memory._write(done)

    async def unserved(self, since: datetime) -> list[tuple[Case, Issued]]:
        """Open cases since then: whether they are served is looked up again."""

        def found() -> list[tuple[Case, Issued]]:
            sql = "select * from ct_cases where state in ('open', 'investigated') and at > ? order by id desc limit 100"
            cases = [_case_of(row) for row in self._memory._rows(sql, since.timestamp())]
            return [(case, self._known_issuance(case.tbs)) for case in cases]

        return await self._memory._run(found)

    async def served(self, issued: Issued, team: str, channels: Sequence[str]) -> Served:
        """Where watches in those channels see the certificate, or another with its key."""
        rows = await self._memory._run(
            self._memory._rows,
            "select distinct l.host, l.port, c.tbs = ?1 as is_same from certificates c join leaves f"
            " on f.sha256 = c.sha256 join lookouts l on l.id = f.lookout join watches w on w.lookout = l.id"
            " where (c.tbs = ?1 or (c.spki = ?2 and c.spki != '')) and w.team = ?3"
            " and w.channel in (select value from json_each(?4)) order by 1, 2 limit 20",
            issued.tbs,
            issued.spki,
            team,
            json.dumps(list(channels)),
        )
        named = [
            (row["host"] if row["port"] == 443 else f"{row['host']}:{row['port']}", row["is_same"]) for row in rows
        ]
        same = dict.fromkeys(name for name, is_same in named if is_same)
        return Served(certificate=tuple(same), key=tuple(dict.fromkeys(name for name, _ in named if name not in same)))

    async def found_served(self, case: Case, served: Served) -> int:
        """Keep and tell where it is served; 0 where that is known."""

        def kept() -> int:
            text = _text(served)
            sql = "update ct_cases set served = ? where id = ? and served != ?"
            if not self._memory._db.execute(sql, (text, case.id, text)).rowcount:
                return 0
            rows = self._memory._rows("select * from ct_cases where id = ?", case.id)
            notes = self._said(_case_of(rows[0]))
            self._memory._note(notes)
            return len(notes)

        return await self._memory._write(kept)

    async def watching_channels(self, team: str) -> list[str]:
        """The channels of the workspace that watch endpoints."""
        sql = "select distinct channel from watches where team = ? order by 1 limit 200"
        return [row["channel"] for row in await self._memory._run(self._memory._rows, sql, team)]

    # ── what people say ─────────────────────────────────────────────────────────

    async def answer(self, intake: Intake, now: datetime, *, refusal: Content | None = None) -> None:
        """*Expected* or *Investigate*: one transaction with the request."""
        await self._memory._write(self._answer, intake, now, refusal)

    def _answer(self, intake: Intake, now: datetime, refusal: Content | None) -> None:
        number, what = words.pressed(intake.text)
        rows = self._memory._rows("select * from ct_cases where id = ?", number)
        case = _case_of(rows[0]) if rows else None
        if case is None or (case.team, case.channel) != (intake.team, intake.channel):
            self._refuse(intake, "unknown", words.gone(), "", now)
            return
        target = case.domains[0]
        if refusal is not None:
            self._refuse(intake, "not an admin", refusal, target, now)
        elif case.state in {"approved", "investigated"}:
            self._refuse(
                intake, case.state, words.answered_already(case, self._incident(case), intake.user), target, now
            )
        elif intake.action == words.INVESTIGATE or what == "investigate":
            self._investigate(intake, case, now)
        elif what in issuances.REMEMBER:
            self._approve(intake, case, what, now)
        else:
            self._refuse(intake, "unknown", words.gone(), target, now)

    def _approve(self, intake: Intake, case: Case, what: Remember, now: datetime) -> None:
        issued = self._known_issuance(case.tbs)
        value = {"ca": folded(issued.ca), "key": issued.spki, "certificate": case.tbs}[what]
        if not value:  # unreadable: it names nothing that could be known again
            what, value = "certificate", case.tbs
        for domain in case.domains:
            self._memory._db.execute(
                "insert or ignore into ct_approvals (team, channel, domain, kind, value, by, at)"
                " values (?, ?, ?, ?, ?, ?, ?)",
                (case.team, case.channel, domain, what, value, intake.user, now.timestamp()),
            )
        after = self._settled(case, intake.user, what, now)
        notes = self._said(after)
        others = self._settle_others(after, intake.user, what, now) if what != "certificate" else []
        notes += [note for other in others for note in self._said(other)]
        line = words.approved(intake.user, issued, what, case.domains, len(others))
        notes.append(replace(_note(case, f"{case.root}:act:{intake.id}", line), parent=case.root))
        self._memory._audited(intake.id, f"done: {what}", case.domains[0])
        self._memory._finish(intake.id, now, notes, None)

    def _settled(self, case: Case, user: str, what: str, now: datetime) -> Case:
        self._memory._db.execute(
            "update ct_cases set state = 'approved', answered_by = ?, answered_at = ?, remembered = ? where id = ?",
            (user, now.timestamp(), what, case.id),
        )
        return replace(case, state="approved", answered_by=user, remembered=what)

    def _settle_others(self, case: Case, user: str, what: str, now: datetime) -> list[Case]:
        """Open ones that the answer holds for as well."""
        settled = []
        sql = "select * from ct_cases where team = ? and channel = ? and state = 'open' and id != ?"
        for row in self._memory._rows(sql, case.team, case.channel, case.id):
            other = _case_of(row)
            issued = self._known_issuance(other.tbs)
            guards = [each for each in self._guards(other) if each.domain in other.domains]
            known = {each.domain: self._known(case.team, case.channel, each.domain) for each in guards}
            caa = self._shown(other).caa
            is_left = issuances.is_forbidden(caa) and what == "ca"
            if guards and not is_left and issuances.judged(issued, guards, known).is_expected:
                settled.append(self._settled(other, user, what, now))
        return settled

    def _guards(self, case: Case) -> list[Guard]:
        sql = "select * from ct_guards where team = ? and channel = ?"
        return [_guard_of(row) for row in self._memory._rows(sql, case.team, case.channel)]

    def _investigate(self, intake: Intake, case: Case, now: datetime) -> None:
        """The message becomes the root of an incident, with what to do in its thread."""
        issued = self._known_issuance(case.tbs)
        if case.told_in:  # from here on it has a message of its own
            self._memory._db.execute("update ct_cases set told_in = '' where id = ?", (case.id,))
        incident = self._memory._keep(
            Incident(
                id=0,
                team=case.team,
                channel=case.channel,
                target=words.subject(issued, case.domains),
                endpoint=f"ct {case.tbs[:24]}",
                host=case.domains[0],
                issuer=issued.issuer,
                cause=issuances.UNEXPECTED,
                state="open",
                severity="sev2",
                root=case.root,
                opened_at=now,
                opened_by=intake.user,
                asked_at=intake.received_at,
                cause_at=case.at,
                checks=0,
            )
        )
        self._memory._db.execute(
            "update ct_cases set state = 'investigated', answered_by = ?, answered_at = ?, incident = ? where id = ?",
            (intake.user, now.timestamp(), incident.id, case.id),
        )
        after = replace(case, state="investigated", answered_by=intake.user, incident=incident.id, told_in="")
        logged = words.timeline_entry(issued)
        told = Entry(key="ct:told", kind="verdict", at=case.at, user="", text=f"🔖 told here: {case.because}")
        opened = Entry(
            key=f"request:{intake.id}",
            kind="act",
            at=intake.received_at,
            user=intake.user,
            text="opened it to investigate",
        )
        for entry in (logged, told, opened):
            self._memory._enter(incident.id, entry)
        notes = self._said(after)
        if case.told_in:
            notes.append(self._flood_note(after, case.told_in))
        what_to_do = words.what_to_do(self._shown(after), incident, intake.user)
        notes.append(replace(_note(case, f"{case.root}:what-to-do", what_to_do), parent=case.root))
        self._memory._audited(intake.id, "done", incident.target)
        self._memory._finish(intake.id, now, notes, None)

    def _refuse(self, intake: Intake, why: str, content: Content, target: str, now: datetime) -> None:
        self._memory._audited(intake.id, f"declined: {why}", target)
        self._memory._finish(intake.id, now, (reply(intake, content),), None)

    async def headline_of(self, incident: Incident) -> Content | None:
        """The message of an incident that an issuance opened; None for others."""

        def found() -> Content | None:
            rows = self._memory._rows("select * from ct_cases where incident = ?", incident.id)
            return words.investigated(self._shown(_case_of(rows[0])), incident) if rows else None

        return await self._memory._run(found)

    # ── logs ────────────────────────────────────────────────────────────────────

    def _tell_event(self, event: Event, now: datetime) -> list[Note]:
        if event.kind == "resumed":
            return self._over(event, now)
        fact = _fact(event)
        known = "select 1 from ct_events where log_id = ? and fact = ? and (ended_at is null or kind in"
        known += " ('malformed-entry', 'split-view', 'shrunken'))"
        if self._memory._rows(known, event.log_id, fact):
            return []
        text = json.dumps(words.event_evidence(event, now), ensure_ascii=False)
        cursor = self._memory._db.execute(
            "insert into ct_events (log_id, log, kind, fact, severity, text, evidence, at)"
            " values (?, ?, ?, ?, ?, ?, ?, ?)",
            (event.log_id, event.log, event.kind, fact, event.severity, event.text, text, now.timestamp()),
        )
        LOG.warning("ct log=%s kind=%s text=%s", event.log, event.kind, event.text)
        return self._event_notes(int(cursor.lastrowid or 0)) if event.kind in _TOLD_KINDS else []

    def _over(self, event: Event, now: datetime) -> list[Note]:
        """What was told of the log is over: its message says so."""
        was = str(event.evidence.get("was") or "").partition(" ")[0]
        kind = "inconsistent" if was in {"beyond-final", "final-root"} else was
        sql = "select id, kind from ct_events where log_id = ? and kind = ? and ended_at is null"
        notes: list[Note] = []
        for row in self._memory._rows(sql, event.log_id, kind):
            self._memory._db.execute("update ct_events set ended_at = ? where id = ?", (now.timestamp(), row["id"]))
            if row["kind"] in _TOLD_KINDS:
                notes += self._event_notes(row["id"])
        return notes

    def _event_notes(self, number: int) -> list[Note]:
        """To each channel that watches a domain, with what proves it."""
        row = self._memory._rows("select * from ct_events where id = ?", number)[0]
        places = self._memory._rows("select distinct team, channel from ct_guards")
        at, ended = _moment(row["at"]), _moment(row["ended_at"])
        assert at is not None
        content = words.log_event(row["kind"], row["severity"], row["log"], row["text"], at, ended)
        notes = []
        for place in places:
            if not self._is_open(place["team"], place["channel"]):
                continue
            key = f"ct:event:{number}:{place['team']}:{place['channel']}"
            if ended is not None and not self._memory._rows("select 1 from outbox where key = ?", key):
                continue  # whoever was not told that it began is not told that it is over
            root = Note(key=key, kind="message", team=place["team"], channel=place["channel"], content=content)
            notes.append(root)
            notes.append(
                replace(
                    root,
                    key=f"{key}:evidence",
                    kind="file",
                    parent=key,
                    content=words.event_evidence_said(),
                    filename=words.event_filename(row["kind"], row["log"]),
                    file_text=json.dumps(json.loads(row["evidence"]), indent=2, ensure_ascii=False) + "\n",
                )
            )
        return notes

    async def listed(self, listed: Listed, now: datetime) -> list[str]:
        """The list as it was read; what differs from the one before, in words."""
        return await self._memory._write(self._listed, listed, now)

    def _listed(self, listed: Listed, now: datetime) -> list[str]:
        execute = self._memory._db.execute
        before = {row["log_id"]: (row["name"], row["state"]) for row in self._memory._rows("select * from ct_logs")}
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
            (listed.version, _seconds(listed.timestamp), now.timestamp()),
        )
        for line in (*lines, *(() if before else listed.problems[:10])):
            self._changed(line, now)
        return lines

    async def changed(self, line: str, now: datetime) -> None:
        """A line about the log list, or about how a log began."""
        await self._memory._write(self._changed, line, now)

    def _changed(self, line: str, now: datetime) -> None:
        execute, day = self._memory._db.execute, (now - timedelta(days=1)).timestamp()
        if not self._memory._rows("select 1 from ct_changes where text = ? and at > ?", line[:600], day):
            execute("insert into ct_changes (at, text) values (?, ?)", (now.timestamp(), line[:600]))
            execute(
                "delete from ct_changes where id not in (select id from ct_changes order by id desc limit ?)",
                (CHANGES_KEPT,),
            )

    async def overview(self, team: str, channel: str, now: datetime) -> words.Overview:
        """Everything that `ct list` and `ct status` say that is stored."""

        def found() -> words.Overview:
            rows = self._memory._rows
            sql = (
                "select p.*, coalesce(l.name, p.log_id) as name, coalesce(l.state, 'no longer listed') as listed"
                " from ct_positions p left join ct_logs l on l.log_id = p.log_id order by name"
            )
            lists = rows("select * from ct_lists limit 1")
            raised = rows("select log, kind, severity, text, at from ct_events where ended_at is null and at > ?"
                          " and kind not in ('malformed-entry', 'finished') order by at desc limit 20",
                          (now - timedelta(days=30)).timestamp())  # fmt: skip
            counts = rows(
                "select state, count(*) as n from ct_cases where team = ? and channel = ? and at > ? group by state",
                team, channel, (now - timedelta(days=7)).timestamp(),
            )  # fmt: skip
            waiting = rows(
                "select * from ct_cases where team = ? and channel = ? and state = 'open' order by id desc limit 20",
                team, channel,
            )  # fmt: skip
            return words.Overview(
                positions=rows(sql),
                version=lists[0]["version"] if lists else "",
                dated_at=_moment(lists[0]["dated_at"]) if lists else None,
                read_at=_moment(lists[0]["read_at"]) if lists else None,
                raised=raised,
                changes=rows("select at, text from ct_changes order by id desc limit 8"),
                counts={row["state"]: row["n"] for row in counts},
                waiting=[(_case_of(row), self._known_issuance(row["tbs"])) for row in waiting],
            )

        return await self._memory._run(found)

    # ── back-fills ──────────────────────────────────────────────────────────────

    async def filled_at(self, domain: str) -> datetime | None:
        rows = await self._memory._run(self._memory._rows, "select at from ct_fills where domain = ?", domain)
        return _moment(rows[0]["at"]) if rows else None

    async def filled(self, domain: str) -> list[dict[str, Any]]:
        """What the back-fill of the domain brought: ca, spki and not_after of each certificate."""
        rows = await self._memory._run(self._memory._rows, "select found from ct_fills where domain = ?", domain)
        found: list[dict[str, Any]] = json.loads(rows[0]["found"]) if rows else []
        return found

    async def fill(self, domain: str, found: Iterable[Filled], now: datetime) -> None:
        rows = [{"ca": each.ca, "spki": each.spki, "not_after": each.not_after.isoformat()} for each in found]
        sql = "insert or replace into ct_fills (domain, found, at) values (?, ?, ?)"
        text = json.dumps(rows, ensure_ascii=False)
        await self._memory._write(self._memory._db.execute, sql, (domain, text, now.timestamp()))

    # ── what other parts ask ────────────────────────────────────────────────────

    async def issued_for(self, team: str, channels: Sequence[str], host: str, since: datetime) -> list[Issued]:
        """Issuances for *host* since then that those channels know of, newest first: for incidents."""

        def found() -> list[Issued]:
            parent = host.partition(".")[2]
            rows = self._memory._rows(
                "select distinct i.facts, i.logged_at from ct_names n join ct_issuances i on i.tbs = n.tbs"
                " join ct_cases c on c.tbs = i.tbs where n.name in (?1, ?2) and i.logged_at >= ?3 and c.team = ?4"
                " and c.channel in (select value from json_each(?5)) order by i.logged_at desc limit 5",
                host.lower(),
                f"*.{parent.lower()}",
                since.timestamp(),
                team,
                json.dumps(list(channels)),
            )
            return [typed(Issued, json.loads(row["facts"])) for row in rows]

        return await self._memory._run(found)

    def newer_of(self, lineage: Lineage, now: datetime) -> Sequence[SeenInCt]:
        """Certificates for a lineage's names that were asked for and are served nowhere (`bot.lineage_book.NewerOf`)."""
        if not lineage.names:
            return ()
        rows = self._memory._rows(
            "select i.facts from ct_names n join ct_issuances i on i.tbs = n.tbs join ct_cases c on c.tbs = i.tbs"
            " where n.name = ? and c.team = ? and c.channel = ? and c.state in ('expected', 'approved')"
            " and i.not_after > ? and not exists (select 1 from certificates s where s.tbs = i.tbs)"
            " order by i.logged_at desc limit 10",
            lineage.names[0].lower().rstrip("."),
            lineage.team,
            lineage.channel,
            now.timestamp(),
        )
        found = [typed(Issued, json.loads(row["facts"])) for row in rows]
        wanted = {name.lower().rstrip(".") for name in lineage.names}
        return tuple(
            SeenInCt(
                sha256=each.tbs,
                not_before=each.not_before,
                not_after=each.not_after,
                names=each.names,
                seen_at=each.logged_at,
            )
            for each in found
            if each.not_before is not None
            and each.not_after is not None
            and wanted <= {name.lower() for name in each.names}
        )

    async def since(self, team: str, channel: str, since: datetime) -> words.Since:
        """What a digest says: what waits for an answer, and what was issued, seen and told since."""

        def found() -> words.Since:
            rows, at = self._memory._rows, since.timestamp()
            waiting = rows(
                "select * from ct_cases where team = ? and channel = ? and state = 'open' order by id limit 20",
                team, channel,
            )  # fmt: skip
            answered = rows(
                "select * from ct_cases where team = ? and channel = ? and answered_at >= ? order by id limit 20",
                team, channel, at,
            )  # fmt: skip
            expected = rows(
                "select count(*) as n from ct_cases where team = ? and channel = ? and state = 'expected' and at >= ?",
                team, channel, at,
            )  # fmt: skip
            similar = rows(
                "select a.* from ct_lookalikes a join ct_guards g on g.domain = a.domain where g.team = ?"
                " and g.channel = ? and g.lookalikes and a.at >= ? order by a.at limit 30",
                team, channel, at,
            )  # fmt: skip
            logs = rows("select log, kind, text, ended_at from ct_events where at >= ? or (ended_at is null"
                        " and kind = 'lagging') order by at limit 50", at)  # fmt: skip
            has_any = bool(rows("select 1 from ct_guards where team = ? and channel = ? limit 1", team, channel))
            caa = rows("select tbs, caa from ct_issuances where caa is not null and tbs in (select value from"
                       " json_each(?))", json.dumps([row["tbs"] for row in waiting]))  # fmt: skip
            return words.Since(
                caa={row["tbs"]: tuple(typed(Finding, each) for each in json.loads(row["caa"])) for row in caa},
                waiting=[(_case_of(row), self._known_issuance(row["tbs"])) for row in waiting],
                answered=[(_case_of(row), self._known_issuance(row["tbs"])) for row in answered],
                expected=expected[0]["n"],
                similar=similar,
                logs=logs if has_any else [],
            )

        return await self._memory._run(found)


# ── rows ────────────────────────────────────────────────────────────────────────


def _note(case: Case, key: str, content: Content) -> Note:
    return Note(key=key, kind="message", team=case.team, channel=case.channel, content=content)


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


def _guard_of(row: Row) -> Guard:
    return Guard(
        id=row["id"],
        team=row["team"],
        channel=row["channel"],
        domain=row["domain"],
        expected_cas=tuple(json.loads(row["expected_cas"])),
        lookalikes=bool(row["lookalikes"]),
        added_by=row["added_by"],
        added_at=datetime.fromtimestamp(row["added_at"], UTC),
    )


def _case_of(row: Row) -> Case:
    kept = ("id", "team", "channel", "tbs", "state", "because", "answered_by", "remembered", "incident", "told_in")
    return Case(
        **{name: row[name] for name in kept},
        domains=tuple(json.loads(row["domains"])),
        at=datetime.fromtimestamp(row["at"], UTC),
        ca_before=bool(row["ca_before"]),
        key_before=bool(row["key_before"]),
    )


def _text(value: object) -> str:
    return json.dumps(plain(value), ensure_ascii=False, separators=(",", ":"))


def _seconds(moment: datetime | None) -> float | None:
    return moment.timestamp() if moment is not None else None


def _moment(seconds: float | None) -> datetime | None:
    return datetime.fromtimestamp(seconds, UTC) if seconds is not None else None


def _at_ms(stamp: int) -> datetime:
    """An entry's timestamp; what no calendar holds is the end of the year 9999."""
    return datetime.fromtimestamp(min(max(stamp, 0), 253_402_300_799_000) / 1000, UTC)
