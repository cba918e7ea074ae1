"""`/tls check` from the slash to the thread, against the local workspace over Socket Mode."""

from __future__ import annotations

from tests.bot.conftest import Desk, said


async def test_a_check_becomes_a_headline_and_a_thread(desk: Desk) -> None:
    delivery = await desk.tls("check api.example.com")
    assert delivery.is_acked
    headline = await desk.headline("is broken")
    assert "`api.example.com`* is broken: the certificate expired 3 days ago" in said(headline)
    [details] = await desk.replies(headline, 1)
    assert "Renew the certificate" in said(details)
    assert "openssl s_client" in said(details)
    assert "192.0.2.7" in str(details["blocks"])


async def test_the_headline_says_checking_until_the_verdict_is_there(desk: Desk) -> None:
    desk.checker.gate.clear()
    await desk.tls("check api.example.com")
    headline = await desk.headline("Checking api.example.com")
    desk.checker.gate.set()
    changed = await desk.headline("is broken")
    assert changed["ts"] == headline["ts"]
    await desk.settled()
    assert len(desk.workspace.calls_of("chat.postMessage")) == 2
