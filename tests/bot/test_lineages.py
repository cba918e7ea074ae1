"""One thread for each line of certificates: each step told once, whatever is delivered twice or runs backwards."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot import lineage_looks, lineages, masses
from bot.expiry import Suggested
from bot.lineage_looks import LookAt
from bot.lineages import Judged, Lineage, Refused
from bot.plain import plain, typed
from probes.ari import Window
from probes.model import CertificateReport
from tests.bot.year import BEGIN, certificate, day

OLD = certificate(("a.test",), BEGIN, 90)
NEW = certificate(("a.test",), day(60), 90)
KNOWN = {each.sha256: each for each in (OLD, NEW)}
EMPTY = Lineage(id=1, team="T", channel="C", names=("a.test",), owner="U1")


def look(lineage: Lineage, now: datetime, *, watch: int = 1, **served: CertificateReport) -> Lineage:
    """*served*: address → leaf, written a1=…"""
    paths = {address: (leaf.sha256,) for address, leaf in served.items()}
    return lineage_looks.seen(lineage, [LookAt(watch=watch, target="a.test:443", served=paths, at=now)], KNOWN)


def judge(lineage: Lineage, now: datetime) -> Judged:
    return lineages.judged(lineage, KNOWN, now)


def lived(lineage: Lineage, *moments: float) -> tuple[Lineage, list[str]]:
    said = []
    for each in moments:
        judged = judge(look(lineage, day(each), a1=OLD, a2=OLD), day(each))
        lineage = judged.lineage
        if judged.say is not None:
            said.append(f"{judged.say.kind} {judged.concern.step if judged.concern else ''}".strip())
    return lineage, said


def test_each_step_is_told_once() -> None:
    _, said = lived(EMPTY, 10, 75.5, 76, 80, 83, 83, 84, 86.5, 87, 87.2)
    assert said == ["opened sixth", "risen twelfth", "risen last"]


def test_a_clock_that_goes_back_neither_repeats_nor_closes() -> None:
    lineage, said = lived(EMPTY, 75.5, 83, 20, 75.5, 83, 84)
    assert said == ["opened sixth", "risen twelfth"] and lineage.is_open


@settings(max_examples=60, deadline=None)
@given(st.lists(st.floats(0, 89.9), max_size=30))
def test_no_order_of_looks_tells_a_step_twice(moments: list[float]) -> None:
    _, said = lived(EMPTY, *moments)
    told = [each for each in said if not each.startswith("repeat")]
    assert len(set(told)) == len(told)


def test_it_survives_being_written_down_between_any_two_steps() -> None:
    lineage, said = EMPTY, []
    for each in (75.5, 76, 83, 87):
        lineage, more = lived(typed(Lineage, plain(lineage)), each)
        said += more
    assert said == ["opened sixth", "risen twelfth", "risen last"]


def test_it_closes_itself_when_the_new_one_is_seen_everywhere() -> None:
    lineage, _ = lived(EMPTY, 75.5)
    part = judge(look(lineage, day(76), a1=NEW, a2=OLD), day(76))
    assert part.say is None and part.lineage.is_open and part.concern is not None
    assert len(part.concern.places) == 1
    whole = judge(look(part.lineage, day(77), a1=NEW, a2=NEW), day(77))
    assert whole.say is not None and whole.say.kind == "closed"
    assert (whole.lineage.ended, whole.lineage.is_open) == ("renewed", False)
    assert judge(look(whole.lineage, day(78), a1=NEW, a2=NEW), day(78)).say is None


def test_an_address_of_another_watch_counts_as_well() -> None:
    lineage = look(EMPTY, day(70), a1=OLD)
    lineage = judge(look(lineage, day(75.5), watch=2, b1=OLD), day(75.5)).lineage
    lineage = judge(look(lineage, day(77), a1=NEW), day(77)).lineage
    assert lineage.is_open
    assert judge(look(lineage, day(78), watch=2, b1=NEW), day(78)).say is not None


def test_an_address_that_dns_hides_for_a_while_keeps_it_open() -> None:
    lineage, _ = lived(EMPTY, 75.5)
    hidden = judge(look(lineage, day(76), a1=NEW), day(76)).lineage
    assert hidden.is_open
    assert not judge(look(hidden, day(77.1), a1=NEW), day(77.1)).lineage.is_open


def test_a_rolled_back_certificate_reopens_its_thread_and_what_flaps_is_said_twice_at_most() -> None:
    lineage, _ = lived(EMPTY, 75.5)
    said = []
    for number in range(5):
        for at, leaf in ((77 + 2 * number / 10, NEW), (77.1 + 2 * number / 10, OLD)):
            judged = judge(look(lineage, day(at), a1=leaf, a2=NEW), day(at))
            lineage = judged.lineage
            said += [judged.say.key] if judged.say is not None else []
    assert lineage.is_open and lineage.episode == 1
    closed = f"lineage:1:1:closed:{NEW.sha256[:16]}"
    assert list(dict.fromkeys(said)) == [
        closed, "lineage:1:1:again:1", f"{closed}:1", "lineage:1:1:again:2", f"{closed}:2",
    ]  # fmt: skip


def test_the_next_certificate_gets_a_thread_of_its_own() -> None:
    lineage, _ = lived(EMPTY, 75.5)
    lineage = judge(look(lineage, day(77), a1=NEW, a2=NEW), day(77)).lineage
    later = judge(look(lineage, day(136), a1=NEW, a2=NEW), day(136))
    assert later.say is not None and later.say.kind == "opened" and later.lineage.episode == 2


def test_only_escalation_calls_the_owner() -> None:
    lineage, calls = EMPTY, []
    for each in (75.5, 83, 87):
        judged = judge(look(lineage, day(each), a1=OLD), day(each))
        lineage = judged.lineage
        assert judged.say is not None
        calls.append(judged.say.calls)
    assert calls == [False, True, True]


# ── acknowledge and snooze ──────────────────────────────────────────────────────


def test_critical_and_unacknowledged_is_repeated_twice() -> None:
    _, said = lived(EMPTY, 86.5, 87, 87.6, 88, 89, 89.6, 89.9)
    assert said == ["opened last", "repeat last", "repeat last"]


def test_acknowledged_stops_repeats_and_not_escalation() -> None:
    lineage, _ = lived(EMPTY, 83)
    done = lineages.acknowledged(lineage, "U2", 1)
    assert isinstance(done, Lineage)
    after, said = lived(done, 84, 86.5)
    assert said == ["risen last"]
    again = lineages.acknowledged(after, "U2", 1)
    assert isinstance(again, Lineage)
    assert lived(again, 87.6, 88, 89.7)[1] == []


def test_snoozed_is_silent_until_the_end_and_says_so_once() -> None:
    lineage, _ = lived(EMPTY, 76)
    done = lineages.snoozed(lineage, "U2", 1, timedelta(days=3), day(76))
    assert isinstance(done, Lineage)
    assert lived(done, 77, 78, 78.9, 79.1, 79.2)[1] == ["snooze-over sixth"]


def test_a_step_that_came_in_the_snooze_is_told_after_it() -> None:
    lineage, _ = lived(EMPTY, 82)
    done = lineages.snoozed(lineage, "U2", 1, timedelta(days=1), day(82))
    assert isinstance(done, Lineage)
    assert lived(done, 82.6, 83.1)[1] == ["risen twelfth"]


def test_no_snooze_reaches_past_the_end() -> None:
    lineage, _ = lived(EMPTY, 87)
    done = lineages.snoozed(lineage, "U2", 1, timedelta(weeks=1), day(87))
    assert isinstance(done, Lineage) and done.snoozed_until == day(90)
    refused = lineages.snoozed(lineage, "U2", 1, timedelta(days=1), day(91))
    assert refused == Refused(why="expired")


@pytest.mark.parametrize(
    ("episode", "user", "why"), [(2, "U3", "closed"), (1, "U2", "yours"), (1, "U3", "acknowledged")]
)
def test_a_click_that_does_not_fit_says_why(episode: int, user: str, why: str) -> None:
    lineage, _ = lived(EMPTY, 83)
    done = lineages.acknowledged(lineage, "U2", 1)
    assert isinstance(done, Lineage)
    assert lineages.acknowledged(done, user, episode) == Refused(why=why)  # type: ignore[arg-type]


# ── outages ─────────────────────────────────────────────────────────────────────


def test_what_its_incident_tells_is_shown_and_not_said_again() -> None:
    lineage, _ = lived(EMPTY, 87)
    lineage = look(lineage, day(90.1), a1=OLD, a2=OLD)
    before = lineages.judged(lineage, KNOWN, day(90.1))
    assert before.say is None
    after = lineages.judged(lineage, KNOWN, day(90.1), broken=frozenset({1}))
    assert after.say is None and after.concern is not None and after.concern.step == "expired"


def test_what_ended_and_is_no_incident_is_told() -> None:
    lineage, _ = lived(EMPTY, 86.5)
    lineage = look(lineage, day(90.1), a1=OLD, a2=OLD)
    judged = lineages.judged(lineage, KNOWN, day(90.2), examined={1: day(90.15)})
    assert judged.say is not None and judged.concern is not None and judged.concern.step == "expired"


# ── habits ──────────────────────────────────────────────────────────────────────


def test_a_renewal_is_dated_by_when_it_could_be_seen() -> None:
    lineage = look(EMPTY, day(59), a1=OLD)
    assert look(lineage, day(60.2), a1=NEW).replacements[0].share == pytest.approx(1 / 3, abs=0.01)
    # Nobody looked for weeks: it was there from its own beginning on.
    assert look(lineage, day(85), a1=NEW).replacements[0].share == pytest.approx(1 / 3, abs=0.01)


def test_a_renewal_that_comes_with_new_addresses_counts() -> None:
    lineage = look(EMPTY, day(59), a1=OLD)
    moved = look(lineage, day(60.1), b1=NEW)
    assert moved.replacements == ()  # the old address may only be hidden
    (found,) = look(moved, day(61.2), b1=NEW).replacements
    assert (found.old, found.new, found.at) == (OLD.sha256, NEW.sha256, day(60.1))


# ── many at once ────────────────────────────────────────────────────────────────


def wanted(number: int) -> Lineage:
    lineage = look(replace(EMPTY, id=number, names=(f"{number}.test",)), day(5), a1=OLD)
    window = Window(start=day(10), end=day(12))
    return lineage_looks.suggested(
        lineage, Suggested(certificate=OLD.sha256, window=window, jumped=True, heard_at=day(5))
    )


def test_two_that_a_ca_wants_back_speak_for_themselves_and_three_are_one_message() -> None:
    assert masses.joined(None, [wanted(1), wanted(2)], "CA", day(5)) is None
    said = judge(wanted(1), day(5)).say
    assert said is not None and said.calls
    joined = masses.joined(None, [wanted(1), wanted(2), wanted(3)], "CA", day(5))
    assert joined is not None
    mass, members = joined
    assert len(mass.members) == 3 and mass.deadline == day(12)
    assert [judge(each, day(5)).say for each in members] == [None, None, None]
    # What was told alone before is part of it now.
    alone = judge(wanted(1), day(5)).lineage
    more = masses.joined(mass, [alone], "CA", day(6))
    assert more is not None and judge(more[1][0], day(6)).lineage.ended == "massed"


def test_a_mass_is_over_when_all_are_replaced() -> None:
    joined = masses.joined(None, [wanted(1), wanted(2), wanted(3)], "CA", day(5))
    assert joined is not None
    mass = joined[0]
    for number in (1, 2, 3):
        assert mass.is_open
        mass = masses.progressed(mass, look(wanted(number), day(61), a1=NEW))
    assert not mass.is_open


def test_a_wish_that_is_taken_back_closes_its_thread() -> None:
    lineage = judge(wanted(1), day(5)).lineage
    window = Window(start=day(58), end=day(62))
    calm = lineage_looks.suggested(lineage, Suggested(certificate=OLD.sha256, window=window, heard_at=day(6)))
    judged = judge(calm, day(6))
    assert judged.lineage.ended == "withdrawn" and judged.say is not None


# ── many endpoints, one certificate ─────────────────────────────────────────────


SEEN_AT = st.tuples(
    st.integers(1, 3), st.lists(st.sampled_from(["1-old", "1-new", "2-old", "2-new", "2-silent"]), max_size=3)
)


@settings(max_examples=150, deadline=None)
@given(st.lists(SEEN_AT, max_size=25))
def test_looks_at_once_come_to_the_same_as_one_after_the_other(made: list[tuple[int, list[str]]]) -> None:
    one_by_one, looks = EMPTY, []
    for number, (watch, shown) in enumerate(made):
        at = day(61) + timedelta(hours=9 * number)
        by_address = {f"{watch}.{each[0]}": each[2:] for each in shown}
        leaves = {address: OLD if state == "old" else NEW for address, state in by_address.items() if state != "silent"}
        each = LookAt(
            watch=watch,
            target="a.test:443",
            served={address: (leaf.sha256,) for address, leaf in leaves.items()},
            silent=tuple(address for address, state in by_address.items() if state == "silent") if shown else None,
            at=at,
        )
        looks.append(each)
        one_by_one = lineage_looks.seen(one_by_one, [each], KNOWN)
    at_once = lineage_looks.seen(EMPTY, looks, KNOWN)
    assert at_once.places == one_by_one.places
    assert at_once.left == one_by_one.left
    assert at_once.looked_at == one_by_one.looked_at
