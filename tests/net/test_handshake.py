"""Offers made to real servers and to broken ones, over loopback TCP. Long: a test for each way in which one can end."""

from __future__ import annotations

import asyncio
import socket
import struct
import sys
import time
from dataclasses import replace
from datetime import UTC, datetime
from email.utils import format_datetime
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from OpenSSL import SSL

from probes.model import (
    Alerted,
    Completed,
    Dropped,
    Endpoint,
    Handshake,
    Malformed,
    NotTls,
    Offer,
    Stalled,
    Unreached,
)
from probes.net.egress import Permit
from probes.net.handshake import MAX_BYTES, hello_of, shake
from tests import pki
from tests.net.peers import (
    Action,
    OpenSsl,
    Raw,
    Respond,
    alert,
    listening,
    once,
    openssl_context,
    record,
    sends,
    served,
    server_hello,
    silent,
)

LEAF, CA, ROOT = pki.chain()
TLS13_OFFER = Offer(
    purpose="modern",
    server_name="healthy.test",
    versions=(0x0304, 0x0303),
    ciphers=(0x1301, 0x1302, 0xC02B, 0xC02F),
    groups=(0x001D, 0x0017),
    signature_algorithms=(0x0403, 0x0804, 0x0401),
    key_shares=(0x001D,),
    alpn=("h2", "http/1.1"),
    until="finished",
)
TLS12_OFFER = replace(TLS13_OFFER, purpose="tls12", versions=(0x0303,), key_shares=())
PATIENCE_S = 5.0
SHORT_S = 0.15  # where the test is about silence


async def make(
    offer: Offer,
    endpoint: Endpoint,
    *,
    permit: Permit | None = None,
    seconds: float = 10,
    patience_s: float = PATIENCE_S,
) -> Handshake:
    deadline = asyncio.get_running_loop().time() + seconds
    return await shake(endpoint, offer, permit=permit, deadline=deadline, patience_s=patience_s, crowd=3)


async def against(
    respond: Respond, offer: Offer = TLS13_OFFER, *, seconds: float = 10, patience_s: float = PATIENCE_S
) -> Handshake:
    async with listening(respond) as (endpoint, _):
        return await make(offer, endpoint, seconds=seconds, patience_s=patience_s)


async def against_openssl(context: SSL.Context, offer: Offer, answer: bytes = b"") -> Handshake:
    async with served(lambda: OpenSsl(context, answer)) as endpoint:
        return await make(offer, endpoint)


# ── what works ──────────────────────────────────────────────────────────────────


async def test_a_tls13_handshake_is_read_to_its_end() -> None:
    seen = await against_openssl(openssl_context(LEAF, CA, alpn=b"h2"), TLS13_OFFER)
    assert seen.outcome == Completed()
    assert (seen.version, seen.cipher, seen.group, seen.signature_scheme) == (0x0304, 0x1301, 0x001D, 0x0403)
    assert (seen.alpn, seen.hello_retry, seen.crowd) == ("h2", False, 3)
    assert seen.certificates == (LEAF.der, CA.der)
    assert (seen.signature_ok, seen.finished_ok) == (True, True)
    timing = seen.timing
    stages = [timing.tcp, timing.first_byte, timing.server_hello, timing.certificate, timing.finished]
    assert None not in stages
    assert stages == sorted(stages)  # type: ignore[type-var]


async def test_a_tls12_handshake_is_read_to_its_end() -> None:
    seen = await against_openssl(openssl_context(LEAF, CA, alpn=b"h2"), TLS12_OFFER)
    assert seen.outcome == Completed()
    assert (seen.version, seen.group, seen.signature_scheme, seen.alpn) == (0x0303, 0x001D, 0x0403, "h2")
    assert seen.certificates == (LEAF.der, CA.der)
    assert (seen.signature_ok, seen.finished_ok) == (True, True)


@pytest.mark.parametrize("offer", [TLS13_OFFER, TLS12_OFFER], ids=["tls13", "tls12"])
async def test_an_offer_goes_no_further_than_it_says(offer: Offer) -> None:
    context = openssl_context(LEAF, CA)
    certificate = await against_openssl(context, replace(offer, until="certificate"))
    hello = await against_openssl(context, replace(offer, until="server_hello"))
    assert certificate.outcome == hello.outcome == Completed()
    assert certificate.certificates == (LEAF.der, CA.der)
    assert (certificate.finished_ok, certificate.timing.finished) == (None, None)
    assert (hello.certificates, hello.timing.certificate) == ((), None)
    assert hello.version == offer.versions[0]


async def test_old_versions_are_offered_as_old_clients_do() -> None:
    offer = replace(TLS12_OFFER, versions=(0x0302, 0x0301), ciphers=(0xC009, 0xC013, 0x00FF), until="finished")
    assert hello_of(offer).signature_algorithms == ()
    assert hello_of(offer).legacy_version == 0x0302
    seen = await against_openssl(openssl_context(LEAF, CA, oldest=SSL.TLS1_VERSION), offer)
    assert (seen.outcome, seen.version, seen.finished_ok) == (Completed(), 0x0302, True)


async def test_a_hello_without_extensions_is_possible() -> None:
    offer = replace(
        TLS12_OFFER, versions=(0x0301,), ciphers=(0x002F,), groups=(), extensions=False, server_name=None, alpn=()
    )
    rsa = pki.leaf(CA, key_kind="rsa2048")
    seen = await against_openssl(openssl_context(rsa, CA, oldest=SSL.TLS1_VERSION), offer)
    assert (seen.outcome, seen.version, seen.finished_ok) == (Completed(), 0x0301, True)
    assert seen.hello_size < 60


@pytest.mark.parametrize("shares", [(), (0x001E,)], ids=["no share", "a share the server does not like"])
async def test_a_hello_retry_request_is_answered(shares: tuple[int, ...]) -> None:
    offer = replace(TLS13_OFFER, groups=(0x001E, 0x001D, 0x0017), key_shares=shares)
    seen = await against_openssl(openssl_context(LEAF, CA), offer)
    assert seen.outcome == Completed()
    assert seen.hello_retry
    assert seen.finished_ok


async def test_an_ipv6_endpoint_is_like_any_other() -> None:
    if not socket.has_ipv6:
        pytest.skip("this machine has no IPv6")
    context = openssl_context(LEAF, CA)
    async with served(lambda: OpenSsl(context), "::1") as endpoint:
        seen = await make(TLS13_OFFER, endpoint)
    assert (seen.outcome, seen.endpoint.address) == (Completed(), "::1")


async def test_a_staple_is_kept() -> None:
    for offer in (TLS13_OFFER, TLS12_OFFER):
        seen = await against_openssl(openssl_context(LEAF, CA, staple=b"0\x03\x0a\x01\x06"), offer)
        assert seen.staple == b"0\x03\x0a\x01\x06"


async def test_padding_and_size_are_as_sent() -> None:
    async with listening(once(Raw.fin)) as (endpoint, connections):
        small = await make(TLS13_OFFER, endpoint)
        padded = await make(replace(TLS13_OFFER, pad_to=1700), endpoint)
    assert [len(connection.received) for connection in connections] == [small.hello_size, padded.hello_size]
    assert 1700 <= padded.hello_size <= 1715 < small.hello_size + 1700


# ── client certificates ─────────────────────────────────────────────────────────


async def test_a_required_client_certificate_is_alert_116_after_our_finished() -> None:
    context = openssl_context(LEAF, CA, client_ca=ROOT, client_required=True)
    seen = await against_openssl(context, TLS13_OFFER)
    assert seen.outcome == Alerted(level=2, code=116, encrypted=True, awaiting="application_data")
    assert seen.certificate_request is not None
    assert seen.certificate_request.ca_names == (ROOT.certificate.subject.public_bytes(),)
    assert 0x0403 in seen.certificate_request.signature_algorithms
    assert seen.finished_ok


async def test_a_required_client_certificate_in_tls12_is_an_alert_before_finished() -> None:
    context = openssl_context(LEAF, CA, client_ca=ROOT, client_required=True)
    seen = await against_openssl(context, TLS12_OFFER)
    assert isinstance(seen.outcome, Alerted)
    assert (seen.outcome.code, seen.outcome.awaiting) == (40, "change_cipher_spec")
    assert seen.certificate_request is not None


@pytest.mark.parametrize("offer", [TLS13_OFFER, TLS12_OFFER], ids=["tls13", "tls12"])
async def test_an_optional_client_certificate_lets_us_through(offer: Offer) -> None:
    seen = await against_openssl(openssl_context(LEAF, CA, client_ca=ROOT), offer)
    assert seen.outcome == Completed()
    assert seen.certificate_request is not None


# ── the clock over HTTP ─────────────────────────────────────────────────────────

HTTP_OFFER = replace(TLS13_OFFER, alpn=("http/1.1",), ask_http=True)


@pytest.mark.parametrize("versions", [(0x0304, 0x0303), (0x0303,)], ids=["tls13", "tls12"])
async def test_the_clock_of_an_http_answer_is_read(versions: tuple[int, ...]) -> None:
    date = datetime(2020, 1, 1, tzinfo=UTC)
    answer = f"HTTP/1.1 301 Moved\r\nDate: {format_datetime(date, usegmt=True)}\r\nAge: 5\r\n\r\n".encode()
    before = datetime.now(UTC)
    seen = await against_openssl(openssl_context(LEAF, CA), replace(HTTP_OFFER, versions=versions), answer)
    assert seen.outcome == Completed()
    assert seen.http is not None
    assert (seen.http.status, seen.http.date, seen.http.age_s) == (301, date, 5)
    assert seen.http.skew_s is not None
    assert abs((date - before).total_seconds() - seen.http.skew_s) < 10


async def test_no_question_is_asked_in_h2() -> None:
    offer = replace(HTTP_OFFER, alpn=("h2", "http/1.1"))
    seen = await against_openssl(openssl_context(LEAF, CA, alpn=b"h2"), offer, b"HTTP/1.1 200 OK\r\n\r\n")
    assert (seen.outcome, seen.http) == (Completed(), None)


@pytest.mark.parametrize("answer", [b"", b"220 mail.test ESMTP\r\n", b"HTTP/1.1 200 OK\r\nDate: "])
async def test_no_whole_answer_leaves_the_handshake_complete(answer: bytes) -> None:
    seen = await against_openssl(openssl_context(LEAF, CA), HTTP_OFFER, answer)
    assert seen.outcome == Completed()
    assert seen.http is None or seen.http.date is None


async def test_an_alert_instead_of_an_answer_counts() -> None:
    context = openssl_context(LEAF, CA, client_ca=ROOT, client_required=True)
    seen = await against_openssl(context, HTTP_OFFER)
    assert isinstance(seen.outcome, Alerted)
    assert seen.outcome.code == 116


# ── how it can end ──────────────────────────────────────────────────────────────


async def test_rst_and_fin_are_told_apart() -> None:
    rst, fin = await against(once(Raw.rst)), await against(once(Raw.fin))
    assert rst.outcome == Dropped(kind="rst", awaiting="server_hello", received=0)
    assert fin.outcome == Dropped(kind="fin", awaiting="server_hello", received=0)
    assert rst.timing.tcp is not None
    assert rst.timing.first_byte is None


async def test_a_close_within_the_flight_counts_the_bytes() -> None:
    flight = server_hello(cipher=0xC02B)
    fin = await against(once(sends(flight), Raw.fin), TLS12_OFFER)
    partial = await against(once(sends(flight[:20]), Raw.fin), TLS12_OFFER)
    assert fin.outcome == Dropped(kind="fin", awaiting="certificate", received=len(flight))
    assert partial.outcome == Dropped(kind="fin", awaiting="server_hello", received=20)


async def test_data_before_a_reset_is_not_lost() -> None:
    flight = server_hello(cipher=0xC02B)

    def respond(server: Raw, data: bytes) -> None:
        if data:
            server.send(flight)
            server.transport.get_extra_info("socket").shutdown(socket.SHUT_WR)
            server.rst()

    seen = await against(respond, TLS12_OFFER)
    assert seen.version == 0x0303
    assert isinstance(seen.outcome, Dropped)
    assert (seen.outcome.awaiting, seen.outcome.received) == ("certificate", len(flight))


async def test_silence_is_a_stall_after_the_patience() -> None:
    seen = await against(silent, patience_s=SHORT_S)
    assert seen.outcome == Stalled(awaiting="server_hello", received=0)


async def test_a_flight_that_stops_midway_is_a_stall_with_its_bytes() -> None:
    flight = server_hello(cipher=0xC02B)
    seen = await against(once(sends(flight + b"\x16\x03\x03")), TLS12_OFFER, patience_s=SHORT_S)
    assert seen.outcome == Stalled(awaiting="certificate", received=len(flight) + 3)
    assert seen.version == 0x0303


async def test_silence_is_judged_from_the_last_byte_and_ends_with_the_deadline() -> None:
    flight = record(22, b"\x02\x00\x40\x00" + bytes(16384 - 4))
    loop = asyncio.get_running_loop()

    def drip(server: Raw, data: bytes) -> None:
        def drop(at: int) -> None:
            if not server.transport.is_closing():
                server.send(flight[at : at + 1])
                loop.call_later(SHORT_S / 10, drop, at + 1)

        if data:
            drop(0)

    began = loop.time()
    seen = await against(drip, seconds=0.5, patience_s=0.3)
    assert isinstance(seen.outcome, Stalled)
    assert seen.outcome.received > 3
    assert 0.4 < loop.time() - began < 4


@pytest.mark.parametrize("then", [Raw.rst, Raw.fin, lambda _: None], ids=["rst", "fin", "open"])
async def test_an_alert_is_the_alert_whatever_follows(then: Action) -> None:
    seen = await against(once(sends(alert(40)), then))
    assert seen.outcome == Alerted(level=2, code=40, encrypted=False, awaiting="server_hello")


async def test_an_alert_that_lies_unread_when_a_write_fails_is_the_alert() -> None:
    loop = asyncio.get_running_loop()

    def accept() -> None:
        connection, _ = listener.accept()
        loop.add_reader(connection, first_half, connection)

    def first_half(connection: socket.socket) -> None:
        loop.remove_reader(connection)
        # Both timers below are due when the loop comes back: the alert and the RST are out, then the client
        # writes the rest of its hello, before it gets to read.
        loop.call_later(0.001, time.sleep, 0.03)
        loop.call_later(0.002, alert_then_rst, connection)

    def alert_then_rst(connection: socket.socket) -> None:
        connection.sendall(alert(50))
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        connection.close()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        loop.add_reader(listener, accept)
        endpoint = Endpoint(address="127.0.0.1", port=listener.getsockname()[1])
        seen = await make(replace(TLS13_OFFER, split=True), endpoint)
        loop.remove_reader(listener)
    assert seen.outcome == Alerted(level=2, code=50, encrypted=False, awaiting="server_hello")


async def test_a_warning_lets_the_handshake_go_on() -> None:
    seen = await against(once(sends(alert(112, level=1) + server_hello(cipher=0xC02B)), Raw.fin), TLS12_OFFER)
    assert isinstance(seen.outcome, Dropped)
    assert seen.outcome.awaiting == "certificate"


@pytest.mark.parametrize("then", [Raw.rst, Raw.fin])
async def test_a_warning_with_a_close_behind_it_is_the_reason(then: Action) -> None:
    seen = await against(once(sends(alert(112, level=1)), then))
    assert seen.outcome == Alerted(level=1, code=112, encrypted=False, awaiting="server_hello")


async def test_close_notify_is_an_orderly_close() -> None:
    seen = await against(once(sends(alert(0, level=1))))
    assert seen.outcome == Dropped(kind="fin", awaiting="server_hello", received=7)


@pytest.mark.parametrize(
    ("greeting", "protocol"),
    [
        (b"HTTP/1.1 400 Bad Request\r\nServer: x\r\n\r\n", "http"),
        (b"SSH-2.0-OpenSSH_9.9\r\n", "ssh"),
        (b"220 mail.test ESMTP\r\n", "smtp"),
        (b"* OK IMAP4rev1\r\n", "imap"),
        (b"\xde\xad\xbe\xef" * 8, "unknown"),
    ],
)
async def test_other_protocols_are_named(greeting: bytes, protocol: str) -> None:
    def speaks_first(server: Raw, data: bytes) -> None:
        if not data:
            server.send(greeting)

    answered = await against(once(sends(greeting), Raw.fin))
    spoke_first = await against(speaks_first)
    assert isinstance(answered.outcome, NotTls)
    assert isinstance(spoke_first.outcome, NotTls)
    assert (answered.outcome.protocol, spoke_first.outcome.protocol) == (protocol, protocol)
    assert greeting.startswith(answered.outcome.first_bytes)


async def test_an_undecided_greeting_is_named_when_nothing_follows() -> None:
    seen = await against(once(sends(b"SSH-2.0-x")), patience_s=SHORT_S)
    assert isinstance(seen.outcome, NotTls)
    assert seen.outcome.protocol == "ssh"
    reset = await against(once(sends(b"SSH-2.0-x"), Raw.rst))
    assert isinstance(reset.outcome, NotTls | Dropped)


async def test_tls_that_breaks_its_rules_is_malformed() -> None:
    early = await against(once(sends(record(23, b"\0" * 40))))
    torn = await against(once(sends(server_hello(cipher=0xC02B) + b"\x63\x03\x03\x00\x01x")), TLS12_OFFER)
    assert isinstance(early.outcome, Malformed)
    assert early.outcome.awaiting == "server_hello"
    assert isinstance(torn.outcome, Malformed)
    assert torn.outcome.awaiting == "certificate"


@pytest.mark.parametrize(
    ("hello", "offer"),
    [
        (server_hello(cipher=0x0005), TLS12_OFFER),
        (server_hello(version=0x0302, cipher=0xC02B), TLS13_OFFER),
        (server_hello(version=0x0301, cipher=0xC02B), TLS12_OFFER),
    ],
    ids=["cipher", "version", "below the floor"],
)
async def test_a_choice_that_was_not_offered_is_malformed(hello: bytes, offer: Offer) -> None:
    seen = await against(once(sends(hello)), replace(offer, until="server_hello"))
    assert isinstance(seen.outcome, Malformed)
    assert "offered" in seen.outcome.why
    assert seen.outcome.awaiting == "server_hello"
    assert seen.cipher is not None  # what was chosen is evidence


async def test_a_flood_ends_at_a_limit() -> None:
    def flood(server: Raw, data: bytes) -> None:
        if data:
            server.send(record(22, bytes(16384)) * (MAX_BYTES // 16384 + 2))  # HelloRequests, which mean nothing

    seen = await against(flood, seconds=30)
    assert isinstance(seen.outcome, Malformed)
    assert "1 MB" in seen.outcome.why


async def test_a_reset_behind_a_whole_flight_is_complete() -> None:
    context = openssl_context(LEAF, CA)
    async with served(lambda: OpenSsl(context, rst_after_flight=True)) as endpoint:
        seen = await make(replace(TLS13_OFFER, until="certificate"), endpoint)
        finished = await make(TLS13_OFFER, endpoint)
    assert seen.outcome == finished.outcome == Completed()
    assert seen.certificates == (LEAF.der, CA.der)


# ── how the hello leaves ────────────────────────────────────────────────────────


async def test_a_split_hello_leaves_in_two_segments() -> None:
    def first_segment_only(server: Raw, data: bytes) -> None:
        if data and len(server.pieces) == 1:
            whole = len(data) == 5 + int.from_bytes(data[3:5])
            server.send(alert(40)) if whole else server.rst()

    async with listening(first_segment_only) as (endpoint, connections):
        whole = await make(TLS13_OFFER, endpoint)
        split = await make(replace(TLS13_OFFER, split=True), endpoint)
    assert isinstance(whole.outcome, Alerted)
    assert split.outcome == Dropped(kind="rst", awaiting="server_hello", received=0)
    assert connections[0].pieces == [whole.hello_size]
    assert connections[1].pieces[0] == split.hello_size // 2


async def test_a_split_hello_arrives_whole() -> None:
    context = openssl_context(LEAF, CA)
    seen = await against_openssl(context, replace(TLS13_OFFER, split=True))
    assert (seen.outcome, seen.finished_ok) == (Completed(), True)


# ── what never becomes a handshake ──────────────────────────────────────────────


async def test_a_closed_port_is_unreached() -> None:
    async with listening(silent) as (endpoint, _):
        pass
    assert (await make(TLS13_OFFER, endpoint)).outcome == Unreached(kind="refused", detail="ECONNREFUSED")


async def test_a_forbidden_address_is_not_knocked_at() -> None:
    async with listening(silent) as (endpoint, connections):
        seen = await make(TLS13_OFFER, endpoint, permit=lambda address, port: f"{address} is forbidden")
    assert seen.outcome == Unreached(kind="local", detail="127.0.0.1 is forbidden")
    assert connections == []


async def test_a_group_we_cannot_compute_is_our_lack() -> None:
    async with listening(silent) as (endpoint, _):
        seen = await make(replace(TLS13_OFFER, key_shares=(0x0001,)), endpoint)
    assert isinstance(seen.outcome, Unreached)
    assert seen.outcome.kind == "local"


# ── nothing is left behind ──────────────────────────────────────────────────────


@pytest.mark.skipif(sys.platform != "linux", reason="counts descriptors in /proc")
async def test_no_descriptor_is_left() -> None:
    context = openssl_context(LEAF, CA)
    fds = Path("/proc/self/fd")
    async with served(lambda: OpenSsl(context)) as endpoint, listening(once(Raw.rst)) as (broken, _):
        await make(TLS13_OFFER, endpoint)
        await asyncio.sleep(0.01)  # the servers' own ends close
        before = len(list(fds.iterdir()))
        seen = [await make(TLS13_OFFER, each) for each in (endpoint, broken) * 5]
        await asyncio.sleep(0.01)
        assert len(list(fds.iterdir())) == before
    assert {type(each.outcome) for each in seen} == {Completed, Dropped}


async def test_a_cancelled_handshake_closes_its_socket() -> None:
    lost = asyncio.Event()

    class Watching(asyncio.Protocol):
        def data_received(self, data: bytes) -> None:
            task.cancel()

        def connection_lost(self, exc: Exception | None) -> None:
            lost.set()

    async with served(Watching) as endpoint:
        task = asyncio.ensure_future(make(TLS13_OFFER, endpoint, seconds=30))
        await asyncio.wait([task])
        assert task.cancelled()
        await asyncio.wait_for(lost.wait(), 5)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.binary(min_size=1, max_size=60), max_size=4), st.booleans(), st.booleans())
def test_no_bytes_make_it_raise(pieces: list[bytes], tls_like: bool, reset: bool) -> None:
    """Whatever a server says, in whatever pieces, the end is an outcome."""

    def respond(server: Raw, data: bytes) -> None:
        if data and len(server.pieces) == 1:
            if tls_like:
                server.send(server_hello(cipher=0xC02B))
            for piece in pieces:
                server.send(record(22, piece) if tls_like else piece)
            server.rst() if reset else server.fin()

    seen = asyncio.run(against(respond, TLS12_OFFER))
    assert isinstance(seen.outcome, Alerted | Dropped | Malformed | NotTls | Completed)
