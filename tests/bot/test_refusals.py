"""Without any allowance: places that trust the bot's position are refused in every spelling, and nothing connects.

Every `connect` of this process is seen by an audit hook; the checks run here, by the function that the prober's child
runs.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import dns.message
import dns.rdatatype
import dns.rrset
import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from bot import commands
from bot.egress import Egress
from bot.model import Check, Misread
from bot.prober import Prober, answered
from probes.check import Options
from probes.model import Trust
from tests import pki
from tests.bot.conftest import Desk, said
from tests.net.dns_server import DnsServer, Transport
from tests.net.peers import OpenSsl, openssl_context, served

REFUSED = "this bot does not connect there"
_watched: list[list[Any]] = []


def _hook(event: str, arguments: tuple[Any, ...]) -> None:
    if event == "socket.connect":
        for seen in _watched:
            seen.append(arguments[1])


sys.addaudithook(_hook)


@pytest.fixture
def connects() -> Iterator[list[Any]]:
    """The addresses that anything in this process connected to."""
    seen: list[Any] = []
    _watched.append(seen)
    yield seen
    _watched.remove(seen)


def options(**changed: Any) -> Options:
    return replace(Options(trust=Trust(default=(), default_name="none"), permit=Egress()), **changed)


async def answer(text: str, chosen: Options) -> tuple[str, Any]:
    """What the person reads who asks `check TEXT`."""
    asked = commands.parse(f"check {text}")
    if isinstance(asked, Misread):
        return "usage", asked.answer
    assert isinstance(asked, Check)
    _, kind, value = await answered(chosen, 1, asked, lambda _: None)
    return kind, value


@pytest.mark.parametrize(
    "text",
    [
        "127.0.0.1",
        "127.0.0.1:8443",
        "localhost",
        "localhost.",
        "LOCALHOST:22",
        "app.localhost",
        "[::1]",
        "::1",
        "::ffff:127.0.0.1",
        "[::ffff:127.0.0.1]:8443",
        "[::ffff:7f00:1]",
        "[::127.0.0.1]",
        "0.0.0.0",
        "[::]",
        "169.254.169.254",
        "[::ffff:169.254.169.254]",
        "[fd00:ec2::254]",
        "[fe80::1]",
        "[64:ff9b::7f00:1]",
        "[64:ff9b::169.254.169.254]",
        "[64:ff9b:1::127.0.0.1]",
        "[2002:7f00:1::]",
        "[2002:a9fe:a9fe::1]",
        "https://user:secret@127.0.0.1/",
        "https://example.com@127.0.0.1/",
        "https://example.com:443@[::1]:8443/",
        "example.com --ip 127.0.0.1",
        "example.com --ip 169.254.169.254",
        "example.com --ip ::ffff:127.0.0.1",
        "example.com --ip 0.0.0.0",
        "127.0.0.1 --sni example.com",
        "192.0.2.7 --origin 127.0.0.1",
        "192.0.2.7 --origin 169.254.169.254:80",
        "192.0.2.7 --origin [::1]:8443",
    ],
)
async def test_a_place_that_trusts_the_bot_is_refused_in_every_spelling(text: str, connects: list[Any]) -> None:
    kind, value = await answer(text, options())
    assert (kind, REFUSED in value) == ("usage", True), value
    assert "secret" not in value
    assert connects == []


@pytest.mark.parametrize(
    "text", ["2130706433", "0x7f000001", "0177.0.0.1", "127.1", "0", "127.0.0.1.", "127。0。0。1", "１２７.０.０.１"]
)
async def test_a_notation_that_only_some_programs_read_is_not_understood(text: str, connects: list[Any]) -> None:
    kind, value = await answer(text, options())
    assert (kind, "not an address I understand" in value) == ("usage", True), value
    assert connects == []


@pytest.mark.parametrize(
    "found", ["127.0.0.1", "169.254.169.254", "100.100.100.200", "::1", "fd00:ec2::254", "::ffff:127.0.0.1", "0.0.0.0"]
)
async def test_a_name_that_leads_there_is_refused(found: str, connects: list[Any]) -> None:
    def reply(query: dns.message.QueryMessage, _: Transport) -> bytes:
        answer = dns.message.make_response(query)
        kind = "AAAA" if ":" in found else "A"
        if dns.rdatatype.to_text(query.question[0].rdtype) == kind:
            answer.answer.append(dns.rrset.from_text(query.question[0].name, 60, "IN", kind, found))
        return answer.to_wire()

    async with DnsServer(reply) as server:
        for name in ("metadata.example.internal", "rebound.example.com:80"):
            kind, value = await answer(name, options(resolver=server.endpoint))
            assert (kind, REFUSED in value) == ("usage", True), value
            assert "EGRESS_ALLOW" in value
        asked_at = (server.endpoint.address, server.endpoint.port)
    assert [where for where in connects if where[:2] != asked_at] == []


# ── what a server leads to ──────────────────────────────────────────────────────


async def served_with(issuer_url: str, connects: list[Any], **changed: Any) -> tuple[Any, set[Any]]:
    """The report about a server whose missing issuer is said to be at *issuer_url*, and where else was connected."""
    now = datetime.now(UTC)
    root = pki.authority(not_before=now - timedelta(days=9), not_after=now + timedelta(days=900))
    ca = pki.intermediate(root, not_before=now - timedelta(days=9), not_after=now + timedelta(days=90))
    leaf = pki.leaf(
        ca,
        names=("aia.example.com",),
        issuer_url=issuer_url,
        not_before=now - timedelta(days=2),
        not_after=now + timedelta(days=60),
    )
    context = openssl_context(leaf)
    async with served(lambda: OpenSsl(context)) as endpoint:
        chosen = options(
            trust=Trust(default=(root.certificate.public_bytes(Encoding.DER),), default_name="test"),
            permit=Egress(allow_exact=frozenset({(endpoint.address, endpoint.port)})),
            overrides={("aia.example.com", endpoint.port): (endpoint.address, *changed.pop("beside", ()))},
            **changed,
        )
        kind, report = await answer(f"aia.example.com:{endpoint.port}", chosen)
        assert kind == "report", report
        assert (endpoint.address, endpoint.port) in {where[:2] for where in connects}  # the hook sees what connects
        return report, {where[:2] for where in connects} - {(endpoint.address, endpoint.port)}


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:{port}/ca.der",
        "http://localhost:{port}/ca.der",
        "http://[::1]:{port}/ca.der",
        "http://[::ffff:127.0.0.1]:{port}/ca.der",
        "http://2130706433:{port}/ca.der",
        "http://0x7f.1:{port}/ca.der",
        "http://user@127.0.0.1:{port}/ca.der",
        "http://169.254.169.254/latest/meta-data/",
        "http://[fd00:ec2::254]/latest/meta-data/",
        "http://[::ffff:169.254.169.254]/",
        "file:///etc/passwd",
        "ldap://127.0.0.1:{port}/cn=ca",
    ],
)
async def test_a_certificate_does_not_lead_the_bot_there(url: str, connects: list[Any]) -> None:
    callers: list[object] = []
    trap = await asyncio.start_server(lambda _, writer: callers.append(writer), "127.0.0.1", 0)
    async with trap:
        port = trap.sockets[0].getsockname()[1]
        report, elsewhere = await served_with(url.format(port=port), connects)
    assert report.cause == "chain.incomplete"
    assert callers == []
    assert elsewhere == set()


async def test_an_address_that_is_refused_beside_one_that_is_not_is_a_gap(connects: list[Any]) -> None:
    report, elsewhere = await served_with("file:///x", connects, beside=("169.254.169.254", "127.0.0.9"))
    assert elsewhere == set()
    assert {gap.addresses for gap in report.gaps if gap.what == "address"} == {("169.254.169.254",), ("127.0.0.9",)}
    assert [endpoint.address for endpoint in report.endpoints] == ["127.0.0.1"]


# ── and in the channel ──────────────────────────────────────────────────────────


async def test_a_refusal_is_read_in_the_channel(idle_desk: Desk) -> None:
    async with Prober(options()) as prober:
        idle_desk.checker = prober  # type: ignore[assignment]
        await idle_desk.start()
        await idle_desk.tls("check localhost:8443")
        headline = await idle_desk.headline("was not checked")
        assert "127.0.0.1 is a loopback address" in said(headline)
        assert "EGRESS_ALLOW" in said(headline)
        await idle_desk.settled()
        await idle_desk.stop()
    assert len(idle_desk.bot_messages()) == 1
