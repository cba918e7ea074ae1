"""`tls explain`: reads the text, prints what it means. Part of the `tls` command's edge."""

from __future__ import annotations

import json
import sys
import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING

from probes.catalogue import CATALOGUE
from probes.model import UsageError

if TYPE_CHECKING:
    from probes.explain import Explanation

_MOST_BYTES = 4_000_000  # of standard input; only the beginning and the end of a text are read for phrases
UNKNOWN = (
    "I know no TLS error in this text. What helps: the whole message with the library's own words (an alert's name or "
    "number, an OpenSSL reason, the innermost “Caused by”), from the client or from the server's log. "
    "If you know the host, `tls check HOST` looks for itself."
)


def run(words: Sequence[str], *, as_json: bool) -> None:
    """Explain *words*, or standard input when there are none (or `-`). Raises UsageError for an empty text."""
    from probes.explain import explain, to_json

    explanation = explain(_text(words))
    if as_json:
        sys.stdout.write(json.dumps(to_json(explanation), ensure_ascii=False, indent=2) + "\n")
        return
    sys.stdout.write(readable(explanation) + "\n")


def _text(words: Sequence[str]) -> str:
    text = " ".join(words)
    if text.strip() in {"", "-"}:
        if not text.strip() and sys.stdin.isatty():
            raise UsageError(
                "I read `explain` without a text. It wants one, as in tls explain 'certificate has expired'."
            )
        text = sys.stdin.buffer.read(_MOST_BYTES).decode("utf-8", "replace")
    if not text.strip():
        raise UsageError(
            "I read an empty text. It wants an error message, as in tls explain 'certificate has expired'."
        )
    return text


def readable(explanation: Explanation) -> str:
    """*explanation* for a terminal: most likely cause first, each with what to do next."""
    if not explanation.matches:
        return textwrap.fill(UNKNOWN, 100)
    blocks: list[str] = []
    for match in explanation.matches:
        raised = f", raised by the {match.raised_by}" if match.raised_by != "unknown" else ""
        spoken = f", in the words of {match.library}" if match.library != "unknown" else ""
        body = textwrap.fill(match.explanation, 100, initial_indent="     ", subsequent_indent="     ")
        head = f"{match.likelihood:4.0%} {match.code}  {CATALOGUE[match.code].title}{raised}{spoken}"
        blocks.append(f"{head}\n{body}\n     $ {match.next_command}")
    return "\n\n".join(blocks)
