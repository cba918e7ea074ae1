"""What is watched: watches, what they look at, looks, and how long handshakes took. Pure values, no clock.

A `Watch` belongs to a channel; a `Lookout` is one endpoint with the options it is looked at with, and is looked at once
an interval however many channels watch it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Final, Literal, TypeAlias

from bot.sighting import Kind, Sighting, to_json
from probes.model import Report, Status, Target

MOST_WATCHED: Final = 5_000  # of one workspace, and as many as one file may bring
LONGEST_SNOOZE_D: Final = 90
MOST_LABELS, LONGEST_LABEL = 10, 40


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchCommand:
    """`watch add | list | remove | snooze | import | sweep`.

    `add` without a target opens the form. `owner` is Slack's id of a person (U…, W…) or a user group (S…).
    """

    act: Literal["add", "list", "remove", "snooze", "import", "sweep"]
    target: Target | None = None
    owner: str | None = None
    labels: tuple[str, ...] = ()
    identity: str | None = None
    expected_cas: tuple[str, ...] = ()
    bundle: str = ""  # PEM; the form's alone
    word: str = ""
    snooze_s: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Lookout:
    """One endpoint as it is looked at, and what the looks made of it. Times are aware UTC.

    `status` and `cause` are by the newest full look that counted; `goods`: looks in a row, since it broke, that were
    not broken. `light` and `full` are the fingerprints of the newest look of each kind, `gist` that of the light one
    without its addresses; `leaves`: the certificates that full looks saw, the newest first.
    """

    id: int
    team: str
    target: Target
    identity: str | None = None
    bundle: str = ""  # SHA-256 of a PEM bundle trusted beside the default store
    status: Status | None = None  # None: no full look yet
    cause: str | None = None
    broken_since: datetime | None = None
    goods: int = 0
    light: str = ""
    full: str = ""
    gist: str = ""
    leaves: tuple[str, ...] = ()
    light_at: datetime | None = None
    full_at: datetime | None = None
    told_at: datetime | None = None  # when its news were asked for last
    expires_at: datetime | None = None  # of the leaf that ends first


@dataclass(frozen=True, slots=True, kw_only=True)
class Watch:
    """A lookout in a channel: who owns it, what is expected. `told`: the cause that this channel was told, if any."""

    id: int
    team: str
    channel: str
    lookout: Lookout
    owner: str | None = None
    labels: tuple[str, ...] = ()
    expected_cas: tuple[str, ...] = ()
    snoozed_until: datetime | None = None
    told: str | None = None
    added_by: str = ""
    added_at: datetime

    @property
    def target(self) -> Target:
        return self.lookout.target


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """Some watches of a channel, from the *start*-th on; `counts`: how many of all of them are in which state."""

    watches: tuple[Watch, ...]
    start: int
    counts: Mapping[Status | None, int] = field(hash=False)

    @property
    def total(self) -> int:
        return sum(self.counts.values())


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """A run of looks of one kind that saw the same: the first and the last of them, and how many they were.

    `ms`: how long the handshake took at each address in the newest of them; only known right after it.
    """

    id: int
    lookout: int
    sighting: Sighting
    first_at: datetime
    last_at: datetime
    count: int = 1
    ms: Mapping[str, float] = field(default_factory=dict, hash=False)

    @property
    def kind(self) -> Kind:
        return self.sighting.kind


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """One look, as the prober tells it. `report` is None when its fingerprint is the one already known.

    `why`: it could not be made at all, in words.
    """

    lookout: int
    kind: Kind
    at: datetime
    fingerprint: str = ""
    gist: str = ""
    leaves: tuple[str, ...] = ()
    status: Status = "ok"
    cause: str | None = None
    ms: Mapping[str, float] = field(default_factory=dict, hash=False)
    report: Report | None = None
    why: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Failing:
    """One endpoint of a flood. `is_over`: it has recovered."""

    target: str
    cause: str
    is_over: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Flood:
    """What failed together in one channel, told in one message (`key`), by the number of the watch."""

    key: str
    team: str
    channel: str
    began_at: datetime
    members: Mapping[int, Failing] = field(hash=False)

    @property
    def is_over(self) -> bool:
        return all(member.is_over for member in self.members.values())


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """How far a sweep has come."""

    total: int
    ok: int = 0
    warning: int = 0
    broken: int = 0
    failed: int = 0  # could not be looked at

    @property
    def done(self) -> int:
        return self.ok + self.warning + self.broken + self.failed


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """How long the light looks' handshakes took on one day, in ms; `median` is by a histogram: within a tenth."""

    day: date
    count: int
    mean: float
    least: float
    most: float
    median: float


Fingerprints: TypeAlias = tuple[str, str]


def fingerprints(sighting: Sighting) -> Fingerprints:
    """What a look saw as a digest, and the same without its addresses: a name whose addresses go round is no news."""
    plain = to_json(sighting)
    whole = _digest(plain)
    plain["served"] = sorted(
        {json.dumps({k: v for k, v in one.items() if k != "address"}, sort_keys=True) for one in plain["served"]}
    )
    plain["findings"] = sorted({(code, severity) for code, severity, _ in sighting.findings})
    return whole, _digest(plain)


def leaves(sighting: Sighting) -> tuple[str, ...]:
    """Which certificates were served, each once: enough of their SHA-256 to know them again."""
    return tuple(sorted({one.chain[0][:16] for one in sighting.served if one.chain}))


def _digest(plain: object) -> str:
    text = json.dumps(plain, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:32]


# ── handshake times ─────────────────────────────────────────────────────────────

_GROWTH = 1.2  # each bucket ends a fifth above the one before it: a median out of it is within a tenth


def bucket(ms: float) -> int:
    """The bucket of the histogram that *ms* falls into; 0 is all up to one millisecond."""
    number, edge = 0, 1.0
    while ms > edge and number < 60:
        number, edge = number + 1, edge * _GROWTH
    return number


def median_of(buckets: Mapping[int, int]) -> float:
    """The middle of the bucket in which the median lies."""
    middle, passed = sum(buckets.values()) / 2, 0
    for number in sorted(buckets):
        passed += buckets[number]
        if passed >= middle:
            return float(_GROWTH ** max(0.0, number - 0.5)) if number else 1.0
    return 0.0
