"""OpenSSL as the far end, in memory: what our client sends it gets, what it answers our client gets."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import TypeVar

from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp
from OpenSSL import SSL
from OpenSSL.crypto import X509

from probes.lab.issue import Issued
from probes.wire.client import ClientHandshake, ClientIdentity, Resumption
from probes.wire.events import Event
from probes.wire.exchange import StopAfter
from probes.wire.hello import Hello, HelloSecrets, draw_secrets
from probes.wire.keyshare import ffdhe_prime
from tests import pki

E = TypeVar("E")

# OpenSSL parses what it staples; a response that says "try later" is the smallest valid one.
STAPLE = ocsp.OCSPResponseBuilder.build_unsuccessful(ocsp.OCSPResponseStatus.TRY_LATER).public_bytes(Encoding.DER)

TLS12_ONLY = Hello(server_name="a.test", versions=())


@dataclass
class Talk:
    """One conversation: our side, OpenSSL's side, every event, what the server sent, and OpenSSL's own key log."""

    client: ClientHandshake
    server: SSL.Connection
    hello: Hello
    secrets: HelloSecrets
    events: list[Event] = field(default_factory=list)
    received: bytes = b""
    keylog: list[str] = field(default_factory=list)
    server_keylog: list[str] = field(default_factory=list)
    server_error: SSL.Error | None = None
    reads_early: bool = False
    early: bytes = b""  # what the server read before the handshake was through

    def only(self, kind: type[E]) -> E:
        """The one event of *kind*."""
        found = self.all(kind)
        assert len(found) == 1, (kind, self.events)
        return found[0]

    def all(self, kind: type[E]) -> list[E]:
        return [event for event in self.events if isinstance(event, kind)]

    def pump(self) -> None:
        """Carry bytes both ways until neither side has more to say."""
        while True:
            self._server_step()
            answer = _drained(self.server)
            self.received += answer
            if answer:
                self.events += self.client.receive(answer)
            ours = self.client.outgoing()
            if ours:
                self.server.bio_write(ours)
            if not answer and not ours:
                return

    def _server_step(self) -> None:
        if self.server_error is not None:
            return
        try:
            if self.reads_early:
                self._read_early_data()
            self.server.do_handshake()
        except SSL.WantReadError:
            pass
        except SSL.Error as error:
            self.server_error = error

    def _read_early_data(self) -> None:
        """pyOpenSSL has no method for it; 0, 1, 2 are error, success and finish (SSL_read_early_data(3))."""
        size, room = SSL._ffi.new("size_t *"), SSL._ffi.new("char[16384]")  # type: ignore[attr-defined]
        while (result := SSL._lib.SSL_read_early_data(self.server._ssl, room, 16384, size)) == 1:  # type: ignore[attr-defined]
            self.early += SSL._ffi.buffer(room, size[0])[:]  # type: ignore[attr-defined]
        if result == 0:
            self.server._raise_ssl_error(self.server._ssl, 0)
        self.reads_early = False


def _drained(connection: SSL.Connection) -> bytes:
    parts = []
    while True:
        try:
            parts.append(connection.bio_read(1 << 16))
        except SSL.WantReadError:
            return b"".join(parts)


def context(
    leaf: Issued | None = None,
    *,
    version: int | None = None,
    ciphers: str | None = None,
    suites: str | None = None,
    groups: str | None = None,
    alpn: Sequence[bytes] = (),
    demands: Issued | None = None,
    demand_mode: int = SSL.VERIFY_PEER,
    staple: bytes | None = None,
    chain: Sequence[Issued] = (),
    session_context: bytes = b"oracle",
    tickets: bool = True,
    cache: bool = True,
    max_early_data: int = 0,
    anti_replay: bool = True,
) -> SSL.Context:
    """A server of OpenSSL's; *version* is the only one it speaks, *demands* the CA of client certificates."""
    made = SSL.Context(SSL.TLS_SERVER_METHOD)
    made.set_keylog_callback(lambda connection, line: connection.get_app_data().append(line.decode()))
    leaf = leaf or pki.leaf(pki.authority(), names=("a.test",))
    made.use_certificate(leaf.certificate)
    made.use_privatekey(leaf.key)
    for issuer in chain:
        made.add_extra_chain_cert(issuer.certificate)
    if version is not None:
        made.set_min_proto_version(version)
        made.set_max_proto_version(version)
    if ciphers is not None:
        made.set_cipher_list(ciphers.encode())
    if suites is not None:
        made.set_tls13_ciphersuites(suites.encode())
    if groups is not None:
        # pyOpenSSL has no name for it; the same call serves curves and every other group.
        assert SSL._lib.SSL_CTX_set1_curves_list(made._context, groups.encode()) == 1  # type: ignore[attr-defined]
    if alpn:
        made.set_alpn_select_callback(
            lambda _, offered: next((name for name in alpn if name in offered), SSL.NO_OVERLAPPING_PROTOCOLS)
        )
    if demands is not None:
        store = made.get_cert_store()
        assert store is not None
        store.add_cert(X509.from_cryptography(demands.certificate))
        made.add_client_ca(demands.certificate)
        made.set_verify(demand_mode, None)
    if session_context:
        made.set_session_id(session_context)
    if not tickets:
        made.set_options(SSL.OP_NO_TICKET)
    made.set_session_cache_mode(SSL.SESS_CACHE_SERVER if cache else SSL.SESS_CACHE_OFF)
    if not anti_replay:
        made.set_options(1 << 24)  # SSL_OP_NO_ANTI_REPLAY: tickets may be used again, also with early data
    if max_early_data:
        SSL._lib.SSL_CTX_set_max_early_data(made._context, max_early_data)  # type: ignore[attr-defined]
    if staple is not None:
        made.set_ocsp_server_callback(lambda *_: staple)
    return made


def with_dh(made: SSL.Context, directory: Path) -> SSL.Context:
    """Let the server do DHE, over ffdhe2048 as explicit parameters."""
    import base64

    prime = b"\x02\x82\x01\x01\x00" + ffdhe_prime(2048).to_bytes(256, "big")
    body = prime + b"\x02\x01\x02"
    der = b"\x30\x82" + len(body).to_bytes(2, "big") + body
    pem = b"-----BEGIN DH PARAMETERS-----\n" + base64.encodebytes(der) + b"-----END DH PARAMETERS-----\n"
    path = directory / "dh.pem"
    path.write_bytes(pem)
    made.load_tmp_dh(str(path))
    return made


def talk(
    server_context: SSL.Context,
    hello: Hello,
    *,
    secrets: HelloSecrets | None = None,
    stop_after: StopAfter = "finished",
    identity: ClientIdentity | None = None,
    entropy: Callable[[int], bytes] = os.urandom,
    resumption: Resumption | None = None,
    early: bool = False,
) -> Talk:
    """Shake hands as far as it goes. *early*: the server reads early data where it takes it."""
    keylog: list[str] = []
    server_keylog: list[str] = []
    server = SSL.Connection(server_context, None)
    server.set_app_data(server_keylog)
    server.set_accept_state()
    drawn = secrets or draw_secrets(hello, entropy)
    client = ClientHandshake(
        hello, drawn, stop_after=stop_after, identity=identity, keylog=keylog.append, resumption=resumption
    )
    made = Talk(
        client=client,
        server=server,
        hello=hello,
        secrets=drawn,
        keylog=keylog,
        server_keylog=server_keylog,
        reads_early=early,
    )
    server.bio_write(client.start())
    made.pump()
    return made


def replay(
    made: Talk,
    pieces: Iterator[bytes] | Sequence[bytes],
    *,
    stop_after: StopAfter = "finished",
    resumption: Resumption | None = None,
) -> list[Event]:
    """What a client with the same secrets makes of *pieces*, the end of the stream included."""
    client = ClientHandshake(made.hello, made.secrets, stop_after=stop_after, resumption=resumption)
    client.start()
    events: list[Event] = []
    for piece in pieces:
        events += client.receive(piece)
        client.outgoing()
    return events + client.eof()


def cut(data: bytes, places: Sequence[int]) -> list[bytes]:
    """*data* in pieces, cut at *places*."""
    edges = sorted({0, len(data), *(place for place in places if place < len(data))})
    return [data[start:stop] for start, stop in pairwise(edges)]
