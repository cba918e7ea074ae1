"""What a picture is to show, and what the figures of past incidents are. Pure: `bot.drawing` makes PNGs of it.

A picture never says anything alone: `alt_of` tells its numbers in words, and so does the message that shows it.
"""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from statistics import median
from typing import Literal, TypeAlias, assert_never

from bot.model import Content, Incident, Json
from bot.render.limits import button, code, context, cut, fit, raw, section
from bot.render.postmortem import GUIDE_HOURS, time_to_cause
from bot.render.words import counted, listed

FIGURES = "history.figures"  # the button under a page of history
MOST_ROWS = 10  # of one picture; what exceeds them is counted in its caption
HORIZON_DAYS = 90
_MOST_IN_WORDS = 5
_LONGEST_ALT = 1900
_LONGEST_LABEL = 56

# calm: as it should be; plain: no judgement; attention: soon; alarm: now.
Tone: TypeAlias = Literal["plain", "calm", "attention", "alarm"]


# ── pictures as values ──────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """One row. `note` is its value in words, written at its end."""

    label: str
    value: float
    note: str
    tone: Tone = "plain"


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """A value to compare with."""

    value: float
    label: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Bars:
    """Rows of different length. `scale`: `count` draws bars from 0; `seconds` draws points on a logarithmic axis,
    for durations from a second to days."""

    title: str
    caption: str
    bars: tuple[Bar, ...]
    scale: Literal["count", "seconds"] = "count"
    mark: Mark | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Expiry:
    """A certificate. `days_left` is negative when it has expired."""

    label: str
    days_left: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Lane:
    """What one owner has to renew."""

    owner: str
    expiries: tuple[Expiry, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Horizon:
    """Who has to renew how much, and when: from today to `HORIZON_DAYS` ahead."""

    title: str
    caption: str
    lanes: tuple[Lane, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sparkline:
    """How a value went, oldest first; None where nothing was measured. `note`: the newest, in words."""

    label: str
    points: tuple[float | None, ...]
    note: str
    tone: Tone = "plain"


@dataclass(frozen=True, slots=True, kw_only=True)
class Sparklines:
    """Small curves under each other, each from 0 to its own greatest value; `first` and `last` name their ends."""

    title: str
    caption: str
    lines: tuple[Sparkline, ...]
    first: str = ""
    last: str = "today"


Figure: TypeAlias = Bars | Horizon | Sparklines


def tone_of(days_left: float) -> Tone:
    """How pressing a renewal is."""
    if days_left < 7:
        return "alarm"
    return "attention" if days_left < 30 else "calm"


def days(days_left: float) -> str:
    """Whole days: those that are left, or that have passed since the end."""
    whole = int(abs(days_left))
    said = counted(whole, "day") if whole else "less than a day"
    return f"expired {said} ago" if days_left < 0 else said


def brief(days_left: float) -> str:
    """The same where there is little room, and where dates stand below."""
    if 0 <= days_left < 1:
        return "<1 day"
    return "expired" if days_left < 0 else days(days_left)


_SCRIPTS = ("LATIN", "GREEK", "CYRILLIC", "ARMENIAN", "GEORGIAN")  # the font has them, and needs no shaping for them


def drawable(name: str) -> str:
    """*name* as a picture can show it: without emoji; empty where it is written in a script that the font lacks."""
    kept = []
    for letter in unicodedata.normalize("NFC", label(name)):
        if letter.isalpha() and not unicodedata.name(letter, "").startswith(_SCRIPTS):
            return ""
        if letter < "\u0300" or letter.isalpha() or unicodedata.category(letter)[0] in "NPZ":
            kept.append(letter)
    return " ".join("".join(kept).split())


def label(text: str) -> str:
    """Foreign text as it may stand in a picture."""
    return raw(text, _LONGEST_LABEL)


# ── in words ────────────────────────────────────────────────────────────────────


def alt_of(figure: Figure) -> str:
    """What *figure* shows, for whoever does not see it."""
    match figure:
        case Bars():
            rows = [f"{label(bar.label)} {bar.note}" for bar in figure.bars]
            rows += [figure.mark.label] if figure.mark else []
        case Horizon():
            rows = [f"{label(lane.owner)} {len(lane.expiries):,}: {_in_words(lane)}" for lane in figure.lanes]
        case Sparklines():
            rows = [f"{label(line.label)} {line.note}" for line in figure.lines]
        case _:
            assert_never(figure)
    caption = f" ({figure.caption})" if figure.caption else ""
    return cut(f"{figure.title}{caption}: {'; '.join(rows)}.", _LONGEST_ALT)


def _in_words(lane: Lane) -> str:
    soonest = sorted(lane.expiries, key=lambda each: each.days_left)
    return listed((f"{label(each.label)} {days(each.days_left)}" for each in soonest), 2) or "nothing"


# ── the figures of past incidents ───────────────────────────────────────────────


@dataclass(frozen=True, slots=True, kw_only=True)
class OfCause:
    """Over all incidents of one cause. `to_cause`: the median, over those `measured`."""

    code: str
    incidents: int
    measured: int
    to_cause: timedelta | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Past:
    """Over all incidents. `causes`: the most frequent first."""

    incidents: int
    measured: int
    to_cause: timedelta | None
    causes: tuple[OfCause, ...]


def past_of(incidents: Sequence[Incident]) -> Past:
    """Time to root cause runs from the first question to the check that named the cause."""
    seconds: dict[str, list[float]] = {}
    for incident in incidents:
        took = time_to_cause(incident)
        seconds.setdefault(incident.cause, []).extend([] if took is None else [took.total_seconds()])
    often = Counter(incident.cause for incident in incidents)
    everything = [each for some in seconds.values() for each in some]
    return Past(
        incidents=len(incidents),
        measured=len(everything),
        to_cause=_median(everything),
        causes=tuple(
            OfCause(code=cause, incidents=times, measured=len(seconds[cause]), to_cause=_median(seconds[cause]))
            for cause, times in sorted(often.items(), key=lambda item: (-item[1], item[0]))
        ),
    )


def _median(seconds: Sequence[float]) -> timedelta | None:
    return timedelta(seconds=median(seconds)) if seconds else None


def duration(span: timedelta) -> str:
    """Two figures are enough: 0.4 s, 12 s, 3.5 min, 3.8 h, 2.1 days."""
    seconds = span.total_seconds()
    for size, unit in ((86_400, "days"), (3_600, "h"), (60, "min")):
        if seconds >= size:
            return f"{_short(seconds / size)} {unit}"
    return f"{_short(seconds)} s" if seconds >= 0.1 else "under 0.1 s"


def _short(number: float) -> str:
    return f"{number:.1f}".removesuffix(".0") if number < 10 else f"{number:.0f}"


_GUIDE = Mark(value=GUIDE_HOURS * 3600, label=f"field guide: {GUIDE_HOURS} h")


def pictures_of(past: Past) -> tuple[Bars, ...]:
    """How long it took to the root cause, and which causes were frequent. Nothing where nothing was measured."""
    if not past.incidents:
        return ()
    timed = sorted((each for each in past.causes if each.to_cause), key=lambda each: -each.measured)
    shown = [
        Bar(label=each.code, value=each.to_cause.total_seconds(), note=_took(each.to_cause, each.measured))
        for each in timed
        if each.to_cause is not None
    ]
    pictures = []
    if past.to_cause is not None:
        overall = Bar(
            label="all causes",
            value=past.to_cause.total_seconds(),
            note=_took(past.to_cause, past.measured),
            tone="calm" if past.to_cause < timedelta(hours=GUIDE_HOURS) else "attention",
        )
        bars = (overall, *shown) if len(shown) > 1 else tuple(shown)  # one cause is all causes
        title, caption = "Time to root cause", f"median over {_over(past.measured)}, question to cause"
        pictures.append(Bars(title=title, caption=caption, bars=bars, scale="seconds", mark=_GUIDE))
    if len(past.causes) > 1:  # one has nothing beside it to be compared with
        often = tuple(Bar(label=each.code, value=each.incidents, note=f"{each.incidents:,}") for each in past.causes)
        pictures.append(Bars(title="Most frequent causes", caption=f"of {_over(past.incidents)}", bars=often))
    return tuple(pictures)


def _over(number: int) -> str:
    return counted(number, "incident")


def _took(span: timedelta, measured: int) -> str:
    return f"{duration(span)}, {measured:,}×"


def told(past: Past, images: Sequence[Json], user: str) -> Content:
    """The figures in words, and under them their pictures."""
    if not past.incidents:
        text = "There are no incidents yet to count: the first broken verdict opens one."
        return fit(text, [section(text)])
    lines = []
    if past.to_cause is not None:
        over = f"the median over {_over(past.measured)}" if past.measured > 1 else "in the one incident so far"
        lines.append(
            f"*{duration(past.to_cause)} to the root cause*, {over}. The field guide counts {GUIDE_HOURS} hours."
        )
    frequent = (f"{code(each.code)} {each.incidents:,}×{_median_of(each)}" for each in past.causes)
    if past.incidents > 1:
        lines.append(f"Most frequent of {_over(past.incidents)}: {listed(frequent, _MOST_IN_WORDS)}.")
    elif past.causes:
        lines.append(f"Its cause: {code(past.causes[0].code)}.")
    whose = "Over the incidents of public channels and of this one."
    asked = f" Asked for by <@{user}>." if user else ""
    text = "\n".join(lines)
    return fit(text, [section(text), *images, context(whose + asked)])


def _median_of(each: OfCause) -> str:
    return f" ({duration(each.to_cause)})" if each.to_cause is not None else ""


def button_for_all() -> Json:
    """The button that asks for them. They are posted, for all to see."""
    return button("Figures, posted here", FIGURES, "all")
