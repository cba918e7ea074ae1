"""What is found out of issuances after they are told (CAA, proofs, where they are served), what a back-fill brought,
and what incidents, lineages and digests ask.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from bot import issuances
from bot.ct_cases import case_of, moment_of, text_of
from bot.ct_logs import Logs
from bot.expiry import SeenInCt
from bot.issuances import Case, Issued, Place, Served
from bot.lineages import Lineage
from bot.model import Note
from bot.plain import plain, typed
from bot.render import ct as words
from probes.caa import Finding

if TYPE_CHECKING:
    from probes.net.crtsh import Filled

CAA_ATTEMPTS: Final = 3


class Inquiries(Logs):
    """Questions and their answers."""

    # ── what is found out after it is told ──────────────────────────────────────

    async def unexamined(self, most: int) -> list[Issued]:
        """Issuances whose CAA was not looked up: first those that have a message of their own, then the oldest."""
        sql = (
            "select facts from ct_issuances i where caa is null order by exists (select 1 from ct_cases c where"
            " c.tbs = i.tbs and c.state != 'expected' and c.told_in = '') desc, found_at limit ?"
        )
        rows = await self._run(self._rows, sql, most)
        return [typed(Issued, json.loads(row["facts"])) for row in rows]

    async def examined(self, tbs: str, caa: Sequence[Finding] | None, now: datetime) -> int:
        """What CAA says of it; None: nobody could be asked, which counts as an answer after some attempts. What CAA
        forbids is told even where its CA was expected. Back with how many messages that changes."""
        return await self._write(self._examined, tbs, caa, now)

    def _examined(self, tbs: str, caa: Sequence[Finding] | None, now: datetime) -> int:
        execute = self._db.execute
        execute("update ct_issuances set caa_attempts = caa_attempts + 1 where tbs = ?", (tbs,))
        attempts = self._rows("select caa_attempts as n from ct_issuances where tbs = ?", tbs)[0]["n"]
        if caa is None and attempts < CAA_ATTEMPTS:
            return 0
        found = caa if caa is not None else [Finding(name="", verdict="failed", why="nobody could be asked")]
        execute(
            "update ct_issuances set caa = ?, caa_at = ? where tbs = ?",
            (json.dumps([plain(each) for each in found], ensure_ascii=False), now.timestamp(), tbs),
        )
        notes: list[Note] = []
        for row in self._cases_of(tbs):
            case = case_of(row)
            is_news = not case.told_in or issuances.is_forbidden(found)
            if case.state == "expected" and issuances.is_forbidden(found) and not self._is_approved(case):
                because = "CAA forbids its CA to issue for this name"
                execute("update ct_cases set state = 'open', because = ? where id = ?", (because, case.id))
                told_in = self._flood(case.team, case.channel, now)
                execute("update ct_cases set told_in = ? where id = ?", (told_in, case.id))
                case = replace(case, state="open", because=because, told_in=told_in)
            notes += self._said(case) if is_news else []
        self._note(notes)
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
            rows = self._rows(
                "select distinct tbs from ct_cases c where state in ('open', 'investigated') and told_in = '' and not"
                " exists (select 1 from ct_entries e where e.tbs = c.tbs and e.evidence is not null) limit 20"
            )
            return [(self._known_issuance(row["tbs"]), self._places(row["tbs"])[0]) for row in rows]

        return await self._run(found)

    async def proved(self, tbs: str, place: Place, evidence: Mapping[str, Any]) -> int:
        """The proof of one entry; how many messages that adds."""

        def done() -> int:
            self._db.execute(
                "update ct_entries set evidence = ? where tbs = ? and log_id = ? and idx = ?",
                (json.dumps(evidence, ensure_ascii=False), tbs, place.log_id, place.index),
            )
            notes = [note for row in self._cases_of(tbs) for note in self._said(case_of(row))]
            self._note(notes)
            return len(notes)

        return await self._write(done)

    async def unserved(self, since: datetime) -> list[tuple[Case, Issued]]:
        """Open cases since then: whether they are served is looked up again."""

        def found() -> list[tuple[Case, Issued]]:
            sql = "select * from ct_cases where state in ('open', 'investigated') and at > ? order by id desc limit 100"
            cases = [case_of(row) for row in self._rows(sql, since.timestamp())]
            return [(case, self._known_issuance(case.tbs)) for case in cases]

        return await self._run(found)

    async def served(self, issued: Issued, team: str, channels: Sequence[str]) -> Served:
        """Where watches in those channels see the certificate, or another with its key."""
        rows = await self._run(
            self._rows,
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
            text = text_of(served)
            sql = "update ct_cases set served = ? where id = ? and served != ?"
            if not self._db.execute(sql, (text, case.id, text)).rowcount or case.told_in:
                return 0  # known, or told by a message that does not say so
            rows = self._rows("select * from ct_cases where id = ?", case.id)
            notes = self._said(case_of(rows[0]))
            self._note(notes)
            return len(notes)

        return await self._write(kept)

    async def watching_channels(self, team: str) -> list[str]:
        """The channels of the workspace that watch endpoints."""
        sql = "select distinct channel from watches where team = ? order by 1 limit 200"
        return [row["channel"] for row in await self._run(self._rows, sql, team)]

    # ── forgetting ──────────────────────────────────────────────────────────────

    async def prune(self, before: datetime) -> int:
        """Forget issuances found before then, some at a time, but for those of incidents; how many."""

        def pruned() -> int:
            rows = self._rows(
                "select tbs from ct_issuances where found_at < ? and tbs not in"
                " (select tbs from ct_cases where incident != 0) limit 200",
                before.timestamp(),
            )
            old = json.dumps([row["tbs"] for row in rows])
            for table in ("ct_entries", "ct_names", "ct_cases", "ct_issuances"):
                self._db.execute(
                    f"delete from {table} where tbs in (select value from json_each(?))",  # noqa: S608 - our own names
                    (old,),
                )
            for table in ("ct_lookalikes", "ct_events"):
                self._db.execute(
                    f"delete from {table} where at < ?",  # noqa: S608 - our own names
                    (before.timestamp(),),
                )
            return len(rows)

        return await self._write(pruned)

    # ── back-fills ──────────────────────────────────────────────────────────────

    async def filled_at(self, domain: str) -> datetime | None:
        rows = await self._run(self._rows, "select at from ct_fills where domain = ?", domain)
        return moment_of(rows[0]["at"]) if rows else None

    async def filled(self, domain: str) -> list[dict[str, Any]]:
        """What the back-fill of the domain brought: ca, spki and not_after of each certificate."""
        rows = await self._run(self._rows, "select found from ct_fills where domain = ?", domain)
        found: list[dict[str, Any]] = json.loads(rows[0]["found"]) if rows else []
        return found

    async def fill(self, domain: str, found: Iterable[Filled], now: datetime) -> None:
        rows = [{"ca": each.ca, "spki": each.spki, "not_after": each.not_after.isoformat()} for each in found]
        sql = "insert or replace into ct_fills (domain, found, at) values (?, ?, ?)"
        text = json.dumps(rows, ensure_ascii=False)
        await self._write(self._db.execute, sql, (domain, text, now.timestamp()))

    # ── what other parts ask ────────────────────────────────────────────────────

    async def issued_for(
        self, team: str, channels: Sequence[str], host: str, since: datetime, until: datetime
    ) -> list[Issued]:
        """Issuances for *host*, logged between, that those channels know of, newest first: for incidents."""

        def found() -> list[Issued]:
            parent = host.partition(".")[2]
            rows = self._rows(
                "select distinct i.facts, i.logged_at from ct_names n join ct_issuances i on i.tbs = n.tbs"
                " join ct_cases c on c.tbs = i.tbs where n.name in (?1, ?2) and i.logged_at between ?3 and ?4"
                " and c.team = ?5 and c.channel in (select value from json_each(?6)) order by i.logged_at desc limit 5",
                host.lower(),
                f"*.{parent.lower()}",
                since.timestamp(),
                until.timestamp(),
                team,
                json.dumps(list(channels)),
            )
            return [typed(Issued, json.loads(row["facts"])) for row in rows]

        return await self._run(found)

    def newer_of(self, lineage: Lineage, now: datetime) -> Sequence[SeenInCt]:
        """Certificates for a lineage's names that were asked for and are served nowhere (`NewerOf`)."""
        if not lineage.names:
            return ()
        rows = self._rows(
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
            rows, at = self._rows, since.timestamp()
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
            # An entry that has a watched name in plain letters has a message of its own.
            logs = rows("select log, kind, text, ended_at from ct_events v where (at >= ? or (ended_at is null"
                        " and kind = 'lagging')) and not exists (select 1 from ct_entries e where"
                        " e.log_id = v.log_id and v.fact = 'malformed-entry ' || e.idx)"
                        " order by kind = 'malformed-entry', at limit 200",
                        at)  # fmt: skip
            has_any = bool(rows("select 1 from ct_guards where team = ? and channel = ? limit 1", team, channel))
            caa = rows("select tbs, caa from ct_issuances where caa is not null and tbs in (select value from"
                       " json_each(?))", json.dumps([row["tbs"] for row in waiting]))  # fmt: skip
            return words.Since(
                caa={row["tbs"]: tuple(typed(Finding, each) for each in json.loads(row["caa"])) for row in caa},
                waiting=[(case_of(row), self._known_issuance(row["tbs"])) for row in waiting],
                answered=[(case_of(row), self._known_issuance(row["tbs"])) for row in answered],
                expected=expected[0]["n"],
                similar=similar,
                logs=logs if has_any else [],
            )

        return await self._run(found)
