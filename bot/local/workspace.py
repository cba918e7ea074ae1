"""A local Slack-compatible workspace: what people do in it, and what a test may ask it.

``Workspace`` is the state and the acts; ``bot.local.server.serve`` puts it on a port. Everything a person can do in the
page is a method here, so that the page and the tests take the same way. A method raises ``Refused``, in words for the
person, when Slack would not let them.
"""

import time
import uuid
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from bot.local import payloads
from bot.local.api_rooms import enter, react
from bot.local.blocks import block_problems
from bot.local.core import Call, Ephemeral
from bot.local.delivery import ACK_DEADLINE_S, RETRY_DELAYS_S, Delivery
from bot.local.errors import ApiError, Json, Refused
from bot.local.functions import run_function
from bot.local.interactions import Interactions
from bot.local.limits import SLACK, Limits
from bot.local.team import Channel, User
from bot.local.typed import as_stored, escaped, rich_text

MAX_TYPED = 40_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Suggestion:
    """Something to try, shown by the page to whoever is new."""

    text: str
    description: str


class Workspace(Interactions):
    """A workspace with Ada (``me``), Grace and the app's bot, in #incidents, #general and a direct message.

    *manifest* is the app's manifest as a dict: its commands, shortcuts, scopes and event subscriptions are what the
    workspace honours. *request_url* makes deliveries go there, signed, instead of over Socket Mode. *clock* tells the
    seconds since 1970 for timestamps, limits and expiries.
    """

    def __init__(
        self,
        *,
        manifest: Json,
        team_name: str = "Local workspace",
        suggestions: Iterable[Suggestion] = (),
        limits: Limits = SLACK,
        request_url: str | None = None,
        team_id: str = "T0LOCAL01",
        clock: Callable[[], float] = time.time,
        ack_deadline_s: float = ACK_DEADLINE_S,
        retry_delays_s: tuple[float, ...] = RETRY_DELAYS_S,
    ) -> None:
        super().__init__(
            manifest=manifest,
            team_name=team_name,
            limits=limits,
            request_url=request_url,
            team_id=team_id,
            clock=clock,
            ack_deadline_s=ack_deadline_s,
            retry_delays_s=retry_delays_s,
        )
        self.suggestions = tuple(suggestions)
        team = self.team
        self.me = team.add_user("ada", "Ada Lovelace").id
        self.other = team.add_user("grace", "Grace Hopper").id
        self.bot = team.app.bot_user
        everybody = {self.me, self.other, self.bot}
        self.incidents = team.add_channel("incidents", set(everybody), topic="What is failing now").id
        self.general = team.add_channel("general", set(everybody), topic="Everything else").id
        self.dm = team.direct(self.me).id
        team.direct(self.other)

    # what a test may ask

    def messages(self, channel: str) -> list[Json]:
        """The messages of a channel (id or name), oldest first, thread replies included."""
        return list(self.team.channel(channel).messages.values())

    def thread(self, channel: str, ts: str) -> list[Json]:
        """The root and the replies of a thread."""
        return list(self.team.thread(self.team.channel(channel), ts))

    def whispers(self, user: str | None = None) -> list[Ephemeral]:
        """The ephemeral messages that are still shown (to *user*)."""
        return [e for e in self.ephemerals.values() if user in {None, e.user}]

    def calls_of(self, method: str) -> list[Call]:
        """The calls of one Web API method, oldest first."""
        return [call for call in self.calls if call.method == method]

    def deliver_to(self, request_url: str | None) -> None:
        """HTTP mode from now on: commands, interactions and events go, signed, to this URL of this machine."""
        self.courier.deliver_to(request_url)

    async def connected(self, connections: int = 1, timeout_s: float = 30.0) -> None:
        """Return when the app holds so many connections."""
        await self.wait_for(lambda: self.socket_mode.connections >= connections, timeout_s)

    # speaking

    def _stored(self, text: str) -> str:
        if not text.strip():
            raise Refused("An empty message is not sent.")
        if len(text) > MAX_TYPED:
            raise Refused(f"That message is too long: {len(text)} characters, at most {MAX_TYPED}.")
        team = self.team
        names = {user.name.lower(): user.id for user in team.users.values()}
        names[team.app.name.lower()] = team.app.bot_user
        rooms = {channel.name: channel.id for channel in team.channels.values() if not channel.is_im}
        # <@U…> given as such is a mention already: what a client makes of a picked name.
        text = text.replace(f"<@{team.app.bot_user}>", f"@{team.users[team.app.bot_user].name}")
        return as_stored(text, users=names, channels=rooms)

    async def say(self, user: str, channel: str, text: str, thread_ts: str | None = None) -> Json:
        """Type a message; the message as stored. The app gets message.* and, when it is mentioned, app_mention."""
        _, where = self.place_of(user, channel)
        return self._typed(where, self._authored(user, self._stored(text), thread_ts))

    async def mention(self, user: str, channel: str, text: str, thread_ts: str | None = None) -> Json:
        """Type ``@bot text``."""
        return await self.say(user, channel, f"<@{self.bot}> {text}", thread_ts)

    def _authored(self, user: str, stored: str, thread_ts: str | None) -> Json:
        message: Json = {"user": user, "text": stored, "client_msg_id": str(uuid.uuid4())}
        message["blocks"] = rich_text(stored, uuid.uuid4().hex[:5])
        if home := self.team.user(user).team:  # somebody of another workspace, in a shared channel
            message |= {"team": home, "user_team": home, "source_team": home}
        return message | ({"thread_ts": thread_ts} if thread_ts else {})

    def _typed(self, where: Channel, message: Json, post: Callable[[], Json] | None = None) -> Json:
        if where.is_archived:
            raise Refused("This channel is archived.")
        try:
            stored = post() if post else self.post(where, message)
        except ApiError as error:
            raise Refused(f"This thread does not exist any more ({error.code}).") from None
        if f"<@{self.bot}>" in stored["text"] and not where.is_im:
            if self.bot not in where.members:
                self.notify(stored["user"], f"{self.team.app.name} is not in this channel. Invite it first.", "info")
            self.emit(payloads.app_mention(where, stored), "app_mention", where)
        return stored

    async def edit_message(self, user: str, channel: str, ts: str, text: str) -> Json:
        """Edit one's own message."""
        _, where = self.place_of(user, channel)
        self._own(where, ts, user)
        stored = self._stored(text)
        return self.edit(where, ts, {"text": stored, "blocks": rich_text(stored, uuid.uuid4().hex[:5])})

    async def delete_message(self, user: str, channel: str, ts: str) -> None:
        """Delete one's own message."""
        _, where = self.place_of(user, channel)
        self._own(where, ts, user)
        self.delete(where, ts)

    def _own(self, where: Channel, ts: str, user: str) -> None:
        message = where.messages.get(ts)
        if message is None:
            raise Refused("This message does not exist any more.")
        if message.get("user") != user:
            raise Refused("Only your own messages can be changed.")

    async def upload(
        self,
        user: str,
        channel: str,
        name: str,
        content: bytes,
        *,
        comment: str = "",
        thread_ts: str | None = None,
    ) -> Json:
        """Drop a file into a channel or thread; the message (subtype file_share) that shows it."""
        _, where = self.place_of(user, channel)
        if not content:
            raise Refused("An empty file is not uploaded.")
        file = self.files.add(name, content, user)
        message = self._authored(user, self._stored(comment) if comment.strip() else "", thread_ts)
        message["subtype"] = "file_share"
        if not message["text"]:
            message["blocks"] = []
        return self._typed(where, message, lambda: self.share_files(where, [file], message))

    def attach(self, user: str, name: str, content: bytes) -> Json:
        """A file chosen in a modal's file_input: uploaded, shared nowhere; its file object."""
        if not content:
            raise Refused("An empty file is not uploaded.")
        return self.files.described(self.files.add(name, content, self.team.user(user).id))

    async def react(self, user: str, channel: str, ts: str, name: str, *, remove: bool = False) -> None:
        """Add or take back a reaction."""
        _, where = self.place_of(user, channel)
        try:
            react(self, where, ts, name.strip(":"), user, remove=remove)
        except ApiError as error:
            raise Refused(f"That reaction did not work ({error.code}).") from None

    # commands and shortcuts

    async def command(self, user: str, channel: str, command: str, text: str = "") -> Delivery:
        """Send a slash command; its answer, if any, is shown as Slack shows it."""
        who, where = self.place_of(user, channel)
        if command not in {str(known.get("command")) for known in self.team.app.commands}:
            raise Refused(f"{command} is not a valid command (unknown_command).")
        if where.is_archived:
            raise Refused("This channel is archived.")
        secret = self.response_urls.issue("command", channel=where.id, user=user)
        payload = payloads.slash_command(
            self.team,
            user=who,
            channel=where,
            command=command,
            text=escaped(text).strip(),
            trigger_id=self.triggers.issue(user),
            response_url=self.response_url("commands", secret),
        )
        delivery = await self.courier.interactive("slash_commands", payload)
        if delivery.failure is not None:
            self.notify(user, f"{command} failed with the error “{delivery.failure}”.")
        elif delivery.response:
            self._answer_command(who, where, delivery.response)
        return delivery

    def _answer_command(self, user: User, where: Channel, response: Json) -> None:
        text = str(response.get("text") or "")
        blocks = response.get("blocks") or []
        if not text and not blocks:
            return
        if problems := block_problems(blocks, "message"):
            self.notify(user.id, f"The app answered with blocks that Slack refuses: {problems[0]}")
            return
        if response.get("response_type") == "in_channel":
            self.post(where, self.bot_message(text, blocks))
        else:
            self.whisper(user.id, where, text, blocks, None)

    # the rest of a workspace's life

    async def open_home(self, user: str | None = None) -> None:
        """Look at the App Home."""
        user = user or self.me
        event: Json = {
            "type": "app_home_opened",
            "user": user,
            "channel": self.team.direct(user).id,
            "tab": "home",
            "event_ts": self.team.clock.ts(),
        }
        home = self.modals.homes.get(user)
        self.emit(event | ({"view": home} if home else {}), "app_home_opened")

    async def join(self, user: str, channel: str) -> None:
        """Let a person, or the bot, into a channel."""
        enter(self, self.team.channel(channel), user)

    async def remove_member(self, user: str, channel: str) -> None:
        """Take a person, or the bot, out of a channel."""
        where = self.team.channel(channel)
        if user == self.bot:
            kind = f"{where.type}_left"
            self.emit({"type": kind, "channel": where.id, "actor_id": self.me, **self._now()}, kind, where)
        where.members.discard(user)
        self.touch()

    async def archive(self, channel: str, *, user: str | None = None) -> None:
        """Archive a channel."""
        where = self.team.channel(channel)
        where.is_archived = True
        self._channel_event(where, "archive", {"channel": where.id, "user": user or self.me})

    async def unarchive(self, channel: str, *, user: str | None = None) -> None:
        """Open an archived channel again."""
        where = self.team.channel(channel)
        where.is_archived = False
        self._channel_event(where, "unarchive", {"channel": where.id, "user": user or self.me})

    async def delete_channel(self, channel: str) -> None:
        """Delete a channel and all that is in it."""
        where = self.team.channel(channel)
        self._channel_event(where, "deleted", {"channel": where.id})
        del self.team.channels[where.id]

    async def rename(self, channel: str, name: str) -> None:
        """Rename a channel."""
        where = self.team.channel(channel)
        where.name = name
        self._channel_event(where, "rename", {"channel": {"id": where.id, "name": name, "created": where.created}})

    def _channel_event(self, where: Channel, act: str, event: Json) -> None:
        kind = f"{where.type}_{act}"
        self.emit({"type": kind, **self._now(), **event}, kind, where)
        self.touch()

    def _now(self) -> Json:
        return {"event_ts": self.team.clock.ts()}

    async def uninstall(self) -> None:
        """Take the app out of the workspace: its tokens are dead, and it is told."""
        app = self.team.app
        self.tokens.revoke()
        self.is_installed = False
        for channel in self.team.channels.values():
            if not channel.is_im:
                channel.members.discard(app.bot_user)
        at = self.team.clock.ts()
        self.emit(
            {"type": "tokens_revoked", "tokens": {"oauth": [], "bot": [app.bot_user]}, "event_ts": at}, "tokens_revoked"
        )
        self.emit({"type": "app_uninstalled", "event_ts": at}, "app_uninstalled")
        self.touch()

    async def run_function(self, callback_id: str, inputs: Json) -> str:
        """Execute one of the app's functions as a workflow step; the result lands in ``function_results``."""
        return run_function(self, callback_id, inputs)
