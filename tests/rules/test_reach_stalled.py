"""reach.stalled: the connection stands, but the server's flight never comes, or stops midway."""

from __future__ import annotations

from dataclasses import replace

from probes.clients import TLS13
from probes.diagnose import judge
from probes.model import Handshake
from tests.evidence import TIMED_OUT, facts, fires, healthy, silent, stalled


def midway(shake: Handshake) -> Handshake:
    """The ServerHello came, the certificate never did: what a hole in the path MTU does."""
    chosen = replace(shake, outcome=stalled(received=1200, awaiting="certificate"), certificates=(), http=None)
    return replace(chosen, version=TLS13, signature_scheme=None)


def test_silence_after_the_hello_stops_everyone() -> None:
    seen = facts(healthy(every=stalled()))
    finding = fires("reach.stalled", seen, severity="critical")
    assert finding.stops_all and finding.fails_for == seen.everyone
    assert any("silence after 0 bytes" in line for line in finding.evidence)
    assert "answers nothing" in finding.explanation
    assert judge(seen).cause == finding


def test_a_flight_that_stops_midway_says_where() -> None:
    finding = fires("reach.stalled", facts(healthy(every=midway)), severity="critical")
    assert "1200 bytes" in finding.explanation and "the Certificate" in finding.explanation


def test_a_silent_endpoint_is_not_asked_again() -> None:
    assert len(healthy(every=stalled())) == 12


def test_a_healthy_address_is_silent() -> None:
    assert silent("reach.stalled", facts())


def test_silence_on_old_hellos_alone_is_healthy() -> None:
    seen = facts(healthy(legacy=stalled(), weak=stalled(), family_embedded_tls1_0=stalled()))
    assert silent("reach.stalled", seen)
    assert judge(seen).status == "ok"


def test_no_answer_to_the_syn_is_another_code() -> None:
    assert silent("reach.stalled", facts(healthy(every=TIMED_OUT)))
