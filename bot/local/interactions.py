"""Shortcuts, buttons, selects and modals: what people do with what the app shows, and what the app answers to it.

Sources: docs.slack.dev/interactivity/handling-user-interaction, docs.slack.dev/surfaces/modals.
"""

from collections.abc import Sequence
from typing import Any

from bot.local import payloads
from bot.local.api_views import checked_view
from bot.local.core import Core
from bot.local.delivery import Delivery
from bot.local.errors import ApiError, Json, Refused
from bot.local.modals import answers, chosen_conversations, unanswered
from bot.local.team import Channel, User, elements_of, every_block


class Interactions(Core):
    """The interactive half of a workspace."""

    me: str
    """Who acts when a method is not told."""

    def view(self, user: str | None = None) -> Json | None:
        """The modal on top of *user*'s screen (of me, by default)."""
        stack = self.modals.stacks.get(user or self.me)
        return stack[-1] if stack else None

    def place_of(self, user: str, channel: str) -> tuple[User, Channel]:
        try:
            who, where = self.team.user(user), self.team.channel(channel)
        except ApiError as error:
            raise Refused(f"There is no such person or channel ({error.code}).") from None
        if user not in where.members:
            raise Refused("You are not in this channel.")
        return who, where

    def response_url(self, kind: str, secret: str) -> str:
        return f"{self.base_url}/hooks/{kind}/{self.team.id}/{secret}"

    # shortcuts

    async def shortcut(self, user: str, callback_id: str) -> Delivery:
        """Use a global shortcut."""
        who = self.team.user(user)
        self._shortcut(callback_id, "global")
        payload = payloads.interaction(self.team, "shortcut", who, self.triggers.issue(user))
        return await self._interact(user, payload | {"callback_id": callback_id, "action_ts": self.team.clock.ts()})

    async def message_shortcut(self, user: str, callback_id: str, channel: str, ts: str) -> Delivery:
        """Use a message shortcut."""
        who, where = self.place_of(user, channel)
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
            "response_url": self.response_url("app", secret),
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
        else:
            shown, source = self._clicked(user, channel, message_ts, ephemeral_id)
            block, element = _element(shown["blocks"], action_id, block_id)
            key = ephemeral_id or f"{channel}:{shown['ts']}"
            old = self.filled_in.get(key, {})
            view = {"state": {"values": answers(shown["blocks"], _merged(old, state))}}
            self.filled_in[key] = view["state"]["values"]
        taken = payloads.action(element, block["block_id"], _chosen(element, answer), self.team.clock.ts())
        _remember(view, element, block["block_id"], taken)
        if block.get("type") == "input" and not block.get("dispatch_action"):
            raise Refused("This field is sent with its form.")
        payload = payloads.interaction(self.team, "block_actions", who, self.triggers.issue(user, view_id))
        return await self._interact(user, payload | source | {"state": view["state"], "actions": [taken]})

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
            _, where = self.place_of(user, channel or "")
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
            "response_url": self.response_url("actions", secret),
        }
        if ephemeral_id is None:
            # A payload has no message when the message is ephemeral.
            source["message"] = shown
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
        given = _merged(view["state"]["values"], values)
        view["state"] = {"values": self._with_files(answers(view["blocks"], given))}
        if missing := unanswered(view):
            self.publish({"type": "view_errors", "id": view["id"], "errors": missing}, user=user)
            raise Refused("; ".join(sorted(set(missing.values()))))
        urls = [
            {
                "block_id": block_id,
                "action_id": action_id,
                "channel_id": channel,
                "response_url": self.response_url("app", self.response_urls.issue("view", channel=channel, user=user)),
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

    def _with_files(self, values: Json) -> Json:
        """File inputs hold ids on the page and file objects in payloads."""
        for entries in values.values():
            for entry in entries.values():
                if entry["type"] == "file_input":
                    listed = [each if isinstance(each, str) else each["id"] for each in entry["files"] or ()]
                    entry["files"] = [self.files.described(self.files.file(file_id)) for file_id in listed]
        return values

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
    """The answer as the payload has it: a button's own value; options as the app wrote them, found by their values."""
    kind = str(element.get("type"))
    if kind in {"button", "icon_button"}:
        return element.get("value")
    key = payloads.ANSWER_KEYS.get(kind)
    is_listed = "options" in element or "option_groups" in element
    if key == "selected_option" and answer is not None:
        return _option(element, answer, is_listed=is_listed)
    if key == "selected_options" and isinstance(answer, list):
        return [_option(element, each, is_listed=is_listed) for each in answer]
    return answer


def _option(element: Json, answer: object, *, is_listed: bool) -> Json:
    value = answer.get("value") if isinstance(answer, dict) else answer
    for group in element.get("option_groups") or [element]:
        for option in group.get("options") or ():
            if option.get("value") == value:
                return dict(option)
    if is_listed or not isinstance(answer, dict):
        raise Refused("That is not one of the options.")
    return answer


def _remember(view: Json, element: Json, block_id: str, taken: Json) -> None:
    kind = str(element.get("type"))
    if kind in payloads.STATELESS:
        return
    key = payloads.ANSWER_KEYS.get(kind, "value")
    view["state"]["values"].setdefault(block_id, {})[element["action_id"]] = {"type": kind, key: taken.get(key)}
