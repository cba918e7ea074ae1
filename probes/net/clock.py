"""Is this prober's own clock right? The kernel's word (adjtimex), and that of an NTP server, where one was named."""

from __future__ import annotations

import asyncio
import ctypes
import os
import struct
import sys
import time

from probes.model import Endpoint
from probes.net.egress import Permit, refusal
from probes.observed import ClockWitness

PATIENCE_S = 1.0
_STA_UNSYNC, _TIME_ERROR = 0x0040, 5  # include/uapi/linux/timex.h
_TIMEX_SIZE = 208  # bytes of struct timex on 64-bit Linux
_EPOCHS_APART = 2_208_988_800  # seconds from 1900 (NTP) to 1970 (RFC 5905 section 6)
_PACKET = struct.Struct("!BBbbII4sQQQQ")  # the header of RFC 5905 section 7.3
_CLIENT_V4 = 0x23  # no leap warning, version 4, mode 3


async def witnesses(ntp: Endpoint | None, *, permit: Permit | None, deadline: float) -> tuple[ClockWitness, ...]:
    """What can be learned here; empty where nothing can. Never raises; at most a second."""
    kernel = kernel_word()
    asked = None if ntp is None or refusal(permit, ntp.address, ntp.port) else await ask(ntp, deadline=deadline)
    return tuple(witness for witness in (kernel, asked) if witness is not None)


def kernel_word() -> ClockWitness | None:
    """Whether the kernel holds its clock for synchronised; None where it cannot be asked."""
    if not sys.platform.startswith("linux") or ctypes.sizeof(ctypes.c_void_p) != 8:
        return None
    timex = ctypes.create_string_buffer(_TIMEX_SIZE)  # modes 0: read, change nothing
    try:
        state = ctypes.CDLL(None, use_errno=True).adjtimex(timex)
    except (OSError, AttributeError):
        return None
    if state < 0:
        return None
    (status,) = struct.unpack_from("=i", timex, 40)
    synchronised = state != _TIME_ERROR and not status & _STA_UNSYNC
    return ClockWitness(name="this machine's kernel", synchronised=synchronised)


class _Answer(asyncio.DatagramProtocol):
    def __init__(self) -> None:
        self.came: asyncio.Future[tuple[bytes, float]] = asyncio.get_running_loop().create_future()

    def datagram_received(self, data: bytes, addr: object) -> None:
        if not self.came.done():
            self.came.set_result((data, time.time()))

    def error_received(self, exc: Exception) -> None:
        if not self.came.done():
            self.came.set_exception(exc)


async def ask(server: Endpoint, *, deadline: float) -> ClockWitness | None:
    """One SNTP question; None when no answer of any use comes within a second."""
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout_at(min(deadline, loop.time() + PATIENCE_S)):
            transport, answer = await loop.create_datagram_endpoint(_Answer, remote_addr=(server.address, server.port))
            try:
                cookie = int.from_bytes(os.urandom(8), "big")  # echoed by the server: nobody else can answer
                sent = time.time()
                transport.sendto(_PACKET.pack(_CLIENT_V4, 0, 0, 0, 0, 0, b"", 0, 0, 0, cookie))
                data, came = await answer.came
            finally:
                transport.close()
    except (OSError, TimeoutError):
        return None
    skew = offset_s(data, cookie, sent, came)
    return None if skew is None else ClockWitness(name=f"NTP {server}", skew_s=round(skew, 3))


def offset_s(data: bytes, cookie: int, sent: float, came: float) -> float | None:
    """Their clock − ours, out of an answer (RFC 5905 section 8).

    None when it does not answer *cookie*, or says itself that it is not synchronised.
    """
    if len(data) < _PACKET.size:
        return None
    first, stratum, _, _, _, _, _, _, origin, received, transmitted = _PACKET.unpack_from(data)
    if first & 7 != 4 or first >> 6 == 3 or not 1 <= stratum <= 15 or origin != cookie or not transmitted:
        return None
    return ((_seconds(received) - sent) + (_seconds(transmitted) - came)) / 2


def _seconds(stamp: int) -> float:
    """An NTP timestamp as Unix time; eras wrap in 2036 (RFC 5905 section 6)."""
    seconds = (stamp >> 32) - _EPOCHS_APART
    return (seconds if seconds >= 0 else seconds + (1 << 32)) + (stamp & 0xFFFF_FFFF) / (1 << 32)
