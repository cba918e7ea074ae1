"""What a watch is compared with, and which drift was told of it: believed when it is certain, told once, and once more
when it goes back. Pure.

What a light look sees is believed when a full one sees it too; what flaps by nature, when two have. While an endpoint
is broken nothing is told here: its incident says what has changed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Literal, TypeAlias

from bot.drift import EVENTS, FLAPPY, SEEN_LIGHT, Drift, Habits, drifts, slower
from bot.expiry import Certificates, authority
from bot.sighting import Kind, Sighting
from bot.watched import Pace

SETTLES = timedelta(days=14)  # what has stood so long is how it is now; what ended is known for so long
LEARNING = timedelta(days=3)  # in which addresses may come and go unremarked
_POOL = 3  # days of the last two weeks on which addresses changed: then they rotate
_POOL_WINDOW = timedelta(days=14)
_MOST_KEYS = 64
_MOST_SERVED = 32  # addresses of one name

_Found: TypeAlias = Mapping[Kind, tuple[Drift, ...]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """A drift that people were told, in message number `message`, and how it ended, if it did."""

    drift: Drift
    message: int
    at: datetime
    ended_at: datetime | None = None
    ended: Literal["back", "settled"] | None = None
    misses: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Suspect:
    """A drift that was seen and is not certain yet; `run`: of the full looks that have seen it, the first."""

    key: str
    run: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Memory:
    """What one watch is compared with, and what was told of it. `addresses`: those that are no news; `latest`: those
    of the newest look; `accepted`: drifts that are no news any more, each with since when."""

    began: datetime
    light: Sighting | None = None
    full: Sighting | None = None
    addresses: tuple[str, ...] = ()
    latest: tuple[str, ...] = ()
    moved: tuple[datetime, ...] = ()
    authorities: tuple[str, ...] = ()
    keys: tuple[tuple[str, bool], ...] = ()  # of a leaf that came: was the key kept?
    renewed: tuple[str, ...] = ()  # leaves whose coming was counted already
    suspects: tuple[Suspect, ...] = ()
    told: tuple[Told, ...] = ()
    accepted: tuple[tuple[str, datetime], ...] = ()
    messages: int = 0
    within: tuple[tuple[int, str], ...] = ()  # messages that stand in the thread of another, each with its key
    paced_on: str = ""  # the day whose handshake times were judged last


@dataclass(frozen=True, slots=True, kw_only=True)
class FullLook:
    """The newest full look: which run of looks it is, how many saw the same, and what."""

    run: int
    count: int
    sighting: Sighting


@dataclass(frozen=True, slots=True, kw_only=True)
class Stepped:
    """`news`: to be told in one message, number `memory.messages`; `changed`: messages that are to say something else
    now; `back`: those of them whose every drift is over, one of them just now, and that are worth a word."""

    memory: Memory
    news: tuple[Drift, ...] = ()
    changed: tuple[int, ...] = ()
    back: tuple[int, ...] = ()


def habits_of(memory: Memory, expected: Iterable[str], now: datetime) -> Habits:
    recent = [each for each in memory.moved if abs(now - each) < _POOL_WINDOW]
    return Habits(
        addresses=frozenset(memory.addresses) if memory.addresses else None,
        addresses_rotate=len(recent) >= _POOL or now - memory.began < LEARNING,
        expected=tuple(expected),
        authorities=frozenset(memory.authorities),
        keys=memory.keys,
    )


def step(
    memory: Memory,
    newest: Sighting,
    full: FullLook | None,
    certificates: Certificates,
    now: datetime,
    *,
    expected: Iterable[str] = (),
    paces: Sequence[Pace] | None = None,
) -> Stepped:
    """What the newest look makes of the memory. *full*: the newest full look, which *newest* may be.

    *paces*: handshake times day by day, given once a day, when the last of them is over.
    """
    if newest.status == "broken":
        return Stepped(memory=memory)
    memory = _forgetting(memory, now)
    habits = habits_of(memory, expected, now)
    found = _found(memory, newest, full, certificates, habits, now)
    seen = _standing(found, newest, memory)
    certain = _certain(memory, found.get("full", ()), full)
    if paces is not None and (late := slower(paces)) is not None:
        seen[late.key] = late
        certain.add(late.key)
    memory, ended = _ended(memory, seen, newest.kind, full, now, judged_pace=paces is not None)
    memory, news, reopened = _told(memory, seen, certain, full, now)
    memory = _learned(memory, newest, full, found, certificates, habits, now)
    return Stepped(
        memory=memory,
        news=news,
        changed=tuple(sorted(ended | reopened)),
        back=tuple(number for number in sorted(ended) if _is_back(memory, number)),
    )


# ── what there is ───────────────────────────────────────────────────────────────


def _found(
    memory: Memory,
    newest: Sighting,
    full: FullLook | None,
    certificates: Certificates,
    habits: Habits,
    now: datetime,
) -> _Found:
    found: dict[Kind, tuple[Drift, ...]] = {}
    if newest.kind == "light" and memory.light is not None:
        found["light"] = drifts(memory.light, newest, certificates, habits, now=now)
    if full is not None and memory.full is not None and full.sighting.status != "broken":
        found["full"] = drifts(memory.full, full.sighting, certificates, habits, now=now)
    return found


def _standing(found: _Found, newest: Sighting, memory: Memory) -> dict[str, Drift]:
    """By their keys. What an older full look shows and a newer light one would show, and does not, has gone back."""
    light = {each.key: each for each in found.get("light", ())}
    is_newer = newest.kind == "light" and memory.light is not None
    full = {
        each.key: each
        for each in found.get("full", ())
        if not is_newer or each.kind not in SEEN_LIGHT or each.key in light
    }
    return light | full


def _certain(memory: Memory, by_full: Iterable[Drift], full: FullLook | None) -> set[str]:
    """What a full look has seen; of what flaps, two."""
    first_seen = {each.key: each.run for each in memory.suspects}
    certain = set()
    for each in by_full:
        before = first_seen.get(each.key, 0)
        twice = full is not None and (full.count > 1 or before not in (0, full.run))
        if each.kind not in FLAPPY or twice:
            certain.add(each.key)
    return certain


# ── what is said of it ──────────────────────────────────────────────────────────


def _forgetting(memory: Memory, now: datetime) -> Memory:
    told = tuple(each for each in memory.told if not _is_over(each) or abs(now - (each.ended_at or each.at)) < SETTLES)
    numbers = {each.message for each in told}
    return replace(
        memory,
        told=told,
        accepted=tuple(each for each in memory.accepted if abs(now - each[1]) < SETTLES),
        within=tuple(each for each in memory.within if each[0] in numbers),
    )


def _is_over(told: Told) -> bool:
    return told.ended is not None or told.drift.kind in EVENTS


def _ended(
    memory: Memory,
    seen: Mapping[str, Drift],
    kind: Kind,
    full: FullLook | None,
    now: datetime,
    *,
    judged_pace: bool,
) -> tuple[Memory, set[int]]:
    """What was told and is no longer so; and what has stood for so long that this is how it is. With the messages."""
    after = [
        each if _is_over(each) else _ending(each, seen, kind, full, now, judged_pace=judged_pace)
        for each in memory.told
    ]
    ended = {now_is.message for was, now_is in zip(memory.told, after, strict=True) if was.ended != now_is.ended}
    settled = tuple((each.drift.key, now) for each in after if each.ended == "settled" and each.ended_at == now)
    # A CA that was told of and stayed is one of the usual ones.
    come = [key.removeprefix("issuer:") for key, _ in settled if key.startswith("issuer:")]
    memory = replace(
        memory,
        told=tuple(after),
        accepted=(*memory.accepted, *settled)[-_MOST_KEYS:],
        authorities=tuple(dict.fromkeys((*memory.authorities, *come)))[-8:],
    )
    return memory, ended


def _ending(
    told: Told,
    seen: Mapping[str, Drift],
    kind: Kind,
    full: FullLook | None,
    now: datetime,
    *,
    judged_pace: bool,
) -> Told:
    """A drift after a look that showed it, or did not. What flaps is over when two full looks did not show it."""
    drift = told.drift
    if drift.key in seen:
        told = replace(told, misses=0, drift=seen[drift.key])
    elif judged_pace if drift.kind == "slower" else full is not None or drift.kind in SEEN_LIGHT:
        told = replace(told, misses=told.misses + (kind == "full" or drift.kind in SEEN_LIGHT))
        if drift.kind not in FLAPPY or told.misses > 1 or (full is not None and full.count > 1):
            return replace(told, ended="back", ended_at=now)
    if abs(now - told.at) >= SETTLES:
        return replace(told, ended="settled", ended_at=now)
    return told


def _told(
    memory: Memory, seen: Mapping[str, Drift], certain: set[str], full: FullLook | None, now: datetime
) -> tuple[Memory, tuple[Drift, ...], set[int]]:
    """The news; what had gone back and is there again, whose message says so: no other is made; and the suspects."""
    standing = {each.drift.key for each in memory.told if each.ended is None}
    accepted = {key for key, _ in memory.accepted}
    fresh = [each for key, each in seen.items() if key not in standing and key not in accepted]
    back = {each.drift.key for each in memory.told if each.ended == "back"}
    again = {each.key for each in fresh if each.key in certain and each.key in back}
    news = tuple(each for each in fresh if each.key in certain and each.key not in back)
    first_seen = {each.key: each.run for each in memory.suspects}
    run = full.run if full is not None else 0
    suspects = tuple(
        Suspect(key=each.key, run=first_seen.get(each.key, 0) or run) for each in fresh if each.key not in certain
    )
    told = tuple(
        replace(each, ended=None, ended_at=None, misses=0) if each.drift.key in again and each.ended == "back" else each
        for each in memory.told
    )
    number = memory.messages + bool(news)
    events = tuple((each.key, now) for each in news if each.kind in EVENTS)
    memory = replace(
        memory,
        messages=number,
        told=told + tuple(Told(drift=each, message=number, at=now) for each in news),
        suspects=suspects[:_MOST_KEYS],
        accepted=(*memory.accepted, *events)[-_MOST_KEYS:],
    )
    return memory, news, {each.message for each in memory.told if each.drift.key in again}


def _is_back(memory: Memory, number: int) -> bool:
    of_it = [each for each in memory.told if each.message == number and each.drift.kind not in EVENTS]
    worth = any(each.ended == "back" and each.drift.severity != "notice" for each in of_it)
    return worth and all(each.ended for each in of_it)


# ── what is learned ─────────────────────────────────────────────────────────────


def _learned(
    memory: Memory,
    newest: Sighting,
    full: FullLook | None,
    found: _Found,
    certificates: Certificates,
    habits: Habits,
    now: datetime,
) -> Memory:
    """Habits, and what the next look is compared with: this one, unless something in it is not as it should be."""
    memory = _renewals(memory, newest, certificates, habits)
    accepted = {key for key, _ in memory.accepted}
    memory = _moved(memory, newest, found, accepted, now)
    if newest.kind == "light" and all(each.key in accepted for each in found.get("light", ())):
        memory = replace(memory, light=merged(memory.light, newest))
    is_good = full is not None and full.sighting.status != "broken"
    if full is not None and is_good and all(each.key in accepted for each in found.get("full", ())):
        memory = replace(memory, full=merged(memory.full, full.sighting))
    return memory


def _moved(memory: Memory, newest: Sighting, found: _Found, accepted: set[str], now: datetime) -> Memory:
    """Which addresses are in use, and on which days they changed."""
    addresses = tuple(sorted(each.address for each in newest.served))
    if not addresses:
        return memory
    if memory.latest and addresses != memory.latest:
        days = {f"{each:%Y%m%d}" for each in memory.moved}
        if f"{now:%Y%m%d}" not in days:
            memory = replace(memory, moved=(*memory.moved, now)[-2 * _POOL :])
    of_addresses = [each for drifted in found.values() for each in drifted if each.kind.startswith("address-")]
    if all(each.key in accepted for each in of_addresses):
        memory = replace(memory, addresses=addresses)
    return replace(memory, latest=addresses)


def merged(good: Sighting | None, new: Sighting) -> Sighting:
    """*new*, with what it left out as *good* has it, and addresses that DNS did not name this time."""
    if good is None:
        return new
    before = {each.address: each for each in good.served}
    served = []
    for each in new.served:
        was = before.pop(each.address, None)
        if was is None:
            served.append(each)
        elif each.failed_stage is not None:
            served.append(was)
        else:
            unseen = ("client_auth", "staple", "resumes", "resumes_elsewhere", "versions", "suites")
            served.append(replace(each, **{name: getattr(was, name) for name in unseen if getattr(each, name) is None}))
    served += list(before.values())[: max(0, _MOST_SERVED - len(served))]
    return replace(new, served=tuple(sorted(served, key=lambda each: each.address)))


def _renewals(memory: Memory, newest: Sighting, certificates: Certificates, habits: Habits) -> Memory:
    """Which CAs were seen, and whether renewals keep the key: each new leaf counts once."""
    base = memory.light if newest.kind == "light" else memory.full
    before = {each.address: each.chain[0] for each in base.served if each.chain} if base else {}
    for each in newest.served:
        fresh = certificates.get(each.chain[0]) if each.chain else None
        if fresh is None or fresh.sha256 in memory.renewed:
            continue
        memory = replace(memory, renewed=(*memory.renewed, fresh.sha256)[-16:])
        old = certificates.get(before.get(each.address, ""))
        is_fine = not habits.expected or habits.expects(fresh.issuer)
        if old is None and not memory.authorities and is_fine:
            memory = replace(memory, authorities=(authority(fresh.issuer),))
        if old is not None and old.sha256 != fresh.sha256:
            kept = bool(old.spki_sha256) and old.spki_sha256 == fresh.spki_sha256
            memory = replace(memory, keys=(*memory.keys, (fresh.sha256, kept))[-6:])
    return memory
