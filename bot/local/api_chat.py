"""chat.* of the Web API. Source: docs.slack.dev/reference/methods (errors in Slack's words)."""

from typing import Any

from bot.local.blocks import MARKDOWN_TEXT, block_problems, slack_files, text_length
from bot.local.core import Core
from bot.local.errors import ApiError, Json
from bot.local.team import Channel
from bot.local.webapi import Args, Method, missing_scope

MAX_TEXT = 40_000  # longer texts are cut when posted
MAX_UPDATE_TEXT = 4_000  # and refused when updated
MESSAGE_BUDGET = 13_200  # measured by others, undocumented: slackapi/bolt-js#2509
MAX_METADATA = 16_000


def said(core: Core, args: Args, *, required: bool = True) -> tuple[str, list[Any]]:
    """The text and the checked blocks of a call; ApiError when there is neither or a limit is exceeded."""
    text = args.maybe("text") or ""
    given = args.structure("blocks", "invalid_blocks_format")
    if given is not None and not isinstance(given, list):
        raise ApiError("invalid_blocks_format")
    blocks: list[Any] = given or []
    if markdown := args.maybe("markdown_text"):
        if text or blocks:
            raise ApiError("markdown_text_conflict")
        if len(markdown) > MARKDOWN_TEXT:
            raise ApiError("msg_too_long")
        blocks = [{"type": "markdown", "text": markdown}]
    check_blocks(core, blocks)
    if required and not text.strip() and not blocks and not args.structure("attachments"):
        raise ApiError("no_text")
    return text[:MAX_TEXT], blocks


def check_blocks(core: Core, blocks: list[Any]) -> None:
    """Raise ``invalid_blocks`` with the reasons, or ``msg_blocks_too_long``."""
    problems = block_problems(blocks, "message") or [
        f"invalid slack file [json-pointer:{path}]"
        for path, named in slack_files(blocks)
        if not core.files.is_picture(named)
    ]
    if problems:
        raise ApiError("invalid_blocks", messages=tuple(problems), errors=problems)
    if text_length(blocks) > MESSAGE_BUDGET:
        raise ApiError("msg_blocks_too_long")


def _metadata(args: Args) -> Json:
    given = args.structure("metadata", "invalid_metadata_format")
    if given is None:
        return {}
    if not isinstance(given, dict) or not isinstance(given.get("event_type"), str):
        raise ApiError("invalid_metadata_format")
    if not isinstance(given.get("event_payload"), dict):
        raise ApiError("invalid_metadata_schema")
    if len(str(given)) > MAX_METADATA:
        raise ApiError("metadata_too_large")
    return {"metadata": given}


def target(core: Core, reference: str) -> Channel:
    """Where to post: a channel, or a person (their direct message with the app)."""
    if reference in core.team.users:
        if reference == core.team.app.bot_user:
            raise ApiError("channel_not_found")
        return core.team.direct(reference)
    channel = core.team.channel(reference)
    may_see = core.team.app.bot_user in channel.members or not (channel.is_private or channel.is_im)
    if not may_see:
        raise ApiError("channel_not_found")
    return channel


def _writable(core: Core, reference: str) -> Channel:
    channel = target(core, reference)
    if channel.is_archived:
        raise ApiError("is_archived")
    if core.team.app.bot_user not in channel.members and "chat:write.public" not in core.team.app.scopes:
        raise ApiError("not_in_channel")
    return channel


def post_message(core: Core, args: Args) -> Json:
    """chat.postMessage"""
    channel = _writable(core, args.text("channel"))
    text, blocks = said(core, args)
    thread_ts = args.maybe("thread_ts")
    extra = _metadata(args)
    if thread_ts and args.flag("reply_broadcast"):
        extra["subtype"] = "thread_broadcast"
    stored = core.post(channel, core.bot_message(text, blocks, thread_ts, **extra))
    return {"channel": channel.id, "ts": stored["ts"], "message": stored}


def post_ephemeral(core: Core, args: Args) -> Json:
    """chat.postEphemeral"""
    channel = target(core, args.text("channel"))
    user = args.text("user")
    if channel.is_archived:
        raise ApiError("is_archived")
    if core.team.app.bot_user not in channel.members:
        raise ApiError("not_in_channel")
    if user not in core.team.users or user not in channel.members:
        raise ApiError("user_not_in_channel")
    text, blocks = said(core, args)
    shown = core.whisper(user, channel, text, blocks, args.maybe("thread_ts"))
    return {"message_ts": shown.message["ts"]}


def update(core: Core, args: Args) -> Json:
    """chat.update: text alone removes the blocks that were there; files and metadata stay."""
    channel = target(core, args.text("channel"))
    ts = args.text("ts")
    if len(args.maybe("text") or "") > MAX_UPDATE_TEXT:
        raise ApiError("msg_too_long")
    text, blocks = said(core, args)
    message = core.team.message(channel, ts)
    if message.get("user") != core.team.app.bot_user:
        raise ApiError("cant_update_message")
    if channel.is_archived:
        raise ApiError("is_archived")
    message = core.edit(channel, ts, {"text": text, "blocks": blocks, **_metadata(args)})
    return {"channel": channel.id, "ts": ts, "text": text, "message": message}


def delete(core: Core, args: Args) -> Json:
    """chat.delete"""
    channel = target(core, args.text("channel"))
    ts = args.text("ts")
    message = core.team.message(channel, ts)
    if message.get("user") != core.team.app.bot_user:
        raise ApiError("cant_delete_message")
    core.delete(channel, ts)
    return {"channel": channel.id, "ts": ts}


def permalink(core: Core, args: Args) -> Json:
    """chat.getPermalink"""
    channel = target(core, args.text("channel"))
    ts = args.text("message_ts")
    message = core.team.message(channel, ts)
    link = f"{core.base_url}/archives/{channel.id}/p{ts.replace('.', '')}"
    thread_ts = message.get("thread_ts")
    if thread_ts and thread_ts != ts:
        link += f"?thread_ts={thread_ts}&cid={channel.id}"
    return {"channel": channel.id, "permalink": link}


def need(core: Core, channel: Channel, action: str) -> None:
    """Conversation methods need the scope of the channel's kind, such as channels:history or im:history."""
    scope = f"{channel.kind}:{action}"
    if scope not in core.team.app.scopes:
        raise missing_scope(core, scope)


METHODS = {
    "chat.postMessage": Method(handler=post_message, tier=0, scopes=("chat:write",)),
    "chat.postEphemeral": Method(handler=post_ephemeral, tier=4, scopes=("chat:write",)),
    "chat.update": Method(handler=update, tier=3, scopes=("chat:write",)),
    "chat.delete": Method(handler=delete, tier=3, scopes=("chat:write",)),
    "chat.getPermalink": Method(handler=permalink, tier=4),
}
