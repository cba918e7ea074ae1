"""Hash tiles of static-ct-api: which are needed for a proof, what their paths are, and the proof from them.

A tile at level L holds up to 256 hashes, each the root of a full subtree of 256**L leaves (C2SP tlog-tiles).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from probes.ct.merkle import (
    HASH_SIZE,
    TILE_HEIGHT,
    TILE_WIDTH,
    BadTree,
    CompactTree,
    consistency_ranges,
    inclusion_ranges,
    node_hash,
    tile_root,
)


@dataclass(frozen=True, slots=True, order=True)
class TileAt:
    """Where a hash tile is: level, index, and how many hashes it holds in a tree of the size asked for."""

    level: int
    index: int
    width: int = TILE_WIDTH

    @property
    def path(self) -> str:
        """Below the log's monitoring prefix: `tile/0/x001/234.p/5`."""
        return f"tile/{self.level}/{_number(self.index)}{_partial(self.width)}"


Tiles = Mapping[TileAt, Sequence[bytes]]


def data_path(index: int, width: int = TILE_WIDTH) -> str:
    """The path of a data tile: `tile/data/x001/234`."""
    return f"tile/data/{_number(index)}{_partial(width)}"


def hashes_of(tile: bytes, at: TileAt) -> list[bytes]:
    """The hashes of a fetched tile, of which a full one may stand in for a partial one; BadTree when too short."""
    if len(tile) % HASH_SIZE or len(tile) < at.width * HASH_SIZE or len(tile) > TILE_WIDTH * HASH_SIZE:
        raise BadTree(f"{at.path} has {len(tile)} bytes, not {at.width * HASH_SIZE}")
    return [tile[start : start + HASH_SIZE] for start in range(0, at.width * HASH_SIZE, HASH_SIZE)]


def tile_at(level: int, index: int, size: int) -> TileAt:
    """The tile in a tree of *size* leaves, with the width that it has there."""
    width = min((size >> (TILE_HEIGHT * level)) - index * TILE_WIDTH, TILE_WIDTH)
    if width < 1:
        raise BadTree(f"a tree of {size} leaves has no tile {index} at level {level}")
    return TileAt(level, index, width)


def tiles_for_proof(index: int, size: int) -> tuple[TileAt, ...]:
    """The tiles that an inclusion proof of leaf *index* in a tree of *size* is computed from, and the leaf's own."""
    return _tiles_under([(index, index + 1), *inclusion_ranges(index, size)], size)


def proof_from_tiles(index: int, size: int, tiles: Tiles) -> tuple[bytes, ...]:
    """The inclusion proof; *tiles* holds at least what tiles_for_proof named. Check it against a signed root."""
    return tuple(_root_of(low, high, size, tiles) for low, high in inclusion_ranges(index, size))


def leaf_from_tiles(index: int, size: int, tiles: Tiles) -> bytes:
    """The leaf hash that the level-0 tile gives for *index*."""
    return _root_of(index, index + 1, size, tiles)


def tiles_for_consistency(old_size: int, size: int) -> tuple[TileAt, ...]:
    """The tiles that a consistency proof is computed from."""
    return _tiles_under(consistency_ranges(old_size, size), size)


def consistency_from_tiles(old_size: int, size: int, tiles: Tiles) -> tuple[bytes, ...]:
    """The consistency proof; *tiles* holds at least what tiles_for_consistency named."""
    return tuple(_root_of(low, high, size, tiles) for low, high in consistency_ranges(old_size, size))


def tiles_for_tree(size: int) -> tuple[TileAt, ...]:
    """The tiles along the right edge, from which the compact tree of *size* is made without any entry."""
    return _tiles_under([(0, size)] if size else [], size)


def tree_from_tiles(size: int, tiles: Tiles) -> CompactTree:
    """The compact tree of *size*; *tiles* holds at least what tiles_for_tree named. Check its root!"""
    return CompactTree(size, (_subtree(level, index, size, tiles) for level, index in _subtrees(0, size)))


def _tiles_under(ranges: Iterable[tuple[int, int]], size: int) -> tuple[TileAt, ...]:
    needed = {
        tile_at(level // TILE_HEIGHT, _first(level, index) // TILE_WIDTH, size)
        for low, high in ranges
        for level, index in _subtrees(low, high)
    }
    return tuple(sorted(needed))


def _subtrees(low: int, high: int) -> Iterator[tuple[int, int]]:
    """The full subtrees (level, index) that make up the leaves [low, high), from left to right.

    *low* is aligned to the whole range's subtree, as every range of a proof is.
    """
    while low < high:
        level = (high - low).bit_length() - 1
        yield level, low >> level
        low += 1 << level


def _first(level: int, index: int) -> int:
    """The first hash of a subtree, counted in its tile level."""
    return index << (level % TILE_HEIGHT)


def _root_of(low: int, high: int, size: int, tiles: Tiles) -> bytes:
    roots = [_subtree(level, index, size, tiles) for level, index in _subtrees(low, high)]
    root = roots.pop()
    while roots:
        root = node_hash(roots.pop(), root)
    return root


def _subtree(level: int, index: int, size: int, tiles: Tiles) -> bytes:
    first = _first(level, index)
    at = tile_at(level // TILE_HEIGHT, first // TILE_WIDTH, size)
    start, count = first % TILE_WIDTH, 1 << (level % TILE_HEIGHT)
    hashes = tiles[at]
    if len(hashes) < start + count:
        raise BadTree(f"{at.path} holds {len(hashes)} hashes, not {at.width}")
    return tile_root(hashes[start : start + count])


def _number(index: int) -> str:
    """1234067 as x001/x234/067 (C2SP tlog-tiles)."""
    text = f"{index % 1000:03d}"
    while index := index // 1000:
        text = f"x{index % 1000:03d}/{text}"
    return text


def _partial(width: int) -> str:
    return "" if width == TILE_WIDTH else f".p/{width}"
