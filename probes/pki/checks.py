"""What a path's certificates must satisfy beside their signatures: dates, rights, strength, names.

RFC 5280 section 6, and where clients are stricter than it, what they do.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Literal

from probes.pki import baseline, constraints, policies
from probes.pki.certificate import Certificate
from probes.pki.extensions import ANY_USAGE, CLIENT_AUTH, SERVER_AUTH, USAGE_NAMES
from probes.pki.views import View
from probes.values import value

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
    "policy",
    "profile",
]


@value
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
        if view.enforces_profile:
            serves = view.purpose == "server"
            rules = baseline.complaints(certificate, is_leaf=depth == 0, is_anchor=is_anchor, serves=serves)
            complaints += (("profile", rule) for rule in rules)
        found += (Fault(kind=kind, certificate=certificate, depth=depth, detail=detail) for kind, detail in complaints)
    lack = policies.complaint(chain) if anchored and view.judges_policies else None
    if lack:
        found.append(Fault(kind="policy", certificate=chain[0], depth=0, detail=lack))
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
    # notAfter means to the end of its second.
    if at > certificate.not_after and at.replace(microsecond=0) > certificate.not_after:
        yield "expired", f"expired {certificate.not_after:%Y-%m-%d %H:%M:%S} UTC"


def _as_leaf(leaf: Certificate, is_anchor: bool, view: View) -> Iterator[Complaint]:
    usage = leaf.key_usage if view.minds_leaf_usage else None
    if usage is not None and not usage & {"digitalSignature", "keyEncipherment", "keyAgreement"}:
        yield "wrong_usage", f"its keyUsage allows {_listed(usage)} alone, nothing that TLS uses"
    elif usage is not None and view.wants_signing_usage and "digitalSignature" not in usage:
        yield "wrong_usage", f"its keyUsage allows {_listed(usage)} and forbids digitalSignature, which ECDHE uses"
    yield from _extended(leaf, view)
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
        yield from _extended(issuer, view)
    # RFC 5280 section 6.1.4 l, m: self-issued certificates and the leaf do not count.
    between = sum(1 for certificate in below[1:] if not certificate.is_self_issued)
    if issuer.path_len is not None and between > issuer.path_len:
        yield "path_length", f"authorities allowed below it: {issuer.path_len}, found: {between}"
    if between > view.most_intermediates:
        yield "path_length", f"authorities between it and the leaf: {between}, allowed: {view.most_intermediates}"
    if issuer.extensions.name_constraints is not None:
        for complaint in constraints.complaints(issuer, below):
            yield "name_constraint", complaint


def _extended(certificate: Certificate, view: View) -> Iterator[Complaint]:
    wanted = SERVER_AUTH if view.purpose == "server" else CLIENT_AUTH
    if certificate.eku is not None and wanted not in certificate.eku and ANY_USAGE not in certificate.eku:
        listed = _listed(certificate.eku_names or ())
        yield "wrong_usage", f"its extendedKeyUsage is {listed}, without {USAGE_NAMES[wanted]}"


def _listed(names: frozenset[str] | tuple[str, ...]) -> str:
    return ", ".join(sorted(names)) or "nothing"
