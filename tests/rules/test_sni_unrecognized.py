"""sni.unrecognized: alert 112, or the handshake fails only for this name."""

from __future__ import annotations

import pytest

from probes.diagnose import judge
from probes.model import Alerted, Outcome, Target
from tests.evidence import OTHER, alerted, dropped, facts, fires, healthy, silent, stalled, untouched


@pytest.mark.parametrize("ending", [alerted(112), alerted(80), alerted(40), dropped("rst"), dropped("fin")])
def test_a_handshake_that_fails_for_this_name_alone_stops_everyone(ending: Outcome) -> None:
    seen = facts(healthy(every=ending, no_sni=untouched, other_name=untouched))
    finding = fires("sni.unrecognized", seen, severity="critical")
    assert finding.stops_all and "healthy.test" in finding.explanation
    assert {"chrome", "rustls"} <= set(finding.fails_for)
    if isinstance(ending, Alerted):
        assert any(f"alert {ending.code}" in line for line in finding.evidence)
    assert judge(seen).cause == finding


def test_silence_for_this_name_alone_is_the_name() -> None:
    seen = facts(healthy(every=stalled(), no_sni=untouched, other_name=untouched))
    fires("sni.unrecognized", seen, severity="critical")


@pytest.mark.parametrize("code", [112, 80])
def test_an_alert_that_says_so_needs_no_other_witness(code: int) -> None:
    fires("sni.unrecognized", facts(healthy(every=alerted(code))), severity="critical")


def test_an_alert_about_another_name_is_healthy() -> None:
    seen = facts(healthy(other_name=alerted(112), no_sni=alerted(112)))
    assert silent("sni.unrecognized", seen)
    assert judge(seen).status == "ok"


def test_alert_40_to_all_names_is_a_negotiation() -> None:
    seen = facts(healthy(every=alerted(40)))
    assert silent("sni.unrecognized", seen)
    fires("negotiation.cipher", seen, severity="critical")


def test_internal_error_to_an_address_is_no_name() -> None:
    literal = Target.parse("192.0.2.7")
    assert silent("sni.unrecognized", facts(healthy(target=literal, every=alerted(80)), target=literal))


def test_a_healthy_address_is_silent() -> None:
    assert silent("sni.unrecognized", facts())


def test_only_the_address_that_refuses_the_name_is_named() -> None:
    seen = facts(healthy(), healthy(OTHER, every=alerted(112)))
    fires("sni.unrecognized", seen, severity="critical", at=(OTHER,))
