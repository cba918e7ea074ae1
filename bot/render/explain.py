"""What an error text means, as a message: the likeliest cause in full, the others in a line each. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bot.model import Content, Json
from bot.render import words
from bot.render.limits import actions, button, code, code_block, context, fit, foreign, prose, section
from probes.catalogue import CATALOGUE
from probes.model import Target

if TYPE_CHECKING:
    from probes.explain import Explanation, Match

CHECK = "explain.check"


def explained(explanation: Explanation) -> Content:
    """The answer to `explain TEXT`."""
    if not explanation.matches:
        return unknown()
    first, *others = explanation.matches
    blocks: list[Json] = [section(_cause(first)), context(_source(first))]
    if others:
        blocks.append(section("*It could also be*\n" + "\n".join(map(_other, others))))
    blocks.append(section(f"*Look next*\n{code_block(first.next_command, 1500)}"))
    if explanation.target is not None:
        blocks.append(_button(explanation.target))
    title = CATALOGUE[first.code].title
    return fit(foreign(f"{title} ({first.code}, {_percent(first)}). {first.explanation}", 600), blocks)


def unknown() -> Content:
    """The answer to a text in which no TLS error is known."""
    return words.answer(
        "I know no TLS error in this text. What helps: the whole message with the library's own words (an alert's name "
        "or number, an OpenSSL reason, the innermost “Caused by”), from the client or from the server's log. "
        "If you know the host, `/tls check HOST` looks for itself."
    )


def _cause(match: Match) -> str:
    title = prose(CATALOGUE[match.code].title, 200)
    return f"*{title}* · {code(match.code, 60)}, {_percent(match)}\n{prose(match.explanation, 2000)}"


def _source(match: Match) -> str:
    raised = f"raised by the {match.raised_by}" if match.raised_by != "unknown" else "who raised it is not in the text"
    spoken = f"in the words of {prose(match.library, 60)}" if match.library != "unknown" else ""
    return " · ".join(part for part in (raised, spoken) if part)


def _other(match: Match) -> str:
    by = f", by the {match.raised_by}" if match.raised_by != "unknown" else ""
    return f"• {code(match.code, 60)} {prose(CATALOGUE[match.code].title, 200)} ({_percent(match)}{by})"


def _percent(match: Match) -> str:
    return f"{match.likelihood:.0%}".replace("%", "\u00a0%")


def _button(target: Target) -> Json:
    name = words.named(target)
    return actions(button(f"Check {name}", CHECK, f"check {name}"))
