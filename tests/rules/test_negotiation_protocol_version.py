"""negotiation.protocol-version: no common version; alert 70, or a server that dislikes hellos with TLS 1.3."""

from __future__ import annotations

from dataclasses import replace

from probes.clients import SSL30, TLS10, TLS12
from probes.diagnose import judge
from tests.evidence import HEALTHY, RSA, alerted, dropped, facts, fires, healthy, silent


def test_alert_70_to_all_is_no_common_version() -> None:
    seen = facts(healthy(server=replace(HEALTHY, versions=(SSL30,))))
    finding = fires("negotiation.protocol-version", seen, severity="critical")
    assert finding.stops_all and any("alert 70 protocol_version" in line for line in finding.evidence)
    assert {"chrome", "rustls"} <= set(finding.fails_for)
    assert judge(seen).cause == finding


def test_a_server_that_chokes_on_tls13_hellos_is_version_intolerant() -> None:
    gone = dropped("fin")
    server = replace(HEALTHY, versions=(TLS12,))
    changes = dict.fromkeys(("modern", "small", "http", "no-sni", "other-name", "split", "tls13", "everything"), gone)
    seen = facts(healthy(server=server, purposes=changes, no_alpn=gone))
    finding = fires("negotiation.protocol-version", seen, severity="critical")
    assert any("TLSv1.2" in line for line in finding.evidence)


def test_a_version_that_old_clients_alone_speak_is_legacy_only() -> None:
    seen = facts(healthy(server=replace(RSA, versions=(TLS10,))))
    assert silent("negotiation.protocol-version", seen)
    fires("negotiation.legacy-only", seen, severity="critical")


def test_alert_70_to_old_clients_is_healthy() -> None:
    seen = facts()
    assert any(s.outcome == alerted(70) for s in seen.looks[0].handshakes)
    assert silent("negotiation.protocol-version", seen)


def test_alert_40_is_another_code() -> None:
    assert silent("negotiation.protocol-version", facts(healthy(every=alerted(40))))
