"""A simulated year of looks through the real memory: fleets of certificates, their misfortunes, and all that is said.

`python -m tests.bot.year` prints the log as a person in the channel would have lived it. The clock is faked; the watch
list, the hook, the lineages, the drift and the outbox are the real ones, on a real database.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import random
import re
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Literal

from bot.expiry import authority, validity
from bot.history import History
from bot.lineage_book import Heard, LineageBook
from bot.look_book import Looked
from bot.looks import Ask, told
from bot.model import Check, Intake
from bot.render import expiry as words
from bot.schedule import step
from bot.sighting import Kind
from bot.watched import Lookout, Seen, Watch
from bot.watchlist import Watchlist
from probes.ari import Window
from probes.catalogue import CATALOGUE
from probes.model import CertificateReport, EndpointReport, Report, RevocationReport, Target
from tests.bot import reports

BEGIN = datetime(2027, 1, 1, tzinfo=UTC)
DAY = timedelta(days=1)
TEAM, CHANNEL = "T1", "C-ops"
LE, OTHER = "CN=R12,O=Let's Encrypt,C=US", "CN=Other TLS CA 3,O=Other Trust Ltd,C=GB"


def day(number: float) -> datetime:
    return BEGIN + DAY * number


# ── the world ───────────────────────────────────────────────────────────────────


def certificate(
    names: Sequence[str], start: datetime, days: float, *, issuer: str = LE, key: str = "", subject: str = ""
) -> CertificateReport:
    def text(moment: datetime) -> str:
        return moment.strftime("%Y-%m-%dT%H:%M:%SZ")

    subject = subject or f"CN={names[0]}"
    sha256 = hashlib.sha256(f"{subject} {names} {start} {days} {issuer} {key}".encode()).hexdigest()
    return CertificateReport(
        subject=subject,
        issuer=issuer,
        not_before=text(start),
        not_after=text(start + DAY * days),
        sha256=sha256,
        names=tuple(names),
        spki_sha256=hashlib.sha256((key or sha256).encode()).hexdigest(),
        serial=sha256[:16],
        authority_key_id="69885b6b",
    )


def intermediate(issuer: str, until: datetime | None = None) -> CertificateReport:
    days = 3650.0 if until is None else (until - day(-1000)) / DAY
    return certificate((), day(-1000), days, issuer="CN=Root,O=Root", subject=issuer)


@dataclass
class Host:
    """One watched name. `renew(now, current)` gives the next certificate when it is time; `change` does the rest."""

    name: str
    days: float
    addresses: list[str] = field(default_factory=lambda: ["192.0.2.1"])
    age: float = 0.0  # days of the first certificate's life that are over when the year begins
    left: float = 1 / 3  # share of the lifetime at which it is renewed
    jitter: float = 0.02
    holds: Sequence[tuple[float, float]] = ()  # between these days nothing is renewed
    every_h: int = 24
    often: tuple[float, float] = (0, 0)  # in these days it is looked at every two hours
    owner: str | None = "U-owner"
    expected: tuple[str, ...] = ()
    issuer: str = LE
    names: tuple[str, ...] = ()
    key: str = ""
    change: Callable[[Host, datetime, list[EndpointReport], Kind], list[EndpointReport]] | None = None
    deploy: Callable[[Host, datetime, str], bool] = lambda _host, _now, _address: True  # does it have the newest?
    issuers: dict[float, str] = field(default_factory=dict)
    keys: Callable[[int], str] = lambda _number: ""
    down: Sequence[tuple[float, float]] = ()
    revoked: tuple[float, float] | None = None
    intermediate_ends: tuple[float, float] | None = None  # when it runs out, and when another is sent
    forced: Sequence[float] = ()  # days on which it is renewed, whatever is left
    served: list[CertificateReport] = field(default_factory=list)
    dice: random.Random = field(default_factory=lambda: random.Random(7))
    _due: datetime | None = None

    def pause(self, now: datetime) -> int:
        return 2 if day(self.often[0]) <= now < day(self.often[1]) else self.every_h

    def begin(self) -> None:
        self.names = self.names or (self.name,)
        self.served = [certificate(self.names, BEGIN - DAY * self.age, self.days, issuer=self.issuer, key=self.keys(0))]

    def replace_now(self, now: datetime) -> None:
        issuer = next((name for at, name in sorted(self.issuers.items(), reverse=True) if now >= day(at)), self.issuer)
        new = certificate(
            self.names, now - timedelta(hours=1), self.days, issuer=issuer, key=self.keys(len(self.served))
        )
        self.served.append(new)
        self._due = None

    def tick(self, now: datetime) -> None:
        period = validity(self.served[-1])
        assert period is not None
        if self._due is None:
            share = self.left + self.dice.uniform(-self.jitter, self.jitter)
            self._due = period[1] - DAY * self.days * share
        is_held = any(day(start) <= now < day(end) for start, end in self.holds)
        is_forced = any(period[0] < day(at) <= now for at in self.forced)
        if is_forced or (now >= self._due and not is_held):
            self.replace_now(now)

    def leaf_at(self, address: str, now: datetime) -> CertificateReport:
        if len(self.served) > 1 and not self.deploy(self, now, address):
            return self.served[-2]
        return self.served[-1]

    def report(self, now: datetime, kind: Kind) -> Report:
        endpoints = []
        for address in self.addresses:
            leaf = self.leaf_at(address, now)
            until = None
            if self.intermediate_ends is not None and now < day(self.intermediate_ends[1]):
                until = day(self.intermediate_ends[0])
            chain = (leaf, intermediate(leaf.issuer, until))
            endpoints.append(
                EndpointReport(
                    address=address,
                    connected=True,
                    failed_stage=None,
                    timing_ms={"finished": 80.0 + self.dice.uniform(0, 12) + (20 if 8 <= now.hour < 16 else 0)},
                    version="TLSv1.3",
                    alpn="h2",
                    chain=chain,
                    client_auth="none",
                    agreed_versions=("TLSv1.2", "TLSv1.3"),
                    agreed_suites=("TLS_AES_128_GCM_SHA256",),
                    revocation=(RevocationReport(kind="staple", url="", samples_ms=(), outcome="good"),),
                )
            )
        if any(day(start) <= now < day(end) for start, end in self.down):
            endpoints = [replace(each, connected=False, failed_stage="tcp", chain=()) for each in endpoints]
        if self.change is not None:
            endpoints = self.change(self, now, endpoints, kind)
        return self._judged(now, endpoints, kind)

    def _judged(self, now: datetime, endpoints: list[EndpointReport], kind: Kind) -> Report:
        code: str | None = None
        addresses: tuple[str, ...] = ()
        ended = tuple(e.address for e in endpoints if e.chain and (p := validity(e.chain[0])) and now >= p[1])
        if all(each.failed_stage for each in endpoints):
            code, addresses = "reach.timeout", tuple(each.address for each in endpoints)
        elif ended:
            code, addresses = "validity.expired", ended
        elif self.revoked and kind == "full" and day(self.revoked[0]) <= now < day(self.revoked[1]):
            code, addresses = "revocation.revoked", tuple(each.address for each in endpoints)
        common = {"started_at": now, "endpoints": tuple(endpoints)}
        if code is None:
            return reports.healthy(self.name, **common)
        finding = reports.finding(code, addresses=addresses)
        return reports.broken(self.name, code, findings=(finding,), mode=CATALOGUE[code].mode, **common)


# ── the log ─────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class Line:
    at: datetime
    kind: Literal["message", "thread", "edit", "act", "note"]
    key: str
    text: str

    def __str__(self) -> str:
        mark = {"message": "", "thread": "    ↳ ", "edit": "    (edited) ", "act": "    ", "note": "  · "}[self.kind]
        return f"{self.at:%a %d %b %H:%M}  {mark}{self.text}"


def shown(content: dict[str, Any], *, small_print: bool) -> str:
    """What a person reads: sections, and the small print where it is new."""
    parts = []
    for block in content["blocks"]:
        if block["type"] == "section":
            parts.append(block["text"]["text"])
        elif block["type"] == "context" and small_print:
            parts.append("— " + " ".join(each["text"] for each in block["elements"]))
    text = " ".join(parts)
    text = re.sub(
        r"<!date\^(\d+)\^[^|]*\|[^>]*>", lambda m: f"{datetime.fromtimestamp(int(m[1]), UTC):%d %b %H:%M}", text
    )
    return re.sub(r"[*`]", "", text).replace("\n", " ")


class Year:
    """The hosts, the bot's memory, and the log."""

    def __init__(self, hosts: Sequence[Host], path: Path) -> None:
        self.hosts = {host.name: host for host in hosts}
        self.path = path
        self.lines: list[Line] = []
        self.offline: Sequence[tuple[float, float]] = ()
        self.windows: Callable[[Host, datetime], Window | None] = lambda _host, _now: None
        self.clock: Callable[[datetime], datetime] = lambda now: now
        self.acts: list[tuple[float, str, str, str]] = []  # day, host, "ack" or "snooze:1w", user
        self._known: dict[str, int] = {}
        self._presses = 0

    async def run(self, days: int = 365) -> list[Line]:
        await self._open()
        for host in self.hosts.values():
            host.begin()
            lookout = Lookout(id=0, team=TEAM, target=Target.parse(host.name))
            watch = Watch(
                id=0,
                team=TEAM,
                channel=CHANNEL,
                lookout=lookout,
                owner=host.owner,
                expected_cas=host.expected,
                added_by="U-me",
                added_at=BEGIN,
            )
            await self.watchlist.add(watch, "", most=100)
        self.lookouts = {each.target.host: each for each in await self.watchlist.lookouts()}
        try:
            for hour in range(days * 24):
                await self._hour(BEGIN + timedelta(hours=hour), hour)
        finally:
            await self.history.close()
        return self.lines

    async def _open(self) -> None:
        self.history = await History.open(self.path)
        self.watchlist = Watchlist(self.history)
        self.book = LineageBook(self.history, self.watchlist)

    async def _hour(self, now: datetime, hour: int) -> None:
        if hour % (30 * 24) == 29 * 24:  # a deploy
            await self.history.close()
            await self._open()
        for host in self.hosts.values():
            if hour % 4 == 0:
                host.tick(now)
        if any(day(start) <= now < day(end) for start, end in self.offline):
            return
        told_at = self.clock(now)
        due = [host for host in self.hosts.values() if hour % host.pause(now) == 0]
        for at, name, what, user in self.acts:
            if day(at) == now:
                await self._press(name, what, user, told_at)
        if not due:
            return
        batch = []
        for host in due:
            batch += [self._look(host, "light", now, told_at)]
            if now.hour == 0 or batch[-1].step.full_now or self.lookouts[host.name].status == "broken":
                batch += [self._look(host, "full", now + timedelta(minutes=1), told_at)]
                if self.lookouts[host.name].goods:
                    batch += [self._look(host, "full", now + timedelta(minutes=2), told_at)]
        await self.watchlist.looks.record(batch, self.book.news_of, told_at)
        if hour % 40 == 0:  # delivered twice
            await self.watchlist.looks.record(batch, self.book.news_of, told_at)
        if hour % 24 == 0:
            await self._ask_ca(now, told_at)
        await self._read(told_at)

    def _look(self, host: Host, kind: Kind, now: datetime, told_at: datetime) -> Looked:
        lookout = self.lookouts[host.name]
        known = lookout.light if kind == "light" else "" if lookout.status == "broken" else lookout.full
        seen: Seen = told(
            Ask(lookout=lookout.id, kind=kind, check=Check(target=lookout.target), known=known), host.report(now, kind)
        )
        made = step(lookout, replace(seen, at=told_at + (now - now.replace(minute=0))))
        if made.verdict != "same":
            what = "an incident opens" if made.verdict == "broke" else "the incident recovers"
            self.lines.append(Line(told_at, "note", "incident", f"{host.name}: {what} ({seen.cause or 'healthy'})"))
        self.lookouts[host.name] = replace(made.lookout, told_at=told_at)
        at = made.lookout.light_at if kind == "light" else made.lookout.full_at
        return Looked(seen=replace(seen, at=at or now), step=made)

    async def _ask_ca(self, now: datetime, told_at: datetime) -> None:
        asked = await self.book.asked_about(lambda who: who == "Let's Encrypt", told_at)
        for who, certificates in asked.items():
            by_leaf = {each.served[-1].sha256: each for each in self.hosts.values()}
            by_leaf |= {each.served[-2].sha256: each for each in self.hosts.values() if len(each.served) > 1}
            answers = []
            for each in certificates:
                host = by_leaf.get(each.sha256)
                window = self.windows(host, now) if host is not None and each.sha256 == host.served[-1].sha256 else None
                if window is not None:
                    answers.append(Heard(certificate=each.sha256, window=window))
            await self.book.heard(who, answers, told_at + timedelta(hours=6), told_at)

    async def _press(self, name: str, what: str, user: str, now: datetime) -> None:
        lineage = next(each for each in await self.book.open_ones(TEAM) if name in each.names)
        act, _, pause = what.partition(":")
        self._presses += 1
        intake = Intake(
            key=f"press:{self._presses}",
            kind="action",
            team=TEAM,
            channel=CHANNEL,
            user=user,
            text=f"{lineage.id}:{lineage.episode}" + (f":{pause}" if pause else ""),
            action=words.SNOOZE if act == "snooze" else words.ACKNOWLEDGE,
            received_at=now,
        )
        number = await self.history.take_in(intake, verdict="accepted")
        assert number is not None
        await self.book.pressed(replace(intake, id=number), now)
        await self._read(now)

    async def _read(self, now: datetime) -> None:
        """What the outbox owes that it did not owe before."""
        rows = await self.history._run(
            self.history._rows, "select key, parent, content, revision from outbox order by id"
        )
        for row in rows:
            before = self._known.get(row["key"], 0)
            if row["revision"] == before:
                continue
            self._known[row["key"]] = row["revision"]
            text = shown(json.loads(row["content"]), small_print=before == 0)
            kind: Literal["message", "thread", "edit"] = "thread" if row["parent"] else "message"
            self.lines.append(Line(now, kind if before == 0 else "edit", row["key"], text))


# ── the fleets ──────────────────────────────────────────────────────────────────


def _between(
    start: float, end: float, changed: Callable[[EndpointReport], EndpointReport], *, only: Kind | None = None
) -> Any:
    def change(_: Host, now: datetime, endpoints: list[EndpointReport], kind: Kind) -> list[EndpointReport]:
        is_on = day(start) <= now < day(end) and only in (None, kind)
        return [changed(each) for each in endpoints] if is_on else endpoints

    return change


def _pool(host: Host, now: datetime, endpoints: list[EndpointReport], _: Kind) -> list[EndpointReport]:
    dice = random.Random(now.timestamp())
    return [replace(endpoints[0], address=f"198.51.100.{number}") for number in sorted(dice.sample(range(1, 30), 3))]


def _moves(start: float, end: float) -> Any:
    def change(_: Host, now: datetime, endpoints: list[EndpointReport], __: Kind) -> list[EndpointReport]:
        more = [replace(endpoints[0], address="192.0.2.77")] if day(start) <= now < day(end) else []
        return [*endpoints, *more]

    return change


def _slow(each: EndpointReport) -> EndpointReport:
    return replace(each, timing_ms={"finished": 3 * (each.timing_ms["finished"] or 0)})


EIGHT = [f"192.0.2.{number}" for number in range(1, 9)]


def fleets() -> list[Host]:
    def forgotten(host: Host, now: datetime, address: str) -> bool:
        """The renewal of day 100 does not reach three of eight before day 114."""
        period = validity(host.served[-1])
        assert period is not None
        return address not in EIGHT[5:] or now >= day(114) or period[0] < day(90)

    def rolling(host: Host, now: datetime, address: str) -> bool:
        period = validity(host.served[-1])
        assert period is not None
        return now >= period[0] + timedelta(hours=1 + 2 * int(address.rpartition(".")[2]))

    return [
        Host("398-on-time.test", 398, age=300, left=45 / 398, jitter=0.0, issuer=OTHER, every_h=24),
        Host("398-late.test", 398, age=300, left=-3 / 398, jitter=0.0, issuer=OTHER, every_h=24),
        Host("200-on-time.test", 200, age=90, issuer=OTHER, every_h=24),
        Host("90-on-time.test", 90, age=10, names=("90-on-time.test", "www.90-on-time.test")),
        Host("90-stuck.test", 90, age=20, holds=((150, 188),), owner="S-platform"),
        Host("90-acknowledged.test", 90, age=55, holds=((0, 30),)),
        Host("47-on-time.test", 47, age=5, jitter=0.05),
        Host("47-snoozed.test", 47, age=30, holds=((100, 139),)),
        Host("6-on-time.test", 160 / 24, age=1, left=0.5, every_h=4),
        Host("6-stuck.test", 160 / 24, age=2, left=0.5, every_h=4, holds=((200, 204.9),)),
        Host("partial.test", 90, age=20, addresses=EIGHT, deploy=forgotten),
        Host("rolling.test", 90, age=33, addresses=EIGHT, deploy=rolling),
        Host("wrong-ca.test", 90, age=20, issuers={150: OTHER}),
        Host("expected-ca.test", 90, age=25, issuers={150: OTHER}, expected=("Let's Encrypt", "Other Trust Ltd")),
        Host("revoked.test", 90, age=30, revoked=(200.5, 202), forced=[202]),
        *(
            Host(f"mass-{number}.test", 90, age=3 * number, forced=[at])
            for number, at in enumerate((250.75, 250.75, 251.25, 251.25, 253.5), 1)
        ),
        Host("key-reused.test", 90, age=40, keys=lambda number: "same" if number in (3, 4) else ""),
        Host("pool.test", 90, age=12, change=_pool),
        Host("moves.test", 90, age=14, change=_moves(100, 150)),
        Host("staple.test", 90, age=16, change=_between(60, 66, lambda e: replace(e, revocation=()), only="full")),
        Host(
            "staple-once.test", 90, age=17, change=_between(61, 61.5, lambda e: replace(e, revocation=()), only="full")
        ),
        Host("slow.test", 90, age=18, often=(66, 90), change=_between(80, 86, _slow)),
        Host("slow-once.test", 90, age=19, often=(28, 45), change=_between(40, 40.3, _slow)),
        Host("alpn.test", 90, age=21, change=_between(120, 122, lambda e: replace(e, alpn=None))),
        Host("chain.test", 90, age=22, change=_between(130, 131, lambda e: replace(e, chain=e.chain[:1]))),
        Host("offline-renewed.test", 90, age=0),
        Host("offline-due.test", 90, age=0, holds=((55, 84),), issuer=OTHER),
        Host("down.test", 90, age=24, down=((95, 98),)),
        Host("intermediate.test", 90, age=26, intermediate_ends=(300, 292)),
    ]


def windows(host: Host, now: datetime) -> Window | None:
    """The CA's routine: around the last third; on day 250 it finds that it must revoke what it issued to mass-*."""
    period = validity(host.served[-1])
    if period is None or authority(host.served[-1].issuer) != "Let's Encrypt":
        return None
    middle = period[0] + (period[1] - period[0]) * (0.5 if host.days < 10 else 2 / 3)
    if host.name.startswith("mass-") and day(250) <= now and period[0] < day(250):
        start = day(250)
        return Window(start=start, end=start + timedelta(days=2), explanation_url="https://letsencrypt.test/incident")
    return Window(start=middle - DAY * host.days / 50, end=middle + DAY * host.days / 50)


def _steps_back(now: datetime) -> datetime:
    """The machine's clock goes three hours back on day 180, and is right again two days later."""
    return now - timedelta(hours=3) if day(180) <= now < day(182) else now


async def simulated(path: Path) -> Year:
    hosts = fleets()
    year = Year(hosts, path)
    year.windows = windows
    year.clock = _steps_back
    year.offline = ((70, 78),)
    year.acts = [
        (25.5, "90-acknowledged.test", "ack", "U-anna"),
        (131.5, "47-snoozed.test", "snooze:3d", "U-ben"),
    ]
    await year.run()
    return year


def printed(lines: Sequence[Line]) -> str:
    """The log as a person reads it: an edit beside a new line in the same thread is not worth another."""
    threads = {(line.at, line.key) for line in lines if line.kind == "thread"}
    shown_lines = [
        line
        for line in lines
        if line.kind != "edit" or not any(at == line.at and key.startswith(f"{line.key}:") for at, key in threads)
    ]
    named: dict[str, str] = {}
    out = []
    for line in shown_lines:
        root = ":".join(line.key.split(":")[:3])
        if line.kind == "message":
            found = re.search(r"[\w.-]+\.test", line.text)
            named[root] = found[0] if found and not line.key.startswith("mass") else "all of them"
        where = f"{named.get(root, 'all of them')}: " if line.kind == "thread" else ""
        out.append(str(replace(line, text=where + line.text)))
    return "\n".join(out) + "\n"


def main() -> None:
    with tempfile.TemporaryDirectory() as place:
        year = asyncio.run(simulated(Path(place) / "year.db"))
    text = printed(year.lines)
    if len(sys.argv) > 1:
        Path(sys.argv[1]).write_text(text, encoding="utf-8")
    else:
        sys.stdout.write(text)


if __name__ == "__main__":
    main()
