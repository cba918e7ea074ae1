"""CT logs in words: how they misbehave, what changes in their list, whether the following works. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from bot.issuances import Case, Issued
from bot.model import Content, Json
from bot.render import words
from bot.render.incident import when
from bot.render.limits import code, context, cut, fit, foreign, prose, section

if TYPE_CHECKING:
    from probes.ct_follow import Status

Row: TypeAlias = Mapping[str, Any]
_LINES: Final = 10
_MOST: Final = 50
_MANY: Final = 3  # more logs than these in the same trouble: it may be us
_STALE: Final = timedelta(days=70)  # Chrome stops enforcing CT by a list older than that
_WELL: Final = "🟢"
_SIGN: Final = {"critical": "🔴", "warning": "🟠", "notice": "⚪"}
_ORDER: Final = ("🔴", "🟠", "⚪", _WELL)
_MINE: Final = " So many at once: my own network may be the reason."
_TELL: Final = " ct-policy@chromium.org wants to know."
_PROOF: Final = f" The file in the thread proves it;{_TELL}"
_TROUBLES: Final = {
    "split-view": "a split view",
    "shrunken": "a tree that shrank",
    "inconsistent": "entries that it did not sign",
    "bad-signature": "a head with a wrong signature",
    "stale-head": "no new head",
    "future-head": "a head from the future",
    "unreadable": "entries kept back",
    "malformed-many": "many certificates that cannot be read",
    "gap": "a gap at the end",
}
_MEANINGS: Final = {
    "split-view": "It shows different people different trees: certificates may be hidden from you. Nothing that it "
    f"says is to be relied upon; browsers distrust such a log.{_PROOF}",
    "shrunken": f"A log only ever grows. What it took away may have been a certificate for you.{_PROOF}",
    "inconsistent": f"What it serves is not what it signed. Names are still looked for in what it serves.{_TELL}",
    "bad-signature": "Until its heads are signed again, nothing new of it counts.",
    "stale-head": "Certificates logged there since are not seen until it speaks again; most stand in another log, too.",
    "future-head": "Its entries are read all the same.",
    "unreadable": "A log that signs entries must show them; most certificates stand in another log, too.",
    "malformed-many": "A certificate that I cannot read may be for any name. Those are counted till a day has fewer.",
    "gap": "What was logged there at the end cannot be seen any more; most certificates stand in another log, too.",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Overview:
    """What is stored of logs and cases, for `ct list` and `ct status`."""

    positions: list[dict[str, Any]] = field(default_factory=list)
    version: str = ""
    dated_at: datetime | None = None
    read_at: datetime | None = None
    raised: list[dict[str, Any]] = field(default_factory=list)
    changes: list[dict[str, Any]] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)
    waiting: list[tuple[Case, Issued]] = field(default_factory=list)
    waiting_in_all: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """What some channels watch, and how many of their issuances wait; `raised`: how many logs are in which trouble."""

    domains: int = 0
    waiting: Mapping[str, int] = field(default_factory=dict, hash=False)  # by channel
    raised: Mapping[str, int] = field(default_factory=dict, hash=False)  # by kind


@dataclass(frozen=True, slots=True, kw_only=True)
class Running:
    """How it stands with the reader now. `statuses` by hex log id; `trouble`: why nothing is followed."""

    is_up: bool = False
    trouble: str = ""
    statuses: Mapping[str, Status] = field(default_factory=dict, hash=False)


def log_events(rows: Sequence[Row]) -> Content:
    """Logs that do not behave, all in one way: rows of `ct_events`."""
    kind, open_ones = rows[0]["kind"], [row for row in rows if row["ended_at"] is None]
    about = f"CT log {rows[0]['log']}" if len(rows) == 1 else f"{len(rows)} CT logs"
    trouble = _TROUBLES.get(kind, kind.replace("-", " "))
    plain = foreign(f"{about}: {trouble}", 200)
    if len(rows) == 1:
        blocks = [section(_event(rows[0]))]
    else:
        sign = _SIGN.get(rows[0]["severity"], "🟠") if open_ones else "✅"
        over = "" if open_ones else ", and all are right again"
        lines = "\n".join(f"• {_listed(row)}" for row in rows[:_LINES])
        more = f"\n… and {len(rows) - _LINES} more" if len(rows) > _LINES else ""
        blocks = [section(cut(f"{sign} *{len(rows)} CT logs: {trouble}*{over}\n{lines}{more}", 2900))]
    if open_ones:
        mine = _MINE if len(open_ones) > _MANY else ""
        first = datetime.fromtimestamp(rows[0]["at"], UTC)
        blocks.append(context(f"{_MEANINGS.get(kind, '')}{mine} Noticed {when(first)}.".strip()))
    return fit(plain, blocks)


def _event(row: Row) -> str:
    text = prose(row["text"].removeprefix(row["log"] + ": "), 900)
    if row["ended_at"] is None:
        return f"{_SIGN.get(row['severity'], '🟠')} *The CT log {code(row['log'], 100)}*: {text}"
    since = when(datetime.fromtimestamp(row["ended_at"], UTC))
    return f"✅ *The CT log {code(row['log'], 100)} is right again* since {since}. It was: {text}"


def _listed(row: Row) -> str:
    if row["ended_at"] is not None:
        return f"✅ {code(row['log'], 80)}: right again since {when(datetime.fromtimestamp(row['ended_at'], UTC))}"
    return f"{code(row['log'], 80)}: {prose(row['text'].removeprefix(row['log'] + ': '), 200)}"


def list_changes(before: Mapping[str, tuple[str, str]], after: Mapping[str, tuple[str, str]]) -> list[str]:
    """What is different in the log list, a line each."""
    lines = [f"{name}: new, {state}" for log_id, (name, state) in after.items() if log_id not in before]
    lines += [f"{name}: no longer listed" for log_id, (name, _) in before.items() if log_id not in after]
    lines += [
        f"{after[log_id][0]}: was {state}, is {after[log_id][1]}"
        for log_id, (_, state) in before.items()
        if log_id in after and after[log_id][1] != state
    ]
    return lines


def at_home(standing: Standing, running: Running) -> str:
    """For an App Home: no number that changes by the second."""
    if not standing.domains:
        return (
            f"None of your channels watches a domain. {code('/tls ct watch DOMAIN')} tells there of its certificates."
        )
    parts = [f"{words.counted(standing.domains, 'domain')} watched"]
    if running.trouble or not running.is_up:
        why = prose(running.trouble, 200) or "the reader of logs is starting"
        return f"{'🔴' if running.trouble else '⚪'} {parts[0]}, but nothing is read now: {why}"
    lagging = standing.raised.get("lagging", 0)
    wrong = sum(count for kind, count in standing.raised.items() if kind != "lagging")
    parts.append(f"{words.counted(len(running.statuses), 'log')} followed")
    parts.append(f"*{lagging} of them behind*" if lagging else "none of them behind")
    if wrong:
        parts.append(f"{wrong} in trouble ({code('/tls ct status')})")
    lines = [f"{'🟠' if lagging or wrong else _WELL} {', '.join(parts)}"]
    if standing.waiting:
        where = words.listed((f"<#{channel}> {count:,}" for channel, count in standing.waiting.items()), 5)
        lines.append(f"🟠 Certificates that wait for an answer: {where}")
    return "\n".join(lines)


def status(overview: Overview, running: Running, now: datetime) -> Content:
    """Is it working, log by log?"""
    head, rows = _health(overview, running, now)
    shown = [f"{sign} {line}" for sign, line in rows[:_MOST]]
    if len(rows) > _MOST:
        shown.append(f"… and {len(rows) - _MOST} more")
    lists = [section(cut("\n".join(shown[at : at + 10]), 2900)) for at in range(0, len(shown), 10)]
    return fit("How Certificate Transparency is followed", [section(head), *lists, *_notices(overview, now)])


def health(overview: Overview, running: Running, now: datetime) -> list[Json]:
    """The same in short: what is well has no line."""
    head, rows = _health(overview, running, now)
    troubled = [f"{sign} {line}" for sign, line in rows if sign != _WELL]
    shown = troubled[:_LINES]
    if len(troubled) > _LINES:
        shown.append(f"… and {len(troubled) - _LINES} more")
    text = cut("\n".join([head, *shown, *_age(overview, now)]), 2900)
    return [section(text), context(f"{code('/tls ct status')} tells of each log.")] if rows else [section(text)]


def _health(overview: Overview, running: Running, now: datetime) -> tuple[str, list[tuple[str, str]]]:
    """In a sentence, and a sign and a line for each log, those in trouble first."""
    raised: dict[str, list[Row]] = {}
    for row in overview.raised:
        raised.setdefault(row["log_id"], []).append(row)
    rows = [
        _log_line(row, running.statuses.get(row["log_id"]), raised.get(row["log_id"], ()), now)
        for row in overview.positions
    ]
    begun = {row["log_id"] for row in overview.positions}
    rows += [_unbegun(each) for log_id, each in running.statuses.items() if log_id not in begun]
    rows.sort(key=lambda row: _ORDER.index(row[0]))
    behind = sum(max(row["promised"] - row["verified"], 0) for row in overview.positions)
    return _working(overview, running, rows, behind), rows


def _working(overview: Overview, running: Running, rows: Sequence[tuple[str, str]], behind: int) -> str:
    if running.trouble:
        return f"🔴 *It is not working*: {prose(running.trouble, 400)}"
    if not running.is_up:
        return "⚪ *Nothing is followed now*: it begins with the first domain that is watched."
    if not rows:
        return "⚪ *It begins*: the logs are being asked where they end."
    troubled = sum(sign != _WELL for sign, _ in rows)
    if troubled == len(rows) > _MANY:
        return f"🔴 *No log is well*: {words.counted(len(rows), 'log')} followed.{_MINE}"
    state = f"{troubled} with something to say" if troubled else "all of them well"
    left = f", {words.counted(behind, 'entry', 'entries')} still to be read" if behind else ""
    return f"{'🟠' if troubled else _WELL} *It is working*: {words.counted(len(rows), 'log')} followed, {state}{left}"


def _log_line(row: Row, told: Status | None, raised: Sequence[Row], now: datetime) -> tuple[str, str]:
    behind = max(row["promised"] - row["verified"], 0)
    parts = [code(row["name"], 80), f"{words.counted(row['verified'], 'entry', 'entries')} verified"]
    if behind:
        parts.append(f"{behind:,} behind")
    if row["newest_ms"]:
        age = now.timestamp() - row["newest_ms"] / 1000
        parts.append(f"newest entry {words.span(timedelta(seconds=max(0.0, age)))} old")
    if row["state"] != "following":
        parts.append(row["state"])
    if row["listed"] not in {"usable", "qualified"}:
        parts.append(row["listed"])
    signs = [_SIGN.get(each["severity"], "🟠") for each in raised]
    parts += [f"⛔ {prose(each['text'].removeprefix(each['log'] + ': '), 160)}" for each in raised[:3]]
    if told is not None and told.trouble:
        signs.append("🟠")
        parts.append(f"⛔ {prose(told.trouble, 160)}")
    if row["state"] in {"inconsistent", "gone"}:
        signs.append("🔴")
    elif row["state"] == "rewound":
        signs.append("🟠")
    return min(signs, key=_ORDER.index, default=_WELL), " · ".join(parts)


def _unbegun(told: Status) -> tuple[str, str]:
    trouble = f"⛔ {prose(told.trouble, 160)}" if told.trouble else "not begun yet"
    return "🟠", f"{code(told.log.description, 80)} · {trouble}"


def _age(overview: Overview, now: datetime) -> list[str]:
    """Whether the list is too old to go by."""
    if overview.read_at is None:
        return []
    if overview.dated_at is None:
        return ["🟠 the log list does not say how old it is"]
    age = now - overview.dated_at
    stale = f"🟠 *the log list is {age.days} days old*: logs opened since are not in it. Look at CT_LOG_LIST."
    return [stale] if age > _STALE else []


def _notices(overview: Overview, now: datetime) -> list[Json]:
    """Of the list: its age, and what changed in it."""
    lines = [*_age(overview, now), *(prose(row["text"], 160) for row in overview.changes)]
    if overview.read_at is not None:
        dated = f" of {overview.dated_at:%Y-%m-%d}" if overview.dated_at else ""
        lines.append(f"log list {foreign(overview.version, 20)}{dated}, read {when(overview.read_at)}")
    return [context(cut("\n".join(lines), 1900))] if lines else []
