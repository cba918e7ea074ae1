"""Following over time: tails of tiled logs, logs that come back, lists that change, faults of our own."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import closing

import pytest

from probes.ct.loglist import LogList
from probes.ct.monitor import Event
from probes.ct_follow import Habits, ListChange, Status, Told
from probes.ct_store import Found
from probes.net.logfetch import Unavailable
from tests.ct import misbehaviour as does
from tests.ct.conftest import MakeLog
from tests.ct.following import Clock, Heard, Watcher, parsed
from tests.ct.logserver import Listed, Protocol
from tests.ct.test_faults import both, grow

TAIL = Habits(from_start=True, poll_s=0.01, partial_wait_s=60.0, gone_after_s=600.0, reload_s=0.02)


async def until(
    watcher: Watcher,
    *listed: Listed,
    ends: Callable[[Told], bool],
    habits: Habits = TAIL,
    reload: Callable[[], object] | None = None,
) -> Heard:
    """Follow, without end, until *ends* says so of something told."""
    over = asyncio.Event()

    def also(told: Told) -> None:
        if ends(told):
            over.set()

    following = asyncio.create_task(watcher.follow(*listed, habits=habits, also=also, reload=reload))  # type: ignore[arg-type]
    ended = asyncio.create_task(over.wait())
    async with asyncio.timeout(20):
        await asyncio.wait({following, ended}, return_when=asyncio.FIRST_COMPLETED)
    ended.cancel()
    following.cancel()
    await asyncio.wait({following, ended})
    if not following.cancelled() and (error := following.exception()) is not None:
        raise error
    return watcher.heard


async def test_the_last_tile_is_left_alone_for_a_while_and_not_for_ever(
    make_log: MakeLog, watcher: Watcher, clock: Clock
) -> None:
    log = make_log()
    early, late = grow(log, "early", 300), grow(log, "late", 100)
    looks = 0

    def ends(told: Told) -> bool:
        nonlocal looks
        if isinstance(told, Status):
            looks += 1
            if looks == 6:
                assert told.downloaded == 256
                assert not any("tile/data/001" in path for path in log.requests)
                clock.move(seconds=61)
        return isinstance(told, Found) and told.issuance.tbs_sha256 == late

    heard = await until(watcher, log.listed("static"), ends=ends)
    assert heard.identities == [early, late]
    assert sum("tile/data/001.p/146" in path for path in log.requests) == 1


async def test_a_match_in_a_whole_tile_does_not_wait_for_the_last_one(make_log: MakeLog, watcher: Watcher) -> None:
    log = make_log()
    wanted = grow(log, "early", 300)
    heard = await until(watcher, log.listed("static"), ends=lambda told: isinstance(told, Found))
    assert heard.identities == [wanted]
    assert heard.found[0].verified
    assert any("/tile/0/" in path for path in log.requests)  # it was proved by itself


@both
async def test_a_log_that_comes_back_goes_on_where_it_was(
    protocol: Protocol, make_log: MakeLog, watcher: Watcher, clock: Clock
) -> None:
    log = make_log()
    first = grow(log, "a", 256)
    second: list[str] = []
    back: list[bool] = []

    def ends(told: Told) -> bool:
        if isinstance(told, Found) and told.issuance.tbs_sha256 == first:
            clock.move(minutes=5)
            log.refuse()
            second.append(grow(log, "b", 300))
        if isinstance(told, Status) and told.trouble and not back:
            clock.move(minutes=5)
            log.accept()
            back.append(True)
        return isinstance(told, Found) and told.issuance.tbs_sha256 in second

    heard = await until(watcher, log.listed(protocol), ends=ends)
    assert heard.identities == [first, *second]


@both
async def test_a_log_that_answers_404_for_long_is_gone_with_a_gap_and_may_come_back(
    protocol: Protocol, make_log: MakeLog, watcher: Watcher, clock: Clock
) -> None:
    log = make_log()
    first = grow(log, "a", 255)
    more: list[str] = []

    def ends(told: Told) -> bool:
        if isinstance(told, Found) and not more:
            log.misbehave("/tile/data/" if protocol == "static" else "get-entries", does.status(404))
            more.append(grow(log, "b", 300))  # of which only the head will be seen
        if isinstance(told, Status) and told.trouble and "gap" not in watcher.heard.kinds:
            log.misbehave("/", does.status(404))
            clock.move(minutes=6)
        if isinstance(told, Event) and told.kind == "gap":
            log.behave()
        return isinstance(told, Found) and told.issuance.tbs_sha256 in more

    heard = await until(watcher, log.listed(protocol), ends=ends)
    assert heard.identities == [first, *more]
    assert [kind for kind in heard.kinds if kind in ("gap", "resumed")][:2] == ["gap", "resumed"]


async def test_an_inconsistent_log_is_read_anew_and_heals(make_log: MakeLog, watcher: Watcher, clock: Clock) -> None:
    log = make_log()
    wanted = grow(log, "a", 511)
    log.flipped = {3}

    def ends(told: Told) -> bool:
        if isinstance(told, Event) and told.kind == "inconsistent":
            log.flipped = set()
            clock.move(minutes=11)
            log.fill(256)
        return isinstance(told, Event) and told.evidence.get("was") == "inconsistent"

    heard = await until(watcher, log.listed("static"), ends=ends)
    assert [kind for kind in heard.kinds if kind != "stale-head"] == ["inconsistent", "resumed"]
    assert heard.identities == [wanted]


async def test_a_log_that_stalls_for_ever_delays_no_other(make_log: MakeLog, watcher: Watcher) -> None:
    bad, good = make_log("bad"), make_log("good")
    grow(bad, "a", 300)
    wanted = grow(good, "b", 256)
    bad.misbehave("/", does.hang)
    heard = await until(watcher, bad.listed("static"), good.listed("static"), ends=lambda told: isinstance(told, Found))
    assert heard.identities == [wanted]


async def test_logs_come_and_go_with_the_list(make_log: MakeLog, watcher: Watcher) -> None:
    one, two = make_log("one"), make_log("two")
    first, second = grow(one, "a", 255), grow(two, "b", 255)
    lists = [[one.listed("static")], [one.listed("static"), two.listed("rfc6962")]]

    async def reload() -> LogList:
        return parsed(*lists[-1])

    heard = await until(
        watcher,
        *lists[0],
        ends=lambda _: {first, second} <= set(watcher.heard.identities),
        reload=reload,
    )
    assert set(heard.identities) == {first, second}
    assert heard.changes == ["two (rfc6962): new, usable"]


async def test_a_list_that_cannot_be_had_changes_nothing(make_log: MakeLog, watcher: Watcher) -> None:
    log = make_log()
    grow(log, "a", 255)

    async def reload() -> LogList:
        raise Unavailable("timeout", "no answer")

    more: list[str] = []

    def ends(told: Told) -> bool:
        if isinstance(told, ListChange) and not more:
            more.append(grow(log, "b", 255))
        return isinstance(told, Found) and told.issuance.tbs_sha256 in more

    heard = await until(watcher, log.listed("static"), ends=ends, reload=reload)
    assert "cannot be read: no answer" in heard.changes[0]


async def test_a_log_with_another_address_is_followed_there(make_log: MakeLog, watcher: Watcher) -> None:
    log, elsewhere = make_log(), make_log()
    first = grow(log, "a", 255)
    elsewhere.key, elsewhere.listed_key, elsewhere.history = log.key, log.listed_key, log.history
    lists = [[log.listed("static")]]
    more: list[str] = []

    async def reload() -> LogList:
        return parsed(*lists[-1])

    def ends(told: Told) -> bool:
        if isinstance(told, Found) and not more:
            log.refuse()
            more.append(grow(elsewhere, "b", 255))
            lists.append([elsewhere.listed("static")])
        return isinstance(told, Found) and told.issuance.tbs_sha256 in more

    heard = await until(watcher, *lists[0], ends=ends, reload=reload)
    assert heard.identities == [first, *more]
    assert any("address" in change for change in heard.changes)


async def test_a_fault_of_ours_in_one_log_is_logged_and_the_other_goes_on(
    make_log: MakeLog, watcher: Watcher, caplog: pytest.LogCaptureFixture
) -> None:
    bad, good = make_log("bad"), make_log("good")
    grow(bad, "a", 30)
    wanted = grow(good, "b", 30)
    match = watcher.watch.match

    class Failing:
        def __getattr__(self, name: str) -> object:
            return getattr(watcher_watch, name)

        def match(self, names: object) -> object:
            if any(b"a." in name for name in names.dns):  # type: ignore[attr-defined]
                raise ZeroDivisionError
            return match(names)  # type: ignore[arg-type]

    watcher_watch, watcher.watch = watcher.watch, Failing()  # type: ignore[assignment]
    heard = await watcher.look(bad.listed("static"), good.listed("static"))
    assert heard.identities == [wanted]
    assert "ZeroDivisionError" in heard.troubles["bad"]
    assert "ZeroDivisionError" in caplog.text


async def test_a_tile_that_stays_undecodable_is_named_and_since_when(
    make_log: MakeLog, watcher: Watcher, clock: Clock
) -> None:
    log = make_log()
    before, hidden = grow(log, "a", 256), grow(log, "b", 300)
    log.misbehave("/tile/data/001", does.garbage)
    quick = Habits(from_start=True, poll_s=0.01, partial_wait_s=0.0)
    heard = await until(watcher, log.listed("static"), habits=quick, ends=lambda told: _moves(told, clock))
    [event] = [event for event in heard.events if event.kind == "unreadable"]
    assert "its entries from 256 on (tile/data/001) cannot be had since 2026-11-22 06:00 UTC" in event.text
    assert "(data tile 1: " in event.text
    assert "cannot be excluded" in event.text
    assert event.evidence["head"]["tree_size"] == 558
    with closing(watcher.store()) as store:
        [position] = store.positions.values()
    assert position.trouble is not None
    assert position.trouble.what == "its entries from 256 on (tile/data/001)"
    log.behave()
    healed = await watcher.look(log.listed("static"))
    assert "is there now" in " ".join(event.text for event in healed.events if event.kind == "resumed")
    assert watcher.heard.identities == [before, hidden]


def _moves(told: Told, clock: Clock) -> bool:
    """Ten minutes pass with each look, until it is told."""
    if isinstance(told, Status) and told.trouble:
        clock.move(minutes=10)
    return isinstance(told, Event) and told.kind == "unreadable"
