"""negotiation.legacy-only: nothing newer than TLS 1.1 is offered."""

from __future__ import annotations

from dataclasses import replace

import pytest

from probes.clients import TLS10, TLS11, TLS12, TLS13
from probes.diagnose import judge
from tests.evidence import RSA, facts, fires, healthy, silent


@pytest.mark.parametrize(
    ("versions", "name"), [((TLS11, TLS10), "TLSv1.1"), ((TLS10,), "TLSv1"), ((TLS11,), "TLSv1.1")]
)
def test_a_server_of_the_last_century_stops_current_clients(versions: tuple[int, ...], name: str) -> None:
    seen = facts(healthy(server=replace(RSA, versions=versions)))
    finding = fires("negotiation.legacy-only", seen, severity="critical")
    assert finding.stops_all and f"newer than {name}:" in finding.explanation
    assert {"chrome", "go", "rustls"} <= set(finding.fails_for)
    assert any(name in line for line in finding.evidence)
    assert judge(seen).cause == finding


def test_old_clients_pass_there() -> None:
    finding = fires(
        "negotiation.legacy-only", facts(healthy(server=replace(RSA, versions=(TLS10,)))), severity="critical"
    )
    assert not {"openssl-1.0", "java-8", "android-7", "embedded-tls1.0"} & set(finding.fails_for)


@pytest.mark.parametrize("versions", [(TLS12,), (TLS13, TLS12), (TLS13, TLS12, TLS11, TLS10), (TLS12, TLS10)])
def test_a_current_version_beside_them_is_silent(versions: tuple[int, ...]) -> None:
    assert silent("negotiation.legacy-only", facts(healthy(server=replace(RSA, versions=versions))))


def test_tls12_with_odd_suites_alone_is_no_legacy() -> None:
    seen = facts(healthy(server=replace(RSA, versions=(TLS12,), ciphers=(0x0041,))))
    assert silent("negotiation.legacy-only", seen)
    fires("negotiation.cipher", seen, severity="critical")
