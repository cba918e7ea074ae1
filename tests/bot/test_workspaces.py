"""Many workspaces by OAuth: two teams behind one Web API, whose people and channels even have the same ids."""

from __future__ import annotations

import asyncio
import html
import json
import re
import sqlite3
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, closing
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import aiohttp
import pytest
from slack_sdk.web.async_client import AsyncWebClient

from bot.config import ManyWorkspaces
from bot.history import History
from bot.installations import Installations, InstalledClients
from bot.local import UNLIMITED, Running, Workspace, serve
from bot.manifest import MANIFEST
from bot.render import incident as room
from bot.render import report
from bot.service import serving
from tests.bot.conftest import Checker, Desk, said
from tests.bot.test_http import port as port  # noqa: PLC0414 - a fixture
from tests.bot.test_http import signed

SECRET_KEY = "k" * 40
# slack_sdk says who it is by a class that aiohttp will drop; nothing of ours.
pytestmark = pytest.mark.filterwarnings("ignore:BasicAuth is deprecated:DeprecationWarning")


class Street:
    """Two workspaces and the one bot that serves both."""

    def __init__(self, running: Running, workspaces: tuple[Workspace, Workspace], database: Path, port: int) -> None:
        self.running, self.database, self.port = running, database, port
        self.url = f"http://127.0.0.1:{port}"
        self.checker = Checker()
        self.desks = [Desk(workspace, running, database, self.checker) for workspace in workspaces]
        self._bot: AsyncExitStack | None = None

    async def start(self, **settings: Any) -> None:
        installs = self.running.workspace.installs
        connection = ManyWorkspaces(
            client_id=installs.client_id,
            client_secret=installs.client_secret,
            signing_secret=self.running.signing_secret,
            port=self.port,
            api_url=self.running.api_url,
        )
        self._bot = AsyncExitStack()
        outbox = await self._bot.enter_async_context(
            serving(
                connection,
                database=self.database,
                checker=self.checker,
                **{"secret_key": SECRET_KEY, **settings},
            )
        )
        for desk in self.desks:
            desk.outbox = outbox

    async def stop(self) -> None:
        if self._bot is not None:
            await self._bot.aclose()
            self._bot = None

    async def fetched(self, url: str, **headers: str) -> tuple[int, str, dict[str, str]]:
        async with aiohttp.ClientSession() as session, session.get(url, headers=headers, allow_redirects=False) as got:
            return got.status, await got.text(), dict(got.headers)

    async def begun(self, team: str) -> tuple[str, str]:
        """The state's cookie, and where Slack sends the browser back to once a person said yes."""
        status, page, headers = await self.fetched(f"{self.url}/slack/install?team={team}")
        assert status == 200
        link = re.search(r'class="button" href="([^"]+)"', page)
        assert link is not None
        status, _, back = await self.fetched(html.unescape(link[1]))
        assert status == 302
        return headers["Set-Cookie"].split(";")[0], back["Location"]

    async def install(self, desk: Desk) -> str:
        """Through both pages, as a browser does it; the second page."""
        cookie, back = await self.begun(desk.workspace.team.id)
        status, page, _ = await self.fetched(back, Cookie=cookie)
        assert status == 200, page
        for channel in desk.workspace.team.channels.values():
            channel.members.add(desk.workspace.bot)
        return page

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        with closing(sqlite3.connect(self.database)) as beside:
            return beside.execute(sql).fetchall()

    def change(self, sql: str) -> None:
        with closing(sqlite3.connect(self.database)) as beside, beside:
            beside.execute(sql)


@pytest.fixture
def manifest() -> dict[str, Any]:
    return MANIFEST


@pytest.fixture
async def street(tmp_path: Path, port: int, manifest: dict[str, Any]) -> AsyncIterator[Street]:
    one, two = (
        Workspace(
            manifest=manifest,
            limits=UNLIMITED,
            team_name=name,
            team_id=team,
            request_url=f"http://127.0.0.1:{port}/slack/events",
            retry_delays_s=(),
        )
        for name, team in (("Alpha & Sons", "T0ALPHA"), ("Beta", "T0BETA"))
    )
    one.installs.redirect_url = f"http://127.0.0.1:{port}/slack/oauth_redirect"
    running = await serve(one, port=0, neighbours=[two])
    street = Street(running, (one, two), tmp_path / "bot.db", port)
    try:
        await street.start()
        yield street
    finally:
        await street.stop()
        await running.close()


@pytest.fixture
async def both(street: Street) -> Street:
    for desk in street.desks:
        await street.install(desk)
    return street


# ── installing ──────────────────────────────────────────────────────────────────


async def test_installing_ends_on_a_page_that_says_what_to_do(street: Street) -> None:
    page = await street.install(street.desks[0])
    assert "Alpha &amp; Sons" in page
    assert "/tls check api.example.com" in page
    assert "app_redirect?app=" in page


async def test_tokens_are_nowhere_in_the_file_and_nowhere_in_the_log(
    street: Street, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level("DEBUG", logger="bot"):
        await street.install(street.desks[0])
    token = street.desks[0].workspace.bot_token
    await street.stop()
    stored = b"".join(path.read_bytes() for path in street.database.parent.iterdir())
    assert token.encode() not in stored
    assert token not in caplog.text
    assert street.rows("select id, bot_user from installations") == [("T0ALPHA", street.desks[0].workspace.bot)]


async def test_a_state_is_good_once_and_in_the_browser_that_began_alone(street: Street) -> None:
    cookie, back = await street.begun("T0ALPHA")
    for other in ("", "slack-app-oauth-state=forged"):
        status, page, _ = await street.fetched(back, Cookie=other)
        assert status == 400
        assert "did not begin in this browser" in page
    assert (await street.fetched(back, Cookie=cookie))[0] == 200
    status, page, _ = await street.fetched(back, Cookie=cookie)
    assert status == 401
    assert "used already" in page


async def test_a_state_ends_after_ten_minutes(street: Street) -> None:
    cookie, back = await street.begun("T0ALPHA")
    street.change(f"update oauth_states set expires_at = {time.time() - 1}")
    assert (await street.fetched(back, Cookie=cookie))[0] == 401
    assert street.rows("select * from installations") == []


async def test_whoever_says_no_reads_that_nothing_was_stored(street: Street) -> None:
    status, page, headers = await street.fetched(f"{street.url}/slack/oauth_redirect?error=access_denied")
    assert status == 200
    assert "nothing was installed" in page
    assert "frame-ancestors 'none'" in headers["Content-Security-Policy"]
    status, page, _ = await street.fetched(f"{street.url}/slack/oauth_redirect?error=<script>alert(1)</script>")
    assert "<script>" not in page


async def test_a_forged_code_installs_nothing(street: Street) -> None:
    cookie, back = await street.begun("T0ALPHA")
    status, page, _ = await street.fetched(re.sub(r"code=[^&]+", "code=forged", back), Cookie=cookie)
    assert status == 401
    assert "did not take the code" in page
    assert street.rows("select * from installations") == []


# ── each with its own token, and none sees the other's memory ────────────────────


async def test_each_workspace_is_answered_with_its_own_token(both: Street) -> None:
    for desk in both.desks:
        await desk.tls("check api.example.com")
        headline = await desk.headline("is broken")
        await desk.replies(headline, 2)
        await desk.workspace.mention(desk.workspace.me, desk.workspace.incidents, "help")
    await both.desks[0].settled()
    for desk in both.desks:
        assert {call.error for call in desk.workspace.calls_of("chat.postMessage")} == {None}
        assert len(desk.bot_messages()) >= 3
    assert both.desks[0].workspace.incidents == both.desks[1].workspace.incidents  # the ids do not tell them apart
    assert sorted(both.rows("select team, count(*) from incidents group by team")) == [("T0ALPHA", 1), ("T0BETA", 1)]


async def test_history_incidents_and_buttons_of_one_are_nothing_to_the_other(both: Street) -> None:
    one, two = both.desks
    await one.tls("check secret.alpha.example")
    root = await one.headline("is broken")
    await one.replies(root, 2)
    await one.tls("note the ledger is at fault")
    await one.whisper("INC-1")

    await two.tls("history")
    assert "secret.alpha" not in said((await two.whisper("")).message)
    await two.tls("history ledger")
    await two.tls("note into which incident?")
    await two.whisper("no open incident")
    for action, value in ((report.RAW, "1"), (report.CHANGED, "1"), (room.RESOLVE, "1"), (room.POSTMORTEM, "1")):
        status, _ = await clicked(both, two, root, action, value)
        assert status == 200
    await two.settled()
    assert not any("secret.alpha" in json.dumps(w.message) for w in two.workspace.whispers())
    assert two.bot_messages() == []
    assert both.rows("select team, state from incidents") == [("T0ALPHA", "open")]


async def clicked(street: Street, desk: Desk, message: dict[str, Any], action: str, value: str) -> tuple[int, str]:
    """A click as another workspace's Slack would sign it, on a message that was never there."""
    ws = desk.workspace
    secret = ws.response_urls.issue("actions", channel=ws.incidents, user=ws.me)
    payload = {
        "type": "block_actions",
        "team": {"id": ws.team.id, "domain": "x"},
        "user": {"id": ws.me, "team_id": ws.team.id},
        "channel": {"id": ws.incidents},
        "container": {"type": "message", "message_ts": message["ts"], "channel_id": ws.incidents},
        "message": {"ts": message["ts"]},
        "response_url": ws.response_url("actions", secret),
        "actions": [{"action_id": action, "type": "button", "value": value, "action_ts": f"{time.time():.6f}"}],
    }
    body = urlencode({"payload": json.dumps(payload)})
    async with (
        aiohttp.ClientSession() as session,
        session.post(
            f"{street.url}/slack/events", data=body, headers=signed(street.running.signing_secret, body)
        ) as answer,
    ):
        return answer.status, await answer.text()


async def test_pins_and_notes_go_by_workspace(both: Street) -> None:
    one, two = both.desks
    await one.tls("check api.example.com")
    await one.replies(await one.headline("is broken"), 2)
    ws = two.workspace
    message = await ws.say(ws.me, ws.incidents, "nobody else's business")
    await ws.react(ws.me, ws.incidents, message["ts"], "pushpin")
    await two.settled()
    assert both.rows("select * from timeline where kind = 'note'") == []


async def test_identities_belong_to_one_workspace(both: Street) -> None:
    both.change(
        "insert into identities values ('T0ALPHA', 'payments', '[\"api.example.com\"]', '[]', x'00', 'U1',"
        " '2026-01-01T00:00:00+00:00')"
    )
    two = both.desks[1]
    await two.tls("check api.example.com --identity payments")
    await two.headline("no identity of that name")
    await two.tls("identity remove payments")
    await two.settled()
    assert both.rows("select team from identities") == [("T0ALPHA",)]
    assert both.checker.asked == []


async def test_a_workspace_that_has_not_installed_the_app_is_told_so_and_nothing_is_stored(street: Street) -> None:
    desk = street.desks[0]
    delivery = await desk.tls("check api.example.com")
    assert delivery.is_acked
    assert "not installed" in json.dumps([w.message["text"] for w in desk.workspace.whispers()])
    assert street.rows("select * from intakes") == []


# ── uninstalling ────────────────────────────────────────────────────────────────


async def gone(street: Street) -> None:
    async with asyncio.timeout(10):
        while street.rows("select 1 from installations where sealed is not null and id = 'T0ALPHA'"):
            await street.desks[0].workspace.settled()


async def test_an_uninstall_erases_the_tokens_and_stops_everything_there(both: Street) -> None:
    one, two = both.desks
    for desk in both.desks:
        await desk.tls("check api.example.com")
        root = await desk.headline("is broken")
        await desk.workspace.click(root, room.WATCH)
        await desk.worked_off()
    assert len(both.rows("select * from vigils")) == 2
    both.checker.gate.clear()
    await one.tls("check slow.example.com")
    await one.headline("Checking")
    calls = len(one.workspace.calls)
    await one.workspace.uninstall()
    await gone(both)
    both.checker.gate.set()
    await one.settled()
    await two.workspace.mention(two.workspace.me, two.workspace.general, "check other.example.com")
    await two.workspace.wait_for(
        lambda: any("is broken" in message["text"] for message in two.bot_messages(two.workspace.general))
    )
    await two.settled()
    assert [row[0] for row in both.rows("select i.team from vigils v join incidents i on i.id = v.incident")] == [
        "T0BETA"
    ]
    assert {call.method for call in one.workspace.calls[calls:]} == set()
    assert both.rows("select ended_at is null from installations where id = 'T0ALPHA'") == [(0,)]


async def test_installing_again_takes_up_and_old_news_of_the_uninstall_changes_nothing(both: Street) -> None:
    one = both.desks[0]
    await one.tls("check api.example.com")
    await one.replies(await one.headline("is broken"), 2)
    await one.workspace.uninstall()
    await gone(both)
    old = [
        each.payload
        for each in one.workspace.courier.log
        if each.payload.get("event", {}).get("type") == "app_uninstalled"
    ]
    await both.install(one)
    body = json.dumps(old[0] | {"event_time": int(time.time()) - 60, "event_id": "Ev0LATE"})
    async with aiohttp.ClientSession() as session:
        headers = signed(both.running.signing_secret, body) | {"Content-Type": "application/json"}
        async with session.post(f"{both.url}/slack/events", data=body, headers=headers) as answer:
            assert answer.status == 200
    await one.tls("check api.example.com")  # what was remembered is still there: the incident is the same
    await one.whisper("INC-1")
    await one.settled()
    assert both.rows("select count(*) from incidents where team = 'T0ALPHA'") == [(1,)]


async def test_a_persons_token_taken_back_is_not_the_bots(both: Street) -> None:
    one = both.desks[0]
    event = {"type": "tokens_revoked", "tokens": {"oauth": [one.workspace.me]}, "event_ts": "1.0"}
    one.workspace.emit(event, "tokens_revoked")
    await one.workspace.settled()
    await one.tls("check api.example.com")
    await one.headline("is broken")


async def test_another_secret_key_opens_nothing_and_says_so(both: Street, caplog: pytest.LogCaptureFixture) -> None:
    await both.stop()
    await both.start(secret_key="z" * 40)
    await both.desks[0].tls("check api.example.com")
    assert "sealed with another SECRET_KEY" in caplog.text
    assert both.checker.asked == []


# ── token rotation ──────────────────────────────────────────────────────────────


@pytest.mark.parametrize("manifest", [MANIFEST | {"settings": MANIFEST["settings"] | {"token_rotation_enabled": True}}])
async def test_a_token_near_its_end_is_refreshed_once_and_survives_a_restart(street: Street) -> None:
    one = street.desks[0]
    await street.install(one)
    first = one.workspace.bot_token
    await street.stop()
    street.change(f"update installations set expires_at = {int(time.time()) + 600}")
    await street.start()
    await asyncio.gather(*(one.tls("history") for _ in range(5)), one.tls("check host4.example.com"))
    await one.headline("is broken")
    await one.settled()
    refreshes = [
        call for call in one.workspace.calls_of("oauth.v2.access") if call.args["grant_type"] == "refresh_token"
    ]
    assert len(refreshes) == 1
    assert one.workspace.bot_token != first
    await street.stop()
    await street.start()
    one.workspace.tokens.revoke_but(one.workspace.bot_token)
    await one.tls("history")
    await one.whisper("host4.example.com")


@pytest.mark.parametrize("manifest", [MANIFEST | {"settings": MANIFEST["settings"] | {"token_rotation_enabled": True}}])
async def test_whoever_loses_patience_does_not_lose_the_fresh_token(street: Street) -> None:
    one = street.desks[0]
    await street.install(one)
    await street.stop()
    street.change(f"update installations set expires_at = {int(time.time()) + 600}")
    installs, team = street.running.workspace.installs, one.workspace.team.id
    history = await History.open(street.database)
    try:
        async with aiohttp.ClientSession() as session:
            bare = AsyncWebClient(base_url=street.running.api_url, session=session)
            clients = InstalledClients(
                Installations(history, SECRET_KEY, client=bare),
                client_id=installs.client_id,
                client_secret=installs.client_secret,
                client=bare,
            )
            one.workspace.faults.answer("oauth.v2.access", delay_s=0.4)
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.1):
                    await clients.client(team)
            assert (await clients.client(team)).token == one.workspace.bot_token
    finally:
        await history.close()
    refreshes = [
        call for call in one.workspace.calls_of("oauth.v2.access") if call.args["grant_type"] == "refresh_token"
    ]
    assert len(refreshes) == 1


@pytest.mark.parametrize("manifest", [MANIFEST | {"settings": MANIFEST["settings"] | {"token_rotation_enabled": True}}])
async def test_a_refresh_that_slack_cannot_do_now_leaves_the_old_token_while_it_lasts(street: Street) -> None:
    one = street.desks[0]
    await street.install(one)
    await street.stop()
    street.change(f"update installations set expires_at = {int(time.time()) + 600}")
    await street.start()
    one.workspace.faults.answer("oauth.v2.access", times=50, error="internal_error")
    await one.tls("check api.example.com")
    await one.headline("is broken")
