"""reach.dns: the name does not resolve, and how it does not is told apart."""

from __future__ import annotations

from dataclasses import replace
from typing import get_args

import pytest

from probes.diagnose import judge
from probes.facts import Facts
from probes.model import Resolution, ResolutionFailure
from tests.evidence import evidence, facts, fires, healthy, silent


def unresolved(failure: ResolutionFailure) -> Facts:
    detail = (f"A: {failure} from 192.0.2.53",)
    resolution = Resolution(addresses=(), source="DNS 192.0.2.53", failure=failure, detail=detail)
    return Facts(evidence(resolution=resolution))


@pytest.mark.parametrize("failure", get_args(ResolutionFailure))
def test_every_way_a_name_fails_to_resolve_is_the_cause(failure: ResolutionFailure) -> None:
    seen = unresolved(failure)
    finding = fires("reach.dns", seen, severity="critical", at=())
    assert finding.stops_all and finding.fails_for == seen.everyone
    assert any(failure in line for line in finding.evidence)
    assert "A: " + failure + " from 192.0.2.53" in finding.evidence
    diagnosis = judge(seen)
    assert (diagnosis.status, diagnosis.cause and diagnosis.cause.code) == ("broken", "reach.dns")


def test_each_failure_is_said_and_mended_in_its_own_words() -> None:
    findings = [fires("reach.dns", unresolved(f), severity="critical", at=()) for f in get_args(ResolutionFailure)]
    assert len({finding.explanation for finding in findings}) == len(findings)
    assert len({finding.fix for finding in findings}) == len(findings)


def test_a_name_that_resolves_is_silent() -> None:
    assert silent("reach.dns", facts())


def test_an_address_that_refuses_is_no_fault_of_dns() -> None:
    from tests.evidence import REFUSED

    assert silent("reach.dns", facts(healthy(every=REFUSED)))


def test_an_alias_of_nothing_is_told_from_a_name_that_does_not_exist() -> None:
    detail = ("A: NXDOMAIN (alias of gone.test) from 192.0.2.53:53",)
    nowhere = Resolution(addresses=(), source="DNS 192.0.2.53", failure="nxdomain", detail=detail)
    nowhere = replace(nowhere, aliases=("www.gone.test", "gone.test"))
    finding = fires("reach.dns", facts(resolution=nowhere), severity="critical", at=())
    assert "alias (CNAME) of gone.test, which does not exist" in finding.explanation
    assert "gone.test" in finding.fix


def test_bogus_dnssec_is_named_with_what_mends_it() -> None:
    detail = ("A: SERVFAIL from 192.0.2.53", "with DNSSEC checking disabled it answers: A: 192.0.2.7 from 192.0.2.53")
    bogus = Resolution(addresses=(), source="DNS 192.0.2.53", failure="servfail", detail=detail, dnssec="bogus")
    finding = fires("reach.dns", facts(resolution=bogus), severity="critical", at=())
    assert "DNSSEC does not validate" in finding.explanation and "DS record" in finding.fix
    assert "+cd" in finding.next_command and detail[1] in finding.evidence
