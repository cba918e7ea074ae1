"""Error text as people paste it → one line in one spelling, in which phrases can be looked for. Pure.

Log shippers, chats and terminals change texts: entities, quotes, colours, wrapped lines, escaped line breaks. And one
error is spelled `UNKNOWN_CA`, `unknown-ca` or `unknown ca`. All that is levelled here, for texts and phrases alike.
"""

from __future__ import annotations

import html
import re
import unicodedata
from functools import cache

LONGEST = 64_000  # characters that are read; what is longer keeps its beginning and its end
_COLOUR = re.compile(r"\x1b\[[0-9;]{0,20}[A-Za-z]")
_ESCAPED = re.compile(r"\\{1,4}(?:[nrt]|u00[0-9a-f]{2})")
_TLS_BYTES = re.compile(
    r"(?:\\{1,2}x|0x|\\{1,2}u00)1[56](?:\\{1,2}x|0x|\\{1,2}u00)03", re.IGNORECASE
)  # a record's beginning
_ESCAPES = {"u0027": "", "u0022": "", "u003c": "<", "u003e": ">", "u0026": "&"}
_QUOTES = re.compile("[\"'`“”„«»‘’‚‹›\u2032\\\\*]+")
_DASHES = str.maketrans(dict.fromkeys("‐‑‒–—−―", "-"))
_JOINT = re.compile(r"(?<=[^\W_])[-_]+(?=[^\W\d_])|(?<=[^\W_])_+(?=\d)")
_SPACE = re.compile(r"\s+")
_PLAIN = re.compile(r"[a-z0-9 .,:;/()\[\]{}=+!?<>@#%$]*")  # stands in one spelling already; most phrases do
_FIRST_IDEOGRAPH = "\u2e80"  # from here on words stand without spaces between them


def canonical(text: str) -> str:
    """*text* in lower case on one line: no quotes, no invisible characters, words joined by `-` or `_` apart."""
    read = _within_limit(text)
    read = html.unescape(html.unescape(read))
    read = unicodedata.normalize("NFKC", read)
    read = _COLOUR.sub("", read)
    if not read.isascii():
        read = "".join(c for c in read if unicodedata.category(c) != "Cf").translate(_DASHES)
    read = read.lower()
    read = _TLS_BYTES.sub(" tls record bytes ", read)
    read = _ESCAPED.sub(lambda found: _ESCAPES.get(found[0].lstrip("\\"), " "), read)
    read = _QUOTES.sub("", read)
    read = _JOINT.sub(" ", read)
    return _SPACE.sub(" ", read).strip()


def _within_limit(text: str) -> str:
    if len(text) <= LONGEST:
        return text
    half = LONGEST // 2
    return f"{text[:half]}\n{text[-half:]}"


@cache
def phrase(pattern: str) -> tuple[tuple[str, int], ...]:
    """*pattern* as the literals to look for in order, each with the most characters that may stand before it.

    `…` stands for up to `GAP` characters of anything, `‥` for up to `NEAR`, within a sentence.
    """
    if _PLAIN.fullmatch(pattern):
        return ((" ".join(pattern.split()), GAP),) if pattern.strip() else ()
    found: list[tuple[str, int]] = []
    for part in pattern.split("…"):
        for place, piece in enumerate(part.split("‥")):
            literal = " ".join(piece.split()) if _PLAIN.fullmatch(piece) else canonical(piece)
            if literal:
                found.append((literal, NEAR if place else GAP))
    return tuple(found)


GAP, NEAR = 240, 32


def find(text: str, pattern: str, start: int = 0) -> tuple[int, int] | None:
    """Where *pattern* stands in canonical *text*: begin and end of its first place at whole words, or None.

    Linear: a place of the first literal that has no second one within its reach leads on to the next second one.
    """
    (first, _), *rest = phrase(pattern)
    if first not in text:
        return None  # nearly always
    if any(literal not in text for literal, _ in rest):
        return None
    begin = _word(text, first, start, len(text))
    while begin >= 0:
        end = _rest(text, rest, begin + len(first))
        if end >= 0:
            return begin, end
        begin = _word(text, first, _next(text, first, rest, begin), len(text))
    return None


def _next(text: str, first: str, rest: list[tuple[str, int]], begin: int) -> int:
    """Where the next place of *first* may stand from which the second literal is in reach."""
    if not rest:
        return begin + 1
    second, reach = rest[0]
    at = text.find(second, begin + len(first) + 1)
    return len(text) if at < 0 else max(begin + 1, at - reach - len(first))


def _rest(text: str, literals: list[tuple[str, int]], end: int) -> int:
    for literal, reach in literals:
        at = _word(text, literal, end, min(len(text), end + reach + len(literal)))
        if at < 0:
            return -1
        end = at + len(literal)
    return end


def _word(text: str, literal: str, start: int, stop: int) -> int:
    """The first place of *literal* in text[start:stop] that cuts no word in two; -1 where there is none."""
    at = text.find(literal, start, stop)
    while at >= 0:
        end = at + len(literal)
        if not (_joins(text, at - 1, at) or _joins(text, end - 1, end)):
            return at
        at = text.find(literal, at + 1, stop)
    return -1


def _joins(text: str, left: int, right: int) -> bool:
    """Letters or digits of a script that parts its words, on both sides of the edge between *left* and *right*."""
    if left < 0 or right >= len(text) or not (text[left].isalnum() and text[right].isalnum()):
        return False
    return text[left] < _FIRST_IDEOGRAPH and text[right] < _FIRST_IDEOGRAPH
