"""What a workspace holds: people, channels, messages, the app. Plain state: no I/O, no judgement of calls."""

import copy
import secrets
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from bot.local.errors import ApiError, Json


@dataclass(slots=True, kw_only=True)
class User:
    """A member; the app's bot is one too. *team*: the workspace that somebody in a shared channel comes from."""

    id: str
    name: str
    real_name: str
    is_bot: bool = False
    is_guest: bool = False
    team: str = ""


@dataclass(slots=True, kw_only=True)
class Channel:
    """A public or private channel, or a direct message (``is_im``)."""

    id: str
    name: str
    members: set[str]
    topic: str = ""
    is_im: bool = False
    is_private: bool = False
    is_archived: bool = False
    created: int = 0
    messages: dict[str, Json] = field(default_factory=dict)
    """By ts, oldest first; thread replies included."""
    replies: dict[str, list[str]] = field(default_factory=dict)
    """The ts of the replies to each root, oldest first."""

    @property
    def kind(self) -> str:
        """The word that Slack's scopes begin with: channels, groups or im."""
        return "im" if self.is_im else "groups" if self.is_private else "channels"

    @property
    def type(self) -> str:
        """The channel_type of events."""
        return "im" if self.is_im else "group" if self.is_private else "channel"


@dataclass(frozen=True, slots=True, kw_only=True)
class App:
    """The app as its manifest describes it."""

    id: str
    name: str
    bot_user: str
    bot_id: str
    scopes: frozenset[str]
    events: frozenset[str]
    commands: tuple[Json, ...]
    shortcuts: tuple[Json, ...]
    functions: Json = field(default_factory=dict)

    @classmethod
    def of(cls, manifest: Json, *, bot_user: str, bot_id: str, app_id: str) -> "App":
        """Read what a workspace needs from an app manifest (docs.slack.dev/reference/app-manifest)."""
        features: Json = manifest.get("features") or {}
        settings: Json = manifest.get("settings") or {}
        scopes: Json = (manifest.get("oauth_config") or {}).get("scopes") or {}
        return cls(
            id=app_id,
            name=str((manifest.get("display_information") or {}).get("name", "app")),
            bot_user=bot_user,
            bot_id=bot_id,
            scopes=frozenset(scopes.get("bot") or ()) | frozenset(scopes.get("bot_optional") or ()),
            events=frozenset((settings.get("event_subscriptions") or {}).get("bot_events") or ()),
            commands=tuple(features.get("slash_commands") or ()),
            shortcuts=tuple(features.get("shortcuts") or ()),
            functions=dict(manifest.get("functions") or {}),
        )


@dataclass(slots=True)
class Clock:
    """Message timestamps: microseconds as Slack writes them, each later than the one before."""

    now: Callable[[], float] = time.time
    _last: int = 0

    def ts(self) -> str:
        """The next timestamp."""
        self._last = max(self._last + 1, int(self.now() * 1_000_000))
        return f"{self._last // 1_000_000}.{self._last % 1_000_000:06d}"


class Team:
    """The state of one workspace."""

    def __init__(self, *, id: str = "T0LOCAL01", name: str, manifest: Json, now: Callable[[], float]) -> None:
        self.id = id
        self.name = name
        self.domain = "local"
        self.clock = Clock(now)
        self.users: dict[str, User] = {}
        self.channels: dict[str, Channel] = {}
        self.usergroups: dict[str, list[str]] = {}
        self.handles: dict[str, str] = {}  # of user groups; one without is called by its id
        self._ids = 0
        bot_name = str(((manifest.get("features") or {}).get("bot_user") or {}).get("display_name", "bot"))
        bot = self.add_user(bot_name, bot_name, is_bot=True)
        self.app = App.of(manifest, bot_user=bot.id, bot_id=self.new_id("B"), app_id=self.new_id("A"))

    def new_id(self, letter: str) -> str:
        """A new identifier in Slack's form."""
        self._ids += 1
        return f"{letter}0LOCAL{self._ids:04d}"

    # people and channels

    def add_user(
        self, name: str, real_name: str, *, is_bot: bool = False, is_guest: bool = False, team: str = ""
    ) -> User:
        """A new member, a guest, or (*team*) somebody of another workspace."""
        user = User(id=self.new_id("U"), name=name, real_name=real_name, is_bot=is_bot, is_guest=is_guest, team=team)
        self.users[user.id] = user
        return user

    def add_channel(self, name: str, members: set[str], *, topic: str = "", is_private: bool = False) -> Channel:
        """A new channel."""
        channel = Channel(
            id=self.new_id("C"),
            name=name,
            members=members,
            topic=topic,
            is_private=is_private,
            created=int(self.clock.now()),
        )
        self.channels[channel.id] = channel
        return channel

    def direct(self, user: str) -> Channel:
        """The direct message between the bot and *user*, made when there is none."""
        members = {user, self.app.bot_user}
        for channel in self.channels.values():
            if channel.is_im and channel.members == members:
                return channel
        channel = Channel(id=self.new_id("D"), name="directmessage", members=members, is_im=True)
        self.channels[channel.id] = channel
        return channel

    def user(self, user_id: str) -> User:
        """The member with this id, or ApiError ``user_not_found``."""
        if user_id not in self.users:
            raise ApiError("user_not_found")
        return self.users[user_id]

    def channel(self, reference: str) -> Channel:
        """A channel by id, name or ``#name``, or ApiError ``channel_not_found``."""
        if reference in self.channels:
            return self.channels[reference]
        for channel in self.channels.values():
            if not channel.is_im and channel.name == reference.removeprefix("#"):
                return channel
        raise ApiError("channel_not_found")

    # messages

    def message(self, channel: Channel, ts: str) -> Json:
        """The message, or ApiError ``message_not_found``."""
        message = channel.messages.get(ts)
        if message is None or message.get("subtype") == "tombstone":
            raise ApiError("message_not_found")
        return message

    def store(self, channel: Channel, message: Json) -> Json:
        """Put a new message into the channel: ts, block ids and the thread's counters are set here."""
        message["ts"] = self.clock.ts()
        if thread_ts := message.get("thread_ts"):
            root = channel.messages.get(thread_ts)
            if root is not None:
                message["parent_user_id"] = root.get("user", "")
            channel.replies.setdefault(thread_ts, []).append(message["ts"])
        channel.messages[message["ts"]] = message
        self.count_replies(channel, message.get("thread_ts"))
        return message

    def remove(self, channel: Channel, ts: str) -> Json:
        """Take a message away; the root of a thread that has replies becomes a tombstone."""
        message = channel.messages[ts]
        if channel.replies.get(ts):
            channel.messages[ts] = {
                "type": "message",
                "subtype": "tombstone",
                "text": "This message was deleted.",
                "user": "USLACKBOT",
                "hidden": True,
                "ts": ts,
                "thread_ts": ts,
            }
            self.count_replies(channel, ts)
            return message
        del channel.messages[ts]
        if thread_ts := message.get("thread_ts"):
            siblings = channel.replies.get(thread_ts, [])
            if ts in siblings:
                siblings.remove(ts)
            self.count_replies(channel, thread_ts)
        return message

    def thread(self, channel: Channel, ts: str) -> Iterator[Json]:
        """The root and its replies, oldest first."""
        known = (channel.messages.get(each) for each in (ts, *channel.replies.get(ts, ())))
        return (message for message in list(known) if message is not None)

    def count_replies(self, channel: Channel, thread_ts: str | None) -> None:
        """Bring reply_count, reply_users and latest_reply of a root up to date."""
        root = channel.messages.get(thread_ts or "")
        if root is None or thread_ts is None:
            return
        replies = [channel.messages[ts] for ts in channel.replies.get(thread_ts, ())]
        for key in ("reply_count", "reply_users", "reply_users_count", "latest_reply"):
            root.pop(key, None)
        if not replies:
            root.pop("thread_ts", None)
            return
        people = list(dict.fromkeys(str(reply.get("user")) for reply in replies))
        root |= {
            "thread_ts": thread_ts,
            "reply_count": len(replies),
            "reply_users": people,
            "reply_users_count": len(people),
            "latest_reply": replies[-1]["ts"],
        }


def with_ids(blocks: list[Any]) -> list[Any]:
    """A copy of *blocks* with a block_id for every block and an action_id for everything clickable, as Slack adds."""
    blocks = copy.deepcopy(blocks)
    for block in blocks:
        _identify(block)
    return blocks


_INTERACTIVE = frozenset(
    {
        "button",
        "overflow",
        "datepicker",
        "timepicker",
        "datetimepicker",
        "checkboxes",
        "radio_buttons",
        "icon_button",
        "feedback_buttons",
        "plain_text_input",
        "number_input",
        "email_text_input",
        "url_text_input",
        "rich_text_input",
        "file_input",
    }
)


def is_interactive(element: Json) -> bool:
    """Whether an element sends actions or carries state."""
    kind = str(element.get("type"))
    return kind in _INTERACTIVE or kind.endswith("_select")


def elements_of(block: Json) -> Iterator[Json]:
    """Everything interactive directly in a block: its accessory, its elements, its input, a card's actions."""
    listed = [*_array(block.get("elements")), *_array(block.get("actions"))]
    for element in (block.get("accessory"), block.get("element"), *listed):
        if isinstance(element, dict) and is_interactive(element):
            yield element


def _array(value: object) -> list[Any]:
    return value if isinstance(value, list) else []


def every_block(blocks: list[Any]) -> Iterator[Json]:
    """The blocks and, inside containers and carousels, their children."""
    for block in blocks:
        if not isinstance(block, dict):
            continue
        yield block
        children = block.get("elements") if block.get("type") == "carousel" else block.get("child_blocks")
        yield from (child for child in _array(children) if isinstance(child, dict))


def _identify(block: Json) -> None:
    for each in every_block([block]):
        each.setdefault("block_id", secrets.token_urlsafe(4)[:5])
        for element in elements_of(each):
            element.setdefault("action_id", secrets.token_urlsafe(4)[:5])
