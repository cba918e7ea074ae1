"""The values that the listeners, the memory and the outbox pass around. Nothing here does I/O or knows the time."""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Final, Literal, TypeAlias

from bot.ct_grammar import CtCommand
from bot.digest_times import DigestCommand
from bot.watched import WatchCommand
from probes.model import Endpoint, Report, Status, Target
from probes.pki.credential import Credential

Json: TypeAlias = dict[str, Any]
Blocks: TypeAlias = tuple[Json, ...]


# ── what a person asked ─────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """`check …`. `addresses` empty: those that the name resolves to."""

    target: Target
    addresses: tuple[str, ...] = ()
    origin: Endpoint | None = None
    identity: str | None = None  # the name of a stored client identity
    credential: Credential | None = field(default=None, repr=False)  # what it stands for, once it is unsealed
    light: bool = False  # three handshakes an address; never asked for in words
    is_background: bool = False  # nobody waits for it: it gives way to what people ask

    def with_credential(self, credential: Credential) -> Check:
        """The same check, able to show its client certificate."""
        return replace(self, credential=credential)


@dataclass(frozen=True, slots=True, kw_only=True)
class IdentityCommand:
    """`identity add`, `identity list`, `identity remove NAME`."""

    act: Literal["add", "list", "remove"]
    name: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredIdentity:
    """A client identity as everyone may see it: its key is never here. `chain` is DER, leaf first."""

    team: str
    name: str
    patterns: tuple[str, ...]
    chain: tuple[bytes, ...]
    added_by: str
    added_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryQuery:
    """`history [HOST or word]`; an empty word lists everything. `figures`: those of all incidents, as pictures."""

    word: str = ""
    figures: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class TimelineNote:
    """`note TEXT`; never empty."""

    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TriageCommand:
    """`triage [HOST …] [error text]`: the check of its host, if it names one, and what else was said."""

    check: Check | None = None
    text: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExplainText:
    """`explain TEXT`; never empty."""

    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Help:
    """`help [WORD]`."""

    word: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class NotYet:
    """A command of the grammar that this version does not have."""

    word: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Misread:
    """What could not be understood: a text for the person, saying what was read and what would work.

    `instead` is the command that was probably meant, without the `/tls`; empty where nothing is near.
    """

    answer: str
    instead: str = ""


Command: TypeAlias = (
    Check
    | IdentityCommand
    | HistoryQuery
    | ExplainText
    | TimelineNote
    | TriageCommand
    | WatchCommand
    | DigestCommand
    | CtCommand
    | Help
    | NotYet
    | Misread
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Intake:
    """One accepted request, as it is stored before it is acknowledged.

    `key` names the delivery: two deliveries of one request have the same key. `text` is the command's text, or for an
    action the pressed button's value. `thread_ts` is the thread that the answer belongs into.
    """

    key: str
    kind: Literal["command", "mention", "action", "event", "look"]
    team: str
    channel: str
    user: str
    text: str
    received_at: datetime
    thread_ts: str | None = None
    response_url: str | None = None
    action: str | None = None
    message_ts: str | None = None  # the message that carries the pressed button, or that is spoken of
    ephemeral_button: bool = False  # that message is visible to one person only
    id: int = 0
    attempts: int = 0


Act: TypeAlias = Callable[[Intake], Awaitable[None]]  # what a button, a form, a shortcut or an event does
Fault: TypeAlias = Callable[[Intake, str], Awaitable[None]]  # tells that our own fault ended a request, by its short id


# ── what is owed to Slack ───────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True, kw_only=True)
class Content:
    """What one message says: always a text, blocks where they help, and the same in blocks that every client knows."""

    text: str
    blocks: Blocks = ()
    classic: Blocks = ()  # empty: `blocks` are classic already


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """A picture in a message. The same key is the same bytes; `alt` says in words what it shows.

    A message shows it by `block()` among its blocks, with the picture itself in `Note.pictures`. Where Slack does not
    take it, the message is said without: its text and its other blocks have to say everything.
    """

    key: str
    png: bytes = field(repr=False)
    alt: str

    @classmethod
    def named(cls, name: str, png: bytes, alt: str) -> Picture:
        """A picture whose key is *name* and a digest of the bytes."""
        return cls(key=f"{name}:{hashlib.sha256(png).hexdigest()[:16]}", png=png, alt=alt)

    def block(self) -> Json:
        """The block that shows it; the outbox puts Slack's own id in."""
        return {"type": "image", "picture": self.key, "alt_text": self.alt[:LONGEST_ALT] or "picture"}


LONGEST_ALT: Final = 2000  # docs.slack.dev/reference/block-kit/blocks/image-block


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """One message owed to Slack. Noting the same `key` again replaces what the message is to say.

    kind `message` is posted once and then edited; `reply` is for `user` alone and sent once; `file` is uploaded once,
    with the text of `content` beside it, and its blocks are said instead where Slack takes no file.
    `parent` is the key of the message in whose thread this one belongs, `thread_ts` a thread known already.
    `channel` may be a person's id: it is then said in their direct messages with the bot.
    `pictures` are those that the blocks show. `is_passing`: it will soon say something else (progress), so edits that
    last go before it.
    """

    key: str
    kind: Literal["message", "reply", "file"]
    team: str
    channel: str
    content: Content
    parent: str | None = None
    thread_ts: str | None = None
    user: str | None = None
    response_url: str | None = None
    replace_original: bool = False
    filename: str | None = None
    file_text: str | None = None
    pictures: tuple[Picture, ...] = ()
    is_passing: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Due:
    """A note that can be sent now, as far as its place in the queue goes."""

    id: int
    key: str
    kind: Literal["message", "reply", "file"]
    team: str
    channel: str
    is_posted: bool
    is_passing: bool
    awaits_pictures: bool  # Slack does not have them all yet


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """A picture as the outbox knows it. `upload`: Slack's id of its bytes."""

    key: str
    png: bytes = field(repr=False)
    alt: str
    upload: str | None
    state: Literal["new", "ready", "refused"]
    attempts: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Owed:
    """A note as it stands in the outbox. `ts` is where Slack put it; `attempted_at` (Unix seconds) says that an
    attempt began whose outcome was never learned."""

    id: int
    note: Note
    revision: int
    sent_revision: int
    ts: str | None
    thread_ts: str | None  # the note's own, or that of its parent
    attempted_at: float | None
    attempts: int
    upload: str | None = None  # of a file: the id of the bytes that Slack has already, shared or not


# ── what is remembered ──────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True, kw_only=True)
class PastCheck:
    """One check as remembered. `id` is the number of the intake that asked for it: one check per request."""

    id: int
    team: str
    channel: str
    user: str
    command: str
    headline: str  # key of the message that shows it
    at: datetime
    report: Report = field(hash=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckLine:
    """One line of `history`: a check without its report."""

    id: int
    target: str
    at: datetime
    status: Status
    cause: str | None
    summary: str
    user: str


Severity: TypeAlias = Literal["sev1", "sev2", "sev3"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Incident:
    """One endpoint failing in one channel, from the first broken verdict until somebody calls it resolved.

    `root` is the key of the message that shows it, `thread_ts` the thread in which that message itself stands, if it
    does. `recovered`: the newest check was not broken, and nobody has resolved it yet. `ended_at`: when it was.
    """

    id: int
    channel: str
    target: str
    cause: str
    state: Literal["open", "recovered", "resolved"]
    opened_at: datetime
    team: str = ""
    endpoint: str = ""  # the target, its server name and STARTTLS: one incident at a time for each in a channel
    host: str = ""
    issuer: str = ""
    root: str = ""
    thread_ts: str | None = None
    severity: Severity = "sev1"
    commander: str | None = None
    opened_by: str = ""
    asked_at: datetime | None = None  # when the first check was asked for
    cause_at: datetime | None = None  # when the present cause was named
    recovered_at: datetime | None = None
    ended_at: datetime | None = None
    ended_by: str | None = None  # a person, or None: it was healthy for long, and nobody said anything
    first_check: int = 0
    last_check: int = 0
    checks: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Transition:
    """What a check means for the incident of its endpoint. `was`: as it stood; `now`: as it stands.

    An incident that opens has no id yet: the memory gives it one.
    """

    kind: Literal["opened", "changed", "recovered", "relapsed", "unchanged", "healthy"]
    was: Incident | None = None
    now: Incident | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One line of an incident's timeline. `key` says what it stems from: the same thing twice is one line.

    `at` is when it happened; `text` is ours where `kind` is an act, and a person's own words where it is a note.
    `source_ts` is the message a note was taken from: what happens to that message happens to the note.
    """

    key: str
    kind: Literal["verdict", "act", "note"]
    at: datetime
    user: str
    text: str
    check: int | None = None
    source_ts: str | None = None
    added_by: str | None = None
    edited_ts: str | None = None
    state: Literal["live", "deleted", "withdrawn"] = "live"
    id: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Vigil:
    """*Watch until fixed*: who asked for it, and where it stands. `next_at`: None while a look is under way."""

    incident: int
    user: str
    started_at: datetime
    looks: int = 0
    looked_at: datetime | None = None
    next_at: datetime | None = None
