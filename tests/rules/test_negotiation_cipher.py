"""negotiation.cipher: no common cipher suite; for everyone, or for some current clients."""

from __future__ import annotations

from dataclasses import replace

import pytest

from probes.clients import FAMILY, TLS12
from probes.diagnose import judge
from probes.facts import Verdict
from tests.evidence import HEALTHY, RSA, alerted, dropped, facts, fires, healthy, silent, untouched


@pytest.mark.parametrize("code", [40, 71])
def test_alert_40_to_all_that_is_offered_is_no_common_suite(code: int) -> None:
    seen = facts(healthy(every=alerted(code)))
    finding = fires("negotiation.cipher", seen, severity="critical")
    assert finding.stops_all and any(f"alert {code} " in line for line in finding.evidence)
    assert judge(seen).cause == finding


def test_a_suite_that_no_current_client_offers_is_named() -> None:
    seen = facts(healthy(server=replace(RSA, versions=(TLS12,), ciphers=(0x0041,))))
    finding = fires("negotiation.cipher", seen, severity="critical")
    assert "CAMELLIA" in finding.explanation and {"chrome", "java"} <= set(finding.fails_for)
    assert not set(finding.fails_for) & {"openssl-1.0"}


def test_a_suite_that_some_current_clients_lack_fails_for_those() -> None:
    seen = facts(healthy(server=replace(RSA, versions=(TLS12,), ciphers=(0x003C,))))  # RSA with CBC and SHA-256
    finding = fires("negotiation.cipher", seen, severity="critical")
    assert not finding.stops_all
    assert "chrome" in finding.fails_for and "java" not in finding.fails_for
    assert judge(seen).cause == finding


def test_a_family_s_hello_that_was_shed_is_not_refused_for_its_suites() -> None:
    """An endpoint with a limit on connections sheds some hellos, whatever is in them; most are asked once."""
    server = replace(RSA, versions=(TLS12,), ciphers=(0xC02F, 0x003C))
    lost = healthy(server=server, small=(dropped("rst"), untouched), family_openssl_1_0=dropped("rst"))
    told = healthy(server=server, family_openssl_1_0=dropped("rst"))
    old = FAMILY["openssl-1.0"]
    assert [facts(seen).verdict(old, facts(seen).looks[0]) for seen in (lost, told)] == [
        None,
        Verdict(code="negotiation.cipher"),
    ]


def test_what_old_clients_alone_lack_is_no_finding() -> None:
    seen = facts(healthy(server=replace(HEALTHY, ciphers=(0x1301, 0xC02C))))
    assert silent("negotiation.cipher", seen)
    assert judge(seen).status == "ok"


def test_a_healthy_address_is_silent() -> None:
    assert silent("negotiation.cipher", facts())


def test_a_missing_group_is_another_code() -> None:
    seen = facts(healthy(server=replace(HEALTHY, groups=(0x001A,))))
    assert silent("negotiation.cipher", seen)
    fires("negotiation.group", seen, severity="critical")
