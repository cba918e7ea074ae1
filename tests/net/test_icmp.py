"""Who answered with ICMP, out of what the kernel keeps."""

from __future__ import annotations

import socket
import struct
from ipaddress import ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from probes.model import Endpoint, Unreached
from probes.net.connect import unreached
from probes.net.icmp import keep_errors, read, said_by


def kept(origin: int, kind: int, code: int, sender: str) -> bytes:
    """A sock_extended_err as Linux hands it out, with the sender's sockaddr behind it."""
    head = struct.pack("=IBBBBII", 113, origin, kind, code, 0, 0, 0)
    address = ip_address(sender).packed
    if len(address) == 4:
        return head + struct.pack("=HH", socket.AF_INET, 0) + address + bytes(8)
    return head + struct.pack("=HHI", socket.AF_INET6, 0, 0) + address + bytes(4)


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (kept(2, 3, 13, "192.0.2.1"), "ICMP communication administratively prohibited from 192.0.2.1"),
        (kept(2, 3, 1, "192.0.2.9"), "ICMP host unreachable from 192.0.2.9"),
        (kept(3, 1, 0, "2001:db8::1"), "ICMP no route to destination from 2001:db8::1"),
        (kept(2, 3, 99, "192.0.2.1"), "ICMP code 99 from 192.0.2.1"),
        (kept(2, 11, 0, "192.0.2.1"), "ICMP type 11 code 0 from 192.0.2.1"),
        (kept(1, 0, 0, "192.0.2.1"), ""),  # the kernel's own, not from the path
        (b"", ""),
    ],
)
def test_what_the_kernel_keeps_is_read(data: bytes, said: str) -> None:
    assert read(data) == said


@given(st.binary(max_size=64))
def test_no_bytes_do_worse_than_say_nothing(data: bytes) -> None:
    assert isinstance(read(data), str)


def test_the_sender_stands_in_the_detail() -> None:
    said = "ICMP host unreachable from 192.0.2.9"
    seen = unreached(Endpoint(address="127.0.0.1", port=1), OSError(113, "No route to host"), said)
    assert seen == Unreached(kind="unreachable", detail=f"EHOSTUNREACH: {said}")


@pytest.mark.parametrize("family", [socket.AF_INET, socket.AF_INET6])
def test_a_socket_without_errors_says_nothing(family: socket.AddressFamily) -> None:
    try:
        sock = socket.socket(family, socket.SOCK_STREAM)
    except OSError:
        pytest.skip("this machine has no such sockets")
    with sock:
        sock.setblocking(False)
        keep_errors(sock, is_v6=sock.family == socket.AF_INET6)
        assert said_by(sock) == ""
