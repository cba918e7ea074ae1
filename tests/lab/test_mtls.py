"""The cases about client certificates, by an OpenSSL client of its own."""

from __future__ import annotations

import pytest

from probes.lab import Lab
from tests.lab.client import shake

pytestmark = pytest.mark.asyncio(loop_scope="package")


async def test_in_tls13_the_refusal_comes_after_the_handshake(lab: Lab) -> None:
    case = lab.case("client-certificate.lab")
    seen = await shake(case.addresses[0], case.port, case.name)
    assert seen.version == "TLSv1.3" and seen.answer == b""


async def test_in_tls12_there_is_no_handshake_without_a_certificate(lab: Lab) -> None:
    case = lab.case("client-certificate-tls12.lab")
    seen = await shake(case.addresses[0], case.port, case.name)
    assert seen.version is None


async def test_http_says_what_tls_did_not(lab: Lab) -> None:
    case = lab.case("client-certificate-http.lab")
    seen = await shake(case.addresses[0], case.port, case.name)
    assert seen.answer.startswith(b"HTTP/1.1 400 ") and b"No required SSL certificate was sent" in seen.answer


async def test_without_one_the_optional_server_answers(lab: Lab) -> None:
    case = lab.case("client-certificate-optional.lab")
    assert (await shake(case.addresses[0], case.port, case.name)).answer.startswith(b"HTTP/1.1 200 ")
