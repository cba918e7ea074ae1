"""Checks in the child process, against the lab; and acknowledgements while twenty of them run."""

from __future__ import annotations

import asyncio
import itertools
import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import load_pem_x509_certificate

from bot.__main__ import check_options, lab_beside, surroundings_of
from bot.config import SocketMode, read
from bot.egress import Egress
from bot.local import UNLIMITED, Workspace, serve
from bot.manifest import MANIFEST
from bot.model import Check
from bot.prober import BACKGROUND_AT_ONCE, BACKGROUND_BESIDE_PEOPLE, Prober, _Lanes
from bot.service import serving
from probes.check import Options, default_trust
from probes.lab import Lab, start
from probes.model import Endpoint, Target, UsageError

ACK_P99_MS = 100.0
SAMPLES = 200


@pytest.fixture
async def lab() -> AsyncIterator[Lab]:
    async with await start(port=0) as lab:
        yield lab


def options(lab: Lab) -> Options:
    root = load_pem_x509_certificate(lab.root_pem.encode()).public_bytes(Encoding.DER)
    return Options(
        trust=default_trust((root,)),
        permit=Egress(allow_exact=frozenset(lab.allowed)),
        overrides=dict(lab.overrides),
    )


def asked(lab: Lab, name: str) -> Check:
    return Check(target=Target.parse(lab.case(name).target))


async def test_a_check_is_made_in_the_child(lab: Lab) -> None:
    async with Prober(options(lab)) as prober:
        report = await prober(asked(lab, "expired.lab"))
    assert report.cause == "validity.expired"


async def test_a_light_check_is_a_light_look(lab: Lab) -> None:
    async with Prober(options(lab)) as prober:
        report = await prober(replace(asked(lab, "expired.lab"), light=True))
    assert report.cause == "validity.expired"
    assert [gap.what for gap in report.gaps] == ["light look"]


async def test_the_child_tells_how_far_it_is(lab: Lab) -> None:
    told: list[str] = []
    async with Prober(options(lab)) as prober:
        await prober(asked(lab, "healthy-two-addresses.lab"), told.append)
    assert told[0].startswith("resolving")
    assert "2 of 2 addresses probed" in told


async def test_a_persons_check_does_not_wait_for_what_runs_in_the_background(lab: Lab) -> None:
    behind = [replace(asked(lab, "healthy.lab"), light=True, is_background=True) for _ in range(150)]
    done: list[str] = []

    async def made(check: Check, name: str) -> None:
        await prober(check)
        done.append(name)

    async with Prober(options(lab)) as prober, asyncio.TaskGroup() as group:
        for check in behind:
            group.create_task(made(check, "background"))
        await asyncio.sleep(0)  # they are all there before the person asks
        group.create_task(made(asked(lab, "expired.lab"), "person"))
    assert len(done) == 151
    # No more than what ran already, and the few that may run beside people, end before.
    assert done.index("person") < 2 * BACKGROUND_AT_ONCE


async def test_the_background_gives_way_and_still_comes_to_its_end() -> None:
    lanes = _Lanes()
    running: dict[bool, int] = {True: 0, False: 0}
    most_beside = 0

    async def work(*, is_background: bool, until: asyncio.Event) -> None:
        nonlocal most_beside
        async with lanes.turn(is_background=is_background):
            running[is_background] += 1
            if running[False]:
                most_beside = max(most_beside, running[True])
            await until.wait()
            running[is_background] -= 1

    end, persons = asyncio.Event(), asyncio.Event()
    async with asyncio.TaskGroup() as group:
        group.create_task(work(is_background=False, until=persons))
        await asyncio.sleep(0)
        tasks = [group.create_task(work(is_background=True, until=end)) for _ in range(60)]
        for _ in range(3):
            await asyncio.sleep(0)
        assert (running[True], most_beside) == (BACKGROUND_BESIDE_PEOPLE, BACKGROUND_BESIDE_PEOPLE)
        tasks[-1].cancel()
        persons.set()
        for _ in range(5):
            await asyncio.sleep(0)
        assert running[True] == BACKGROUND_AT_ONCE
        end.set()
    assert running == {True: 0, False: 0}
    async with asyncio.timeout(5), lanes.turn(is_background=True):
        assert lanes._background == 1


async def test_an_address_that_the_policy_refuses_is_not_connected_to(lab: Lab) -> None:
    async with Prober(options(lab)) as prober:
        with pytest.raises(UsageError, match="loopback"):
            await prober(Check(target=Target.parse("127.0.0.1:1")))
        with pytest.raises(UsageError, match="metadata"):
            await prober(Check(target=Target.parse("example.com"), addresses=("169.254.169.254",)))


async def test_a_child_that_dies_is_started_again_and_its_checks_are_made(lab: Lab) -> None:
    async with Prober(options(lab)) as prober:
        await prober(asked(lab, "healthy.lab"))
        assert prober._process is not None
        os.kill(prober._process.pid, signal.SIGKILL)
        report = await prober(asked(lab, "expired.lab"))
    assert report.cause == "validity.expired"


async def test_acknowledgements_stay_quick_while_twenty_checks_run(tmp_path: Path) -> None:
    """The 99th percentile of the best of three rounds, on a machine that is quick when nothing is checked."""
    workspace = Workspace(manifest=MANIFEST, limits=UNLIMITED)
    running = await serve(workspace, port=0)
    connection = SocketMode(bot_token=running.bot_token, app_token=running.app_token, api_url=running.api_url)
    # The lab in a process of its own, as in local mode: its servers are not what is measured.
    try:
        async with lab_beside(port=0) as described:
            surroundings = surroundings_of(described)
            targets = [Check(target=Target.parse(f"{host}:{port}")) for host, port in surroundings.overrides]
            async with (
                Prober(check_options(read({}), surroundings)) as prober,
                serving(connection, database=tmp_path / "bot.db", checker=prober, most_a_minute=10_000),
            ):
                await workspace.connected(2)
                before = await p99_ms(workspace, [])
                async with twenty_checks(prober, targets):
                    rounds = [await p99_ms(workspace, targets) for _ in range(3)]
                after = await p99_ms(workspace, [])
    finally:
        await running.close()
    print(f"p99 of acknowledgements, ms: idle {before:.0f} and {after:.0f}, 20 checks running {rounds}")
    if min(rounds) >= ACK_P99_MS and max(before, after) >= ACK_P99_MS / 3:
        pytest.skip(f"this machine is busy with other things: p99 is {max(before, after):.0f} ms without any check")
    assert min(rounds) < ACK_P99_MS


async def p99_ms(workspace: Workspace, targets: list[Check]) -> float:
    """The 99th percentile of milliseconds to the acknowledgement; with *targets*, every fourth command is a check."""
    took = []
    for number in range(SAMPLES):
        text = f"check {targets[number % len(targets)].target}" if targets and number % 4 == 0 else "help"
        delivery = await workspace.command(workspace.me, workspace.incidents, "/tls", text)
        assert delivery.acked_after_s is not None
        took.append(delivery.acked_after_s * 1000)
    return sorted(took)[round(SAMPLES * 0.99) - 1]


@asynccontextmanager
async def twenty_checks(prober: Prober, targets: list[Check]) -> AsyncIterator[None]:
    """Twenty checks run at every moment of the block."""

    async def keep_checking(first: int) -> None:
        for number in itertools.count(first):
            await prober(targets[number % len(targets)])

    busy = [asyncio.create_task(keep_checking(number)) for number in range(20)]
    try:
        yield
    finally:
        for task in busy:
            task.cancel()
        await asyncio.gather(*busy, return_exceptions=True)


async def test_an_origin_that_the_policy_refuses_is_not_connected_to(lab: Lab) -> None:
    callers: list[object] = []
    trap = await asyncio.start_server(lambda _, writer: callers.append(writer), "127.0.0.1", 0)
    port = trap.sockets[0].getsockname()[1]
    asked_for = Check(
        target=Target.parse(lab.case("healthy.lab").target), origin=Endpoint(address="127.0.0.1", port=port)
    )
    async with trap, Prober(options(lab)) as prober:
        with pytest.raises(UsageError, match="loopback"):
            await prober(asked_for)
    assert callers == []
