"""The payloads that Slack sends to an app, shaped as docs.slack.dev shows them (pure but for fresh identifiers)."""

import secrets
from collections.abc import Mapping

from bot.local.errors import Json
from bot.local.team import Channel, Team, User

VERIFICATION_TOKEN = "local-verification-token"  # noqa: S105 - deprecated by Slack, still in every payload, secures nothing


def event_callback(team: Team, event: Json, *, of_team: str = "") -> Json:
    """The Events API wrapper around one event. *of_team*: the other workspace of a shared channel, where it comes from;
    then ``authorizations`` alone says in which one the app is installed."""
    app = team.app
    return {
        "token": VERIFICATION_TOKEN,
        "team_id": of_team or team.id,
        "context_team_id": team.id,
        "context_enterprise_id": None,
        "api_app_id": app.id,
        "event": event,
        "type": "event_callback",
        "event_id": f"Ev{secrets.token_hex(5).upper()}",
        "event_time": int(team.clock.now()),
        "authorizations": [
            {
                "enterprise_id": None,
                "team_id": team.id,
                "user_id": app.bot_user,
                "is_bot": True,
                "is_enterprise_install": False,
            }
        ],
        "is_ext_shared_channel": bool(of_team),
        "event_context": f"4-{secrets.token_urlsafe(24)}",
    }


def message_event(channel: Channel, message: Json) -> Json:
    """A ``message`` event for a message as it is stored."""
    return message | {"channel": channel.id, "event_ts": message["ts"], "channel_type": channel.type}


def app_mention(channel: Channel, message: Json) -> Json:
    """The ``app_mention`` event of the same message: without subtype and channel_type."""
    kept = {key: value for key, value in message.items() if key not in {"subtype", "upload", "display_as_bot"}}
    return kept | {"type": "app_mention", "channel": channel.id, "event_ts": message["ts"]}


def message_changed(team: Team, channel: Channel, message: Json, previous: Json) -> Json:
    """A ``message_changed`` event."""
    ts = team.clock.ts()
    return {
        "type": "message",
        "subtype": "message_changed",
        "message": message | {"source_team": team.id, "user_team": team.id},
        "previous_message": previous,
        "channel": channel.id,
        "hidden": True,
        "ts": ts,
        "event_ts": ts,
        "channel_type": channel.type,
    }


def message_deleted(team: Team, channel: Channel, previous: Json) -> Json:
    """A ``message_deleted`` event."""
    ts = team.clock.ts()
    return {
        "type": "message",
        "subtype": "message_deleted",
        "previous_message": previous,
        "channel": channel.id,
        "hidden": True,
        "deleted_ts": previous["ts"],
        "ts": ts,
        "event_ts": ts,
        "channel_type": channel.type,
    }


def slash_command(
    team: Team, *, user: User, channel: Channel, command: str, text: str, trigger_id: str, response_url: str
) -> Json:
    """A slash command; it has no thread_ts, in Slack neither."""
    return {
        "token": VERIFICATION_TOKEN,
        "team_id": team.id,
        "team_domain": team.domain,
        "channel_id": channel.id,
        "channel_name": "privategroup" if channel.is_private else channel.name,
        "user_id": user.id,
        "user_name": user.name,
        "command": command,
        "text": text,
        "api_app_id": team.app.id,
        "is_enterprise_install": "false",
        "response_url": response_url,
        "trigger_id": trigger_id,
    }


def interaction(team: Team, kind: str, user: User, trigger_id: str | None = None) -> Json:
    """What every interactive payload has in common."""
    common: Json = {
        "type": kind,
        "user": {"id": user.id, "username": user.name, "name": user.name, "team_id": user.team or team.id},
        "api_app_id": team.app.id,
        "token": VERIFICATION_TOKEN,
        "team": {"id": team.id, "domain": team.domain},
        "enterprise": None,
        "is_enterprise_install": False,
    }
    return common if trigger_id is None else common | {"trigger_id": trigger_id}


def place(channel: Channel) -> Json:
    """The ``channel`` of an interactive payload."""
    return {"id": channel.id, "name": "privategroup" if channel.is_private else channel.name}


# Where each element keeps its answer, in actions and in a view's state (reference/block-kit/block-elements).
ANSWER_KEYS: Mapping[str, str] = {
    "button": "value",
    "icon_button": "value",
    "feedback_buttons": "value",
    "overflow": "selected_option",
    "static_select": "selected_option",
    "external_select": "selected_option",
    "radio_buttons": "selected_option",
    "users_select": "selected_user",
    "conversations_select": "selected_conversation",
    "channels_select": "selected_channel",
    "multi_static_select": "selected_options",
    "multi_external_select": "selected_options",
    "checkboxes": "selected_options",
    "multi_users_select": "selected_users",
    "multi_conversations_select": "selected_conversations",
    "multi_channels_select": "selected_channels",
    "datepicker": "selected_date",
    "timepicker": "selected_time",
    "datetimepicker": "selected_date_time",
    "plain_text_input": "value",
    "number_input": "value",
    "email_text_input": "value",
    "url_text_input": "value",
    "rich_text_input": "rich_text_value",
    "file_input": "files",
}
_INITIAL_KEYS: Mapping[str, str] = {
    "value": "initial_value",
    "rich_text_value": "initial_value",
    "selected_option": "initial_option",
    "selected_options": "initial_options",
    "selected_user": "initial_user",
    "selected_users": "initial_users",
    "selected_conversation": "initial_conversation",
    "selected_conversations": "initial_conversations",
    "selected_channel": "initial_channel",
    "selected_channels": "initial_channels",
    "selected_date": "initial_date",
    "selected_time": "initial_time",
    "selected_date_time": "initial_date_time",
}
STATELESS = frozenset({"button", "icon_button", "feedback_buttons", "overflow"})


def initial_answer(element: Json) -> object:
    """What an element answers before anybody touched it; ``None`` (or no options) when nothing is preset."""
    key = ANSWER_KEYS.get(str(element.get("type")), "value")
    default: object = [] if element.get("type") == "checkboxes" else None
    return element.get(_INITIAL_KEYS.get(key, ""), default)


def action(element: Json, block_id: str, answer: object, action_ts: str) -> Json:
    """One entry of ``actions``."""
    kind = str(element.get("type"))
    taken: Json = {"action_id": element.get("action_id"), "block_id": block_id, "type": kind, "action_ts": action_ts}
    for key in ("text", "style", "url", "placeholder"):
        if key in element and (kind == "button" or key == "placeholder"):
            taken[key] = element[key]
    key = ANSWER_KEYS.get(kind, "value")
    if kind != "button" or "value" in element:
        taken[key] = answer
    return taken
