"""When a lookout is looked at, and what a look makes of it. Pure: time is handed in.

Each lookout has a moment of its own within the interval, by the hash of what it is: a restart moves nothing, and no
two thousand of them are due at once.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Literal, TypeAlias

from bot.sighting import Kind
from bot.watched import Lookout, Seen

DAY = timedelta(days=1)
OFTEN, USUAL = timedelta(minutes=5), timedelta(minutes=15)
FEW = 500  # lookouts that may be looked at often
AT_MOST_A_SECOND = 6.0  # light looks of one bot on the average, whatever there is to watch
WHILE_BROKEN = timedelta(hours=1)  # a full look, to learn whether the cause is still the same
ONCE_MORE = timedelta(minutes=1)  # before a recovery is believed
CATCH_UP = timedelta(seconds=60)  # over which what was missed is spread
NOT_AGAIN_FOR = timedelta(minutes=10)  # a change asks for a full look, but not for one after the other
NEWS_EVERY = timedelta(hours=1)  # what time alone brings (a lifetime's last sixth) is asked for so often
GOOD_LOOKS = 2
_LEAVES = 64  # of one name: some show a few of many servers at a time, each with a certificate of its own
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_TICK = timedelta(microseconds=1)

Verdict: TypeAlias = Literal["broke", "changed", "recovered", "same"]


def light_every(count: int) -> timedelta:
    """The interval of light looks where *count* endpoints are looked at."""
    if count <= FEW:
        return OFTEN
    return max(USUAL, timedelta(seconds=count / AT_MOST_A_SECOND))


def share(lookout: Lookout, salt: str = "") -> float:
    """Where in an interval the lookout's own moment lies, from 0 to 1: always the same."""
    target = lookout.target
    name = f"{salt}|{lookout.team}|{target}|{target.server_name}|{target.starttls}|{lookout.identity}|{lookout.bundle}"
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:6], "big") / (1 << 48)


def moment_after(lookout: Lookout, every: timedelta, after: datetime, salt: str = "") -> datetime:
    """The lookout's own next moment: strictly after *after*, and one in each interval since the epoch."""
    # Whole microseconds: a moment that was rounded must not be found again.
    width = every // _TICK
    offset = int(share(lookout, salt) * width)
    number = ((after - _EPOCH) // _TICK - offset) // width + 1
    return _EPOCH + (number * width + offset) * _TICK


@dataclass(frozen=True, slots=True, kw_only=True)
class Due:
    """The next look, and of which kind."""

    at: datetime
    kind: Kind


def next_look(lookout: Lookout, count: int, now: datetime, *, since: datetime | None = None) -> Due:
    """When *lookout*, one of *count*, is looked at next. Overdue ones are caught up once, spread over a minute from
    *since* (the start) on."""
    full = _next_full(lookout)
    begun = since or now
    looked_at = [at for at in (lookout.light_at, lookout.full_at) if at is not None]  # a full look tells all of a light
    light = moment_after(lookout, light_every(count), max(looked_at)) if looked_at else None
    kind: Kind = "full" if full is None or light is None or full <= max(light, begun) else "light"
    at = full if kind == "full" else light
    soonest = begun + share(lookout) * CATCH_UP if at is None or at < begun else at
    return Due(at=soonest, kind=kind)


def _next_full(lookout: Lookout) -> datetime | None:
    """None: at once, there was none yet."""
    if lookout.full_at is None:
        return None
    if lookout.status != "broken":
        return moment_after(lookout, DAY, lookout.full_at, "full")
    return lookout.full_at + (ONCE_MORE if lookout.goods else WHILE_BROKEN)


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """What a look made of its lookout: the lookout as it is now, what that is to people, and whether a full look is
    to follow at once."""

    lookout: Lookout
    verdict: Verdict = "same"
    full_now: bool = False


def step(lookout: Lookout, seen: Seen) -> Step:
    """Judge one look.

    A light look that differs from the one before it asks for a full one, and so does one that sees a certificate that
    no full look saw; a full one alone says that something broke. It has recovered after two good looks in a row, the
    last of them a full one.
    """
    if seen.kind == "light":
        after = replace(lookout, light=seen.fingerprint, light_at=seen.at)
        turned = (seen.status == "broken") != (lookout.status == "broken")
        turned = turned or (seen.status == "broken" and seen.cause != lookout.cause)
        is_news = seen.gist != lookout.gist if lookout.gist else turned  # the first is compared with the full look
        is_news = is_news or (lookout.full_at is not None and not set(seen.leaves) <= set(lookout.leaves))
        if is_news and lookout.status == "broken":
            after = replace(after, goods=1 if seen.status != "broken" else 0)
        is_too_soon = lookout.full_at is not None and seen.at - lookout.full_at < NOT_AGAIN_FOR
        if is_news and is_too_soon and not turned:
            return Step(lookout=after)  # it stays news for the next light look
        return Step(lookout=replace(after, gist=seen.gist), full_now=is_news)
    leaves = tuple(dict.fromkeys((*seen.leaves, *lookout.leaves)))[:_LEAVES]
    after = replace(lookout, full=seen.fingerprint, leaves=leaves, full_at=seen.at)
    if seen.status == "broken":
        verdict: Verdict = "broke" if lookout.status != "broken" else "same"
        if verdict == "same" and seen.cause != lookout.cause:
            verdict = "changed"
        since = lookout.broken_since if lookout.status == "broken" else seen.at
        return Step(
            lookout=replace(after, status="broken", cause=seen.cause, goods=0, broken_since=since), verdict=verdict
        )
    if lookout.status == "broken" and lookout.goods + 1 < GOOD_LOOKS:
        return Step(lookout=replace(after, goods=lookout.goods + 1))
    settled = replace(after, status=seen.status, cause=seen.cause, goods=0, broken_since=None)
    return Step(lookout=settled, verdict="recovered" if lookout.status == "broken" else "same")


def wants_news(lookout: Lookout, now: datetime) -> bool:
    """Is it time to ask again what time alone has brought?"""
    return lookout.told_at is None or now - lookout.told_at >= NEWS_EVERY
