"""What a log's HTTP server may do to an answer: each is a function from the honest answer to what is sent."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cache
from typing import TypeAlias


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """An HTTP answer. `chunk`/`pause_s`: dripped in pieces. `cut`: the connection ends after so many bytes of body."""

    status: int = 200
    body: bytes = b""
    kind: str = "application/octet-stream"
    headers: tuple[tuple[str, str], ...] = ()
    chunk: int = 0
    pause_s: float = 0.0
    cut: int | None = None
    reset: bool = False
    hang: bool = False


Reaction: TypeAlias = Callable[[Answer], Answer]


@dataclass(slots=True, kw_only=True)
class Misbehaviour:
    """*reaction* for the next *times* (None: all) requests whose path contains *where*."""

    where: str
    reaction: Reaction
    times: int | None = None
    met: int = field(default=0)

    def meets(self, path: str) -> bool:
        if self.where not in path or (self.times is not None and self.met >= self.times):
            return False
        self.met += 1
        return True


def too_many(retry_after: str | None = None) -> Reaction:
    headers = (("Retry-After", retry_after),) if retry_after is not None else ()
    return lambda _: Answer(status=429, body=b"rate limited", kind="text/plain", headers=headers)


def status(code: int) -> Reaction:
    return lambda _: Answer(status=code, body=f"status {code}".encode(), kind="text/plain")


def html(code: int = 200) -> Reaction:
    page = b"<!DOCTYPE html><html><head><title>Sorry</title></head><body>We will be back soon.</body></html>"
    return lambda _: Answer(status=code, body=page, kind="text/html")


def redirect(to: str) -> Reaction:
    return lambda _: Answer(status=302, headers=(("Location", to),))


def drip(chunk: int = 64, pause_s: float = 0.05) -> Reaction:
    return lambda honest: replace(honest, chunk=chunk, pause_s=pause_s)


def hang(_: Answer) -> Answer:
    return Answer(hang=True)


def reset(_: Answer) -> Answer:
    return Answer(reset=True)


def cut(after: int = 100) -> Reaction:
    """Content-Length promises more than comes."""
    return lambda honest: replace(honest, cut=min(after, max(0, len(honest.body) - 1)))


def short_body(less: int = 1) -> Reaction:
    """A well-formed answer whose content lacks its last bytes."""
    return lambda honest: replace(honest, body=honest.body[:-less], headers=())


def garbage(honest: Answer) -> Answer:
    return replace(honest, body=b"\xff" * len(honest.body), headers=())


def unannounced_gzip(honest: Answer) -> Answer:
    """Compressed, and no header says so."""
    return replace(honest, body=gzip.compress(_plain(honest)), headers=())


def gzip_members(honest: Answer) -> Answer:
    """Compressed in two pieces, one behind the other (RFC 1952 section 2.2)."""
    body = _plain(honest)
    packed = gzip.compress(body[:20]) + gzip.compress(body[20:])
    return replace(honest, body=packed, headers=(("Content-Encoding", "gzip"),))


def truncated_gzip(honest: Answer) -> Answer:
    body = gzip.compress(_plain(honest))
    return replace(honest, body=body[: len(body) * 2 // 3], headers=(("Content-Encoding", "gzip"),))


def bomb(megabytes: int = 256) -> Reaction:
    body = _bomb(megabytes)
    return lambda honest: replace(honest, body=body, headers=(("Content-Encoding", "gzip"),))


def endless(megabytes: int = 256) -> Reaction:
    """A body as large as that, uncompressed."""
    return lambda honest: replace(honest, body=b"\0" * (megabytes << 20), headers=())


@cache
def _bomb(megabytes: int) -> bytes:
    return gzip.compress(b"\0" * (megabytes << 20), 1)


def _plain(answer: Answer) -> bytes:
    return gzip.decompress(answer.body) if ("Content-Encoding", "gzip") in answer.headers else answer.body
