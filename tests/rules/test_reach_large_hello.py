"""reach.large-hello: a ClientHello larger than one packet fails where a small one passes."""

from __future__ import annotations

import pytest

from probes.diagnose import judge
from probes.model import Outcome
from tests.evidence import HTTP, dropped, facts, fires, healthy, silent, stalled


@pytest.mark.parametrize("ending", [dropped("rst"), dropped("fin"), stalled(), HTTP])
def test_big_hellos_that_break_off_fail_for_post_quantum_clients(ending: Outcome) -> None:
    seen = facts(healthy(modern=ending, padded=ending, quantum=ending, split=ending))
    finding = fires("reach.large-hello", seen, severity="critical")
    assert set(finding.fails_for) == {"chrome", "firefox", "safari", "curl", "go", "node", "python", "rustls"}
    assert any("1700" in line for line in finding.evidence)
    assert judge(seen).cause == finding


def test_a_padded_hello_that_passes_puts_the_blame_on_the_group() -> None:
    seen = facts(healthy(modern=dropped("rst"), quantum=dropped("rst")))
    assert silent("reach.large-hello", seen)
    fires("negotiation.group", seen, severity="critical")


def test_a_second_segment_that_is_lost_now_and_then_is_a_risk() -> None:
    seen = facts(healthy(split=dropped("rst")))
    finding = fires("reach.large-hello", seen, severity="warning")
    assert finding.fails_for == ()
    assert judge(seen).status == "warning"


def test_where_whole_hellos_are_shed_as_well_the_second_segment_is_not_to_blame() -> None:
    """A limit of a few connections a second drops whatever comes next, a hello in two segments among it."""
    from tests.evidence import untouched

    seen = facts(healthy(split=dropped("rst"), small=(dropped("rst"), untouched)))
    assert silent("reach.large-hello", seen)


def test_one_lost_split_hello_proves_nothing() -> None:
    from tests.evidence import untouched

    seen = facts(healthy(split=(dropped("rst"), untouched)))
    assert silent("reach.large-hello", seen)
    assert judge(seen).status == "ok"


def test_a_browser_hello_that_was_shed_once_proves_nothing() -> None:
    from tests.evidence import untouched

    seen = facts(healthy(modern=(dropped("rst"), untouched)))
    assert silent("reach.large-hello", seen)
    assert judge(seen).status == "ok"


def test_a_healthy_address_is_silent() -> None:
    assert silent("reach.large-hello", facts())


def test_where_small_hellos_fail_as_well_size_is_not_the_cause() -> None:
    seen = facts(healthy(every=dropped("rst")))
    assert silent("reach.large-hello", seen)
    fires("reach.reset", seen, severity="critical")
