"""What a connection leaves behind, and what a second one makes of it, over loopback TCP against OpenSSL."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

from probes.lab.tls import Terms, serving, terms
from probes.model import Alerted, Completed, Endpoint, Handshake, Offer
from probes.net.handshake import LATE_ALERT_MAX_S, shake
from probes.plan import EARLY, RESUME
from tests import pki
from tests.net.peers import OpenSsl, openssl_context, served

LEAF, CA, _ = pki.chain()
MODERN = Offer(
    purpose="modern",
    server_name="healthy.test",
    versions=(0x0304, 0x0303),
    ciphers=(0x1301, 0x1302, 0xC02B, 0xC02F),
    groups=(0x001D, 0x0017),
    signature_algorithms=(0x0403, 0x0804, 0x0401),
    key_shares=(0x001D,),
    until="finished",
)
CLOCK = replace(MODERN, purpose="http", alpn=("http/1.1",), ask_http=True)
TLS12 = replace(MODERN, purpose="tls12", versions=(0x0303,), key_shares=())


async def make(offer: Offer, endpoint: Endpoint) -> Handshake:
    deadline = asyncio.get_running_loop().time() + 10
    return await shake(endpoint, offer, permit=None, deadline=deadline, patience_s=5)


@asynccontextmanager
async def server(**changes: object) -> AsyncIterator[Endpoint]:
    async with served(serving(healthy(**changes))) as endpoint:
        yield endpoint


def healthy(**changes: object) -> Terms:
    return terms(LEAF, CA, **changes)


def again(seen: Handshake, which: int = 0, **changes: object) -> Offer:
    return replace(seen.offer, purpose=RESUME, ask_http=False, session=seen.sessions[which], **changes)  # type: ignore[arg-type]


@pytest.mark.parametrize("offer", [MODERN, CLOCK, TLS12], ids=lambda offer: offer.purpose)
async def test_a_session_is_kept_and_resumes(offer: Offer) -> None:
    async with server() as endpoint:
        first = await make(offer, endpoint)
        assert first.sessions and first.resumed is None
        second = await make(again(first), endpoint)
    assert second.outcome == Completed() and second.resumed is True
    assert second.finished_ok and second.certificates == ()
    assert second.alpn == first.alpn and second.cipher == first.cipher


async def test_a_session_knows_what_it_came_of() -> None:
    async with server() as endpoint:
        before = asyncio.get_running_loop().time()
        new = (await make(CLOCK, endpoint)).sessions[0]
        old = (await make(replace(TLS12, alpn=("http/1.1",)), endpoint)).sessions[0]
        after = asyncio.get_running_loop().time()
    assert (new.version, old.version) == (0x0304, 0x0303)
    assert new.lifetime_s == old.lifetime_s == 7200
    assert new.alpn == old.alpn == "http/1.1"
    assert old.extended_master_secret and not new.extended_master_secret
    assert before <= new.obtained_s <= after
    assert repr(new.secret) not in repr(new)


@pytest.mark.parametrize("offer", [MODERN, TLS12], ids=lambda offer: offer.purpose)
async def test_another_server_s_ticket_is_refused_and_leaves_fresh_ones(offer: Offer) -> None:
    async with server() as one, server() as other:
        first = await make(offer, one)
        second = await make(again(first), other)
    assert second.outcome == Completed() and second.resumed is False
    assert second.certificates and second.sessions
    assert not set(second.sessions) & set(first.sessions)


async def test_a_resumed_connection_is_left_at_once() -> None:
    async with server() as endpoint:
        first = await make(MODERN, endpoint)
        began = asyncio.get_running_loop().time()
        await make(again(first), endpoint)
        assert asyncio.get_running_loop().time() - began < LATE_ALERT_MAX_S


async def test_a_silent_server_is_waited_for_a_moment_only() -> None:
    """In TLS 1.3 tickets come after the Finished, one round trip on, or never; here a box swallows what comes then."""
    async with served(lambda: _OneFlight(openssl_context(LEAF, CA))) as endpoint:
        began = asyncio.get_running_loop().time()
        seen = await make(MODERN, endpoint)
        took_s = asyncio.get_running_loop().time() - began
    assert seen.outcome == Completed() and seen.finished_ok and seen.sessions == ()
    assert took_s < 4 * LATE_ALERT_MAX_S


class _OneFlight(OpenSsl):
    """Sends its first flight, and nothing any more."""

    def _flush(self) -> None:
        if not self._sent:
            super()._flush()
        self._sent = True

    _sent = False


async def test_early_data_is_accepted_and_answered() -> None:
    async with server(early_data=16_384) as endpoint:
        first = await make(CLOCK, endpoint)
        assert first.sessions[0].max_early_data == 16_384
        second = await make(replace(again(first, early_data=True), purpose=EARLY), endpoint)
    assert second.outcome == Completed() and second.resumed is True
    assert second.early_data == "accepted"
    assert second.http is not None and second.http.status == 200


async def test_early_data_is_skipped_where_it_is_refused() -> None:
    async with server(early_data=16_384) as one, server(early_data=16_384) as other:
        first = await make(CLOCK, one)
        second = await make(replace(again(first, early_data=True), purpose=EARLY), other)
    assert second.outcome == Completed() and second.resumed is False
    assert second.early_data == "rejected" and second.certificates
    assert second.http is None


async def test_a_server_that_lost_its_context_breaks_off_the_second_visit() -> None:
    """OpenSSL without a session id context, where clients are verified."""
    lost = {"clients": "optional", "clients_ca": CA.certificate, "session_context": b""}
    async with server(**lost) as endpoint:
        first = await make(CLOCK, endpoint)
        assert first.outcome == Completed() and first.sessions
        second = await make(again(first), endpoint)
        third = await make(replace(again(first), session=None), endpoint)
    assert isinstance(second.outcome, Alerted) and not second.resumed
    assert third.outcome == Completed()


async def test_an_offer_that_keeps_no_sessions_waits_for_none() -> None:
    async with server() as endpoint:
        seen = await make(replace(MODERN, purpose="small", until="certificate"), endpoint)
    assert seen.sessions == ()
