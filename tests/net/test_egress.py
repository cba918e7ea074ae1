"""Addresses that are never fetched from, and permission asked for every spelling of an address."""

from __future__ import annotations

import pytest

from probes.net.egress import never_fetched, refusal


@pytest.mark.parametrize(
    "address",
    [
        "169.254.169.254",
        "169.254.0.1",
        "100.100.100.200",
        "168.63.129.16",
        "192.0.0.192",
        "0.0.0.0",
        "224.0.0.1",
        "255.255.255.255",
        "::",
        "fe80::1",
        "fe80::1%eth0",
        "ff02::1",
        "fd00:ec2::254",
        "fd20:ce::254",
        "::ffff:169.254.169.254",
        "::ffff:a9fe:a9fe",
        "64:ff9b::a9fe:a9fe",
        "64:ff9b:1::a9fe:a9fe",
        "::ffff:0:a9fe:a9fe",
        "::a9fe:a9fe",
        "2002:a9fe:a9fe::1",
        "no address",
    ],
)
def test_metadata_and_link_local_are_never_fetched(address: str) -> None:
    assert never_fetched(address)


@pytest.mark.parametrize(
    "address", ["127.0.0.1", "::1", "10.0.0.1", "192.0.2.1", "2001:db8::1", "fd00::1", "100.100.100.201"]
)
def test_other_addresses_are_a_matter_of_permission(address: str) -> None:
    assert not never_fetched(address)


@pytest.mark.parametrize("address", ["127.0.0.1", "::ffff:127.0.0.1", "64:ff9b::127.0.0.1", "2002:7f00:1::"])
def test_an_address_inside_an_address_is_asked_for(address: str) -> None:
    def permit(address: str, port: int) -> str | None:
        return f"{port} on loopback" if address == "127.0.0.1" else None

    assert refusal(permit, address, 443) == "443 on loopback"
    assert refusal(None, address, 443) is None
    assert refusal(permit, "192.0.2.1", 443) is None
