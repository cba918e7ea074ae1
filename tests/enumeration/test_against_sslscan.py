"""What --enumerate finds is what sslscan finds, on five makes of server; where it finds more, sslscan cannot look.

sslscan offers no pre-shared keys and no post-quantum groups, so ours may find more of these; never less of anything.
"""

from __future__ import annotations

import asyncio
import shutil
import subprocess
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from xml.etree import ElementTree

import pytest

from probes import plan
from probes.enumerate import MAX_HANDSHAKES, enumerate_endpoint
from probes.model import Endpoint, Handshake, Offer, Target
from probes.net.handshake import shake
from probes.observed import Enumerated
from probes.survey import survey
from probes.wire.registry import VERSION_CODES
from probes.wire.suites import all_suites, cipher_name
from tests.enumeration import servers
from tests.enumeration.servers import NAME

SSLSCAN = shutil.which("sslscan")
Pair = tuple[int, int]


@dataclass(frozen=True)
class Scan:
    """sslscan's findings: (version, suite), (version, group), and the suites of each version in its order."""

    suites: set[Pair]
    groups: set[Pair]
    versions: set[int]
    ordered: dict[int, list[int]] = field(default_factory=dict)


def scanned(port: int) -> Scan:
    quiet = ("--no-heartbleed", "--no-compression", "--no-renegotiation", "--no-fallback", "--no-check-certificate")
    target = ("--sni-name=" + NAME, f"127.0.0.1:{port}")
    done = subprocess.run([str(SSLSCAN), "--xml=-", *quiet, *target], capture_output=True, timeout=120, check=True)
    [test] = ElementTree.fromstring(done.stdout).iter("ssltest")
    ordered: dict[int, list[int]] = {}
    for cipher in test.iter("cipher"):
        ordered.setdefault(_version(cipher.get("sslversion")), []).append(int(cipher.get("id") or "0", 16))
    return Scan(
        suites={(version, suite) for version, suites in ordered.items() for suite in suites},
        groups={(_version(g.get("sslversion")), int(g.get("id") or "0", 16)) for g in test.iter("group")},
        versions={
            _version(f"TLSv{each.get('version')}")
            for each in test.iter("protocol")
            if each.get("type") == "tls" and each.get("enabled") == "1"
        },
        ordered=ordered,
    )


def _version(name: str | None) -> int:
    return VERSION_CODES["TLSv1" if name == "TLSv1.0" else name or ""]


async def enumerated(port: int, *, starttls: str | None = None) -> tuple[Enumerated, str | None]:
    """What --enumerate sees, after the survey that always comes first."""
    target = Target(host=NAME, port=port, server_name=NAME, starttls=starttls)
    endpoint = Endpoint(address="127.0.0.1", port=port)
    deadline = asyncio.get_running_loop().time() + 60

    async def one(at: Endpoint, offer: Offer, crowd: int) -> Handshake:
        return await shake(at, offer, permit=None, deadline=deadline, crowd=crowd)

    seen = await survey(target, (endpoint,), shake=one, on_progress=lambda _: None)
    assert any(map(plan.completed, seen.handshakes))
    return await enumerate_endpoint(target, endpoint, shake=one, known=seen.handshakes)


def pairs(found: Enumerated) -> set[Pair]:
    return {(version, suite) for version, suites in found.suites for suite in suites}


@dataclass(frozen=True)
class Setup:
    """One server and its configuration. `beyond`: what ours finds and sslscan never offers."""

    name: str
    program: str
    start: Callable[[Path], AbstractContextManager[int]]
    beyond: frozenset[int] = frozenset()
    at_most: int | None = None  # handshakes of the enumeration
    server_order: bool = False


_NGINX = "ssl_certificate {k}.crt; ssl_certificate_key {k}.key;"
_BOTH = _NGINX.format(k="ec") + _NGINX.format(k="rsa")
_OLD = "ssl_protocols TLSv1 TLSv1.1 TLSv1.2 TLSv1.3; ssl_ciphers ALL:@SECLEVEL=0;"
_MOZILLA = (
    "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384:"
    "ECDHE-RSA-AES256-GCM-SHA384:ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305"
)
_APACHE = "SSLCertificateFile {k}.crt\nSSLCertificateKeyFile {k}.key\n"
_X509 = ("--x509certfile=rsa.crt", "--x509keyfile=rsa.key", "--x509certfile=ec.crt", "--x509keyfile=ec.key")
_PSK = frozenset(suite.code for suite in all_suites() if suite.kex.endswith("PSK"))

SETUPS = (
    Setup("nginx as it comes, RSA", "nginx", lambda p: servers.nginx(p, _NGINX.format(k="rsa")), at_most=65),
    Setup("nginx as it comes, ECDSA", "nginx", lambda p: servers.nginx(p, _NGINX.format(k="ec")), at_most=60),
    Setup("nginx with both keys and every old suite", "nginx", lambda p: servers.nginx(p, _BOTH + _OLD)),
    Setup(
        "nginx with its own order",
        "nginx",
        lambda p: servers.nginx(p, f"{_BOTH} ssl_ciphers {_MOZILLA}; ssl_prefer_server_ciphers on;"),
        at_most=60,
        server_order=True,
    ),
    Setup(
        "nginx with TLS 1.3 alone and two groups",
        "nginx",
        lambda p: servers.nginx(p, _BOTH + "ssl_protocols TLSv1.3; ssl_ecdh_curve secp384r1:X448;"),
        at_most=25,
    ),
    Setup(
        "nginx with TLS 1.2 alone and one curve",
        "nginx",
        lambda p: servers.nginx(p, _BOTH + "ssl_protocols TLSv1.2; ssl_ecdh_curve secp521r1;"),
        at_most=60,
    ),
    Setup(
        "haproxy as it comes",
        "haproxy",
        lambda p: servers.haproxy(p, f"crt {p}/rsa.pem"),
        at_most=65,
        server_order=True,
    ),
    Setup(
        "haproxy with old versions",
        "haproxy",
        lambda p: servers.haproxy(p, f"crt {p}/rsa.pem ssl-min-ver TLSv1.0 ciphers ALL:@SECLEVEL=0 curves P-256:P-384"),
        server_order=True,
    ),
    Setup("apache as it comes", "apache2", lambda p: servers.apache(p, _APACHE.format(k="rsa")), at_most=75),
    Setup(
        "apache with its own order",
        "apache2",
        lambda p: servers.apache(p, _APACHE.format(k="rsa") + "SSLHonorCipherOrder on\nSSLCipherSuite HIGH:!aNULL\n"),
        server_order=True,
    ),
    Setup(
        "openssl with anonymous suites and brainpool",
        "openssl",
        lambda p: servers.openssl(
            p,
            *("-cert", "rsa.crt", "-key", "rsa.key", "-cipher", "ALL:COMPLEMENTOFALL:@SECLEVEL=0", "-serverpref"),
            *("-groups", "brainpoolP384r1:P-256:ffdhe3072"),
        ),
        server_order=True,
    ),
    Setup(
        "openssl with pre-shared keys",
        "openssl",
        lambda p: servers.openssl(
            p, *("-cert", "ec.crt", "-key", "ec.key", "-psk", "0123456789abcdef", "-cipher", "PSK:ECDSA:@SECLEVEL=0")
        ),
        beyond=_PSK,
    ),
    Setup("gnutls as it comes", "gnutls-serv", lambda p: servers.gnutls(p, *_X509)),
    Setup(
        "gnutls with old versions and its own suites",
        "gnutls-serv",
        lambda p: servers.gnutls(
            p,
            *_X509,
            "--priority=LEGACY:+VERS-TLS1.0:+VERS-TLS1.1:+CAMELLIA-256-GCM:+CAMELLIA-128-GCM:+3DES-CBC:+ARCFOUR-128",
        ),
    ),
)

each_setup = pytest.mark.parametrize(
    "setup",
    [
        pytest.param(
            setup,
            id=setup.name,
            marks=pytest.mark.skipif(
                servers.missing("sslscan", setup.program) is not None,
                reason=f"{servers.missing('sslscan', setup.program)} is not installed",
            ),
        )
        for setup in SETUPS
    ],
)


@each_setup
async def test_what_sslscan_finds_is_found(setup: Setup, tmp_path: Path) -> None:
    servers.files(tmp_path)
    with setup.start(tmp_path) as port:
        found, problem = await enumerated(port)
        scan = await asyncio.to_thread(scanned, port)
    assert problem is None
    assert scan.suites, "sslscan found nothing to compare with"
    assert _named(scan.suites - pairs(found)) == []
    extra = {pair for pair in pairs(found) - scan.suites if pair[1] not in setup.beyond}
    assert _named(extra) == []
    assert (pairs(found) - scan.suites != set()) == bool(setup.beyond)
    assert set(found.versions) == scan.versions
    assert {group for _, group in scan.groups} - set(found.groups) == set()
    assert found.handshakes <= (setup.at_most or MAX_HANDSHAKES - 1)
    assert found.server_order is setup.server_order
    if setup.server_order:  # sslscan goes one by one, so its order is the server's
        ours = {version: [s for s in suites if s not in setup.beyond] for version, suites in found.suites}
        assert {v: _names(suites) for v, suites in ours.items()} == {v: _names(s) for v, s in scan.ordered.items()}


def _names(suites: list[int]) -> list[str]:
    return [cipher_name(suite) for suite in suites]


def _named(found: set[Pair]) -> list[str]:
    return sorted(f"{version:04x} {cipher_name(suite)}" for version, suite in found)
