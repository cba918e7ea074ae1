"""mtls.certificate-required: the server wants a client certificate and ends the handshake without one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from cryptography import x509

from probes.clients import TLS12, TLS13
from probes.diagnose import judge
from probes.model import CertificateRequest, Handshake, HttpAnswer
from probes.report import report
from tests.evidence import (
    HEALTHY,
    OTHER,
    alerted,
    dropped,
    facts,
    fires,
    healthy,
    root,
    silent,
    then,
    untouched,
)
from tests.pki import NOW

ASKS = replace(HEALTHY, wants=CertificateRequest(ca_names=(root().certificate.subject.public_bytes(),)))
DEMAND = then(alerted(116, encrypted=True, awaiting="application_data"))


def test_a_demand_stops_everyone_and_names_the_accepted_cas() -> None:
    seen = facts(healthy(server=ASKS, modern=DEMAND, http=DEMAND))
    finding = fires("mtls.certificate-required", seen, severity="critical")
    assert isinstance(root().certificate, x509.Certificate)
    assert finding.stops_all and "-cert" in finding.next_command
    assert any("alert 116 certificate_required" in line for line in finding.evidence)
    assert any("accepted CAs" in line and "Test Root" in line for line in finding.evidence)
    assert {"chrome", "curl", "rustls", "java-8"} <= set(finding.fails_for)
    assert judge(seen).cause == finding


def test_in_tls12_alert_40_after_an_empty_certificate_is_the_demand() -> None:
    refusal = then(alerted(40, awaiting="finished"))
    server = replace(ASKS, versions=(TLS12,))
    seen = facts(healthy(server=server, modern=refusal, http=refusal))
    fires("mtls.certificate-required", seen, severity="critical")
    cause = judge(seen).cause
    assert cause and cause.code == "mtls.certificate-required"


def test_a_request_that_goes_on_without_a_certificate_is_optional() -> None:
    seen = facts(healthy(server=ASKS))
    assert silent("mtls.certificate-required", seen) and judge(seen).status == "ok"


def test_an_alert_without_a_request_is_another_code() -> None:
    assert silent("mtls.certificate-required", facts(healthy(every=alerted(40))))


def test_a_healthy_address_is_silent() -> None:
    assert silent("mtls.certificate-required", facts())


def test_an_expired_certificate_comes_before_the_demand() -> None:
    from tests.evidence import DAY, ders, issuing
    from tests.pki import leaf

    stale = ders(leaf(issuing(), not_after=NOW - DAY), issuing())
    seen = facts(healthy(server=replace(ASKS, chain=stale), modern=DEMAND, http=DEMAND))
    cause = judge(seen).cause
    assert cause and cause.code == "validity.expired"


def test_only_the_address_that_demands_is_named() -> None:
    seen = facts(healthy(), healthy(OTHER, server=replace(ASKS, versions=(TLS13, TLS12)), modern=DEMAND, http=DEMAND))
    fires("mtls.certificate-required", seen, severity="critical", at=(OTHER,))


DEMANDING_PAGE = b"<html><head><title>400 No required SSL certificate was sent</title></head></html>"


def _answers(status: int, body: bytes) -> Callable[[Handshake], Handshake]:
    return lambda shake: replace(shake, http=HttpAnswer(status=status, date=NOW, skew_s=0.0, body=body))


def test_a_demand_made_in_http_is_a_demand() -> None:
    """nginx: the handshake completes, the request does not."""
    seen = facts(healthy(server=ASKS, http=_answers(400, DEMANDING_PAGE)))
    finding = fires("mtls.certificate-required", seen, severity="critical")
    assert "answers requests with an error" in finding.explanation
    assert any("then HTTP 400: “400 No required SSL certificate was sent”" in line for line in finding.evidence)
    assert seen.looks[0].client_auth == "required"


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (403, b"<h2>HTTP Error 403.7 - Forbidden</h2>"),
        (496, b""),
        (401, b'{"message":"client certificate required"}'),
        (403, b"Missing client certificate"),
    ],
)
def test_other_servers_words_are_known(status: int, body: bytes) -> None:
    seen = facts(healthy(server=ASKS, http=_answers(status, body)))
    fires("mtls.certificate-required", seen, severity="critical")


@pytest.mark.parametrize("status", [200, 401, 404])
def test_an_answer_without_such_words_is_no_demand(status: int) -> None:
    seen = facts(healthy(server=ASKS, http=_answers(status, b"<title>Forbidden</title>")))
    assert silent("mtls.certificate-required", seen)
    assert seen.looks[0].client_auth == "optional"


def test_such_words_without_a_request_are_the_applications_own() -> None:
    seen = facts(healthy(http=_answers(403, b"client certificate required")))
    assert silent("mtls.certificate-required", seen)
    assert seen.looks[0].client_auth == "none"


def test_hanging_up_on_all_that_have_none_is_a_demand() -> None:
    hung_up = then(dropped("rst", received=3000, awaiting="application_data"))
    finding = fires(
        "mtls.certificate-required", facts(healthy(server=ASKS, modern=hung_up, http=hung_up)), severity="critical"
    )
    assert "hangs up" in finding.explanation and any("our reading: no word came" in line for line in finding.evidence)


def test_a_service_that_is_no_http_may_hang_up_on_a_request() -> None:
    hung_up = then(dropped("fin", received=3000, awaiting="application_data"))
    assert silent("mtls.certificate-required", facts(healthy(server=replace(ASKS, alpn=()), http=hung_up)))


def test_one_that_agreed_to_speak_http_owes_an_answer() -> None:
    hung_up = then(dropped("fin", received=3000, awaiting="application_data"))
    fires("mtls.certificate-required", facts(healthy(server=ASKS, http=hung_up)), severity="critical")
    assert silent("mtls.certificate-required", facts(healthy(server=ASKS, http=(hung_up, untouched))))


@pytest.mark.parametrize("status", [400, 403])
def test_a_denial_of_a_plain_request_is_the_demand_whatever_page_it_shows(status: int) -> None:
    seen = facts(healthy(server=ASKS, http=_answers(status, b"who?")))
    finding = fires("mtls.certificate-required", seen, severity="critical")
    assert any(f"HTTP {status}" in line for line in finding.evidence)


def test_hanging_up_on_an_idle_connection_is_the_demand() -> None:
    hung_up = then(dropped("fin", received=3000, awaiting="application_data"))
    quiet = replace(ASKS, alpn=())
    fires("mtls.certificate-required", facts(healthy(server=quiet, http=hung_up, idle=hung_up)), severity="critical")


@pytest.mark.parametrize(("status", "unsure"), [(401, True), (200, False), (404, False)])
def test_a_denial_that_may_mean_a_password_is_told_as_not_seen(status: int, unsure: bool) -> None:
    seen = facts(healthy(server=ASKS, http=_answers(status, b"<title>Sign in</title>")))
    gaps = report(seen, judge(seen), elapsed_ms=1.0).gaps
    assert any(gap.what == "client certificate" and str(status) in gap.why for gap in gaps) is unsure


def test_a_host_that_http_sys_does_not_serve_is_no_demand() -> None:
    page = b"<h2>Bad Request - Invalid Hostname</h2>"
    assert silent("mtls.certificate-required", facts(healthy(server=ASKS, http=_answers(400, page))))
