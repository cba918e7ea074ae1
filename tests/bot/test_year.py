"""A simulated year: each warning exactly once, none missing, none needless. `python -m tests.bot.year` prints it."""

from __future__ import annotations

import asyncio
import re
import tempfile
from collections import Counter
from functools import cache
from pathlib import Path

import pytest

from tests.bot.year import Line, fleets, printed, simulated

SILENT = (
    "398-on-time.test",
    "200-on-time.test",
    "90-on-time.test",
    "47-on-time.test",
    "6-on-time.test",
    "rolling.test",
    "expected-ca.test",
    "pool.test",
    "staple-once.test",
    "slow-once.test",
    "offline-renewed.test",
)


@cache
def year() -> tuple[Line, ...]:
    """The year is lived once for all tests; it takes a minute."""
    with tempfile.TemporaryDirectory() as place:
        return tuple(asyncio.run(simulated(Path(place) / "year.db")).lines)


def said(name: str) -> list[str]:
    """What was said of a host, but for edits: the sign, whether somebody was called, and the words."""
    lines = year()
    roots = {line.key for line in lines if line.kind == "message" and re.search(rf"(^|\s){re.escape(name)}", line.text)}
    own = [
        line
        for line in lines
        if line.kind in {"message", "thread"}
        and any(line.key == root or line.key.startswith(f"{root}:") for root in roots)
    ]
    return [f"{line.at:%m-%d} {line.text.partition(' — ')[0]}" for line in own]


@pytest.mark.parametrize("name", SILENT)
def test_what_is_as_it_should_be_is_silent_all_year(name: str) -> None:
    assert said(name) == []
    assert [line for line in year() if name in line.text] == []


def test_every_host_is_accounted_for() -> None:
    spoken = {host.name for host in fleets() if any(host.name in line.text for line in year())}
    assert spoken | set(SILENT) == {host.name for host in fleets()}


def test_nothing_is_said_twice() -> None:
    lines = year()
    posted = Counter(line.key for line in lines if line.kind in {"message", "thread"})
    assert posted.most_common(1)[0][1] == 1
    texts = Counter((line.key.rpartition(":")[0], line.text) for line in lines if line.kind == "thread")
    assert texts.most_common(1)[0][1] == 1


def test_a_renewal_that_is_late_climbs_one_step_at_a_time() -> None:
    assert said("398-late.test") == [
        "03-11 🟠 398-late.test: the certificate expires 09 Apr 00:00 and is not renewed.",
        "03-26 🟠 <@U-owner> 14 days left, and the certificate is still not renewed.",
        "04-02 🔴 <@U-owner> 7 days left, and the certificate is still not renewed.",
        "04-03 🔴 <@U-owner> nobody has acknowledged this warning yet; 6 days left.",
        "04-05 🔴 <@U-owner> nobody has acknowledged this warning yet; 4 days left.",
        "04-12 ✅ 398-late.test is renewed, until 13 May 23:00.",
    ]


def test_a_job_that_broke_is_overdue_by_its_own_habit_before_it_is_expiring() -> None:
    first, *rest = said("90-stuck.test")
    assert "is usually renewed by now" in first and "<" not in first
    assert [("<!subteam^S-platform>" in line, line[6]) for line in rest] == [
        (False, "🟠"),
        (True, "🟠"),
        (True, "🔴"),
        (True, "🔴"),
        (False, "✅"),
    ]


def test_six_days_are_judged_in_hours() -> None:
    overdue, sixth, twelfth, renewed = said("6-stuck.test")
    assert "is usually renewed by now" in overdue
    assert "23 hours left" in sixth and "11 hours left" in twelfth and "✅" in renewed


def test_acknowledged_and_snoozed() -> None:
    acknowledged = said("90-acknowledged.test")
    assert [line[6] for line in acknowledged] == ["🟠", "🟠", "—", "🟠", "✅"]
    assert ["<@U-owner>" in line for line in acknowledged] == [False, False, False, True, False]
    snoozed = said("47-snoozed.test")
    assert sum("the snooze is over" in line for line in snoozed) == 1
    assert len(snoozed) == 4


def test_three_of_eight_still_serve_the_old_one() -> None:
    assert said("partial.test") == [
        "04-20 🟠 partial.test is renewed, but 3 of 8 addresses still serve the old certificate (until 11 May 15:00).",
        "04-25 ✅ partial.test is renewed at all 8 addresses, until 09 Jul 19:00.",
    ]


def test_what_crossed_a_step_while_nobody_looked_is_told_once_afterwards() -> None:
    assert [line[:5] for line in said("offline-due.test")] == ["03-20", "03-25", "03-26"]


def test_a_ca_that_wants_many_back_is_one_message() -> None:
    lines = [line for line in year() if line.key.startswith("mass:") and line.kind in {"message", "thread"}]
    assert [line.text[:40] for line in lines] == [
        "🟠 Let's Encrypt wants 5 of your certific",
        "<@U-owner> some of these are yours.",
        "🔴 <@U-owner> the time is up, and 1 certi",
        "✅ All 5 are replaced.",
    ]
    assert [line for line in year() if line.key.startswith("lineage:") and "mass-" in line.text] == []


def test_an_outage_is_an_incident_and_not_a_second_warning() -> None:
    incidents = [line.text for line in year() if line.kind == "note"]
    assert incidents == [
        "down.test: an incident opens (reach.timeout)",
        "398-late.test: an incident opens (validity.expired)",
        "down.test: the incident recovers (healthy)",
        "398-late.test: the incident recovers (healthy)",
        "revoked.test: an incident opens (revocation.revoked)",
        "revoked.test: the incident recovers (healthy)",
    ]
    assert said("revoked.test") == said("down.test") == []


@pytest.mark.parametrize(
    ("name", "count", "word"),
    [
        ("wrong-ca.test", 1, "certificate from another CA: Other Trust Ltd instead of Let's Encrypt"),
        ("key-reused.test", 1, "renewed with the old key"),
        ("moves.test", 2, "new address 192.0.2.77"),
        ("staple.test", 2, "no OCSP staple any more"),
        ("slow.test", 2, "handshakes take 260 ms instead of 87 ms"),
        ("alpn.test", 2, "ALPN no longer agreed"),
        ("chain.test", 2, "only the leaf is sent"),
        ("intermediate.test", 3, "the intermediate R12 that it sends expires"),
    ],
)
def test_drift_is_told_once_and_once_when_it_goes_back(name: str, count: int, word: str) -> None:
    lines = said(name)
    assert len(lines) == count and word in lines[0]


def test_the_whole_log_fits_on_two_pages() -> None:
    log = printed(year())
    assert len(log.splitlines()) < 80
    assert max(map(len, log.splitlines())) < 420
