"""resumption.tickets-not-shared: a real ticket is refused, time and again, by its own address or by another one."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest

from probes.clients import TLS12, TLS13
from probes.diagnose import judge
from probes.model import Handshake
from probes.plan import RESUME
from tests.evidence import (
    ADDRESS,
    HEALTHY,
    OTHER,
    THIRD,
    Server,
    dropped,
    ended,
    facts,
    fires,
    healthy,
    revisited,
    silent,
)

OWN_KEY = replace(HEALTHY, keys="two")
HANDLES = replace(HEALTHY, gives="handles")


def pair(first: Server, second: Server) -> tuple[Handshake, ...]:
    servers = {ADDRESS: first, OTHER: second}
    return revisited(healthy(server=first), healthy(OTHER, server=second), servers=servers)


def test_addresses_with_different_keys_are_named_pair_by_pair() -> None:
    seen = facts(pair(HEALTHY, OWN_KEY))
    finding = fires("resumption.tickets-not-shared", seen, severity="warning", at=(ADDRESS, OTHER))
    assert f"{OTHER} honours 0 of 3 TLSv1.3 tickets from {ADDRESS}" in finding.evidence
    assert f"{ADDRESS} honours 0 of 3 TLSv1.3 tickets from {OTHER}" in finding.evidence
    names = [line.rpartition(" ")[2] for line in finding.evidence if "key name" in line]
    assert len(set(names)) == 2 and all(len(name) == 32 for name in names)
    assert judge(seen).cause == finding and judge(seen).status == "warning"


def test_tickets_of_tls12_tell_where_there_is_no_tls13() -> None:
    old = replace(HEALTHY, versions=(TLS12,))
    finding = fires(
        "resumption.tickets-not-shared",
        facts(pair(old, replace(old, keys="two"))),
        severity="warning",
        at=(ADDRESS, OTHER),
    )
    assert f"{OTHER} honours 0 of 3 TLSv1.2 tickets from {ADDRESS}" in finding.evidence


def test_one_address_with_keys_of_its_own_among_three_is_found_around_the_ring() -> None:
    servers = {ADDRESS: HEALTHY, OTHER: OWN_KEY, THIRD: HEALTHY}
    seen = facts(revisited(*(healthy(at, server=each) for at, each in servers.items()), servers=servers))
    finding = fires("resumption.tickets-not-shared", seen, severity="warning", at=(ADDRESS, OTHER, THIRD))
    assert not any(f"{ADDRESS} honours" in line for line in finding.evidence)


def test_an_address_that_never_honours_its_own_tickets_says_so_with_counts() -> None:
    server = replace(HEALTHY, keys="")
    seen = facts(revisited(healthy(server=server), servers={ADDRESS: server}))
    finding = fires("resumption.tickets-not-shared", seen, severity="warning")
    assert f"{ADDRESS} honours 0 of 3 TLSv1.3 tickets of its own" in finding.evidence
    assert "never honours" in finding.explanation


def test_several_back_ends_behind_one_address_honour_their_tickets_now_and_then() -> None:
    tries: Counter[int] = Counter()

    def in_turn(shake: Handshake) -> Handshake:
        version = shake.version or 0
        tries[version] += 1
        honoured = tries[version] % 2 == 0
        return replace(shake, resumed=honoured, certificates=() if honoured else HEALTHY.chain)

    finding = fires("resumption.tickets-not-shared", facts(revisited(healthy(), change=in_turn)), severity="warning")
    assert f"{ADDRESS} honours 1 of 3 TLSv1.3 tickets of its own" in finding.evidence
    assert "now and then" in finding.explanation


def test_equal_keys_that_are_refused_all_the_same_point_at_the_session_context() -> None:
    def elsewhere_never(shake: Handshake) -> Handshake:
        home = shake.offer.session is not None and shake.endpoint.address in homes.get(shake.offer.session, ())
        return shake if home or shake.offer.purpose != RESUME else replace(shake, resumed=False)

    looks = (healthy(), healthy(OTHER))
    homes = {session: (shake.endpoint.address,) for look in looks for shake in look for session in shake.sessions}
    finding = fires(
        "resumption.tickets-not-shared",
        facts(revisited(*looks, change=elsewhere_never)),
        severity="warning",
        at=(ADDRESS, OTHER),
    )
    assert "same key" in finding.fix and "ssl_session_ticket_key" not in finding.fix


def test_addresses_that_share_their_keys_are_healthy() -> None:
    seen = facts(pair(HEALTHY, HEALTHY))
    assert silent("resumption.tickets-not-shared", seen) and judge(seen).status == "ok"


def test_a_refusal_that_was_a_moment_s_only_is_forgiven_between_addresses() -> None:
    refused = iter([True])

    def once(shake: Handshake) -> Handshake:
        elsewhere = shake.endpoint.address == OTHER and shake.version == TLS13
        return replace(shake, outcome=dropped("rst"), resumed=False) if elsewhere and next(refused, False) else shake

    assert silent("resumption.tickets-not-shared", facts(revisited(healthy(), healthy(OTHER), change=once)))


@pytest.mark.parametrize("server", [HANDLES, replace(HANDLES, keys=""), replace(HEALTHY, gives="nothing")])
def test_caches_of_their_own_do_not_apply(server: Server) -> None:
    assert silent("resumption.tickets-not-shared", facts(pair(server, replace(server, keys="two"))))


def test_sessions_that_were_never_tried_do_not_apply() -> None:
    assert silent("resumption.tickets-not-shared", facts(healthy()))


def test_an_endpoint_that_answers_nothing_does_not_apply() -> None:
    assert silent("resumption.tickets-not-shared", facts(tuple(ended(shake, dropped("rst")) for shake in healthy())))
