"""reach.closed: an orderly close answers the ClientHello, without any TLS record."""

from __future__ import annotations

from probes.diagnose import judge
from tests.evidence import OTHER, REFUSED, alerted, dropped, facts, fires, healthy, silent


def test_every_hello_ended_so_stops_everyone() -> None:
    seen = facts(healthy(every=dropped("fin")))
    finding = fires("reach.closed", seen, severity="critical")
    assert finding.stops_all and finding.fails_for == seen.everyone
    assert any("FIN" in line and "0 bytes" in line for line in finding.evidence)
    assert judge(seen).cause == finding


def test_the_other_ending_is_the_other_code() -> None:
    seen = facts(healthy(every=dropped("rst")))
    assert silent("reach.closed", seen)
    fires("reach.reset", seen, severity="critical")


def test_the_ending_met_most_often_speaks() -> None:
    seen = facts(healthy(every=dropped("fin"), modern=dropped("rst")))
    fires("reach.closed", seen, severity="critical")
    assert silent("reach.reset", seen)


def test_when_it_passes_without_the_name_it_is_the_name() -> None:
    from tests.evidence import untouched

    seen = facts(healthy(every=dropped("fin"), no_sni=untouched))
    assert silent("reach.closed", seen)
    fires("sni.unrecognized", seen, severity="critical")


def test_a_server_that_drops_old_hellos_alone_is_healthy() -> None:
    gone = dropped("fin")
    seen = facts(healthy(legacy=gone, weak=gone, no_sni=gone, family_embedded_tls1_0=gone, family_java_8=gone))
    assert silent("reach.closed", seen)
    assert judge(seen).status == "ok"


def test_a_healthy_address_is_silent() -> None:
    assert silent("reach.closed", facts())


def test_an_alert_before_the_end_is_a_negotiation() -> None:
    seen = facts(healthy(every=dropped("fin"), small=alerted(40), http=alerted(40), modern=alerted(40)))
    assert silent("reach.closed", seen)


def test_only_the_address_concerned_is_named() -> None:
    seen = facts(healthy(), healthy(OTHER, every=dropped("fin")))
    fires("reach.closed", seen, severity="critical", at=(OTHER,))


def test_a_refused_connection_is_another_code() -> None:
    assert silent("reach.closed", facts(healthy(every=REFUSED)))
