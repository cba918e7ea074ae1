"""Handshake messages: reassembly over records, and a typed value for each one that a server sends.

RFC 8446 section 4, RFC 5246 section 7.4, RFC 6066 section 8. Parsing is strict on bounds and lenient on content: what
servers do wrong is for the rules to name. Long, because each message has its value and its parser here.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from hashlib import sha256

from probes.values import row, value
from probes.wire.hello import read_extensions
from probes.wire.octets import (
    Cursor,
    MessageError,
    read_u16_list,
    read_vec8_list,
    read_vec16_list,
)
from probes.wire.registry import TLS12, TLS13, Ext

HELLO_REQUEST, CLIENT_HELLO, SERVER_HELLO, HELLO_VERIFY_REQUEST, NEW_SESSION_TICKET = 0, 1, 2, 3, 4
END_OF_EARLY_DATA, ENCRYPTED_EXTENSIONS = 5, 8
CERTIFICATE, SERVER_KEY_EXCHANGE, CERTIFICATE_REQUEST, SERVER_HELLO_DONE = 11, 12, 13, 14
CERTIFICATE_VERIFY, CLIENT_KEY_EXCHANGE, FINISHED, CERTIFICATE_STATUS = 15, 16, 20, 22
KEY_UPDATE, COMPRESSED_CERTIFICATE, MESSAGE_HASH = 24, 25, 254

MESSAGE_NAMES: dict[int, str] = {
    HELLO_REQUEST: "HelloRequest",
    CLIENT_HELLO: "ClientHello",
    SERVER_HELLO: "ServerHello",
    HELLO_VERIFY_REQUEST: "HelloVerifyRequest",
    NEW_SESSION_TICKET: "NewSessionTicket",
    END_OF_EARLY_DATA: "EndOfEarlyData",
    ENCRYPTED_EXTENSIONS: "EncryptedExtensions",
    CERTIFICATE: "Certificate",
    SERVER_KEY_EXCHANGE: "ServerKeyExchange",
    CERTIFICATE_REQUEST: "CertificateRequest",
    SERVER_HELLO_DONE: "ServerHelloDone",
    CERTIFICATE_VERIFY: "CertificateVerify",
    CLIENT_KEY_EXCHANGE: "ClientKeyExchange",
    FINISHED: "Finished",
    CERTIFICATE_STATUS: "CertificateStatus",
    KEY_UPDATE: "KeyUpdate",
    COMPRESSED_CERTIFICATE: "CompressedCertificate",
    MESSAGE_HASH: "message_hash",
}

# RFC 8446 section 4.1.3: a ServerHello with this random is a HelloRetryRequest.
RETRY_RANDOM = sha256(b"HelloRetryRequest").digest()
# RFC 8446 section 4.1.3: the last 8 octets of the random of a server that could have done better.
DOWNGRADE_TO_TLS12, DOWNGRADE_TO_OLDER = b"DOWNGRD\x01", b"DOWNGRD\x00"

# OpenSSL stops at 100 KB for a chain; ten times the common limits leaves room for CertificateRequests of big CA lists.
MAX_MESSAGE = 1 << 18

Extensions = tuple[tuple[int, bytes], ...]


def message_name(kind: int) -> str:
    return MESSAGE_NAMES.get(kind, f"handshake message {kind}")


@row
class Message:
    """One whole handshake message. ``raw`` includes the 4-octet header: that is what transcripts hash."""

    kind: int
    raw: bytes

    @property
    def body(self) -> bytes:
        return self.raw[4:]


class HandshakeReader:
    """Joins handshake fragments: ``feed`` record bodies, ``pop`` whole messages; WireError above *limit* octets."""

    __slots__ = ("_at", "_buffer", "_limit")

    def __init__(self, *, limit: int = MAX_MESSAGE) -> None:
        self._buffer = bytearray()
        self._at = 0
        self._limit = limit

    def feed(self, fragment: bytes) -> None:
        if self._at:
            del self._buffer[: self._at]
            self._at = 0
        self._buffer += fragment

    def pop(self) -> Message | None:
        buffer, at = self._buffer, self._at
        if len(buffer) - at < 4:
            return None
        length = buffer[at + 1] << 16 | buffer[at + 2] << 8 | buffer[at + 3]
        if length > self._limit:
            raise MessageError(f"a {message_name(buffer[at])} claims {length} octets; the limit here is {self._limit}")
        stop = at + 4 + length
        if len(buffer) < stop:
            return None
        self._at = stop
        return Message(buffer[at], bytes(buffer[at:stop]))

    def __iter__(self) -> Iterator[Message]:
        while (message := self.pop()) is not None:
            yield message

    @property
    def partial(self) -> int:
        """Octets held of a message that is not whole yet."""
        return len(self._buffer) - self._at

    @property
    def partial_kind(self) -> int | None:
        """The type of the message under way, when its first octet is here."""
        return self._buffer[self._at] if self.partial else None


@value
class ServerHello:
    """ServerHello or HelloRetryRequest. ``version`` is the true one, ``group`` and ``share`` are TLS 1.3's."""

    legacy_version: int
    random: bytes
    session_id: bytes
    cipher: int
    compression: int
    extensions: Extensions
    version: int
    is_retry: bool
    group: int | None
    share: bytes | None
    cookie: bytes | None
    selected_psk: int | None
    alpn: str | None
    scts: tuple[bytes, ...]

    def has(self, extension: int) -> bool:
        return any(kind == extension for kind, _ in self.extensions)

    @property
    def downgrade_marker(self) -> int | None:
        """The version the server says it was kept from (RFC 8446 section 4.1.3), if it says so."""
        tail = self.random[-8:]
        if tail == DOWNGRADE_TO_TLS12 and self.version == TLS12:
            return TLS13
        if tail == DOWNGRADE_TO_OLDER and self.version < TLS12:
            return TLS12
        return None


@value
class EncryptedExtensions:
    extensions: Extensions
    alpn: str | None
    early_data: bool
    groups: tuple[int, ...] | None


@value
class CertificateEntry:
    """One certificate as sent (DER). Staple and SCTs travel with it in TLS 1.3 only."""

    der: bytes
    staple: bytes | None = None
    scts: tuple[bytes, ...] = ()
    extensions: Extensions = ()


@value
class Certificate:
    """The chain in the order on the wire; ``context`` is TLS 1.3's certificate_request_context."""

    entries: tuple[CertificateEntry, ...]
    chain: tuple[bytes, ...]
    context: bytes = b""


@value
class CertificateRequest:
    """What the server accepts from a client. ``ca_names`` are DER Names; ``certificate_types`` exist up to TLS 1.2."""

    ca_names: tuple[bytes, ...]
    signature_algorithms: tuple[int, ...]
    certificate_types: tuple[int, ...] = ()
    signature_algorithms_cert: tuple[int, ...] = ()
    context: bytes = b""
    extensions: Extensions = ()


@value
class ServerKeyExchange:
    """Signed ephemeral parameters up to TLS 1.2 (RFC 5246 7.4.3, RFC 8422 5.4).

    ``group`` is a named group for ECDHE and None for DHE, which has ``prime`` and ``generator``. ``scheme`` is None
    before TLS 1.2; ``signature`` is None for anonymous suites. ``params`` is the signed part.
    """

    kex: str
    params: bytes
    public: bytes
    group: int | None = None
    prime: int | None = None
    generator: int | None = None
    scheme: int | None = None
    signature: bytes | None = None


@value
class CertificateVerify:
    scheme: int
    signature: bytes


@value
class NewSessionTicket:
    """A resumption ticket. Up to TLS 1.2 only ``lifetime_s`` and ``ticket`` are there."""

    lifetime_s: int
    ticket: bytes
    age_add: int = 0
    nonce: bytes = b""
    max_early_data: int | None = None
    extensions: Extensions = ()


@value
class Alert:
    """``level`` is 1 for warning, 2 for fatal; TLS 1.3 peers are to ignore it."""

    level: int
    code: int


def parse_server_hello(body: bytes) -> ServerHello:
    cursor = Cursor(body, "the ServerHello")
    legacy_version, random, session_id = cursor.u16(), cursor.take(32), cursor.vec8()
    cipher, compression = cursor.u16(), cursor.u8()
    extensions: Extensions = ()
    if cursor.left:
        extensions = read_extensions(cursor.vec16())
        cursor.finish()
    bodies = dict(extensions)
    # RFC 8446 section 4.2.1: a TLS 1.3 ServerHello says 0x0303 in the old field and the truth in supported_versions.
    version = _u16(bodies.get(Ext.SUPPORTED_VERSIONS), "supported_versions")
    is_retry = random == RETRY_RANDOM
    group, share = _server_share(bodies.get(Ext.KEY_SHARE), is_retry=is_retry)
    return ServerHello(
        legacy_version=legacy_version,
        random=random,
        session_id=session_id,
        cipher=cipher,
        compression=compression,
        extensions=extensions,
        version=legacy_version if version is None else version,
        is_retry=is_retry,
        group=group,
        share=share,
        cookie=_vec16(bodies.get(Ext.COOKIE), "cookie"),
        selected_psk=_u16(bodies.get(Ext.PRE_SHARED_KEY), "pre_shared_key"),
        alpn=_alpn(bodies.get(Ext.ALPN)),
        scts=_scts(bodies.get(Ext.SCT)),
    )


def parse_encrypted_extensions(body: bytes) -> EncryptedExtensions:
    cursor = Cursor(body, "EncryptedExtensions")
    extensions = read_extensions(cursor.vec16())
    cursor.finish()
    bodies = dict(extensions)
    groups = _vec16(bodies.get(Ext.SUPPORTED_GROUPS), "supported_groups")
    return EncryptedExtensions(
        extensions=extensions,
        alpn=_alpn(bodies.get(Ext.ALPN)),
        early_data=Ext.EARLY_DATA in bodies,
        groups=None if groups is None else read_u16_list(groups, "supported_groups"),
    )


def parse_certificate(body: bytes, *, tls13: bool) -> Certificate:
    """A server says the same each time it is asked, and to have it in the same objects spares all who compare them."""
    return _remembered(body, tls13) if len(body) <= _REMEMBERED else _certificate(body, tls13)


_REMEMBERED = 1 << 14  # octets; usual chains have three to six thousand


@lru_cache(maxsize=64)
def _remembered(body: bytes, tls13: bool) -> Certificate:
    return _certificate(body, tls13)


def _certificate(body: bytes, tls13: bool) -> Certificate:
    cursor = Cursor(body, "the Certificate message")
    context = cursor.vec8() if tls13 else b""
    items = Cursor(cursor.vec24(), "the Certificate message")
    cursor.finish()
    entries = []
    while items.left:
        der = items.vec24()
        entries.append(_entry13(der, items.vec16()) if tls13 else CertificateEntry(der=der))
    return Certificate(entries=tuple(entries), chain=tuple([entry.der for entry in entries]), context=context)


def parse_certificate_status(body: bytes) -> bytes:
    """The stapled OCSP response (DER) of a TLS 1.2 CertificateStatus."""
    cursor = Cursor(body, "CertificateStatus")
    if (kind := cursor.u8()) != 1:
        raise MessageError(f"CertificateStatus of type {kind} instead of OCSP")
    staple = cursor.vec24()
    cursor.finish()
    return staple


def parse_certificate_request(body: bytes, version: int) -> CertificateRequest:
    cursor = Cursor(body, "CertificateRequest")
    if version >= TLS13:
        return _request13(cursor)
    types = tuple(cursor.vec8())
    schemes = read_u16_list(cursor.vec16(), "supported_signature_algorithms") if version >= TLS12 else ()
    names = read_vec16_list(cursor.vec16(), "the CA names")
    cursor.finish()
    return CertificateRequest(ca_names=names, signature_algorithms=schemes, certificate_types=types)


def parse_server_key_exchange(body: bytes, *, kex: str, anonymous: bool, version: int) -> ServerKeyExchange:
    """Read by the suite's *kex*: ECDHE with a named curve, or DHE. Others are a MessageError."""
    cursor = Cursor(body, "ServerKeyExchange")
    group = prime = generator = None
    if kex == "ECDHE":
        if (form := cursor.u8()) != 3:
            raise MessageError(f"ServerKeyExchange with a curve of form {form} instead of a named one")
        group, public = cursor.u16(), cursor.vec8()
    elif kex == "DHE":
        prime, generator = int.from_bytes(cursor.vec16(), "big"), int.from_bytes(cursor.vec16(), "big")
        public = cursor.vec16()
    else:
        raise MessageError(f"no reading of a ServerKeyExchange for {kex}")
    params = body[: len(body) - cursor.left]
    scheme = signature = None
    if not anonymous:
        scheme = cursor.u16() if version >= TLS12 else None
        signature = cursor.vec16()
    cursor.finish()
    return ServerKeyExchange(
        kex=kex,
        params=params,
        public=public,
        group=group,
        prime=prime,
        generator=generator,
        scheme=scheme,
        signature=signature,
    )


def parse_certificate_verify(body: bytes) -> CertificateVerify:
    cursor = Cursor(body, "CertificateVerify")
    parsed = CertificateVerify(scheme=cursor.u16(), signature=cursor.vec16())
    cursor.finish()
    return parsed


def parse_new_session_ticket(body: bytes, *, tls13: bool) -> NewSessionTicket:
    cursor = Cursor(body, "NewSessionTicket")
    lifetime_s = cursor.u32()
    if not tls13:
        ticket = cursor.vec16()
        cursor.finish()
        return NewSessionTicket(lifetime_s=lifetime_s, ticket=ticket)
    age_add, nonce, ticket = cursor.u32(), cursor.vec8(), cursor.vec16()
    extensions = read_extensions(cursor.vec16())
    cursor.finish()
    early = dict(extensions).get(Ext.EARLY_DATA)
    return NewSessionTicket(
        lifetime_s=lifetime_s,
        ticket=ticket,
        age_add=age_add,
        nonce=nonce,
        max_early_data=None if early is None else _only_u32(early, "early_data"),
        extensions=extensions,
    )


def parse_key_update(body: bytes) -> bool:
    """Whether the peer asks for an update in return."""
    if body not in (b"\0", b"\1"):
        raise MessageError("KeyUpdate with a value that is neither 0 nor 1")
    return body == b"\1"


def parse_alert(body: bytes) -> Alert:
    if len(body) != 2:
        raise MessageError(f"an alert has {len(body)} octets instead of 2")
    return Alert(level=body[0], code=body[1])


def _entry13(der: bytes, block: bytes) -> CertificateEntry:
    extensions = read_extensions(block)
    bodies = dict(extensions)
    status = bodies.get(Ext.STATUS_REQUEST)
    return CertificateEntry(
        der=der,
        staple=None if status is None else parse_certificate_status(status),
        scts=_scts(bodies.get(Ext.SCT)),
        extensions=extensions,
    )


def _request13(cursor: Cursor) -> CertificateRequest:
    context = cursor.vec8()
    extensions = read_extensions(cursor.vec16())
    cursor.finish()
    bodies = dict(extensions)
    schemes = _vec16(bodies.get(Ext.SIGNATURE_ALGORITHMS), "signature_algorithms") or b""
    for_certificates = _vec16(bodies.get(Ext.SIGNATURE_ALGORITHMS_CERT), "signature_algorithms_cert") or b""
    names = _vec16(bodies.get(Ext.CERTIFICATE_AUTHORITIES), "certificate_authorities") or b""
    return CertificateRequest(
        ca_names=read_vec16_list(names, "certificate_authorities"),
        signature_algorithms=read_u16_list(schemes, "signature_algorithms"),
        signature_algorithms_cert=read_u16_list(for_certificates, "signature_algorithms_cert"),
        context=context,
        extensions=extensions,
    )


def _server_share(body: bytes | None, *, is_retry: bool) -> tuple[int | None, bytes | None]:
    if body is None:
        return None, None
    cursor = Cursor(body, "key_share")
    group = cursor.u16()
    share = None if is_retry else cursor.vec16()
    cursor.finish()
    return group, share


def _alpn(body: bytes | None) -> str | None:
    if body is None:
        return None
    names = read_vec8_list(_vec16(body, "ALPN") or b"", "ALPN")
    if len(names) != 1:
        raise MessageError(f"the server chose {len(names)} ALPN protocols instead of one")
    return names[0].decode("latin-1")


def _scts(body: bytes | None) -> tuple[bytes, ...]:
    # RFC 6962 section 3.3: a server answers with a list; a few echo an empty body.
    return read_vec16_list(_vec16(body, "the SCT list") or b"", "the SCT list") if body else ()


def _vec16(body: bytes | None, what: str) -> bytes | None:
    if body is None:
        return None
    cursor = Cursor(body, what)
    inner = cursor.vec16()
    cursor.finish()
    return inner


def _u16(body: bytes | None, what: str) -> int | None:
    if body is None:
        return None
    if len(body) != 2:
        raise MessageError(f"{what} has {len(body)} octets instead of 2")
    return int.from_bytes(body, "big")


def _only_u32(body: bytes, what: str) -> int:
    if len(body) != 4:
        raise MessageError(f"{what} has {len(body)} octets instead of 4")
    return int.from_bytes(body, "big")
