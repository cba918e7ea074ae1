"""Certificate Transparency in Slack: an issuance's message, what people made of it, logs, the list. Pure.

Everything that a certificate says is a stranger's: it goes through `foreign` or `code`, never into a message as it is.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from bot.issuances import Case, Guard, Issued, Place, Shown, is_forbidden
from bot.model import Content, Entry, Incident, Json
from bot.render import words
from bot.render.incident import named, root_of, when
from bot.render.limits import actions, button, code, context, cut, fit, foreign, prose, section
from probes.caa import Finding

if TYPE_CHECKING:
    from probes.ct.position import Event
    from probes.ct_follow import Status
    from probes.ct_store import Found

EXPECTED, INVESTIGATE = "ct.expected", "ct.investigate"
ACTIONS: Final = (EXPECTED, INVESTIGATE)
FLOOD_SHOWN: Final = 10
_NAMES: Final = 6
_LOGS: Final = 6
_STALE: Final = timedelta(days=70)  # Chrome stops enforcing CT by a list older than that
_SIGN: Final = {"critical": "🔴", "warning": "🟠", "notice": "⚪"}
_CHOICES: Final = {
    "certificate": "This certificate alone",
    "ca": "…and its CA from now on",
    "key": "…and its key from now on",
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Since:
    """What a digest is made of."""

    caa: dict[str, tuple[Finding, ...]] = field(default_factory=dict)  # of those that wait, by TBS
    waiting: list[tuple[Case, Issued]] = field(default_factory=list)
    answered: list[tuple[Case, Issued]] = field(default_factory=list)
    expected: int = 0
    similar: list[dict[str, Any]] = field(default_factory=list)
    logs: list[dict[str, Any]] = field(default_factory=list)


@dataclass(frozen=True, slots=True, kw_only=True)
class Running:
    """How it stands with the reader now. `statuses` by hex log id; `trouble`: why nothing is followed."""

    is_up: bool = False
    trouble: str = ""
    statuses: Mapping[str, Status] = field(default_factory=dict, hash=False)


def ca_domains(issuer: str) -> tuple[str, ...]:
    """What the issuer's CA looks for in CAA records."""
    from probes.published import domains_of

    return domains_of(issuer)


# ── an issuance ─────────────────────────────────────────────────────────────────


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
        blocks.append(_buttons(case))
    return fit(_plain(shown), blocks)


def investigated(shown: Shown, incident: Incident) -> Content:
    """The same as the root of its incident."""
    return root_of(incident, fit(_plain(shown), _facts(shown)), vigil=None)


def _plain(shown: Shown) -> str:
    """For notifications."""
    name, ca = subject(shown.issued, shown.case.domains), shown.issued.ca or "an unreadable issuer"
    state = {"approved": "Expected: a", "investigated": "Under investigation: a"}.get(shown.case.state, "A")
    return foreign(f"{state} certificate for {name} was issued by {ca}", 300)


def _facts(shown: Shown) -> list[Json]:
    case, issued = shown.case, shown.issued
    sign = "✅" if case.state == "approved" else "🔴" if is_forbidden(shown.caa) else "🟠"
    name, ca = code(subject(issued, case.domains), 160), code(issued.ca or "an unreadable issuer", 100)
    what = "CA certificate" if issued.is_ca else "certificate"
    head = f"{sign} *A {what} for {name} was issued by {ca}*, and nobody here is known to have asked for it: "
    if case.state == "approved":
        head = f"{sign} *A {what} for {name} was issued by {ca}*. It was told because "
    lines = [f"{head}{prose(case.because, 200)}."]
    lines += [_names(issued), _validity(issued), _where(shown.places), _caa(shown), _before(case), _served(shown)]
    lines += [f"*Odd*: {prose(each, 160)}" for each in issued.problems[:3]]
    odd = sorted({each.name for each in issued.matches if each.how in {"odd", "bytes"}})
    if odd:
        lines.append(f"*Odd*: only some software reads a watched domain in {words.listed(map(_name, odd), 3)}")
    return [section(cut("\n".join(line for line in lines if line), 2900))]


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
        text += ". Entry, proof and signed head are in the file below"
    return text


def _caa(shown: Shown) -> str:
    if shown.caa is None:
        return "*CAA*: being looked up…"
    lines = list(dict.fromkeys(_caa_line(each) for each in shown.caa))
    at = f" (looked up {when(shown.caa_at)})" if shown.caa_at else ""
    return cut(f"*CAA*: {'; '.join(lines)}{at}", 1200)


def _caa_line(each: Finding) -> str:
    at = f" at {code(each.at, 80)}" if each.at else ""
    allowed = words.listed((code(name, 60) for name in each.allowed), 4)
    match each.verdict:
        case "none":
            return "no record limits who may issue"
        case "allowed":
            return f"the records{at} allow this CA ({allowed})"
        case "restricted":
            return (
                f"the records{at} allow this CA only {_limits(each)}; a certificate does not tell which it was: "
                "ask the CA"
            )
        case "forbidden" if each.why:
            return f"*forbidden*{at}: {prose(each.why, 160)}"
        case "forbidden":
            who = f"allow {allowed} alone" if each.allowed else "allow nobody"
            return f"*forbidden for {code(each.name, 100)}*: the records{at} {who}"
        case "unknown":
            limits = f", {_limits(each)}" if each.accounts or each.methods else ""
            return f"the records{at} allow {allowed}{limits}; whether this CA is one of them I do not know"
        case _:
            return f"could not be looked up: {prose(each.why, 120)}"


def _limits(each: Finding) -> str:
    parts = []
    if each.accounts:
        parts.append(f"for the account {words.listed((code(name, 160) for name in each.accounts), 2)}")
    if each.methods:
        parts.append(f"by {words.listed((code(name, 40) for name in each.methods), 4)}")
    return " and ".join(parts)


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


def _buttons(case: Case) -> Json:
    choose = {
        "type": "static_select",
        "action_id": EXPECTED,
        "placeholder": {"type": "plain_text", "text": "Expected…"},
        "options": _options(case),
    }
    return actions(choose, button("Investigate", INVESTIGATE, str(case.id)) | {"style": "danger"})


def _options(case: Case) -> list[Json]:
    return [
        {"text": {"type": "plain_text", "text": label}, "value": f"{case.id}:{name}"}
        for name, label in _CHOICES.items()
    ]


def pressed(value: str) -> tuple[int, Any]:
    """The case that a button names, 0 for none, and what is to be remembered."""
    number, _, what = value.partition(":")
    known = int(number) if number.isascii() and number.isdecimal() and len(number) < 19 else 0
    return known, what


def flood(shown: Sequence[tuple[Case, Issued]], total: int, waiting: int) -> Content:
    """Many at once: one message for what comes beyond the first ones of an hour."""
    head = (
        f"🟠 *{words.counted(total, 'more certificate')} that nobody is known to have asked for*, {waiting:,} of them "
        "without an answer. An answer that remembers the CA or the key counts for all alike."
    )
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
                "options": [*_options(case), investigate],
            }
        else:
            block["text"]["text"] += f" — {case.state}"
        blocks.append(block)
    if total > len(shown):
        blocks.append(context(f"The newest {len(shown)} of {total:,}; {code('/tls ct list')} tells more."))
    return fit(f"{total} more certificates that nobody asked for", blocks)


def not_understood(domain: str, log: str, index: int) -> Content:
    text = (
        f"🟠 *A certificate that may concern {code(domain, 120)} was logged, and I could not read it.* It is entry "
        f"{index:,} of {code(log, 80)}; my own log says why I failed."
    )
    return fit(foreign(f"An unreadable certificate may concern {domain}", 200), [section(text)])


# ── evidence ────────────────────────────────────────────────────────────────────


def evidence(found: Found, at: datetime) -> dict[str, Any]:
    """The finding with its proof, as `tls ct verify` reads it."""
    from probes.ct_store import finding_json

    return finding_json(found, "issuance", at)


def evidence_said(log: str, index: int) -> Content:
    return Content(
        text=f"Entry {index:,} of {foreign(log, 80)}, the proof that it is in the log, and the head that the log "
        f"signed. Check it with {code('tls ct verify FILE --log-list LIST')}."
    )


def filename(issued: Issued, log: str, index: int) -> str:
    return f"ct-{_slug(log)}-{index}-{issued.tbs[:8]}.json"


def event_evidence(event: Event, at: datetime) -> dict[str, Any]:
    from probes.ct_store import event_json

    return event_json(event, at)


def event_evidence_said() -> Content:
    return Content(text="What the log signed and gave, as it came.")


def event_filename(kind: str, log: str) -> str:
    return f"ct-{_slug(log)}-{kind}.json"


def _slug(text: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", text.lower())[:40].strip("-") or "log"


# ── what people did ─────────────────────────────────────────────────────────────


def approved(user: str, issued: Issued, what: str, domains: Sequence[str], others: int) -> Content:
    """One line in the thread."""
    where = words.listed((code(each, 100) for each in domains), 3)
    remembered = {
        "ca": f" Certificates of {code(issued.ca, 80)} for {where} are not told any more.",
        "key": f" Certificates for {where} with this key are not told any more.",
    }.get(what, "")
    more = f" That settles {words.counted(others, 'other message')} as well." if others else ""
    return fit("Expected", [context(f"✅ <@{user}>: expected.{remembered}{more}")])


def answered_already(case: Case, incident: Incident | None, user: str) -> Content:
    who = "You have" if case.answered_by == user else f"<@{case.answered_by}> has"
    if case.state == "investigated":
        name = named(incident) if incident is not None else "an incident"
        text = f"{who} opened {name} for this certificate already: it is this message."
    else:
        text = f"{who} said already that this certificate was expected."
    return fit(text, [section(text)])


def gone() -> Content:
    return words.answer("I no longer know the certificate behind this button. `/tls ct list` shows what waits.")


def what_to_do(shown: Shown, incident: Incident, user: str) -> Content:
    """In the thread of an incident that was opened to investigate."""
    issued, case = shown.issued, shown.case
    ca, domain = code(issued.ca or "the CA", 100), case.domains[0]
    own = ca_domains(issued.issuer)
    steps = [
        f"*1. Ask who asked.* Whoever runs {code(domain, 100)}, its CDN, its mail and its hosting: a provider that was "
        "given a CNAME or a zone may request certificates by itself. If so, answer there, and remember its CA.",
        f"*2. Find how control was shown.* Look for changes of zone and hosts around {when(issued.logged_at)}: "
        f"records below {code('_acme-challenge.' + domain, 130)}, name servers, dangling CNAMEs, files below "
        f"{code('/.well-known/acme-challenge/')}.",
        f"*3. Have it revoked.* Write to {ca} with the serial number {code(issued.serial or '?', 80)} and the evidence "
        "in this thread. A CA must answer a problem report within 24 hours (CA/B Baseline Requirements 4.9.3, 4.9.5); "
        f"its address is in its certification practice statement{_contact(own)}.",
        _caa_step(domain, own, shown.caa),
        "*5. Look for its use.* Where the key is a stranger's, names that lead elsewhere (DNS, hijacked routes) are "
        f"what it is good for: {code('/tls check ' + _host(issued, domain), 160)} shows what is served now.",
    ]
    head = f"<@{user}> opened {named(incident)}. What to do:"
    return fit(f"What to do about {named(incident)}", [section(head), *(section(cut(step, 2900)) for step in steps)])


def _contact(own: Sequence[str]) -> str:
    if not own:
        return " and in CCADB's list of problem reporting mechanisms (ccadb.org)"
    return f" (begin at {code(own[0])}) and in CCADB's list of problem reporting mechanisms (ccadb.org)"


def _caa_step(domain: str, own: Sequence[str], caa: Sequence[Finding] | None) -> str:
    if is_forbidden(caa):
        return (
            "*4. Tell the CA that CAA forbade it.* The records stood when I looked; if they did when the CA checked "
            "(up to 8 hours before), it has broken RFC 8659, and that is an incident of its own there."
        )
    record = code(f'{domain}. CAA 0 issue "YOUR-CA; accounturi=YOUR-ACCOUNT-URI"', 300)
    wild = code(f'{domain}. CAA 0 issuewild ";"', 200)
    return (
        f"*4. Close the door with CAA.* {record} limits issuing to your CA and your account (RFC 8657), and {wild} "
        "forbids wildcards that nobody needs. It holds from the next issuance on."
    )


def _host(issued: Issued, domain: str) -> str:
    return next((each.name for each in issued.matches if each.how == "name" and "*" not in each.name), domain)


def entry(issued: Issued) -> str:
    """A line of an incident's timeline."""
    name = next((each.name for each in issued.matches), "") or (issued.names[0] if issued.names else "?")
    return f"🔖 a new certificate for {name[:120]} by {(issued.ca or 'an unreadable issuer')[:80]} was logged"


def timeline_entry(issued: Issued) -> Entry:
    """The same, as an incident's timeline keeps it: at the time when it was logged."""
    return Entry(key=f"ct:{issued.tbs[:32]}", kind="verdict", at=issued.logged_at, user="", text=entry(issued))


def appeared(issued: Issued, host: str, opened_at: datetime) -> str:
    """What an incident's *What changed* says of an issuance."""
    before = words.span(opened_at - issued.logged_at)
    until = f", valid until {issued.not_after:%Y-%m-%d}" if issued.not_after else ""
    return (
        f"A new certificate for {code(host, 120)} appeared in Certificate Transparency {before} before the failure: by "
        f"{code(issued.ca or 'an unreadable issuer', 80)}{until}, serial {code(issued.serial or '?', 60)}"
    )


# ── digests ─────────────────────────────────────────────────────────────────────


def aside(found: Since) -> tuple[str, ...]:
    """What nobody has to act on, a line each."""
    lines = []
    if found.expected:
        lines.append(f"🔖 {words.counted(found.expected, 'certificate')} issued as expected.")
    if found.similar:
        names = [
            f"{code(row['name'], 80)} ({foreign(row['why'], 20)} of {code(row['domain'], 60)})" for row in found.similar
        ]
        lines.append(f"👯 Certificates for names that look like yours: {words.listed(names, 6)}.")
    malformed = sum(row["kind"] == "malformed-entry" for row in found.logs)
    if malformed:
        lines.append(
            f"🔖 {words.counted(malformed, 'log entry', 'log entries')} could not be read; "
            "your names do not stand in them in plain letters."
        )
    lagging = [row for row in found.logs if row["kind"] == "lagging" and row["ended_at"] is None]
    if lagging:
        behind = words.listed((code(row["log"], 60) for row in lagging), 4)
        lines.append(f"🐢 I am behind with {words.counted(len(lagging), 'CT log')}: {behind}.")
    return tuple(lines)


# ── logs ────────────────────────────────────────────────────────────────────────


def log_event(kind: str, severity: str, log: str, text: str, at: datetime, ended_at: datetime | None) -> Content:
    """A log that does not behave."""
    head = f"{_SIGN.get(severity, '🟠')} *The CT log {code(log, 100)}*: {prose(text.removeprefix(log + ': '), 900)}"
    if ended_at is not None:
        head = f"✅ *The CT log {code(log, 100)} is right again* since {when(ended_at)}. It was: "
        head += prose(text.removeprefix(log + ": "), 900)
    meaning = _MEANINGS.get(kind, "")
    blocks = [section(head)]
    if meaning and ended_at is None:
        blocks.append(context(f"{meaning} Noticed {when(at)}."))
    return fit(foreign(f"CT log {log}: {kind.replace('-', ' ')}", 200), blocks)


_MEANINGS: Final = {
    "split-view": "It shows different people different trees: certificates may be hidden from you. Nothing that it "
    "says is to be relied upon; browsers distrust such a log.",
    "shrunken": "A log only ever grows. What it took away may have been a certificate for you.",
    "inconsistent": "What it serves is not what it signed. Names are still looked for in what it serves.",
    "bad-signature": "Until its heads are signed again, nothing new of it counts.",
    "stale-head": "Certificates logged there since are not seen until it speaks again; most stand in another log, too.",
    "future-head": "Its clock, or mine, is wrong.",
    "gap": "What was logged there at the end cannot be seen any more; most certificates stand in another log, too.",
}


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


# ── the desk ────────────────────────────────────────────────────────────────────


def off() -> Content:
    return words.answer(
        "Certificate Transparency is not watched: my operator has set no list of logs. `CT_LOG_LIST` is the file or "
        "URL of one (v3 JSON), as in "
        "`CT_LOG_LIST=https://www.gstatic.com/ct/log_list/v3/log_list.json`; I read it when I "
        "start."
    )


def not_allowed(*, is_unknown: bool) -> Content:
    if is_unknown:
        return words.answer(
            "I could not ask Slack who belongs to ADMIN_USERGROUPS, so nothing was changed. Please try again; if it "
            "stays so, the app lacks the scope usergroups:read or a group's id is wrong."
        )
    return words.answer("What is expected is decided by members of my operator's user groups alone (ADMIN_USERGROUPS).")


def watching(guard: Guard, *, was_there: bool, logs: int, filled: str) -> Content:
    """What is watched from now on."""
    domain = code(guard.domain, 200)
    done = "I watch it differently from now on" if was_there else "I watch it from now on"
    parts = [
        f"{domain}: {done}, with every name below it. A certificate that nobody is known to have asked for is told "
        "here at once, with evidence; an expected one is remembered in silence."
    ]
    if guard.expected_cas:
        parts.append(f"Expected CAs: {', '.join(code(name, 80) for name in guard.expected_cas)}.")
    else:
        parts.append("CAs and keys that my watches here see served, and those that you call expected, are known.")
    if logs:
        parts.append(f"{words.counted(logs, 'log')} are followed, each from where it stands now.")
    else:
        parts.append("The logs are being begun at their ends of now; `/tls ct list` shows how that goes.")
    if not guard.lookalikes:
        parts.append("Look-alikes are not looked for.")
    text = " ".join(parts).replace("`/tls ct list`", code("/tls ct list"))
    return fit(
        foreign(f"{guard.domain} is watched in CT", 200), [section(text), *([context(filled)] if filled else [])]
    )


def backfilled(found: Sequence[Mapping[str, Any]], at: datetime) -> str:
    """What a back-fill brought."""
    if not found:
        return f"crt.sh knew no unexpired certificate ({when(at)})."
    cas = words.listed((code(name, 80) for name in dict.fromkeys(str(each["ca"]) for each in found)), 6)
    keys = sum(bool(each["spki"]) for each in found)
    return (
        f"From crt.sh ({when(at)}): {words.counted(len(found), 'unexpired certificate')} by {cas}; these CAs and "
        f"{words.counted(keys, 'key')} are known from now on."
    )


def not_backfilled(why: str) -> str:
    return (
        f"The back-fill did not work: crt.sh says nothing now ({prose(why, 160)}). The watching does not need it; ask "
        "again later."
    )


def full(most: int) -> Content:
    return words.answer(
        f"I watch {most:,} domains for this workspace already, as many as I can. `/tls ct remove DOMAIN` makes room."
    )


def removed(domain: str, *, was_there: bool) -> Content:
    if not was_there:
        return words.answer(f"`{domain}` is not watched in this channel. `/tls ct list` shows what is.")
    return words.answer(f"`{domain}` is not watched here any more; what was called expected for it is forgotten.")


def listing(guards: Sequence[Guard], overview: Overview, running: Running, now: datetime) -> Content:
    """The domains of the channel, what waits for an answer, and whether it is working."""
    if not guards:
        head = f"No domain is watched in this channel. {code('/tls ct watch DOMAIN')} watches one."
        return fit("No domain is watched here", [section(head), *_health(overview, running, now)])
    lines = [f"*{words.counted(len(guards), 'domain')} watched here*"]
    for guard in guards[:30]:
        cas = (
            f" · expects {words.listed((code(name, 60) for name in guard.expected_cas), 3)}"
            if guard.expected_cas
            else ""
        )
        lines.append(f"• {code(guard.domain, 160)}{cas} · since {guard.added_at:%Y-%m-%d}")
    if len(guards) > 30:
        lines.append(f"… and {len(guards) - 30} more")
    blocks = [section(cut("\n".join(lines), 2900))]
    if overview.waiting:
        waiting = [
            f"• {_name(subject(issued, case.domains))} by {code(issued.ca or '?', 80)}, {when(case.at)}"
            for case, issued in overview.waiting[:10]
        ]
        blocks.append(section(cut("*Waiting for an answer*\n" + "\n".join(waiting), 2900)))
    seen = sum(overview.counts.values())
    counted = (
        f"{words.counted(seen, 'certificate')} in the last 7 days, {overview.counts.get('expected', 0):,} expected"
    )
    blocks.append(context(counted))
    return fit(f"{len(guards)} domains watched in CT", [*blocks, *_health(overview, running, now)])


def status(overview: Overview, running: Running, now: datetime) -> Content:
    """Is it working, log by log?"""
    return fit("How Certificate Transparency is followed", [*_health(overview, running, now, lines=40)])


def _health(overview: Overview, running: Running, now: datetime, *, lines: int = 12) -> list[Json]:
    rows = [_log_line(row, running.statuses.get(row["log_id"]), now) for row in overview.positions]
    rows += [_unbegun(each) for log_id, each in running.statuses.items() if log_id not in _ids(overview.positions)]
    troubled = sum(sign != "🟢" for sign, _ in rows)
    rows.sort(key=lambda row: row[0] == "🟢")
    blocks = [section(_working(overview, running, len(rows), troubled))]
    shown = [f"{sign} {line}" for sign, line in rows[:lines]]
    if len(rows) > lines:
        shown.append(f"… and {len(rows) - lines} more; {code('/tls ct status')} tells of all")
    for first in range(0, len(shown), 10):
        blocks.append(section(cut("\n".join(shown[first : first + 10]), 2900)))
    blocks += _notices(overview, now)
    return blocks


def _ids(positions: Iterable[Mapping[str, Any]]) -> set[str]:
    return {row["log_id"] for row in positions}


def _working(overview: Overview, running: Running, logs: int, troubled: int) -> str:
    if running.trouble:
        return f"🔴 *It is not working*: {prose(running.trouble, 400)}"
    if not running.is_up:
        return "⚪ *Nothing is followed now*: it begins with the first domain that is watched."
    if not logs:
        return "⚪ *It begins*: the logs are being asked where they end."
    state = f"{troubled} with something to say" if troubled else "all of them well"
    return f"{'🟠' if troubled else '🟢'} *It is working*: {words.counted(logs, 'log')} followed, {state}"


def _log_line(row: Mapping[str, Any], told: Status | None, now: datetime) -> tuple[str, str]:
    behind = max(row["promised"] - row["verified"], 0)
    parts = [code(row["name"], 80), f"{row['verified']:,} entries verified"]
    if behind:
        parts.append(f"{behind:,} behind")
    if row["newest_ms"]:
        age = now.timestamp() - row["newest_ms"] / 1000
        parts.append(f"newest entry {words.span(timedelta(seconds=max(0.0, age)))} old")
    if row["state"] != "following":
        parts.append(row["state"])
    if row["listed"] not in {"usable", "qualified"}:
        parts.append(row["listed"])
    trouble = told.trouble if told is not None else ""
    if trouble:
        parts.append(f"⛔ {prose(trouble, 160)}")
    bad = row["state"] in {"inconsistent", "gone"}
    sign = "🔴" if bad else "🟠" if trouble or row["state"] == "rewound" else "🟢"
    return sign, " · ".join(parts)


def _unbegun(told: Status) -> tuple[str, str]:
    trouble = f"⛔ {prose(told.trouble, 160)}" if told.trouble else "not begun yet"
    return "🟠", f"{code(told.log.description, 80)} · {trouble}"


def _notices(overview: Overview, now: datetime) -> list[Json]:
    lines = []
    for row in overview.raised[:5]:
        lines.append(f"{_SIGN.get(row['severity'], '🟠')} {prose(row['text'], 200)}")
    if overview.dated_at is None:
        lines += ["🟠 the log list does not say how old it is"] if overview.read_at else []
    elif now - overview.dated_at > _STALE:
        age = (now - overview.dated_at).days
        lines.append(f"🟠 *the log list is {age} days old*: logs opened since are not in it. Look at CT_LOG_LIST.")
    for row in overview.changes[:5]:
        lines.append(f"log list: {prose(row['text'], 160)}")
    if overview.read_at is not None:
        dated = f" of {overview.dated_at:%Y-%m-%d}" if overview.dated_at else ""
        lines.append(f"log list {foreign(overview.version, 20)}{dated}, read {when(overview.read_at)}")
    return [context(cut("\n".join(lines), 1900))] if lines else []
