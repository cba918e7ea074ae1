"""An incident → its post-mortem, as Markdown for people and as JSON for machines. Pure.

Everything in it stems from endpoints and from people: in Markdown it is escaped, so that no certificate formats it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from bot.model import Entry, Incident, PastCheck
from bot.render import words
from bot.render.changes import differences
from bot.render.incident import named
from bot.render.limits import raw
from probes.model import FindingReport, Report

SCHEMA = 1
GUIDE_HOURS = 3.8  # what the field guide counts until the root cause of a TLS failure is found
_ESCAPED = re.compile(r"([\\`*_{}\[\]<>#|~])")
_MENTION = re.compile(r"<@([A-Z0-9]+)>")


@dataclass(frozen=True, slots=True, kw_only=True)
class Story:
    """Everything that a post-mortem is made of. `checks` are those that the timeline names, oldest first."""

    incident: Incident
    entries: Sequence[Entry]
    checks: Sequence[PastCheck] = field(hash=False)
    good: PastCheck | None  # the last check before it that was not broken
    alike: Sequence[Incident]
    now: datetime


def stem(story: Story) -> str:
    host = re.sub(r"[^a-z0-9.-]", "_", story.incident.host.lower())[:80].strip(".-_") or "endpoint"
    return f"{named(story.incident).lower()}-{host}-post-mortem"


def time_to_cause(incident: Incident) -> timedelta | None:
    """From the first question to the check that named the present cause."""
    if incident.asked_at is None or incident.cause_at is None:
        return None
    return max(incident.cause_at - incident.asked_at, timedelta())


def _evidence_check(story: Story) -> PastCheck | None:
    """The check that named the cause: the first with it."""
    return next((check for check in story.checks if check.report.cause == story.incident.cause), None)


def _last(story: Story) -> PastCheck | None:
    return story.checks[-1] if story.checks else None


def _cause(report: Report) -> FindingReport | None:
    return next((finding for finding in report.findings if finding.code == report.cause), None)


# ── JSON ────────────────────────────────────────────────────────────────────────


def as_json(story: Story) -> dict[str, Any]:
    """The post-mortem as data; times are ISO 8601 in UTC, durations in seconds."""
    incident = story.incident
    named_by = _evidence_check(story)
    finding = _cause(named_by.report) if named_by else None
    to_cause = time_to_cause(incident)
    lasted = (incident.ended_at or incident.recovered_at or story.now) - incident.opened_at
    return {
        "schema": SCHEMA,
        "incident": named(incident),
        "target": incident.target,
        "state": incident.state,
        "severity": incident.severity,
        "commander": incident.commander,
        "channel": incident.channel,
        "opened_at": _iso(incident.opened_at),
        "opened_by": incident.opened_by,
        "recovered_at": _iso(incident.recovered_at),
        "resolved_at": _iso(incident.ended_at),
        "resolved_by": incident.ended_by,
        "duration_s": round(lasted.total_seconds(), 3),
        "root_cause": {
            "code": incident.cause,
            "title": finding.title if finding else None,
            "explanation": finding.explanation if finding else None,
            "evidence": list(finding.evidence) if finding else [],
            "addresses": list(finding.addresses) if finding else [],
            "fails_for": list(finding.fails_for) if finding else [],
            "fix": finding.fix if finding else None,
            "source": finding.source if finding else None,
            "named_by_check": named_by.id if named_by else None,
        },
        "time_to_root_cause_s": round(to_cause.total_seconds(), 3) if to_cause is not None else None,
        "verdicts": {
            "before": _verdict(story.good),
            "at_the_start": _verdict(story.checks[0] if story.checks else None),
            "after": _verdict(_last(story)),
        },
        "changed_since_it_last_worked": _changed(story),
        "timeline": [
            {
                "at": _iso(entry.at),
                "kind": entry.kind,
                "user": entry.user,
                "text": _said(entry.text),
                "check": entry.check,
                "added_by": entry.added_by,
                "edited": entry.edited_ts is not None,
            }
            for entry in story.entries
        ],
        "seen_before": [
            {"incident": named(each), "target": each.target, "cause": each.cause, "how": _how(each, story.now)}
            for each in story.alike
        ],
        "written_at": _iso(story.now),
    }


def _verdict(check: PastCheck | None) -> dict[str, Any] | None:
    if check is None:
        return None
    report = check.report
    return {
        "check": check.id,
        "at": _iso(check.at),
        "status": report.status,
        "cause": report.cause,
        "summary": report.summary,
        "for_whom": words.who(report),
        "addresses": [endpoint.address for endpoint in report.endpoints],
    }


def _changed(story: Story) -> list[str]:
    if story.good is None or not story.checks:
        return []
    return [_said(line).replace("`", "") for line in differences(story.good.report, story.checks[0].report)]


def _how(incident: Incident, now: datetime) -> str:
    ended = incident.ended_at or incident.recovered_at
    if ended is None:
        return f"open for {words.span(now - incident.opened_at)}"
    word = "resolved" if incident.state == "resolved" else "not broken any more"
    return f"{word} after {words.span(ended - incident.opened_at)}"


def _iso(moment: datetime | None) -> str | None:
    return moment.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z") if moment else None


def _said(text: str) -> str:
    """Our own lines without Slack's marks for people and entities."""
    plain = _MENTION.sub(r"@\1", text)
    return plain.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")


# ── Markdown ────────────────────────────────────────────────────────────────────


def as_markdown(story: Story) -> str:
    """The post-mortem as a document."""
    told = as_json(story)
    parts = [_title(story, told), _summary(story, told), _root_cause(told), _verdicts(told), _since(told)]
    parts += [_timeline(story), _before(told)]
    return "\n\n".join(part for part in parts if part) + "\n"


def _title(story: Story, told: dict[str, Any]) -> str:
    return f"# {told['incident']}: {_md(story.incident.target)}, {_md(story.incident.cause)}"


def _summary(story: Story, told: dict[str, Any]) -> str:
    incident = story.incident
    lasted = words.span(timedelta(seconds=told["duration_s"]))
    to_cause = told["time_to_root_cause_s"]
    rows = [
        ("State", incident.state),
        ("Severity", incident.severity.upper()),
        ("Commander", _person(incident.commander)),
        ("Opened", f"{words.clock(incident.opened_at)} by {_person(incident.opened_by)}"),
        ("Recovered", words.clock(incident.recovered_at) if incident.recovered_at else "–"),
        ("Resolved", f"{words.clock(incident.ended_at)} by {_person(incident.ended_by)}" if incident.ended_at else "–"),
        ("Lasted", lasted + ("" if incident.ended_at or incident.recovered_at else " so far")),
        (
            "Time to root cause",
            f"{words.span(timedelta(seconds=to_cause))} (the field guide counts {GUIDE_HOURS} hours)"
            if to_cause is not None
            else "–",
        ),
    ]
    lines = "\n".join(f"| {name} | {value} |" for name, value in rows)
    return f"| | |\n|---|---|\n{lines}"


def _root_cause(told: dict[str, Any]) -> str:
    cause = told["root_cause"]
    parts = [f"## Root cause\n\n`{_code(cause['code'])}` {_md(cause['title'] or '')}".rstrip()]
    if cause["explanation"]:
        parts.append(_md(cause["explanation"]))
    if cause["fails_for"]:
        parts.append(f"Failed for: {_md(', '.join(words.family(name) for name in cause['fails_for']))}")
    if cause["evidence"]:
        parts.append("### Evidence\n\n" + "\n".join(f"- {_md(line)}" for line in cause["evidence"]))
    if cause["fix"]:
        parts.append(f"### Fix\n\n{_md(cause['fix'])}")
    if cause["source"]:
        parts.append(f"Source: {_md(cause['source'])}")
    return "\n\n".join(parts)


def _verdicts(told: dict[str, Any]) -> str:
    lines = ["## Verdicts", "", "| | When | Verdict | Cause | For whom |", "|---|---|---|---|---|"]
    names = (("before", "Last good before"), ("at_the_start", "At the start"), ("after", "Last"))
    for key, name in names:
        verdict = told["verdicts"][key]
        if verdict is None:
            lines.append(f"| {name} | – | never seen | – | – |")
            continue
        cells = (verdict["at"], verdict["status"], verdict["cause"] or "–", verdict["for_whom"] or "–")
        lines.append(f"| {name} | {' | '.join(_md(cell) for cell in cells)} |")
    return "\n".join(lines)


def _since(told: dict[str, Any]) -> str:
    changed = told["changed_since_it_last_worked"]
    if not changed:
        return ""
    return "## What changed since it last worked\n\n" + "\n".join(f"- {_md(line)}" for line in changed)


def _timeline(story: Story) -> str:
    lines = [f"- {words.clock(entry.at)} {_line(entry)}" for entry in story.entries]
    return "## Timeline\n\n" + ("\n".join(lines) or "Nothing was recorded.")


def _line(entry: Entry) -> str:
    text = _md(_said(entry.text))
    match entry.kind:
        case "note":
            added = f", added by {_person(entry.added_by)}" if entry.added_by not in {None, entry.user} else ""
            return f"**{_person(entry.user)}** (note{added}{', edited' if entry.edited_ts else ''}): {text}"
        case "act":
            return f"**{_person(entry.user)}** {text}"
        case "verdict":
            return text


def _before(told: dict[str, Any]) -> str:
    seen = told["seen_before"]
    if not seen:
        return ""
    lines = [f"- {each['incident']} {_md(each['target'])} `{_code(each['cause'])}`: {each['how']}" for each in seen]
    return "## Seen before\n\n" + "\n".join(lines)


def _person(user: str | None) -> str:
    return f"@{_md(user)}" if user else "nobody"


def _md(text: str) -> str:
    """*text* as one line that formats nothing."""
    return _ESCAPED.sub(r"\\\1", raw(text, 3000))


def _code(text: str) -> str:
    return raw(text, 200).replace("`", "ˋ")
