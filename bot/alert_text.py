"""What a Slack message says, whoever wrote it: text, blocks and attachments as plain lines. Pure.

Monitoring writes its alerts in every form that Slack knows. Two readings are made: what is shown, and the addresses
behind labels; a dashboard's link is not what an alert is about while the alert names a host itself.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from bot.triage import Clue
from probes.model import Target

LONGEST = 6_000  # characters; what an alert is about stands at its beginning
_DEEPEST = 12
_LINK = re.compile(r"<(?![@#!])([^<>|\s]+)(?:\|([^<>]*))?>")
_REFERENCE = re.compile(r"<[@#!][^<>|]*(?:\|([^<>]*))?>")
_HOSTLIKE = re.compile(r"(?:[a-z][a-z0-9+.-]{1,9}://)?[\w-]+(?:\.[\w-]+)+(?::\d+)?(?:[/?#]\S*)?", re.IGNORECASE)
_PLAIN_HTTP = re.compile(r"\bhttp://", re.IGNORECASE)
# In the order in which they are shown. `fallback` repeats the others for clients without attachments.
_SHOWN = ("pretext", "title", "text", "header", "label", "value", "fields", "elements", "element", "rows", "blocks",
          "attachments", "accessory", "alt_text")  # fmt: skip
_BEHIND = ("title_link", "from_url", "original_url", "fallback", "footer", "author_link")


def readings(message: dict[str, Any]) -> tuple[str, str]:
    """What *message* shows, and what stands behind it (targets of labelled links, fallbacks). Each may be empty."""
    shown: list[str] = []
    behind: list[str] = []
    for line, is_shown in _lines(message, 0):
        if is_shown:
            text, targets = _unlinked(line)
            shown.append(text)
            behind += targets
        else:
            behind.append(_unlinked(line)[0])
    return _joined(shown), _joined(behind)


def _joined(lines: list[str]) -> str:
    """Each line once: the text of a message repeats its blocks."""
    kept: list[str] = []
    for line in dict.fromkeys(each.strip() for each in lines):
        if line and not any(line in other for other in kept):
            kept.append(line)
    return "\n".join(kept)[:LONGEST]


def _lines(value: object, depth: int) -> Iterator[tuple[str, bool]]:
    if depth > _DEEPEST:
        return
    if isinstance(value, str):
        yield value, True
    elif isinstance(value, list):
        yield from _run(value, depth)
    elif isinstance(value, dict):
        yield from _parts(value, depth)


def _run(items: list[Any], depth: int) -> Iterator[tuple[str, bool]]:
    """The inline elements of rich text follow each other on one line."""
    inline = ""
    for item in items:
        if isinstance(item, dict) and item.get("type") in ("text", "link"):
            inline += _inline(item)
            continue
        if inline:
            yield inline, True
            inline = ""
        yield from _lines(item, depth + 1)
    if inline:
        yield inline, True


def _inline(item: dict[str, Any]) -> str:
    text = str(item.get("text") or "")
    if item.get("type") == "link":
        url = str(item.get("url") or "")
        return f"<{url}|{text}>" if text else f"<{url}>"
    return html.escape(text, quote=False)


def _parts(value: dict[str, Any], depth: int) -> Iterator[tuple[str, bool]]:
    if isinstance(value.get("title"), str) and isinstance(value.get("value"), str):
        yield f"{value['title']}: {value['value']}", True  # a field of an attachment
        return
    for name in _SHOWN:
        if name in value:
            yield from _lines(value[name], depth + 1)
    for name in _BEHIND:
        if isinstance(value.get(name), str):
            yield value[name], False


def _unlinked(line: str) -> tuple[str, list[str]]:
    """*line* as it is read, and the addresses behind labels that name no host."""
    behind: list[str] = []

    def shown(link: re.Match[str]) -> str:
        url, label = link[1], link[2] or ""
        if not label or _is_same_place(url, label):
            return _PLAIN_HTTP.sub("", label or url)
        behind.append(_PLAIN_HTTP.sub("", html.unescape(url)))
        return label

    text = _REFERENCE.sub(lambda found: found[1] or "", _LINK.sub(shown, line))
    return _PLAIN_HTTP.sub("", html.unescape(text)), behind


def _is_same_place(url: str, label: str) -> bool:
    return bool(_HOSTLIKE.fullmatch(label.strip())) or label.strip() in url


# ── what it is about ────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """The endpoint that a text is about, if it names one, and the causes that its error points to."""

    target: Target | None
    clues: tuple[Clue, ...]


def heard(shown: str, behind: str = "") -> Heard:
    """What *shown* and, where that names no host, *behind* are about.

    Takes some 0.1 s for a long text, and 0.3 s for the first of a process: not on an event loop.
    """
    from probes.explain import explain, hosts

    explanation = explain(shown)
    target = explanation.target or hosts.target(shown) or hosts.target(behind)
    clues = tuple(
        Clue(code=match.code, likelihood=match.likelihood, raised_by=match.raised_by, library=match.library)
        for match in explanation.matches
    )
    return Heard(target=target, clues=clues)
