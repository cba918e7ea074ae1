"""Every way that a person in a channel, a name server or a certificate may lead the bot to where it must not connect.

The interpreter itself tells of each connection attempt (an audit hook), so that a way is refused only when not even a
SYN would have left. What may be connected to stands in for the world outside: 127.0.0.9 and the test's name server.
"""

from __future__ import annotations

import asyncio
import ssl
import sys
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, replace
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Any

import dns.message
import pytest
from cryptography import x509
from cryptography.x509.oid import AuthorityInformationAccessOID

from bot import commands
from bot.egress import Egress
from bot.model import Check, Misread
from bot.prober import answered
from probes.check import Options
from probes.model import Endpoint, Report, Trust
from tests import pki
from tests.net.dns_server import DnsServer, Transport, kind_of, name_of, records

OUTSIDE = "127.0.0.9"
_recording: list[list[Any]] = []


def _heard(event: str, arguments: tuple[Any, ...]) -> None:
    if _recording and event in {"socket.connect", "socket.sendto"}:
        _recording[-1].append((arguments[0].getsockname(), arguments[1]))


sys.addaudithook(_heard)


@contextmanager
def attempts() -> Iterator[list[Any]]:
    """Where anything in this process connects or sends to meanwhile: (from, to)."""
    _recording.append([])
    try:
        yield _recording[-1]
    finally:
        _recording.pop()


@dataclass
class Zone:
    """What the test's name server says: a name's answers in turn, the last one for good."""

    answers: dict[str, list[dict[str, list[str]]]]

    def __call__(self, query: dns.message.QueryMessage, transport: Transport) -> bytes:
        name, kind = name_of(query), kind_of(query)
        turns = self.answers.get(name, [{}])
        told = turns[0].get(kind, [])
        if "CNAME" in turns[0]:
            told = [f"{name}. 60 IN CNAME {turns[0]['CNAME'][0]}."]
            at_last = self.answers.get(turns[0]["CNAME"][0], [{}])[0].get(kind, [])
            told += [f"{turns[0]['CNAME'][0]}. 60 IN {kind} {each}" for each in at_last]
        else:
            told = [f"{name}. 1 IN {kind} {each}" for each in told]
        if kind == "A" and len(turns) > 1:
            turns.pop(0)
        return records(query, *told)


POLICY = Egress(allow=(ip_network(f"{OUTSIDE}/32"),))


async def tried(
    text: str, zone: dict[str, list[dict[str, list[str]]]] | None = None, trust: Trust | None = None
) -> Any:
    """`/tls TEXT` as the bot makes it. Fails when anything but the world outside was connected to."""
    asked = commands.parse(text)
    if isinstance(asked, Misread):
        return asked
    assert isinstance(asked, Check), asked
    async with DnsServer(Zone(zone or {})) as server:
        options = Options(
            trust=trust or Trust(default=(), default_name="none"),
            permit=POLICY,
            resolver=server.endpoint,
            timeout_s=4.0,
            patience_s=0.5,
        )
        with attempts() as made:
            _, kind, said = await answered(options, 1, asked, lambda _: None)
        name_server = (server.endpoint.address, server.endpoint.port)
    # The name server is asked, and it answers from this very process.
    wrong = [to for start, to in made if name_server not in (start[:2], to[:2]) and to[0] != OUTSIDE]
    assert not wrong, f"{text} led to {wrong}"
    assert kind in {"report", "usage"}, said
    return said


def refused(said: Any) -> bool:
    """The person is told that it was not done, and why."""
    if isinstance(said, Misread | str):
        return True
    assert isinstance(said, Report)
    return not any(endpoint.connected for endpoint in said.endpoints)


NOTATIONS = (
    "127.0.0.1", "127.1", "127.0.1", "2130706433", "0x7f000001", "0x7f.0.0.1", "0177.0.0.1", "017700000001",
    "127.0.0.1.", "127.00.0.1", "１２７.0.0.1", "①②⑦.0.0.1", "127。0。0。1", "127%2e0%2e0%2e1", "%31%32%37.0.0.1",
    "0", "0.0.0.0", "[::1]", "[::]", "[0:0:0:0:0:0:0:1]", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[::127.0.0.1]",
    "[::ffff:0:127.0.0.1]", "[64:ff9b::7f00:1]", "[64:ff9b:1::7f00:1]", "[2002:7f00:1::]", "[fe80::5efe:7f00:1]",
    "[2001:0:7f00:1::]", "[::1%lo]", "[fe80::1%lo]", "169.254.169.254", "0xa9fea9fe", "2852039166", "169.254.43518",
    "[::ffff:a9fe:a9fe]", "[fd00:ec2::254]", "100.100.100.200", "168.63.129.16", "localhost", "LOCALHOST.",
    "ｌｏｃａｌｈｏｓｔ", "localhost.localdomain", "ip6-localhost", "https://127.0.0.1/", "https://me@127.0.0.1:8443/x",
    "https://outside.test@127.0.0.1/", "https://outside.test#@127.0.0.1/", "<http://127.1|outside.test>",
    "<http://localhost|localhost>", "127.0.0.1\\@outside.test", "outside.test:443@127.0.0.1", "224.0.0.1",
    "255.255.255.255",
)  # fmt: skip


@pytest.mark.parametrize("host", NOTATIONS)
async def test_no_notation_of_an_address_leads_there(host: str) -> None:
    assert refused(await tried(f"check {host}"))


@pytest.mark.parametrize(
    "option",
    [
        "--ip 127.0.0.1", "--ip ::1", "--ip ::ffff:127.0.0.1", "--ip 127.1", "--ip 169.254.169.254", "--ip 0.0.0.0",
        "--ip localhost", "--origin 127.0.0.1", "--origin 127.0.0.1:22", "--origin [::1]:22",
        "--origin 169.254.169.254:80", "--origin localhost:22", "--origin 0:22",
    ],
)  # fmt: skip
async def test_no_option_leads_there(option: str) -> None:
    assert refused(await tried(f"check outside.test {option}", {"outside.test": [{"A": [OUTSIDE]}]}))


@pytest.mark.parametrize(
    "answers",
    [
        {"inward.test": [{"A": ["127.0.0.1"]}]},
        {"inward.test": [{"A": ["169.254.169.254"]}]},
        {"inward.test": [{"A": ["0.0.0.0"]}]},
        {"inward.test": [{"AAAA": ["::1"]}]},
        {"inward.test": [{"AAAA": ["::ffff:127.0.0.1"]}]},
        {"inward.test": [{"AAAA": ["64:ff9b::a9fe:a9fe"]}]},
        {"inward.test": [{"AAAA": ["fd00:ec2::254"]}]},
        {"inward.test": [{"CNAME": ["deeper.test"]}], "deeper.test": [{"A": ["127.0.0.1"]}]},
        {"inward.test": [{"CNAME": ["localhost"]}], "localhost": [{"A": ["127.0.0.1"], "AAAA": ["::1"]}]},
        {"inward.test": [{"A": [OUTSIDE, "127.0.0.1", "169.254.169.254"]}]},
        {"inward.test": [{"A": [OUTSIDE]}, {"A": ["127.0.0.1"]}]},
        {"inward.test": [{"A": [OUTSIDE], "AAAA": ["::1"]}, {"A": ["169.254.169.254"]}]},
    ],
    ids=[
        "A loopback", "A metadata", "A unspecified", "AAAA loopback", "AAAA mapped", "AAAA NAT64", "AAAA metadata",
        "CNAME", "CNAME to localhost", "among others", "rebinding", "rebinding to metadata",
    ],
)  # fmt: skip
async def test_no_name_leads_there(answers: dict[str, list[dict[str, list[str]]]]) -> None:
    said = await tried("check inward.test:9", answers)
    assert refused(said)


# ── what a certificate or a web server may say ──────────────────────────────────────────────


def urls_in(issuer: pki.Issued, url: str) -> pki.Issued:
    """A leaf whose issuer, OCSP responder and CRL are all said to be at *url*."""
    place = x509.UniformResourceIdentifier(url)
    access = x509.AuthorityInformationAccess(
        [
            x509.AccessDescription(AuthorityInformationAccessOID.CA_ISSUERS, place),
            x509.AccessDescription(AuthorityInformationAccessOID.OCSP, place),
        ]
    )
    point = x509.DistributionPoint(full_name=[place], relative_name=None, reasons=None, crl_issuer=None)
    more = ((access, False), (x509.CRLDistributionPoints([point]), False))
    return pki.leaf(issuer, names=("outside.test", "sibling.test"), more=more)


@asynccontextmanager
async def serving(leaf: pki.Issued, *chain: pki.Issued) -> AsyncIterator[int]:
    """A TLS server outside that shows *leaf*; yields its port."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with tempfile.TemporaryDirectory() as folder:
        pem = Path(folder) / "server.pem"
        pem.write_text(leaf.key_pem + "".join(one.pem for one in (leaf, *chain)), encoding="ascii")
        context.load_cert_chain(pem)

    async def hello(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await reader.read(1)
        except (OSError, ssl.SSLError):
            return
        finally:
            writer.transport.abort()

    server = await asyncio.start_server(hello, OUTSIDE, 0, ssl=context)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        server.close_clients() if hasattr(server, "close_clients") else None
        await asyncio.sleep(0)


@asynccontextmanager
async def redirecting(to: str) -> AsyncIterator[Endpoint]:
    """A web server outside that sends everybody on to *to*."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(f"HTTP/1.1 302 Found\r\nLocation: {to}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".encode())
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, OUTSIDE, 0)
    try:
        address, port = server.sockets[0].getsockname()[:2]
        yield Endpoint(address=address, port=port)
    finally:
        server.close()
        await asyncio.sleep(0)


INWARD = (
    "http://127.0.0.1:{port}/",
    "http://[::1]:{port}/",
    "http://[::ffff:127.0.0.1]:{port}/",
    "http://localhost:{port}/",
    "http://2130706433:{port}/",
    "http://0:{port}/",
    "http://inward.test:{port}/",
    "http://outside.test@127.0.0.1:{port}/",
    "http://169.254.169.254/latest/meta-data/",
    "http://metadata.test/computeMetadata/v1/",
    "https://127.0.0.1:{port}/",
    "ldap://127.0.0.1:{port}/cn=ca",
    "file:///etc/hostname",
    "ftp://127.0.0.1:{port}/ca.crt",
    "gopher://127.0.0.1:{port}/_x",
)
NAMES: dict[str, list[dict[str, list[str]]]] = {
    "outside.test": [{"A": [OUTSIDE]}],
    "sibling.test": [{"A": ["127.0.0.1"]}],
    "inward.test": [{"A": ["127.0.0.1"], "AAAA": ["::1"]}],
    "metadata.test": [{"A": ["169.254.169.254"]}],
}


@asynccontextmanager
async def tripwire() -> AsyncIterator[tuple[int, Callable[[], int]]]:
    """A listener on loopback that nobody is to meet; yields its port, and how many came."""
    came = 0

    async def met(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal came
        came += 1
        writer.transport.abort()

    server = await asyncio.start_server(met, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1], lambda: came
    finally:
        server.close()
        await asyncio.sleep(0)


@pytest.mark.parametrize("is_redirect", [False, True], ids=["named", "redirected"])
@pytest.mark.parametrize("url", INWARD)
async def test_no_url_in_a_certificate_leads_there(url: str, is_redirect: bool) -> None:
    root, issuing, _ = pki.chain()
    trust = Trust(default=(root.der,), default_name="the test's root")
    names = {name: [dict(each) for each in turns] for name, turns in NAMES.items()}
    async with tripwire() as (trap, came):
        inward = url.format(port=trap)
        async with redirecting(inward) as web:
            asked = f"http://{web}/" if is_redirect else inward
            leaf = urls_in(issuing, asked)
            async with serving(leaf) as port:
                said = await tried(f"check outside.test:{port}", names, trust)
        assert came() == 0
    assert isinstance(said, Report)
    assert any(endpoint.connected for endpoint in said.endpoints)  # so its certificate was read


async def test_the_audit_hook_would_tell() -> None:
    """The proof above is worth something: with permission, the very same ways are taken."""
    async with tripwire() as (trap, came), DnsServer(Zone({})) as server:
        options = Options(
            trust=Trust(default=(), default_name="none"), resolver=server.endpoint, timeout_s=3.0, patience_s=0.3
        )
        asked = commands.parse(f"check 127.0.0.1:{trap}")
        assert isinstance(asked, Check)
        with attempts() as made:
            await answered(replace(options, permit=None), 1, asked, lambda _: None)
        assert ("127.0.0.1", trap) in {to[:2] for _, to in made}
        assert came() > 0


def test_what_is_left_out_of_the_policy_is_meant() -> None:
    """Private networks stay open: looking inside is what the bot is for."""
    assert POLICY(str(ip_address("10.1.2.3")), 443) is None
