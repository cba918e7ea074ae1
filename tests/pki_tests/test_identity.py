"""What a client certificate would meet, foreseen; and what a person may hand in as one."""

from __future__ import annotations

import pickle

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, NoEncryption, PrivateFormat
from cryptography.hazmat.primitives.serialization.pkcs12 import serialize_key_and_certificates

from probes.model import CertificateRequest, UsageError
from probes.pki.credential import Credential, read
from probes.pki.identity import accepted_names, predict
from tests.evidence import DAY, root
from tests.pki import CLIENT_AUTH, NOW, SERVER_AUTH, Issued, authority, intermediate, leaf
from tests.rules.identities import client, client_issuer, good, stranger

ROOT_NAME = root().certificate.subject.public_bytes()
ASKS = CertificateRequest(ca_names=(ROOT_NAME,), signature_algorithms=(0x0403, 0x0804))


def ders(chain: tuple[Issued, ...]) -> tuple[bytes, ...]:
    return tuple(each.der for each in chain)


def kinds(chain: tuple[Issued, ...], request: CertificateRequest | None = ASKS, *known: Issued) -> list[str]:
    return [doubt.kind for doubt in predict(ders(chain), request, NOW, ders(known))]


# ── the prediction ──────────────────────────────────────────────────────────────


def test_a_good_certificate_raises_no_doubt() -> None:
    assert kinds(good()) == [] and kinds((*good(), root())) == []


def test_times_are_told_with_their_values() -> None:
    [old] = predict(ders(client(client_issuer(), not_after=NOW - 3 * DAY)), ASKS, NOW)
    assert old.kind == "expired" and "3 days ago" in old.says and f"{NOW - 3 * DAY:%Y-%m-%d}" in old.says
    [early] = predict(ders(client(client_issuer(), not_before=NOW + DAY)), ASKS, NOW)
    assert early.kind == "not-yet-valid" and "1 day from now" in early.says


def test_an_expired_intermediate_of_the_chain_counts() -> None:
    stale = intermediate(root(), "Clients CA", usages=(), not_after=NOW - DAY)
    [doubt] = predict(ders(client(stale, issuer=stale)), ASKS, NOW)
    assert doubt.kind == "expired" and "CN=Clients CA" in doubt.says


def test_a_server_certificate_after_a_renewal_lacks_client_auth() -> None:
    assert kinds(client(client_issuer(), usages=(SERVER_AUTH,))) == ["wrong-usage"]
    assert kinds(client(client_issuer(), usages=(SERVER_AUTH, CLIENT_AUTH))) == []
    assert kinds(client(client_issuer(), usages=())) == []  # no extended key usage restricts nothing


def test_the_usage_of_a_ca_counts_too() -> None:
    for_servers = intermediate(root(), "Servers CA", usages=(SERVER_AUTH,))
    [doubt] = predict(ders(client(for_servers, issuer=for_servers)), ASKS, NOW)
    assert doubt.kind == "wrong-usage" and "Servers CA" in doubt.says


def test_trust_store_drift_names_both_sides() -> None:
    rolled = authority("New Clients Root")
    chain = client(rolled, issuer=rolled)
    [doubt] = predict(ders(chain), ASKS, NOW)
    assert doubt.kind == "unknown-ca"
    assert doubt.says.startswith("the server accepts “CN=Test Root,O=Clienthello Lab”; yours leads to the root")


def test_a_missing_intermediate_is_proved_where_it_is_known() -> None:
    alone = client()
    assert kinds(alone) == ["issuer-not-sent"]
    [doubt] = predict(ders(alone), ASKS, NOW, (client_issuer().der,))
    assert doubt.kind == "missing-intermediate" and "the chain sent lacks the intermediate “CN=Clients CA" in doubt.says


def test_a_root_that_is_known_and_not_accepted_is_no_missing_intermediate() -> None:
    assert kinds(stranger(), ASKS, authority("Strange Root")) == ["unknown-ca"]


def test_an_issuer_of_the_right_name_and_another_key_does_not_lead_anywhere() -> None:
    twin = intermediate(root(), "Clients CA", owner="another key", usages=())
    assert kinds(client(twin)) == ["issuer-not-sent"]


def test_the_issuer_itself_may_be_the_accepted_ca() -> None:
    request = CertificateRequest(ca_names=(client_issuer().certificate.subject.public_bytes(),))
    assert kinds(client(), request) == []


def test_without_names_nothing_is_said_of_the_ca() -> None:
    assert kinds(stranger(), CertificateRequest()) == [] and kinds(stranger(), None) == []
    assert accepted_names(None) == () and accepted_names(ASKS) == ("CN=Test Root,O=Clienthello Lab",)


def test_a_key_that_signs_by_no_accepted_scheme_is_foreseen() -> None:
    rsa_only = CertificateRequest(ca_names=(ROOT_NAME,), signature_algorithms=(0x0804, 0x0401))
    assert kinds(good(), rsa_only) == ["unsupported-signature"]
    assert kinds(client(client_issuer(), key_kind="rsa2048"), rsa_only) == []


def test_bytes_that_are_no_certificate_are_a_doubt_and_no_exception() -> None:
    assert [doubt.kind for doubt in predict((b"\x30\x03abc",), ASKS, NOW)] == ["unreadable"]
    assert [doubt.kind for doubt in predict((), ASKS, NOW)] == ["unreadable"]
    assert predict(ders(good()), CertificateRequest(ca_names=(b"\xff", b"")), NOW)[0].kind


# ── what is handed in ───────────────────────────────────────────────────────────


def pem(*chain: Issued) -> str:
    return "".join(each.pem for each in chain)


def load(certificate: str | bytes, key: str | bytes | None) -> Credential:
    return read("robot", certificate, key, named="the certificate", key_named="the key")


def test_a_chain_and_its_key_come_in_two_texts_or_in_one() -> None:
    chain = good()
    apart = load(pem(*chain), chain[0].key_pem)
    together = load(chain[0].key_pem + pem(*chain), None)
    assert apart == together and apart.chain == ders(chain) and apart.identity.label == "robot"
    assert apart.signer().key.public_key() == chain[0].key.public_key()
    assert pickle.loads(pickle.dumps(apart)) == apart


def test_the_key_is_in_no_repr() -> None:
    credential = load(pem(*good()), good()[0].key_pem)
    assert "key=" not in repr(credential) and credential.key.hex()[40:80] not in repr(credential).encode().hex()


def _locked(issued: Issued) -> str:
    locked = BestAvailableEncryption(b"open sesame")
    return issued.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, locked).decode()


def _legacy_locked(issued: Issued) -> str:
    locked = BestAvailableEncryption(b"open sesame")
    return issued.key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, locked).decode()


def _pkcs12(issued: Issued) -> bytes:
    assert isinstance(issued.key, EllipticCurvePrivateKey)
    return serialize_key_and_certificates(b"robot", issued.key, issued.certificate, None, NoEncryption())


def test_each_mistake_is_told_with_what_would_be_right() -> None:
    leaf_, issuer = good()
    other = leaf(names=("other.test",), owner="other")
    cases: list[tuple[str | bytes, str | bytes | None, str]] = [
        (pem(leaf_), other.key_pem, "is not that of the certificate"),
        (pem(leaf_), None, "holds no private key beside the certificate"),
        (pem(leaf_), _locked(leaf_), "locked with a passphrase"),
        (pem(leaf_), _legacy_locked(leaf_), "locked with a passphrase"),
        (_pkcs12(leaf_), None, "is PKCS #12. It must be PEM: `openssl pkcs12"),
        (leaf_.der, leaf_.key_pem, "is DER. It must be PEM"),
        (b"", leaf_.key_pem, "is empty"),
        (b"hello", leaf_.key_pem, "is not PEM"),
        (pem(leaf_)[:200], leaf_.key_pem, "without its end"),
        ("-----BEGIN CERTIFICATE-----" * 9_000, leaf_.key_pem, "without its end"),  # in one pass, not in one from each
        (leaf_.key_pem, leaf_.key_pem, "holds no certificate"),
        (pem(leaf_), leaf_.key_pem + other.key_pem, "holds 2 private keys"),
        (pem(issuer, leaf_), leaf_.key_pem, "stands at place 2 of 2. It must come first"),
        (
            "-----BEGIN CERTIFICATE-----\nAAAAA\n-----END CERTIFICATE-----\n",
            leaf_.key_pem,
            "the base64 of certificate 1 is broken",
        ),
        (pem(leaf_), "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", "private key cannot be read"),
        (
            pem(leaf_),
            "-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n-----END OPENSSH PRIVATE KEY-----\n",
            "a key for SSH",
        ),
        (
            "-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n-----END CERTIFICATE REQUEST-----\n",
            leaf_.key_pem,
            "A request has to be signed",
        ),
        (b"A" * 300_000, leaf_.key_pem, "300,000 bytes"),
    ]
    for certificate, key, said in cases:
        with pytest.raises(UsageError) as raised:
            load(certificate, key)
        assert said in str(raised.value), (said, str(raised.value))
        assert leaf_.key_pem[60:100] not in str(raised.value)


def test_a_chain_out_of_order_is_told_with_the_right_order() -> None:
    upper = intermediate(root(), "Clients Policy", usages=(), path_length=None)
    lower = intermediate(upper, "Clients CA", usages=())
    made = client(issuer=lower)[0]
    with pytest.raises(UsageError, match=r"out of order. After .*CN=client.* must come its issuer, .*CN=Clients CA"):
        load(pem(made, upper, lower), made.key_pem)
    assert len(load(pem(made, lower, upper), made.key_pem).chain) == 3
