"""reach.timeout: no answer to the SYN."""

from __future__ import annotations

from probes.diagnose import judge
from tests.evidence import ADDRESS, OTHER, REFUSED, TIMED_OUT, facts, fires, healthy, silent, stalled


def test_no_answer_to_the_syn_stops_everyone() -> None:
    seen = facts(healthy(every=TIMED_OUT))
    finding = fires("reach.timeout", seen, severity="critical")
    assert finding.stops_all and finding.fails_for == seen.everyone
    assert any("2.5 s" in line for line in finding.evidence)
    assert judge(seen).cause == finding


def test_every_silent_address_is_named() -> None:
    seen = facts(healthy(every=TIMED_OUT), healthy(OTHER, every=TIMED_OUT))
    fires("reach.timeout", seen, severity="critical", at=(ADDRESS, OTHER))


def test_a_healthy_address_is_silent() -> None:
    assert silent("reach.timeout", facts())


def test_silence_after_the_hello_is_another_code() -> None:
    seen = facts(healthy(every=stalled()))
    assert silent("reach.timeout", seen)
    fires("reach.stalled", seen, severity="critical")


def test_a_full_accept_queue_that_takes_a_few_is_not_unreachable() -> None:
    assert silent("reach.timeout", facts(healthy(modern=TIMED_OUT, weak=TIMED_OUT)))


def test_a_refusal_is_another_code() -> None:
    assert silent("reach.timeout", facts(healthy(every=REFUSED)))
