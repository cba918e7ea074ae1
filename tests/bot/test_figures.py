"""Figures of past incidents: counted right, told in words, drawn in another process, shown once asked for."""

from __future__ import annotations

import asyncio
import io
import random
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest

from bot.drawing import (
    _ACROSS,
    _LABEL,
    _NOTCH,
    _NOTE,
    _PANEL,
    _QUIET,
    _TEXT,
    _TONES,
    _WEEKS,
    Drawing,
    NotDrawn,
    _caption,
    _gathered,
    _shortened,
    _width,
)
from bot.model import Incident
from bot.render import figures
from bot.render.figures import HORIZON_DAYS, Bar, Bars, Expiry, Figure, Horizon, Lane, Sparkline, Sparklines
from tests.bot.conftest import Desk, said

NOW = datetime(2026, 11, 22, 9, 0, tzinfo=UTC)
ODD = "$\\frac{1}{0}$ <!channel> \u202e\x00\ud83d 你好 " + "x" * 300


def incidents(*took: tuple[str, float | None]) -> list[Incident]:
    made = Incident(id=1, channel="C1", target="a:443", cause="", state="resolved", opened_at=NOW)
    return [
        replace(made, cause=cause, asked_at=NOW, cause_at=None if seconds is None else NOW + timedelta(seconds=seconds))
        for cause, seconds in took
    ]


def some() -> list[Figure]:
    return [
        Bars(title=ODD, caption="c", bars=(Bar(label=ODD, value=3, note="3"), Bar(label="", value=0, note="0"))),
        Bars(title="None", caption="", bars=()),
        Bars(title="T", caption="", bars=(Bar(label="a", value=0.0, note="0 s"),), scale="seconds", mark=None),
        *figures.pictures_of(figures.past_of(incidents(("chain.incomplete", 4.0), ("reach.dns", 9e5)))),
        Horizon(title="H", caption="", lanes=(Lane(owner=ODD, expiries=(Expiry(label=ODD, days_left=-4),)),)),
        Horizon(title="H", caption="", lanes=(Lane(owner="a", expiries=(Expiry(label="b", days_left=3),) * 150),)),
        Sparklines(title="S", caption="", lines=(Sparkline(label=ODD, points=(None, 1.0, None), note="1 ms"),)),
        Sparklines(title="S", caption="", lines=(Sparkline(label="a", points=(), note="nothing"),) * 40),
    ]


def test_medians_and_frequencies() -> None:
    past = figures.past_of(incidents(("a.b", 10), ("a.b", 20), ("a.b", 90), ("c.d", 4), ("e.f", None)))
    assert (past.incidents, past.measured, past.to_cause) == (5, 4, timedelta(seconds=15))
    assert [(each.code, each.incidents, each.to_cause) for each in past.causes] == [
        ("a.b", 3, timedelta(seconds=20)),
        ("c.d", 1, timedelta(seconds=4)),
        ("e.f", 1, None),
    ]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.01, "under 0.1 s"), (0.4, "0.4 s"), (12.4, "12 s"), (210, "3.5 min"), (13_680, "3.8 h"), (181_440, "2.1 days")],
)
def test_a_duration_has_two_figures(seconds: float, text: str) -> None:
    assert figures.duration(timedelta(seconds=seconds)) == text


@pytest.mark.parametrize(
    ("left", "text"),
    [
        (-2.5, "expired 2 days ago"),
        (-0.2, "expired less than a day ago"),
        (0.5, "less than a day"),
        (3.9, "3 days"),
    ],
)
def test_days_left_in_words(left: float, text: str) -> None:
    assert figures.days(left) == text


def test_words_say_what_the_pictures_say() -> None:
    past = figures.past_of(incidents(("chain.incomplete", 10), ("chain.incomplete", 20), ("reach.dns", 4)))
    words = said({"blocks": list(figures.told(past, (), "U1").blocks)})
    assert "10 s to the root cause" in words
    assert "over 3 incidents" in words
    assert "3.8 hours" in words
    for picture in figures.pictures_of(past):
        alt = figures.alt_of(picture)
        assert "chain.incomplete" in alt and len(alt) <= 2000


def test_whatever_is_drawn_can_be_told() -> None:
    for figure in some():
        assert 0 < len(figures.alt_of(figure)) <= 2000


async def test_whatever_the_labels_are_a_picture_is_opaque_and_large_enough() -> None:
    from PIL import Image

    drawing = Drawing()
    for figure in some():
        png = await drawing.drawn(figure)
        with Image.open(io.BytesIO(png)) as picture:
            assert picture.mode == "RGB"
            assert picture.width == 1400
            assert 250 < picture.height < 2400
        assert len(png) < 1_000_000


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("Grzegorz Brzęczyszczykiewicz 🌴", "Grzegorz Brzęczyszczykiewicz"),
        ("Ελένη", "Ελένη"),
        ("@on-call_2", "@on-call_2"),
        ("李小龍", ""),
        ("عمر", ""),  # its letters would have to be joined, and run the other way
        ("🌴", ""),
    ],
)
def test_a_name_is_shown_as_far_as_the_font_goes(name: str, shown: str) -> None:
    assert figures.drawable(name) == shown


def test_no_disc_covers_another_and_none_leaves_its_week() -> None:
    chance = random.Random(5)
    weeks = (*_WEEKS, HORIZON_DAYS)
    for _ in range(300):
        lefts = [chance.uniform(-5, HORIZON_DAYS) for _ in range(chance.randint(1, 150))]
        lane = Lane(owner="a", expiries=tuple(Expiry(label="b", days_left=left) for left in lefts))
        discs = _gathered(lane, 6.0)  # days that a disc is wide, when what has expired is drawn, too
        assert sum(number for _, number, _ in discs) == len(lefts)
        assert all(after - before > 5.999 for (before, _, _), (after, _, _) in pairwise(discs))
        for at, number, tone in discs[1:] if discs[0][0] < 0 else discs:
            [(low, high)] = [(low, high) for low, high in pairwise(weeks) if low <= at < high]
            assert number == sum(low <= left < high for left in lefts)
            assert tone == ("alarm" if high <= 7 else "attention" if high <= 30 else "calm")


def test_what_is_left_out_of_a_picture_is_said_in_it() -> None:
    assert _caption("of 60 incidents", 12) == "of 60 incidents; 10 of 12 are drawn"
    assert _caption("of 60 incidents", 10) == "of 60 incidents"


def test_every_letter_stands_within_the_picture() -> None:
    wide = "W" * 56
    for left, right in ((wide, wide), (wide, "3 days"), ("a", wide)):
        room = max(_ACROSS * 0.55, _ACROSS - 10 - _width(left, _LABEL))
        note = _shortened(right, _NOTE, room)
        name = _shortened(left, _LABEL, _ACROSS - 10 - _width(note, _NOTE))
        assert _width(name, _LABEL) + _width(note, _NOTE) <= _ACROSS - 10
    assert _shortened("字 a", _LABEL, _ACROSS) == "▯ a"


def contrast(one: str, other: str) -> float:
    """WCAG 2.2, "contrast ratio"."""

    def luminance(color: str) -> float:
        parts = [int(color[at : at + 2], 16) / 255 for at in (1, 3, 5)]
        linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
        return sum(weight * part for weight, part in zip((0.2126, 0.7152, 0.0722), linear, strict=True))

    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def test_letters_and_shapes_stand_out_from_the_panel() -> None:
    assert all(contrast(color, _PANEL) >= 4.5 for color in (_TEXT, _QUIET, *_TONES.values()))
    assert contrast(_NOTCH, _PANEL) >= 3


async def test_the_same_figure_is_the_same_picture() -> None:
    figure = some()[3]
    first, second = await asyncio.gather(*(Drawing().drawn(figure) for _ in range(2)))
    assert first == second


async def test_what_cannot_be_drawn_is_an_error_with_a_reason() -> None:
    with pytest.raises(NotDrawn, match="status 1"):
        await Drawing().drawn(Bars(title="T", caption="", bars=(None,)))  # type: ignore[arg-type]


def test_the_bot_itself_never_imports_matplotlib() -> None:
    code = (
        "import sys, bot.service, bot.drawing, bot.__main__; print(any('matplotlib' in name for name in sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


async def test_history_figures_posts_words_and_pictures(desk: Desk) -> None:
    ws = desk.workspace
    await desk.tls("check api.example.com")
    await desk.headline("is broken")
    await desk.tls("history")
    whisper = await desk.whisper("Incidents")
    await ws.act(ws.me, action_id=figures.FIGURES, ephemeral_id=whisper.id)
    posted = await desk.headline("to the root cause")
    images = [block for block in posted["blocks"] if block["type"] == "image"]
    [alt] = [image["alt_text"] for image in images]  # one cause alone is compared with nothing
    assert "validity.expired" in alt


async def test_figures_of_nothing_are_a_private_word(desk: Desk) -> None:
    await desk.tls("history figures")
    await desk.whisper("no incidents yet")
    assert desk.bot_messages() == []
