"""Merkle trees of RFC 6962 section 2.1: a compact tree to rebuild a log's root, and proofs made and checked.

Downloaded is not yet verified: a log's entries count once the root of all of them is the root that it signed.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from hashlib import sha256
from itertools import chain
from typing import Any

HASH_SIZE = 32
TILE_HEIGHT = 8
TILE_WIDTH = 1 << TILE_HEIGHT
EMPTY_ROOT = sha256(b"").digest()
_NODE = b"\x01"


class BadTree(ValueError):
    """A tree, or a request for a proof, that cannot be."""


def leaf_hash(leaf: bytes) -> bytes:
    """The hash of one MerkleTreeLeaf (RFC 6962 section 2.1)."""
    return sha256(b"\x00" + leaf).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """The hash of an inner node (RFC 6962 section 2.1)."""
    return sha256(_NODE + left + right).digest()


def tile_root(hashes: Sequence[bytes]) -> bytes:
    """The root over a power of two of hashes: a full tile has 256."""
    count = len(hashes)
    if count == 0 or count & (count - 1):
        raise BadTree(f"{count} hashes make no full subtree")
    while len(hashes) > 1:
        each = iter(hashes)
        # Written out and not node_hash(…): this line runs once for every entry of every log.
        hashes = [sha256(_NODE + left + right).digest() for left, right in zip(each, each, strict=True)]
    return hashes[0]


def root_from_hashes(leaf_hashes: Iterable[bytes]) -> bytes:
    """The root over all leaf hashes given."""
    tree = CompactTree()
    tree.extend(leaf_hashes if isinstance(leaf_hashes, Sequence) else list(leaf_hashes))
    return tree.root()


class CompactTree:
    """The right edge of a growing tree: enough to append and to say the root, in O(log n) hashes.

    The stack holds the root of one full subtree for each bit set in the size, the largest first.
    """

    __slots__ = ("_size", "_stack")

    def __init__(self, size: int = 0, subtrees: Iterable[bytes] = ()) -> None:
        self._size = size
        self._stack = list(subtrees)
        if size < 0 or len(self._stack) != size.bit_count() or any(len(each) != HASH_SIZE for each in self._stack):
            raise BadTree(f"{len(self._stack)} subtrees do not make a tree of {size} leaves")

    @property
    def size(self) -> int:
        """How many leaves were appended."""
        return self._size

    def append(self, leaf: bytes) -> None:
        """Append one leaf *hash*."""
        self._push(leaf, 0)

    def append_tile(self, root: bytes) -> None:
        """Append a full subtree of 256 leaves by its root; the size must be a multiple of 256."""
        self._push(root, TILE_HEIGHT)

    def extend(self, leaf_hashes: Sequence[bytes]) -> None:
        """Append leaf hashes in order, in the largest aligned subtrees that they fill."""
        at, count = 0, len(leaf_hashes)
        while at < count:
            width = min(self._size & -self._size or TILE_WIDTH, TILE_WIDTH)
            while width > count - at:
                width >>= 1
            self._push(tile_root(leaf_hashes[at : at + width]), width.bit_length() - 1)
            at += width

    def root(self) -> bytes:
        """The Merkle tree hash over all leaves so far."""
        if not self._stack:
            return EMPTY_ROOT
        root = self._stack[-1]
        for left in reversed(self._stack[:-1]):
            root = node_hash(left, root)
        return root

    def copy(self) -> CompactTree:
        """Another tree of the same leaves."""
        return CompactTree(self._size, self._stack)

    def to_json(self) -> dict[str, Any]:
        """As JSON can hold it: `{"size": n, "subtrees": [hex, …]}`."""
        return {"size": self._size, "subtrees": [each.hex() for each in self._stack]}

    @classmethod
    def from_json(cls, stored: dict[str, Any]) -> CompactTree:
        """What to_json said."""
        return cls(stored["size"], (bytes.fromhex(each) for each in stored["subtrees"]))

    @classmethod
    def from_last_leaf(cls, leaf: bytes, size: int, proof: Sequence[bytes]) -> CompactTree:
        """The tree of *size* leaves from its last leaf's hash and inclusion proof: what a start at the end needs.

        The proof of the last leaf is exactly the full subtrees to its left (RFC 6962 section 2.1.1). Check the root!
        """
        tree = cls(size - 1, reversed(proof))
        tree.append(leaf)
        return tree

    def _push(self, root: bytes, level: int) -> None:
        if self._size & ((1 << level) - 1):
            raise BadTree(f"a subtree of {1 << level} leaves does not fit after {self._size}")
        rest = self._size >> level
        while rest & 1:
            root = sha256(_NODE + self._stack.pop() + root).digest()
            rest >>= 1
        self._stack.append(root)
        self._size += 1 << level


def inclusion_proof(index: int, leaf_hashes: Sequence[bytes]) -> tuple[bytes, ...]:
    """PATH(index, D[n]) of RFC 9162 section 2.1.3.1 over the leaf hashes, nearest sibling first."""
    size = len(leaf_hashes)
    return tuple(root_from_hashes(leaf_hashes[low:high]) for low, high in inclusion_ranges(index, size))


def consistency_proof(old_size: int, leaf_hashes: Sequence[bytes]) -> tuple[bytes, ...]:
    """PROOF(old_size, D[n]) of RFC 9162 section 2.1.4.1 over the leaf hashes."""
    return tuple(
        root_from_hashes(leaf_hashes[low:high]) for low, high in consistency_ranges(old_size, len(leaf_hashes))
    )


def inclusion_ranges(index: int, size: int) -> list[tuple[int, int]]:
    """The leaves [low, high) under each hash of an inclusion proof, in its order."""
    if not 0 <= index < size:
        raise BadTree(f"there is no leaf {index} in a tree of {size}")
    ranges = []
    low, high = 0, size
    while high - low > 1:
        middle = low + _split(high - low)
        if index < middle:
            ranges.append((middle, high))
            high = middle
        else:
            ranges.append((low, middle))
            low = middle
    return ranges[::-1]


def consistency_ranges(old_size: int, size: int) -> list[tuple[int, int]]:
    """The leaves [low, high) under each hash of a consistency proof, in its order."""
    if not 0 < old_size <= size:
        raise BadTree(f"nothing proves {old_size} consistent with {size}")
    ranges = []
    low, high = 0, size
    while high != old_size:
        middle = low + _split(high - low)
        if old_size <= middle:
            ranges.append((middle, high))
            high = middle
        else:
            ranges.append((low, middle))
            low = middle
    # The old tree's own root need not be sent: whoever checks has it (SUBPROOF's flag b).
    return [*([(low, high)] if low else []), *reversed(ranges)]


def verify_inclusion(leaf: bytes, index: int, size: int, proof: Sequence[bytes], root: bytes) -> bool:
    """Does *proof* show the leaf hash at *index* of the tree of *size* with *root*? (RFC 9162 section 2.1.3.2)"""
    if not 0 <= index < size or not _hashes(proof):
        return False
    first, last, computed = index, size - 1, leaf
    for sibling in proof:
        if last == 0:
            return False
        if first & 1 or first == last:
            computed = node_hash(sibling, computed)
            while not first & 1 and first:
                first >>= 1
                last >>= 1
        else:
            computed = node_hash(computed, sibling)
        first >>= 1
        last >>= 1
    return last == 0 and computed == root


def verify_consistency(old_size: int, old_root: bytes, size: int, root: bytes, proof: Sequence[bytes]) -> bool:
    """Is the tree (size, root) an extension of (old_size, old_root)? (RFC 9162 section 2.1.4.2)

    Everything extends the empty tree, and a tree extends itself, both by the empty proof.
    """
    if not 0 <= old_size <= size or not _hashes(proof):
        return False
    if old_size == size:
        return not proof and old_root == root
    if old_size == 0:
        return not proof and old_root == EMPTY_ROOT
    path = chain((old_root,), proof) if old_size & (old_size - 1) == 0 else iter(proof)
    start = next(path, None)
    if start is None:
        return False
    first, last = old_size - 1, size - 1
    while first & 1:
        first >>= 1
        last >>= 1
    old, new = start, start
    for sibling in path:
        if last == 0:
            return False
        if first & 1 or first == last:
            old, new = node_hash(sibling, old), node_hash(sibling, new)
            while not first & 1 and first:
                first >>= 1
                last >>= 1
        else:
            new = node_hash(new, sibling)
        first >>= 1
        last >>= 1
    return last == 0 and old == old_root and new == root


def _split(count: int) -> int:
    """The largest power of two smaller than *count* (at least 2)."""
    return 1 << ((count - 1).bit_length() - 1)


def _hashes(proof: Sequence[bytes]) -> bool:
    return all(len(each) == HASH_SIZE for each in proof)
