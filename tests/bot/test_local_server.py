"""The server lets only its own page drive it, and the page's protocol does what the workspace does."""

import asyncio
import io
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from yarl import URL

from bot.local import PortInUse, Running, Suggestion, Workspace, serve
from bot.local.client import VERBS
from bot.local.errors import ApiError, Json, Refused
from tests.bot.local_team import MANIFEST, running, web_client

GOOD_FETCH = {"Sec-Fetch-Site": "same-origin"}


async def fetch(served: Running, method: str, path: str, **options: Any) -> tuple[int, bytes, Any]:
    """One request; its status, body and headers."""
    async with (
        aiohttp.ClientSession() as session,
        session.request(method, served.url + path, allow_redirects=False, **options) as answer,
    ):
        return answer.status, await answer.read(), answer.headers


async def act(served: Running, verb: str, **body: Any) -> Json:
    """What the page does."""
    origin = {"Origin": served.url} | GOOD_FETCH
    status, answer, _ = await fetch(served, "POST", f"/client/{verb}", json=body, headers=origin)
    assert status == 200
    parsed: Json = json.loads(answer)
    return parsed


@asynccontextmanager
async def page(served: Running, user: str = "") -> AsyncIterator[aiohttp.ClientWebSocketResponse]:
    """The page's websocket."""
    async with aiohttp.ClientSession() as session:
        url = f"{served.url}/client/ws" + (f"?user={user}" if user else "")
        async with session.ws_connect(url, headers={"Origin": served.url}) as socket:
            yield socket


async def frames(socket: aiohttp.ClientWebSocketResponse, last: str) -> list[Json]:
    """The frames up to and including the first of type *last*."""
    seen: list[Json] = []
    while not seen or seen[-1]["type"] != last:
        seen.append(await socket.receive_json(timeout=5))
    return seen


# who may speak


@pytest.mark.parametrize("host", ["evil.example", "evil.example:80", "127.0.0.1", "127.0.0.1.evil.example", "", "[::1"])
@pytest.mark.parametrize("path", ["/", "/client/ws", "/api/auth.test", "/files/F1/x", "/page/app.js"])
async def test_another_host_name_is_refused(host: str, path: str) -> None:
    async with running() as served:
        status, _, _ = await fetch(served, "GET", path, headers={"Host": host})
        assert status == 421


async def test_the_names_of_this_machine_are_served() -> None:
    async with running() as served:
        port = served.url.rpartition(":")[2]
        for name in ("127.0.0.1", "localhost", "[::1]"):
            status, _, _ = await fetch(served, "GET", "/api/api.test", headers={"Host": f"{name}:{port}"})
            assert status == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://127.0.0.1:1"},
        {"Origin": "http://localhost"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Sec-Fetch-Site": "none"},
    ],
)
async def test_another_page_cannot_drive_the_workspace(headers: dict[str, str]) -> None:
    async with running() as served:
        workspace = served.workspace
        body = {"user": workspace.me, "channel": workspace.general, "text": "x"}
        status, _, answered = await fetch(served, "POST", "/client/send", json=body, headers=headers)
        assert status == 403
        assert not [name for name in answered if name.lower().startswith("access-control-")]
        form = aiohttp.FormData({"user": workspace.me, "channel": workspace.general})
        form.add_field("file", b"x", filename="x.txt")
        assert (await fetch(served, "POST", "/client/upload", data=form, headers=headers))[0] == 403
        async with aiohttp.ClientSession() as session:
            with pytest.raises(aiohttp.WSServerHandshakeError) as caught:
                await session.ws_connect(f"{served.url}/client/ws", headers=headers)
            assert caught.value.status == 403
        assert workspace.messages("general") == []


async def test_a_form_of_another_page_has_the_wrong_content_type() -> None:
    async with running() as served:
        for content_type in ("text/plain", "application/x-www-form-urlencoded"):
            headers = {"Content-Type": content_type}
            status, _, _ = await fetch(served, "POST", "/client/send", data=b"{}", headers=headers)
            assert status == 415


async def test_no_preflight_is_granted() -> None:
    async with running() as served:
        headers = {"Origin": "https://evil.example", "Access-Control-Request-Method": "POST"}
        for path in ("/api/chat.postMessage", "/client/send"):
            status, _, answered = await fetch(served, "OPTIONS", path, headers=headers)
            assert "Access-Control-Allow-Origin" not in answered
            assert status != 204


async def test_only_this_machine_is_served() -> None:
    for host in ("0.0.0.0", "192.0.2.1", "localhost"):
        with pytest.raises(ValueError, match="this machine only"):
            await serve(Workspace(manifest=MANIFEST), port=0, host=host)


async def test_a_taken_port_is_named() -> None:
    async with running() as served:
        port = int(served.url.rpartition(":")[2])
        with pytest.raises(PortInUse, match=f"port {port} is in use"):
            await serve(Workspace(manifest=MANIFEST), port=port)


async def test_tokens_are_new_in_every_run() -> None:
    first, second = Workspace(manifest=MANIFEST), Workspace(manifest=MANIFEST)
    assert first.bot_token != second.bot_token
    assert first.app_token != second.app_token
    assert first.signing_secret != second.signing_secret


# the page's files


@asynccontextmanager
async def with_page(tmp_path: Path) -> AsyncIterator[Running]:
    """A workspace whose page is two files, beside a secret."""
    folder = tmp_path / "page"
    folder.mkdir()
    (folder / "index.html").write_text("<!doctype html>hello")
    (folder / "app.js").write_text("export {}")
    (tmp_path / "secret.txt").write_text("secret")
    (folder / "link.txt").symlink_to(tmp_path / "secret.txt")
    served = await serve(Workspace(manifest=MANIFEST), port=0, page=folder)
    try:
        yield served
    finally:
        await served.close()


async def test_the_page_comes_with_a_strict_policy_and_a_session(tmp_path: Path) -> None:
    async with with_page(tmp_path) as served:
        status, body, headers = await fetch(served, "GET", "/")
        assert (status, body) == (200, b"<!doctype html>hello")
        policy = headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy and "unsafe" not in policy and "*" not in policy
        assert "frame-ancestors 'none'" in policy
        assert headers["X-Content-Type-Options"] == "nosniff"
        cookie = headers["Set-Cookie"]
        assert "HttpOnly" in cookie and "SameSite=Strict" in cookie
        status, _, headers = await fetch(served, "GET", "/page/app.js")
        assert headers["Content-Type"] == "text/javascript; charset=utf-8"


@pytest.mark.parametrize(
    "path",
    [
        "/page/../secret.txt",
        "/page/%2e%2e/secret.txt",
        "/page/..%2fsecret.txt",
        "/page/link.txt",
        "/page/%00",
        "/page/.",
        "/page//etc/passwd",
    ],
)
async def test_nothing_outside_the_page_is_served(tmp_path: Path, path: str) -> None:
    async with (
        with_page(tmp_path) as served,
        aiohttp.ClientSession() as session,
        session.get(URL(served.url + path, encoded=True)) as answer,
    ):
        assert answer.status == 404
        assert b"secret" not in await answer.read()


async def test_the_page_downloads_with_its_session_and_others_do_not(tmp_path: Path) -> None:
    jar = aiohttp.CookieJar(unsafe=True)
    async with with_page(tmp_path) as served, aiohttp.ClientSession(cookie_jar=jar) as session:
        workspace = served.workspace
        message = await workspace.upload(workspace.me, "general", "x.bin", b"bytes")
        url = served.url + workspace.shown(message)["files"][0]["url"]
        async with session.get(url) as answer:
            assert answer.content_type == "text/html"
        async with session.get(served.url + "/"):
            pass
        async with session.get(url, headers=GOOD_FETCH) as answer:
            assert await answer.read() == b"bytes"
        async with session.get(url, headers={"Sec-Fetch-Site": "cross-site"}) as answer:
            assert answer.content_type == "text/html"


# the protocol of the page


async def test_the_snapshot_shows_what_this_person_may_see() -> None:
    suggestion = Suggestion(text="/tls check expired.lab", description="a certificate that has expired")
    async with running(suggestions=[suggestion]) as served:
        workspace = served.workspace
        workspace.team.add_channel("secret", {workspace.other}, is_private=True)
        await workspace.say(workspace.me, "general", "1 < 2")
        async with page(served) as socket:
            frame = await socket.receive_json(timeout=5)
        assert frame["type"] == "snapshot" and frame["me"] == workspace.me
        assert {channel["name"] for channel in frame["channels"]} == {"incidents", "general", "probe"}
        assert frame["messages"][workspace.general][0] | {"ts": ""} == {
            "ts": "",
            "user": workspace.me,
            "text": "1 &lt; 2",
            "blocks": [],
            "files": [],
        }
        assert frame["app"]["commands"] == [{"command": "/tls", "description": "look", "usage_hint": "check HOST"}]
        assert frame["suggestions"] == [{"text": suggestion.text, "description": suggestion.description}]
        assert frame["connected"] is False


async def test_pages_see_what_happens_and_only_their_own_whispers() -> None:
    async with running() as served:
        workspace, client = served.workspace, web_client(served)
        async with page(served, workspace.me) as ada, page(served, workspace.other) as grace:
            assert (await act(served, "send", user=workspace.other, channel=workspace.general, text="hello"))["ok"]
            ts = workspace.messages("general")[0]["ts"]
            await client.chat_postEphemeral(channel="general", user=workspace.me, text="psst")
            await client.chat_postMessage(channel="general", text="reply", thread_ts=ts)
            await act(served, "react", user=workspace.me, channel=workspace.general, ts=ts, name="eyes")
            await act(served, "edit", user=workspace.other, channel=workspace.general, ts=ts, text="hello all")
            await act(served, "delete", user=workspace.other, channel=workspace.general, ts=ts)
            await client.views_publish(user_id=workspace.me, view={"type": "home", "blocks": []})
            await client.views_publish(user_id=workspace.other, view={"type": "home", "blocks": []})
            seen = {"ada": await frames(ada, "home"), "grace": await frames(grace, "home")}
        kinds = {name: [frame["type"] for frame in listed] for name, listed in seen.items()}
        changes = ["message", "message_changed", "message_changed", "message_changed", "message_changed", "home"]
        assert kinds["grace"] == ["snapshot", "message", *changes]
        assert kinds["ada"] == ["snapshot", "message", "ephemeral", *changes]
        edited = [f["message"] for f in seen["ada"] if f["type"] == "message_changed"]
        assert edited[0]["reply_count"] == 1
        assert edited[1]["reactions"] == [{"name": "eyes", "users": [workspace.me], "count": 1}]
        assert edited[2]["text"] == "hello all" and edited[2]["edited"]
        assert edited[3]["subtype"] == "tombstone"


async def test_commands_without_an_app_get_slacks_notice() -> None:
    async with running() as served:
        workspace = served.workspace
        async with page(served) as socket:
            answer = await act(
                served, "command", user=workspace.me, channel=workspace.general, command="/tls", text="x"
            )
            assert answer == {"ok": True, "acked": False, "acked_after_s": None}
            notice = (await frames(socket, "notice"))[-1]
        assert notice["level"] == "error" and "dispatch_failed" in notice["text"]
        answer = await act(served, "command", user=workspace.me, channel=workspace.general, command="/nope", text="")
        assert answer["ok"] is False and "unknown_command" in answer["error"]


async def test_modals_reach_the_page_and_close() -> None:
    async with running() as served:
        workspace, client = served.workspace, web_client(served)
        view = {"type": "modal", "title": {"type": "plain_text", "text": "Ask"}, "blocks": []}
        async with page(served) as socket:
            for _ in range(2):
                trigger = workspace.triggers.issue(workspace.me)
                opened = await client.views_open(trigger_id=trigger, view=view)
            assert (await act(served, "view_close", user=workspace.me, view_id=opened["view"]["id"]))["ok"]
            await act(served, "open_home", user=workspace.me)
            workspace.notify(workspace.me, "done", "info")
            seen = await frames(socket, "notice")
        assert [f["type"] for f in seen] == ["snapshot", "view", "view_closed", "view", "view_closed", "notice"]
        assert (await act(served, "view_close", user=workspace.me, view_id="V1"))["ok"] is False


async def test_a_file_is_uploaded_with_its_comment_and_a_too_large_one_refused() -> None:
    async with running() as served:
        workspace = served.workspace
        form = aiohttp.FormData({"user": workspace.me, "channel": workspace.general, "comment": "look"})
        form.add_field("file", b"\x00\x01", filename="dump.pcap")
        status, body, _ = await fetch(served, "POST", "/client/upload", data=form, headers={"Origin": served.url})
        assert status == 200 and json.loads(body)["ok"]
        message = workspace.messages("general")[0]
        assert (message["subtype"], message["text"], message["files"][0]["size"]) == ("file_share", "look", 2)
        without = aiohttp.FormData({"user": workspace.me})
        without.add_field("comment", "x")
        assert not json.loads((await fetch(served, "POST", "/client/upload", data=without))[1])["ok"]
        private = aiohttp.FormData({"user": workspace.me})
        private.add_field("file", b"key", filename="client.pem")
        answer = json.loads((await fetch(served, "POST", "/client/upload", data=private))[1])
        assert workspace.files.file(answer["file"]).shares == []


async def test_a_body_beyond_the_cap_is_refused() -> None:
    async with running() as served:
        big = io.BytesIO(b'"' + b"x" * 2_000_000 + b'"')
        headers = {"Content-Type": "application/json"}
        assert (await fetch(served, "POST", "/client/send", data=big, headers=headers))[0] == 413


_FIELD_NAMES = """
user channel text ts message_ts view_id ephemeral_id block_id action_id callback_id state name command
"""
_ODD = st.none() | st.integers() | st.text(max_size=8) | st.lists(st.integers()) | st.just({"values": {"a": 1}})


@settings(deadline=None, max_examples=50)
@given(st.dictionaries(st.sampled_from(_FIELD_NAMES.split()), _ODD, max_size=6))
def test_odd_bodies_never_break_a_verb(body: Json) -> None:
    async def each() -> None:
        workspace = Workspace(manifest=MANIFEST)
        for verb in VERBS.values():
            try:
                await verb(workspace, {"user": workspace.me, "channel": workspace.general, **body})
            except (Refused, ApiError):
                continue
        await workspace.close()

    asyncio.run(each())


async def test_closing_hangs_up_on_pages_at_once() -> None:
    async with running() as served, page(served) as socket:
        await frames(socket, "snapshot")
        started = time.monotonic()
        await served.close()
        assert (await socket.receive(timeout=5)).type in {aiohttp.WSMsgType.CLOSE, aiohttp.WSMsgType.CLOSED}
        assert time.monotonic() - started < 0.9


async def test_unknown_verbs_and_people_are_refused() -> None:
    async with running() as served:
        assert (await fetch(served, "POST", "/client/fly", json={}))[0] == 404
        assert (await fetch(served, "GET", "/client/ws?user=U404"))[0] == 400
        as_json = {"Content-Type": "application/json"}
        assert (await fetch(served, "POST", "/client/send", data=b"[", headers=as_json))[0] == 400
        assert (await act(served, "send", user="U404", channel="C404", text="x"))["ok"] is False
        assert (await act(served, "send", channel="C404", text="x"))["error"] == "“user” is missing."
