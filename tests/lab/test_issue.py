"""The issuing code and the factories for tests, judged by cryptography's own path validation."""

from __future__ import annotations

from datetime import timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from cryptography.x509 import verification
from cryptography.x509.oid import ExtensionOID

from tests import pki


def _accepts(leaf: pki.Issued, *above: pki.Issued, root: pki.Issued, name: str = "healthy.test") -> bool:
    store = verification.Store([root.certificate])
    verifier = verification.PolicyBuilder().store(store).time(pki.NOW).build_server_verifier(x509.DNSName(name))
    try:
        verifier.verify(leaf.certificate, [issued.certificate for issued in above])
    except verification.VerificationError:
        return False
    return True


def test_the_defaults_are_healthy() -> None:
    leaf, ca, root = pki.chain()
    assert _accepts(leaf, ca, root=root)


@pytest.mark.parametrize(
    "broken",
    [
        {"not_after": pki.NOW - timedelta(days=1)},
        {"not_before": pki.NOW + timedelta(days=1)},
        {"names": ("other.test",)},
        {"usages": (pki.CLIENT_AUTH,)},
    ],
)
def test_one_broken_thing_breaks_the_leaf(broken: dict[str, object]) -> None:
    root = pki.authority()
    ca = pki.intermediate(root)
    assert not _accepts(pki.leaf(ca, **broken), ca, root=root)  # type: ignore[arg-type]


def test_intermediates_can_be_forbidden_to_issue() -> None:
    root = pki.authority()
    for ca in (
        pki.intermediate(root, permitted=("other.test",)),
        pki.intermediate(root, is_ca=False),
        pki.intermediate(root, not_after=pki.NOW - timedelta(days=1)),
    ):
        assert not _accepts(pki.leaf(ca), ca, root=root)
    lower = pki.intermediate(pki.intermediate(root), "Lower CA")
    assert not _accepts(pki.leaf(lower), lower, pki.intermediate(root), root=root)  # pathLen 0 above it


def test_a_cross_sign_has_the_name_and_key_of_what_it_signs() -> None:
    old, new = pki.authority("Old Root"), pki.authority("New Root")
    cross = pki.cross_sign(new, by=old)
    ca = pki.intermediate(new)
    assert cross.certificate.subject == new.certificate.subject
    assert cross.certificate.public_key() == new.certificate.public_key()
    assert _accepts(pki.leaf(ca), ca, cross, root=old)
    assert _accepts(pki.leaf(ca), ca, root=new)


def test_keys_last_for_the_session_and_differ_by_owner() -> None:
    assert pki.key("p256", "a") is pki.key("p256", "a")
    assert pki.key("p256", "a") is not pki.key("p256", "b")
    reissued = pki.authority(not_after=pki.NOW + timedelta(days=9))
    assert reissued.certificate.public_key() == pki.authority().certificate.public_key()
    assert reissued.der != pki.authority().der


def test_pem_der_and_key_belong_together() -> None:
    leaf = pki.leaf()
    assert x509.load_pem_x509_certificate(leaf.pem.encode()) == x509.load_der_x509_certificate(leaf.der)
    assert load_pem_private_key(leaf.key_pem.encode(), None).public_key() == leaf.certificate.public_key()


def test_a_sha1_certificate_says_so_twice_and_keeps_its_contents() -> None:
    ca = pki.intermediate(key_kind="rsa2048")
    weak, strong = pki.leaf(ca, signed_with="sha1"), pki.leaf(ca)
    assert isinstance(weak.certificate.signature_hash_algorithm, hashes.SHA1)
    assert weak.certificate.signature_algorithm_oid == x509.SignatureAlgorithmOID.RSA_WITH_SHA1
    assert weak.certificate.subject == strong.certificate.subject
    assert isinstance(ca.key, rsa.RSAPrivateKey)
    with pytest.raises(ValueError, match="RSA"):
        pki.leaf(pki.intermediate(), signed_with="sha1")


def test_ip_literals_become_ip_names() -> None:
    leaf = pki.leaf(names=("192.0.2.7", "2001:db8::7", "host.test"))
    names = leaf.certificate.extensions.get_extension_for_oid(ExtensionOID.SUBJECT_ALTERNATIVE_NAME).value
    assert isinstance(names, x509.SubjectAlternativeName)
    assert [str(address) for address in names.get_values_for_type(x509.IPAddress)] == ["192.0.2.7", "2001:db8::7"]
    assert names.get_values_for_type(x509.DNSName) == ["host.test"]


@pytest.mark.parametrize("kind", ["rsa2048", "p256", "p384", "p521", "ed25519", "ed448"])
def test_every_kind_of_key_can_sign_and_be_signed(kind: pki.KeyKind) -> None:
    ca = pki.intermediate(key_kind=kind, owner=f"ca {kind}")
    leaf = pki.leaf(ca, key_kind=kind)
    leaf.certificate.verify_directly_issued_by(ca.certificate)
