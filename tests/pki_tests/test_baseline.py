"""The profile of public CAs: what breaks it fails in that view, and in no client's."""

from __future__ import annotations

from collections.abc import Callable
from ipaddress import ip_address
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ed25519, mldsa
from cryptography.x509.oid import AuthorityInformationAccessOID, ExtendedKeyUsageOID

from probes.pki import baseline, verify
from probes.pki.views import BASELINE, MODERN
from tests.pki_tests.issuing import (
    AT,
    CLIENT,
    HOST,
    SERVER,
    Issued,
    authority,
    issue,
    name,
    root,
    rsa_key,
    server,
    usage,
)

Chain = tuple[Issued, ...]  # leaf first, the anchor last


def leaf(**changes: Any) -> Chain:
    top = root()
    return server(top, **changes), top


def middle(**changes: Any) -> Chain:
    top = root()
    issuing = authority("Issuing", top, **changes)
    return server(issuing), issuing, top


def crown(**changes: Any) -> Chain:
    top = root(**changes)
    return server(top), top


def bare(subject: x509.Name, *, critical: bool) -> Chain:
    """A leaf of that subject, whose subjectAltName is critical or not."""
    top = root()
    names = x509.SubjectAlternativeName([x509.DNSName(HOST)])
    return issue(
        subject, top, ca=False, eku=SERVER, key_usage=usage("digital_signature"), more=[(names, critical)]
    ), top


def access() -> x509.AuthorityInformationAccess:
    uri = x509.UniformResourceIdentifier("http://ca.example/1.der")
    return x509.AuthorityInformationAccess([x509.AccessDescription(AuthorityInformationAccessOID.CA_ISSUERS, uri)])


def key_identifier(top: Issued) -> x509.SubjectKeyIdentifier:
    return x509.SubjectKeyIdentifier.from_public_key(top.key.public_key())


def foreign_key_identifier() -> x509.AuthorityKeyIdentifier:
    return x509.AuthorityKeyIdentifier(b"x" * 20, None, None)


HARMLESS: dict[str, Callable[[], Chain]] = {
    "plain": leaf,
    "below an intermediate": middle,
    "no key usage": lambda: leaf(key_usage=None),
    "no extended usage": lambda: leaf(eku=None),
    "both usages": lambda: leaf(eku=(*SERVER, *CLIENT)),
    "critical names without a subject": lambda: bare(name(None), critical=True),
    "access": lambda: leaf(more=[(access(), False)]),
    "critical policy constraints": lambda: middle(more=[(x509.PolicyConstraints(3, None), True)]),
    "critical name constraints": lambda: middle(constraints=x509.NameConstraints([x509.DNSName("example.com")], None)),
    "RSA": lambda: leaf(key=rsa_key(2048)),
    "ML-DSA": lambda: leaf(key=mldsa.MLDSA44PrivateKey.generate()),
}
REFUSED: dict[str, Callable[[], Chain]] = {
    "no authorityKeyIdentifier": lambda: leaf(aki=None),
    "no authorityKeyIdentifier above": lambda: middle(aki=None),
    "an issuer in the authorityKeyIdentifier": lambda: leaf(aki="issuer"),
    "another key's identifier in a root": lambda: crown(more=[(foreign_key_identifier(), False)]),
    "critical authorityKeyIdentifier": lambda: crown(more=[(foreign_key_identifier(), True)]),
    "critical access": lambda: leaf(more=[(access(), True)]),
    "policy constraints that are not critical": lambda: middle(more=[(x509.PolicyConstraints(3, None), False)]),
    "critical names with a subject": lambda: bare(name("x"), critical=True),
    "names that are not critical without a subject": lambda: bare(name(None), critical=False),
    "name constraints in a leaf": lambda: leaf(constraints=x509.NameConstraints([x509.DNSName("example.com")], None)),
    "keyCertSign in a leaf": lambda: leaf(key_usage=usage("digital_signature", "key_cert_sign")),
    "any usage": lambda: leaf(eku=(*SERVER, ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE)),
    "code signing": lambda: leaf(eku=(*SERVER, ExtendedKeyUsageOID.CODE_SIGNING)),
    "a root with a usage": lambda: crown(eku=SERVER),
    "a root without basicConstraints": lambda: crown(ca=None),
    "a root with an unknown critical extension": lambda: crown(
        more=[(x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4"), b""), True)]
    ),
    "a constraint with a dot in front": lambda: middle(
        constraints=x509.NameConstraints([x509.DNSName(".example.com")], None)
    ),
    "Ed25519": lambda: leaf(key=ed25519.Ed25519PrivateKey.generate()),
    "ML-DSA that agrees on keys": lambda: leaf(
        key=mldsa.MLDSA44PrivateKey.generate(), key_usage=usage("digital_signature", "key_agreement")
    ),
    "malformed access": lambda: leaf(
        more=[(x509.UnrecognizedExtension(x509.ObjectIdentifier("1.3.6.1.5.5.7.1.1"), b"malformed"), False)]
    ),
}


@pytest.mark.parametrize("label", HARMLESS)
def test_what_the_profile_allows_holds(label: str) -> None:
    *served, anchor = HARMLESS[label]()
    found = verify([each.der for each in served], anchors=[anchor.der], host=HOST, at=AT, view=BASELINE)
    assert found.ok, [fault.detail for fault in found.paths[0].faults]


@pytest.mark.parametrize("label", REFUSED)
def test_what_the_profile_forbids_fails_there_alone(label: str) -> None:
    *served, anchor = REFUSED[label]()
    chain = [each.der for each in served]
    assert verify(chain, anchors=[anchor.der], host=HOST, at=AT, view=BASELINE).reasons == ("profile",)
    assert verify(chain, anchors=[anchor.der], host=HOST, at=AT, view=MODERN).ok


@pytest.mark.parametrize(
    ("common_name", "listed", "refused"),
    [
        ("WWW.example.com", "www.example.com", True),
        ("www.example.com", "www.example.com", False),
        ("another.example.com", "www.example.com", False),
        ("192.0.2.001", "192.0.2.1", True),
        ("0xC0000201", "192.0.2.1", True),
        ("192.0.2.1", "192.0.2.1", False),
        ("2001:DB8::1", "2001:db8::1", True),
        ("2001:db8:0:0:0:0:0:1", "2001:db8::1", True),
        ("0xnonsense", "192.0.2.1", False),
    ],
)
def test_a_common_name_is_spelled_as_in_the_names(common_name: str, listed: str, refused: bool) -> None:
    names = [x509.DNSName(listed) if "example" in listed else x509.IPAddress(ip_address(listed))]
    certificate = issue(name(common_name), root(), ca=False, eku=SERVER, names=names).value
    said = list(baseline.complaints(certificate, is_leaf=True, is_anchor=False, serves=True))
    assert bool(said) is refused and all("spelling" in each for each in said)


@pytest.mark.parametrize(("serial", "refused"), [(1, False), (2**159 - 1, False), (2**159, True)])
def test_a_serial_number_has_twenty_octets_at_most(serial: int, refused: bool) -> None:
    top = root()
    signed = (
        x509.CertificateBuilder()
        .subject_name(name(HOST))
        .issuer_name(top.x509.subject)
        .serial_number(1 if refused else serial)
        .public_key(top.key.public_key())
        .not_valid_before(AT)
        .not_valid_after(AT)
    )
    if refused:
        signed._serial_number = serial  # no current library issues it
    certificate = Issued(signed.sign(top.key, hashes.SHA256()), top.key).value
    said = list(baseline.complaints(certificate, is_leaf=True, is_anchor=False, serves=True))
    assert any("octets" in each for each in said) is refused
