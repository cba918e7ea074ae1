"""resumption.broken: the session breaks the handshake, and nothing else does."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from probes.clients import TLS12, TLS13
from probes.diagnose import judge
from probes.model import Handshake, Outcome
from probes.plan import EARLY, RESUME
from tests.evidence import (
    ADDRESS,
    HEALTHY,
    OTHER,
    alerted,
    dropped,
    ended,
    facts,
    fires,
    healthy,
    revisited,
    silent,
    stalled,
)

INTERNAL_ERROR = 80


def breaks(version: int, outcome: Outcome, *, purpose: str = RESUME) -> Callable[[Handshake], Handshake]:
    def change(shake: Handshake) -> Handshake:
        session = shake.offer.session
        hit = session is not None and session.version == version and shake.offer.purpose == purpose
        return ended(shake, outcome) if hit else shake

    return change


@pytest.mark.parametrize(
    ("outcome", "times"), [(alerted(INTERNAL_ERROR), 2), (dropped("fin"), 3), (dropped("rst"), 3), (stalled(), 3)]
)
def test_a_resumed_handshake_that_breaks_beside_a_fresh_one_that_passes(outcome: Outcome, times: int) -> None:
    seen = facts(revisited(healthy(), change=breaks(TLS13, outcome)))
    finding = fires("resumption.broken", seen, severity="critical")
    assert f"{ADDRESS}: {times} of {times} resumed fail; fresh, 1 of 1 pass" in finding.evidence
    assert "chrome" in finding.fails_for and "openssl-1.0" not in finding.fails_for
    assert judge(seen).cause == finding and judge(seen).status == "broken"


def test_clients_of_the_version_alone_are_hurt() -> None:
    finding = fires(
        "resumption.broken", facts(revisited(healthy(), change=breaks(TLS12, dropped("rst")))), severity="critical"
    )
    assert "chrome" not in finding.fails_for and "TLSv1.2" in finding.explanation


def test_a_second_address_that_breaks_over_the_ticket_of_the_first_is_named() -> None:
    def change(shake: Handshake) -> Handshake:
        hit = shake.offer.purpose == RESUME and shake.endpoint.address == OTHER
        return ended(shake, alerted(INTERNAL_ERROR)) if hit else shake

    fires(
        "resumption.broken",
        facts(revisited(healthy(), healthy(OTHER), change=change)),
        severity="critical",
        at=(OTHER,),
    )


def test_early_data_that_breaks_is_a_warning() -> None:
    server = replace(HEALTHY, early_data=16384)
    looks = revisited(
        healthy(server=server), servers={ADDRESS: server}, change=breaks(TLS13, dropped("rst"), purpose=EARLY)
    )
    finding = fires("resumption.broken", facts(looks), severity="warning")
    assert "early data" in finding.explanation and finding.fails_for == ()


def test_a_resumption_that_failed_once_and_then_passed_is_forgiven() -> None:
    failures = iter([True])

    def once(shake: Handshake) -> Handshake:
        hit = shake.offer.purpose == RESUME and next(failures, False)
        return ended(shake, dropped("rst")) if hit else shake

    assert silent("resumption.broken", facts(revisited(healthy(), change=once)))


def test_where_the_fresh_one_fails_as_well_resumption_is_not_to_blame() -> None:
    seen = facts(revisited(healthy(), change=lambda shake: ended(shake, dropped("rst"))))
    assert silent("resumption.broken", seen)


def test_a_refused_session_is_no_broken_one() -> None:
    server = replace(HEALTHY, keys="")
    assert silent("resumption.broken", facts(revisited(healthy(server=server), servers={ADDRESS: server})))


def test_an_endpoint_that_resumes_does_not_apply() -> None:
    assert silent("resumption.broken", facts(revisited(healthy())))
