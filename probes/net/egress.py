"""Where this program may connect: the permission it is given, and what a fetch never touches whatever it says."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from ipaddress import IPv4Address, IPv6Address, ip_network
from typing import TypeAlias

from probes.model import ip_literal

Permit: TypeAlias = Callable[[str, int], str | None]
"""(address, port) -> None when allowed, else why not, in words."""

# The IPv4 address stands in the last 32 bits: NAT64 (RFC 6052 section 2.1), NAT64 of a site's own (RFC 8215, as it is
# mostly laid out), IPv4-translated (RFC 2765), IPv4-compatible (RFC 4291 section 2.5.5.1).
_EMBEDDING = tuple(map(ip_network, ("64:ff9b::/96", "64:ff9b:1::/48", "::ffff:0:0:0/96", "::/96")))
_NEVER = tuple(
    ip_network(text)
    for text in (
        "0.0.0.0/8",  # "this host" (RFC 1122): the kernel takes it for loopback
        "169.254.0.0/16",  # link-local, and the metadata service of most clouds
        "100.100.100.200/32",  # metadata: Alibaba Cloud
        "168.63.129.16/32",  # platform address: Azure
        "192.0.0.192/32",  # metadata: Oracle Cloud
        "224.0.0.0/4",
        "255.255.255.255/32",
        "::/128",
        "fe80::/10",
        "fd00:ec2::254/128",  # metadata: AWS
        "fd20:ce::254/128",  # metadata: Google Cloud
        "ff00::/8",
    )
)


def refusal(permit: Permit | None, address: str, port: int) -> str | None:
    """Why *permit* forbids this address in any of its spellings; None when it may be connected to."""
    if permit is None:
        return None
    return next((why for form in _forms(address) if (why := permit(form, port))), None)


def never_fetched(address: str) -> bool:
    """Link-local, metadata, multicast and unspecified addresses, also inside IPv6: the far end chose the URL."""
    return any(
        (literal := ip_literal(form)) is None or any(literal in network for network in _NEVER)
        for form in _forms(address)
    )


def _forms(address: str) -> Iterator[str]:
    """The address, then the IPv4 address it leads to: mapped, 6to4, NAT64 and their like."""
    yield address
    literal = ip_literal(address)
    if isinstance(literal, IPv6Address):
        inner = literal.ipv4_mapped or literal.sixtofour
        if inner is None and int(literal) > 1 and any(literal in network for network in _EMBEDDING):
            inner = IPv4Address(int(literal) & 0xFFFF_FFFF)
        if inner is not None:
            yield str(inner)
