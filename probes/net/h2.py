"""What HTTP/2 clients meet that reuse a connection for other names of the certificate (RFC 9113 section 9.1.1).

One connection made for the target carries one HEAD request for each such name that resolves to the same address, and
one handshake for each tells which certificate it would get by itself. Silence and oddities are left out: unclear.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterable, Mapping
from dataclasses import replace

from probes import plan
from probes.model import (
    DEFAULT_PORT,
    Alerted,
    Dropped,
    Endpoint,
    Handshake,
    Offer,
    Resolution,
    ResolutionFailure,
    Target,
    Unreached,
    UsageError,
    hostname,
    ip_literal,
    shown,
)
from probes.net.connect import connect
from probes.net.egress import Permit
from probes.net.handshake import hello_of, shake
from probes.net.resolve import resolve
from probes.observed import Misdirection
from probes.pki.certificate import Certificate, parse
from probes.values import value
from probes.wire import events
from probes.wire.client import ClientHandshake
from probes.wire.hello import draw_secrets
from probes.wire.registry import alert_name

MAX_NAMES = plan.COALESCING - 1
RESOLVE_WITHIN_S = 1.0
PATIENCE_S = 1.0  # of one connection, from its first byte to the last answer
MISDIRECTED = 421
_MAX_BYTES = 1 << 18


@value
class Route:
    """How names are looked up and connections are made, as in the whole check."""

    target: Target
    resolution: Resolution
    overrides: Mapping[tuple[str, int], tuple[str, ...] | ResolutionFailure]
    resolver: Endpoint | None
    permit: Permit | None
    deadline: float  # loop time


async def misdirections(seen: tuple[Handshake, ...], route: Route) -> tuple[Misdirection, ...]:
    """What the certificate's other names meet, at each address that agreed to h2. Never raises for the far end."""
    candidates = _candidates(seen, route.target)
    names = tuple(dict.fromkeys(name for names in candidates.values() for name in names))[: 2 * MAX_NAMES]
    names = tuple(name for name in names if _may_ask(name, route))
    if not names:
        return ()
    found = await _resolved(names, route)
    made = [
        _at(shake_seen, tuple(n for n in names if shake_seen.endpoint.address in found[n])[:room], route)
        for shake_seen in candidates
        if (room := _room(shake_seen.endpoint, seen)) > 0
    ]
    return tuple(each for some in await asyncio.gather(*made) for each in some)


def _candidates(seen: Iterable[Handshake], target: Target) -> dict[Handshake, tuple[str, ...]]:
    """The first handshake of each address that agreed to h2, with the other names that its leaf covers."""
    first: dict[Endpoint, Handshake] = {}
    for each in seen:
        if each.alpn == "h2" and each.certificates and each.offer.purpose in {"modern", "small"}:
            first.setdefault(each.endpoint, each)
    if target.is_ip or target.starttls is not None:
        return {}
    return {each: names for each in first.values() if (names := _other_names(each.certificates[0], target))}


def _other_names(der: bytes, target: Target) -> tuple[str, ...]:
    leaf = parse(der)
    if not isinstance(leaf, Certificate):
        return ()
    own = {target.host, target.server_name}
    named: list[str] = []
    for text in leaf.dns_names:
        if "*" in text or len(named) == MAX_NAMES:
            continue
        try:
            name = hostname(text)
        except UsageError:  # the certificate's own nonsense
            continue
        if name not in own and name not in named and ip_literal(name) is None:
            named.append(name)
    return tuple(named)


def _may_ask(name: str, route: Route) -> bool:
    """Where the target's addresses were given by hand, DNS does not know the place that is meant."""
    by_hand = route.resolution.source in {"--resolve", "--ip"}
    return (name, route.target.port) in route.overrides or not by_hand or route.resolver is not None


def _room(endpoint: Endpoint, seen: tuple[Handshake, ...]) -> int:
    """How many names this address has connections left for, beside the one that carries the requests."""
    made = sum(1 for each in seen if each.endpoint == endpoint)
    return min(plan.COALESCING, plan.MAX_PER_ADDRESS - made) - 1


async def _resolved(names: tuple[str, ...], route: Route) -> dict[str, tuple[str, ...]]:
    deadline = min(route.deadline, asyncio.get_running_loop().time() + RESOLVE_WITHIN_S)
    answers = await asyncio.gather(
        *(
            resolve(name, route.target.port, overrides=route.overrides, resolver=route.resolver, deadline=deadline)
            for name in names
        )
    )
    return {name: answer.addresses for name, answer in zip(names, answers, strict=True)}


async def _at(seen: Handshake, names: tuple[str, ...], route: Route) -> tuple[Misdirection, ...]:
    if not names:
        return ()
    offer = replace(plan.small(route.target), purpose="coalescing")
    endpoint = seen.endpoint
    deadline = min(route.deadline, asyncio.get_running_loop().time() + PATIENCE_S)

    async def own(name: str) -> Handshake:
        named = replace(offer, server_name=name)
        return await shake(endpoint, named, permit=route.permit, deadline=deadline, patience_s=PATIENCE_S)

    statuses, own_handshakes = await asyncio.gather(
        _statuses(endpoint, offer, (route.target.host, *names), route.permit, deadline),
        asyncio.gather(*map(own, names)),
    )
    if statuses.pop(route.target.host, None) == MISDIRECTED:
        statuses = {}  # it turns its own name away: what it says of others means nothing
    leaf = seen.certificates[0]
    return tuple(
        _misdirection(name, statuses.get(name), shaken, leaf)
        for name, shaken in zip(names, own_handshakes, strict=True)
    )


def _misdirection(name: str, status: int | None, own: Handshake, leaf: bytes) -> Misdirection:
    same, detail = None, ""
    if own.certificates:
        same = own.certificates[0] == leaf or _covers_alike(own.certificates[0], leaf)
        detail = "" if same else f"another certificate, for {_covered(own.certificates[0])}"
    elif isinstance(own.outcome, Alerted):
        same, detail = False, f"alert {own.outcome.code} {alert_name(own.outcome.code)}"
    return Misdirection(name=name, address=own.endpoint.address, status=status, same_certificate=same, detail=detail)


def _covers_alike(der: bytes, other: bytes) -> bool:
    """Are they for the very same names? Then both serve all of them: one is renewed, or another back end's copy."""
    first, second = parse(der), parse(other)
    if not isinstance(first, Certificate) or not isinstance(second, Certificate):
        return False
    return bool(first.dns_names) and set(first.dns_names) == set(second.dns_names)


def _covered(der: bytes) -> str:
    leaf = parse(der)
    names = leaf.dns_names[:3] if isinstance(leaf, Certificate) else ()
    return shown(", ".join(names) or "no name", 120)


async def _statuses(
    endpoint: Endpoint, offer: Offer, names: tuple[str, ...], permit: Permit | None, deadline: float
) -> dict[str, int]:
    """The status that HEAD / for each of *names* gets on one connection made for the first; without it: no answer."""
    from h2.exceptions import H2Error

    sock = await connect(endpoint, permit=permit, deadline=deadline)
    if isinstance(sock, Unreached | Dropped):
        return {}
    loop = asyncio.get_running_loop()
    requests = _Requests(names, endpoint.port)
    hello = hello_of(replace(offer, until="finished"))
    client = ClientHandshake(hello, draw_secrets(hello, os.urandom))
    try:
        async with asyncio.timeout_at(deadline):
            await loop.sock_sendall(sock, client.start())
            while not requests.over and client.bytes_received < _MAX_BYTES:
                data = await loop.sock_recv(sock, 1 << 16)
                if not data:
                    break
                requests.take(client, client.receive(data))
                await loop.sock_sendall(sock, client.outgoing())
    except (TimeoutError, OSError, H2Error):
        pass  # what was answered before stands
    finally:
        sock.close()
    return requests.statuses


class _Requests:
    """HTTP/2 above a client handshake: one HEAD / for each name, in streams of their own. No I/O."""

    def __init__(self, names: tuple[str, ...], port: int) -> None:
        from h2.config import H2Configuration
        from h2.connection import H2Connection

        self._http = H2Connection(H2Configuration(client_side=True, header_encoding=None))
        self._streams = {2 * number + 1: name for number, name in enumerate(names)}
        self._port = port
        self._asked = False
        self.statuses: dict[str, int] = {}
        self.over = False

    def take(self, client: ClientHandshake, told: Iterable[events.Event]) -> None:
        """Note what the peer says; H2Error when it breaks HTTP/2."""
        for event in told:
            match event:
                case events.HandshakeComplete():
                    self.over = self.over or event.alpn != "h2"
                case events.ApplicationData():
                    self._answered(event.data)
                case events.AlertSeen() | events.Malformed() | events.NotTls():
                    self.over = True
                case _:
                    pass
        if client.complete and not self.over:
            if not self._asked:
                self._ask()
            if waiting := self._http.data_to_send():
                client.send_application(waiting)

    def _ask(self) -> None:
        self._asked = True
        self._http.initiate_connection()
        for stream, name in self._streams.items():
            authority = name if self._port == DEFAULT_PORT else f"{name}:{self._port}"
            fields = [(":method", "HEAD"), (":scheme", "https"), (":authority", authority), (":path", "/")]
            self._http.send_headers(stream, [*fields, ("user-agent", "clienthello")], end_stream=True)

    def _answered(self, data: bytes) -> None:
        from h2.events import ConnectionTerminated, ResponseReceived, StreamReset

        for event in self._http.receive_data(data):
            match event:
                case ResponseReceived(stream_id=stream, headers=headers):
                    status = dict(headers or ()).get(b":status", b"")
                    if status.isdigit() and len(status) == 3 and stream in self._streams:
                        self.statuses[self._streams.pop(stream)] = int(status)
                case StreamReset(stream_id=stream):
                    self._streams.pop(stream, None)
                case ConnectionTerminated():
                    self.over = True
                case _:
                    pass
        self.over = self.over or not self._streams
