"""Who on the path answered a connection attempt with ICMP, and what it said; Linux alone tells (ip(7), IP_RECVERR)."""

from __future__ import annotations

import socket
import struct
import sys
from ipaddress import ip_address

# include/uapi/linux/in.h, in6.h, errqueue.h; the socket module of Python 3.11 does not name them.
_IP_RECVERR, _IPV6_RECVERR, _MSG_ERRQUEUE = 11, 25, 0x2000
_EXTENDED = struct.Struct("=IBBBBII")  # struct sock_extended_err: errno, origin, type, code, pad, info, data
_ORIGIN_ICMP, _ORIGIN_ICMP6 = 2, 3

# Destination unreachable: RFC 792, RFC 1812 section 5.2.7.1 (type 3); RFC 4443 section 3.1 (type 1).
_CODES4 = {
    0: "network unreachable",
    1: "host unreachable",
    2: "protocol unreachable",
    3: "port unreachable",
    4: "fragmentation needed",
    5: "source route failed",
    6: "destination network unknown",
    7: "destination host unknown",
    9: "network administratively prohibited",
    10: "host administratively prohibited",
    13: "communication administratively prohibited",
}
_CODES6 = {
    0: "no route to destination",
    1: "communication administratively prohibited",
    2: "beyond scope of source address",
    3: "address unreachable",
    4: "port unreachable",
    5: "source address failed policy",
    6: "reject route to destination",
}


def keep_errors(sock: socket.socket, *, is_v6: bool) -> None:
    """Let the kernel keep ICMP answers with their sender; silently nothing where it cannot."""
    if not sys.platform.startswith("linux"):
        return
    try:
        if is_v6:
            sock.setsockopt(socket.IPPROTO_IPV6, _IPV6_RECVERR, 1)
        else:
            sock.setsockopt(socket.IPPROTO_IP, _IP_RECVERR, 1)
    except OSError:
        return  # a kernel without it only tells less


def said_by(sock: socket.socket) -> str:
    """`ICMP host unreachable from 192.0.2.1`, or "" when no ICMP answer was kept."""
    if not sys.platform.startswith("linux"):
        return ""
    try:
        _, ancillary, _, _ = sock.recvmsg(1, 512, _MSG_ERRQUEUE)
    except OSError:
        return ""
    wanted = {(socket.IPPROTO_IP, _IP_RECVERR), (socket.IPPROTO_IPV6, _IPV6_RECVERR)}
    return next((told for level, kind, data in ancillary if (level, kind) in wanted and (told := read(data))), "")


def read(data: bytes) -> str:
    """What a sock_extended_err with the offender's address behind it says; "" when it is not ICMP's."""
    if len(data) < _EXTENDED.size:
        return ""
    _, origin, kind, code, _, _, _ = _EXTENDED.unpack_from(data)
    if origin not in (_ORIGIN_ICMP, _ORIGIN_ICMP6):
        return ""
    known, unreachable = (_CODES4, 3) if origin == _ORIGIN_ICMP else (_CODES6, 1)
    said = known.get(code, f"code {code}") if kind == unreachable else f"type {kind} code {code}"
    sender = _sender(data[_EXTENDED.size :])
    return f"ICMP {said}" + (f" from {sender}" if sender else "")


def _sender(address: bytes) -> str:
    """The address in a sockaddr_in or sockaddr_in6."""
    if len(address) < 8:
        return ""
    (family,) = struct.unpack_from("=H", address)
    if family == socket.AF_INET:
        return str(ip_address(address[4:8]))
    if family == socket.AF_INET6 and len(address) >= 24:
        return str(ip_address(address[8:24]))
    return ""
