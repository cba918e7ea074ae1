"""The egress policy: what is refused by default, in every notation that reaches the same place."""

from __future__ import annotations

import pickle
from ipaddress import IPv4Address, IPv6Address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.egress import Egress

REFUSED = [
    "127.0.0.1",
    "127.255.0.9",
    "0.0.0.0",
    "0.1.2.3",
    "169.254.1.1",
    "169.254.169.254",
    "169.254.170.2",
    "100.100.100.200",
    "168.63.129.16",
    "192.0.0.192",
    "224.0.0.1",
    "239.1.1.1",
    "255.255.255.255",
    "::1",
    "::",
    "fe80::1",
    "fe80::1%eth0",
    "ff02::1",
    "fd00:ec2::254",
    "fd20:ce::254",
]


@pytest.mark.parametrize("address", REFUSED)
def test_a_place_that_trusts_the_bots_position_is_refused(address: str) -> None:
    assert Egress()(address, 443)


@pytest.mark.parametrize(
    "address", ["10.0.0.1", "172.16.3.4", "192.168.1.1", "100.64.0.1", "fd12::7", "192.0.2.7", "2001:db8::7"]
)
def test_private_and_public_networks_are_allowed(address: str) -> None:
    assert Egress()(address, 443) is None


@pytest.mark.parametrize(
    "address", ["127.1", "0x7f000001", "2130706433", "0177.0.0.1", "localhost", "", "127.0.0.1 ", "[::1]"]
)
def test_other_notations_are_no_addresses(address: str) -> None:
    assert "not an address" in (Egress()(address, 443) or "")


def carriers(inside: IPv4Address) -> list[IPv6Address]:
    number = int(inside)
    return [
        IPv6Address((0xFFFF << 32) | number),  # mapped
        IPv6Address((0xFFFF << 48) | number),  # translated
        IPv6Address(int(IPv6Address("64:ff9b::")) | number),  # NAT64
        IPv6Address(int(IPv6Address("64:ff9b:1::")) | number),
        IPv6Address((0x2002 << 112) | (number << 80) | 1),  # 6to4
        IPv6Address((0x20010000 << 96) | (0xC0000201 << 64) | (number ^ 0xFFFFFFFF)),  # Teredo
        IPv6Address(int(IPv6Address("2001:db8::")) | (0x00005EFE << 32) | number),  # ISATAP
    ]


@pytest.mark.parametrize("address", ["127.0.0.1", "169.254.169.254", "100.100.100.200", "224.0.0.1", "0.0.0.0"])
def test_an_ipv6_form_of_a_refused_address_is_refused(address: str) -> None:
    for form in carriers(IPv4Address(address)):
        assert Egress()(str(form), 443), form


@given(inside=st.ip_addresses(v=4))
def test_a_form_is_judged_as_what_it_carries(inside: IPv4Address) -> None:
    plain = Egress()(str(inside), 443)
    mapped = Egress()(f"::ffff:{inside}", 443)
    assert (plain is None) == (mapped is None)


def test_allow_wins_over_deny_and_defaults() -> None:
    egress = Egress(allow=(ip_network("127.0.0.0/8"),), deny=(ip_network("127.0.0.0/8"),))
    assert egress("127.0.0.1", 443) is None
    assert egress("::ffff:127.0.0.1", 443) is None
    assert egress("::1", 443)


def test_deny_is_named_in_the_reason() -> None:
    assert "EGRESS_DENY" in (Egress(deny=(ip_network("10.0.0.0/8"),))("10.1.2.3", 443) or "")
    assert "EGRESS_DENY" in (Egress(deny=(ip_network("10.0.0.0/8"),))("::ffff:10.1.2.3", 443) or "")


def test_an_exact_socket_is_allowed_and_no_other_port_of_it() -> None:
    egress = Egress(allow_exact=frozenset({("127.0.0.2", 8443)}))
    assert egress("127.0.0.2", 8443) is None
    assert egress("127.0.0.2", 22)
    assert egress("127.0.0.3", 8443)


def test_a_teredo_form_is_not_allowed_by_its_server_alone() -> None:
    teredo = IPv6Address((0x20010000 << 96) | (0xC0000201 << 64) | (int(IPv4Address("127.0.0.1")) ^ 0xFFFFFFFF))
    assert Egress(allow=(ip_network("192.0.2.0/24"),))(str(teredo), 443)


def test_the_policy_travels_to_the_prober() -> None:
    egress = Egress(allow=(ip_network("127.0.0.0/8"),), allow_exact=frozenset({("::1", 1)}))
    assert pickle.loads(pickle.dumps(egress)) == egress
