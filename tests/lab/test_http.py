"""The lab's HTTP/1.1, without a socket."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from probes.lab.http import Request, Requests, response

_NOW = datetime(2026, 11, 22, 8, 0, tzinfo=UTC)
_GET = b"GET /a HTTP/1.1\r\nHost: lab\r\n\r\n"


def test_a_request_is_read_whole_wherever_it_is_cut() -> None:
    for cut in range(1, len(_GET)):
        requests = Requests()
        assert requests.receive(_GET[:cut]) is None
        assert requests.receive(_GET[cut:]) == Request(method="GET", path="/a")


@pytest.mark.parametrize("noise", [b"\x16\x03\x01\x02\x00", b"EHLO me\r\n", b"GET\r\n\r\n", b"x" * 20_000])
def test_what_is_not_http_is_answered_with_400(noise: bytes) -> None:
    request = Requests().receive(noise)
    assert request
    assert response(request, now=_NOW).startswith(b"HTTP/1.1 400 Bad Request\r\n")


def test_head_has_the_headers_of_get_and_no_body() -> None:
    get = response(Request(method="GET", path="/"), now=_NOW, greeting="hello")
    head = response(Request(method="HEAD", path="/"), now=_NOW, greeting="hello")
    assert get == head + b"hello\n"
    assert b"\r\nDate: Sun, 22 Nov 2026 08:00:00 GMT\r\n" in head


def test_files_are_served_by_path_and_nothing_else_is() -> None:
    files = {"/ca.der": ("application/pkix-cert", b"\x30\x00")}
    assert response(Request(method="GET", path="/ca.der"), now=_NOW, files=files).endswith(b"\r\n\r\n\x30\x00")
    assert response(Request(method="GET", path="/"), now=_NOW, files=files).startswith(b"HTTP/1.1 404 ")
    assert response(Request(method="POST", path="/"), now=_NOW, files=files).startswith(b"HTTP/1.1 405 ")
