"""chain.wrong-usage: key usage, extended key usage or constraints forbid a TLS server."""

from __future__ import annotations

from dataclasses import replace

import pytest

from probes.diagnose import judge
from tests.evidence import HEALTHY, Chain, chain, ders, facts, fires, healthy, issuing, root, silent
from tests.pki import CLIENT_AUTH, SERVER_AUTH, intermediate, leaf

ELSEWHERE = intermediate(root(), "Constrained CA", permitted=("elsewhere.test",))
NO_CA = intermediate(root(), "No CA", is_ca=False)


@pytest.mark.parametrize(
    "served",
    [
        ders(leaf(issuing(), usages=(CLIENT_AUTH,)), issuing()),
        ders(leaf(ELSEWHERE), ELSEWHERE),
        ders(leaf(NO_CA), NO_CA),
    ],
    ids=["client profile", "name constraint", "issuer is no CA"],
)
def test_what_forbids_a_server_stops_everyone(served: Chain) -> None:
    seen = facts(healthy(server=replace(HEALTHY, chain=served)))
    finding = fires("chain.wrong-usage", seen, severity="critical")
    assert finding.stops_all and {"chrome", "curl", "rustls"} <= set(finding.fails_for)
    assert judge(seen).cause == finding


@pytest.mark.parametrize("usages", [(SERVER_AUTH,), (SERVER_AUTH, CLIENT_AUTH), ()])
def test_a_server_profile_is_silent(usages: tuple[object, ...]) -> None:
    served = ders(leaf(issuing(), usages=usages), issuing())  # type: ignore[arg-type]
    assert silent("chain.wrong-usage", facts(healthy(server=replace(HEALTHY, chain=served))))


def test_a_constraint_that_allows_the_name_is_silent() -> None:
    allowed = intermediate(root(), "Allowed CA", permitted=("healthy.test",))
    assert silent("chain.wrong-usage", facts(healthy(server=replace(HEALTHY, chain=ders(leaf(allowed), allowed)))))


def test_a_missing_intermediate_is_another_code() -> None:
    seen = facts(healthy(server=replace(HEALTHY, chain=chain()[:1])))
    assert silent("chain.wrong-usage", seen)
