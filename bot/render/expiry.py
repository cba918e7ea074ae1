"""A lineage → the root of its thread, the lines in it, and the answers to whoever clicked. Pure.

The root says what is, not for how long: dates, never "in twelve days". People are called by new messages alone, since
an edit calls nobody.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Final

from bot import expiry
from bot.expiry import CRITICAL, Certificates, Concern, Step
from bot.lineages import SNOOZES, Lineage, Say, Why
from bot.masses import Mass
from bot.model import Content, Json
from bot.render import words
from bot.render.incident import when
from bot.render.limits import actions, button, code, context, cut, fit, foreign, prose, section
from bot.render.watch import owner as mention
from probes.model import DEFAULT_PORT

ACKNOWLEDGE, SNOOZE = "lineage.acknowledge", "lineage.snooze"
ACTIONS = (ACKNOWLEDGE, SNOOZE)
_SNOOZES = {"1d": "1 day", "3d": "3 days", "1w": "1 week"}
_SHOWN = 6
STEPS: Final[dict[Step, str]] = {
    "overdue": "renewal is overdue",
    "undeployed": "renewed, and not in use everywhere",
    "sixth": "not renewed yet",
    "wanted": "its CA wants it replaced",
    "twelfth": "still not renewed",
    "last": "about to expire",
    "expired": "expired",
    "revoked": "revoked",
}
_LEFT = {"sixth": 6, "twelfth": 12, "last": 24}  # of the whole lifetime


# ── the thread ──────────────────────────────────────────────────────────────────


def root(lineage: Lineage, concern: Concern, certificates: Certificates, *, calls: bool = False) -> Content:
    """What is the matter, since when it is known, and what may be done about it."""
    called = f"{mention(lineage.owner)} " if calls and lineage.owner else ""
    head = f"{_sign(concern)} {called}{_headline(lineage, concern, certificates)}"
    blocks = [section(head), context(_facts(lineage, concern, certificates))]
    states = _states(lineage)
    if states:
        blocks.append(context(states))
    return fit(_plain(lineage, concern), [*blocks, *_buttons(lineage, concern)])


def closed(lineage: Lineage, certificates: Certificates) -> Content:
    """The root once it is over."""
    text = _ending(lineage, certificates)
    return fit(foreign(f"{lineage.name}: {_ENDED[lineage.ended or 'renewed']}", 300), [section(text)])


def said(lineage: Lineage, say: Say, certificates: Certificates, now: datetime) -> Content:
    """One line in the thread. It is not edited, so it may say how long there is left."""
    called = f"{mention(lineage.owner)} " if say.calls and lineage.owner else ""
    concern = say.concern
    if concern is None:
        text = _ending(lineage, certificates)
        return fit(foreign(f"{lineage.name}: {_ENDED[lineage.ended or 'renewed']}", 300), [section(text)])
    left, name = words.span(concern.not_after - now), _among(lineage)
    is_over = concern.not_after <= now
    match say.kind:
        case "again":
            text = f"it is back. {_headline(lineage, concern, certificates)}"
        case "repeat":
            text = f"{name}nobody has acknowledged this warning yet" + ("." if is_over else f"; {left} left.")
        case "snooze-over":
            text = f"{name}the snooze is over" + ("." if is_over else f"; {left} left, and nothing has changed.")
        case _ if concern.step in _LEFT and concern.is_leaf:
            text = f"{name}{left} left, and the certificate {_at(concern)}is {_state(concern)}."
        case _:
            text = _headline(lineage, concern, certificates)
    return fit(_plain(lineage, concern), [section(f"{_sign(concern)} {called}{text}")])


def _plain(lineage: Lineage, concern: Concern) -> str:
    """For notifications: no markup but what Slack takes there."""
    what = "an older one is in use again" if concern.is_back else STEPS[concern.step]
    return foreign(f"Certificate of {lineage.name}: {what} (until {concern.not_after:%Y-%m-%d})", 300)


def _sign(concern: Concern) -> str:
    return "🔴" if concern.step in CRITICAL else "🟠"


def _among(lineage: Lineage) -> str:
    """Which one is meant, where others are told in the same thread."""
    return f"{code(lineage.name, 120)}: " if lineage.within else ""


def _headline(lineage: Lineage, concern: Concern, certificates: Certificates) -> str:
    name, ends = f"*{code(lineage.name, 120)}*", when(concern.not_after)
    if not concern.is_leaf:
        subject = code(_common_name(concern.certificate, certificates), 120)
        verb = "expired" if concern.step == "expired" else "expires"
        return f"{name}: the intermediate {subject} that {_servers(concern)} {verb} {ends}. Send its successor instead."
    match concern.step:
        case "overdue" if concern.window is not None:
            by = when(concern.window.end)
            return f"{name} is not renewed, though its CA suggested to do so by {by}. Its certificate expires {ends}."
        case "overdue":
            return f"{name} is usually renewed by now, and is not. Its certificate expires {ends}."
        case "undeployed" if concern.in_ct_alone:
            return f"{name} has a new certificate, and no address serves it. The one in use expires {ends}."
        case "undeployed" if concern.is_back:
            return f"{name}{_older(concern)} an older certificate again, which expires {ends}. The newer one is gone."
        case "undeployed":
            return (
                f"{name} is renewed, but {_share(concern)} still {_serve(concern)} the old certificate (until {ends})."
            )
        case "wanted" if concern.window is not None:
            return (
                f"{name}: its CA wants the certificate replaced by {when(concern.window.end)}, long before its time. "
                f"As a rule it is revoked then.{_why(concern.window.explanation_url)}"
            )
        case "revoked":
            return f"{name}: the certificate {_at(concern)}is revoked. Replace it now."
        case "expired":
            return f"{name}: the certificate {_at(concern)}expired {ends}."
        case _:
            return f"{name}: the certificate {_at(concern)}expires {ends} and is {_state(concern)}."


def _state(concern: Concern) -> str:
    still = "" if concern.step == "sixth" else "still "
    return f"{still}not replaced there" if concern.newer else f"{still}not renewed"


def _why(url: str) -> str:
    return f" <{url}|Why>" if url else ""


def _at(concern: Concern) -> str:
    """Where, unless it is everywhere."""
    return "" if len(concern.places) == concern.of else f"at {_share(concern)} "


def _share(concern: Concern) -> str:
    return f"{len(concern.places)} of {words.counted(concern.of, 'address', 'addresses')}"


def _serve(concern: Concern) -> str:
    return "serves" if len(concern.places) == 1 else "serve"


def _older(concern: Concern) -> str:
    return " serves" if len(concern.places) == concern.of else f": {_share(concern)} {_serve(concern)}"


def _servers(concern: Concern) -> str:
    if len(concern.places) == concern.of:
        return "it sends"
    return f"{_share(concern)} {'sends' if len(concern.places) == 1 else 'send'}"


def _facts(lineage: Lineage, concern: Concern, certificates: Certificates) -> str:
    """One line of small print: where, whose, of what kind."""
    certificate = certificates.get(concern.certificate)
    whole = expiry.lifetime(certificate)
    parts = [_where(lineage, concern)]
    if len(lineage.names) > 1:
        parts.append(f"+{words.counted(len(lineage.names) - 1, 'name')}")
    if certificate is not None:
        parts.append(foreign(expiry.authority(certificate.issuer), 60))
    if whole is not None:
        if concern.step in _LEFT and concern.is_leaf:
            parts.append(f"in the last {words.span(whole / _LEFT[concern.step])} of its {words.span(whole)}")
        else:
            parts.append(f"good for {words.span(whole)} in all")
    if concern.usual is not None and whole is not None:
        parts.append(f"usually renewed with {words.span(whole * concern.usual)} left")
    if concern.newer_until is not None:
        parts.append(f"the new one: until {when(concern.newer_until)}")
    return cut(" · ".join(part for part in parts if part), 1900)


def _where(lineage: Lineage, concern: Concern) -> str:
    """The targets, but for the one that the line above names; where only some of their addresses are meant, these."""
    if len(concern.places) < concern.of:
        return words.listed((code(place.address, 60) for place in concern.places), _SHOWN)
    targets = dict.fromkeys(place.target.removesuffix(f":{DEFAULT_PORT}") for place in concern.places)
    return "" if list(targets) == [lineage.name] else words.listed((code(each, 80) for each in targets), 3)


def _states(lineage: Lineage) -> str:
    states = []
    if lineage.acknowledged_by:
        states.append(f"👀 <@{lineage.acknowledged_by}> is at it")
    if lineage.snoozed_until is not None:
        states.append(f"💤 snoozed until {when(lineage.snoozed_until)} by <@{lineage.snoozed_by}>")
    return " · ".join(states)


_ENDED = {
    "renewed": "renewed everywhere",
    "mended": "no longer served",
    "gone": "no longer served",
    "unwatched": "no longer watched here",
    "withdrawn": "no longer asked for",
    "massed": "told together with others",
}


def _ending(lineage: Lineage, certificates: Certificates) -> str:
    name = f"*{code(lineage.name, 120)}*"
    if lineage.ended == "gone":
        return f"✅ {name}: its certificate is no longer served at what is watched here."
    if lineage.ended == "unwatched":
        return f"➖ {name} is no longer watched here."
    if lineage.ended == "mended":
        return f"✅ {name}: what was warned of is served nowhere any more."
    if lineage.ended == "withdrawn":
        return f"✅ {name}: its CA no longer asks for an early replacement."
    if lineage.ended == "massed":
        return f"➡️ {name} is one of many that the CA wants replaced: see the message about all of them."
    successors = {each.new for each in lineage.replacements if each.old in lineage.concerned}
    leaves = {place.leaf for place in lineage.places} or successors
    ends = [period[1] for leaf in leaves if (period := expiry.validity(certificates.get(leaf)))]
    count = len(lineage.places)
    where = "" if count < 2 else f" at {'both' if count == 2 else f'all {count}'} addresses"
    until = f", until {when(min(ends))}" if ends else ""
    return f"✅ {name} is renewed{where}{until}."


def _buttons(lineage: Lineage, concern: Concern) -> list[Json]:
    """What can still be done: what has ended cannot be snoozed."""
    value = f"{lineage.id}:{lineage.episode}"
    acknowledge = [] if lineage.acknowledged_by else [button("Acknowledge", ACKNOWLEDGE, value)]
    snooze = {
        "type": "static_select",
        "action_id": SNOOZE,
        "placeholder": {"type": "plain_text", "text": "Snooze"},
        "options": [
            {"text": {"type": "plain_text", "text": _SNOOZES[name]}, "value": f"{value}:{name}"} for name in SNOOZES
        ],
    }
    choices = acknowledge if concern.step == "expired" else [*acknowledge, snooze]
    return [actions(*choices)] if choices else []


def pressed(value: str) -> tuple[int, int, timedelta | None]:
    """Lineage and episode that a button names, 0 for none, and how long to be silent, where it says so."""
    number, _, rest = value.partition(":")
    episode, _, name = rest.partition(":")
    known = [int(each) if each.isascii() and each.isdecimal() and len(each) < 19 else 0 for each in (number, episode)]
    return known[0], known[1], SNOOZES.get(name)


# ── what people did ─────────────────────────────────────────────────────────────


def act(user: str, lineage: Lineage) -> Content:
    """One line in the thread, so that nobody asks who is at it."""
    if lineage.snoozed_until is not None and lineage.snoozed_by == user:
        text = f"💤 {_among(lineage)}<@{user}> snoozed this until {when(lineage.snoozed_until)}."
        return fit("Snoozed", [context(text)])
    return fit("Acknowledged", [context(f"👀 {_among(lineage)}<@{user}> is at it. I only come back if it gets worse.")])


def refused(why: Why, lineage: Lineage, user: str) -> Content:
    name = code(lineage.name, 120)
    match why:
        case "closed":
            return _answer(f"That warning about {name} is over already.")
        case "yours":
            return _answer(f"You have acknowledged this for {name} already.")
        case "acknowledged":
            return _answer(f"<@{lineage.acknowledged_by}> is at {name} already.")
        case "expired":
            over = f"The certificate of {name} has expired: that cannot be snoozed. "
            return _answer(f"{over}If it is needed no more, {code('/tls watch remove HOST')} stops the watch.")


def gone() -> Content:
    return words.answer("I no longer know the certificate behind this button. `/tls watch list` shows what is watched.")


def _answer(text: str) -> Content:
    return fit(text, [section(text)])


def _common_name(sha256: str, certificates: Certificates) -> str:
    certificate = certificates.get(sha256)
    if certificate is None:
        return sha256[:16]
    return next((part[3:] for part in certificate.subject.split(",") if part.startswith("CN=")), certificate.subject)


# ── many at once ────────────────────────────────────────────────────────────────


def together(members: Sequence[tuple[str, bool]]) -> Content:
    """The message in whose thread many are told, each with its lines and buttons; *members*: by name, is it open?"""
    left = [name for name, is_open in members if is_open]
    total = words.counted(len(members), "more certificate", "more certificates")
    if not left:
        text = f"✅ Nothing is left to do about the {total} of this thread."
        return fit(text, [section(text)])
    done = f" {len(members) - len(left)} of {len(members)} are done." if len(left) < len(members) else ""
    names = words.listed((code(name, 80) for name in left), 20)
    text = f"🟠 *{total} in need of renewal*, each with its lines and buttons in this thread.{done} Left: {names}"
    return fit(f"{total} in need of renewal", [section(cut(text, 2900))])


def mass(whole: Mass) -> Content:
    """One message for all the certificates that a CA wants back."""
    left = whole.left
    total = len(whole.members)
    who = foreign(whole.authority, 60)
    if not left:
        text = f"✅ {who} wanted {total} certificates replaced: all of them are."
        return fit(text, [section(text)])
    head = (
        f"🟠 *{who} wants {total} of your certificates replaced by {when(whole.deadline)}*, long before their time. "
        f"As a rule they are revoked then.{_why(whole.explanation_url)}"
    )
    done = f"{total - len(left)} of {total} are replaced. " if len(left) < total else ""
    names = words.listed((code(each.name, 80) for each in left), 20)
    return fit(
        foreign(f"{whole.authority} wants {total} certificates replaced", 300),
        [section(head), section(cut(f"{done}Still to be replaced: {names}", 2900))],
    )


def mass_calls(members: Iterable[str]) -> Content | None:
    """The owners, once; None without any."""
    owners = " ".join(dict.fromkeys(mention(each) for each in members if each))
    return fit("Some of these are yours", [section(f"{owners} some of these are yours.")]) if owners else None


def mass_late(whole: Mass) -> Content:
    """The deadline has passed: whose certificates are left."""
    owners = " ".join(dict.fromkeys(mention(each.owner) for each in whole.left if each.owner))
    names = words.listed((code(each.name, 80) for each in whole.left), 20)
    left = f"{words.counted(len(whole.left), 'certificate')} {'is' if len(whole.left) == 1 else 'are'} left"
    text = f"🔴 {owners + ' ' if owners else ''}the time is up, and {left}: {names}"
    return fit(f"{left} to be replaced", [section(cut(text, 2900))])


def mass_over(whole: Mass) -> Content:
    text = f"✅ All {len(whole.members)} are replaced."
    return fit(text, [section(prose(text))])
