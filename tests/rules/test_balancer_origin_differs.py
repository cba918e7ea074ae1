"""balancer.origin-differs: the balancer and the origin behind it differ."""

from __future__ import annotations

from dataclasses import replace

import pytest

from probes.clients import TLS11, TLS12
from probes.diagnose import judge
from probes.model import Endpoint, Outcome
from tests.evidence import (
    ADDRESS,
    DAY,
    HEALTHY,
    LOCAL,
    OTHER,
    REFUSED,
    RSA,
    Server,
    alerted,
    chain,
    ders,
    dropped,
    facts,
    fires,
    healthy,
    issuing,
    silent,
)
from tests.pki import NOW, leaf

ORIGIN = Endpoint(address=OTHER, port=443)
RENEWED = ders(leaf(issuing(), owner="renewed"), issuing())
EXPIRED = ders(leaf(issuing(), not_after=NOW - DAY), issuing())


@pytest.mark.parametrize(
    ("behind", "differing"),
    [
        (replace(HEALTHY, chain=RENEWED), "certificate"),
        (replace(HEALTHY, versions=(TLS12,)), "version"),
        (replace(HEALTHY, alpn=()), "ALPN"),
    ],
)
def test_another_answer_behind_is_a_warning_that_names_what_differs(behind: Server, differing: str) -> None:
    seen = facts(healthy(), healthy(OTHER, server=behind), origin=ORIGIN)
    finding = fires("balancer.origin-differs", seen, severity="warning", asks=OTHER)
    assert differing in finding.explanation and any(ADDRESS in line for line in finding.evidence)
    diagnosis = judge(seen)
    assert (diagnosis.status, diagnosis.cause) == ("warning", finding)


@pytest.mark.parametrize(
    ("behind", "code"),
    [
        (replace(HEALTHY, chain=EXPIRED), "validity.expired"),
        (replace(HEALTHY, chain=chain()[:1]), "chain.incomplete"),
        (replace(RSA, versions=(TLS11,)), "negotiation.legacy-only"),
    ],
)
def test_it_takes_the_severity_of_the_fault_behind(behind: Server, code: str) -> None:
    seen = facts(healthy(), healthy(OTHER, server=behind), origin=ORIGIN)
    finding = fires("balancer.origin-differs", seen, severity="critical", asks=OTHER)
    assert finding.addresses == (ADDRESS,)
    assert code in finding.explanation
    assert judge(seen).cause == finding


@pytest.mark.parametrize("ending", [REFUSED, dropped("rst"), alerted(40)])
def test_an_origin_that_fails_is_critical(ending: Outcome) -> None:
    seen = facts(healthy(), healthy(OTHER, every=ending), origin=ORIGIN)
    fires("balancer.origin-differs", seen, severity="critical", asks=OTHER)
    assert silent("balancer.address-down", seen)


def test_an_origin_that_answers_alike_is_silent() -> None:
    seen = facts(healthy(), healthy(OTHER), origin=ORIGIN)
    assert silent("balancer.origin-differs", seen) and judge(seen).status == "ok"


def test_the_origin_is_never_counted_among_the_addresses() -> None:
    seen = facts(healthy(), healthy(OTHER, server=replace(HEALTHY, chain=EXPIRED)), origin=ORIGIN)
    assert seen.addresses == (ADDRESS,)
    assert silent("validity.expired", seen) and silent("balancer.certificate-differs", seen)


def test_without_an_origin_it_does_not_apply() -> None:
    assert silent("balancer.origin-differs", facts(healthy(), healthy(OTHER, server=replace(HEALTHY, chain=EXPIRED))))


def test_an_origin_that_this_prober_cannot_reach_is_not_judged() -> None:
    assert silent("balancer.origin-differs", facts(healthy(), healthy(OTHER, every=LOCAL), origin=ORIGIN))


def test_the_same_fault_on_both_sides_is_that_fault() -> None:
    bad = replace(HEALTHY, chain=EXPIRED)
    seen = facts(healthy(server=bad), healthy(OTHER, server=bad), origin=ORIGIN)
    assert silent("balancer.origin-differs", seen)
    cause = judge(seen).cause
    assert cause and cause.code == "validity.expired"


@pytest.mark.parametrize(
    ("behind", "said"),
    [
        (replace(HEALTHY, chain=RENEWED), "terminated apart"),
        (replace(HEALTHY, versions=(TLS12,)), "terminates TLS itself"),
    ],
)
def test_what_choices_tell_of_the_path_to_the_origin_is_evidence(behind: Server, said: str) -> None:
    seen = facts(healthy(), healthy(OTHER, server=behind), origin=ORIGIN)
    finding = fires("balancer.origin-differs", seen, severity="warning", asks=OTHER)
    assert any(said in line for line in finding.evidence)
