"""The healthy cases are healthy for a strict client, and special in the way they say."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from probes.lab import Case, Lab
from probes.lab.cases import SPECS
from tests.lab.client import Seen, shake, verify_code

pytestmark = pytest.mark.asyncio(loop_scope="package")

_HEALTHY = [spec.name for spec in SPECS if spec.status == "ok"]


def _case(lab: Lab, name: str) -> Case:
    """The case of a spec; "" is the one asked for by address."""
    return lab.case(name) if name else next(case for case in lab.cases if case.addresses == (case.name,))


async def _seen(lab: Lab, name: str, **offer: Any) -> Seen:
    case = _case(lab, name)
    return await shake(case.addresses[0], case.port, case.name if name else None, **offer)


@pytest.mark.parametrize("name", _HEALTHY)
async def test_a_strict_client_gets_its_answer_and_the_time(lab: Lab, name: str) -> None:
    case = _case(lab, name)
    for address in case.addresses:
        assert await verify_code(address, case.port, case.name, lab.root_pem) == 0
    seen = await _seen(lab, name)
    head, _, body = seen.answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 OK\r\n")
    [date] = [line[6:].decode() for line in head.split(b"\r\n") if line.startswith(b"Date: ")]
    assert abs(parsedate_to_datetime(date) - datetime.now(UTC)) < timedelta(seconds=30)
    assert f"Content-Length: {len(body)}".encode() in head


@pytest.mark.parametrize(
    ("name", "offer", "version", "group"),
    [
        ("healthy.lab", {}, "TLSv1.3", "X25519MLKEM768"),
        ("healthy.lab", {"newest": "TLSv1.2"}, "TLSv1.2", None),
        ("healthy-post-quantum.lab", {}, "TLSv1.3", "X25519MLKEM768"),
        ("healthy-post-quantum.lab", {"groups": "X25519"}, "TLSv1.3", "x25519"),
        ("healthy-classical.lab", {}, "TLSv1.3", "x25519"),
        ("healthy-hello-retry.lab", {}, "TLSv1.3", "secp384r1"),
        ("healthy-tls1.2-only.lab", {}, "TLSv1.2", None),
    ],
)
async def test_versions_and_groups_are_as_announced(
    lab: Lab, name: str, offer: dict[str, Any], version: str, group: str | None
) -> None:
    seen = await _seen(lab, name, **offer)
    assert seen.version == version
    if group:
        assert str(seen.group).lower() == group.lower()


async def test_keys_and_lifetimes_are_as_announced(lab: Lab) -> None:
    assert isinstance((await _seen(lab, "healthy.lab")).chain[0].public_key(), rsa.RSAPublicKey)
    assert all(
        isinstance(certificate.public_key(), ec.EllipticCurvePublicKey)
        for certificate in (await _seen(lab, "healthy-ecdsa.lab")).chain
    )
    leaf = (await _seen(lab, "healthy-short-lived.lab")).chain[0]
    assert leaf.not_valid_after_utc - leaf.not_valid_before_utc == timedelta(days=6)


@pytest.mark.parametrize(
    ("name", "agreed"),
    [("healthy.lab", b"h2"), ("healthy-http1.lab", b"http/1.1"), ("healthy-no-alpn.lab", b"")],
)
async def test_alpn_is_as_announced(lab: Lab, name: str, agreed: bytes) -> None:
    assert (await _seen(lab, name, alpn=(b"h2", b"http/1.1"))).alpn == agreed


async def test_a_hello_retry_costs_the_client_a_second_hello(lab: Lab) -> None:
    seen = await _seen(lab, "healthy-hello-retry.lab")
    # RFC 8446 section 4.1.3: the random that makes a ServerHello a HelloRetryRequest
    assert bytes.fromhex("cf21ad74e59a6111be1d8c021e65b891") in seen.first_bytes[:100]


async def test_no_name_is_sent_for_an_address(lab: Lab) -> None:
    case = _case(lab, "")
    assert case.addresses == (case.name,)
    assert (await _seen(lab, "")).version == "TLSv1.3"
