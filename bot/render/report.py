"""A report → the headline in the channel and the details in its thread. Pure.

Written for a tired person at night: the verdict first, then for whom, why, the fix, and one command to confirm it.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from bot.model import Content, Incident, Json, PastCheck, Transition
from bot.render import repair, words
from bot.render.limits import (
    actions,
    advice,
    aligned,
    button,
    code,
    code_block,
    context,
    fit,
    foreign,
    prose,
    section,
    table,
)
from probes.codec import moment
from probes.compared import differences
from probes.model import CertificateReport, EndpointReport, FindingReport, Report, Target

AGAIN, RAW, CHANGED = "check.again", "check.raw", "check.changed"
TRIAGE = "triage.begin"
_ROWS = 15
_EVIDENCE = 8
_ALSO = 6
_GAPS = 5
_MARK = {"critical": "🔴", "warning": "🟠", "notice": "⚪"}


# ── the headline ────────────────────────────────────────────────────────────────


def checking(target: Target, user: str, *, before: Report | None = None, progress: str = "") -> Content:
    """While it runs. *before*: what the message said until now, when it is checked again."""
    again = " again" if before else ""
    text = f"⏳ Checking {_bold(target)}{again} … {prose(progress, 200)}".rstrip()
    parts = [f"asked by <@{user}>"]
    if before is not None:
        cause = f", {code(before.cause)}" if before.cause else ""
        parts.insert(0, f"before: {words.SIGN[before.status]} {words.STATUS[before.status]}{cause}")
    return fit(_plain(f"Checking {words.named(target)}{again} …"), [section(text), context(" · ".join(parts))])


def headline(check: PastCheck) -> Content:
    """The verdict: one line, one line of context, three buttons."""
    report = check.report
    blocks = [section(_verdict(report)), context(_facts(check)), _buttons(check)]
    return fit(_plain(_verdict_words(report)), blocks)


def unfinished(target: Target, error_id: str) -> Content:
    """The check could not be made, and that is our fault."""
    text = (
        f"⚠️ {_bold(target)} could not be checked: that is my fault, not the endpoint's. "
        f"Ask again; my log has more under {code(error_id)}."
    )
    return fit(_plain(f"{words.named(target)} could not be checked (error id {error_id})"), [section(text)])


def declined(target: Target, reason: str) -> Content:
    """The check was not made, and that is meant: the egress policy, or a target that cannot be."""
    text = f"⛔ {_bold(target)} was not checked. {prose(reason, 1500)}"
    return fit(_plain(f"{words.named(target)} was not checked: {reason}"), [section(text)])


def _bold(target: Target) -> str:
    return f"*{code(words.named(target))}*"


def _plain(text: str) -> str:
    return foreign(text, 600)


def _verdict(report: Report) -> str:
    start = f"{words.SIGN[report.status]} {_bold(report.target)}"
    summary = prose(words.clause(report.summary), 1500)
    match report.status:
        case "ok":
            return f"{start} is healthy"
        case "warning":
            return f"{start} works, but {summary}"
        case "broken":
            return f"{start} is broken: {summary}"


def _verdict_words(report: Report) -> str:
    name, summary = words.named(report.target), words.clause(report.summary)
    match report.status:
        case "ok":
            return f"{name} is healthy"
        case "warning":
            return f"{name} works, but {summary}"
        case "broken":
            return f"{name} is broken: {summary}"


def _facts(check: PastCheck) -> str:
    report = check.report
    parts = [code(report.cause)] if report.cause else []
    people = words.who(report)
    parts.append(people)
    if report.status == "ok":
        parts += [_session(report.endpoints), _days_left(report)]
    if "addresses" not in people:  # "fails at 1 of 2 addresses" has said it
        parts.append(_addresses(report.endpoints))
    parts += [words.elapsed(report.elapsed_ms), f"asked by <@{check.user}>" if check.user else "seen by the watch"]
    unlooked = dict.fromkeys(gap.what for gap in words.unlooked(report))
    if unlooked and report.status == "ok":  # a verdict of "healthy" says where it did not look
        parts.append(f"not looked at: {foreign(words.listed(unlooked, 3), 200)}")
    if report.status == "ok" and (remarks := dict(words.remarks(report))):
        parts.append(f"see the thread about: {words.listed(remarks, 3)}")
    return " · ".join(part for part in parts if part)


def _addresses(endpoints: Sequence[EndpointReport]) -> str:
    if not endpoints:
        return "no address"
    return words.counted(len(endpoints), "address", "addresses")


def _session(endpoints: Sequence[EndpointReport]) -> str:
    versions = dict.fromkeys(endpoint.version for endpoint in endpoints if endpoint.version)
    groups = dict.fromkeys(endpoint.group for endpoint in endpoints if endpoint.group)
    return foreign(words.listed([*(_version(version) for version in versions), *groups], 4), 120)


def _version(name: str) -> str:
    return name.replace("TLSv", "TLS ")


def _days_left(report: Report) -> str:
    ends = [_until(endpoint.chain[0]) for endpoint in report.endpoints if endpoint.chain]
    known = [end for end in ends if end is not None]
    if not known:
        return ""
    first = min(known)
    days = (first - report.started_at).days
    return f"certificate good for {words.counted(days, 'more day', 'more days')} (until {first:%Y-%m-%d})"


def _until(certificate: CertificateReport) -> datetime | None:
    try:
        return moment(certificate.not_after)
    except ValueError:
        return None


def _buttons(check: PastCheck) -> Json:
    number = str(check.id)
    triage = [button("Triage", TRIAGE, number)] if check.report.status == "broken" else []
    return actions(
        button("Run again", AGAIN, number),
        button("Raw report", RAW, number),
        button("What changed", CHANGED, number),
        *triage,
    )


# ── the thread ──────────────────────────────────────────────────────────────────


def why(check: PastCheck) -> Content:
    """The first reply: what fails for whom, the evidence, the addresses, what else was seen and what was not."""
    report = check.report
    cause = _cause(report)
    top = _explained(report, cause)
    rest = [*_also(report, cause), *_footer(report, cause)]
    unlike = _differences(report)
    newer = [*top, *_table(report), *unlike, *rest]
    classic = [*top, *_table_as_text(report), *unlike, *rest]
    title = f"Why: {words.clause(report.summary)}" if cause else f"{words.named(report.target)}: what was looked at"
    return fit(_plain(title), newer, classic=classic if report.endpoints else ())


def what_to_do(check: PastCheck) -> Content | None:
    """The second reply: the fix, and the command that confirms it. None where nothing is to be mended.

    A message of its own, so that the command is what stands last in the thread and is copied in one go.
    """
    cause = _cause(check.report)
    blocks = [*_remedy(cause), *repair.remedies(check)]
    if cause is None or not blocks:
        return None
    return fit(_plain(f"What to do: {cause.fix or cause.next_command}"), blocks)


def _cause(report: Report) -> FindingReport | None:
    return next((finding for finding in report.findings if finding.code == report.cause), None)


def _explained(report: Report, cause: FindingReport | None) -> list[Json]:
    if cause is None:
        return [section(f"*What was looked at* · {prose(report.summary, 1000)}")]
    lines = [f"*{prose(cause.title, 200)}*"]
    if words.clause(cause.explanation) != words.clause(report.summary):  # the headline above says that already
        lines.append(advice(cause.explanation, 2000))
    people = words.who(report)
    if people:
        lines.append(f"*For whom:* {people}")
    blocks = [section("\n".join(lines))]
    if cause.evidence:
        blocks.append(section(f"*Evidence*\n{_bullets(cause.evidence)}"))
    return blocks


def _bullets(lines: Sequence[str]) -> str:
    shown = [f"• {prose(line, 300)}" for line in lines[:_EVIDENCE]]
    if len(lines) > _EVIDENCE:
        shown.append(f"… {len(lines) - _EVIDENCE} more; the raw report has all")
    return "\n".join(shown)


def _remedy(cause: FindingReport | None) -> list[Json]:
    if cause is None:
        return []
    blocks = [section(f"*Fix*\n{advice(cause.fix, 2000)}")] if cause.fix else []
    if cause.next_command:
        blocks.append(section(f"*Confirm by hand*\n{code_block(cause.next_command, 1500)}"))
    return blocks


def _also(report: Report, cause: FindingReport | None) -> list[Json]:
    others = [finding for finding in report.findings if finding is not cause]
    if not others:
        return []
    lines = [
        f"{_MARK[finding.severity]} {code(finding.code, 60)} {prose(finding.explanation or finding.title, 280)}"
        for finding in others[:_ALSO]
    ]
    if len(others) > _ALSO:
        lines.append(f"… {len(others) - _ALSO} more; the raw report has all")
    return [section("*Also seen*\n" + "\n".join(lines))]


def _footer(report: Report, cause: FindingReport | None) -> list[Json]:
    blocks = []
    if remarks := words.remarks(report):
        blocks.append(context("\n".join(f"{_capital(of)}: {prose(said, 300)}" for of, said in remarks[:_GAPS])))
    if unlooked := words.unlooked(report):
        gaps = "; ".join(f"{prose(gap.what, 60)} ({prose(gap.why, 160)})" for gap in unlooked[:_GAPS])
        more = f"; and {len(unlooked) - _GAPS} more" if len(unlooked) > _GAPS else ""
        blocks.append(context(f"Not looked at: {gaps}{more}"))
    if cause is not None and cause.source:
        blocks.append(context(f"Source: {foreign(cause.source, 200)} · failure mode {cause.mode}"))
    return blocks


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


_HEADER = ("Address", "Result", "TLS", "Expires", "Time")


def _table(report: Report) -> list[Json]:
    if not report.endpoints:
        return []
    return [table(_HEADER, _rows(report)), *_more_addresses(report)]


def _table_as_text(report: Report) -> list[Json]:
    if not report.endpoints:
        return []
    return [section(code_block(aligned(_HEADER, _rows(report)), 2900)), *_more_addresses(report)]


def _more_addresses(report: Report) -> list[Json]:
    hidden = len(report.endpoints) - _ROWS
    return [context(f"… {words.counted(hidden, 'more address', 'more addresses')}; the raw report has all.")] * (
        hidden > 0
    )


def _differences(report: Report) -> list[Json]:
    """What the addresses differ in; a message holds one table, so this is text: side by side where a thread's width
    allows it, else a line for each thing that differs."""
    found = differences(report.endpoints)
    if found is None:
        return []
    header, rows = found
    beside = aligned(header, rows[:_ROWS])
    if max(map(len, beside.splitlines())) > _THREAD_WIDTH:
        lines = (_unlike(name, rows, column) for column, name in enumerate(header[1:], 1))
        return [section("*What differs between them*\n" + "\n".join(lines))]
    return [section(f"*What differs between them*\n{code_block(beside, 2800)}")]


_THREAD_WIDTH = 46  # characters of a code block before it wraps and columns fall apart


def _unlike(name: str, rows: Sequence[Sequence[str]], column: int) -> str:
    places: dict[str, list[str]] = {}
    for row in rows:
        places.setdefault(row[column], []).append(row[0])
    values = (f"{code(value, 80)} at {prose(words.listed(at, 3), 200)}" for value, at in places.items())
    return f"• {name}: {words.listed(values, 4)}"


def _rows(report: Report) -> list[tuple[str, ...]]:
    # Those with a fault first: they are what one looks for among many.
    ordered = sorted(report.endpoints, key=lambda endpoint: not _faults(report, endpoint))
    return [_row(report, endpoint) for endpoint in ordered[:_ROWS]]


def _row(report: Report, endpoint: EndpointReport) -> tuple[str, ...]:
    until = _until(endpoint.chain[0]) if endpoint.chain else None
    return (
        endpoint.address,
        _result(report, endpoint),
        _version(endpoint.version) if endpoint.version else "–",
        f"{until:%Y-%m-%d}" if until else "–",
        _time(endpoint),
    )


def _faults(report: Report, endpoint: EndpointReport) -> list[str]:
    """What is wrong at one address; how it stands to the others only where that is the cause and all there is."""
    found = [
        finding.code
        for finding in report.findings
        if finding.severity != "notice" and endpoint.address in finding.addresses
    ]
    own = [each for each in found if not each.startswith("balancer.") and each != "resumption.tickets-not-shared"]
    return own or [each for each in found if each == report.cause]


_STAGES = {
    "tcp": "no connection",
    "hello": "no answer to the hello",
    "negotiation": "no agreement",
    "certificate": "certificate not accepted",
    "client-auth": "client certificate not accepted",
    "finished": "breaks off at the end",
}


def _result(report: Report, endpoint: EndpointReport) -> str:
    faults = _faults(report, endpoint)
    if faults:
        return words.listed(faults, 2)
    if endpoint.alert is not None:
        return f"alert {endpoint.alert.code} {endpoint.alert.name}"
    if endpoint.failed_stage is not None:
        return _STAGES.get(endpoint.failed_stage, endpoint.failed_stage)
    return "ok" if endpoint.connected else "no connection"


def _time(endpoint: EndpointReport) -> str:
    reached = [value for value in endpoint.timing_ms.values() if value is not None]
    return words.elapsed(max(reached)) if reached else "–"


# ── checked again ───────────────────────────────────────────────────────────────


def outcome(check: PastCheck, transition: Transition) -> Content:
    """One line in the thread after *Run again*."""
    report = check.report
    again = f"Checked again by <@{check.user}>" if check.user else "The watch looked again"
    text = f"{again}: {words.SIGN[report.status]} {news(report, transition, check.at)}."
    return fit(_plain(f"Checked again: {words.STATUS[report.status]}"), [section(text)])


def news(report: Report, transition: Transition, at: datetime) -> str:
    """What a check means for the incident of its endpoint, as half a sentence."""
    status = words.STATUS[report.status]
    cause = f" ({code(report.cause)})" if report.cause else ""
    match transition.kind, transition.was:
        case "recovered", Incident() as was:
            return f"*recovered* after {words.span(at - was.opened_at)} (was {code(was.cause)})"
        case "changed", Incident() as was:
            return f"*changed*: {status}{cause}, it was {code(was.cause)}"
        case "relapsed", Incident():
            return f"*broken again*: {status}{cause}"
        case "unchanged", Incident() as was:
            return f"still {status}{cause}, for {words.span(at - was.opened_at)} now"
        case "opened", _:
            return f"*new*: {status}{cause}"
    return f"{status}{cause}"
