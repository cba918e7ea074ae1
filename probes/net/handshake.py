"""One offer made to one endpoint: connect, send the hello, read until the offer is answered, say what came of it.

Between a socket and `wire.client`, which does all of TLS. Whatever the far end does ends as an Outcome; who closed,
and how, is told apart here because only the socket knows.

The loop is asked for nothing but readiness and one timer: asyncio's transport, its task for every connect and their
bookkeeping cost a check as much again as TLS does. So the loop must be one that watches sockets (add_reader).

Longer than most modules: an exchange is one state machine, and each way it can end belongs beside the others.
"""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import Literal

from probes.model import Alerted, Dropped, Endpoint, Handshake, Malformed, NotTls, Offer, Outcome, Stalled, Unreached
from probes.net.connect import SYN_TIMEOUT_S, begin, is_connected, not_connected, overdue
from probes.net.egress import Permit, refusal
from probes.net.http import http_answer, is_whole, request
from probes.net.ready import READ, WRITE, watcher
from probes.net.seen import Seen
from probes.plan import IDLE, keeps_sessions
from probes.wire import events
from probes.wire.client import ClientHandshake, ClientIdentity, Resumption
from probes.wire.hello import Hello, draw_secrets
from probes.wire.octets import UnsupportedError
from probes.wire.registry import TLS10, TLS12, TLS13
from probes.wire.starttls import End, Prelude, Refused, greets_first

PATIENCE_S = 2.5
KNOCK_S = 0.5  # no greeting came: how long an answer to a ClientHello is awaited instead
HTTP_PATIENCE_S = 0.5  # for the clock alone: a service that is not HTTP must not hold up the verdict
SPLIT_PAUSE_S = 0.01  # long enough that the two halves of a hello are never merged on their way
LATE_ALERT_MIN_S, LATE_ALERT_MAX_S = 0.03, 0.15
_PIECE = 1 << 16  # bytes read at a time
MAX_BYTES = 1 << 20  # no handshake is larger; one that is, is meant to keep us busy


async def shake(
    endpoint: Endpoint,
    offer: Offer,
    *,
    permit: Permit | None,
    deadline: float,
    patience_s: float = PATIENCE_S,
    crowd: int = 1,
    identity: ClientIdentity | None = None,
) -> Handshake:
    """Make *offer* to *endpoint*; back by *deadline* (loop time) with an outcome, never with an exception.

    *identity* is shown to a server that asks for one, and only where the offer says `identify`.

    Silence is judged *patience_s* after the last byte. Completed without `finished_ok` means that the far end chose
    something legal that this program cannot compute: nothing can be said against it.
    """
    return await begun(
        endpoint,
        offer,
        permit=permit,
        deadline=deadline,
        patience_s=patience_s,
        crowd=crowd,
        identity=identity,
    )


def begun(
    endpoint: Endpoint,
    offer: Offer,
    *,
    permit: Permit | None,
    deadline: float,
    patience_s: float = PATIENCE_S,
    crowd: int = 1,
    identity: ClientIdentity | None = None,
    then: Callable[[Handshake], None] | None = None,
) -> asyncio.Future[Handshake]:
    """`shake` on its way: the SYN has left, and no task is needed to wait for the rest. To cancel it is to hang up.

    *then* is told of the handshake before anybody else; what it raises is raised from the future.
    """
    why = refusal(permit, endpoint.address, endpoint.port)
    if why is not None:
        return _unmade(endpoint, offer, why, crowd)
    try:
        exchange = _Exchange(
            endpoint,
            offer,
            deadline=deadline,
            patience_s=patience_s,
            crowd=crowd,
            identity=identity if offer.identify else None,
        )
    except UnsupportedError as error:
        return _unmade(endpoint, offer, error.why, crowd)
    ending = _Ending(exchange, then)
    try:
        exchange.connect(ending)
    except BaseException:
        exchange.hang_up()
        raise
    return ending


def _unmade(endpoint: Endpoint, offer: Offer, why: str, crowd: int) -> asyncio.Future[Handshake]:
    made: asyncio.Future[Handshake] = asyncio.get_running_loop().create_future()
    lack = Unreached(kind="local", detail=why)
    made.set_result(Handshake(endpoint=endpoint, offer=offer, outcome=lack, crowd=crowd))
    return made


class _Ending(asyncio.Future[Handshake]):
    """What will have come of an exchange; who no longer waits for it closes its socket."""

    def __init__(self, exchange: _Exchange, then: Callable[[Handshake], None] | None) -> None:
        super().__init__(loop=asyncio.get_running_loop())
        self.exchange: _Exchange | None = exchange
        self._then = then

    def conclude(self, made: Handshake) -> None:
        self.exchange = None  # the two would keep each other until the collector comes
        if self.done():
            return
        try:
            if self._then is not None:
                self._then(made)
        except Exception as error:
            self.set_exception(error)
        else:
            self.set_result(made)

    def cancel(self, msg: object = None) -> bool:
        if self.exchange is not None:
            self.exchange.hang_up()
        return super().cancel(msg)


def hello_of(offer: Offer) -> Hello:
    """The offer as `wire` writes it, with the habits of the versions offered.

    Without TLS 1.3 there is no supported_versions, and the newest version stands in the hello's own field; before
    TLS 1.2 there is no signature_algorithms (RFC 5246 section 7.4.1.4.1).
    """
    newest = max(offer.versions)
    is_tls13 = newest >= TLS13
    return Hello(
        server_name=offer.server_name,
        versions=offer.versions if is_tls13 else (),
        legacy_version=min(newest, TLS12),
        record_version=min(newest, TLS10),
        ciphers=offer.ciphers,
        groups=offer.groups,
        key_shares=offer.key_shares if is_tls13 else None,
        signature_algorithms=offer.signature_algorithms if newest >= TLS12 else (),
        alpn=offer.alpn,
        session_id=None if is_tls13 else b"",
        ec_point_formats=bool(offer.groups),
        padded_to=offer.pad_to or None,
        extensions=offer.extensions,
    )


class _Exchange:
    """The connection's life: connect, hello out, answers in, at most one question afterwards, then hang up."""

    def __init__(
        self,
        endpoint: Endpoint,
        offer: Offer,
        *,
        deadline: float,
        patience_s: float,
        crowd: int,
        identity: ClientIdentity | None,
    ) -> None:
        """UnsupportedError when the offer cannot be computed with here."""
        self._loop = asyncio.get_running_loop()
        self._endpoint, self._offer = endpoint, offer
        self._deadline, self._patience_s, self._crowd = deadline, patience_s, crowd
        hello = hello_of(offer)
        self._client = ClientHandshake(
            hello,
            draw_secrets(hello, os.urandom),
            stop_after=offer.until,
            identity=identity,
            resumption=self._resumption(),
        )
        self._sock: socket.socket | None = None
        self._watcher = watcher(self._loop)
        self._watched = 0  # what the socket is watched for: READ, WRITE
        self._unsent = b""
        self._timer: asyncio.TimerHandle | None = None
        self._second_half: asyncio.TimerHandle | None = None
        self._prelude = Prelude(offer.starttls, offer.domain or endpoint.address) if offer.starttls else None
        self._knocked = False  # no greeting came, so the hello was sent all the same
        self._afterwards = False  # the handshake is through; what follows is an answer, a late alert, or tickets
        self._asked: Literal["HEAD", "GET"] | None = None  # in HTTP/1.1
        self._holds_back = False  # our Finished waits: what is answered before it was taken from early data alone
        self._outcome: Outcome | None = None
        self._hello = b""  # as it is sent, once it is made
        self._ending: _Ending | None = None
        self._began = self._loop.time()
        self._limit = min(self._began + SYN_TIMEOUT_S, deadline)
        self._seen = Seen(offer, self._began)

    def _resumption(self) -> Resumption | None:
        session = self._offer.session
        if session is None:
            return None
        age_ms = max(0, round((self._loop.time() - session.obtained_s) * 1000))
        early = request("GET", self._authority) if self._offer.early_data else b""
        return Resumption(session=session, age_ms=age_ms, early_data=early)

    @property
    def _authority(self) -> str:
        return self._offer.server_name or self._endpoint.address.partition("%")[0]

    # ── the socket ──────────────────────────────────────────────────────────────

    def connect(self, ending: _Ending) -> None:
        """Send the SYN, and the hello at once where the connection stands already, as it does on one machine."""
        self._ending = ending
        sock = begin(self._endpoint)
        if not isinstance(sock, socket.socket):
            self._end(sock)
            return
        self._sock = sock
        self._timer = self._loop.call_at(self._limit, self._on_timer)
        if self._prelude is None:
            self._hello = self._client.start()  # while the SYN is under way
            self._greet(sock)
        elif is_connected(sock):
            self._connected()
        else:
            self._watch(WRITE)

    def _greet(self, sock: socket.socket) -> None:
        """Send the hello without asking first whether the connection stands: the kernel says so where it does not."""
        first = self._first_half()
        try:
            sent = sock.send(first)
        except BlockingIOError:
            self._watch(WRITE)
            return
        except OSError as error:
            self._end(not_connected(self._endpoint, sock, error))
            return
        self._seen.tcp = self._since()
        self._be_patient()
        if sent < len(first):
            self._unsent = first[sent:]
        self._watch(READ if sent == len(first) else READ | WRITE)
        self._seen.hello_size = len(self._hello)
        self._plan_second_half(len(first))

    def _connected(self) -> None:
        assert self._sock is not None
        code = self._sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if code:
            self._end(not_connected(self._endpoint, self._sock, OSError(code, os.strerror(code))))
            return
        self._seen.tcp = self._since()
        self._be_patient()
        self._watch(READ)
        if self._prelude is None:
            self._send_hello()
        else:
            self._write(self._prelude.outgoing())

    def _watch(self, wanted: int) -> None:
        """Be told of *wanted*, and of nothing else."""
        if self._sock is None or wanted == self._watched:
            return
        self._watched = wanted
        # By its number: where asyncio has not met a socket, it writes the socket's whole description into an error.
        if wanted:
            self._watcher.watch(self._sock.fileno(), wanted, self._ready)
        else:
            self._watcher.forget(self._sock.fileno())

    def _ready(self, how: int) -> None:
        if how & READ:
            self._readable()
        if how & WRITE and self._watched & WRITE:
            self._writable()

    def _writable(self) -> None:
        if self._seen.tcp is None:
            self._connected()
            return
        unsent, self._unsent = self._unsent, b""
        self._watch(READ)
        self._write(unsent)

    def _readable(self) -> None:
        sock = self._sock
        if sock is None:
            return
        try:
            data = sock.recv(_PIECE)
        except BlockingIOError:
            return
        except OSError as error:
            self._lost(error)
            return
        if data:
            self._received(data)
        else:
            self._take(self._client.eof())
            self._broken_off("fin")

    def _write(self, data: bytes) -> None:
        if self._unsent or not data or self._sock is None:
            self._unsent += data
            return
        try:
            sent = self._sock.send(data)
        except BlockingIOError:
            sent = 0
        except OSError as error:
            self._lost(error)
            return
        if sent < len(data):
            self._unsent = data[sent:]
            self._watch(READ | WRITE)

    def _lost(self, error: OSError) -> None:
        """The connection broke; an alert may have come before the RST, and then tells why."""
        self._drain()
        if self._outcome is not None:
            return
        self._take(self._client.expire())
        if isinstance(error, TimeoutError):  # ETIMEDOUT: the kernel gave up sending again
            self._silent()
        else:
            self._broken_off("rst")

    def _send_hello(self) -> None:
        self._hello = self._hello or self._client.start()
        self._seen.hello_size = len(self._hello)
        first = self._first_half()
        self._be_patient()
        self._write(first)
        self._plan_second_half(len(first))

    def _first_half(self) -> bytes:
        """What of the hello goes out first: all of it, unless the offer splits it."""
        return self._hello[: len(self._hello) // 2] if self._offer.split else self._hello

    def _plan_second_half(self, sent: int) -> None:
        if sent < len(self._hello) and self._outcome is None:
            self._second_half = self._loop.call_later(SPLIT_PAUSE_S, self._send_rest, self._hello[sent:])

    def _received(self, data: bytes) -> None:
        if self._outcome is not None:
            return
        if self._prelude is not None:
            self._converse(self._prelude, data)
            return
        if self._seen.first_byte is None:
            self._seen.first_byte = self._since()
        if not self._afterwards:
            self._be_patient()
        self._take(self._client.receive(data))
        if self._outcome is None:
            self._go_on()

    # ── before TLS, where it begins by command ──────────────────────────────────

    def _converse(self, prelude: Prelude, data: bytes) -> None:
        awaited = prelude.awaiting
        end = prelude.receive(data)
        if end is None and self._knocked:  # it greets after all, when nobody waits any more
            self._end(Stalled(awaiting=awaited, received=0))
            return
        self._be_patient()
        self._write(prelude.outgoing())
        if end is not None:
            self._begin_tls(end)

    def _begin_tls(self, end: End) -> None:
        if isinstance(end, Refused):
            self._end(NotTls(protocol=end.protocol, first_bytes=end.said, why=end.why))
            return
        self._prelude = None
        self._seen.starttls = self._since()
        self._send_hello()

    def _cut_short(self, prelude: Prelude, outcome: Dropped | Stalled) -> None:
        """It ended amid the conversation: what was said so far may tell why."""
        end = prelude.eof()
        if isinstance(end, Refused):
            self._begin_tls(end)
        else:
            self._end(outcome)

    def _knock(self) -> None:
        """Silence where a greeting was due: a server with TLS from the first byte waits for us as we wait for it."""
        self._knocked = True
        self._send_hello()
        self._wait_until(self._loop.time() + KNOCK_S)

    # ── how it goes on ──────────────────────────────────────────────────────────

    def _go_on(self) -> None:
        """What the bytes just read lead to, when they did not end the exchange."""
        client = self._client
        if self._seen.early_data == "accepted" and client.complete and not self._afterwards:
            self._conclude()  # an answer to early data, and the goodbye after it, may have come with the Finished
        if self._outcome is not None:
            return
        if self._seen.close_notify:
            self._broken_off("fin")
        elif self._afterwards:
            self._look_afterwards()
        elif client.done:
            self._conclude()
        elif client.bytes_received > MAX_BYTES:
            self._end(Malformed(why="over 1 MB without an end of the handshake", awaiting=client.stage))
        else:
            self._send()

    def hang_up(self) -> None:
        """Close now, without waiting; what the kernel already took is still sent."""
        for timer in (self._timer, self._second_half):
            if timer is not None:
                timer.cancel()
        self._timer = self._second_half = None
        if self._sock is not None:
            self._watch(0)
            self._sock.close()
            self._sock = None

    def _drain(self) -> None:
        """What came before a write failed is still to be read."""
        try:
            while self._outcome is None and self._sock is not None and (piece := self._sock.recv(_PIECE)):
                self._received(piece)
        except OSError:
            return

    def _send_rest(self, half: bytes) -> None:
        self._second_half = None
        self._be_patient()
        self._write(half)

    def _send(self) -> None:
        if self._holds_back:
            return
        self._write(self._client.outgoing())

    def _take(self, told: Iterable[events.Event]) -> None:
        for event in told:
            outcome = self._seen.take(event, self._since)
            if outcome is not None and self._outcome is None:
                self._end(outcome)

    def _conclude(self) -> None:
        """The client read what the offer wanted."""
        if not self._client.complete:
            self._end(self._seen.completed())
            return
        seen, offer = self._seen, self._offer
        patience_s = 0.0
        if seen.early_data == "accepted":
            self._asked, self._holds_back, patience_s = "GET", True, self._grace_s()
        elif offer.ask_http and seen.alpn in {None, "http/1.1"}:
            # A server that wanted a certificate may take none and then say so in words, as nginx does (400).
            self._asked, patience_s = "GET" if seen.certificate_request is not None else "HEAD", HTTP_PATIENCE_S
            self._client.send_application(request(self._asked, self._authority))
        elif offer.purpose == IDLE:
            patience_s = LATE_ALERT_MAX_S
        elif seen.version == TLS13 and (seen.certificate_request is not None or self._wants_tickets()):
            patience_s = self._grace_s()
        if not patience_s:
            self._end(seen.completed())
            return
        self._afterwards = True
        self._wait_until(self._loop.time() + patience_s)
        self._send()
        if self._asked:  # early data may be answered in one go with the server's Finished
            self._look_afterwards()

    def _wants_tickets(self) -> bool:
        """Nothing else is awaited, and none came with the Finished (RFC 8446 section 4.6.1: at any time after it)."""
        return keeps_sessions(self._offer) and not self._seen.resumed and not self._seen.sessions

    def _grace_s(self) -> float:
        """What the server says of its own after our Finished takes a round trip: tickets, or its judgement on our
        certificate (RFC 8446 section 4.4.2.4).

        The RTT is not known; the time from the hello to the first byte holds it, and the server's haste with it.
        """
        seen = self._seen
        answer_s = ((seen.first_byte or 0.0) - (seen.tcp or 0.0)) / 1000
        return min(max(2 * answer_s, LATE_ALERT_MIN_S), LATE_ALERT_MAX_S)

    def _look_afterwards(self) -> None:
        seen = self._seen
        if self._asked:
            over = is_whole(seen.application, with_body=self._asked == "GET")
        else:  # tickets follow the server's verdict on our Finished and certificate, and come before what it sends
            over = bool(seen.application or (seen.sessions and self._offer.purpose != IDLE))
        over = over or self._client.bytes_received > MAX_BYTES  # tickets without end are meant to keep us busy
        if over:
            self._end(seen.completed())
        else:
            self._send()

    def _broken_off(self, kind: Literal["rst", "fin"]) -> None:
        if self._outcome is not None:
            return
        if self._prelude is not None:
            self._cut_short(self._prelude, Dropped(kind=kind, awaiting=self._prelude.awaiting, received=0))
            return
        seen, client = self._seen, self._client
        awaiting, received = client.stage, client.bytes_received
        parted = seen.close_notify and self._offer.purpose != IDLE
        rejected = seen.certificate_request is not None and not seen.application and not parted
        if self._afterwards and not rejected:
            self._end(seen.completed())
        elif seen.warning is not None and seen.warning.awaiting == awaiting:
            self._end(seen.warning)  # warned, then hung up over it
        else:
            self._end(Dropped(kind=kind, awaiting=awaiting, received=received))

    def _silent(self) -> None:
        prelude = self._prelude
        if self._outcome is None and self._afterwards:
            self._end(self._seen.completed())
        elif self._outcome is None and prelude is not None:
            if self._knocked or prelude.heard or not greets_first(prelude.protocol) or self._nearly_over():
                self._cut_short(prelude, Stalled(awaiting=prelude.awaiting, received=0))
            else:
                self._knock()
        elif self._outcome is None:
            self._end(Stalled(awaiting=self._client.stage, received=self._client.bytes_received))

    def _end(self, outcome: Outcome) -> None:
        self._outcome = outcome
        self._holds_back = False
        if self._asked:
            self._seen.http = http_answer(bytes(self._seen.application), datetime.now(UTC))
        if self._client.complete and not isinstance(outcome, Alerted | Dropped):
            self._client.close()
        if self._client.complete:
            self._send()
        self.hang_up()
        ending, self._ending = self._ending, None
        if ending is not None:
            ending.conclude(self._seen.handshake(self._endpoint, outcome, self._crowd))

    # ── the clock ───────────────────────────────────────────────────────────────

    def _nearly_over(self) -> bool:
        return self._loop.time() >= self._deadline

    def _since(self) -> float:
        return round((self._loop.time() - self._began) * 1000, 3)

    def _be_patient(self) -> None:
        """Silence counts from now. The timer is moved only when it fires: that is cheaper than at every packet."""
        self._limit = limit = min(self._loop.time() + self._patience_s, self._deadline)
        if self._timer is None or self._timer.when() > limit:
            self._wait_until(limit)

    def _wait_until(self, limit: float) -> None:
        self._limit = min(limit, self._deadline)
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.call_at(self._limit, self._on_timer)

    def _on_timer(self) -> None:
        self._timer = None
        if self._outcome is not None:
            return
        now = self._loop.time()
        if now < self._limit:
            self._timer = self._loop.call_at(self._limit, self._on_timer)
            return
        if self._seen.tcp is None:
            self._end(overdue(now - self._began))
            return
        if self._holds_back:
            self._holds_back = False
            self._wait_until(now + HTTP_PATIENCE_S)
            self._send()
            return
        self._take(self._client.expire())
        self._silent()
