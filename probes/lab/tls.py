"""A TLS server on OpenSSL that does what it is told, over memory buffers inside asyncio.

After the handshake it answers one HTTP request, in HTTP/1.1 or HTTP/2, and closes.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Literal, TypeAlias, cast

from cryptography import x509
from cryptography.hazmat.bindings.openssl.binding import Binding
from OpenSSL import SSL
from OpenSSL.crypto import X509

from probes.lab.gate import Peer
from probes.lab.h2 import Http2
from probes.lab.http import Requests, response
from probes.lab.issue import Issued, Key
from probes.values import value

Version: TypeAlias = Literal["TLSv1", "TLSv1.1", "TLSv1.2", "TLSv1.3"]

_VERSIONS: dict[Version, int] = {
    "TLSv1": SSL.TLS1_VERSION,
    "TLSv1.1": SSL.TLS1_1_VERSION,
    "TLSv1.2": SSL.TLS1_2_VERSION,
    "TLSv1.3": SSL.TLS1_3_VERSION,
}
Demand: TypeAlias = Literal["not-asked", "optional", "required", "required-in-http"]  # the last one as nginx does it
_openssl, _ffi = Binding().lib, Binding().ffi
_CHUNK = 16_384 + 256 + 5  # the longest record on the wire (RFC 8446 section 5.2)
_NO_ANTI_REPLAY = 1 << 24  # SSL_OP_NO_ANTI_REPLAY: its guard needs the session cache
_EARLY_ERROR, _EARLY_FINISH = 0, 2  # what SSL_read_early_data(3) returns
_SECLEVEL_0 = ":@SECLEVEL=0"  # OpenSSL refuses TLS 1.1, SHA-1 and short RSA keys above this level


@value
class Terms:
    """What a server presents and agrees to. The defaults are healthy."""

    chain: tuple[x509.Certificate, ...]  # as sent, leaf first
    key: Key
    oldest: Version = "TLSv1.2"
    newest: Version = "TLSv1.3"
    ciphers: str = "ECDHE+AESGCM:ECDHE+CHACHA20"  # TLS 1.2 and older, in OpenSSL's notation
    groups: str | None = None  # None: OpenSSL's own list, X25519MLKEM768 first
    signatures: str | None = None  # the server's own signature algorithms; None: OpenSSL's list
    alpn: tuple[bytes, ...] = (b"h2", b"http/1.1")
    alpn_required: bool = False  # nothing in common: alert 120 (RFC 7301 section 3.2)
    clock: timedelta = timedelta(0)  # how far the Date of the answer is off
    staple: bytes | None = None  # the OCSP response, for clients that ask for one
    greeting: str = "healthy"
    clients: Demand = "not-asked"  # for a certificate
    clients_ca: x509.Certificate | None = None  # whose client certificates are taken, and whose name is sent along
    resumes: bool = True  # False: handles are given, and forgotten at once
    session_context: bytes = b"lab"  # empty: OpenSSL breaks resumed handshakes off where clients are verified
    early_data: int = 0  # bytes that a ticket allows before the handshake is through


def terms(issued: Issued, *above: Issued, **changes: object) -> Terms:
    """Terms for *issued* and the certificates sent with it; *changes* are fields of Terms."""
    chain = (issued.certificate, *(ca.certificate for ca in above))
    return Terms(chain=chain, key=issued.key, **changes)  # type: ignore[arg-type]


def serving(terms: Terms) -> Peer:
    """A server under *terms*."""
    context = _context(terms)
    return lambda: TlsServer(context, terms)


def stalling(terms: Terms, *, cut: Callable[[bytes], int]) -> Peer:
    """A server that falls silent within its first flight, after as many bytes of it as *cut* says."""
    context = _context(terms)
    return lambda: _StallingServer(context, terms, cut)


def after_one_record(flight: bytes) -> int:
    """Where the first record ends: with OpenSSL, that is behind the ServerHello."""
    return 5 + int.from_bytes(flight[3:5], "big")


def _context(terms: Terms) -> SSL.Context:
    context = SSL.Context(SSL.TLS_SERVER_METHOD)
    context.set_min_proto_version(_VERSIONS[terms.oldest])
    context.set_max_proto_version(_VERSIONS[terms.newest])
    context.set_options(SSL.OP_CIPHER_SERVER_PREFERENCE)
    context.set_cipher_list((terms.ciphers + _SECLEVEL_0).encode())
    context.use_certificate(terms.chain[0])
    for certificate in terms.chain[1:]:
        context.add_extra_chain_cert(certificate)
    context.use_privatekey(terms.key)
    # pyOpenSSL has no method for these two; the binding beneath it does.
    if terms.groups:
        _accepted(_openssl.SSL_CTX_set1_curves_list(context._context, terms.groups.encode()))
    if terms.signatures:
        _accepted(_openssl.SSL_CTX_set1_sigalgs_list(context._context, terms.signatures.encode()))
    if terms.clients != "not-asked":
        _ask(context, terms)
    if terms.staple is not None:
        context.set_ocsp_server_callback(lambda *_: terms.staple or b"")
    context.set_alpn_select_callback(_alpn(terms))
    context.set_session_cache_mode(SSL.SESS_CACHE_OFF)
    if terms.session_context:
        context.set_session_id(terms.session_context)
    if not terms.resumes:
        context.set_options(SSL.OP_NO_TICKET)
    if terms.early_data:
        context.set_options(_NO_ANTI_REPLAY)
        _openssl.SSL_CTX_set_max_early_data(context._context, terms.early_data)
    return context


def _ask(context: SSL.Context, terms: Terms) -> None:
    """Ask for a client certificate, and refuse as the terms say."""
    if terms.clients_ca is not None:
        store = context.get_cert_store()
        assert store is not None
        store.add_cert(X509.from_cryptography(terms.clients_ca))
        context.add_client_ca(terms.clients_ca)
    mode = SSL.VERIFY_PEER
    if terms.clients == "required":
        mode |= SSL.VERIFY_FAIL_IF_NO_PEER_CERT
    context.set_verify(mode, _remembering if terms.clients == "required-in-http" else None)


def _remembering(connection: SSL.Connection, _certificate: object, error: int, _depth: int, ok: int) -> bool:
    """Let everyone in, and remember what was wrong: OpenSSL forgets what a callback forgives."""
    if not ok:
        connection.set_app_data(error)
    return True


def _accepted(result: int) -> None:
    if result != 1:
        raise ValueError("OpenSSL does not know one of these groups or signature algorithms")


class _NoProtocol(Exception):
    """Raised inside OpenSSL's ALPN callback, which turns any exception into alert 120."""


def _alpn(terms: Terms) -> Callable[[SSL.Connection, list[bytes]], bytes | SSL._NoOverlappingProtocols]:
    def select(_: SSL.Connection, offered: list[bytes]) -> bytes | SSL._NoOverlappingProtocols:
        for protocol in terms.alpn:
            if protocol in offered:
                return protocol
        if terms.alpn_required:
            raise _NoProtocol
        return SSL.NO_OVERLAPPING_PROTOCOLS

    return select


class TlsServer(asyncio.Protocol):
    """One connection: handshake, one request, one answer, close_notify, FIN."""

    def __init__(self, context: SSL.Context, terms: Terms) -> None:
        self._tls = SSL.Connection(context, None)
        self._tls.set_accept_state()
        self._terms = terms
        self._established = False
        self._application: Requests | Http2 | None = None
        self._reads_early = bool(terms.early_data)
        self._early = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        while data and not self._transport.is_closing():
            written = self._tls.bio_write(data[:_CHUNK])
            data = data[written:]
            self._advance()

    def send(self, records: bytes) -> None:
        """Everything for the wire passes here."""
        self._transport.write(records)

    def _advance(self) -> None:
        try:
            if not self._established:
                if self._reads_early:
                    self._read_early()
                self._tls.do_handshake()
                self._established = True
            self._converse()
        except SSL.WantReadError:
            self._flush()
        except (SSL.Error, _NoProtocol):  # the alert for it lies in the buffer; ZeroReturn is the peer's close_notify
            self._flush()
            self._transport.close()

    def _read_early(self) -> None:
        """pyOpenSSL has no method for it: collect what comes before the handshake is through."""
        room, size = _ffi.new(f"char[{_CHUNK}]"), _ffi.new("size_t *")
        while (result := _openssl.SSL_read_early_data(self._tls._ssl, room, _CHUNK, size)) != _EARLY_FINISH:
            if result == _EARLY_ERROR:
                self._tls._raise_ssl_error(self._tls._ssl, 0)
            self._early += _ffi.buffer(room, size[0])[:]
        self._reads_early = False

    def _converse(self) -> None:
        """Read what there is; the end of it is WantReadError."""
        while True:
            early, self._early = self._early, b""
            data = early or self._tls.recv(_CHUNK)
            if answer := self._answer(data):
                self._tls.sendall(answer)
            if self._finished(answer):
                self._tls.shutdown()
                self._flush()
                self._transport.close()
                return

    def _answer(self, data: bytes) -> bytes:
        now = datetime.now().astimezone() + self._terms.clock
        if self._application is None:
            self._application = Http2() if self._tls.get_alpn_proto_negotiated() == b"h2" else Requests()
        if isinstance(self._application, Http2):
            return self._application.receive(data, now=now, greeting=self._terms.greeting)
        request = self._application.receive(data)
        if request is None:
            return b""
        if self._terms.clients == "required-in-http" and (refusal := self._refusal()):
            return response(request, now=now, status="400 Bad Request", greeting=refusal)
        return response(request, now=now, greeting=self._terms.greeting)

    def _refusal(self) -> str:
        """What nginx's page says to a client without a certificate that verifies; empty to one with it."""
        if self._tls.get_peer_certificate(as_cryptography=True) is None:
            return "<title>400 No required SSL certificate was sent</title>"
        return "<title>400 The SSL certificate error</title>" if self._tls.get_app_data() else ""

    def _finished(self, answer: bytes) -> bool:
        if isinstance(self._application, Http2):
            return self._application.finished
        return bool(answer)

    def _flush(self) -> None:
        records = bytearray()
        while True:
            try:
                records += self._tls.bio_read(_CHUNK)
            except SSL.WantReadError:
                break
        if records:
            self.send(bytes(records))


class _StallingServer(TlsServer):
    """Lets only the beginning of its first flight out."""

    def __init__(self, context: SSL.Context, terms: Terms, cut: Callable[[bytes], int]) -> None:
        super().__init__(context, terms)
        self._cut: Callable[[bytes], int] | None = cut

    def send(self, records: bytes) -> None:
        if self._cut is not None:
            super().send(records[: self._cut(records)])
            self._cut = None
