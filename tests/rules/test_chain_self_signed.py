"""chain.self-signed: the leaf is its own issuer."""

from __future__ import annotations

from dataclasses import replace

from probes.diagnose import judge
from tests.evidence import HEALTHY, ders, facts, fires, healthy, root, silent, store
from tests.pki import authority, intermediate, leaf, self_signed

SERVED = ders(self_signed())


def test_a_leaf_that_signs_itself_stops_everyone() -> None:
    seen = facts(healthy(server=replace(HEALTHY, chain=SERVED)))
    finding = fires("chain.self-signed", seen, severity="critical")
    assert finding.stops_all and {"chrome", "curl", "embedded-tls1.0"} - set(finding.fails_for) == {"embedded-tls1.0"}
    assert "healthy.test" in finding.explanation
    assert judge(seen).cause == finding


def test_pinned_by_the_user_it_is_trusted() -> None:
    pinned = self_signed()
    seen = facts(healthy(server=replace(HEALTHY, chain=ders(pinned))), trust=store(root(), added=(pinned,)))
    assert silent("chain.self-signed", seen) and judge(seen).status == "ok"


def test_a_root_of_ones_own_sent_along_is_another_code() -> None:
    private = authority("Private Root")
    ca = intermediate(private, "Private CA")
    seen = facts(healthy(server=replace(HEALTHY, chain=ders(leaf(ca), ca, private))))
    assert silent("chain.self-signed", seen)
    fires("chain.untrusted", seen, severity="critical")


def test_a_leaf_named_like_its_issuer_but_signed_by_it_is_not_self_signed() -> None:
    namesake = leaf(authority(), subject="Test Root")
    assert silent("chain.self-signed", facts(healthy(server=replace(HEALTHY, chain=ders(namesake)))))


def test_a_healthy_chain_is_silent() -> None:
    assert silent("chain.self-signed", facts())
