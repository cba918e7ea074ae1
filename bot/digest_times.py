"""When a channel's digest is due: a time of day, a zone, weekdays. Pure.

A digest belongs to a local day: one day has one digest, whatever the clocks do. A time that a spring change leaps over
comes when the clocks have leapt; one that an autumn change repeats comes the first time.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

from probes.model import UsageError, shown

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
EVERY_DAY = frozenset(range(7))
WORKDAYS = frozenset(range(5))
_LOOKED_BACK = 8  # days: each plan has one of seven
_NAMED = {"weekdays": WORKDAYS, "workdays": WORKDAYS, "daily": EVERY_DAY, "weekends": EVERY_DAY - WORKDAYS}
EXAMPLE = "`/tls digest at 09:00 Europe/Berlin weekdays`"


@dataclass(frozen=True, slots=True, kw_only=True)
class DigestPlan:
    """A channel's digest: at `at` by the clocks of `zone` (IANA name), on `weekdays` (0 is Monday)."""

    at: time
    zone: str
    weekdays: frozenset[int] = EVERY_DAY

    def __str__(self) -> str:
        return f"{self.at:%H:%M} {self.zone}, {spoken(self.weekdays)}"


@dataclass(frozen=True, slots=True, kw_only=True)
class DigestCommand:
    """`digest now | at … | off`. `at` without a plan opens the form."""

    act: Literal["now", "at", "off"]
    plan: DigestPlan | None = None


def command_of(words: Sequence[str]) -> DigestCommand:
    """What follows `digest`. Raises UsageError."""
    act, rest = (words[0].lower(), words[1:]) if words else ("at", [])
    match act:
        case "now" | "show" if not rest:
            return DigestCommand(act="now")
        case "off" | "stop" | "none" if not rest:
            return DigestCommand(act="off")
        case "at":
            return DigestCommand(act="at", plan=plan_of(rest) if rest else None)
        case _ if re.match(r"[0-9]", act):
            return DigestCommand(act="at", plan=plan_of(words))
    raise UsageError(
        f"I read `digest {shown(' '.join(words), 60)}`. `digest` knows `now`, `off` and `at TIME ZONE [weekdays]`, as "
        f"in {EXAMPLE}."
    )


def plan_of(words: Sequence[str]) -> DigestPlan:
    """`09:00 Europe/Berlin [weekdays]` → a plan. Raises UsageError."""
    if len(words) < 2:
        raise UsageError(f"I read `digest at {shown(' '.join(words))}`. It wants a time and a zone, as in {EXAMPLE}.")
    return DigestPlan(at=_time(words[0]), zone=_zone(words[1]), weekdays=_weekdays(words[2:]))


def due_on(plan: DigestPlan, day: date) -> datetime:
    """The moment, in UTC, at which the digest of the local *day* is due, were it one of the plan's."""
    zone = ZoneInfo(plan.zone)
    wanted = datetime.combine(day, plan.at, zone)  # fold=0: of a repeated hour the first
    # A time that does not exist is read by the offset before the leap: in UTC that is as long after the leap.
    return wanted.astimezone(UTC)


def last_due(plan: DigestPlan, now: datetime) -> tuple[date, datetime]:
    """The local day, and the moment in UTC, of the newest digest that is due at *now* or was before."""
    day = now.astimezone(ZoneInfo(plan.zone)).date() + timedelta(days=1)  # a zone's day can begin before its midnight
    for back in range(_LOOKED_BACK + 1):
        candidate = day - timedelta(days=back)
        if candidate.weekday() in plan.weekdays and (moment := due_on(plan, candidate)) <= now:
            return candidate, moment
    raise AssertionError("a plan without weekdays")


def next_due(plan: DigestPlan, now: datetime) -> tuple[date, datetime]:
    """The local day, and the moment in UTC, of the first digest that is due after *now*."""
    day = now.astimezone(ZoneInfo(plan.zone)).date() - timedelta(days=1)
    for ahead in range(_LOOKED_BACK + 2):
        candidate = day + timedelta(days=ahead)
        if candidate.weekday() in plan.weekdays and (moment := due_on(plan, candidate)) > now:
            return candidate, moment
    raise AssertionError("a plan without weekdays")


def spoken(weekdays: frozenset[int]) -> str:
    """`every day`, `weekdays`, `Mon, Wed`."""
    if weekdays == EVERY_DAY:
        return "every day"
    if weekdays == WORKDAYS:
        return "weekdays"
    return ", ".join(DAYS[number].capitalize() for number in sorted(weekdays))


def _time(text: str) -> time:
    read = re.fullmatch(r"([01]?[0-9]|2[0-3])(?:[:.]([0-5][0-9]))?\s*(am|pm)?", text.lower())
    if read is None or (read[3] and not 1 <= int(read[1]) <= 12) or (read[2] is None and read[3] is None):
        raise UsageError(f"I read the time “{shown(text)}”. It must be like 09:00, as in {EXAMPLE}.")
    hour = int(read[1])
    if read[3]:
        hour = hour % 12 + (12 if read[3] == "pm" else 0)
    return time(hour, int(read[2] or 0))


def _zone(text: str) -> str:
    known = {name.lower(): name for name in available_timezones()}
    wanted = text.strip().lower()
    name = known.get(wanted)
    if name is None:
        by_city = sorted(each for key, each in known.items() if key.rpartition("/")[2] == wanted and "/" in key)
        hint = f" Did you mean {by_city[0]}?" if by_city else ""
        raise UsageError(
            f"I read the zone “{shown(text)}”. It must be an IANA name such as Europe/Berlin or UTC.{hint}"
        )
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise UsageError(f"I know the zone {name} by name, but not its rules. Take a neighbour's, or UTC.") from None
    return name


def _weekdays(words: Sequence[str]) -> frozenset[int]:
    text = " ".join(words).strip().strip("[]()").lower()
    if not text or text in {"every day", "on every day"}:
        return EVERY_DAY
    found: set[int] = set()
    for part in re.split(r"[\s,;]+", re.sub(r"\s*[-–]\s*", "-", text)):
        if part in _NAMED:
            found |= _NAMED[part]
        elif part not in {"on", "and", "every", ""}:
            first, dash, last = part.partition("-")
            begin = _weekday(first)
            end = _weekday(last) if dash else begin
            found |= {(begin + step) % 7 for step in range((end - begin) % 7 + 1)}
    return frozenset(found) or EVERY_DAY


def _weekday(text: str) -> int:
    full = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
    fitting = [number for number, name in enumerate(full) if len(text) >= 2 and name.startswith(text.rstrip("s."))]
    if len(fitting) != 1:
        raise UsageError(
            f"I read the weekday “{shown(text)}”. It must be like mon-fri, mon,wed or weekdays, as in {EXAMPLE}."
        )
    return fitting[0]
