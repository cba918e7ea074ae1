"""HTTP for reading much from one place that is not ours, with distrust and with manners: what CT logs are read by.

Refused: redirects, answers above a size, answers that take for ever. The name is resolved for each connection,
permission is asked for the address, and that address is connected to. Over https the certificate is verified.
Manners: so many requests a second, Retry-After honoured, exponential back-off with jitter, a User-Agent that says whom
to write to.
"""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from functools import lru_cache
from random import Random
from typing import Literal, TypeVar
from urllib.parse import urlsplit

from probes.model import Endpoint, UsageError, hostname, ip_literal
from probes.net.egress import Permit, never_fetched, refusal
from probes.net.kept import Answer, Broken, Kept, TooLarge, Unreachable
from probes.net.resolve import Overrides, resolve

MAX_BODY = 32 << 20  # of one answer, packed or not: a thousand entries of the largest kind seen
RESOLVE_S = 5.0
MAX_ADDRESSES = 3
Trouble = Literal[
    "refused", "unreachable", "timeout", "throttled", "gone", "server", "redirect", "garbage", "too-large"
]
_PASSING: frozenset[Trouble] = frozenset({"unreachable", "timeout", "throttled", "server", "garbage"})
_Said = TypeVar("_Said")


class Unavailable(Exception):
    """What was asked for was not to be had: of which kind, and why in words.

    `retry_after_s`: what the far end asked us to wait, or what is left of the back-off.
    """

    def __init__(
        self, trouble: Trouble, why: str, *, status: int | None = None, retry_after_s: float | None = None
    ) -> None:
        super().__init__(why)
        self.trouble: Trouble = trouble
        self.status = status
        self.retry_after_s = retry_after_s


class Garbage(ValueError):
    """Raised by a reader of bodies: the answer is not what it should be, and another try may bring it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Manners:
    """How places are read, the same for all of them.

    *contact* goes into the User-Agent. *per_second*: requests to one place (None: as many as it serves). *at_once*:
    requests under way to one place. *total_s*: for one answer, from the first byte sent to the last received.
    *attempts*: of one request before it counts as failed. *patience_s*: the longest pause that is waited out inside a
    request; a longer one is the caller's business.
    """

    permit: Permit | None = None
    overrides: Overrides = field(default_factory=dict)
    resolver: Endpoint | None = None
    contact: str = ""
    per_second: float | None = 20.0
    at_once: int = 4
    total_s: float = 60.0
    attempts: int = 5
    patience_s: float = 60.0
    first_pause_s: float = 1.0
    longest_pause_s: float = 300.0
    max_body: int = MAX_BODY

    @property
    def user_agent(self) -> str:
        return f"clienthello-ct/1 (+{self.contact})" if self.contact else "clienthello-ct/1"


class Pace:
    """Whose turn it is at one place: spacing, and the pause after a failure. *clock* is loop time."""

    def __init__(
        self,
        manners: Manners,
        rng: Random,
        clock: Callable[[], float],
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._manners, self._rng, self._clock, self._sleep = manners, rng, clock, sleep
        self._spacing = 1 / manners.per_second if manners.per_second else 0.0
        self._next = 0.0
        self._paused_until = 0.0
        self._failures = 0

    async def turn(self) -> float:
        """Wait for it; back with the time at which it came. Unavailable when the pause exceeds the patience."""
        while (left := self._paused_until - self._clock()) > 0:
            if left > self._manners.patience_s:
                raise Unavailable("throttled", f"it is left alone for another {left:.0f} s", retry_after_s=left)
            await self._sleep(left)
        now = self._clock()
        if self._spacing:
            mine = max(self._next, now)
            self._next = mine + self._spacing
            if mine > now:
                await self._sleep(mine - now)
        return self._clock()

    def went_well(self) -> None:
        self._failures = 0

    def failed(self, began: float, retry_after_s: float | None) -> None:
        """Pause for all: as long as asked for, else 1, 2, 4… times the first pause, each by 0.5 to 1.0 at random.

        What was under way when a pause began does not lengthen it.
        """
        if began < self._paused_until:
            return
        manners = self._manners
        pause = min(manners.first_pause_s * 2**self._failures, manners.longest_pause_s)
        pause *= 0.5 + self._rng.random() / 2
        self._failures = min(self._failures + 1, 32)
        self._paused_until = self._clock() + max(pause, retry_after_s or 0.0)


class Place:
    """One prefix that is read from, by connections that are kept. Close it with `aclose`."""

    def __init__(self, prefix: str, manners: Manners, *, rng: Random, clock: Callable[[], float] | None = None) -> None:
        parts = urlsplit(prefix)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise UsageError("only http and https addresses are read")
        self.prefix, self._manners = prefix, manners
        self.pace = Pace(manners, rng, clock or asyncio.get_running_loop().time)
        https = parts.scheme == "https"
        host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
        self._headers = [
            (b"Host", (f"{host}:{parts.port}" if parts.port else host).encode()),
            (b"User-Agent", manners.user_agent.encode("latin-1", "replace")),
            (b"Accept-Encoding", b"gzip"),
        ]
        self._host, self._port = parts.hostname, parts.port or (443 if https else 80)
        self._target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        self._kept = Kept(
            self._host,
            self._port,
            tls=_trusting() if https else None,
            at_once=manners.at_once,
            addresses=self._addresses,
        )

    async def aclose(self) -> None:
        await self._kept.aclose()

    async def read(self, path: str, reader: Callable[[bytes], _Said], *, max_body: int | None = None) -> _Said:
        """What *reader* makes of the body of GET prefix+path; Unavailable when that cannot be had.

        A reader that raises Garbage has the request repeated like any failure that may pass.
        """
        last: Unavailable | None = None
        for _ in range(self._manners.attempts):
            try:
                began = await self.pace.turn()
            except Unavailable as paused:
                raise (last or paused) from None
            try:
                said = reader(await self._get(path, max_body or self._manners.max_body))
            except Garbage as wrong:
                last = Unavailable("garbage", str(wrong))
            except Unavailable as failed:
                last = failed
                if failed.trouble not in _PASSING:
                    raise
            else:
                self.pace.went_well()
                return said
            self.pace.failed(began, last.retry_after_s)
        assert last is not None  # at least one attempt is made
        raise last

    async def _get(self, path: str, max_body: int) -> bytes:
        try:
            async with asyncio.timeout(self._manners.total_s):
                answer = await self._kept.get((self._target + path).encode(), self._headers, max_body=max_body)
        except TimeoutError:
            raise Unavailable("timeout", f"no complete answer within {self._manners.total_s:g} s") from None
        except TooLarge:
            raise Unavailable("too-large", f"the answer is larger than {max_body >> 10} KB") from None
        except Unreachable as error:
            raise Unavailable("unreachable", f"no connection ({error})") from None
        except Broken as error:
            raise Unavailable("unreachable", f"the connection broke ({error})") from None
        _judge(answer)
        return answer.body

    async def _addresses(self) -> tuple[str, ...]:
        """Where to connect to: resolved, checked and permitted anew for each connection."""
        try:
            name = self._host if ip_literal(self._host) else hostname(self._host)
        except UsageError as error:
            raise Unavailable("refused", str(error)) from None
        manners, port = self._manners, self._port
        deadline = asyncio.get_running_loop().time() + RESOLVE_S
        found = await resolve(name, port, overrides=manners.overrides, resolver=manners.resolver, deadline=deadline)
        if found.failure is not None:
            raise Unavailable("unreachable", f"{name} does not resolve ({found.failure})")
        refused = {
            address: "never read from" if never_fetched(address) else refusal(manners.permit, address, port)
            for address in found.addresses
        }
        allowed = tuple(address for address, why in refused.items() if why is None)
        if not allowed:
            said = "; ".join(f"{address}: {why}" for address, why in list(refused.items())[:3])
            raise Unavailable("refused", f"egress refused, {said}")
        return allowed[:MAX_ADDRESSES]


def _judge(answer: Answer) -> None:
    """Unavailable unless it is 200 in a coding that was asked for."""
    status, headers = answer.status, answer.headers
    if status == 200:
        coding = headers.get(b"content-encoding", b"identity").strip().lower()
        if coding not in {b"identity", b"gzip", b""}:
            raise Unavailable("garbage", f"the answer is in the coding {coding[:20].decode('latin-1')}")
        return
    wait = _retry_after(headers.get(b"retry-after"))
    said = f"HTTP {status}"
    if status == 429 or (status == 503 and wait is not None):
        raise Unavailable("throttled", said, status=status, retry_after_s=wait)
    if status in {404, 410}:
        raise Unavailable("gone", said, status=status)
    if 300 <= status < 400:
        raise Unavailable("redirect", f"{said}: redirects are not followed", status=status)
    raise Unavailable("server", said, status=status, retry_after_s=wait)


def _retry_after(value: bytes | None) -> float | None:
    """Seconds, from either form (RFC 9110 section 10.2.3); at most an hour; None when there is none to be read."""
    if value is None:
        return None
    text = value.decode("latin-1").strip()
    if text.isascii() and text.isdigit():
        return min(float(text[:6]), 3600.0)
    with suppress(ValueError, TypeError, OverflowError):
        return min(max(parsedate_to_datetime(text).timestamp() - time.time(), 0.0), 3600.0)
    return None


@lru_cache(maxsize=1)
def _trusting() -> ssl.SSLContext:
    """Mozilla's roots; making one costs tens of milliseconds."""
    import certifi

    return ssl.create_default_context(cafile=certifi.where())
