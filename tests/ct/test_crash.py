"""A crash, wherever it falls, skips no entry and announces none twice."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import pytest

from probes.ct_store import BadState, FileStore
from tests.ct import misbehaviour as does
from tests.ct.conftest import MakeLog
from tests.ct.following import WATCHED, Clock, Watcher
from tests.ct.logserver import CtLog, Protocol, log_list
from tests.ct.test_faults import both, grow


class Crash(BaseException):
    """The process is no more: nothing catches it but the test."""


class Fuse:
    """Crashes at the *at*-th of the operations that make a commit durable, before or after it is done."""

    def __init__(self, patch: pytest.MonkeyPatch, at: int, *, after: bool) -> None:
        self._left, self._after = at, after
        self.blown = False
        patch.setattr(os, "fsync", self._burning(os.fsync))
        patch.setattr(Path, "replace", self._burning(Path.replace))

    def _burning(self, operation: Callable[..., Any]) -> Callable[..., Any]:
        def burn(*args: object) -> object:
            self._left -= 1
            if self._left == 0 and not self._after:
                self._blow()
            result = operation(*args)
            if self._left == 0:
                self._blow()
            return result

        return burn

    def _blow(self) -> None:
        self.blown = True
        raise Crash


@both
@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
async def test_a_crash_at_any_point_of_a_commit_loses_and_repeats_nothing(
    after: bool, protocol: Protocol, make_log: MakeLog, tmp_path: Path, clock: Clock
) -> None:
    log = make_log(batch=64)
    wanted = [grow(log, name, 160) for name in "ab"]
    crashes = 0
    for at in range(1, 200):
        folder = tmp_path / str(at)
        folder.mkdir()
        watcher = Watcher(folder, clock)
        with pytest.MonkeyPatch.context() as patch:
            fuse = Fuse(patch, at, after=after)
            try:
                await watcher.look(log.listed(protocol), commit_every=64)
            except BaseExceptionGroup as group:
                assert group.split(Crash)[1] is None
        crashes += fuse.blown
        if fuse.blown:
            _tear(folder)
        await watcher.look(log.listed(protocol), commit_every=64)
        assert sorted(watcher.announced()) == sorted(wanted), f"after a crash at operation {at}"
        if not fuse.blown:
            break
    assert crashes >= 6


def _tear(folder: Path) -> None:
    """What a write that was under way may leave behind."""
    with (folder / "state.json.findings").open("ab") as file:
        file.write(b'{"schema": 1, "type": "iss')
    (folder / "state.json.new").write_text('{"version": 1, "findi')


async def test_findings_that_were_removed_are_missed(make_log: MakeLog, watcher: Watcher) -> None:
    log = make_log()
    grow(log, "a")
    await watcher.look(log.listed("static"))
    watcher.path.with_name("state.json.findings").write_text("")
    with pytest.raises(BadState, match="findings were removed"):
        watcher.store()


async def test_a_second_process_is_refused(watcher: Watcher, clock: Clock) -> None:
    first = watcher.store()
    with pytest.raises(BadState, match="in use"):
        watcher.store()
    first.close()
    watcher.store().close()


@pytest.mark.parametrize("content", ["", "{", "[]", '{"version": 9}', "\x00" * 50])
def test_a_state_that_is_none_is_refused(content: str, tmp_path: Path, clock: Clock) -> None:
    (tmp_path / "state.json").write_text(content)
    store = FileStore(tmp_path / "state.json", clock.now)
    with pytest.raises(BadState):
        store.open(for_writing=True)
    store.close()


async def test_a_full_disk_stops_nothing_for_good(
    make_log: MakeLog, watcher: Watcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = make_log()
    wanted = grow(log, "a", 300)

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        heard = await watcher.look(log.listed("static"))
    assert "No space left" in heard.troubles["sycamore"]
    assert heard.identities == []
    assert (await watcher.look(log.listed("static"))).identities == [wanted]


async def test_kill_minus_9_skips_and_repeats_nothing(tmp_path: Path) -> None:
    await _killed_again_and_again(tmp_path, times=2)


@pytest.mark.soak
async def test_ten_kill_minus_9_skip_and_repeat_nothing(tmp_path: Path) -> None:
    await _killed_again_and_again(tmp_path, times=10)


async def _killed_again_and_again(folder: Path, *, times: int) -> None:
    rng = Random(times)
    wanted: list[str] = []
    with CtLog("tiles") as tiles, CtLog("classic", batch=16) as classic:
        (folder / "logs.json").write_text(json.dumps(log_list(tiles.listed("static"), classic.listed("rfc6962"))))
        for life in range(times):
            process = await _tls(folder, "--poll", "0.02", "--json", "--rate", "0")
            assert process.stdout is not None
            for number in range(8):
                wanted += [grow(log, f"{log.name}{life}-{number}", rng.randrange(4, 60)) for log in (tiles, classic)]
                if number % 4 == 3:
                    await process.stdout.readline()  # something was found, so it is at work
            await asyncio.sleep(rng.random() / 5)  # to be killed at no particular moment
            process.kill()
            await process.communicate()
        last = await _tls(folder, "--once", "--json")
        await last.communicate()
        assert last.returncode == 0
        sizes = {log.name: len(log.history.entries) for log in (tiles, classic)}
    store = FileStore(folder / "state.json", Clock().now)
    store.open(for_writing=False)
    findings = list(store.findings())
    assert sorted(line["tbs_sha256"] for line in findings if line["type"] == "issuance") == sorted(wanted)
    assert {line["type"] for line in findings} == {"issuance"}
    verified = {store.names[log_id]["description"].split()[0]: each for log_id, each in store.positions.items()}
    assert {name: position.verified_size for name, position in verified.items()} == sizes


async def _tls(folder: Path, *more: str) -> asyncio.subprocess.Process:
    files = ["--log-list", str(folder / "logs.json"), "--state", str(folder / "state.json")]
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "probes", "ct", "follow", *files, "--domain", WATCHED, "--from", "start", *more),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )


@both
async def test_what_was_found_before_a_failure_is_not_passed_over_when_the_failure_is_told(
    protocol: Protocol, make_log: MakeLog, watcher: Watcher, clock: Clock
) -> None:
    """An event is kept while a finding still waits for its proof: the position kept with it must be the older one."""
    log = make_log()
    grow(log, "a", 30)
    await watcher.look(log.listed(protocol))
    wanted = grow(log, "b", 40)
    log.fill(900)
    clock.move(days=3)
    log.head_time_ms = int(clock() * 1000)
    log.misbehave("/tile/data/002" if protocol == "static" else "get-entries?start=5", does.status(500))
    failed = await watcher.look(log.listed(protocol))
    assert failed.last["sycamore"].downloaded > 256
    assert (failed.identities, "lagging" in failed.kinds) == ([], True)
    log.behave()
    assert (await watcher.look(log.listed(protocol))).identities == [wanted]
