"""`python -m bot doctor` against the local workspace: what it finds, what it says to do, and what it leaves alone."""

from __future__ import annotations

import asyncio
import json
import socket
import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from bot import config, doctor, doctor_here
from bot.doctor_here import Finding
from bot.history import History
from bot.local import Running, Workspace, serve
from bot.manifest import MANIFEST
from tests.bot.test_main import ended, environment, free_port, started


@pytest.fixture
async def running() -> AsyncIterator[Running]:
    served = await serve(Workspace(manifest=MANIFEST), port=0)
    yield served
    await served.close()


def tokens(running: Running, **more: str) -> dict[str, str]:
    own = {
        "SLACK_BOT_TOKEN": running.bot_token,
        "SLACK_APP_TOKEN": running.app_token,
        "SLACK_API_URL": running.api_url,
    }
    return own | more


async def found(tmp_path: Path, environ: dict[str, str], *, http: bool = False) -> dict[str, Finding]:
    settings = config.read({"DATABASE_PATH": str(tmp_path / "bot.db")} | environ, http=http)
    return {finding.name: finding for finding in await doctor.examined(settings)}


# ── Slack ───────────────────────────────────────────────────────────────────────


async def test_a_bot_that_is_well_is_well(tmp_path: Path, running: Running) -> None:
    seen = await found(tmp_path, tokens(running, SECRET_KEY="k" * 40))
    assert doctor.status(list(seen.values())) == 0
    assert {name for name, each in seen.items() if each.state == "ok"} >= {
        "bot token", "scopes", "clock", "Socket Mode", "disk", "SECRET_KEY", "trust store", "egress",
    }  # fmt: skip
    assert running.workspace.bot in seen["bot token"].said
    assert "ms" in seen["clock"].said
    assert running.workspace.socket_mode.connections == 0  # it held none
    assert not (tmp_path / "bot.db").exists()  # it made nothing


async def test_what_stops_without_a_scope_is_said_and_what_to_do(tmp_path: Path) -> None:
    scopes = [each for each in MANIFEST["oauth_config"]["scopes"]["bot"] if each not in {"files:write", "users:read"}]
    served = await serve(Workspace(manifest=MANIFEST | {"oauth_config": {"scopes": {"bot": scopes}}}), port=0)
    try:
        seen = await found(tmp_path, tokens(served))
    finally:
        await served.close()
    assert seen["scopes"].state == "WRONG"
    assert "files:write is missing: reports, chains" in seen["scopes"].said
    assert "users:read" in seen["scopes"].said
    assert "reinstall" in seen["scopes"].remedy
    assert doctor.status(list(seen.values())) == 1


async def test_a_scope_too_many_is_remarked(tmp_path: Path) -> None:
    scopes = [*MANIFEST["oauth_config"]["scopes"]["bot"], "pins:write"]
    served = await serve(Workspace(manifest=MANIFEST | {"oauth_config": {"scopes": {"bot": scopes}}}), port=0)
    try:
        seen = await found(tmp_path, tokens(served))
    finally:
        await served.close()
    assert seen["scopes"].state == "note"
    assert "pins:write" in seen["scopes"].said


async def test_wrong_tokens_are_told_apart(tmp_path: Path, running: Running) -> None:
    seen = await found(tmp_path, tokens(running, SLACK_APP_TOKEN="xapp-wrong"))
    assert seen["bot token"].state == "ok"
    assert seen["Socket Mode"].state == "WRONG"
    assert "connections:write" in seen["Socket Mode"].remedy
    seen = await found(tmp_path, tokens(running, SLACK_BOT_TOKEN="xoxb-wrong"))
    assert "invalid_auth" in seen["bot token"].said
    assert seen["Socket Mode"].state == "ok"


async def test_a_slack_that_cannot_be_reached_is_unseen_and_the_rest_is_looked_at(tmp_path: Path) -> None:
    environ = {"SLACK_BOT_TOKEN": "xoxb-1", "SLACK_APP_TOKEN": "xapp-1"}
    seen = await found(tmp_path, environ | {"SLACK_API_URL": f"http://127.0.0.1:{free_port()}/api/"})
    assert seen["Slack"].is_unseen
    assert seen["Socket Mode"].is_unseen
    assert "disk" in seen
    assert doctor.status(list(seen.values())) == 3


@pytest.mark.parametrize(("off", "state"), [(0, "ok"), (-20, "note"), (400, "WRONG"), (-400, "WRONG")])
def test_the_clock_is_measured_against_slacks(off: int, state: str) -> None:
    then = datetime.now(UTC) - timedelta(seconds=off)
    headers = {"Date": then.strftime("%a, %d %b %Y %H:%M:%S GMT")}
    [seen] = doctor._clock(headers, datetime.now(UTC).timestamp())
    assert seen.state == state
    if off:
        assert ("ahead of" if off > 0 else "behind") in seen.said


# ── HTTP mode, and many workspaces ──────────────────────────────────────────────


async def test_a_port_that_is_taken_and_a_secret_of_another_form_are_found(tmp_path: Path, running: Running) -> None:
    with socket.socket() as taken:
        taken.bind(("", 0))
        taken.listen()
        environ = tokens(running, SLACK_SIGNING_SECRET="not-hex", PORT=str(taken.getsockname()[1]))
        seen = await found(tmp_path, environ, http=True)
    assert seen["PORT"].state == "WRONG"
    assert seen["signing secret"].state == "note"
    environ |= {"PORT": str(free_port()), "SLACK_SIGNING_SECRET": running.signing_secret}
    seen = await found(tmp_path, environ, http=True)
    assert (seen["PORT"].state, seen["signing secret"].state) == ("ok", "ok")


async def test_many_workspaces_are_counted_and_their_tokens_tried_with_the_key(
    tmp_path: Path, running: Running
) -> None:
    from bot.sealing import Seal

    environ = {
        "SLACK_CLIENT_ID": "1.2", "SLACK_CLIENT_SECRET": "x", "SLACK_SIGNING_SECRET": "f" * 32,
        "SECRET_KEY": "k" * 40, "SLACK_API_URL": running.api_url, "PORT": str(free_port()),
    }  # fmt: skip
    assert "none has installed" in (await found(tmp_path, environ))["workspaces"].said
    await (await History.open(tmp_path / "bot.db")).close()
    sealed = Seal("k" * 40).close(b"{}", about=("installation", "T1", "tokens"))
    with closing(sqlite3.connect(tmp_path / "bot.db")) as beside, beside:
        beside.execute(
            "insert into installations values ('T1', 0, 'Alpha', 'A', 'U', 'B', '', '', ?, null, 'U', '', null)",
            (sealed,),
        )
    seen = await found(tmp_path, environ)
    assert (seen["workspaces"].state, seen["Slack"].state) == ("ok", "ok")
    seen = await found(tmp_path, environ | {"SECRET_KEY": "z" * 40})
    assert "the tokens of Alpha do not open" in seen["workspaces"].said
    assert seen["workspaces"].state == "WRONG"


# ── this machine ────────────────────────────────────────────────────────────────


async def test_a_database_in_use_is_looked_at_all_the_same(tmp_path: Path, running: Running) -> None:
    history = await History.open(tmp_path / "bot.db")
    try:
        seen = await found(tmp_path, tokens(running))
    finally:
        await history.close()
    assert seen["database"].state == "ok"
    assert "in use by process" in seen["database"].said
    assert "no connection was opened beside" in seen["Socket Mode"].said


async def test_a_database_that_is_damaged_or_none_is_found(tmp_path: Path) -> None:
    path = tmp_path / "bot.db"
    path.write_bytes(b"no database at all, but long enough to be taken for one" * 100)
    seen = await found(tmp_path, {})
    assert seen["database"].state == "WRONG"
    assert path.read_bytes().startswith(b"no database")


async def test_steps_that_are_pending_are_told_and_not_taken(tmp_path: Path) -> None:
    await (await History.open(tmp_path / "bot.db")).close()
    with closing(sqlite3.connect(tmp_path / "bot.db")) as beside, beside:
        beside.execute("delete from _sqlite_migrations where name = '0008_channels'")
    seen = await found(tmp_path, {})
    assert "1 steps to migrate" in seen["database"].said
    with closing(sqlite3.connect(tmp_path / "bot.db")) as beside:
        assert beside.execute("select count(*) from _sqlite_migrations where name = '0008_channels'").fetchone() == (0,)


async def test_identities_without_their_key_are_found(tmp_path: Path) -> None:
    await (await History.open(tmp_path / "bot.db")).close()
    with closing(sqlite3.connect(tmp_path / "bot.db")) as beside, beside:
        beside.execute("insert into identities values ('T', 'n', '[]', '[]', x'00', 'U', '')")
    assert (await found(tmp_path, {}))["SECRET_KEY"].state == "WRONG"


@pytest.mark.parametrize(
    ("environ", "state", "part"),
    [
        ({}, "ok", "private networks allowed"),
        ({"EGRESS_DENY": "10.0.0.0/8"}, "ok", "EGRESS_DENY refuses 10.0.0.0/8"),
        ({"EGRESS_ALLOW": "127.0.0.0/8"}, "note", "127.0.0.1"),
        ({"EGRESS_ALLOW": "169.254.0.0/16"}, "WRONG", "169.254.169.254"),
    ],
)
async def test_what_may_be_connected_to_is_said_in_words(
    tmp_path: Path, environ: dict[str, str], state: str, part: str
) -> None:
    seen = (await found(tmp_path, environ))["egress"]
    assert seen.state == state
    assert part in seen.said


async def test_a_resolver_that_is_named_is_asked(tmp_path: Path) -> None:
    import dns.message
    import dns.rcode

    class Server(asyncio.DatagramProtocol):
        def connection_made(self, transport: Any) -> None:
            self.transport = transport

        def datagram_received(self, data: bytes, peer: Any) -> None:
            query = dns.message.from_wire(data)
            answer = dns.message.make_response(query)
            answer.set_rcode(dns.rcode.NXDOMAIN)
            asked.append(str(query.question[0].name))
            self.transport.sendto(answer.to_wire(), peer)

    asked: list[str] = []
    transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(Server, local_addr=("127.0.0.1", 0))
    try:
        port = transport.get_extra_info("sockname")[1]
        seen = (await found(tmp_path, {"RESOLVER": f"127.0.0.1:{port}"}))["resolver"]
    finally:
        transport.close()
    assert seen.state == "ok", seen.said
    assert "example.com." in asked
    seen = (await found(tmp_path, {"RESOLVER": f"127.0.0.1:{free_port()}"}))["resolver"]
    assert seen.state == "WRONG"
    assert "RESOLVER" in seen.remedy


def log_list(days: int) -> bytes:
    at = datetime.now(UTC) - timedelta(days=days, minutes=1)
    return json.dumps(
        {"version": "1", "log_list_timestamp": at.strftime("%Y-%m-%dT%H:%M:%SZ"), "operators": []}
    ).encode()


@pytest.mark.parametrize(("days", "state"), [(3, "ok"), (40, "note"), (100, "WRONG")])
async def test_the_log_lists_age_is_told(tmp_path: Path, days: int, state: str) -> None:
    place = tmp_path / "list.json"
    place.write_bytes(log_list(days))
    seen = (await found(tmp_path, {"CT_LOG_LIST": str(place)}))["CT_LOG_LIST"]
    assert seen.state == state
    assert f"{days} days old" in seen.said


async def test_a_log_list_is_fetched_and_what_is_none_is_found(tmp_path: Path) -> None:
    async def answer(request: web.Request) -> web.Response:
        return web.Response(body=log_list(1)) if request.path == "/list" else web.Response(status=404)

    runner = web.AppRunner(_application(answer))
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        assert (await found(tmp_path, {"CT_LOG_LIST": f"{url}/list"}))["CT_LOG_LIST"].state == "ok"
        assert "404" in (await found(tmp_path, {"CT_LOG_LIST": f"{url}/gone"}))["CT_LOG_LIST"].said
    finally:
        await runner.cleanup()
    (tmp_path / "list.json").write_text("{}")
    assert (await found(tmp_path, {"CT_LOG_LIST": str(tmp_path / "list.json")}))["CT_LOG_LIST"].state == "WRONG"


def _application(handler: Any) -> web.Application:
    application = web.Application()
    application.router.add_get("/{path}", handler)
    return application


async def test_a_trust_file_that_is_cut_short_is_found(tmp_path: Path) -> None:
    cut = tmp_path / "roots.pem"
    cut.write_text("-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n")
    assert (await found(tmp_path, {"TRUST_FILE": str(cut)}))["TRUST_FILE"].state == "WRONG"


def test_little_room_is_wrong() -> None:
    assert doctor_here._room(Path("x"), 1024).state == "WRONG"
    assert doctor_here._room(Path("x"), 1024**4).state == "ok"


# ── the command ─────────────────────────────────────────────────────────────────


async def test_the_command_prints_json_and_no_secret(tmp_path: Path, running: Running) -> None:
    environ = environment(tmp_path, **tokens(running, SECRET_KEY="k" * 40))
    status, said = await ended(await started(environ, "doctor", "--json"))
    assert status == 0, said
    shown = json.loads(said[said.index("{") : said.rindex("}") + 1])
    assert shown["status"] == 0
    assert {"bot token", "scopes", "egress"} <= {each["name"] for each in shown["findings"]}
    for secret in (running.bot_token, running.app_token, "k" * 40):
        assert secret not in said


async def test_the_command_says_what_to_do(tmp_path: Path, running: Running) -> None:
    environ = environment(tmp_path, **tokens(running, SLACK_APP_TOKEN="xapp-wrong"))
    status, said = await ended(await started(environ, "doctor"))
    assert status == 1
    assert "WRONG Socket Mode: Slack answered invalid_auth" in said
    assert "→ Make an app-level token" in said
