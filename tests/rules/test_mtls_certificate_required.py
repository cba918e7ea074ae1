"""mtls.certificate-required: the server wants a client certificate and ends the handshake without one."""

from __future__ import annotations

from dataclasses import replace

from cryptography import x509

from probes.clients import TLS12, TLS13
from probes.diagnose import judge
from probes.model import CertificateRequest
from tests.evidence import (
    HEALTHY,
    OTHER,
    alerted,
    facts,
    fires,
    healthy,
    root,
    silent,
    then,
)

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
    from tests.pki import NOW, leaf

    stale = ders(leaf(issuing(), not_after=NOW - DAY), issuing())
    seen = facts(healthy(server=replace(ASKS, chain=stale), modern=DEMAND, http=DEMAND))
    cause = judge(seen).cause
    assert cause and cause.code == "validity.expired"


def test_only_the_address_that_demands_is_named() -> None:
    seen = facts(healthy(), healthy(OTHER, server=replace(ASKS, versions=(TLS13, TLS12)), modern=DEMAND, http=DEMAND))
    fires("mtls.certificate-required", seen, severity="critical", at=(OTHER,))
