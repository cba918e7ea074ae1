"""balancer.configuration-differs: addresses differ in versions, suites, ALPN or client-certificate demands."""

from __future__ import annotations

from dataclasses import replace

import pytest

from probes.clients import TLS11, TLS12, TLS13
from probes.diagnose import judge
from probes.model import CertificateRequest, Handshake, HttpAnswer
from tests.evidence import (
    HEALTHY,
    OLD_AND_NEW,
    OTHER,
    REFUSED,
    RSA,
    THIRD,
    Server,
    alerted,
    chain,
    dropped,
    facts,
    fires,
    healthy,
    silent,
    then,
    untouched,
)


@pytest.mark.parametrize(
    ("odd", "differing"),
    [
        (replace(HEALTHY, versions=(TLS12,)), "newest version"),
        (replace(HEALTHY, versions=(TLS13,)), "TLS 1.2"),
        (replace(OLD_AND_NEW, key_kind="p256", ciphers=HEALTHY.ciphers), "TLS 1.1 or 1.0"),
        (replace(HEALTHY, alpn=("http/1.1",)), "ALPN"),
        (replace(HEALTHY, alpn=()), "ALPN"),
        (replace(HEALTHY, ciphers=(0x1302, *HEALTHY.ciphers)), "suite"),
        (replace(HEALTHY, wants=CertificateRequest()), "client certificate"),
    ],
)
def test_the_odd_one_among_three_is_named_with_what_differs(odd: Server, differing: str) -> None:
    seen = facts(healthy(), healthy(OTHER, server=odd), healthy(THIRD))
    finding = fires("balancer.configuration-differs", seen, severity="warning", at=(OTHER,))
    assert differing in finding.explanation and len(finding.evidence) == 3
    diagnosis = judge(seen)
    assert diagnosis.status == "warning" and diagnosis.cause == finding


def test_an_address_where_current_clients_fail_makes_it_critical() -> None:
    legacy = replace(RSA, versions=(TLS11,), chain=chain())
    seen = facts(healthy(), healthy(OTHER, server=legacy))
    finding = fires("balancer.configuration-differs", seen, severity="critical", at=(OTHER,))
    assert "chrome" in finding.fails_for
    diagnosis = judge(seen)
    assert diagnosis.cause == finding
    assert [f.addresses for f in diagnosis.findings if f.code == "negotiation.legacy-only"] == [(OTHER,)]


def test_one_address_that_demands_a_client_certificate_is_the_cause() -> None:
    demand = then(alerted(116, encrypted=True, awaiting="application_data"))
    asking = healthy(OTHER, server=replace(HEALTHY, wants=CertificateRequest()), modern=demand, http=demand)
    seen = facts(healthy(), asking, healthy(THIRD))
    finding = fires("balancer.configuration-differs", seen, severity="critical", at=(OTHER,))
    assert judge(seen).cause == finding
    assert [f.addresses for f in judge(seen).findings if f.code == "mtls.certificate-required"] == [(OTHER,)]


def test_a_demand_that_one_address_makes_in_http_alone_is_the_cause_too() -> None:
    """nginx completes the handshake and answers 400."""

    def answers(shake: Handshake) -> Handshake:
        body = b"<title>400 No required SSL certificate was sent</title>"
        return replace(shake, http=HttpAnswer(status=400, date=None, skew_s=None, body=body))

    asking = healthy(OTHER, server=replace(HEALTHY, wants=CertificateRequest()), http=answers)
    finding = fires(
        "balancer.configuration-differs", facts(healthy(), asking, healthy(THIRD)), severity="critical", at=(OTHER,)
    )
    assert any("client certificate demanded" in line for line in finding.evidence)


def test_equal_settings_are_silent() -> None:
    assert silent("balancer.configuration-differs", facts(healthy(), healthy(OTHER)))


def test_one_address_alone_is_silent() -> None:
    assert silent("balancer.configuration-differs", facts())


def test_the_same_settings_with_another_key_are_another_code() -> None:
    seen = facts(healthy(), healthy(OTHER, server=replace(RSA, ciphers=HEALTHY.ciphers)))
    assert silent("balancer.configuration-differs", seen)
    assert not silent("balancer.certificate-differs", seen)


def test_an_address_that_is_down_has_no_configuration() -> None:
    assert silent("balancer.configuration-differs", facts(healthy(), healthy(OTHER, every=REFUSED)))


def test_old_hellos_refused_in_another_way_are_no_difference() -> None:
    assert silent("balancer.configuration-differs", facts(healthy(), healthy(OTHER, legacy=dropped("fin"))))


def test_a_hello_shed_in_a_crowd_is_no_difference() -> None:
    busy = healthy(OTHER, tls12=(dropped("rst"), untouched), modern=(dropped("rst"), untouched))
    assert silent("balancer.configuration-differs", facts(healthy(), busy))
