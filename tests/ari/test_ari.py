"""Renewal information: the words of RFC 9773, and CAs over TLS on loopback that are helpful, slow, wrong or hostile."""

from __future__ import annotations

import json
import ssl
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from probes import ari
from tests.ari.server import CA, Authority, asking, running

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
KEY_ID = bytes.fromhex("69885B6B87464041E1B37B847BA0AE2CDE01C8D4")
SERIAL = 0x87654321


# ── pure ────────────────────────────────────────────────────────────────────────


def test_a_certificate_is_named_as_in_the_example_of_rfc_9773() -> None:
    assert ari.certificate_id(KEY_ID, SERIAL) == "aYhba4dGQEHhs3uEe6CuLN4ByNQ.AIdlQyE"


def test_a_serial_number_without_its_first_bit_set_gets_no_leading_zero() -> None:
    assert ari.certificate_id(KEY_ID, 0x7F).endswith(".fw")
    assert ari.certificate_id(KEY_ID, 0x80).endswith(".AIA")


@pytest.mark.parametrize(("key_id", "serial"), [(b"", 1), (KEY_ID, 0), (KEY_ID, -5)])
def test_what_no_ca_knows_is_not_asked_for(key_id: bytes, serial: int) -> None:
    with pytest.raises(ValueError, match="authority key identifier"):
        ari.certificate_id(key_id, serial)


def answer(**changed: Any) -> bytes:
    whole = {"suggestedWindow": {"start": "2026-12-02T04:00:00Z", "end": "2026-12-03T04:00:00Z"}}
    return json.dumps(whole | changed).encode()


def test_a_window_is_read_with_its_explanation() -> None:
    read = ari.window(answer(explanationURL="https://ca.test/why?x=1"))
    assert (read.start, read.end) == (datetime(2026, 12, 2, 4, tzinfo=UTC), datetime(2026, 12, 3, 4, tzinfo=UTC))
    assert read.explanation_url == "https://ca.test/why?x=1"


@pytest.mark.parametrize("url", ["javascript:alert(1)", "https://a|b>c", "https://ca.test/ <!channel>", 7, None])
def test_an_explanation_that_is_no_plain_link_is_left_out(url: object) -> None:
    assert ari.window(answer(explanationURL=url)).explanation_url == ""


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"{}",
        b'{"suggestedWindow": []}',
        answer(suggestedWindow={"start": "2026-12-03T04:00:00Z", "end": "2026-12-02T04:00:00Z"}),
        answer(suggestedWindow={"start": "2026-12-03T04:00:00", "end": "2026-12-04T04:00:00"}),
        answer(suggestedWindow={"start": "0001-01-01T00:00:00+14:00", "end": "2026-12-04T04:00:00Z"}),
        answer(suggestedWindow={"start": 5, "end": "soon"}),
    ],
)
def test_what_is_no_window_is_refused(body: bytes) -> None:
    with pytest.raises(ari.Malformed):
        ari.window(body)


@given(st.binary(max_size=200) | st.recursive(st.none() | st.text(), st.lists).map(lambda v: json.dumps(v).encode()))
def test_no_bytes_raise_anything_but_malformed(body: bytes) -> None:
    for read in (ari.window, ari.renewal_info_url):
        try:
            read(body)
        except ari.Malformed:
            continue


@pytest.mark.parametrize(
    ("header", "pause"),
    [
        ("21600", timedelta(hours=6)),
        ("1", timedelta(minutes=1)),
        ("99999999", timedelta(days=1)),
        ("Sun, 22 Nov 2026 15:00:00 GMT", timedelta(hours=3)),
        ("Sun, 22 Nov 2020 15:00:00 GMT", timedelta(minutes=1)),
        (None, timedelta(hours=6)),
        ("soon", timedelta(hours=6)),
        ("-5", timedelta(hours=6)),
        ("²", timedelta(hours=6)),  # a digit, and no number
    ],
)
def test_retry_after_is_held_within_a_minute_and_a_day(header: str | None, pause: timedelta) -> None:
    assert ari.asked_again_at(header, NOW) == NOW + pause


# ── over the wire ───────────────────────────────────────────────────────────────


@pytest.fixture
async def serving(tmp_path: Path) -> AsyncIterator[tuple[Authority, ssl.SSLContext]]:
    async with running(tmp_path) as made:
        yield made


@pytest.fixture
def authority(serving: tuple[Authority, ssl.SSLContext]) -> Authority:
    return serving[0]


@pytest.fixture
def trusting(serving: tuple[Authority, ssl.SSLContext]) -> ssl.SSLContext:
    return serving[1]


PATH = "/renewal-info/aYhba4dGQEHhs3uEe6CuLN4ByNQ.AIdlQyE"


async def test_a_ca_tells_its_window_and_when_to_ask_again(authority: Authority, trusting: ssl.SSLContext) -> None:
    authority.answers[PATH] = (200, {"Retry-After": "3600"}, answer())
    told = await asking(authority, trusting).ask(CA, KEY_ID, SERIAL, NOW)
    assert told.problem == ""
    assert told.window is not None and told.window.start == datetime(2026, 12, 2, 4, tzinfo=UTC)
    assert told.ask_again_at == NOW + timedelta(hours=1)


async def test_a_directory_is_read_once_a_day(authority: Authority, trusting: ssl.SSLContext) -> None:
    authority.answers[PATH] = (200, {}, answer())
    asks = asking(authority, trusting)
    for hours in (0, 5, 30):
        await asks.ask(CA, KEY_ID, SERIAL, NOW + timedelta(hours=hours))
    assert authority.asked == ["/directory", PATH, PATH, "/directory", PATH]


async def test_a_pause_that_the_ca_asks_for_is_kept_for_all_its_certificates(
    authority: Authority, trusting: ssl.SSLContext
) -> None:
    authority.answers[PATH] = (503, {"Retry-After": "7200"}, b"")
    asks = asking(authority, trusting)
    first = await asks.ask(CA, KEY_ID, SERIAL, NOW)
    assert first.window is None and "503" in first.problem
    second = await asks.ask(CA, KEY_ID, 5, NOW + timedelta(minutes=30))
    assert second.ask_again_at == NOW + timedelta(hours=2)
    assert authority.asked == ["/directory", PATH]
    await asks.ask(CA, KEY_ID, 5, NOW + timedelta(hours=2, seconds=1))
    assert len(authority.asked) == 3


async def test_a_ca_without_the_extension_is_asked_for_it_daily(authority: Authority, trusting: ssl.SSLContext) -> None:
    authority.answers["/directory"] = (200, {}, b"{}")
    told = await asking(authority, trusting).ask(CA, KEY_ID, SERIAL, NOW)
    assert told.window is None and told.ask_again_at == NOW + timedelta(days=1)


@pytest.mark.parametrize(
    ("status", "body"),
    [(200, b"<html>"), (404, b""), (302, b""), (200, b"[" * 100_000), (200, b"{}")],
)
async def test_a_useless_answer_is_a_problem_and_no_fault(
    authority: Authority, trusting: ssl.SSLContext, status: int, body: bytes
) -> None:
    authority.answers[PATH] = (status, {"Location": "https://127.0.0.1:1/"}, body)
    told = await asking(authority, trusting).ask(CA, KEY_ID, SERIAL, NOW)
    assert told.window is None and told.problem
    assert told.ask_again_at == NOW + timedelta(hours=6)


async def test_a_server_that_cannot_prove_its_name_is_not_believed(authority: Authority) -> None:
    authority.answers[PATH] = (200, {}, answer())
    told = await asking(authority, ssl.create_default_context()).ask(CA, KEY_ID, SERIAL, NOW)
    assert told.window is None and "ConnectError" in told.problem
    assert authority.asked == []


async def test_nothing_is_asked_without_permission(authority: Authority, trusting: ssl.SSLContext) -> None:
    asks = asking(authority, trusting, permit=lambda address, port: "not from here")
    told = await asks.ask(CA, KEY_ID, SERIAL, NOW)
    assert told.window is None and "egress refused" in told.problem
    assert authority.asked == []


async def test_a_directory_that_names_another_scheme_is_not_followed(
    authority: Authority, trusting: ssl.SSLContext
) -> None:
    authority.answers["/directory"] = (200, {}, b'{"renewalInfo": "http://169.254.169.254/"}')
    told = await asking(authority, trusting).ask(CA, KEY_ID, SERIAL, NOW)
    assert told.window is None and "https" in told.problem


async def test_a_metadata_address_is_never_asked(authority: Authority, trusting: ssl.SSLContext) -> None:
    authority.answers["/directory"] = (200, {}, b'{"renewalInfo": "https://169.254.169.254/x"}')
    told = await asking(authority, trusting).ask(CA, KEY_ID, SERIAL, NOW)
    assert told.window is None and "egress refused" in told.problem


async def test_a_ca_nobody_knows_is_not_asked(authority: Authority, trusting: ssl.SSLContext) -> None:
    asks = asking(authority, trusting)
    assert not asks.offered_by("Somebody Else")
    told = await asks.ask("Somebody Else", KEY_ID, SERIAL, NOW)
    assert told.window is None and authority.asked == []
