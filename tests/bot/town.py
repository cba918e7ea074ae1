"""A few watched hosts and a clock, for stories of days: what is served is set by hand, what is said is read back.

The watch list, the steps of looks, lineages, drift and the outbox are the real ones, on a real database.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from bot.expiry import SeenInCt
from bot.history import History
from bot.lineage_book import Heard, LineageBook
from bot.look_book import Looked
from bot.looks import Ask, told
from bot.model import Check, Intake
from bot.render import expiry as words
from bot.schedule import step
from bot.sighting import Kind
from bot.watched import Lookout, Watch
from bot.watchlist import Watchlist
from probes.ari import Window
from probes.model import CertificateReport, EndpointReport, Report, RevocationReport, Target
from tests.bot import reports
from tests.bot.year import BEGIN, DAY, day, intermediate, shown

TEAM = "T1"


@dataclass
class Site:
    """What one name serves: at each address a leaf, and what sits above it where that is not the usual."""

    leaves: dict[str, CertificateReport]
    above: tuple[CertificateReport, ...] | None = None
    changed: dict[str, Any] = field(default_factory=dict)  # of each endpoint
    fault: str = ""  # the cause that a full look finds, and a light one where it can


class Town:
    def __init__(self, history: History) -> None:
        self.history = history
        self.watchlist = Watchlist(history)
        self.book = LineageBook(history, self.watchlist, newer_of=lambda _, now: self.logged(now))
        self.logged: Callable[[datetime], Sequence[SeenInCt]] = lambda _: ()  # what a log has and nobody serves
        self.sites: dict[str, Site] = {}
        self.now = BEGIN
        self.verdicts: list[str] = []
        self.log: list[str] = []
        self._heard: list[tuple[str, str]] = []
        self._read: dict[str, int] = {}
        self._presses = 0

    # ── what there is ───────────────────────────────────────────────────────────

    async def watch(
        self,
        name: str,
        *leaves: CertificateReport,
        channel: str = "C1",
        owner: str | None = "U1",
        expected: Sequence[str] = (),
    ) -> Watch:
        """*leaves*: one for each address."""
        if leaves:
            self.serve(name, *leaves)
        lookout = Lookout(id=0, team=TEAM, target=Target.parse(name))
        watch = Watch(
            id=0, team=TEAM, channel=channel, lookout=lookout, owner=owner, expected_cas=tuple(expected),
            added_by="U1", added_at=self.now,
        )  # fmt: skip
        added = await self.watchlist.add(watch, "", most=1000)
        assert added is not None
        return added

    def serve(self, name: str, *leaves: CertificateReport, **changed: Any) -> None:
        site = self.sites.setdefault(name, Site(leaves={}))
        if leaves:
            site.leaves = {f"192.0.2.{number}": leaf for number, leaf in enumerate(leaves, 1)}
        site.changed = changed

    def _report(self, name: str, kind: Kind) -> Report:
        site = self.sites[name]
        endpoints = []
        for address, leaf in site.leaves.items():
            above = (intermediate(leaf.issuer),) if site.above is None else site.above
            usual = EndpointReport(
                address=address,
                connected=True,
                failed_stage=None,
                timing_ms={"finished": 80.0},
                version="TLSv1.3",
                alpn="h2",
                chain=(leaf, *above),
                client_auth="none",
                agreed_versions=("TLSv1.2", "TLSv1.3"),
                agreed_suites=("TLS_AES_128_GCM_SHA256",),
                revocation=(RevocationReport(kind="staple", url="", samples_ms=(), outcome="good"),),
            )
            endpoints.append(replace(usual, **site.changed))
        common: dict[str, Any] = {"started_at": self.now, "endpoints": tuple(endpoints)}
        if site.fault and (kind == "full" or not site.fault.startswith("revocation.")):
            found = reports.finding(site.fault, addresses=tuple(site.leaves))
            return reports.broken(name, site.fault, findings=(found,), **common)
        return reports.healthy(name, **common)

    # ── time passes ─────────────────────────────────────────────────────────────

    async def look(self, *names: str, kind: Kind = "light", at: float | None = None) -> None:
        """A light look, and the full one that it asks for; or a full one."""
        if at is not None:
            self.now = day(at)
        lookouts = {each.target.host: each for each in await self.watchlist.lookouts()}
        for name in names or tuple(self.sites):
            made = await self._look(lookouts[name], kind)
            if made.step.full_now:
                self.now += timedelta(minutes=1)
                await self._look(made.step.lookout, "full")
        await self._overhear()

    async def _look(self, lookout: Lookout, kind: Kind) -> Looked:
        report = self._report(lookout.target.host, kind)
        known = lookout.light if kind == "light" else "" if lookout.status == "broken" else lookout.full
        seen = told(Ask(lookout=lookout.id, kind=kind, check=Check(target=lookout.target), known=known), report)
        looked = Looked(seen=seen, step=step(lookout, seen))
        if looked.step.verdict != "same":
            self.verdicts.append(
                f"{self._day()} {lookout.target.host} {looked.step.verdict} {seen.cause or ''}".strip()
            )
        await self.watchlist.looks.record([looked], self.book.news_of, self.now)
        return looked

    async def live(self, start: float, end: float, *names: str, every: float = 1.0) -> None:
        """A full look and two light ones each day, from day *start* to before day *end*."""
        at = start
        while at < end:
            await self.look(*names, kind="full", at=at)
            await self.look(*names, at=at + every / 3)
            await self.look(*names, at=at + every * 2 / 3)
            at += every

    # ── people, and a CA ────────────────────────────────────────────────────────

    async def press(self, what: str, name: str, *, user: str = "U2") -> str:
        """*what*: "ack", "snooze:1w"…; what the person alone is told."""
        lineage = next(each for each in await self.book.open_ones(TEAM) if name in each.names)
        act, _, pause = what.partition(":")
        self._presses += 1
        intake = Intake(
            key=f"press:{self._presses}",
            kind="action",
            team=TEAM,
            channel=lineage.channel,
            user=user,
            text=f"{lineage.id}:{lineage.episode}" + (f":{pause}" if pause else ""),
            action=words.SNOOZE if act == "snooze" else words.ACKNOWLEDGE,
            received_at=self.now,
        )
        number = await self.history.take_in(intake, verdict="accepted")
        assert number is not None
        await self.book.pressed(replace(intake, id=number), self.now)
        key = f"reply:press:{self._presses}"
        rows = await self.history._run(self.history._rows, "select content from outbox where key = ?", key)
        return str(json.loads(rows[0]["content"])["text"]) if rows else ""

    async def asks(self, authority: str, *answers: tuple[CertificateReport, Window]) -> None:
        heard = [Heard(certificate=leaf.sha256, window=window) for leaf, window in answers]
        await self.book.heard(authority, heard, self.now + timedelta(hours=6), self.now)

    # ── what was said ───────────────────────────────────────────────────────────

    def _day(self) -> str:
        return f"{(self.now - BEGIN) / DAY:.2f}"

    async def said(self, *, channel: str = "C1", edits: bool = False) -> list[str]:
        """What is new since it was asked last: a message, or ↳ in a thread; ✎ is an edit. As it was said then."""
        await self._overhear()
        found = [line for where, line in self._heard if where == channel and (edits or not line.startswith("✎"))]
        self._heard = [each for each in self._heard if each[0] != channel]
        return found

    async def _overhear(self) -> None:
        sql = "select key, channel, parent, content, revision from outbox where kind = 'message' order by id"
        for row in await self.history._run(self.history._rows, sql):
            before = self._read.get(row["key"], 0)
            if row["revision"] == before:
                continue
            self._read[row["key"]] = row["revision"]
            content = json.loads(row["content"])
            text = shown(content, small_print=False) or shown(content, small_print=True)
            mark = "✎ " if before else "↳ " if row["parent"] else ""
            self.log.append(f"{self._day():>8}  {row['channel']}  {mark}{text}")
            self._heard.append((row["channel"], f"{mark}{text}"))
