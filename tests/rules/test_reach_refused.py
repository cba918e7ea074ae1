"""reach.refused: RST answers the SYN."""

from __future__ import annotations

from probes.diagnose import judge
from tests.evidence import LOCAL, OTHER, REFUSED, TIMED_OUT, dropped, facts, fires, healthy, silent


def test_a_refused_connection_stops_everyone() -> None:
    seen = facts(healthy(every=REFUSED))
    finding = fires("reach.refused", seen, severity="critical")
    assert finding.stops_all and finding.fails_for == seen.everyone
    assert any("refused (ECONNREFUSED)" in line for line in finding.evidence)
    assert "443" in finding.next_command
    assert judge(seen).cause == finding


def test_one_refusal_among_timeouts_does_not_outweigh_them() -> None:
    seen = facts(healthy(every=TIMED_OUT, modern=REFUSED))
    assert silent("reach.refused", seen)
    fires("reach.timeout", seen, severity="critical")


def test_a_healthy_address_is_silent() -> None:
    assert silent("reach.refused", facts())


def test_a_reset_after_the_hello_is_another_code() -> None:
    seen = facts(healthy(every=dropped("rst")))
    assert silent("reach.refused", seen)
    fires("reach.reset", seen, severity="critical")


def test_what_this_prober_cannot_reach_is_a_gap_and_no_fault() -> None:
    seen = facts(healthy(), healthy(OTHER, every=LOCAL))
    assert silent("reach.refused", seen)
    assert judge(seen).status == "ok"


def test_only_the_refusing_address_is_named() -> None:
    seen = facts(healthy(), healthy(OTHER, every=REFUSED))
    fires("reach.refused", seen, severity="critical", at=(OTHER,))
