"""TLS 1.0 to 1.2 against OpenSSL: key exchanges, protections, versions, client certificates."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from OpenSSL import SSL

from probes.wire import events, registry
from probes.wire.client import ClientIdentity
from probes.wire.hello import Hello
from probes.wire.registry import TLS10, TLS11, TLS12
from probes.wire.suites import by_name
from tests import pki
from tests.wire.oracle import STAPLE, TLS12_ONLY, Talk, context, talk, with_dh

VERSIONS = {TLS10: SSL.TLS1_VERSION, TLS11: SSL.TLS1_1_VERSION, TLS12: SSL.TLS1_2_VERSION}
MODERN = (
    "ECDHE-RSA-AES128-GCM-SHA256",
    "ECDHE-RSA-AES256-GCM-SHA384",
    "ECDHE-ECDSA-CHACHA20-POLY1305",
    "ECDHE-ECDSA-AES128-CCM",
    "ECDHE-ECDSA-AES256-CCM8",
    "ECDHE-RSA-AES128-SHA256",
    "ECDHE-RSA-AES256-SHA384",
    "ECDHE-ECDSA-AES256-SHA",
    "ECDHE-RSA-CAMELLIA128-SHA256",
    "DHE-RSA-AES256-GCM-SHA384",
    "DHE-RSA-CHACHA20-POLY1305",
    "DHE-RSA-AES128-SHA",
    "AES128-GCM-SHA256",
    "AES256-SHA256",
    "AES128-SHA",
    "CAMELLIA256-SHA",
    "ADH-AES128-GCM-SHA256",
    "AECDH-AES128-SHA",
    "ECDHE-RSA-NULL-SHA",
    "NULL-SHA256",
)


def issued_for(name: str) -> pki.Issued:
    kind: pki.KeyKind = "p256" if "ECDSA" in name else "rsa2048"
    return pki.leaf(pki.authority(), names=("a.test",), key_kind=kind, owner=kind)


def assert_healthy(made: Talk) -> None:
    assert made.server_error is None
    assert all(event.ok for event in made.all(events.SignatureChecked))
    assert made.only(events.ServerFinishedSeen).ok
    assert made.only(events.HandshakeComplete)
    assert not made.all(events.Violation)
    assert not made.all(events.Malformed)


def assert_carries_data(made: Talk) -> None:
    made.client.send_application(b"ping" * 6000)
    made.server.bio_write(made.client.outgoing())
    assert made.server.recv(1 << 16) + made.server.recv(1 << 16) == b"ping" * 6000
    made.server.send(b"pong")
    made.server.send(b"pong again")
    made.pump()
    assert b"".join(event.data for event in made.all(events.ApplicationData)) == b"pongpong again"


@pytest.mark.parametrize("etm", [True, False], ids=["etm", "mte"])
@pytest.mark.parametrize("name", MODERN)
def test_every_kind_of_suite_completes_and_carries_data(name: str, etm: bool, tmp_path: Path) -> None:
    suite = by_name()[name]
    server = with_dh(context(issued_for(name), version=SSL.TLS1_2_VERSION, ciphers=f"{name}:@SECLEVEL=0"), tmp_path)
    made = talk(server, replace(TLS12_ONLY, ciphers=(suite.code,), encrypt_then_mac=etm))
    assert_healthy(made)
    assert made.only(events.HandshakeComplete).cipher == suite.code
    assert len(made.all(events.SignatureChecked)) == (suite.kex != "RSA" and suite.auth != "anon")
    assert set(made.keylog) == set(made.server_keylog)
    assert_carries_data(made)


@pytest.mark.parametrize("ems", [True, False], ids=["ems", "classic"])
@pytest.mark.parametrize("name", ["ECDHE-RSA-AES128-SHA", "ECDHE-ECDSA-AES256-SHA", "AES128-SHA", "DHE-RSA-AES128-SHA"])
@pytest.mark.parametrize("version", [TLS10, TLS11], ids=registry.version_name)
def test_the_old_versions_complete(version: int, name: str, ems: bool, tmp_path: Path) -> None:
    server = with_dh(context(issued_for(name), version=VERSIONS[version], ciphers=f"{name}:@SECLEVEL=0"), tmp_path)
    hello = replace(TLS12_ONLY, legacy_version=version, ciphers=(by_name()[name].code,), extended_master_secret=ems)
    made = talk(server, hello)
    assert_healthy(made)
    assert made.only(events.ServerHelloSeen).version == version
    assert_carries_data(made)


def test_a_hello_without_extensions_gets_an_answer() -> None:
    server = context(issued_for("RSA"), version=SSL.TLS1_VERSION, ciphers="AES128-SHA:@SECLEVEL=0")
    made = talk(server, Hello(extensions=False, legacy_version=TLS10, ciphers=(0x002F,)))
    assert_healthy(made)
    assert made.only(events.ServerHelloSeen).message.extensions == ()


GROUPS = {
    0x0017: "P-256",
    0x0018: "P-384",
    0x0019: "P-521",
    0x001A: "brainpoolP256r1",
    0x001B: "brainpoolP384r1",
    0x001C: "brainpoolP512r1",
    0x001D: "X25519",
    0x001E: "X448",
}


@pytest.mark.parametrize("group", GROUPS, ids=registry.group_name)
def test_every_curve_agrees(group: int) -> None:
    server = context(issued_for("RSA"), version=SSL.TLS1_2_VERSION, ciphers="ECDHE:@SECLEVEL=0", groups=GROUPS[group])
    made = talk(server, replace(TLS12_ONLY, groups=(group,)))
    assert_healthy(made)
    assert made.only(events.ServerKeyExchangeSeen).group == group


def test_the_size_of_a_dhe_group_is_told(tmp_path: Path) -> None:
    server = with_dh(context(issued_for("RSA"), ciphers="DHE-RSA-AES128-GCM-SHA256"), tmp_path)
    made = talk(server, replace(TLS12_ONLY, ciphers=(0x009E,)))
    assert made.only(events.ServerKeyExchangeSeen).bits == 2048
    assert made.only(events.ServerKeyExchangeSeen).group is None


def test_the_flight_in_the_clear_is_read() -> None:
    root = pki.authority()
    ca = pki.intermediate(root)
    leaf = pki.leaf(ca, names=("a.test",))
    server = context(leaf, version=SSL.TLS1_2_VERSION, chain=(ca,), alpn=(b"h2",), staple=STAPLE, demands=root)
    made = talk(server, replace(TLS12_ONLY, alpn=("h2",)), stop_after="certificate")
    assert made.only(events.CertificateSeen).chain == (leaf.der, ca.der)
    assert made.only(events.StapleSeen).response == STAPLE
    assert made.only(events.ServerHelloSeen).alpn == "h2"
    assert made.only(events.CertificateRequestSeen).ca_names == (root.certificate.subject.public_bytes(),)
    assert made.client.done
    assert not made.all(events.SignatureChecked)


@pytest.mark.parametrize("kind", ["p256", "rsa2048", "ed25519"])
@pytest.mark.parametrize("version", [TLS10, TLS11, TLS12], ids=registry.version_name)
def test_a_client_certificate_is_accepted(version: int, kind: pki.KeyKind) -> None:
    if version < TLS12 and kind == "ed25519":
        pytest.skip("no Ed25519 before TLS 1.2")
    root = pki.authority()
    ours = pki.leaf(root, subject="client", usages=(pki.CLIENT_AUTH,), key_kind=kind, owner=f"client {kind}")
    mode = SSL.VERIFY_PEER | SSL.VERIFY_FAIL_IF_NO_PEER_CERT
    server = context(version=VERSIONS[version], ciphers="ECDHE:@SECLEVEL=0", demands=root, demand_mode=mode)
    hello = replace(TLS12_ONLY, legacy_version=version)
    made = talk(server, hello, identity=ClientIdentity(chain=(ours.der,), key=ours.key))
    assert_healthy(made)
    assert made.only(events.HandshakeComplete).client_certificate_sent
    assert made.server.get_peer_certificate(as_cryptography=True) == ours.certificate


def test_without_a_client_certificate_the_server_alerts() -> None:
    mode = SSL.VERIFY_PEER | SSL.VERIFY_FAIL_IF_NO_PEER_CERT
    server = context(version=SSL.TLS1_2_VERSION, demands=pki.authority(), demand_mode=mode)
    made = talk(server, TLS12_ONLY)
    alert = made.only(events.AlertSeen)
    assert (alert.code, alert.level, alert.encrypted, alert.stage) == (40, "fatal", False, "change_cipher_spec")
    assert made.only(events.CertificateRequestSeen)


def test_a_ticket_comes_with_the_master_secret() -> None:
    made = talk(context(version=SSL.TLS1_2_VERSION), TLS12_ONLY)
    ticket = made.only(events.TicketSeen)
    assert ticket.ticket
    assert f"CLIENT_RANDOM {made.secrets.random.hex()} {ticket.secret.hex()}" in made.server_keylog


def test_a_suite_without_implementation_is_told_after_all_that_can_be_read() -> None:
    server = context(issued_for("RSA"), version=SSL.TLS1_2_VERSION, ciphers="ARIA128-GCM-SHA256:@SECLEVEL=0")
    made = talk(server, replace(TLS12_ONLY, ciphers=(0xC050,)))
    assert made.only(events.CertificateSeen).chain
    told = made.only(events.Unsupported)
    assert told.fatal
    assert "ARIA" in told.why
    assert made.client.done


def test_a_downgrade_marker_is_a_violation_only_when_more_was_offered() -> None:
    server = context(version=SSL.TLS1_1_VERSION, ciphers="ECDHE:@SECLEVEL=0")
    made = talk(server, replace(TLS12_ONLY, legacy_version=TLS11))
    assert not made.all(events.Violation)
