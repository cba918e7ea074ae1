"""balancer.intermittent: one address answers differently from one connection to the next."""

from __future__ import annotations

from dataclasses import replace

import pytest

from probes.clients import TLS12
from probes.diagnose import judge
from probes.model import Handshake, Outcome
from probes.plan import sampling
from tests.evidence import (
    DAY,
    HEALTHY,
    OTHER,
    TARGET,
    TIMED_OUT,
    Change,
    Changes,
    alerted,
    answered_by,
    ders,
    dropped,
    ended,
    facts,
    fires,
    healthy,
    issuing,
    serves,
    silent,
    stalled,
    untouched,
)
from tests.pki import NOW, leaf

RENEWED = ders(leaf(issuing(), owner="renewed"), issuing())
EXPIRED = ders(leaf(issuing(), not_after=NOW - DAY), issuing())


@pytest.mark.parametrize("ending", [dropped("rst"), dropped("fin"), stalled(), TIMED_OUT])
def test_like_handshakes_that_break_off_now_and_then_are_intermittent(ending: Outcome) -> None:
    shakes = healthy(small=(ending, untouched), again=(ending, untouched, ending, untouched))
    seen = facts(shakes)
    finding = fires("balancer.intermittent", seen, severity="critical")
    assert any(" of " in line and "agreed" in line for line in finding.evidence)
    diagnosis = judge(seen)
    assert (diagnosis.status, diagnosis.cause) == ("broken", finding)


def test_two_good_certificates_in_turn_are_a_warning() -> None:
    seen = facts(healthy(http=serves(RENEWED)))
    finding = fires("balancer.intermittent", seen, severity="warning")
    assert sum("like handshakes got" in line for line in finding.evidence) == 2
    diagnosis = judge(seen)
    assert (diagnosis.status, diagnosis.cause) == ("warning", finding)


def test_an_expired_certificate_now_and_then_is_critical_and_the_cause() -> None:
    seen = facts(healthy(http=serves(EXPIRED)))
    finding = fires("balancer.intermittent", seen, severity="critical")
    diagnosis = judge(seen)
    assert diagnosis.cause == finding
    assert "validity.expired" in [f.code for f in diagnosis.findings]


def test_a_busy_endpoint_that_sheds_a_crowd_once_is_healthy() -> None:
    shed = dropped("rst")
    seen = facts(healthy(small=(shed, untouched), http=(shed, untouched), tls12=(shed, untouched)))
    assert silent("balancer.intermittent", seen)
    assert judge(seen).status == "ok" and seen.looks[0].shed == 3


def test_one_failure_of_a_connection_that_was_alone_counts() -> None:
    fires("balancer.intermittent", facts(healthy(small=(dropped("rst"), untouched), crowd=1)), severity="critical")


def test_an_offer_that_always_fails_is_not_intermittent() -> None:
    seen = facts(healthy(modern=dropped("rst"), padded=dropped("rst"), split=dropped("rst")))
    assert silent("balancer.intermittent", seen)


def test_a_second_certificate_for_another_key_type_is_no_flapping() -> None:
    from tests.evidence import chain

    seen = facts(healthy(tls12=serves(chain("rsa2048")), family_java_8=serves(chain("rsa2048"))))
    assert silent("balancer.intermittent", seen) and judge(seen).status == "ok"


def test_a_healthy_address_is_silent() -> None:
    assert silent("balancer.intermittent", facts())


def test_two_addresses_that_differ_are_another_code() -> None:
    seen = facts(healthy(), healthy(OTHER, server=replace(HEALTHY, chain=RENEWED)))
    assert silent("balancer.intermittent", seen)
    assert not silent("balancer.certificate-differs", seen)


@pytest.mark.parametrize("code", [40, 80, 112])
@pytest.mark.parametrize("first", ["small", "http"])
def test_one_back_end_in_turn_that_refuses_by_alert_is_critical(code: int, first: str) -> None:
    """The refused hello is asked again, alone: some pass, some do not."""
    no = alerted(code)
    odd: dict[str, Changes] = {first: no} if first == "http" else {first: (no, untouched)}
    seen = facts(healthy(purposes=odd, tls12=no, again=(untouched, no, untouched, no, untouched, no)))
    finding = fires("balancer.intermittent", seen, severity="critical")
    assert any(f"alert {code}" in line for line in finding.evidence)
    assert judge(seen).cause == finding


def test_what_the_big_hello_meets_at_a_flapping_address_says_nothing_of_its_size() -> None:
    no = alerted(112)
    seen = facts(healthy(modern=no, http=no, padded=no, split=no, again=(untouched, no, untouched, no, untouched, no)))
    cause = judge(seen).cause
    assert cause and cause.code == "balancer.intermittent"
    assert silent("reach.large-hello", seen)


def test_http1_refused_by_alpn_alone_is_no_flapping() -> None:
    seen = facts(healthy(http=alerted(120)))
    assert silent("balancer.intermittent", seen)


@pytest.mark.parametrize("purpose", ["small", "http"])
def test_a_back_end_in_turn_without_tls_1_3_is_a_warning(purpose: str) -> None:
    older = replace(HEALTHY, versions=(TLS12,))
    seen = facts(healthy(purposes={purpose: answered_by(older)}))
    finding = fires("balancer.intermittent", seen, severity="warning")
    assert any("TLSv1.2 1 time" in line for line in finding.evidence)


def test_a_back_end_in_turn_without_h2_is_a_warning() -> None:
    seen = facts(healthy(small=answered_by(replace(HEALTHY, alpn=()))))
    finding = fires("balancer.intermittent", seen, severity="warning")
    assert any("by ALPN" in line and "nothing 1 time" in line for line in finding.evidence)


def test_tls_1_2_counts_as_a_sample_where_its_key_is_of_the_same_kind() -> None:
    seen = facts(healthy(tls12=serves(RENEWED)))
    finding = fires("balancer.intermittent", seen, severity="warning")
    assert any("with odds of" in line for line in finding.evidence)


def test_another_kind_of_key_for_tls_1_2_is_no_flapping() -> None:
    dual = ders(leaf(issuing(), owner="rsa", key_kind="rsa2048"), issuing())
    assert silent("balancer.intermittent", facts(healthy(tls12=serves(dual))))


def test_a_fresh_certificate_beside_an_old_one_is_told_as_a_rotation() -> None:
    fresh = ders(leaf(issuing(), owner="renewed", not_before=NOW - DAY / 48), issuing())
    seen = facts(healthy(http=serves(fresh)))
    finding = fires("balancer.intermittent", seen, severity="warning")
    assert any("rotation" in line and "30 minutes ago" in line for line in finding.evidence)
    old = fires("balancer.intermittent", facts(healthy(http=serves(RENEWED))), severity="warning")
    assert not any("rotation" in line for line in old.evidence)


def asked_again(purpose: str, first: Change, *again: Change) -> tuple[Handshake, ...]:
    """A healthy address where *purpose* met *first*, and what `sampling` asks about that met *again*."""
    seen = healthy(purposes={purpose: first})
    offers = [offer for offer in sampling(TARGET, seen) if offer.purpose == purpose]
    assert len(offers) == len(again)
    for offer, change in zip(offers, again, strict=True):
        shake = replace(HEALTHY.handshake(seen[0].endpoint, offer), crowd=1)
        seen = (*seen, change(shake) if callable(change) else ended(shake, change))
    return seen


@pytest.mark.parametrize("purpose", ["family:java-8", "family:openssl-1.0"])
def test_two_chains_for_one_old_hello_are_intermittent(purpose: str) -> None:
    seen = facts(asked_again(purpose, serves(EXPIRED), untouched, serves(EXPIRED), untouched))
    fires("balancer.intermittent", seen, severity="critical")


@pytest.mark.parametrize("purpose", ["family:java-8", "family:openssl-1.0"])
def test_another_chain_for_an_old_hello_each_time_is_the_server_s_choice(purpose: str) -> None:
    seen = facts(asked_again(purpose, *[serves(RENEWED)] * 4))
    assert silent("balancer.intermittent", seen)
    assert len(seen.looks[0].samples) == 6


def test_an_old_hello_that_is_refused_now_and_then_is_intermittent() -> None:
    seen = facts(asked_again("family:java-8", alerted(40), untouched, untouched, alerted(40)))
    finding = fires("balancer.intermittent", seen, severity="critical")
    assert any("agreed, the others broke off" in line for line in finding.evidence)


def test_an_old_hello_that_is_refused_each_time_is_not_intermittent() -> None:
    assert silent("balancer.intermittent", facts(asked_again("family:java-8", *[alerted(40)] * 4)))


def test_a_healthy_first_wave_holds_seven_like_handshakes() -> None:
    assert len(facts(healthy()).looks[0].samples) == 7
