"""What the cases of mode 3 agree to, and what they say when they don't."""

from __future__ import annotations

from typing import Any

import pytest

from probes.lab import Lab
from tests.lab.client import Seen, shake

pytestmark = pytest.mark.asyncio(loop_scope="package")

_TODAY: dict[str, Any] = {}  # OpenSSL 4: TLS 1.2 and 1.3, X25519MLKEM768 first
_WEAK_VERSIONS: dict[str, Any] = {"oldest": "TLSv1", "newest": "TLSv1"}
_CAMELLIA: dict[str, Any] = {"newest": "TLSv1.2", "ciphers": "CAMELLIA"}
_NO_ED448 = "ECDSA+SHA256:RSA-PSS+SHA256:RSA+SHA256:ed25519"


async def _seen(lab: Lab, name: str, offer: dict[str, Any]) -> Seen:
    case = lab.case(name)
    return await shake(case.addresses[0], case.port, name, **offer)


@pytest.mark.parametrize(
    ("name", "offer", "code"),
    [
        ("no-common-version.lab", _TODAY, 70),
        ("no-common-version.lab", _WEAK_VERSIONS, 70),
        ("no-common-cipher.lab", _TODAY, 40),
        ("handshake-failure.lab", _TODAY, 40),
        ("handshake-failure.lab", _WEAK_VERSIONS, 40),
        ("no-common-group.lab", {"groups": "X25519:P-256:P-384"}, 40),
        ("no-common-group.lab", {"groups": "X25519:P-256:P-384", "newest": "TLSv1.2"}, 40),
        ("no-common-signature.lab", {"signatures": _NO_ED448}, 40),
        ("no-common-signature.lab", {"signatures": _NO_ED448, "newest": "TLSv1.2"}, 40),
        ("post-quantum-intolerant.lab", _TODAY, 40),
        ("legacy-only.lab", _TODAY, 70),
        ("modern-only.lab", {"newest": "TLSv1.2"}, 70),
        ("alpn.lab", {"alpn": (b"h2", b"http/1.1"), "newest": "TLSv1.2"}, 120),
        ("weak-offered.lab", {"newest": "TLSv1.2", "ciphers": "CAMELLIA"}, 40),
    ],
)
async def test_without_common_ground_there_is_the_alert(lab: Lab, name: str, offer: dict[str, Any], code: int) -> None:
    seen = await _seen(lab, name, offer)
    assert (seen.version, seen.alert) == (None, code)


@pytest.mark.parametrize(
    ("name", "offer", "version"),
    [
        ("no-common-cipher.lab", _CAMELLIA, "TLSv1.2"),
        ("no-common-group.lab", {"groups": "X448"}, "TLSv1.3"),
        ("no-common-signature.lab", _TODAY, "TLSv1.3"),
        ("post-quantum-intolerant.lab", {"groups": "X25519"}, "TLSv1.3"),
        ("legacy-only.lab", _WEAK_VERSIONS, "TLSv1"),
        ("legacy-only.lab", {"oldest": "TLSv1", "newest": "TLSv1.3"}, "TLSv1.1"),
        ("modern-only.lab", _TODAY, "TLSv1.3"),
        ("alpn.lab", {"alpn": (b"mqtt",)}, "TLSv1.3"),
        ("weak-offered.lab", _WEAK_VERSIONS, "TLSv1"),
        ("weak-offered.lab", {"newest": "TLSv1.2", "ciphers": "AES128-SHA"}, "TLSv1.2"),
        ("weak-offered.lab", _TODAY, "TLSv1.3"),
    ],
)
async def test_whoever_offers_what_it_wants_gets_through(
    lab: Lab, name: str, offer: dict[str, Any], version: str
) -> None:
    seen = await _seen(lab, name, offer)
    assert seen.version == version
    assert seen.answer.startswith(b"HTTP/1.1 200 OK\r\n")


async def test_alert_120_is_sent_in_tls_1_3_too(lab: Lab) -> None:
    seen = await _seen(lab, "alpn.lab", {"alpn": (b"h2",)})
    assert seen.version is None
    assert seen.alert == 120
