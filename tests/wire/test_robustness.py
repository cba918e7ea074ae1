"""Whatever bytes come, in whatever pieces: only events, always the same ones."""

from __future__ import annotations

import random
import tempfile
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from OpenSSL import SSL

from probes.wire import events
from probes.wire.exchange import StopAfter
from probes.wire.hello import Hello, draw_secrets
from probes.wire.keyshare import generate
from probes.wire.messages import HandshakeReader
from probes.wire.octets import WireError
from probes.wire.records import RecordReader
from probes.wire.registry import Group
from tests import pki
from tests.wire.oracle import STAPLE, TLS12_ONLY, Talk, context, cut, replay, talk, with_dh

HELLO13 = Hello(server_name="a.test", key_shares=(Group.X25519,), groups=(Group.X25519, Group.SECP256R1))
KINDS = ("tls13", "retry", "tls12", "tls12-dhe", "tls10", "refused")
MODES: tuple[StopAfter, ...] = ("server_hello", "certificate", "finished")


def sevens(count: int) -> bytes:
    """Entropy that is the same in every replay."""
    return b"\x07" * count


@cache
def recorded(kind: str) -> Talk:
    """A conversation that replays: all keys of ours are fixed in its secrets."""
    rsa = pki.leaf(pki.authority(), names=("a.test",), key_kind="rsa2048", owner="rsa2048")
    shares = {group: generate(group, sevens) for group in (Group.X25519, Group.SECP256R1)}
    match kind:
        case "tls13":
            server, hello = context(demands=pki.authority(), staple=STAPLE), HELLO13
        case "retry":
            server, hello = context(groups="P-256"), HELLO13
        case "tls12":
            server, hello = context(version=SSL.TLS1_2_VERSION, demands=pki.authority(), staple=STAPLE), TLS12_ONLY
        case "tls12-dhe":
            server, hello = context(rsa, ciphers="DHE-RSA-AES128-SHA:@SECLEVEL=0"), replace(TLS12_ONLY, ciphers=(0x33,))
            with tempfile.TemporaryDirectory() as directory:
                with_dh(server, Path(directory))
        case "tls10":
            server = context(version=SSL.TLS1_VERSION, ciphers="ECDHE:@SECLEVEL=0")
            hello = replace(TLS12_ONLY, legacy_version=0x0301)
        case _:
            server, hello = context(version=SSL.TLS1_3_VERSION), TLS12_ONLY
    secrets = replace(draw_secrets(hello, sevens), shares=shares)
    return talk(server, hello, secrets=secrets, entropy=sevens)


@pytest.mark.parametrize("kind", KINDS)
def test_a_replay_tells_what_was_told(kind: str) -> None:
    made = recorded(kind)
    assert replay(made, [made.received])[:-1] == made.events
    assert not made.all(events.Malformed)
    assert bool(made.all(events.HandshakeComplete)) == (kind != "refused")


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("kind", KINDS)
def test_octet_by_octet_tells_the_same(kind: str, mode: StopAfter) -> None:
    made = recorded(kind)
    whole = replay(made, [made.received], stop_after=mode)
    single = [made.received[at : at + 1] for at in range(len(made.received))]
    assert replay(made, single, stop_after=mode) == whole


@settings(max_examples=40, deadline=None)
@given(st.sampled_from(KINDS), st.lists(st.integers(1, 4000), max_size=8))
def test_cutting_anywhere_tells_the_same(kind: str, places: list[int]) -> None:
    made = recorded(kind)
    assert replay(made, cut(made.received, places)) == replay(made, [made.received])


@pytest.mark.parametrize("kind", KINDS)
def test_every_truncation_names_what_was_awaited(kind: str) -> None:
    made = recorded(kind)
    told = [event for event in replay(made, [made.received]) if not isinstance(event, events.PeerClosed)]
    for length in range(0, len(made.received), 7):
        *before, closed = replay(made, [made.received[:length]])
        assert isinstance(closed, events.PeerClosed)
        assert closed.bytes_received == length
        assert before == told[: len(before)]
    assert isinstance(closed, events.PeerClosed)


def mutated(source: random.Random, data: bytes) -> bytes:
    """*data* with a few octets changed, removed, repeated or put in."""
    spoiled = bytearray(data)
    for _ in range(source.randint(1, 4)):
        at = source.randrange(len(spoiled) + 1)
        match source.randrange(5):
            case 0 if at < len(spoiled):
                spoiled[at] = source.randrange(256)
            case 1:
                del spoiled[at : at + source.randint(1, 40)]
            case 2:
                spoiled[at:at] = source.randbytes(source.randint(1, 40))
            case 3 if at < len(spoiled):
                spoiled[at] ^= 1 << source.randrange(8)
            case _:
                spoiled[at:at] = spoiled[max(at - 30, 0) : at]
    return bytes(spoiled)


def survive(source: random.Random, rounds: int) -> None:
    for _ in range(rounds):
        made = recorded(source.choice(KINDS))
        spoiled = mutated(source, made.received)
        mode = source.choice(MODES)
        places = [source.randrange(1, len(spoiled) + 2) for _ in range(source.randint(0, 5))]
        told = replay(made, cut(spoiled, places), stop_after=mode)
        assert isinstance(told[-1], events.PeerClosed)
        assert told == replay(made, [spoiled], stop_after=mode)


def test_spoiled_conversations_end_in_events() -> None:
    survive(random.Random(20260101), 400)


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(20))
def test_spoiled_conversations_end_in_events_for_long(seed: int) -> None:
    survive(random.Random(seed), 50_000)


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=400), st.lists(st.integers(1, 400), max_size=4), st.sampled_from(["tls13", "tls12"]))
def test_any_bytes_are_events_and_cuts_do_not_matter(noise: bytes, places: list[int], kind: str) -> None:
    made = recorded(kind)
    for stream in (noise, b"\x16\x03\x03" + noise, b"\x16\x03\x03" + len(noise).to_bytes(2, "big") + noise):
        told = replay(made, [stream])
        assert replay(made, cut(stream, places)) == told
        assert isinstance(told[-1], events.PeerClosed)


@given(st.lists(st.tuples(st.integers(20, 24), st.binary(max_size=50)), max_size=6), st.lists(st.integers(1, 300)))
def test_records_do_not_depend_on_the_cuts(wanted: list[tuple[int, bytes]], places: list[int]) -> None:
    stream = b"".join(bytes((kind, 3, 3)) + len(body).to_bytes(2, "big") + body for kind, body in wanted)
    reader = RecordReader()
    found = []
    for piece in cut(stream, places):
        reader.feed(piece)
        found += [(record.kind, record.body) for record in reader]
    assert found == wanted
    assert reader.pending == b""
    assert reader.offset == len(stream)


@given(st.binary(max_size=200))
def test_a_bad_record_is_said_again_and_again(noise: bytes) -> None:
    reader = RecordReader()
    reader.feed(b"\x15\x03\x01\x00\x00" + b"\x63" + noise + b"12345")
    first = reader.pop()
    assert first is not None
    assert first.kind == 21
    for _ in range(2):
        with pytest.raises(WireError):
            reader.pop()


def test_a_handshake_message_has_a_limit() -> None:
    reader = HandshakeReader(limit=100)
    reader.feed(b"\x0b\x00\x00\x65")
    with pytest.raises(WireError, match="101 octets"):
        reader.pop()


def test_a_wrong_key_in_the_certificate_is_a_failed_signature() -> None:
    """Replay a handshake whose Certificate names another key: only the signature can tell."""
    made = recorded("tls12")
    ours = made.only(events.CertificateSeen).chain[0]
    point = ours.index(b"\x03\x42\x00\x04") + 4
    other = pki.leaf(pki.authority(), names=("a.test",), owner="somebody else").der
    foreign = other[other.index(b"\x03\x42\x00\x04") + 4 :][:64]
    spoiled = made.received.replace(ours[point : point + 64], foreign)
    told = replay(made, [spoiled])
    verdict = next(event for event in told if isinstance(event, events.SignatureChecked))
    assert not verdict.ok
    assert "not made by the certificate's key" in verdict.why


def test_a_changed_octet_under_protection_is_malformed_at_its_stage() -> None:
    made = recorded("tls13")
    spoiled = bytearray(made.received)
    spoiled[-1] ^= 1
    told = replay(made, [bytes(spoiled)])
    broken = next(event for event in told if isinstance(event, events.Malformed))
    assert broken.stage == "application_data"
    assert "does not open" in broken.why


@pytest.mark.parametrize(
    ("what", "place", "value"), [("cipher", 76, b"\x13\x05"), ("session_id", 50, b"\xee"), ("compression", 78, b"\x01")]
)
def test_a_server_that_leaves_the_offer_is_told_on(what: str, place: int, value: bytes) -> None:
    made = recorded("tls13")
    spoiled = made.received[:place] + value + made.received[place + len(value) :]
    told = replay(made, [spoiled])
    assert what in [event.what for event in told if isinstance(event, events.Violation)]
