"""validity.clock-skew: a clock is off, the server's or this prober's own."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from probes.diagnose import judge
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
