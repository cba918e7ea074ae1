"""conversations.*, users.*, reactions.*, pins.*, bookmarks.*, auth.test and the like of the Web API."""

from collections.abc import Sequence

from bot.local.api_chat import need, target
from bot.local.core import Core
from bot.local.errors import ApiError, Json
from bot.local.team import Channel, User
from bot.local.webapi import Args, Method

_READ = ("channels:read", "groups:read", "im:read")
_HISTORY = ("channels:history", "groups:history", "im:history")


def _page(items: Sequence[Json], args: Args, *, most: int = 1000) -> tuple[list[Json], Json]:
    """One page of *items* by limit and cursor, and what to add to the answer."""
    limit = args.number("limit", 100)
    if not 1 <= limit <= most:
        raise ApiError("invalid_limit")
    cursor = args.maybe("cursor") or "at:0"
    start = cursor.removeprefix("at:")
    if not cursor.startswith("at:") or not start.isdecimal():
        raise ApiError("invalid_cursor")
    end = int(start) + limit
    following = f"at:{end}" if end < len(items) else ""
    return list(items[int(start) : end]), {"response_metadata": {"next_cursor": following}}


def described(core: Core, channel: Channel) -> Json:
    """The conversation object."""
    app = core.team.app
    common: Json = {
        "id": channel.id,
        "created": channel.created,
        "is_archived": channel.is_archived,
        "is_im": channel.is_im,
        "is_mpim": False,
        "is_private": channel.is_private or channel.is_im,
        "context_team_id": core.team.id,
    }
    if channel.is_im:
        other = next((member for member in channel.members if member != app.bot_user), "")
        return common | {"user": other, "is_user_deleted": False, "is_open": True}
    is_shared = any(core.team.users[member].team for member in channel.members if member in core.team.users)
    return common | {
        "name": channel.name,
        "name_normalized": channel.name,
        "is_channel": not channel.is_private,
        "is_group": channel.is_private,
        "is_general": channel.name == "general",
        "is_member": app.bot_user in channel.members,
        "is_shared": is_shared,
        "is_ext_shared": is_shared,
        "num_members": len(channel.members),
        "topic": {"value": channel.topic, "creator": "", "last_set": 0},
        "purpose": {"value": "", "creator": "", "last_set": 0},
    }


def person(core: Core, user: User) -> Json:
    """The user object."""
    return {
        "id": user.id,
        "team_id": user.team or core.team.id,
        "name": user.name,
        "real_name": user.real_name,
        "deleted": False,
        "tz": "Etc/UTC",
        "tz_label": "UTC",
        "tz_offset": 0,
        "profile": {"real_name": user.real_name, "display_name": user.name, "team": user.team or core.team.id},
        "is_bot": user.is_bot,
        "is_app_user": False,
        "is_admin": False,
        "is_restricted": user.is_guest,
        "is_ultra_restricted": False,
        "is_stranger": bool(user.team),
    }


def auth_test(core: Core, args: Args) -> Json:
    """auth.test"""
    app = core.team.app
    return {
        "url": f"{core.base_url}/",
        "team": core.team.name,
        "team_id": core.team.id,
        "user": core.team.users[app.bot_user].name,
        "user_id": app.bot_user,
        "bot_id": app.bot_id,
        "app_id": app.id,
        "is_enterprise_install": False,
    }


def api_test(core: Core, args: Args) -> Json:
    """api.test"""
    if error := args.maybe("error"):
        raise ApiError(error, args=args.raw)
    return {"args": args.raw}


def connections_open(core: Core, args: Args) -> Json:
    """apps.connections.open"""
    if core.courier.request_url is not None:
        raise ApiError("socket_mode_not_enabled")
    ticket = core.socket_mode.ticket()
    base = core.base_url.replace("http://", "ws://", 1)
    return {"url": f"{base}/link/?ticket={ticket}&app_id={core.team.app.id}"}


# conversations


def conversation_info(core: Core, args: Args) -> Json:
    """conversations.info"""
    channel = target(core, args.text("channel"))
    need(core, channel, "read")
    return {"channel": described(core, channel)}


def conversation_list(core: Core, args: Args) -> Json:
    """conversations.list"""
    kinds = (args.maybe("types") or "public_channel").split(",")
    found = []
    for channel in core.team.channels.values():
        kind = "im" if channel.is_im else "private_channel" if channel.is_private else "public_channel"
        hidden = (channel.is_im or channel.is_private) and core.team.app.bot_user not in channel.members
        if kind in kinds and not hidden and not (args.flag("exclude_archived") and channel.is_archived):
            found.append(described(core, channel))
    page, more = _page(found, args)
    return {"channels": page} | more


def conversation_members(core: Core, args: Args) -> Json:
    """conversations.members"""
    channel = target(core, args.text("channel"))
    need(core, channel, "read")
    page, more = _page([{"id": member} for member in sorted(channel.members)], args)
    return {"members": [member["id"] for member in page]} | more


def _readable(core: Core, args: Args) -> Channel:
    channel = target(core, args.text("channel"))
    need(core, channel, "history")
    if core.team.app.bot_user not in channel.members:
        raise ApiError("not_in_channel")
    return channel


def conversation_history(core: Core, args: Args) -> Json:
    """conversations.history: newest first, without thread replies."""
    channel = _readable(core, args)
    oldest, latest = args.maybe("oldest") or "0", args.maybe("latest")
    inclusive = args.flag("inclusive")
    found = [
        message
        for message in reversed(list(channel.messages.values()))
        if message.get("thread_ts", message["ts"]) == message["ts"] or message.get("subtype") == "thread_broadcast"
        if _within(message["ts"], oldest, latest, inclusive=inclusive)
    ]
    return _messages(found, args) | {"pin_count": 0}


def _messages(found: list[Json], args: Args) -> Json:
    """A page of messages; metadata only for who asks."""
    page, more = _page(found, args)
    if not args.flag("include_all_metadata"):
        page = [{key: value for key, value in message.items() if key != "metadata"} for message in page]
    return {"messages": page, "has_more": bool(more["response_metadata"]["next_cursor"])} | more


def _within(ts: str, oldest: str, latest: str | None, *, inclusive: bool) -> bool:
    try:
        low, high = float(oldest), float(latest) if latest else float("inf")
    except ValueError:
        raise ApiError("invalid_ts_oldest") from None
    at = float(ts)
    return low <= at <= high if inclusive else low < at < high


def conversation_replies(core: Core, args: Args) -> Json:
    """conversations.replies: the root first."""
    channel = _readable(core, args)
    ts = args.text("ts")
    found = list(core.team.thread(channel, ts))
    if not found:
        raise ApiError("thread_not_found")
    return _messages(found, args)


def conversation_open(core: Core, args: Args) -> Json:
    """conversations.open, with one person."""
    if reference := args.maybe("channel"):
        channel = target(core, reference)
    else:
        users = args.text("users").split(",")
        if len(users) != 1:
            raise ApiError("not_enough_users" if not users else "method_not_supported_for_channel_type")
        channel = core.team.direct(core.team.user(users[0]).id)
    return {"channel": {"id": channel.id} | (described(core, channel) if args.flag("return_im") else {})}


def conversation_join(core: Core, args: Args) -> Json:
    """conversations.join"""
    channel = target(core, args.text("channel"))
    if channel.is_im or channel.is_private:
        raise ApiError("method_not_supported_for_channel_type")
    if channel.is_archived:
        raise ApiError("is_archived")
    if core.team.app.bot_user in channel.members:
        return {"channel": described(core, channel), "warning": "already_in_channel"}
    enter(core, channel, core.team.app.bot_user)
    return {"channel": described(core, channel)}


def enter(core: Core, channel: Channel, user: str) -> None:
    """Make *user* a member and tell the app."""
    channel.members.add(user)
    event = {
        "type": "member_joined_channel",
        "user": user,
        "channel": channel.id,
        "channel_type": "G" if channel.is_private else "C",
        "team": core.team.id,
        "event_ts": core.team.clock.ts(),
    }
    core.emit(event, "member_joined_channel", channel)
    core.touch()


# people


def user_info(core: Core, args: Args) -> Json:
    """users.info"""
    return {"user": person(core, core.team.user(args.text("user")))}


def user_list(core: Core, args: Args) -> Json:
    """users.list"""
    page, more = _page([person(core, user) for user in core.team.users.values()], args)
    return {"members": page, "cache_ts": int(core.team.clock.now())} | more


def usergroup_list(core: Core, args: Args) -> Json:
    """usergroups.list"""
    handles = {group: core.team.handles.get(group, group.lower()) for group in core.team.usergroups}
    return {"usergroups": [{"id": group, "handle": handle, "name": handle} for group, handle in handles.items()]}


def usergroup_users(core: Core, args: Args) -> Json:
    """usergroups.users.list"""
    group = args.text("usergroup")
    if group not in core.team.usergroups:
        raise ApiError("no_such_subteam")
    return {"users": core.team.usergroups[group]}


# marks on messages


def react(core: Core, channel: Channel, ts: str, name: str, user: str, *, remove: bool = False) -> None:
    """Add or remove a reaction; tell pages and app."""
    message = core.team.message(channel, ts)
    reactions: list[Json] = message.setdefault("reactions", [])
    entry = next((reaction for reaction in reactions if reaction["name"] == name), None)
    if remove:
        if entry is None or user not in entry["users"]:
            raise ApiError("no_reaction")
        entry["users"].remove(user)
        entry["count"] -= 1
        if not entry["users"]:
            reactions.remove(entry)
    else:
        if entry is None:
            entry = {"name": name, "users": [], "count": 0}
            reactions.append(entry)
        if user in entry["users"]:
            raise ApiError("already_reacted")
        entry["users"].append(user)
        entry["count"] += 1
    core.publish({"type": "message_changed", "channel": channel.id, "message": core.shown(message)}, channel=channel)
    kind = "reaction_removed" if remove else "reaction_added"
    event = {
        "type": kind,
        "user": user,
        "reaction": name,
        "item": {"type": "message", "channel": channel.id, "ts": ts},
        "item_user": message.get("user"),
        "event_ts": core.team.clock.ts(),
    }
    core.emit(event, kind, channel)
    core.touch()


def _marked(core: Core, args: Args) -> tuple[Channel, str, str]:
    channel = target(core, args.text("channel"))
    if core.team.app.bot_user not in channel.members:
        raise ApiError("not_in_channel")
    return channel, args.text("timestamp"), args.text("name").strip(":")


def reaction_add(core: Core, args: Args) -> Json:
    """reactions.add"""
    channel, ts, name = _marked(core, args)
    react(core, channel, ts, name, core.team.app.bot_user)
    return {}


def reaction_remove(core: Core, args: Args) -> Json:
    """reactions.remove"""
    channel, ts, name = _marked(core, args)
    react(core, channel, ts, name, core.team.app.bot_user, remove=True)
    return {}


def reaction_get(core: Core, args: Args) -> Json:
    """reactions.get, of a message"""
    channel = target(core, args.text("channel"))
    message = core.team.message(channel, args.text("timestamp"))
    return {"type": "message", "channel": channel.id, "message": message}


def pin_add(core: Core, args: Args) -> Json:
    """pins.add"""
    channel = target(core, args.text("channel"))
    message = core.team.message(channel, args.text("timestamp"))
    pinned: list[str] = message.setdefault("pinned_to", [])
    if channel.id in pinned:
        raise ApiError("already_pinned")
    pinned.append(channel.id)
    core.touch()
    return {}


def bookmark_add(core: Core, args: Args) -> Json:
    """bookmarks.add"""
    channel = target(core, args.text("channel_id"))
    bookmark = {
        "id": core.team.new_id("Bk"),
        "channel_id": channel.id,
        "title": args.text("title"),
        "type": args.text("type"),
        "link": args.maybe("link") or "",
    }
    return {"bookmark": bookmark}


METHODS = {
    "api.test": Method(handler=api_test, tier=4),
    "auth.test": Method(handler=auth_test, tier=4),
    "apps.connections.open": Method(handler=connections_open, tier=3, needs_app_token=True),
    "conversations.info": Method(handler=conversation_info, tier=3, scopes=_READ),
    "conversations.list": Method(handler=conversation_list, tier=2, scopes=_READ),
    "conversations.members": Method(handler=conversation_members, tier=4, scopes=_READ),
    "conversations.history": Method(handler=conversation_history, tier=3, scopes=_HISTORY),
    "conversations.replies": Method(handler=conversation_replies, tier=3, scopes=_HISTORY),
    "conversations.open": Method(handler=conversation_open, tier=3, scopes=("im:write",)),
    "conversations.join": Method(handler=conversation_join, tier=3, scopes=("channels:join",)),
    "users.info": Method(handler=user_info, tier=4, scopes=("users:read",)),
    "users.list": Method(handler=user_list, tier=2, scopes=("users:read",)),
    "usergroups.list": Method(handler=usergroup_list, tier=2, scopes=("usergroups:read",)),
    "usergroups.users.list": Method(handler=usergroup_users, tier=2, scopes=("usergroups:read",)),
    "reactions.add": Method(handler=reaction_add, tier=3, scopes=("reactions:write",)),
    "reactions.remove": Method(handler=reaction_remove, tier=2, scopes=("reactions:write",)),
    "reactions.get": Method(handler=reaction_get, tier=3, scopes=("reactions:read",)),
    "pins.add": Method(handler=pin_add, tier=2, scopes=("pins:write",)),
    "bookmarks.add": Method(handler=bookmark_add, tier=2, scopes=("bookmarks:write",)),
}
