"""Clients that share nothing with the lab but the sockets: OpenSSL over memory buffers, the stdlib's ssl, raw TCP."""

from __future__ import annotations

import asyncio
import socket
import ssl
from contextlib import suppress
from dataclasses import dataclass

from cryptography import x509
from cryptography.hazmat.bindings.openssl.binding import Binding
from OpenSSL import SSL

_openssl = Binding().lib
_PATIENCE_S = 10.0
VERSIONS = {
    "TLSv1": SSL.TLS1_VERSION,
    "TLSv1.1": SSL.TLS1_1_VERSION,
    "TLSv1.2": SSL.TLS1_2_VERSION,
    "TLSv1.3": SSL.TLS1_3_VERSION,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What one handshake that verifies nothing came to."""

    version: str | None  # None: no handshake
    chain: tuple[x509.Certificate, ...]
    group: str | None
    alpn: bytes
    answer: bytes  # to a GET over HTTP/1.1
    first_bytes: bytes  # as received

    @property
    def alert(self) -> int | None:
        """The code of an alert in the clear that was the whole answer (RFC 8446 section 6)."""
        return self.first_bytes[6] if self.first_bytes[:1] == b"\x15" and len(self.first_bytes) == 7 else None


def client(
    name: str | None,
    *,
    oldest: str = "TLSv1.2",
    newest: str = "TLSv1.3",
    ciphers: str = "DEFAULT",
    groups: str | None = None,
    signatures: str | None = None,
    alpn: tuple[bytes, ...] = (),
) -> SSL.Connection:
    """An OpenSSL client over memory buffers, before its ClientHello."""
    context = SSL.Context(SSL.TLS_CLIENT_METHOD)
    context.set_min_proto_version(VERSIONS[oldest])
    context.set_max_proto_version(VERSIONS[newest])
    context.set_cipher_list(f"{ciphers}:@SECLEVEL=0".encode())
    if groups:
        assert _openssl.SSL_CTX_set1_curves_list(context._context, groups.encode()) == 1
    if signatures:
        assert _openssl.SSL_CTX_set1_sigalgs_list(context._context, signatures.encode()) == 1
    if alpn:
        context.set_alpn_protos(list(alpn))
    connection = SSL.Connection(context, None)
    connection.set_connect_state()
    if name is not None:
        connection.set_tlsext_host_name(name.encode())
    return connection


def hello(name: str | None, **offer: object) -> bytes:
    """The ClientHello of such a client, as it goes on the wire."""
    connection = client(name, **offer)  # type: ignore[arg-type]
    try:
        connection.do_handshake()
    except SSL.WantReadError:
        return _outgoing(connection)
    raise AssertionError("a client cannot finish alone")


async def shake(address: str, port: int, name: str | None, **offer: object) -> Seen:
    """One handshake and one GET. ConnectionError when the server resets."""
    connection = client(name, **offer)  # type: ignore[arg-type]
    reader, writer = await asyncio.open_connection(address, port)
    received = b""
    answer = b""
    established = False
    try:
        while True:
            try:
                if not established:
                    connection.do_handshake()
                    established = True
                    connection.send(b"GET / HTTP/1.1\r\nHost: lab\r\n\r\n")
                answer += connection.recv(65536)
            except SSL.WantReadError:
                writer.write(_outgoing(connection))
                data = await asyncio.wait_for(reader.read(65536), _PATIENCE_S)
                if not data:
                    break
                received += data
                connection.bio_write(data)
            except SSL.Error:
                break
    finally:
        await _close(writer)
    return Seen(
        version=connection.get_protocol_version_name() if established else None,
        chain=tuple(connection.get_peer_cert_chain(as_cryptography=True) or ()),
        group=connection.get_group_name() if established else None,
        alpn=connection.get_alpn_proto_negotiated(),
        answer=answer,
        first_bytes=received,
    )


async def verify_code(address: str, port: int, name: str, root_pem: str) -> int:
    """What the stdlib's OpenSSL says of the certificate: 0, or an X509_V_ERR number (verify(1), "Diagnostics")."""
    context = ssl.create_default_context(cadata=root_pem)
    try:
        _, writer = await asyncio.open_connection(address, port, ssl=context, server_hostname=name)
    except ssl.SSLCertVerificationError as error:
        return error.verify_code
    await _close(writer)
    return 0


async def exchange(address: str, port: int, *pieces: bytes, patience_s: float = _PATIENCE_S) -> bytes:
    """All that comes back for *pieces*, each sent in a segment of its own. TimeoutError when there is no end of it."""
    reader, writer = await asyncio.open_connection(address, port)
    try:
        writer.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
        return await asyncio.wait_for(reader.read(-1), patience_s)
    finally:
        await _close(writer)


def _outgoing(connection: SSL.Connection) -> bytes:
    records = b""
    while True:
        try:
            records += connection.bio_read(65536)
        except SSL.WantReadError:
            return records


async def _close(writer: asyncio.StreamWriter) -> None:
    writer.close()
    with suppress(ConnectionError, ssl.SSLError):  # the server was first
        await writer.wait_closed()
