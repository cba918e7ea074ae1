"""mtls.unknown-ca: the client certificate that was sent does not lead to a CA that the server trusts."""

from __future__ import annotations

import pytest

from probes.diagnose import judge
from probes.report import report
from tests.evidence import HEALTHY, fires, silent
from tests.rules.identities import (
    ASKS,
    HANGS_UP,
    REFUSING_PAGE,
    UNNAMED,
    after,
    client,
    client_issuer,
    good,
    page,
    shown,
    stranger,
)

CODE = "mtls.unknown-ca"


def test_a_certificate_of_another_ca_names_both_sides() -> None:
    seen = shown(stranger(), after(48), plain=after(116))
    finding = fires(CODE, seen, severity="critical")
    assert "the server accepts “CN=Test Root,O=Clienthello Lab”; yours is issued by" in finding.explanation
    assert "CN=Strange Root" in finding.explanation and finding.stops_all
    assert any(line.startswith("the server's word: alert 48 unknown_ca") for line in finding.evidence)
    assert {"chrome", "curl", "java-8"} <= set(finding.fails_for)
    assert judge(seen).cause == finding
    assert silent("mtls.certificate-required", seen)  # one was sent


def test_a_missing_intermediate_is_called_so() -> None:
    finding = fires(CODE, shown(client(), after(48), plain=after(116)), severity="critical")
    assert "the chain sent lacks" in finding.explanation and "CN=Clients CA" in finding.explanation
    assert "intermediate" in finding.fix


def test_without_names_the_alert_alone_decides() -> None:
    finding = fires(CODE, shown(stranger(), after(48), server=UNNAMED), severity="critical")
    assert "does not know the CA that issued it" in finding.explanation
    assert "accepted CAs: any (no names were sent)" in finding.evidence


@pytest.mark.parametrize("answer", [after(42), after(46), after(49), HANGS_UP, page(400, REFUSING_PAGE)])
def test_an_answer_that_says_little_is_read_by_the_ca_names(answer: object) -> None:
    """Go sends 42 for everything, nginx says it in HTTP, load balancers hang up."""
    finding = fires(CODE, shown(stranger(), answer), severity="critical")  # type: ignore[arg-type]
    assert any(line.startswith("our reading of the certificate: the server accepts") for line in finding.evidence)


def test_a_chain_that_leads_to_a_listed_ca_is_not_called_a_strangers() -> None:
    """OpenSSL says 48 of a chain that is too deep, too."""
    finding = fires("mtls.unknown-ca", shown(good(), after(48)), severity="critical")
    assert "though the chain leads to a CA that it lists" in finding.explanation
    assert "ssl_verify_depth" in finding.fix


def test_where_none_is_needed_a_refused_one_still_stops_the_client_that_sends_it() -> None:
    seen = shown(stranger(), after(48))
    finding = fires(CODE, seen, severity="critical")
    assert "without a certificate: the server goes on" in finding.evidence
    [endpoint] = report(seen, judge(seen), elapsed_ms=1.0).endpoints
    assert endpoint.client_auth == "optional" and endpoint.failed_stage == "client-auth"
    assert endpoint.alert is not None and endpoint.alert.code == 48


def test_an_accepted_certificate_is_silent() -> None:
    seen = shown(good(), None, plain=after(116))
    assert silent("mtls.unknown-ca", seen) and silent("mtls.certificate-required", seen)
    assert judge(seen).status == "ok"


def test_a_server_that_does_not_ask_does_not_apply() -> None:
    seen = shown(stranger(), None, server=HEALTHY)
    assert silent(CODE, seen) and judge(seen).status == "ok"
    [gap] = [gap for gap in report(seen, judge(seen), elapsed_ms=1.0).gaps if "client certificate" in gap.what]
    assert "not asked for" in gap.why


def test_another_reason_is_another_code() -> None:
    assert silent(CODE, shown(client(client_issuer()), after(44), server=ASKS))
