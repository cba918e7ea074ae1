"""The four questions as a state machine: who answered what, whose turn it is, and what a late click meets. Pure.

A walkthrough is a value. Every answer and every step back makes a new one whose `step` is one higher; buttons carry
the step that they were drawn for, so a click on an older drawing is told so and changes nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from types import MappingProxyType
from typing import Final, Literal, TypeAlias

UNKNOWN: Final = "unknown"
Topic: TypeAlias = Literal["hosts", "deploy", "clients", "stage"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """One of the four. `choices`: what may be answered, by name; "don't know" goes without saying."""

    topic: Topic
    asks: str
    choices: Mapping[str, str]


QUESTIONS: Final[tuple[Question, ...]] = (
    Question(
        topic="hosts",
        asks="One host or many?",
        choices=MappingProxyType({"one": "One host", "some": "One host, in part or at times", "many": "Many hosts"}),
    ),
    Question(
        topic="deploy",
        asks="New deploy or steady state?",
        choices=MappingProxyType({"new": "Something was changed", "steady": "Nothing was changed"}),
    ),
    Question(
        topic="clients",
        asks="All clients or one client family?",
        choices=MappingProxyType(
            {
                "all": "All clients",
                "family": "One family of clients",
                "containers": "Containers or VMs only",
                "mtls": "Clients with certificates only",
            }
        ),
    ),
    Question(
        topic="stage",
        asks="Before or after the first byte of the server?",
        choices=MappingProxyType({"before": "Before the ServerHello", "after": "After the ServerHello"}),
    ),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """`suggested` is what the probes proposed at that moment, if they did."""

    topic: Topic
    choice: str
    by: str
    at: datetime
    suggested: str | None = None

    @property
    def overrules(self) -> bool:
        return self.suggested is not None and self.choice not in {self.suggested, UNKNOWN}


@dataclass(frozen=True, slots=True, kw_only=True)
class Clue:
    """A cause that an error text points to; `likelihood` 0 to 1."""

    code: str
    likelihood: float
    raised_by: str
    library: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Sibling:
    """Another host of the same certificate after a light look. `status` None: it was not asked, `why` says why."""

    host: str
    status: Literal["ok", "warning", "broken"] | None
    cause: str | None = None
    why: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Walkthrough:
    """One triage. `id` is the number of the request that began it.

    `command` asks for the check of its host (`bot.commands.written`), None while no host is known; `check` is the
    number of the check whose report speaks in it. `parent` is the key of the message in whose thread it stands,
    `thread_ts` a thread known already; with neither it stands in the channel.
    """

    id: int
    team: str
    channel: str
    started_by: str
    started_at: datetime
    command: str | None = None
    check: int | None = None
    hostless: bool = False  # somebody chose to go on without a host
    clues: tuple[Clue, ...] = ()
    answers: tuple[Answer, ...] = ()
    siblings: tuple[Sibling, ...] = ()
    asking: int | None = None  # the request that probes siblings now
    parent: str | None = None
    thread_ts: str | None = None
    step: int = 0
    revision: int = 0  # of the stored row; every change counts

    @property
    def key(self) -> str:
        """Names its message."""
        return f"triage:{self.id}"

    @property
    def wants_host(self) -> bool:
        """No host is known, and nobody has said that it goes on without one."""
        return self.command is None and not self.hostless

    @property
    def question(self) -> Question | None:
        """Whose turn it is; None when a host is wanted first, or all four are answered."""
        if self.wants_host or len(self.answers) >= len(QUESTIONS):
            return None
        return QUESTIONS[len(self.answers)]

    @property
    def is_concluded(self) -> bool:
        return not self.wants_host and self.question is None

    def answered(self, topic: Topic) -> str:
        """The choice made for *topic*; UNKNOWN while there is none."""
        return next((answer.choice for answer in self.answers if answer.topic == topic), UNKNOWN)


class Late(Exception):
    """The click was made on an older state of the message, or means nothing here. Nothing changes."""


def answer(
    walk: Walkthrough, *, step: int, topic: str, choice: str, by: str, at: datetime, suggested: str | None
) -> Walkthrough:
    """*by* answers the question of *topic*. Raises Late."""
    question = walk.question
    if step != walk.step or question is None or question.topic != topic:
        raise Late
    if choice != UNKNOWN and choice not in question.choices:
        raise Late
    given = Answer(topic=question.topic, choice=choice, by=by, at=at, suggested=suggested)
    return replace(walk, answers=(*walk.answers, given), step=walk.step + 1)


def back(walk: Walkthrough, *, step: int) -> Walkthrough:
    """Take the last answer back; before the first one, ask for the host again where none is known. Raises Late."""
    if step != walk.step:
        raise Late
    if walk.answers:
        return replace(walk, answers=walk.answers[:-1], step=walk.step + 1)
    if walk.command is None and walk.hostless:
        return replace(walk, hostless=False, step=walk.step + 1)
    raise Late


def without_host(walk: Walkthrough, *, step: int) -> Walkthrough:
    """Go on without a host. Raises Late."""
    if step != walk.step or not walk.wants_host:
        raise Late
    return replace(walk, hostless=True, step=walk.step + 1)


def with_host(walk: Walkthrough, command: str, check: int | None) -> Walkthrough:
    """The host is known now; answers stay. Raises Late when another one was named meanwhile."""
    if walk.command is not None:
        raise Late
    return replace(walk, command=command, check=check, step=walk.step + 1)


def asking(walk: Walkthrough, *, step: int, request: int) -> Walkthrough:
    """*request* begins to probe siblings; beginning twice is as good as once. Raises Late."""
    if walk.asking == request:
        return walk
    if step != walk.step or walk.asking is not None or walk.siblings:
        raise Late
    return replace(walk, asking=request)


def asked(walk: Walkthrough, request: int, siblings: tuple[Sibling, ...]) -> Walkthrough:
    """What the siblings of *request* showed. Answers that were given meanwhile stay. Raises Late."""
    if walk.asking != request:
        raise Late
    return replace(walk, asking=None, siblings=siblings)
