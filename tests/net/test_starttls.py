"""STARTTLS on real sockets: seven protocols before OpenSSL, PostgreSQL itself, and every way not to get there."""

from __future__ import annotations

import asyncio
import os
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from probes.check import Options, check
from probes.model import (
    STARTTLS_PROTOCOLS,
    Completed,
    Dropped,
    Endpoint,
    Handshake,
    Report,
    Stalled,
    Target,
    Trust,
)
from probes.net.handshake import shake
from probes.plan import small
from probes.wire.starttls import greets_first
from tests import pki
from tests.net.peers import OpenSsl, listening, openssl_context, served, silent
from tests.net.speakers import Speaker
from tests.wire.test_starttls import TALKS, mysql_greeting

NAME = "healthy.test"
LEAF, CA, ROOT = pki.chain()
TRUST = Trust(default=(), default_name=None, added=(ROOT.der,))
SHORT_S = 0.15  # where the test is about silence


def context() -> Any:
    return openssl_context(LEAF, CA)


@asynccontextmanager
async def speaking(
    protocol: str, script: Sequence[bytes] | None = None, *, tls: bool = True, greeting_delay_s: float = 0.0
) -> AsyncIterator[Endpoint]:
    answers = TALKS[protocol] if script is None else script
    tls_context = context() if tls else None

    def accept() -> Speaker:
        return Speaker(answers, greets=greets_first(protocol), context=tls_context, greeting_delay_s=greeting_delay_s)

    async with served(accept) as endpoint:
        yield endpoint


async def made(endpoint: Endpoint, protocol: str, *, patience_s: float = 5.0) -> Handshake:
    target = Target(host=NAME, port=endpoint.port, server_name=NAME, starttls=protocol)
    deadline = asyncio.get_running_loop().time() + 10
    return await shake(endpoint, small(target), permit=None, deadline=deadline, patience_s=patience_s)


async def checked(endpoint: Endpoint, protocol: str | None, *, patience_s: float = 2.5) -> Report:
    target = Target(host=NAME, port=endpoint.port, server_name=NAME, starttls=protocol)
    return await check(target, Options(trust=TRUST, addresses=(endpoint.address,), patience_s=patience_s))


@pytest.mark.parametrize("protocol", STARTTLS_PROTOCOLS)
async def test_a_whole_check_behind_starttls_finds_nothing_wrong(protocol: str) -> None:
    async with speaking(protocol) as endpoint:
        report = await checked(endpoint, protocol)
    assert (report.status, report.cause) == ("ok", None), report.findings
    [each] = report.endpoints
    assert each.version == "TLSv1.3" and each.alpn is None and each.chain
    assert {client.outcome for client in report.clients if client.name in {"go", "java", "curl"}} == {"pass"}


@pytest.mark.parametrize("protocol", STARTTLS_PROTOCOLS)
async def test_no_more_than_four_connections_are_open_at_a_time(protocol: str) -> None:
    open_now, most = 0, 0

    class Counted(Speaker):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            nonlocal open_now, most
            open_now += 1
            most = max(most, open_now)
            super().connection_made(transport)

        def connection_lost(self, exc: Exception | None) -> None:
            nonlocal open_now
            open_now -= 1
            super().connection_lost(exc)

    tls = context()
    async with served(lambda: Counted(TALKS[protocol], greets=greets_first(protocol), context=tls)) as endpoint:
        report = await checked(endpoint, protocol)
    assert report.status == "ok"
    assert 1 < most <= 4


async def test_the_conversation_has_its_own_time() -> None:
    async with speaking("smtp", greeting_delay_s=0.2) as endpoint:
        seen = await made(endpoint, "smtp")
    assert isinstance(seen.outcome, Completed)
    assert seen.timing.starttls is not None and seen.timing.tcp is not None and seen.timing.server_hello is not None
    assert seen.timing.tcp < 200 <= seen.timing.starttls + 20 <= seen.timing.server_hello + 20


async def test_a_late_greeting_is_no_slow_handshake() -> None:
    async with speaking("smtp", greeting_delay_s=1.1) as endpoint:
        report = await checked(endpoint, "smtp")
    assert report.status == "ok" and "reach.slow" not in {finding.code for finding in report.findings}


async def test_a_greeting_in_many_pieces_is_one_greeting() -> None:
    class Dribbling(Speaker):
        def _say(self) -> None:
            words = self._script.pop(0)
            loop = asyncio.get_running_loop()
            for at in range(len(words)):
                loop.call_soon(self._transport.write, words[at : at + 1])

    tls = context()
    async with served(lambda: Dribbling(TALKS["smtp"], greets=True, context=tls)) as endpoint:
        seen = await made(endpoint, "smtp")
    assert isinstance(seen.outcome, Completed)


REFUSALS = {
    "smtp": ([*TALKS["smtp"][:2], b"454 4.7.0 TLS not available\r\n"], "454 4.7.0 TLS not available"),
    "imap": ([TALKS["imap"][0], b"a1 BAD no TLS here\r\n"], "a1 BAD no TLS here"),
    "pop3": ([TALKS["pop3"][0], b"-ERR no TLS here\r\n"], "-ERR no TLS here"),
    "ldap": ([bytes.fromhex("300c02010178070a010204000400")], "result 2"),
    "postgres": ([b"N"], "ssl = off"),
    "mysql": ([mysql_greeting(tls=False)], "CLIENT_SSL"),
    "xmpp": ([TALKS["xmpp"][0].replace(b"starttls", b"bind")], "not offered"),
}


@pytest.mark.parametrize("protocol", STARTTLS_PROTOCOLS)
async def test_a_refusal_is_not_tls_with_the_servers_own_words(protocol: str) -> None:
    script, words = REFUSALS[protocol]
    async with speaking(protocol, script, tls=False) as endpoint:
        report = await checked(endpoint, protocol)
    assert report.cause == "reach.not-tls", report.findings
    finding = report.findings[0]
    assert any(words in line for line in finding.evidence), finding.evidence
    assert f"-starttls {protocol}" in finding.next_command
    assert ("-xmpphost" in finding.next_command) == (protocol == "xmpp")


@pytest.mark.parametrize("protocol", [name for name in STARTTLS_PROTOCOLS if greets_first(name)])
async def test_no_greeting_is_a_stall_judged_in_time(protocol: str) -> None:
    async with listening(silent) as (endpoint, _):
        report = await checked(endpoint, protocol, patience_s=SHORT_S)
    assert report.cause == "reach.stalled"
    assert "greeting never comes" in report.findings[0].explanation
    assert report.elapsed_ms < 3000


@pytest.mark.parametrize("protocol", ["ldap", "postgres", "xmpp"])
async def test_no_answer_to_the_request_is_a_stall(protocol: str) -> None:
    async with listening(silent) as (endpoint, _):
        seen = await made(endpoint, protocol, patience_s=SHORT_S)
    assert isinstance(seen.outcome, Stalled) and "the" not in seen.outcome.awaiting[3:6]


@pytest.mark.parametrize("protocol", STARTTLS_PROTOCOLS)
async def test_tls_at_once_says_to_drop_starttls(protocol: str) -> None:
    tls = context()
    async with served(lambda: OpenSsl(tls)) as endpoint:
        report = await checked(endpoint, protocol, patience_s=SHORT_S)
    assert report.cause == "reach.not-tls", report.findings
    finding = report.findings[0]
    assert "from the first byte" in finding.explanation
    assert "--starttls" in finding.fix and "-starttls" not in finding.next_command


@pytest.mark.parametrize("protocol", ["smtp", "imap", "pop3", "mysql"])
async def test_a_plain_check_of_such_a_port_names_starttls(protocol: str) -> None:
    def accept() -> Speaker:
        return Speaker(TALKS[protocol], greets=True, context=None)

    async with served(accept) as endpoint:
        report = await checked(endpoint, None)
    assert report.cause == "reach.not-tls"
    assert f"--starttls {protocol}" in report.findings[0].fix
    assert f"-starttls {protocol}" in report.findings[0].next_command


async def test_the_wrong_protocol_names_the_right_one() -> None:
    async with speaking("imap") as endpoint:
        report = await checked(endpoint, "smtp")
    assert report.cause == "reach.not-tls"
    assert "--starttls imap" in report.findings[0].fix


async def test_injected_bytes_are_evidence() -> None:
    script = [*TALKS["smtp"][:2], b"220 go\r\n250 evil\r\n"]
    async with speaking("smtp", script) as endpoint:
        report = await checked(endpoint, "smtp")
    assert report.cause == "reach.not-tls"
    assert any("in clear behind the go-ahead" in line for line in report.findings[0].evidence)


@pytest.mark.parametrize("protocol", STARTTLS_PROTOCOLS)
@pytest.mark.parametrize("how", ["fin", "rst"])
async def test_a_hang_up_before_tls_is_told(protocol: str, how: str) -> None:
    def respond(server: Any, data: bytes) -> None:
        if data or greets_first(protocol):
            getattr(server, how)()

    async with listening(respond) as (endpoint, _):
        seen = await made(endpoint, protocol)
    assert isinstance(seen.outcome, Dropped)
    assert seen.outcome.received == 0 and seen.outcome.kind in {how, "rst"}


async def test_a_greeting_after_all_patience_is_silence() -> None:
    async with speaking("smtp", greeting_delay_s=0.3) as endpoint:
        seen = await made(endpoint, "smtp", patience_s=SHORT_S)
    assert isinstance(seen.outcome, Stalled) and seen.outcome.awaiting == "the SMTP greeting"


async def test_a_bad_certificate_behind_starttls_is_found() -> None:
    expired = pki.leaf(CA, names=(NAME,), not_after=pki.NOW - timedelta(days=2))
    tls = openssl_context(expired, CA)
    async with served(lambda: Speaker(TALKS["smtp"], greets=True, context=tls)) as endpoint:
        report = await checked(endpoint, "smtp")
    assert report.cause == "validity.expired"
    assert "-starttls smtp" in report.findings[0].next_command


# ── PostgreSQL itself ───────────────────────────────────────────────────────────

POSTGRES = shutil.which("postgres")
INITDB = shutil.which("initdb") or next(iter(sorted(map(str, Path("/usr/lib/postgresql").glob("*/bin/initdb")))), None)


def _as_postgres() -> dict[str, Any]:
    """postgres refuses to run as root; another user must then own its directory."""
    if os.getuid() != 0:
        return {}
    import pwd

    return {"user": next(entry.pw_name for entry in pwd.getpwall() if entry.pw_name in {"postgres", "nobody"})}


@asynccontextmanager
async def postgres(*settings: str, files: dict[str, bytes]) -> AsyncIterator[Endpoint]:
    """A server of its own in a directory of its own, which pytest's (0700) would not let another user reach."""
    who = _as_postgres()
    with tempfile.TemporaryDirectory(prefix="clienthello-pg-") as directory:
        home = Path(directory) / "db"
        home.mkdir()
        if who:
            Path(directory).chmod(0o755)
            shutil.chown(home, who["user"])
        made_db = [str(INITDB), "-D", str(home), "--no-sync", "-A", "trust", "-U", "tester"]
        subprocess.run(made_db, check=True, capture_output=True, cwd="/", **who)
        for name, content in files.items():
            (home / name).write_bytes(content)
            (home / name).chmod(0o600)
            if who:
                shutil.chown(home / name, who["user"])
        with socket.socket() as sock:
            sock.bind(("127.0.0.1", 0))
            port = sock.getsockname()[1]
        options = [f"port={port}", "listen_addresses=127.0.0.1", "unix_socket_directories=", "fsync=off", *settings]
        command = [str(POSTGRES), "-D", str(home), *(word for option in options for word in ("-c", option))]
        with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, cwd="/", **who) as server:
            try:
                assert server.stderr is not None
                assert any(b"ready to accept connections" in line for line in server.stderr)
                yield Endpoint(address="127.0.0.1", port=port)
            finally:
                server.terminate()
                server.communicate(timeout=20)


@pytest.mark.skipif(POSTGRES is None or INITDB is None or sys.platform != "linux", reason="PostgreSQL is not installed")
async def test_postgresql_itself_with_tls_and_without() -> None:
    files = {"server.crt": (LEAF.pem + CA.pem).encode(), "server.key": LEAF.key_pem.encode()}
    async with postgres("ssl=on", files=files) as endpoint:
        report = await checked(endpoint, "postgres")
    assert (report.status, report.cause) == ("ok", None), report.findings
    async with postgres("ssl=off", files={}) as endpoint:
        report = await checked(endpoint, "postgres")
    assert report.cause == "reach.not-tls"
    assert "ssl = off" in report.findings[0].explanation
