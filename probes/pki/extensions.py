"""What a certificate's extensions say, as cryptography's parser reads them; `lenient` reads what it refuses."""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from typing import Literal, TypeVar

from cryptography import x509
from cryptography.x509.oid import AuthorityInformationAccessOID

from probes.pki import der, distinguished
from probes.pki.distinguished import capped
from probes.values import value

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
SUBJECT_KEY_IDENTIFIER = "2.5.29.14"
KEY_USAGE = "2.5.29.15"
NAME_CONSTRAINTS = "2.5.29.30"
AUTHORITY_KEY_IDENTIFIER = "2.5.29.35"
CERTIFICATE_POLICIES = "2.5.29.32"
POLICY_MAPPINGS = "2.5.29.33"
POLICY_CONSTRAINTS = "2.5.29.36"
INHIBIT_ANY_POLICY = "2.5.29.54"
EXTENDED_KEY_USAGE = "2.5.29.37"
AUTHORITY_INFORMATION_ACCESS = "1.3.6.1.5.5.7.1.1"
# Extensions that current TLS clients act on when critical (RFC 5280 section 4.2): anything else critical is refused.
UNDERSTOOD = frozenset(
    {
        SUBJECT_ALT_NAME,
        BASIC_CONSTRAINTS,
        SUBJECT_KEY_IDENTIFIER,
        KEY_USAGE,
        NAME_CONSTRAINTS,
        "2.5.29.31",  # cRLDistributionPoints
        CERTIFICATE_POLICIES,
        POLICY_MAPPINGS,
        AUTHORITY_KEY_IDENTIFIER,
        POLICY_CONSTRAINTS,
        EXTENDED_KEY_USAGE,
        INHIBIT_ANY_POLICY,
        AUTHORITY_INFORMATION_ACCESS,
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


Unread = Literal["any", "ip", "other"]


@value
class NameConstraints:
    """What a CA may issue for (RFC 5280 section 4.2.1.10). Directory names as DER.

    *unread*: the forms of trees that are malformed ("any": all of it is) or that nobody here compares ("other").
    """

    permitted_dns: tuple[str, ...] = ()
    excluded_dns: tuple[str, ...] = ()
    permitted_ip: tuple[Network, ...] = ()
    excluded_ip: tuple[Network, ...] = ()
    permitted_directory: tuple[bytes, ...] = ()
    excluded_directory: tuple[bytes, ...] = ()
    permitted_email: tuple[str, ...] = ()
    excluded_email: tuple[str, ...] = ()
    permitted_uri: tuple[str, ...] = ()
    excluded_uri: tuple[str, ...] = ()
    unread: frozenset[Unread] = frozenset()


@value
class Extensions:
    """What the extensions of a certificate say; the defaults are what their absence says.

    *present* and *critical* are dotted OIDs. *other_names*: the subjectAltName has names of a form not listed here.
    """

    present: frozenset[str] = frozenset()
    critical: frozenset[str] = frozenset()

    basic_constraints: bool = False
    is_ca: bool = False
    path_len: int | None = None
    key_usage: frozenset[str] | None = None
    eku: tuple[str, ...] | None = None
    has_san: bool = False
    dns_names: tuple[str, ...] = ()
    ip_addresses: tuple[Address, ...] = ()
    emails: tuple[str, ...] = ()
    uris: tuple[str, ...] = ()
    directory_names: tuple[bytes, ...] = ()
    other_names: bool = False
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
    policy_mappings: tuple[tuple[str, str], ...] = ()
    require_explicit_policy: int | None = None
    inhibit_policy_mapping: int | None = None
    inhibit_any_policy: int | None = None


def strictly(strict: x509.Extensions, unread: tuple[der.Extension, ...]) -> tuple[Extensions, bool]:
    """What a strict parser's extensions say, and whether all of it can be: False for an address that is a network.

    *unread* are the same extensions. Raises what cryptography refuses with (`signatures.REFUSALS`), which reads lazily.
    """
    found = _Found(strict)
    raw = {each.oid: each.value for each in unread}
    basic = found.one(x509.BasicConstraints)
    usage = found.one(x509.KeyUsage)
    extended = found.one(x509.ExtendedKeyUsage)
    names = found.one(x509.SubjectAlternativeName)
    authority = found.one(x509.AuthorityKeyIdentifier)
    own = found.one(x509.SubjectKeyIdentifier)
    access = found.one(x509.AuthorityInformationAccess)
    revocation_lists = found.one(x509.CRLDistributionPoints)
    features = found.one(x509.TLSFeature)
    constraints = found.one(x509.NameConstraints)
    stamps = found.one(x509.PrecertificateSignedCertificateTimestamps)
    policies = found.one(x509.CertificatePolicies)
    limits = found.one(x509.PolicyConstraints)
    inhibited = found.one(x509.InhibitAnyPolicy)
    listed = _Listed(names or ())
    extensions = Extensions(
        present=frozenset(raw),
        critical=frozenset(each.oid for each in unread if each.critical),
        basic_constraints=basic is not None,
        is_ca=basic is not None and basic.ca,
        path_len=basic.path_length if basic else None,
        key_usage=_usages(usage) if usage else None,
        eku=tuple(oid.dotted_string for oid in extended) if extended else None,
        has_san=names is not None,
        dns_names=tuple(listed.dns),
        ip_addresses=tuple(listed.addresses),
        emails=tuple(listed.emails),
        uris=tuple(listed.uris),
        directory_names=_directories(raw[SUBJECT_ALT_NAME]) if listed.directories else (),
        other_names=listed.others,
        aki=authority.key_identifier if authority else None,
        aki_issuer=_authority_name(authority) if authority else None,
        aki_serial=authority.authority_cert_serial_number if authority else None,
        ski=own.digest if own else None,
        ca_issuers=_locations(access, AuthorityInformationAccessOID.CA_ISSUERS),
        ocsp_urls=_locations(access, AuthorityInformationAccessOID.OCSP),
        crl_urls=_distribution(revocation_lists) if revocation_lists else (),
        must_staple=features is not None and x509.TLSFeatureType.status_request in features,
        name_constraints=_constraints(constraints, raw[NAME_CONSTRAINTS]) if constraints else None,
        sct_count=len(stamps) if stamps else 0,
        policies=tuple(policy.policy_identifier.dotted_string for policy in policies) if policies else (),
        policy_mappings=_mappings(raw[POLICY_MAPPINGS]) if POLICY_MAPPINGS in raw else (),
        require_explicit_policy=limits.require_explicit_policy if limits else None,
        inhibit_policy_mapping=limits.inhibit_policy_mapping if limits else None,
        inhibit_any_policy=inhibited.skip_certs if inhibited else None,
    )
    return extensions, not listed.networks


class _Listed:
    """General names by their form, in the order listed."""

    def __init__(self, names: Iterable[x509.GeneralName]) -> None:
        self.dns: list[str] = []
        self.addresses: list[Address] = []
        self.networks: list[Network] = []
        self.emails: list[str] = []
        self.uris: list[str] = []
        self.directories = False
        self.others = False
        for name in names:
            self._sort(name)

    def _sort(self, name: x509.GeneralName) -> None:
        match name:
            case x509.DNSName():
                self.dns.append(capped(name.value))
            case x509.IPAddress():
                if isinstance(name.value, IPv4Address | IPv6Address):
                    self.addresses.append(name.value)
                else:
                    self.networks.append(name.value)
            case x509.RFC822Name():
                self.emails.append(capped(name.value))
            case x509.UniformResourceIdentifier():
                self.uris.append(capped(name.value, 2048))
            case x509.DirectoryName():
                self.directories = True
            case _:
                self.others = True


class _Found:
    """Extensions by their type: looked up once each, where cryptography searches its list anew."""

    def __init__(self, strict: x509.Extensions) -> None:
        self._values: dict[type, x509.ExtensionType] = {type(each.value): each.value for each in strict}

    def one(self, kind: type[E]) -> E | None:
        value = self._values.get(kind)
        return value if isinstance(value, kind) else None


def _usages(usage: x509.KeyUsage) -> frozenset[str]:
    return frozenset(name for attribute, name in _KEY_USAGES.items() if getattr(usage, attribute))


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


def _constraints(constraints: x509.NameConstraints, raw: bytes) -> NameConstraints:
    permitted, excluded = _Listed(constraints.permitted_subtrees or ()), _Listed(constraints.excluded_subtrees or ())
    unread: set[Unread] = set()
    if permitted.others or excluded.others:
        unread.add("other")
    if permitted.addresses or excluded.addresses:
        unread.add("ip")  # an address without its mask
    return NameConstraints(
        permitted_dns=tuple(permitted.dns),
        excluded_dns=tuple(excluded.dns),
        permitted_ip=tuple(permitted.networks),
        excluded_ip=tuple(excluded.networks),
        permitted_directory=_subtrees(raw, 0xA0) if permitted.directories else (),
        excluded_directory=_subtrees(raw, 0xA1) if excluded.directories else (),
        permitted_email=tuple(permitted.emails),
        excluded_email=tuple(excluded.emails),
        permitted_uri=tuple(permitted.uris),
        excluded_uri=tuple(excluded.uris),
        unread=frozenset(unread),
    )


def _subtrees(raw: bytes, tag: int) -> tuple[bytes, ...]:
    """The directory names among the permitted ([0]) or excluded ([1]) subtrees."""
    return tuple(
        name
        for trees in der.inside(raw)
        if trees.tag == tag
        for tree in der.children(raw, trees)
        for name in _directories(raw[tree.start : tree.end])
    )


def _directories(raw: bytes) -> tuple[bytes, ...]:
    """The directoryNames ([4], explicit) in a sequence of general names, as DER."""
    return tuple(raw[name.body : name.end] for name in der.inside(raw) if name.tag == 0xA4)


def _mappings(raw: bytes) -> tuple[tuple[str, str], ...]:
    """Pairs of issuerDomainPolicy and subjectDomainPolicy (RFC 5280 section 4.2.1.5)."""
    pairs = []
    for pair in der.inside(raw):
        above, beneath = (der.object_identifier(raw[oid.body : oid.end]) for oid in der.children(raw, pair))
        pairs.append((above, beneath))
    return tuple(pairs)
