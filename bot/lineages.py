"""The line of certificates for one set of names: what is served where, and the one thread that warns of it. Pure.

A lineage is its names and its owner in a channel; keys, serial numbers and CAs come and go within it, and its names
change with a renewal (`bot.lineage_looks`). An episode is one thread: from the first warning until the new certificate
is seen everywhere. Each step of a certificate is told once, however often it is found: twice delivered, after a
restart, or with a clock that went back.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Literal, TypeAlias

from bot import expiry
from bot.expiry import CALLS_OWNER, CRITICAL, RANK, Certificates, Concern, Place, Replacement, SeenInCt, Step, Suggested

SNOOZES: Mapping[str, timedelta] = {"1d": timedelta(days=1), "3d": timedelta(days=3), "1w": timedelta(weeks=1)}
REPEATS = (timedelta(days=1), timedelta(days=3))  # after a critical step that nobody acknowledged
RETURNS = 2  # of one episode that are worth a line; what goes on turning is only shown
NOT_AGAIN_FOR = timedelta(days=1)  # what calls nobody
_TOLD_REMEMBERED = 32
_SKEW = timedelta(minutes=5)
OUTAGES: frozenset[Step] = frozenset({"expired", "revoked"})

Why: TypeAlias = Literal["closed", "yours", "acknowledged", "expired"]
End: TypeAlias = Literal["renewed", "mended", "gone", "unwatched", "withdrawn", "massed"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Lineage:
    """One lineage in one channel. `told`: which steps of which certificates people were told, oldest first.

    `episode` counts threads; `concerned` are the certificates this one is about; `until`: notAfter of what is most
    urgent. `massed`: certificates whose early replacement was told in one message for many. `within`: the message in
    whose thread the present episode is told, where there were too many for a message each.
    """

    id: int = 0
    team: str
    channel: str
    names: tuple[str, ...]
    owner: str = ""
    places: tuple[Place, ...] = ()
    left: tuple[tuple[int, str, datetime], ...] = ()  # places that DNS no longer names: watch, address, since when
    replacements: tuple[Replacement, ...] = ()
    suggested: tuple[Suggested, ...] = ()
    revoked: tuple[str, ...] = ()
    massed: tuple[str, ...] = ()
    looked_at: datetime | None = None
    is_open: bool = False
    episode: int = 0
    told: tuple[tuple[Step, str], ...] = ()
    concerned: tuple[str, ...] = ()
    opened_at: datetime | None = None
    told_at: datetime | None = None
    repeats: int = 0
    until: datetime | None = None
    acknowledged_by: str = ""
    snoozed_by: str = ""
    snoozed_until: datetime | None = None
    ended: End | None = None
    within: str = ""
    returns: int = 0  # how often the present episode was over and was not
    shown: str = ""  # digest of the root as it was said last

    @property
    def name(self) -> str:
        """What people call it: the first of its names that is watched, or a host that it is watched at."""
        hosts = list(dict.fromkeys(place.host for place in self.places))
        watched = [name for name in self.names if name in hosts]
        return next(iter([*watched, *hosts, *self.names]), "a certificate without names")

    @property
    def root(self) -> str:
        """Key of the message that shows the present episode."""
        return f"lineage:{self.id}:{self.episode}"

    @property
    def thread(self) -> str:
        """Key of the message under which it is spoken of."""
        return self.within or self.root


@dataclass(frozen=True, slots=True, kw_only=True)
class Say:
    """What is to be said in the thread. `key` is the same for the same news."""

    kind: Literal["opened", "again", "risen", "repeat", "snooze-over", "closed"]
    key: str
    concern: Concern | None = None
    calls: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """The lineage after it was judged; `concern` is what its root is to show, None to leave it as it is."""

    lineage: Lineage
    concern: Concern | None = None
    say: Say | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    why: Why


def names_key(names: Iterable[str]) -> str:
    """One digest for one set of names, in whatever order and case they stand."""
    folded = sorted({name.rstrip(".").lower() for name in names})
    return hashlib.sha256("\n".join(folded).encode()).hexdigest()[:32]


# ── what is to be said ──────────────────────────────────────────────────────────


def standing(
    lineage: Lineage, newer: Sequence[SeenInCt] = (), anchored: frozenset[str] = frozenset()
) -> expiry.Standing:
    return expiry.Standing(
        places=lineage.places,
        replacements=lineage.replacements,
        suggested=tuple(each for each in lineage.suggested if each.certificate not in lineage.massed),
        revoked=frozenset(lineage.revoked),
        newer=tuple(newer),
        anchored=anchored,
    )


def judged(
    lineage: Lineage,
    certificates: Certificates,
    now: datetime,
    *,
    newer: Sequence[SeenInCt] = (),
    anchored: frozenset[str] = frozenset(),
    broken: frozenset[int] = frozenset(),
    examined: Mapping[int, datetime] | None = None,
) -> Judged:
    """What the lineage is to say now, if anything, and what it is then.

    An outage is an incident, which calls the owner (`bot.watch`). *broken*: the watches that have one; *examined*: when
    each was looked at in full last: what has ended by then and is no incident is told here.
    """
    silent = _Silence(broken=broken, examined=examined or {})
    found = expiry.concern(standing(lineage, newer, anchored), certificates, now)
    if not lineage.is_open:
        is_quiet = found is None or (found.step in OUTAGES and not silent.of(found))
        return Judged(lineage=lineage) if found is None or is_quiet else _opened(lineage, found, now)
    if found is None:
        return _closed(lineage, certificates, now)
    lineage = replace(lineage, until=found.not_after)
    if lineage.snoozed_until is not None and now < lineage.snoozed_until:
        return Judged(lineage=lineage, concern=found)
    if found.step in OUTAGES and not silent.of(found):
        return _told_elsewhere(lineage, found, silent)
    was_snoozed = lineage.snoozed_until is not None
    lineage = replace(lineage, snoozed_until=None, snoozed_by="")
    if is_new(lineage, found):
        return _risen(lineage, found, now)
    if was_snoozed:
        key = f"{lineage.root}:again:{now:%Y%m%d%H%M}"
        after = replace(lineage, told_at=now, repeats=0)
        return Judged(
            lineage=after,
            concern=found,
            say=Say(kind="snooze-over", key=key, concern=found, calls=found.step in CALLS_OWNER),
        )
    return _repeated(lineage, found, now)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Silence:
    """Which outages no incident tells."""

    broken: frozenset[int]
    examined: Mapping[int, datetime]

    def has_incident(self, found: Concern) -> bool:
        return all(place.watch in self.broken for place in found.places)

    def of(self, found: Concern) -> bool:
        """An intermediate that nobody misses, a watch that is snoozed: over, looked at since then, and no incident."""
        looks = ((self.examined.get(place.watch), place) for place in found.places)
        is_examined = all(at is not None and at > max(found.not_after, place.since) for at, place in looks)
        return found.step == "expired" and is_examined and not self.has_incident(found)


def _told_elsewhere(lineage: Lineage, found: Concern, silent: _Silence) -> Judged:
    """The incident calls people; the thread only shows where it stands, once there is one."""
    if not silent.has_incident(found):
        return Judged(lineage=lineage)
    told = lineage.told if (found.step, found.certificate) in lineage.told else _remember(lineage, found)
    concerned = tuple(dict.fromkeys((*lineage.concerned, found.certificate)))
    return Judged(lineage=replace(lineage, told=told, concerned=concerned), concern=found)


def is_new(lineage: Lineage, found: Concern) -> bool:
    """Worse than all that was told of this certificate; or that its successor is there and not in use everywhere."""
    told = [step for step, certificate in lineage.told if certificate == found.certificate]
    if found.step in told:
        return False
    return found.step == "undeployed" or found.rank > max((RANK[step] for step in told), default=0)


def _opened(lineage: Lineage, found: Concern, now: datetime) -> Judged:
    opened = replace(lineage, is_open=True, ended=None, until=found.not_after, concerned=(found.certificate,))
    if not is_new(lineage, found):
        # It came back (an address was rolled back, or DNS showed it again): its thread says so, and nobody is called.
        if lineage.ended not in ("renewed", "mended") or lineage.returns >= RETURNS:
            return Judged(lineage=opened, concern=found)
        opened = replace(opened, returns=lineage.returns + 1)
        say = Say(kind="again", key=f"{opened.root}:again:{opened.returns}", concern=found)
        return Judged(lineage=opened, concern=found, say=say)
    opened = replace(
        opened,
        episode=lineage.episode + 1,
        opened_at=now,
        told_at=now,
        repeats=0,
        told=_remember(lineage, found),
        acknowledged_by="",
        snoozed_by="",
        snoozed_until=None,
        within="",
        returns=0,
        shown="",
    )
    say = Say(kind="opened", key=opened.root, concern=found, calls=found.step in CALLS_OWNER)
    return Judged(lineage=opened, concern=found, say=say)


def _risen(lineage: Lineage, found: Concern, now: datetime) -> Judged:
    is_escalation = found.step in CALLS_OWNER
    after = replace(
        lineage,
        told=_remember(lineage, found),
        concerned=tuple(dict.fromkeys((*lineage.concerned, found.certificate))),
    )
    is_known = found.certificate in lineage.concerned and not is_escalation
    if is_known and (lineage.acknowledged_by or (lineage.told_at and abs(now - lineage.told_at) <= NOT_AGAIN_FOR)):
        return Judged(lineage=after, concern=found)  # somebody is at it, or just heard of it; the root shows the rest
    key = f"{lineage.root}:{found.step}:{found.certificate[:16]}"
    after = replace(after, told_at=now, repeats=0, acknowledged_by="")
    return Judged(lineage=after, concern=found, say=Say(kind="risen", key=key, concern=found, calls=is_escalation))


def _repeated(lineage: Lineage, found: Concern, now: datetime) -> Judged:
    since = lineage.told_at or now
    is_due = (
        found.step in CRITICAL
        and not lineage.acknowledged_by
        and lineage.repeats < len(REPEATS)
        and now >= since + REPEATS[lineage.repeats]
    )
    if not is_due:
        return Judged(lineage=lineage, concern=found)
    after = replace(lineage, repeats=lineage.repeats + 1)
    key = f"{lineage.root}:{found.step}:{found.certificate[:16]}:repeat:{after.repeats}"
    return Judged(lineage=after, concern=found, say=Say(kind="repeat", key=key, concern=found, calls=True))


def _closed(lineage: Lineage, certificates: Certificates, now: datetime) -> Judged:
    """Over, when nothing it was about is served any more: not when a clock says that there is time again, and not by a
    certificate that is not good yet."""
    starts = [period[0] for place in lineage.places if (period := expiry.validity(certificates.get(place.leaf)))]
    if any(start > now + _SKEW for start in starts):
        return Judged(lineage=lineage)
    served = {sha256 for place in lineage.places for sha256 in place.path}
    still = [each for each in lineage.concerned if each in served]
    if still and not _all_withdrawn(lineage, still):
        return Judged(lineage=lineage)
    was_leaf = {each.old for each in lineage.replacements}
    ended: End = "renewed" if was_leaf & set(lineage.concerned) else "mended"
    if not lineage.places and ended != "renewed":
        ended = "gone"
    if still:
        ended = "massed" if set(still) <= set(lineage.massed) else "withdrawn"
    leaves = "+".join(sorted({place.leaf[:16] for place in lineage.places})[:3])
    after = _over(lineage, ended)
    if ended in ("gone", "massed"):
        return Judged(lineage=after)  # the root says it; nobody waits for a word
    key = f"{lineage.root}:closed:{leaves}" + (f":{lineage.returns}" if lineage.returns else "")
    return Judged(lineage=after, say=Say(kind="closed", key=key))


def unwatched(lineage: Lineage) -> Judged:
    """None of its places is watched any more."""
    return Judged(lineage=_over(lineage, "unwatched") if lineage.is_open else lineage)


def _over(lineage: Lineage, ended: End) -> Lineage:
    return replace(lineage, is_open=False, ended=ended, snoozed_until=None, snoozed_by="", until=None)


def _all_withdrawn(lineage: Lineage, still: Iterable[str]) -> bool:
    """All that was wrong was the CA's wish, and it has taken that back, or says it for many elsewhere."""
    wished = {each.certificate for each in lineage.suggested if each.jumped and each.certificate not in lineage.massed}
    return all(
        each not in wished and {step for step, certificate in lineage.told if certificate == each} == {"wanted"}
        for each in still
    )


def _remember(lineage: Lineage, found: Concern) -> tuple[tuple[Step, str], ...]:
    return (*lineage.told, (found.step, found.certificate))[-_TOLD_REMEMBERED:]


# ── what people do ──────────────────────────────────────────────────────────────


def acknowledged(lineage: Lineage, user: str, episode: int) -> Lineage | Refused:
    """*user* is at it: no repeats from here on. Escalation goes on."""
    if not lineage.is_open or lineage.episode != episode:
        return Refused(why="closed")
    if lineage.acknowledged_by:
        return Refused(why="yours" if lineage.acknowledged_by == user else "acknowledged")
    return replace(lineage, acknowledged_by=user)


def snoozed(lineage: Lineage, user: str, episode: int, pause: timedelta, now: datetime) -> Lineage | Refused:
    """Silence for *pause*, and never past the moment at which the certificate ends."""
    if not lineage.is_open or lineage.episode != episode:
        return Refused(why="closed")
    if lineage.until is not None and lineage.until <= now:
        return Refused(why="expired")
    end = now + pause if lineage.until is None else min(now + pause, lineage.until)
    return replace(lineage, snoozed_by=user, snoozed_until=end)
