"""Socket Mode: the websockets that an app holds, envelopes to them and acknowledgements from them.

Source: docs.slack.dev/apis/events-api/using-socket-mode. At most 10 connections an app; every envelope goes to one of
them and is to be acknowledged, with its envelope_id, within 3 seconds.
"""

import asyncio
import json
import secrets
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field

from aiohttp import WSMsgType, web

from bot.local.errors import Json
from bot.local.faults import Faults

MAX_CONNECTIONS = 10
_APPROXIMATE_CONNECTION_TIME_S = 3600
_MAX_FRAME = 1_000_000


class NotConnected(Exception):
    """The app holds no connection."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ack:
    """An acknowledgement: how long it took, and the payload it carried."""

    after_s: float
    payload: Json


@dataclass(slots=True, kw_only=True)
class _Pending:
    sent_at: float
    ack: asyncio.Future[Ack]


@dataclass(slots=True, kw_only=True)
class SocketMode:
    """The app's connections. *changed* is called when the first one comes or the last one goes."""

    faults: Faults
    changed: Callable[[], None]
    app_id: str
    acked_envelopes: list[str] = field(default_factory=list)
    _tickets: set[str] = field(default_factory=set)
    _connections: list[web.WebSocketResponse] = field(default_factory=list)
    _pending: dict[str, _Pending] = field(default_factory=dict)
    _turn: int = 0

    @property
    def connections(self) -> int:
        """How many connections are open."""
        return len(self._connections)

    def ticket(self) -> str:
        """A one-time ticket for a connection, as in the url of apps.connections.open."""
        ticket = secrets.token_urlsafe(18)
        self._tickets.add(ticket)
        return ticket

    async def accept(self, request: web.Request) -> web.StreamResponse:
        """Serve one connection until it closes."""
        ticket = request.query.get("ticket", "")
        if ticket not in self._tickets:
            return web.json_response({"ok": False, "error": "invalid_ticket"}, status=403)
        self._tickets.discard(ticket)
        socket = web.WebSocketResponse(max_msg_size=_MAX_FRAME, timeout=1.0)
        await socket.prepare(request)
        if self.connections >= MAX_CONNECTIONS:
            await self._disconnect(socket, "too_many_websockets")
            return socket
        self._connections.append(socket)
        self.changed()
        try:
            await socket.send_json(self._hello())
            await self._read(socket)
        except ConnectionError:
            pass  # the app went away while we wrote: the same as its closing
        finally:
            self._forget(socket)
        return socket

    def _hello(self) -> Json:
        return {
            "type": "hello",
            "num_connections": self.connections,
            "debug_info": {
                "host": "applink-local",
                "build_number": 1,
                "approximate_connection_time": _APPROXIMATE_CONNECTION_TIME_S,
            },
            "connection_info": {"app_id": self.app_id},
        }

    async def _read(self, socket: web.WebSocketResponse) -> None:
        async for frame in socket:
            if frame.type is not WSMsgType.TEXT:
                continue
            try:
                message = json.loads(frame.data)
            except ValueError:
                continue
            if isinstance(message, dict):
                self._acknowledge(message)

    def _acknowledge(self, message: Json) -> None:
        envelope_id = str(message.get("envelope_id"))
        self.acked_envelopes.append(envelope_id)
        pending = self._pending.get(envelope_id)
        if pending is None or pending.ack.done() or self.faults.ack_is_lost():
            return
        payload = message.get("payload")
        after_s = time.monotonic() - pending.sent_at
        pending.ack.set_result(Ack(after_s=after_s, payload=payload if isinstance(payload, dict) else {}))

    def _forget(self, socket: web.WebSocketResponse) -> None:
        if socket in self._connections:
            self._connections.remove(socket)
            self.changed()

    async def deliver(
        self, kind: str, payload: Json, *, accepts_response: bool, deadline_s: float, retry: int = 0, reason: str = ""
    ) -> Ack:
        """Send one envelope and wait for its ack; raises NotConnected or TimeoutError."""
        targets = await self._targets()
        loop = asyncio.get_running_loop()
        ack: asyncio.Future[Ack] = loop.create_future()
        sent: list[str] = []
        copies = 2 if self.faults.deliver_twice else 1
        try:
            for socket in targets:
                for _ in range(copies):
                    envelope_id = str(uuid.uuid4())
                    self._pending[envelope_id] = _Pending(sent_at=time.monotonic(), ack=ack)
                    sent.append(envelope_id)
                    await self._send(socket, kind, payload, envelope_id, accepts_response, retry, reason)
            return await asyncio.wait_for(asyncio.shield(ack), deadline_s)
        finally:
            ack.cancel()
            for envelope_id in sent:
                self._pending.pop(envelope_id, None)

    async def _targets(self) -> list[web.WebSocketResponse]:
        if self.faults.disconnect_before_next is not None and self._connections:
            reason, self.faults.disconnect_before_next = self.faults.disconnect_before_next, None
            await self._disconnect(self._next(), reason)
        if not self._connections:
            raise NotConnected
        return list(self._connections) if self.faults.deliver_to_all else [self._next()]

    def _next(self) -> web.WebSocketResponse:
        self._turn += 1
        return self._connections[self._turn % len(self._connections)]

    async def _send(
        self,
        socket: web.WebSocketResponse,
        kind: str,
        payload: Json,
        envelope_id: str,
        accepts_response: bool,
        retry: int,
        reason: str,
    ) -> None:
        envelope: Json = {
            "envelope_id": envelope_id,
            "type": kind,
            "payload": payload,
            "accepts_response_payload": accepts_response,
        }
        if kind == "events_api":
            envelope |= {"retry_attempt": retry, "retry_reason": reason}
        try:
            await socket.send_json(envelope)
        except ConnectionError:
            self._forget(socket)  # it shows as an envelope that nobody acknowledged

    async def disconnect(self, reason: str = "refresh_requested") -> None:
        """Tell every connection to go, as Slack does: "warning", "refresh_requested" or "link_disabled"."""
        for socket in list(self._connections):
            await self._disconnect(socket, reason)

    async def drop(self) -> None:
        """Cut every connection without a word."""
        for socket in list(self._connections):
            self._forget(socket)
            await socket.close(code=1011)

    async def _disconnect(self, socket: web.WebSocketResponse, reason: str) -> None:
        self._forget(socket)
        try:
            await socket.send_json({"type": "disconnect", "reason": reason, "debug_info": {"host": "applink-local"}})
        except ConnectionError:
            return
        if reason != "warning":
            await socket.close()
