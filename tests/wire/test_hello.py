"""What is offered is what stands in the bytes, and reads back."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from probes.wire.hello import Hello, build, draw_secrets, hello_records, parse_client_hello
from probes.wire.octets import WireError
from probes.wire.records import RecordReader
from probes.wire.registry import TLS10, TLS12, TLS13, Ext, Group, is_grease

codes = st.lists(st.integers(0, 0xFFFF), max_size=20, unique=True).map(tuple)
names = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E, exclude_characters="\\"), max_size=60)


def zeros(count: int) -> bytes:
    return bytes(count)


def built(hello: Hello) -> bytes:
    return build(hello, draw_secrets(hello, zeros))


@given(
    server_name=st.none() | names,
    versions=codes,
    ciphers=codes,
    groups=codes,
    key_shares=st.none() | st.lists(st.sampled_from([Group.X25519, Group.SECP256R1]), unique=True).map(tuple),
    signature_algorithms=codes,
    alpn=st.lists(st.text(st.characters(max_codepoint=255), min_size=1, max_size=9), max_size=4).map(tuple),
    session_id=st.none() | st.binary(max_size=32),
    legacy_version=st.sampled_from([0x0300, TLS10, TLS12]),
    grease=st.booleans(),
    extensions=st.booleans(),
    extra=st.lists(st.tuples(st.integers(1000, 1010), st.binary(max_size=9)), max_size=3).map(tuple),
)
def test_a_hello_reads_back_as_it_was_offered(**fields: object) -> None:
    hello = Hello(**fields)  # type: ignore[arg-type]
    read = parse_client_hello(built(hello))
    assert read.legacy_version == hello.legacy_version
    assert ungreased(read.ciphers, hello) == hello.ciphers
    if not hello.extensions:
        assert read.extensions is None
        return
    assert read.server_name == hello.server_name
    assert ungreased(read.versions or (), hello) == hello.versions
    assert ungreased(read.groups or (), hello) == hello.groups
    assert (read.signature_algorithms or ()) == hello.signature_algorithms
    assert (read.alpn or ()) == hello.alpn
    sent = None if TLS13 not in hello.versions else hello.key_shares
    assert (None if read.key_shares is None else ungreased(read.key_shares, hello)) == sent
    assert set(hello.extra) <= set(read.extensions or ())


def ungreased(values: tuple[int, ...], hello: Hello) -> tuple[int, ...]:
    return values[1:] if hello.grease and values and is_grease(values[0]) else values


@given(st.integers(1, 4000))
def test_padding_reaches_the_size_wished_for(size: int) -> None:
    hello = Hello(key_shares=(Group.X25519,), server_name="a.test")
    plain, padded = len(built(hello)), len(built(replace(hello, padded_to=size)))
    assert padded == plain if size <= plain else size <= padded <= max(size, plain + 4)


def test_a_padded_small_hello_has_the_size_of_a_post_quantum_one() -> None:
    big = built(Hello(server_name="a.test"))
    small = Hello(server_name="a.test", groups=(Group.X25519,), key_shares=(Group.X25519,), padded_to=len(big))
    assert len(built(small)) == len(big) > 1400


def test_the_extension_block_can_be_absent_altogether() -> None:
    bare = Hello(extensions=False, legacy_version=0x0300, record_version=0x0300, ciphers=(5, 10))
    message = built(bare)
    assert len(message) == 4 + 2 + 32 + 1 + 2 + 4 + 2
    record = RecordReader()
    record.feed(hello_records(bare, message))
    first = record.pop()
    assert first is not None
    assert (first.version, first.body) == (0x0300, message)


def test_no_name_means_no_extension() -> None:
    read = parse_client_hello(built(Hello(server_name=None)))
    assert Ext.SERVER_NAME not in dict(read.extensions or ())
    assert Ext.COMPRESS_CERTIFICATE not in dict(read.extensions or ())


def test_a_retry_carries_cookie_and_the_one_share_asked_for() -> None:
    hello = Hello(groups=(Group.X25519, Group.SECP256R1), key_shares=(Group.X25519,))
    secrets = draw_secrets(replace(hello, key_shares=(Group.X25519, Group.SECP256R1)), zeros)
    read = parse_client_hello(build(hello, secrets, cookie=b"biscuit", retry_group=Group.SECP256R1))
    assert read.key_shares == (Group.SECP256R1,)
    assert dict(read.extensions or ())[Ext.COOKIE] == b"\x00\x07biscuit"


@given(st.binary(max_size=300), st.integers(0, 2000), st.integers(0, 255))
def test_no_bytes_make_the_reader_raise_anything_but_its_own_error(noise: bytes, at: int, octet: int) -> None:
    message = bytearray(built(Hello(server_name="a.test", alpn=("h2",), grease=True)))
    message[at % len(message)] = octet
    for candidate in (noise, b"\x01" + len(noise).to_bytes(3, "big") + noise, bytes(message), bytes(message[:at])):
        try:
            parse_client_hello(candidate)
        except WireError as error:
            assert error.why


@pytest.mark.parametrize("version", [TLS10, TLS12])
def test_old_offers_accept_everything_below(version: int) -> None:
    assert Hello(versions=(), legacy_version=version).offered_versions == tuple(range(version, 0x02FF, -1))
    assert parse_client_hello(built(Hello(versions=(), legacy_version=version))).offered_versions[0] == version
