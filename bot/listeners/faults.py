"""What no listener took, and what went wrong before an acknowledgement: answered, never left to Slack's own words."""

from __future__ import annotations

import json
import logging
import secrets
from collections.abc import Awaitable, Callable
from typing import Any

from slack_bolt import BoltResponse
from slack_bolt.error import BoltUnhandledRequestError
from slack_bolt.request.async_request import AsyncBoltRequest
from slack_sdk.webhook.async_client import AsyncWebhookClient

from bot.model import Content
from bot.render import words

LOG = logging.getLogger("bot.listeners")
_VERIFIED = "clienthello_verified"
_INTERACTIVE = frozenset({"block_actions", "shortcut", "message_action", "view_submission", "view_closed"})
_ANSWER_TIMEOUT_S = 2


async def verified(request: AsyncBoltRequest, next: Callable[[], Awaitable[Any]]) -> Any:
    """Runs after bolt's own middleware: what reaches it carried a good signature, or came over our own socket."""
    request.context[_VERIFIED] = True
    return await next()


async def answered(error: Exception, request: AsyncBoltRequest) -> BoltResponse:
    """The answer to Slack for a request that no listener finished. 200 for verified interactive requests only."""
    body = request.body or {}
    is_verified = bool(request.context.get(_VERIFIED))
    if isinstance(error, BoltUnhandledRequestError):
        LOG.info("unhandled type=%s verified=%s", _kind(body), is_verified)
        if not is_verified:
            return BoltResponse(status=404, body="")
        if body.get("type") == "event_callback":
            return BoltResponse(status=200, body="")  # not for us; unanswered, Slack would send it again
        return await _visible(body, words.unknown_button())
    error_id = secrets.token_hex(4)
    LOG.error("before the acknowledgement type=%s error_id=%s", _kind(body), error_id, exc_info=error)
    if not is_verified or body.get("type") == "event_callback":
        return BoltResponse(status=500, body="")  # an event comes again
    return await _visible(body, words.fault(error_id, what="That"))


async def _visible(body: dict[str, Any], content: Content) -> BoltResponse:
    """An acknowledgement that says something: in itself for a command, by response_url for a button."""
    if "command" in body:
        shown = {"response_type": "ephemeral", "text": content.text, "blocks": list(content.blocks)}
        return BoltResponse(status=200, body=json.dumps(shown), headers={"content-type": ["application/json"]})
    if body.get("type") == "view_submission":
        first = next((block["block_id"] for block in _blocks(body) if block.get("type") == "input"), None)
        if first is not None:
            answer = {"response_action": "errors", "errors": {first: content.text}}
            return BoltResponse(status=200, body=json.dumps(answer), headers={"content-type": ["application/json"]})
    url = body.get("response_url")
    if body.get("type") in _INTERACTIVE and url:
        thread_ts = (body.get("container") or {}).get("thread_ts")
        said: dict[str, Any] = {"response_type": "ephemeral", "replace_original": False, "text": content.text}
        said |= {"blocks": list(content.blocks)} | ({"thread_ts": thread_ts} if thread_ts else {})
        try:
            await AsyncWebhookClient(url, timeout=_ANSWER_TIMEOUT_S).send_dict(said)
        except Exception:
            LOG.exception("answer not delivered type=%s", _kind(body))
    return BoltResponse(status=200, body="")


def _blocks(body: dict[str, Any]) -> list[dict[str, Any]]:
    return list((body.get("view") or {}).get("blocks") or [])


def _kind(body: dict[str, Any]) -> str:
    return str(body.get("command") or body.get("type") or "unknown")[:60]
