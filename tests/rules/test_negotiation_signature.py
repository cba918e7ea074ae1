"""negotiation.signature: no common signature algorithm."""

from __future__ import annotations

from dataclasses import replace

import pytest

from probes.clients import TLS12, TLS13
from probes.diagnose import judge
from tests.evidence import HEALTHY, RSA, Server, facts, fires, healthy, silent


def test_sha224_alone_is_a_scheme_that_nobody_current_offers() -> None:
    seen = facts(healthy(server=replace(RSA, versions=(TLS12,), ciphers=(0xC02F,), schemes=(0x0301,))))
    finding = fires("negotiation.signature", seen, severity="critical")
    assert finding.stops_all and "chrome" in finding.fails_for
    assert "sha224" in finding.explanation
    assert judge(seen).cause == finding


def test_p521_fails_for_browsers_without_it() -> None:
    seen = facts(healthy(server=replace(HEALTHY, key_kind="p521")))
    finding = fires("negotiation.signature", seen, severity="critical")
    assert not finding.stops_all
    assert "chrome" in finding.fails_for and "firefox" not in finding.fails_for
    assert judge(seen).cause == finding


def test_in_tls12_p521_fails_for_browsers_as_well() -> None:
    finding = fires(
        "negotiation.signature",
        facts(healthy(server=replace(HEALTHY, key_kind="p521", versions=(TLS12,)))),
        severity="critical",
    )
    assert "chrome" in finding.fails_for and "go" not in finding.fails_for


@pytest.mark.parametrize(
    "server",
    [HEALTHY, RSA, replace(HEALTHY, key_kind="p384"), replace(RSA, versions=(TLS12,)), replace(RSA, versions=(TLS13,))],
)
def test_usual_keys_are_silent(server: Server) -> None:
    seen = facts(healthy(server=server))
    assert silent("negotiation.signature", seen)
    assert not [f for f in judge(seen).findings if f.severity == "critical"]


def test_a_missing_suite_is_another_code() -> None:
    seen = facts(healthy(server=replace(RSA, versions=(TLS12,), ciphers=(0x0041,))))
    assert silent("negotiation.signature", seen)
