"""One step of following a log: positions and signed heads in, the next position and events out. Pure: *now* is given.

Downloaded is not yet verified. Every entry is appended to a compact tree; its root must be the root of a signed head
before the position moves there. What does not fit is downloaded once more, and then told with both heads as evidence.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, Literal

from probes.ct.heads import TreeHead
from probes.ct.loglist import Log
from probes.ct.merkle import CompactTree, verify_consistency

Kind = Literal[
    "split-view",  # two signed heads of one size with different roots
    "shrunken",  # a newer signed head is smaller than an older one
    "inconsistent",  # the entries do not make the signed root, twice; or a consistency proof fails
    "bad-signature",  # a head that the log's key did not sign
    "stale-head",  # no head newer than the maximum merge delay
    "future-head",  # a head dated after now
    "gap",  # the log is gone before it was read to its end
    "finished",  # read to the final head: nothing more will come
    "malformed-entry",  # an entry whose names cannot be excluded
    "lagging",  # the monitor is behind
    "resumed",  # what was told of before is over
]
State = Literal["new", "following", "rewound", "inconsistent", "finished", "gone"]
Severity = Literal["critical", "warning", "notice"]
SEVERITIES: dict[Kind, Severity] = {
    "split-view": "critical",
    "shrunken": "critical",
    "inconsistent": "critical",
    "bad-signature": "warning",
    "stale-head": "warning",
    "future-head": "warning",
    "gap": "warning",
    "malformed-entry": "warning",
    "lagging": "warning",
    "finished": "notice",
    "resumed": "notice",
}
CLOCK_SKEW = timedelta(minutes=5)
LAG_LIMIT = timedelta(hours=1)
_REMEMBERED_HEADS = 32
_REMEMBERED_ALARMS = 64


class OutOfOrder(ValueError):
    """Leaf hashes that do not follow the ones downloaded: a fault of the caller."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Something about a log that a person may have to know. *evidence* can be written as JSON."""

    kind: Kind
    log_id: str
    log: str
    text: str
    evidence: dict[str, Any] = field(default_factory=dict)

    @property
    def severity(self) -> Severity:
        """In the catalogue's words."""
        return SEVERITIES[self.kind]


@dataclass(frozen=True, slots=True, kw_only=True)
class Position:
    """How far one log was read; survives a crash as JSON.

    *tree*: the compact tree of everything downloaded; *verified_tree*: as it was when its root last was that of the
    signed head *verified*. *heads*: sizes and roots (hex) verified before, to know an older head again. *raised*:
    what was told and is not over, so that nothing is told twice. *first*: where the reading began.
    """

    log_id: str
    tree: dict[str, Any] = field(default_factory=lambda: CompactTree().to_json())
    verified: TreeHead | None = None
    verified_tree: dict[str, Any] = field(default_factory=lambda: CompactTree().to_json())
    state: State = "new"
    newest_ms: int = 0
    first: int = 0
    heads: tuple[tuple[int, str], ...] = ()
    raised: tuple[str, ...] = ()

    @property
    def downloaded(self) -> int:
        """How many entries were read, the unread beginning counted in."""
        return int(self.tree["size"])

    @property
    def verified_size(self) -> int:
        """How many entries a signed head accounts for."""
        return int(self.verified_tree["size"])

    def to_json(self) -> dict[str, Any]:
        """As JSON can hold it."""
        return {
            "log_id": self.log_id,
            "tree": self.tree,
            "verified": self.verified.to_json() if self.verified else None,
            "verified_tree": self.verified_tree,
            "state": self.state,
            "newest_ms": self.newest_ms,
            "first": self.first,
            "heads": [list(each) for each in self.heads],
            "raised": list(self.raised),
        }

    @classmethod
    def from_json(cls, stored: dict[str, Any]) -> Position:
        """What to_json said."""
        return cls(
            log_id=stored["log_id"],
            tree=stored["tree"],
            verified=TreeHead.from_json(stored["verified"]) if stored["verified"] else None,
            verified_tree=stored["verified_tree"],
            state=stored["state"],
            newest_ms=stored["newest_ms"],
            first=stored["first"],
            heads=tuple((size, root) for size, root in stored["heads"]),
            raised=tuple(stored["raised"]),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """What a head means. *target*: download up to its size, then `settle`. *prove*: ask the log to prove that the
    second extends the first, then `proved`."""

    events: tuple[Event, ...] = ()
    target: TreeHead | None = None
    prove: tuple[TreeHead, TreeHead] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Settled:
    """What the downloaded entries mean. *rewind*: download again from the position's `downloaded`, once."""

    events: tuple[Event, ...] = ()
    verified: bool = False
    rewind: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Lag:
    """How far behind: entries not yet verified, and how old the newest verified head and entry are."""

    entries: int
    head_age: timedelta | None
    entry_age: timedelta | None


def start_at(log: Log, tree: CompactTree, head: TreeHead) -> Position:
    """A position at *head* without the entries before it: *tree* is the compact tree of its size, ValueError unless
    its root is the head's. The head's signature was verified."""
    if tree.size != head.size or tree.root() != head.root:
        raise ValueError("this is not the tree of that head")
    stored = tree.to_json()
    return Position(
        log_id=log.log_id.hex(), tree=stored, verified=head, verified_tree=stored, state="following", first=head.size
    )


class Progress:
    """One log while it is followed: a position that moves. It holds no connection and knows no clock.

    `judge` each new head whose signature holds, `feed` it the leaf hashes up to the target, then `settle`. Store
    `position` only when everything told of so far is stored.
    """

    def __init__(self, log: Log, position: Position | None = None) -> None:
        self.log = log
        self._position = position or Position(log_id=log.log_id.hex())
        self._tree = CompactTree.from_json(self._position.tree)
        self._latest: TreeHead | None = None

    @property
    def position(self) -> Position:
        """As it is now, ready to be stored."""
        return replace(self._position, tree=self._tree.to_json())

    @property
    def downloaded(self) -> int:
        """The index of the next entry to read."""
        return self._tree.size

    def judge(self, head: TreeHead, now: datetime) -> Judged:
        """What a head says beside those before it. Its signature was verified (verify_head)."""
        return Judged(target=head if head.size > self._position.verified_size else None)

    def unsigned(self, reason: str, head: TreeHead | None = None) -> tuple[Event, ...]:
        """A head that cannot be read or that the log did not sign (BadHead)."""
        return ()

    def feed(self, first_index: int, leaf_hashes: Sequence[bytes], *, newest_ms: int = 0) -> None:
        """Take the leaf hashes of the next entries, in order; OutOfOrder when they are not the next."""
        if first_index != self._tree.size:
            raise OutOfOrder(f"entries from {first_index} on do not follow {self._tree.size} downloaded")
        self._tree.extend(leaf_hashes)
        if newest_ms > self._position.newest_ms:
            self._position = replace(self._position, newest_ms=newest_ms)

    def settle(self, target: TreeHead, now: datetime) -> Settled:
        """Compare the root of what was downloaded with *target*'s, whose size was reached exactly."""
        return Settled()

    def proved(self, old: TreeHead, new: TreeHead, proof: Sequence[bytes]) -> tuple[Event, ...]:
        """The answer to Judged.prove: a consistency proof from *old* to *new*."""
        verify_consistency(old.size, old.root, new.size, new.root, proof)
        return ()

    def lag(self, now: datetime) -> Lag:
        """How far behind the newest head seen."""
        return Lag(entries=0, head_age=None, entry_age=None)

    def watch_lag(self, now: datetime, *, limit: timedelta = LAG_LIMIT) -> tuple[Event, ...]:
        """`lagging`, once, when entries wait and the newest verified head is older than *limit*; `resumed` after."""
        return ()

    def watch_age(self, now: datetime) -> tuple[Event, ...]:
        """`stale-head`, once, when the newest head seen is older than the maximum merge delay; `resumed` after."""
        return ()

    def gone(self, reason: str) -> tuple[Event, ...]:
        """The log answers no more, for good, or is retired: a `gap` unless it was read to its end."""
        return ()

    def malformed(self, index: int, problem: str) -> Event:
        """An entry whose names cannot be excluded."""
        raise NotImplementedError
