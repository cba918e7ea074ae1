"""The line of certificates for one set of names: what is served where, and the one thread that warns of it. Pure.

A lineage is its names and its owner in a channel; keys, serial numbers and CAs come and go within it. An episode is one
thread: from the first warning until the new certificate is seen everywhere. Each step of a certificate is told once,
however often it is found: twice delivered, after a restart, or with a clock that went back.
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
KEPT_AFTER_DNS = timedelta(hours=24)  # an address that DNS names no more: some names show a few of many at a time
MASS = 3  # certificates of one CA in one channel that it wants back at once: that is no matter of any one of them
NOT_AGAIN_FOR = timedelta(days=1)  # what calls nobody
_LOOKED_AT_WITHIN = timedelta(hours=6)
_REMEMBERED = 8
_TOLD_REMEMBERED = 32
OUTAGES: frozenset[Step] = frozenset({"expired", "revoked"})

Why: TypeAlias = Literal["closed", "yours", "acknowledged", "expired"]
End: TypeAlias = Literal["renewed", "mended", "gone", "withdrawn", "massed"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Lineage:
    """One lineage in one channel. `told`: which steps of which certificates people were told, oldest first.

    `episode` counts threads; `concerned` are the certificates this one is about; `until`: notAfter of what is most
    urgent. `massed`: certificates whose early replacement was told in one message for many.
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
    shown: str = ""  # digest of the root as it was said last

    @property
    def root(self) -> str:
        """Key of the message that shows the present episode."""
        return f"lineage:{self.id}:{self.episode}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Say:
    """What is to be said in the thread. `key` is the same for the same news."""

    kind: Literal["opened", "risen", "repeat", "snooze-over", "closed"]
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


# ── what was seen ───────────────────────────────────────────────────────────────


def seen(
    lineage: Lineage,
    *,
    watch: int,
    target: str,
    served: Mapping[str, tuple[str, ...]],
    silent: Iterable[str],
    others: Iterable[str],
    certificates: Certificates,
    now: datetime,
) -> Lineage:
    """The lineage after a look of *watch*. *served*: the paths of its own certificates, by address; *silent*: addresses
    that showed no certificate; *others*: those that showed one of another lineage.

    An address in none of them has left DNS: its place is kept for a day.
    """
    silent, others = frozenset(silent), frozenset(others)
    left = {(number, address): since for number, address, since in lineage.left}
    places: list[Place] = []
    replaced = list(lineage.replacements)
    known = set()
    for place in lineage.places:
        at = (place.watch, place.address)
        if place.watch != watch:
            places.append(place)
            continue
        known.add(place.address)
        path = served.get(place.address)
        if path is not None:
            left.pop(at, None)
            if path[0] != place.leaf:
                _succeed(replaced, place.leaf, path[0], lineage.looked_at, certificates, now)
            since = place.since if path[0] == place.leaf else now
            places.append(replace(place, target=target, path=path, since=since))
        elif place.address in silent:
            left.pop(at, None)
            places.append(place)
        elif place.address not in others and abs(now - left.setdefault(at, now)) < KEPT_AFTER_DNS:
            places.append(place)
        else:
            left.pop(at, None)
    for address, path in served.items():
        if address not in known:
            places.append(Place(watch=watch, target=target, address=address, path=path, since=now))
    _moved(replaced, lineage, places, certificates)
    return _tidy(
        replace(
            lineage,
            places=tuple(sorted(places, key=lambda each: (each.target, each.address))),
            left=tuple(sorted((number, address, since) for (number, address), since in left.items())),
            replacements=tuple(replaced[-_REMEMBERED:]),
            looked_at=_looked_at(lineage.looked_at, now),
        )
    )


def _looked_at(before: datetime | None, now: datetime) -> datetime:
    """By the hours alone: a row that is the same is not written again."""
    return now if before is None or now - before >= _LOOKED_AT_WITHIN else before


@dataclass(frozen=True, slots=True, kw_only=True)
class LookAt:
    """What `seen` is told of one look; for many looks at once."""

    watch: int
    target: str
    served: Mapping[str, tuple[str, ...]]
    silent: tuple[str, ...] | None  # None: nothing was seen of it at all
    others: frozenset[str]
    at: datetime


def seen_at_once(lineage: Lineage, looks: Sequence[LookAt], certificates: Certificates) -> Lineage:
    """The lineage after all *looks*, oldest first, at the price of one pass over its places.

    A certificate at thousands of endpoints is one lineage: to go through all its places at each look would cost a sweep
    of n endpoints n² steps. Here each look meets the places of its own watch alone.
    """
    places: dict[int, tuple[Place, ...]] = {}
    for place in lineage.places:
        places[place.watch] = (*places.get(place.watch, ()), place)
    left: dict[int, tuple[tuple[int, str, datetime], ...]] = {}
    for each in lineage.left:
        left[each[0]] = (*left.get(each[0], ()), each)
    replacements, looked_at = lineage.replacements, lineage.looked_at
    for look in looks:
        own = replace(
            lineage,
            places=places.get(look.watch, ()),
            left=left.get(look.watch, ()),
            replacements=replacements,
            looked_at=looked_at,
        )
        after = seen(
            own,
            watch=look.watch,
            target=look.target,
            served=look.served,
            silent=[place.address for place in own.places] if look.silent is None else look.silent,
            others=look.others,
            certificates=certificates,
            now=look.at,
        )
        places[look.watch], left[look.watch] = after.places, after.left
        replacements, looked_at = after.replacements, after.looked_at
    return _tidy(
        replace(
            lineage,
            places=tuple(
                sorted((one for own in places.values() for one in own), key=lambda one: (one.target, one.address))
            ),
            left=tuple(sorted(one for own in left.values() for one in own)),
            replacements=replacements,
            looked_at=looked_at,
        )
    )


def _succeed(
    replaced: list[Replacement],
    old: str,
    new: str,
    looked_at: datetime | None,
    certificates: Certificates,
    now: datetime,
) -> None:
    """Remember that *new* took the place of *old*; the first address at which it does says when."""
    before, after = expiry.validity(certificates.get(old)), expiry.validity(certificates.get(new))
    if before is None or after is None or any((each.old, each.new) == (old, new) for each in replaced):
        return
    if after[1] <= before[1] and after[0] <= before[0]:
        return  # an older one came back
    # While nobody looked, it was there from its own beginning on, at the earliest.
    at = min(now, max(looked_at or now, after[0]))
    share = expiry.share_left(certificates.get(old), at)
    replaced.append(Replacement(old=old, new=new, at=at, share=share if share is not None and share > 0 else None))


def _moved(replaced: list[Replacement], lineage: Lineage, places: Sequence[Place], certificates: Certificates) -> None:
    """A renewal that came with new addresses: the old certificate is nowhere any more."""
    since: dict[str, datetime] = {}
    for place in places:
        since[place.leaf] = min(place.since, since.get(place.leaf, place.since))
    for old in {each.leaf for each in lineage.places} - since.keys():
        if since and not any(each.old == old for each in replaced):
            new = max(since, key=lambda leaf: since[leaf])
            _succeed(replaced, old, new, since[new], certificates, since[new])


def dropped(lineage: Lineage, watch: int) -> Lineage:
    """Without the places of *watch*, which serves nothing of it any more, or is no longer watched."""
    kept = tuple(each for each in lineage.places if each.watch != watch)
    return _tidy(replace(lineage, places=kept, left=tuple(each for each in lineage.left if each[0] != watch)))


def _tidy(lineage: Lineage) -> Lineage:
    """Nothing is remembered of certificates that are gone, but for what was told of them."""
    served = {sha256 for place in lineage.places for sha256 in place.path}
    return replace(
        lineage,
        suggested=tuple(each for each in lineage.suggested if each.certificate in served),
        revoked=tuple(each for each in lineage.revoked if each in served),
        massed=tuple(each for each in lineage.massed if each in served),
    )


def found_revoked(lineage: Lineage, leaves: Iterable[str]) -> Lineage:
    """A revocation stands until the certificate is replaced, though light looks do not see it."""
    served = {place.leaf for place in lineage.places}
    return replace(lineage, revoked=tuple(sorted({*lineage.revoked, *leaves} & served)))


def suggested(lineage: Lineage, news: Suggested) -> Lineage:
    """With what the CA says now of one of its certificates."""
    others = tuple(each for each in lineage.suggested if each.certificate != news.certificate)
    return replace(lineage, suggested=(*others, news))


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
        return _closed(lineage)
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
        return Judged(lineage=opened, concern=found)
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


def _closed(lineage: Lineage) -> Judged:
    """Over, when nothing it was about is served any more: not when a clock says that there is time again."""
    served = {sha256 for place in lineage.places for sha256 in place.path}
    still = [each for each in lineage.concerned if each in served]
    if still and not _all_withdrawn(lineage, still):
        return Judged(lineage=lineage)
    was_leaf = {each.old for each in lineage.replacements}
    ended: End = "renewed" if was_leaf & set(lineage.concerned) else "mended"
    if not lineage.places:
        ended = "gone"
    if still:
        ended = "massed" if set(still) <= set(lineage.massed) else "withdrawn"
    leaves = "+".join(sorted({place.leaf[:16] for place in lineage.places})[:3])
    after = replace(lineage, is_open=False, ended=ended, snoozed_until=None, snoozed_by="", until=None)
    if ended in ("gone", "massed"):
        return Judged(lineage=after)  # the root says it; nobody waits for a word
    return Judged(lineage=after, say=Say(kind="closed", key=f"{lineage.root}:closed:{leaves}"))


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


# ── a CA that wants many back ───────────────────────────────────────────────────


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """One certificate of a mass replacement."""

    lineage: int
    name: str
    certificate: str
    owner: str = ""
    is_replaced: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Mass:
    """A CA wants many certificates of one channel replaced at once: one message for all of them."""

    id: int = 0
    team: str
    channel: str
    authority: str
    opened_at: datetime
    deadline: datetime  # the earliest end of their windows
    explanation_url: str = ""
    members: tuple[Member, ...] = ()
    is_open: bool = True
    was_late: bool = False  # the deadline has passed, and people were told who is left
    shown: str = ""

    @property
    def root(self) -> str:
        return f"mass:{self.id}"

    @property
    def left(self) -> tuple[Member, ...]:
        return tuple(each for each in self.members if not each.is_replaced)


def jumps(lineage: Lineage) -> tuple[Suggested, ...]:
    """The certificates of *lineage* that their CA wants back, and that no message for many names yet."""
    served = {place.leaf for place in lineage.places}
    return tuple(
        each
        for each in lineage.suggested
        if each.jumped and each.certificate in served and each.certificate not in lineage.massed
    )


def joined(
    mass: Mass | None, lineages: Sequence[Lineage], authority: str, now: datetime
) -> tuple[Mass, tuple[Lineage, ...]] | None:
    """The mass replacement that *lineages*, of one channel and CA, amount to or add to; None while each speaks for
    itself."""
    found = [(lineage, each) for lineage in lineages for each in jumps(lineage)]
    if not found or (mass is None and len(found) < MASS):
        return None
    members = tuple(
        Member(
            lineage=lineage.id,
            name=lineage.names[0] if lineage.names else each.certificate[:16],
            certificate=each.certificate,
            owner=lineage.owner,
        )
        for lineage, each in found
    )
    windows = [each.window for _, each in found]
    first = lineages[0]
    whole = mass or Mass(
        team=first.team,
        channel=first.channel,
        authority=authority,
        opened_at=now,
        deadline=min(each.end for each in windows),
        explanation_url=next((each.explanation_url for each in windows if each.explanation_url), ""),
    )
    known = {(each.lineage, each.certificate) for each in whole.members}
    added = tuple(each for each in members if (each.lineage, each.certificate) not in known)
    after = {lineage.id: lineage for lineage, _ in found}
    for member in members:
        each = after[member.lineage]
        after[member.lineage] = replace(each, massed=tuple(sorted({*each.massed, member.certificate})))
    deadline = min([whole.deadline, *(each.end for each in windows)])
    return replace(whole, members=whole.members + added, deadline=deadline), tuple(after.values())


def progressed(mass: Mass, lineage: Lineage) -> Mass:
    """After a look of *lineage*: what it no longer serves anywhere is replaced. Over when all are."""
    served = {sha256 for place in lineage.places for sha256 in place.path}
    members = tuple(
        replace(each, is_replaced=each.certificate not in served) if each.lineage == lineage.id else each
        for each in mass.members
    )
    return replace(mass, members=members, is_open=any(not each.is_replaced for each in members))
