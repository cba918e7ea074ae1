"""chain.misordered: right certificates, wrong order, or strays among them."""

from __future__ import annotations

from dataclasses import replace

from probes.diagnose import judge
from tests.evidence import HEALTHY, ders, facts, fires, healthy, issuing, root, silent
from tests.pki import intermediate, leaf

UPPER = intermediate(root(), "Upper CA", path_length=None)
LOWER = intermediate(UPPER, "Lower CA")


def test_intermediates_in_the_wrong_order_are_a_warning() -> None:
    seen = facts(healthy(server=replace(HEALTHY, chain=ders(leaf(LOWER), UPPER, LOWER))))
    finding = fires("chain.misordered", seen, severity="warning")
    assert not finding.stops_all and any("[1] Upper CA" in line for line in finding.evidence)
    assert not {"chrome", "curl", "go", "java", "rustls"} & set(finding.fails_for)
    diagnosis = judge(seen)
    assert (diagnosis.status, diagnosis.cause) == ("warning", finding)


def test_a_stray_is_a_notice() -> None:
    stray = intermediate(root(), "Stray CA")
    seen = facts(healthy(server=replace(HEALTHY, chain=ders(leaf(issuing()), issuing(), stray))))
    finding = fires("chain.misordered", seen, severity="notice")
    assert "Stray CA" in finding.explanation and finding.fails_for == ()
    assert (judge(seen).status, judge(seen).cause) == ("ok", None)


def test_a_certificate_sent_twice_is_a_notice() -> None:
    seen = facts(healthy(server=replace(HEALTHY, chain=ders(leaf(issuing()), issuing(), issuing()))))
    fires("chain.misordered", seen, severity="notice")


def test_the_leaf_behind_its_issuer_stops_everyone() -> None:
    seen = facts(healthy(server=replace(HEALTHY, chain=ders(issuing(), leaf(issuing())))))
    finding = fires("chain.misordered", seen, severity="critical")
    assert finding.stops_all and "place 2" in finding.explanation
    assert judge(seen).status == "broken"


def test_the_right_order_is_silent() -> None:
    assert silent("chain.misordered", facts(healthy(server=replace(HEALTHY, chain=ders(leaf(LOWER), LOWER, UPPER)))))


def test_the_root_at_the_end_is_no_disorder() -> None:
    assert silent(
        "chain.misordered", facts(healthy(server=replace(HEALTHY, chain=ders(leaf(issuing()), issuing(), root()))))
    )


def test_a_missing_intermediate_is_another_code() -> None:
    seen = facts(healthy(server=replace(HEALTHY, chain=ders(leaf(LOWER), UPPER))))
    assert silent("chain.misordered", seen)
