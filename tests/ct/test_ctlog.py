"""The clients: what they ask for, what they never ask for, and what they refuse."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from email.utils import formatdate
from pathlib import Path
from random import Random
from typing import Any

import pytest

from probes.ct.heads import verify_head
from probes.ct.merkle import BadTree, CompactTree, verify_consistency, verify_inclusion
from probes.ct.watchset import WatchSet
from probes.net.ctlog import LogClient, Sifter, client
from probes.net.logfetch import Manners, Pace, Place, Unavailable
from tests.ct import misbehaviour as does
from tests.ct.conftest import MakeLog
from tests.ct.following import QUICK, WATCHED, parsed
from tests.ct.logserver import CtLog, Protocol
from tests.ct.test_faults import both
from tests.pki import authority, intermediate, leaf

SIFTER = Sifter(watch=WatchSet.compile([WATCHED]))


@asynccontextmanager
async def reading(log: CtLog, protocol: Protocol, manners: Manners = QUICK) -> AsyncIterator[LogClient]:
    [listed] = parsed(log.listed(protocol)).logs
    opened = client(listed, manners, rng=Random(1))
    try:
        yield opened
    finally:
        await opened.aclose()


@both
@pytest.mark.parametrize("size", [1, 2, 255, 256, 257, 300, 512, 700])
async def test_every_proof_holds_and_the_seed_has_the_root(size: int, protocol: Protocol, make_log: MakeLog) -> None:
    log = make_log()
    log.fill(size)
    async with reading(log, protocol) as reader:
        head = await reader.head()
        verify_head(head, reader.log)
        assert (await reader.seed(head)).root() == head.root == log.history.tree.root()
        for index in {0, size // 2, size - 1}:
            entry = await reader.entry(index, head)
            proof = await reader.inclusion(index, entry.leaf_hash, head)
            assert verify_inclusion(entry.leaf_hash, index, size, proof, head.root)
        for old in {1, size // 2 or 1, size}:
            proof = await reader.consistency(old, head)
            assert verify_consistency(old, log.history.tree.root(old), size, head.root, proof)


@both
@pytest.mark.parametrize(("start", "end"), [(0, 700), (0, 256), (255, 257), (300, 512), (650, 700), (256, 512)])
async def test_any_range_comes_in_order_without_a_hole(
    start: int, end: int, protocol: Protocol, make_log: MakeLog
) -> None:
    log = make_log(batch=100)
    log.fill(700)
    hashes: list[bytes] = []
    async with reading(log, protocol) as reader:
        async for batch in reader.sifted(start, 700 if protocol == "static" and end % 256 else end, SIFTER):
            assert batch.first_index == start + len(hashes)
            hashes += batch.hashes
    assert hashes[: end - start] == log.history.tree.hashes[start:end]


async def test_a_seed_with_another_root_is_refused(make_log: MakeLog) -> None:
    log = make_log()
    log.fill(300)
    for protocol in ("static", "rfc6962"):
        async with reading(log, protocol) as reader:
            head = await reader.head()
            before, log.history = log.history, log.history.forked(299)
            with pytest.raises((BadTree, Unavailable)):
                await reader.seed(head)
            log.history = before


async def test_whole_tiles_alone_are_fetched_until_the_head_ends_in_one(make_log: MakeLog) -> None:
    log = make_log()
    log.fill(600)
    async with reading(log, "static") as reader:
        head = await reader.head()
        tree = CompactTree()
        async for batch in reader.sifted(0, 512, SIFTER):
            tree.extend(batch.hashes)
        tree.extend(await reader.edge(head))
    assert tree.root() == head.root
    assert [path for path in log.requests if ".p/" in path] == ["/sycamore/tile/0/002.p/88"]


async def test_who_asks_is_named_with_a_contact(make_log: MakeLog) -> None:
    log = make_log()
    async with reading(log, "static", replace(QUICK, contact="mailto:ct@example.test")) as reader:
        await reader.head()
    assert log.agents == {"clienthello-ct/1 (+mailto:ct@example.test)"}


async def test_an_address_that_is_not_permitted_is_never_connected_to(make_log: MakeLog) -> None:
    log = make_log()
    async with reading(log, "static", replace(QUICK, permit=lambda address, port: f"not {address}")) as reader:
        with pytest.raises(Unavailable, match=r"egress refused.*not 127\.0\.0\.1") as refused:
            await reader.head()
    assert refused.value.trouble == "refused"
    assert log.requests == []


async def test_a_metadata_address_is_never_read_from() -> None:
    manners = replace(QUICK, overrides={("log.test", 80): ("169.254.169.254",)})
    place = Place("http://log.test/", manners, rng=Random(1))
    with pytest.raises(Unavailable, match="never read from"):
        await place.read("latest/meta-data", bytes)
    await place.aclose()


async def test_a_name_is_connected_to_at_the_address_that_was_checked(make_log: MakeLog) -> None:
    log = make_log()
    log.fill(3)
    port = int(log.url.split(":")[2].split("/")[0])
    asked: list[tuple[str, int]] = []

    def permit(address: str, to: int) -> str | None:
        asked.append((address, to))
        return None

    manners = replace(QUICK, permit=permit, overrides={("log.test", port): ("127.0.0.1",)})
    place = Place(f"http://log.test:{port}/{log.name}/", manners, rng=Random(1))
    assert b"sycamore" in await place.read("checkpoint", bytes)
    await place.aclose()
    assert asked == [("127.0.0.1", port)]


async def test_connections_are_kept_and_no_more_of_them_than_allowed(make_log: MakeLog) -> None:
    log = make_log()
    log.fill(2000)
    async with reading(log, "static") as reader:
        async for _ in reader.sifted(0, 2000, SIFTER):
            pass
    assert len(log.requests) == 8
    assert log.connections <= QUICK.at_once


async def test_an_answer_without_end_is_cut_off_at_the_limit(make_log: MakeLog) -> None:
    log = make_log()
    log.fill(1)
    log.misbehave("checkpoint", does.endless(3))
    async with reading(log, "static") as reader:
        with pytest.raises(Unavailable) as cut:
            await reader.head()
    assert cut.value.trouble == "too-large"
    assert len(log.requests) == 1  # nor is it asked for again


async def test_a_reader_that_gives_up_midway_leaves_nothing_running(make_log: MakeLog) -> None:
    log = make_log()
    log.fill(3000)
    before = asyncio.all_tasks()
    async with reading(log, "static") as reader:
        batches = reader.sifted(0, 3000, SIFTER)
        async for _ in batches:
            break
        await batches.aclose()
    assert asyncio.all_tasks() == before


def serving(names: tuple[str, ...], folder: Path) -> tuple[ssl.SSLContext, str]:
    """A server's side of TLS with a certificate for *names*, and the PEM of its root."""
    root = authority()
    ca = intermediate(root)
    served = leaf(ca, names=names)
    (folder / "chain.pem").write_text(served.pem + ca.pem)
    (folder / "key.pem").write_text(served.key_pem)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "chain.pem", folder / "key.pem")
    return context, root.pem


@pytest.mark.parametrize(
    ("names", "trusted"), [(("127.0.0.1",), True), (("127.0.0.1",), False), (("192.0.2.1",), True)]
)
async def test_over_https_the_certificate_is_verified(
    names: tuple[str, ...], trusted: bool, make_log: MakeLog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    context, root = serving(names, tmp_path)
    if trusted:
        trusting = ssl.create_default_context(cadata=root)
        monkeypatch.setattr("probes.net.logfetch._trusting", lambda: trusting)
    log = make_log(tls=context)
    log.fill(300)
    async with reading(log, "static") as reader:
        if trusted and names == ("127.0.0.1",):
            head = await reader.head()
            assert (await reader.seed(head)).root() == head.root
            return
        with pytest.raises(Unavailable, match="TLS: ") as refused:
            await reader.head()
    assert refused.value.trouble == "unreachable"
    assert log.requests == []


async def test_a_connection_that_was_closed_meanwhile_is_replaced_without_a_pause(make_log: MakeLog) -> None:
    log = make_log()
    log.fill(10)
    async with reading(log, "static", replace(QUICK, attempts=1)) as reader:
        await reader.head()
        log.refuse()
        log.accept()
        assert (await reader.head()).size == 10
    assert log.connections == 2


class Time:
    """Loop time that passes when slept."""

    def __init__(self) -> None:
        self.now = 100.0
        self.slept: list[float] = []

    def __call__(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.slept.append(round(seconds, 3))
        self.now += seconds


def paced(**manners: Any) -> tuple[Pace, Time]:
    time = Time()
    return Pace(Manners(**manners), Random(1), time, time.sleep), time


async def test_requests_are_spaced() -> None:
    pace, time = paced(per_second=4.0)
    for _ in range(5):
        await pace.turn()
    assert time.now == pytest.approx(101.0)


async def test_pauses_double_with_jitter_up_to_a_limit_and_begin_anew_after_success() -> None:
    pace, time = paced(per_second=None, first_pause_s=1.0, longest_pause_s=8.0)
    for _ in range(6):
        pace.failed(await pace.turn(), None)
    await pace.turn()
    for slept, whole in zip(time.slept, (1, 2, 4, 8, 8, 8), strict=True):
        assert whole / 2 <= slept <= whole
    pace.went_well()
    pace.failed(await pace.turn(), None)
    await pace.turn()
    assert time.slept[-1] <= 1.0


async def test_what_the_server_asks_for_is_waited_for() -> None:
    pace, time = paced(per_second=None)
    pace.failed(await pace.turn(), 30.0)
    await pace.turn()
    assert time.now == pytest.approx(130.0)


async def test_a_storm_of_failures_counts_once() -> None:
    pace, time = paced(per_second=None, first_pause_s=1.0)
    began = [await pace.turn() for _ in range(4)]
    for each in began:
        pace.failed(each, None)
    await pace.turn()
    assert time.now <= 101.0


async def test_a_long_pause_is_the_callers_business() -> None:
    pace, time = paced(per_second=None, patience_s=60.0)
    pace.failed(await pace.turn(), 600.0)
    with pytest.raises(Unavailable) as paused:
        await pace.turn()
    assert paused.value.retry_after_s == pytest.approx(600.0)
    assert time.slept == []


@pytest.mark.parametrize(("said", "least", "most"), [("1", 0.9, 5.0), ("date", 0.0, 5.0), ("soon", 0.0, 1.0)])
async def test_both_forms_of_retry_after_are_read(said: str, least: float, most: float, make_log: MakeLog) -> None:
    import time

    log = make_log()
    log.fill(1)
    log.misbehave("checkpoint", does.too_many(formatdate(time.time() + 1, usegmt=True) if said == "date" else said))
    async with reading(log, "static", replace(QUICK, attempts=1)) as reader:
        with pytest.raises(Unavailable) as throttled:
            await reader.head()
    assert throttled.value.trouble == "throttled"
    assert least <= (throttled.value.retry_after_s or 0.0) <= most
