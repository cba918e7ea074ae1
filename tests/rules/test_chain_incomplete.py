"""chain.incomplete: an intermediate needed for a path to a trusted root is not sent."""

from __future__ import annotations

from dataclasses import replace

from probes.diagnose import judge
from probes.facts import Facts
from probes.model import Fetched
from tests.evidence import HEALTHY, OTHER, chain, ders, evidence, facts, fires, healthy, issuing, silent
from tests.pki import authority, intermediate, leaf

URL = "http://ca.test/issuing.der"


def without_intermediate(fetched: tuple[Fetched, ...] = ()) -> Facts:
    bare = ders(leaf(issuing(), issuer_url=URL))
    return Facts(replace(evidence(healthy(server=replace(HEALTHY, chain=bare))), fetched=fetched))


def test_a_leaf_alone_under_a_trusted_issuer_is_incomplete() -> None:
    seen = without_intermediate()
    finding = fires("chain.incomplete", seen, severity="critical")
    assert finding.stops_all and "Test Issuing CA" in finding.explanation
    assert "-showcerts" in finding.next_command
    assert {"curl", "go", "java", "rustls"} <= set(finding.fails_for)
    assert judge(seen).cause == finding


def test_what_aia_brings_is_told_and_lets_those_pass_that_fetch() -> None:
    seen = without_intermediate((Fetched(url=URL, certificates=(issuing().der,)),))
    finding = fires("chain.incomplete", seen, severity="critical")
    assert any("AIA can repair it" in line and "Test Issuing CA" in line for line in finding.evidence)
    assert "curl" in finding.fails_for and not {"chrome", "safari", "dotnet"} & set(finding.fails_for)


def test_an_aia_that_fails_is_told() -> None:
    seen = without_intermediate((Fetched(url=URL, problem="404 Not Found"),))
    finding = fires("chain.incomplete", seen, severity="critical")
    assert any("404 Not Found" in line for line in finding.evidence)


def test_a_missing_issuer_of_a_trusted_root_is_never_untrusted() -> None:
    assert silent("chain.untrusted", without_intermediate())


def test_an_issuer_that_leads_to_a_foreign_root_is_untrusted() -> None:
    foreign = authority("Foreign Root")
    ca = intermediate(foreign, "Foreign CA")
    seen = facts(healthy(server=replace(HEALTHY, chain=ders(leaf(ca), ca, foreign))))
    assert silent("chain.incomplete", seen)
    fires("chain.untrusted", seen, severity="critical")


def test_a_complete_chain_is_silent() -> None:
    assert silent("chain.incomplete", facts())


def test_a_leaf_straight_under_the_root_is_silent() -> None:
    from tests.evidence import root

    assert silent("chain.incomplete", facts(healthy(server=replace(HEALTHY, chain=ders(leaf(root()))))))


def test_an_intermediate_in_the_store_needs_not_be_sent_to_those_who_take_it_as_an_anchor() -> None:
    from tests.evidence import root, store

    trust = store(root(), added=(issuing(),))
    seen = facts(healthy(server=replace(HEALTHY, chain=ders(leaf(issuing())))), trust=trust)
    assert silent("chain.incomplete", seen)


def test_only_the_address_without_it_is_named() -> None:
    seen = facts(healthy(), healthy(OTHER, server=replace(HEALTHY, chain=chain()[:1])))
    fires("chain.incomplete", seen, severity="critical", at=(OTHER,))
