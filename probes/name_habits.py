"""What some clients still take as a server's name beyond RFC 9525, or instead of it. Pure.

Each habit is the default of current software, measured against it (tests/software), or of an old one.
"""

from __future__ import annotations

from typing import Literal

from probes.pki.certificate import Certificate
from probes.pki.names import NotAHost, matches, normalise_host

Habit = Literal[
    "common-name",  # read where there is no subjectAltName
    "common-name-beside-addresses",  # read where the subjectAltName holds addresses alone
    "address-in-common-name",  # an IP literal as text in the common name
    "partial-wildcards",  # api*.example.com
    "top-level-wildcards",  # *.internal
    "bare-wildcard",  # * for any name of one label
]
Habits = frozenset[Habit]

NO_HABITS: Habits = frozenset()


def accepts(leaf: Certificate, host: str, habits: Habits) -> bool:
    """Does a client of these habits take *leaf* for *host*, whose names, read strictly, do not cover it?"""
    reference = normalise_host(host)
    if isinstance(reference, NotAHost) or not habits:
        return False
    if reference.address is not None:
        bare = not leaf.dns_names and not leaf.ip_addresses
        return "address-in-common-name" in habits and bare and leaf.common_name == reference.text
    return any(_fits(name.lower(), reference.text, habits) for name in _presented(leaf, habits))


def _presented(leaf: Certificate, habits: Habits) -> tuple[str, ...]:
    if leaf.dns_names or leaf.common_name is None:
        return leaf.dns_names
    habit: Habit = "common-name-beside-addresses" if leaf.ip_addresses else "common-name"
    return (leaf.common_name,) if habit in habits else ()


def _fits(presented: str, host: str, habits: Habits) -> bool:
    if matches(presented, host):
        return True
    if presented == "*":
        return "bare-wildcard" in habits and "." not in host
    label, _, rest = presented.partition(".")
    first, _, behind = host.partition(".")
    if rest != behind or not rest or "*" in rest or label.count("*") != 1:
        return False
    if label == "*":
        return "top-level-wildcards" in habits
    before, after = label.split("*")
    # Part of an A-label is no part of the name that it encodes (RFC 6125 section 7.2).
    whole = len(first) >= len(before) + len(after) and not first.startswith("xn--")
    return "partial-wildcards" in habits and whole and first.startswith(before) and first.endswith(after)
