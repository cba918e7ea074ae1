"""HTTP mode: the same bot behind signed requests."""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import random
import socket
import time
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import urlencode

import aiohttp
import pytest

from bot.local import UNLIMITED, Workspace, serve
from bot.manifest import MANIFEST
from bot.render import report
from tests.bot.conftest import Checker, Desk, said


@pytest.fixture
def port() -> int:
    """A port that the bot can be told of before it listens: below those the kernel gives to connections of its own."""
    for port in random.sample(range(20000, 32000), 100):
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
    raise RuntimeError("no port is free")


@pytest.fixture
async def desk(tmp_path: Path, port: int) -> AsyncIterator[Desk]:
    url = f"http://127.0.0.1:{port}/slack/events"
    workspace = Workspace(manifest=MANIFEST, limits=UNLIMITED, request_url=url)
    running = await serve(workspace, port=0)
    desk = Desk(workspace, running, tmp_path / "bot.db", Checker())
    await desk.start(http_port=port)
    yield desk
    await desk.stop()
    await running.close()


async def test_a_check_over_http_becomes_a_headline_and_a_thread(desk: Desk) -> None:
    delivery = await desk.tls("check api.example.com")
    assert delivery.is_acked
    headline = await desk.headline("is broken")
    await desk.replies(headline, 2)
    await desk.workspace.click(headline, report.AGAIN)
    replies = await desk.replies(headline, 3)
    assert "Checked again" in said(replies[2])


async def test_a_mention_over_http_is_answered(desk: Desk) -> None:
    await desk.workspace.mention(desk.workspace.me, desk.workspace.incidents, "check api.example.com")
    await desk.headline("is broken")


def signed(secret: str, body: str, *, timestamp: str | None = None, signature: str | None = None) -> dict[str, str]:
    stamp = timestamp if timestamp is not None else str(int(time.time()))
    made = "v0=" + hmac.new(secret.encode(), f"v0:{stamp}:{body}".encode(), hashlib.sha256).hexdigest()
    return {
        "X-Slack-Request-Timestamp": stamp,
        "X-Slack-Signature": signature if signature is not None else made,
        "Content-Type": "application/x-www-form-urlencoded",
    }


def command(desk: Desk, text: str, trigger: str = "1.2.3") -> str:
    ws = desk.workspace
    fields = {
        "command": "/tls", "text": text, "trigger_id": trigger, "team_id": ws.team.id, "channel_id": ws.incidents,
        "user_id": ws.me, "response_url": "",
    }  # fmt: skip
    return urlencode(fields)


async def posted(port: int, body: str, headers: dict[str, str]) -> tuple[int, str]:
    async with (
        aiohttp.ClientSession() as session,
        session.post(f"http://127.0.0.1:{port}/slack/events", data=body.encode(), headers=headers) as answer,
    ):
        return answer.status, await answer.text()


async def test_a_good_signature_is_let_in(desk: Desk, port: int) -> None:
    body = command(desk, "help")
    status, text = await posted(port, body, signed(desk.running.signing_secret, body))
    assert status == 200
    assert "Why does this TLS handshake fail?" in text


@pytest.mark.parametrize("timestamp", ["soon", "", "-5", "1e9", "9" * 5000, "٣"])
async def test_a_timestamp_that_is_no_number_is_a_bad_request_and_no_crash(
    desk: Desk, port: int, timestamp: str
) -> None:
    body = command(desk, "check api.example.com")
    headers = signed(desk.running.signing_secret, body, timestamp=timestamp)
    status, _ = await posted(port, body, headers)
    assert status in {400, 401}
    assert desk.checker.asked == []


@pytest.mark.parametrize("age", [-301, 301])
async def test_a_request_of_another_time_is_refused(desk: Desk, port: int, age: int) -> None:
    body = command(desk, "check api.example.com")
    headers = signed(desk.running.signing_secret, body, timestamp=str(int(time.time()) - age))
    assert (await posted(port, body, headers))[0] == 401


@pytest.mark.parametrize("signature", ["", "v0=00", "v0=" + "0" * 64])
async def test_a_wrong_signature_is_refused(desk: Desk, port: int, signature: str) -> None:
    body = command(desk, "check api.example.com")
    headers = signed(desk.running.signing_secret, body, signature=signature)
    assert (await posted(port, body, headers))[0] == 401


async def test_an_unsigned_request_is_refused_even_when_nothing_would_handle_it(desk: Desk, port: int) -> None:
    body = urlencode({"payload": '{"type": "block_actions", "actions": [{"action_id": "x"}], "user": {"id": "U1"}}'})
    assert (await posted(port, body, {"Content-Type": "application/x-www-form-urlencoded"}))[0] == 401


async def test_a_replay_has_no_second_effect(desk: Desk, port: int) -> None:
    body = command(desk, "check api.example.com")
    headers = signed(desk.running.signing_secret, body)
    for _ in range(2):
        assert (await posted(port, body, headers))[0] == 200
    await desk.headline("is broken")
    await desk.settled()
    assert len(desk.checker.asked) == 1
