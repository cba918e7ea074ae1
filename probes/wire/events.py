"""What a client sees during a handshake, as values: the events of ``client.ClientHandshake``.

Versions, suites, groups and schemes are code points (``registry`` names them). Events come in the order in which the
peer's bytes say them, whatever the pieces in which the bytes arrived.
"""

from __future__ import annotations

from dataclasses import field
from typing import Literal

from probes.values import value
from probes.wire.messages import (
    CertificateRequest,
    EncryptedExtensions,
    NewSessionTicket,
    ServerHello,
    ServerKeyExchange,
)

Stage = Literal[
    "server_hello",
    "encrypted_extensions",
    "certificate",
    "server_key_exchange",
    "certificate_verify",
    "server_hello_done",
    "change_cipher_spec",
    "finished",
    "application_data",
]
"""The message that is awaited next; with several legal ones, the one that cannot be left out."""


@value
class ServerHelloSeen:
    """``group`` is TLS 1.3's choice (for a retry: the group asked for), ``alpn`` that of TLS 1.2 and before."""

    version: int
    cipher: int
    group: int | None
    is_retry: bool
    alpn: str | None
    message: ServerHello


@value
class EncryptedExtensionsSeen:
    alpn: str | None
    message: EncryptedExtensions


@value
class CertificateSeen:
    """DER, in the order sent (the leaf should be first). ``staple`` is TLS 1.3's; StapleSeen covers all versions."""

    chain: tuple[bytes, ...]
    staple: bytes | None
    scts: tuple[bytes, ...]


@value
class StapleSeen:
    """The OCSP response (DER) stapled for the leaf, in any version."""

    response: bytes


@value
class CertificateRequestSeen:
    """The server asks for a client certificate. ``ca_names`` are DER Names."""

    ca_names: tuple[bytes, ...]
    signature_algorithms: tuple[int, ...]
    message: CertificateRequest


@value
class ServerKeyExchangeSeen:
    """The ephemeral key of TLS 1.2 and before. ``bits`` is the size of a DHE modulus."""

    group: int | None
    bits: int | None
    scheme: int | None
    message: ServerKeyExchange


@value
class SignatureChecked:
    """Whether the server proved to hold the leaf's key. ``scheme`` is a name; ``why`` is empty when ``ok``."""

    ok: bool
    scheme: str
    why: str


@value
class ServerFinishedSeen:
    """Whether both sides saw the same handshake."""

    ok: bool


@value
class HandshakeComplete:
    """Our Finished is queued in ``outgoing`` (TLS 1.3) or was answered (TLS 1.2 and before)."""

    version: int
    cipher: int
    group: int | None
    alpn: str | None
    client_certificate_sent: bool


@value
class Resumed:
    """The server takes up the session that was offered; no certificate will come."""


@value
class SessionSeen:
    """A full handshake of TLS 1.2 or before is through: ``secret`` resumes it, by this id (b"": by a ticket only)."""

    session_id: bytes
    secret: bytes = field(repr=False)
    extended_master_secret: bool


@value
class TicketSeen:
    """``secret`` resumes with it: the PSK in TLS 1.3, the master secret before."""

    lifetime_s: int
    max_early_data: int | None
    ticket: bytes
    secret: bytes = field(repr=False)
    message: NewSessionTicket


@value
class AlertSeen:
    """An alert from the peer. ``level`` is "warning", "fatal" or the number; ``stage`` what was awaited then."""

    level: str
    code: int
    name: str
    encrypted: bool
    stage: Stage


@value
class ApplicationData:
    data: bytes


@value
class NotTls:
    """The answer is no TLS. ``protocol`` names it where recognised; ``first_bytes`` are those that decided."""

    protocol: str | None
    first_bytes: bytes


@value
class Violation:
    """The server broke the protocol in a way that can be looked past, such as choosing what was not offered.

    ``what``: version, cipher, group, alpn, session_id, compression, extension, signature_scheme, certificate, record.
    """

    what: str
    why: str


@value
class Unsupported:
    """Legal, but not computable here. When ``fatal`` nothing more can be read; else only a check is missing.

    ``what``: version, cipher, group, kex, signature, certificate, compressed_certificate, client_certificate,
    renegotiation, post_handshake_auth.
    """

    what: str
    why: str
    fatal: bool


@value
class Malformed:
    """Bytes that cannot be TLS at this point; nothing after them is read."""

    why: str
    stage: Stage


@value
class PeerClosed:
    """``eof()`` was told. ``stage`` is what was awaited; ``partial`` how many octets of it had come already.

    ``clean`` means that a close_notify came before; ``bytes_received`` counts the peer's stream from its start.
    """

    stage: Stage
    partial: int
    clean: bool
    bytes_received: int


Event = (
    ServerHelloSeen
    | EncryptedExtensionsSeen
    | CertificateSeen
    | StapleSeen
    | CertificateRequestSeen
    | ServerKeyExchangeSeen
    | SignatureChecked
    | ServerFinishedSeen
    | HandshakeComplete
    | Resumed
    | SessionSeen
    | TicketSeen
    | AlertSeen
    | ApplicationData
    | NotTls
    | Violation
    | Unsupported
    | Malformed
    | PeerClosed
)
