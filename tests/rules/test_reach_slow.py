"""reach.slow: the handshake succeeds, but its first byte takes over a second longer than the round trip, every time."""

from __future__ import annotations

from dataclasses import replace

from probes.diagnose import judge
from tests.evidence import HEALTHY, answered_by, facts, fires, healthy, silent, stalled

SLOW = replace(HEALTHY, tcp=10.0, first_byte=1800.0)


def test_every_first_byte_late_is_slow() -> None:
    seen = facts(healthy(server=SLOW))
    finding = fires("reach.slow", seen, severity="warning")
    assert "1.8 s" in finding.explanation
    assert any("1780" in line for line in finding.evidence)
    assert any("the wait is for the ServerHello" in line for line in finding.evidence)
    diagnosis = judge(seen)
    assert (diagnosis.status, diagnosis.cause) == ("warning", finding)


def test_one_quick_answer_disproves_it() -> None:
    assert silent("reach.slow", facts(healthy(server=SLOW, http=answered_by(HEALTHY))))


def test_a_long_way_is_not_a_slow_server() -> None:
    far = replace(HEALTHY, tcp=1500.0, first_byte=3100.0)
    assert silent("reach.slow", facts(healthy(server=far)))


def test_just_under_a_second_is_not_slow() -> None:
    assert silent("reach.slow", facts(healthy(server=replace(HEALTHY, tcp=10.0, first_byte=1020.0))))


def test_a_healthy_address_is_silent() -> None:
    assert silent("reach.slow", facts())


def test_silence_is_another_code() -> None:
    seen = facts(healthy(every=stalled()))
    assert silent("reach.slow", seen)
    fires("reach.stalled", seen, severity="critical")
