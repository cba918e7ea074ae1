"""Slack's limits, kept in one place, and the only way for foreign text into a message. Pure.

Sources: docs.slack.dev/reference/block-kit/blocks and the block pages; the whole-message limit is undocumented
(slackapi/bolt-js#2509 measured about 13,200 characters). Lengths are counted in UTF-16 units, the longest way to count.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Sequence

from bot.model import Blocks, Content, Json

BLOCKS = 50
SECTION = 3000
CONTEXT = 2000
WHOLE = 12_000  # characters of all blocks together
FALLBACK_TEXT = 3000  # chat.update refuses more than 4,000
TABLE_ROWS = 100
BUTTON_VALUE = 2000

_ENTITIES = {"&": "&amp;", "<": "&lt;", ">": "&gt;", "`": "ˋ"}
# Mn stays (accents); what steers direction, joins invisibly or controls goes.
_STRIPPED_CATEGORIES = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
_SPACES = frozenset("\t\n\r\v\f")


def length(text: str) -> int:
    """UTF-16 code units: what a JavaScript client counts, and never less than Python's count."""
    return len(text) + sum(character > "\uffff" for character in text)


def foreign(text: str, limit: int = 300) -> str:
    """*text* from a certificate, a name server or a person, as mrkdwn that pings, links and formats nothing.

    At most *limit* units long; a cut is marked with an ellipsis and never splits an entity.
    """
    pieces: list[str] = []
    used = 0
    for character in text:
        piece = _harmless(character)
        if used + length(piece) > limit - 1:
            pieces.append("…")
            break
        pieces.append(piece)
        used += length(piece)
    return "".join(pieces)


def _harmless(character: str) -> str:
    if character in _ENTITIES:
        return _ENTITIES[character]
    if character in _SPACES:
        return " "
    return "" if unicodedata.category(character) in _STRIPPED_CATEGORIES else character


def raw(text: str, limit: int = 300) -> str:
    """Like `foreign`, for places that show text as it is (table cells, file titles): nothing is escaped there."""
    kept = "".join(
        " " if character in _SPACES else character
        for character in text
        if character in _SPACES or unicodedata.category(character) not in _STRIPPED_CATEGORIES
    )
    return cut(kept, limit)


def prose(text: str, limit: int = SECTION) -> str:
    """Sentences of the diagnosis: escaped like `foreign`, and formatting characters lose their meaning."""
    # A zero-width space would be stripped by the next reader of the text; Slack formats only at word boundaries, and
    # the sentences of the diagnosis have no * or _ there unless a certificate put them in.
    return foreign(text, limit).translate(_FORMATTING)


def advice(text: str, limit: int = SECTION) -> str:
    """`prose` with the code spans that a rule's own advice has; what stands in them is copied, so it stays as it is."""
    if text.count("`") % 2:
        return prose(text, limit)
    parts = (foreign(part, limit) if spot % 2 else prose(part, limit) for spot, part in enumerate(text.split("`")))
    return cut("`".join(parts), limit)


_FORMATTING = str.maketrans({"*": "∗", "~": "∼"})


def code(text: str, limit: int = 300) -> str:
    """*text* in backticks; never empty, for empty backticks are shown as they are."""
    return f"`{foreign(text, limit).strip() or '?'}`"


def code_block(text: str, limit: int = SECTION - 10) -> str:
    """*text* as a code block; lines are kept."""
    lines = [foreign(line, limit) for line in text.splitlines()] or [""]
    return f"```\n{cut(chr(10).join(lines), limit)}\n```"


def cut(text: str, limit: int) -> str:
    """*text*, at most *limit* units; a cut is marked and leaves no half of an entity behind."""
    if length(text) <= limit:
        return text
    kept = text[: limit - 1]
    while length(kept) > limit - 1:
        kept = kept[:-1]
    start = kept.rfind("&", max(0, len(kept) - 5))
    if start >= 0 and ";" not in kept[start:]:
        kept = kept[:start]
    return kept + "…"


def _something(text: str, limit: int) -> str:
    """*text* within *limit*; Slack refuses a text of nothing."""
    return cut(text, limit) if text.strip() else "…"


# ── blocks ──────────────────────────────────────────────────────────────────────


def section(text: str) -> Json:
    return {"type": "section", "text": {"type": "mrkdwn", "text": _something(text, SECTION)}}


def context(text: str) -> Json:
    return {"type": "context", "elements": [{"type": "mrkdwn", "text": _something(text, CONTEXT)}]}


def button(label: str, action: str, value: str) -> Json:
    return {
        "type": "button",
        "text": {"type": "plain_text", "text": cut(label, 75), "emoji": True},
        "action_id": action,
        "value": cut(value, BUTTON_VALUE),
    }


def actions(*buttons: Json) -> Json:
    return {"type": "actions", "elements": list(buttons)}


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> Json:
    """A table block; every cell is raw text, which Slack shows as it is."""
    return {
        "type": "table",
        "column_settings": [{"is_wrapped": True} for _ in header],
        "rows": [[{"type": "raw_text", "text": raw(cell, 120) or "–"} for cell in row] for row in (header, *rows)],
    }


def aligned(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """The same table as lines of equal columns, for a code block."""
    cells = [[raw(cell, 60) or "–" for cell in row] for row in (header, *rows)]
    widths = [max(len(row[column]) for row in cells) for column in range(len(header))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in cells
    )


def weight(blocks: Iterable[Json]) -> int:
    """How many characters of text *blocks* hold, counted generously: everything but the structure."""
    return sum(_text_in(block) for block in blocks)


def _text_in(value: object) -> int:
    if isinstance(value, str):
        return length(value)
    if isinstance(value, dict):
        return sum(_text_in(item) for key, item in value.items() if key not in {"type", "action_id"})
    if isinstance(value, list):
        return sum(_text_in(item) for item in value)
    return 0


def fit(text: str, blocks: Sequence[Json], *, classic: Sequence[Json] = ()) -> Content:
    """A message inside every limit: what comes last is left out first, and the message says how much that is.

    Block builders keep their own lengths; here the count of blocks and the whole is kept.
    """
    return Content(text=_something(text, FALLBACK_TEXT), blocks=_fitted(blocks), classic=_fitted(classic))


def _fitted(blocks: Sequence[Json]) -> Blocks:
    if len(blocks) <= BLOCKS and weight(blocks) <= WHOLE:
        return tuple(blocks)
    budget = WHOLE - 100  # room for the note below
    kept: list[Json] = []
    for block in blocks[: BLOCKS - 1]:
        budget -= _text_in(block)
        if budget < 0:
            break
        kept.append(block)
    left_out = len(blocks) - len(kept)
    kept.append(context(f"… {left_out} more; the raw report has all."))
    return tuple(kept)
