"""What Slack's refusals mean, by their codes, and what is made of a message that it does not take. Pure.

Source: docs.slack.dev/reference/methods/chat.postMessage and chat.update, errors.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

from slack_sdk.errors import SlackApiError

from bot.model import Blocks, Content, Shown

RATE_LIMITED: Final = "ratelimited"
NOT_INSTALLED: Final = "not_installed"  # our own word: there is no token at all
# The channel takes nothing from us; whoever asked can be told elsewhere.
NO_WAY_IN: Final = frozenset(
    {
        "not_in_channel",
        "channel_not_found",
        "is_archived",
        "user_not_in_channel",
        "restricted_action",
        "cannot_reply_to_message",
        "thread_not_found",
        "no_permission",
        "user_not_found",
        "messages_tab_disabled",
        "ekm_access_denied",
    }
)
GONE: Final = frozenset({"message_not_found", "cant_update_message", "edit_window_closed"})
BLOCKS: Final = frozenset({"invalid_blocks", "invalid_blocks_format", "no_text"})
TOO_LONG: Final = frozenset({"msg_too_long", "msg_blocks_too_long"})
# "Some aspect of the operation" may have succeeded: it is looked for before it is done again.
PASSING: Final = frozenset(
    {"internal_error", "fatal_error", "service_unavailable", "request_timeout", "team_added_to_org"}
)
TOKEN: Final = frozenset({"invalid_auth", "not_authed", "account_inactive", "token_revoked", "token_expired"})
_PICTURE: Final = frozenset({"invalid_slack_file", "slack_file_not_found", "image_not_found"})
_WHOLE_TEXT: Final = 3000  # chat.update refuses more than 4,000
_SHORTEST: Final = 500


def code_of(error: SlackApiError) -> str:
    """Slack's word for it; `ratelimited` for any 429, `http_503` where the answer was no JSON."""
    if _status(error) == 429:
        return RATE_LIMITED
    answer = error.response
    code = answer.get("error") if hasattr(answer, "get") and isinstance(getattr(answer, "data", answer), dict) else None
    return str(code or f"http_{_status(error)}")


def _status(error: SlackApiError) -> int:
    answer = error.response  # slack_sdk's, or aiohttp's own where the body was no JSON
    return int(getattr(answer, "status_code", None) or getattr(answer, "status", None) or 200)


def retry_after(error: SlackApiError) -> float:
    headers = getattr(error.response, "headers", None) or {}
    text = str(headers.get("Retry-After") or headers.get("retry-after") or "1")
    return float(text) if text.replace(".", "", 1).isdigit() else 1.0


def needed_scope(error: SlackApiError) -> str:
    return str(error.response.get("needed") or "?") if hasattr(error.response, "get") else "?"


def is_unsure(code: str) -> bool:
    """The call may have taken effect all the same."""
    return code in PASSING or code.startswith("http_")


def concerns_picture(error: SlackApiError) -> bool:
    """Is it a picture that Slack refuses? Where it gives no reason, a picture is the likeliest."""
    code = code_of(error)
    if code in _PICTURE:
        return True
    if code != "invalid_blocks":
        return False
    answer: Any = error.response
    reasons = [*(answer.get("errors") or ()), *((answer.get("response_metadata") or {}).get("messages") or ())]
    return not reasons or any("slack_file" in str(reason) or "slack file" in str(reason) for reason in reasons)


# ── the same with less ──────────────────────────────────────────────────────────


def shows_pictures(blocks: Sequence[dict[str, Any]]) -> bool:
    return any(block.get("picture") for block in blocks)


def with_uploads(blocks: Blocks, shown: Sequence[Shown]) -> Blocks:
    """*blocks* with Slack's ids for pictures; those that Slack does not have are left out."""
    if not shows_pictures(blocks):
        return blocks
    ids = {each.key: each.upload for each in shown if each.state == "ready" and each.upload is not None}
    said: list[dict[str, Any]] = []
    for block in blocks:
        upload = ids.get(block.get("picture", ""))
        if "picture" not in block:
            said.append(block)
        elif upload is not None:
            shown_so = {name: value for name, value in block.items() if name != "picture"}
            said.append({**shown_so, "slack_file": {"id": upload}})
    return tuple(said)


def shorter(content: Content) -> Content | None:
    """What is left of a message that is too long: its text, then less of that; None when nothing shorter is left."""
    most = _WHOLE_TEXT if content.blocks or len(content.text) > _WHOLE_TEXT else _SHORTEST
    if not content.blocks and len(content.text) <= most:
        return None
    text = content.text if len(content.text) <= most else content.text[: most - 1] + "…"
    return Content(text=text)


def all_words(content: Content) -> str:
    """Everything that a message says, as text for a file."""
    lines = [line for block in content.classic or content.blocks for line in _lines(block)]
    return "\n\n".join([content.text, *lines]) + "\n"


def _lines(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        if value.get("type") == "table":
            yield "\n".join("\t".join(" ".join(_lines(cell)) for cell in row) for row in value.get("rows") or ())
            return
        text = value.get("text")
        if isinstance(text, str):
            yield text
        for key, item in value.items():
            if key != "text" or not isinstance(item, str):
                yield from _lines(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _lines(item)
