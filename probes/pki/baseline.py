"""The certificate profile that public CAs sign up to, and that hardly any client enforces.

RFC 5280 section 4 and the CA/Browser Forum's Baseline Requirements, section 7.1. For whoever judges a CA or runs a
corpus of conformance cases (`views.BASELINE`): a server that breaks these rules alone works with every client.
"""

from __future__ import annotations

from collections.abc import Iterator

from probes.pki.certificate import Certificate
from probes.pki.extensions import (
    AUTHORITY_INFORMATION_ACCESS,
    AUTHORITY_KEY_IDENTIFIER,
    BASIC_CONSTRAINTS,
    CLIENT_AUTH,
    EXTENDED_KEY_USAGE,
    KEY_USAGE,
    NAME_CONSTRAINTS,
    POLICY_CONSTRAINTS,
    SERVER_AUTH,
    SUBJECT_ALT_NAME,
    SUBJECT_KEY_IDENTIFIER,
    USAGE_NAMES,
)
from probes.pki.names import Host, normalise_host

_NEVER_CRITICAL = {
    AUTHORITY_KEY_IDENTIFIER: "authorityKeyIdentifier",
    SUBJECT_KEY_IDENTIFIER: "subjectKeyIdentifier",
    AUTHORITY_INFORMATION_ACCESS: "authorityInfoAccess",
}
_LONGEST_SERIAL = 20  # octets
_KEY_TRANSPORT = frozenset({"keyEncipherment", "dataEncipherment", "keyAgreement"})
_SIGNING_ONLY = frozenset({"ml-dsa", "ed25519", "ed448"})


def complaints(certificate: Certificate, *, is_leaf: bool, is_anchor: bool, serves: bool) -> Iterator[str]:
    """What breaks the profile, as phrases. *serves*: it stands in a server's chain, and not in a client's."""
    yield from _whole(certificate)
    yield from _criticality(certificate)
    yield from _authority_key(certificate)
    yield from _key(certificate)
    if not is_anchor:
        yield from _serial(certificate)
    if is_leaf:
        yield from _leaf(certificate)
        if serves:
            yield from _server(certificate)
    else:
        yield from _authority(certificate)


def _whole(certificate: Certificate) -> Iterator[str]:
    # Of an anchor, and where clients forgive: `checks` tells of the rest.
    yield from certificate.defects
    yield from (f"extension {oid} is critical and not known" for oid in certificate.unknown_critical)
    if certificate.version != 3:
        yield f"its version is {certificate.version}, not 3"
    if certificate.issuer_name.is_empty:
        yield "its issuer's name is empty"


def _criticality(certificate: Certificate) -> Iterator[str]:
    extensions = certificate.extensions
    for oid, name in _NEVER_CRITICAL.items():
        if oid in extensions.critical:
            yield f"its {name} is critical"
    if POLICY_CONSTRAINTS in extensions.present - extensions.critical:
        yield "its policyConstraints are not critical"


def _authority_key(certificate: Certificate) -> Iterator[str]:
    """RFC 5280 section 4.2.1.1; a certificate that issued itself may do without."""
    extensions = certificate.extensions
    if AUTHORITY_KEY_IDENTIFIER not in extensions.present:
        if not certificate.is_self_issued:
            yield "it has no authorityKeyIdentifier"
        return
    if extensions.aki is None:
        yield "its authorityKeyIdentifier has no keyIdentifier"
    if extensions.aki_issuer is not None or extensions.aki_serial is not None:
        yield "its authorityKeyIdentifier names an issuer or a serial number"
    if certificate.is_self_signed and extensions.ski is not None and extensions.aki not in (None, extensions.ski):
        yield "it is self-signed, and its authorityKeyIdentifier is not its subjectKeyIdentifier"


def _key(certificate: Certificate) -> Iterator[str]:
    if certificate.key_kind == "rsa" and (certificate.key_bits or 0) % 8:
        yield f"an RSA key of {certificate.key_bits} bits, which are no whole octets"
    if certificate.key_kind in ("ed25519", "ed448"):
        yield f"a key of the kind {certificate.key_kind}, which is not allowed"
    if certificate.key_kind in _SIGNING_ONLY and _KEY_TRANSPORT & (certificate.key_usage or frozenset()):
        yield "its keyUsage allows what a key that only signs cannot do"
    if "keyCertSign" in (certificate.key_usage or ()) and not certificate.is_ca:
        yield "its keyUsage allows keyCertSign, and it is no CA"


def _serial(certificate: Certificate) -> Iterator[str]:
    if certificate.serial <= 0:
        yield "its serial number is not positive"
    elif certificate.serial.bit_length() // 8 + 1 > _LONGEST_SERIAL:
        yield f"its serial number is longer than {_LONGEST_SERIAL} octets"


def _authority(authority: Certificate) -> Iterator[str]:
    extensions = authority.extensions
    if authority.subject_name.is_empty:
        yield "it is a CA with an empty subject"
    if not authority.is_ca or BASIC_CONSTRAINTS not in extensions.critical:
        yield "its basicConstraints are not critical, or say that it is no CA"
    if SUBJECT_KEY_IDENTIFIER not in extensions.present:
        yield "it is a CA without subjectKeyIdentifier"
    if authority.eku is not None and authority.is_self_signed:
        yield "it is a root with an extendedKeyUsage"
    constraints = extensions.name_constraints
    for tree in (*constraints.permitted_dns, *constraints.excluded_dns) if constraints else ():
        if "*" in tree or tree.startswith("."):
            yield f"its name constraint {tree} is no DNS name"
    for mailbox in (*constraints.permitted_email, *constraints.excluded_email) if constraints else ():
        if mailbox.count("@") > 1:
            yield f"its name constraint {mailbox} is no mailbox"


def _leaf(leaf: Certificate) -> Iterator[str]:
    extensions = leaf.extensions
    if NAME_CONSTRAINTS in extensions.present:
        yield "it is no issuer, and has name constraints"
    if extensions.has_san and leaf.subject_name.is_empty != (SUBJECT_ALT_NAME in extensions.critical):
        yield "its subjectAltName must be critical where the subject is empty, and nowhere else"
    if KEY_USAGE in extensions.present and not leaf.key_usage:
        yield "its keyUsage allows nothing"


def _server(leaf: Certificate) -> Iterator[str]:
    if EXTENDED_KEY_USAGE in leaf.extensions.critical:
        yield "its extendedKeyUsage is critical"
    foreign = sorted(set(leaf.eku or ()) - {SERVER_AUTH, CLIENT_AUTH})
    if foreign:
        yield f"its extendedKeyUsage has {', '.join(USAGE_NAMES.get(oid, oid) for oid in foreign)}"
    common_name = leaf.common_name
    if common_name is not None and _respells(common_name, leaf):
        yield f"its common name, {common_name}, is another spelling of a name in its subjectAltName"


def _respells(common_name: str, leaf: Certificate) -> bool:
    """BR section 7.1.4.3: character for character what the subjectAltName has. (That it is there is not asked.)"""
    names = (*leaf.dns_names, *(str(address) for address in leaf.ip_addresses))
    if common_name in names:
        return False
    meant = _normal(common_name)
    return meant is not None and meant in {_normal(name) for name in names}


def _normal(name: str) -> str | None:
    """A host name or address in its one spelling; octets with leading zeros and hexadecimal IPv4 as what they mean."""
    octets = name.split(".")
    if len(octets) == 4 and all(octet.isascii() and octet.isdigit() and len(octet) <= 3 for octet in octets):
        return ".".join(str(int(octet)) for octet in octets)
    if name.lower().startswith("0x") and len(name) == 10 and name[2:].isalnum():
        try:
            return ".".join(str(octet) for octet in bytes.fromhex(name[2:]))
        except ValueError:
            return None
    host = normalise_host(name)
    return host.text if isinstance(host, Host) else None
