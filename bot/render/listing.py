"""`history` and `help`: what they show. Pure."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime
from types import MappingProxyType

from bot.commands import AVAILABLE, PLANNED, WHAT_WORKS
from bot.model import CheckLine, Content, Incident, Json
from bot.render import words
from bot.render.limits import actions, button, code, context, fit, foreign, prose, section

OLDER, NEWER = "history.older", "history.newer"
PAGE = 8
OPEN_INCIDENTS = 6


def page_value(word: str, **place: int) -> str:
    """What the *Older* (before) and *Newer* (after) buttons carry."""
    return json.dumps({"word": word, **place}, ensure_ascii=False)


def history(
    word: str,
    checks: Sequence[CheckLine],
    incidents: Sequence[Incident],
    now: datetime,
    *,
    has_older: bool,
    is_later_page: bool = False,
    is_by_words: bool = False,
) -> Content:
    """One page of checks, newest first; the first page begins with the incidents. *is_by_words*: without an index."""
    subject = f" of {code(word, 100)}" if word else ""
    if not checks and not incidents:
        text = (
            f"I remember no check{subject}. `/tls check HOST[:PORT]` makes one."
            if not is_later_page
            else "That was all."
        )
        return fit(foreign(f"No checks{' of ' + word if word else ''}", 200), [section(text)])
    blocks: list[Json] = []
    if incidents and not is_later_page:
        blocks.append(section(f"*Incidents{subject}*\n" + "\n".join(_incident(each, now) for each in incidents)))
    if checks:
        older = ", older" if is_later_page else ""
        blocks.append(section(f"*Checks{subject}*{older}\n" + "\n".join(_line(line, now) for line in checks)))
    turning = [button("Newer", NEWER, page_value(word, after=checks[0].id))] if is_later_page and checks else []
    if has_older and checks:
        turning.append(button("Older", OLDER, page_value(word, before=checks[-1].id)))
    elif checks:
        blocks.append(context("That is all I remember."))
    if turning:
        blocks.append(actions(*turning))
    if is_by_words:
        blocks.append(
            context("Each word was looked for by itself: the SQLite I run on has no full-text search (FTS5).")
        )
    return fit(foreign(f"History{' of ' + word if word else ''}: {words.counted(len(checks), 'check')}", 200), blocks)


def _incident(incident: Incident, now: datetime) -> str:
    name = f"{code(incident.target, 120)} {code(incident.cause, 60)} INC-{incident.id}"
    if incident.state == "open":
        checks = words.counted(incident.checks, "check")
        return f"🔴 {name} open for {words.span(now - incident.opened_at)}, {checks}"
    if incident.state == "recovered":
        since = words.span(now - (incident.recovered_at or incident.opened_at))
        return f"🟢 {name} recovered {since} ago, not resolved yet"
    ended = incident.ended_at or incident.opened_at
    who = f" by <@{incident.ended_by}>" if incident.ended_by else ""
    return f"⚪ {name} resolved{who} after {words.span(ended - incident.opened_at)} ({words.clock(ended)})"


def _line(line: CheckLine, now: datetime) -> str:
    what = f"{code(line.cause, 60)} {prose(words.clause(line.summary), 110)}" if line.cause else "healthy"
    return f"{words.SIGN[line.status]} {code(line.target, 120)} {what} · {words.span(now - line.at)} ago"


# ── help ────────────────────────────────────────────────────────────────────────

_TEACHING = MappingProxyType(
    {
        "check": (
            "Makes the handshakes itself, as several kinds of clients and to every address of the name, and says in a "
            "thread why it fails: for whom, the evidence, the fix, the next command.",
            (
                ("check api.example.com", "port 443 goes without saying"),
                ("check api.example.com:8443", "another port"),
                ("check api.example.com --ip 192.0.2.7", "this address only; give it again for more"),
                ("check 192.0.2.7 --sni api.example.com", "an address, and the name to send"),
                ("check mail.example.com:25 --starttls smtp", "TLS that begins after a greeting"),
                ("check api.example.com --origin 10.0.0.8:8443", "compare the balancer with what is behind it"),
            ),
        ),
        "explain": (
            "Says what an error message means: the likeliest causes, who raised it against whom, and what to look at. "
            "Paste it as it is, log lines and stack traces around it too.",
            (
                ("explain x509: certificate signed by unknown authority", "one line"),
                ("explain NET::ERR_CERT_DATE_INVALID", "what a browser shows"),
                ("explain remote error: tls: bad certificate", "an alert, from a client's or a server's log"),
            ),
        ),
        "triage": (
            "Asks the four questions of triage in a thread, one after the other: one host or many, new deploy or "
            "steady state, all clients or one family, before or after the first byte. The probes suggest each answer "
            "and say why; anyone confirms or overrules them with one click. It ends with the likely cause, the first "
            "command to run, and what would prove or refute it. On any message, also of other apps, *Diagnose TLS "
            "here* does the same.",
            (
                ("triage api.example.com", "looks at it first, unless it was checked a moment ago"),
                ("triage api.example.com x509: certificate has expired", "an error text weighs, too"),
                ("triage", "of what was checked in this thread; elsewhere it asks for a host"),
            ),
        ),
        "history": (
            "Shows the incidents and checks that I remember: open ones first, then the newest.",
            (
                ("history", "everything"),
                ("history api.example.com", "one host"),
                ("history chain.incomplete", "one cause"),
                ("history broken", "one verdict"),
            ),
        ),
        "note": (
            "Writes a line into the timeline of an incident: in its thread by a mention, in a channel for its newest "
            "open one. The shortcut *Add to timeline* and the reaction :pushpin: take a message into it, with its own "
            "time; edits and deletions follow.",
            (("note failover to eu-west began", "in a channel, or after a mention in the incident's thread"),),
        ),
        "identity": (
            "Client certificates that a check shows to servers which ask for one. Each is bound to host patterns and "
            "shown nowhere else; the key is stored encrypted and never shown again.",
            (
                ("identity add", "opens a form"),
                ("identity list", "names, hosts and days left"),
                ("identity remove payments", "forgets one"),
                ("check api.example.com --identity payments", "a check that shows it"),
            ),
        ),
        "help": ("Shows this, or more about one command.", (("help check", "more about `check`"),)),
    }
)


def help_about(word: str) -> Content:
    """Everything in short, or one command with examples."""
    if word in _TEACHING:
        return _lesson(word)
    if word in PLANNED:
        return words.not_yet(word, PLANNED[word], WHAT_WORKS)
    return _overview(word)


def _lesson(word: str) -> Content:
    explanation, examples = _TEACHING[word]
    lines = "\n".join(f"`/tls {example}`  {meaning}" for example, meaning in examples)
    return fit(f"/tls {word}: {explanation}", [section(f"*`/tls {AVAILABLE[word]}`*\n{explanation}"), section(lines)])


def _overview(word: str) -> Content:
    start = f"I have no help about {code(word, 60)}. Here is what works:\n" if word else ""
    lines = (
        f"{start}*Why does this TLS handshake fail?*\n"
        "`/tls check api.example.com:8443`  the root cause, in a thread\n"
        "`/tls explain x509: certificate signed by unknown authority`  what an error message means\n"
        "`/tls triage api.example.com`  the four questions, answered together\n"
        "`/tls history api.example.com`  what was seen there before\n"
        "`/tls identity add`  a client certificate for checks of servers that ask for one\n"
        "`/tls help check`  more about one command"
    )
    note = (
        "The same works after a mention, also inside a thread: the answer stays there. "
        f"Not in this version yet: {', '.join(PLANNED)}."
    )
    return fit(
        "/tls check HOST[:PORT], /tls explain TEXT, /tls history [HOST or word], /tls identity add, /tls help [WORD]",
        [section(lines), context(note)],
    )
