"""Real servers, with and without a certificate, good and broken: the code, the demand, and the alert each one gave."""

from __future__ import annotations

import pytest

from probes.model import FindingReport, Report
from tests.endpoints.bench import missing
from tests.mtls.world import SERVERS, Flaw, Server, World, judged

CODES: dict[Flaw, str] = {
    "wrong-ca": "mtls.unknown-ca",
    "no-intermediate": "mtls.unknown-ca",
    "expired": "mtls.certificate-rejected",
    "future": "mtls.certificate-rejected",
    "server-only": "mtls.certificate-rejected",
}
# What each software answers (measured): OpenSSL tells causes apart, the others hardly.
OPENSSL: dict[Flaw, int] = {"wrong-ca": 48, "no-intermediate": 48, "expired": 45, "future": 42, "server-only": 43}
ALERTS: dict[str, dict[Flaw, int]] = {
    "haproxy": OPENSSL,
    "apache": OPENSSL,
    "stunnel+nginx": OPENSSL,
    "openssl": OPENSSL,
}
REASONS: dict[Flaw, str] = {
    "wrong-ca": "yours is issued by “CN=Strange Root”",
    "no-intermediate": "the chain sent lacks the intermediate",
    "expired": "it expired on ",
    "future": "it is valid only from ",
    "server-only": "its extended key usage allows serverAuth, without clientAuth",
}
FLAWS: tuple[Flaw, ...] = ("wrong-ca", "no-intermediate", "expired", "future", "server-only")

each_server = pytest.mark.parametrize(
    "server",
    [
        pytest.param(
            server,
            id=server.name,
            marks=pytest.mark.skipif(bool(missing(server.software)), reason=f"{server.software} is not installed"),
        )
        for server in SERVERS
    ],
)


def finding(report: Report, code: str) -> FindingReport:
    [found] = [each for each in report.findings if each.code == code]
    return found


@each_server
async def test_without_a_certificate_the_demand_is_told_from_the_wish(
    server: Server, world: World, places: dict[str, tuple[str, int]]
) -> None:
    report = await judged(world, places[server.name], "none")
    [endpoint] = report.endpoints
    assert endpoint.client_auth == server.auth
    assert endpoint.ca_names == ("CN=Clients Root",)
    if server.auth == "required":
        assert report.cause == "mtls.certificate-required" and endpoint.failed_stage == "client-auth"
        assert any("accepted CAs: CN=Clients Root" in line for line in finding(report, report.cause).evidence)
        assert {client.outcome for client in report.clients if client.name in {"chrome", "go", "java"}} == {"fail"}
    else:
        assert not any(each.code.startswith("mtls.") for each in report.findings)


@each_server
async def test_with_a_good_certificate_there_is_nothing_to_find(
    server: Server, world: World, places: dict[str, tuple[str, int]]
) -> None:
    report = await judged(world, places[server.name], "good")
    assert not any(each.code.startswith("mtls.") for each in report.findings)
    assert report.endpoints[0].client_auth == server.auth
    assert report.cause is not None or "with the client certificate good" in report.summary
    assert not any("client certificate" in gap.what for gap in report.gaps)
    assert {client.outcome for client in report.clients if client.name in {"chrome", "go", "java"}} == {"pass"}


@pytest.mark.parametrize("flaw", FLAWS)
@each_server
async def test_a_broken_certificate_is_named_for_what_is_wrong_with_it(
    server: Server, flaw: Flaw, world: World, places: dict[str, tuple[str, int]]
) -> None:
    report = await judged(world, places[server.name], flaw)
    if server.software == "gnutls" and flaw == "server-only":
        # gnutls-serv does not look at the usage of client certificates.
        assert not any(each.code.startswith("mtls.") for each in report.findings)
        return
    assert report.cause == CODES[flaw], [each.code for each in report.findings]
    found = finding(report, CODES[flaw])
    assert REASONS[flaw] in found.explanation and found.severity == "critical"
    assert "Clients Root" in " ".join(found.evidence)
    assert any(line.startswith("the server's word: ") for line in found.evidence)
    assert any(line.startswith("our reading of the certificate: ") for line in found.evidence)
    assert report.endpoints[0].failed_stage == "client-auth"
    alert = report.endpoints[0].alert
    if server.software in ALERTS:
        assert alert is not None and alert.code == ALERTS[server.software][flaw]
    if server.software == "nginx":
        assert alert is None and any("HTTP 400: “400 The SSL certificate error”" in line for line in found.evidence)


async def test_a_server_that_never_asks_leaves_a_gap_and_no_fault(world: World, plain: tuple[str, int]) -> None:
    report = await judged(world, plain, "wrong-ca")
    assert report.status == "ok" and report.endpoints[0].client_auth == "none"
    [gap] = [gap for gap in report.gaps if gap.what == "client certificate wrong-ca"]
    assert gap.why == "it was not asked for: the server takes none" and gap.addresses == (plain[0],)
