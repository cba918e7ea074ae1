"""Stores of anchors: read from PEM, joined, asked."""

from __future__ import annotations

import base64

import certifi
import pytest
from cryptography import x509
from cryptography.x509.name import _ASN1Type
from cryptography.x509.oid import NameOID

from probes.pki.anchors import Anchors
from tests.pki_tests.issuing import AT, DAY, issue, root, server, store


def test_a_bundle_is_read_and_what_is_not_is_told() -> None:
    one, two = root("One"), root("Two")
    cut = base64.encodebytes(one.der[:40]).decode()
    text = f"# comment\n{one.pem}junk{two.pem}-----BEGIN CERTIFICATE-----\n{cut}-----END CERTIFICATE-----\n"
    text += "-----BEGIN CERTIFICATE-----\nA\n-----END CERTIFICATE-----\n"
    text += "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"
    anchors = Anchors.from_pem(text, source="bundle.pem", added=True)
    assert [member.certificate for member in anchors.members] == [one.value, two.value]
    assert len(anchors.unreadable) == 3 and len(anchors.added) == 2
    assert all("bundle.pem" in complaint for complaint in anchors.unreadable)


def test_a_file_without_certificates_is_told() -> None:
    anchors = Anchors.from_pem("hello", source="notes.txt")
    assert not anchors and anchors.unreadable == ("notes.txt holds no PEM certificate",)


def test_stores_join_and_the_first_label_stays() -> None:
    shared, other = root("Shared"), root("Other")
    both = store(shared) | store(shared, other, added=True)
    assert len(both) == 2 and [member.subject.common_name for member in both.added] == ["Other"]
    assert both == store(other, added=True) | store(shared)
    assert both != store(shared, other) and hash(both) != hash(store(shared))


def test_an_anchor_is_a_name_and_a_key_not_its_bytes() -> None:
    old = root(end=AT - DAY)
    reissued, rekeyed = root(key=old.key), root()
    anchors = store(reissued)
    assert anchors.holding(old.value) and not anchors.holding(rekeyed.value)
    assert anchors.named(rekeyed.value.subject_der)


def test_names_that_differ_in_case_and_encoding_are_one_name() -> None:
    def spelled(text: str, kind: _ASN1Type) -> x509.Name:
        return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text, kind)])

    top = issue(spelled("Example root", _ASN1Type.PrintableString), None, ca=True)
    leaf = issue(spelled("leaf", _ASN1Type.UTF8String), root(), ca=False)
    assert store(top).named(spelled("EXAMPLE Root", _ASN1Type.UTF8String).public_bytes())
    assert not store(top).named(spelled("Example\x0croot", _ASN1Type.UTF8String).public_bytes())
    assert not store(top).named(leaf.value.subject_der)


def test_certifi_is_read_whole() -> None:
    anchors = Anchors.from_pem(certifi.contents(), source="certifi")
    assert len(anchors) > 100 and not anchors.unreadable
    for member in anchors.members:
        certificate = member.certificate
        assert member in anchors.holding(certificate) and not certificate.defects
        assert not certificate.unknown_critical and certificate.is_ca


@pytest.mark.parametrize("added", [True, False])
def test_a_leaf_may_be_an_anchor(added: bool) -> None:
    leaf = server(None)
    assert store(leaf, added=added).holding(leaf.value)
