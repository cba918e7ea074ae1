"""What others say of this prober's clock: an NTP server on loopback, and the kernel."""

from __future__ import annotations

import asyncio
import struct
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from socket import AF_INET, SOCK_DGRAM, socket
from typing import cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from probes.model import Endpoint
from probes.net.clock import ask, kernel_word, offset_s, witnesses

EPOCHS_APART = 2_208_988_800
Answer = Callable[[bytes], bytes | None]


def stamp(seconds: float) -> int:
    return int((seconds + EPOCHS_APART) * (1 << 32)) & (1 << 64) - 1


def answer(question: bytes, *, ahead_s: float = 0.0, stratum: int = 2, first: int = 0x24, echo: bool = True) -> bytes:
    """RFC 5905 section 7.3: mode 4, the client's transmit time as origin."""
    (cookie,) = struct.unpack_from("!Q", question, 40)
    now = stamp(time.time() + ahead_s)
    return struct.pack(
        "!BBbbII4sQQQQ", first, stratum, 6, -20, 0, 0, b"LOCL", now, cookie if echo else cookie ^ 1, now, now
    )


class _Server(asyncio.DatagramProtocol):
    def __init__(self, reply: Answer) -> None:
        self._reply = reply

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        said = self._reply(data)
        if said is not None:
            self._transport.sendto(said, addr)


@asynccontextmanager
async def serving(reply: Answer) -> AsyncIterator[Endpoint]:
    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_datagram_endpoint(lambda: _Server(reply), local_addr=("127.0.0.1", 0))
    try:
        yield Endpoint(address="127.0.0.1", port=transport.get_extra_info("sockname")[1])
    finally:
        transport.close()


def soon() -> float:
    return asyncio.get_running_loop().time() + 5


@pytest.mark.parametrize("ahead_s", [0.0, 86_400.0, -3_600.0])
async def test_an_ntp_server_tells_how_far_off_we_are(ahead_s: float) -> None:
    async with serving(lambda question: answer(question, ahead_s=ahead_s)) as server:
        heard = await ask(server, deadline=soon())
    assert heard is not None and heard.skew_s is not None
    assert heard.name == f"NTP {server}"
    assert abs(heard.skew_s - ahead_s) < 1


@pytest.mark.parametrize(
    "reply",
    [
        lambda q: answer(q, echo=False),  # not to our question
        lambda q: answer(q, stratum=0),  # kiss of death
        lambda q: answer(q, first=0xE4),  # says that it is not synchronised
        lambda q: answer(q, first=0x23),  # a client's packet
        lambda _: b"short",
    ],
)
async def test_an_answer_of_no_use_is_no_witness(reply: Answer) -> None:
    async with serving(reply) as server:
        assert await ask(server, deadline=soon()) is None


async def test_silence_and_a_closed_port_are_no_witness() -> None:
    async with serving(lambda _: None) as server:
        assert await ask(server, deadline=asyncio.get_running_loop().time() + 0.05) is None
    with socket(AF_INET, SOCK_DGRAM) as bound:
        bound.bind(("127.0.0.1", 0))
        free = Endpoint(address="127.0.0.1", port=bound.getsockname()[1])
    assert await ask(free, deadline=asyncio.get_running_loop().time() + 0.5) is None


async def test_a_server_that_may_not_be_asked_is_not() -> None:
    asked: list[bytes] = []
    async with serving(asked.append) as server:
        heard = await witnesses(server, permit=lambda address, port: "not allowed", deadline=soon())
    assert not asked and all(each.skew_s is None for each in heard)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="adjtimex is Linux's")
def test_the_kernel_says_whether_it_is_kept_in_step() -> None:
    word = kernel_word()
    assert word is None or isinstance(word.synchronised, bool)


@given(st.binary(max_size=80), st.integers(0, (1 << 64) - 1))
def test_no_bytes_do_worse_than_tell_nothing(data: bytes, cookie: int) -> None:
    assert offset_s(data, cookie, 0.0, 0.0) is None or len(data) >= 48
