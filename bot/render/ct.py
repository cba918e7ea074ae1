"""`ct …` answered: what is watched, what a back-fill brought; and what a digest says of it. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from bot.issuances import Case, Guard, Issued
from bot.model import Content
from bot.render import words
from bot.render.ct_issuance import subject
from bot.render.ct_logs import Overview, Running, health
from bot.render.incident import when
from bot.render.limits import code, context, cut, fit, foreign, prose, section
from probes.caa import Finding


@dataclass(frozen=True, slots=True, kw_only=True)
class Since:
    """What a digest is made of."""

    caa: dict[str, tuple[Finding, ...]] = field(default_factory=dict)  # of those that wait, by TBS
    waiting: list[tuple[Case, Issued]] = field(default_factory=list)
    answered: list[tuple[Case, Issued]] = field(default_factory=list)
    expected: int = 0
    similar: list[dict[str, Any]] = field(default_factory=list)
    logs: list[dict[str, Any]] = field(default_factory=list)


def off() -> Content:
    return words.answer(
        "Certificate Transparency is not watched: my operator has set no list of logs. `CT_LOG_LIST` is the file or "
        "URL of one (v3 JSON), as in "
        "`CT_LOG_LIST=https://www.gstatic.com/ct/log_list/v3/log_list.json`; I read it when I "
        "start."
    )


def watching(guard: Guard, *, before: Guard | None, logs: int, filled: str) -> Content:
    """What is watched from now on. *before*: as it was watched until now."""
    domain = code(guard.domain, 200)
    done = "I watch it from now on"
    if before is not None:
        same = (before.expected_cas, before.lookalikes) == (guard.expected_cas, guard.lookalikes)
        done = "I watch it already, just so" if same else "I watch it differently from now on"
    parts = [
        f"{domain}: {done}, with every name below it. A certificate that nobody is known to have asked for is told "
        "here at once, with evidence; an expected one is remembered in silence."
    ]
    parent = guard.domain.removeprefix("www.")
    if parent != guard.domain and "." in parent:
        parts.append(f"For all of {code(parent, 200)}: {code(f'/tls ct watch {parent}', 220)}.")
    if guard.expected_cas:
        parts.append(f"Expected CAs: {', '.join(code(name, 80) for name in guard.expected_cas)}.")
    elif before is not None and before.expected_cas:
        parts.append("No CA is named as expected any more.")
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
        return fit("No domain is watched here", [section(head), *health(overview, running, now)])
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
            f"• {code(subject(issued, case.domains), 120)} by {code(issued.ca or '?', 80)}, {when(case.at)}"
            for case, issued in overview.waiting
        ]
        if overview.waiting_in_all > len(waiting):
            waiting.append(f"… and {overview.waiting_in_all - len(waiting):,} before them")
        blocks.append(section(cut("*Waiting for an answer*\n" + "\n".join(waiting), 2900)))
    seen = sum(overview.counts.values())
    counted = (
        f"{words.counted(seen, 'certificate')} in the last 7 days, {overview.counts.get('expected', 0):,} expected"
    )
    blocks.append(context(counted))
    return fit(f"{len(guards)} domains watched in CT", [*blocks, *health(overview, running, now)])


def aside(found: Since) -> tuple[str, ...]:
    """What nobody has to act on, a line each."""
    lines = []
    if found.expected:
        lines.append(f"🔖 {words.counted(found.expected, 'certificate')} issued as expected.")
    if found.similar:
        names = [f"{code(row['name'], 80)} ({_similar(row)})" for row in found.similar]
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


def _similar(row: Mapping[str, Any]) -> str:
    domain = code(row["domain"], 60)
    match row["why"]:
        case "confusable":
            return f"drawn like {domain}"
        case "one edit":
            return f"one letter from {domain}"
        case _:
            return f"{domain} in another TLD"
