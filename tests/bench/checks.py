"""Benchmarks of the check itself: warm, behind a distance, cold, on dead endpoints, and part by part."""

from __future__ import annotations

import asyncio
import json
import random
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime

from bot.prober import settle
from probes import plan
from probes.check import PATIENCE_S, Options
from probes.codec import from_json, to_json
from probes.diagnose import judge
from probes.facts import Facts
from probes.model import Endpoint, Evidence, Handshake, Offer, Report, Resolution
from probes.net.handshake import shake
from probes.report import report
from probes.survey import survey
from tests.bench.ground import FAR_MS, NAME, Ground
from tests.bench.results import Aim, Section, Spread, spread
from tests.bench.timing import plain_environment, timed_check, timed_command
from tests.bench.tools import s_client, tls_check
from tests.endpoints.faults import forwards, is_silent

WARM_UPS = 5


def expect_ok(judged: Report) -> None:
    """A wrong verdict, however quick, is no result."""
    if judged.status != "ok":
        raise RuntimeError(f"the healthy endpoint was judged {judged.status}: {judged.summary}")


# ── warm ────────────────────────────────────────────────────────────────────────


async def warm(ground: Ground) -> Section:
    target, options = ground.target(), ground.options()
    for _ in range(min(WARM_UPS, ground.times(WARM_UPS))):
        expect_ok((await timed_check(target, options))[0])
    settle(options)
    walls, cpus = [], []
    for _ in range(ground.times(100)):
        judged, cost = await timed_check(target, options)
        expect_ok(judged)
        walls.append(cost.wall_ms)
        cpus.append(cost.cpu_ms)
    connections = await _connections(ground)
    wall, cpu = spread(walls), spread(cpus)
    return Section(
        name="warm",
        title="A check in a warm process, on loopback",
        method=f"{len(walls)} checks of the healthy server, one after another in one process, after {WARM_UPS} that "
        "are not counted, settled as the bot's prober is (`bot.prober.settle`). Connections are counted by a TCP "
        "proxy. CPU is this process alone, without the server's.",
        columns=("", "median", "p95", "least", "most"),
        rows=(
            ("time to verdict, ms", wall.median, wall.percentile(0.95), wall.least, wall.most),
            ("CPU, ms", cpu.median, cpu.percentile(0.95), cpu.least, cpu.most),
            (
                "connections to the address",
                connections.median,
                connections.percentile(0.95),
                connections.least,
                connections.most,
            ),
        ),
        aims=(
            Aim(what="time to verdict, warm, loopback, median", limit=40, measured=wall.median, unit="ms"),
            Aim(what="CPU per check, median", limit=12, measured=cpu.median, unit="ms"),
            Aim(what="connections per address, healthy endpoint, most", limit=24, measured=connections.most, unit=""),
        ),
    )


async def _connections(ground: Ground) -> Spread:
    path, counted = ground.counting, []
    for _ in range(ground.times(5)):
        before = path.connections()
        judged, _ = await timed_check(ground.target(path.port), ground.options(path.address, port=path.port))
        expect_ok(judged)
        counted.append(float(path.connections() - before))
    return spread(counted)


# ── behind a distance ───────────────────────────────────────────────────────────


async def far(ground: Ground) -> Section:
    path = ground.far
    target, options = ground.target(path.port), ground.options(path.address, port=path.port)
    handshake = s_client(ground, path.address, path.port)
    await timed_check(target, options)
    checks, handshakes = [], []
    for _ in range(ground.times(20)):
        for which in random.sample(("check", "handshake"), 2):
            if which == "check":
                judged, cost = await timed_check(target, options)
                expect_ok(judged)
                checks.append(cost.wall_ms)
            else:
                run = timed_command(handshake)
                if run.status:
                    raise RuntimeError(f"openssl s_client ended with {run.status}")
                handshakes.append(run.cost.wall_ms)
    ours, theirs = spread(checks), spread(handshakes)
    ratio = ours.median / theirs.median
    return Section(
        name="far",
        title=f"A check behind a round trip of {FAR_MS:.0f} ms",
        method=f"{len(checks)} checks in a warm process and as many `openssl s_client` handshakes in turns through one "
        f"proxy in another process. It holds each byte {FAR_MS / 2:.0f} ms each way, and the client's first one a "
        "round trip longer, for the TCP connect. The handshake's time includes the start of its process, the "
        "check's does not.",
        columns=("", "time, ms", "in handshakes"),
        rows=(
            ("openssl s_client, one handshake", theirs, 1.0),
            ("check, whole verdict", ours, ratio),
        ),
        aims=(Aim(what=f"check behind {FAR_MS:.0f} ms, in s_client handshakes", limit=2, measured=ratio, unit=""),),
    )


# ── cold ────────────────────────────────────────────────────────────────────────


async def cold(ground: Ground) -> Section:
    words = tls_check(ground, ground.address, ground.port)
    timed_command(words)  # byte code and page cache
    walls, cpus = [], []
    for _ in range(ground.times(15)):
        run = timed_command(words)
        if run.status or json.loads(run.output)["status"] != "ok":
            raise RuntimeError(f"tls check ended with {run.status}")
        walls.append(run.cost.wall_ms)
        cpus.append(run.cost.cpu_ms)
    wall, cpu = spread(walls), spread(cpus)
    return Section(
        name="cold",
        title="A cold `tls check`",
        method=f"{len(walls)} runs of `tls check {NAME} --json` as a process of its own, from start to exit status, "
        "with byte code compiled and files in the page cache.",
        columns=("", "ms"),
        rows=(("time", wall), ("CPU", cpu)),
        aims=(Aim(what="cold `tls check --json`, median", limit=350, measured=wall.median, unit="ms"),),
    )


def importtime(ground: Ground, count: int = 25) -> str:
    """The slowest imports of a cold check, by the time of each with what it imports."""
    words = [sys.executable, "-X", "importtime", "-m", "probes", *tls_check(ground, ground.address, ground.port)[1:]]
    if words[4] == "-m":  # tls() fell back to the module
        del words[4:6]
    done = subprocess.run(words, capture_output=True, text=True, check=False, env=plain_environment())
    lines = done.stderr.splitlines()
    found = []
    for line in lines:
        fields = line.removeprefix("import time:").split("|")
        if line.startswith("import time:") and len(fields) == 3 and fields[1].strip().isdigit():
            found.append((int(fields[1]), int(fields[0]), fields[2].strip()))
    found.sort(reverse=True)
    rows = [f"{whole / 1000:8.1f} {own / 1000:8.1f}  {name}" for whole, own, name in found[:count]]
    return "\n".join(["   whole      own  import, ms", *rows])


# ── dead or silent ──────────────────────────────────────────────────────────────

ANSWER_WITHIN_S = 3.5
SHORT_S = 1.0
GRACE_S = 0.1  # what closing sockets and judging may take after the deadline


async def dead(ground: Ground) -> Section:
    bench, rows = ground.bench, []
    slowest, overshoot = 0.0, 0.0
    with socket.socket() as bound:  # bound, never listening: refuses, and no one else takes the port meanwhile
        bound.bind(("127.0.0.1", 0))
        places = (
            ("connection refused", bound.getsockname(), "reach.refused"),
            ("SYN dropped (full accept queue)", bench.full_queue(), "reach.timeout"),
            ("accepts, then silent", bench.raw(is_silent), "reach.stalled"),
            (
                "answer stops after 600 bytes",
                bench.raw(forwards(ground.address, ground.port, stall_after=600)),
                "reach.stalled",
            ),
        )
        for what, (address, port), expected in places:
            usual, short = [], []
            for _ in range(ground.times(3)):
                usual.append(await _verdict_s(ground, address, port, 10.0, expected))
                short.append(await _verdict_s(ground, address, port, SHORT_S, None))
            rows.append((what, expected, spread(usual), spread(short)))
            slowest, overshoot = max(slowest, *usual), max(overshoot, *(each - SHORT_S for each in short))
    return Section(
        name="dead",
        title="Dead and silent endpoints",
        method=f"Checks in a warm process of endpoints that never finish a handshake: with the default `--timeout` of "
        f"10 s, and with `--timeout {SHORT_S:.0f}`. A silence is judged {PATIENCE_S:g} s after the last byte.",
        columns=("endpoint", "cause named", "time to verdict, s", f"with --timeout {SHORT_S:.0f}, s"),
        rows=tuple(rows),
        aims=(
            Aim(what="dead or silent endpoint, slowest verdict", limit=ANSWER_WITHIN_S, measured=slowest, unit="s"),
            Aim(
                what="past `--timeout`, most (judging and closing included)",
                limit=GRACE_S,
                measured=max(0.0, overshoot),
                unit="s",
            ),
        ),
    )


async def _verdict_s(ground: Ground, address: str, port: int, timeout_s: float, expected: str | None) -> float:
    options = ground.options(address, port=port, timeout_s=timeout_s)
    judged, cost = await timed_check(ground.target(port), options)
    if expected is not None and judged.cause != expected:
        raise RuntimeError(f"{address}:{port} was to be {expected}, and is {judged.cause}: {judged.summary}")
    return cost.wall_ms / 1000


# ── part by part ────────────────────────────────────────────────────────────────


async def parts(ground: Ground) -> Section:
    target, options = ground.target(), ground.options()
    endpoint = Endpoint(address=ground.address, port=ground.port)
    evidence = await _evidence(ground, endpoint, options)
    facts = Facts(evidence)
    diagnosis = judge(facts)
    finished = report(facts, diagnosis, elapsed_ms=1.0)
    text = json.dumps(to_json(finished))
    tls12 = next(offer for offer in plan.first(target) if offer.purpose == "tls12")
    amount = f"what {len(evidence.handshakes)} handshakes amount to: facts and rules"
    rows = [
        await _handshakes(ground, "TLS 1.3, x25519, to the certificate", endpoint, plan.small(target)),
        await _handshakes(ground, "TLS 1.3, X25519MLKEM768, finished", endpoint, plan.modern(target)),
        await _handshakes(ground, "TLS 1.2, to the certificate", endpoint, tls12),
        _part(ground, amount, lambda: judge(Facts(replace(evidence, taken_at=datetime.now(UTC))))),
        _part(ground, "the report", lambda: report(facts, diagnosis, elapsed_ms=1.0)),
        _part(ground, "the report as JSON text", lambda: json.dumps(to_json(finished))),
        _part(ground, "a report from JSON text", lambda: from_json(json.loads(text))),
    ]
    return Section(
        name="parts",
        title="CPU, part by part",
        method="CPU of this process in milliseconds, each part repeated alone in a warm process. Handshakes include "
        "the socket and the event loop; the server works in another process.",
        columns=("part", "CPU, ms"),
        rows=tuple(rows),
    )


async def _evidence(ground: Ground, endpoint: Endpoint, options: Options) -> Evidence:
    deadline = asyncio.get_running_loop().time() + options.timeout_s

    async def one(endpoint: Endpoint, offer: Offer, crowd: int) -> Handshake:
        return await shake(endpoint, offer, permit=None, deadline=deadline, crowd=crowd)

    seen = await survey(ground.target(), (endpoint,), shake=one, on_progress=lambda _: None)
    return Evidence(
        target=ground.target(),
        taken_at=datetime.now(UTC),
        trust=options.trust,
        resolution=Resolution(addresses=(endpoint.address,), source="--resolve"),
        handshakes=seen.handshakes,
    )


async def _handshakes(ground: Ground, what: str, endpoint: Endpoint, offer: Offer) -> tuple[str, Spread]:
    loop = asyncio.get_running_loop()
    spent = []
    for _ in range(WARM_UPS + ground.times(100)):
        before = time.process_time()
        seen = await shake(endpoint, replace(offer, purpose="bench"), permit=None, deadline=loop.time() + 10)
        spent.append((time.process_time() - before) * 1000)
        if not plan.completed(seen):
            raise RuntimeError(f"a handshake ended with {seen.outcome}")
    return what, spread(spent[WARM_UPS:])


def _part(ground: Ground, what: str, work: Callable[[], object]) -> tuple[str, Spread]:
    spent = []
    for _ in range(WARM_UPS + ground.times(100)):
        before = time.process_time()
        work()
        spent.append((time.process_time() - before) * 1000)
    return what, spread(spent[WARM_UPS:])
