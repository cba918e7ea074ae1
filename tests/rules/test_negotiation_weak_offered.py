"""negotiation.weak-offered: old versions or weak suites beside good ones. Worth knowing, no more."""

from __future__ import annotations

from dataclasses import replace

import pytest

from probes.clients import TLS10, TLS11, TLS12
from probes.diagnose import judge
from probes.facts import Facts
from probes.observed import Enumerated
from tests.evidence import ADDRESS, OLD_AND_NEW, RSA, Server, facts, fires, healthy, silent


@pytest.mark.parametrize(
    ("server", "named"),
    [
        (OLD_AND_NEW, "TLSv1.1"),
        (replace(RSA, ciphers=(*RSA.ciphers, 0x000A)), "3DES"),
        (replace(RSA, ciphers=(*RSA.ciphers, 0x0005)), "RC4"),
        (replace(RSA, ciphers=(*RSA.ciphers, 0x003B)), "NULL"),
    ],
)
def test_what_a_careful_server_refuses_is_noticed(server: Server, named: str) -> None:
    seen = facts(healthy(server=server))
    finding = fires("negotiation.weak-offered", seen, severity="notice")
    assert finding.fails_for == () and any(named in line for line in finding.evidence)
    assert (judge(seen).status, judge(seen).cause) == ("ok", None)


def test_a_careful_server_is_silent() -> None:
    assert silent("negotiation.weak-offered", facts())


def test_cbc_and_rsa_key_exchange_are_not_weak_in_this_sense() -> None:
    assert silent("negotiation.weak-offered", facts(healthy(server=replace(RSA, versions=(TLS12,)))))


def test_a_server_that_has_nothing_better_is_another_code() -> None:
    seen = facts(healthy(server=replace(RSA, versions=(TLS11, TLS10))))
    assert silent("negotiation.weak-offered", seen)
    fires("negotiation.legacy-only", seen, severity="critical")


def enumerated(*versions: tuple[int, tuple[int, ...]]) -> Facts:
    found = Enumerated(
        address=ADDRESS, port=443, versions=tuple(version for version, _ in versions), suites=versions, groups=(0x001D,)
    )
    return Facts(replace(facts().evidence, enumerated=(found,)))


def test_what_was_enumerated_is_told_by_name() -> None:
    seen = enumerated((0x0303, (0xC02F, 0x000A)), (0x0301, (0x002F, 0x0035)))
    finding = fires("negotiation.weak-offered", seen, severity="notice")
    [line] = finding.evidence
    assert "TLSv1 (2 suites)" in line and "TLS_RSA_WITH_3DES_EDE_CBC_SHA" in line and "ECDHE" not in line


def test_an_enumeration_of_good_suites_is_silent() -> None:
    assert silent("negotiation.weak-offered", enumerated((0x0304, (0x1301,)), (0x0303, (0xC02F, 0xC013))))


def test_an_enumeration_of_old_versions_alone_is_another_rules_matter() -> None:
    assert silent("negotiation.weak-offered", enumerated((0x0301, (0x000A,))))
