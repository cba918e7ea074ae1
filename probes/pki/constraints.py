"""Name constraints (RFC 5280 sections 4.2.1.10 and 6.1.3 b, c): the names of a certificate against an issuer's trees.

Trees are looked up, not walked, so that thousands of them against thousands of names cost no more than their sum;
clients that do walk them refuse such certificates, and so they are refused here (`TOO_MANY`).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from functools import lru_cache
from itertools import islice
from urllib.parse import urlsplit

from probes.pki import distinguished
from probes.pki.certificate import Certificate
from probes.pki.extensions import NAME_CONSTRAINTS, Address, NameConstraints, Network

# Go and webpki stop after this many comparisons of a name with a tree; OpenSSL and BoringSSL after four times as many.
TOO_MANY = 250_000
_TOLD = 8  # complaints for each pair of certificates; one is enough to fail
_HOST = re.compile(r"(?:[a-z0-9_-]{1,63}\.)*[a-z0-9_-]{1,63}\.?", re.IGNORECASE)


def complaints(issuer: Certificate, below: tuple[Certificate, ...]) -> Iterator[str]:
    """Why *issuer* may not have issued (or let be issued) the certificates *below* it, leaf first; phrases.

    Self-issued certificates are exempt, unless it is the leaf.
    """
    constraints = issuer.extensions.name_constraints
    if constraints is None:
        return
    bound = tuple(each for each in below if each is below[0] or not each.is_self_issued)
    if sum(_comparisons(constraints, each) for each in bound) > TOO_MANY:
        yield "it has more name constraints than clients compare with as many names"
        return
    must_be_met = NAME_CONSTRAINTS in issuer.extensions.critical
    for certificate in bound:
        yield from islice(_of_one(constraints, certificate, must_be_met=must_be_met), _TOLD)


def _of_one(constraints: NameConstraints, certificate: Certificate, *, must_be_met: bool) -> Iterator[str]:
    yield from _unread(constraints, certificate, must_be_met=must_be_met)
    for name in certificate.dns_names:
        yield from _dns(constraints, name)
    for address in certificate.ip_addresses:
        if not _address_allowed(constraints, address):
            yield f"it may not issue for {address}"
    for mailbox in _mailboxes(certificate):
        yield from _email(constraints, mailbox)
    for uri in certificate.extensions.uris:
        yield from _uri(constraints, uri)
    yield from _directory(constraints, certificate)


def _comparisons(constraints: NameConstraints, certificate: Certificate) -> int:
    names = certificate.extensions
    return (
        len(names.dns_names) * (len(constraints.permitted_dns) + len(constraints.excluded_dns))
        + len(names.ip_addresses) * (len(constraints.permitted_ip) + len(constraints.excluded_ip))
        + (1 + len(names.directory_names)) * _directories(constraints)
        + len(names.emails) * (len(constraints.permitted_email) + len(constraints.excluded_email))
        + len(names.uris) * (len(constraints.permitted_uri) + len(constraints.excluded_uri))
    )


def _directories(constraints: NameConstraints) -> int:
    return len(constraints.permitted_directory) + len(constraints.excluded_directory)


def _unread(constraints: NameConstraints, certificate: Certificate, *, must_be_met: bool) -> Iterator[str]:
    """RFC 5280 section 4.2.1.10: who cannot process a critical constraint on a form that appears must refuse."""
    if constraints.unread & {"any", "ip"}:
        yield "its name constraints are malformed, so that nobody can tell what it may issue for"
    if must_be_met and certificate.extensions.other_names and "other" in constraints.unread:
        yield "it limits names of a form that clients do not compare, and such a name is there"


# DNS ----------------------------------------------------------------------------------------------------------------


def _dns(constraints: NameConstraints, name: str) -> Iterator[str]:
    if not constraints.permitted_dns and not constraints.excluded_dns:
        return
    if not _HOST.fullmatch(name.removeprefix("*.")):
        yield f"it limits DNS names, and {name} is none"
    elif _dns_excluded(constraints.excluded_dns, name):
        yield f"it may not issue for {name}"
    elif constraints.permitted_dns and not _dns_within(name, _dns_trees(constraints.permitted_dns)):
        yield f"it may issue for {_told(constraints.permitted_dns)} alone, not for {name}"


def _dns_excluded(trees: tuple[str, ...], name: str) -> bool:
    """A wildcard is out, too, when one of the names that it covers is (Go's CVE-2025-61727)."""
    if _dns_within(name, _dns_trees(trees)):
        return True
    return name.startswith("*.") and _plain(name[2:]) in _parents(trees)


def _dns_within(name: str, trees: frozenset[str]) -> bool:
    """RFC 5280 section 4.2.1.10: labels may be added in front."""
    return any(suffix in trees for suffix in _suffixes(_plain(name)))


@lru_cache(maxsize=256)
def _dns_trees(trees: tuple[str, ...]) -> frozenset[str]:
    # A leading dot is a habit that clients forgive.
    return frozenset(_plain(tree).removeprefix(".") for tree in trees)


@lru_cache(maxsize=256)
def _parents(trees: tuple[str, ...]) -> frozenset[str]:
    return frozenset(tree.partition(".")[2] for tree in _dns_trees(trees))


def _suffixes(name: str) -> Iterator[str]:
    """The name, its parents, and the empty name above them all."""
    while name:
        yield name
        name = name.partition(".")[2]
    yield ""


def _plain(name: str) -> str:
    return name.lower().removesuffix(".")


# The other forms ----------------------------------------------------------------------------------------------------


def _address_allowed(constraints: NameConstraints, address: Address) -> bool:
    if _in_any(address, constraints.excluded_ip):
        return False
    # One dNSName or iPAddress tree limits names of its own form only; IPv4 and IPv6 are one form.
    return not constraints.permitted_ip or _in_any(address, constraints.permitted_ip)


def _in_any(address: Address, networks: tuple[Network, ...]) -> bool:
    return any(address in network for network in networks)


def _mailboxes(certificate: Certificate) -> tuple[str, ...]:
    """Those of the subjectAltName; the subject's where there is none (RFC 5280 section 4.2.1.10)."""
    return certificate.extensions.emails if certificate.extensions.has_san else certificate.subject_name.emails


def _email(constraints: NameConstraints, mailbox: str) -> Iterator[str]:
    if not constraints.permitted_email and not constraints.excluded_email:
        return
    local, _, host = mailbox.partition("@")
    if not local or not _HOST.fullmatch(host):
        yield f"it limits mailboxes, and {mailbox} is none"
    elif _mailbox_within(local, host, constraints.excluded_email):
        yield f"it may not issue for {mailbox}"
    elif constraints.permitted_email and not _mailbox_within(local, host, constraints.permitted_email):
        yield f"it may issue for {_told(constraints.permitted_email)} alone, not for {mailbox}"


def _mailbox_within(local: str, host: str, trees: tuple[str, ...]) -> bool:
    """A tree is one mailbox (its local part is compared letter by letter), a host, or with a dot what is below it."""
    for tree in trees:
        wanted, at, tree_host = tree.rpartition("@")
        if at and wanted == local and tree_host.lower() == host.lower():
            return True
        if not at and _host_within(host, tree):
            return True
    return False


def _uri(constraints: NameConstraints, uri: str) -> Iterator[str]:
    if not constraints.permitted_uri and not constraints.excluded_uri:
        return
    host = _uri_host(uri)
    if host is None:
        yield f"it limits URIs by their hosts, and {uri} has no host name"
    elif any(_host_within(host, tree) for tree in constraints.excluded_uri):
        yield f"it may not issue for {uri}"
    elif constraints.permitted_uri and not any(_host_within(host, tree) for tree in constraints.permitted_uri):
        yield f"it may issue for {_told(constraints.permitted_uri)} alone, not for {uri}"


def _uri_host(uri: str) -> str | None:
    try:
        host = urlsplit(uri).hostname
    except ValueError:
        return None
    is_name = host is not None and _HOST.fullmatch(host) and not host.rpartition(".")[2].isdigit()
    return host if is_name else None


def _host_within(host: str, tree: str) -> bool:
    """For mailboxes and URIs a tree is one host; a leading dot makes it all below that (never the host itself)."""
    host, tree = host.lower(), tree.lower()
    return not tree or (host.endswith(tree) and host != tree if tree.startswith(".") else host == tree)


def _directory(constraints: NameConstraints, certificate: Certificate) -> Iterator[str]:
    permitted, excluded = _keys(constraints.permitted_directory), _keys(constraints.excluded_directory)
    if not permitted and not excluded:
        return
    subject = certificate.subject_name
    listed = tuple(map(distinguished.read, certificate.extensions.directory_names))
    for name in listed if subject.is_empty else (subject, *listed):
        within = [name.key[:size] for size in range(len(name.key) + 1)]
        if any(each in excluded for each in within):
            yield f"it may not issue for subjects like {name.text}"
        elif permitted and not any(each in permitted for each in within):
            yield f"it may issue for other subjects than {name.text} alone"


@lru_cache(maxsize=256)
def _keys(trees: tuple[bytes, ...]) -> frozenset[distinguished.Key]:
    return frozenset(distinguished.read(tree).key for tree in trees)


def _told(trees: Iterable[str]) -> str:
    """The first trees, as many as one reads."""
    told = sorted(islice(trees, _TOLD + 1))
    return ", ".join(told[:_TOLD]) + (", …" if len(told) > _TOLD else "")
