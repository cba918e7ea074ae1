"""resumption.coalescing: names of the certificate that a shared connection does not serve."""

from __future__ import annotations

from dataclasses import replace

import pytest

from probes.diagnose import judge
from probes.facts import Facts
from probes.model import Handshake, Target
from probes.observed import Misdirection
from tests.evidence import ADDRESS, evidence, facts, fires, healthy, silent


def seen(*others: Misdirection) -> Facts:
    return Facts(evidence(healthy(), misdirections=others))


def other(**told: object) -> Misdirection:
    return Misdirection(name="static.healthy.test", address=ADDRESS, **told)  # type: ignore[arg-type]


def answered(status: int) -> tuple[Handshake, ...]:
    return healthy(http=lambda s: replace(s, http=replace(s.http, status=status) if s.http else None))


def test_a_421_for_a_name_of_the_certificate() -> None:
    finding = fires("resumption.coalescing", seen(other(status=421, same_certificate=True)), severity="warning")
    assert finding.evidence == (
        f"{ADDRESS}: the certificate covers static.healthy.test, but a request for it is answered 421",
    )
    assert judge(seen(other(status=421, same_certificate=True))).cause == finding


def test_another_certificate_or_an_alert_for_it() -> None:
    finding = fires(
        "resumption.coalescing",
        seen(other(status=200, same_certificate=False, detail="alert 112 unrecognized_name")),
        severity="warning",
    )
    assert "alert 112 unrecognized_name" in finding.evidence[0]


def test_a_421_to_a_request_that_agrees_with_its_handshake() -> None:
    finding = fires("resumption.coalescing", facts(answered(421)), severity="warning")
    assert "421 Misdirected Request" in finding.evidence[0]


@pytest.mark.parametrize(
    "healthy_other",
    [other(status=200, same_certificate=True), other(status=404, same_certificate=True), other(), other(status=503)],
    ids=["served", "not found", "unclear", "down"],
)
def test_what_is_served_or_unclear_is_silent(healthy_other: Misdirection) -> None:
    assert silent("resumption.coalescing", seen(healthy_other))


@pytest.mark.parametrize("status", [200, 301, 400, 404, 425, 503])
def test_other_answers_to_our_own_request_are_no_misdirection(status: int) -> None:
    assert silent("resumption.coalescing", facts(answered(status)))


def test_a_bare_address_is_asked_for_without_a_name_and_does_not_apply() -> None:
    target = Target.parse(ADDRESS)
    changed = healthy(target=target, http=lambda s: replace(s, http=replace(s.http, status=421) if s.http else None))
    assert silent("resumption.coalescing", facts(changed, target=target))


def test_nobody_asked_does_not_apply() -> None:
    assert silent("resumption.coalescing", seen())
