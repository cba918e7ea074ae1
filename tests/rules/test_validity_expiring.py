"""validity.expiring: less than a sixth of the lifetime is left, and less than 30 days."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from probes.diagnose import judge
from tests.evidence import DAY, HEALTHY, Chain, ders, facts, fires, healthy, issuing, root, silent
from tests.pki import NOW, intermediate, leaf


def lasting(lifetime: timedelta, left: timedelta) -> Chain:
    return ders(leaf(issuing(), not_before=NOW + left - lifetime, not_after=NOW + left), issuing())


@pytest.mark.parametrize(
    ("lifetime", "left"),
    [
        (90 * DAY, 14 * DAY),
        (365 * DAY, 29 * DAY),
        (6 * DAY, 23 * DAY / 24),
        (160 * DAY / 24, 26 * DAY / 24),  # Let's Encrypt's short-lived ones
        (timedelta(hours=160), timedelta(hours=160) / 6 - timedelta(seconds=1)),
        (398 * DAY, 30 * DAY - timedelta(seconds=1)),
        (180 * DAY, 30 * DAY - timedelta(seconds=1)),  # a sixth is 30 days
        (DAY, timedelta(hours=3)),
        (90 * DAY, timedelta(seconds=1)),
        (90 * DAY, timedelta(0)),
    ],
)
def test_little_is_left(lifetime: timedelta, left: timedelta) -> None:
    seen = facts(healthy(server=replace(HEALTHY, chain=lasting(lifetime, left))))
    finding = fires("validity.expiring", seen, severity="warning")
    assert finding.fails_for == () and (NOW + left).strftime("%Y-%m-%d") in finding.explanation
    diagnosis = judge(seen)
    assert (diagnosis.status, diagnosis.cause) == ("warning", finding)


@pytest.mark.parametrize(
    ("lifetime", "left"),
    [
        (90 * DAY, 15 * DAY),
        (90 * DAY, 16 * DAY),
        (365 * DAY, 30 * DAY),
        (6 * DAY, 25 * DAY / 24),
        (47 * DAY, 8 * DAY),
        (timedelta(hours=160), timedelta(hours=27)),
        (timedelta(hours=160), timedelta(hours=159)),
        (398 * DAY, 30 * DAY),
        (180 * DAY, 30 * DAY),
        (DAY, timedelta(hours=5)),
        (timedelta(hours=6), timedelta(hours=1)),
    ],
)
def test_enough_is_left(lifetime: timedelta, left: timedelta) -> None:
    seen = facts(healthy(server=replace(HEALTHY, chain=lasting(lifetime, left))))
    assert silent("validity.expiring", seen) and judge(seen).status == "ok"


def test_an_expired_certificate_is_another_code() -> None:
    assert silent("validity.expiring", facts(healthy(server=replace(HEALTHY, chain=lasting(90 * DAY, -DAY)))))


def test_a_certificate_that_is_not_valid_yet_does_not_expire() -> None:
    assert silent("validity.expiring", facts(healthy(server=replace(HEALTHY, chain=lasting(DAY, 2 * DAY)))))


def test_an_intermediate_in_use_runs_out_as_well() -> None:
    short = intermediate(root(), "Short CA", not_before=NOW - 1000 * DAY, not_after=NOW + 10 * DAY)
    seen = facts(healthy(server=replace(HEALTHY, chain=ders(leaf(short), short))))
    assert "Short CA" in fires("validity.expiring", seen, severity="warning").explanation
