"""What people do with what an app shows: response_url, trigger ids, modals, files, ephemerals, escaping."""

import asyncio
import io
from typing import Any

import aiohttp
import pytest
from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient

from bot.local import Refused, Running, Workspace
from bot.local.delivery import Delivery
from bot.local.errors import Json
from bot.local.typed import as_stored
from tests.bot.local_team import bolt_app, connected, running, web_client
from tests.bot.test_local_delivery import Socket, sockets
from tests.bot.test_local_limits import Hands


async def say_to(url: str, **body: Any) -> tuple[int, str]:
    """POST to a response_url."""
    async with aiohttp.ClientSession() as session, session.post(url, json=body) as answer:
        return answer.status, await answer.text()


async def commanded(workspace: Workspace) -> Json:
    """The payload of a command (that nobody acknowledges: there is no app)."""
    return (await workspace.command(workspace.me, "general", "/tls", "help")).payload


def plain(text: str) -> Json:
    return {"type": "plain_text", "text": text}


def modal(callback_id: str = "ask", **more: Any) -> Json:
    return {"type": "modal", "callback_id": callback_id, "title": plain("Ask"), "blocks": [{"type": "divider"}], **more}


BUTTON: list[Json] = [{"type": "actions", "elements": [{"type": "button", "action_id": "go", "text": plain("Go")}]}]


async def test_a_response_url_is_good_for_five_uses() -> None:
    async with running() as served:
        url = (await commanded(served.workspace))["response_url"]
        for number in range(5):
            assert await say_to(url, text=str(number)) == (200, "ok")
        status, text = await say_to(url, text="6")
        assert status == 404 and "used_url" in text
        assert [e.message["text"] for e in served.workspace.whispers()] == ["0", "1", "2", "3", "4"]


async def test_a_response_url_expires_after_half_an_hour() -> None:
    clock = Hands()
    async with running(clock=clock) as served:
        url = (await commanded(served.workspace))["response_url"]
        clock.now += 1801
        status, text = await say_to(url, text="late")
        assert status == 404 and "expired_url" in text
        assert (await say_to(url[:-1] + "?", text="x"))[0] == 404


async def test_a_response_can_be_for_everybody_or_in_a_thread() -> None:
    async with running() as served:
        workspace = served.workspace
        await workspace.remove_member(workspace.bot, "general")
        url = (await commanded(workspace))["response_url"]
        await say_to(url, text="for all", response_type="in_channel")
        root = workspace.messages("general")[0]
        await say_to(url, text="below", response_type="in_channel", thread_ts=root["ts"])
        assert [m["text"] for m in workspace.thread("general", root["ts"])] == ["for all", "below"]
        await say_to(url, text="you alone", thread_ts=root["ts"])
        assert workspace.whispers()[0].thread_ts == root["ts"]


async def test_bad_responses_are_refused() -> None:
    async with running() as served:
        url = (await commanded(served.workspace))["response_url"]
        assert (await say_to(url))[0] == 400
        assert "invalid_blocks" in (await say_to(url, text="x", blocks=[{"type": "no"}]))[1]
        async with aiohttp.ClientSession() as session, session.post(url, data="{") as answer:
            assert (answer.status, await answer.text()) == (400, "invalid_payload")


async def test_a_click_can_replace_or_delete_its_message() -> None:
    async with running() as served:
        workspace = served.workspace
        await web_client(served).chat_postMessage(channel="general", text="x", blocks=BUTTON)
        message = workspace.messages("general")[0]
        url = (await workspace.click(message, "go")).payload["response_url"]
        await say_to(url, text="replaced", replace_original=True)
        assert workspace.messages("general")[0]["text"] == "replaced"
        await say_to(url, delete_original=True)
        assert workspace.messages("general") == []


async def test_a_click_in_an_ephemeral_message_has_no_message_and_can_replace_it() -> None:
    async with running() as served:
        workspace = served.workspace
        client = web_client(served)
        await client.chat_postEphemeral(channel="general", user=workspace.me, text="x", blocks=BUTTON)
        whisper = workspace.whispers()[0]
        delivery = await workspace.act(workspace.me, action_id="go", ephemeral_id=whisper.id)
        assert "message" not in delivery.payload
        assert delivery.payload["container"]["is_ephemeral"] is True
        await say_to(delivery.payload["response_url"], text="y", replace_original=True)
        assert workspace.whispers()[0].message["text"] == "y"
        await say_to(delivery.payload["response_url"], delete_original=True)
        assert workspace.whispers() == []
        with pytest.raises(Refused):
            await workspace.act(workspace.me, action_id="go", ephemeral_id=whisper.id)
        with pytest.raises(SlackApiError, match="message_not_found"):
            await client.chat_update(channel="general", ts=whisper.message["ts"], text="z")


async def test_the_original_of_a_message_shortcut_is_not_the_apps_to_change() -> None:
    async with running() as served:
        workspace = served.workspace
        said = await workspace.say(workspace.me, "general", "mine")
        delivery = await workspace.message_shortcut(workspace.me, "explain", "general", said["ts"])
        await say_to(delivery.payload["response_url"], delete_original=True)
        await say_to(delivery.payload["response_url"], text="x", replace_original=True)
        assert [m["text"] for m in workspace.messages("general")] == ["mine"]


async def test_the_containers_thread_can_be_missing_as_it_is_undocumented() -> None:
    async with running() as served:
        workspace = served.workspace
        client = web_client(served)
        root = await client.chat_postMessage(channel="general", text="root")
        await client.chat_postMessage(channel="general", text="x", blocks=BUTTON, thread_ts=root["ts"])
        message = workspace.messages("general")[1]
        assert (await workspace.click(message, "go")).payload["container"]["thread_ts"] == root["ts"]
        workspace.faults.omit_container_thread_ts = True
        payload = (await workspace.click(message, "go")).payload
        assert "thread_ts" not in payload["container"] and payload["message"]["thread_ts"] == root["ts"]


async def test_what_is_not_there_cannot_be_used() -> None:
    async with running() as served:
        workspace = served.workspace
        await web_client(served).chat_postMessage(channel="general", text="x", blocks=BUTTON)
        message = workspace.messages("general")[0]
        for attempt in (
            workspace.click(message, "no such button"),
            workspace.act(workspace.me, action_id="go", channel="general", message_ts="1.000001"),
            workspace.command(workspace.me, "general", "/other"),
            workspace.command("U404", "general", "/tls"),
            workspace.shortcut(workspace.me, "explain"),
            workspace.say(workspace.me, "general", "  "),
            workspace.say(workspace.me, "general", "x" * 40_001),
            workspace.say(workspace.me, "general", "x", thread_ts="1.000001"),
            workspace.upload(workspace.me, "general", "empty.txt", b""),
            workspace.edit_message(workspace.me, "general", message["ts"], "mine now"),
            workspace.submit_view(),
        ):
            with pytest.raises(Refused):
                await attempt


# trigger ids and modals


async def test_a_trigger_id_is_good_once_and_for_three_seconds() -> None:
    clock = Hands()
    async with running(clock=clock) as served:
        workspace, client = served.workspace, web_client(served)
        trigger = (await commanded(workspace))["trigger_id"]
        opened = await client.views_open(trigger_id=trigger, view=modal())
        assert opened["view"]["id"] and opened["view"]["hash"]
        assert await _error(client.views_open(trigger_id=trigger, view=modal())) == "exchanged_trigger_id"
        late = (await commanded(workspace))["trigger_id"]
        clock.now += 3.5
        assert await _error(client.views_open(trigger_id=late, view=modal())) == "expired_trigger_id"
        assert await _error(client.views_open(trigger_id="1.2.3", view=modal())) == "invalid_trigger_id"


async def _error(call: Any) -> str:
    with pytest.raises(SlackApiError) as caught:
        await call
    return str(caught.value.response["error"])


async def _submitted(workspace: Workspace, socket: Socket, payload: Json, **values: Any) -> Delivery:
    submission = asyncio.create_task(workspace.submit_view(**values))
    await socket.ack(await socket.receive(), payload)
    return await submission


async def _opened(served: Running, socket: Socket, view: Json) -> str:
    workspace = served.workspace
    command = asyncio.create_task(workspace.command(workspace.me, "general", "/tls"))
    envelope = await socket.receive()
    await socket.ack(envelope)
    await command
    opened = await web_client(served).views_open(trigger_id=envelope["payload"]["trigger_id"], view=view)
    return str(opened["view"]["id"])


SUBMIT: Json = {"submit": plain("Go")}


async def test_at_most_three_modals_are_stacked() -> None:
    async with running() as served, sockets(served, 1) as (socket,):
        workspace = served.workspace
        await _opened(served, socket, modal("one", **SUBMIT))
        for name in ("two", "three"):
            await _submitted(workspace, socket, {"response_action": "push", "view": modal(name, **SUBMIT)})
        await _submitted(workspace, socket, {"response_action": "push", "view": modal("four", **SUBMIT)})
        assert "push_limit_reached" in workspace.notices[-1].text
        top = workspace.view()
        assert top is not None and top["callback_id"] == "three"
        assert top["root_view_id"] != top["previous_view_id"]
        await _submitted(workspace, socket, {"response_action": "clear"})
        assert workspace.view() is None


async def test_a_submission_may_update_the_view_and_a_bad_view_is_told() -> None:
    async with running() as served, sockets(served, 1) as (socket,):
        workspace = served.workspace
        view_id = await _opened(served, socket, modal(**SUBMIT))
        await _submitted(workspace, socket, {"response_action": "update", "view": modal("second", **SUBMIT)})
        view = workspace.view()
        assert view is not None and (view["id"], view["callback_id"]) == (view_id, "second")
        await _submitted(workspace, socket, {"response_action": "update", "view": {"type": "modal"}})
        assert "cannot be shown" in workspace.notices[-1].text
        await _submitted(workspace, socket, {"response_action": "errors", "errors": {"nowhere": "x"}})
        assert "errors must name input blocks" in workspace.notices[-1].text
        await _submitted(workspace, socket, {})
        assert workspace.view() is None


async def test_required_fields_are_asked_for_before_the_app_hears() -> None:
    field = {"type": "input", "block_id": "b", "label": plain("L")}
    element = {"type": "plain_text_input", "action_id": "a"}
    async with running() as served, sockets(served, 1) as (socket,):
        workspace = served.workspace
        await _opened(served, socket, modal(blocks=[field | {"element": element}], **SUBMIT))
        with pytest.raises(Refused, match="required"):
            await workspace.submit_view()
        delivery = await _submitted(workspace, socket, {}, values={"b": {"a": {"value": "x"}}})
        assert delivery.payload["view"]["state"]["values"]["b"]["a"] == {"type": "plain_text_input", "value": "x"}


async def test_a_chosen_conversation_brings_a_response_url() -> None:
    element = {"type": "conversations_select", "action_id": "a", "response_url_enabled": True}
    field = {"type": "input", "block_id": "b", "label": plain("L"), "element": element}
    async with running() as served, sockets(served, 1) as (socket,):
        workspace = served.workspace
        await _opened(served, socket, modal(blocks=[field], **SUBMIT))
        values = {"b": {"a": {"selected_conversation": workspace.incidents}}}
        delivery = await _submitted(workspace, socket, {}, values=values)
        (url,) = delivery.payload["response_urls"]
        assert url["channel_id"] == workspace.incidents
        await say_to(url["response_url"], text="there", response_type="in_channel")
        assert workspace.messages("incidents")[0]["text"] == "there"


async def test_views_are_updated_by_id_external_id_and_hash() -> None:
    async with running() as served, sockets(served, 1) as (socket,):
        client = web_client(served)
        view_id = await _opened(served, socket, modal(external_id="mine", **SUBMIT))
        first = await client.views_update(external_id="mine", view=modal("b", external_id="mine", **SUBMIT))
        assert first["view"]["id"] == view_id
        assert await _error(client.views_update(view_id=view_id, hash="old", view=modal())) == "hash_conflict"
        await client.views_update(view_id=view_id, hash=first["view"]["hash"], view=modal("c"))
        assert await _error(client.views_update(view_id="V404", view=modal())) == "not_found"
        assert await _error(client.api_call("views.update", json={"view": modal()})) == "invalid_arguments"


async def test_closing_clears_the_stack_when_asked_to() -> None:
    async with running() as served, sockets(served, 1) as (socket,):
        workspace = served.workspace
        await _opened(served, socket, modal("one", **SUBMIT))
        await _submitted(workspace, socket, {"response_action": "push", "view": modal("two", clear_on_close=True)})
        await workspace.close_view()
        assert workspace.view() is None


async def test_a_home_is_published_and_its_buttons_work() -> None:
    async with running() as served:
        workspace, client = served.workspace, web_client(served)
        view = {"type": "home", "blocks": BUTTON}
        published = await client.views_publish(user_id=workspace.me, view=view)
        delivery = await workspace.act(workspace.me, action_id="go", view_id=published["view"]["id"])
        assert delivery.payload["view"]["type"] == "home"
        assert delivery.payload["container"] == {"type": "view", "view_id": published["view"]["id"]}
        assert await _error(client.views_publish(user_id=workspace.me, view=modal())) == "invalid_arguments"


# files


async def _upload(served: Running, client: AsyncWebClient, content: bytes, length: int) -> tuple[int, str]:
    ticket = await client.files_getUploadURLExternal(filename="report.json", length=length)
    async with (
        aiohttp.ClientSession() as session,
        session.post(ticket["upload_url"], data=io.BytesIO(content)) as answer,
    ):
        return answer.status, str(ticket["file_id"])


async def test_an_upload_must_be_as_long_as_announced_and_complete() -> None:
    async with running() as served:
        client = web_client(served)
        status, file_id = await _upload(served, client, b"{}", 3)
        assert status == 400
        listed: Any = [{"id": file_id}]
        assert await _error(client.files_completeUploadExternal(files=listed, channel_id="general")) == "file_not_found"
        async with (
            aiohttp.ClientSession() as session,
            session.post(f"{served.url}/upload/v1/none", data=b"x") as answer,
        ):
            assert answer.status == 404


async def test_a_share_can_be_late_or_never_come() -> None:
    async with running() as served:
        workspace, client = served.workspace, web_client(served)
        workspace.faults.share_files_after_s = 0.05
        status, file_id = await _upload(served, client, b"{}", 2)
        assert status == 200
        listed: Any = [{"id": file_id, "title": "Report"}]
        done = await client.files_completeUploadExternal(files=listed, channel_id=workspace.general)
        assert done["files"][0]["shares"] == {} and done["files"][0]["mimetype"] == ""
        await workspace.wait_for(lambda: workspace.messages("general"))
        info = await client.files_info(file=file_id)
        assert info["file"]["mimetype"] == "application/json"
        assert info["file"]["shares"]["public"][workspace.general][0]["ts"] == workspace.messages("general")[0]["ts"]
        workspace.faults.share_files_after_s, workspace.faults.lose_shares = 0.0, 1
        _, lost = await _upload(served, client, b"{}", 2)
        again: Any = [{"id": lost}]
        assert (await client.files_completeUploadExternal(files=again, channel_id=workspace.general))["ok"]
        assert len(workspace.messages("general")) == 1


async def test_a_download_without_the_token_is_a_login_page() -> None:
    async with running() as served, aiohttp.ClientSession() as session:
        workspace = served.workspace
        message = await workspace.upload(workspace.me, "general", "x.html", b"<script>alert(1)</script>")
        url = message["files"][0]["url_private_download"]
        for headers in ({}, {"Authorization": "Bearer xoxb-wrong"}, {"Cookie": "workspace_1=guess"}):
            async with session.get(url, headers=headers) as answer:
                assert (answer.status, answer.content_type) == (200, "text/html")
                assert b"alert" not in await answer.read()
        async with session.get(url, headers={"Authorization": f"Bearer {served.bot_token}"}) as answer:
            assert await answer.read() == b"<script>alert(1)</script>"
            assert answer.headers["Content-Disposition"] == "attachment; filename*=UTF-8''x.html"
            assert answer.headers["X-Content-Type-Options"] == "nosniff"
            assert "sandbox" in answer.headers["Content-Security-Policy"]


async def test_a_file_name_is_never_a_path() -> None:
    async with running() as served:
        workspace = served.workspace
        for name, kept in (
            ("../../etc/passwd", "passwd"),
            ("a\\b\\c.pcap", "c.pcap"),
            ("..", "file"),
            ("a\r\nb\0", "ab"),
        ):
            message = await workspace.upload(workspace.me, "general", name, b"x")
            assert message["files"][0]["name"] == kept
            headers = {"Authorization": f"Bearer {served.bot_token}"}
            url = message["files"][0]["url_private"]
            async with aiohttp.ClientSession() as session, session.get(url, headers=headers) as answer:
                assert await answer.read() == b"x"


# what people type


@pytest.mark.parametrize(
    ("typed", "stored"),
    [
        ("a < b & c > d", "a &lt; b &amp; c &gt; d"),
        ("<!channel>", "&lt;!channel&gt;"),
        ("@probe check", "<@UBOT> check"),
        ("@Probe: hello", "<@UBOT>: hello"),
        ("mail@probe.lab", "mail@probe.lab"),
        ("@nobody", "@nobody"),
        ("see #general", "see <#C1|general>"),
        ("example.com:8443", "<http://example.com:8443|example.com:8443>"),
        ("expired.lab:8443", "expired.lab:8443"),
        ("https://a.example/x?a=1&b=2", "<https://a.example/x?a=1&amp;b=2>"),
        ("`example.com` @probe", "`example.com` <@UBOT>"),
        ("10.0.0.1:443 [::1]:443", "10.0.0.1:443 [::1]:443"),
    ],
)
def test_typed_text_is_stored_as_slack_does(typed: str, stored: str) -> None:
    assert as_stored(typed, users={"probe": "UBOT"}, channels={"general": "C1"}) == stored


async def test_a_direct_message_is_no_mention() -> None:
    async with running() as served:
        app = bolt_app(served)
        seen: list[str] = []

        @app.event("app_mention")
        async def mentioned() -> None:
            seen.append("mention")

        @app.event("message")
        async def message(event: Json) -> None:
            seen.append(event["channel_type"])

        workspace = served.workspace
        async with connected(served, app):
            await workspace.mention(workspace.me, workspace.dm, "hello")
            await workspace.settled()
            await workspace.wait_for(lambda: seen)
        assert seen == ["im"]
