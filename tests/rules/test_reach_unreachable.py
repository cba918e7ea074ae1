"""reach.unreachable: the network says that there is no way there."""

from __future__ import annotations

from probes.diagnose import judge
from tests.evidence import LOCAL, THIRD, TIMED_OUT, UNREACHABLE, facts, fires, healthy, silent


def test_no_route_stops_everyone_and_says_who_said_so() -> None:
    seen = facts(healthy(every=UNREACHABLE))
    finding = fires("reach.unreachable", seen, severity="critical")
    assert finding.stops_all and finding.fails_for == seen.everyone
    assert any("EHOSTUNREACH" in line for line in finding.evidence)
    assert judge(seen).cause == finding


def test_a_prober_without_ipv6_is_no_fault_of_the_target() -> None:
    seen = facts(healthy(), healthy(THIRD, every=LOCAL))
    assert silent("reach.unreachable", seen)
    assert judge(seen).cause is None
    assert [look.address for look in seen.all_looks if look.is_gap] == [THIRD]


def test_a_prober_that_reaches_no_address_claims_nothing() -> None:
    seen = facts(healthy(every=LOCAL))
    assert silent("reach.unreachable", seen)
    assert judge(seen).findings == ()


def test_a_healthy_address_is_silent() -> None:
    assert silent("reach.unreachable", facts())


def test_silence_is_another_code() -> None:
    assert silent("reach.unreachable", facts(healthy(every=TIMED_OUT)))
