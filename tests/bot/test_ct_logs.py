"""What logs do, told in channels: each misdeed once, with what proves it; trouble that many share in one message."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import pytest

from probes.ct.monitor import MOST_MALFORMED
from tests.bot.conftest import Desk, Json, said
from tests.bot.ct_desk import HABITS, begun, evidence_of, followed, rows, source, until
from tests.ct.certificates import Authority
from tests.ct.logserver import CtLog
from tests.ct.misbehaviour import status, too_many


@pytest.fixture
def logs() -> Iterator[tuple[CtLog, ...]]:
    with ExitStack() as stack:
        made = tuple(stack.enter_context(CtLog(name)) for name in ("sycamore", "willow", "elder", "hazel", "rowan"))
        for each in made:
            each.fill(3)
        yield made


async def state_of(desk: Desk) -> str:
    """What `ct status` says now."""
    await desk.tls("ct status")
    await desk.settled()
    return said(desk.workspace.whispers()[-1].message)


async def test_a_log_that_is_gone_before_its_end_is_a_gap(
    idle_desk: Desk, logs: tuple[CtLog, ...], tmp_path: Path
) -> None:
    desk, log = idle_desk, logs[0]
    await desk.start(ct=source(tmp_path, log.listed("static"), habits=replace(HABITS, gone_after_s=0.2)))
    await begun(desk, "example.test")
    log.misbehave("/tile/", status(404))
    log.fill(2)
    await until(lambda: rows(desk, "select promised from ct_positions") == [(5,)])
    log.misbehave("checkpoint", status(404))
    message = await desk.headline("CT log sycamore (static): a gap at the end")
    assert "the entries 3 to 4 are not verified" in said(message) and "another log, too" in said(message)
    file = json.loads(await evidence_of(desk, message))
    assert file["kind"] == "gap" and (file["evidence"]["from"], file["evidence"]["to"]) == (3, 5)
    assert "🔴 `sycamore (static)`" in await state_of(desk)


async def test_a_head_that_never_grows_younger_is_stale_until_it_does(
    idle_desk: Desk, logs: tuple[CtLog, ...], tmp_path: Path
) -> None:
    desk, log = idle_desk, logs[0]
    log.head_time_ms = int((time.time() - 3 * 3600) * 1000)
    await desk.start(ct=source(tmp_path, log.listed("static")))
    await begun(desk, "example.test")
    message = await desk.headline("no new head")
    assert "its newest tree head is 3 hours old" in said(message)
    assert "🟠 `sycamore (static)`" in await state_of(desk)
    log.head_time_ms = None
    await desk.workspace.wait_for(lambda: "is right again" in said(again(desk, message)))
    assert "🟢 *It is working*" in await state_of(desk)
    assert sum("no new head" in each["text"] for each in desk.bot_messages()) == 1


async def test_a_shrunken_log_is_told_with_both_heads_and_is_not_well(
    idle_desk: Desk, logs: tuple[CtLog, ...], tmp_path: Path
) -> None:
    desk, log = idle_desk, logs[0]
    await desk.start(ct=source(tmp_path, log.listed("rfc6962")))
    await begun(desk, "example.test")
    log.size = 2
    message = await desk.headline("a tree that shrank")
    assert "signed 3 entries first and only 2 later" in said(message) and "🔴" in said(message)
    file = json.loads(await evidence_of(desk, message))
    assert sorted(file["evidence"][name]["tree_size"] for name in ("head", "other_head")) == [2, 3]
    assert "🔴 `sycamore (rfc6962)`" in await state_of(desk)


async def test_an_inconsistent_log_is_told_while_its_names_are_still_seen(
    idle_desk: Desk, logs: tuple[CtLog, ...], tmp_path: Path
) -> None:
    desk, log = idle_desk, logs[0]
    await desk.start(ct=source(tmp_path, log.listed("static")))
    await begun(desk, "example.test")
    log.flipped = {3}
    log.fill(1)
    log.submit(Authority().issue("api.example.test"))
    message = await desk.headline("entries that it did not sign")
    assert "downloaded twice" in said(message)
    file = json.loads(await evidence_of(desk, message))
    assert file["evidence"]["computed_root"]
    issued = await desk.headline("certificate for api.example.test")
    assert "the log is inconsistent" in said(issued)
    log.flipped = set()
    await desk.workspace.wait_for(lambda: "is right again" in said(again(desk, message)))


async def test_trouble_that_many_logs_share_is_one_message(
    idle_desk: Desk, logs: tuple[CtLog, ...], tmp_path: Path
) -> None:
    desk = idle_desk
    old = int((time.time() - 3600) * 1000)
    for log in logs:
        log.head_time_ms = old
    await desk.start(ct=source(tmp_path, *(log.listed("static") for log in logs)))
    await begun(desk, "example.test", logs=5)
    message = await desk.headline("5 CT logs: no new head")
    assert all(f"`{log.name} (static)`" in said(message) for log in logs)
    assert "my own network may be the reason" in said(message)
    assert "🔴 *No log is well*" in await state_of(desk)
    logs[0].head_time_ms = None
    await desk.workspace.wait_for(lambda: "✅ `sycamore (static)`: right again" in said(again(desk, message)))
    for log in logs:
        log.head_time_ms = None
    await desk.workspace.wait_for(lambda: "all are right again" in said(again(desk, message)))
    await desk.settled()
    assert sum("no new head" in each["text"] for each in desk.bot_messages()) == 1


async def test_one_that_refuses_is_behind_and_the_others_go_on(
    idle_desk: Desk, logs: tuple[CtLog, ...], tmp_path: Path
) -> None:
    desk, (busy, other, *_) = idle_desk, logs
    await desk.start(ct=source(tmp_path, busy.listed("rfc6962"), other.listed("static")))
    await begun(desk, "example.test", logs=2)
    busy.misbehave("get-entries", too_many("60"))
    busy.fill(7)
    other.submit(Authority().issue("api.example.test"))
    await desk.headline("certificate for api.example.test")
    await until(lambda: rows(desk, "select max(promised - verified) from ct_positions") == [(7,)])
    told = await state_of(desk)
    assert "🟠 `sycamore (rfc6962)` · 3 entries verified · 7 behind" in told
    assert "🟢 `willow (static)` · 4 entries verified" in told and "1 with something to say" in told


async def test_an_unreadable_entry_without_a_watched_name_is_a_line_of_the_digest(
    idle_desk: Desk, logs: tuple[CtLog, ...], tmp_path: Path
) -> None:
    desk, log = idle_desk, logs[0]
    await desk.start(ct=source(tmp_path, log.listed("rfc6962")))
    await begun(desk, "example.test")
    log.add(b"\x30\x82\x01\x00no certificate, but www.example.test stands in it")
    log.add(b"\x30\x03\x02\x01\x01")
    message = await desk.headline("A log entry that may be a certificate for example.test cannot be read")
    assert "cannot be excluded" in said(message) and "This certificate alone" in said(message)
    assert "its CA" not in said(message) and "its key" not in said(message)
    await until(lambda: rows(desk, "select count(*) from ct_events where kind = 'malformed-entry'") == [(2,)])
    await desk.tls("digest now")
    assert "1 log entry could not be read" in said(await desk.headline("TLS digest"))


async def test_a_log_full_of_unreadable_entries_is_one_message(
    idle_desk: Desk, logs: tuple[CtLog, ...], tmp_path: Path
) -> None:
    desk, log = idle_desk, logs[0]
    await desk.start(ct=source(tmp_path, log.listed("static")))
    await begun(desk, "example.test")
    for number in range(MOST_MALFORMED + 25):
        log.add(b"\x30\x82" + number.to_bytes(2))
    log.submit(Authority().issue("api.example.test"))
    message = await desk.headline("CT log sycamore (static): many certificates that cannot be read")
    assert f"more than {MOST_MALFORMED} of its entries in a day" in said(message)
    await desk.headline("certificate for api.example.test")
    await desk.settled()
    count = "select count(*) from ct_events where kind = 'malformed-entry'"
    assert rows(desk, count) == [(MOST_MALFORMED,)]
    assert len([each for each in desk.bot_messages() if "CT log" in each["text"]]) == 1
    assert "malformed" in await state_of(desk)


async def test_a_retired_log_that_was_read_to_its_end_is_silent(
    idle_desk: Desk, logs: tuple[CtLog, ...], tmp_path: Path
) -> None:
    desk, (ending, other, *_) = idle_desk, logs
    settings = source(
        tmp_path, ending.listed("static", "readonly", final_size=3), other.listed("static"),
        habits=replace(HABITS, gone_after_s=0.2),
    )  # fmt: skip
    await desk.start(ct=settings)
    await begun(desk, "example.test", logs=1)
    await followed(desk, 2)
    ending.misbehave("/", status(404))
    other.submit(Authority().issue("api.example.test"))
    await desk.headline("certificate for api.example.test")
    await desk.settled()
    assert not [each for each in desk.bot_messages() if "CT log" in each["text"]]


def again(desk: Desk, message: Json) -> Json:
    """The message as it stands now."""
    return next(each for each in desk.bot_messages() if each["ts"] == message["ts"])
