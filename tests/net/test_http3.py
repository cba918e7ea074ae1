"""HTTP/3 on loopback: aioquic's own server, closed and silent ports, and ports that speak something else."""

from __future__ import annotations

import asyncio
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any, cast

import pytest

from probes.check import Options, check
from probes.lab.issue import Issued
from probes.model import Endpoint, HttpAnswer, Report, Target, Trust
from probes.net.http import http3_port
from probes.net.http3 import knock
from probes.observed import Quic
from tests import pki
from tests.evidence import healthy
from tests.net.peers import OpenSsl, openssl_context, served

NAME = "healthy.test"
LEAF, CA, ROOT = pki.chain()
EXPIRED = pki.leaf(CA, names=(NAME,), not_after=pki.NOW - timedelta(days=2))
TRUST = Trust(default=(), default_name=None, added=(ROOT.der,))
SHORT_S = 0.2

pytest.importorskip("aioquic", reason="the extra http3 is not installed")


@asynccontextmanager
async def quic(leaf: Issued, *, alpn: str = "h3", port: int = 0) -> AsyncIterator[Endpoint]:
    from aioquic.asyncio.protocol import QuicConnectionProtocol
    from aioquic.asyncio.server import QuicServer
    from aioquic.quic.configuration import QuicConfiguration

    configuration = QuicConfiguration(is_client=False, alpn_protocols=[alpn])
    configuration.certificate = leaf.certificate
    configuration.certificate_chain = [CA.certificate]
    configuration.private_key = leaf.key
    transport, server = await asyncio.get_running_loop().create_datagram_endpoint(
        lambda: QuicServer(configuration=configuration, create_protocol=QuicConnectionProtocol),
        local_addr=("127.0.0.1", port),
    )
    try:
        yield Endpoint(address="127.0.0.1", port=transport.get_extra_info("sockname")[1])
    finally:
        server.close()
        transport.abort()
        await asyncio.sleep(0)


class Says(asyncio.DatagramProtocol):
    """A UDP service that answers everything with *answer*, or with nothing."""

    def __init__(self, answer: bytes) -> None:
        self._answer = answer

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, addr: Any) -> None:
        if self._answer:
            self._transport.sendto(self._answer, addr)


@asynccontextmanager
async def udp(answer: bytes) -> AsyncIterator[Endpoint]:
    transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(
        lambda: Says(answer), local_addr=("127.0.0.1", 0)
    )
    try:
        yield Endpoint(address="127.0.0.1", port=transport.get_extra_info("sockname")[1])
    finally:
        transport.abort()
        await asyncio.sleep(0)


async def made(endpoint: Endpoint, *, patience_s: float = 5.0, permit: Any = None) -> Quic:
    deadline = asyncio.get_running_loop().time() + 10
    return await knock(endpoint, NAME, permit=permit, deadline=deadline, patience_s=patience_s)


async def test_a_handshake_brings_the_chain_and_h3() -> None:
    async with quic(LEAF) as endpoint:
        seen = await made(endpoint)
    assert (seen.outcome, seen.alpn) == ("completed", "h3")
    assert seen.certificates == (LEAF.der, CA.der)
    assert seen.elapsed_ms is not None and seen.elapsed_ms > 0


async def test_an_expired_certificate_is_brought_back_all_the_same() -> None:
    async with quic(EXPIRED) as endpoint:
        seen = await made(endpoint)
    assert seen.outcome == "completed" and seen.certificates[0] == EXPIRED.der


async def test_a_server_without_h3_names_its_alert() -> None:
    async with quic(LEAF, alpn="hq-interop") as endpoint:
        seen = await made(endpoint)
    assert seen.outcome == "closed"
    assert "no_application_protocol" in seen.detail or "QUIC error" in seen.detail


async def test_a_closed_port_is_refused() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        port = sock.getsockname()[1]
    seen = await made(Endpoint(address="127.0.0.1", port=port))
    assert seen.outcome == "refused" and str(port) in seen.detail


async def test_silence_ends_after_the_patience() -> None:
    loop = asyncio.get_running_loop()
    async with udp(b"") as endpoint:
        began = loop.time()
        seen = await made(endpoint, patience_s=SHORT_S)
        took = loop.time() - began
    assert seen.outcome == "timeout" and "no answer" in seen.detail
    assert SHORT_S * 0.9 < took < SHORT_S + 1


@pytest.mark.parametrize(
    "answer", [b"\x00", b"hello", b"\xc0\x00\x00\x00\x01", b"\xff" * 1200, bytes(range(256)) * 4, b"\xc0" + bytes(40)]
)
async def test_no_answer_makes_it_fail(answer: bytes) -> None:
    async with udp(answer) as endpoint:
        seen = await made(endpoint, patience_s=SHORT_S)
    assert seen.outcome in {"timeout", "closed"}


async def test_egress_is_asked_first() -> None:
    async with quic(LEAF) as endpoint:
        seen = await made(endpoint, permit=lambda address, port: f"{address}:{port} is not allowed")
    assert seen.outcome == "unavailable" and "not allowed" in seen.detail


async def test_without_the_extra_it_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "aioquic.quic.configuration", None)
    seen = await made(Endpoint(address="127.0.0.1", port=9))
    assert seen.outcome == "unavailable" and "“http3”" in seen.detail


def answered(alt_svc: str) -> int | None:
    shakes = healthy()
    answer = HttpAnswer(status=200, date=None, skew_s=None, fields=(("alt-svc", alt_svc),))
    from dataclasses import replace

    return http3_port((replace(shakes[0], http=answer),), shakes[0].endpoint)


@pytest.mark.parametrize(
    ("alt_svc", "port"),
    [
        ('h3=":443"; ma=86400', 443),
        ('h2=":8443", h3=":8444"', 8444),
        ('h3-29=":443"', None),
        ('h3=":0"', None),
        ('h3=":99999"', None),
        ("clear", None),
        ('h3="other.test:444"', 444),
    ],
)
def test_alt_svc_names_the_port(alt_svc: str, port: int | None) -> None:
    assert answered(alt_svc) == port


async def whole(leaf: Issued | None) -> Report:
    """A check with --http3 of a web server that names its UDP port in Alt-Svc; *leaf* None: nothing is there."""
    context = openssl_context(LEAF, CA)
    async with quic(leaf or LEAF) as place:
        port = place.port
        if leaf is None:
            port = 9  # the discard service, which nothing offers here
        head = f'HTTP/1.1 200 OK\r\nAlt-Svc: h3=":{port}"\r\nContent-Length: 0\r\n\r\n'.encode()
        async with served(lambda: OpenSsl(context, head)) as endpoint:
            target = Target(host=NAME, port=endpoint.port, server_name=NAME)
            options = Options(trust=TRUST, addresses=(endpoint.address,), http3=True, patience_s=1.0)
            return await check(target, options)


async def test_a_check_tells_what_came_of_http3() -> None:
    report = await whole(LEAF)
    [endpoint] = report.endpoints
    assert endpoint.http3 is not None
    assert (endpoint.http3.outcome, endpoint.http3.alpn, endpoint.http3.same_certificate) == ("completed", "h3", True)
    assert report.status == "ok" and not any(gap.what == "http3" for gap in report.gaps)


async def test_no_udp_is_a_gap_and_no_fault() -> None:
    report = await whole(None)
    assert report.status == "ok"
    [gap] = [gap for gap in report.gaps if gap.what == "http3"]
    assert "UDP" in gap.why and gap.addresses == ("127.0.0.1",)


async def test_another_certificate_that_is_wrong_is_a_finding() -> None:
    report = await whole(EXPIRED)
    assert report.cause == "balancer.configuration-differs", report.findings
    finding = report.findings[0]
    assert any("HTTP/3" in line and "validity.expired" in line for line in finding.evidence)
