"""mtls.certificate-rejected: the client certificate that was sent was refused, but not for its CA."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from probes.clients import TLS12
from probes.diagnose import judge
from probes.facts import Facts
from probes.model import CertificateRequest
from tests.evidence import DAY, HEALTHY, alerted, fires, root, silent
from tests.pki import NOW, SERVER_AUTH
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

CODE = "mtls.certificate-rejected"
EXPIRED: dict[str, Any] = {"not_before": NOW - 90 * DAY, "not_after": NOW - 3 * DAY}
FUTURE: dict[str, Any] = {"not_before": NOW + 2 * DAY, "not_after": NOW + 90 * DAY}


@pytest.mark.parametrize(
    ("changed", "alert", "says"),
    [
        (EXPIRED, 45, "it expired on "),
        (FUTURE, 42, "it is valid only from "),
        (FUTURE, 45, "it is valid only from "),  # Go's TLS stack says 45 for both ends
        ({"usages": (SERVER_AUTH,)}, 43, "allows serverAuth, without clientAuth"),
        (EXPIRED, 42, "it expired on "),
        ({"usages": (SERVER_AUTH,)}, 42, "allows serverAuth, without clientAuth"),
        ({"usages": (SERVER_AUTH,)}, 46, "allows serverAuth, without clientAuth"),
    ],
)
def test_the_reason_is_told_by_the_alert_or_read_off_the_certificate(
    changed: dict[str, Any], alert: int, says: str
) -> None:
    seen = shown(client(client_issuer(), **changed), after(alert), plain=after(116))
    finding = fires(CODE, seen, severity="critical")
    assert says in finding.explanation
    assert any(line.startswith(f"the server's word: alert {alert} ") for line in finding.evidence)
    assert judge(seen).cause == finding


def test_a_revoked_certificate_is_the_servers_word_alone() -> None:
    finding = fires(CODE, shown(good(), after(44)), severity="critical")
    assert "it says that the certificate is revoked" in finding.explanation
    assert "our reading of the certificate: nothing in it says why" in finding.evidence


def test_expired_by_the_servers_clock_alone_is_said_so() -> None:
    finding = fires(CODE, shown(good(), after(45)), severity="critical")
    assert "by this prober's clock the certificate is valid until" in finding.explanation


def test_what_nginx_says_in_http_is_read_off_the_certificate() -> None:
    seen = shown(client(client_issuer(), **EXPIRED), page(400, REFUSING_PAGE))
    finding = fires(CODE, seen, severity="critical")
    assert any("HTTP 400: “400 The SSL certificate error”" in line for line in finding.evidence)
    assert (
        "the server's word: in HTTP alone, and it does not say what is wrong with the certificate" in finding.evidence
    )


def test_a_hang_up_is_a_refusal_where_others_go_on() -> None:
    finding = fires(CODE, shown(good(), HANGS_UP, server=UNNAMED), severity="critical")
    assert any(line.startswith("the server's word: none") for line in finding.evidence)


def test_a_service_that_is_no_http_hangs_up_on_every_question() -> None:
    seen = shown(good(), HANGS_UP)
    shakes = tuple(
        replace(shake, outcome=HANGS_UP) if shake.offer.purpose == "http" else shake
        for shake in seen.evidence.handshakes
    )
    assert silent(CODE, Facts(replace(seen.evidence, handshakes=shakes)))


def test_in_tls12_the_alert_comes_before_the_servers_finished() -> None:
    server = replace(ASKS, versions=(TLS12,))
    seen = shown(
        client(client_issuer(), **EXPIRED), alerted(45, awaiting="change_cipher_spec"), server=server, sent=False
    )
    assert "it expired on " in fires(CODE, seen, severity="critical").explanation


def test_a_key_that_cannot_sign_is_never_sent_and_the_demand_stands_for_that() -> None:
    names = (root().certificate.subject.public_bytes(),)
    rsa_only = replace(HEALTHY, wants=CertificateRequest(ca_names=names, signature_algorithms=(0x0804, 0x0401)))
    seen = shown(good(), after(116), server=rsa_only, plain=after(116), sent=False)
    assert (
        "can sign by none of the schemes asked for: rsa_pss_rsae_sha256"
        in fires(CODE, seen, severity="critical").explanation
    )


def test_an_accepted_certificate_is_silent() -> None:
    assert silent("mtls.certificate-rejected", shown(good(), None, plain=after(116)))
    # Refused elsewhere for its usage, taken here: the server decides, not our reading.
    assert silent("mtls.certificate-rejected", shown(client(client_issuer(), usages=(SERVER_AUTH,)), None))


def test_a_403_of_the_application_is_no_refusal_of_the_certificate() -> None:
    assert silent(CODE, shown(good(), page(403, b"<title>403 Forbidden</title>")))


def test_a_wrong_ca_is_another_code() -> None:
    assert silent("mtls.certificate-rejected", shown(stranger(), after(48)))
