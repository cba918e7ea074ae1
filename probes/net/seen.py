"""What the events of one connection add up to: the observations of a Handshake. No socket, no clock."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, TypeAlias

from probes.model import (
    Alerted,
    CertificateRequest,
    Completed,
    Endpoint,
    Handshake,
    HttpAnswer,
    Malformed,
    NotTls,
    Offer,
    Outcome,
    Timing,
)
from probes.observed import Session
from probes.wire import events
from probes.wire.registry import SIGNATURE_SCHEMES, TLS13, version_name

Since: TypeAlias = Callable[[], float]  # milliseconds since the connection attempt began

_CLOSE_NOTIFY, _USER_CANCELED = 0, 90
_LEVELS = {"warning": 1, "fatal": 2}
_SCHEME_CODES = {scheme.name: scheme.code for scheme in SIGNATURE_SCHEMES.values()}


class Seen:
    """What the events of one connection add up to."""

    def __init__(self, offer: Offer, began_s: float = 0.0) -> None:
        """*began_s*: when the connection attempt began, in loop time; sessions carry their age by it."""
        self._offer = offer
        self._began_s = began_s
        self._ticket: events.TicketSeen | None = None  # of TLS 1.2: its session comes with the Finished
        self._last = "server_hello"  # the message read last
        self._violation: Malformed | None = None
        self.tcp: float | None = None
        self.starttls: float | None = None
        self.first_byte: float | None = None
        self.server_hello: float | None = None
        self.certificate: float | None = None
        self.finished: float | None = None
        self.version: int | None = None
        self.cipher: int | None = None
        self.group: int | None = None
        self.scheme: int | None = None
        self.alpn: str | None = None
        self.hello_retry = False
        self.hello_size = 0
        self.chain: tuple[bytes, ...] = ()
        self.staple: bytes | None = None
        self.certificate_request: CertificateRequest | None = None
        self.signature_ok: bool | None = None
        self.finished_ok: bool | None = None
        self.http: HttpAnswer | None = None
        self.identified = False
        self.application = bytearray()
        self.sessions: list[Session] = []
        self.resumed = None if offer.session is None else False
        self.early_data: Literal["accepted", "rejected"] | None = None
        self.warning: Alerted | None = None
        self.close_notify = False

    def completed(self) -> Outcome:
        """What a far end chose against our offer no client would take, however far it went."""
        return self._violation or Completed()

    def take(self, event: events.Event, since: Since) -> Outcome | None:
        """Note what *event* says; an outcome when it ends the exchange."""
        note = _NOTES.get(type(event))
        if note is not None:
            note(self, event, since)
            return None
        match event:
            case events.AlertSeen():
                return self._on_alert(event)
            case events.NotTls():
                return NotTls(protocol=event.protocol or "unknown", first_bytes=event.first_bytes)
            case events.Malformed():
                return Malformed(why=event.why, awaiting=event.stage)
            case _:
                self._note(event, since)
                return None

    def _note(self, event: events.Event, since: Since) -> None:
        match event:
            case events.CertificateRequestSeen():
                self.certificate_request = CertificateRequest(
                    ca_names=event.ca_names, signature_algorithms=event.signature_algorithms
                )
            case events.ApplicationData():
                self.application += event.data
            case events.Violation():
                self._violate(event.why)
            case _:  # unsupported, closed: the client's state says it
                self._note_session(event, since)

    def _on_encrypted_extensions(self, event: events.EncryptedExtensionsSeen, _: Since) -> None:
        self._last = "encrypted_extensions"
        self.alpn = event.alpn
        if self._offer.early_data:
            self.early_data = "accepted" if event.message.early_data else "rejected"

    def _on_certificate(self, event: events.CertificateSeen, since: Since) -> None:
        self._last = "certificate"
        self.chain, self.certificate = event.chain, since()

    def _on_staple(self, event: events.StapleSeen, _: Since) -> None:
        self.staple = event.response

    def _on_server_key_exchange(self, event: events.ServerKeyExchangeSeen, _: Since) -> None:
        self._last = "server_key_exchange"
        self.group, self.scheme = event.group, event.scheme

    def _on_signature(self, event: events.SignatureChecked, _: Since) -> None:
        self.signature_ok = event.ok
        self.scheme = _SCHEME_CODES.get(event.scheme, self.scheme)

    def _on_finished(self, event: events.ServerFinishedSeen, since: Since) -> None:
        self.finished_ok, self.finished = event.ok, since()

    def _on_complete(self, event: events.HandshakeComplete, _: Since) -> None:
        self.identified = event.client_certificate_sent

    def _note_session(self, event: events.Event, since: Since) -> None:
        match event:
            case events.Resumed():
                self.resumed = True
            case events.TicketSeen() if self.version == TLS13 or self.resumed:
                self._keep(
                    event, event.secret, b"", since, extended=bool(self._was and self._was.extended_master_secret)
                )
            case events.TicketSeen():
                self._ticket = event
            case events.SessionSeen():
                self._keep(self._ticket, event.secret, event.session_id, since, extended=event.extended_master_secret)

    @property
    def _was(self) -> Session | None:
        return self._offer.session if self.resumed else None

    def _keep(
        self, ticket: events.TicketSeen | None, secret: bytes, session_id: bytes, since: Since, *, extended: bool
    ) -> None:
        """What may be resumed later; nothing where the server gave neither a ticket nor a session id."""
        if (ticket is None or not ticket.ticket) and not session_id:
            return
        assert self.version is not None
        assert self.cipher is not None
        self.sessions.append(
            Session(
                version=self.version,
                cipher=self.cipher,
                session_id=session_id,
                ticket=ticket.ticket if ticket else b"",
                secret=secret,
                lifetime_s=ticket.lifetime_s if ticket else 0,
                age_add=ticket.message.age_add if ticket else 0,
                max_early_data=(ticket.max_early_data or 0) if ticket else 0,
                obtained_s=self._began_s + since() / 1000,
                alpn=self.alpn,
                extended_master_secret=extended and self.version < TLS13,
            )
        )

    def _on_server_hello(self, event: events.ServerHelloSeen, since: Since) -> None:
        self._last = "server_hello"
        self.version, self.cipher, self.group = event.version, event.cipher, event.group
        self.hello_retry = self.hello_retry or event.is_retry
        self.server_hello = since()
        self.alpn = event.alpn
        if event.version < min(self._offer.versions):
            self._violate(f"the server chose {version_name(event.version)}, below all that was offered")

    def _violate(self, why: str) -> None:
        self._violation = self._violation or Malformed(why=why, awaiting=self._last)

    def _on_alert(self, event: events.AlertSeen) -> Outcome | None:
        """RFC 8446 section 6: with TLS 1.3 the code decides; before it, a warning lets the handshake go on."""
        alert = Alerted(
            level=_LEVELS.get(event.level) or int(event.level),
            code=event.code,
            encrypted=event.encrypted,
            awaiting=event.stage,
        )
        if event.code == _CLOSE_NOTIFY:
            self.close_notify = True
            return None
        tls13 = self.version is not None and self.version >= TLS13
        if alert.level == 1 and (not tls13 or event.code == _USER_CANCELED):
            self.warning = alert
            return None
        return alert

    def handshake(self, endpoint: Endpoint, outcome: Outcome, crowd: int) -> Handshake:
        return Handshake(
            endpoint=endpoint,
            offer=self._offer,
            outcome=outcome,
            timing=Timing(
                tcp=self.tcp,
                starttls=self.starttls,
                first_byte=self.first_byte,
                server_hello=self.server_hello,
                certificate=self.certificate,
                finished=self.finished,
            ),
            version=self.version,
            cipher=self.cipher,
            group=self.group,
            signature_scheme=self.scheme,
            alpn=self.alpn,
            hello_retry=self.hello_retry,
            hello_size=self.hello_size,
            certificates=self.chain,
            staple=self.staple,
            certificate_request=self.certificate_request,
            signature_ok=self.signature_ok,
            finished_ok=self.finished_ok,
            http=self.http,
            identified=self.identified,
            sessions=tuple(self.sessions),
            resumed=self.resumed,
            early_data=self.early_data,
            crowd=crowd,
        )


# What every handshake brings is found by its type: a match would try a dozen classes in turn, event by event.
_NOTES: dict[type[Any], Callable[[Seen, Any, Since], None]] = {
    events.ServerHelloSeen: Seen._on_server_hello,
    events.EncryptedExtensionsSeen: Seen._on_encrypted_extensions,
    events.CertificateSeen: Seen._on_certificate,
    events.StapleSeen: Seen._on_staple,
    events.ServerKeyExchangeSeen: Seen._on_server_key_exchange,
    events.SignatureChecked: Seen._on_signature,
    events.ServerFinishedSeen: Seen._on_finished,
    events.HandshakeComplete: Seen._on_complete,
}
