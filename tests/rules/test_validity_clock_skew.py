"""validity.clock-skew: a clock is off, the server's or this prober's own."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from probes.diagnose import judge
from probes.facts import Facts
from probes.observed import ClockWitness
from tests.evidence import ADDRESS, DAY, HEALTHY, OTHER, THIRD, ders, facts, fires, healthy, issuing, silent
from tests.pki import NOW, leaf


@pytest.mark.parametrize(("skew", "way"), [(timedelta(hours=3), "ahead"), (-timedelta(days=400), "behind")])
def test_a_clock_that_is_off_is_a_warning_that_says_by_how_much(skew: timedelta, way: str) -> None:
    seen = facts(healthy(server=replace(HEALTHY, skew=skew)))
    finding = fires("validity.clock-skew", seen, severity="warning")
    assert way in finding.explanation and "valid by both" in finding.explanation
    assert any("one witness" in line for line in finding.evidence)
    diagnosis = judge(seen)
    assert (diagnosis.status, diagnosis.cause) == ("warning", finding)


@pytest.mark.parametrize("seconds", [0, 1, -1, 240, -299])
def test_what_ntp_forgives_is_silent(seconds: int) -> None:
    assert silent("validity.clock-skew", facts(healthy(server=replace(HEALTHY, skew=timedelta(seconds=seconds)))))


def test_a_cached_date_is_no_witness() -> None:
    assert silent("validity.clock-skew", facts(healthy(server=replace(HEALTHY, skew=-DAY, age_s=86400))))


def test_a_server_that_gives_no_date_is_silent() -> None:
    assert silent("validity.clock-skew", facts(healthy(server=replace(HEALTHY, skew=None))))


def test_a_certificate_that_is_valid_by_the_server_s_clock_makes_it_the_cause() -> None:
    stale = ders(leaf(issuing(), not_after=NOW - DAY), issuing())
    seen = facts(healthy(server=replace(HEALTHY, chain=stale, skew=-5 * DAY)))
    cause = judge(seen).cause
    assert cause and cause.code == "validity.clock-skew"
    assert "by this prober's it is not" in cause.explanation


def test_other_addresses_that_agree_with_us_put_the_blame_on_the_server() -> None:
    seen = facts(healthy(), healthy(OTHER, server=replace(HEALTHY, skew=DAY)))
    finding = fires("validity.clock-skew", seen, severity="warning", at=(OTHER,))
    assert any("the server's clock is wrong" in line for line in finding.evidence)


def test_addresses_that_agree_against_us_put_the_blame_on_this_prober() -> None:
    wrong = replace(HEALTHY, skew=DAY)
    seen = facts(healthy(server=wrong), healthy(OTHER, server=wrong), healthy(THIRD, server=wrong))
    finding = fires("validity.clock-skew", seen, severity="warning", at=(ADDRESS, OTHER, THIRD))
    assert any("its clock is likely wrong" in line for line in finding.evidence)


def told(seen: Facts, *clocks: ClockWitness) -> Facts:
    return Facts(replace(seen.evidence, clocks=clocks))


STALE = ders(leaf(issuing(), not_after=NOW - DAY), issuing())


def test_ntp_that_agrees_with_us_makes_an_expired_certificate_expired() -> None:
    seen = facts(healthy(server=replace(HEALTHY, chain=STALE, skew=-5 * DAY)))
    agreed = told(seen, ClockWitness(name="NTP 192.0.2.123:123", skew_s=0.2))
    cause = judge(agreed).cause
    assert cause and cause.code == "validity.expired"
    finding = fires("validity.clock-skew", agreed, severity="warning")
    assert any("the server's clock is wrong" in line for line in finding.evidence)


def test_ntp_that_contradicts_us_is_told_without_any_http_date() -> None:
    ahead = 5 * DAY.total_seconds()
    young = ders(leaf(issuing(), not_before=NOW + DAY), issuing())
    seen = told(
        facts(healthy(server=replace(HEALTHY, chain=young, skew=None))), ClockWitness(name="NTP x", skew_s=ahead)
    )
    cause = judge(seen).cause
    assert cause and cause.code == "validity.clock-skew"
    assert "This prober's clock is 5 days behind NTP's" in cause.explanation


def test_the_kernel_s_word_is_evidence_and_decides_nothing() -> None:
    seen = facts(healthy(server=replace(HEALTHY, chain=STALE, skew=-5 * DAY)))
    heard = told(seen, ClockWitness(name="this machine's kernel", synchronised=True))
    cause = judge(heard).cause
    assert cause and cause.code == "validity.clock-skew"
    assert any("says that its clock is synchronised" in line for line in cause.evidence)


def test_two_addresses_that_share_our_clock_outvote_the_one_that_does_not() -> None:
    server = replace(HEALTHY, chain=STALE)
    seen = facts(
        healthy(server=replace(server, skew=-5 * DAY)), healthy(OTHER, server=server), healthy(THIRD, server=server)
    )
    cause = judge(seen).cause
    assert cause and cause.code == "validity.expired" and len(cause.addresses) == 3


def test_a_certificate_of_minutes_is_a_notice_for_clocks_that_lag() -> None:
    young = ders(leaf(issuing(), not_before=NOW - DAY / 144), issuing())
    seen = facts(healthy(server=replace(HEALTHY, chain=young)))
    finding = fires("validity.clock-skew", seen, severity="notice")
    assert "10 minutes old" in finding.explanation
    assert judge(seen).status == "ok"


def test_a_certificate_of_hours_is_silent() -> None:
    hours = ders(leaf(issuing(), not_before=NOW - DAY / 12), issuing())
    assert silent("validity.clock-skew", facts(healthy(server=replace(HEALTHY, chain=hours))))
