"""Certificate Transparency in the local workspace: the real follower in its own process, logs of our own on loopback."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.bot.conftest import Desk, said
from tests.bot.ct_desk import begun, issuance, issuances, source
from tests.ct.certificates import Authority
from tests.ct.logserver import CtLog


@pytest.fixture
def log() -> Iterator[CtLog]:
    with CtLog() as each:
        each.fill(3)
        yield each


async def test_an_issuance_that_nobody_asked_for_is_told_once(idle_desk: Desk, log: CtLog, tmp_path: Path) -> None:
    desk = idle_desk
    await desk.start(ct=source(tmp_path, log.listed("rfc6962")))
    await begun(desk, "example.test")
    pair = Authority().issue("api.example.test")
    log.submit(pair)
    message = await issuance(desk, "api.example.test")
    assert "Example Trust" in said(message)
    log.submit(pair, final=True)
    log.submit(pair)
    await issuance(desk, "could not be looked up")
    await desk.settled()
    assert len(issuances(desk)) == 1
