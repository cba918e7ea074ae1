"""negotiation.modern-only: TLS 1.3 alone. Older clients fail, current ones do not."""

from __future__ import annotations

from dataclasses import replace

from probes.clients import TLS10, TLS12, TLS13
from probes.diagnose import judge
from tests.evidence import HEALTHY, REFUSED, RSA, TIMED_OUT, dropped, facts, fires, healthy, silent


def test_tls13_alone_is_a_warning_for_old_clients() -> None:
    seen = facts(healthy(server=replace(HEALTHY, versions=(TLS13,))))
    finding = fires("negotiation.modern-only", seen, severity="warning")
    assert set(finding.fails_for) == {"android-7", "openssl-1.0", "java-8", "embedded-tls1.0"}
    assert any("TLS 1.2 alone" in line and "alert 70" in line for line in finding.evidence)
    diagnosis = judge(seen)
    assert (diagnosis.status, diagnosis.cause) == ("warning", finding)


def test_tls12_beside_it_is_silent() -> None:
    assert silent("negotiation.modern-only", facts())


def test_tls12_alone_is_silent() -> None:
    assert silent("negotiation.modern-only", facts(healthy(server=replace(HEALTHY, versions=(TLS12,)))))


def test_legacy_only_is_the_opposite() -> None:
    assert silent("negotiation.modern-only", facts(healthy(server=replace(RSA, versions=(TLS10,)))))


def test_a_tls12_try_that_never_connected_proves_nothing() -> None:
    no_older = {"family:openssl-1.0": REFUSED, "family:java-8": REFUSED}
    assert silent("negotiation.modern-only", facts(healthy(tls12=REFUSED, purposes=no_older)))


def test_a_tls12_try_that_was_shed_in_a_crowd_proves_nothing() -> None:
    lost = dict.fromkeys(("family:openssl-1.0", "family:java-8"), dropped("rst"))
    seen = facts(healthy(tls12=(dropped("rst"), TIMED_OUT), purposes=lost))
    assert silent("negotiation.modern-only", seen), seen.looks[0].versions
