"""Modals and App Homes: the stack of views of each person, and what a view answers when it is submitted.

Source: docs.slack.dev/surfaces/modals (at most three views on a stack).
"""

import copy
import secrets
from dataclasses import dataclass, field

from bot.local.errors import ApiError, Json
from bot.local.payloads import ANSWER_KEYS, STATELESS, initial_answer
from bot.local.team import Team, elements_of, every_block, with_ids

MAX_STACK = 3


@dataclass(slots=True)
class Modals:
    """Open modals by person, newest last, and the published App Homes."""

    team: Team
    stacks: dict[str, list[Json]] = field(default_factory=dict)
    homes: dict[str, Json] = field(default_factory=dict)

    def push(self, user: str, view: Json) -> Json:
        """Show *view* above what is open."""
        stack = self.stacks.setdefault(user, [])
        if len(stack) >= MAX_STACK:
            raise ApiError("push_limit_reached")
        self._check_external_id(view)
        made = self._made(view, self.team.new_id("V"))
        made["previous_view_id"] = stack[-1]["id"] if stack else None
        made["root_view_id"] = stack[0]["id"] if stack else made["id"]
        stack.append(made)
        return made

    def update(
        self, view: Json, *, view_id: str | None, external_id: str | None, hash_: str | None
    ) -> tuple[str, Json]:
        """Replace an open view in place; answers whose it is and the new view."""
        user, old = self.find(view_id=view_id, external_id=external_id)
        if hash_ is not None and hash_ != old["hash"]:
            raise ApiError("hash_conflict")
        made = self._made(view, old["id"])
        made["previous_view_id"], made["root_view_id"] = old["previous_view_id"], old["root_view_id"]
        # What was filled in stays where block_id and action_id stay (docs.slack.dev/surfaces/modals#updating_views).
        made["state"] = {"values": answers(made["blocks"], old["state"]["values"])}
        stack = self.stacks[user]
        stack[stack.index(old)] = made
        return user, made

    def publish(self, user: str, view: Json, hash_: str | None) -> Json:
        """Set the App Home of *user*."""
        old = self.homes.get(user)
        if hash_ is not None and old is not None and hash_ != old["hash"]:
            raise ApiError("hash_conflict")
        made = self._made(view, old["id"] if old else self.team.new_id("V"))
        made["previous_view_id"], made["root_view_id"] = None, made["id"]
        self.homes[user] = made
        return made

    def find(self, *, view_id: str | None = None, external_id: str | None = None) -> tuple[str, Json]:
        """An open view and its person; ApiError ``not_found``."""
        for user, stack in self.stacks.items():
            for view in stack:
                if view["id"] == view_id or (external_id and view["external_id"] == external_id):
                    return user, view
        raise ApiError("not_found")

    def close(self, user: str, view_id: str, *, all_of_them: bool = False) -> list[Json]:
        """Take a view (or the whole stack) away; answers what went, top first."""
        stack = self.stacks.get(user, [])
        if all_of_them:
            gone = list(reversed(stack))
            stack.clear()
            return gone
        gone = [view for view in stack if view["id"] == view_id]
        self.stacks[user] = [view for view in stack if view["id"] != view_id]
        return gone

    def _check_external_id(self, view: Json) -> None:
        external_id = view.get("external_id")
        if external_id and any(v["external_id"] == external_id for stack in self.stacks.values() for v in stack):
            raise ApiError("duplicate_external_id")

    def _made(self, view: Json, view_id: str) -> Json:
        app = self.team.app
        blocks = with_ids(view.get("blocks") or [])
        return {
            "id": view_id,
            "team_id": self.team.id,
            "type": view.get("type"),
            "blocks": blocks,
            "private_metadata": view.get("private_metadata") or "",
            "callback_id": view.get("callback_id") or "",
            "state": {"values": answers(blocks, {})},
            "hash": f"{int(self.team.clock.now())}.{secrets.token_urlsafe(6)}",
            "title": view.get("title"),
            "clear_on_close": bool(view.get("clear_on_close")),
            "notify_on_close": bool(view.get("notify_on_close")),
            "submit_disabled": bool(view.get("submit_disabled")),
            "close": view.get("close"),
            "submit": view.get("submit"),
            "external_id": view.get("external_id") or "",
            "app_id": app.id,
            "app_installed_team_id": self.team.id,
            "bot_id": app.bot_id,
        }


def answers(blocks: list[Json], given: Json) -> Json:
    """``state.values`` for *blocks*: what was given, else what is preset; every field appears, as in Slack."""
    values: Json = {}
    for block in every_block(blocks):
        for element in elements_of(block):
            kind = str(element["type"])
            if kind in STATELESS:
                continue
            block_id, action_id = block["block_id"], element["action_id"]
            entry = (given.get(block_id) or {}).get(action_id)
            key = ANSWER_KEYS.get(kind, "value")
            answer = entry.get(key) if isinstance(entry, dict) else initial_answer(element)
            values.setdefault(block_id, {})[action_id] = {"type": kind, key: copy.deepcopy(answer)}
    return values


def unanswered(view: Json) -> dict[str, str]:
    """The required inputs that are still empty: block_id to the words Slack shows."""
    missing: dict[str, str] = {}
    for block in every_block(view["blocks"]):
        element = block.get("element")
        if block.get("type") != "input" or block.get("optional") or not isinstance(element, dict):
            continue
        entry = view["state"]["values"].get(block["block_id"], {}).get(element.get("action_id"), {})
        if not entry.get(ANSWER_KEYS.get(str(element.get("type")), "value")):
            missing[block["block_id"]] = "Please complete this required field."
    return missing


def chosen_conversations(view: Json) -> list[tuple[str, str, str]]:
    """(block_id, action_id, channel) of answers that ask for a response_url."""
    found = []
    for block in every_block(view["blocks"]):
        element = block.get("element")
        if not isinstance(element, dict) or not element.get("response_url_enabled"):
            continue
        entry = view["state"]["values"].get(block["block_id"], {}).get(element.get("action_id"), {})
        channel = entry.get("selected_conversation") or entry.get("selected_channel")
        if channel:
            found.append((block["block_id"], element["action_id"], channel))
    return found
