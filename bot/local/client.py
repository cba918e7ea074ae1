"""What the page says and hears: /client/ws and POST /client/<verb>. Every verb is an act of ``Workspace``."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import WSMsgType, web

from bot.local.core import Page
from bot.local.errors import ApiError, Json, Refused
from bot.local.payloads import ANSWER_KEYS
from bot.local.team import Channel
from bot.local.webapi import close_all, form
from bot.local.workspace import Workspace

_ANSWERS = tuple(dict.fromkeys(ANSWER_KEYS.values()))


def snapshot(workspace: Workspace, me: str) -> Json:
    """The first frame: everything that *me* may see."""
    team, app = workspace.team, workspace.team.app
    mine = [channel for channel in team.channels.values() if me in channel.members]
    return {
        "type": "snapshot",
        "team": {"id": team.id, "name": team.name},
        "me": me,
        "users": [
            {"id": user.id, "name": user.name, "real_name": user.real_name, "is_bot": user.is_bot}
            for user in team.users.values()
        ],
        "channels": [_shown_channel(workspace, channel) for channel in mine],
        "messages": {
            channel.id: [workspace.shown(message) for message in channel.messages.values()] for channel in mine
        },
        "app": {
            "name": app.name,
            "bot_user": app.bot_user,
            "commands": [_picked(command, "command", "description", "usage_hint") for command in app.commands],
            "shortcuts": [_picked(shortcut, "name", "callback_id", "type") for shortcut in app.shortcuts],
        },
        "suggestions": [{"text": item.text, "description": item.description} for item in workspace.suggestions],
        "home": workspace.modals.homes.get(me),
        "connected": workspace.is_connected,
    }


def _shown_channel(workspace: Workspace, channel: Channel) -> Json:
    name = workspace.team.users[workspace.bot].name if channel.is_im else channel.name
    return {
        "id": channel.id,
        "name": name,
        "is_im": channel.is_im,
        "is_private": channel.is_private,
        "topic": channel.topic,
        **({"user": workspace.bot} if channel.is_im else {}),
    }


def _picked(source: Json, *keys: str) -> Json:
    return {key: source.get(key, "") for key in keys}


async def page_socket(workspace: Workspace, request: web.Request) -> web.StreamResponse:
    """``GET /client/ws?user=U…``: the snapshot, then every change."""
    me = request.query.get("user") or workspace.me
    if me not in workspace.team.users:
        return web.json_response({"ok": False, "error": "no such person"}, status=400)
    socket = web.WebSocketResponse(heartbeat=30, max_msg_size=65_536, timeout=1.0)
    await socket.prepare(request)
    page = Page(user=me, hang_up=socket.close)
    page.frames.put_nowait(snapshot(workspace, me))
    for view in workspace.modals.stacks.get(me, []):
        page.frames.put_nowait({"type": "view", "view": view})
    workspace.pages.add(page)
    writer = asyncio.get_running_loop().create_task(_write(socket, page))
    try:
        async for frame in socket:
            if frame.type is WSMsgType.ERROR:
                break
    finally:
        workspace.pages.discard(page)
        writer.cancel()
        await asyncio.gather(writer, return_exceptions=True)
    return socket


async def _write(socket: web.WebSocketResponse, page: Page) -> None:
    while True:
        frame = await page.frames.get()
        try:
            await socket.send_json(frame)
        except ConnectionError:
            return


# verbs


async def _send(workspace: Workspace, body: Json) -> Json:
    stored = await workspace.say(
        _text(body, "user"), _text(body, "channel"), _text(body, "text"), _maybe(body, "thread_ts")
    )
    return {"ts": stored["ts"]}


async def _command(workspace: Workspace, body: Json) -> Json:
    text = str(body.get("text") or "")
    delivery = await workspace.command(_text(body, "user"), _text(body, "channel"), _text(body, "command"), text)
    return {"acked": delivery.is_acked, "acked_after_s": delivery.acked_after_s}


async def _action(workspace: Workspace, body: Json) -> Json:
    answer = next((body[key] for key in _ANSWERS if body.get(key) is not None), None)
    delivery = await workspace.act(
        _text(body, "user"),
        action_id=_text(body, "action_id"),
        block_id=_maybe(body, "block_id"),
        answer=answer,
        channel=_maybe(body, "channel"),
        message_ts=_maybe(body, "message_ts"),
        view_id=_maybe(body, "view_id"),
        ephemeral_id=_maybe(body, "ephemeral_id"),
        state=_values(body),
    )
    return {"acked": delivery.is_acked}


async def _view_submit(workspace: Workspace, body: Json) -> Json:
    delivery = await workspace.submit_view(_text(body, "user"), _values(body), _text(body, "view_id"))
    return {"acked": delivery.is_acked}


async def _view_close(workspace: Workspace, body: Json) -> Json:
    await workspace.close_view(_text(body, "user"), _text(body, "view_id"))
    return {}


async def _shortcut(workspace: Workspace, body: Json) -> Json:
    user, callback_id = _text(body, "user"), _text(body, "callback_id")
    ts = _maybe(body, "message_ts")
    if ts is None:
        delivery = await workspace.shortcut(user, callback_id)
    else:
        delivery = await workspace.message_shortcut(user, callback_id, _text(body, "channel"), ts)
    return {"acked": delivery.is_acked}


async def _react(workspace: Workspace, body: Json) -> Json:
    remove = bool(body.get("remove"))
    await workspace.react(
        _text(body, "user"), _text(body, "channel"), _text(body, "ts"), _text(body, "name"), remove=remove
    )
    return {}


async def _edit(workspace: Workspace, body: Json) -> Json:
    await workspace.edit_message(_text(body, "user"), _text(body, "channel"), _text(body, "ts"), _text(body, "text"))
    return {}


async def _delete(workspace: Workspace, body: Json) -> Json:
    await workspace.delete_message(_text(body, "user"), _text(body, "channel"), _text(body, "ts"))
    return {}


async def _open_home(workspace: Workspace, body: Json) -> Json:
    await workspace.open_home(_text(body, "user"))
    return {}


async def _options(workspace: Workspace, body: Json) -> Json:
    options = await workspace.suggest(
        _text(body, "user"),
        _text(body, "view_id"),
        _text(body, "action_id"),
        _text(body, "block_id"),
        str(body.get("value") or ""),
    )
    return {"options": options}


VERBS: dict[str, Callable[[Workspace, Json], Awaitable[Json]]] = {
    "send": _send,
    "command": _command,
    "action": _action,
    "view_submit": _view_submit,
    "view_close": _view_close,
    "shortcut": _shortcut,
    "react": _react,
    "edit": _edit,
    "delete": _delete,
    "open_home": _open_home,
    "options": _options,
}


def _text(body: Json, name: str) -> str:
    value = body.get(name)
    if not isinstance(value, str) or not value:
        raise Refused(f"“{name}” is missing.")
    return value


def _maybe(body: Json, name: str) -> str | None:
    value = body.get(name)
    return value if isinstance(value, str) and value else None


def _values(body: Json) -> Json | None:
    state = body.get("state")
    values: Any = state.get("values") if isinstance(state, dict) else None
    return values if isinstance(values, dict) else None


async def act(workspace: Workspace, request: web.Request) -> web.Response:
    """``POST /client/<verb>`` with a JSON body."""
    verb = VERBS.get(request.match_info["verb"])
    if verb is None:
        return web.json_response({"ok": False, "error": "no such verb"}, status=404)
    # A form of another page cannot send this content type without asking first.
    if request.content_type != "application/json":
        return web.json_response({"ok": False, "error": "send application/json"}, status=415)
    try:
        body = await request.json()
    except (ValueError, RecursionError):
        body = None
    if not isinstance(body, dict):
        return web.json_response({"ok": False, "error": "the body must be a JSON object"}, status=400)
    return await _answered(lambda: verb(workspace, body))


async def upload(workspace: Workspace, request: web.Request) -> web.Response:
    """``POST /client/upload``, multipart: user, channel, file, and perhaps thread_ts and comment."""
    said, files = await form(request)

    async def share() -> Json:
        file = files.get("file")
        if file is None:
            raise Refused("“file” is missing.")
        content = await asyncio.to_thread(file.file.read)
        if not said.get("channel"):
            return {"file": workspace.attach(_text(said, "user"), file.filename, content)["id"]}
        message = await workspace.upload(
            _text(said, "user"),
            _text(said, "channel"),
            file.filename,
            content,
            comment=said.get("comment", ""),
            thread_ts=_maybe(said, "thread_ts"),
        )
        return {"ts": message["ts"], "file": message["files"][0]["id"]}

    try:
        return await _answered(share)
    finally:
        close_all(files)


async def _answered(work: Callable[[], Awaitable[Json]]) -> web.Response:
    try:
        return web.json_response({"ok": True} | await work())
    except Refused as refusal:
        return web.json_response({"ok": False, "error": str(refusal)})
    except ApiError as error:
        return web.json_response({"ok": False, "error": f"That did not work ({error.code})."})
