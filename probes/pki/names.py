"""Host names against certificates: RFC 9525 (which replaced RFC 6125), subjectAltName only.

The common name covers nothing any more (RFC 9525 section 1.4); that it *would have* is still worth telling, and
OpenSSL's, Node's and Java's own matching still fall back to it.
"""

from __future__ import annotations

import re
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Literal

from probes.pki.certificate import Certificate
from probes.pki.extensions import Address
from probes.values import value

Reason = Literal[
    "covered",
    "not-a-host",  # what was asked for is no host name
    "cn-only",  # no subjectAltName, but a common name that old clients would have taken
    "no-names",  # no subjectAltName at all
    "wildcard-depth",  # *.example.com and a.b.example.com
    "wildcard-apex",  # *.example.com and example.com
    "wildcard-form",  # *.com, f*.example.com, a.*.example.com: clients refuse it
    "ip-as-dns",  # an address written as dNSName: clients refuse it
    "ip-not-listed",
    "other-names",
]
_LABEL = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?<!-)")


@value
class Host:
    """A reference identity. *text*: A-labels in lower case without a trailing dot, or the canonical address."""

    text: str
    address: Address | None = None


@value
class NotAHost:
    """Text that names no host, and why not."""

    typed: str
    why: str


@value
class NameVerdict:
    """Whether a certificate covers a host. *by*: the name that does; *nearest*: the most similar one when none does."""

    host: str
    covered: bool
    reason: Reason
    by: str | None
    nearest: str | None
    names: tuple[str, ...]
    why: str


@lru_cache(maxsize=256)  # asked by every rule that speaks of names
def covers(certificate: Certificate, host: str) -> bool:
    """Whether a client that asks for *host* accepts this certificate's names."""
    return explain(certificate, host).covered


@lru_cache(maxsize=2048)
def normalise_host(text: str) -> Host | NotAHost:
    """What people type, as what certificates hold: case, one trailing dot, brackets, U-labels (UTS 46)."""
    typed = text
    text = text.strip()
    address = _address(text)
    if address:
        return Host(text=str(address), address=address)
    text = text.removesuffix(".") if text.isascii() else re.sub("[.。．｡]$", "", text)
    if not text.isascii():
        import idna  # its tables are read only when somebody types a U-label

        try:
            text = idna.encode(text, uts46=True, transitional=False).decode("ascii")
        except (idna.IDNAError, UnicodeError) as wrong:
            return NotAHost(typed=typed, why=f"it is no valid internationalised name: {wrong}")
    text = text.lower()
    why = _fault_of(text)
    return NotAHost(typed=typed, why=why) if why else Host(text=text)


def explain(certificate: Certificate, host: str) -> NameVerdict:
    """Why *host* is covered or not."""
    names = (*certificate.dns_names, *(str(address) for address in certificate.ip_addresses))
    reference = normalise_host(host)
    if isinstance(reference, NotAHost):
        return NameVerdict(
            host=host, covered=False, reason="not-a-host", by=None, nearest=None, names=names, why=reference.why
        )
    by = _by_address(certificate, reference) if reference.address else _by_name(certificate, reference.text)
    if by:
        return NameVerdict(
            host=reference.text,
            covered=True,
            reason="covered",
            by=by,
            nearest=None,
            names=names,
            why=f"{by} covers it",
        )
    nearest = _nearest(reference.text, names)
    reason, why = _why_not(certificate, reference, nearest)
    return NameVerdict(
        host=reference.text, covered=False, reason=reason, by=None, nearest=nearest, names=names, why=why
    )


def matches(presented: str, reference: str) -> bool:
    """RFC 9525 section 6.3: a dNSName against a normalised host name. A wildcard is the whole left-most label, spans
    one label, and has at least two labels behind it (a rule of current clients, RFC 9525 section 7.1)."""
    presented = presented.lower()
    if not presented.startswith("*."):
        return "*" not in presented and presented == reference
    rest = presented[2:]
    first, _, behind = reference.partition(".")
    return bool(first) and "*" not in rest and "." in rest and rest == behind


def _by_address(certificate: Certificate, reference: Host) -> str | None:
    return reference.text if reference.address in certificate.ip_addresses else None


def _by_name(certificate: Certificate, reference: str) -> str | None:
    return next((name for name in certificate.dns_names if matches(name, reference)), None)


def _why_not(certificate: Certificate, reference: Host, nearest: str | None) -> tuple[Reason, str]:
    host = reference.text
    common_name = certificate.common_name
    if not certificate.dns_names and not certificate.ip_addresses:
        if common_name and _common_name_matches(common_name, reference):
            return "cn-only", "the name stands in the common name alone, which browsers, Go and rustls do not read"
        return "no-names", "the certificate has no subjectAltName with a host name or address"
    if reference.address:
        if host in certificate.dns_names:
            return "ip-as-dns", "the address is listed as a dNSName; clients want it as an iPAddress"
        in_common_name = common_name is not None and _common_name_matches(common_name, reference)
        unread = "; it stands in the common name, which current clients do not read" if in_common_name else ""
        return "ip-not-listed", f"the address is not among the certificate's iPAddress names{unread}"
    malformed = next((name for name in certificate.dns_names if _would_glob(name.lower(), host)), None)
    for name in certificate.dns_names:
        base = name.lower().removeprefix("*.")
        if name.startswith("*.") and base == host:
            return "wildcard-apex", f"{name} covers names below {base}, not {base} itself"
        if name.startswith("*.") and "." in base and host.endswith("." + base):
            return "wildcard-depth", f"{name} covers one label, and {host} has more in front of {base}"
    if malformed:
        return "wildcard-form", f"clients refuse a wildcard of the form {malformed}"
    return "other-names", f"the nearest name in the certificate is {nearest}"


def _common_name_matches(common_name: str, reference: Host) -> bool:
    return common_name == reference.text if reference.address else matches(common_name, reference.text)


def _would_glob(name: str, host: str) -> bool:
    """Whether a misshapen wildcard was plainly meant for this host: each * stands for part of one label."""
    labels, parts = name.split("."), host.split(".")
    if "*" not in name or len(labels) != len(parts):
        return False
    return all(_glob(label, part) for label, part in zip(labels, parts, strict=True))


def _glob(label: str, part: str) -> bool:
    if "*" not in label:
        return label == part
    before, _, after = label.partition("*")
    return len(part) >= len(before) + len(after) and part.startswith(before) and part.endswith(after)


def _nearest(host: str, names: tuple[str, ...]) -> str | None:
    return max(names, key=lambda name: _likeness(host, name.lower()), default=None)


def _likeness(host: str, name: str) -> tuple[int, int, int]:
    """Labels shared from the right, then letters shared from the left, then the shorter name."""
    shared = 0
    for ours, theirs in zip(reversed(host.split(".")), reversed(name.split(".")), strict=False):
        if ours != theirs:
            break
        shared += 1
    letters = 0
    for ours, theirs in zip(host, name, strict=False):
        if ours != theirs:
            break
        letters += 1
    return shared, letters, -len(name)


def _address(text: str) -> IPv4Address | IPv6Address | None:
    text = text.removeprefix("[").removesuffix("]") if text.startswith("[") else text
    try:
        # A zone (fe80::1%eth0) is this machine's business; certificates know none.
        return ip_address(text.partition("%")[0])
    except ValueError:
        return None


def _fault_of(text: str) -> str | None:
    """What keeps lower-case ASCII text from being a host name, or None."""
    if not text:
        return "it is empty"
    if len(text) > 253:
        return "it is longer than 253 characters"
    labels = text.split(".")
    bad = next((label for label in labels if not _LABEL.fullmatch(label)), None)
    if bad is not None:
        return f"the label {bad[:64]!r} is not 1 to 63 letters, digits and inner hyphens"
    if labels[-1].isdigit():
        return "its last label is a number, and it is no IP address"
    return None
