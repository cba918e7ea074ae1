"""negotiation.group: no common key-exchange group; for everyone, for some, or for post-quantum hellos."""

from __future__ import annotations

from dataclasses import replace

from probes.clients import TLS12
from probes.diagnose import judge
from tests.evidence import HEALTHY, alerted, dropped, facts, fires, healthy, silent


def test_a_group_that_no_current_client_offers_is_named() -> None:
    seen = facts(healthy(server=replace(HEALTHY, groups=(0x001A,))))
    finding = fires("negotiation.group", seen, severity="critical")
    assert finding.stops_all and "brainpool" in finding.explanation.lower()
    assert {"chrome", "curl"} <= set(finding.fails_for)
    assert judge(seen).cause == finding


def test_a_group_that_some_lack_fails_for_those() -> None:
    seen = facts(healthy(server=replace(HEALTHY, groups=(0x001E,))))  # X448
    finding = fires("negotiation.group", seen, severity="critical")
    assert not finding.stops_all
    assert "chrome" in finding.fails_for and "java" not in finding.fails_for and "curl" not in finding.fails_for


def test_a_server_that_breaks_on_post_quantum_shares_fails_for_those_that_send_them() -> None:
    seen = facts(healthy(modern=alerted(47), quantum=alerted(47)))
    finding = fires("negotiation.group", seen, severity="critical")
    assert "chrome" in finding.fails_for and "java" not in finding.fails_for


def test_a_server_without_post_quantum_groups_is_healthy() -> None:
    seen = facts(healthy(server=replace(HEALTHY, groups=(0x001D, 0x0017))))
    assert silent("negotiation.group", seen)
    assert judge(seen).status == "ok"


def test_a_server_with_p256_alone_is_healthy() -> None:
    seen = facts(healthy(server=replace(HEALTHY, groups=(0x0017,))))
    assert silent("negotiation.group", seen)
    assert judge(seen).status == "ok"


def test_a_healthy_tls12_server_is_silent() -> None:
    assert silent("negotiation.group", facts(healthy(server=replace(HEALTHY, versions=(TLS12,)))))


def test_a_hello_lost_for_its_size_is_another_code() -> None:
    gone = dropped("rst")
    seen = facts(healthy(modern=gone, quantum=gone, padded=gone))
    assert silent("negotiation.group", seen)
    fires("reach.large-hello", seen, severity="critical")


def test_a_server_that_keeps_to_fips_is_told_to_whom_it_leaves_out() -> None:
    strict = replace(HEALTHY, groups=(0x0100,), ciphers=(0x1301, 0x1302))  # ffdhe2048 and AES alone
    finding = fires("negotiation.group", facts(healthy(server=strict)), severity="critical")
    assert any("FIPS mode does" in line for line in finding.evidence)


def test_a_server_outside_fips_is_told_so() -> None:
    finding = fires("negotiation.group", facts(healthy(server=replace(HEALTHY, groups=(0x001E,)))), severity="critical")
    assert any("nothing that a client in FIPS mode may offer" in line for line in finding.evidence)
