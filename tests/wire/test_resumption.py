"""Sessions offered again, against OpenSSL: ids, tickets, pre-shared keys with and without a retry, early data."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from OpenSSL import SSL

from probes.observed import Session
from probes.wire import events, registry
from probes.wire.client import ClientHandshake, Resumption
from probes.wire.hello import Hello, build, draw_secrets, parse_client_hello
from probes.wire.octets import UnsupportedError
from probes.wire.registry import TLS12, TLS13, Ext, Group
from probes.wire.resumption import offering
from tests.wire.oracle import TLS12_ONLY, Talk, context, replay, talk

HELLO = Hello(server_name="a.test", alpn=("h2", "http/1.1"), groups=(Group.X25519,), key_shares=(Group.X25519,))
SUITES13 = (0x1301, 0x1302, 0x1303)
SUITES12 = (0xC02B, 0xC02C, 0xCCA9, 0xC009, 0xC00A)
EARLY = b"GET / HTTP/1.1\r\nHost: a.test\r\n\r\n"


def session13(made: Talk, which: int = 0) -> Session:
    ticket = made.all(events.TicketSeen)[which]
    return Session(
        version=TLS13,
        cipher=made.only(events.HandshakeComplete).cipher,
        ticket=ticket.ticket,
        secret=ticket.secret,
        lifetime_s=ticket.lifetime_s,
        age_add=ticket.message.age_add,
        max_early_data=ticket.max_early_data or 0,
    )


def session12(made: Talk) -> Session:
    left = made.only(events.SessionSeen)
    tickets = made.all(events.TicketSeen)
    return Session(
        version=made.only(events.HandshakeComplete).version,
        cipher=made.only(events.HandshakeComplete).cipher,
        session_id=left.session_id,
        ticket=tickets[0].ticket if tickets else b"",
        secret=left.secret,
        extended_master_secret=left.extended_master_secret,
    )


def again(session: Session, **rest: object) -> Resumption:
    return Resumption(session=session, **rest)  # type: ignore[arg-type]


def assert_resumed(made: Talk) -> None:
    assert made.server_error is None
    assert made.client.complete and made.only(events.ServerFinishedSeen).ok
    made.only(events.Resumed)
    assert not made.all(events.CertificateSeen)
    assert not made.all(events.Violation)
    assert not made.all(events.Malformed)
    assert SSL._lib.SSL_session_reused(made.server._ssl) == 1  # type: ignore[attr-defined]
    # Nobody here asks for exporters, and a debugger needs none of their secrets before the handshake is through.
    assert set(made.keylog) == {line for line in made.server_keylog if not line.startswith("EARLY_EXPORTER")}
    assert_talks(made)


def assert_full(made: Talk) -> None:
    assert made.server_error is None
    assert made.client.complete and made.only(events.ServerFinishedSeen).ok
    assert made.all(events.CertificateSeen) and not made.all(events.Resumed)
    assert not made.all(events.Violation)
    assert_talks(made)


def assert_talks(made: Talk) -> None:
    made.client.send_application(b"ping")
    made.server.bio_write(made.client.outgoing())
    assert made.server.recv(100) == b"ping"
    made.server.send(b"pong")
    made.pump()
    assert made.only(events.ApplicationData).data == b"pong"


# TLS 1.3 ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("suite", SUITES13, ids=registry.cipher_name)
def test_a_ticket_resumes_with_every_suite(suite: int) -> None:
    server = context(suites=registry.cipher_name(suite))
    first = talk(server, HELLO)
    assert len(first.all(events.TicketSeen)) == 2
    assert_resumed(talk(server, HELLO, resumption=again(session13(first))))
    assert_resumed(talk(server, HELLO, resumption=again(session13(first, 1), age_ms=70)))


@pytest.mark.parametrize("key_shares", [(), (Group.SECP256R1,)], ids=["empty", "another"])
def test_a_ticket_resumes_over_a_retry(key_shares: tuple[int, ...]) -> None:
    server = context(groups="X25519")
    first = talk(server, HELLO)
    hello = replace(HELLO, groups=(Group.SECP256R1, Group.X25519), key_shares=key_shares)
    made = talk(server, hello, resumption=again(session13(first)))
    assert [event.is_retry for event in made.all(events.ServerHelloSeen)] == [True, False]
    assert_resumed(made)


def test_a_retry_whose_hash_is_not_the_session_s_takes_the_key_out() -> None:
    """RFC 8446 section 4.1.2: the second hello offers only keys that fit the suite of the retry."""
    first = talk(context(suites="TLS_AES_128_GCM_SHA256"), HELLO)
    other = context(suites="TLS_AES_256_GCM_SHA384", groups="X25519")
    made = talk(other, replace(HELLO, key_shares=()), resumption=again(session13(first)))
    assert_full(made)


def test_a_key_stands_behind_the_padding() -> None:
    server = context()
    hello = replace(HELLO, padded_to=1700)
    first = talk(server, hello)
    made = talk(server, hello, resumption=again(session13(first)))
    assert_resumed(made)
    message = build(offering(hello, again(session13(first))), made.secrets)
    assert len(message) == 1700
    kinds = [kind for kind, _ in parse_client_hello(message).extensions or ()]
    assert kinds[-2:] == [Ext.PADDING, Ext.PRE_SHARED_KEY]


def test_a_resumed_connection_leaves_tickets_that_resume() -> None:
    server = context()
    second = talk(server, HELLO, resumption=again(session13(talk(server, HELLO))))
    assert_resumed(talk(server, HELLO, resumption=again(session13(second))))


@pytest.mark.parametrize("hello", [HELLO, TLS12_ONLY], ids=["1.3", "1.2"])
def test_another_server_s_ticket_leads_to_a_full_handshake(hello: Hello) -> None:
    first = talk(context(), hello)
    session = session13(first) if hello is HELLO else session12(first)
    assert_full(talk(context(), hello, resumption=again(session)))


def test_a_stateful_ticket_is_a_handle_that_resumes() -> None:
    server = context(tickets=False)
    first = talk(server, HELLO)
    assert len(session13(first).ticket) == 32
    assert_resumed(talk(server, HELLO, resumption=again(session13(first))))


def test_a_wrong_secret_is_refused_for_its_binder() -> None:
    """RFC 8446 section 4.2.11: a binder that does not validate ends the handshake."""
    server = context()
    session = replace(session13(talk(server, HELLO)), secret=bytes(48))
    made = talk(server, HELLO, resumption=again(session))
    assert made.server_error is not None
    assert not made.client.complete


# early data ---------------------------------------------------------------------------------------------------------


def test_early_data_is_accepted_and_read_before_the_handshake_is_through() -> None:
    server = context(max_early_data=16384, alpn=(b"http/1.1",))
    first = talk(server, HELLO, early=True)
    session = session13(first)
    assert session.max_early_data == 16384
    made = talk(server, HELLO, resumption=again(session, early_data=EARLY), early=True)
    assert made.early == EARLY
    assert made.only(events.EncryptedExtensionsSeen).message.early_data
    assert any(line.startswith("CLIENT_EARLY_TRAFFIC_SECRET ") for line in made.keylog)
    assert_resumed(made)


def test_early_data_that_is_refused_is_skipped_and_the_session_resumes() -> None:
    server = context(max_early_data=16384)
    session = session13(talk(server, HELLO, early=True))
    made = talk(server, replace(HELLO, alpn=()), resumption=again(session, early_data=EARLY))
    assert not made.only(events.EncryptedExtensionsSeen).message.early_data
    made.keylog = [line for line in made.keylog if "EARLY" not in line]
    assert_resumed(made)


def test_early_data_before_a_retry_is_refused() -> None:
    server = context(max_early_data=16384, anti_replay=False)
    session = session13(talk(server, HELLO, early=True))
    made = talk(server, replace(HELLO, key_shares=()), resumption=again(session, early_data=EARLY), early=True)
    assert made.early == b""
    assert not made.only(events.EncryptedExtensionsSeen).message.early_data
    made.keylog = [line for line in made.keylog if "EARLY" not in line]
    assert_resumed(made)


def test_a_ticket_that_serves_once_is_spent_by_the_hello_before_a_retry() -> None:
    """OpenSSL's guard against replays forgets the session at the first hello: it resumes without a retry only."""
    server = context(max_early_data=16384)
    session = session13(talk(server, HELLO, early=True))
    assert_full(talk(server, replace(HELLO, key_shares=()), resumption=again(session), early=True))
    assert_full(talk(server, HELLO, resumption=again(session), early=True))


def test_early_data_with_a_refused_ticket_still_completes() -> None:
    session = session13(talk(context(max_early_data=16384), HELLO, early=True))
    made = talk(context(max_early_data=16384), HELLO, resumption=again(session, early_data=EARLY), early=True)
    assert made.early == b""
    made.keylog = []
    assert_full(made)


# TLS 1.2 and before -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("tickets", [True, False], ids=["ticket", "session id"])
@pytest.mark.parametrize("suite", SUITES12, ids=registry.cipher_name)
def test_every_kind_of_suite_resumes(suite: int, *, tickets: bool) -> None:
    server = context(version=SSL.TLS1_2_VERSION, ciphers="ALL:@SECLEVEL=0", tickets=tickets)
    hello = replace(TLS12_ONLY, ciphers=(suite,))
    first = talk(server, hello)
    session = session12(first)
    assert bool(session.ticket) == tickets and bool(session.session_id) != tickets
    assert session.extended_master_secret
    assert_resumed(talk(server, hello, resumption=again(session)))


@pytest.mark.parametrize("version", [0x0301, 0x0302])
def test_old_versions_resume(version: int) -> None:
    server = context(version=version, ciphers="ALL:@SECLEVEL=0")
    hello = replace(TLS12_ONLY, legacy_version=version, signature_algorithms=())
    assert_resumed(talk(server, hello, resumption=again(session12(talk(server, hello)))))


def test_a_session_without_extended_master_secret_resumes_without_it() -> None:
    server = context(version=SSL.TLS1_2_VERSION)
    hello = replace(TLS12_ONLY, extended_master_secret=False)
    session = session12(talk(server, hello))
    assert not session.extended_master_secret
    assert_resumed(talk(server, hello, resumption=again(session)))
    # RFC 7627 section 5.3: offered with the extension, such a session must not be taken up.
    assert_full(talk(server, TLS12_ONLY, resumption=again(session)))


def test_a_resumed_session_without_the_secret_s_own_kind_is_told() -> None:
    server = context(version=SSL.TLS1_2_VERSION)
    session = replace(session12(talk(server, TLS12_ONLY)), extended_master_secret=False)
    made = talk(server, TLS12_ONLY, resumption=again(session))
    assert "master secret" in made.only(events.Violation).why


def test_a_wrong_master_secret_does_not_open_the_server_s_finished() -> None:
    server = context(version=SSL.TLS1_2_VERSION)
    session = replace(session12(talk(server, TLS12_ONLY)), secret=bytes(48))
    made = talk(server, TLS12_ONLY, resumption=again(session))
    assert made.all(events.Resumed)
    assert made.all(events.Malformed)


def test_a_session_id_that_was_forgotten_leads_to_a_full_handshake() -> None:
    session = session12(talk(context(version=SSL.TLS1_2_VERSION, tickets=False), TLS12_ONLY))
    assert_full(talk(context(version=SSL.TLS1_2_VERSION, tickets=False), TLS12_ONLY, resumption=again(session)))


def test_a_server_without_a_session_context_that_asks_for_certificates_breaks_resumption() -> None:
    """OpenSSL's own trap, and the commonest cause of resumption.broken."""
    from tests import pki

    ca = pki.authority()
    server = context(demands=ca, session_context=b"")
    session = session13(talk(server, HELLO))
    made = talk(server, HELLO, resumption=again(session))
    assert not made.client.complete and made.all(events.AlertSeen)


# no I/O: whatever the bytes -----------------------------------------------------------------------------------------


def test_a_session_of_an_unknown_suite_is_unsupported() -> None:
    session = Session(version=TLS13, cipher=0x13FF, ticket=b"x", secret=bytes(32))
    with pytest.raises(UnsupportedError):
        ClientHandshake(HELLO, draw_secrets(HELLO, bytes), resumption=again(session))


@given(
    ticket=st.binary(min_size=1, max_size=600),
    secret=st.sampled_from([(0x1301, 32), (0x1302, 48), (0x1303, 32)]),
    age_ms=st.integers(0, 1 << 40),
    age_add=st.integers(0, (1 << 32) - 1),
    early=st.binary(max_size=40),
)
@settings(deadline=None)
def test_any_session_makes_a_hello_that_reads_back(
    ticket: bytes, secret: tuple[int, int], age_ms: int, age_add: int, early: bytes
) -> None:
    session = Session(version=TLS13, cipher=secret[0], ticket=ticket, secret=bytes(secret[1]), age_add=age_add)
    resumption = Resumption(session=session, age_ms=age_ms, early_data=early)
    client = ClientHandshake(HELLO, draw_secrets(HELLO, bytes), resumption=resumption)
    sent = client.start()
    size = int.from_bytes(sent[3:5], "big")
    read = parse_client_hello(sent[5 : 5 + size])
    extensions = dict(read.extensions or ())
    body = extensions[Ext.PRE_SHARED_KEY]
    assert body[4 : 4 + len(ticket)] == ticket
    assert int.from_bytes(body[4 + len(ticket) : 8 + len(ticket)], "big") == (age_ms + age_add) % (1 << 32)
    assert body[-secret[1] :] != bytes(secret[1])
    assert (Ext.EARLY_DATA in extensions) == bool(early) == (len(sent) > 5 + size)


@given(ticket=st.binary(max_size=200), session_id=st.binary(max_size=32), tail=st.binary(max_size=300))
@settings(deadline=None)
def test_whatever_a_server_answers_to_a_session_of_tls12_raises_nothing(
    ticket: bytes, session_id: bytes, tail: bytes
) -> None:
    session = Session(version=TLS12, cipher=0xC02B, ticket=ticket, session_id=session_id, secret=bytes(48))
    client = ClientHandshake(TLS12_ONLY, draw_secrets(TLS12_ONLY, bytes), resumption=again(session))
    client.start()
    echoed = offering(TLS12_ONLY, again(session)).session_id or b""
    body = b"\x03\x03" + bytes(32) + bytes((len(echoed),)) + echoed + b"\xc0\x2b\x00"
    hello = b"\x02" + len(body).to_bytes(3, "big") + body
    client.receive(b"\x16\x03\x03" + len(hello).to_bytes(2, "big") + hello + tail)
    client.eof()


def test_cutting_the_stream_changes_nothing() -> None:
    server = context()
    session = session13(talk(server, HELLO))
    made = talk(server, HELLO, resumption=again(session))
    whole = replay(made, [made.received], resumption=again(session))
    pieces = [made.received[at : at + 7] for at in range(0, len(made.received), 7)]
    assert replay(made, pieces, resumption=again(session)) == whole
    assert any(isinstance(event, events.Resumed) for event in whole)
