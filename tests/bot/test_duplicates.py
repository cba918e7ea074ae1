"""Every payload twice: one effect."""

from __future__ import annotations

import pytest

from bot.render import report
from tests.bot.conftest import Desk


@pytest.fixture(params=["deliver_twice", "deliver_to_all"])
def twice(request: pytest.FixtureRequest, desk: Desk) -> Desk:
    setattr(desk.workspace.faults, request.param, True)
    return desk


async def test_a_command_delivered_twice_is_one_check(twice: Desk) -> None:
    await twice.tls("check api.example.com")
    headline = await twice.headline("is broken")
    await twice.replies(headline, 2)
    await twice.settled()
    assert len(twice.checker.asked) == 1
    assert len(twice.bot_messages()) == 3


async def test_a_mention_delivered_twice_is_one_check(twice: Desk) -> None:
    ws = twice.workspace
    await ws.mention(ws.me, ws.incidents, "check api.example.com")
    await twice.replies(await twice.headline("is broken"), 2)
    await twice.settled()
    assert len(twice.checker.asked) == 1


async def test_a_press_delivered_twice_is_one_run(twice: Desk) -> None:
    await twice.tls("check api.example.com")
    headline = await twice.headline("is broken")
    await twice.replies(headline, 2)
    await twice.settled()
    await twice.workspace.click(headline, report.AGAIN)
    await twice.replies(headline, 3)
    await twice.settled()
    assert len(twice.checker.asked) == 2
    assert len(twice.bot_messages()) == 4


async def test_an_answer_delivered_twice_is_shown_once(twice: Desk) -> None:
    await twice.tls("help")
    await twice.settled()
    assert len(twice.answers()) == 1


async def test_an_event_whose_ack_was_lost_comes_again_and_does_nothing_new(desk: Desk) -> None:
    ws = desk.workspace
    ws.faults.lose_acks = 1
    await ws.mention(ws.me, ws.incidents, "check api.example.com")
    await desk.headline("is broken")
    await ws.settled()
    await desk.settled()
    assert len(desk.checker.asked) == 1
