"""What a path's certificates must satisfy beside their signatures: dates, rights, strength, names.

RFC 5280 section 6, and where clients are stricter than it, what they do.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from probes.pki import distinguished
from probes.pki.certificate import Certificate
from probes.pki.extensions import ANY_USAGE, SERVER_AUTH, Address, NameConstraints
from probes.pki.views import View

FaultKind = Literal[
    "expired",
    "not_yet_valid",
    "not_ca",
    "path_length",
    "issuer_missing",
    "bad_signature",
    "self_signed_untrusted",
    "weak_signature",
    "weak_key",
    "wrong_usage",
    "name_constraint",
    "unknown_critical_extension",
    "unreadable",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """Why a path fails: the certificate concerned, its depth (the leaf's is 0), and a phrase with the particulars."""

    kind: FaultKind
    certificate: Certificate
    depth: int
    detail: str


def faults(chain: tuple[Certificate, ...], *, anchored: bool, at: datetime, view: View) -> tuple[Fault, ...]:
    """Everything wrong with a chain whose signatures hold, leaf first; with *anchored* its last member is an anchor."""
    found: list[Fault] = []
    for depth, certificate in enumerate(chain):
        is_anchor = anchored and depth == len(chain) - 1
        complaints = [*_sound(certificate, is_anchor, view), *_in_time(certificate, is_anchor, at, view)]
        if depth == 0:
            complaints += _as_leaf(certificate, is_anchor, view)
        else:
            complaints += _as_issuer(certificate, is_anchor, chain[:depth], view)
        found += (Fault(kind=kind, certificate=certificate, depth=depth, detail=detail) for kind, detail in complaints)
    return tuple(found)


Complaint = tuple[FaultKind, str]


def _sound(certificate: Certificate, is_anchor: bool, view: View) -> Iterator[Complaint]:
    # RFC 5280 section 6.1.1 d: an anchor is a name and a key; nobody checks its signature or its syntax.
    if not is_anchor:
        if certificate.broken:
            yield "unreadable", "; ".join(certificate.defects)
        for oid in certificate.unknown_critical:
            yield "unknown_critical_extension", f"extension {oid} is critical and not understood by TLS clients"
        if certificate.signature_hash in view.forbidden_hashes:
            yield "weak_signature", f"signed with {certificate.signature_hash.upper()}"
    match certificate.key_kind, certificate.key_bits:
        case "rsa", int(bits) if bits < view.min_rsa_bits:
            yield "weak_key", f"an RSA key of {bits} bits"
        case "ec", int(bits) if bits < 224:
            yield "weak_key", f"an EC key of {bits} bits"
        case "dsa", bits:
            yield "weak_key", f"a DSA key of {bits} bits"
        case "unknown", _:
            yield "weak_key", "a key of a kind or curve that cannot be used"


def _in_time(certificate: Certificate, is_anchor: bool, at: datetime, view: View) -> Iterator[Complaint]:
    if is_anchor and view.ignores_anchor_expiry:
        return
    if at < certificate.not_before:
        yield "not_yet_valid", f"valid from {certificate.not_before:%Y-%m-%d %H:%M:%S} UTC"
    if at > certificate.not_after:
        yield "expired", f"expired {certificate.not_after:%Y-%m-%d %H:%M:%S} UTC"


def _as_leaf(leaf: Certificate, is_anchor: bool, view: View) -> Iterator[Complaint]:
    usage = leaf.key_usage if view.minds_leaf_usage else None
    if usage is not None and not usage & {"digitalSignature", "keyEncipherment", "keyAgreement"}:
        yield "wrong_usage", f"its keyUsage allows {_listed(usage)} alone, nothing that TLS uses"
    elif usage is not None and view.wants_signing_usage and "digitalSignature" not in usage:
        yield "wrong_usage", f"its keyUsage allows {_listed(usage)} and forbids digitalSignature, which ECDHE uses"
    yield from _extended(leaf)
    # RFC 5280 allows it; Firefox, rustls and cryptography refuse a CA as a server. What the user pinned passes.
    if leaf.is_ca and not is_anchor and view.refuses_ca_leaf:
        yield "wrong_usage", "it is a CA certificate, and serves as a server's"


def _as_issuer(issuer: Certificate, is_anchor: bool, below: tuple[Certificate, ...], view: View) -> Iterator[Complaint]:
    if not issuer.is_ca:
        # RFC 5280 section 6.1.4 k. Old roots of version 1 have no extensions, and clients take them as anchors.
        if issuer.extensions.basic_constraints:
            yield "not_ca", "its basicConstraints say that it is no CA"
        elif not is_anchor:
            yield "not_ca", f"it has no basicConstraints (version {issuer.version}), so it may not issue"
    usage = issuer.key_usage
    if usage is not None and "keyCertSign" not in usage:
        yield "wrong_usage", f"its keyUsage allows {_listed(usage)} and forbids keyCertSign"
    if view.nests_usage:
        yield from _extended(issuer)
    # RFC 5280 section 6.1.4 l, m: self-issued certificates and the leaf do not count.
    between = sum(1 for certificate in below[1:] if not certificate.is_self_issued)
    if issuer.path_len is not None and between > issuer.path_len:
        yield "path_length", f"authorities allowed below it: {issuer.path_len}, found: {between}"
    if issuer.extensions.name_constraints:
        for certificate in below:
            yield from _constrained(issuer.extensions.name_constraints, certificate, is_leaf=certificate is below[0])


def _extended(certificate: Certificate) -> Iterator[Complaint]:
    if certificate.eku is not None and not {SERVER_AUTH, ANY_USAGE} & set(certificate.eku):
        yield "wrong_usage", f"its extendedKeyUsage is {_listed(certificate.eku_names or ())}, without serverAuth"


def _listed(names: frozenset[str] | tuple[str, ...]) -> str:
    return ", ".join(sorted(names)) or "nothing"


def _constrained(constraints: NameConstraints, certificate: Certificate, *, is_leaf: bool) -> Iterator[Complaint]:
    """RFC 5280 section 6.1.3 b and c; self-issued intermediates are exempt."""
    if certificate.is_self_issued and not is_leaf:
        return
    for name in certificate.dns_names:
        if any(_dns_within(name, tree) for tree in constraints.excluded_dns):
            yield "name_constraint", f"it may not issue for {name}"
        elif constraints.permitted_dns and not any(_dns_within(name, tree) for tree in constraints.permitted_dns):
            yield "name_constraint", f"it may issue for {_listed(constraints.permitted_dns)} alone, not for {name}"
    for address in certificate.ip_addresses:
        if not _address_allowed(constraints, address):
            yield "name_constraint", f"it may not issue for {address}"
    subject = certificate.subject_name
    if subject.is_empty:
        return
    if any(_directory_within(subject.key, tree) for tree in constraints.excluded_directory):
        yield "name_constraint", f"it may not issue for subjects like {subject.text}"
    permitted = constraints.permitted_directory
    if permitted and not any(_directory_within(subject.key, tree) for tree in permitted):
        yield "name_constraint", f"it may issue for other subjects than {subject.text} alone"


def _dns_within(name: str, tree: str) -> bool:
    """RFC 5280 section 4.2.1.10: labels may be added in front. A leading dot is a habit that clients forgive."""
    name, tree = name.casefold().removesuffix("."), tree.casefold().removeprefix(".").removesuffix(".")
    return not tree or name == tree or name.endswith("." + tree)


def _address_allowed(constraints: NameConstraints, address: Address) -> bool:
    if any(address in network for network in constraints.excluded_ip):
        return False
    # One dNSName or iPAddress tree limits names of its own form only; IPv4 and IPv6 are one form.
    return not constraints.permitted_ip or any(address in network for network in constraints.permitted_ip)


def _directory_within(name: distinguished.Key, tree: distinguished.Key) -> bool:
    return name[: len(tree)] == tree
