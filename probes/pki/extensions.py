"""What a certificate's extensions say, and what is left of them when a strict parser refuses."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import TypeVar

from cryptography import x509
from cryptography.x509.oid import AuthorityInformationAccessOID

from probes.pki import der, distinguished
from probes.pki.distinguished import capped
from probes.pki.signatures import REFUSALS

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network
E = TypeVar("E", bound=x509.ExtensionType)

SERVER_AUTH = "1.3.6.1.5.5.7.3.1"
CLIENT_AUTH = "1.3.6.1.5.5.7.3.2"
ANY_USAGE = "2.5.29.37.0"
USAGE_NAMES = {
    SERVER_AUTH: "serverAuth",
    CLIENT_AUTH: "clientAuth",
    ANY_USAGE: "anyExtendedKeyUsage",
    "1.3.6.1.5.5.7.3.3": "codeSigning",
    "1.3.6.1.5.5.7.3.4": "emailProtection",
    "1.3.6.1.5.5.7.3.8": "timeStamping",
    "1.3.6.1.5.5.7.3.9": "OCSPSigning",
}
SUBJECT_ALT_NAME = "2.5.29.17"
BASIC_CONSTRAINTS = "2.5.29.19"
# Extensions that current TLS clients act on when critical (RFC 5280 section 4.2): anything else critical is refused.
UNDERSTOOD = frozenset(
    {
        SUBJECT_ALT_NAME,
        BASIC_CONSTRAINTS,
        "2.5.29.14",  # subjectKeyIdentifier
        "2.5.29.15",  # keyUsage
        "2.5.29.30",  # nameConstraints
        "2.5.29.31",  # cRLDistributionPoints
        "2.5.29.32",  # certificatePolicies
        "2.5.29.33",  # policyMappings
        "2.5.29.35",  # authorityKeyIdentifier
        "2.5.29.36",  # policyConstraints
        "2.5.29.37",  # extKeyUsage
        "2.5.29.54",  # inhibitAnyPolicy
        "1.3.6.1.5.5.7.1.1",  # authorityInfoAccess
        "1.3.6.1.5.5.7.1.24",  # TLS feature
        "2.16.840.1.113730.1.1",  # Netscape certificate type
    }
)
_KEY_USAGES = {
    "digital_signature": "digitalSignature",
    "content_commitment": "nonRepudiation",
    "key_encipherment": "keyEncipherment",
    "data_encipherment": "dataEncipherment",
    "key_agreement": "keyAgreement",
    "key_cert_sign": "keyCertSign",
    "crl_sign": "cRLSign",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class NameConstraints:
    """What a CA may issue for (RFC 5280 section 4.2.1.10). Directory names as comparable keys."""

    permitted_dns: tuple[str, ...] = ()
    excluded_dns: tuple[str, ...] = ()
    permitted_ip: tuple[Network, ...] = ()
    excluded_ip: tuple[Network, ...] = ()
    permitted_directory: tuple[distinguished.Key, ...] = ()
    excluded_directory: tuple[distinguished.Key, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Extensions:
    """What the extensions of a certificate say; the defaults are what their absence says."""

    basic_constraints: bool = False
    is_ca: bool = False
    path_len: int | None = None
    key_usage: frozenset[str] | None = None
    eku: tuple[str, ...] | None = None
    has_san: bool = False
    dns_names: tuple[str, ...] = ()
    ip_addresses: tuple[Address, ...] = ()
    aki: bytes | None = None
    aki_issuer: distinguished.Name | None = None
    aki_serial: int | None = None
    ski: bytes | None = None
    ca_issuers: tuple[str, ...] = ()
    ocsp_urls: tuple[str, ...] = ()
    crl_urls: tuple[str, ...] = ()
    must_staple: bool = False
    name_constraints: NameConstraints | None = None
    sct_count: int = 0
    policies: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """*defects*: what a strict parser refuses. *broken*: a lenient one must refuse it, too, as every client does."""

    extensions: Extensions
    unknown_critical: tuple[str, ...] = ()
    defects: tuple[str, ...] = ()
    broken: bool = False


def read(data: bytes, frame: der.Skeleton) -> Reading:
    """The extensions of the certificate *data*; never raises."""
    refusal = None
    strict = None
    try:
        with warnings.catch_warnings():
            # A certificate that merely deserves a warning (a serial number of zero) is one that clients take.
            warnings.simplefilter("ignore")
            strict = _strictly(x509.load_der_x509_certificate(data).extensions)
    except REFUSALS as refused:
        refusal = capped(str(refused) or type(refused).__name__, 200)
    try:
        listed = der.extensions(frame.extensions)
    except der.Malformed as malformed:
        return Reading(extensions=Extensions(), defects=(refusal or str(malformed),), broken=True)
    unknown = tuple(each.oid for each in listed if each.critical and each.oid not in UNDERSTOOD)
    if strict is not None:
        return Reading(extensions=strict, unknown_critical=unknown)
    extensions, whole = _leniently(listed)
    broken = not whole or frame.version > 3 or len({each.oid for each in listed}) < len(listed)
    return Reading(extensions=extensions, unknown_critical=unknown, defects=(refusal or "",), broken=broken)


def _strictly(strict: x509.Extensions) -> Extensions:
    basic = _one(strict, x509.BasicConstraints)
    usage = _one(strict, x509.KeyUsage)
    extended = _one(strict, x509.ExtendedKeyUsage)
    names = _one(strict, x509.SubjectAlternativeName)
    authority = _one(strict, x509.AuthorityKeyIdentifier)
    own = _one(strict, x509.SubjectKeyIdentifier)
    access = _one(strict, x509.AuthorityInformationAccess)
    revocation_lists = _one(strict, x509.CRLDistributionPoints)
    features = _one(strict, x509.TLSFeature)
    constraints = _one(strict, x509.NameConstraints)
    stamps = _one(strict, x509.PrecertificateSignedCertificateTimestamps)
    policies = _one(strict, x509.CertificatePolicies)
    return Extensions(
        basic_constraints=basic is not None,
        is_ca=basic is not None and basic.ca,
        path_len=basic.path_length if basic else None,
        key_usage=_usages(usage) if usage else None,
        eku=tuple(oid.dotted_string for oid in extended) if extended else None,
        has_san=names is not None,
        dns_names=tuple(capped(name) for name in names.get_values_for_type(x509.DNSName)) if names else (),
        ip_addresses=_addresses(names) if names else (),
        aki=authority.key_identifier if authority else None,
        aki_issuer=_authority_name(authority) if authority else None,
        aki_serial=authority.authority_cert_serial_number if authority else None,
        ski=own.digest if own else None,
        ca_issuers=_locations(access, AuthorityInformationAccessOID.CA_ISSUERS),
        ocsp_urls=_locations(access, AuthorityInformationAccessOID.OCSP),
        crl_urls=_distribution(revocation_lists) if revocation_lists else (),
        must_staple=features is not None and x509.TLSFeatureType.status_request in features,
        name_constraints=_constraints(constraints) if constraints else None,
        sct_count=len(stamps) if stamps else 0,
        policies=tuple(policy.policy_identifier.dotted_string for policy in policies) if policies else (),
    )


def _leniently(listed: tuple[der.Extension, ...]) -> tuple[Extensions, bool]:
    """Names and the CA flag alone, in encodings that clients forgive; and whether nothing in them was malformed."""
    found = {each.oid: each.value for each in listed}
    dns: list[str] = []
    addresses: list[Address] = []
    is_ca, whole = False, True
    try:
        for name in der.inside(found.get(SUBJECT_ALT_NAME, b"\x30\x00")):
            value = found[SUBJECT_ALT_NAME][name.body : name.end]
            if name.tag == 0x82:
                dns.append(capped(value.decode("utf-8", "replace")))
            elif name.tag == 0x87 and len(value) in (4, 16):
                addresses.append(ip_address(value))
            elif name.tag == 0x87:
                whole = False
        first = next(der.inside(found.get(BASIC_CONSTRAINTS, b"\x30\x00")), None)
        is_ca = first is not None and first.tag == der.BOOLEAN and any(found[BASIC_CONSTRAINTS][first.body : first.end])
    except der.Malformed:
        whole = False
    extensions = Extensions(
        basic_constraints=BASIC_CONSTRAINTS in found,
        is_ca=is_ca,
        has_san=SUBJECT_ALT_NAME in found,
        dns_names=tuple(dns),
        ip_addresses=tuple(addresses),
    )
    return extensions, whole


def _one(strict: x509.Extensions, kind: type[E]) -> E | None:
    try:
        return strict.get_extension_for_class(kind).value
    except x509.ExtensionNotFound:
        return None


def _usages(usage: x509.KeyUsage) -> frozenset[str]:
    return frozenset(name for attribute, name in _KEY_USAGES.items() if getattr(usage, attribute))


def _addresses(names: x509.SubjectAlternativeName) -> tuple[Address, ...]:
    values = names.get_values_for_type(x509.IPAddress)
    return tuple(value for value in values if isinstance(value, IPv4Address | IPv6Address))


def _authority_name(authority: x509.AuthorityKeyIdentifier) -> distinguished.Name | None:
    for general in authority.authority_cert_issuer or ():
        if isinstance(general, x509.DirectoryName):
            return distinguished.read(general.value.public_bytes())
    return None


def _locations(access: x509.AuthorityInformationAccess | None, method: x509.ObjectIdentifier) -> tuple[str, ...]:
    return tuple(
        capped(each.access_location.value, 2048)
        for each in access or ()
        if each.access_method == method and isinstance(each.access_location, x509.UniformResourceIdentifier)
    )


def _distribution(points: x509.CRLDistributionPoints) -> tuple[str, ...]:
    return tuple(
        capped(name.value, 2048)
        for point in points
        for name in point.full_name or ()
        if isinstance(name, x509.UniformResourceIdentifier)
    )


def _constraints(constraints: x509.NameConstraints) -> NameConstraints:
    permitted, excluded = constraints.permitted_subtrees or (), constraints.excluded_subtrees or ()
    return NameConstraints(
        permitted_dns=tuple(name.value for name in permitted if isinstance(name, x509.DNSName)),
        excluded_dns=tuple(name.value for name in excluded if isinstance(name, x509.DNSName)),
        permitted_ip=_networks(permitted),
        excluded_ip=_networks(excluded),
        permitted_directory=_directories(permitted),
        excluded_directory=_directories(excluded),
    )


def _networks(names: tuple[x509.GeneralName, ...] | list[x509.GeneralName]) -> tuple[Network, ...]:
    return tuple(
        name.value
        for name in names
        if isinstance(name, x509.IPAddress) and isinstance(name.value, IPv4Network | IPv6Network)
    )


def _directories(names: tuple[x509.GeneralName, ...] | list[x509.GeneralName]) -> tuple[distinguished.Key, ...]:
    return tuple(
        distinguished.read(name.value.public_bytes()).key for name in names if isinstance(name, x509.DirectoryName)
    )
