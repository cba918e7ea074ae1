"""What the phases of one client handshake share: the offer, the events seen so far, and the octets to send."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, Protocol

from probes.wire.events import Event, Stage, Unsupported, Violation
from probes.wire.hello import Hello, HelloSecrets
from probes.wire.messages import Message
from probes.wire.records import CHANGE_CIPHER_SPEC, Record, frame
from probes.wire.registry import TLS12
from probes.wire.resumption import Resumption
from probes.wire.schedule13 import TrafficKeys
from probes.wire.signatures import ClientIdentity

StopAfter = Literal["server_hello", "certificate", "finished"]


class Exchange:
    """State of one connection that is not about keys."""

    __slots__ = (
        "compat_sent",
        "complete",
        "early",
        "events",
        "hello",
        "identity",
        "keylog",
        "outgoing",
        "over",
        "resumption",
        "secrets",
        "stop_after",
    )

    def __init__(
        self,
        hello: Hello,
        secrets: HelloSecrets,
        stop_after: StopAfter,
        identity: ClientIdentity | None,
        keylog: Callable[[str], None] | None,
        resumption: Resumption | None,
    ) -> None:
        self.resumption = resumption
        self.early: TrafficKeys | None = None  # in use from the hello to the EndOfEarlyData
        self.hello = hello
        self.secrets = secrets
        self.stop_after = stop_after
        self.identity = identity
        self.keylog = keylog
        self.events: list[Event] = []
        self.outgoing = bytearray()
        self.over = False
        self.complete = False
        self.compat_sent = False

    def emit(self, event: Event) -> None:
        self.events.append(event)

    def violation(self, what: str, why: str) -> None:
        self.events.append(Violation(what=what, why=why))

    def unsupported(self, what: str, why: str, *, fatal: bool) -> None:
        self.events.append(Unsupported(what=what, why=why, fatal=fatal))
        self.over = self.over or fatal

    def send_compat(self) -> None:
        """TLS 1.3's meaningless ChangeCipherSpec for middleboxes, once, when a session id was sent (RFC 8446 D.4)."""
        if self.secrets.session_id and not self.compat_sent:
            self.outgoing += frame(CHANGE_CIPHER_SPEC, TLS12, b"\x01")
        self.compat_sent = True

    def check_alpn(self, alpn: str | None) -> None:
        if alpn is not None and alpn not in self.hello.alpn:
            self.violation("alpn", f"the server chose the ALPN protocol {alpn!r}, which was not offered")


class Phase(Protocol):
    """What follows a ServerHello: one class for TLS 1.3, one for the versions before it."""

    stage: Stage

    def unprotect(self, record: Record) -> tuple[int, bytes, bool]:
        """(record type, payload, whether it was encrypted)."""

    def on_message(self, message: Message, *, more: bool) -> None:
        """A whole handshake message; *more* tells that the record holds octets behind it."""

    def on_change_cipher_spec(self, *, partial: bool) -> None:
        """The peer's ChangeCipherSpec; *partial* tells that a handshake message is incomplete."""

    def seal(self, kind: int, payload: bytes) -> bytes:
        """*payload* in records under the keys for sending."""
