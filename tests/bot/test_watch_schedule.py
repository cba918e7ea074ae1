"""When looks are due, and what a look makes of its lookout."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot import schedule
from bot.schedule import next_look, step
from bot.sighting import Kind
from bot.watched import Lookout, Seen, bucket, median_of
from probes.model import Status, Target

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)


def lookout(host: str = "api.example.com", **changed: object) -> Lookout:
    known = Lookout(
        id=1,
        team="T1",
        target=Target.parse(host),
        status="ok",
        light="a",
        gist="a",
        full="f",
        light_at=NOW,
        full_at=NOW,
    )
    return replace(known, **changed)  # type: ignore[arg-type]


def seen(kind: Kind, status: Status = "ok", *, gist: str = "a", cause: str | None = None, at: datetime = NOW) -> Seen:
    return Seen(lookout=1, kind=kind, at=at, fingerprint=gist, gist=gist, status=status, cause=cause)


# ── when ────────────────────────────────────────────────────────────────────────


@given(st.integers(0, 10**6), st.integers(1, 6_000))
def test_a_lookout_has_one_moment_in_each_interval(offset_s: int, count: int) -> None:
    every = schedule.light_every(count)
    at = NOW + timedelta(seconds=offset_s)
    first = schedule.moment_after(lookout(), every, at)
    second = schedule.moment_after(lookout(), every, first)
    assert at < first <= at + every + timedelta(milliseconds=1)
    assert abs((second - first - every).total_seconds()) < 0.001


def test_a_restart_moves_nothing() -> None:
    one = lookout(light_at=NOW - timedelta(minutes=2))
    before = next_look(one, 1, NOW)
    assert next_look(one, 1, NOW + timedelta(seconds=30), since=NOW - timedelta(hours=1)) == before


def test_no_crowd_is_due_at_once() -> None:
    crowd = [lookout(f"h{number}.example.com") for number in range(3_000)]
    minutes = [next_look(each, len(crowd), NOW).at.minute for each in crowd]
    assert max(minutes.count(minute) for minute in set(minutes)) < 3_000 / 15 * 1.5


def test_what_was_missed_is_caught_up_once_within_a_minute() -> None:
    asleep = NOW - timedelta(days=3)
    crowd = [lookout(f"h{number}.example.com", light_at=asleep, full_at=asleep) for number in range(200)]
    dues = [next_look(each, len(crowd), NOW, since=NOW) for each in crowd]
    assert all(NOW <= due.at <= NOW + schedule.CATCH_UP for due in dues)
    assert {due.kind for due in dues} == {"full"}  # one look stands for all that were missed
    assert len({due.at for due in dues}) == 200


def test_few_are_looked_at_more_often_and_many_never_too_often() -> None:
    assert schedule.light_every(20) == timedelta(minutes=5)
    assert schedule.light_every(5_000) == timedelta(minutes=15)
    assert 50_000 / schedule.light_every(50_000).total_seconds() <= schedule.AT_MOST_A_SECOND * 1.001


def test_a_full_look_comes_daily_hourly_while_it_is_broken_and_soon_before_a_recovery_is_believed() -> None:
    far = NOW + timedelta(days=300)  # light looks do not come before
    whole = lookout(light_at=far)
    assert timedelta() < next_look(whole, 1, NOW).at - NOW <= schedule.DAY
    broken = replace(whole, status="broken")
    assert next_look(broken, 1, NOW).at == NOW + timedelta(hours=1)
    assert next_look(replace(broken, goods=1), 1, NOW).at == NOW + timedelta(minutes=1)


# ── what came of it ─────────────────────────────────────────────────────────────


def test_a_light_look_like_the_one_before_asks_for_nothing() -> None:
    assert not step(lookout(), seen("light")).full_now


@pytest.mark.parametrize("full_at", [NOW - timedelta(hours=2), NOW - timedelta(minutes=1)])
def test_a_light_look_that_broke_asks_for_a_full_one_and_alone_says_nothing(full_at: datetime) -> None:
    made = step(lookout(full_at=full_at), seen("light", "broken", gist="b", cause="reach.refused"))
    assert made.full_now and made.verdict == "same" and made.lookout.status == "ok"


def test_other_changes_ask_for_a_full_look_but_not_for_one_after_the_other() -> None:
    changed = seen("light", gist="other")
    assert step(lookout(full_at=NOW - timedelta(hours=2)), changed).full_now
    assert not step(lookout(full_at=NOW - timedelta(minutes=1)), changed).full_now


def test_the_first_light_look_is_compared_with_the_full_one() -> None:
    assert not step(lookout(gist=""), seen("light")).full_now
    assert step(lookout(gist=""), seen("light", "broken", gist="b")).full_now


def test_it_breaks_changes_and_recovers_after_two_good_looks() -> None:
    broke = step(lookout(), seen("full", "broken", cause="validity.expired"))
    assert (broke.verdict, broke.lookout.status, broke.lookout.broken_since) == ("broke", "broken", NOW)
    still = step(broke.lookout, seen("full", "broken", cause="validity.expired", at=NOW + schedule.DAY))
    assert (still.verdict, still.lookout.broken_since) == ("same", NOW)
    changed = step(still.lookout, seen("full", "broken", cause="chain.incomplete"))
    assert changed.verdict == "changed"
    once = step(changed.lookout, seen("full"))
    assert (once.verdict, once.lookout.status, once.lookout.goods) == ("same", "broken", 1)
    again = step(once.lookout, seen("full", "broken", cause="chain.incomplete"))
    assert (again.verdict, again.lookout.goods) == ("same", 0)
    twice = step(once.lookout, seen("full"))
    assert (twice.verdict, twice.lookout.status, twice.lookout.broken_since) == ("recovered", "ok", None)


def test_a_light_look_that_got_better_and_the_full_one_after_it_are_two() -> None:
    broken = lookout(status="broken", cause="reach.refused", gist="b")
    better = step(broken, seen("light"))
    assert better.full_now and better.lookout.goods == 1
    assert step(better.lookout, seen("full")).verdict == "recovered"


# ── handshake times ─────────────────────────────────────────────────────────────


@given(st.lists(st.floats(1, 5_000), min_size=1, max_size=99))
def test_the_median_out_of_the_histogram_is_within_a_tenth(times: list[float]) -> None:
    buckets: dict[int, int] = {}
    for took in times:
        buckets[bucket(took)] = buckets.get(bucket(took), 0) + 1
    middle = sorted(times)[(len(times) - 1) // 2]
    assert middle / 1.11 <= median_of(buckets) <= middle * 1.11
