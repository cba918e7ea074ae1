"""A digest → one message: what needs somebody, what changed, the horizon as a picture, the rest folded. Pure.

It says what is and since when, not for how long: the message is kept current on its day, and an edit that changes
nothing but a duration would be noise.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from zoneinfo import ZoneInfo

from bot.digest import SLOW_DAYS, Curve, Digest, Ending, Item
from bot.digest_times import DAYS, EXAMPLE, DigestPlan, next_due
from bot.model import Content, Json
from bot.render import words
from bot.render.figures import Expiry, Figure, Horizon, Lane, Sparkline, Sparklines, days
from bot.render.limits import actions, button, code, context, cut, fit, foreign, section
from bot.render.watch import owner as mention

_SIGN = {"critical": "🔴", "warning": "🟠", "notice": "🔵"}
_MOST_NEEDS, _MOST_CHANGED = 12, 12
_UNOWNED = "no owner"


def said(digest: Digest, *, zone: str, links: Mapping[str, str], images: Sequence[Json] = ()) -> Content:
    """The whole message. *links*: the permalinks of messages, by their keys; *images*: blocks of `figures_of`."""
    head = f"*TLS digest* · {_day(digest.at, zone)}"
    if digest.is_quiet:
        line = f"{head} · nothing needs you. {_quietly(digest)}"
        return fit(cut(line, 600), [section(line), *images, *_aside(digest)])
    blocks = [section(f"{head} · {_counted(digest)}")]
    if digest.needs:
        blocks.append(section(_listed("*Needs somebody*", digest.needs, links, _MOST_NEEDS)))
    if digest.changed:
        since = f"*Changed since {_since(digest.since, zone)}*"
        blocks.append(section(_listed(since, digest.changed, links, _MOST_CHANGED)))
    blocks += images
    more = [*digest.needs[_MOST_NEEDS:], *digest.changed[_MOST_CHANGED:]]
    folded = [*blocks, *_folded(digest, more, links)]
    text = f"TLS digest: {_counted(digest)}"
    return fit(text, folded, classic=[*blocks, *_unfolded(digest, more)])


def figures_of(digest: Digest, people: Mapping[str, str]) -> tuple[Figure, ...]:
    """What its pictures are to show. *people*: the names of owners, by their ids."""
    figures: list[Figure] = []
    if digest.endings:
        figures.append(_horizon(digest, people))
    if digest.curves:
        lines = tuple(_sparkline(curve) for curve in digest.curves)
        caption = f"median of each day, last {SLOW_DAYS} days, where the newest stands out"
        figures.append(Sparklines(title="Handshakes that became slower", caption=caption, lines=lines))
    return tuple(figures)


# ── its parts ───────────────────────────────────────────────────────────────────


def _day(at: datetime, zone: str) -> str:
    return f"{at.astimezone(ZoneInfo(zone)):%A, %-d %B}"


def _since(at: datetime, zone: str) -> str:
    local = at.astimezone(ZoneInfo(zone))
    return f"{local:%A %H:%M}"


def _counted(digest: Digest) -> str:
    parts = []
    if digest.needs:
        verb = "needs" if len(digest.needs) == 1 else "need"
        parts.append(f"{words.counted(len(digest.needs), 'thing')} {verb} somebody")
    if digest.changed:
        parts.append(f"{words.counted(len(digest.changed), 'change')}")
    return ", ".join(parts)


def _quietly(digest: Digest) -> str:
    if not digest.watched:
        return "Nothing is watched here yet: `/tls watch add HOST`."
    ahead = ""
    if digest.next_ending is not None:
        left = (digest.next_ending.at - digest.at).total_seconds() / 86_400
        ahead = f" The next certificate ends in {days(left)}: {code(_short(digest.next_ending.subject), 120)}."
    return f"{_states(digest)}.{ahead}"


def _states(digest: Digest) -> str:
    fine = digest.counts.get("ok", 0) + digest.counts.get("warning", 0)
    if fine == digest.watched:
        work = "works" if fine == 1 else "all work" if fine > 2 else "both work"
        return f"{words.counted(digest.watched, 'endpoint')} watched, {work}"
    names = (("ok", "fine"), ("warning", "with a warning"), ("broken", "broken"), ("not looked at yet", "not seen yet"))
    parts = [f"{digest.counts[state]} {name}" for state, name in names if digest.counts.get(state)]
    return f"{words.counted(digest.watched, 'endpoint')} watched: {', '.join(parts)}"


def _listed(title: str, items: Sequence[Item], links: Mapping[str, str], most: int) -> str:
    lines = [_line(item, links) for item in items[:most]]
    if len(items) > most:
        lines.append(f"… {len(items) - most} more below")
    return "\n".join([title, *lines])


def _line(item: Item, links: Mapping[str, str]) -> str:
    owner = f" · {mention(item.owner)}" if item.owner else ""
    link = f" · <{links[item.key]}|thread>" if item.key in links else ""
    return cut(f"{_SIGN[item.weight]} {code(_short(item.subject), 120)} {item.text}{owner}{link}", 230)


def _short(target: str) -> str:
    """As people write it: the usual port is left out."""
    return target.removesuffix(":443")


def _aside(digest: Digest) -> list[Json]:
    return [context("\n".join(digest.aside[:10]))] if digest.aside else []


def _folded(digest: Digest, more: Sequence[Item], links: Mapping[str, str]) -> list[Json]:
    """The rest, in one block that is closed until somebody opens it."""
    lines = [_line(item, links) for item in more[:40]]
    parts = [section(part) for part in _parts([*lines, *digest.aside[:10]])]
    parts.append(context(f"{_states(digest)}."))
    title = {"type": "plain_text", "text": "Everything else"}
    return [{"type": "container", "title": title, "is_collapsible": True, "default_collapsed": True,
             "child_blocks": parts[:10]}]  # fmt: skip


def _unfolded(digest: Digest, more: Sequence[Item]) -> list[Json]:
    count = f"{words.counted(len(more), 'line')} more. " if more else ""
    return [context(cut(f"{count}{_states(digest)}. " + " ".join(digest.aside[:5]), 1900))]


def _parts(lines: Sequence[str]) -> list[str]:
    parts, current = [], ""
    for line in lines:
        if len(current) + len(line) > 2500:
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
    return Horizon(
        title="Certificates that end within 90 days",
        caption=f"{len(digest.endings)} of {words.counted(digest.watched, 'watched endpoint')}, by owner",
        lanes=tuple(
            Lane(
                owner=people.get(owner, owner) if owner else _UNOWNED,
                expiries=tuple(
                    Expiry(label=_short(each.subject), days_left=(each.at - digest.at).total_seconds() / 86_400)
                    for each in ends
                ),
            )
            for owner, ends in soonest
        ),
    )


def _sparkline(curve: Curve) -> Sparkline:
    known = [each for each in curve.medians if each is not None]
    usual = sorted(known[:-1])[len(known[:-1]) // 2]
    note = f"{known[-1]:.0f} ms, usually {usual:.0f}"
    return Sparkline(label=_short(curve.subject), points=curve.medians, note=note, tone="attention")


# ── answers ─────────────────────────────────────────────────────────────────────


def planned(plan: DigestPlan, now: datetime, user: str) -> Content:
    _, moment = next_due(plan, now)
    at = f"<!date^{int(moment.timestamp())}^{{date_short_pretty}} {{time}}|{words.clock(moment)}>"
    asked = f"This channel gets its digest at *{plan}*, as <@{user}> asked."
    text = f"{asked} The next one: {at}. `/tls digest now` shows one."
    return fit(text, [section(text)])


def off(had: bool) -> Content:
    text = "This channel gets no digest any more." if had else f"This channel has no digest. {EXAMPLE} sets one."
    return fit(text, [section(text)])


def not_allowed(groups: Sequence[str], *, is_unknown: bool) -> Content:
    who = " or ".join(f"<!subteam^{foreign(group, 30)}>" for group in groups)
    if not groups:
        who = "members of this workspace"
    text = f"When digests come is for {who} to say."
    if is_unknown:
        text = f"When digests come is for {who} to say, and Slack did not tell me now who that is. Please try again."
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
