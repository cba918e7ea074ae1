"""TLS 1.3 from the ServerHello on, as a client (RFC 8446 section 2 and appendix A.1)."""

from __future__ import annotations

import hmac

from probes.wire import messages
from probes.wire.events import (
    CertificateRequestSeen,
    CertificateSeen,
    EncryptedExtensionsSeen,
    HandshakeComplete,
    Resumed,
    ServerFinishedSeen,
    SignatureChecked,
    Stage,
    StapleSeen,
    TicketSeen,
)
from probes.wire.exchange import Exchange
from probes.wire.messages import CertificateRequest, Message, ServerHello, message_name
from probes.wire.octets import MessageError, UnsupportedError, u16, vec8, vec16, vec24
from probes.wire.records import ALERT, APPLICATION_DATA, CHANGE_CIPHER_SPEC, HANDSHAKE, Record
from probes.wire.registry import TLS13, group_name, scheme_name
from probes.wire.schedule13 import SUITES, KeySchedule, TrafficKeys, Transcript, keylog_line
from probes.wire.signatures import certificate_verify_content, check13, choose_scheme, public_key, sign

# The order of the server's flight; CertificateRequest may be left out.
_RANKS = {
    messages.ENCRYPTED_EXTENSIONS: 1,
    messages.CERTIFICATE_REQUEST: 2,
    messages.CERTIFICATE: 3,
    messages.COMPRESSED_CERTIFICATE: 3,
    messages.CERTIFICATE_VERIFY: 4,
    messages.FINISHED: 5,
}
_NEXT: dict[int, Stage] = {1: "certificate", 2: "certificate", 3: "certificate_verify", 4: "finished"}


class Handshake13:
    """Everything after a ServerHello that chose TLS 1.3 and a share of ours."""

    def __init__(self, exchange: Exchange, server_hello: ServerHello, transcript: Transcript) -> None:
        """Derive the handshake keys; UnsupportedError or MessageError when that is impossible."""
        self._exchange = exchange
        self._hello = server_hello
        self._transcript = transcript
        self._resumed = server_hello.selected_psk == 0 and exchange.hello.psk is not None
        self._early_accepted = False
        self._schedule = KeySchedule(server_hello.cipher, psk=self._psk())
        self._schedule.mix_shared(self._shared_secret(), transcript.digest())
        if exchange.keylog is not None:
            self._log("CLIENT_HANDSHAKE_TRAFFIC_SECRET", self._schedule.client_handshake)
            self._log("SERVER_HANDSHAKE_TRAFFIC_SECRET", self._schedule.server_handshake)
        self._reading: TrafficKeys | None = TrafficKeys(self._schedule.suite, self._schedule.server_handshake)
        self._writing: TrafficKeys | None = None
        self._served = self._through = b""  # the transcript's hash up to the server's Finished, and up to ours
        self._leaf: bytes | None = None
        self._request: CertificateRequest | None = None
        self._alpn: str | None = None
        self._proven = False
        self._rank = 0
        self.stage: Stage = "encrypted_extensions"
        if self._resumed:
            exchange.emit(Resumed())

    def _psk(self) -> bytes | None:
        """The secret that the server took up. MessageError when its hash is not the suite's (RFC 8446 4.2.11)."""
        resumption = self._exchange.resumption
        if not self._resumed or resumption is None:
            return None
        if SUITES[resumption.session.cipher].digest != SUITES[self._hello.cipher].digest:
            raise MessageError("the server resumes with a suite of another hash")
        return resumption.session.secret

    def _shared_secret(self) -> bytes:
        group, share = self._hello.group, self._hello.share
        if group is None or share is None:
            raise UnsupportedError("the ServerHello has no key share, and none of our offers does without")
        ours = self._exchange.secrets.shares.get(group)
        if ours is None:
            raise UnsupportedError(f"the server chose {group_name(group)}, of which no key share was sent")
        return ours.agree(share)

    def unprotect(self, record: Record) -> tuple[int, bytes, bool]:
        if record.kind == APPLICATION_DATA:
            if self._reading is None:  # most probes have hung up before there is anything to read under these keys
                self._reading = TrafficKeys(self._schedule.suite, self._schedule.server_application(self._served))
            kind, payload = self._reading.open(record.header, record.body)
            if kind not in (ALERT, HANDSHAKE, APPLICATION_DATA):
                raise MessageError(f"a protected record holds content of type {kind}")
            return kind, payload, True
        if record.kind in (ALERT, CHANGE_CIPHER_SPEC):
            return record.kind, record.body, False
        raise MessageError(f"a record of type {record.kind} in the clear after the ServerHello")

    def on_change_cipher_spec(self, *, partial: bool) -> None:
        """For middleboxes only; no meaning (RFC 8446 section 5)."""
        if self.stage == "application_data":
            raise MessageError("a ChangeCipherSpec after the handshake")

    def on_message(self, message: Message, *, more: bool) -> None:
        if self._exchange.complete:
            self._after_handshake(message, more=more)
            return
        rank = _RANKS.get(message.kind, 0)
        # RFC 8446 section 2.2: a resumed handshake has neither CertificateRequest nor Certificate.
        skips = rank >= 4 and self._rank < rank - 1 if not self._resumed else rank not in (1, 5)
        if rank <= self._rank or (rank > 1 and self._rank == 0) or skips:
            raise MessageError(f"{message_name(message.kind)} where {self.stage} is due")
        if message.kind == messages.FINISHED and more:
            raise MessageError("octets behind the Finished under the same keys")
        self._rank = rank
        self._read(message)
        self.stage = "finished" if self._resumed and rank == 1 else _NEXT.get(self._rank, self.stage)

    def _read(self, message: Message) -> None:
        match message.kind:
            case messages.ENCRYPTED_EXTENSIONS:
                self._on_encrypted_extensions(message.body)
            case messages.CERTIFICATE_REQUEST:
                self._on_certificate_request(message.body)
            case messages.CERTIFICATE:
                self._on_certificate(message.body)
            case messages.COMPRESSED_CERTIFICATE:
                self._exchange.unsupported("compressed_certificate", "the server compressed its chain", fatal=False)
                self._stop_at_certificate()
            case messages.CERTIFICATE_VERIFY:
                self._on_certificate_verify(message.body)
            case _:
                self._on_finished(message)
                return
        self._transcript.add(message.raw)

    def _on_encrypted_extensions(self, body: bytes) -> None:
        parsed = messages.parse_encrypted_extensions(body)
        self._alpn = parsed.alpn
        self._exchange.emit(EncryptedExtensionsSeen(alpn=parsed.alpn, message=parsed))
        self._exchange.check_alpn(parsed.alpn)
        self._early_accepted = parsed.early_data and self._exchange.early is not None
        if parsed.early_data and not (self._resumed and self._exchange.hello.early_data):
            self._exchange.violation("extension", "the server accepts early data, which was not to be had")
            self._early_accepted = False

    def _on_certificate_request(self, body: bytes) -> None:
        parsed = messages.parse_certificate_request(body, TLS13)
        self._request = parsed
        self._exchange.emit(_request_seen(parsed))

    def _on_certificate(self, body: bytes) -> None:
        parsed = messages.parse_certificate(body, tls13=True)
        leaf = parsed.entries[0] if parsed.entries else None
        staple = leaf.staple if leaf else None
        self._leaf = leaf.der if leaf else None
        self._exchange.emit(CertificateSeen(chain=parsed.chain, staple=staple, scts=leaf.scts if leaf else ()))
        if leaf is None:
            self._exchange.violation("certificate", "the server sent an empty Certificate message")
        if staple is not None:
            self._exchange.emit(StapleSeen(response=staple))
        self._stop_at_certificate()

    def _stop_at_certificate(self) -> None:
        if self._exchange.stop_after == "certificate":
            self._exchange.over = True

    def _on_certificate_verify(self, body: bytes) -> None:
        parsed = messages.parse_certificate_verify(body)
        exchange = self._exchange
        if parsed.scheme not in exchange.hello.signature_algorithms:
            exchange.violation("signature_scheme", f"the server signed with {scheme_name(parsed.scheme)}, not offered")
        if self._leaf is None:
            exchange.unsupported("signature", "no certificate to hold the signature against", fatal=False)
            return
        content = certificate_verify_content(self._transcript.digest())
        try:
            verdict = check13(public_key(self._leaf), parsed.scheme, content, parsed.signature)
        except UnsupportedError as error:
            exchange.unsupported("signature", error.why, fatal=False)
        except MessageError as error:
            exchange.emit(SignatureChecked(ok=False, scheme=scheme_name(parsed.scheme), why=error.why))
        else:
            self._proven = verdict.ok
            exchange.emit(SignatureChecked(ok=verdict.ok, scheme=verdict.scheme, why=verdict.why))

    def _on_finished(self, message: Message) -> None:
        schedule, transcript = self._schedule, self._transcript
        expected = schedule.verify_data(schedule.server_handshake, transcript.digest())
        ok = hmac.compare_digest(expected, message.body)
        self._exchange.emit(ServerFinishedSeen(ok=ok))
        transcript.add(message.raw)
        self._served = transcript.digest()
        identified = self._send_flight(proven=ok and self._proven)
        self._through = transcript.digest()
        if self._exchange.keylog is not None:
            self._log("CLIENT_TRAFFIC_SECRET_0", schedule.client_application(self._served))
            self._log("SERVER_TRAFFIC_SECRET_0", schedule.server_application(self._served))
            self._log("EXPORTER_SECRET", schedule.exporter(self._served))
        self._reading = None
        self._exchange.complete = True
        self.stage = "application_data"
        self._exchange.emit(
            HandshakeComplete(
                version=TLS13,
                cipher=self._hello.cipher,
                group=self._hello.group,
                alpn=self._alpn,
                client_certificate_sent=identified,
            )
        )

    def _send_flight(self, *, proven: bool) -> bool:
        """Queue [EndOfEarlyData,] [Certificate, [CertificateVerify,]] Finished; says whether a certificate went along.

        Our certificate is not shown to a server that did not prove itself.
        """
        schedule, transcript, exchange = self._schedule, self._transcript, self._exchange
        if exchange.early is not None and self._early_accepted:
            over = bytes((messages.END_OF_EARLY_DATA,)) + vec24(b"")
            exchange.outgoing += exchange.early.seal(HANDSHAKE, over)
            transcript.add(over)
        flight = self._client_authentication(proven=proven) if self._request is not None else []
        for each in flight:
            transcript.add(each)
        finished = schedule.finished(schedule.client_handshake, transcript.digest())
        transcript.add(finished)
        exchange.send_compat()
        keys = TrafficKeys(schedule.suite, schedule.client_handshake)
        exchange.outgoing += keys.seal(HANDSHAKE, b"".join([*flight, finished]))
        return len(flight) > 1

    def _client_authentication(self, *, proven: bool) -> list[bytes]:
        request, identity = self._request, self._exchange.identity
        assert request is not None
        if identity is None or not proven:
            return [_certificate_message(request.context, ())]
        try:
            scheme = choose_scheme(identity, request.signature_algorithms, TLS13)
        except UnsupportedError as error:
            self._exchange.unsupported("client_certificate", error.why, fatal=False)
            return [_certificate_message(request.context, ())]
        certificate = _certificate_message(request.context, identity.chain)
        signed = self._transcript.digest_with(certificate)
        signature = sign(identity, scheme, certificate_verify_content(signed, server=False))
        return [certificate, bytes((messages.CERTIFICATE_VERIFY,)) + vec24(u16(scheme) + vec16(signature))]

    def _after_handshake(self, message: Message, *, more: bool) -> None:
        match message.kind:
            case messages.NEW_SESSION_TICKET:
                parsed = messages.parse_new_session_ticket(message.body, tls13=True)
                self._exchange.emit(
                    TicketSeen(
                        lifetime_s=parsed.lifetime_s,
                        max_early_data=parsed.max_early_data,
                        ticket=parsed.ticket,
                        secret=self._schedule.resumption_psk(
                            self._schedule.resumption_master(self._through), parsed.nonce
                        ),
                        message=parsed,
                    )
                )
            case messages.KEY_UPDATE:
                self._on_key_update(message, more=more)
            case messages.CERTIFICATE_REQUEST:
                self._exchange.emit(_request_seen(messages.parse_certificate_request(message.body, TLS13)))
                why = "the server asks for a client certificate after the handshake"
                self._exchange.unsupported("post_handshake_auth", why, fatal=False)
            case _:
                raise MessageError(f"{message_name(message.kind)} after the handshake")

    def _on_key_update(self, message: Message, *, more: bool) -> None:
        if more:
            raise MessageError("octets behind a KeyUpdate under the same keys")
        wants_ours = messages.parse_key_update(message.body)
        assert self._reading is not None  # it has just opened this very message
        self._reading = self._reading.updated()
        if wants_ours:
            self._exchange.outgoing += self.seal(HANDSHAKE, bytes((messages.KEY_UPDATE,)) + vec24(b"\0"))
            assert self._writing is not None
            self._writing = self._writing.updated()

    def seal(self, kind: int, payload: bytes) -> bytes:
        """After the handshake only; the keys are made at first use, since most probes never write."""
        if self._writing is None:
            self._writing = TrafficKeys(self._schedule.suite, self._schedule.client_application(self._served))
        return self._writing.seal(kind, payload)

    def _log(self, label: str, secret: bytes) -> None:
        if self._exchange.keylog is not None:
            self._exchange.keylog(keylog_line(label, self._exchange.secrets.random, secret))


def _request_seen(parsed: CertificateRequest) -> CertificateRequestSeen:
    return CertificateRequestSeen(
        ca_names=parsed.ca_names, signature_algorithms=parsed.signature_algorithms, message=parsed
    )


def _certificate_message(context: bytes, chain: tuple[bytes, ...]) -> bytes:
    entries = b"".join([vec24(der) + b"\0\0" for der in chain])
    return bytes((messages.CERTIFICATE,)) + vec24(vec8(context) + vec24(entries))
