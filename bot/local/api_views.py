"""views.*, files.* and blocks.validate of the Web API."""

import asyncio

from bot.local.api_chat import check_blocks, said, target
from bot.local.blocks import block_problems, validate_view
from bot.local.core import Core
from bot.local.errors import ApiError, Json
from bot.local.files import MAX_ALT, MAX_FILE_BYTES, File
from bot.local.team import Channel
from bot.local.webapi import Args, Method

# views


def checked_view(view: object, kind: str) -> Json:
    """A view that Slack would take, or ApiError ``invalid_arguments`` with the reasons."""
    if not isinstance(view, dict):
        raise ApiError("invalid_arguments", messages=("missing required field: view",))
    problems = validate_view(view)
    if view.get("type") != kind:
        problems = [f"must be a view of type {kind} [json-pointer:/view/type]", *problems]
    if problems:
        raise ApiError("invalid_arguments", messages=tuple(problems))
    return view


def view_open(core: Core, args: Args) -> Json:
    """views.open"""
    view = checked_view(args.structure("view"), "modal")
    user, _ = core.triggers.exchange(args.text("trigger_id"))
    for gone in core.modals.close(user, "", all_of_them=True):
        core.publish({"type": "view_closed", "id": gone["id"]}, user=user)
    opened = core.modals.push(user, view)
    core.show_view(user, opened)
    return {"view": opened}


def view_push(core: Core, args: Args) -> Json:
    """views.push: only from within an open modal."""
    view = checked_view(args.structure("view"), "modal")
    user, from_view = core.triggers.exchange(args.text("trigger_id"))
    if from_view is None or not core.modals.stacks.get(user):
        raise ApiError("not_found")
    pushed = core.modals.push(user, view)
    core.show_view(user, pushed)
    return {"view": pushed}


def view_update(core: Core, args: Args) -> Json:
    """views.update"""
    view_id, external_id = args.maybe("view_id"), args.maybe("external_id")
    if view_id is None and external_id is None:
        raise ApiError("invalid_arguments", messages=("missing required field: view_id",))
    view = checked_view(args.structure("view"), "modal")
    user, updated = core.modals.update(view, view_id=view_id, external_id=external_id, hash_=args.maybe("hash"))
    core.show_view(user, updated)
    return {"view": updated}


def view_publish(core: Core, args: Args) -> Json:
    """views.publish"""
    user = core.team.user(args.text("user_id")).id
    view = checked_view(args.structure("view"), "home")
    published = core.modals.publish(user, view, args.maybe("hash"))
    core.show_home(user, published)
    return {"view": published}


def blocks_validate(core: Core, args: Args) -> Json:
    """blocks.validate: answers with the problems, as chat.postMessage or views.open would."""
    if (view := args.structure("view")) is not None:
        problems = validate_view(view)
        if problems:
            raise ApiError("invalid_blocks", messages=tuple(problems), errors=problems)
        return {}
    blocks = args.structure("blocks", "invalid_blocks_format")
    message = args.structure("message", "invalid_blocks_format")
    if isinstance(message, dict):
        blocks = message.get("blocks")
    if not isinstance(blocks, list):
        raise ApiError("invalid_arguments", messages=("missing required field: blocks",))
    check_blocks(core, blocks)
    return {"problems": block_problems(blocks, "message")}


# files


def _needed(args: Args, name: str) -> str:
    value = args.maybe(name)
    if value is None:
        raise ApiError("missing_argument", messages=(f"missing required field: {name}",))
    return value


def upload_url(core: Core, args: Args) -> Json:
    """files.getUploadURLExternal"""
    name = _needed(args, "filename")
    _needed(args, "length")
    length = args.number("length", 0)
    if length <= 0:
        raise ApiError("missing_argument", messages=("missing required field: length",))
    if length > MAX_FILE_BYTES:
        raise ApiError("file_upload_size_restricted")
    url, file = core.files.reserve(name, length, core.team.app.bot_user)
    file.alt = (args.maybe("alt_txt") or "")[:MAX_ALT]
    return {"upload_url": url, "file_id": file.id}


def _listed(core: Core, args: Args) -> list[File]:
    listed = args.structure("files")
    if listed is None or listed == []:
        raise ApiError("missing_argument", messages=("missing required field: files",))
    if not isinstance(listed, list) or not all(
        isinstance(item, dict) and isinstance(item.get("id"), str) for item in listed
    ):
        raise ApiError("invalid_arguments", messages=("must be an array of {id, title} [json-pointer:/files]",))
    files = []
    for item in listed:
        file = core.files.file(item["id"])
        if file.content is None:
            raise ApiError("file_not_found")
        file.title = str(item.get("title") or file.name)
        files.append(file)
    return files


def upload_complete(core: Core, args: Args) -> Json:
    """files.completeUploadExternal: answers at once; the share follows, sooner or later."""
    files = _listed(core, args)
    reference = args.maybe("channel_id") or args.maybe("channels") or args.maybe("channel")
    if reference is None:
        if core.faults.type_files_after_s > 0:
            core.background(_look_later(core, files))
        else:
            _look_into(core, files)
        return {"files": [core.files.described(file) for file in files]}
    channel = target(core, reference.split(",")[0])
    if channel.is_archived:
        raise ApiError("is_archived")
    if core.team.app.bot_user not in channel.members:
        raise ApiError("not_in_channel")
    args.raw["text"] = args.raw.get("initial_comment") or args.raw.get("text")
    text, blocks = said(core, args, required=False)
    thread_ts = args.maybe("thread_ts")
    if core.faults.lose_shares > 0:
        core.faults.lose_shares -= 1
    elif core.faults.share_files_after_s > 0:
        core.background(_share_later(core, channel, files, core.bot_message(text, blocks, thread_ts)))
    else:
        core.share_files(channel, files, core.bot_message(text, blocks, thread_ts))
    return {"files": [core.files.described(file) for file in files]}


def _look_into(core: Core, files: list[File]) -> None:
    for file in files:
        file.is_processed = True
    core.touch()


async def _look_later(core: Core, files: list[File]) -> None:
    await asyncio.sleep(core.faults.type_files_after_s)
    _look_into(core, files)


async def _share_later(core: Core, channel: Channel, files: list[File], message: Json) -> None:
    await asyncio.sleep(core.faults.share_files_after_s)
    core.share_files(channel, files, message)


def file_info(core: Core, args: Args) -> Json:
    """files.info"""
    return {"file": core.files.described(core.files.file(_needed(args, "file"))), "comments": []}


METHODS = {
    "views.open": Method(handler=view_open, tier=4),
    "views.push": Method(handler=view_push, tier=4),
    "views.update": Method(handler=view_update, tier=4),
    "views.publish": Method(handler=view_publish, tier=4),
    "blocks.validate": Method(handler=blocks_validate, tier=3),
    "files.getUploadURLExternal": Method(handler=upload_url, tier=4, scopes=("files:write",)),
    "files.completeUploadExternal": Method(handler=upload_complete, tier=4, scopes=("files:write",)),
    "files.info": Method(handler=file_info, tier=4, scopes=("files:read",)),
}
