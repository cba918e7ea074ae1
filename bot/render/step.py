"""What a workflow step hands on: plain values for its outputs, and errors in words. Pure."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from bot.render.limits import raw
from probes.model import Report

NO_IDENTITY = (
    "A workflow cannot show a client identity: whoever may edit the workflow could use it. Leave --identity out, or "
    "ask with /tls check in a channel."
)
_MOST = 1_000


def outputs(report: Report, link: str, now: datetime) -> dict[str, Any]:
    """The step's outputs; what is not known is left out, as Slack wants it."""
    days = days_left(report, now)
    known = {"verdict": report.status, "cause": report.cause or "", "summary": _plain(report.summary)}
    return known | ({"days_left": days} if days is not None else {}) | ({"link": link} if link else {})


def days_left(report: Report, now: datetime) -> int | None:
    """Whole days until the first of the leaves shown expires, negative afterwards; None when none was shown."""
    ends = [datetime.fromisoformat(each.chain[0].not_after) for each in report.endpoints if each.chain]
    if not ends:
        return None
    first = min(end if end.tzinfo else end.replace(tzinfo=UTC) for end in ends)
    return int((first - now).total_seconds() // 86_400)


def misread(answer: str) -> str:
    """Why there is no check; a workflow shows plain text."""
    return _plain(answer.replace("`", "")) or "The host could not be read. Give one, as in api.example.com:8443."


def _plain(text: str) -> str:
    """A workflow may put it into a message: what would be a mention or a link there is none."""
    return raw(text.replace("<", "‹").replace(">", "›"), _MOST)


def fault(error_id: str) -> str:
    return f"The check did not work: that is the app's fault. Its log carries the error id {error_id}."
