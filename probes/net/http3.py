"""A QUIC handshake for HTTP/3 with one address (RFC 9001, RFC 9114): does UDP get through, and who answers there?

aioquic does QUIC without I/O; it is an extra (`http3`) and imported only when HTTP/3 is asked for. No certificate is
verified here: what was served is brought back, as over TCP.
"""

from __future__ import annotations

import asyncio
import ssl
from contextlib import suppress
from typing import TYPE_CHECKING, Literal, TypeAlias, cast

from probes.model import Endpoint
from probes.net.connect import unreached
from probes.net.egress import Permit, refusal
from probes.observed import Quic
from probes.wire.registry import alert_name

if TYPE_CHECKING:
    from aioquic.quic.connection import QuicConnection

PATIENCE_S = 2.5
EXTRA = "http3"
_CRYPTO_ERROR = 0x100  # RFC 9001 section 4.8: 0x100 to 0x1ff carry a TLS alert

_Outcome: TypeAlias = Literal["completed", "timeout", "refused", "closed", "unavailable"]


async def knock(
    endpoint: Endpoint,
    server_name: str | None,
    *,
    permit: Permit | None,
    deadline: float,
    patience_s: float = PATIENCE_S,
) -> Quic:
    """One handshake offering `h3`; back by *deadline* (loop time), and *patience_s* after the start at the latest."""
    why = refusal(permit, endpoint.address, endpoint.port)
    if why is not None:
        return Quic(address=endpoint.address, port=endpoint.port, outcome="unavailable", detail=why)
    try:
        from aioquic.quic.configuration import QuicConfiguration
        from aioquic.quic.connection import QuicConnection
    except ImportError:
        lack = f"aioquic is not installed here; it comes with the extra “{EXTRA}”"
        return Quic(address=endpoint.address, port=endpoint.port, outcome="unavailable", detail=lack)
    configuration = QuicConfiguration(
        is_client=True,
        alpn_protocols=["h3"],
        server_name=server_name,
        verify_mode=ssl.CERT_NONE,
        idle_timeout=patience_s,
    )
    loop = asyncio.get_running_loop()
    knocking = _Knock(endpoint, QuicConnection(configuration=configuration))
    try:
        transport, _ = await loop.create_datagram_endpoint(
            lambda: knocking, remote_addr=(endpoint.address, endpoint.port)
        )
    except OSError as error:
        return Quic(
            address=endpoint.address,
            port=endpoint.port,
            outcome="unavailable",
            detail=unreached(endpoint, error).detail,
        )
    try:
        async with asyncio.timeout_at(min(deadline, loop.time() + patience_s)):
            await knocking.ended
    except TimeoutError:
        knocking.end("timeout", f"UDP port {endpoint.port}: no answer that completes a handshake in {patience_s:g} s")
    finally:
        knocking.hang_up()
        transport.abort()
    return knocking.result()


class _Knock(asyncio.DatagramProtocol):
    """Datagrams between a connected socket, which hears that address alone, and aioquic."""

    def __init__(self, endpoint: Endpoint, quic: QuicConnection) -> None:
        self._loop = asyncio.get_running_loop()
        self._endpoint, self._quic = endpoint, quic
        self._began = self._loop.time()
        self._transport: asyncio.DatagramTransport | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._outcome: _Outcome | None = None
        self._detail = ""
        self._alpn: str | None = None
        self._elapsed_ms: float | None = None
        self.ended: asyncio.Future[None] = self._loop.create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.DatagramTransport, transport)
        self._quic.connect((self._endpoint.address, self._endpoint.port), now=self._loop.time())
        self._go_on()

    def datagram_received(self, data: bytes, addr: object) -> None:
        if self._outcome is not None:
            return
        try:
            self._quic.receive_datagram(data, (self._endpoint.address, self._endpoint.port), now=self._loop.time())
            self._go_on()
        # Strangers' bytes in a foreign parser: whatever it stumbles over is the far end's answer, not our end.
        except Exception as error:
            self.end("closed", f"its answer is not QUIC that can be read ({type(error).__name__})")

    def error_received(self, exc: Exception) -> None:
        refused = isinstance(exc, ConnectionRefusedError)
        said = f"UDP port {self._endpoint.port} is closed (ICMP port unreachable)" if refused else str(exc)
        self.end("refused" if refused else "timeout", said)

    def end(self, outcome: _Outcome, detail: str = "") -> None:
        if self._outcome is None:
            self._outcome, self._detail = outcome, detail
            self._elapsed_ms = round((self._loop.time() - self._began) * 1000, 1)
        if not self.ended.done():
            self.ended.set_result(None)

    def hang_up(self) -> None:
        """Say goodbye, so that the server keeps no half-open connection."""
        if self._timer is not None:
            self._timer.cancel()
        with suppress(Exception):  # see datagram_received
            self._quic.close()
            self._send()

    def _go_on(self) -> None:
        from aioquic.quic import events

        while self._outcome is None and (event := self._quic.next_event()) is not None:
            if isinstance(event, events.HandshakeCompleted):
                self._alpn = event.alpn_protocol
                self.end("completed")
            elif isinstance(event, events.ConnectionTerminated):
                self.end("closed", _words(event.error_code, event.reason_phrase))
        self._send()
        if self._timer is not None:
            self._timer.cancel()
        due = self._quic.get_timer()
        self._timer = None if due is None or self._outcome is not None else self._loop.call_at(due, self._on_timer)

    def _on_timer(self) -> None:
        self._quic.handle_timer(now=self._loop.time())
        self._go_on()

    def _send(self) -> None:
        if self._transport is not None and not self._transport.is_closing():
            for datagram, _ in self._quic.datagrams_to_send(now=self._loop.time()):
                self._transport.sendto(datagram)

    def result(self) -> Quic:
        assert self._outcome is not None
        return Quic(
            address=self._endpoint.address,
            port=self._endpoint.port,
            outcome=self._outcome,
            detail=self._detail,
            alpn=self._alpn,
            elapsed_ms=self._elapsed_ms,
            certificates=_served(self._quic),
        )


def _words(code: int, reason: str) -> str:
    said = f" (“{reason[:100]}”)" if reason else ""
    if code >> 8 == _CRYPTO_ERROR >> 8:
        return f"TLS alert {code & 0xFF} {alert_name(code & 0xFF)} in QUIC{said}"
    return f"QUIC error 0x{code:x}{said}"


def _served(quic: QuicConnection) -> tuple[bytes, ...]:
    """The chain as served. aioquic has no public name for it; where a later one hides it, nothing is compared."""
    from cryptography.hazmat.primitives.serialization import Encoding

    tls = getattr(quic, "tls", None)
    leaf = getattr(tls, "_peer_certificate", None)
    above = getattr(tls, "_peer_certificate_chain", None) or []
    return tuple(each.public_bytes(Encoding.DER) for each in ([leaf, *above] if leaf is not None else []))
