"""`history`: what it shows. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from types import MappingProxyType

from bot.model import CheckLine, Content, Incident, Json
from bot.render import figures, words
from bot.render.incident import named, when
from bot.render.limits import actions, button, code, context, cut, fit, foreign, prose, section

OLDER, NEWER = "history.older", "history.newer"
PAGE = 8
OPEN_INCIDENTS = 6


def page_value(word: str, **place: int) -> str:
    """What the *Older* (before) and *Newer* (after) buttons carry."""
    return json.dumps({"word": word, **place}, ensure_ascii=False)


def history(
    word: str,
    checks: Sequence[CheckLine],
    incidents: Sequence[Incident],
    now: datetime,
    *,
    has_older: bool,
    is_later_page: bool = False,
    is_by_words: bool = False,
    watched: str = "",
    links: Mapping[int, str] = MappingProxyType({}),
) -> Content:
    """One page of checks, newest first; the first page begins with the incidents. *is_by_words*: without an index.
    *links*: where the incidents stand, by their numbers."""
    subject = f" of {code(word, 100)}" if word else ""
    if not checks and not incidents and not watched:
        text = (
            f"I remember no check{subject}. `/tls check HOST[:PORT]` makes one."
            if not is_later_page
            else "That was all."
        )
        return fit(foreign(f"No checks{' of ' + word if word else ''}", 200), [section(text)])
    blocks: list[Json] = []
    if incidents and not is_later_page:
        lines = (_incident(each, links.get(each.id, ""), now) for each in incidents)
        blocks.append(section(f"*Incidents{subject}*\n" + "\n".join(lines)))
    if watched:
        blocks.append(section(cut(watched, 2900)))
    if checks:
        older = ", older" if is_later_page else ""
        blocks.append(section(f"*Checks{subject}*{older}\n" + "\n".join(_line(line, now) for line in checks)))
    turning = [button("Newer", NEWER, page_value(word, after=checks[0].id))] if is_later_page and checks else []
    if has_older and checks:
        turning.append(button("Older", OLDER, page_value(word, before=checks[-1].id)))
    elif checks:
        blocks.append(context("That is all I remember."))
    if not word and not is_later_page and incidents:
        turning.append(figures.button_for_all())
    if turning:
        blocks.append(actions(*turning))
    if is_by_words:
        blocks.append(
            context("Each word was looked for by itself: the SQLite I run on has no full-text search (FTS5).")
        )
    return fit(foreign(f"History{' of ' + word if word else ''}: {words.counted(len(checks), 'check')}", 200), blocks)


def _incident(incident: Incident, link: str, now: datetime) -> str:
    number = f"<{link}|{named(incident)}>" if link else named(incident)
    name = f"{code(incident.target, 120)} {code(incident.cause, 60)} {number}"
    if incident.state == "open":
        checks = words.counted(incident.checks, "check")
        return f"🔴 {name} open for {words.span(now - incident.opened_at)}, {checks}"
    if incident.state == "recovered":
        since = words.span(now - (incident.recovered_at or incident.opened_at))
        return f"🟢 {name} recovered {since} ago, not resolved yet"
    ended = incident.ended_at or incident.opened_at
    who = f" by <@{incident.ended_by}>" if incident.ended_by else ""
    return f"⚪ {name} resolved{who} after {words.span(ended - incident.opened_at)}, {when(ended)}"


def _line(line: CheckLine, now: datetime) -> str:
    what = f"{code(line.cause, 60)} {prose(words.clause(line.summary), 110)}" if line.cause else "healthy"
    return f"{words.SIGN[line.status]} {code(line.target, 120)} {what} · {words.span(now - line.at)} ago"
