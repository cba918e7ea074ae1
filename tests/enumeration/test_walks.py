"""The walks without a socket: a server with any set and any order is found out, one that misbehaves ends the walk."""

from __future__ import annotations

import asyncio
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from probes import plan
from probes.enumerate import (
    MAX_HANDSHAKES,
    Offers,
    Walk,
    Walked,
    enumerate_all,
    enumerate_endpoint,
    merged,
    suite_chosen,
    suites_of,
    walk,
)
from probes.model import Completed, Endpoint, Handshake, Malformed, Offer, Target
from probes.wire.registry import SSL3, TLS10, TLS11, TLS12, TLS13
from probes.wire.suites import suite
from tests.evidence import alerted, dropped, stalled

TARGET = Target.parse("healthy.test")
PLACE = Endpoint(address="192.0.2.7", port=443)
OFFERS = Offers(TARGET)
TLS12_SUITES = tuple(each for part in suites_of(TLS12) for each in part)


def tls12(suites: tuple[int, ...]) -> Offer:
    return OFFERS.suites(TLS12, suites)


def agreed(offer: Offer, cipher: int, *, version: int = TLS12, group: int | None = None) -> Handshake:
    return Handshake(endpoint=PLACE, offer=offer, outcome=Completed(), version=version, cipher=cipher, group=group)


def refused(offer: Offer) -> Handshake:
    return Handshake(endpoint=PLACE, offer=offer, outcome=alerted(40))


class Server:
    """Chooses from what it has, by its own order or by the client's."""

    def __init__(self, *suites: int, own_order: bool = True) -> None:
        self.suites, self.own_order = suites, own_order
        self.asked: list[Offer] = []

    def __call__(self, offer: Offer) -> Handshake:
        self.asked.append(offer)
        first, second = (self.suites, offer.ciphers) if self.own_order else (offer.ciphers, self.suites)
        choice = next((each for each in first if each in second), None)
        group = next((each for each in (0x001D, 0x0017) if each in offer.groups), None)
        if choice is None or group is None or TLS12 not in offer.versions:
            return refused(offer)
        return agreed(offer, choice, group=group)


def run(steps: Walk, server: object) -> Walked:
    assert callable(server)
    try:
        offer = next(steps)
        while True:
            offer = steps.send(server(offer))
    except StopIteration as stop:
        walked = stop.value
        assert isinstance(walked, Walked)
        return walked


some_suites = st.lists(st.sampled_from(TLS12_SUITES), unique=True, max_size=20).map(tuple)


@given(own=some_suites, candidates=some_suites)
def test_a_walk_finds_the_common_ones_in_the_servers_order(own: tuple[int, ...], candidates: tuple[int, ...]) -> None:
    server = Server(*own)
    assert run(walk(candidates, tls12, suite_chosen), server).found == tuple(s for s in own if s in candidates)
    assert len(server.asked) <= len(candidates) + 1


@given(order=some_suites, data=st.data())
def test_two_runs_of_one_order_are_merged_into_it(order: tuple[int, ...], data: st.DataObject) -> None:
    first = tuple(each for each in order if data.draw(st.booleans()))
    second = tuple(each for each in order if each not in first)
    server = Server(*order)
    assert run(merged(first, second, tls12), server) == Walked(found=order)


def test_runs_one_behind_the_other_need_one_question() -> None:
    server = Server(*TLS12_SUITES[:20])
    assert run(merged(TLS12_SUITES[:10], TLS12_SUITES[10:20], tls12), server).found == TLS12_SUITES[:20]
    assert len(server.asked) == 1


def test_a_close_is_asked_about_once_more() -> None:
    answers = iter([agreed(tls12((0xC02F,)), 0xC02F), None, agreed(tls12((0xC030,)), 0xC030), None, None])

    def server(offer: Offer) -> Handshake:
        said = next(answers)
        return replace(said, offer=offer) if said else Handshake(endpoint=PLACE, offer=offer, outcome=dropped("fin"))

    assert run(walk((0xC02F, 0xC030, 0xC013), tls12, suite_chosen), server) == Walked(found=(0xC02F, 0xC030))


def test_silence_ends_a_walk_with_a_reason() -> None:
    def server(offer: Offer) -> Handshake:
        return Handshake(endpoint=PLACE, offer=offer, outcome=stalled())

    walked = run(walk((0xC02F,), tls12, suite_chosen), server)
    assert walked.found == () and walked.problem == "a handshake ended as stalled"


def test_an_older_version_is_no() -> None:
    def server(offer: Offer) -> Handshake:
        wrong = Malformed(why="the server chose TLSv1, below all that was offered", awaiting="server_hello")
        return replace(agreed(offer, 0x002F, version=TLS10), outcome=wrong)

    assert run(walk((0x002F,), tls12, suite_chosen), server) == Walked()


def test_a_choice_that_was_not_offered_ends_the_walk() -> None:
    def server(offer: Offer) -> Handshake:
        wrong = Malformed(why="the server chose what was not offered", awaiting="server_hello")
        return replace(agreed(offer, 0x0005), outcome=wrong)

    assert run(walk((0x002F, 0x0035), tls12, suite_chosen), server).problem is not None


def test_every_suite_stands_in_one_part_of_the_versions_that_speak_it() -> None:
    for version in (SSL3, TLS10, TLS11, TLS12, TLS13):
        codes = [each for part in suites_of(version) for each in part]
        assert len(codes) == len(set(codes))
        for code in codes:
            known = suite(code)
            assert known is not None and known.min_version <= version and known.is_tls13 == (version == TLS13)
    assert {0x1301, 0x1302, 0x1303, 0x1304, 0x1305} <= set(suites_of(TLS13)[0])
    assert len(TLS12_SUITES) > 300


def test_chacha_leads_no_offer() -> None:
    """OpenSSL reads a hello that begins with it as a client's wish, and leaves its own order."""
    for version in (TLS12, TLS13):
        for part in suites_of(version):
            known = suite(part[0])
            assert known is not None and "CHACHA" not in known.enc


async def looked_at(answer: object, *, known: tuple[Handshake, ...] = ()) -> tuple[object, str | None, int]:
    most = 0

    async def shake(endpoint: Endpoint, offer: Offer, crowd: int) -> Handshake:
        nonlocal most
        most = max(most, crowd)
        await asyncio.sleep(0)
        assert callable(answer)
        said: Handshake = answer(offer)
        return said

    found, problem = await enumerate_endpoint(TARGET, PLACE, shake=shake, known=known)
    return found, problem, most


async def test_no_more_connections_at_a_time_than_a_survey_opens() -> None:
    _, problem, most = await looked_at(Server(*TLS12_SUITES[:40]))
    assert problem is None and 1 < most <= plan.crowd(TARGET)


async def test_an_endpoint_that_shed_a_crowd_is_asked_more_quietly() -> None:
    shed = Handshake(endpoint=PLACE, offer=plan.small(TARGET), outcome=dropped("rst"))
    _, _, most = await looked_at(Server(*TLS12_SUITES[:40]), known=(shed,))
    assert most <= 3


async def test_an_endpoint_that_takes_everything_is_not_asked_without_end() -> None:
    def agreeable(offer: Offer) -> Handshake:
        return agreed(offer, offer.ciphers[-1], version=offer.versions[0], group=offer.groups[-1])

    found, problem, _ = await looked_at(agreeable)
    assert problem is not None and str(MAX_HANDSHAKES) in problem
    assert getattr(found, "handshakes", None) == MAX_HANDSHAKES


async def test_what_never_spoke_tls_is_left_out_and_said() -> None:
    async def never(endpoint: Endpoint, offer: Offer, crowd: int) -> Handshake:
        raise AssertionError("nothing may be asked")

    seen = (Handshake(endpoint=PLACE, offer=plan.small(TARGET), outcome=alerted(40)),)
    found, gaps = await enumerate_all(TARGET, seen, shake=never)
    assert found == () and [gap.addresses for gap in gaps] == [(PLACE.address,)]
