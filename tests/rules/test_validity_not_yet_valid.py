"""validity.not-yet-valid: before notBefore."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from probes.diagnose import judge
from tests.evidence import DAY, HEALTHY, Chain, ders, facts, fires, healthy, issuing, silent
from tests.pki import NOW, leaf


def beginning(in_: timedelta) -> Chain:
    return ders(leaf(issuing(), not_before=NOW + in_, not_after=NOW + 90 * DAY), issuing())


def test_before_not_before_stops_everyone() -> None:
    seen = facts(healthy(server=replace(HEALTHY, chain=beginning(3 * DAY))))
    finding = fires("validity.not-yet-valid", seen, severity="critical")
    assert finding.stops_all and "3 days from now" in finding.explanation
    assert {"chrome", "curl"} <= set(finding.fails_for)
    assert judge(seen).cause == finding


def test_the_first_second_is_valid() -> None:
    assert silent("validity.not-yet-valid", facts(healthy(server=replace(HEALTHY, chain=beginning(timedelta(0))))))


def test_a_server_clock_ahead_excuses_it() -> None:
    seen = facts(healthy(server=replace(HEALTHY, chain=beginning(2 * DAY), skew=5 * DAY)))
    assert silent("validity.not-yet-valid", seen)
    cause = judge(seen).cause
    assert cause and cause.code == "validity.clock-skew"


def test_an_expired_certificate_is_another_code() -> None:
    stale = ders(leaf(issuing(), not_after=NOW - DAY), issuing())
    assert silent("validity.not-yet-valid", facts(healthy(server=replace(HEALTHY, chain=stale))))


def test_a_healthy_certificate_is_silent() -> None:
    assert silent("validity.not-yet-valid", facts())
