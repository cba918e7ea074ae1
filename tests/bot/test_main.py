"""`python -m bot` as a process: local mode, mistakes, and an orderly end."""

from __future__ import annotations

import asyncio
import logging
import os
import re
import signal
import socket
import sys
from pathlib import Path

import aiohttp
import pytest

import bot.__main__ as bot_main
from bot.__main__ import telling_first
from bot.history import History
from bot.local import Workspace, serve
from bot.manifest import MANIFEST
from probes.lab import start


def environment(tmp_path: Path, **more: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("SLACK_", "EGRESS_"))}
    return kept | {"DATABASE_PATH": str(tmp_path / "bot.db")} | more


async def started(environ: dict[str, str], *arguments: str) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "bot",
        *arguments,
        env=environ,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )


async def ended(process: asyncio.subprocess.Process) -> tuple[int, str]:
    async with asyncio.timeout(30):
        out, err = await process.communicate()
    assert process.returncode is not None
    return process.returncode, (out + err).decode()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


async def test_without_a_token_it_brings_its_own_workspace_and_answers_there(tmp_path: Path) -> None:
    port = free_port()
    bot = await started(environment(tmp_path, LOCAL_PORT=str(port)))
    assert bot.stdout is not None
    async with asyncio.timeout(30):
        while f"http://127.0.0.1:{port}" not in (line := (await bot.stdout.readline()).decode()):
            assert line, (await ended(bot))[1]
        hint = ""
        while "/tls check" not in hint:
            hint = (await bot.stdout.readline()).decode()
    command = re.search(r"/tls (check \S+)", hint)
    assert command is not None
    verdict = await asked_in_the_page(port, command[1])
    assert "is broken: the certificate" in verdict
    bot.send_signal(signal.SIGTERM)
    status, said = await ended(bot)
    assert status == 0, said
    assert "Traceback" not in said


async def asked_in_the_page(port: int, text: str) -> str:
    """Type `/tls …` as the page does; the headline once it holds a verdict."""
    url = f"http://127.0.0.1:{port}"
    async with asyncio.timeout(30), aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as page:
        async with page.get(url) as answer:
            assert answer.status == 200
        async with page.ws_connect(f"{url}/client/ws", origin=url) as socket:
            hello = await socket.receive_json()
            me = hello["me"]
            channel = next(each["id"] for each in hello["channels"] if each["name"] == "incidents")
            while True:
                body = {"user": me, "channel": channel, "command": "/tls", "text": text}
                async with page.post(f"{url}/client/command", json=body, headers={"Origin": url}) as sent:
                    assert sent.status == 200
                async for frame in socket:
                    seen = frame.json()
                    message = seen.get("message") or {}
                    if "is broken" in message.get("text", ""):
                        return str(message["text"])
                    if seen.get("type") == "notice":
                        break  # the bot is not connected yet


async def test_the_list_that_greets_begins_with_what_tells_most() -> None:
    async with await start(port=0) as lab:
        cases = [{"name": case.name} for case in lab.cases]
    names = [case["name"] for case in telling_first(cases)]
    assert names[:8] == [
        "expired.lab", "no-intermediate.lab", "default-certificate.lab", "one-expired.lab", "legacy-only.lab",
        "large-hello.lab", "plain-http.lab", "healthy.lab",
    ]  # fmt: skip
    assert sorted(names) == sorted(case["name"] for case in cases)


async def test_a_port_that_is_taken_is_said_plainly(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        status, said = await ended(await started(environment(tmp_path, LOCAL_PORT=str(port))))
    assert status == 3
    assert f"port {port} is in use" in said
    assert "LOCAL_PORT" in said
    assert "Traceback" not in said


async def test_a_database_that_another_bot_has_is_said_plainly(tmp_path: Path) -> None:
    first = await History.open(tmp_path / "bot.db")
    try:
        status, said = await ended(await started(environment(tmp_path, LOCAL_PORT=str(free_port()))))
    finally:
        await first.close()
    assert status == 3
    assert f"bot.db is in use by another bot process (pid {os.getpid()})" in said
    assert "DATABASE_PATH" in said
    assert "Traceback" not in said


async def test_a_bot_that_waits_for_another_says_so_and_ends_when_told(tmp_path: Path) -> None:
    first = await History.open(tmp_path / "bot.db")
    tokens = {"SLACK_BOT_TOKEN": "xoxb-1", "SLACK_APP_TOKEN": "xapp-1", "SLACK_API_URL": "http://127.0.0.1:9/api/"}
    try:
        second = await started(environment(tmp_path, **tokens))
        assert second.stderr is not None
        async with asyncio.timeout(30):
            while b"waiting for that one to end" not in (line := await second.stderr.readline()):
                assert line, (await ended(second))[1]
        second.send_signal(signal.SIGTERM)
        status, said = await ended(second)
    finally:
        await first.close()
    assert status == 0, said
    assert "Traceback" not in said


async def test_mistakes_in_the_environment_are_listed_and_nothing_starts(tmp_path: Path) -> None:
    environ = environment(tmp_path, LOG_LEVEL="loud", PORT="zero", SLACK_APP_TOKEN="xapp-hushhush")
    status, said = await ended(await started(environ))
    assert status == 2
    assert all(name in said for name in ("LOG_LEVEL", "PORT", "SLACK_BOT_TOKEN"))
    assert "hushhush" not in said
    assert not (tmp_path / "bot.db").exists()


async def test_migrate_makes_the_database(tmp_path: Path) -> None:
    status, said = await ended(await started(environment(tmp_path), "migrate"))
    assert (status, "is up to date" in said) == (0, True), said
    assert (tmp_path / "bot.db").exists()


@pytest.mark.skipif(
    not Path(f"/proc/{os.getpid()}/task/{os.getpid()}/children").exists(), reason="this system has no /proc of children"
)
async def test_what_reads_strangers_bytes_inherits_no_token(tmp_path: Path) -> None:
    running = await serve(Workspace(manifest=MANIFEST), port=0)
    secrets = {
        "SLACK_BOT_TOKEN": running.bot_token,
        "SLACK_APP_TOKEN": running.app_token,
        "SECRET_KEY": "k" * 40,
    }
    bot = await started(environment(tmp_path, SLACK_API_URL=running.api_url, **secrets))
    try:
        await running.workspace.connected(2, 30)
        [child] = Path(f"/proc/{bot.pid}/task/{bot.pid}/children").read_text().split()
        inherited = Path(f"/proc/{child}/environ").read_text()
    finally:
        bot.send_signal(signal.SIGTERM)
        status, said = await ended(bot)
        await running.close()
    assert status == 0, said
    assert "PATH=" in inherited
    for secret in secrets.values():
        assert secret not in inherited
        assert secret not in said


@pytest.mark.parametrize(("token", "status"), [("right", 0), ("xoxb-wrong", 1)])
async def test_doctor_asks_slack_who_it_is(tmp_path: Path, token: str, status: int) -> None:
    running = await serve(Workspace(manifest=MANIFEST), port=0)
    try:
        environ = environment(
            tmp_path,
            SLACK_BOT_TOKEN=running.bot_token if token == "right" else token,
            SLACK_APP_TOKEN=running.app_token,
            SLACK_API_URL=running.api_url,
        )
        got, said = await ended(await started(environ, "doctor"))
    finally:
        await running.close()
    assert got == status, said
    assert ("invalid_auth" in said) == (status == 1)
    assert running.bot_token not in said


@pytest.mark.parametrize(("error", "is_shown"), [(ConnectionResetError("closing"), False), (KeyError("x"), True)])
def test_a_connection_that_closed_is_a_line_and_our_own_fault_a_traceback(error: Exception, is_shown: bool) -> None:
    try:
        raise error
    except Exception:
        record = logging.LogRecord("slack_sdk.socket_mode", logging.ERROR, "", 1, "failed", None, sys.exc_info())
    assert bot_main._is_ours_or_grave(record)
    assert ("Traceback" in logging.Formatter().format(record)) == is_shown
