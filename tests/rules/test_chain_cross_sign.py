"""chain.cross-sign: one of several paths runs over an expired or distrusted cross-sign."""

from __future__ import annotations

from dataclasses import replace

from probes.diagnose import judge
from tests.evidence import DAY, HEALTHY, ders, facts, fires, healthy, issuing, root, silent, store
from tests.pki import NOW, authority, cross_sign, leaf

OLD_ROOT = authority("Old Root", not_after=NOW + 100 * DAY)
EXPIRED_CROSS = cross_sign(root(), OLD_ROOT, not_after=NOW - DAY)
SERVED = ders(leaf(issuing()), issuing(), EXPIRED_CROSS)


def test_an_expired_cross_sign_beside_a_good_root_is_a_warning_for_old_clients() -> None:
    seen = facts(healthy(server=replace(HEALTHY, chain=SERVED)), trust=store(root(), OLD_ROOT))
    finding = fires("chain.cross-sign", seen, severity="warning")
    assert not finding.stops_all and "openssl-1.0" in finding.fails_for
    assert not {"chrome", "curl", "go", "rustls"} & set(finding.fails_for)
    assert any("Test Root" in line and "expired" in line for line in finding.evidence)
    diagnosis = judge(seen)
    assert (diagnosis.status, diagnosis.cause) == ("warning", finding)


def test_a_cross_sign_in_its_time_is_silent() -> None:
    good = cross_sign(root(), OLD_ROOT)
    served = ders(leaf(issuing()), issuing(), good)
    assert silent(
        "chain.cross-sign", facts(healthy(server=replace(HEALTHY, chain=served)), trust=store(root(), OLD_ROOT))
    )


def test_without_the_new_root_no_path_holds_and_it_is_another_code() -> None:
    seen = facts(healthy(server=replace(HEALTHY, chain=SERVED)), trust=store(OLD_ROOT))
    assert silent("chain.cross-sign", seen)
    fires("chain.expired-intermediate", seen, severity="critical")


def test_a_healthy_chain_is_silent() -> None:
    assert silent("chain.cross-sign", facts())


def test_the_root_sent_along_is_no_cross_sign() -> None:
    served = ders(leaf(issuing()), issuing(), root())
    assert silent("chain.cross-sign", facts(healthy(server=replace(HEALTHY, chain=served))))
