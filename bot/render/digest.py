"""A digest → one message: what needs somebody, what changed, the horizon as a picture, the rest folded. Pure.

It says what is and since when, not for how long: the message is kept current on its day, and an edit that changes
nothing but a duration would be noise. An endpoint has one line, and a line is cut between words alone: half a mention
would be shown as it is written.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from bot.digest import HORIZON_DAYS, SLOW_DAYS, Curve, Digest, Ending, Group, short
from bot.digest_times import DAYS, EXAMPLE, DigestPlan, next_due
from bot.model import Content, Json
from bot.render import words
from bot.render.figures import MOST_ROWS, Expiry, Figure, Horizon, Lane, Sparkline, Sparklines, days
from bot.render.incident import when
from bot.render.limits import WHOLE, actions, button, code, context, fit, length, section, weight
from bot.render.watch import owner as mention

_SIGN = {"critical": "🔴", "warning": "🟠", "notice": "🔵"}
_MOST_NEEDS, _MOST_CHANGED, _MOST_ASIDE = 10, 8, 10
_LONGEST_SAID: Final = 220  # of what is said of one endpoint; its name, its owner and its link come besides
_LONGEST_NAME: Final = 100
_LONGEST_PART: Final = 2500  # of one block; Slack takes 3,000
_UNOWNED = "no owner"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Page:
    """What every line is written with: the permalinks of messages by their keys, and the clock."""

    links: Mapping[str, str]
    zone: str
    at: datetime


def said(digest: Digest, *, zone: str, links: Mapping[str, str], images: Sequence[Json] = ()) -> Content:
    """The whole message. *links*: the permalinks of messages, by their keys; *images*: blocks of `figures_of`."""
    page = _Page(links=links, zone=zone, at=digest.at)
    head = f"*TLS digest* · {_day(digest.at, zone)}"
    if digest.is_quiet:
        blocks = [section(f"{head} · {_quietly(digest)}"), *images]
        aside = [context(part) for part in _parts(digest.aside[:_MOST_ASIDE], 1900)]
        return fit("TLS digest: nothing needs you", [*blocks, *aside])
    blocks = [section(f"{head} · {_counted(digest)}")]
    if digest.needs:
        blocks += _listed("*Needs somebody*", digest.needs, page, _MOST_NEEDS)
    if digest.changed:
        since = f"*Changed since {_since(digest.since, digest.at, zone)}*"
        blocks += _listed(since, digest.changed, page, _MOST_CHANGED)
    blocks += images
    more = [*digest.needs[_MOST_NEEDS:], *digest.changed[_MOST_CHANGED:], *digest.rests]
    room = WHOLE - weight(blocks) - 500
    text = f"TLS digest: {_counted(digest)}"
    return fit(text, [*blocks, *_folded(digest, more, page, room)], classic=[*blocks, *_unfolded(digest, more)])


def figures_of(digest: Digest, people: Mapping[str, str]) -> tuple[Figure, ...]:
    """What its pictures are to show. *people*: the names of owners, by their ids."""
    figures: list[Figure] = []
    if digest.endings:
        figures.append(_horizon(digest, people))
    if digest.curves:
        lines = tuple(_sparkline(curve) for curve in digest.curves)
        caption = "median of each day; the newest stands out"
        first = f"{SLOW_DAYS - 1} days ago"
        figures.append(Sparklines(title="Handshakes that became slower", caption=caption, lines=lines, first=first))
    return tuple(figures)


# ── its parts ───────────────────────────────────────────────────────────────────


def _day(at: datetime, zone: str) -> str:
    return f"{at.astimezone(ZoneInfo(zone)):%A, %-d %B}"


def _since(since: datetime, at: datetime, zone: str) -> str:
    """`09:00`, `Friday 09:00`, or `Friday, 6 November` where the weekday alone would be another one.

    By the clock that the channel chose; where it chose none, that is said.
    """
    then, now = since.astimezone(ZoneInfo(zone)), at.astimezone(ZoneInfo(zone))
    clock = f"{then:%H:%M}" + (" UTC" if zone == "UTC" else "")
    if now.date() - then.date() >= timedelta(days=6):
        return f"{then:%A, %-d %B}"
    return clock if then.date() == now.date() else f"{then:%A} {clock}"


def _counted(digest: Digest) -> str:
    parts = []
    if digest.needs:
        verb = "needs" if len(digest.needs) == 1 else "need"
        parts.append(f"{words.counted(len(digest.needs), 'thing')} {verb} somebody")
    if digest.changed:
        parts.append(f"{words.counted(len(digest.changed), 'change')}")
    return ", ".join(parts)


def _quietly(digest: Digest) -> str:
    if not digest.watched and digest.domains:
        return f"nothing needs you. {words.counted(digest.domains, 'domain')} watched in CT logs."
    if not digest.watched:
        return "nothing is watched here yet: `/tls watch add HOST`."
    ahead = ""
    if digest.next_ending is not None:
        left = (digest.next_ending.at - digest.at).total_seconds() / 86_400
        ahead = f"; the next certificate ends in {days(left)}: {code(short(digest.next_ending.subject), 120)}"
    return f"nothing needs you. {_states(digest)}{ahead}."


def _states(digest: Digest) -> str:
    if not digest.watched:
        return "no endpoint is watched"
    fine = digest.counts.get("ok", 0) + digest.counts.get("warning", 0)
    if fine == digest.watched:
        work = "works" if fine == 1 else "all work" if fine > 2 else "both work"
        return f"{words.counted(digest.watched, 'endpoint')} watched, {work}"
    names = (("ok", "fine"), ("warning", "with a warning"), ("broken", "broken"), ("not looked at yet", "not seen yet"))
    parts = [f"{digest.counts[state]} {name}" for state, name in names if digest.counts.get(state)]
    return f"{words.counted(digest.watched, 'endpoint')} watched: {', '.join(parts)}"


def _listed(title: str, groups: Sequence[Group], page: _Page, most: int) -> list[Json]:
    lines = [title, *(_line(group, page) for group in groups[:most])]
    if len(groups) > most:
        lines.append(f"… {len(groups) - most} more below")
    return [section(part) for part in _parts(lines)]


def _line(group: Group, page: _Page) -> str:
    """One endpoint: what is said of it, when it ends, whose it is, and where more is said."""
    told = _within("; ".join(item.text for item in group), _LONGEST_SAID)
    owners = dict.fromkeys(mention(item.owner) for item in group if item.owner)
    threads = dict.fromkeys(f"<{page.links[item.key]}|thread>" for item in group if item.key in page.links)
    ends = [item.by for item in group if item.by is not None and item.by > page.at]
    shown = [
        told,
        *(_end(min(ends), page) for _ in ends[:1]),
        *(owner for owner in owners if owner not in told),
        *threads,
    ]
    return f"{_SIGN[group[0].weight]} {code(short(group[0].subject), _LONGEST_NAME)} {' · '.join(shown)}"


def _end(by: datetime, page: _Page) -> str:
    """`ends 6 December`; where hours count, by the clock of whoever reads: `ends tomorrow 23:01`."""
    return (
        f"ends {when(by)}" if by - page.at < timedelta(days=3) else f"ends {by.astimezone(ZoneInfo(page.zone)):%-d %B}"
    )


# What is not to be cut in two: a mention or a link, code, an emoji, an entity; else a run of letters, or of space.
_TOKEN: Final = re.compile(r"<[^>]*>|`[^`]*`|:[a-z0-9_+-]+:|&[a-z]+;|[^\s<`:&]{1,24}|\s+|.", re.DOTALL)


def _within(text: str, limit: int) -> str:
    """*text* (mrkdwn), at most *limit* units; a cut is marked and splits no token."""
    if length(text) <= limit:
        return text
    kept = ""
    for token in _TOKEN.findall(text):
        if length(kept) + length(token) > limit - 1:
            break
        kept += token
    return f"{kept.rstrip()}…"


def _folded(digest: Digest, more: Sequence[Group], page: _Page, room: int) -> list[Json]:
    """The rest, in one block that is closed until somebody opens it. *room*: characters that the message still has."""
    lines = [*(_line(group, page) for group in more), *digest.aside[:_MOST_ASIDE]]
    states = context(f"{_states(digest)}.")
    if not lines:
        return [states]
    kept = _first(lines, room)
    if len(kept) < len(lines):
        kept.append(f"… {len(lines) - len(kept)} more; `/tls watch list` has every endpoint.")
    title = {"type": "plain_text", "text": "Everything else"}
    children = [*(section(part) for part in _parts(kept)), states]
    return [{"type": "container", "title": title, "is_collapsible": True, "default_collapsed": True,
             "child_blocks": children}]  # fmt: skip


def _unfolded(digest: Digest, more: Sequence[Group]) -> list[Json]:
    count = f"{words.counted(len(more), 'line')} more. " if more else ""
    return [context("\n".join(_first([f"{count}{_states(digest)}.", *digest.aside[:5]], 1900)))]


def _first(lines: Sequence[str], room: int) -> list[str]:
    """As many *lines* as fit into *room* characters."""
    kept = []
    for line in lines:
        room -= length(line) + 1
        if room < 0:
            break
        kept.append(line)
    return kept


def _parts(lines: Sequence[str], most: int = _LONGEST_PART) -> list[str]:
    """*lines* in blocks of at most *most* characters; no line is longer."""
    parts, current = [], ""
    for line in lines:
        if current and length(current) + length(line) >= most:
            parts.append(current)
            current = ""
        current += ("\n" if current else "") + line
    return [*parts, current] if current else parts


# ── pictures ────────────────────────────────────────────────────────────────────


def _horizon(digest: Digest, people: Mapping[str, str]) -> Horizon:
    lanes: dict[str, list[Ending]] = {}
    for ending in digest.endings:
        lanes.setdefault(ending.owner, []).append(ending)
    soonest = sorted(lanes.items(), key=lambda lane: lane[1][0].at)
    shown = [(people.get(owner, owner) if owner else _UNOWNED, ends) for owner, ends in soonest]
    if len(shown) > MOST_ROWS:  # everybody is there: the last lane is that of all who come later
        others = shown[MOST_ROWS - 1 :]
        together = sorted((end for _, ends in others for end in ends), key=lambda each: each.at)
        shown = [*shown[: MOST_ROWS - 1], (words.counted(len(others), "other"), together)]
    return Horizon(
        title=f"Certificates ending within {HORIZON_DAYS} days",
        caption=_pressing(digest),
        lanes=tuple(
            Lane(
                owner=owner,
                expiries=tuple(Expiry(label=short(each.subject), days_left=_left(digest, each)) for each in ends),
            )
            for owner, ends in shown
        ),
    )


def _left(digest: Digest, ending: Ending) -> float:
    return (ending.at - digest.at).total_seconds() / 86_400


def _pressing(digest: Digest) -> str:
    """`99 of 120: 1 expired, 12 within 7 days, 31 within 30`."""
    left = [_left(digest, each) for each in digest.endings]
    expired, week, month = (sum(low <= each < high for each in left) for low, high in ((-9e9, 0), (0, 7), (0, 30)))
    parts = [f"{expired:,} expired"] if expired else []
    parts += [f"{week:,} within 7 days"] if week else []
    parts += [f"{month:,} within 30" + ("" if week else " days")] if month > week else []
    return f"{len(left):,} of {digest.watched:,}" + (f": {', '.join(parts)}" if parts else "")


def _sparkline(curve: Curve) -> Sparkline:
    known = [each for each in curve.medians if each is not None]
    usual = sorted(known[:-1])[len(known[:-1]) // 2]
    note = f"{words.elapsed(known[-1])}, usually {words.elapsed(usual)}"
    return Sparkline(label=short(curve.subject), points=curve.medians, note=note, tone="attention")


# ── answers ─────────────────────────────────────────────────────────────────────


def planned(plan: DigestPlan, now: datetime, user: str) -> Content:
    day, _ = next_due(plan, now)
    asked = f"This channel gets its digest at *{plan}*, as <@{user}> asked."
    text = f"{asked} The next one comes on {day:%A}, {day.day} {day:%B}. `/tls digest now` shows one."
    return fit(text, [section(text)])


def a_moment_ago(link: str) -> Content:
    where = f"<{link}|It is here>" if link else "It is on its way"
    text = f"Somebody asked for the digest a moment ago. {where}, and it is kept current today."
    return fit(text, [section(text)])


def off(had: bool) -> Content:
    text = "This channel gets no digest any more." if had else f"This channel has no digest. {EXAMPLE} sets one."
    return fit(text, [section(text)])


# ── the form ────────────────────────────────────────────────────────────────────

FORM, OPEN = "digest_form", "digest_open"
AT, ZONE, DAYS_OF_WEEK = "at", "zone", "weekdays"  # block_id and action_id of each field


def form(metadata: str, plan: DigestPlan | None) -> Json:
    """The modal that asks when this channel wants its digest; *plan*: as it is now."""
    options = [_option(name.capitalize(), name) for name in DAYS]
    chosen = sorted(plan.weekdays) if plan is not None else range(5)
    zone: Json = {
        "type": "plain_text_input",
        "action_id": ZONE,
        "max_length": 60,
        "placeholder": _plain("Europe/Berlin"),
    }
    if plan is not None:
        zone["initial_value"] = plan.zone
    return {
        "type": "modal",
        "callback_id": FORM,
        "private_metadata": metadata,
        "title": _plain("Digest of this channel"),
        "submit": _plain("Set"),
        "close": _plain("Cancel"),
        "blocks": [
            section(
                "What needs somebody, what changed, and the certificates that end within 90 days, in one message that "
                "is kept current on its day. `/tls digest off` ends it."
            ),
            _field(
                AT,
                "At",
                {"type": "timepicker", "action_id": AT, "initial_time": f"{plan.at:%H:%M}" if plan else "09:00"},
            ),
            _field(ZONE, "Time zone", zone),
            _field(
                DAYS_OF_WEEK,
                "On",
                {
                    "type": "checkboxes",
                    "action_id": DAYS_OF_WEEK,
                    "options": options,
                    "initial_options": [options[number] for number in chosen],
                },
            ),
        ],
    }


def offer() -> Content:
    """A mention carries no trigger, so the form needs a button to open it."""
    text = f"When shall the digest come? {EXAMPLE}, or by a form."
    return fit(text, [section(text), actions(button("Set the digest", OPEN, "at"))])


def _plain(text: str) -> Json:
    return {"type": "plain_text", "text": text}


def _option(label: str, value: str) -> Json:
    return {"text": _plain(label), "value": value}


def _field(name: str, label: str, element: Json) -> Json:
    return {"type": "input", "block_id": name, "label": _plain(label), "element": element}
