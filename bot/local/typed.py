"""What a person types, in the form in which Slack stores and delivers it: escaped, mentions and links marked up (pure).

Source: docs.slack.dev/messaging/formatting-message-text.
"""

import re
from collections.abc import Mapping
from typing import Any

# Slack links a bare host name when it ends in a real top-level domain. A full list is not the point here: these are
# the ones an engineer types, and names such as "expired.lab" stay plain, as they do in Slack.
_TLDS = "com|org|net|io|dev|app|de|at|ch|fr|nl|uk|eu|us|info|edu|gov|ai|cloud|co|tech|systems|ssl|xyz|me|tv|jp|in|br|ca"
_URL = re.compile(r"https?://[^\s<>|`]+", re.IGNORECASE)
_BARE = re.compile(
    rf"(?<![\w@./:-])((?:[a-z0-9](?:[a-z0-9-]*[a-z0-9])?\.)+(?:{_TLDS}))(?![\w-])(?!\.\w)(:\d+)?(/[^\s<>|`]*)?",
    re.IGNORECASE,
)
_CODE = re.compile(r"(```.*?```|`[^`\n]*`)", re.DOTALL)
_MENTION = re.compile(r"(?<![\w@])@([\w.-]*\w)")
_CHANNEL = re.compile(r"(?<![\w#])#([\w-]+)")
_TOKEN = re.compile(r"<(@|#)?([^<>|]+)(?:\|([^<>]*))?>")


def escaped(text: str) -> str:
    """The three characters that Slack escapes."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def unescaped(text: str) -> str:
    """The reverse of :func:`escaped`."""
    return text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")


def as_stored(text: str, *, users: Mapping[str, str], channels: Mapping[str, str]) -> str:
    """Escape *text*; ``@name`` and ``#name`` become ids, addresses become links; code stays as it is.

    *users* and *channels* map lower-case names to ids.
    """
    parts = _CODE.split(escaped(text))
    return "".join(part if part.startswith("`") else _marked(part, users, channels) for part in parts)


def _marked(text: str, users: Mapping[str, str], channels: Mapping[str, str]) -> str:
    def mention(match: re.Match[str]) -> str:
        user = users.get(match[1].lower())
        return f"<@{user}>" if user else match[0]

    def room(match: re.Match[str]) -> str:
        channel = channels.get(match[1].lower())
        return f"<#{channel}|{match[1].lower()}>" if channel else match[0]

    def bare(match: re.Match[str]) -> str:
        return f"<http://{match[0]}|{match[0]}>"

    pieces = []
    at = 0
    for url in _URL.finditer(text):
        pieces += [_CHANNEL.sub(room, _MENTION.sub(mention, _BARE.sub(bare, text[at : url.start()]))), f"<{url[0]}>"]
        at = url.end()
    pieces.append(_CHANNEL.sub(room, _MENTION.sub(mention, _BARE.sub(bare, text[at:]))))
    return "".join(pieces)


def rich_text(stored: str, block_id: str) -> list[dict[str, Any]]:
    """The rich_text block that Slack's own composer adds to a typed message."""
    elements: list[dict[str, Any]] = []
    at = 0
    for match in _TOKEN.finditer(stored):
        if match.start() > at:
            elements.append({"type": "text", "text": unescaped(stored[at : match.start()])})
        elements.append(_inline(match))
        at = match.end()
    if at < len(stored):
        elements.append({"type": "text", "text": unescaped(stored[at:])})
    return [
        {"type": "rich_text", "block_id": block_id, "elements": [{"type": "rich_text_section", "elements": elements}]}
    ]


def _inline(match: re.Match[str]) -> dict[str, Any]:
    match match[1]:
        case "@":
            return {"type": "user", "user_id": match[2]}
        case "#":
            return {"type": "channel", "channel_id": match[2]}
    link = {"type": "link", "url": unescaped(match[2])}
    return link | ({"text": unescaped(match[3])} if match[3] else {})
