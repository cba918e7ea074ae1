"""Trees against an independent one: the recursive definition of RFC 6962 section 2.1, read word by word."""

from __future__ import annotations

from hashlib import sha256

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from probes.ct import merkle, tiles
from probes.ct.merkle import BadTree, CompactTree

LEAVES = [merkle.leaf_hash(number.to_bytes(4, "big")) for number in range(1300)]


def mth(hashes: list[bytes]) -> bytes:
    """MTH(D[n]) over leaf hashes."""
    if not hashes:
        return sha256(b"").digest()
    if len(hashes) == 1:
        return hashes[0]
    split = 1
    while split * 2 < len(hashes):
        split *= 2
    return sha256(b"\x01" + mth(hashes[:split]) + mth(hashes[split:])).digest()


def path(index: int, hashes: list[bytes]) -> list[bytes]:
    """PATH(m, D[n])."""
    if len(hashes) == 1:
        return []
    split = 1
    while split * 2 < len(hashes):
        split *= 2
    if index < split:
        return [*path(index, hashes[:split]), mth(hashes[split:])]
    return [*path(index - split, hashes[split:]), mth(hashes[:split])]


def subproof(old: int, hashes: list[bytes], known: bool) -> list[bytes]:
    """SUBPROOF(m, D[n], b)."""
    if old == len(hashes):
        return [] if known else [mth(hashes)]
    split = 1
    while split * 2 < len(hashes):
        split *= 2
    if old <= split:
        return [*subproof(old, hashes[:split], known), mth(hashes[split:])]
    return [*subproof(old - split, hashes[split:], False), mth(hashes[:split])]


def every_tile(size: int) -> dict[tiles.TileAt, list[bytes]]:
    """All hash tiles of a tree, from the definition."""
    found = {}
    for level in range(3):
        width = 256**level
        hashes = [mth(LEAVES[at * width : (at + 1) * width]) for at in range(size // width)]
        for index in range(-(-len(hashes) // 256)):
            found[tiles.tile_at(level, index, size)] = hashes[index * 256 : (index + 1) * 256]
    return found


def test_the_known_vectors_of_the_rfc_tree() -> None:
    assert merkle.EMPTY_ROOT.hex() == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    # The eight leaves of the test tree that certificate-transparency's first implementations share.
    leaves = [bytes.fromhex(each) for each in ("", "00", "10", "2021", "3031", "40414243")]
    leaves += [bytes.fromhex("5051525354555657"), bytes.fromhex("606162636465666768696a6b6c6d6e6f")]
    assert merkle.leaf_hash(b"").hex() == "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d"
    root = merkle.root_from_hashes([merkle.leaf_hash(each) for each in leaves])
    assert root.hex() == "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328"


def test_roots_of_all_sizes_by_single_leaves() -> None:
    tree = CompactTree()
    for size in range(601):
        assert tree.root() == mth(LEAVES[:size])
        assert tree.size == size
        assert CompactTree.from_json(tree.to_json()).root() == tree.root()
        tree.append(LEAVES[size])


@given(st.lists(st.integers(0, 700), max_size=6))
@settings(deadline=None)
def test_any_batches_make_the_same_tree(cuts: list[int]) -> None:
    tree, at = CompactTree(), 0
    for cut in sorted(cuts):
        tree.extend(LEAVES[at:cut])
        at = max(at, cut)
    assert tree.root() == merkle.root_from_hashes(LEAVES[:at])
    assert tree.root() == mth(LEAVES[:at])


def test_tiles_append_as_their_leaves() -> None:
    tree = CompactTree()
    tree.append_tile(merkle.tile_root(LEAVES[:256]))
    tree.append_tile(merkle.tile_root(LEAVES[256:512]))
    copy = tree.copy()
    tree.extend(LEAVES[512:600])
    assert tree.root() == mth(LEAVES[:600])
    assert copy.root() == mth(LEAVES[:512])
    with pytest.raises(BadTree):
        tree.append_tile(LEAVES[0])


@given(st.integers(1, 600), st.data())
@settings(deadline=None)
def test_any_dropped_flipped_or_swapped_entry_changes_the_root(size: int, data: st.DataObject) -> None:
    at = data.draw(st.integers(0, size - 1))
    right, root = LEAVES[:size], mth(LEAVES[:size])
    flipped = bytearray(right[at])
    flipped[data.draw(st.integers(0, 31))] ^= 1 << data.draw(st.integers(0, 7))
    assert merkle.root_from_hashes([*right[:at], bytes(flipped), *right[at + 1 :]]) != root
    assert merkle.root_from_hashes([*right[:at], *right[at + 1 :]]) != root
    assert merkle.root_from_hashes([*right[:at], right[at], *right[at:]]) != root
    if at:
        assert merkle.root_from_hashes([*right[: at - 1], right[at], right[at - 1], *right[at + 1 :]]) != root


@pytest.mark.parametrize("size", [*range(1, 40), 255, 256, 257, 600])
def test_inclusion_proofs(size: int) -> None:
    leaves, root = LEAVES[:size], mth(LEAVES[:size])
    for index in {0, 1, size // 3, size // 2, size - 2, size - 1} & set(range(size)):
        proof = merkle.inclusion_proof(index, leaves)
        assert list(proof) == path(index, leaves)
        assert merkle.verify_inclusion(leaves[index], index, size, proof, root)
        assert not merkle.verify_inclusion(LEAVES[-1], index, size, proof, root)
        assert not merkle.verify_inclusion(leaves[index], index, size, [*proof, root], root)
        assert not merkle.verify_inclusion(leaves[index], size, size, proof, root)
        for at in range(len(proof)):
            assert not merkle.verify_inclusion(leaves[index], index, size, [*proof[:at], *proof[at + 1 :]], root)
            wrong = [*proof[:at], LEAVES[-2], *proof[at + 1 :]]
            assert not merkle.verify_inclusion(leaves[index], index, size, wrong, root)


@pytest.mark.parametrize("size", [*range(1, 34), 255, 256, 257, 600])
def test_consistency_proofs(size: int) -> None:
    leaves, root = LEAVES[:size], mth(LEAVES[:size])
    for old in {1, 2, 3, size // 3, size // 2, size - 1, size} & set(range(1, size + 1)):
        proof, old_root = merkle.consistency_proof(old, leaves), mth(LEAVES[:old])
        assert list(proof) == subproof(old, leaves, True)
        assert merkle.verify_consistency(old, old_root, size, root, proof)
        assert not merkle.verify_consistency(old, LEAVES[-1], size, root, proof)
        assert not merkle.verify_consistency(old, old_root, size, LEAVES[-1], proof)
        assert not merkle.verify_consistency(old, old_root, size, root, [*proof, root])
        if old < size:
            assert not merkle.verify_consistency(old, old_root, size, root, proof[:-1])
            assert not merkle.verify_consistency(size, root, old, old_root, proof)


def test_everything_extends_the_empty_tree() -> None:
    assert merkle.verify_consistency(0, merkle.EMPTY_ROOT, 5, mth(LEAVES[:5]), ())
    assert not merkle.verify_consistency(0, LEAVES[0], 5, mth(LEAVES[:5]), ())


@pytest.mark.parametrize("size", [1, 2, 7, 255, 256, 257, 512, 777, 1300])
def test_proofs_from_tiles_are_those_from_leaves(size: int) -> None:
    held, leaves = every_tile(size), LEAVES[:size]
    for index in {0, size // 2, size - 1}:
        needed = tiles.tiles_for_proof(index, size)
        fetched = {at: held[at] for at in needed}
        assert tiles.proof_from_tiles(index, size, fetched) == merkle.inclusion_proof(index, leaves)
        assert tiles.leaf_from_tiles(index, size, fetched) == leaves[index]
    for old in {1, size // 2 or 1, size}:
        fetched = {at: held[at] for at in tiles.tiles_for_consistency(old, size)}
        assert tiles.consistency_from_tiles(old, size, fetched) == merkle.consistency_proof(old, leaves)
    edge = {at: held[at] for at in tiles.tiles_for_tree(size)}
    tree = tiles.tree_from_tiles(size, edge)
    tree.append(LEAVES[0])
    assert tree.root() == mth([*leaves, LEAVES[0]])


def test_a_start_at_the_end_needs_the_last_leaf_and_its_proof() -> None:
    for size in range(1, 70):
        tree = CompactTree.from_last_leaf(LEAVES[size - 1], size, merkle.inclusion_proof(size - 1, LEAVES[:size]))
        assert tree.root() == mth(LEAVES[:size])
        tree.extend(LEAVES[size : size + 9])
        assert tree.root() == mth(LEAVES[: size + 9])


def test_tile_paths() -> None:
    assert tiles.TileAt(0, 1234067).path == "tile/0/x001/x234/067"
    assert tiles.TileAt(1, 5, 77).path == "tile/1/005.p/77"
    assert tiles.data_path(1000) == "tile/data/x001/000"
    assert tiles.data_path(0, 3) == "tile/data/000.p/3"


def test_short_tiles_are_refused() -> None:
    at = tiles.TileAt(0, 0, 5)
    assert tiles.hashes_of(b"".join(LEAVES[:256]), at) == LEAVES[:5]
    for wrong in (b"", b"".join(LEAVES[:4]), b"".join(LEAVES[:5]) + b"x", b"".join(LEAVES[:257])):
        with pytest.raises(BadTree):
            tiles.hashes_of(wrong, at)
