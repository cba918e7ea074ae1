"""A local Slack-compatible workspace: what people do in it, and what a test may ask it.

``Workspace`` is the state and the acts; ``bot.local.server.serve`` puts it on a port. Everything a person can do in the
page is a method here, so that the page and the tests take the same way. A method raises ``Refused``, in words for the
person, when Slack would not let them.
"""

import uuid
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from bot.local import payloads
from bot.local.api_rooms import enter, react, run_function
from bot.local.api_views import checked_view
from bot.local.blocks import block_problems
from bot.local.core import Call, Core, Ephemeral
from bot.local.delivery import Delivery
from bot.local.errors import ApiError, Json, Refused
from bot.local.modals import answers, chosen_conversations, unanswered
from bot.local.team import Channel, User, elements_of, every_block
from bot.local.typed import as_stored, escaped, rich_text

MAX_TYPED = 40_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Suggestion:
    """Something to try, shown by the page to whoever is new."""

    text: str
    description: str


class Workspace(Core):
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
        **settings: Any,
    ) -> None:
        super().__init__(manifest=manifest, team_name=team_name, **settings)
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

    def view(self, user: str | None = None) -> Json | None:
        """The modal on top of *user*'s screen (of me, by default)."""
        stack = self.modals.stacks.get(user or self.me)
        return stack[-1] if stack else None

    def calls_of(self, method: str) -> list[Call]:
        """The calls of one Web API method, oldest first."""
        return [call for call in self.calls if call.method == method]

    async def connected(self, connections: int = 1, timeout_s: float = 10.0) -> None:
        """Return when the app holds so many connections."""
        await self.wait_for(lambda: self.socket_mode.connections >= connections, timeout_s)

    # speaking

    def _place(self, user: str, channel: str) -> tuple[User, Channel]:
        try:
            who, where = self.team.user(user), self.team.channel(channel)
        except ApiError as error:
            raise Refused(f"There is no such person or channel ({error.code}).") from None
        if user not in where.members:
            raise Refused("You are not in this channel.")
        return who, where

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
        _, where = self._place(user, channel)
        return self._typed(where, self._authored(user, self._stored(text), thread_ts))

    async def mention(self, user: str, channel: str, text: str, thread_ts: str | None = None) -> Json:
        """Type ``@bot text``."""
        return await self.say(user, channel, f"<@{self.bot}> {text}", thread_ts)

    def _authored(self, user: str, stored: str, thread_ts: str | None) -> Json:
        message: Json = {"user": user, "text": stored, "client_msg_id": str(uuid.uuid4())}
        message["blocks"] = rich_text(stored, uuid.uuid4().hex[:5])
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
        _, where = self._place(user, channel)
        self._own(where, ts, user)
        stored = self._stored(text)
        return self.edit(where, ts, {"text": stored, "blocks": rich_text(stored, uuid.uuid4().hex[:5])})

    async def delete_message(self, user: str, channel: str, ts: str) -> None:
        """Delete one's own message."""
        _, where = self._place(user, channel)
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
        _, where = self._place(user, channel)
        if not content:
            raise Refused("An empty file is not uploaded.")
        file = self.files.add(name, content, user)
        message = self._authored(user, self._stored(comment) if comment.strip() else "", thread_ts)
        message["subtype"] = "file_share"
        if not message["text"]:
            message["blocks"] = []
        return self._typed(where, message, lambda: self.share_files(where, [file], message))

    async def react(self, user: str, channel: str, ts: str, name: str, *, remove: bool = False) -> None:
        """Add or take back a reaction."""
        _, where = self._place(user, channel)
        try:
            react(self, where, ts, name.strip(":"), user, remove=remove)
        except ApiError as error:
            raise Refused(f"That reaction did not work ({error.code}).") from None

    # commands and shortcuts

    async def command(self, user: str, channel: str, command: str, text: str = "") -> Delivery:
        """Send a slash command; its answer, if any, is shown as Slack shows it."""
        who, where = self._place(user, channel)
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
            response_url=self._response_url("commands", secret),
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

    def _response_url(self, kind: str, secret: str) -> str:
        return f"{self.base_url}/hooks/{kind}/{self.team.id}/{secret}"

    async def shortcut(self, user: str, callback_id: str) -> Delivery:
        """Use a global shortcut."""
        who = self.team.user(user)
        self._shortcut(callback_id, "global")
        payload = payloads.interaction(self.team, "shortcut", who, self.triggers.issue(user))
        return await self._interact(user, payload | {"callback_id": callback_id, "action_ts": self.team.clock.ts()})

    async def message_shortcut(self, user: str, callback_id: str, channel: str, ts: str) -> Delivery:
        """Use a message shortcut."""
        who, where = self._place(user, channel)
        self._shortcut(callback_id, "message")
        message = where.messages.get(ts)
        if message is None:
            raise Refused("This message does not exist any more.")
        secret = self.response_urls.issue(
            "shortcut", channel=where.id, user=user, message_ts=ts, thread_ts=message.get("thread_ts")
        )
        payload = payloads.interaction(self.team, "message_action", who, self.triggers.issue(user)) | {
            "callback_id": callback_id,
            "action_ts": self.team.clock.ts(),
            "channel": payloads.place(where),
            "message_ts": ts,
            "message": message,
            "response_url": self._response_url("app", secret),
        }
        return await self._interact(user, payload)

    def _shortcut(self, callback_id: str, kind: str) -> None:
        known = {(s.get("callback_id"), s.get("type")) for s in self.team.app.shortcuts}
        if (callback_id, kind) not in known:
            raise Refused(f"The app has no {kind} shortcut “{callback_id}”.")

    async def _interact(self, user: str, payload: Json) -> Delivery:
        delivery = await self.courier.interactive("interactive", payload)
        if delivery.failure is not None:
            self.notify(user, f"{self.team.app.name} did not answer ({delivery.failure}). Try again.")
        return delivery

    # buttons, selects and modals

    async def click(
        self,
        message: Json,
        action_id: str,
        answer: object = None,
        *,
        user: str | None = None,
        channel: str | None = None,
        block_id: str | None = None,
    ) -> Delivery:
        """Use a button or another element of a stored message; *answer* is what was chosen, where there is a choice."""
        where = channel or next(c.id for c in self.team.channels.values() if c.messages.get(message["ts"]) is message)
        return await self.act(
            user or self.me,
            action_id=action_id,
            block_id=block_id,
            answer=answer,
            channel=where,
            message_ts=message["ts"],
        )

    async def act(
        self,
        user: str,
        *,
        action_id: str,
        block_id: str | None = None,
        answer: object = None,
        channel: str | None = None,
        message_ts: str | None = None,
        view_id: str | None = None,
        ephemeral_id: str | None = None,
        state: Json | None = None,
    ) -> Delivery:
        """block_actions from a message, an ephemeral message, a modal or the App Home."""
        who = self.team.user(user)
        if view_id is not None:
            view = self._view_of(user, view_id)
            view["state"] = {"values": answers(view["blocks"], _merged(view["state"]["values"], state))}
            block, element = _element(view["blocks"], action_id, block_id)
            source: Json = {"container": {"type": "view", "view_id": view_id}, "view": view}
            shown = view
        else:
            shown, source = self._clicked(user, channel, message_ts, ephemeral_id)
            block, element = _element(shown["blocks"], action_id, block_id)
            shown.setdefault("state", {"values": {}})
            shown["state"] = {"values": answers(shown["blocks"], _merged(shown["state"]["values"], state))}
        taken = payloads.action(element, block["block_id"], _chosen(element, answer), self.team.clock.ts())
        _remember(shown, element, block["block_id"], taken)
        payload = payloads.interaction(self.team, "block_actions", who, self.triggers.issue(user, view_id))
        return await self._interact(user, payload | source | {"state": shown["state"], "actions": [taken]})

    def _clicked(
        self, user: str, channel: str | None, message_ts: str | None, ephemeral_id: str | None
    ) -> tuple[Json, Json]:
        """What was clicked in, and the part of the payload that says so."""
        if ephemeral_id is not None:
            ephemeral = self.ephemerals.get(ephemeral_id)
            if ephemeral is None or ephemeral.user != user:
                raise Refused("This message is gone: only you could see it, and nobody keeps it.")
            where, shown, thread_ts = self.team.channel(ephemeral.channel), ephemeral.message, ephemeral.thread_ts
        else:
            _, where = self._place(user, channel or "")
            if message_ts not in where.messages:
                raise Refused("This message does not exist any more.")
            shown = where.messages[message_ts]
            thread_ts = shown.get("thread_ts")
        secret = self.response_urls.issue(
            "action",
            channel=where.id,
            user=user,
            thread_ts=thread_ts,
            message_ts=None if ephemeral_id else shown["ts"],
            ephemeral_id=ephemeral_id,
        )
        container: Json = {
            "type": "message",
            "message_ts": shown["ts"],
            "channel_id": where.id,
            "is_ephemeral": ephemeral_id is not None,
        }
        if thread_ts and not self.faults.omit_container_thread_ts:
            container["thread_ts"] = thread_ts
        source: Json = {
            "container": container,
            "channel": payloads.place(where),
            "response_url": self._response_url("actions", secret),
        }
        if ephemeral_id is None:
            # A payload has no message when the message is ephemeral.
            source["message"] = {key: value for key, value in shown.items() if key != "state"}
        return shown, source

    def _view_of(self, user: str, view_id: str) -> Json:
        home = self.modals.homes.get(user)
        if home is not None and home["id"] == view_id:
            return home
        for view in self.modals.stacks.get(user, []):
            if view["id"] == view_id:
                return view
        raise Refused("This dialog is not open any more.")

    async def submit_view(
        self, user: str | None = None, values: Json | None = None, view_id: str | None = None
    ) -> Delivery:
        """Submit the modal on top (or *view_id*) with ``{block_id: {action_id: {…answer…}}}``; carry out the answer."""
        user = user or self.me
        top = self.view(user)
        if top is None:
            raise Refused("No dialog is open.")
        view = self._view_of(user, view_id or top["id"])
        view["state"] = {"values": answers(view["blocks"], _merged(view["state"]["values"], values))}
        if missing := unanswered(view):
            self.publish({"type": "view_errors", "id": view["id"], "errors": missing}, user=user)
            raise Refused("; ".join(sorted(set(missing.values()))))
        urls = [
            {
                "block_id": block_id,
                "action_id": action_id,
                "channel_id": channel,
                "response_url": self._response_url("app", self.response_urls.issue("view", channel=channel, user=user)),
            }
            for block_id, action_id, channel in chosen_conversations(view)
        ]
        payload = payloads.interaction(
            self.team, "view_submission", self.team.user(user), self.triggers.issue(user, view["id"])
        )
        delivery = await self._interact(user, payload | {"view": view, "response_urls": urls})
        if delivery.is_acked:
            self._answer_submission(user, view, delivery.response or {})
        return delivery

    def _answer_submission(self, user: str, view: Json, response: Json) -> None:
        """Carry out a response_action: errors, update, push or clear; without one the view closes."""
        try:
            match response.get("response_action"):
                case "errors":
                    self._show_errors(user, view, response.get("errors"))
                case "update":
                    new = checked_view(response.get("view"), "modal")
                    _, updated = self.modals.update(new, view_id=view["id"], external_id=None, hash_=None)
                    self.show_view(user, updated)
                case "push":
                    self.show_view(user, self.modals.push(user, checked_view(response.get("view"), "modal")))
                case "clear":
                    self._close_views(user, view["id"], all_of_them=True)
                case _:
                    self._close_views(user, view["id"], all_of_them=False)
        except ApiError as error:
            self.notify(user, f"The app's answer cannot be shown: {'; '.join(error.messages) or error.code}")

    def _show_errors(self, user: str, view: Json, errors: object) -> None:
        inputs = {block["block_id"] for block in every_block(view["blocks"]) if block.get("type") == "input"}
        if not isinstance(errors, dict) or not errors or not set(errors) <= inputs:
            raise ApiError("invalid_arguments", messages=("errors must name input blocks of the view",))
        view["errors"] = errors
        self.publish({"type": "view_errors", "id": view["id"], "errors": errors}, user=user)
        self.touch()

    def _close_views(self, user: str, view_id: str, *, all_of_them: bool) -> Sequence[Json]:
        gone = self.modals.close(user, view_id, all_of_them=all_of_them)
        for view in gone:
            self.publish({"type": "view_closed", "id": view["id"]}, user=user)
        self.touch()
        return gone

    async def close_view(self, user: str | None = None, view_id: str | None = None) -> None:
        """Close a modal by its button or cross; the app hears of it when it asked to."""
        user = user or self.me
        top = self.view(user)
        if top is None:
            raise Refused("No dialog is open.")
        view = self._view_of(user, view_id or top["id"])
        for gone in self._close_views(user, view["id"], all_of_them=bool(view["clear_on_close"])):
            if gone["notify_on_close"]:
                payload = payloads.interaction(self.team, "view_closed", self.team.user(user))
                await self._interact(user, payload | {"view": gone, "is_cleared": gone is not view})

    async def suggest(self, user: str, view_id: str, action_id: str, block_id: str, typed: str) -> list[Json]:
        """The options of an external select for what was typed."""
        view = self._view_of(user, view_id)
        payload = payloads.interaction(self.team, "block_suggestion", self.team.user(user)) | {
            "container": {"type": "view", "view_id": view_id},
            "view": view,
            "action_id": action_id,
            "block_id": block_id,
            "value": typed,
        }
        delivery = await self._interact(user, payload)
        options = (delivery.response or {}).get("options")
        return options if isinstance(options, list) else []

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
        self.team.channel(channel).members.discard(user)
        self.touch()

    async def archive(self, channel: str, *, user: str | None = None) -> None:
        """Archive a channel."""
        where = self.team.channel(channel)
        where.is_archived = True
        self._channel_event(where, "archive", {"channel": where.id, "user": user or self.me})

    async def rename(self, channel: str, name: str) -> None:
        """Rename a channel."""
        where = self.team.channel(channel)
        where.name = name
        self._channel_event(where, "rename", {"channel": {"id": where.id, "name": name, "created": where.created}})

    def _channel_event(self, where: Channel, act: str, event: Json) -> None:
        kind = f"{where.type}_{act}"
        self.emit({"type": kind, "event_ts": self.team.clock.ts(), **event}, kind, where)
        self.touch()

    async def run_function(self, callback_id: str, inputs: Json, *, user: str | None = None) -> str:
        """Execute one of the app's functions as a workflow step; the result lands in ``function_results``."""
        return run_function(self, user or self.me, callback_id, inputs)


def _merged(old: Json, new: Json | None) -> Json:
    merged = {block_id: dict(entries) for block_id, entries in old.items()}
    for block_id, entries in (new or {}).items():
        if isinstance(entries, dict):
            merged.setdefault(block_id, {}).update(entries)
    return merged


def _element(blocks: list[Any], action_id: str, block_id: str | None) -> tuple[Json, Json]:
    for block in every_block(blocks):
        if block_id is not None and block.get("block_id") != block_id:
            continue
        for element in elements_of(block):
            if element.get("action_id") == action_id:
                return block, element
    raise Refused("This button or field does not exist any more.")


def _chosen(element: Json, answer: object) -> object:
    """The answer as the payload has it: a button's own value; an option found by its value."""
    kind = str(element.get("type"))
    if kind in {"button", "icon_button"}:
        return element.get("value")
    if not isinstance(answer, str) or payloads.ANSWER_KEYS.get(kind) != "selected_option":
        return answer
    groups = element.get("option_groups") or [element]
    for group in groups:
        for option in group.get("options") or ():
            if option.get("value") == answer:
                return option
    if element.get("options") or element.get("option_groups"):
        raise Refused("That is not one of the options.")
    return {"text": {"type": "plain_text", "text": answer}, "value": answer}


def _remember(shown: Json, element: Json, block_id: str, taken: Json) -> None:
    kind = str(element.get("type"))
    if kind in payloads.STATELESS:
        return
    key = payloads.ANSWER_KEYS.get(kind, "value")
    shown["state"]["values"].setdefault(block_id, {})[element["action_id"]] = {"type": kind, key: taken.get(key)}
