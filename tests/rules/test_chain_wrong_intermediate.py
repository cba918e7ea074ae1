"""chain.wrong-intermediate: the intermediate sent did not issue the leaf."""

from __future__ import annotations

from dataclasses import replace

from probes.diagnose import judge
from tests.evidence import HEALTHY, chain, ders, facts, fires, healthy, issuing, root, silent
from tests.pki import intermediate, leaf

SIBLING = intermediate(root(), "Sibling CA")
REKEYED = intermediate(root(), owner="re-keyed")  # the same name as the issuer, another key


def test_another_ca_of_the_same_root_stops_those_that_do_not_fetch() -> None:
    seen = facts(healthy(server=replace(HEALTHY, chain=ders(leaf(issuing()), SIBLING))))
    finding = fires("chain.wrong-intermediate", seen, severity="critical")
    assert finding.stops_all and "Sibling CA" in finding.explanation
    assert any(line.startswith("wanted:") and "Test Issuing CA" in line for line in finding.evidence)
    assert {"curl", "go", "java"} <= set(finding.fails_for)
    assert judge(seen).cause == finding


def test_an_issuer_of_the_same_name_and_another_key_is_told_by_its_key_identifier() -> None:
    seen = facts(healthy(server=replace(HEALTHY, chain=ders(leaf(issuing()), REKEYED))))
    finding = fires("chain.wrong-intermediate", seen, severity="critical")
    assert sum("key identifier" in line for line in finding.evidence) >= 2


def test_nothing_sent_in_its_place_is_another_code() -> None:
    seen = facts(healthy(server=replace(HEALTHY, chain=chain()[:1])))
    assert silent("chain.wrong-intermediate", seen)
    fires("chain.incomplete", seen, severity="critical")


def test_the_root_sent_in_its_place_is_a_hole_and_not_a_wrong_member() -> None:
    seen = facts(healthy(server=replace(HEALTHY, chain=ders(leaf(issuing()), root()))))
    assert silent("chain.wrong-intermediate", seen)
    fires("chain.incomplete", seen, severity="critical")


def test_a_stray_beside_the_right_one_is_harmless() -> None:
    seen = facts(healthy(server=replace(HEALTHY, chain=ders(leaf(issuing()), issuing(), SIBLING))))
    assert silent("chain.wrong-intermediate", seen) and judge(seen).status == "ok"


def test_a_healthy_chain_is_silent() -> None:
    assert silent("chain.wrong-intermediate", facts())
