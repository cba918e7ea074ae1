"""A walkthrough as one message: the question whose turn it is, what is answered by whom, and the outcome. Pure."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Final

from bot.model import Content, Json
from bot.render import words
from bot.render.limits import actions, advice, button, code, code_block, context, fit, foreign, prose, section
from bot.triage import QUESTIONS, UNKNOWN, Answer, Question, Sibling, Topic, Walkthrough
from bot.triage_hints import Hint, Known, siblings_to_ask
from bot.triage_weights import Weighed, settled_by
from probes.catalogue import CATALOGUE
from probes.model import FindingReport, Report, Target

HOST, HOST_FORM = "triage.host", "triage_host"  # the button that opens the form, and the form
SHORTCUT: Final = "triage_here"
ANSWER, BACK, SKIP, SIBLINGS = "triage.answer", "triage.back", "triage.skip", "triage.siblings"
# Ids within one block differ, so an answer's has a number behind it.
PRESSED: Final = re.compile(r"^triage\.(answer\.\d|back|skip|siblings)$")
ANSWERS: Final = (*(f"{ANSWER}.{number}" for number in range(4)), f"{ANSWER}.9")
FIELD: Final = "host"
_DONT_KNOW = "Don't know"
_ALSO = 3
_LEAST = 0.05  # a cause less likely than this is not worth a word
_CA_NAMES = 6
_NEAR_CERTAIN = 0.95


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What a concluded walkthrough says. `command`: the first one to run, quoted for a shell."""

    causes: tuple[Weighed, ...]
    command: str


def value(walk: Walkthrough, *parts: str) -> str:
    """What a button carries: the walkthrough, the step it was drawn for, and what it means."""
    return ":".join((str(walk.id), str(walk.step), *parts))


def read_value(text: str) -> tuple[int, int, tuple[str, ...]] | None:
    """A button's value, read back; None when it is none of ours."""
    number, _, rest = text.partition(":")
    step, *parts = rest.split(":")
    if not (number.isdecimal() and step.isdecimal() and number.isascii() and step.isascii() and len(text) < 80):
        return None
    return int(number), int(step), tuple(parts)


# ── the message ─────────────────────────────────────────────────────────────────


def shown(
    walk: Walkthrough, target: Target | None, known: Known, hint: Hint | None, outcome: Outcome | None
) -> Content:
    """The message as it stands."""
    if walk.wants_host:
        return _wants_host(walk)
    question = walk.question
    if question is not None:
        return _question(walk, target, known, question, hint)
    assert outcome is not None
    return _outcome(walk, target, known, outcome)


def _named(target: Target | None) -> str:
    return f" of {code(words.named(target))}" if target is not None else ""


def _wants_host(walk: Walkthrough) -> Content:
    text = "*Triage* · Which host is it about? I look at it myself and propose an answer to each of the four questions."
    buttons = actions(
        button("Name the host", HOST, value(walk)) | {"style": "primary"},
        button("Go on without one", SKIP, value(walk)),
    )
    return fit("Triage: which host is it about?", [section(text), buttons, *_clues(walk), _footer(walk)])


def _question(walk: Walkthrough, target: Target | None, known: Known, question: Question, hint: Hint | None) -> Content:
    number = QUESTIONS.index(question) + 1
    blocks = [section(f"*Triage{_named(target)}* · question {number} of {len(QUESTIONS)}"), *_answers(walk)]
    if number == 1:
        blocks += _clues(walk)
    blocks.append(section(f"*{question.asks}*\n{_proposal(question, hint)}"))
    blocks.append(_choices(walk, question, hint))
    if question.topic == "hosts":
        blocks += _siblings(walk, known)
    blocks.append(_footer(walk))
    return fit(foreign(f"Triage{' of ' + words.named(target) if target else ''}: {question.asks}", 300), blocks)


def _proposal(question: Question, hint: Hint | None) -> str:
    if hint is None:
        return "Nothing that I saw answers this one."
    why = prose(hint.why, 500)
    if hint.choice is None:
        return f"🔎 {why}"
    return f"💡 Probably *{question.choices[hint.choice]}*: {why}"


def _choices(walk: Walkthrough, question: Question, hint: Hint | None) -> Json:
    drawn = []
    for number, (name, label) in enumerate(question.choices.items()):
        drawn.append(button(label, f"{ANSWER}.{number}", value(walk, question.topic, name)))
        if hint is not None and hint.choice == name:
            drawn[-1]["style"] = "primary"
    drawn.append(button(_DONT_KNOW, f"{ANSWER}.9", value(walk, question.topic, UNKNOWN)))
    if walk.answers or walk.command is None:
        drawn.append(button("Back", BACK, value(walk)))
    return actions(*drawn)


def label(topic: Topic, choice: str) -> str:
    """A choice in words."""
    question = next(question for question in QUESTIONS if question.topic == topic)
    return question.choices.get(choice, _DONT_KNOW)


def _answers(walk: Walkthrough) -> list[Json]:
    if not walk.answers:
        return []
    return [context("\n".join(_answer(answer) for answer in walk.answers))]


def _answer(answer: Answer) -> str:
    asks = next(question.asks for question in QUESTIONS if question.topic == answer.topic)
    confirmed = answer.suggested is not None and answer.choice == answer.suggested
    beside = " (as suggested)" if confirmed else ""
    if answer.overrules and answer.suggested is not None:
        beside = f" (suggested: {label(answer.topic, answer.suggested)})"
    return f"{asks} *{label(answer.topic, answer.choice)}*{beside} · <@{answer.by}>"


def _clues(walk: Walkthrough) -> list[Json]:
    if not walk.clues:
        return []
    found = ", ".join(f"{code(clue.code, 60)} ({_percent(clue.likelihood)})" for clue in walk.clues[:_ALSO])
    return [context(f"The error text points to {found}")]


def _siblings(walk: Walkthrough, known: Known) -> list[Json]:
    if walk.asking is not None:
        return [context("⏳ Asking the other hosts …")]
    if walk.siblings:
        lines = [_sibling(sibling) for sibling in walk.siblings]
        return [section("*Other hosts of this certificate*\n" + "\n".join(lines))]
    names = siblings_to_ask(known.report)
    if not names:
        return []
    asks = f"Ask {words.counted(len(names), 'more host', 'more hosts')}"
    pressed = button(asks, SIBLINGS, value(walk))
    confirm = {
        "title": {"type": "plain_text", "text": f"{asks}?"},
        "text": {
            "type": "plain_text",
            "text": foreign(f"A light look, three handshakes an address, at: {', '.join(names)}", 290),
        },
        "confirm": {"type": "plain_text", "text": "Ask them"},
        "deny": {"type": "plain_text", "text": "Not now"},
    }
    return [actions(pressed | {"confirm": confirm})]


def _sibling(sibling: Sibling) -> str:
    host = code(sibling.host, 120)
    if sibling.status is None:
        return f"⚪ {host} not asked: {prose(sibling.why, 160)}"
    said = code(sibling.cause, 60) if sibling.cause else words.STATUS[sibling.status]
    return f"{words.SIGN[sibling.status]} {host} {said}"


def _footer(walk: Walkthrough) -> Json:
    return context(f"Anyone here may answer · begun by <@{walk.started_by}>")


# ── the outcome ─────────────────────────────────────────────────────────────────


def _outcome(walk: Walkthrough, target: Target | None, known: Known, outcome: Outcome) -> Content:
    if not outcome.causes:
        return _undecided(walk, target, known, outcome)
    best, *others = outcome.causes
    entry = CATALOGUE[best.code]
    proves, refutes = settled_by(best.code)
    title = f"{entry.title} ({best.code}, {_percent(best.likelihood)})"
    blocks = [
        section(
            f"*Triage{_named(target)}* · likely cause: *{prose(entry.title, 150)}* {code(best.code)} "
            f"({_percent(best.likelihood)})"
        ),
        *_answers(walk),
        *_explained(known.report, best.code),
        section(f"*Run first*\n{code_block(outcome.command, 1500)}"),
        section(f"*Proves it:* {advice(proves, 600)}\n*Refutes it:* {advice(refutes, 600)}"),
        *_further(walk, known),
    ]
    also = [other for other in others[:_ALSO] if other.likelihood >= _LEAST]
    if also:
        named = " · ".join(f"{code(each.code, 60)} {_percent(each.likelihood)}" for each in also)
        blocks.append(context(f"Also possible: {named}"))
    blocks.append(actions(button("Back", BACK, value(walk))))
    return fit(foreign(f"Triage{' of ' + words.named(target) if target else ''}: likely {title}", 300), blocks)


def _undecided(walk: Walkthrough, target: Target | None, known: Known, outcome: Outcome) -> Content:
    text = (
        f"*Triage{_named(target)}* · nothing to go on yet: no question is answered, no host was looked at, and no "
        "error text was read. Go back and answer one, or run this where it fails:"
    )
    blocks = [section(text), section(code_block(outcome.command, 1500)), *_answers(walk), *_further(walk, known)]
    blocks.append(actions(button("Back", BACK, value(walk))))
    return fit("Triage: nothing to go on yet", blocks)


def _explained(report: Report | None, cause: str) -> list[Json]:
    finding: FindingReport | None = (
        next((each for each in report.findings if each.code == cause), None) if report else None
    )
    if finding is None:
        if report is None:
            return []
        here = f"points to {code(report.cause)}" if report.cause else "finds nothing wrong"
        return [context(f"The check from here {here}; the answers speak for this cause.")]
    if report is not None and cause == report.cause:  # the evidence stands under the verdict
        return [section(f"The check found the same: {advice(words.clause(finding.explanation), 600)}.")]
    lines = [advice(finding.explanation, 600), *(f"• {prose(line, 250)}" for line in finding.evidence[:3])]
    return [section("\n".join(lines))]


def _further(walk: Walkthrough, known: Known) -> list[Json]:
    """What some answers call for beside the cause."""
    blocks: list[Json] = []
    if walk.answered("clients") == "containers":
        clocks = "date -u; docker exec CONTAINER date -u; kubectl exec POD -- date -u"
        blocks.append(section(f"*Containers only: compare the clocks*\n{code_block(clocks, 300)}"))
    if walk.answered("clients") == "mtls":
        blocks.append(section(_accepted_cas(known.report)))
    if walk.siblings or walk.asking is not None or walk.answered("hosts") in {"many", UNKNOWN}:
        blocks += _siblings(walk, known)
    return blocks


def _accepted_cas(report: Report | None) -> str:
    names = list(dict.fromkeys(name for each in (report.endpoints if report else ()) for name in each.ca_names))
    if not names:
        return (
            "*Client certificates only:* the server named no CA that it accepts, or was not asked. Compare the "
            "issuer of the client's certificate with the CA file that the server verifies clients against."
        )
    shown_names = "\n".join(f"• {code(name, 200)}" for name in names[:_CA_NAMES])
    more = f"\n… {len(names) - _CA_NAMES} more" if len(names) > _CA_NAMES else ""
    return f"*Client certificates only: the server accepts those issued by*\n{shown_names}{more}"


def _percent(likelihood: float) -> str:
    """Nothing that rests on weights by judgement is certain."""
    return f"{likelihood * 100:.0f} %" if likelihood < _NEAR_CERTAIN else f"over {_NEAR_CERTAIN * 100:.0f} %"


# ── short answers ───────────────────────────────────────────────────────────────


def late(walk: Walkthrough, topic: str | None) -> Content:
    """For a click on an older drawing of the message."""
    given = next((answer for answer in walk.answers if answer.topic == topic), None)
    if given is not None:
        meanwhile = f"<@{given.by}> answered that question already: *{label(given.topic, given.choice)}*."
    else:
        meanwhile = "The walkthrough has moved on since that button was drawn."
    question = walk.question
    waits = f"It asks now: {question.asks}" if question else "All four questions are answered." * walk.is_concluded
    text = f"{meanwhile} {waits} Your click changed nothing; *Back* takes an answer back.".replace("  ", " ")
    return fit(text, [section(text)])


def unknown() -> Content:
    return words.answer("I no longer know the walkthrough behind this button. `/tls triage HOST` begins a new one.")


def already(walk: Walkthrough) -> Content:
    """For whoever begins one where one goes on."""
    question = walk.question
    waits = f"it asks: {question.asks}" if question else "it asks for the host."
    return words.answer(f"A triage goes on in that thread already; {waits}")


def begun(target: Target | None) -> Content:
    """Where the questions are, for whoever asked by a command."""
    where = f" of {code(words.named(target))}" if target is not None else ""
    text = f"The four questions are in the thread{where}."
    return fit(text, [section(text)])


def nobody_to_ask() -> Content:
    return words.answer("The certificate names no other host that I could ask.")


# ── the form ────────────────────────────────────────────────────────────────────


def form(walk_value: str, place: dict[str, str]) -> Json:
    """The modal that asks for the host."""
    return {
        "type": "modal",
        "callback_id": HOST_FORM,
        "private_metadata": json.dumps(place | {"walk": walk_value}),
        "title": {"type": "plain_text", "text": "Which host?"},
        "submit": {"type": "plain_text", "text": "Look at it"},
        "close": {"type": "plain_text", "text": "Cancel"},
        "blocks": [
            {
                "type": "input",
                "block_id": FIELD,
                "label": {"type": "plain_text", "text": "Host, with a port if it is not 443"},
                "element": {
                    "type": "plain_text_input",
                    "action_id": FIELD,
                    "max_length": 300,
                    "placeholder": {"type": "plain_text", "text": "api.example.com:8443"},
                },
            }
        ],
    }
