"""Which sessions are offered where, and that it stays within its bounds whatever comes back."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from probes import plan, resuming
from probes.clients import TLS12, TLS13
from probes.model import Endpoint, Handshake, Outcome
from probes.observed import Session
from probes.plan import EARLY, FRESH, MAX_PER_ADDRESS, RESUME
from probes.resuming import Question, answers, is_handle, next_offers
from tests.evidence import (
    ADDRESS,
    HEALTHY,
    OTHER,
    REFUSED,
    TARGET,
    THIRD,
    Server,
    alerted,
    dropped,
    ended,
    healthy,
    malformed,
    revisited,
    stalled,
)

HERE, THERE = Endpoint(address=ADDRESS, port=443), Endpoint(address=OTHER, port=443)
EARLY_SERVER = replace(HEALTHY, early_data=16384)


def asked(*looks: tuple[Handshake, ...]) -> list[tuple[str, str, int]]:
    """(address, purpose, version of the session) of what is asked first."""
    seen = tuple(shake for look in looks for shake in look)
    return [(e.address, o.purpose, o.session.version if o.session else 0) for e, o in next_offers(seen)]


# the first round ----------------------------------------------------------------------------------------------------


def test_one_address_is_asked_once_a_version_and_once_more() -> None:
    """Of two back ends that take turns, each is met."""
    assert asked(healthy()) == [(ADDRESS, RESUME, TLS13), (ADDRESS, RESUME, TLS12), (ADDRESS, RESUME, TLS12)]


def test_without_tls12_the_second_visit_shows_another_ticket() -> None:
    seen = healthy(server=replace(HEALTHY, versions=(TLS13,)))
    assert asked(seen) == [(ADDRESS, RESUME, TLS13)] * 2
    shown = [offer.session for _, offer in next_offers(seen)]
    assert shown[0] != shown[1]


def test_early_data_is_asked_for_where_a_ticket_allows_it() -> None:
    assert (ADDRESS, EARLY, TLS13) in asked(healthy(server=EARLY_SERVER))


def test_each_address_is_shown_a_ticket_of_the_one_before_it_around_the_ring() -> None:
    looks = (healthy(), healthy(OTHER), healthy(THIRD))
    seen = tuple(shake for look in looks for shake in look)
    left = resuming.sources(seen)
    moved = {
        (left[offer.session].endpoint.address, endpoint.address)
        for endpoint, offer in next_offers(seen)
        if offer.session and left[offer.session].endpoint != endpoint
    }
    assert moved == {(ADDRESS, OTHER), (OTHER, THIRD), (THIRD, ADDRESS)}


def test_session_ids_do_not_leave_their_address() -> None:
    old = replace(HEALTHY, versions=(TLS12,), gives="handles")
    looks = (healthy(server=old), healthy(OTHER, server=old))
    assert set(asked(*looks)) == {(ADDRESS, RESUME, TLS12), (OTHER, RESUME, TLS12)}


@pytest.mark.parametrize("ending", [REFUSED, dropped("rst"), alerted(40), stalled()])
def test_an_address_that_does_not_work_is_left_alone(ending: Outcome) -> None:
    assert asked(healthy(every=ending)) == []


def test_what_gives_nothing_is_not_asked() -> None:
    assert asked(healthy(server=replace(HEALTHY, gives="nothing"))) == []


def test_a_ticket_to_be_discarded_at_once_is_not_offered() -> None:
    """RFC 8446 section 4.6.1: a lifetime of zero."""
    seen = tuple(
        replace(shake, sessions=tuple(replace(s, lifetime_s=0) for s in shake.sessions)) for shake in healthy()
    )
    assert set(asked(seen)) == {(ADDRESS, RESUME, TLS12)}


def test_a_session_is_offered_with_the_very_hello_it_came_of() -> None:
    seen = healthy()
    left = resuming.sources(seen)
    for _, offer in next_offers(seen):
        assert offer.session is not None
        source = left[offer.session].offer
        assert replace(offer, purpose="", session=None, until="finished", ask_http=False) == replace(
            source, purpose="", until="finished", ask_http=False
        )


def test_the_share_that_the_server_asked_for_is_sent_at_once() -> None:
    seen = tuple(replace(shake, hello_retry=True, group=0x0017) for shake in healthy())
    newest = next(offer for _, offer in next_offers(seen) if offer.session and offer.session.version == TLS13)
    assert newest.key_shares == (0x0017,)


# the rounds after it ------------------------------------------------------------------------------------------------


def test_what_passed_is_not_asked_again() -> None:
    assert len(revisited(healthy())) == len(healthy()) + 3


def test_a_refusal_is_asked_again_until_three_were_refused() -> None:
    server = replace(HEALTHY, keys="")
    known = answers(revisited(healthy(server=server), servers={ADDRESS: server}))
    assert {(a.question.version, len(a.refused), a.tries) for a in known} == {(TLS13, 3, 3), (TLS12, 3, 3)}


@pytest.mark.parametrize(("ending", "failures"), [(alerted(80), 2), (dropped("rst"), 3), (stalled(), 3)])
def test_a_failure_is_asked_again_beside_a_fresh_handshake_of_the_same_offer(ending: Outcome, failures: int) -> None:
    """An alert is the server's word; a lost connection has to be lost once more."""

    def breaks(shake: Handshake) -> Handshake:
        return ended(shake, ending) if shake.offer.session else shake

    [newest, older] = answers(revisited(healthy(), change=breaks))
    for answer in (newest, older):
        assert len(answer.failed) == failures and answer.breaks
        fresh, failed = answer.beside[0].offer, answer.failed[0].offer
        assert replace(fresh, purpose="", session=None) == replace(failed, purpose="", session=None)


def test_two_lost_connections_break_nothing() -> None:
    """Of twenty connections some are lost on many a path: two resumed ones beside a fresh one that was not."""
    lost: dict[int, int] = {}

    def twice(shake: Handshake) -> Handshake:
        version = shake.offer.session.version if shake.offer.session else 0
        lost[version] = lost.get(version, 0) + 1
        return ended(shake, dropped("rst")) if version and lost[version] <= 2 else shake

    for answer in answers(revisited(healthy(), change=twice)):
        assert (len(answer.failed), len(answer.honoured)) == (2, 1) and not answer.breaks


def test_an_address_that_refuses_its_own_is_not_asked_about_others() -> None:
    never = replace(HEALTHY, keys="")
    looks = (healthy(server=never), healthy(OTHER, server=never))
    known = answers(revisited(*looks, servers={ADDRESS: never, OTHER: never}))
    assert {a.tries for a in known if a.question.home != a.question.place} == {1}


def test_a_server_of_one_ticket_is_asked_for_another_by_a_fresh_handshake() -> None:
    one = replace(HEALTHY, versions=(TLS13,))

    def frugal(shake: Handshake) -> Handshake:
        return replace(shake, sessions=shake.sessions[:1] if shake.offer.purpose in {"http", FRESH} else ())

    looks = tuple(tuple(map(frugal, healthy(at, server=one))) for at in (ADDRESS, OTHER))
    refusing = {ADDRESS: one, OTHER: replace(one, keys="two")}
    seen = revisited(*looks, servers=refusing, change=frugal)
    assert FRESH in {shake.offer.purpose for shake in seen}


# bounds -------------------------------------------------------------------------------------------------------------

ENDINGS = (REFUSED, dropped("rst"), dropped("fin"), alerted(80), stalled(), malformed())
SERVERS = (
    HEALTHY,
    EARLY_SERVER,
    replace(HEALTHY, keys=""),
    replace(HEALTHY, gives="handles"),
    replace(HEALTHY, gives="handles", keys=""),
    replace(HEALTHY, versions=(TLS12,)),
    replace(HEALTHY, versions=(TLS13,), keys="two"),
)


@given(
    servers=st.lists(st.sampled_from(SERVERS), min_size=1, max_size=3),
    endings=st.lists(st.none() | st.sampled_from(ENDINGS), max_size=60),
)
@settings(deadline=None)
def test_it_ends_within_its_bounds_whatever_comes_back(servers: list[Server], endings: list[Outcome | None]) -> None:
    at = dict(zip((ADDRESS, OTHER, THIRD), servers, strict=False))
    looks = [healthy(address, server=server) for address, server in at.items()]
    waiting = iter(endings)

    def change(shake: Handshake) -> Handshake:
        ending = next(waiting, None)
        return shake if ending is None else ended(shake, ending)

    seen = revisited(*looks, servers=at, change=change)
    made = Counter(shake.endpoint.address for shake in seen)
    assert max(made.values()) <= MAX_PER_ADDRESS - plan.COALESCING
    used = Counter(shake.offer.session for shake in seen if shake.offer.session)
    assert all(count == 1 for session, count in used.items() if session.version == TLS13)
    for answer in answers(seen):
        assert answer.tries <= resuming.TRIES
        assert answer.tries == len(answer.sessions)


def test_an_address_that_was_asked_enough_is_asked_no_more() -> None:
    seen = healthy()
    crowded = (*seen, *(seen[0] for _ in range(MAX_PER_ADDRESS - plan.COALESCING - len(seen))))
    assert next_offers(crowded) == ()


# reading ------------------------------------------------------------------------------------------------------------


@given(st.binary(max_size=200))
def test_short_tickets_are_handles(ticket: bytes) -> None:
    session = Session(version=TLS13, cipher=0x1301, ticket=ticket, secret=b"")
    assert is_handle(session) == (len(ticket) <= 32)


def test_answers_name_where_a_session_came_from_and_where_it_was_shown() -> None:
    questions = {answer.question for answer in answers(revisited(healthy(), healthy(OTHER)))}
    assert Question(home=HERE, place=THERE, version=TLS13) in questions
    assert Question(home=THERE, place=HERE, version=TLS13) in questions


def test_nothing_asked_is_nothing_answered() -> None:
    assert answers(healthy()) == ()
    assert next_offers(()) == ()


def test_the_plan_of_the_waves_does_not_see_these_offers() -> None:
    assert not any(resuming.is_asked_by(offer) for offer in plan.first(TARGET))
