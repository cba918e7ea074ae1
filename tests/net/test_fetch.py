"""Issuer certificates over HTTP from servers that are careless, slow or hostile."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import TypeAlias

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, pkcs7
from hypothesis import given
from hypothesis import strategies as st

from probes.model import Fetched
from probes.net.egress import Permit
from probes.net.fetch import MAX_BODY, MAX_REDIRECTS, certificates_in, fetch_issuer, warm
from probes.net.resolve import Override
from tests import pki
from tests.net.peers import OpenSsl, openssl_context, served

Serve: TypeAlias = Callable[[bytes, asyncio.StreamWriter], Awaitable[None]]
"""Answers one request head; the connection is closed afterwards."""


def certificate(name: str) -> x509.Certificate:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now)
        .not_valid_after(now + timedelta(days=1))
        .sign(key, hashes.SHA256())
    )


ISSUER, OTHER = certificate("issuer"), certificate("other")
ISSUER_DER, OTHER_DER = ISSUER.public_bytes(Encoding.DER), OTHER.public_bytes(Encoding.DER)


@asynccontextmanager
async def web(serve: Serve) -> AsyncIterator[int]:
    """A web server on loopback that answers each connection's first request by *serve*; yields its port."""
    busy: set[asyncio.Task[None]] = set()

    async def connection(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        busy.add(task)
        try:
            await serve(await reader.readuntil(b"\r\n\r\n"), writer)
        except (OSError, EOFError, asyncio.CancelledError):
            return
        finally:
            busy.discard(task)
            writer.close()

    server = await asyncio.start_server(connection, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        waiting = list(busy)
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting)
        await server.wait_closed()


def body(content: bytes, *headers: str) -> Serve:
    async def serve(_: bytes, writer: asyncio.StreamWriter) -> None:
        lines = ["HTTP/1.1 200 OK", f"Content-Length: {len(content)}", "Connection: close", *headers]
        writer.write("\r\n".join(lines).encode() + b"\r\n\r\n" + content)
        await writer.drain()

    return serve


def redirect(location: str) -> Serve:
    async def serve(_: bytes, writer: asyncio.StreamWriter) -> None:
        writer.write(f"HTTP/1.1 302 Found\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n".encode())
        await writer.drain()

    return serve


async def fetch(
    url: str,
    *,
    permit: Permit | None = None,
    overrides: dict[tuple[str, int], Override] | None = None,
    seconds: float = 5,
) -> Fetched:
    await warm()  # as the prober does: on a busy machine the import alone can take longer than a fetch may
    deadline = asyncio.get_running_loop().time() + seconds
    return await fetch_issuer(url, permit=permit, overrides=overrides or {}, resolver=None, deadline=deadline)


@pytest.mark.parametrize("form", ["der", "pem", "p7c", "p7c-pem"])
async def test_each_form_of_issuer_is_read(form: str) -> None:
    content = {
        "der": ISSUER_DER,
        "pem": ISSUER.public_bytes(Encoding.PEM) + OTHER.public_bytes(Encoding.PEM),
        "p7c": pkcs7.serialize_certificates([ISSUER, OTHER], Encoding.DER),
        "p7c-pem": pkcs7.serialize_certificates([ISSUER, OTHER], Encoding.PEM),
    }[form]
    expected = {ISSUER_DER} if form == "der" else {ISSUER_DER, OTHER_DER}
    async with web(body(content, "Content-Type: application/octet-stream")) as port:
        url = f"http://127.0.0.1:{port}/ca.crt"
        found = await fetch(url)
    assert (found.url, set(found.certificates), found.problem) == (url, expected, None)


async def test_the_host_is_asked_for_by_name_at_the_address_that_was_checked() -> None:
    heads: list[bytes] = []

    async def serve(head: bytes, writer: asyncio.StreamWriter) -> None:
        heads.append(head)
        await body(ISSUER_DER)(head, writer)

    async with web(serve) as port:
        found = await fetch(f"http://CA.test:{port}/x?y=1#z", overrides={("ca.test", port): ("127.0.0.1",)})
    assert found.certificates == (ISSUER_DER,)
    assert heads[0].startswith(b"GET /x?y=1 HTTP/1.1\r\n")
    assert f"host: ca.test:{port}\r\n".encode() in heads[0].lower()
    assert b"accept-encoding: identity\r\n" in heads[0].lower()


async def test_https_is_fetched_without_trust_in_its_certificate() -> None:
    head = f"HTTP/1.1 200 OK\r\nContent-Length: {len(ISSUER_DER)}\r\nConnection: close\r\n\r\n".encode()
    names: list[bytes | None] = []
    context = openssl_context(pki.self_signed(("nobody.test",)))
    context.set_tlsext_servername_callback(lambda connection: names.append(connection.get_servername()))
    async with served(lambda: OpenSsl(context, head + ISSUER_DER)) as endpoint:
        url = f"https://ca.test:{endpoint.port}/ca.crt"
        found = await fetch(url, overrides={("ca.test", endpoint.port): ("127.0.0.1",)})
    assert found == Fetched(url=url, certificates=(ISSUER_DER,))
    assert names == [b"ca.test"]


async def test_a_second_address_is_tried_when_the_first_refuses() -> None:
    async with web(body(ISSUER_DER)) as port:
        overrides: dict[tuple[str, int], Override] = {("ca.test", port): ("127.0.0.2", "127.0.0.1")}
        found = await fetch(f"http://ca.test:{port}/", overrides=overrides)
    assert found.certificates == (ISSUER_DER,)


@pytest.mark.parametrize(
    "address", ["169.254.169.254", "::ffff:169.254.169.254", "100.100.100.200", "fd00:ec2::254", "fe80::1"]
)
async def test_metadata_is_refused_without_any_permit(address: str) -> None:
    found = await fetch("http://ca.test/", overrides={("ca.test", 80): (address,)})
    assert found.certificates == ()
    assert found.problem is not None
    assert found.problem.startswith(f"egress refused, {address}")


@pytest.mark.parametrize(
    "location", ["http://169.254.169.254/latest/meta-data", "//169.254.169.254/", "http://[fe80::1]/"]
)
async def test_a_redirect_to_metadata_is_not_followed(location: str) -> None:
    async with web(redirect(location)) as port:
        found = await fetch(f"http://127.0.0.1:{port}/")
    assert found.problem is not None
    assert found.problem.startswith("egress refused")


async def test_permit_is_asked_at_each_hop() -> None:
    asked: list[tuple[str, int]] = []

    async with web(body(ISSUER_DER)) as inner, web(redirect(f"http://127.0.0.1:{inner}/")) as outer:

        def permit(address: str, port: int) -> str | None:
            asked.append((address, port))
            return "not that port" if port == inner else None

        found = await fetch(f"http://127.0.0.1:{outer}/", permit=permit)
        allowed = await fetch(f"http://127.0.0.1:{outer}/")
    assert found.problem == "egress refused, 127.0.0.1: not that port"
    assert asked == [("127.0.0.1", outer), ("127.0.0.1", inner)]
    assert allowed.certificates == (ISSUER_DER,)


async def test_redirects_in_a_circle_end() -> None:
    hops = 0

    async def serve(head: bytes, writer: asyncio.StreamWriter) -> None:
        nonlocal hops
        hops += 1
        await redirect("/again")(head, writer)

    async with web(serve) as port:
        found = await fetch(f"http://127.0.0.1:{port}/")
    assert found.problem == f"more than {MAX_REDIRECTS} redirects"
    assert hops == MAX_REDIRECTS + 1


@pytest.mark.parametrize(
    "url",
    [
        "ldap://ca.test/cn=x",
        "file:///etc/passwd",
        "ftp://127.0.0.1/x",
        "http://",
        "http:///x",
        "",
        "http://127.1/",
        "http://0x7f000001/",
        "http://2130706433/",
        "http://a b/",
        "http://[::1/",
        "http://ca.test:99999/",
        "http://127.0.0.1:99999/",
        "https://[::1]:65536/",
        "http://127.0.0.1:-1/",
        "http://x\r\ny/",
    ],
)
async def test_other_urls_are_refused_in_words(url: str) -> None:
    found = await fetch(url)
    assert found.certificates == ()
    assert found.problem


async def test_a_redirect_to_no_port_there_is_is_refused() -> None:
    async with web(redirect("http://127.0.0.1:70000/")) as port:
        found = await fetch(f"http://127.0.0.1:{port}/")
    assert found.problem == "not a URL that can be fetched"


async def test_what_foreign_code_stumbles_over_is_an_answer() -> None:
    """Here a permit; it might be a parser of strangers' bytes as well."""

    def stumbles(_address: str, _port: int) -> str | None:
        raise OverflowError("no such thing")

    found = await fetch("http://127.0.0.1:9/", permit=stumbles)
    assert found.problem == "it cannot be fetched (OverflowError)"


async def test_redirects_to_other_schemes_are_refused() -> None:
    async with web(redirect("file:///etc/passwd")) as port:
        found = await fetch(f"http://127.0.0.1:{port}/")
    assert found.problem == "only http and https are fetched, not “file”"


async def test_a_huge_body_is_cut_off() -> None:
    sent = 0

    async def serve(_: bytes, writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        while True:
            writer.write(bytes(65536))
            await writer.drain()
            sent += 65536

    async with web(serve) as port:
        found = await fetch(f"http://127.0.0.1:{port}/")
    assert found.problem == f"larger than {MAX_BODY // 1024} KB"
    assert sent < 40 * MAX_BODY


async def test_a_compressed_body_is_refused() -> None:
    async with web(body(b"\x1f\x8b", "Content-Encoding: gzip")) as port:
        found = await fetch(f"http://127.0.0.1:{port}/")
    assert found.problem == "answered with a compressed body nobody asked for"


@pytest.mark.parametrize("sent", [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\nxx"])
async def test_a_server_that_hangs_is_left_in_time(sent: bytes) -> None:
    async def serve(_: bytes, writer: asyncio.StreamWriter) -> None:
        writer.write(sent)
        await asyncio.Event().wait()

    async with web(serve) as port:
        loop = asyncio.get_running_loop()
        began = loop.time()
        found = await fetch(f"http://127.0.0.1:{port}/", seconds=0.3)
    assert found.problem == "no complete answer in time"
    assert loop.time() - began < 1.9


@pytest.mark.parametrize(
    "sent", [b"", b"SSH-2.0-x\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\nxx", b"HTTP/9\r\n\r\n"]
)
async def test_broken_http_is_said(sent: bytes) -> None:
    async def serve(_: bytes, writer: asyncio.StreamWriter) -> None:
        writer.write(sent)

    async with web(serve) as port:
        found = await fetch(f"http://127.0.0.1:{port}/")
    assert found.problem is not None
    assert found.problem.startswith("HTTP failed")


async def test_an_error_page_is_no_certificate() -> None:
    async def missing(_: bytes, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")

    async with web(missing) as gone, web(body(b"<html>")) as page:
        assert (await fetch(f"http://127.0.0.1:{gone}/")).problem == "HTTP 404"
        assert (await fetch(f"http://127.0.0.1:{page}/")).problem == "the 6 bytes there are no certificate"


async def test_nobody_there_and_no_such_name_are_said() -> None:
    async with web(body(b"")) as port:
        pass
    refused = await fetch(f"http://127.0.0.1:{port}/")
    assert refused.problem == f"cannot connect to 127.0.0.1:{port} (ConnectError)"
    assert (await fetch("http://x.invalid/")).problem == "x.invalid does not resolve (nxdomain)"


@given(st.binary(max_size=200))
def test_no_bytes_break_the_reading_of_certificates(content: bytes) -> None:
    assert certificates_in(content) == ()
    assert certificates_in(b"-----BEGIN CERTIFICATE-----\n" + content) == ()


def test_a_changed_certificate_breaks_nothing() -> None:
    for at in range(0, len(ISSUER_DER), 3):
        changed = bytearray(ISSUER_DER)
        changed[at] ^= 0xFF
        certificates_in(bytes(changed))
