"""The log's own Merkle tree: RFC 6962 section 2.1 word for word, slow and plain, sharing nothing with `probes.ct`."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass


def leaf_hash(leaf: bytes) -> bytes:
    return hashlib.sha256(b"\0" + leaf).digest()


def _split(n: int) -> int:
    """The largest power of two smaller than *n*."""
    return 1 << (n - 1).bit_length() - 1


class Tree:
    """Hashes of leaves, growing; whole aligned subtrees are remembered."""

    def __init__(self, leaves: Sequence[bytes] = ()) -> None:
        self.hashes = [leaf_hash(leaf) for leaf in leaves]
        self._whole: dict[tuple[int, int], bytes] = {}

    def append(self, leaf: bytes) -> None:
        self.hashes.append(leaf_hash(leaf))

    def root(self, size: int | None = None) -> bytes:
        return self.over(0, len(self.hashes) if size is None else size)

    def over(self, low: int, high: int) -> bytes:
        """MTH(D[low:high])."""
        n = high - low
        if n == 0:
            return hashlib.sha256(b"").digest()
        if n == 1:
            return self.hashes[low]
        known = self._whole.get((low, high))
        if known is not None:
            return known
        k = _split(n)
        found = hashlib.sha256(b"\1" + self.over(low, low + k) + self.over(low + k, high)).digest()
        if n & (n - 1) == 0 and low % n == 0:
            self._whole[low, high] = found
        return found

    def inclusion(self, index: int, size: int) -> list[bytes]:
        """PATH(m, D[n]), section 2.1.1."""
        return self._path(index, 0, size)

    def _path(self, index: int, low: int, high: int) -> list[bytes]:
        if high - low == 1:
            return []
        k = _split(high - low)
        if index < k:
            return [*self._path(index, low, low + k), self.over(low + k, high)]
        return [*self._path(index - k, low + k, high), self.over(low, low + k)]

    def consistency(self, first: int, second: int) -> list[bytes]:
        """PROOF(m, D[n]), section 2.1.2."""
        return [] if first in {0, second} else self._subproof(first, 0, second, whole=True)

    def _subproof(self, m: int, low: int, high: int, *, whole: bool) -> list[bytes]:
        n = high - low
        if m == n:
            return [] if whole else [self.over(low, high)]
        k = _split(n)
        if m <= k:
            return [*self._subproof(m, low, low + k, whole=whole), self.over(low + k, high)]
        return [*self._subproof(m - k, low + k, high, whole=False), self.over(low, low + k)]

    def tile(self, level: int, number: int, width: int) -> bytes:
        """*width* hashes of the hash tile at *level* (static-ct-api: each level stands for eight of the tree)."""
        span = 256**level
        first = number * 256
        return b"".join(self.over(at * span, (at + 1) * span) for at in range(first, first + width))


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """What was submitted. A precertificate's `body` is its TBS without the poison."""

    timestamp_ms: int
    body: bytes
    issuer_key_hash: bytes | None = None  # None: a final certificate
    precertificate: bytes = b""
    chain: tuple[bytes, ...] = ()
    raw: bytes | None = None  # the leaf itself, of whatever kind: for RFC 6962 alone

    def stamped(self, index: int) -> bytes:
        """TimestampedEntry with the leaf_index extension (static-ct-api)."""
        kind = b"\0\0" if self.issuer_key_hash is None else b"\0\1" + self.issuer_key_hash
        extension = b"\0\0\5" + index.to_bytes(5, "big")
        return self.timestamp_ms.to_bytes(8, "big") + kind + _u24(self.body) + _u16(extension)

    def leaf(self, index: int) -> bytes:
        """MerkleTreeLeaf."""
        if self.raw is not None:
            return self.raw
        return b"\0\0" + self.stamped(index)

    def extra(self) -> bytes:
        """extra_data of get-entries (RFC 6962 section 4.6)."""
        chain = _u24(b"".join(_u24(each) for each in self.chain))
        return chain if self.issuer_key_hash is None else _u24(self.precertificate) + chain

    def tile_leaf(self, index: int) -> bytes:
        """TileLeaf (static-ct-api)."""
        fingerprints = _u16(b"".join(hashlib.sha256(each).digest() for each in self.chain))
        middle = b"" if self.issuer_key_hash is None else _u24(self.precertificate)
        return self.stamped(index) + middle + fingerprints


def _u16(content: bytes) -> bytes:
    return len(content).to_bytes(2, "big") + content


def _u24(content: bytes) -> bytes:
    return len(content).to_bytes(3, "big") + content
