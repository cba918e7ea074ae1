"""The local Web API is as strict as Slack's: arguments, tokens, scopes, and every refusal by its name."""

import copy
import io
import json
from typing import Any

import aiohttp
import pytest

from bot.local import Running
from bot.local.errors import Json
from tests.bot.local_team import MANIFEST, running


async def call(served: Running, method: str, *, token: str | None = None, **args: Any) -> Json:
    """Call a method with a JSON body."""
    headers = {"Authorization": f"Bearer {token or served.bot_token}"}
    async with (
        aiohttp.ClientSession() as session,
        session.post(served.api_url + method, json=args, headers=headers) as answer,
    ):
        body: Json = await answer.json()
        return body


async def refusal(served: Running, method: str, **args: Any) -> str:
    """The error of a call that must fail."""
    answer = await call(served, method, **args)
    assert answer["ok"] is False, answer
    return str(answer["error"])


async def test_arguments_may_come_by_query_form_or_json() -> None:
    async with running() as served, aiohttp.ClientSession() as session:
        url, token = served.api_url + "chat.postMessage", served.bot_token
        form = {"channel": "general", "text": "2", "blocks": json.dumps([{"type": "divider"}])}
        bearer = {"Authorization": f"Bearer {token}"}
        async with session.get(url, params={"channel": "general", "text": "1", "token": token}) as answer:
            assert (await answer.json())["ok"]
        async with session.post(url, data=form, headers=bearer) as answer:
            assert (await answer.json())["ok"]
        async with session.post(url, params={"channel": "general"}, json={"text": "3"}, headers=bearer) as answer:
            assert (await answer.json())["ok"]
        messages = served.workspace.messages("general")
        assert [m["text"] for m in messages] == ["1", "2", "3"]
        assert messages[1]["blocks"][0]["type"] == "divider"
        assert all("token" not in each.args for each in served.workspace.calls), "tokens are not kept"


async def test_tokens_are_checked() -> None:
    async with running() as served, aiohttp.ClientSession() as session:
        async with session.get(served.api_url + "auth.test") as answer:
            assert (await answer.json())["error"] == "not_authed"
        assert await refusal(served, "auth.test", token="xoxb-wrong") == "invalid_auth"
        assert await refusal(served, "auth.test", token=served.app_token) == "not_allowed_token_type"
        assert await refusal(served, "apps.connections.open") == "not_allowed_token_type"
        opened = await call(served, "apps.connections.open", token=served.app_token)
        assert opened["url"].startswith("ws://127.0.0.1:")


async def test_auth_test_says_who_the_app_is() -> None:
    async with running(team_name="Lab") as served:
        answer = await call(served, "auth.test")
        assert (answer["team"], answer["user_id"]) == ("Lab", served.workspace.bot)
        assert answer["bot_id"].startswith("B")


async def test_a_missing_scope_is_named() -> None:
    manifest = copy.deepcopy(MANIFEST)
    manifest["oauth_config"]["scopes"] = {"bot": ["commands", "im:history"], "bot_optional": ["pins:write"]}
    async with running(manifest=manifest) as served:
        answer = await call(served, "chat.postMessage", channel="general", text="hello")
        assert (answer["error"], answer["needed"]) == ("missing_scope", "chat:write")
        assert answer["provided"] == "commands,im:history,pins:write"
        # The scope depends on the kind of the channel.
        assert await refusal(served, "conversations.history", channel=served.workspace.general) == "missing_scope"
        assert (await call(served, "conversations.history", channel=served.workspace.dm))["ok"]


@pytest.mark.parametrize(
    ("method", "args", "error"),
    [
        ("chat.nonsense", {}, "unknown_method"),
        ("chat.postMessage", {"text": "x"}, "invalid_arguments"),
        ("chat.postMessage", {"channel": "C404", "text": "x"}, "channel_not_found"),
        ("chat.postMessage", {"channel": "general"}, "no_text"),
        ("chat.postMessage", {"channel": "general", "text": "x", "thread_ts": "1.000001"}, "thread_not_found"),
        ("chat.postMessage", {"channel": "general", "text": "x", "blocks": "{"}, "invalid_blocks_format"),
        ("chat.postMessage", {"channel": "general", "text": "x", "blocks": [{"type": "no"}]}, "invalid_blocks"),
        ("chat.postMessage", {"channel": "general", "markdown_text": "x" * 12_001}, "msg_too_long"),
        ("chat.postMessage", {"channel": "general", "markdown_text": "x", "text": "y"}, "markdown_text_conflict"),
        (
            "chat.postMessage",
            {"channel": "general", "text": "x", "metadata": {"event_type": 1}},
            "invalid_metadata_format",
        ),
        ("chat.update", {"channel": "general", "text": "x"}, "invalid_arguments"),
        ("chat.update", {"channel": "general", "ts": "1.000001", "text": "x"}, "message_not_found"),
        ("chat.update", {"channel": "general", "ts": "1.000001", "text": "x" * 4001}, "msg_too_long"),
        ("chat.delete", {"channel": "general", "ts": "1.000001"}, "message_not_found"),
        ("chat.postEphemeral", {"channel": "general", "user": "U404", "text": "x"}, "user_not_in_channel"),
        ("chat.getPermalink", {"channel": "general", "message_ts": "1.000001"}, "message_not_found"),
        ("conversations.info", {}, "invalid_arguments"),
        ("conversations.replies", {"channel": "general", "ts": "1.000001"}, "thread_not_found"),
        ("conversations.history", {"channel": "general", "limit": 5000}, "invalid_limit"),
        ("conversations.history", {"channel": "general", "limit": "many"}, "invalid_arguments"),
        ("conversations.history", {"channel": "general", "cursor": "nowhere"}, "invalid_cursor"),
        ("users.info", {"user": "U404"}, "user_not_found"),
        ("usergroups.users.list", {"usergroup": "S404"}, "no_such_subteam"),
        ("files.getUploadURLExternal", {"filename": "a"}, "missing_argument"),
        ("files.getUploadURLExternal", {"filename": "a", "length": 0}, "missing_argument"),
        ("files.completeUploadExternal", {}, "missing_argument"),
        ("files.completeUploadExternal", {"files": ["F1"]}, "invalid_arguments"),
        ("files.completeUploadExternal", {"files": [{"id": "F404"}]}, "file_not_found"),
        ("files.info", {}, "missing_argument"),
        ("files.info", {"file": "F404"}, "file_not_found"),
        ("views.open", {"trigger_id": "1.2.3"}, "invalid_arguments"),
        ("views.publish", {"user_id": "U404", "view": {}}, "user_not_found"),
        ("reactions.add", {"channel": "general", "timestamp": "1.000001", "name": "eyes"}, "message_not_found"),
        ("bookmarks.add", {"channel_id": "general"}, "missing_scope"),
        ("blocks.validate", {"blocks": [{"type": "no"}]}, "invalid_blocks"),
        ("api.test", {"error": "my_error"}, "my_error"),
    ],
)
async def test_refusals_have_slacks_names(method: str, args: Json, error: str) -> None:
    async with running() as served:
        assert await refusal(served, method, **args) == error


async def test_invalid_blocks_come_with_pointers() -> None:
    async with running() as served:
        header = {"type": "header", "text": {"type": "plain_text", "text": "x" * 151}}
        answer = await call(served, "chat.postMessage", channel="general", text="x", blocks=[header])
        assert answer["errors"] == ["must be less than 151 characters [json-pointer:/blocks/0/text/text]"]
        assert answer["response_metadata"]["messages"][0].startswith("[ERROR] ")


async def test_the_whole_message_has_a_budget() -> None:
    async with running() as served:
        blocks = [{"type": "section", "text": {"type": "mrkdwn", "text": "x" * 2900}} for _ in range(5)]
        assert (
            await refusal(served, "chat.postMessage", channel="general", text="x", blocks=blocks)
            == "msg_blocks_too_long"
        )
        assert (await call(served, "chat.postMessage", channel="general", text="x", blocks=blocks[:4]))["ok"]


async def test_channels_refuse_who_is_not_in_them_and_when_they_are_archived() -> None:
    async with running() as served:
        workspace = served.workspace
        await workspace.remove_member(workspace.bot, "general")
        assert await refusal(served, "chat.postMessage", channel="general", text="x") == "not_in_channel"
        assert await refusal(served, "conversations.history", channel="general") == "not_in_channel"
        assert (await call(served, "conversations.join", channel="general"))["channel"]["is_member"]
        assert (await call(served, "conversations.join", channel="general"))["warning"] == "already_in_channel"
        posted = await call(served, "chat.postMessage", channel="general", text="x")
        await workspace.archive("general")
        assert await refusal(served, "chat.postMessage", channel="general", text="x") == "is_archived"
        assert await refusal(served, "chat.update", channel="general", ts=posted["ts"], text="y") == "is_archived"
        secret = workspace.team.add_channel("secret", {workspace.me}, is_private=True)
        assert await refusal(served, "chat.postMessage", channel=secret.id, text="x") == "channel_not_found"


async def test_an_update_without_blocks_removes_them_and_marks_the_edit() -> None:
    async with running() as served:
        posted = await call(served, "chat.postMessage", channel="general", text="a", blocks=[{"type": "divider"}])
        updated = await call(served, "chat.update", channel="general", ts=posted["ts"], text="b")
        assert updated["message"]["blocks"] == []
        assert updated["message"]["edited"]["user"] == served.workspace.bot


async def test_only_own_messages_can_be_changed() -> None:
    async with running() as served:
        said = await served.workspace.say(served.workspace.me, "general", "mine")
        assert await refusal(served, "chat.update", channel="general", ts=said["ts"], text="x") == "cant_update_message"
        assert await refusal(served, "chat.delete", channel="general", ts=said["ts"]) == "cant_delete_message"


async def test_a_long_text_is_cut_when_posted() -> None:
    async with running() as served:
        posted = await call(served, "chat.postMessage", channel="general", text="x" * 40_001)
        assert len(posted["message"]["text"]) == 40_000


async def test_threads_count_their_replies_and_survive_their_root() -> None:
    async with running() as served:
        root = await call(served, "chat.postMessage", channel="general", text="root")
        first = await call(served, "chat.postMessage", channel="general", text="1", thread_ts=root["ts"])
        second = await call(served, "chat.postMessage", channel="general", text="2", thread_ts=first["ts"])
        assert second["message"]["thread_ts"] == root["ts"], "a reply to a reply is a reply to the root"
        replies = await call(served, "conversations.replies", channel="general", ts=root["ts"])
        assert [m["text"] for m in replies["messages"]] == ["root", "1", "2"]
        assert replies["messages"][0]["reply_count"] == 2
        await call(served, "chat.delete", channel="general", ts=root["ts"])
        assert served.workspace.messages("general")[0]["subtype"] == "tombstone"
        assert await refusal(served, "chat.update", channel="general", ts=root["ts"], text="x") == "message_not_found"
        await call(served, "chat.delete", channel="general", ts=first["ts"])
        assert served.workspace.messages("general")[0]["reply_count"] == 1


async def test_history_pages_newest_first_without_replies() -> None:
    async with running() as served:
        workspace = served.workspace
        roots = [await workspace.say(workspace.me, "general", str(n)) for n in range(5)]
        await workspace.say(workspace.me, "general", "reply", thread_ts=roots[0]["ts"])
        texts: list[str] = []
        cursor = ""
        while True:
            page = await call(served, "conversations.history", channel="general", limit=2, cursor=cursor)
            texts += [m["text"] for m in page["messages"]]
            cursor = page["response_metadata"]["next_cursor"]
            if not cursor:
                break
        assert texts == ["4", "3", "2", "1", "0"]
        newer = await call(served, "conversations.history", channel="general", oldest=roots[2]["ts"])
        assert [m["text"] for m in newer["messages"]] == ["4", "3"]


async def test_metadata_is_kept_and_shown_on_request() -> None:
    async with running() as served:
        metadata = {"event_type": "tls_incident", "event_payload": {"id": 7}}
        await call(served, "chat.postMessage", channel="general", text="x", metadata=metadata)
        plain = await call(served, "conversations.history", channel="general")
        assert "metadata" not in plain["messages"][0]
        full = await call(served, "conversations.history", channel="general", include_all_metadata=True)
        assert full["messages"][0]["metadata"] == metadata


async def test_people_and_channels_can_be_looked_up() -> None:
    async with running() as served:
        workspace = served.workspace
        assert (await call(served, "users.info", user=workspace.me))["user"]["real_name"] == "Ada Lovelace"
        assert len((await call(served, "users.list"))["members"]) == 3
        channels = (await call(served, "conversations.list", types="public_channel,im"))["channels"]
        assert {channel.get("name") for channel in channels} == {"incidents", "general", None}
        info = await call(served, "conversations.info", channel=workspace.general)
        assert info["channel"]["is_member"] is True
        members = await call(served, "conversations.members", channel="general")
        assert set(members["members"]) == {workspace.me, workspace.other, workspace.bot}
        opened = await call(served, "conversations.open", users=workspace.me)
        assert opened["channel"]["id"] == workspace.dm
        posted = await call(served, "chat.postMessage", channel=workspace.me, text="hello")
        assert posted["channel"] == workspace.dm
        workspace.team.usergroups["S1"] = [workspace.me]
        assert (await call(served, "usergroups.users.list", usergroup="S1"))["users"] == [workspace.me]


async def test_a_permalink_leads_to_the_page() -> None:
    async with running() as served:
        root = await call(served, "chat.postMessage", channel="general", text="root")
        reply = await call(served, "chat.postMessage", channel="general", text="1", thread_ts=root["ts"])
        link = (await call(served, "chat.getPermalink", channel="general", message_ts=reply["ts"]))["permalink"]
        async with aiohttp.ClientSession() as session, session.get(link, allow_redirects=False) as answer:
            general = served.workspace.general
            assert answer.headers["Location"] == f"/#/{general}/{root['ts']}/{reply['ts']}"


async def test_reactions_and_pins_are_made_once() -> None:
    async with running() as served:
        posted = await call(served, "chat.postMessage", channel="general", text="x")
        mark = {"channel": "general", "timestamp": posted["ts"], "name": "eyes"}
        assert (await call(served, "reactions.add", **mark))["ok"]
        assert await refusal(served, "reactions.add", **mark) == "already_reacted"
        got = await call(served, "reactions.get", channel="general", timestamp=posted["ts"])
        assert got["message"]["reactions"] == [{"name": "eyes", "users": [served.workspace.bot], "count": 1}]
        assert (await call(served, "reactions.remove", **mark))["ok"]
        assert await refusal(served, "reactions.remove", **mark) == "no_reaction"
        assert (await call(served, "pins.add", channel="general", timestamp=posted["ts"]))["ok"]
        assert await refusal(served, "pins.add", channel="general", timestamp=posted["ts"]) == "already_pinned"


async def test_a_workflow_step_reports_its_result_with_its_own_token() -> None:
    async with running() as served:
        workspace = served.workspace
        execution = await workspace.run_function("tls_check", {"host": "expired.lab"})
        event = workspace.courier.log[0].payload["event"]
        done = {"function_execution_id": execution, "outputs": {"verdict": "expired"}}
        assert (await call(served, "functions.completeSuccess", token=event["bot_access_token"], **done))["ok"]
        assert await refusal(served, "auth.test", token=event["bot_access_token"]) == "invalid_auth"
        assert workspace.function_results[0]["outputs"] == {"verdict": "expired"}


@pytest.mark.parametrize("body", ["[1]", "{", "[" * 100_000, '"x"'])
async def test_a_body_that_is_no_object_is_refused(body: str) -> None:
    async with running() as served, aiohttp.ClientSession() as session:
        headers = {"Authorization": f"Bearer {served.bot_token}", "Content-Type": "application/json"}
        async with session.post(served.api_url + "api.test", data=body, headers=headers) as answer:
            assert answer.status == 200
            assert (await answer.json())["error"] in {"invalid_json", "json_not_object"}


async def test_a_huge_body_is_refused() -> None:
    async with running() as served, aiohttp.ClientSession() as session:
        headers = {"Authorization": f"Bearer {served.bot_token}", "Content-Type": "application/json"}
        body = io.BytesIO(json.dumps({"x": "y" * 2_000_000}).encode())
        async with session.post(served.api_url + "api.test", data=body, headers=headers) as answer:
            assert answer.status == 413
