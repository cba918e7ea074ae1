"""TLS 1.0 to 1.2 from the ServerHello on, as a client (RFC 5246 section 7.3). SSLv3 is read up to ServerHelloDone."""

from __future__ import annotations

import hmac

from probes.observed import Session
from probes.wire import keyshare, messages, schedule12
from probes.wire.events import (
    CertificateRequestSeen,
    CertificateSeen,
    HandshakeComplete,
    Resumed,
    ServerFinishedSeen,
    ServerKeyExchangeSeen,
    SessionSeen,
    SignatureChecked,
    Stage,
    StapleSeen,
    TicketSeen,
)
from probes.wire.exchange import Exchange
from probes.wire.keyshare import KeyShare
from probes.wire.messages import CertificateRequest, Message, ServerHello, ServerKeyExchange, message_name
from probes.wire.octets import MessageError, UnsupportedError, u16, vec8, vec16, vec24
from probes.wire.records import APPLICATION_DATA, CHANGE_CIPHER_SPEC, HANDSHAKE, MAX_PLAINTEXT, Record, frame
from probes.wire.registry import TLS12, Ext, cipher_name, group_name, scheme_name, suite
from probes.wire.schedule13 import keylog_line
from probes.wire.signatures import check12, choose_scheme, public_key, sign
from probes.wire.suites import CipherSuite

_RANKS = {
    messages.CERTIFICATE: 1,
    messages.CERTIFICATE_STATUS: 2,
    messages.SERVER_KEY_EXCHANGE: 3,
    messages.CERTIFICATE_REQUEST: 4,
    messages.SERVER_HELLO_DONE: 5,
    messages.NEW_SESSION_TICKET: 6,
    messages.FINISHED: 7,
}
_EPHEMERAL = ("DHE", "ECDHE")


class Handshake12:
    """Everything after a ServerHello of TLS 1.2 or before. *hellos* are the raw ClientHello and ServerHello."""

    def __init__(self, exchange: Exchange, server_hello: ServerHello, hellos: bytes) -> None:
        known = suite(server_hello.cipher)
        if known is None or known.is_tls13 or known.is_signalling:
            raise UnsupportedError(f"no handshake of this version with {cipher_name(server_hello.cipher)}")
        self._exchange = exchange
        self._hello = server_hello
        self._suite: CipherSuite = known
        self._version = server_hello.version
        self._messages = bytearray(hellos)
        self._leaf: bytes | None = None
        self._params: ServerKeyExchange | None = None
        self._request: CertificateRequest | None = None
        self._proven = known.kex == "RSA"
        self._reading: schedule12.Protection | None = None
        self._pending: schedule12.Protection | None = None
        self._writing: schedule12.Protection | None = None
        self._prf: schedule12.Prf | None = None
        self._master = b""
        self._identified = False
        self._rank = 0
        anonymous = known.auth in ("anon", "PSK", "SRP")
        self.stage: Stage = "server_key_exchange" if anonymous else "certificate"
        # RFC 5246 section 7.3: the echo of the session id tells that the session, or its ticket, is taken up.
        echoed = bool(server_hello.session_id) and server_hello.session_id == exchange.secrets.session_id
        session = exchange.resumption.session if exchange.resumption is not None and echoed else None
        self._resumed = session is not None and session.version == self._version
        if session is not None:
            self._resume(session)

    def _resume(self, session: Session) -> None:
        """Keys from the old secret; the server's ChangeCipherSpec is due, behind a new ticket at most."""
        exchange = self._exchange
        if session.version != self._version or session.cipher != self._suite.code:
            exchange.violation("session_id", "the server resumes a session with another version or suite")
            if session.version != self._version:
                return
        extended = self._hello.has(Ext.EXTENDED_MASTER_SECRET)
        if extended != session.extended_master_secret:  # RFC 7627 section 5.3: a client is to give up here
            exchange.violation("extension", "the server resumes a session with another kind of master secret")
        self._prf = schedule12.prf_for(self._version, self._suite)
        self._master = session.secret
        self._rank, self.stage = 5, "change_cipher_spec"
        self._make_keys(self._prf)
        exchange.emit(Resumed())

    # --- reading ---

    def unprotect(self, record: Record) -> tuple[int, bytes, bool]:
        if self._reading is not None:
            return record.kind, self._reading.open(record.kind, record.version, record.body), True
        if record.kind == APPLICATION_DATA:
            raise MessageError(f"application data where {self.stage} is due")
        return record.kind, record.body, False

    def on_change_cipher_spec(self, *, partial: bool) -> None:
        if self._pending is None or self._reading is not None:
            raise MessageError(f"a ChangeCipherSpec where {self.stage} is due")
        if partial:
            raise MessageError("a ChangeCipherSpec inside a handshake message")
        self._reading, self._pending = self._pending, None
        self.stage = "finished"

    def on_message(self, message: Message, *, more: bool) -> None:
        if message.kind == messages.HELLO_REQUEST:
            if self._exchange.complete:
                self._exchange.unsupported("renegotiation", "the server asks for a renegotiation", fatal=False)
            return
        rank = _RANKS.get(message.kind, 0)
        if rank <= self._rank or (rank > 5) != (self._rank >= 5) or (rank == 7) != (self._reading is not None):
            raise MessageError(f"{message_name(message.kind)} where {self.stage} is due")
        self._rank = rank
        if message.kind == messages.FINISHED:
            self._on_finished(message)
            return
        self._messages += message.raw
        self._read(message)

    def _read(self, message: Message) -> None:
        match message.kind:
            case messages.CERTIFICATE:
                self._on_certificate(message.body)
            case messages.CERTIFICATE_STATUS:
                self._exchange.emit(StapleSeen(response=messages.parse_certificate_status(message.body)))
            case messages.SERVER_KEY_EXCHANGE:
                self._on_server_key_exchange(message.body)
            case messages.CERTIFICATE_REQUEST:
                self._on_certificate_request(message.body)
            case messages.SERVER_HELLO_DONE:
                self._on_server_hello_done(message.body)
            case _:
                self._on_ticket(message.body)

    def _on_certificate(self, body: bytes) -> None:
        parsed = messages.parse_certificate(body, tls13=False)
        self._leaf = parsed.chain[0] if parsed.chain else None
        self._exchange.emit(CertificateSeen(chain=parsed.chain, staple=None, scts=self._hello.scts))
        if not parsed.chain:
            self._exchange.violation("certificate", "the server sent an empty Certificate message")
        self.stage = "server_key_exchange" if self._suite.kex in _EPHEMERAL else "server_hello_done"

    def _on_server_key_exchange(self, body: bytes) -> None:
        self.stage = "server_hello_done"
        if self._suite.kex not in _EPHEMERAL:
            return  # a PSK hint, SRP parameters or an export key: said as Unsupported at the ServerHelloDone
        anonymous = self._suite.auth == "anon"
        parsed = messages.parse_server_key_exchange(
            body, kex=self._suite.kex, anonymous=anonymous, version=self._version
        )
        self._params = parsed
        bits = None if parsed.prime is None else parsed.prime.bit_length()
        self._exchange.emit(ServerKeyExchangeSeen(group=parsed.group, bits=bits, scheme=parsed.scheme, message=parsed))
        if parsed.group is not None and self._exchange.hello.groups and parsed.group not in self._exchange.hello.groups:
            self._exchange.violation("group", f"the server chose {group_name(parsed.group)}, which was not offered")
        if not anonymous and self._exchange.stop_after == "finished":
            self._check_signature(parsed)

    def _check_signature(self, params: ServerKeyExchange) -> None:
        exchange, scheme = self._exchange, params.scheme
        offered = exchange.hello.signature_algorithms
        if scheme is not None and offered and scheme not in offered:
            exchange.violation("signature_scheme", f"the server signed with {scheme_name(scheme)}, not offered")
        if self._leaf is None:
            exchange.unsupported("signature", "no certificate to hold the signature against", fatal=False)
            return
        content = exchange.secrets.random + self._hello.random + params.params
        try:
            verdict = check12(public_key(self._leaf), scheme, content, params.signature or b"")
        except UnsupportedError as error:
            exchange.unsupported("signature", error.why, fatal=False)
        except MessageError as error:
            name = "" if scheme is None else scheme_name(scheme)
            exchange.emit(SignatureChecked(ok=False, scheme=name, why=error.why))
        else:
            self._proven = verdict.ok
            exchange.emit(SignatureChecked(ok=verdict.ok, scheme=verdict.scheme, why=verdict.why))

    def _on_certificate_request(self, body: bytes) -> None:
        parsed = messages.parse_certificate_request(body, self._version)
        self._request = parsed
        self._exchange.emit(
            CertificateRequestSeen(
                ca_names=parsed.ca_names, signature_algorithms=parsed.signature_algorithms, message=parsed
            )
        )
        self.stage = "server_hello_done"

    def _on_server_hello_done(self, body: bytes) -> None:
        if body:
            raise MessageError("ServerHelloDone is not empty")
        if self._exchange.stop_after == "certificate":
            self._exchange.over = True
            return
        try:
            self._send_flight()
        except UnsupportedError as error:
            what = "kex" if schedule12.is_supported(self._suite) else "cipher"
            self._exchange.unsupported("version" if self._version < 0x0301 else what, error.why, fatal=True)
            return
        self.stage = "change_cipher_spec"

    def _on_ticket(self, body: bytes) -> None:
        parsed = messages.parse_new_session_ticket(body, tls13=False)
        self._exchange.emit(
            TicketSeen(
                lifetime_s=parsed.lifetime_s,
                max_early_data=None,
                ticket=parsed.ticket,
                secret=self._master,
                message=parsed,
            )
        )

    def _on_finished(self, message: Message) -> None:
        assert self._prf is not None
        expected = schedule12.verify_data(self._prf, self._master, bytes(self._messages), server=True)
        self._exchange.emit(ServerFinishedSeen(ok=hmac.compare_digest(expected, message.body)))
        if self._resumed:
            self._messages += message.raw
            self._send_finished(self._prf)
        else:
            self._exchange.emit(
                SessionSeen(
                    session_id=self._hello.session_id,
                    secret=self._master,
                    extended_master_secret=self._hello.has(Ext.EXTENDED_MASTER_SECRET),
                )
            )
        self._exchange.complete = True
        self.stage = "application_data"
        self._exchange.emit(
            HandshakeComplete(
                version=self._version,
                cipher=self._suite.code,
                group=None if self._params is None else self._params.group,
                alpn=self._hello.alpn,
                client_certificate_sent=self._identified,
            )
        )

    # --- answering ---

    def _send_flight(self) -> None:
        """Queue [Certificate,] ClientKeyExchange, [CertificateVerify,] ChangeCipherSpec, Finished."""
        exchange, version = self._exchange, self._version
        self._prf = prf = schedule12.prf_for(version, self._suite)
        if not schedule12.is_supported(self._suite):
            raise UnsupportedError(f"no implementation of {self._suite.name}")
        premaster, exchanged = self._client_key_exchange()
        flight = self._client_certificate() + bytes((messages.CLIENT_KEY_EXCHANGE,)) + vec24(exchanged)
        self._messages += flight
        self._master = self._make_master(prf, premaster)
        proof = self._certificate_verify()
        self._messages += proof
        exchange.outgoing += frame(HANDSHAKE, version, flight + proof)
        self._make_keys(prf)
        self._send_finished(prf)

    def _make_keys(self, prf: schedule12.Prf) -> None:
        exchange = self._exchange
        if exchange.keylog is not None:
            exchange.keylog(keylog_line("CLIENT_RANDOM", exchange.secrets.random, self._master))
        self._writing, self._pending = schedule12.protections(
            self._suite,
            self._version,
            prf,
            self._master,
            exchange.secrets.random,
            self._hello.random,
            exchange.secrets.entropy,
            encrypt_then_mac=self._hello.has(Ext.ENCRYPT_THEN_MAC),
        )

    def _send_finished(self, prf: schedule12.Prf) -> None:
        """Queue ChangeCipherSpec and Finished: in a full handshake ours comes first, in a resumed one last."""
        exchange, version = self._exchange, self._version
        assert self._writing is not None
        exchange.outgoing += frame(CHANGE_CIPHER_SPEC, version, b"\x01")
        made = schedule12.verify_data(prf, self._master, bytes(self._messages), server=False)
        finished = bytes((messages.FINISHED,)) + vec24(made)
        self._messages += finished
        exchange.outgoing += self._writing.seal(HANDSHAKE, version, finished)

    def _make_master(self, prf: schedule12.Prf, premaster: bytes) -> bytes:
        if self._hello.has(Ext.EXTENDED_MASTER_SECRET):
            return schedule12.extended_master_secret(prf, premaster, prf.hash(bytes(self._messages)))
        return schedule12.master_secret(prf, premaster, self._exchange.secrets.random, self._hello.random)

    def _client_key_exchange(self) -> tuple[bytes, bytes]:
        """(premaster secret, body of the ClientKeyExchange), RFC 5246 section 7.4.7."""
        if self._suite.kex == "RSA":
            return self._rsa_key_exchange()
        params = self._params
        if params is None:
            if self._suite.kex in _EPHEMERAL:
                raise MessageError("ServerHelloDone where the ServerKeyExchange is due")
            raise UnsupportedError(f"no implementation of the key exchange of {self._suite.name}")
        ours = self._ephemeral(params)
        if params.group is not None:
            return ours.agree(params.public), vec8(ours.public)
        return ours.agree(params.public), vec16(ours.public)

    def _ephemeral(self, params: ServerKeyExchange) -> KeyShare:
        secrets = self._exchange.secrets
        if params.group is not None:
            return secrets.shares.get(params.group) or keyshare.drawn(params.group, secrets.entropy)
        assert params.prime is not None
        assert params.generator is not None
        return keyshare.finite_field(0, params.prime, params.generator, secrets.entropy, padded=False)

    def _rsa_key_exchange(self) -> tuple[bytes, bytes]:
        from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
        from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

        if self._leaf is None:
            raise MessageError("ServerHelloDone where the Certificate is due")
        key = public_key(self._leaf).key
        if self._suite.export or not isinstance(key, RSAPublicKey):
            raise UnsupportedError(f"no key exchange of {self._suite.name} with this certificate's key")
        premaster = u16(self._exchange.hello.legacy_version) + self._exchange.secrets.entropy(46)
        return premaster, vec16(key.encrypt(premaster, PKCS1v15()))

    def _client_certificate(self) -> bytes:
        if self._request is None:
            return b""
        identity = self._exchange.identity
        # Our certificate is not shown to a server that did not prove itself.
        chain = identity.chain if identity is not None and self._proven and self._scheme() is not None else ()
        self._identified = bool(chain)
        return bytes((messages.CERTIFICATE,)) + vec24(vec24(b"".join([vec24(der) for der in chain])))

    def _scheme(self) -> int | None:
        """The scheme to sign with; 0 stands for the fixed forms before TLS 1.2, None for no way to sign."""
        identity, request = self._exchange.identity, self._request
        assert identity is not None
        assert request is not None
        if self._version < TLS12:
            return 0
        try:
            return choose_scheme(identity, request.signature_algorithms, self._version)
        except UnsupportedError as error:
            self._exchange.unsupported("client_certificate", error.why, fatal=False)
            return None

    def _certificate_verify(self) -> bytes:
        identity = self._exchange.identity
        if not self._identified or identity is None:
            return b""
        scheme = self._scheme() or None
        signature = vec16(sign(identity, scheme, bytes(self._messages)))
        body = signature if scheme is None else u16(scheme) + signature
        return bytes((messages.CERTIFICATE_VERIFY,)) + vec24(body)

    def seal(self, kind: int, payload: bytes) -> bytes:
        if self._writing is None:
            return frame(kind, self._version, payload)
        cuts = range(0, max(len(payload), 1), MAX_PLAINTEXT)
        writing = self._writing
        return b"".join([writing.seal(kind, self._version, payload[cut : cut + MAX_PLAINTEXT]) for cut in cuts])
