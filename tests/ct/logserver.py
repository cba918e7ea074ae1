"""A CT log of our own on loopback: one tree served as RFC 6962 and as static-ct-api, honest until told otherwise.

    with CtLog() as log:
        log.submit(Authority().issue("api.example.test"))
        log.fill(1000)
        log.misbehave("get-entries", too_many("2"), times=3)
        path.write_text(json.dumps(log_list(log.listed("static"))))

It shares no code with `probes`. It runs in a thread of its own, so tests with and without an event loop, and programs
like certspotter, can use it. `python -m tests.ct.logserver` serves a large one for benchmarks. Long, because it is a
whole log, in both protocols, with all its faults.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import gzip
import hashlib
import json
import socket
import ssl
import struct
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Literal, Self
from urllib.parse import parse_qs, urlsplit

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from tests.ct.certificates import Authority, Pair, bystanders
from tests.ct.misbehaviour import Answer, Misbehaviour, Reaction
from tests.ct.tree import Entry, Tree

Protocol = Literal["rfc6962", "static"]
TILE = 256
JSON = "application/json"


class History:
    """One version of what the log holds. A log that shows two of them lies."""

    def __init__(self, entries: Sequence[Entry] = ()) -> None:
        self.entries: list[Entry] = []
        self.tree = Tree()
        self.index_of: dict[bytes, int] = {}
        for entry in entries:
            self.append(entry)

    def append(self, entry: Entry) -> int:
        index = len(self.entries)
        self.tree.append(entry.leaf(index))
        self.entries.append(entry)
        self.index_of[self.tree.hashes[index]] = index
        return index

    def forked(self, at: int, other: Entry | None = None) -> History:
        """The same entries but for the one at *at*."""
        changed = other or replace(self.entries[at], timestamp_ms=self.entries[at].timestamp_ms + 1)
        return History([*self.entries[:at], changed, *self.entries[at + 1 :]])


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """A log as a log list has it."""

    log: CtLog
    protocol: Protocol
    state: str = "usable"
    final_size: int | None = None  # with state readonly


class CtLog:
    """A log, its faults, and its HTTP server. Attributes may be changed while it serves."""

    def __init__(
        self,
        name: str = "sycamore",
        *,
        now: Callable[[], float] = time.time,
        batch: int = 256,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.name = name
        self.now = now
        self.batch = batch  # the most entries that one get-entries gives
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.listed_key = self.key.public_key()
        self.history = History()
        self.authority = Authority()
        self.issuers: dict[str, bytes] = {}
        self.size: int | None = None  # of the signed head; None: everything
        self.head_time_ms: int | None = None  # of the signed head; None: now
        self.bad_signature = False
        self.flipped: set[int] = set()  # entries served with one bit changed
        self.dropped: set[int] = set()  # entries left out of what is served
        self.partial_tiles = True  # False: they are gone (as when the full tile exists)
        self.misbehaviours: list[Misbehaviour] = []
        self.requests: list[str] = []
        self.agents: set[str] = set()
        self.connections = 0
        self.files: dict[str, bytes] = {}  # more that is served, by name
        self.caching = False
        self._cache: dict[str, Answer] = {}
        self.tls = tls
        self._server = _Server(self)

    # What tests do with it.

    def submit(self, pair: Pair, *, final: bool = False) -> int:
        """Log the precertificate (or the final certificate) of *pair*; its index."""
        body = pair.certificate if final else pair.tbs
        return self.add(
            body, None if final else pair.issuer_key_hash, b"" if final else pair.precertificate, self.authority.chain
        )

    def add(
        self,
        body: bytes,
        issuer_key_hash: bytes | None = None,
        precertificate: bytes = b"",
        chain: tuple[bytes, ...] = (),
    ) -> int:
        """Log whatever bytes; their index."""
        for each in chain:
            self.issuers.setdefault(hashlib.sha256(each).hexdigest(), each)
        return self.history.append(
            Entry(
                timestamp_ms=int(self.now() * 1000),
                body=body,
                issuer_key_hash=issuer_key_hash,
                precertificate=precertificate,
                chain=chain,
            )
        )

    def add_leaf(self, raw: bytes) -> int:
        """Log whatever leaf."""
        return self.history.append(Entry(timestamp_ms=0, body=b"", raw=raw))

    def fill(self, count: int) -> None:
        """*count* entries that nobody watches, precertificates and final certificates in turn."""
        pairs = bystanders()
        for number in range(count):
            self.submit(pairs[(len(self.history.entries) * 7 + number) % len(pairs)], final=number % 2 == 1)

    def misbehave(self, where: str, reaction: Reaction, *, times: int | None = None) -> Misbehaviour:
        """Do *reaction* to requests whose path contains *where*."""
        fault = Misbehaviour(where=where, reaction=reaction, times=times)
        self.misbehaviours.append(fault)
        return fault

    def behave(self) -> None:
        """Be honest again, in everything but the history."""
        self.misbehaviours.clear()
        self.flipped.clear()
        self.dropped.clear()
        self.bad_signature, self.size, self.head_time_ms, self.partial_tiles = False, None, None, True

    def rotate_key(self) -> None:
        """Sign with another key than the list has."""
        self.key = ec.generate_private_key(ec.SECP256R1())

    def listed(self, protocol: Protocol, state: str = "usable", *, final_size: int | None = None) -> Listed:
        return Listed(log=self, protocol=protocol, state=state, final_size=final_size)

    @property
    def url(self) -> str:
        return f"http{'s' * bool(self.tls)}://127.0.0.1:{self._server.port}/{self.name}/"

    @property
    def origin(self) -> str:
        return f"{self.name}.log.test/{self.name}"

    @property
    def spki(self) -> bytes:
        return self.listed_key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)

    @property
    def log_id(self) -> bytes:
        return hashlib.sha256(self.spki).digest()

    def __enter__(self) -> Self:
        self._server.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.stop()

    def refuse(self) -> None:
        """Close the port, and every connection. `accept` opens the same port again."""
        self._server.stop()

    def accept(self) -> None:
        self._server.start()

    # What the server asks of it.

    def respond(self, path: str) -> Answer:
        """The answer to GET *path* (with query), faults included."""
        self.requests.append(path)
        answer = self._cache.get(path)
        if answer is None:
            answer = self.honest(path)
            if self.caching and answer.status == 200 and "/tile/" in path:
                self._cache[path] = answer
        for fault in self.misbehaviours:
            if fault.meets(path):
                return fault.reaction(answer)
        return answer

    def honest(self, path: str) -> Answer:
        """What GET *path* gives without misbehaviour; the faults that are attributes are in it."""
        parts = urlsplit(path)
        prefix = f"/{self.name}/"
        query = {key: values[0] for key, values in parse_qs(parts.query).items()}
        if not parts.path.startswith(prefix):
            return _NOT_FOUND
        match parts.path.removeprefix(prefix).split("/"):
            case ["checkpoint"]:
                return Answer(body=self._checkpoint(), kind="text/plain; charset=utf-8")
            case [name] if name in self.files:
                return Answer(body=self.files[name])
            case ["issuer", fingerprint] if fingerprint in self.issuers:
                return Answer(body=self.issuers[fingerprint], kind="application/pkix-cert")
            case ["tile", "data", *number]:
                return self._data_tile(number)
            case ["tile", level, *number] if level.isdigit():
                return self._hash_tile(int(level), number)
            case ["ct", "v1", call]:
                return self._rfc6962(call, query)
        return _NOT_FOUND

    def _head(self) -> tuple[int, int, bytes, bytes]:
        """Size, time, root, and the signature as TLS encodes it (RFC 6962 section 3.5)."""
        size = len(self.history.entries) if self.size is None else self.size
        stamp = int(self.now() * 1000) if self.head_time_ms is None else self.head_time_ms
        root = self.history.tree.root(size)
        signed = struct.pack(">BBQQ", 0, 1, stamp, size) + root
        signature = bytearray(self.key.sign(signed, ec.ECDSA(SHA256())))
        if self.bad_signature:
            signature[-1] ^= 1
        return size, stamp, root, b"\4\3" + len(signature).to_bytes(2, "big") + bytes(signature)

    def _checkpoint(self) -> bytes:
        size, stamp, root, signature = self._head()
        key_id = hashlib.sha256(self.origin.encode() + b"\n\x05" + self.log_id).digest()[:4]
        line = base64.b64encode(key_id + stamp.to_bytes(8, "big") + signature).decode()
        body = f"{self.origin}\n{size}\n{base64.b64encode(root).decode()}\n"
        witness = base64.b64encode(b"wit\0" + b"\1" * 72).decode()
        return f"{body}\n— witness.test {witness}\n— {self.origin} {line}\n".encode()

    def _rfc6962(self, call: str, query: dict[str, str]) -> Answer:
        try:
            match call:
                case "get-sth":
                    size, stamp, root, signature = self._head()
                    said: dict[str, Any] = {
                        "tree_size": size,
                        "timestamp": stamp,
                        "sha256_root_hash": _b64(root),
                        "tree_head_signature": _b64(signature),
                    }
                case "get-entries":
                    said = {"entries": self._entries(int(query["start"]), int(query["end"]))}
                case "get-sth-consistency":
                    proof = self.history.tree.consistency(int(query["first"]), int(query["second"]))
                    said = {"consistency": [_b64(each) for each in proof]}
                case "get-proof-by-hash":
                    index = self.history.index_of[base64.b64decode(query["hash"])]
                    proof = self.history.tree.inclusion(index, int(query["tree_size"]))
                    said = {"leaf_index": index, "audit_path": [_b64(each) for each in proof]}
                case _:
                    return _NOT_FOUND
        except (KeyError, ValueError, IndexError, RecursionError):
            return Answer(status=400, body=b"bad request", kind="text/plain")
        return Answer(body=json.dumps(said).encode(), kind=JSON)

    def _served(self) -> list[Entry]:
        return [entry for at, entry in enumerate(self.history.entries) if at not in self.dropped]

    def _entries(self, start: int, end: int) -> list[dict[str, str]]:
        size = len(self.history.entries) if self.size is None else self.size
        if not 0 <= start <= end or start >= size:
            raise ValueError
        end = min(end, start + self.batch - 1, size - 1)
        entries = self._served()[start : end + 1] if self.dropped else self.history.entries[start : end + 1]
        return [
            {"leaf_input": _b64(self._flip(index, entry.leaf(index), 2)), "extra_data": _b64(entry.extra())}
            for index, entry in enumerate(entries, start)
        ]

    def _flip(self, index: int, content: bytes, before: int) -> bytes:
        """One bit of the serial number, when this entry is one of the flipped. *before*: bytes before the timestamp."""
        if index not in self.flipped:
            return content
        at = before + (33 if self.history.entries[index].issuer_key_hash is None else 61)
        return content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :]

    def _data_tile(self, number: list[str]) -> Answer:
        place = self._place(number, len(self.history.entries))
        if place is None:
            return _NOT_FOUND
        first, width = place[0] * TILE, place[1]
        entries = self._served()[first : first + width] if self.dropped else self.history.entries[first : first + width]
        body = b"".join(self._flip(index, entry.tile_leaf(index), 0) for index, entry in enumerate(entries, first))
        return Answer(body=gzip.compress(body, 6, mtime=0), headers=(("Content-Encoding", "gzip"),))

    def _hash_tile(self, level: int, number: list[str]) -> Answer:
        place = self._place(number, len(self.history.entries) // TILE**level)
        return _NOT_FOUND if place is None else Answer(body=self.history.tree.tile(level, *place))

    def _place(self, number: list[str], nodes: int) -> tuple[int, int] | None:
        """The tile's number and width from its path, where such a tile exists."""
        width = TILE
        if len(number) > 1 and number[-2].endswith(".p"):
            width = int(number[-1])
            number = [*number[:-2], number[-2].removesuffix(".p")]
            if not self.partial_tiles:
                return None
        digits = "".join(part.removeprefix("x") for part in number)
        if not digits.isdigit() or not 0 < width <= TILE:
            return None
        return (int(digits), width) if int(digits) * TILE + width <= nodes else None


def log_list(*listed: Listed, operator: str = "Example Logs", timestamp: datetime | None = None) -> dict[str, Any]:
    """A version 3 log list."""
    stamp = _iso(timestamp or datetime.now(UTC))
    logs = [_log(each) for each in listed if each.protocol == "rfc6962"]
    tiled = [_log(each) for each in listed if each.protocol == "static"]
    entry = {"name": operator, "email": ["ct@log.test"], "logs": logs, "tiled_logs": tiled}
    return {"version": "80.14", "log_list_timestamp": stamp, "operators": [entry]}


def _log(listed: Listed) -> dict[str, Any]:
    log = listed.log
    state: dict[str, Any] = {"timestamp": "2026-01-01T00:00:00Z"}
    if listed.final_size is not None:
        root = _b64(log.history.tree.root(listed.final_size))
        state["final_tree_head"] = {"tree_size": listed.final_size, "sha256_root_hash": root}
    said: dict[str, Any] = {
        "description": f"{log.name} ({listed.protocol})",
        "log_id": _b64(log.log_id),
        "key": _b64(log.spki),
        "mmd": 60 if listed.protocol == "static" else 86400,
        "state": {listed.state: state},
        "temporal_interval": {"start_inclusive": "2026-01-01T00:00:00Z", "end_exclusive": "2027-07-01T00:00:00Z"},
    }
    if listed.protocol == "static":
        return said | {"submission_url": f"https://{log.origin}/", "monitoring_url": log.url}
    return said | {"url": log.url}


class _Server:
    """HTTP/1.1 with keep-alive, GET alone, in a thread with a loop of its own."""

    def __init__(self, log: CtLog) -> None:
        self._log = log
        self.port = 0
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._done = asyncio.Event()
        self._open: set[asyncio.Task[None]] = set()

    def start(self) -> None:
        listening = socket.create_server(("127.0.0.1", self.port), reuse_port=False)
        self.port = listening.getsockname()[1]
        ready = threading.Event()
        self._thread = threading.Thread(target=self._run, args=(listening, ready), name=f"ct log {self._log.name}")
        self._thread.start()
        ready.wait()

    def stop(self) -> None:
        if self._thread is None or self._loop is None:
            return
        self._loop.call_soon_threadsafe(self._done.set)
        self._thread.join()
        self._thread = None

    def _run(self, listening: socket.socket, ready: threading.Event) -> None:
        asyncio.run(self._serve(listening, ready))

    async def _serve(self, listening: socket.socket, ready: threading.Event) -> None:
        self._loop, self._done = asyncio.get_running_loop(), asyncio.Event()
        server = await asyncio.start_server(self._accepted, sock=listening, ssl=self._log.tls)
        ready.set()
        await self._done.wait()
        server.close()
        for task in list(self._open):
            task.cancel()
        await asyncio.gather(*self._open, return_exceptions=True)
        await server.wait_closed()

    async def _accepted(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._open.add(task)
        self._log.connections += 1
        # asyncio does so itself only where the listening socket was made with its protocol's number.
        writer.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            while await self._exchange(reader, writer):
                pass
        except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            self._open.discard(task)
            writer.transport.abort()

    async def _exchange(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        request = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        first, *lines = request.split("\r\n")
        headers = {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        self._log.agents.add(headers.get("user-agent", ""))
        answer = self._log.respond(first.split(" ")[1])
        if answer.hang:
            await asyncio.Event().wait()
        if answer.reset:
            sock = writer.get_extra_info("socket")
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            return False
        if ("Content-Encoding", "gzip") in answer.headers and "gzip" not in headers.get("accept-encoding", ""):
            answer = replace(answer, body=gzip.decompress(answer.body), headers=())
        writer.write(_header(answer))
        await _write_body(writer, answer)
        return answer.cut is None


def _header(answer: Answer) -> bytes:
    lines = [f"HTTP/1.1 {answer.status} X", f"Content-Type: {answer.kind}", f"Content-Length: {len(answer.body)}"]
    lines += [f"{name}: {value}" for name, value in answer.headers]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


async def _write_body(writer: asyncio.StreamWriter, answer: Answer) -> None:
    body = answer.body if answer.cut is None else answer.body[: answer.cut]
    step = answer.chunk or len(body) or 1
    for at in range(0, len(body), step):
        writer.write(body[at : at + step])
        await writer.drain()
        if answer.pause_s:
            await asyncio.sleep(answer.pause_s)


_NOT_FOUND = Answer(status=404, body=b"not found", kind="text/plain")


def _b64(content: bytes) -> str:
    return base64.b64encode(content).decode()


def _iso(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def large(log: CtLog, count: int, *, distinct: int = 2048, watched: Sequence[str] = (), every: int = 1000) -> None:
    """*count* entries that cycle through *distinct* certificates; one of each *every* is for a watched name."""
    made = [log.authority.issue() for _ in range(distinct)]
    for number in range(count):
        if watched and number % every == every // 2:
            name = watched[(number // every) % len(watched)]
            log.submit(log.authority.issue(f"n{number}.{name}"), final=number // every % 2 == 1)
        else:
            log.submit(made[number % distinct], final=number // distinct % 2 == 1)


def main() -> None:
    """Serve a large log until standard input ends; the first line of output is the log lists, as JSON."""
    options = argparse.ArgumentParser(prog="python -m tests.ct.logserver")
    options.add_argument("--entries", type=int, default=10_000)
    options.add_argument("--watched", action="append", default=[])
    options.add_argument("--every", type=int, default=1000)
    options.add_argument("--batch", type=int, default=1000)
    args = options.parse_args()
    log = CtLog(batch=args.batch)
    log.caching = True
    large(log, args.entries, watched=args.watched, every=args.every)
    with log:
        for number in range(args.entries // TILE):
            log.respond(f"/{log.name}/tile/data/{tile_path(number)}")
        lists = {each: log_list(log.listed(each)) for each in ("rfc6962", "static")}
        print(json.dumps(lists), flush=True)
        sys.stdin.read()


def tile_path(number: int) -> str:
    """x001/x234/067 of static-ct-api."""
    digits = [f"{number % 1000:03}"]
    while number >= 1000:
        number //= 1000
        digits.insert(0, f"x{number % 1000:03}")
    return "/".join(digits)


if __name__ == "__main__":
    main()
