"""A real slack-bolt app lives in the local workspace: commands, buttons, modals, files, mentions, over Socket Mode."""

import asyncio
from typing import Any

import aiohttp
from slack_sdk.errors import SlackApiError

from bot.local.errors import Json
from tests.bot.local_team import bolt_app, connected, running, web_client

BUTTONS: list[Json] = [
    {"type": "section", "text": {"type": "mrkdwn", "text": "ready"}},
    {
        "type": "actions",
        "elements": [
            {
                "type": "button",
                "action_id": "again",
                "text": {"type": "plain_text", "text": "Run again"},
                "value": "v1",
            },
            {
                "type": "static_select",
                "action_id": "pick",
                "options": [
                    {"text": {"type": "plain_text", "text": word}, "value": word} for word in ("small", "large")
                ],
            },
        ],
    },
]
MODAL: Json = {
    "type": "modal",
    "callback_id": "ask",
    "title": {"type": "plain_text", "text": "Which host?"},
    "submit": {"type": "plain_text", "text": "Go"},
    "notify_on_close": True,
    "blocks": [
        {
            "type": "input",
            "block_id": "host",
            "label": {"type": "plain_text", "text": "Host"},
            "element": {"type": "plain_text_input", "action_id": "name"},
        }
    ],
}


async def test_a_command_is_acked_and_answered_in_a_thread() -> None:
    async with running() as served:
        app = bolt_app(served)

        @app.command("/tls")
        async def tls(ack: Any, command: Json, client: Any) -> None:
            await ack(f"looking at {command['text']}")
            assert "thread_ts" not in command
            root = await client.chat_postMessage(channel=command["channel_id"], text="checking…")
            await client.chat_postMessage(channel=command["channel_id"], text="details", thread_ts=root["ts"])
            await client.chat_update(channel=command["channel_id"], ts=root["ts"], text="expired", blocks=[])

        workspace = served.workspace
        async with connected(served, app, connections=2):
            delivery = await workspace.command(workspace.me, "incidents", "/tls", "check a & b")
            assert delivery.failure is None
            assert delivery.acked_after_s is not None and delivery.acked_after_s < 3
            assert workspace.whispers(workspace.me)[0].message["text"] == "looking at check a &amp; b"
            root = await workspace.wait_for(
                lambda: next((m for m in workspace.messages("incidents") if m["text"] == "expired"), None)
            )
            assert root["reply_count"] == 1
            assert [m["text"] for m in workspace.thread("incidents", root["ts"])] == ["expired", "details"]
            await workspace.settled()


async def test_a_mention_in_a_thread_carries_the_thread() -> None:
    async with running() as served:
        app = bolt_app(served)
        seen: list[Json] = []

        @app.event("app_mention")
        async def mentioned(event: Json, say: Any) -> None:
            seen.append(event)
            await say(text="here", thread_ts=event["thread_ts"])

        @app.event("message")
        async def message(event: Json) -> None:
            seen.append(event)

        workspace = served.workspace
        async with connected(served, app):
            root = await workspace.say(workspace.other, "incidents", "payments is down")
            await workspace.mention(workspace.other, "incidents", "check example.com:8443", thread_ts=root["ts"])
            await workspace.wait_for(lambda: len(workspace.thread("incidents", root["ts"])) == 3)
            await workspace.settled()
        mention = next(event for event in seen if event["type"] == "app_mention")
        assert mention["thread_ts"] == root["ts"]
        assert mention["text"] == f"<@{workspace.bot}> check <http://example.com:8443|example.com:8443>"
        assert {event["user"] for event in seen} == {workspace.other}, "bolt leaves the app's own messages out"


async def test_buttons_and_selects_carry_what_was_chosen() -> None:
    async with running() as served:
        app = bolt_app(served)
        seen: list[Json] = []

        @app.action("again")
        async def again(ack: Any, body: Json, respond: Any) -> None:
            await ack()
            seen.append(body)
            await respond(text="running again", replace_original=False)

        @app.action("pick")
        async def pick(ack: Any, body: Json, client: Any) -> None:
            await ack()
            seen.append(body)

        workspace = served.workspace
        async with connected(served, app):
            client = web_client(served)
            await client.chat_postMessage(channel="#incidents", text="ready", blocks=BUTTONS)
            message = workspace.messages("incidents")[0]
            await workspace.click(message, "again")
            await workspace.wait_for(lambda: workspace.whispers(workspace.me))
            await workspace.click(message, "pick", "large", user=workspace.other)
            await workspace.wait_for(lambda: len(seen) == 2)
        button, select = seen
        assert button["actions"][0]["value"] == "v1"
        assert button["container"] | {"message_ts": 0} == {
            "type": "message",
            "message_ts": 0,
            "channel_id": workspace.incidents,
            "is_ephemeral": False,
        }
        assert button["message"]["ts"] == message["ts"]
        assert select["user"]["id"] == workspace.other
        assert select["actions"][0]["selected_option"]["value"] == "large"
        (block_id,) = select["state"]["values"]
        assert select["state"]["values"][block_id]["pick"]["selected_option"]["value"] == "large"


async def test_a_modal_is_opened_refused_and_submitted() -> None:
    async with running() as served:
        app = bolt_app(served)
        hosts: list[str] = []
        closed: list[Json] = []

        @app.shortcut("look")
        async def look(ack: Any, body: Json, client: Any) -> None:
            await ack()
            await client.views_open(trigger_id=body["trigger_id"], view=MODAL)

        @app.view("ask")
        async def ask(ack: Any, view: Json) -> None:
            host = view["state"]["values"]["host"]["name"]["value"]
            if " " in host:
                await ack(response_action="errors", errors={"host": "no spaces"})
                return
            hosts.append(host)
            await ack()

        @app.view_closed("ask")
        async def gone(ack: Any, body: Json) -> None:
            await ack()
            closed.append(body)

        workspace = served.workspace
        async with connected(served, app):
            await workspace.shortcut(workspace.me, "look")
            await workspace.wait_for(workspace.view)
            await workspace.submit_view(values={"host": {"name": {"value": "a b"}}})
            view = workspace.view()
            assert view is not None and view["errors"] == {"host": "no spaces"}
            await workspace.submit_view(values={"host": {"name": {"value": "expired.lab"}}})
            assert workspace.view() is None
            await workspace.shortcut(workspace.me, "look")
            await workspace.wait_for(workspace.view)
            await workspace.close_view()
        assert hosts == ["expired.lab"]
        assert closed[0]["is_cleared"] is False


async def test_files_go_both_ways() -> None:
    async with running() as served:
        app = bolt_app(served)
        received: list[tuple[Json, bytes]] = []

        @app.event("message")
        async def message(event: Json, client: Any) -> None:
            file = event["files"][0]
            headers = {"Authorization": f"Bearer {client.token}"}
            async with (
                aiohttp.ClientSession() as session,
                session.get(file["url_private_download"], headers=headers) as answer,
            ):
                received.append((event, await answer.read()))
            await client.files_upload_v2(
                channel=event["channel"], thread_ts=event["ts"], content="{}", filename="report.json", title="Report"
            )

        @app.event("file_shared")
        async def shared(event: Json) -> None:
            assert "thread_ts" not in event

        workspace = served.workspace
        async with connected(served, app):
            dropped = await workspace.upload(
                workspace.me, "general", "odd name.pcap", b"\xd4\xc3\xb2\xa1", comment="see"
            )
            thread = await workspace.wait_for(lambda: workspace.thread("general", dropped["ts"])[1:])
            await workspace.settled()
        event, content = received[0]
        assert event["subtype"] == "file_share" and event["text"] == "see"
        assert content == b"\xd4\xc3\xb2\xa1"
        assert thread[0]["files"][0]["title"] == "Report"
        assert workspace.files.file(thread[0]["files"][0]["id"]).content == b"{}"


async def test_reactions_home_and_message_shortcuts_arrive() -> None:
    async with running() as served:
        app = bolt_app(served)
        seen: list[Json] = []

        @app.event("reaction_added")
        async def added(event: Json) -> None:
            seen.append(event)

        @app.event("app_home_opened")
        async def home(event: Json, client: Any) -> None:
            await client.views_publish(user_id=event["user"], view={"type": "home", "blocks": [{"type": "divider"}]})

        @app.event("message")
        async def message() -> None:
            pass

        @app.shortcut("explain")
        async def explain(ack: Any, body: Json) -> None:
            await ack()
            seen.append(body)

        workspace = served.workspace
        async with connected(served, app):
            said = await workspace.say(workspace.me, "general", "handshake failure")
            await workspace.react(workspace.other, "general", said["ts"], "pushpin")
            await workspace.message_shortcut(workspace.other, "explain", "general", said["ts"])
            await workspace.open_home()
            await workspace.wait_for(lambda: workspace.modals.homes.get(workspace.me))
            await workspace.wait_for(lambda: len(seen) == 2)
            await workspace.settled()
        kinds = {event["type"]: event for event in seen}
        assert kinds["reaction_added"]["item"] == {
            "type": "message",
            "channel": workspace.general,
            "ts": said["ts"],
        }
        assert kinds["message_action"]["message"]["text"] == "handshake failure"
        assert kinds["message_action"]["message_ts"] == said["ts"]


async def test_an_app_reconnects_after_every_kind_of_disconnect() -> None:
    async with running() as served:
        app = bolt_app(served)

        @app.command("/tls")
        async def tls(ack: Any) -> None:
            await ack()

        workspace = served.workspace
        async with connected(served, app):
            for reason in ("warning", "refresh_requested"):
                workspace.calls.clear()
                await workspace.socket_mode.disconnect(reason)
                await workspace.wait_for(lambda: workspace.calls_of("apps.connections.open"))
                await workspace.connected()
                assert (await workspace.command(workspace.me, "general", "/tls", "help")).is_acked


async def test_an_unhandled_command_is_an_operation_timeout() -> None:
    async with running(ack_deadline_s=0.2) as served:
        workspace = served.workspace
        async with connected(served, bolt_app(served)):
            delivery = await workspace.command(workspace.me, "general", "/tls", "help")
        assert delivery.failure == "operation_timeout"
        assert "/tls failed with the error “operation_timeout”" in workspace.notices[0].text


async def test_without_an_app_a_command_is_a_dispatch_failure_and_a_mention_waits_for_one() -> None:
    async with running() as served:
        workspace = served.workspace
        assert (await workspace.command(workspace.me, "general", "/tls", "help")).failure == "dispatch_failed"
        await workspace.mention(workspace.me, "general", "anybody?")
        app = bolt_app(served)
        seen = asyncio.Event()

        @app.event("app_mention")
        async def mentioned() -> None:
            seen.set()

        @app.event("message")
        async def message() -> None:
            pass

        async with connected(served, app):
            await asyncio.wait_for(seen.wait(), 5)
            await workspace.settled()


async def test_slack_sdk_understands_the_refusals() -> None:
    async with running() as served:
        client = web_client(served)
        try:
            await client.chat_postMessage(channel="C404", text="hello")
        except SlackApiError as error:
            assert error.response["error"] == "channel_not_found"
            assert "chat:write" in error.response.headers["x-oauth-scopes"]
        else:
            raise AssertionError("a message to nowhere was taken")
