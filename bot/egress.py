"""Which addresses the bot may connect to: a value, asked before anything connects. Pure.

The bot probes what people in a channel name, so a name could lead it to services that trust its network position
(loopback admin pages, cloud metadata). Private networks stay allowed: looking inside is what it is for.
"""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import TypeAlias

Address: TypeAlias = IPv4Address | IPv6Address
Network: TypeAlias = IPv4Network | IPv6Network

# What a prober has no business with, and the word for it. Order: the most telling word first.
_REFUSED: tuple[tuple[str, str], ...] = (
    ("169.254.169.254/32", "a cloud metadata address"),
    ("169.254.170.2/32", "a cloud metadata address"),  # container credentials (ECS)
    ("169.254.170.23/32", "a cloud metadata address"),  # pod identity (EKS)
    ("fd00:ec2::254/128", "a cloud metadata address"),
    ("fd00:ec2::23/128", "a cloud metadata address"),
    ("fd20:ce::254/128", "a cloud metadata address"),  # Google Cloud over IPv6
    ("100.100.100.200/32", "a cloud metadata address"),  # Alibaba
    ("168.63.129.16/32", "a cloud metadata address"),  # Azure's wire server
    ("192.0.0.192/32", "a cloud metadata address"),  # Oracle
    ("127.0.0.0/8", "a loopback address"),
    ("::1/128", "a loopback address"),
    ("0.0.0.0/8", "an unspecified address"),  # 0.0.0.0 reaches this machine (RFC 1122 section 3.2.1.3)
    ("::/128", "an unspecified address"),
    ("169.254.0.0/16", "a link-local address"),
    ("fe80::/10", "a link-local address"),
    ("224.0.0.0/4", "a multicast address"),
    ("ff00::/8", "a multicast address"),
    ("255.255.255.255/32", "a broadcast address"),
    ("240.0.0.0/4", "a reserved address"),
)
_REFUSED_NETWORKS: tuple[tuple[Network, str], ...] = tuple((ip_network(text), word) for text, word in _REFUSED)

# IPv6 forms that carry an IPv4 address in a fixed place: prefix, and how far to shift right to reach it.
_CARRIERS: tuple[tuple[IPv6Network, int], ...] = (
    (IPv6Network("::ffff:0:0/96"), 0),  # IPv4-mapped (RFC 4291 section 2.5.5.2)
    (IPv6Network("::ffff:0:0:0/96"), 0),  # IPv4-translated (RFC 2765 section 2.1)
    (IPv6Network("::/96"), 0),  # IPv4-compatible (RFC 4291 section 2.5.5.1)
    (IPv6Network("64:ff9b::/96"), 0),  # NAT64 (RFC 6052 section 2.1)
    (IPv6Network("64:ff9b:1::/48"), 0),  # local-use NAT64 (RFC 8215), with the /96 layout
    (IPv6Network("2002::/16"), 80),  # 6to4 (RFC 3056 section 2)
)
_TEREDO = IPv6Network("2001::/32")  # RFC 4380 section 4: the client's address is stored inverted
_ISATAP = (0x00005EFE, 0x02005EFE)  # RFC 5214 section 6.1: the upper half of the interface identifier


@dataclass(frozen=True, slots=True, kw_only=True)
class Egress:
    """May the bot connect to an address? Call it: None is yes, a text is why not.

    Networks of `allow` win over everything; `allow_exact` are single (address, port) pairs, which win too;
    `deny` comes before the defaults.
    """

    allow: tuple[Network, ...] = ()
    deny: tuple[Network, ...] = ()
    allow_exact: frozenset[tuple[str, int]] = frozenset()

    def __call__(self, address: str, port: int) -> str | None:
        try:
            literal = ip_address(address)
        except ValueError:
            return f"{address[:60]!r} is not an address in standard notation"
        if (address, port) in self.allow_exact or _within(literal, self.allow):
            return None
        inside = carried(literal)
        if inside and all(_within(form, self.allow) for form in inside):
            return None
        for form in (literal, *inside):
            if _within(form, self.deny):
                return f"{_named(literal, form)} is in a network that EGRESS_DENY names"
        for form in (literal, *inside):
            for network, word in _REFUSED_NETWORKS:
                if form.version == network.version and form in network:
                    return f"{_named(literal, form)} is {word}; this bot does not connect there"
        return None


def carried(address: Address) -> tuple[IPv4Address, ...]:
    """The IPv4 addresses that an IPv6 address carries inside; none for others."""
    if not isinstance(address, IPv6Address):
        return ()
    number = int(address)
    inside = [IPv4Address((number >> shift) & 0xFFFFFFFF) for prefix, shift in _CARRIERS if address in prefix]
    if address in _TEREDO:
        inside += [IPv4Address(~number & 0xFFFFFFFF), IPv4Address((number >> 64) & 0xFFFFFFFF)]
    if (number >> 32) & 0xFFFFFFFF in _ISATAP:
        inside.append(IPv4Address(number & 0xFFFFFFFF))
    # :: and ::1 are themselves, not carriers of 0.0.0.0 and 0.0.0.1.
    return tuple(form for form in inside if number > 0xFFFF)


def _within(address: Address, networks: tuple[Network, ...]) -> bool:
    return any(address.version == network.version and address in network for network in networks)


def _named(literal: Address, form: Address) -> str:
    return str(literal) if form is literal else f"{literal} (it carries {form})"
