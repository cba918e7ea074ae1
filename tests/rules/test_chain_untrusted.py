"""chain.untrusted: a complete chain, to a root that the client's store does not hold."""

from __future__ import annotations

from dataclasses import replace

import pytest

from probes.diagnose import judge
from tests.evidence import HEALTHY, Chain, chain, ders, facts, fires, healthy, root, silent, store
from tests.pki import authority, intermediate, leaf, self_signed

PRIVATE = authority("Private Root")
PRIVATE_CA = intermediate(PRIVATE, "Private CA")
SERVED = ders(leaf(PRIVATE_CA), PRIVATE_CA)


@pytest.mark.parametrize("served", [(*SERVED, PRIVATE.der), ders(leaf(PRIVATE), PRIVATE)])
def test_a_private_root_stops_everyone_and_is_named(served: Chain) -> None:
    seen = facts(healthy(server=replace(HEALTHY, chain=served)))
    finding = fires("chain.untrusted", seen, severity="critical")
    assert finding.stops_all and "Private Root" in finding.explanation
    assert {"chrome", "curl", "android-7"} <= set(finding.fails_for)
    assert "--ca-file" in finding.fix
    assert judge(seen).cause == finding


def test_the_root_given_by_the_user_is_trusted_by_every_family() -> None:
    seen = facts(healthy(server=replace(HEALTHY, chain=SERVED)), trust=store(root(), added=(PRIVATE,)))
    assert silent("chain.untrusted", seen) and judge(seen).status == "ok"


def test_a_root_of_the_same_name_with_another_key_is_not_trusted() -> None:
    impostor = authority("Test Root", owner="impostor")
    ca = intermediate(impostor, "Impostor CA")
    seen = facts(healthy(server=replace(HEALTHY, chain=ders(leaf(ca), ca, impostor))))
    fires("chain.untrusted", seen, severity="critical")


def test_a_trusted_chain_is_silent() -> None:
    assert silent("chain.untrusted", facts())


def test_a_self_signed_leaf_is_another_code() -> None:
    seen = facts(healthy(server=replace(HEALTHY, chain=ders(self_signed()))))
    assert silent("chain.untrusted", seen)
    fires("chain.self-signed", seen, severity="critical")


def test_a_missing_intermediate_is_another_code() -> None:
    assert silent("chain.untrusted", facts(healthy(server=replace(HEALTHY, chain=chain()[:1]))))
