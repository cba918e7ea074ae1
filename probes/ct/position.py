"""How far a log was read, what was told of it, and what a step says: the values of `monitor`, which JSON can hold."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Literal

from probes.ct.heads import TreeHead
from probes.ct.merkle import CompactTree

Kind = Literal[
    "split-view",  # two signed heads of one size with different roots
    "shrunken",  # a newer signed head is smaller than an older one
    "inconsistent",  # the entries do not make the signed root, twice; or a consistency proof fails
    "bad-signature",  # a head that the log's key did not sign
    "stale-head",  # no head newer than the maximum merge delay
    "future-head",  # a head dated after now
    "gap",  # the log is gone before it was read to its end
    "finished",  # read to the final head: nothing more will come
    "unreadable",  # what the log must give cannot be had, for long
    "malformed-entry",  # an entry whose names cannot be excluded
    "malformed-many",  # so many of them that the others are counted
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
    "unreadable": "warning",
    "malformed-entry": "warning",
    "malformed-many": "warning",
    "lagging": "warning",
    "finished": "notice",
    "resumed": "notice",
}


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
class Trouble:
    """Why reading stands still: *what* was asked for, why it cannot be had, and since when."""

    what: str
    why: str
    since_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Malformed:
    """The malformed entries of a log: how many were *told* since *since_ms*, how many *more* were counted alone, and
    behind which entry none was yet (*upto*): what is read again counts once."""

    since_ms: int = 0
    told: int = 0
    more: int = 0
    upto: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Position:
    """How far one log was read; survives a crash as JSON.

    *tree*: the compact tree of everything downloaded; *verified_tree*: as it was when its root last was that of the
    signed head *verified*. *promised*: the largest signed head seen, downloaded or not. *heads*: some verified
    before, to know an older head again. *newest_ms* and *newest_head_ms*: the newest timestamps of an entry and of a
    head. *trouble*: what the last look failed at. *raised*: what was told and is not over, so that nothing is told
    twice. *first*: where the reading began. *malformed*: what was told of entries that cannot be read.
    """

    log_id: str
    tree: dict[str, Any] = field(default_factory=lambda: CompactTree().to_json())
    verified: TreeHead | None = None
    verified_tree: dict[str, Any] = field(default_factory=lambda: CompactTree().to_json())
    state: State = "new"
    promised: TreeHead | None = None
    newest_ms: int = 0
    newest_head_ms: int = 0
    first: int = 0
    heads: tuple[TreeHead, ...] = ()
    raised: tuple[str, ...] = ()
    trouble: Trouble | None = None
    malformed: Malformed = Malformed()

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
            "promised": self.promised.to_json() if self.promised else None,
            "newest_ms": self.newest_ms,
            "newest_head_ms": self.newest_head_ms,
            "first": self.first,
            "heads": [each.to_json() for each in self.heads],
            "raised": list(self.raised),
            "trouble": [self.trouble.what, self.trouble.why, self.trouble.since_ms] if self.trouble else None,
            "malformed": [self.malformed.since_ms, self.malformed.told, self.malformed.more, self.malformed.upto],
        }

    @classmethod
    def from_json(cls, stored: dict[str, Any]) -> Position:
        """What to_json said."""
        trouble, odd = stored.get("trouble"), stored.get("malformed") or (0, 0, 0, 0)
        return cls(
            log_id=stored["log_id"],
            tree=stored["tree"],
            verified=TreeHead.from_json(stored["verified"]) if stored["verified"] else None,
            verified_tree=stored["verified_tree"],
            state=stored["state"],
            promised=TreeHead.from_json(stored["promised"]) if stored["promised"] else None,
            newest_ms=stored["newest_ms"],
            newest_head_ms=stored["newest_head_ms"],
            first=stored["first"],
            heads=tuple(TreeHead.from_json(each) for each in stored["heads"]),
            raised=tuple(stored["raised"]),
            # A state written before troubles and malformed entries were kept has none.
            trouble=Trouble(what=trouble[0], why=trouble[1], since_ms=trouble[2]) if trouble else None,
            malformed=Malformed(since_ms=odd[0], told=odd[1], more=odd[2], upto=odd[3]),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """What a head means. *target*: download from `downloaded` up to its size, then `settle` it. *prove*: ask the log
    to prove that the second extends the first, then say so with `proved`. *rewound*: `downloaded` went back."""

    events: tuple[Event, ...] = ()
    target: TreeHead | None = None
    prove: tuple[TreeHead, TreeHead] | None = None
    rewound: bool = False


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
