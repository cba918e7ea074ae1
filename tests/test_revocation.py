"""Mode 6 through a whole check, on real sockets: staples in either version, sources beside the handshakes, gaps."""

from __future__ import annotations

import asyncio
import shutil
import socket
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from probes.check import Options, check
from probes.lab.gate import Peer
from probes.lab.issue import Issued
from probes.lab.status import DAY, Page, Web, crl, ocsp_response, sources
from probes.lab.tls import Terms, Version, serving, terms
from probes.model import Gap, Report, Target, Trust
from tests import pki
from tests.pki import NOW

HOST = "healthy.test"
ROOT = pki.authority()
CA = pki.intermediate(ROOT)
TRUST = Trust(default=(ROOT.der,), default_name="test store")


@dataclass(frozen=True, slots=True, kw_only=True)
class Ground:
    """Loopback servers, gone when the test is over."""

    web: Web
    servers: list[asyncio.Server]

    async def serve(self, peer: Peer, address: str = "127.0.0.1", port: int = 0) -> int:
        bound = socket.create_server((address, port))
        self.servers.append(await asyncio.get_running_loop().create_server(peer, sock=bound))
        return int(bound.getsockname()[1])


@asynccontextmanager
async def ground() -> AsyncIterator[Ground]:
    bound = socket.create_server(("127.0.0.1", 0))
    web = Web(f"http://127.0.0.1:{bound.getsockname()[1]}")
    server = await asyncio.get_running_loop().create_server(web.peer(), sock=bound)
    laid = Ground(web=web, servers=[server])
    try:
        yield laid
    finally:
        for each in laid.servers:
            each.close()
        for each in laid.servers:
            await each.wait_closed()


async def looked(port: int, *addresses: str, **options: object) -> Report:
    settings = Options(trust=TRUST, addresses=addresses or ("127.0.0.1",))
    return await check(Target.parse(f"{HOST}:{port}"), replace(settings, **options))  # type: ignore[arg-type]


def outcomes(report: Report) -> list[tuple[str, str]]:
    return [(each.kind, each.outcome) for endpoint in report.endpoints for each in endpoint.revocation]


def revocation_gaps(report: Report) -> list[Gap]:
    return [gap for gap in report.gaps if gap.what == "revocation"]


def asked_leaf(web: Web, *, must_staple: bool = False, **changes: object) -> tuple[Issued, str]:
    """A leaf whose responder answers well, or as *changes* say."""
    url = web.publish(Page(body=b""))
    leaf = pki.leaf(CA, more=sources(ocsp_urls=[url], must_staple=must_staple))
    web.replace(url, replace(Page(body=ocsp_response(leaf, CA, at=NOW)), **changes))  # type: ignore[arg-type]
    return leaf, url


@pytest.mark.parametrize("version", ["TLSv1.2", "TLSv1.3"])
async def test_a_staple_is_seen_and_judged_in_either_version(version: Version) -> None:
    async with ground() as laid:
        leaf, _ = asked_leaf(laid.web, must_staple=True)
        good = terms(leaf, CA, oldest=version, newest=version, staple=ocsp_response(leaf, CA, at=NOW))
        stale = replace(good, staple=ocsp_response(leaf, CA, at=NOW, age=9 * DAY))
        bare = replace(good, staple=None)
        reports = [await looked(await laid.serve(serving(each))) for each in (good, stale, bare)]
    codes = [[each.code for each in report.findings if each.code.startswith("revocation")] for report in reports]
    assert codes == [[], ["revocation.staple-invalid"], ["revocation.staple-missing"]]
    assert outcomes(reports[0]) == [("staple", "good"), ("ocsp", "good")]
    assert outcomes(reports[1])[0] == ("staple", "stale") and outcomes(reports[2])[0] == ("staple", "missing")


@pytest.mark.skipif(shutil.which("openssl") is None, reason="needs the openssl command")
@pytest.mark.parametrize("flag", ["-tls1_2", "-tls1_3"])
async def test_openssl_s_server_s_staple_is_read(tmp_path: Path, flag: str) -> None:
    async with ground() as laid:
        leaf, _ = asked_leaf(laid.web, must_staple=True)
        (tmp_path / "leaf.pem").write_text(leaf.pem)
        (tmp_path / "leaf.key").write_text(leaf.key_pem)
        (tmp_path / "ca.pem").write_text(CA.pem)
        (tmp_path / "staple.der").write_bytes(ocsp_response(leaf, CA, at=NOW))
        command = "openssl s_server -accept 127.0.0.1:0 -www -cert leaf.pem -key leaf.key -cert_chain ca.pem"
        server = await asyncio.create_subprocess_exec(
            *f"{command} -status_file staple.der {flag}".split(), cwd=tmp_path, stdout=asyncio.subprocess.PIPE
        )
        try:
            assert server.stdout is not None
            line = await server.stdout.readuntil(b"ACCEPT")
            line = await server.stdout.readline()
            report = await looked(int(line.rpartition(b":")[2]))
        finally:
            server.kill()
            await server.communicate()
    assert ("staple", "good") in outcomes(report)
    assert not [finding for finding in report.findings if finding.code.startswith("revocation.")]


async def test_sources_are_asked_once_for_all_addresses() -> None:
    async with ground() as laid:
        leaf, url = asked_leaf(laid.web)
        peer = serving(terms(leaf, CA))
        port = await laid.serve(peer, "127.0.0.2")
        await laid.serve(peer, "127.0.0.3", port)
        report = await looked(port, "127.0.0.2", "127.0.0.3")
    assert report.status == "ok" and outcomes(report) == [("ocsp", "good")] * 2
    assert len(laid.web.requests) == 3 and all(url.rpartition("/")[2] in each for each in laid.web.requests)


async def test_two_addresses_with_two_certificates_are_both_asked_about() -> None:
    async with ground() as laid:
        good, _ = asked_leaf(laid.web)
        url = laid.web.publish(Page(body=b""))
        bad = pki.leaf(CA, more=sources(ocsp_urls=[url]))
        laid.web.replace(url, Page(body=ocsp_response(bad, CA, at=NOW, status="revoked")))
        port = await laid.serve(serving(terms(good, CA)), "127.0.0.2")
        await laid.serve(serving(terms(bad, CA)), "127.0.0.3", port)
        report = await looked(port, "127.0.0.2", "127.0.0.3")
    [revoked] = [finding for finding in report.findings if finding.code == "revocation.revoked"]
    assert revoked.addresses == ("127.0.0.3",) and report.status == "broken"
    assert report.cause is not None and report.cause.startswith("balancer.")


async def test_an_intermediate_s_crl_is_read_too() -> None:
    async with ground() as laid:
        url = laid.web.publish(Page(body=b"", content_type="application/pkix-crl"))
        ca = pki.intermediate(ROOT, "Listed CA", more=sources(crl_urls=[url]))
        laid.web.replace(url, Page(body=crl(ROOT, at=NOW, revoked=[ca]), content_type="application/pkix-crl"))
        report = await looked(await laid.serve(serving(terms(pki.leaf(ca), ca))))
    assert report.cause == "revocation.revoked" and "Listed CA" in report.summary


async def test_a_missing_issuer_is_fetched_first_and_then_asked_for() -> None:
    async with ground() as laid:
        issuer_url = laid.web.publish(Page(body=CA.der, content_type="application/pkix-cert"))
        list_url = laid.web.publish(Page(body=crl(CA, at=NOW), content_type="application/pkix-crl"))
        leaf = pki.leaf(CA, issuer_url=issuer_url, more=sources(crl_urls=[list_url]))
        report = await looked(await laid.serve(serving(terms(leaf))))
        lost = pki.leaf(CA, more=sources(crl_urls=[list_url]))
        without = await looked(await laid.serve(serving(terms(lost))))
    assert report.cause == "chain.incomplete" and outcomes(report) == [("crl", "good")]
    assert without.cause == "chain.incomplete" and outcomes(without) == []
    assert any("neither sent nor found" in gap.why for gap in revocation_gaps(without))


async def test_refused_egress_is_a_gap_and_never_a_fault() -> None:
    async with ground() as laid:
        leaf, url = asked_leaf(laid.web)
        port = await laid.serve(serving(terms(leaf, CA)))
        report = await looked(port, permit=lambda _, asked: None if asked == port else "not allowed here")
    assert report.status == "ok" and not laid.web.requests
    why = f"the OCSP responder {url} was not asked: egress refused, 127.0.0.1: not allowed here"
    assert revocation_gaps(report) == [Gap(what="revocation", why=why)]


async def test_a_silent_responder_is_asked_beside_the_handshakes_and_not_for_ever() -> None:
    loop = asyncio.get_running_loop()
    async with ground() as laid:
        leaf, _ = asked_leaf(laid.web, delay_s=60.0)
        port = await laid.serve(serving(terms(leaf, CA)))
        began = loop.time()
        report = await looked(port)
        took = loop.time() - began
    assert report.cause == "revocation.ocsp-unreachable" and report.status == "warning"
    assert 4.9 < took < 7.0


async def test_with_too_little_time_a_silent_responder_is_a_gap() -> None:
    loop = asyncio.get_running_loop()
    async with ground() as laid:
        leaf, url = asked_leaf(laid.web, delay_s=60.0)
        port = await laid.serve(serving(terms(leaf, CA)))
        began = loop.time()
        report = await looked(port, timeout_s=1.2)
        took = loop.time() - began
    assert report.status == "ok" and took < 2.5
    assert [url in gap.why and "not for long enough" in gap.why for gap in revocation_gaps(report)] == [True]


async def test_one_and_a_half_seconds_are_no_fault() -> None:
    async with ground() as laid:
        leaf, _ = asked_leaf(laid.web, delay_s=1.5)
        report = await looked(await laid.serve(serving(terms(leaf, CA))))
    assert report.status == "ok" and outcomes(report) == [("ocsp", "good")]


async def test_metadata_named_by_a_certificate_is_never_asked() -> None:
    async with ground() as laid:
        leaf = pki.leaf(CA, more=sources(ocsp_urls=["http://169.254.169.254/"], crl_urls=["http://[fe80::1]/x"]))
        report = await looked(await laid.serve(serving(terms(leaf, CA))))
    assert report.status == "ok"
    assert [("never fetched from" in gap.why) for gap in revocation_gaps(report)] == [True, True]


async def test_a_light_look_asks_nobody() -> None:
    async with ground() as laid:
        leaf, _ = asked_leaf(laid.web)
        report = await looked(await laid.serve(serving(terms(leaf, CA))), light=True)
    assert not laid.web.requests and report.status == "ok"


def test_a_certificate_that_names_nobody_costs_no_import() -> None:
    """httpx takes longer to import than a whole check takes."""
    program = """
import asyncio, socket, sys
from probes.check import Options, check
from probes.lab.tls import serving, terms
from probes.model import Target, Trust
from tests import pki
async def main():
    bound = socket.create_server(("127.0.0.1", 0))
    peer = serving(terms(pki.leaf(pki.intermediate()), pki.intermediate()))
    server = await asyncio.get_running_loop().create_server(peer, sock=bound)
    trust = Trust(default=(pki.authority().der,), default_name="test store")
    target = Target.parse(f"healthy.test:{bound.getsockname()[1]}")
    report = await check(target, Options(trust=trust, addresses=("127.0.0.1",)))
    server.close()
    await server.wait_closed()
    print(report.status, sorted({"httpx", "anyio", "cryptography.x509.ocsp"} & set(sys.modules)))
asyncio.run(main())
"""
    done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    assert done.stdout.strip() in {"ok []", "ok ['cryptography.x509.ocsp']"}, done.stdout


def test_terms_serve_no_staple_unless_told_to() -> None:
    assert Terms(chain=(), key=CA.key).staple is None


async def test_urls_that_no_socket_takes_end_no_check() -> None:
    """Whoever writes a certificate writes its URLs, and must not be able to end the check with them."""
    urls = ["http://127.0.0.1:99999/", "http://127.0.0.1:-1/", "http://[::1]:65536/"]
    leaf = pki.leaf(CA, more=sources(ocsp_urls=urls[:2], crl_urls=urls[2:]))
    async with ground() as laid:
        port = await laid.serve(serving(terms(leaf, CA)))
        report = await looked(port)
    assert sorted(outcomes(report)) == [("crl", "error"), ("ocsp", "error"), ("ocsp", "error")]
    assert {finding.severity for finding in report.findings} == {"warning"}
