"""What is read from a certificate, compared with what the library reads."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import NameOID

from probes.pki import der, distinguished
from tests.pki_tests.issuing import AT, CLIENT, SERVER, authority, name, root, rsa_key, server, tlv, usage, version_one


def test_a_leaf_is_read() -> None:
    issuer = authority("Issuing", root())
    leaf = server(issuer, "a.example.com", "b.example.com", aia="http://ca.example/1.der", eku=(*SERVER, *CLIENT))
    read, library = leaf.value, leaf.x509
    assert read.sha256 == hashlib.sha256(leaf.der).hexdigest() == library.fingerprint(hashes.SHA256()).hex()
    assert (read.not_before, read.not_after) == (library.not_valid_before_utc, library.not_valid_after_utc)
    assert read.serial == library.serial_number and read.version == 3
    assert (read.subject, read.issuer) == ("CN=a.example.com", "CN=Issuing,O=Example Trust")
    assert read.spki == library.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    assert (read.key_kind, read.key_bits, read.curve) == ("ec", 256, "secp256r1")
    assert (read.signature_hash, read.signature_oid) == ("sha256", library.signature_algorithm_oid.dotted_string)
    assert read.dns_names == ("a.example.com", "b.example.com") and read.extensions.has_san
    assert read.ca_issuers == ("http://ca.example/1.der",)
    assert read.eku_names == ("serverAuth", "clientAuth") and read.key_usage == frozenset({"digitalSignature"})
    assert not read.is_ca and not read.is_self_issued and not read.is_self_signed
    assert read.extensions.aki == issuer.value.extensions.ski
    assert not read.defects and not read.unknown_critical


def test_a_ca_is_read() -> None:
    constraints = x509.NameConstraints([x509.DNSName("example.com")], None)
    read = root(path_len=3, constraints=constraints, key=rsa_key(2048)).value
    assert read.is_ca and read.path_len == 3 and read.is_self_signed
    assert (read.key_kind, read.key_bits) == ("rsa", 2048)
    assert read.extensions.name_constraints and read.extensions.name_constraints.permitted_dns == ("example.com",)
    assert (read.common_name, read.organisation) == ("Example Root", "Example Trust")


def test_the_rarer_extensions_are_read() -> None:
    point = x509.DistributionPoint([x509.UniformResourceIdentifier("http://ca.example/crl")], None, None, None)
    issuer = authority("Issuing", root())
    read = server(
        issuer,
        aki="issuer",
        more=[
            (x509.CRLDistributionPoints([point]), False),
            (x509.TLSFeature([x509.TLSFeatureType.status_request]), False),
            (x509.CertificatePolicies([x509.PolicyInformation(x509.ObjectIdentifier("2.23.140.1.2.1"), None)]), False),
            (x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3"), b"\x05\x00"), True),
        ],
    ).value
    assert read.crl_urls == ("http://ca.example/crl",) and read.must_staple
    assert read.extensions.policies == ("2.23.140.1.2.1",) and read.unknown_critical == ("1.2.3",)
    assert read.extensions.aki_issuer and read.extensions.aki_issuer.text == issuer.value.issuer
    assert read.extensions.aki_serial == issuer.value.serial


def test_timestamps_are_counted() -> None:
    stamp = b"\0" + bytes(32) + bytes(8) + b"\0\0" + b"\x04\x03" + b"\0\x04" + b"\x30\x02\x05\x00"
    one = len(stamp).to_bytes(2, "big") + stamp
    listed = (2 * len(one)).to_bytes(2, "big") + 2 * one
    extension = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.3.6.1.4.1.11129.2.4.2"), tlv(0x04, listed))
    read = server(root(), more=[(extension, False)]).value
    assert read.extensions.sct_count == 2 and not read.defects


def test_self_issued_is_not_self_signed() -> None:
    top = root("Same", None)
    read = authority("Same", top, organisation=None).value
    assert read.is_self_issued and not read.is_self_signed


def test_version_one_has_no_extensions() -> None:
    read = version_one(name("Old"), root(), ec.generate_private_key(ec.SECP256R1())).value
    assert read.version == 1 and not read.extensions.basic_constraints and not read.is_ca
    assert read.not_before == datetime(2024, 1, 1, tzinfo=UTC) and not read.defects


def test_key_usages_carry_their_rfc_names() -> None:
    read = server(root(), key_usage=usage("content_commitment", "key_encipherment", "key_agreement")).value
    assert read.key_usage == frozenset({"nonRepudiation", "keyEncipherment", "keyAgreement"})


@pytest.mark.parametrize("text", ["plain", "a,b+c", ' edge"<;>\\ ', "#hash", "Zürich 例", "nul\0l", " ", "="])
def test_names_are_written_as_rfc_4514_says(text: str) -> None:
    made = x509.Name(
        [x509.NameAttribute(NameOID.ORGANIZATION_NAME, "O"), x509.NameAttribute(NameOID.COMMON_NAME, text)]
    )
    assert distinguished.read(made.public_bytes()).text == made.rfc4514_string()


def test_long_names_are_capped() -> None:
    made = x509.Name([x509.NameAttribute(NameOID.ORGANIZATIONAL_UNIT_NAME, "x" * 60)] * 40)
    read = distinguished.read(made.public_bytes())
    assert len(read.text) == distinguished.LONGEST_TEXT and read.text.endswith("…")


def test_dates_of_both_forms_are_read() -> None:
    body = b"\x30\x20\x17\x0d500101000000Z\x18\x0f20501231235959Z"
    assert der.validity(body) == (datetime(1950, 1, 1, tzinfo=UTC), datetime(2050, 12, 31, 23, 59, 59, tzinfo=UTC))
    for wrong in (b"\x30\x1e\x17\x0d501301000000Z\x17\x0d260101000000Z", b"\x30\x0a\x17\x03abc\x17\x03abc"):
        with pytest.raises(der.Malformed):
            der.validity(wrong)


def test_validity_includes_both_ends() -> None:
    read = root(start=AT, end=AT).value
    assert read.is_valid(AT)
