"""Which offers are made, how many, and when it ends, whatever the far end answers."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from probes import plan
from probes.clients import CURRENT, FAMILIES, FAMILY, TLS10, TLS11, TLS12, TLS13
from probes.model import Endpoint, Handshake, Offer, Outcome, Target
from probes.survey import MAX_CROWD, MAX_WAVES
from tests.evidence import (
    ADDRESS,
    HEALTHY,
    HTTP,
    LOCAL,
    OLD_AND_NEW,
    REFUSED,
    RSA,
    TARGET,
    TIMED_OUT,
    UNREACHABLE,
    Server,
    alerted,
    dropped,
    ended,
    healthy,
    malformed,
    stalled,
    untouched,
)

ENDPOINT = Endpoint(address=ADDRESS, port=443)
LITERAL = Target.parse("192.0.2.7")
ENDINGS: tuple[Outcome, ...] = (
    *(REFUSED, TIMED_OUT, UNREACHABLE, LOCAL, HTTP, malformed(), stalled(), stalled(received=100)),
    *(dropped("rst"), dropped("fin"), alerted(40), alerted(70), alerted(80), alerted(112), alerted(120)),
)
SERVERS = (HEALTHY, RSA, OLD_AND_NEW, replace(HEALTHY, versions=(TLS12,)), replace(RSA, versions=(TLS11, TLS10)))


def purposes(seen: tuple[Handshake, ...]) -> list[str]:
    return [shake.offer.purpose for shake in seen]


def plain(offer: Offer) -> Offer:
    return replace(offer, purpose="")


# the first wave -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("target", [TARGET, LITERAL, Target.parse("mail.test:25", starttls="smtp")])
def test_the_first_wave_is_one_crowd_of_distinct_questions(target: Target) -> None:
    offers = plan.first(target)
    assert len(offers) <= MAX_CROWD
    assert len({offer.purpose for offer in offers}) == len(offers)


def test_the_name_is_sent_wherever_it_is_not_the_question() -> None:
    nameless = {offer.purpose for offer in plan.first(TARGET) if offer.server_name != TARGET.server_name}
    assert nameless == {"no-sni", "other-name", "family:embedded-tls1.0"}


def test_an_address_is_never_sent_as_a_name() -> None:
    """RFC 6066 section 3: literal addresses are not permitted in server_name."""
    seen = healthy(target=LITERAL)
    assert {shake.offer.server_name for shake in seen} <= {None, plan.OTHER_NAME}


def test_a_name_given_beside_an_address_is_sent() -> None:
    target = Target.parse("192.0.2.7", sni="healthy.test")
    assert plan.small(target).server_name == "healthy.test"


def test_two_offers_differ_in_one_thing() -> None:
    small = plan.small(TARGET)
    by = {offer.purpose: offer for offer in plan.first(TARGET)}
    assert plain(replace(by["no-sni"], server_name=small.server_name)) == plain(small)
    assert plain(replace(by["other-name"], server_name=small.server_name)) == plain(small)
    assert plain(replace(by["split"], split=False, until=small.until)) == plain(small)
    assert plain(replace(by["http"], alpn=small.alpn, until=small.until, ask_http=False)) == plain(small)


def test_the_clock_is_not_asked_for_behind_starttls() -> None:
    assert not any(offer.ask_http for offer in plan.first(Target.parse("mail.test:25", starttls="smtp")))


def test_what_current_clients_offer_is_offered() -> None:
    modern = plan.modern(TARGET)
    for family in CURRENT:
        assert set(family.ciphers) <= set(modern.ciphers) and set(family.groups) <= set(modern.groups)
    assert modern.pad_to > 1460  # larger than one packet on Ethernet
    assert set(modern.ciphers) < set(plan.everything(TARGET).ciphers)


# what follows -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("server", [HEALTHY, RSA, OLD_AND_NEW])
def test_a_healthy_endpoint_sees_one_wave(server: Server) -> None:
    assert len(healthy(server=server)) == len(plan.first(TARGET))


def test_tls13_is_asked_for_where_tls12_was_chosen() -> None:
    assert purposes(healthy(server=replace(HEALTHY, versions=(TLS12,))))[12:] == ["tls13"]


def test_what_failed_for_size_is_varied_in_one_thing_at_a_time() -> None:
    seen = healthy(modern=dropped("rst"))
    assert {"padded", "quantum"} <= set(purposes(seen))
    assert purposes(seen).count("modern") == 2


def test_what_failed_altogether_is_offered_everything() -> None:
    assert {"everything", "no-alpn", "tls13", "tls12-everything"} <= set(purposes(healthy(every=alerted(40))))


@pytest.mark.parametrize("ending", [HTTP, stalled(), TIMED_OUT, UNREACHABLE, LOCAL])
def test_an_endpoint_that_does_not_speak_tls_is_left_alone(ending: Outcome) -> None:
    assert len(healthy(every=ending)) == len(plan.first(TARGET))


@pytest.mark.parametrize("ending", [REFUSED, dropped("rst"), dropped("fin")])
def test_a_quick_refusal_is_asked_once_more_and_alone(ending: Outcome) -> None:
    assert purposes(healthy(every=ending))[12:] == ["alone"]


def test_old_and_weak_offers_are_never_repeated() -> None:
    gone = dropped("rst")
    seen = healthy(legacy=gone, weak=gone, family_java_8=gone, no_sni=gone, other_name=gone)
    assert len(seen) == len(plan.first(TARGET))


def test_what_should_work_and_broke_off_is_repeated_once() -> None:
    seen = healthy(tls12=dropped("rst"))
    assert purposes(seen).count("tls12") == 2


def test_mixed_answers_are_sampled() -> None:
    seen = healthy(small=(dropped("rst"), untouched))
    assert purposes(seen).count("again") == plan.SAMPLES


# bounds -------------------------------------------------------------------------------------------------------------


@st.composite
def answers(draw: st.DrawFn) -> tuple[Server, dict[str, Outcome | None], int]:
    """For each purpose an ending or none, and a seed by which single tries end otherwise."""
    server = draw(st.sampled_from(SERVERS))
    ends = draw(
        st.dictionaries(
            st.sampled_from(
                [o.purpose for o in plan.first(TARGET)] + ["padded", "quantum", "everything", "tls13", "again"]
            ),
            st.sampled_from(ENDINGS),
        )
    )
    return server, dict(ends), draw(st.integers(0, 2**24 - 1))


@given(answers(), st.sampled_from([TARGET, LITERAL]))
@settings(deadline=None)
def test_it_ends_within_its_bounds_whatever_comes_back(
    given_: tuple[Server, dict[str, Outcome | None], int], target: Target
) -> None:
    server, ends, flips = given_
    seen: tuple[Handshake, ...] = ()
    offers = plan.first(target)
    waves = 0
    while offers:
        waves += 1
        assert waves <= MAX_WAVES and len(seen) + len(offers) <= plan.MAX_PER_ADDRESS
        for offer in offers:
            ending = ends.get(offer.purpose)
            shake = server.handshake(ENDPOINT, offer)
            flipped = bool(flips >> (len(seen) % 24) & 1)
            seen = (*seen, shake if ending is None or flipped else ended(shake, ending))
        offers = plan.following(target, seen)
    repeated = [s.offer.purpose for s in seen if sum(o.offer == s.offer for o in seen) > 1]
    assert all(purpose == "again" or plan.should_work(_offer(purpose, target)) for purpose in repeated)


def _offer(purpose: str, target: Target) -> Offer:
    return replace(plan.small(target), purpose=purpose)


@settings(deadline=None)
@given(st.lists(st.sampled_from(ENDINGS), min_size=12, max_size=12))
def test_the_same_answers_always_lead_to_the_same_questions(endings: list[Outcome]) -> None:
    seen = tuple(
        ended(HEALTHY.handshake(ENDPOINT, offer), ending)
        for offer, ending in zip(plan.first(TARGET), endings, strict=True)
    )
    assert plan.following(TARGET, seen) == plan.following(TARGET, seen)


def test_nothing_seen_asks_for_nothing() -> None:
    assert plan.following(TARGET, ()) == ()


# decided ------------------------------------------------------------------------------------------------------------


def test_a_family_s_own_hello_decides_before_all_others() -> None:
    seen = healthy(family_java_8=alerted(40))
    decision = plan.decided(FAMILY["java-8"], "healthy.test", seen)
    assert decision is not None and decision.offer.purpose == "family:java-8"


def test_every_family_is_decided_at_a_healthy_endpoint() -> None:
    seen = healthy()
    assert [f.name for f in FAMILIES if plan.decided(f, "healthy.test", seen) is None] == []


def test_a_choice_from_a_hello_with_another_name_decides_nothing() -> None:
    seen = tuple(s for s in healthy() if s.offer.purpose in {"no-sni", "other-name"})
    assert plan.decided(FAMILY["chrome"], "healthy.test", seen) is None


def test_a_wider_hello_that_found_nothing_decides() -> None:
    seen = tuple(s for s in healthy(every=alerted(40)) if s.offer.purpose == "everything")
    decision = plan.decided(FAMILY["chrome"], "healthy.test", seen)
    assert decision is not None and decision.outcome == alerted(40)


def test_a_wider_hello_that_was_dropped_decides_nothing() -> None:
    seen = tuple(s for s in healthy(every=dropped("rst"), legacy=alerted(70)) if s.offer.purpose == "everything")
    assert seen and plan.decided(FAMILY["chrome"], "healthy.test", seen) is None


def test_a_choice_of_an_older_version_says_nothing_of_a_newer_one_in_common() -> None:
    """The version is agreed on first: ChaCha20 alone in TLS 1.3 stops .NET, however good TLS 1.2 is."""
    seen = healthy(server=replace(HEALTHY, ciphers=(0x1303, 0xC02B)))
    decision = plan.decided(FAMILY["dotnet"], "healthy.test", seen)
    assert decision is not None and not decision.certificates


def test_a_refusal_for_its_alpn_decides_no_family_that_names_other_protocols() -> None:
    """A server of h2 alone refuses a hello for http/1.1 alone; who offers both has nothing to fear."""
    seen = healthy(server=replace(HEALTHY, alpn=("h2",)))
    for name in ("android", "java", "dotnet", "java-8"):
        decision = plan.decided(FAMILY[name], "healthy.test", seen)
        assert decision is not None and decision.certificates, name


# completed ----------------------------------------------------------------------------------------------------------


def test_an_agreement_that_ends_over_a_client_certificate_is_complete() -> None:
    shake = HEALTHY.handshake(ENDPOINT, plan.small(TARGET))
    assert plan.completed(shake) and plan.completed(replace(shake, outcome=alerted(116, encrypted=True)))


@pytest.mark.parametrize("ending", ENDINGS)
def test_what_showed_no_certificate_is_not_complete(ending: Outcome) -> None:
    assert not plan.completed(ended(HEALTHY.handshake(ENDPOINT, plan.small(TARGET)), ending))
    assert not plan.completed(None)


def test_versions_in_every_offer_descend() -> None:
    for offer in (*plan.first(TARGET), plan.everything(TARGET)):
        assert list(offer.versions) == sorted(offer.versions, reverse=True)
        assert not (offer.key_shares and TLS13 not in offer.versions) or offer.purpose.startswith("family:")


def test_what_works_is_repeated_until_eight_like_handshakes_stand_side_by_side() -> None:
    seen = healthy()
    repeats = plan.sampling(TARGET, seen)
    assert [offer.purpose for offer in repeats] == ["sample"]
    assert {offer.until for offer in repeats} == {"certificate"}
    assert len(plan.alike(seen)) + len(repeats) == plan.LIKE == 8


def test_fewer_like_handshakes_are_made_up_for_by_current_clients_and_in_tls12() -> None:
    seen = tuple(shake for shake in healthy() if shake.offer.purpose in {"small", "http", "tls12"})
    assert [offer.purpose for offer in plan.sampling(TARGET, seen)] == ["sample", "sample12", "sample12", "sample"]


def shown_another_chain(shake: Handshake) -> Handshake:
    return replace(shake, certificates=(b"another leaf", b"its issuer"))


def test_a_chain_that_an_old_client_met_alone_is_no_sample_and_is_asked_about() -> None:
    seen = healthy(family_java_8=shown_another_chain)
    assert all(shake.offer.purpose != "family:java-8" for shake in plan.alike(seen))
    asked = [offer.purpose for offer in plan.sampling(TARGET, seen)]
    assert asked == [*["family:java-8"] * plan.DOUBTS, "sample", "sample12"]


def test_an_old_client_that_was_refused_what_others_got_is_asked_about() -> None:
    asked = [offer.purpose for offer in plan.sampling(TARGET, healthy(server=OLD_AND_NEW, family_java_8=alerted(40)))]
    assert asked.count("family:java-8") == plan.DOUBTS


def test_an_old_client_that_cannot_be_answered_is_not_asked_about() -> None:
    newer = plan.sampling(TARGET, healthy(server=replace(HEALTHY, versions=(TLS13,))))
    assert not any(offer.purpose.startswith("family:") for offer in newer)


def test_a_server_of_tls13_alone_is_repeated_in_it() -> None:
    newer = plan.sampling(TARGET, healthy(server=replace(HEALTHY, versions=(TLS13,))))
    assert {(offer.purpose, offer.versions) for offer in newer} == {("sample", (TLS13, TLS12))}


def test_a_refusal_that_another_answer_contradicts_is_repeated() -> None:
    repeats = plan.sampling(TARGET, healthy(server=OLD_AND_NEW, tls12=alerted(70)))
    assert [offer.purpose for offer in repeats].count("sample12") == 2


def test_what_does_not_work_is_not_repeated() -> None:
    assert plan.sampling(TARGET, healthy(every=dropped())) == ()
    assert plan.sampling(TARGET, ()) == ()


def test_a_repeat_that_broke_off_is_asked_about_more_quietly() -> None:
    seen = healthy()
    broken = replace(next(s for s in seen if s.offer.purpose == "tls12"), outcome=dropped(), certificates=())
    after = (*seen, replace(broken, offer=plan.sampling(TARGET, seen)[0]))
    assert [offer.purpose for offer in plan.following(TARGET, after)] == ["again"] * plan.SAMPLES
