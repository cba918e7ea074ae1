"""Our own faults before an acknowledgement: answered with an error id, never left to Slack's own words."""

from __future__ import annotations

import asyncio
import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager

import pytest

from bot.render import report
from tests.bot.conftest import Desk, said


@contextmanager
def failing_memory(desk: Desk) -> Iterator[None]:
    """The table of requests is away: storing one fails."""
    with closing(sqlite3.connect(desk.database, timeout=5)) as beside:
        beside.execute("alter table intakes rename to away")
        yield
        beside.execute("alter table away rename to intakes")


async def test_a_command_that_cannot_be_stored_is_answered_and_nothing_starts(
    desk: Desk, caplog: pytest.LogCaptureFixture
) -> None:
    with failing_memory(desk):
        delivery = await desk.tls("check api.example.com")
    assert delivery.is_acked
    whisper = await desk.whisper("my fault, not yours")
    error_id = re.search(r"error id `([0-9a-f]{8})`", said(whisper.message))
    assert error_id is not None
    assert error_id[1] in caplog.text
    assert desk.checker.asked == []


async def test_a_press_that_cannot_be_stored_is_answered(desk: Desk) -> None:
    await desk.tls("check api.example.com")
    headline = await desk.headline("is broken")
    await desk.replies(headline, 2)
    await desk.settled()
    with failing_memory(desk):
        delivery = await desk.workspace.click(headline, report.AGAIN)
    assert delivery.is_acked
    await desk.whisper("my fault, not yours")
    assert len(desk.checker.asked) == 1


async def test_a_mention_that_cannot_be_stored_stays_unacknowledged_and_comes_again(desk: Desk) -> None:
    ws = desk.workspace
    ws.courier.retry_delays_s = (0.2, 0.2, 0.2)
    with failing_memory(desk):
        await ws.mention(ws.me, ws.incidents, "check api.example.com")
        await ws.wait_for(lambda: any(each.failure for each in ws.courier.log))
    await desk.headline("is broken")
    assert len(desk.checker.asked) == 1


async def test_the_outbox_outlives_a_fault_of_the_disk(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("bot.service._AGAIN_S", 0.05)
    await desk.tls("check api.example.com")
    await desk.headline("is broken")
    await desk.settled()
    with closing(sqlite3.connect(desk.database)) as database:
        database.execute("alter table outbox rename to away")
        assert desk.outbox is not None
        desk.outbox.wake()
        async with asyncio.timeout(10):
            while "part=outbox ended by a fault" not in caplog.text:
                await asyncio.sleep(0.01)
        database.execute("alter table away rename to outbox")
    await desk.tls("check second.example.com")
    await desk.headline("second.example.com is broken")


async def test_an_unknown_event_is_acknowledged_and_ignored(desk: Desk) -> None:
    ws = desk.workspace
    delivery = ws.courier.event(
        {
            "type": "event_callback",
            "event_id": "Ev1",
            "team_id": ws.team.id,
            "event": {"type": "team_join", "user": ws.me},
        }
    )
    await ws.wait_for(lambda: delivery.is_acked)
    assert ws.notices == []
