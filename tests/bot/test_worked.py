"""When something last worked, and what it was like then, also where only the watch had looked."""

from __future__ import annotations

import asyncio
import sqlite3
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from bot.model import Check
from bot.render import changes
from bot.sighting import as_it_was, sighting_of
from probes.model import Report
from tests.bot import reports
from tests.bot.conftest import Desk, said

OLD = reports.leaf(sha256="0" * 64, issuer="CN=R10,O=Let's Encrypt,C=US", not_after="2026-11-18T00:00:00Z")


def test_what_is_remembered_is_compared_and_nothing_else() -> None:
    old = reports.healthy(endpoints=(reports.endpoint(chain=(OLD,)), reports.endpoint("192.0.2.8", chain=(OLD,))))
    now = reports.broken(endpoints=(reports.endpoint(version="TLSv1.2", group="x25519", chain=(reports.leaf(),)),))
    was = as_it_was(sighting_of(old, kind="light"), {OLD.sha256: OLD}, now)
    told = changes.differences(was, now)
    assert [line.partition(":")[0] for line in told] == [
        "Verdict",
        "Cause",
        "Gone addresses",
        "New leaf certificate",
        "Issuer",
        "Expiry",
        "TLS version",
    ]


def test_a_chain_that_was_forgotten_is_no_difference() -> None:
    old, now = reports.healthy(endpoints=(reports.endpoint(chain=(OLD,)),)), reports.healthy()
    assert changes.differences(as_it_was(sighting_of(old, kind="full"), {}, now), now) == []


@pytest.mark.parametrize("seen_by", ["the watch", "a later check"])
async def test_an_incident_of_the_watch_knows_what_it_was_like(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, seen_by: str
) -> None:
    monkeypatch.setattr("bot.alarms.GATHERED_S", 0.05)
    newer = reports.leaf(sha256="1" * 64, issuer="CN=Other CA")
    is_broken = False

    def answer(check: Check) -> Report:
        if is_broken:
            made = reports.broken(str(check.target), endpoints=(reports.endpoint(chain=(newer,)),))
        else:
            made = reports.healthy(str(check.target), endpoints=(reports.endpoint(chain=(OLD,)),))
        return replace(made, started_at=datetime.now(UTC))

    desk.checker.answer = answer
    await desk.tls("watch add api.example.com")
    await until_looked_at(desk)
    if seen_by == "a later check":
        await desk.tls("check api.example.com")
        await desk.settled()
    is_broken = True
    await desk.tls("watch sweep")
    root = await desk.headline("api.example.com is broken")
    await desk.settled()
    told = [said(reply) for reply in await desk.replies(root, 1) if "since it last worked" in said(reply)]
    assert len(told) == 1
    assert "New leaf certificate" in told[0] and "Other CA" in told[0]


async def test_a_second_certificate_is_kept_and_told_of(desk: Desk) -> None:
    rsa = reports.leaf(sha256="7" * 64, not_before="2026-06-01T00:00:00Z", not_after="2026-09-01T00:00:00Z")

    def answer(check: Check) -> Report:
        other = () if check.light else ((rsa,),)
        made = reports.healthy(str(check.target), endpoints=(reports.endpoint(other_chains=other),))
        return replace(made, started_at=datetime.now(UTC))

    desk.checker.answer = answer
    await desk.tls("watch add api.example.com")
    await until_looked_at(desk)
    with sqlite3.connect(desk.database) as database:
        assert database.execute("select count(*) from leaves where sha256 = ?", (rsa.sha256,)).fetchone() == (1,)
        ((body,),) = database.execute("select body from sightings where body like '%others%'").fetchall()
    assert rsa.sha256 in body
    with sqlite3.connect(desk.database) as database:  # the drift is believed by the next full look
        database.execute("update lookouts set full_at = full_at - 86400, told_at = told_at - 7200")
    await desk.stop()
    await desk.start()
    told = await desk.headline("second certificate")
    assert "for older clients, ended on 2026-09-01" in said(told)


async def until_looked_at(desk: Desk) -> None:
    def full() -> bool:
        with sqlite3.connect(desk.database) as database:
            return bool(database.execute("select 1 from looks where kind = 'full'").fetchall())

    async def there() -> None:
        while not full():
            await asyncio.sleep(0.02)

    await asyncio.wait_for(there(), 20)
