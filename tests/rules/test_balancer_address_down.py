"""balancer.address-down: some addresses behind the name fail, others work."""

from __future__ import annotations

from dataclasses import replace

import pytest

from probes.clients import TLS11
from probes.diagnose import judge
from probes.model import Outcome
from tests.evidence import (
    ADDRESS,
    HTTP,
    LOCAL,
    OTHER,
    REFUSED,
    RSA,
    THIRD,
    TIMED_OUT,
    UNREACHABLE,
    alerted,
    dropped,
    facts,
    fires,
    healthy,
    silent,
    stalled,
)


@pytest.mark.parametrize(
    ("ending", "code"),
    [
        (REFUSED, "reach.refused"),
        (TIMED_OUT, "reach.timeout"),
        (UNREACHABLE, "reach.unreachable"),
        (dropped("rst"), "reach.reset"),
        (dropped("fin"), "reach.closed"),
        (stalled(), "reach.stalled"),
        (HTTP, "reach.not-tls"),
        (alerted(112), "sni.unrecognized"),
        (alerted(40), "negotiation.cipher"),  # to everything, whatever is offered
    ],
)
def test_one_address_down_is_the_cause_and_its_fault_a_finding(ending: Outcome, code: str) -> None:
    seen = facts(healthy(), healthy(OTHER, every=ending))
    finding = fires("balancer.address-down", seen, severity="critical", at=(OTHER,))
    assert code in finding.explanation and ADDRESS in finding.explanation
    assert any(line.startswith(ADDRESS) for line in finding.evidence)
    diagnosis = judge(seen)
    assert (diagnosis.status, diagnosis.cause) == ("broken", finding)
    assert [f.addresses for f in diagnosis.findings if f.code == code] == [(OTHER,)]


def test_all_addresses_down_is_no_difference() -> None:
    seen = facts(healthy(every=REFUSED), healthy(OTHER, every=REFUSED))
    assert silent("balancer.address-down", seen)
    cause = judge(seen).cause
    assert cause and cause.code == "reach.refused"


def test_all_addresses_up_is_silent() -> None:
    assert silent("balancer.address-down", facts(healthy(), healthy(OTHER), healthy(THIRD)))


def test_one_address_alone_is_silent() -> None:
    assert silent("balancer.address-down", facts(healthy(every=REFUSED)))


def test_an_address_that_this_prober_cannot_reach_is_a_gap() -> None:
    seen = facts(healthy(), healthy(THIRD, every=LOCAL))
    assert silent("balancer.address-down", seen)
    assert judge(seen).status == "ok"


def test_an_address_with_old_versions_is_a_difference_in_configuration() -> None:
    seen = facts(healthy(), healthy(OTHER, server=replace(RSA, versions=(TLS11,))))
    assert silent("balancer.address-down", seen)
    assert not silent("balancer.configuration-differs", seen)


def test_a_crowd_that_is_shed_is_no_outage() -> None:
    from tests.evidence import untouched

    busy = healthy(OTHER, small=(dropped("rst"), untouched), http=(dropped("rst"), untouched))
    seen = facts(healthy(), busy)
    assert silent("balancer.address-down", seen)
    assert judge(seen).status == "ok"
