"""Pictures: plain values → PNG bytes, drawn with matplotlib in a process of its own.

`python -m bot.drawing` reads one figure (a pickle of our own parent's) and writes one PNG. matplotlib is imported there
and nowhere else: it costs most of a second and tens of megabytes, which neither a start nor an acknowledgement has.

Every picture is a dark panel without transparency, so that it is the same on Slack's light and dark backgrounds; the
labels stand above what they label, so that they are read at a phone's width. 1,400 pixels wide: twice what Slack shows.
"""

from __future__ import annotations

import asyncio
import io
import logging
import os
import pickle
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final, assert_never

from bot.render.figures import (
    HORIZON_DAYS,
    MOST_ROWS,
    Bar,
    Bars,
    Figure,
    Horizon,
    Lane,
    Sparkline,
    Sparklines,
    Tone,
    brief,
    label,
    tone_of,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Canvas

LOG = logging.getLogger("bot.drawing")
PATIENCE_S: Final = 60.0
_NICENESS = 10

# Inches. A phone shows them 310 pixels wide: the smallest letters, those of the axis, are 9.5 pixels there.
_DPI = 280
_WIDTH = 5.0
_MARGIN = 0.3
_HEAD = 0.96  # title and caption
_AXIS = 0.42  # numbers below the rows
_ROW = 0.68
_ACROSS: Final = (_WIDTH - 2 * _MARGIN) * 72  # points between the margins
_GAP: Final = 10.0  # points, at least, between what a row is and its value
_TITLE, _CAPTION, _LABEL, _NOTE, _TICK = 15.0, 11.5, 12.5, 12.0, 11.0  # points

# One colour, and two more for what wants somebody. Behind each: its contrast with the panel (WCAG wants 4.5 for text,
# 3 for shapes).
_PANEL = "#14243b"
_TEXT = "#f4f7fb"
_QUIET = "#b4c3d6"
_RAIL = "#2b4160"  # an ornament: nothing is read from it
_NOTCH = "#5f7899"
_TONES: Final[dict[Tone, str]] = {
    "plain": "#6cb6ff",
    "calm": "#6cb6ff",
    "attention": "#f5bb55",
    "alarm": "#ff8178",
}
_FONT = "DejaVu Sans"  # comes with matplotlib
_DISC, _DOT = 15.5, 10.5  # points: a number stands in the one, the other is alone
_EXPIRED_AT, _EXPIRED_FROM = -10.0, -18.0  # days: where what has expired stands, left of today


class NotDrawn(Exception):
    """There is no picture; the text says why. What it would have shown is to be said in words."""


class Drawing:
    """Draws one picture at a time, each in a short-lived process."""

    def __init__(self) -> None:
        self._one_at_a_time = asyncio.Semaphore(1)

    async def drawn(self, figure: Figure) -> bytes:
        """The PNG of *figure*. Raises NotDrawn."""
        async with self._one_at_a_time:
            try:
                return await _in_a_child(figure)
            except (OSError, TimeoutError) as error:
                raise NotDrawn(f"{type(error).__name__}: {error}") from None


async def _in_a_child(figure: Figure) -> bytes:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "bot.drawing",
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={**os.environ, "MPLBACKEND": "Agg"},
        start_new_session=True,
    )
    try:
        async with asyncio.timeout(PATIENCE_S):
            png, said = await process.communicate(pickle.dumps(figure))
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode != 0 or not png.startswith(b"\x89PNG"):
        lines = said.decode("utf-8", "replace").strip().splitlines()
        raise NotDrawn(f"status {process.returncode}: {lines[-1] if lines else 'nothing was said'}")
    return png


# ── in the child ────────────────────────────────────────────────────────────────


def png_of(figure: Figure) -> bytes:
    """The picture. Imports matplotlib: only in a process that is there for it."""
    match figure:
        case Bars():
            return bars(figure)
        case Horizon():
            return timeline(figure)
        case Sparklines():
            return sparklines(figure)
        case _:
            assert_never(figure)


def bars(figure: Bars) -> bytes:
    """Rows from the top: label and value above, bar or point below."""
    shown = figure.bars[:MOST_ROWS]
    is_duration = figure.scale == "seconds"
    canvas, axes = _panel(figure.title, _caption(figure.caption, len(figure.bars)), len(shown), has_axis=is_duration)
    if is_duration:
        _durations(canvas, axes, shown, figure)
    else:
        most = max((bar.value for bar in shown), default=1.0) or 1.0
        axes.set_xlim(0, most)
        for row, bar in enumerate(shown):
            _words(axes, row, bar.label, bar.note)
            _rail(axes, row, 0, most)
            axes.barh(row, bar.value, height=0.2, color=_TONES[bar.tone], zorder=3)
    return _png(canvas)


_SECONDS = (
    (0.1, "0.1 s"),
    (1, "1 s"),
    (10, "10 s"),
    (60, "1 min"),
    (600, "10 min"),
    (3_600, "1 h"),
    (36_000, "10 h"),
    (864_000, "10 days"),
)


def _durations(canvas: Canvas, axes: Axes, shown: Sequence[Bar], figure: Bars) -> None:
    values = [max(bar.value, 0.1) for bar in shown] + ([figure.mark.value] if figure.mark else [])
    low = max((at for at, _ in _SECONDS if at <= min(values)), default=0.1)
    high = min((at for at, _ in _SECONDS if at > max(values)), default=max(values) * 2)
    axes.set_xscale("log")
    axes.set_xlim(low, high)
    ticks = [(at, name) for at, name in _SECONDS if low <= at <= high]
    _ticks(axes, ticks, len(shown))
    for row, bar in enumerate(shown):
        _words(axes, row, bar.label, bar.note)
        _rail(axes, row, low, high)
        at = max(bar.value, low)
        axes.plot([low, at], [row, row], color=_TONES[bar.tone], linewidth=3, solid_capstyle="round", zorder=3)
        axes.plot([at], [row], "o", color=_TONES[bar.tone], markersize=10, zorder=4, clip_on=False)
        if figure.mark:
            _notch(axes, row, figure.mark.value, color=_TONES["attention"], width=2.5, reach=0.11)
    if figure.mark:
        _legend(canvas, figure.mark.label)


def timeline(figure: Horizon) -> bytes:
    """A lane for each owner: a disc for each week in which something ends, with its number in it.

    What has expired stands left of today. A disc stands at the first end of its week, or as far after it as the disc
    before it needs; it never leaves its week.
    """
    lanes = figure.lanes[:MOST_ROWS]
    canvas, axes = _panel(figure.title, _caption(figure.caption, len(figure.lanes)), len(lanes), has_axis=True)
    has_expired = any(each.days_left < 0 for lane in lanes for each in lane.expiries)
    first = _EXPIRED_FROM if has_expired else 0.0
    axes.set_xlim(first, HORIZON_DAYS)
    ticks = [(0.0, "today"), (30.0, "30"), (60.0, "60"), (float(HORIZON_DAYS), f"{HORIZON_DAYS} days")]
    _ticks(axes, [(_EXPIRED_AT, "expired"), *ticks] if has_expired else ticks, len(lanes))
    if has_expired:
        names: list[Any] = axes.get_xticklabels()
        names[0].set_ha("center")
        names[1].set_ha("left")
    apart = (_DISC + 1.5) / _ACROSS * (HORIZON_DAYS - first)
    for row, lane in enumerate(lanes):
        _words(axes, row, lane.owner, _next_of(lane))
        _rail(axes, row, 0, HORIZON_DAYS)
        for at, number, tone in _gathered(lane, apart):
            size = _DOT if number == 1 else _DISC
            axes.plot([at], [row], "o", color=_TONES[tone], markersize=size, zorder=4, clip_on=False)
            if number > 1:
                _number_in(axes, row, at, number)
    return _png(canvas)


def _number_in(axes: Axes, row: int, at: float, number: int) -> None:
    said, size = (f"{number}", 9.5) if number < 100 else ("99+", 6.5)
    words = axes.annotate(said, (at, row), color=_PANEL, fontsize=size, fontweight="bold", annotation_clip=False)
    words.set(ha="center", va="center_baseline", zorder=5)


def _next_of(lane: Lane) -> str:
    if not lane.expiries:
        return "nothing"
    first = min(lane.expiries, key=lambda each: each.days_left)
    return f"{brief(first.days_left)}: {first.label}"


# Weeks, but that a week ends where the tone changes, and that the last one has room.
_WEEKS: Final = (0, 7, 14, 21, 30, 37, 44, 51, 58, 65, 72, 79)


def _gathered(lane: Lane, apart: float) -> list[tuple[float, int, Tone]]:
    """Where discs stand, how many each stands for, and how pressing its first is."""
    weeks: dict[int, list[float]] = {}
    for left in sorted(each.days_left for each in lane.expiries if each.days_left <= HORIZON_DAYS):
        week = -1 if left < 0 else sum(left >= begin for begin in _WEEKS)
        weeks.setdefault(week, []).append(_EXPIRED_AT if left < 0 else left)
    found: list[tuple[float, int, Tone]] = []
    for ends in weeks.values():
        at = max(ends[0], found[-1][0] + apart) if found else ends[0]
        found.append((at, len(ends), tone_of(ends[0])))
    return found


def sparklines(figure: Sparklines) -> bytes:
    """A curve for each target, from 0 to its own greatest value; a gap where nothing was measured."""
    lines = figure.lines[:MOST_ROWS]
    canvas, axes = _panel(figure.title, _caption(figure.caption, len(figure.lines)), len(lines), has_axis=True)
    axes.set_xlim(0, 1)
    _ticks(axes, [(0, figure.first), (1, figure.last)], 0)
    for row, line in enumerate(lines):
        _words(axes, row, line.label, line.note)
        _curve(axes, row, line)
    return _png(canvas)


def _curve(axes: Axes, row: int, line: Sparkline) -> None:
    most = max((point for point in line.points if point is not None), default=0.0) or 1.0
    last = max(len(line.points) - 1, 1)
    floor, height = row + 0.24, 0.38  # the axis points down: smaller is higher
    across = [at / last for at in range(len(line.points))]
    nothing = float("nan")
    up = [nothing if point is None else floor - height * point / most for point in line.points]
    axes.plot([0, 1], [floor, floor], color=_RAIL, linewidth=1, zorder=1)
    axes.plot(across, up, color=_TONES[line.tone], linewidth=2, zorder=3, solid_joinstyle="round", clip_on=False)
    axes.fill_between(across, up, floor, color=_TONES[line.tone], alpha=0.16, linewidth=0, zorder=2)
    alone = [at for at in range(len(line.points)) if line.points[at] is not None and _is_alone(line.points, at)]
    axes.plot(
        [across[at] for at in alone], [up[at] for at in alone], "o", color=_TONES[line.tone], markersize=3, zorder=3
    )
    if line.points and line.points[-1] is not None:
        axes.plot(across[-1:], up[-1:], "o", color=_TONES[line.tone], markersize=6, zorder=4, clip_on=False)


def _is_alone(points: Sequence[float | None], at: int) -> bool:
    """No line leads to it, or away from it."""
    return all(points[near] is None for near in (at - 1, at + 1) if 0 <= near < len(points))


# ── the panel ───────────────────────────────────────────────────────────────────


def _panel(title: str, caption: str, rows: int, *, has_axis: bool) -> tuple[Canvas, Axes]:
    from matplotlib import rcParams
    from matplotlib.figure import Figure as Canvas

    rcParams["text.parse_math"] = False  # a $ in a name is a $
    rcParams["font.family"] = _FONT
    below = _MARGIN * 0.75 + (_AXIS if has_axis else 0)
    height = _HEAD + max(rows, 1) * _ROW + below
    canvas = Canvas(figsize=(_WIDTH, height), dpi=_DPI, facecolor=_PANEL)
    left = _MARGIN / _WIDTH
    axes = canvas.add_axes((left, below / height, 1 - 2 * left, max(rows, 1) * _ROW / height))
    axes.set_facecolor(_PANEL)
    axes.set_ylim(max(rows, 1) - 0.54, -0.54)
    for side in axes.spines.values():
        side.set_visible(False)
    axes.tick_params(length=0, labelleft=False, labelbottom=has_axis, colors=_QUIET, labelsize=_TICK, pad=7)
    axes.set_yticks([])
    head, below_it = _shortened(title, _TITLE, _ACROSS, is_bold=True), _shortened(caption, _CAPTION, _ACROSS)
    canvas.text(left, 1 - 0.46 / height, head, color=_TEXT, fontsize=_TITLE, fontweight="bold", va="baseline")
    canvas.text(left, 1 - 0.74 / height, below_it, color=_QUIET, fontsize=_CAPTION, va="baseline")
    return canvas, axes


def _caption(text: str, rows: int) -> str:
    if rows <= MOST_ROWS:
        return text
    return f"{text}; " * bool(text) + f"{MOST_ROWS} of {rows} are drawn"


def _words(axes: Axes, row: int, left: str, right: str) -> None:
    """The line above a row: what it is, and its value. Where both are long, the value has the larger half."""
    from matplotlib.transforms import blended_transform_factory

    place = blended_transform_factory(axes.transAxes, axes.transData)
    room = max(_ACROSS * 0.55, _ACROSS - _GAP - _width(label(left), _LABEL))
    note = _shortened(right, _NOTE, room)
    name = _shortened(left, _LABEL, _ACROSS - _GAP - _width(note, _NOTE))
    axes.text(0, row - 0.3, name, color=_TEXT, fontsize=_LABEL, va="baseline", transform=place)
    axes.text(1, row - 0.3, note, color=_QUIET, fontsize=_NOTE, va="baseline", ha="right", transform=place)


def _shortened(text: str, size: float, room: float, *, is_bold: bool = False) -> str:
    """*text* in as many letters of *size* points as *room* points hold; a cut is marked."""
    shown = _drawable(label(text))
    if _width(shown, size, is_bold=is_bold) <= room:
        return shown
    while shown and _width(f"{shown}…", size, is_bold=is_bold) > room:
        shown = shown[:-1]
    return f"{shown.rstrip()}…"


def _width(text: str, size: float, *, is_bold: bool = False) -> float:
    """Of *text* on one line, in points."""
    from matplotlib.font_manager import FontProperties
    from matplotlib.textpath import text_to_path

    font = FontProperties(family=_FONT, size=size, weight="bold" if is_bold else "normal")
    return float(text_to_path.get_text_width_height_descent(text, font, ismath=False)[0])


def _drawable(text: str) -> str:
    """*text* with a box for each letter that the font does not have."""
    from matplotlib.font_manager import findfont, get_font

    known = get_font(findfont(_FONT)).get_charmap()
    return "".join(letter if ord(letter) in known else "▯" for letter in text)


def _rail(axes: Axes, row: int, low: float, high: float) -> None:
    axes.plot([low, high], [row, row], color=_RAIL, linewidth=4, solid_capstyle="round", zorder=1)


def _notch(axes: Axes, row: int, at: float, *, color: str = _NOTCH, width: float = 1.0, reach: float = 0.09) -> None:
    axes.plot([at, at], [row - reach, row + reach], color=color, linewidth=width, solid_capstyle="butt", zorder=2)


def _legend(canvas: Canvas, text: str) -> None:
    """What the notches in every row stand for: opposite the title."""
    height, right = canvas.get_figheight(), 1 - _MARGIN / _WIDTH
    said = f"┃ {text}"
    canvas.text(right, 1 - 0.46 / height, said, color=_TONES["attention"], fontsize=_TICK, ha="right", va="baseline")


def _ticks(axes: Axes, ticks: Sequence[tuple[float, str]], rows: int) -> None:
    from matplotlib.ticker import NullLocator

    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xticks([at for at, _ in ticks], [name for _, name in ticks])
    for at, _ in ticks[1:-1]:
        for row in range(rows):
            _notch(axes, row, at)
    names: list[Any] = axes.get_xticklabels()
    if names:  # the outer ones stay within the panel
        names[0].set_ha("left")
        names[-1].set_ha("right")


def _png(canvas: Canvas) -> bytes:
    from PIL import Image

    drawn = io.BytesIO()
    canvas.savefig(drawn, format="png", facecolor=_PANEL, metadata={"Software": None})
    drawn.seek(0)
    opaque = io.BytesIO()
    with Image.open(drawn) as picture:
        picture.convert("RGB").save(opaque, format="PNG", optimize=True)
    return opaque.getvalue()


def main() -> int:
    """One figure in, one PNG out."""
    import warnings

    os.nice(_NICENESS)
    warnings.filterwarnings("ignore", message="Glyph .* missing")  # a name in a script that the font lacks: boxes
    # What a library prints goes to the log, not into the picture.
    answer = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    with answer:
        answer.write(png_of(pickle.loads(sys.stdin.buffer.read())))  # noqa: S301 - written by this program
    return 0


if __name__ == "__main__":
    sys.exit(main())
