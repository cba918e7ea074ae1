"""What other names of a certificate meet on one HTTP/2 connection: in memory, and on real servers."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import replace

import pytest
from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import RequestReceived
from h2.exceptions import H2Error
from hypothesis import given, settings
from hypothesis import strategies as st

from probes import plan
from probes.model import Completed, Endpoint, Handshake, Resolution, Target
from probes.net.h2 import MAX_NAMES, Route, _misdirection, _Requests, misdirections
from probes.net.handshake import shake
from probes.observed import Misdirection
from probes.wire import events
from tests import pki
from tests.endpoints.bench import Bench, Vhost, missing

NAMES = ("a.test", "b.test", "c.test")


class Client:
    """In the place of the TLS client: keeps what is to be sent."""

    complete = True

    def __init__(self) -> None:
        self.sent = b""

    def send_application(self, data: bytes) -> None:
        self.sent += data

    def taken(self) -> bytes:
        sent, self.sent = self.sent, b""
        return sent


COMPLETE = events.HandshakeComplete(version=0x0304, cipher=0x1301, group=29, alpn="h2", client_certificate_sent=False)


def asked(port: int = 443) -> tuple[_Requests, Client, H2Connection, dict[str, int]]:
    """Requests that have gone out, a server's side of the connection, and which name is in which stream."""
    requests, client = _Requests(NAMES, port), Client()
    requests.take(client, [COMPLETE])  # type: ignore[arg-type]
    server = H2Connection(H2Configuration(client_side=False, header_encoding=None))
    server.initiate_connection()
    streams: dict[str, int] = {}
    for event in server.receive_data(client.taken()):
        if isinstance(event, RequestReceived):
            fields = dict(event.headers or ())
            assert (fields[b":method"], fields[b":path"], fields[b":scheme"]) == (b"HEAD", b"/", b"https")
            streams[fields[b":authority"].decode()] = event.stream_id
    return requests, client, server, streams


def answer(requests: _Requests, client: Client, server: H2Connection) -> None:
    requests.take(client, [events.ApplicationData(data=server.data_to_send())])  # type: ignore[arg-type]


def test_each_name_is_asked_for_in_a_stream_of_its_own() -> None:
    requests, client, server, streams = asked()
    assert tuple(streams) == NAMES
    for name, status in zip(NAMES, ("200", "421", "404"), strict=True):
        server.send_headers(streams[name], [(":status", status)], end_stream=True)
    answer(requests, client, server)
    assert requests.statuses == {"a.test": 200, "b.test": 421, "c.test": 404}
    assert requests.over


def test_another_port_is_part_of_the_authority() -> None:
    assert tuple(asked(8443)[3]) == ("a.test:8443", "b.test:8443", "c.test:8443")


def test_a_stream_that_is_reset_has_no_status() -> None:
    requests, client, server, streams = asked()
    server.reset_stream(streams["a.test"])
    server.send_headers(streams["b.test"], [(":status", "200")], end_stream=True)
    answer(requests, client, server)
    assert requests.statuses == {"b.test": 200} and not requests.over
    server.close_connection()
    answer(requests, client, server)
    assert requests.over


def test_without_h2_nothing_is_asked() -> None:
    requests, client = _Requests(NAMES, 443), Client()
    requests.take(client, [replace(COMPLETE, alpn="http/1.1")])  # type: ignore[arg-type]
    assert requests.over and not client.sent


@given(st.lists(st.binary(max_size=120), max_size=4))
@settings(deadline=None)
def test_no_bytes_raise_anything_but_what_is_caught(pieces: list[bytes]) -> None:
    requests, client, server, _ = asked()
    greeting = server.data_to_send()
    try:
        for piece in (greeting, *pieces):
            requests.take(client, [events.ApplicationData(data=piece)])  # type: ignore[arg-type]
    except H2Error:
        pass
    assert set(requests.statuses) <= set(NAMES)


# what is asked at all -----------------------------------------------------------------------------------------------


def seen(*names: str, alpn: str | None = "h2", times: int = 1) -> tuple[Handshake, ...]:
    leaf = pki.leaf(pki.authority(), names=names)
    endpoint = Endpoint(address="127.0.0.1", port=1)
    offer = plan.modern(Target.parse("a.test"))
    one = Handshake(endpoint=endpoint, offer=offer, outcome=Completed(), alpn=alpn, certificates=(leaf.der,))
    return (one,) * times


def route(*known: str, source: str = "--resolve", host: str = "a.test", deadline: float = 1e12) -> Route:
    target = Target.parse(f"{host}:1")
    return Route(
        target=target,
        resolution=Resolution(addresses=("127.0.0.1",), source=source),
        overrides={(name, 1): ("127.0.0.1",) for name in known},
        resolver=None,
        permit=lambda _address, _port: "not in this test",  # whatever is asked for connects to nothing
        deadline=deadline,
    )


async def test_names_that_resolve_here_are_asked_for_and_silence_is_unclear() -> None:
    found = await misdirections(seen("a.test", "b.test"), route("a.test", "b.test"))
    assert found == (Misdirection(name="b.test", address="127.0.0.1"),)


async def test_where_addresses_were_given_by_hand_dns_is_not_asked() -> None:
    assert await misdirections(seen("a.test", "b.test"), route("a.test")) == ()


@pytest.mark.parametrize(
    ("names", "alpn"),
    [
        (("a.test", "*.a.test"), "h2"),
        (("a.test",), "h2"),
        (("a.test", "b.test"), "http/1.1"),
        (("a.test", "b.test"), None),
    ],
    ids=["wildcard", "one name", "no h2", "no ALPN"],
)
async def test_nothing_is_asked_without_a_name_to_ask_for(names: tuple[str, ...], alpn: str | None) -> None:
    assert await misdirections(seen(*names, alpn=alpn), route("a.test", "b.test")) == ()


async def test_a_bare_address_has_no_names_to_share_with() -> None:
    assert await misdirections(seen("a.test", "b.test"), route("b.test", host="127.0.0.1")) == ()


async def test_four_names_are_enough() -> None:
    many = [f"n{number}.test" for number in range(9)]
    assert len(await misdirections(seen("a.test", *many), route(*many))) == MAX_NAMES


async def test_an_address_that_was_asked_enough_is_spared() -> None:
    assert await misdirections(seen("a.test", "b.test", times=plan.MAX_PER_ADDRESS), route("b.test")) == ()


# real servers -------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def bench() -> Iterator[Bench]:
    made = Bench()
    try:
        yield made
    finally:
        made.close()


@pytest.fixture(scope="module")
def places(bench: Bench) -> dict[str, tuple[str, int]]:
    """a.test's certificate covers b.test, which is served with another one, and c.test, which answers 421."""
    h = bench.hierarchy
    both, own = (h.leaf(*NAMES, "d.test"), h.intermediate), (h.leaf("b.test"), h.intermediate)
    found = {}
    if not missing("nginx"):
        refusing = Vhost(names=("c.test",), chains=(both,), extra="return 421;")
        found["nginx"] = bench.nginx(
            Vhost(names=("a.test", "d.test"), chains=(both,)), Vhost(names=("b.test",), chains=(own,)), refusing
        )
    if not missing("apache"):
        found["apache"] = at = bench.apache("ServerName a.test\n ServerAlias c.test d.test\n Protocols h2", *both)
        # Apache turns a request away when the other host has settings of TLS that the connection was not made with.
        bench.apache_vhost(at, "ServerName b.test\n Protocols h2\n SSLProtocol -all +TLSv1.2", *own)
    bench.start()
    return found


async def at(place: tuple[str, int]) -> dict[str, Misdirection]:
    target = Target.parse(f"a.test:{place[1]}")
    endpoint = Endpoint(address=place[0], port=place[1])
    deadline = asyncio.get_running_loop().time() + 10
    first = await shake(endpoint, plan.small(target), permit=None, deadline=deadline)
    here = Route(
        target=target,
        resolution=Resolution(addresses=(place[0],), source="--resolve"),
        overrides={(name, place[1]): (place[0],) for name in (*NAMES, "d.test")},
        resolver=None,
        permit=None,
        deadline=deadline,
    )
    return {each.name: each for each in await misdirections((first,), here)}


async def test_nginx_serves_another_certificate_and_answers_421(places: dict[str, tuple[str, int]]) -> None:
    if "nginx" not in places:
        pytest.skip("nginx is not installed")
    found = await at(places["nginx"])
    assert found["b.test"].same_certificate is False and "b.test" in found["b.test"].detail
    assert (found["c.test"].status, found["c.test"].same_certificate) == (421, True)
    assert (found["d.test"].status, found["d.test"].same_certificate) == (200, True)


async def test_apache_calls_it_misdirected(places: dict[str, tuple[str, int]]) -> None:
    if "apache" not in places:
        pytest.skip("apache is not installed")
    found = await at(places["apache"])
    assert (found["b.test"].status, found["b.test"].same_certificate) == (421, False)
    assert found["c.test"].status != 421 and found["c.test"].same_certificate is True


def test_a_renewed_certificate_for_the_same_names_is_no_other_one() -> None:
    """Back ends that are being renewed, and name servers' many front ends, hand out copies that differ in serial."""
    ca = pki.intermediate(pki.authority())
    first, renewed, narrower = (pki.leaf(ca, names=names) for names in (NAMES, NAMES[::-1], NAMES[1:]))
    own = seen("a.test")[0]

    def told(body: bytes) -> bool | None:
        return _misdirection("b.test", 200, replace(own, certificates=(body,)), first.der).same_certificate

    assert first.der != renewed.der
    assert (told(first.der), told(renewed.der), told(narrower.der)) == (True, True, False)
    assert told(b"no certificate") is False
