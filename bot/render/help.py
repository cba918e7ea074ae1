"""Help that teaches: everything in short, one command, one root cause, one failure mode; and what was probably meant.

Also what is said once: to a person at the first command, to a channel at the first arrival. Nothing is longer than a
screen. Pure.
"""

from __future__ import annotations

import difflib
import re

from bot import commands
from bot.model import Content, Help, Json, Misread, NotYet
from bot.render import words
from bot.render.lessons import CODES, COMMANDS, MODES, ModeLesson
from bot.render.limits import actions, button, code, context, fit, foreign, section
from probes.catalogue import CATALOGUE

# Runs the command that its value holds, if that is a harmless one; several in one message have a number behind it.
RUN = "help.run"
RUNS = re.compile(r"help\.run(:\d)?")
HELP = "help.open"  # opens the help in a modal, where there is no channel to say it in
CHECK_FORM = "check_form.open"  # opens the form of check options; its value is a command to fill in, or nothing
_MODE = re.compile(r"(?:failure )?(?:mode )?\s*([0-8])")
_OTHER_NAMES = {
    "intermediate": "chain",
    "intermediates": "chain",
    "trust": "chain",
    "dns": "reach.dns",
    "firewall": "reach",
    "tcp": "reach",
    "timeout": "reach.timeout",
    "refused": "reach.refused",
    "cipher": "negotiation.cipher",
    "ciphers": "negotiation.cipher",
    "alpn": "negotiation.alpn",
    "expired": "validity.expired",
    "expiry": "validity",
    "clock": "validity.clock-skew",
    "client certificate": "mtls",
    "client certificates": "mtls",
    "ocsp": "revocation",
    "crl": "revocation",
    "stapling": "revocation",
    "load balancer": "balancer",
    "tickets": "resumption",
    "0-rtt": "resumption.early-data",
    "figures": "history",
    "form": "check",
    "identities": "identity",
}


def at_once(command: Help | NotYet | Misread) -> Content:
    """The answer to what needs no work."""
    match command:
        case Help(word=word):
            return help_about(word)
        case NotYet(word=word):
            return words.not_yet(word, commands.PLANNED[word], commands.WHAT_WORKS)
        case Misread():
            return misread(command)


def help_about(word: str) -> Content:
    """Everything in short, or what *word* is: a command, a root cause, a failure mode."""
    asked = " ".join(word.lower().replace("`", "").removeprefix("/tls").split())
    if not asked:
        return _overview()
    asked = _OTHER_NAMES.get(asked, asked)
    if asked in commands.PLANNED:
        return words.not_yet(asked, commands.PLANNED[asked], commands.WHAT_WORKS)
    if asked in COMMANDS:
        return _of_command(asked)
    if asked in CODES:
        return _of_code(asked)
    mode = _mode_of(asked)
    if mode is not None:
        return _of_mode(mode)
    if asked.startswith("--"):
        return _of_command("check")
    return _unknown(word, asked)


def check_button(label: str = "Check TLS…", value: str = "") -> Json:
    """Opens the form of check options."""
    return button(label, CHECK_FORM, value or "new")


def open_button() -> Json:
    return button("What else?", RUN, "help")


# ── the pages ───────────────────────────────────────────────────────────────────


def _overview() -> Content:
    lines = [
        "*Why does this TLS handshake fail?*",
        "`/tls check api.example.com:8443`  the root cause, in a thread",
        "`/tls explain x509: certificate signed by unknown authority`  what an error message means",
        "`/tls triage api.example.com`  the four questions, answered together",
        "`/tls history api.example.com`  what was seen there before",
    ]
    further = {
        "watch": "`/tls watch add api.example.com`  looks at it from now on",
        "digest": "`/tls digest at 09:00 Europe/Berlin`  what this channel should know each day",
        "ct": "`/tls ct watch example.com`  tells of each new certificate",
    }
    lines += [line for word, line in further.items() if word in commands.AVAILABLE]
    lines += ["`/tls help check`  more about a command; also `help chain.incomplete`, `help mode 3`"]
    planned = f" Not in this version yet: {', '.join(commands.PLANNED)}." if commands.PLANNED else ""
    note = f"The same works after a mention, also inside a thread: the answer stays there.{planned}"
    return fit(
        "/tls check HOST[:PORT], /tls explain TEXT, /tls history [HOST or word], /tls identity add, /tls help [WORD]",
        [section("\n".join(lines)), actions(check_button()), context(note)],
    )


def modal() -> Json:
    """The overview over a Home."""
    told = [block for block in _overview().blocks if block["type"] != "actions"]
    return {"type": "modal", "title": {"type": "plain_text", "text": "What I can do"}, "blocks": told} | {
        "close": {"type": "plain_text", "text": "Close"}
    }


def _of_command(name: str) -> Content:
    lesson = COMMANDS[name]
    usage = commands.AVAILABLE.get(name, lesson.usage)
    lines = "\n".join(f"`/tls {example}`  {meaning}" for example, meaning in lesson.examples)
    blocks = [section(f"*`/tls {usage}`*\n{lesson.says}"), section(lines)]
    if name == "check":
        blocks.append(actions(check_button()))
    return fit(f"/tls {name}: {lesson.says}", blocks)


def _of_code(name: str) -> Content:
    means, first = CODES[name]
    entry = CATALOGUE[name]
    mode = MODES[entry.mode]
    head = f"*{entry.title}*  `{name}`\n{means}"
    where = f"Failure mode {entry.mode}, {mode.name}" if entry.mode else "Before TLS"
    note = f"{where}; usually {entry.severity}. `/tls help mode {entry.mode}` shows its neighbours."
    return fit(
        f"{name}: {means} First: {first}",
        [
            section(f"{head}\n*First:* {first}"),
            actions(check_button("Check a host…"), _found_before(name)),
            context(note),
        ],
    )


def _found_before(name: str) -> Json:
    return button("Where was it seen?", RUN, f"history {name}")


def _of_mode(mode: ModeLesson) -> Content:
    number = MODES.index(mode)
    title = f"Failure mode {number}: {mode.name}" if number else "Before TLS"
    rows = "\n".join(f"`{each.code}`  {words.clause(each.title)}" for each in CATALOGUE.values() if each.mode == number)
    return fit(
        f"{title}. {mode.says} First: {mode.first}",
        [
            section(f"*{title}*\n{mode.says}\n*First:* {mode.first}"),
            section(rows),
            context(f"`/tls help CODE` tells more about one of them, as in `/tls help {_example(mode)}`."),
        ],
    )


def _example(mode: ModeLesson) -> str:
    return next(name for name in CODES if name.startswith(f"{mode.family}."))


def _mode_of(asked: str) -> ModeLesson | None:
    number = _MODE.fullmatch(asked)
    if number is not None:
        return MODES[int(number[1])]
    return next((mode for mode in MODES if asked in {mode.family, mode.name.lower()}), None)


def _unknown(word: str, asked: str) -> Content:
    """Nothing is called so: what is called nearly so, or else everything in short."""
    ends = {name.partition(".")[2]: name for name in CODES}
    names = [*COMMANDS, *CODES, *ends, *(mode.family for mode in MODES), *_OTHER_NAMES]
    near = difflib.get_close_matches(asked, names, n=3, cutoff=0.6)
    meant = list(dict.fromkeys(ends.get(name, _OTHER_NAMES.get(name, name)) for name in near))
    said = f"I have no help about {code(word, 60)}."
    if not meant:
        overview = _overview()
        return fit(f"{said} {overview.text}", [section(said), *overview.blocks])
    listed = " or ".join(f"`/tls help {name}`" for name in meant)
    text = f"{said} Did you mean {listed}?"
    labels = ["Run this"] if len(meant) == 1 else meant
    buttons = (button(name, f"{RUN}:{at}", f"help {meant[at]}") for at, name in enumerate(labels))
    return fit(text, [section(text), actions(*buttons)])


# ── what was not understood ─────────────────────────────────────────────────────


def misread(asked: Misread) -> Content:
    """What was read, what would work; and where that is harmless, a button that does it."""
    content = words.answer(asked.answer)
    if not asked.instead or not commands.is_harmless(commands.parse(asked.instead)):
        return content
    shown = foreign(asked.instead, 60)
    run = {**button("Run this", RUN, asked.instead), "accessibility_label": f"Run /tls {shown}"[:75]}
    return fit(content.text, [*content.blocks, actions(run)])


# ── what is said once ───────────────────────────────────────────────────────────


def first_time() -> Content:
    """One line for a person's first command."""
    text = (
        "First time? Verdicts appear in the channel, the evidence in their thread; only you see this line. "
        "`/tls help` shows what else I can do."
    )
    return fit(text, [context(text)])


def welcome() -> Content:
    """For a channel that the bot has never been in."""
    text = (
        "I find out why a TLS handshake fails: for whom, at which address, with the evidence and the fix. Try "
        "`/tls check api.example.com`, or paste an error after `/tls explain`."
    )
    note = "In a thread, mention me instead: commands do not work there. I say this once."
    return fit(text, [section(text), actions(check_button(), open_button()), context(note)])
