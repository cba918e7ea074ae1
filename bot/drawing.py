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
    MOST_ROWS,
    Bar,
    Bars,
    Figure,
    Horizon,
    Lane,
    Sparkline,
    Sparklines,
    Tone,
    days,
    label,
    tone_of,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Canvas

LOG = logging.getLogger("bot.drawing")
PATIENCE_S: Final = 60.0
_NICENESS = 10

# Inches, drawn so large that a point is a pixel and a half at the width of a desk, and still legible on a phone.
_DPI = 250
_WIDTH = 5.6
_CHARACTERS = 48  # of one row: what it is and its value
_MARGIN = 0.3
_HEAD = 0.96  # title and caption
_AXIS = 0.42  # numbers below the rows
_ROW = 0.62

_PANEL = "#14243b"
_TEXT = "#f4f7fb"
_QUIET = "#b4c3d6"  # 8.7:1 on the panel
_RAIL = "#2b4160"
_TONES: Final[dict[Tone, str]] = {
    "plain": "#6cb6ff",
    "calm": "#5fd6a6",
    "attention": "#f5bb55",
    "alarm": "#ff8178",
}


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
    """A lane for each owner; points that would cover each other become one with their number in it."""
    lanes = figure.lanes[:MOST_ROWS]
    canvas, axes = _panel(figure.title, _caption(figure.caption, len(figure.lanes)), len(lanes), has_axis=True)
    axes.set_xlim(0, figure.days)
    steps = [at for at in (0, 30, 60, 90, 180, 365) if at <= figure.days]
    _ticks(
        axes, [(at, "today" if at == 0 else f"{at} days" if at == steps[-1] else str(at)) for at in steps], len(lanes)
    )
    for row, lane in enumerate(lanes):
        _words(axes, row, lane.owner, _next_of(lane))
        _rail(axes, row, 0, figure.days)
        for at, number in _gathered(lane, figure.days):
            size = 11 if number == 1 else 17
            axes.plot([at], [row], "o", color=_TONES[tone_of(at)], markersize=size, zorder=4, clip_on=False)
            if number > 1:
                _number_in(axes, row, at, number)
    return _png(canvas)


def _number_in(axes: Axes, row: int, at: float, number: int) -> None:
    said, size = (f"{number}", 9.5) if number < 100 else ("99+", 7)
    words = axes.annotate(said, (at, row), color=_PANEL, fontsize=size, fontweight="bold", annotation_clip=False)
    words.set(ha="center", va="center_baseline", zorder=5)


def _next_of(lane: Lane) -> str:
    if not lane.expiries:
        return "nothing"
    first = min(lane.expiries, key=lambda each: each.days_left)
    return f"{days(first.days_left)}: {first.label}"


def _gathered(lane: Lane, span: int) -> list[tuple[float, int]]:
    """Where points stand, and how many each stands for. What has expired stands at today."""
    apart = span / 40
    groups: list[list[float]] = []
    for at in sorted(max(0.0, each.days_left) for each in lane.expiries if each.days_left <= span):
        if groups and at - groups[-1][0] < apart and tone_of(at) == tone_of(groups[-1][0]):
            groups[-1].append(at)
        else:
            groups.append([at])
    return [(group[0], len(group)) for group in groups]


def sparklines(figure: Sparklines) -> bytes:
    """A curve for each target; where it failed the curve is broken, with a red mark below."""
    lines = figure.lines[:MOST_ROWS]
    canvas, axes = _panel(figure.title, _caption(figure.caption, len(figure.lines)), len(lines), has_axis=False)
    axes.set_xlim(0, 1)
    for row, line in enumerate(lines):
        _words(axes, row, line.label, line.note)
        _curve(axes, row, line)
    return _png(canvas)


def _curve(axes: Axes, row: int, line: Sparkline) -> None:
    most = max((point for point in line.points if point is not None), default=0.0) or 1.0
    last = max(len(line.points) - 1, 1)
    floor, height = row + 0.22, 0.32  # the axis points down: smaller is higher
    across = [at / last for at in range(len(line.points))]
    nothing = float("nan")
    up = [nothing if point is None else floor - height * point / most for point in line.points]
    axes.plot([0, 1], [floor, floor], color=_RAIL, linewidth=1, zorder=1)
    axes.plot(across, up, color=_TONES[line.tone], linewidth=2, zorder=3, solid_joinstyle="round", clip_on=False)
    axes.fill_between(across, up, floor, color=_TONES[line.tone], alpha=0.16, linewidth=0, zorder=2)
    failed = [at for at, point in zip(across, line.points, strict=True) if point is None]
    marks = axes.plot(failed, [floor] * len(failed), "|", color=_TONES["alarm"], markersize=8, clip_on=False)
    marks[0].set(markeredgewidth=2, zorder=4)
    if line.points and line.points[-1] is not None:
        axes.plot(across[-1:], up[-1:], "o", color=_TONES[line.tone], markersize=6, zorder=4, clip_on=False)


# ── the panel ───────────────────────────────────────────────────────────────────


def _panel(title: str, caption: str, rows: int, *, has_axis: bool) -> tuple[Canvas, Axes]:
    from matplotlib import rcParams
    from matplotlib.figure import Figure as Canvas

    rcParams["text.parse_math"] = False  # a $ in a name is a $
    rcParams["font.family"] = "DejaVu Sans"  # comes with matplotlib
    below = _MARGIN * 0.75 + (_AXIS if has_axis else 0)
    height = _HEAD + max(rows, 1) * _ROW + below
    canvas = Canvas(figsize=(_WIDTH, height), dpi=_DPI, facecolor=_PANEL)
    left = _MARGIN / _WIDTH
    axes = canvas.add_axes((left, below / height, 1 - 2 * left, max(rows, 1) * _ROW / height))
    axes.set_facecolor(_PANEL)
    axes.set_ylim(max(rows, 1) - 0.54, -0.54)
    for side in axes.spines.values():
        side.set_visible(False)
    axes.tick_params(length=0, labelleft=False, labelbottom=has_axis, colors=_QUIET, labelsize=10.5, pad=7)
    axes.set_yticks([])
    canvas.text(left, 1 - 0.46 / height, label(title), color=_TEXT, fontsize=15.5, fontweight="bold", va="baseline")
    canvas.text(left, 1 - 0.74 / height, _shortened(caption, 56), color=_QUIET, fontsize=11, va="baseline")
    return canvas, axes


def _caption(text: str, rows: int) -> str:
    more = rows - MOST_ROWS
    return f"{text}; {more} more are not drawn" if more > 0 else text


def _words(axes: Axes, row: int, left: str, right: str) -> None:
    """The line above a row: what it is, and its value."""
    from matplotlib.transforms import blended_transform_factory

    place = blended_transform_factory(axes.transAxes, axes.transData)
    note = _shortened(right, _CHARACTERS - min(len(left), 24))
    axes.text(
        0,
        row - 0.26,
        _shortened(left, _CHARACTERS - len(note)),
        color=_TEXT,
        fontsize=12,
        va="baseline",
        transform=place,
    )
    axes.text(1, row - 0.26, note, color=_QUIET, fontsize=11.5, va="baseline", ha="right", transform=place)


def _shortened(text: str, most: int) -> str:
    shown = label(text)
    most = max(most, 12)
    return shown if len(shown) <= most else shown[: most - 1] + "…"


def _rail(axes: Axes, row: int, low: float, high: float) -> None:
    axes.plot([low, high], [row, row], color=_RAIL, linewidth=4, solid_capstyle="round", zorder=1)


def _notch(axes: Axes, row: int, at: float, *, color: str = _RAIL, width: float = 1.0, reach: float = 0.09) -> None:
    axes.plot([at, at], [row - reach, row + reach], color=color, linewidth=width, solid_capstyle="butt", zorder=2)


def _legend(canvas: Canvas, text: str) -> None:
    """What the notches in every row stand for: opposite the title."""
    height, right = canvas.get_figheight(), 1 - _MARGIN / _WIDTH
    canvas.text(
        right, 1 - 0.46 / height, f"┃ {text}", color=_TONES["attention"], fontsize=11, ha="right", va="baseline"
    )


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
