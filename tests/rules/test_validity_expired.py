"""validity.expired: past notAfter, by a clock that can be trusted."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from probes.diagnose import judge
from tests.evidence import DAY, HEALTHY, OTHER, Chain, ders, facts, fires, healthy, issuing, silent
from tests.pki import NOW, intermediate, leaf


def until(left: timedelta) -> Chain:
    return ders(leaf(issuing(), not_before=NOW - 90 * DAY, not_after=NOW + left), issuing())


def test_past_not_after_stops_everyone() -> None:
    seen = facts(healthy(server=replace(HEALTHY, chain=until(-3 * DAY))))
    finding = fires("validity.expired", seen, severity="critical")
    assert finding.stops_all and "3 days ago" in finding.explanation
    assert (NOW - 3 * DAY).strftime("%Y-%m-%d") in finding.explanation
    assert any("HTTP Date" in line and "agrees" in line for line in finding.evidence)
    assert {"chrome", "curl", "java-8"} <= set(finding.fails_for)
    assert judge(seen).cause == finding


def test_a_clock_that_is_off_but_no_excuse_is_not_said_to_agree() -> None:
    seen = facts(healthy(server=replace(HEALTHY, chain=until(-3 * DAY), skew=timedelta(hours=4))))
    finding = fires("validity.expired", seen, severity="critical")
    assert not any("agrees" in line for line in finding.evidence)
    assert any("is off" in line for line in finding.evidence)


def test_the_last_second_is_still_valid() -> None:
    assert silent("validity.expired", facts(healthy(server=replace(HEALTHY, chain=until(timedelta(0))))))
    fires(
        "validity.expired",
        facts(healthy(server=replace(HEALTHY, chain=until(-timedelta(seconds=1))))),
        severity="critical",
    )


def test_whatever_else_is_wrong_with_its_chain_it_is_expired() -> None:
    seen = facts(healthy(server=replace(HEALTHY, chain=until(-DAY)[:1])))
    cause = judge(seen).cause
    assert cause and cause.code == "validity.expired"


def test_a_server_clock_that_lags_behind_excuses_it() -> None:
    seen = facts(healthy(server=replace(HEALTHY, chain=until(-DAY), skew=-5 * DAY)))
    assert silent("validity.expired", seen)
    fires("validity.clock-skew", seen, severity="warning")


def test_a_clock_that_does_not_make_it_valid_excuses_nothing() -> None:
    seen = facts(healthy(server=replace(HEALTHY, chain=until(-5 * DAY), skew=-DAY)))
    fires("validity.expired", seen, severity="critical")
    cause = judge(seen).cause
    assert cause and cause.code == "validity.expired"


def test_an_expired_intermediate_is_another_code() -> None:
    gone = intermediate(not_before=NOW - 400 * DAY, not_after=NOW - DAY)
    assert silent("validity.expired", facts(healthy(server=replace(HEALTHY, chain=ders(leaf(gone), gone)))))


def test_a_healthy_certificate_is_silent() -> None:
    assert silent("validity.expired", facts())


def test_only_the_address_with_the_old_file_is_named() -> None:
    seen = facts(healthy(), healthy(OTHER, server=replace(HEALTHY, chain=until(-DAY))))
    fires("validity.expired", seen, severity="critical", at=(OTHER,))
