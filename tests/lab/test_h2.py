"""The lab's HTTP/2, frame by frame (RFC 9113), without a socket."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from probes.lab.h2 import Http2

_NOW = datetime(2026, 11, 22, 8, 0, tzinfo=UTC)
_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
_SETTINGS = bytes.fromhex("000000040000000000")
_PING = bytes.fromhex("000008060000000000") + b"12345678"
# HEADERS, END_STREAM and END_HEADERS, stream 1: GET https /
_GET = bytes.fromhex("000003010500000001") + b"\x82\x87\x84"


def _frames(answer: bytes) -> list[tuple[int, int, int, bytes]]:
    frames = []
    while answer:
        end = 9 + int.from_bytes(answer[:3], "big")
        frames.append((answer[3], answer[4], int.from_bytes(answer[5:9], "big"), answer[9:end]))
        answer = answer[end:]
    return frames


def test_a_get_is_answered_with_200_and_the_date() -> None:
    server = Http2()
    frames = _frames(server.receive(_PREFACE + _SETTINGS + _GET, now=_NOW, greeting="hello"))
    assert [(kind, flags, stream) for kind, flags, stream, _ in frames] == [
        (4, 0, 0),
        (4, 1, 0),
        (1, 4, 1),
        (0, 1, 1),
        (7, 0, 0),
    ]
    headers, body = frames[2][3], frames[3][3]
    assert headers.startswith(b"\x88\x0f\x12\x1d") and headers.endswith(b"Sun, 22 Nov 2026 08:00:00 GMT")
    assert body == b"hello\n"
    assert server.finished


@pytest.mark.parametrize("size", [1, 2, 7, 24, 30])
def test_cutting_the_stream_changes_nothing(size: int) -> None:
    stream = _PREFACE + _SETTINGS + _PING + _GET
    whole, pieces = Http2(), Http2()
    expected = whole.receive(stream, now=_NOW, greeting="hello")
    answer = b""
    for start in range(0, len(stream), size):
        answer += pieces.receive(stream[start : start + size], now=_NOW, greeting="hello")
    assert answer == expected


def test_a_ping_comes_back_and_a_wrong_preface_ends_it() -> None:
    server = Http2()
    frames = _frames(server.receive(_PREFACE + _PING, now=_NOW, greeting="hello"))
    assert frames[1] == (6, 1, 0, b"12345678")
    assert not server.finished
    confused = Http2()
    [frame] = _frames(confused.receive(b"GET / HTTP/1.1\r\nHost: lab\r\n\r\n", now=_NOW, greeting="hello"))
    assert (frame[0], frame[3][-4:]) == (7, b"\0\0\0\1")
    assert confused.finished
