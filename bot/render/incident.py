"""An incident → its root message, the lines in its thread, and the answers to whoever clicked. Pure.

The root says what is, not for how long: it is edited when something happens, and what it says must stay true between.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from bot.incidents import WATCHED_FOR, Why
from bot.model import Content, Entry, Incident, Json, PastCheck, Severity, Transition, Vigil
from bot.render import changes, report, words
from bot.render.limits import actions, button, code, context, cut, fit, foreign, prose, section

COMMAND_TAKEN, SEVERITY, WATCH, UNWATCH = "incident.command", "incident.severity", "incident.watch", "incident.unwatch"
RESOLVE, REOPEN, POSTMORTEM, MORE = "incident.resolve", "incident.reopen", "incident.postmortem", "incident.more"
ACTIONS = (COMMAND_TAKEN, SEVERITY, WATCH, UNWATCH, RESOLVE, REOPEN, POSTMORTEM, MORE)
ADD_TO_TIMELINE = "incident.note"  # the shortcut
TIMELINE, WORKED, BEFORE = "timeline", "worked", "before"
_NOBODY = "-"
_LINES = 40
_SEVERITIES: dict[Severity, str] = {"sev1": "SEV1 critical", "sev2": "SEV2 major", "sev3": "SEV3 minor"}


def named(incident: Incident) -> str:
    return f"INC-{incident.id}"


def when(moment: datetime) -> str:
    """A time in the reader's own zone."""
    return f"<!date^{int(moment.timestamp())}^{{date_short_pretty}} {{time}}|{words.clock(moment)}>"


# ── the root ────────────────────────────────────────────────────────────────────


def root(incident: Incident, check: PastCheck, vigil: Vigil | None) -> Content:
    """The headline of *check*, the newest that speaks for the incident, with the state of the incident in it."""
    return root_of(incident, report.headline(check), vigil)


def root_of(incident: Incident, headline: Content, vigil: Vigil | None) -> Content:
    """*headline*, which says what is the matter, with the state of the incident in it."""
    verdict, *rest = headline.blocks
    facts = [block for block in rest if block["type"] != "actions"]
    buttons = [block for block in rest if block["type"] == "actions"]
    state = [_state(incident), *_watched(vigil)]
    blocks = [*_verdict(incident, verdict), *state, *facts, _buttons(incident, vigil)]
    text = headline.text
    if incident.state == "resolved":
        text = cut(f"{named(incident)} resolved · {text}", 600)
    return fit(text, [*blocks, *buttons])


def _verdict(incident: Incident, verdict: Json) -> list[Json]:
    if incident.state != "resolved":
        return [verdict]
    who = f" by <@{incident.ended_by}>" if incident.ended_by else " by itself"
    at = f", {when(incident.ended_at)}" if incident.ended_at else ""
    lasted = words.span((incident.ended_at or incident.opened_at) - incident.opened_at)
    return [section(f"✅ *{named(incident)} resolved*{who}{at}, after {lasted}. The last verdict:"), verdict]


def _state(incident: Incident) -> Json:
    """One line: cause and clients stand in the facts of the verdict below it, while it is broken."""
    commander = f"<@{incident.commander}>" if incident.commander else "nobody yet"
    # Without a check there is no endpoint: it only tells incidents apart.
    is_told = incident.first_check and incident.endpoint != incident.target
    endpoint = f" · {code(incident.endpoint)}" if is_told else ""
    parts = (
        f"*{named(incident)}*{endpoint}",
        f"*Severity* {_SEVERITIES[incident.severity]}",
        f"*Commander* {commander}",
        f"*Since* {when(incident.opened_at)}",
    )
    line = " · ".join(parts)
    if incident.state == "recovered" and incident.recovered_at is not None:
        line += f"\n*Not broken any more* since {when(incident.recovered_at)}; it was {code(incident.cause)}"
    elif incident.state == "resolved":
        line += f"\n*Cause* {code(incident.cause)}"
    return section(line)


def _watched(vigil: Vigil | None) -> list[Json]:
    if vigil is None:
        return []
    looked = f", last look {when(vigil.looked_at)}: still broken" if vigil.looked_at else ""
    return [context(f"👀 watched until it is fixed, as <@{vigil.user}> asked{looked}")]


def _buttons(incident: Incident, vigil: Vigil | None) -> Json:
    number = str(incident.id)
    if incident.state == "resolved":
        return actions(button("Reopen", REOPEN, number), button("Post-mortem", POSTMORTEM, number), _more(incident))
    watch = button("Watch until fixed", WATCH, number) | {"confirm": _watching(incident)}
    if vigil is not None:
        watch = button("Stop watching", UNWATCH, number)
    resolve = button("Resolve", RESOLVE, number)
    if incident.state == "recovered":
        resolve |= {"style": "primary"}
    command = button("Take command", COMMAND_TAKEN, f"{number}:{incident.commander or _NOBODY}")
    if incident.state == "open" and incident.commander is None:
        command |= {"style": "primary"}
    return actions(
        command,
        _severity(incident),
        *([watch] if incident.state == "open" and incident.first_check else []),
        resolve,
        button("Post-mortem", POSTMORTEM, number),
        _more(incident),
    )


def _watching(incident: Incident) -> Json:
    text = (
        f"I connect to {foreign(incident.target, 120)} again and again, after seconds first and after minutes later, "
        f"for {words.span(WATCHED_FOR)} at most, and tell here once when it is not broken any more."
    )
    return {
        "title": {"type": "plain_text", "text": "Watch until fixed?"},
        "text": {"type": "plain_text", "text": cut(text, 300)},
        "confirm": {"type": "plain_text", "text": "Watch"},
        "deny": {"type": "plain_text", "text": "Cancel"},
    }


def _severity(incident: Incident) -> Json:
    options = {name: _option(label, f"{incident.id}:{name}") for name, label in _SEVERITIES.items()}
    return {
        "type": "static_select",
        "action_id": SEVERITY,
        "placeholder": {"type": "plain_text", "text": "Severity"},
        "options": list(options.values()),
        "initial_option": options[incident.severity],
    }


def _more(incident: Incident) -> Json:
    number = str(incident.id)
    worked = [_option("What changed since it worked", f"{number}:{WORKED}")] if incident.first_check else []
    return {
        "type": "overflow",
        "action_id": MORE,
        "options": [
            _option("Timeline", f"{number}:{TIMELINE}"),
            *worked,
            _option("Seen before", f"{number}:{BEFORE}"),
        ],
    }


def _option(label: str, value: str) -> Json:
    return {"text": {"type": "plain_text", "text": label}, "value": value}


def pressed_value(value: str) -> tuple[int, str]:
    """The incident that a button or option names, 0 for none, and what else its value says."""
    number, _, rest = value.partition(":")
    return (int(number) if number.isascii() and number.isdecimal() and len(number) < 19 else 0), rest


def commander_shown(rest: str) -> str | None:
    return None if rest in {"", _NOBODY} else rest


def severity_shown(rest: str) -> Severity | None:
    return next((name for name in _SEVERITIES if name == rest), None)


# ── in its thread ───────────────────────────────────────────────────────────────


def act(user: str, text: str) -> Content:
    """One line for what somebody did, so that the thread reads as the story."""
    return fit(foreign(text, 300), [context(f"<@{user}> {text}")])


def noted(entry: Entry) -> Content:
    """A note that nobody else saw being made."""
    by = f" (added by <@{entry.added_by}>)" if entry.added_by and entry.added_by != entry.user else ""
    return fit(foreign(entry.text, 600), [section(f"📝 <@{entry.user}>{by}: {prose(entry.text, 2800)}")])


def looked_again(check: PastCheck, transition: Transition) -> Content:
    """What a look of *Watch until fixed* found, when it is news."""
    news = report.news(check.report, transition, check.at)
    text = f"Looked again: {words.SIGN[check.report.status]} {news}."
    return fit(foreign(f"Looked again: {words.STATUS[check.report.status]}", 300), [section(text)])


def recovered(incident: Incident, check: PastCheck, vigil: Vigil | None) -> Content:
    """Told once: it is over, it seems; somebody may say so."""
    people = dict.fromkeys(user for user in (incident.commander, vigil.user if vigil else None) if user)
    called = " ".join(f"<@{user}>" for user in people)
    lasted = words.span(check.at - incident.opened_at)
    state = "healthy again" if check.report.status == "ok" else "not broken any more"
    text = (
        f"{words.SIGN[check.report.status]} *{code(incident.target)} is {state}*, after {lasted} "
        f"(it was {code(incident.cause)}). {called + ': r' if called else 'R'}esolve {named(incident)}?"
    )
    plain = f"{incident.target} is {state}, after {lasted}. Resolve {named(incident)}?"
    return fit(foreign(plain, 600), [section(text), actions(button("Resolve", RESOLVE, str(incident.id)))])


def gave_up_watching(incident: Incident, vigil: Vigil, why: str = "") -> Content:
    because = prose(why, 600) if why else f"{words.span(WATCHED_FOR)} are over, and it is still broken."
    text = f"<@{vigil.user}> I stopped watching {code(incident.target)}: {because}"
    return fit(foreign(f"I stopped watching {incident.target}", 300), [section(text)])


def context_of(
    incident: Incident,
    check: PastCheck,
    good: PastCheck | None,
    alike: Sequence[tuple[Incident, str]],
    now: datetime,
    *,
    appeared: Sequence[str] = (),
) -> Content | None:
    """What a new incident brings with it: what changed since it last worked, and what was like it; None for nothing.

    *appeared*: certificates that CT logs took shortly before, in mrkdwn."""
    blocks = []
    if good is not None:
        blocks.append(_worked(good, check, appeared))
    elif appeared:
        lines = "\n".join(f"• {line}" for line in appeared)
        blocks.append(section(cut(f"*What changed shortly before*\n{lines}", 2900)))
    if alike:
        blocks.append(_before(incident, alike, now))
    return fit(foreign(f"What is known about {incident.target} from before", 300), blocks) if blocks else None


def worked(check: PastCheck, good: PastCheck | None, appeared: Sequence[str] = ()) -> Content:
    if good is None:
        name = code(words.named(check.report.target))
        text = f"No check of {name} found it working yet, neither here nor in a public channel."
        text += "".join(f"\n• {line}" for line in appeared)
        return fit(foreign(text, 300), [section(text)])
    name = words.named(check.report.target)
    return fit(foreign(f"What changed at {name} since it last worked", 300), [_worked(good, check, appeared)])


def _worked(good: PastCheck, check: PastCheck, appeared: Sequence[str] = ()) -> Json:
    since = f"{when(good.at)}, {words.span(check.at - good.at)} before"
    lines = [*appeared, *changes.differences(good.report, check.report)]
    told = "\n".join(f"• {line}" for line in lines[:12]) or "Nothing that I can see."
    more = f"\n… {len(lines) - 12} more" if len(lines) > 12 else ""
    return section(cut(f"*What changed since it last worked* ({since})\n{told}{more}", 2900))


def before(incident: Incident, alike: Sequence[tuple[Incident, str]], now: datetime) -> Content:
    if not alike:
        text = "I remember no earlier incident of this host, this cause or this issuer."
        return fit(text, [section(text)])
    return fit(foreign(f"Seen before: {len(alike)}", 300), [_before(incident, alike, now)])


def _before(incident: Incident, alike: Sequence[tuple[Incident, str]], now: datetime) -> Json:
    lines = "\n".join(f"• {_alike(incident, each, link, now)}" for each, link in alike)
    return section(cut(f"*Seen before*\n{lines}", 2900))


def _alike(incident: Incident, each: Incident, link: str, now: datetime) -> str:
    name = f"<{link}|{named(each)}>" if link else named(each)
    shared = [
        word
        for word, is_same in (
            ("host", each.host == incident.host),
            ("cause", each.cause == incident.cause),
            ("issuer", bool(each.issuer) and each.issuer == incident.issuer),
        )
        if is_same
    ]
    return f"{name} {code(each.target, 120)} {code(each.cause, 60)} (same {' and '.join(shared)}): {ending(each, now)}"


def ending(incident: Incident, now: datetime) -> str:
    """How it ended and how long it took, as half a sentence."""
    if incident.state == "resolved":
        ended = incident.ended_at or incident.opened_at
        who = f"resolved by <@{incident.ended_by}>" if incident.ended_by else "it went away"
        return f"{who} after {words.span(ended - incident.opened_at)} ({ended:%Y-%m-%d})"
    if incident.state == "recovered":
        return f"not broken since {words.clock(incident.recovered_at or incident.opened_at)}, not resolved yet"
    return f"open for {words.span(now - incident.opened_at)}"


def timeline(incident: Incident, entries: Sequence[Entry]) -> Content:
    """The story so far, for whoever asks."""
    shown = entries[-_LINES:]
    left_out = len(entries) - len(shown)
    lines = [f"… {left_out} earlier; the post-mortem has all"] if left_out else []
    lines += [f"{when(entry.at)}  {_line(entry)}" for entry in shown]
    blocks = [section(f"*Timeline of {named(incident)}* · {code(incident.target)}")]
    for first in range(0, len(lines), 8):
        blocks.append(section(cut("\n".join(lines[first : first + 8]), 2900)))
    return fit(foreign(f"Timeline of {named(incident)}", 200), blocks)


def _line(entry: Entry) -> str:
    match entry.kind:
        case "note":
            edited = " (edited)" if entry.edited_ts else ""
            return f"📝 <@{entry.user}>: {prose(entry.text, 240)}{edited}"
        case "act":
            return f"<@{entry.user}> {entry.text}"
        case "verdict":
            return prose(entry.text, 240)


# ── for one person ──────────────────────────────────────────────────────────────


def linked(incident: Incident, link: str, *, is_running: bool = False) -> Content:
    """For whoever asks for a check of what has an incident already."""
    name = f"<{link}|{named(incident)}>" if link else named(incident)
    doing = "is being checked there right now" if is_running else "is checked there, and its message will change"
    text = f"{code(incident.target)} has an incident in this channel: {name}. It {doing}."
    return fit(foreign(f"{incident.target} has an incident here: {named(incident)}", 300), [section(text)])


def belonging(headline: Content, incident: Incident) -> Content:
    """The headline of a check that ended after another one had opened the incident."""
    note = context(f"This belongs to {named(incident)}, which another check opened meanwhile.")
    return fit(headline.text, [*headline.blocks, note])


def note_taken(incident: Incident, link: str, *, is_new: bool) -> Content:
    name = f"<{link}|{named(incident)}>" if link else named(incident)
    text = f"📝 Noted in the timeline of {name}." if is_new else f"That is in the timeline of {name} already."
    return fit(foreign(f"Noted in {named(incident)}", 100), [section(text)])


def no_incident() -> Content:
    return words.answer(
        "There is no open incident in this channel to note that for. A broken `/tls check HOST[:PORT]` opens one; in "
        "the thread of an older one, mention me: `note TEXT`."
    )


def gone() -> Content:
    return words.answer("I no longer know the incident behind this button. `/tls history` shows those I remember.")


def refused(why: Why, incident: Incident, user: str) -> Content:
    """Why a click changed nothing."""
    name = named(incident)
    commander = f"<@{incident.commander}>" if incident.commander else "nobody"
    match why:
        case "yours":
            text = f"You have command of {name} already."
        case "taken":
            text = f"{commander} has command of {name} since your screen was drawn. To take over, press again."
        case "resolved":
            by = f" by <@{incident.ended_by}>" if incident.ended_by else ""
            at = f", {when(incident.ended_at)}" if incident.ended_at else ""
            text = f"{name} was resolved{by}{at}. *Reopen* it first."
        case "standing":
            text = f"{code(incident.target)} has an incident that stands: {name}."
        case "same":
            text = f"{name} is {_SEVERITIES[incident.severity]} already."
        case "watched":
            text = f"I watch {code(incident.target)} already, and tell in the thread of {name} when it works."
        case "unwatched":
            text = f"I do not watch {code(incident.target)} at the moment."
        case "healthy":
            text = f"{code(incident.target)} was not broken when it was checked last; there is nothing to wait for."
    return fit(foreign(f"{name}: nothing was changed", 200), [section(text)])


def exported(incident: Incident, kind: str) -> Content:
    """What is said beside a post-mortem's file, and in its place where Slack takes no file."""
    return Content(text=f"Post-mortem of {named(incident)} ({kind})")


def exported_already(incident: Incident) -> Content:
    return words.answer(f"Nothing happened in {named(incident)} since its last post-mortem, which is in the thread.")


def note_gone(entry: Entry) -> Content:
    how = "was deleted" if entry.state == "deleted" else "was taken out of the timeline"
    return fit("A note was removed", [context(f"📝 a note of <@{entry.user}> {how}")])
