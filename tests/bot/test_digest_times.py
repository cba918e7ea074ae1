"""When digests are due: each local day once, whatever the clocks do."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo, available_timezones

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.digest_times import EVERY_DAY, WORKDAYS, DigestPlan, due_on, last_due, next_due, plan_of
from probes.model import UsageError

ZONES = sorted(name for name in available_timezones() if "/" in name and not name.startswith(("posix/", "right/")))
TIMES = st.times().map(lambda each: each.replace(second=0, microsecond=0, tzinfo=None))
PLANS = st.builds(
    DigestPlan,
    at=TIMES,
    zone=st.sampled_from(ZONES),
    weekdays=st.frozensets(st.integers(0, 6), min_size=1),
)
MOMENTS = st.datetimes(datetime(2024, 1, 1), datetime(2030, 1, 1), timezones=st.just(UTC))


@pytest.mark.parametrize(
    ("text", "plan"),
    [
        ("09:00 Europe/Berlin", DigestPlan(at=time(9), zone="Europe/Berlin")),
        ("9:30 europe/berlin weekdays", DigestPlan(at=time(9, 30), zone="Europe/Berlin", weekdays=WORKDAYS)),
        ("9am UTC mon-fri", DigestPlan(at=time(9), zone="UTC", weekdays=WORKDAYS)),
        ("12pm UTC daily", DigestPlan(at=time(12), zone="UTC")),
        ("00:15 America/New_York Mon,Wed fridays", DigestPlan(at=time(0, 15), zone="America/New_York",
                                                               weekdays=frozenset({0, 2, 4}))),
        ("08:00 Asia/Tokyo sat - mon", DigestPlan(at=time(8), zone="Asia/Tokyo", weekdays=frozenset({5, 6, 0}))),
        ("08:00 Asia/Tokyo on every day", DigestPlan(at=time(8), zone="Asia/Tokyo", weekdays=EVERY_DAY)),
    ],
)  # fmt: skip
def test_a_plan_is_read(text: str, plan: DigestPlan) -> None:
    assert plan_of(text.split()) == plan


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("25:00 UTC", "25:00"),
        ("9 UTC", "“9”"),
        ("09:00", "a time and a zone"),
        ("09:00 Berlin", "Did you mean Europe/Berlin"),
        ("09:00 Mars/Olympus", "Mars/Olympus"),
        ("09:00 ../../etc/passwd", "etc/passwd"),
        ("09:00 UTC someday", "someday"),
        ("09:00 UTC t", "“t”"),
    ],
)
def test_what_is_no_plan_is_told_as_read(text: str, told: str) -> None:
    with pytest.raises(UsageError, match=told.replace("(", r"\(")):
        plan_of(text.split())


def test_a_time_that_spring_leaps_over_comes_after_the_leap() -> None:
    plan = DigestPlan(at=time(2, 30), zone="Europe/Berlin")
    assert due_on(plan, date(2026, 3, 29)) == datetime(2026, 3, 29, 1, 30, tzinfo=UTC)  # 03:30 by the new time
    assert due_on(plan, date(2026, 3, 28)) == datetime(2026, 3, 28, 1, 30, tzinfo=UTC)


def test_a_time_that_autumn_repeats_comes_the_first_time() -> None:
    plan = DigestPlan(at=time(2, 30), zone="Europe/Berlin")
    assert due_on(plan, date(2026, 10, 25)) == datetime(2026, 10, 25, 0, 30, tzinfo=UTC)
    assert next_due(plan, datetime(2026, 10, 25, 0, 30, tzinfo=UTC))[0] == date(2026, 10, 26)


@settings(max_examples=200)
@given(plan=PLANS, now=MOMENTS)
def test_the_last_one_is_past_the_next_one_is_not_and_none_lies_between(plan: DigestPlan, now: datetime) -> None:
    last_day, last = last_due(plan, now)
    next_day, coming = next_due(plan, now)
    assert last <= now < coming
    assert last_day < next_day
    assert {last_day.weekday(), next_day.weekday()} <= plan.weekdays
    between = [last_day + timedelta(days=step) for step in range(1, (next_day - last_day).days)]
    assert not [day for day in between if day.weekday() in plan.weekdays and last < due_on(plan, day) < coming]


@settings(max_examples=40)
@given(zone=st.sampled_from(ZONES), at=TIMES, year=st.integers(2024, 2029))
def test_over_a_year_each_local_day_has_one_digest(zone: str, at: time, year: int) -> None:
    plan = DigestPlan(at=at, zone=zone)
    now = datetime(year, 1, 1, tzinfo=UTC)
    days = []
    while now < datetime(year + 1, 1, 1, tzinfo=UTC):
        day, now = next_due(plan, now)
        days.append(day)
    assert days == [days[0] + timedelta(days=step) for step in range(len(days))]
    assert ZoneInfo(zone)
