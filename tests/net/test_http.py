"""The Date of an HTTP answer against our clock."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from probes.net.http import MAX_HEAD, http_answer, is_whole, request

NOW = datetime(2026, 11, 21, 22, 0, 0, tzinfo=UTC)


def test_the_question_names_the_host_as_http_writes_it() -> None:
    assert request("HEAD", "api.test").startswith(b"HEAD / HTTP/1.1\r\nHost: api.test\r\n")
    assert b"\r\nHost: [2001:db8::7]\r\n" in request("HEAD", "2001:db8::7")
    assert request("HEAD", "api.test").endswith(b"\r\n\r\n")


def test_skew_is_their_date_minus_our_clock() -> None:
    answer = http_answer(
        b"HTTP/1.1 400 Bad Request\r\nServer: x\r\nDATE: Sat, 21 Nov 2026 21:59:00 GMT\r\nAge: 7\r\n\r\n", NOW
    )
    assert answer is not None
    assert (answer.status, answer.date, answer.skew_s, answer.age_s) == (400, NOW - timedelta(seconds=60), -60.0, 7)


@pytest.mark.parametrize(
    "date", [b"Sat, 21 Nov 2026 22:00:00 GMT", b"Saturday, 21-Nov-26 22:00:00 GMT", b"Sat Nov 21 22:00:00 2026"]
)
def test_the_three_forms_of_a_date_are_read(date: bytes) -> None:
    answer = http_answer(b"HTTP/1.0 200\r\nDate: " + date + b"\r\n\r\n", NOW)
    assert answer is not None
    assert answer.skew_s == 0


@pytest.mark.parametrize(
    "date", [b"", b"yesterday", b"Sat, 99 Nov 2026 22:00:00 GMT", b"\xff\xfe", b"Sat, 21 Nov 99999999999 1:1:1 GMT"]
)
def test_a_date_that_is_none_leaves_the_status(date: bytes) -> None:
    answer = http_answer(b"HTTP/1.1 200 OK\r\nDate: " + date + b"\r\nAge: -1\r\n\r\n", NOW)
    assert answer is not None
    assert (answer.status, answer.date, answer.skew_s, answer.age_s) == (200, None, None, None)


def test_what_is_no_http_is_no_answer() -> None:
    assert http_answer(b"SSH-2.0-x\r\n", NOW) is None
    assert http_answer(b"HTTP/1.1 999\r\n\r\n", NOW) is None


def test_header_lines_are_awaited_up_to_a_limit() -> None:
    assert not is_whole(b"HTTP/1.1 200 OK\r\nDate: x\r\n")
    assert is_whole(b"HTTP/1.1 200 OK\r\n\r\n")
    assert is_whole(b"HTTP/1.1 200 OK\r\n" + b"x" * MAX_HEAD)


@given(st.binary(max_size=300))
def test_no_bytes_break_it(tail: bytes) -> None:
    for prefix in (b"", b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 200 OK\r\nDate: "):
        http_answer(prefix + tail, NOW)


@given(st.text(alphabet="SatunMoFrNv ,:-+0123456789GMTUC", max_size=40))
def test_no_date_breaks_it(date: str) -> None:
    http_answer(b"HTTP/1.1 200 OK\r\nDate: " + date.encode() + b"\r\n\r\n", NOW)


def test_an_answer_with_a_body_is_whole_once_its_length_is_there() -> None:
    head = b"HTTP/1.1 400 Bad Request\r\nServer: nginx\r\nContent-Length: 5\r\n\r\n"
    assert is_whole(head)
    assert not is_whole(head + b"some", with_body=True)
    assert is_whole(head + b"sorry", with_body=True)
    answer = http_answer(head + b"sorry", NOW)
    assert answer is not None
    assert (answer.status, answer.body, answer.fields) == (400, b"sorry", (("server", "nginx"),))
