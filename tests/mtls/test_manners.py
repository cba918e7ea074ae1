"""Servers with manners of their own: hanging up without a word, HTTP/2 alone, asking late, or asking in one place."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, cast

import pytest
from OpenSSL import SSL

from probes.lab.issue import Issued
from probes.lab.listen import Sockets, bind
from probes.lab.tls import Terms, TlsServer, _context, serving, terms
from tests.endpoints.authority import Party
from tests.endpoints.bench import Bench, missing
from tests.mtls.world import Flaw, World, judged


def _issued(party: Party) -> Issued:
    return Issued(certificate=party.certificate, key=party.key)


def _terms(world: World, **changed: Any) -> Terms:
    return terms(_issued(world.served), _issued(world.issuing), clients_ca=world.root.certificate, **changed)


@asynccontextmanager
async def _listening(peer: Callable[[], asyncio.Protocol]) -> AsyncIterator[tuple[str, int]]:
    sockets = Sockets()
    [bound] = bind(["127.0.0.1"], 0)
    await sockets.open(bound, peer)
    try:
        yield cast(tuple[str, int], bound.getsockname())
    finally:
        await sockets.close()


class _WithoutAWord(TlsServer):
    """Resets the connection where others send an alert, as load balancers do."""

    def _advance(self) -> None:
        try:
            if not self._established:
                self._tls.do_handshake()
                self._established = True
            self._converse()
        except SSL.WantReadError:
            self._flush()
        except SSL.Error:
            self._transport.abort()


@pytest.mark.parametrize("version", ["TLSv1.2", "TLSv1.3"])
@pytest.mark.parametrize(
    ("flaw", "code"),
    [
        ("none", "mtls.certificate-required"),
        ("good", None),
        ("wrong-ca", "mtls.unknown-ca"),
        ("expired", "mtls.certificate-rejected"),
        ("server-only", "mtls.certificate-rejected"),
    ],
)
async def test_a_server_that_hangs_up_without_a_word(world: World, version: Any, flaw: Flaw, code: str | None) -> None:
    wanted = _terms(world, clients="required", newest=version)
    context = _context(wanted)
    async with _listening(lambda: _WithoutAWord(context, wanted)) as place:
        report = await judged(world, place, flaw)
    assert report.cause == code
    assert report.endpoints[0].client_auth == "required"
    if flaw == "wrong-ca":
        assert any("the server's word: none" in line for line in report.findings[0].evidence)


@pytest.mark.parametrize(
    ("flaw", "code"),
    [("none", "mtls.certificate-required"), ("good", None), ("expired", "mtls.certificate-rejected")],
)
async def test_a_service_that_speaks_http2_alone(world: World, flaw: Flaw, code: str | None) -> None:
    """gRPC: a hello that names http/1.1 alone is refused before any certificate is asked for."""
    wanted = _terms(world, clients="required", alpn=(b"h2",), alpn_required=True)
    async with _listening(serving(wanted)) as place:
        report = await judged(world, place, flaw)
    assert [f.code for f in report.findings if f.code.startswith("mtls.")] == ([code] if code else [])
    assert report.endpoints[0].client_auth == "required"


@pytest.mark.parametrize(
    ("flaw", "code"),
    [
        ("none", "mtls.certificate-required"),
        ("good", None),
        ("wrong-ca", "mtls.unknown-ca"),
        ("expired", "mtls.certificate-rejected"),
    ],
)
async def test_a_server_that_says_it_in_http(world: World, flaw: Flaw, code: str | None) -> None:
    async with _listening(serving(_terms(world, clients="required-in-http"))) as place:
        report = await judged(world, place, flaw)
    assert report.cause == code and report.endpoints[0].client_auth == "required"


@pytest.mark.skipif(bool(missing("openssl")), reason="openssl is not installed")
@pytest.mark.parametrize("version", ["-tls1_2", "-tls1_3"])
async def test_a_key_that_the_server_takes_no_signature_of(world: World, version: str) -> None:
    """The identity has a P-256 key, the server takes RSA signatures of clients alone."""
    bench = Bench()
    schemes = ("-client_sigalgs", "RSA-PSS+SHA256:RSA+SHA256")
    ca = ("-CAfile", str(bench.file(world.root.pem)))
    place = bench.s_server(*ca, *schemes, "-Verify", "3", "-verify_return_error", version, chain=world.chain)
    bench.start()
    try:
        report = await judged(world, place, "good")
    finally:
        bench.close()
    assert report.cause == "mtls.certificate-rejected"
    assert "can sign by none of the schemes asked for: rsa_pss_rsae_sha256" in report.findings[0].explanation


@pytest.mark.skipif(bool(missing("apache")), reason="apache is not installed")
@pytest.mark.parametrize("protocol", ["TLSv1.2", "TLSv1.3"])
@pytest.mark.parametrize("flaw", ["none", "good"])
async def test_a_demand_for_one_place_alone_raises_nothing_elsewhere(world: World, protocol: str, flaw: Flaw) -> None:
    """Apache's SSLVerifyClient inside a Location: asked for by renegotiation or after the handshake, for that place."""
    bench = Bench()
    place = bench.apache(
        f"SSLCACertificateFile {bench.file(world.root.pem)}\n SSLProtocol -all +{protocol}\n"
        " <Location /inside>\n SSLVerifyClient require\n SSLVerifyDepth 3\n </Location>",
        *world.chain,
    )
    bench.start()
    try:
        report = await judged(world, place, flaw)
    finally:
        bench.close()
    assert not any(each.code.startswith(("mtls.", "reach.")) for each in report.findings)
    assert report.endpoints[0].client_auth == "none"
    assert any("client certificate" in gap.what for gap in report.gaps) is (flaw == "good")
