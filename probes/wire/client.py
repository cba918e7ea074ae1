"""A TLS client without I/O: bytes in, events out, bytes to send. It observes; it never rejects and protects nothing.

    handshake = ClientHandshake(hello, draw_secrets(hello, os.urandom))
    send(handshake.start())
    while not handshake.done:
        events += handshake.receive(read())      # or handshake.eof() when the peer closes
        send(handshake.outgoing())

What a peer does is an event, down to garbage and broken signatures; no bytes make this class raise. How far to go is
``stop_after``: "server_hello" computes nothing but the hello, "certificate" reads up to the chain (in TLS 1.2 and
before: up to ServerHelloDone), "finished" goes all the way and keeps on reading.

A *resumption* offers a session again. Resumed tells whether it was taken up, EncryptedExtensionsSeen whether early
data was.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable

from probes.values import changed
from probes.wire import records
from probes.wire.events import (
    AlertSeen,
    ApplicationData,
    Event,
    Malformed,
    NotTls,
    PeerClosed,
    ServerHelloSeen,
    Stage,
)
from probes.wire.exchange import Exchange, Phase, StopAfter
from probes.wire.foreign import LINE_LIMIT, decisive_prefix, foreign_protocol
from probes.wire.handshake12 import Handshake12
from probes.wire.handshake13 import Handshake13
from probes.wire.hello import Hello, HelloSecrets, build, extension_kinds, hello_records
from probes.wire.keyshare import generate
from probes.wire.messages import (
    SERVER_HELLO,
    HandshakeReader,
    Message,
    ServerHello,
    message_name,
    parse_alert,
    parse_server_hello,
)
from probes.wire.octets import MessageError, UnsupportedError, WireError
from probes.wire.records import (
    ALERT,
    APPLICATION_DATA,
    HANDSHAKE,
    Record,
    RecordReader,
    frame,
    looks_like_tls,
)
from probes.wire.registry import TLS12, TLS13, Ext, alert_name, cipher_name, extension_name, group_name, version_name
from probes.wire.resumption import Resumption, bound, early_schedule, offering
from probes.wire.schedule13 import SUITES, TrafficKeys, Transcript, keylog_line
from probes.wire.signatures import ClientIdentity
from probes.wire.suites import EMPTY_RENEGOTIATION_INFO_SCSV

__all__ = ["ClientHandshake", "ClientIdentity", "Resumption", "StopAfter"]

_LEVELS = {1: "warning", 2: "fatal"}
_CLOSE_NOTIFY, _USER_CANCELED = 0, 90
_PLAIN13 = frozenset((Ext.SUPPORTED_VERSIONS, Ext.KEY_SHARE))
_RETRYABLE = frozenset((Ext.COOKIE, Ext.KEY_SHARE, Ext.SUPPORTED_VERSIONS))


class ClientHandshake:
    """One connection. *secrets* belong to *hello* (``draw_secrets``); *keylog* receives SSLKEYLOGFILE lines.

    UnsupportedError when the session of *resumption* cannot be computed with here.
    """

    def __init__(
        self,
        hello: Hello,
        secrets: HelloSecrets,
        *,
        stop_after: StopAfter = "finished",
        identity: ClientIdentity | None = None,
        keylog: Callable[[str], None] | None = None,
        resumption: Resumption | None = None,
    ) -> None:
        if resumption is not None:
            hello = offering(hello, resumption)
            if hello.session_id is not None:
                secrets = changed(secrets, session_id=hello.session_id)
        self._exchange = Exchange(hello, secrets, stop_after, identity, keylog, resumption)
        self._records = RecordReader()
        self._handshake = HandshakeReader()
        self._first = bytearray()
        self._is_tls: bool | None = None
        self._phase: Phase | None = None
        self._retry: ServerHello | None = None
        self._transcript = Transcript()
        self._hello_message = b""
        self._close_notify = False
        self.bytes_received = 0

    # --- what the caller does ---

    def start(self) -> bytes:
        """The ClientHello in its record(s), to be sent first."""
        exchange = self._exchange
        message = build(exchange.hello, exchange.secrets)
        early = b""
        if exchange.hello.psk is not None:
            message, early = self._bound_with_early_data(message)
        self._hello_message = message
        self._transcript.add(message)
        return hello_records(exchange.hello, message) + early

    def receive(self, data: bytes) -> list[Event]:
        """Take in the next bytes of the peer and tell what they say; [] after the end."""
        exchange = self._exchange
        self.bytes_received += len(data)
        if exchange.over:
            return []
        if not self._is_tls:
            recognised = self._recognised(data)
            if recognised is None:
                return self._drain()
            data = recognised
        self._records.feed(data)
        try:
            while not exchange.over and (record := self._records.pop()) is not None:
                self._on_record(record)
        except WireError as error:
            exchange.emit(Malformed(why=error.why, stage=self.stage))
            exchange.over = True
        return self._drain()

    def eof(self) -> list[Event]:
        """Tell that the peer closed; the last event is PeerClosed."""
        return [
            *self.expire(),
            PeerClosed(
                stage=self.stage,
                partial=self.partial,
                clean=self._close_notify,
                bytes_received=self.bytes_received,
            ),
        ]

    def expire(self) -> list[Event]:
        """Tell that no more will be awaited: an answer that is no TLS and still undecided is named now."""
        if self._is_tls is False and not self._exchange.over:
            self._conclude_foreign(ended=True)
        return self._drain()

    def outgoing(self) -> bytes:
        """Take what is to be sent; b"" when there is nothing."""
        waiting = bytes(self._exchange.outgoing)
        self._exchange.outgoing.clear()
        return waiting

    def send_application(self, data: bytes) -> None:
        """Queue application data; only after HandshakeComplete."""
        if self._phase is None or not self._exchange.complete:
            raise RuntimeError("application data before the handshake is complete")
        self._exchange.outgoing += self._phase.seal(APPLICATION_DATA, data)

    def close(self) -> None:
        """Queue a close_notify, protected where keys are in use."""
        notify = bytes((1, _CLOSE_NOTIFY))
        if self._phase is not None and self._exchange.complete:
            self._exchange.outgoing += self._phase.seal(ALERT, notify)
        else:
            self._exchange.outgoing += frame(ALERT, TLS12, notify)

    @property
    def done(self) -> bool:
        """Whether ``stop_after`` is reached, the handshake is complete, or nothing more can be read."""
        return self._exchange.over or self._exchange.complete

    @property
    def complete(self) -> bool:
        """Whether HandshakeComplete was told."""
        return self._exchange.complete

    @property
    def stage(self) -> Stage:
        """The message awaited next."""
        return "server_hello" if self._phase is None else self._phase.stage

    @property
    def partial(self) -> int:
        """Octets that came of a message or record which is not whole yet; 0 when none is awaited."""
        if self._exchange.over:
            return 0
        return len(self._records.pending) + self._handshake.partial

    def _bound_with_early_data(self, message: bytes) -> tuple[bytes, bytes]:
        """The hello with its binder, and the records that follow it at once (RFC 8446 section 4.2.10, appendix D.4)."""
        exchange = self._exchange
        assert exchange.resumption is not None
        schedule = early_schedule(exchange.resumption.session)
        message = bound(message, schedule)
        if not exchange.hello.early_data:
            return message, b""
        secret = schedule.early_traffic(hashlib.new(schedule.digest, message).digest())
        if exchange.keylog is not None:
            exchange.keylog(keylog_line("CLIENT_EARLY_TRAFFIC_SECRET", exchange.secrets.random, secret))
        exchange.early = TrafficKeys(schedule.suite, secret)
        exchange.send_compat()
        exchange.outgoing += exchange.early.seal(APPLICATION_DATA, exchange.resumption.early_data)
        return message, self.outgoing()

    # --- what the peer does ---

    def _drain(self) -> list[Event]:
        events = self._exchange.events
        self._exchange.events = []
        return events

    def _recognised(self, data: bytes) -> bytes | None:
        """All bytes so far once they are known to be TLS; None while they are not, or not yet."""
        self._first += data[: max(LINE_LIMIT - len(self._first), 0)] if self._is_tls is False else data
        first = bytes(self._first)
        if self._is_tls is None:
            self._is_tls = looks_like_tls(first)
        if self._is_tls is False:
            self._conclude_foreign(ended=False)
        return first if self._is_tls else None

    def _conclude_foreign(self, *, ended: bool) -> None:
        decisive = decisive_prefix(bytes(self._first), ended=ended)
        if decisive is None:
            return
        self._exchange.emit(NotTls(protocol=foreign_protocol(decisive), first_bytes=decisive))
        self._exchange.over = True

    def _on_record(self, record: Record) -> None:
        phase = self._phase
        kind, payload, encrypted = (record.kind, record.body, False) if phase is None else phase.unprotect(record)
        match kind:
            case records.HANDSHAKE:
                self._on_handshake_bytes(payload)
            case records.ALERT:
                self._on_alert(payload, encrypted=encrypted)
            case records.CHANGE_CIPHER_SPEC:
                self._on_change_cipher_spec(payload)
            case records.APPLICATION_DATA if self._exchange.complete:
                if payload:
                    self._exchange.emit(ApplicationData(data=payload))
            case _:
                raise MessageError(f"a record of type {kind} where {self.stage} is due")

    def _on_handshake_bytes(self, payload: bytes) -> None:
        if not payload:
            raise MessageError("an empty handshake record")
        reader, exchange = self._handshake, self._exchange
        reader.feed(payload)
        while not exchange.over and (message := reader.pop()) is not None:
            if self._phase is None:
                self._on_hello(message)
            else:
                self._phase.on_message(message, more=reader.partial > 0)

    def _on_change_cipher_spec(self, payload: bytes) -> None:
        if payload != b"\x01":
            raise MessageError("a ChangeCipherSpec that does not hold one octet of value 1")
        if self._phase is not None:
            self._phase.on_change_cipher_spec(partial=self._handshake.partial > 0)
        elif self._retry is None:
            raise MessageError("a ChangeCipherSpec where server_hello is due")

    def _on_alert(self, payload: bytes, *, encrypted: bool) -> None:
        alert = parse_alert(payload)
        level = _LEVELS.get(alert.level, str(alert.level))
        self._exchange.emit(
            AlertSeen(level=level, code=alert.code, name=alert_name(alert.code), encrypted=encrypted, stage=self.stage)
        )
        self._close_notify = self._close_notify or alert.code == _CLOSE_NOTIFY
        # RFC 8446 section 6: in TLS 1.3 the code decides; before, a warning lets the handshake go on.
        warns = alert.level == 1 and (alert.code == _USER_CANCELED or not isinstance(self._phase, Handshake13))
        self._exchange.over = alert.code == _CLOSE_NOTIFY or not warns

    # --- the ServerHello ---

    def _on_hello(self, message: Message) -> None:
        if message.kind != SERVER_HELLO:
            if message.kind == 0:
                return  # RFC 5246 section 7.4.1.1: a HelloRequest during a handshake is ignored
            raise MessageError(f"{message_name(message.kind)} where server_hello is due")
        hello = parse_server_hello(message.body)
        exchange = self._exchange
        exchange.emit(
            ServerHelloSeen(
                version=hello.version,
                cipher=hello.cipher,
                group=hello.group,
                is_retry=hello.is_retry,
                alpn=hello.alpn,
                message=hello,
            )
        )
        self._check_choice(hello)
        if exchange.stop_after == "server_hello":
            exchange.over = True
            return
        if hello.version >= TLS13 and self._handshake.partial:
            raise MessageError("octets behind the ServerHello under the same keys")
        try:
            if hello.is_retry:
                self._on_retry(hello, message)
            else:
                self._begin(hello, message)
        except UnsupportedError as error:
            what = "cipher" if hello.version >= TLS13 and hello.cipher not in SUITES else "group"
            exchange.unsupported(what if hello.version >= TLS13 else "cipher", error.why, fatal=True)

    def _begin(self, hello: ServerHello, message: Message) -> None:
        if hello.version < TLS13:
            self._phase = Handshake12(self._exchange, hello, self._hello_message + message.raw)
            return
        if hello.version != TLS13 or hello.cipher not in SUITES:
            chosen = f"{cipher_name(hello.cipher)} in {version_name(hello.version)}"
            raise UnsupportedError(f"no implementation of {chosen}")
        self._transcript.choose(SUITES[hello.cipher].digest)
        self._transcript.add(message.raw)
        self._phase = Handshake13(self._exchange, hello, self._transcript)

    def _on_retry(self, retry: ServerHello, message: Message) -> None:
        """RFC 8446 section 4.1.4: answer with a second ClientHello."""
        exchange = self._exchange
        if self._retry is not None:
            raise MessageError("a second HelloRetryRequest")
        self._retry = retry
        if retry.cipher not in SUITES:
            raise UnsupportedError(f"no implementation of {cipher_name(retry.cipher)}")
        if retry.group is None and retry.cookie is None:
            exchange.violation("extension", "the HelloRetryRequest asks for no change")
        self._transcript.replace_first_hello(SUITES[retry.cipher].digest)
        self._transcript.add(message.raw)
        shares = dict(exchange.secrets.shares)
        if retry.group is not None and retry.group not in shares:
            shares[retry.group] = generate(retry.group, exchange.secrets.entropy)
        exchange.secrets = changed(exchange.secrets, shares=shares)
        second = self._second_hello(retry)
        self._transcript.add(second)
        exchange.send_compat()
        exchange.outgoing += frame(HANDSHAKE, TLS12, second)

    def _second_hello(self, retry: ServerHello) -> bytes:
        """RFC 8446 sections 4.1.2 and 4.2.11: early data is out, and so is a key whose hash is not the retry's."""
        exchange = self._exchange
        schedule = None
        if exchange.resumption is not None and exchange.hello.psk is not None:
            schedule = early_schedule(exchange.resumption.session)
            if schedule.digest != SUITES[retry.cipher].digest:
                schedule = None
                exchange.hello = changed(exchange.hello, psk=None)
            exchange.hello = changed(exchange.hello, early_data=False)
        second = build(exchange.hello, exchange.secrets, cookie=retry.cookie, retry_group=retry.group)
        return second if schedule is None else bound(second, schedule, hashed=self._transcript.digest_with)

    def _check_choice(self, hello: ServerHello) -> None:
        """Say where the server chose what was not offered (RFC 8446 section 4.1.3)."""
        exchange, offer = self._exchange, self._exchange.hello
        version, cipher = hello.version, hello.cipher
        if version not in offer.offered_versions:
            exchange.violation("version", f"the server chose {version_name(version)}, which was not offered")
        if cipher not in offer.ciphers:
            exchange.violation("cipher", f"the server chose {cipher_name(cipher)}, which was not offered")
        if hello.compression not in offer.compression:
            exchange.violation("compression", f"the server chose compression {hello.compression}, not offered")
        marker = hello.downgrade_marker
        if marker is not None and marker in offer.offered_versions:
            named = version_name(marker)
            exchange.violation("version", f"the server marks a downgrade: it would have spoken {named} or newer")
        self._check_extensions(hello)
        exchange.check_alpn(hello.alpn)
        if version >= TLS13:
            self._check_choice13(hello)

    def _check_choice13(self, hello: ServerHello) -> None:
        exchange, offer = self._exchange, self._exchange.hello
        if hello.session_id != exchange.secrets.session_id:
            exchange.violation("session_id", "the server does not echo the session id")
        if self._retry is not None and hello.cipher != self._retry.cipher:
            exchange.violation("cipher", "the ServerHello names another suite than the HelloRetryRequest")
        group = hello.group
        if hello.selected_psk is not None and (offer.psk is None or hello.selected_psk):
            exchange.violation("extension", f"the server chose pre-shared key {hello.selected_psk}, not offered")
        if group is None:
            return
        if group not in offer.groups:
            exchange.violation("group", f"the server chose {group_name(group)}, which was not offered")
        elif hello.is_retry and group in (offer.key_shares or ()):
            exchange.violation("group", f"the server asks for a share of {group_name(group)}, which it has")

    def _offers13(self) -> bool:
        offer = self._exchange.hello
        return offer.extensions and TLS13 in offer.versions and offer.key_shares is not None

    def _check_extensions(self, hello: ServerHello) -> None:
        kinds = [kind for kind, _ in hello.extensions]
        if hello.version == TLS13 and frozenset(kinds) == _PLAIN13 and len(kinds) == 2 and self._offers13():
            return  # as nearly every ServerHello of TLS 1.3
        if len(set(kinds)) != len(kinds):
            self._exchange.violation("extension", "the server repeats an extension")
        offered = set(extension_kinds(self._hello_message))
        if EMPTY_RENEGOTIATION_INFO_SCSV in self._exchange.hello.ciphers:
            offered.add(Ext.RENEGOTIATION_INFO)
        if hello.is_retry:
            offered |= _RETRYABLE
        for kind in kinds:
            if kind not in offered:
                self._exchange.violation("extension", f"the server answers {extension_name(kind)}, which was not sent")
