"""Bringing payloads to the app: over Socket Mode, or signed to its request URL; the 3-second rule; retries of events.

Sources: docs.slack.dev/authentication/verifying-requests-from-slack (v0 signature), docs.slack.dev/apis/events-api
(three retries: at once, after 1 and after 5 minutes, with x-slack-retry-num and x-slack-retry-reason).
"""

import asyncio
import copy
import hashlib
import hmac
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from urllib.parse import urlencode, urlsplit

import aiohttp

from bot.local.errors import Json
from bot.local.faults import Faults
from bot.local.socketmode import NotConnected, SocketMode

ACK_DEADLINE_S = 3.0
RETRY_DELAYS_S = (0.0, 60.0, 300.0)
_LOOPBACK = {"127.0.0.1", "localhost", "::1"}

# A failed delivery in the words of X-Slack-Retry-Reason.
_HTTP_REASONS = {"dispatch_failed": "connection_failed", "operation_timeout": "http_timeout"}
_KEPT = 10_000


@dataclass(slots=True, kw_only=True)
class Delivery:
    """One payload on its way to the app.

    *failure* is Slack's word for what went wrong at the last attempt: ``dispatch_failed`` (nobody there),
    ``operation_timeout`` (no ack in time), ``http_client_error``, ``http_service_error``; ``None`` when acknowledged.
    """

    kind: str
    payload: Json
    attempts: int = 0
    acked_after_s: float | None = None
    response: Json | None = None
    failure: str | None = None

    @property
    def is_acked(self) -> bool:
        """Whether the app acknowledged."""
        return self.acked_after_s is not None


@dataclass(slots=True, kw_only=True)
class Courier:
    """Delivers payloads; *request_url* set means HTTP mode, otherwise Socket Mode."""

    socket_mode: SocketMode
    faults: Faults
    signing_secret: str
    touched: Callable[[], None]
    now: Callable[[], float]
    request_url: str | None = None
    ack_deadline_s: float = ACK_DEADLINE_S
    retry_delays_s: tuple[float, ...] = RETRY_DELAYS_S
    log: list[Delivery] = field(default_factory=list)
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)
    _session: aiohttp.ClientSession | None = None
    _arrival: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        if self.request_url is not None:
            self.deliver_to(self.request_url)

    def deliver_to(self, request_url: str | None) -> None:
        """Deliver to this URL of this machine from now on; ``None``: over Socket Mode."""
        if request_url is not None and urlsplit(request_url).hostname not in _LOOPBACK:
            raise ValueError(f"a local workspace speaks to this machine only, not to {request_url}")
        self.request_url = request_url

    @property
    def is_idle(self) -> bool:
        """Whether no event is on its way."""
        return not self._tasks

    def connected(self) -> None:
        """An app arrived: events that found nobody are sent again now."""
        self._arrival.set()

    async def interactive(self, kind: str, payload: Json) -> Delivery:
        """Deliver a command or an interaction once; nothing is retried."""
        # A copy: what the payload shows must not change when the workspace does.
        delivery = self._logged(kind, copy.deepcopy(payload))
        await self._attempt(delivery)
        self.touched()
        return delivery

    def event(self, payload: Json) -> Delivery:
        """Deliver an event in the background, with Slack's retries."""
        delivery = self._logged("events_api", payload)
        task = asyncio.get_running_loop().create_task(self._with_retries(delivery))
        self._tasks.add(task)
        task.add_done_callback(self._done)
        return delivery

    def _logged(self, kind: str, payload: Json) -> Delivery:
        delivery = Delivery(kind=kind, payload=payload)
        self.log.append(delivery)
        del self.log[:-_KEPT]
        return delivery

    def _done(self, task: "asyncio.Task[None]") -> None:
        self._tasks.discard(task)
        self.touched()

    async def _with_retries(self, delivery: Delivery) -> None:
        for delay_s in (None, *self.retry_delays_s):
            if delay_s is not None:
                await self._pause(delay_s, nobody_there=delivery.failure == "dispatch_failed")
            await self._attempt(delivery)
            self.touched()
            if delivery.is_acked or delivery.failure == "no_retry":
                return

    async def _pause(self, delay_s: float, *, nobody_there: bool) -> None:
        """Wait; when nobody was there, until somebody comes (at most *delay_s*, at least one loop turn)."""
        if not nobody_there or self.request_url is not None:
            await asyncio.sleep(delay_s)
            return
        if self.socket_mode.connections:
            return
        self._arrival.clear()
        try:
            # An app that is just starting is worth waiting for, also where the schedule says "at once".
            await asyncio.wait_for(self._arrival.wait(), max(delay_s, 1.0))
        except TimeoutError:
            return

    async def _attempt(self, delivery: Delivery) -> None:
        delivery.attempts += 1
        before, delivery.failure = delivery.failure, None
        try:
            if self.request_url is None:
                await self._by_socket(delivery)
            else:
                await self._by_http(delivery, self.request_url, _HTTP_REASONS.get(before or "", "http_error"))
        except NotConnected:
            delivery.failure = "dispatch_failed"
        except TimeoutError:
            delivery.failure = "operation_timeout"
        except aiohttp.ClientError:
            delivery.failure = "dispatch_failed"

    async def _by_socket(self, delivery: Delivery) -> None:
        retry = delivery.attempts - 1
        ack = await self.socket_mode.deliver(
            delivery.kind,
            delivery.payload,
            accepts_response=delivery.kind != "events_api",
            deadline_s=self.ack_deadline_s,
            retry=retry,
            reason="timeout" if retry else "",
        )
        delivery.acked_after_s = ack.after_s
        delivery.response = ack.payload

    # HTTP mode

    async def _by_http(self, delivery: Delivery, url: str, retry_reason: str) -> None:
        body, content_type = _encoded(delivery)
        headers = {"Content-Type": content_type}
        if delivery.kind == "events_api" and delivery.attempts > 1:
            headers["X-Slack-Retry-Num"] = str(delivery.attempts - 1)
            headers["X-Slack-Retry-Reason"] = retry_reason
        started = time.monotonic()
        first = self._post(url, body, headers)
        if self.faults.deliver_twice:
            # At the same time: the harder case. What the second one answers is nobody's business.
            answer, _ = await asyncio.gather(first, self._post(url, body, headers), return_exceptions=True)
            if isinstance(answer, BaseException):
                raise answer
            status, text, answer_type, no_retry = answer
        else:
            status, text, answer_type, no_retry = await first
        if self.faults.ack_is_lost():
            raise TimeoutError
        if status != 200:
            delivery.failure = "http_client_error" if status < 500 else "http_service_error"
            if no_retry:
                delivery.failure = "no_retry"
            return
        delivery.acked_after_s = time.monotonic() - started
        delivery.response = _decoded(text, answer_type)

    async def _post(self, url: str, body: bytes, headers: Mapping[str, str]) -> tuple[int, str, str, bool]:
        if self._session is None:
            self._session = aiohttp.ClientSession()
        timeout = aiohttp.ClientTimeout(total=self.ack_deadline_s)
        signed = {**headers, **self.signature(body)}
        async with self._session.post(url, data=body, headers=signed, timeout=timeout, allow_redirects=False) as answer:
            return (
                answer.status,
                await answer.text(),
                answer.content_type,
                answer.headers.get("X-Slack-No-Retry") == "1",
            )

    def signature(self, body: bytes) -> dict[str, str]:
        """The two headers that prove a request comes from Slack."""
        timestamp = str(int(self.now()))
        base = b"v0:" + timestamp.encode() + b":" + body
        digest = hmac.new(self.signing_secret.encode(), base, hashlib.sha256).hexdigest()
        return {"X-Slack-Request-Timestamp": timestamp, "X-Slack-Signature": f"v0={digest}"}

    async def verify_url(self, challenge: str) -> bool:
        """Slack's check of a new request URL: it must echo the challenge."""
        if self.request_url is None:
            return False
        body = json.dumps({"token": "local", "challenge": challenge, "type": "url_verification"}).encode()
        status, text, _, _ = await self._post(self.request_url, body, {"Content-Type": "application/json"})
        return status == 200 and challenge in text

    async def close(self) -> None:
        """Stop every delivery."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if self._session is not None:
            await self._session.close()


def _encoded(delivery: Delivery) -> tuple[bytes, str]:
    match delivery.kind:
        case "events_api":
            return json.dumps(delivery.payload).encode(), "application/json"
        case "slash_commands":
            return urlencode(delivery.payload).encode(), "application/x-www-form-urlencoded"
    return urlencode({"payload": json.dumps(delivery.payload)}).encode(), "application/x-www-form-urlencoded"


def _decoded(text: str, content_type: str) -> Json:
    if not text.strip():
        return {}
    if content_type == "application/json":
        try:
            answer = json.loads(text)
        except ValueError:
            return {}
        return answer if isinstance(answer, dict) else {}
    return {"text": text}
