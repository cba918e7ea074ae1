"""TLS 1.3 against OpenSSL: every suite and group it has, HelloRetryRequest, client certificates, alerts, tickets."""

from __future__ import annotations

from dataclasses import replace

import pytest
from OpenSSL import SSL

from probes.wire import events, registry
from probes.wire.client import ClientIdentity
from probes.wire.hello import Hello
from probes.wire.registry import TLS13, Group
from tests import pki
from tests.wire.oracle import STAPLE, Talk, context, talk

HELLO = Hello(server_name="a.test", alpn=("h2", "http/1.1"), key_shares=(Group.X25519,))
SUITES = (0x1301, 0x1302, 0x1303, 0x1304, 0x1305)
GROUPS = (
    0x001F,
    0x0020,
    0x0021,
    Group.FFDHE4096,
    Group.X25519,
    Group.X448,
    Group.SECP256R1,
    Group.SECP384R1,
    Group.SECP521R1,
    Group.FFDHE2048,
    Group.FFDHE3072,
    Group.X25519MLKEM768,
    Group.SECP256R1MLKEM768,
    Group.SECP384R1MLKEM1024,
)


def assert_healthy(made: Talk) -> None:
    assert made.server_error is None
    assert made.only(events.SignatureChecked).ok
    assert made.only(events.ServerFinishedSeen).ok
    assert made.client.complete
    assert not made.all(events.Violation)
    assert not made.all(events.Unsupported)
    assert not made.all(events.Malformed)


def said(connection: SSL.Connection) -> bytes:
    return connection.recv(1 << 16)


@pytest.mark.parametrize("suite", SUITES, ids=registry.cipher_name)
def test_every_suite_completes_and_carries_data_both_ways(suite: int) -> None:
    made = talk(context(suites=registry.cipher_name(suite), ciphers="ALL:@SECLEVEL=0"), replace(HELLO, ciphers=SUITES))
    assert_healthy(made)
    assert made.only(events.HandshakeComplete).cipher == suite
    assert set(made.keylog) == set(made.server_keylog)
    made.client.send_application(b"ping" * 6000)
    made.server.bio_write(made.client.outgoing())
    assert said(made.server) + said(made.server) == b"ping" * 6000
    made.server.send(b"pong")
    made.pump()
    assert made.only(events.ApplicationData).data == b"pong"


@pytest.mark.parametrize("group", GROUPS, ids=registry.group_name)
def test_every_group_agrees_with_and_without_a_retry(group: int) -> None:
    server = registry.group_name(group)
    direct = talk(context(groups=server), replace(HELLO, groups=(group,), key_shares=(group,)))
    assert_healthy(direct)
    assert direct.only(events.HandshakeComplete).group == group
    retried = talk(context(groups=server), replace(HELLO, groups=(group,), key_shares=()))
    assert_healthy(retried)
    first, second = retried.all(events.ServerHelloSeen)
    assert first.is_retry
    assert first.group == group
    assert not second.is_retry
    assert set(retried.keylog) == set(retried.server_keylog)


@pytest.mark.parametrize("kind", ["p256", "p384", "p521", "rsa2048", "ed25519", "ed448"])
def test_the_servers_signature_is_checked_for_every_kind_of_key(kind: pki.KeyKind) -> None:
    leaf = pki.leaf(pki.authority(), names=("a.test",), key_kind=kind, owner=kind)
    made = talk(context(leaf), HELLO)
    assert_healthy(made)
    assert made.only(events.CertificateSeen).chain[0] == leaf.der


def test_the_encrypted_flight_is_read() -> None:
    root = pki.authority()
    ca = pki.intermediate(root)
    leaf = pki.leaf(ca, names=("a.test",))
    made = talk(context(leaf, chain=(ca,), alpn=(b"h2",), staple=STAPLE, demands=root), HELLO)
    assert_healthy(made)
    assert made.only(events.CertificateSeen).chain == (leaf.der, ca.der)
    assert made.only(events.CertificateSeen).staple == STAPLE
    assert made.only(events.StapleSeen).response == STAPLE
    assert made.only(events.EncryptedExtensionsSeen).alpn == "h2"
    assert made.only(events.HandshakeComplete).alpn == "h2"
    asked = made.only(events.CertificateRequestSeen)
    assert asked.ca_names == (root.certificate.subject.public_bytes(),)
    assert 0x0403 in asked.signature_algorithms
    assert not made.only(events.HandshakeComplete).client_certificate_sent


def test_tickets_are_seen_with_the_secret_that_resumes() -> None:
    made = talk(context(), HELLO)
    tickets = made.all(events.TicketSeen)
    assert len(tickets) == 2
    assert all(ticket.lifetime_s > 0 and ticket.ticket and len(ticket.secret) == 32 for ticket in tickets)
    assert tickets[0].secret != tickets[1].secret


@pytest.mark.parametrize("kind", ["p256", "p384", "rsa2048", "ed25519", "ed448"])
def test_a_client_certificate_is_accepted(kind: pki.KeyKind) -> None:
    root = pki.authority()
    ours = pki.leaf(root, subject="client", usages=(pki.CLIENT_AUTH,), key_kind=kind, owner=f"client {kind}")
    server = context(demands=root, demand_mode=SSL.VERIFY_PEER | SSL.VERIFY_FAIL_IF_NO_PEER_CERT)
    made = talk(server, HELLO, identity=ClientIdentity(chain=(ours.der,), key=ours.key))
    assert_healthy(made)
    assert made.only(events.HandshakeComplete).client_certificate_sent
    peer = made.server.get_peer_certificate(as_cryptography=True)
    assert peer == ours.certificate


def test_a_missing_client_certificate_is_an_encrypted_alert_after_the_handshake() -> None:
    root = pki.authority()
    made = talk(context(demands=root, demand_mode=SSL.VERIFY_PEER | SSL.VERIFY_FAIL_IF_NO_PEER_CERT), HELLO)
    alert = made.only(events.AlertSeen)
    assert (alert.code, alert.name, alert.level) == (116, "certificate_required", "fatal")
    assert alert.encrypted
    assert alert.stage == "application_data"
    assert isinstance(made.events[-1], events.AlertSeen)


def test_a_stranger_among_client_certificates_is_an_unknown_ca() -> None:
    root, other = pki.authority(), pki.authority("Another Root")
    ours = pki.leaf(other, subject="client", usages=(pki.CLIENT_AUTH,))
    server = context(demands=root, demand_mode=SSL.VERIFY_PEER | SSL.VERIFY_FAIL_IF_NO_PEER_CERT)
    made = talk(server, HELLO, identity=ClientIdentity(chain=(ours.der,), key=ours.key))
    assert made.only(events.AlertSeen).name == "unknown_ca"


def test_refusals_are_alerts_in_the_clear() -> None:
    made = talk(context(version=SSL.TLS1_3_VERSION), Hello(versions=(), server_name="a.test"))
    alert = made.only(events.AlertSeen)
    assert (alert.code, alert.encrypted, alert.stage) == (70, False, "server_hello")
    assert made.client.done
    refused = talk(context(suites="TLS_AES_128_GCM_SHA256"), replace(HELLO, ciphers=(0x1302,)))
    assert refused.only(events.AlertSeen).name == "handshake_failure"


def test_close_notify_makes_the_end_clean() -> None:
    made = talk(context(), HELLO)
    made.server.shutdown()
    made.pump()
    (closed,) = made.client.eof()
    assert isinstance(closed, events.PeerClosed)
    assert closed.clean
    assert closed.stage == "application_data"
    made.client.close()
    made.server.bio_write(made.client.outgoing())
    with pytest.raises(SSL.ZeroReturnError):
        made.server.recv(1)


def test_stopping_early_computes_and_sends_nothing_more() -> None:
    hello_only = talk(context(), HELLO, stop_after="server_hello")
    assert [type(event) for event in hello_only.events] == [events.ServerHelloSeen]
    assert hello_only.only(events.ServerHelloSeen).version == TLS13
    assert not hello_only.keylog
    chain_only = talk(context(), HELLO, stop_after="certificate")
    assert isinstance(chain_only.events[-1], events.CertificateSeen)
    assert chain_only.client.done
    assert not chain_only.client.complete


def test_grease_changes_nothing_for_a_healthy_server() -> None:
    assert_healthy(talk(context(), replace(HELLO, grease=True, padded_to=1700)))


def test_an_unknown_suite_or_group_is_unsupported_not_an_error() -> None:
    # OpenSSL knows ffdhe2048 and so do we; without our share and without the group offered it must refuse.
    made = talk(context(), replace(HELLO, groups=(0x0200,), key_shares=()))
    assert made.only(events.AlertSeen).name in ("handshake_failure", "missing_extension")
