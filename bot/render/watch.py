"""The watch list in Slack: the list, the form, sweeps, floods, and what `history` tells of looks. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Any, Final

from bot.model import Content, Json
from bot.render import words
from bot.render.limits import actions, button, code, context, cut, fit, foreign, prose, section
from bot.watched import MOST_WATCHED, Flood, Look, Page, Tally, Watch
from probes.catalogue import CATALOGUE
from probes.model import DEFAULT_PORT, STARTTLS_PROTOCOLS, Status, Target

WATCH_PAGE, WATCH_ADD, WATCH_FORM = "watch.page", "watch.add", "watch_form"
# Fields of the form: block_id and action_id are the same.
HOST, PERSON, GROUP, LABELS, STARTTLS, SNI, CAS, IDENTITY, BUNDLE, BUNDLE_REST = FIELDS = (
    "host",
    "person",
    "group",
    "labels",
    "starttls",
    "sni",
    "cas",
    "identity",
    "bundle",
    "bundle_rest",
)
LINES: Final = 12
_SHOWN_FAILING: Final = 15  # of one cause
_SHOWN_CAUSES: Final = 6
_SHOWN_PROBLEMS: Final = 10
_FIELD_LIMIT: Final = 3000


# ── small words ─────────────────────────────────────────────────────────────────


def named(target: Target) -> str:
    """The endpoint, with what is said to it beside its name."""
    expected = None if target.is_ip else target.host
    name = f" --sni {target.server_name}" if target.server_name and target.server_name != expected else ""
    return words.named(target) + name + (f" --starttls {target.starttls}" if target.starttls else "")


def owner(who: str | None) -> str:
    """A mention of the owner; empty without one."""
    if not who:
        return ""
    return f"<!subteam^{who}>" if who.startswith("S") else f"<@{who}>"


def _when(moment: datetime) -> str:
    return f"<!date^{int(moment.timestamp())}^{{date_short_pretty}} {{time}}|{words.clock(moment)}>"


def _ends(watch: Watch, now: datetime) -> str:
    at = watch.lookout.expires_at
    if at is None:
        return ""
    return f"expired {words.span(now - at)} ago" if at < now else f"{words.span(at - now)} left"


def _sign(watch: Watch) -> str:
    return words.SIGN[watch.lookout.status] if watch.lookout.status else "⚪"


# ── the list ────────────────────────────────────────────────────────────────────


def listing(page: Page, word: str, now: datetime, troubles: Mapping[int, str] = MappingProxyType({})) -> Content:
    """A page of them: the broken ones first, then those that end first. *troubles*: lookouts that could not be looked
    at, and why."""
    about = f" with {code(word, 60)}" if word else ""
    if not page.watches:
        text = (
            f"Nothing{about} is watched in this channel. {code('/tls watch add HOST')} watches an endpoint; a file of "
            f"them, dropped here with the message {code('@clienthello watch import')}, all at once."
        )
        return fit(text, [section(text)])
    counts, total, start, end = page.counts, page.total, page.start, page.start + len(page.watches)
    kinds: tuple[tuple[Status, str], ...] = (("broken", "broken"), ("warning", "with warnings"), ("ok", "ok"))
    state = ", ".join(f"{words.SIGN[status]} {counts[status]:,} {name}" for status, name in kinds if counts.get(status))
    waiting = f", {counts[None]:,} not looked at yet" if counts.get(None) else ""
    head = f"*{words.counted(total, 'endpoint')}*{about} watched here: {state}{waiting}".replace(": ,", ":")
    blocks = [
        section(head),
        *(section(_line(watch, now, troubles.get(watch.lookout.id, ""))) for watch in page.watches),
    ]
    turns = []
    if start > 0:
        turns.append(button("Back", WATCH_PAGE, _page_value(word, max(0, start - LINES))))
    if end < total:
        turns.append(button("More", WATCH_PAGE, _page_value(word, end)))
    if turns:
        blocks += [context(f"{start + 1:,} to {end:,} of {total:,}"), actions(*turns)]
    return fit(f"{words.counted(total, 'endpoint')} watched here", blocks)


def _page_value(word: str, start: int) -> str:
    return json.dumps({"word": word, "start": start}, ensure_ascii=False)


def page_asked(value: str) -> tuple[str, int]:
    """The word and the place that a button carries; the beginning of all where it carries none."""
    try:
        found = json.loads(value)
        return str(found["word"]), int(found["start"])
    except (ValueError, KeyError, TypeError):
        return "", 0


def _line(watch: Watch, now: datetime, trouble: str) -> str:
    lookout = watch.lookout
    parts = [f"{_sign(watch)} {code(named(watch.target), 200)}"]
    if lookout.status == "broken":
        since = f" for {words.span(now - lookout.broken_since)}" if lookout.broken_since else ""
        parts.append(f"*{code(lookout.cause or 'broken', 60)}*{since}")
    elif lookout.status == "warning":
        parts.append(code(lookout.cause or "warning", 60))
    parts.append(_ends(watch, now))
    parts.append(owner(watch.owner))
    parts.append(" ".join(code(label, 60) for label in watch.labels))
    if watch.snoozed_until is not None and watch.snoozed_until > now:
        parts.append(f"💤 until {_when(watch.snoozed_until)}")
    if trouble:
        parts.append(f"⛔ {prose(trouble, 300)}")
    elif lookout.status is None:
        parts.append("not looked at yet")
    return " · ".join(part for part in parts if part)


# ── single watches ──────────────────────────────────────────────────────────────


def added(watch: Watch, *, old: Watch | None, every: timedelta) -> Content:
    """What is watched from now on, and how; *old*: as it was watched before."""
    done = "I watch it from now on"
    if old is not None:
        is_same = watch == replace(old, lookout=watch.lookout) and watch.lookout.id == old.lookout.id
        done = "I watch it already" if is_same else "I watch it differently from now on"
    parts = [
        f"{code(named(watch.target), 260)}: {done}, with a light look every {words.span(every)} and a full check a "
        "day. What breaks opens an incident here."
    ]
    if watch.owner:
        parts.append(f"Owner: {owner(watch.owner)}.")
    if watch.labels:
        parts.append(f"Labels: {', '.join(code(label, 60) for label in watch.labels)}.")
    if watch.expected_cas:
        parts.append(f"Expected CAs: {', '.join(code(name, 80) for name in watch.expected_cas)}.")
    if watch.lookout.identity:
        parts.append(f"Its client identity: {code(watch.lookout.identity, 60)}.")
    if watch.lookout.bundle:
        parts.append("The CA bundle is trusted for it, beside the default store.")
    if old is not None:
        parts.append(f"What you did not say stays as it was; {code('watch remove')} first begins anew.")
    text = " ".join(parts)
    return fit(foreign(f"{named(watch.target)} is watched", 300), [section(text)])


def full(most: int = MOST_WATCHED) -> Content:
    text = (
        f"I watch {most:,} endpoints for this workspace already, which is as many as I can. "
        f"{code('/tls watch remove HOST')} makes room."
    )
    return fit(text, [section(text)])


def removed(target: Target) -> Content:
    text = f"{code(named(target), 260)} is not watched here any more. Its looks go with its last watch."
    return fit(text, [section(text)])


def unknown(target: Target, alike: Sequence[Target] = ()) -> Content:
    """*alike*: what is watched of that host."""
    hint = f"{code('/tls watch list')} shows what is; each watch belongs to the channel it was added in."
    if alike:
        hint = f"Of that host I watch {words.listed((code(named(each), 200) for each in alike), 5)}."
    text = f"{code(named(target), 260)} is not watched in this channel. {hint}"
    return fit(text, [section(text)])


def snoozed(watch: Watch, until: datetime) -> Content:
    text = (
        f"{code(named(watch.target), 260)}: I say nothing of it here until {_when(until)}. The looks go on; if it is "
        "broken then, I say so."
    )
    return fit(text, [section(text)])


def nothing_to_sweep(word: str) -> Content:
    about = f" with {code(word, 60)}" if word else ""
    text = f"Nothing{about} is watched in this channel, so there is nothing to look at."
    return fit(text, [section(text)])


def calls(watch: Watch) -> Content:
    """Whoever owns it is called, once an incident."""
    text = f"{owner(watch.owner)} {code(named(watch.target), 200)} is broken, and it is yours."
    return fit(text, [section(text)])


def calls_all(owners: Iterable[str]) -> Content:
    text = f"{' '.join(owner(each) for each in sorted(owners)[:40])} some of these are yours."
    return fit(text, [section(text)])


# ── floods, outages ─────────────────────────────────────────────────────────────


def flood(flood: Flood, total: int) -> Content:
    """What failed together, in one message."""
    failing = [each for each in flood.members.values() if not each.is_over]
    over = len(flood.members) - len(failing)
    if not failing:
        head = f"🟢 *All {len(flood.members):,} endpoints that failed together work again.*"
        head += f" It began {_when(flood.began_at)}."
        return fit(f"All {len(flood.members)} endpoints that failed together work again", [section(head)])
    share = f"{_share(len(failing), total)} fail together"
    if over:
        share = f"{len(failing):,} of the {len(flood.members):,} endpoints that failed together still fail"
    head = f"🔴 *{share}*, since {_when(flood.began_at)}"
    by_cause: dict[str, list[str]] = {}
    for each in failing:
        by_cause.setdefault(each.cause, []).append(each.target.removesuffix(f":{DEFAULT_PORT}"))
    causes = sorted(by_cause.items(), key=lambda one: -len(one[1]))
    blocks = [section(head), *(section(_failing(cause, those)) for cause, those in causes[:_SHOWN_CAUSES])]
    if len(causes) > _SHOWN_CAUSES:
        blocks.append(context(f"and {words.counted(len(causes) - _SHOWN_CAUSES, 'cause')} more"))
    note = "One message instead of one each: look for what they share. `/tls check HOST` opens an incident for one"
    blocks.append(context(f"{note}, {code('/tls watch list broken')} lists all."))
    return fit(f"{len(failing)} watched endpoints fail together", blocks)


def _share(failing: int, total: int) -> str:
    """How many, of those watched here."""
    if total <= failing:
        return f"All {failing:,} endpoints watched here" if total == failing else f"{failing:,} endpoints"
    return f"{failing:,} of the {total:,} endpoints watched here"


def _failing(cause: str, targets: Sequence[str]) -> str:
    """What is wrong, once, and with which of them."""
    known = CATALOGUE.get(cause)
    what = f"*{known.title}*  " if known is not None else ""
    names = words.listed((code(each, 120) for each in targets), _SHOWN_FAILING)
    return cut(f"{what}{code(cause, 60)} {len(targets):,}\n{names}", 2900)


def flood_over(flood: Flood, now: datetime) -> Content:
    text = f"🟢 All {len(flood.members):,} work again, after {words.span(now - flood.began_at)}."
    return fit(text, [section(text)])


def outage(tried: int, began: datetime, ended: datetime | None) -> Content:
    """We reach nothing: that says more about us than about anything watched."""
    if ended is not None:
        text = (
            f"🟢 I reach what I watch again, since {_when(ended)}. For {words.span(ended - began)} I reached nothing "
            "of it; nothing that I saw then counts."
        )
        return fit("I reach what I watch again", [section(text)])
    text = (
        f"🟠 *I reach nothing of what I watch*, since {_when(began)}: all {words.counted(tried, 'endpoint')} that I "
        "tried and that worked before. My own network is likelier at fault than all of them. No alarms until something "
        "answers; I try every half a minute."
    )
    return fit("I reach nothing of what I watch: my own network?", [section(text)])


# ── sweeps ──────────────────────────────────────────────────────────────────────


def sweeping(tally: Tally) -> Content:
    share = tally.done / tally.total if tally.total else 1.0
    bar = "█" * round(share * 20) + "░" * (20 - round(share * 20))
    text = f"⏳ Looking at {words.counted(tally.total, 'endpoint')}: `{bar}` {tally.done:,}" + _results(tally, "\n")
    return fit(f"Looking at {words.counted(tally.total, 'endpoint')}: {tally.done:,} done", [section(text)])


def swept(tally: Tally, took: timedelta, failed: Sequence[str], broken: Sequence[tuple[Target, str]] = ()) -> Content:
    """What a sweep found: which are broken, and which could not be looked at."""
    time = words.span(took) if took >= timedelta(seconds=1) else "under a second"
    text = f"Looked at {words.counted(tally.total, 'endpoint')} in {time}" + _results(tally, "\n")
    blocks = [section(text)]
    if broken:
        known = [f"🔴 {code(named(target), 200)} {code(cause, 60)}" for target, cause in sorted(broken, key=_by_host)]
        more = f"\nand {len(known) - _SHOWN_PROBLEMS:,} more: {code('/tls watch list broken')}"
        lines = "\n".join(known[:_SHOWN_PROBLEMS]) + (more if len(known) > _SHOWN_PROBLEMS else "")
        blocks.append(section(cut(lines, 2900)))
    if failed:
        lines = "\n".join(foreign(line, 250) for line in failed[:_SHOWN_PROBLEMS])
        more = f"\nand {len(failed) - _SHOWN_PROBLEMS:,} more" if len(failed) > _SHOWN_PROBLEMS else ""
        blocks.append(section(cut(f"*Not looked at*\n{lines}{more}", 2900)))
    plain = "all ok" if tally.ok == tally.total else _results(tally).removeprefix(" · ")
    return fit(f"Looked at {words.counted(tally.total, 'endpoint')}: {plain}", blocks)


def _by_host(one: tuple[Target, str]) -> tuple[str, int]:
    return one[0].host, one[0].port


def _results(tally: Tally, before: str = " · ") -> str:
    parts = [
        f"{sign} {count:,} {name}"
        for sign, count, name in (
            ("🔴", tally.broken, "broken"),
            ("🟠", tally.warning, "with warnings"),
            ("🟢", tally.ok, "ok"),
            ("⚪", tally.failed, "could not be looked at"),
        )
        if count
    ]
    return before + ", ".join(parts) if parts else ""


def broken_off(tally: Tally) -> Content:
    text = (
        f"⏸ I was stopped after {tally.done:,} of {words.counted(tally.total, 'endpoint')}{_results(tally)}. The "
        "others are looked at when I am back, and `/tls watch list` has what was seen."
    )
    return fit("The sweep was interrupted", [section(text)])


# ── the form ────────────────────────────────────────────────────────────────────


def offer() -> Content:
    """A mention carries no trigger, so the form needs a button to open it."""
    text = "A watch is set up in a form, which this button opens."
    return fit(text, [section(text), actions(button("Watch an endpoint", WATCH_ADD, "add"))])


def form(metadata: str) -> Json:
    """The modal that asks what to watch."""
    protocols = [_option(name) for name in STARTTLS_PROTOCOLS]
    return {
        "type": "modal",
        "callback_id": WATCH_FORM,
        "private_metadata": metadata,
        "title": _plain("Watch an endpoint"),
        "submit": _plain("Watch"),
        "close": _plain("Cancel"),
        "blocks": [
            _input(HOST, "Host, with a port if it is not 443", _typed("api.example.com:8443", most=300)),
            _input(
                PERSON,
                "Owner",
                {"type": "users_select", "placeholder": _plain("who is called when it breaks")},
                optional=True,
            ),
            _input(GROUP, "Or a user group, by its id", _typed("S0123ABCD", most=40), optional=True),
            _input(LABELS, "Labels, with commas", _typed("payments, edge", most=420), optional=True),
            _input(
                STARTTLS,
                "STARTTLS",
                {"type": "static_select", "placeholder": _plain("TLS from the first byte"), "options": protocols},
                optional=True,
            ),
            _input(SNI, "Server name, if it is another one", _typed("api.example.com", most=253), optional=True),
            _input(CAS, "Expected CAs, one a line", _typed("Let's Encrypt", lines=True), optional=True),
            _input(IDENTITY, "Client identity, by its name", _typed("payments", most=40), optional=True),
            _input(
                BUNDLE,
                "CA bundle (PEM) trusted for it, beside the default store",
                _typed("-----BEGIN CERTIFICATE-----", lines=True),
                optional=True,
            ),
            _input(
                BUNDLE_REST, "Rest of a bundle of more than 3,000 characters", _typed("", lines=True), optional=True
            ),
        ],
    }


def _plain(text: str) -> Json:
    return {"type": "plain_text", "text": text}


def _option(name: str) -> Json:
    return {"text": _plain(name), "value": name}


def _typed(example: str, *, lines: bool = False, most: int = _FIELD_LIMIT) -> Json:
    element: dict[str, Any] = {"type": "plain_text_input", "multiline": lines, "max_length": most}
    return element | ({"placeholder": _plain(example)} if example else {})


def _input(name: str, label: str, element: Json, *, optional: bool = False) -> Json:
    return {
        "type": "input",
        "block_id": name,
        "label": _plain(label),
        "element": {**element, "action_id": name},
        "optional": optional,
    }


# ── what `history` tells ────────────────────────────────────────────────────────


def remembered(found: Sequence[tuple[Watch, Sequence[Look]]], now: datetime) -> str:
    """The looks of what is watched, in words; empty when there are none."""
    lines = [line for watch, runs in found for line in _runs(watch, runs, now)]
    return "\n".join(["*Watched*", *lines]) if lines else ""


def _runs(watch: Watch, runs: Sequence[Look], now: datetime) -> list[str]:
    if not runs:
        return [f"{code(named(watch.target), 200)} not looked at yet"]
    return [f"{_sign(watch)} {code(named(watch.target), 200)}", *(f"    {_run(look, now)}" for look in runs[:4])]


def _run(look: Look, now: datetime) -> str:
    """ "🟢 the same since 12 Nov 2026, 1,204 light looks, the last 4 minutes ago"."""
    seen = look.sighting
    cause = f" {code(seen.cause, 60)}" if seen.cause else ""
    what = "light look" if look.kind == "light" else "full check"
    if look.count == 1:
        return f"{words.SIGN[seen.status]}{cause} {what} {words.span(now - look.last_at)} ago"
    last = f"the last {words.span(now - look.last_at)} ago"
    return (
        f"{words.SIGN[seen.status]}{cause} the same since {look.first_at.day} {look.first_at:%b %Y}, "
        f"{words.counted(look.count, what)}, {last}"
    )
