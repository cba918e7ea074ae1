"""What the cases of mode 0 do to a connection, seen from a bare socket."""

from __future__ import annotations

import asyncio
import errno
import time

import pytest

from probes.lab import Lab
from tests.lab.client import exchange, hello, shake

pytestmark = pytest.mark.asyncio(loop_scope="package")

_SMALL = {"groups": "X25519:P-256"}
_BLINK_S = 0.3  # how long silence has to last to be called so


async def _answer(lab: Lab, name: str, *pieces: bytes, patience_s: float = 10.0) -> bytes:
    case = lab.case(name)
    return await exchange(case.addresses[0], case.port, *pieces, patience_s=patience_s)


async def test_refused_is_refused(lab: Lab) -> None:
    with pytest.raises(ConnectionRefusedError):
        await _answer(lab, "refused.lab")


async def test_a_full_queue_answers_no_syn(lab: Lab) -> None:
    case = lab.case("timeout.lab")
    for _ in range(2):  # the first attempt must not make room for the second
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(asyncio.open_connection(case.addresses[0], case.port), _BLINK_S)


async def test_the_unrouted_address_fails_at_once(lab: Lab) -> None:
    case = lab.case("unreachable.lab")
    with pytest.raises(OSError) as failure:
        await asyncio.open_connection(case.addresses[0], case.port)
    assert failure.value.errno in (errno.ENETUNREACH, errno.EHOSTUNREACH)


@pytest.mark.parametrize("size", [_SMALL, {}], ids=["small", "post-quantum"])
async def test_reset_comes_after_the_whole_hello_and_closed_is_orderly(lab: Lab, size: dict[str, str]) -> None:
    client_hello = hello("reset.lab", **size)
    with pytest.raises(ConnectionResetError):
        await _answer(lab, "reset.lab", client_hello)
    with pytest.raises(TimeoutError):  # it waits for the rest
        await _answer(lab, "reset.lab", client_hello[:-1], patience_s=_BLINK_S)
    assert await _answer(lab, "closed.lab", client_hello[:100], client_hello[100:]) == b""


async def test_silence_is_silence(lab: Lab) -> None:
    with pytest.raises(TimeoutError):
        await _answer(lab, "silent.lab", hello("silent.lab"), patience_s=_BLINK_S)


@pytest.mark.parametrize("newest", ["TLSv1.2", "TLSv1.3"])
async def test_a_stalled_flight_is_one_server_hello(lab: Lab, newest: str) -> None:
    case = lab.case("stalled.lab")
    reader, writer = await asyncio.open_connection(case.addresses[0], case.port)
    writer.write(hello(case.name, newest=newest))
    header = await reader.readexactly(5)
    body = await reader.readexactly(int.from_bytes(header[3:], "big"))
    assert (header[0], body[0]) == (22, 2)  # handshake record, ServerHello
    assert len(body) == 4 + int.from_bytes(body[1:4], "big")
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(reader.read(1), _BLINK_S)
    writer.close()
    await writer.wait_closed()


@pytest.mark.parametrize("offer", [{}, _SMALL, {"newest": "TLSv1.2"}], ids=["post-quantum", "small", "TLS 1.2"])
async def test_a_flight_cut_short_breaks_off_after_the_server_hello(lab: Lab, offer: dict[str, str]) -> None:
    case = lab.case("cut-short.lab")
    reader, writer = await asyncio.open_connection(case.addresses[0], case.port)
    writer.write(hello(case.name, **offer))
    flight = await reader.readexactly(1300)
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(reader.read(1), _BLINK_S)
    lengths = []
    while len(flight) >= 5 and len(flight) >= 5 + int.from_bytes(flight[3:5], "big"):
        lengths.append(5 + int.from_bytes(flight[3:5], "big"))
        flight = flight[lengths[-1] :]
    assert lengths  # the ServerHello is whole
    assert flight  # and what follows is not
    writer.close()
    await writer.wait_closed()


async def test_slow_is_over_a_second_each_time(lab: Lab) -> None:
    case = lab.case("slow.lab")

    async def once() -> float:
        begun = time.monotonic()
        assert (await shake(case.addresses[0], case.port, case.name)).version == "TLSv1.3"
        return time.monotonic() - begun

    assert all(taken > 1.2 for taken in await asyncio.gather(once(), once()))


@pytest.mark.parametrize(
    ("name", "words"), [("ssh.lab", b"SSH-2.0-"), ("smtp.lab", b"220 "), ("plain-http.lab", b"HTTP/1.1 400 ")]
)
async def test_another_protocol_answers_in_its_own_words(lab: Lab, name: str, words: bytes) -> None:
    assert (await _answer(lab, name, hello(name))).startswith(words)


async def test_plain_http_does_answer_http(lab: Lab) -> None:
    answer = await _answer(lab, "plain-http.lab", b"GET / HTTP/1.1\r\nHost: lab\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 404 ")


async def test_a_box_wants_the_hello_small_and_in_one_segment(lab: Lab) -> None:
    case = lab.case("large-hello.lab")
    small, large = hello(case.name, **_SMALL), hello(case.name)
    assert len(small) < 1400 < len(large)
    assert (await shake(case.addresses[0], case.port, case.name, **_SMALL)).version == "TLSv1.3"
    for pieces in ((large,), (small[:200], small[200:]), (large[:1000], large[1000:])):
        with pytest.raises(ConnectionResetError):
            await _answer(lab, case.name, *pieces)


async def test_an_mtu_hole_swallows_the_large_hello_and_passes_it_in_pieces(lab: Lab) -> None:
    case = lab.case("mtu-hole.lab")
    large = hello(case.name)
    assert (await shake(case.addresses[0], case.port, case.name, **_SMALL)).version == "TLSv1.3"
    with pytest.raises(TimeoutError):
        await _answer(lab, case.name, large, patience_s=_BLINK_S)
    reader, writer = await asyncio.open_connection(case.addresses[0], case.port)
    writer.write(large[:1000])
    await writer.drain()
    writer.write(large[1000:])
    assert await asyncio.wait_for(reader.readexactly(1), 10) == bytes([22])  # a handshake record
    writer.close()
    await writer.wait_closed()
