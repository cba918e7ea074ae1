"""The table of cases against the catalogue."""

from __future__ import annotations

from ipaddress import ip_address

import pytest

from probes.catalogue import CATALOGUE
from probes.lab import Lab
from probes.lab.cases import SPECS

pytestmark = pytest.mark.asyncio(loop_scope="package")

_MODES = (0, 1, 2, 3, 4, 5, 6, 7, 8)
_WITH_AN_IDENTITY = {"mtls.unknown-ca", "mtls.certificate-rejected"}  # what the demanding cases say to a bad one


async def test_every_code_of_the_lab_s_modes_has_a_case() -> None:
    owed = {code for code, entry in CATALOGUE.items() if entry.mode in _MODES} - _WITH_AN_IDENTITY
    assert owed == {spec.expected or spec.notice for spec in SPECS} - {None}


async def test_the_verdict_owed_agrees_with_the_catalogue() -> None:
    for spec in SPECS:
        code = spec.expected or spec.notice
        assert (spec.expected is None) == (spec.status == "ok"), spec.name
        assert spec.mode == (CATALOGUE[code].mode if code else None), spec.name
        if spec.notice:
            assert CATALOGUE[spec.notice].severity == "notice" or spec.notice == "chain.misordered", spec.name


async def test_names_are_unique_and_every_case_can_be_asked_for(lab: Lab) -> None:
    names = [case.name for case in lab.cases]
    assert len(set(names)) == len(names) == len(SPECS)
    assert all(case.name.endswith(".lab") or ip_address(case.name).is_loopback for case in lab.cases)
    assert all(case.command.startswith(f"check {case.name}:{case.port}") for case in lab.cases)


async def test_only_loopback_is_allowed_and_all_of_the_lab_is(lab: Lab) -> None:
    assert all(ip_address(address).is_loopback for address, _ in lab.allowed)
    assert len(set(lab.allowed)) == len(lab.allowed)
    for case in lab.cases:
        assert {(address, case.port) for address in case.addresses} <= set(lab.allowed)
        if case.origin:
            address, _, port = case.origin.rpartition(":")
            assert (address, int(port)) in lab.allowed
            assert address not in case.addresses


async def test_overrides_hold_addresses_or_the_reason_for_none(lab: Lab) -> None:
    for case in lab.cases:
        override = lab.overrides[case.name, case.port]
        assert override == (case.resolution or case.addresses)
        assert override
    failures = {case.resolution for case in lab.cases if case.resolution}
    assert failures == {"nxdomain", "servfail", "timeout", "no-data"}


async def test_an_unknown_case_is_a_key_error(lab: Lab) -> None:
    with pytest.raises(KeyError):
        lab.case("nowhere.lab")
