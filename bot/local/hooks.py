"""response_url: what an app says there, and the uploads it sends to the URLs it was given."""

import json

from aiohttp import web

from bot.local.api_chat import check_blocks
from bot.local.core import Core
from bot.local.errors import ApiError, Json
from bot.local.grants import ResponseGrant
from bot.local.webapi import close_all, form


async def respond(core: Core, request: web.Request) -> web.Response:
    """``POST /hooks/<kind>/<team>/<secret>``; "ok" as plain text, or Slack's 404 with used_url or expired_url."""
    try:
        body = json.loads(await request.text() or "{}")
    except (ValueError, RecursionError):
        return web.Response(status=400, text="invalid_payload")
    if not isinstance(body, dict):
        return web.Response(status=400, text="invalid_payload")
    try:
        grant = core.response_urls.use(request.match_info["secret"])
        _carry_out(core, grant, body)
    except ApiError as error:
        core.record("response_url", body, error.code)
        status = 404 if error.code in {"used_url", "expired_url", "invalid_url"} else 400
        return web.json_response(error.answer(), status=status)
    core.record("response_url", body, None)
    return web.Response(text="ok")


def _carry_out(core: Core, grant: ResponseGrant, body: Json) -> None:
    channel = core.team.channel(grant.channel)
    if body.get("delete_original"):
        _delete_original(core, grant)
        return
    text, blocks = str(body.get("text") or ""), body.get("blocks") or []
    if not isinstance(blocks, list):
        raise ApiError("invalid_blocks_format")
    if not text.strip() and not blocks:
        raise ApiError("no_text")
    check_blocks(core, blocks)
    if body.get("replace_original") and grant.ephemeral_id:
        core.replace_whisper(grant.ephemeral_id, text, blocks)
        return
    if body.get("replace_original") and _is_own(core, grant):
        core.edit(channel, str(grant.message_ts), {"text": text, "blocks": blocks})
        return
    if channel.is_archived:
        raise ApiError("is_archived")
    thread_ts = str(body["thread_ts"]) if body.get("thread_ts") else None
    if body.get("response_type") == "in_channel":
        core.post(channel, core.bot_message(text, blocks, thread_ts))
    else:
        core.whisper(grant.user, channel, text, blocks, thread_ts)


def _delete_original(core: Core, grant: ResponseGrant) -> None:
    if grant.ephemeral_id:
        core.unwhisper(grant.ephemeral_id)
    elif _is_own(core, grant):
        core.delete(core.team.channel(grant.channel), str(grant.message_ts))


def _is_own(core: Core, grant: ResponseGrant) -> bool:
    """Whether the original is a message of the app: those of people it cannot touch."""
    message = core.team.channel(grant.channel).messages.get(grant.message_ts or "")
    return message is not None and message.get("user") == core.team.app.bot_user


async def receive_upload(core: Core, request: web.Request) -> web.Response:
    """``POST /upload/v1/<ticket>``: the bytes as the body, or as a form's first file."""
    if request.content_type == "multipart/form-data":
        _, files = await form(request)
        content = next((file.file.read() for file in files.values()), b"")
        close_all(files)
    else:
        content = await request.read()
    try:
        file = core.files.receive(request.match_info["ticket"], content)
    except ApiError as error:
        return web.Response(status=404 if error.code == "invalid_upload_url" else 400, text=error.code)
    core.touch()
    return web.Response(text=f"OK - {file.length}")
