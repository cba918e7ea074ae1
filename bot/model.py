"""The values that the listeners, the memory and the outbox pass around. Nothing here does I/O or knows the time."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Literal, TypeAlias

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
    """`history [HOST or word]`; an empty word lists everything."""

    word: str = ""


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
    """What could not be understood: a text for the person, saying what was read and what would work."""

    answer: str


Command: TypeAlias = Check | IdentityCommand | HistoryQuery | ExplainText | TriageCommand | Help | NotYet | Misread


@dataclass(frozen=True, slots=True, kw_only=True)
class Intake:
    """One accepted request, as it is stored before it is acknowledged.

    `key` names the delivery: two deliveries of one request have the same key. `text` is the command's text, or for an
    action the pressed button's value. `thread_ts` is the thread that the answer belongs into.
    """

    key: str
    kind: Literal["command", "mention", "action"]
    team: str
    channel: str
    user: str
    text: str
    received_at: datetime
    thread_ts: str | None = None
    response_url: str | None = None
    action: str | None = None
    message_ts: str | None = None  # the message that carries the pressed button
    ephemeral_button: bool = False  # that message is visible to one person only
    id: int = 0
    attempts: int = 0


# ── what is owed to Slack ───────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True, kw_only=True)
class Content:
    """What one message says: always a text, blocks where they help, and the same in blocks that every client knows."""

    text: str
    blocks: Blocks = ()
    classic: Blocks = ()  # empty: `blocks` are classic already


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """One message owed to Slack. Noting the same `key` again replaces what the message is to say.

    kind `message` is posted once and then edited; `reply` is for `user` alone and sent once; `file` is uploaded once,
    with the text of `content` beside it, and its blocks are said instead where Slack takes no file.
    `parent` is the key of the message in whose thread this one belongs, `thread_ts` a thread known already.
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Incident:
    """One target failing for one cause in one channel, from its first sight until it recovered or changed."""

    id: int
    channel: str
    target: str
    cause: str
    state: Literal["open", "changed", "recovered"]
    opened_at: datetime
    ended_at: datetime | None = None
    checks: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Transition:
    """What a check means for the incidents of its target. `ended` closes one, `opened` is the cause of a new one."""

    kind: Literal["opened", "changed", "recovered", "unchanged", "healthy"]
    ended: Incident | None = None
    opened: str | None = None
    seen: Incident | None = None  # the open incident that this check confirms
