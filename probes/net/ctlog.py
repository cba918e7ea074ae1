"""Reading CT logs of both kinds: `LogClient` is one interface, RFC 6962 and static-ct-api are behind it.

Bytes come in, values go out. Whether a head is rightly signed and whether the entries are those of the head is judged
by who asks: nothing here keeps a position. Every method may raise `Unavailable`.
"""

from __future__ import annotations

import asyncio
import json
from base64 import b64decode, b64encode
from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Iterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace
from functools import partial
from random import Random
from typing import TYPE_CHECKING, Any, Protocol, TypeVar
from urllib.parse import quote

from probes.ct.entries import BadLeaf, BadTile, LeafEntry, decode_tile, leaf_bytes, read_leaf, unpacked
from probes.ct.heads import BadHead, TreeHead, parse_checkpoint, parse_sth
from probes.ct.merkle import HASH_SIZE, TILE_WIDTH, BadTree, CompactTree
from probes.ct.sift import Sifted, sift_leaves, sift_tile
from probes.ct.tiles import (
    TileAt,
    consistency_from_tiles,
    data_path,
    hashes_of,
    proof_from_tiles,
    tile_at,
    tiles_for_consistency,
    tiles_for_proof,
    tiles_for_tree,
    tree_from_tiles,
)
from probes.net.logfetch import MAX_BODY, Garbage, Manners, Place, Unavailable

if TYPE_CHECKING:
    from probes.ct.loglist import Log
    from probes.ct.lookalikes import Lookalikes
    from probes.ct.watchset import WatchSet

_Said = TypeVar("_Said")
LARGEST_HEAD = 64 << 10
LARGEST_PROOF = 256 << 10
FIRST_BATCH, LARGEST_BATCH = 256, 512  # entries asked for at once: 4 KB each in the answer


@dataclass(frozen=True, slots=True, kw_only=True)
class Sifter:
    """What every entry is looked at for."""

    watch: WatchSet
    lookalikes: Lookalikes | None = None


class LogClient(Protocol):
    """One log, whichever protocol it speaks. Heads given to it are verified ones."""

    @property
    def log(self) -> Log:
        """As the log list has it."""

    @property
    def tiled(self) -> bool:
        """Whether a partial tile at the end of the tree is better waited for than fetched."""

    async def head(self) -> TreeHead:
        """The newest head, signature not checked. BadHead when it is a head, but no head of this log."""

    def sifted(self, start: int, end: int, sifter: Sifter) -> AsyncGenerator[Sifted, None]:
        """The entries [start, end), in order and without a hole, a batch at a time; some are fetched ahead.

        For a tiled log *end* is a multiple of 256 or the size of a verified head.
        """

    async def edge(self, head: TreeHead) -> Sequence[bytes]:
        """The leaf hashes of the last, partial tile: a tiled log's alone. Prove them by the root."""

    async def seed(self, head: TreeHead) -> CompactTree:
        """The compact tree of *head*, its root checked, without its entries; BadTree when it is of another root."""

    async def consistency(self, old_size: int, head: TreeHead) -> Sequence[bytes]:
        """The proof that *head* extends the tree of *old_size*. Verify it."""

    async def inclusion(self, index: int, leaf_hash: bytes, head: TreeHead) -> Sequence[bytes]:
        """The proof that the leaf is at *index* under *head*. Verify it."""

    async def entry(self, index: int, head: TreeHead) -> LeafEntry:
        """One entry. Prove it by inclusion."""

    async def aclose(self) -> None:
        """Close its connections."""


def client(log: Log, manners: Manners, *, rng: Random, clock: Callable[[], float] | None = None) -> LogClient:
    """The client for the protocol that the list gives the log. UsageError when its address cannot be one."""
    place = Place(log.url, manners, rng=rng, clock=clock)
    return TiledLog(log, place, manners.at_once) if log.kind == "static" else Rfc6962Log(log, place, manners.at_once)


class TiledLog:
    """A log of static-ct-api (C2SP static-ct-api.md)."""

    tiled = True

    def __init__(self, log: Log, place: Place, at_once: int) -> None:
        self.log, self._place, self._at_once = log, place, at_once

    async def head(self) -> TreeHead:
        def read(body: bytes) -> TreeHead:
            body = _plain(body, LARGEST_HEAD)
            if "\n\n— ".encode() not in body:
                raise Garbage("the answer is no checkpoint")
            return parse_checkpoint(body, origin=self.log.origin, log_id=self.log.log_id)

        return await _head(self._place, "checkpoint", read)

    async def sifted(self, start: int, end: int, sifter: Sifter) -> AsyncGenerator[Sifted, None]:
        def read(number: int) -> Callable[[bytes, int | None], Sifted]:
            def sift(body: bytes, count: int | None) -> Sifted:
                first = number * TILE_WIDTH
                watch, similar = sifter.watch, sifter.lookalikes
                return sift_tile(body, first_index=first, watch=watch, lookalikes=similar, count=count)

            return sift

        numbers = range(start // TILE_WIDTH, -(-end // TILE_WIDTH))
        jobs = (partial(self._data_tile, number, end, read(number)) for number in numbers)
        async with aclosing(_ahead(jobs, self._at_once)) as tiles:
            async for tile in tiles:
                yield cut(tile, start, end)

    async def edge(self, head: TreeHead) -> Sequence[bytes]:
        if head.size % TILE_WIDTH == 0:
            return ()
        return await self._hashes(tile_at(0, head.size // TILE_WIDTH, head.size))

    async def seed(self, head: TreeHead) -> CompactTree:
        tree = tree_from_tiles(head.size, await self._tiles(tiles_for_tree(head.size)))
        return _checked(tree, head)

    async def consistency(self, old_size: int, head: TreeHead) -> Sequence[bytes]:
        if old_size in {0, head.size}:
            return ()
        tiles = await self._tiles(tiles_for_consistency(old_size, head.size))
        return consistency_from_tiles(old_size, head.size, tiles)

    async def inclusion(self, index: int, leaf_hash: bytes, head: TreeHead) -> Sequence[bytes]:
        return proof_from_tiles(index, head.size, await self._tiles(tiles_for_proof(index, head.size)))

    async def entry(self, index: int, head: TreeHead) -> LeafEntry:
        number, within = divmod(index, TILE_WIDTH)

        def read(body: bytes, count: int | None) -> LeafEntry:
            return decode_tile(body, first_index=index - within, count=count).entries[within]

        return await self._data_tile(number, head.size, read)

    async def aclose(self) -> None:
        await self._place.aclose()

    async def _data_tile(self, number: int, size: int, sift: Callable[[bytes, int | None], _Said]) -> _Said:
        """Data tile *number* of a tree of *size*, whole where only the whole one is there by now."""

        def reader(count: int) -> Callable[[bytes], _Said]:
            def read(body: bytes) -> _Said:
                body = _plain(body)
                try:
                    return sift(body, count)
                except BadTile as wrong:
                    raise Garbage(f"data tile {number}: {wrong}") from None

            return read

        width = min(size - number * TILE_WIDTH, TILE_WIDTH)
        paths = [(data_path(number, each), reader(each)) for each in dict.fromkeys((width, TILE_WIDTH))]
        return await self._first_of(paths)

    async def _hashes(self, at: TileAt) -> list[bytes]:
        def read(body: bytes) -> list[bytes]:
            # One tile in 65,536 begins like gzip by chance; packed, hashes are longer than they are.
            if len(body) % HASH_SIZE or len(body) > TILE_WIDTH * HASH_SIZE:
                body = _plain(body, TILE_WIDTH * HASH_SIZE)
            try:
                return hashes_of(body, at)
            except BadTree as wrong:
                raise Garbage(str(wrong)) from None

        widths = dict.fromkeys((at.width, TILE_WIDTH))
        return await self._first_of([(replace(at, width=each).path, read) for each in widths])

    async def _tiles(self, wanted: Sequence[TileAt]) -> dict[TileAt, list[bytes]]:
        found: dict[TileAt, list[bytes]] = {}
        async for at, hashes in _ahead((partial(self._named, at) for at in wanted), self._at_once):
            found[at] = hashes
        return found

    async def _named(self, at: TileAt) -> tuple[TileAt, list[bytes]]:
        return at, await self._hashes(at)

    async def _first_of(self, paths: Sequence[tuple[str, Callable[[bytes], _Said]]]) -> _Said:
        """A partial tile may be deleted once the full one is there (static-ct-api): then that one."""
        for path, reader in paths[:-1]:
            try:
                return await self._place.read(path, reader)
            except Unavailable as missing:
                if missing.trouble != "gone":
                    raise
        path, reader = paths[-1]
        return await self._place.read(path, reader)


class Rfc6962Log:
    """A log of RFC 6962 section 4."""

    tiled = False

    def __init__(self, log: Log, place: Place, at_once: int) -> None:
        self.log, self._place, self._at_once = log, place, at_once
        self._batch = FIRST_BATCH

    async def head(self) -> TreeHead:
        def read(body: bytes) -> TreeHead:
            if "tree_size" not in _json(body, LARGEST_HEAD):
                raise Garbage("the answer is no signed tree head")
            return parse_sth(_plain(body, LARGEST_HEAD))

        return await _head(self._place, "ct/v1/get-sth", read)

    async def sifted(self, start: int, end: int, sifter: Sifter) -> AsyncGenerator[Sifted, None]:
        def jobs() -> Iterator[Callable[[], Awaitable[list[Sifted]]]]:
            at = start
            while at < end:
                until = min(at + self._batch, end)
                yield partial(self._range, at, until, sifter)
                at = until

        async with aclosing(_ahead(jobs(), self._at_once)) as ranges:
            async for batches in ranges:
                for batch in batches:
                    yield batch

    async def _range(self, start: int, end: int, sifter: Sifter) -> list[Sifted]:
        """All of [start, end): a log may give fewer entries than asked for, which is never the end (section 4.6)."""
        found = []
        while start < end:
            batch = await self._call(f"get-entries?start={start}&end={end - 1}", _sifting(start, end, sifter))
            got, asked = len(batch.hashes), end - start
            self._batch = max(got, self._batch // 2, 1) if got < asked else min(self._batch + 16, LARGEST_BATCH)
            found.append(batch)
            start += got
        return found

    async def edge(self, head: TreeHead) -> Sequence[bytes]:
        return ()

    async def seed(self, head: TreeHead) -> CompactTree:
        """The proof of the last leaf is the compact tree: no other call of the protocol gives as much."""
        if head.size == 0:
            return CompactTree()
        last = await self.entry(head.size - 1, head)
        proof = await self.inclusion(last.index, last.leaf_hash, head)
        try:
            tree = CompactTree.from_last_leaf(last.leaf_hash, head.size, proof)
        except BadTree as wrong:
            raise Unavailable("garbage", f"get-proof-by-hash: {wrong}") from None
        return _checked(tree, head)

    async def consistency(self, old_size: int, head: TreeHead) -> Sequence[bytes]:
        if old_size in {0, head.size}:
            return ()
        call = f"get-sth-consistency?first={old_size}&second={head.size}"
        return await self._call(call, lambda body: _proof(_json(body), "consistency"), max_body=LARGEST_PROOF)

    async def inclusion(self, index: int, leaf_hash: bytes, head: TreeHead) -> Sequence[bytes]:
        call = f"get-proof-by-hash?hash={quote(b64encode(leaf_hash), safe='')}&tree_size={head.size}"

        def read(body: bytes) -> tuple[bytes, ...]:
            said = _json(body)
            if said.get("leaf_index") != index:
                # The same leaf twice in a log has two indices; the log chooses which it proves.
                raise Garbage(f"the proof is of entry {str(said.get('leaf_index'))[:20]}, not {index}")
            return _proof(said, "audit_path")

        return await self._call(call, read, max_body=LARGEST_PROOF)

    async def entry(self, index: int, head: TreeHead) -> LeafEntry:
        def read(body: bytes) -> LeafEntry:
            try:
                [listed] = _leaves(body)
                return read_leaf(leaf_bytes(listed, index=index), index=index)
            except (ValueError, BadLeaf) as wrong:
                raise Garbage(f"get-entries: {wrong}") from None

        return await self._call(f"get-entries?start={index}&end={index}", read)

    async def aclose(self) -> None:
        await self._place.aclose()

    async def _call(self, call: str, reader: Callable[[bytes], _Said], *, max_body: int | None = None) -> _Said:
        return await self._place.read(f"ct/v1/{call}", reader, max_body=max_body)


async def _head(place: Place, path: str, reader: Callable[[bytes], TreeHead]) -> TreeHead:
    """A head that cannot be one is asked for again, as any answer is; then it is the log's word, and BadHead."""
    bad: BadHead | None = None

    def read(body: bytes) -> TreeHead:
        nonlocal bad
        bad = None
        try:
            return reader(body)
        except BadHead as wrong:
            bad, wrong.raw = wrong, body
            raise Garbage(str(wrong)) from None

    try:
        return await place.read(path, read, max_body=LARGEST_HEAD)
    except Unavailable as missing:
        if bad is not None and missing.trouble == "garbage":
            raise bad from None
        raise


def cut(batch: Sifted, start: int, end: int) -> Sifted:
    """What of *batch* lies in [start, end)."""
    first, last = batch.first_index, batch.first_index + len(batch.hashes)
    if start <= first and last <= end:
        return batch
    low, high = max(start, first), min(end, last)
    hits = tuple(hit for hit in batch.hits if low <= hit.entry.index < high)
    hashes = batch.hashes[low - first : high - first]
    return replace(batch, first_index=low, hashes=hashes, hits=hits)


def _sifting(start: int, end: int, sifter: Sifter) -> Callable[[bytes], Sifted]:
    def read(body: bytes) -> Sifted:
        leaves = _leaves(body)
        if not 0 < len(leaves) <= end - start:
            raise Garbage(f"get-entries gave {len(leaves)} entries where {end - start} were asked for")
        try:
            return sift_leaves(leaves, first_index=start, watch=sifter.watch, lookalikes=sifter.lookalikes)
        except BadLeaf as wrong:
            raise Garbage(f"get-entries: {wrong}") from None

    return read


def _leaves(body: bytes) -> list[str]:
    try:
        return [entry["leaf_input"] for entry in _json(body)["entries"]]
    except (KeyError, TypeError):
        raise Garbage("the answer to get-entries is none") from None


def _json(body: bytes, limit: int = MAX_BODY) -> dict[str, Any]:
    try:
        said = json.loads(_plain(body, limit))
    except (ValueError, RecursionError):
        raise Garbage("the answer is no JSON") from None
    if not isinstance(said, dict):
        raise Garbage("the answer is no JSON object")
    return said


def _proof(said: dict[str, Any], field: str) -> tuple[bytes, ...]:
    try:
        hashes = tuple(b64decode(each, validate=True) for each in said[field])
    except (KeyError, TypeError, ValueError):
        raise Garbage(f"the answer holds no {field}") from None
    if any(len(each) != HASH_SIZE for each in hashes):
        raise Garbage(f"{field} holds something other than hashes")
    return hashes


def _plain(body: bytes, limit: int = MAX_BODY) -> bytes:
    try:
        return unpacked(body, limit=limit)
    except BadTile as wrong:
        raise Garbage(str(wrong)) from None


def _checked(tree: CompactTree, head: TreeHead) -> CompactTree:
    if tree.root() != head.root:
        raise BadTree(f"what the log gives for the tree of {head.size} has another root than its head")
    return tree


async def _ahead(jobs: Iterable[Callable[[], Awaitable[_Said]]], at_once: int) -> AsyncGenerator[_Said, None]:
    """The results of *jobs* in their order, *at_once* of them under way; none is left behind."""
    waiting = iter(jobs)
    under_way: deque[asyncio.Future[_Said]] = deque()
    try:
        while True:
            while len(under_way) < at_once and (job := next(waiting, None)) is not None:
                under_way.append(asyncio.ensure_future(job()))
            if not under_way:
                return
            yield await under_way.popleft()
    finally:
        for each in under_way:
            each.cancel()
        await asyncio.gather(*under_way, return_exceptions=True)
