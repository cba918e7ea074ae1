"""The least of HTTP/2 (RFC 9113) that answers each request with 200 and a Date: no flow control, no tables."""

from __future__ import annotations

from datetime import datetime

from probes.lab.http import http_date

_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
_DATA, _HEADERS, _SETTINGS, _PING, _GOAWAY = 0, 1, 4, 6, 7
_ACK = _END_STREAM = 0x1
_END_HEADERS = 0x4


class Http2:
    """Bytes in, bytes out; `finished` once a request was answered or the peer said goodbye."""

    def __init__(self) -> None:
        self._received = b""
        self._greeted = False
        self.finished = False

    def receive(self, data: bytes, *, now: datetime, greeting: str) -> bytes:
        self._received += data
        answer = b""
        if not self._greeted:
            if len(self._received) < len(_PREFACE):
                return b""
            if not self._received.startswith(_PREFACE):
                self.finished = True
                return _frame(_GOAWAY, 0, 0, bytes(4) + (1).to_bytes(4, "big"))  # PROTOCOL_ERROR
            self._received = self._received[len(_PREFACE) :]
            self._greeted = True
            answer += _frame(_SETTINGS, 0, 0, b"")
        while not self.finished and (frame := self._next_frame()):
            answer += self._react(*frame, now=now, greeting=greeting)
        return answer

    def _next_frame(self) -> tuple[int, int, int, bytes] | None:
        """Kind, flags, stream and payload (RFC 9113 section 4.1)."""
        if len(self._received) < 9:
            return None
        end = 9 + int.from_bytes(self._received[:3], "big")
        if len(self._received) < end:
            return None
        head, payload = self._received[:9], self._received[9:end]
        self._received = self._received[end:]
        return head[3], head[4], int.from_bytes(head[5:9], "big") & 0x7FFF_FFFF, payload

    def _react(self, kind: int, flags: int, stream: int, payload: bytes, *, now: datetime, greeting: str) -> bytes:
        if kind == _SETTINGS and not flags & _ACK:
            return _frame(_SETTINGS, _ACK, 0, b"")
        if kind == _PING and not flags & _ACK:
            return _frame(_PING, _ACK, 0, payload)
        if kind == _GOAWAY:
            self.finished = True
        if kind != _HEADERS:
            return b""
        self.finished = True
        return (
            _frame(_HEADERS, _END_HEADERS, stream, _headers(now))
            + _frame(_DATA, _END_STREAM, stream, f"{greeting}\n".encode())
            + _frame(_GOAWAY, 0, 0, stream.to_bytes(4, "big") + bytes(4))
        )


def _frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    return len(payload).to_bytes(3, "big") + bytes([kind, flags]) + stream.to_bytes(4, "big") + payload


def _headers(now: datetime) -> bytes:
    """`:status: 200` and `date`, names from the static table (RFC 7541 appendix A: 8 and 33)."""
    date = http_date(now).encode("ascii")
    return b"\x88" + b"\x0f\x12" + bytes([len(date)]) + date  # literal without indexing, no Huffman (section 6.2.2)
