"""5,000 watched endpoints on one bot: how long a light sweep takes, what a person's check waits meanwhile, and memory.

And a year of looks, written as fast as the memory takes them: how large the file becomes and how soon it answers.
`python -m tests.bench.watch sweep [COUNT] [SWEEPS]` and `python -m tests.bench.watch year [COUNT] [DAYS]` print alone.
"""

from __future__ import annotations

import asyncio
import os
import sqlite3
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import AsyncExitStack
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from multiprocessing import get_context
from pathlib import Path

from bot import schedule
from bot.config import SocketMode
from bot.history import History
from bot.homes import Homes
from bot.local import UNLIMITED, Workspace, serve
from bot.look_book import Looked
from bot.looks import Ask, told
from bot.manifest import MANIFEST
from bot.model import Check
from bot.patrol import Patrol
from bot.prober import Prober
from bot.service import serving
from bot.sighting import Kind
from bot.watched import Lookout, Watch
from bot.watchlist import Watchlist
from probes.check import default_trust
from probes.model import CertificateReport, EndpointReport, Report, Target
from tests.bench.ground import NAME, Ground
from tests.bench.ground import ground as another
from tests.bench.results import Aim, Section, Spread, spread

WATCHED, SWEEPS, DAYS = 5_000, 20, 365
_PAUSE_S = 0.3  # between two checks of a person
_BATCH = 100


# ── a sweep beside people's checks ──────────────────────────────────────────────


async def watched(ground: Ground) -> Section:
    """The sweeps as a section of the benchmarks, in a process of their own: what earlier sections left is not its."""
    count, sweeps = ground.times(WATCHED), ground.times(SWEEPS)
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as apart:
        found = await asyncio.get_running_loop().run_in_executor(apart, swept_alone, count, sweeps)
    steady = found.took_s[1:] or found.took_s
    growth = max(0.0, (found.memory_mb[-1] / found.memory_mb[min(2, len(found.memory_mb) - 1)] - 1) * 100)
    return Section(
        name="watched",
        title=f"{count:,} watched endpoints",
        method=f"{count:,} names that lead to one server, watched in one channel; {sweeps} light sweeps, each begun by "
        "`/tls watch sweep`. Meanwhile one person checks another server in full, again and again. The bot, its prober, "
        "its patrol, the server and the local workspace share this machine's cores. Memory is that of the bot and its "
        "children together, after the third sweep and after the last.",
        columns=("", "median", "most"),
        rows=(
            ("a light sweep, s", spread(steady).median, spread(found.took_s).most),
            ("a person's check, nothing else running, ms", found.alone.median, found.alone.most),
            ("a person's check during a sweep, ms", found.beside.median, found.beside.most),
            ("memory, MB", spread(found.memory_mb).median, spread(found.memory_mb).most),
        ),
        aims=(
            Aim(what=f"light sweep of {count:,}", limit=60, measured=spread(found.took_s).most, unit="s"),
            Aim(
                what="a person's check during a sweep, median, over one with nothing running",
                limit=2.0,
                measured=found.beside.median / found.alone.median,
                unit="times",
            ),
            Aim(what="growth of memory from the third sweep on", limit=5, measured=growth, unit="%"),
        ),
    )


class Swept:
    """What was measured."""

    def __init__(self) -> None:
        self.took_s: list[float] = []
        self.memory_mb: list[float] = []
        self.alone: Spread
        self.beside: Spread


def swept_alone(count: int, sweeps: int) -> Swept:
    with another(repeats=1.0) as server, another(repeats=1.0) as other:
        return asyncio.run(swept(server, other, count, sweeps))


async def swept(ground: Ground, other: Ground, count: int, sweeps: int) -> Swept:
    """*other* is the server that the person checks: what the watched one has to do is no delay of ours."""
    names = [f"e{number}.{NAME}" for number in range(count)]
    options = replace(
        ground.options(),
        trust=default_trust((ground.root_der, other.root_der)),
        overrides={(name, ground.port): (ground.address,) for name in names} | dict(other.options().overrides),
    )
    workspace = Workspace(manifest=MANIFEST, limits=UNLIMITED)
    running = await serve(workspace, port=0)
    found = Swept()
    connection = SocketMode(bot_token=running.bot_token, app_token=running.app_token, api_url=running.api_url)
    try:
        with tempfile.TemporaryDirectory(prefix="bench-") as home:
            database = Path(home) / "bot.db"
            await _filled(database, workspace, names, ground.port)
            async with AsyncExitStack() as stack:
                checker = await stack.enter_async_context(Prober(options))
                look = await stack.enter_async_context(Patrol(options))
                await stack.enter_async_context(
                    serving(connection, database=database, checker=checker, look=look, most_a_minute=10_000)
                )
                await workspace.connected(2)
                target = other.target()
                found.alone = spread([await _checked(checker, target) for _ in range(20)])
                beside: list[float] = []
                for number in range(sweeps):
                    begun, since = time.perf_counter(), time.time()
                    await workspace.command(workspace.me, workspace.incidents, "/tls", "watch sweep")
                    sweeping = asyncio.create_task(_looked(database, count, since))
                    while not sweeping.done():
                        beside.append(await _checked(checker, target))
                        await asyncio.wait([sweeping], timeout=_PAUSE_S)
                    await sweeping
                    found.took_s.append(time.perf_counter() - begun)
                    found.memory_mb.append(_memory_mb())
                    print(
                        f"sweep {number + 1}: {found.took_s[-1]:.1f} s, {found.memory_mb[-1]:.0f} MB", file=sys.stderr
                    )
                found.beside = spread(beside)
    finally:
        await running.close()
    return found


async def _filled(database: Path, workspace: Workspace, names: list[str], port: int) -> None:
    """All are watched, and were looked at in full a moment ago: what is measured is the light sweep."""
    history = await History.open(database)
    watchlist = Watchlist(history)
    now = datetime.now(UTC)
    for start in range(0, len(names), 500):
        watches = [
            _watch(workspace.team.id, workspace.incidents, Target.parse(f"{name}:{port}"), now)
            for name in names[start : start + 500]
        ]
        await watchlist.add_all(watches, most=len(names))
    await history.close()
    with sqlite3.connect(database) as connection:
        connection.execute("update lookouts set status = 'ok', full_at = ?1, light_at = ?1", (now.timestamp(),))


def _watch(team: str, channel: str, target: Target, now: datetime) -> Watch:
    lookout = Lookout(id=0, team=team, target=target)
    return Watch(id=0, team=team, channel=channel, lookout=lookout, added_by="U0BENCH", added_at=now)


async def _looked(database: Path, count: int, since: float) -> None:
    """Back when all were looked at after *since* (Unix seconds), and it is stored."""
    while True:
        with sqlite3.connect(f"file:{database}?mode=ro", uri=True) as connection:
            (done,) = connection.execute("select count(*) from lookouts where light_at >= ?", (since,)).fetchone()
        if done >= count:
            return
        await asyncio.sleep(0.2)


async def _checked(checker: Prober, target: Target) -> float:
    begun = time.perf_counter()
    report = await checker(Check(target=target))
    if report.cause not in {None, "reach.slow"}:
        raise RuntimeError(f"a healthy endpoint ended as {report.cause}")
    return (time.perf_counter() - begun) * 1000


def _memory_mb() -> float:
    """What this process, which is bot and workspace, and the bot's children hold now."""
    own = os.getpid()
    total = 0
    for path in Path("/proc").glob("[0-9]*/status"):
        try:
            fields = dict(line.partition(":")[::2] for line in path.read_text().splitlines())
            words = path.with_name("cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        of_the_bot = int(fields["PPid"]) == own and any(word.startswith(b"bot.") for word in words)
        if int(fields["Pid"]) == own or of_the_bot:
            total += int(fields.get("VmRSS", "0 kB").split()[0])
    return total / 1024


# ── a year of looks ─────────────────────────────────────────────────────────────

_CHAIN = tuple(
    CertificateReport(
        subject=f"CN={name}",
        issuer="CN=Root",
        not_before="2020-01-01T00:00:00Z",
        not_after="2035-01-01T00:00:00Z",
        sha256=f"{number:064x}",
    )
    for number, name in ((1, "Intermediate"), (2, "Root"))
)


def _report(host: int, now: datetime, serial: int, *, fails: bool) -> Report:
    """What endpoint *host* is like: a certificate of its own, renewed as *serial* counts, at two addresses."""
    begun = (now - timedelta(days=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
    ends = (now + timedelta(days=89)).strftime("%Y-%m-%dT%H:%M:%SZ")
    leaf = CertificateReport(
        subject=f"CN=e{host}.bench.test",
        issuer="CN=Intermediate",
        not_before=begun,
        not_after=ends,
        sha256=f"{host:032x}{serial:032x}",
        names=(f"e{host}.bench.test", f"www.e{host}.bench.test"),
        spki_sha256=f"{host:064x}",
        serial=f"{serial:x}",
        authority_key_id="ab" * 20,
        tbs_sha256=f"{serial:032x}{host:032x}",
    )
    endpoint = EndpointReport(
        address=f"10.{host >> 8 & 255}.{host & 255}.1",
        connected=True,
        failed_stage="tcp" if fails else None,
        timing_ms={"dns": 1.0, "hello": 20.0 + host % 50},
        version="TLSv1.3",
        cipher="TLS_AES_128_GCM_SHA256",
        alpn="h2",
        chain=(leaf, *_CHAIN),
        client_auth="none",
        agreed_versions=("TLSv1.2", "TLSv1.3"),
        agreed_suites=("TLS_AES_128_GCM_SHA256", "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256"),
    )
    return Report(
        target=Target.parse(f"e{host}.bench.test"),
        started_at=now,
        elapsed_ms=30.0,
        status="broken" if fails else "ok",
        cause="reach.timeout" if fails else None,
        mode=0 if fails else None,
        summary="",
        findings=(),
        gaps=(),
        clients=(),
        endpoints=(endpoint, replace(endpoint, address=f"10.{host >> 8 & 255}.{host & 255}.2")),
    )


async def year(count: int, days: int, home: Path) -> dict[str, float]:
    """Days of looks of *count* endpoints: a light look each quarter of an hour, a full one a day, a renewal each 60
    days; one in fifty fails for a quarter of an hour each day. The file in MB, and milliseconds of what is asked."""
    database = home / "year.db"
    history = await History.open(database)
    watchlist = Watchlist(history)
    begun = datetime(2026, 1, 1, tzinfo=UTC)
    for start in range(0, count, 500):
        hosts = range(start, min(count, start + 500))
        watches = [_watch("T1", "C1", Target.parse(f"e{host}.bench.test"), begun) for host in hosts]
        await watchlist.add_all(watches, most=count)
    lookouts = await watchlist.lookouts()
    # Durability costs one flush a transaction and nothing in the file: a year is not waited for.
    loop = asyncio.get_running_loop()
    await loop.run_in_executor(history._threads.writer, history._db.execute, "pragma synchronous = off")
    took, looks = time.perf_counter(), 0
    for day in range(days):
        midnight = begun + timedelta(days=day)
        for start in range(0, count, _BATCH):
            batch: list[Looked] = []
            for at in range(start, min(count, start + _BATCH)):
                for looked in _day(lookouts[at], at, midnight, day):
                    batch.append(looked)
                    lookouts[at] = replace(looked.step.lookout, told_at=midnight)
            looks += len(batch)
            await watchlist.looks.record(batch, lambda *_: (), midnight)
        looks += await history._write(_the_same, history, count, day)
        if day % 30 == 29:
            print(f"day {day + 1}: {database.stat().st_size / 1e6:.0f} MB", file=sys.stderr)
    await watchlist.looks.prune(begun + timedelta(days=days))
    wrote_s = time.perf_counter() - took
    await loop.run_in_executor(history._threads.writer, history._db.execute, "pragma wal_checkpoint(truncate)")
    answers: dict[str, Callable[[], Awaitable[object]]] = {
        "history of a host, ms": lambda: watchlist.remembered("T1", "e17.bench.test", seen_in=["C1"], limit=3),
        "all runs of one, ms": lambda: watchlist.looks.runs(lookouts[0].id, limit=500),
        "a year of handshake times, ms": lambda: watchlist.looks.paces_of([lookouts[7].id], begun.date()),
        "a page of the list, by days left, ms": lambda: watchlist.page("T1", "C1", "", count // 2, 12),
        "a page of what is broken, ms": lambda: watchlist.page("T1", "C1", "broken", 0, 12),
        "one watch by its endpoint, ms": lambda: watchlist.watching("T1", "C1", lookouts[7].target),
        "what ends first, for a Home, ms": lambda: Homes(history).endings("T1", ["C1"], limit=15),
        "what is looked at, by number, ms": watchlist.numbers,
    }
    found = {"looks": float(looks), "MB": database.stat().st_size / 1e6, "written in, s": wrote_s}
    for name, ask in answers.items():
        times = []
        for _ in range(5):
            asked = time.perf_counter()
            await ask()
            times.append((time.perf_counter() - asked) * 1000)
        found[name] = max(times)
    await history.close()
    return found


def _the_same(history: History, count: int, day: int) -> int:
    """A day's looks that saw what the last one saw: a count and a time for each, and a histogram; all at once, because
    a year of them one by one would take a day. What they leave in the file is the same."""
    last = int(datetime(2026, 1, 1, tzinfo=UTC).timestamp()) + (day + 1) * 86_400 - 60
    for kind, times in (("light", 96), ("full", 1)):
        history._db.execute(
            "update looks set count = count + ?1, last_at = ?2 where id in"
            " (select max(id) from looks where kind = ?3 group by lookout)",
            (times, last, kind),
        )
    history._db.execute(
        "insert into paces select id, ?, 96, 2880.5, 18.2, 210.4, '16:3,17:20,18:41,19:19,20:8,21:3,25:1,30:1'"
        " from lookouts where true on conflict do update set count = 96, buckets = excluded.buckets",
        (last // 86_400,),
    )
    return 97 * count


def _day(lookout: Lookout, host: int, midnight: datetime, day: int) -> Iterator[Looked]:
    """What is new in a day of looks at one endpoint: a renewal each 60 days and, at one in fifty, a failure."""
    is_renewed, fails_today = day == 0 or (day + host) % 60 == 0, host % 50 == 0
    kinds: list[tuple[Kind, int, bool]] = [("full", 0, False), ("light", 1, False)] if is_renewed else []
    if fails_today:
        kinds += [("light", 40, True), ("light", 41, False)]
    check = Check(target=lookout.target)
    for kind, quarter, fails in kinds:
        at = midnight + timedelta(minutes=15 * quarter, seconds=host % 900)
        known = lookout.full if kind == "full" else lookout.light
        seen = _report(host, at, (day + host) // 60, fails=fails)
        looked = told(Ask(lookout=lookout.id, kind=kind, check=check, known=known), seen)
        step = schedule.step(lookout, looked)
        lookout = step.lookout
        yield Looked(seen=looked, step=step)


def main() -> None:
    what, *numbers = sys.argv[1:] or ["sweep"]
    given = [int(number) for number in numbers]
    if what == "year":
        count, days = (*given, *(WATCHED, DAYS)[len(given) :])
        with tempfile.TemporaryDirectory(prefix="bench-") as home:
            for name, value in asyncio.run(year(count, days, Path(home))).items():
                print(f"{name}: {value:,.1f}")
        return
    count, sweeps = (*given, *(WATCHED, SWEEPS)[len(given) :])
    found = swept_alone(count, sweeps)
    print(f"sweep s: median {spread(found.took_s).median:.1f}, most {spread(found.took_s).most:.1f}")
    print(f"a check alone ms: median {found.alone.median:.0f}, most {found.alone.most:.0f}")
    print(f"a check beside ms: median {found.beside.median:.0f}, p95 {found.beside.percentile(0.95):.0f}")
    print("memory MB:", " ".join(f"{each:.0f}" for each in found.memory_mb))


if __name__ == "__main__":
    main()
