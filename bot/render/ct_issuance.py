"""The message of a certificate that nobody is known to have asked for, and the one that many share. Pure.

Everything that a certificate says is a stranger's: it goes through `foreign` or `code`, never into a message as it is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from bot.issuances import Case, Issued, Place, Shown, is_forbidden
from bot.model import Content, Incident, Json
from bot.render import words
from bot.render.ct_caa import caa
from bot.render.incident import root_of, when
from bot.render.limits import actions, button, code, context, cut, fit, foreign, prose, section

EXPECTED, INVESTIGATE = "ct.expected", "ct.investigate"
ACTIONS: Final = (EXPECTED, INVESTIGATE)
FLOOD_SHOWN: Final = 10
_NAMES: Final = 6
_LOGS: Final = 6
_LATER: Final = "later"
_STATES: Final = {"approved": "expected", "investigated": "under investigation"}
_CHOICES: Final = {
    "certificate": "This certificate alone",
    "ca": "…and its CA from now on",
    "key": "…and its key from now on",
}


def subject(issued: Issued, domains: Sequence[str]) -> str:
    """The name that says most: the first that matched."""
    matched = next((each.name for each in issued.matches if each.domain in domains), "")
    return matched[:200] or (domains[0] if domains else "a certificate")


def root(shown: Shown) -> Content:
    """The message of an issuance that was not expected, with its buttons until somebody answers."""
    case = shown.case
    blocks = _facts(shown)
    if case.state == "approved":
        blocks.append(context(_answered(case, shown.issued)))
    elif case.state == "open":
        blocks.append(_buttons(case, shown.issued))
    return fit(_plain(shown), blocks)


def investigated(shown: Shown, incident: Incident) -> Content:
    """The same as the root of its incident."""
    return root_of(incident, fit(_plain(shown), _facts(shown)), vigil=None)


def _plain(shown: Shown) -> str:
    """For notifications."""
    name, ca = subject(shown.issued, shown.case.domains), shown.issued.ca or "an unreadable issuer"
    if not is_readable(shown.issued):
        return foreign(f"A log entry that may be a certificate for {name} cannot be read", 300)
    state = {"approved": "Expected: a", "investigated": "Under investigation: a"}.get(shown.case.state, "A")
    return foreign(f"{state} certificate for {name} was issued by {ca}", 300)


def _facts(shown: Shown) -> list[Json]:
    case, issued = shown.case, shown.issued
    lines = [_head(shown)]
    if is_readable(issued):
        lines += [_names(issued), _served(shown), _before(case), caa(shown), _validity(issued)]
    else:
        lines += ["Its names, CA, key and serial number cannot be read."]
    lines += [_where(shown.places)]
    lines += [f"*Odd*: {prose(each, 160)}" for each in issued.problems[:3]]
    odd = sorted({each.name for each in issued.matches if each.how in {"odd", "bytes"}})
    if odd:
        lines.append(f"*Odd*: only some software reads a watched domain in {words.listed(map(_name, odd), 3)}")
    return [section(cut("\n".join(line for line in lines if line), 2900))]


def is_readable(issued: Issued) -> bool:
    """Not so: a log entry that is hardly a certificate, but has a watched name in plain letters."""
    return bool(issued.ca or issued.names)


def _head(shown: Shown) -> str:
    case, issued = shown.case, shown.issued
    sign = "✅" if case.state == "approved" else "🔴" if is_forbidden(shown.caa) else "🟠"
    name, ca = code(subject(issued, case.domains), 160), code(issued.ca or "an unreadable issuer", 100)
    what = f"A {'CA certificate' if issued.is_ca else 'certificate'} for {name} was issued by {ca}"
    if not is_readable(issued):
        what = f"A log entry that may be a certificate for {name} cannot be read"
    told = ". It was told because " if case.state == "approved" else ", and nobody here is known to have asked for it: "
    return f"{sign} *{what}*{told}{prose(case.because, 200)}."


def _name(text: str) -> str:
    return code(text, 120)


def _names(issued: Issued) -> str:
    more = len(issued.names) - _NAMES + issued.more_names
    listed = ", ".join(map(_name, issued.names[:_NAMES])) or "none that can be read"
    return f"*Names*: {listed}" + (f" and {more:,} more" if more > 0 else "")


def _validity(issued: Issued) -> str:
    start, end = issued.not_before, issued.not_after
    spans = f"{start:%Y-%m-%d} to {end:%Y-%m-%d} ({words.span(end - start)})" if start and end else "cannot be read"
    return f"*Valid*: {spans} · *Serial* {code(issued.serial or 'cannot be read', 60)}"


def _where(places: Sequence[Place]) -> str:
    """The first entry, and the other logs. A precertificate and its certificate are one issuance."""
    if not places:
        return ""
    first = places[0]
    others: list[str] = []
    for each in places[1:]:
        if each.log not in {first.log, *others}:
            others.append(each.log)
    what = "certificate" if not all(each.is_precert for each in places) else "precertificate"
    text = f"*Logged*: {when(first.at)} in {code(first.log, 80)}, entry {first.index:,} ({what})"
    if others:
        text += f"; also in {words.listed((code(each, 80) for each in others), _LOGS)}"
    if not any(each.is_verified for each in places):
        text += ". *No signed head of that log accounts for the entry*: the log is inconsistent"
    elif not any(each.has_proof for each in places):
        text += ". The proof of inclusion is still to be had"
    else:
        text += ". Entry, proof and signed head are a file in the thread"
    return text


def _before(case: Case) -> str:
    ca = "was seen here before" if case.ca_before else "was never seen here before"
    key = "was seen here before" if case.key_before else "is new"
    return f"*Its CA* {ca}; *its key* {key}"


def _served(shown: Shown) -> str:
    served = shown.served
    if served.certificate:
        return f"*Served* already at {words.listed(map(_name, served.certificate), 4)}"
    if served.key:
        where = words.listed(map(_name, served.key), 4)
        return f"*Not served* where I look; a certificate with the same key is, at {where}"
    return "*Not served* anywhere that is watched"


def _answered(case: Case, issued: Issued) -> str:
    remembered = {"ca": f" Its CA, {foreign(issued.ca, 80)}, is expected from now on.",
                  "key": " Its key is expected from now on."}.get(case.remembered, "")  # fmt: skip
    return f"✅ Expected, says <@{case.answered_by}>.{remembered}"


def _buttons(case: Case, issued: Issued) -> Json:
    choose = {
        "type": "static_select",
        "action_id": EXPECTED,
        "placeholder": {"type": "plain_text", "text": "Expected…"},
        "options": _options(case, issued),
    }
    return actions(choose, button("Investigate", INVESTIGATE, str(case.id)) | {"style": "danger"})


def expected_after_all(case: Case, issued: Issued) -> Json:
    """The choice for whoever looked into it and found who had asked."""
    options = [each | {"value": f"{each['value']}:{_LATER}"} for each in _options(case, issued)]
    placeholder = {"type": "plain_text", "text": "Expected…"}
    return {"type": "static_select", "action_id": EXPECTED, "placeholder": placeholder, "options": options}


def _options(case: Case, issued: Issued) -> list[Json]:
    """What it names can be remembered, and itself."""
    named = {"certificate": True, "ca": bool(issued.ca), "key": bool(issued.spki)}
    return [
        {"text": {"type": "plain_text", "text": label}, "value": f"{case.id}:{name}"}
        for name, label in _CHOICES.items()
        if named[name]
    ]


def pressed(value: str) -> tuple[int, Any, bool]:
    """The case that a button names, 0 for none; what is to be remembered; whether it was pressed after looking into
    it."""
    number, _, rest = value.partition(":")
    what, _, when_pressed = rest.partition(":")
    known = int(number) if number.isascii() and number.isdecimal() and len(number) < 19 else 0
    return known, what, when_pressed == _LATER


def flood(shown: Sequence[tuple[Case, Issued]], by_ca: Mapping[str, int], *, waiting: int, forbidden: int) -> Content:
    """Many at once: one message for what comes beyond the first ones of an hour. *by_ca*: how many of each CA, the
    most first; *forbidden*: how many CAA forbids."""
    total = sum(by_ca.values())
    cas = words.listed((f"{count:,} by {code(ca or 'an unreadable issuer', 80)}" for ca, count in by_ca.items()), 5)
    sign = "✅" if not waiting else "🔴" if forbidden else "🟠"
    head = f"{sign} *{words.counted(total, 'more certificate')} that nobody is known to have asked for*: {cas}."
    if forbidden:
        head += f" *CAA forbids {forbidden:,} of them.*"
    if waiting:
        left = "None is answered yet." if waiting == total else f"{waiting:,} of them wait for an answer."
        head += f" {left} An answer that remembers the CA or the key counts for all alike."
    else:
        head += " All are answered."
    blocks = [section(head)]
    for case, issued in shown:
        line = f"{_name(subject(issued, case.domains))} by {code(issued.ca or '?', 80)}: {prose(case.because, 120)}"
        block = section(line)
        if case.state == "open":
            investigate = {"text": {"type": "plain_text", "text": "Investigate"}, "value": f"{case.id}:investigate"}
            block["accessory"] = {
                "type": "static_select",
                "action_id": EXPECTED,
                "placeholder": {"type": "plain_text", "text": "Expected…"},
                "options": [*_options(case, issued), investigate],
            }
        else:
            block["text"]["text"] += f" — {_STATES[case.state]}"
        blocks.append(block)
    if total > len(shown):
        blocks.append(context(f"These are the newest {len(shown)} of {total:,}."))
    return fit(f"{total} more certificates that nobody asked for", blocks)


def not_understood(domain: str, log: str, index: int) -> Content:
    text = (
        f"🟠 *A certificate that may concern {code(domain, 120)} was logged, and I could not read it.* It is entry "
        f"{index:,} of {code(log, 80)}; my own log says why I failed."
    )
    return fit(foreign(f"An unreadable certificate may concern {domain}", 200), [section(text)])
