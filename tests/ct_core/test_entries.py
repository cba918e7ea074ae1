"""Entries of both protocols: decoded alike, strict about every byte, and sifted without missing a hit."""

from __future__ import annotations

import contextlib
import gzip
import zlib
from base64 import b64encode
from hashlib import sha256
from random import Random
from time import process_time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from probes.ct.entries import (
    BadLeaf,
    BadTile,
    chain_of,
    decode_leaf_input,
    decode_tile,
    leaf_bytes,
    tbs_identity,
    unpacked,
)
from probes.ct.issuance import issuance_of, issuances, merged
from probes.ct.lookalikes import lookalikes
from probes.ct.merkle import leaf_hash
from probes.ct.sift import sift_leaves, sift_tile
from probes.ct.suffixes import registrable
from probes.ct.walk import names_of
from probes.ct.watchset import WatchSet
from tests.bench.ct import Made, certificates, tile_leaf

STAMP = 1790000000000
MADE = certificates(60, 5)


def tile(made: tuple[Made, ...] = MADE[:20], *, first: int = 512) -> bytes:
    dice = Random(1)
    return b"".join(
        tile_leaf(each, index=first + at, timestamp_ms=STAMP + at, dice=dice) for at, each in enumerate(made)
    )


def gzipped(data: bytes) -> bytes:
    packer = zlib.compressobj(wbits=31)
    return packer.compress(data) + packer.flush()


def spoiled(names: bytes) -> Made:
    """A certificate entry whose frames do not hold, with letters in it."""
    return Made(is_precert=False, tbs=b"\x30\x82\xff\xff" + names, precertificate=b"", names=())


def test_a_tile_is_decoded_packed_or_not() -> None:
    for data in (tile(), gzipped(tile())):
        read = decode_tile(data, first_index=512, count=20)
        assert [entry.index for entry in read.entries] == list(range(512, 532))
        for at, (entry, made) in enumerate(zip(read.entries, MADE, strict=False)):
            assert (entry.tbs, entry.is_precert, entry.timestamp_ms) == (made.tbs, made.is_precert, STAMP + at)
            assert len(entry.issuer_key_hash) == (32 if made.is_precert else 0)
            assert entry.leaf_hash == read.hashes[at] == sha256(b"\x00" + entry.leaf).digest()
            # RFC 6962's MerkleTreeLeaf of the same entry is the same value.
            assert decode_leaf_input(entry.leaf, index=entry.index) == entry


@pytest.mark.parametrize(
    ("spoil", "why"),
    [
        (lambda data: data[:-1], "ends inside"), (lambda data: data + b"\x00", "type none"),
        (lambda data: data[:8] + b"\x00\x02" + data[10:], "type 0002"), (lambda data: data[:9], "type 00"),
        (lambda data: data[:11], "ends inside"), (lambda data: data + data, "says that it is"),
    ],
)  # fmt: skip
def test_a_wrong_tile_is_refused(spoil: object, why: str) -> None:
    for both in (decode_tile, lambda data, first_index: sift_tile(data, first_index=first_index, watch=WATCH)):
        with pytest.raises(BadTile, match=why):
            both(spoil(tile()), first_index=512)  # type: ignore[operator]


def test_another_index_or_count_is_refused() -> None:
    with pytest.raises(BadTile, match="says that it is entry 512"):
        decode_tile(tile(), first_index=256)
    with pytest.raises(BadTile, match="20 entries, not 256"):
        decode_tile(tile(), first_index=512, count=256)
    with pytest.raises(BadTile, match="20 entries, not 256"):
        sift_tile(tile(), first_index=512, count=256, watch=WATCH)
    with pytest.raises(BadTile, match="257 entries"):
        decode_tile(tile(tuple(MADE[0] for _ in range(257))), first_index=512)


def test_every_cut_of_a_tile_is_refused_or_ends_between_entries() -> None:
    data = tile(MADE[:3])
    whole = {0}
    for count in (1, 2):
        whole.add(len(tile(MADE[:count])))
    for end in range(len(data)):
        try:
            read = decode_tile(data[:end], first_index=512)
        except BadTile:
            assert end not in whole
        else:
            assert end in whole
            assert len(read.entries) == sorted(whole).index(end)


def test_unknown_extensions_are_passed_over_but_the_leaf_index_must_be_there() -> None:
    made = Made(is_precert=False, tbs=b"\x30\x00", precertificate=b"", names=())
    leaf = tile_leaf(made, index=7, timestamp_ms=STAMP, dice=Random(1))
    usual = b"\x00\x08\x00\x00\x05" + (7).to_bytes(5, "big")
    more = b"\x00\x0d\x09\x00\x02ab\x00\x00\x05" + (7).to_bytes(5, "big")
    assert decode_tile(leaf.replace(usual, more), first_index=7).entries[0].leaf.endswith(more)
    for wrong in (
        b"\x00\x00",
        b"\x00\x05\x09\x00\x02ab",
        b"\x00\x07\x00\x00\x04\x00\x00\x00\x07",
        b"\x00\x03\x09\x00\x09",
    ):
        with pytest.raises(BadTile):
            decode_tile(leaf.replace(usual, wrong), first_index=7)


def test_damaged_and_oversized_gzip_is_refused() -> None:
    packed = gzipped(tile())
    for wrong in (packed[:-9], packed[:40], packed[:60] + b"\x00\x00\x00" + packed[63:]):
        with pytest.raises(BadTile):
            unpacked(wrong)
    with pytest.raises(BadTile, match="larger"):
        unpacked(gzipped(b"\x00" * 5000), limit=1000)


@given(st.binary(max_size=120), st.integers(0, 400))
@settings(deadline=None)
def test_no_bytes_raise_anything_else(noise: bytes, at: int) -> None:
    data = tile(MADE[:2])
    for each in (noise, data[:at] + noise + data[at:], b"\x1f\x8b" + noise):
        with contextlib.suppress(BadTile):
            decode_tile(each, first_index=512)
    with contextlib.suppress(BadLeaf):
        decode_leaf_input(noise, index=0)


@pytest.mark.parametrize(
    "wrong",
    [
        b"",
        b"\x01\x00" + b"\x00" * 20,
        b"\x00\x00" + b"\x00" * 8 + b"\x00\x05" + b"\x00" * 9,
        b"\x00" * 12,
        b"\x00" * 18,
    ],
)
def test_a_wrong_leaf_is_refused(wrong: bytes) -> None:
    with pytest.raises(BadLeaf):
        decode_leaf_input(wrong, index=3)


def test_base64_is_strict() -> None:
    assert leaf_bytes("AAA=", index=1) == b"\x00\x00"
    for wrong in ("AA A=", "A", "é", "AAA=AAA="):
        with pytest.raises(BadLeaf):
            leaf_bytes(wrong, index=1)


def test_chains_are_read_for_display() -> None:
    def vector(*parts: bytes) -> bytes:
        listed = b"".join(len(part).to_bytes(3, "big") + part for part in parts)
        return len(listed).to_bytes(3, "big") + listed

    assert chain_of(vector(b"ca", b"root"), is_precert=False) == (b"ca", b"root")
    assert chain_of(b"\x00\x00\x03pre" + vector(b"ca"), is_precert=True) == (b"pre", b"ca")
    for wrong in (b"", b"\x00\x00\x09a", vector(b"ca")[:-1], b"\x00\x00\x04\x00\x00\x09a"):
        with pytest.raises(BadLeaf):
            chain_of(wrong, is_precert=False)


WATCH = WatchSet.compile([MADE[3].names[0].removeprefix("*."), "watched.example"])


def test_both_protocols_sift_to_the_same() -> None:
    made = (*MADE[:9], spoiled(b"\x00www.watched.example\x00"), spoiled(b"nothing of ours"), *MADE[9:20])
    data = tile(made)
    read = decode_tile(data, first_index=512)
    from_tile = sift_tile(gzipped(data), first_index=512, watch=WATCH, count=22)
    leaves = [b64encode(entry.leaf).decode() for entry in read.entries]
    assert sift_leaves(leaves, first_index=512, watch=WATCH) == from_tile
    assert from_tile.hashes == read.hashes
    assert from_tile.newest_ms == STAMP + 21
    assert [hit.entry.index for hit in from_tile.hits] == [515, 521, 522]
    assert [hit.is_malformed for hit in from_tile.hits] == [False, True, True]
    assert [hit.matches[0].how for hit in from_tile.hits[:2]] == ["name", "bytes"]
    assert from_tile.hits[2].matches == ()
    assert from_tile.hits[0].entry == read.entries[3]


def test_the_quick_way_through_a_batch_finds_what_one_by_one_does() -> None:
    for seed in range(6):
        dice = Random(seed)
        own = dice.sample(MADE, 3)
        watch = WatchSet.compile(each.names[-1].removeprefix("*.") for each in own)
        sifted = sift_tile(tile(MADE), first_index=512, watch=watch)
        wanted = [512 + at for at, each in enumerate(MADE) if set(each.names) & {name for o in own for name in o.names}]
        assert [hit.entry.index for hit in sifted.hits] == wanted


def test_lookalikes_come_along_without_being_matches() -> None:
    label = registrable(MADE[6].names[0].removeprefix("*.")).partition(".")[0]
    like = lookalikes([f"{label}.museum"])
    hits = sift_tile(tile(MADE), first_index=512, watch=WATCH, lookalikes=like).hits
    assert [each.why for hit in hits if hit.entry.index == 518 for each in hit.lookalikes[:1]] == ["another TLD"]
    assert all(not hit.matches for hit in hits if hit.lookalikes)


def test_an_issuance_is_one_over_entries_and_logs() -> None:
    hits = sift_tile(tile(MADE), first_index=512, watch=WATCH).hits
    hit = hits[0]
    first = issuance_of(hit, log_id=b"\x01" * 32)
    other = issuance_of(hit, log_id=b"\x02" * 32)
    assert first.tbs_sha256 == tbs_identity(hit.entry).hex()
    assert first.facts.names
    together = issuances([first, other, first])
    assert len(together) == 1
    assert together[0].log_ids == ("01" * 32, "02" * 32)
    assert together[0].first.index == hit.entry.index
    assert together[0].logged_ms == hit.entry.timestamp_ms
    assert merged(first, first) == first
    if len(hits) > 1:
        with pytest.raises(ValueError, match="two issuances"):
            merged(first, issuance_of(hits[1], log_id=b"\x01" * 32))


def test_the_leaf_hash_is_that_of_the_tree() -> None:
    read = decode_tile(tile(), first_index=512)
    assert read.hashes == tuple(leaf_hash(entry.leaf) for entry in read.entries)


def certificate_of(*names: bytes) -> bytes:
    """A TBSCertificate of hand-made DER with these dNSNames."""

    def der(tag: int, *content: bytes) -> bytes:
        body = b"".join(content)
        size = len(body)
        return bytes([tag]) + (bytes([size]) if size < 128 else b"\x84" + size.to_bytes(4, "big")) + body

    fields = (der(2, b"\1"), der(0x30), der(0x30), der(0x30), der(0x30), der(0x30))
    extension = der(0x30, b"\x06\x03\x55\x1d\x11", der(4, der(0x30, *(der(0x82, name) for name in names))))
    return der(0x30, *fields, der(0xA3, der(0x30, extension)))


HOSTILE = {
    "one long label": [b"a" * 70_000 + b".example.test"],
    "many labels beyond ASCII": [b"%d" % number + "\u00fc".encode() * 30 + b".example" for number in range(3000)],
    "one long odd name": [b"\xff" * 500_000],
    "a long list": [b"a," * 200_000 + b"\xff"],
    "many dots": [b"\xff." * 200_000],
}


@pytest.mark.parametrize("how", HOSTILE)
def test_no_certificate_holds_up_the_others(how: str) -> None:
    tbs = certificate_of(*HOSTILE[how], b"www.example.test")
    leaf = b"\0\0" + bytes(8) + b"\0\1" + bytes(32) + len(tbs).to_bytes(3, "big") + tbs + b"\0\0"
    watch, began = WatchSet.compile(["example.test"]), process_time()
    [hit] = sift_leaves([b64encode(leaf)], first_index=0, watch=watch, lookalikes=lookalikes("example.test")).hits
    assert process_time() - began < 4  # seconds of CPU; each took 10 and more when every reading was tried
    assert "www.example.test" in {match.name for match in hit.matches}
    assert hit.is_malformed == (how != "one long label")


def test_bytes_full_of_identifiers_are_given_up_in_time() -> None:
    began = process_time()
    for raw in (b"\x55\x1d\x11" * 100_000, b"\x55\x1d\x11\x82\x7f" * 100_000, b"\x55\x1d\x11\x82\x00\x82\x00" * 50_000):
        assert names_of(raw).problems
    assert process_time() - began < 4


def test_gzip_of_a_great_many_members_is_refused_at_once() -> None:
    assert unpacked(gzip.compress(b"a") * 64) == b"a" * 64
    hostile = gzip.compress(b"") * 400_000  # each would copy what is left of eight million bytes
    started = process_time()
    with pytest.raises(BadTile, match="in more pieces"):
        unpacked(hostile)
    assert process_time() - started < 5


def test_gzip_of_several_members_is_one_and_its_limit_holds_for_all() -> None:
    packed = gzip.compress(b"a" * 60) + gzip.compress(b"b" * 60)
    assert unpacked(packed) == b"a" * 60 + b"b" * 60
    assert unpacked(packed, limit=120) == b"a" * 60 + b"b" * 60
    for limit in (60, 100, 119):
        with pytest.raises(BadTile):
            unpacked(packed, limit=limit)
    with pytest.raises(BadTile):
        unpacked(packed[:-3])
