"""What a channel's digest says: what needs a person, what changed since the last one, and what is ahead. Pure.

Whoever has something to say about a channel (`bot.digesting.Source`) says it as `Item`s; here they are put in order,
and what nobody has to read is counted instead of told.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Literal, TypeAlias

from bot.model import Incident
from bot.watched import Pace, Watch

Weight: TypeAlias = Literal["critical", "warning", "notice"]
_HEAVINESS: dict[Weight, int] = {"critical": 0, "warning": 1, "notice": 2}
HORIZON_DAYS = 90
SLOW_DAYS = 14  # as far back as a curve of handshake times goes
_SLOWER, _SLOWER_MS = 1.5, 20.0  # a curve is worth showing where its newest day stands out so far
MOST_CURVES = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """One thing about one endpoint. `subject` is foreign text, `text` ours (mrkdwn); `key` names the message that shows
    more of it (an outbox key), `owner` is a person's or a group's id. `by`: when its certificate ends."""

    weight: Weight
    subject: str
    text: str
    owner: str = ""
    key: str = ""
    by: datetime | None = None


Group: TypeAlias = tuple[Item, ...]
"""What is said of one endpoint: one line. Never empty."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """What one source has to say: `needs` a person, `changed` since the last digest; `rests`: a person has put it off;
    `aside` at the foot; `domains`: how many it watches in CT logs."""

    needs: tuple[Item, ...] = ()
    changed: tuple[Item, ...] = ()
    rests: tuple[Item, ...] = ()
    aside: tuple[str, ...] = ()
    domains: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """A certificate that ends within the horizon, or has ended."""

    subject: str
    owner: str
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Curve:
    """Medians of an endpoint's handshake times, a day each, oldest first; None where nothing was measured."""

    subject: str
    medians: tuple[float | None, ...]
    is_slower: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Digest:
    """Everything that one digest says. `since`: what "changed" is measured from."""

    at: datetime
    since: datetime
    needs: tuple[Group, ...] = ()
    changed: tuple[Group, ...] = ()
    rests: tuple[Group, ...] = ()
    endings: tuple[Ending, ...] = ()
    next_ending: Ending | None = None
    curves: tuple[Curve, ...] = ()
    aside: tuple[str, ...] = ()
    watched: int = 0
    domains: int = 0  # watched in CT logs
    counts: Mapping[str, int] = field(default_factory=dict, hash=False)  # watches by state

    @property
    def is_quiet(self) -> bool:
        return not self.needs and not self.changed

    @property
    def keys(self) -> frozenset[str]:
        """Of the messages that show more."""
        everything = (*self.needs, *self.changed, *self.rests)
        return frozenset(item.key for group in everything for item in group if item.key)


def composed(
    *,
    at: datetime,
    since: datetime,
    said: Iterable[Said],
    watches: Sequence[Watch],
    paces: Mapping[int, Sequence[Pace]],
) -> Digest:
    """The digest of a channel with those *watches*; *paces* by lookout."""
    everything = list(said)
    endings = sorted(
        (
            Ending(subject=str(watch.target), owner=watch.owner or "", at=watch.lookout.expires_at)
            for watch in watches
            if watch.lookout.expires_at is not None
        ),
        key=lambda each: (each.at, each.subject),
    )
    counts: dict[str, int] = {}
    for watch in watches:
        state = watch.lookout.status or "not looked at yet"
        counts[state] = counts.get(state, 0) + 1
    curves = [curve_of(str(watch.target), paces.get(watch.lookout.id, ()), at) for watch in watches]
    slower = sorted((curve for curve in curves if curve is not None and curve.is_slower), key=_how_much, reverse=True)
    return Digest(
        at=at,
        since=since,
        needs=ordered(item for one in everything for item in one.needs),
        changed=ordered(item for one in everything for item in one.changed),
        rests=ordered(item for one in everything for item in one.rests),
        endings=tuple(each for each in endings if each.at - at <= timedelta(days=HORIZON_DAYS)),
        next_ending=next((each for each in endings if each.at > at), None),
        curves=tuple(slower[:MOST_CURVES]),
        aside=tuple(line for one in everything for line in one.aside),
        watched=len(watches),
        domains=sum(one.domains for one in everything),
        counts=counts,
    )


def ordered(items: Iterable[Item]) -> tuple[Group, ...]:
    """By endpoint: the heaviest first, then what gets worse first. The same thing once, however many say it."""
    unique = {(item.subject, item.text): item for item in items}
    groups: dict[str, list[Item]] = {}
    for item in sorted(unique.values(), key=_urgency):
        groups.setdefault(short(item.subject), []).append(item)
    return tuple(tuple(group) for group in groups.values())


def _urgency(item: Item) -> tuple[int, float, str, str]:
    # What has no date of its own is broken, or waits for an answer: no date comes before it.
    by = item.by.timestamp() if item.by is not None else 0.0
    return _HEAVINESS[item.weight], by, short(item.subject), item.text


def short(target: str) -> str:
    """As people write it: the usual port is left out."""
    return target.removesuffix(":443")


def curve_of(subject: str, paces: Sequence[Pace], at: datetime) -> Curve | None:
    """How the handshakes of the last two weeks went; None where there is too little to compare."""
    by_day = {pace.day: pace.median for pace in paces}
    days = [at.date() - timedelta(days=back) for back in reversed(range(SLOW_DAYS))]
    medians = tuple(by_day.get(day) for day in days)
    known = [each for each in medians if each is not None]
    if len(known) < 4:
        return None
    usual = sorted(known[:-1])[len(known[:-1]) // 2]
    is_slower = known[-1] > usual * _SLOWER and known[-1] - usual > _SLOWER_MS
    return Curve(subject=subject, medians=medians, is_slower=is_slower)


def _how_much(curve: Curve) -> float:
    known = [each for each in curve.medians if each is not None]
    return known[-1] - known[0]


# ── what incidents and watches say ──────────────────────────────────────────────


def of_incidents(standing: Iterable[Incident], ended: Iterable[Incident]) -> Said:
    """Open ones need a person; recovered ones somebody to resolve them; *ended* are those since the last digest."""
    needs = [
        Item(
            weight="critical" if incident.state == "open" else "notice",
            subject=incident.target,
            text=_stands(incident),
            owner=incident.commander or "",
            key=incident.root,
        )
        for incident in standing
    ]
    changed = [
        Item(
            weight="notice",
            subject=incident.target,
            text=f"INC-{incident.id} resolved: `{incident.cause}`",
            key=incident.root,
        )
        for incident in ended
    ]
    return Said(needs=tuple(needs), changed=tuple(changed))


def _stands(incident: Incident) -> str:
    name = f"INC-{incident.id}"
    if incident.state == "recovered":
        return f"{name} is not broken any more, and nobody resolved it (it was `{incident.cause}`)"
    commander = "" if incident.commander else ", nobody commands"
    return f"{name} open: `{incident.cause}`{commander}"


def of_watches(watches: Iterable[Watch], in_incidents: frozenset[str], now: datetime) -> Said:
    """What is broken and has no incident here (it is snoozed, or one of a flood)."""
    needs, rests = [], []
    for watch in watches:
        if watch.lookout.status != "broken" or str(watch.target) in in_incidents:
            continue
        text = f"broken: `{watch.lookout.cause or 'unknown'}`"
        if watch.snoozed_until is not None and watch.snoozed_until > now:
            text += f", snoozed until {on(watch.snoozed_until)}"
            rests.append(Item(weight="notice", subject=str(watch.target), text=text))
        else:
            needs.append(Item(weight="critical", subject=str(watch.target), text=text, owner=watch.owner or ""))
    return Said(needs=tuple(needs), rests=tuple(rests))


def on(moment: datetime) -> str:
    """A day, by the clock of whoever reads."""
    return f"<!date^{int(moment.timestamp())}^{{date_short_pretty}}|{moment:%-d %B}>"
