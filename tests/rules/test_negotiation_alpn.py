"""negotiation.alpn: alert 120, to every protocol that web clients name, or to http/1.1 alone."""

from __future__ import annotations

from dataclasses import replace

from probes.diagnose import judge
from tests.evidence import HEALTHY, alerted, dropped, facts, fires, healthy, silent, untouched


def test_a_server_that_knows_neither_h2_nor_http1_stops_web_clients() -> None:
    seen = facts(healthy(server=replace(HEALTHY, alpn=("mqtt",))))
    finding = fires("negotiation.alpn", seen, severity="critical")
    assert finding.stops_all and any("alert 120 no_application_protocol" in line for line in finding.evidence)
    assert {"chrome", "node"} <= set(finding.fails_for) and "openssl-1.0" not in finding.fails_for
    assert judge(seen).cause == finding


def test_a_drop_that_leaving_alpn_out_cures_is_alpn_as_well() -> None:
    gone = dropped("rst")
    by_alpn = ("modern", "small", "http", "tls12", "no-sni", "other-name", "split", "tls13")
    seen = facts(healthy(purposes=dict.fromkeys(by_alpn, gone)))
    fires("negotiation.alpn", seen, severity="critical")


def test_a_server_that_speaks_h2_alone_fails_for_clients_of_http1() -> None:
    seen = facts(healthy(server=replace(HEALTHY, alpn=("h2",))))
    finding = fires("negotiation.alpn", seen, severity="warning")
    assert set(finding.fails_for) == {"node", "python"}
    assert judge(seen).cause == finding


def test_a_server_without_h2_is_healthy() -> None:
    seen = facts(healthy(server=replace(HEALTHY, alpn=("http/1.1",))))
    assert silent("negotiation.alpn", seen) and judge(seen).status == "ok"


def test_a_server_that_ignores_alpn_is_healthy() -> None:
    seen = facts(healthy(server=replace(HEALTHY, alpn=())))
    assert silent("negotiation.alpn", seen) and judge(seen).status == "ok"


def test_alert_40_is_another_code() -> None:
    assert silent("negotiation.alpn", facts(healthy(every=alerted(40))))


def test_alert_120_for_an_unknown_name_alone_is_healthy() -> None:
    seen = facts(healthy(other_name=alerted(120), modern=untouched))
    assert silent("negotiation.alpn", seen)
