"""How urgent a renewal is: shares of lifetimes, habits, places, paths, and a CA's word."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot import expiry
from bot.expiry import Concern, Place, Replacement, SeenInCt, Standing, Suggested
from probes.ari import Window
from probes.model import CertificateReport
from tests.bot.year import BEGIN, DAY, LE, OTHER, certificate, day

SIX_DAYS = 160 / 24


def place(*path: CertificateReport, address: str = "192.0.2.1", since: datetime = BEGIN) -> Place:
    return Place(watch=1, target="a.test:443", address=address, path=tuple(each.sha256 for each in path), since=since)


def judged(now: datetime, *paths: tuple[CertificateReport, ...], **known: Any) -> Concern | None:
    certificates = {each.sha256: each for path in paths for each in path}
    certificates |= {each.sha256: each for each in known.pop("more", ())}
    places = tuple(place(*path, address=f"192.0.2.{number}") for number, path in enumerate(paths, 1))
    return expiry.concern(Standing(places=places, **known), certificates, now)


def step_with_left(days: float, left: timedelta) -> str | None:
    leaf = certificate(("a.test",), BEGIN, days)
    return expiry.step_by_time(leaf, BEGIN + DAY * days - left)


# ── by share of lifetime ────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("days", "sixth", "twelfth", "last"),
    [
        (398, 30, 15, 7.5),  # a sixth would be 66 days: the catalogue's limit is 30
        (200, 30, 15, 7.5),
        (90, 15, 7.5, 3.75),
        (47, 47 / 6, 47 / 12, 47 / 24),
        (SIX_DAYS, SIX_DAYS / 6, SIX_DAYS / 12, SIX_DAYS / 24),
    ],
)
def test_each_lifetime_has_its_own_thresholds(days: float, sixth: float, twelfth: float, last: float) -> None:
    second = timedelta(seconds=1)
    assert step_with_left(days, DAY * sixth + second) is None
    assert step_with_left(days, DAY * sixth - second) == "sixth"
    assert step_with_left(days, DAY * twelfth - second) == "twelfth"
    assert step_with_left(days, DAY * last - second) == "last"
    assert step_with_left(days, timedelta(0)) == "expired"


@given(st.floats(1, 400), st.lists(st.floats(0, 1.2), min_size=2, max_size=20))
def test_time_alone_never_makes_it_less_urgent(days: float, shares: list[float]) -> None:
    leaf = certificate(("a.test",), BEGIN, days)
    steps = [expiry.step_by_time(leaf, BEGIN + DAY * days * share) for share in sorted(shares)]
    ranks = [expiry.RANK[step] if step else 0 for step in steps]
    assert ranks == sorted(ranks)


def test_what_is_not_valid_yet_or_cannot_be_read_is_no_concern_of_expiry() -> None:
    assert expiry.step_by_time(certificate(("a.test",), day(5), 6), BEGIN) is None
    unreadable = CertificateReport(subject="(unreadable)", issuer="", not_before="", not_after="", sha256="aa")
    assert judged(day(1), (unreadable,)) is None


# ── by habit ────────────────────────────────────────────────────────────────────


def replaced(*shares: float | None) -> tuple[Replacement, ...]:
    return tuple(Replacement(old=f"o{n}", new=f"n{n}", at=BEGIN, share=share) for n, share in enumerate(shares))


def test_a_renewal_is_overdue_by_its_own_habit() -> None:
    leaf = certificate(("a.test",), BEGIN, 90)
    usual = replaced(1 / 3, 0.32, 0.35)
    assert judged(day(63), (leaf,), replacements=usual) is None
    found = judged(day(65), (leaf,), replacements=usual)
    assert found is not None and found.step == "overdue" and found.usual == 1 / 3


def test_one_replacement_is_no_habit_and_a_gap_teaches_nothing() -> None:
    leaf = certificate(("a.test",), BEGIN, 90)
    assert judged(day(70), (leaf,), replacements=replaced(1 / 3)) is None
    assert judged(day(70), (leaf,), replacements=replaced(1 / 3, None)) is None


def test_who_always_renews_late_is_not_overdue_before_the_sixth() -> None:
    leaf = certificate(("a.test",), BEGIN, 90)
    found = judged(day(75.5), (leaf,), replacements=replaced(0.05, 0.06, 0.05))
    assert judged(day(74), (leaf,), replacements=replaced(0.05, 0.06, 0.05)) is None
    assert found is not None and found.step == "sixth"


def test_an_erratic_habit_is_given_more_slack() -> None:
    leaf = certificate(("a.test",), BEGIN, 90)
    assert judged(day(66), (leaf,), replacements=replaced(0.2, 0.3, 0.5, 0.45)) is None


# ── by address ──────────────────────────────────────────────────────────────────


def deployed(at: float, now: float, old_at: int) -> Concern | None:
    old, new = certificate(("a.test",), BEGIN, 90), certificate(("a.test",), day(at), 90)
    paths = [(old,)] * old_at + [(new,)] * (8 - old_at)
    change = Replacement(old=old.sha256, new=new.sha256, at=day(at), share=1 / 3)
    return judged(day(now), *paths, replacements=(change,))


def test_renewed_but_not_deployed_is_told_by_address_after_a_grace() -> None:
    assert deployed(60, 68.9, 3) is None  # a tenth of 90 days
    found = deployed(60, 69.1, 3)
    assert found is not None and (found.step, len(found.places), found.of) == ("undeployed", 3, 8)
    assert deployed(60, 69.1, 0) is None


def test_addresses_with_certificates_of_their_own_are_not_behind_each_other() -> None:
    one, other = certificate(("a.test",), BEGIN, 90), certificate(("a.test",), day(30), 90)
    assert judged(day(55), (one,), (other,)) is None


def test_a_renewal_that_only_a_log_has_is_told_too() -> None:
    leaf = certificate(("a.test",), BEGIN, 90)
    logged = SeenInCt(sha256="ff", not_before=day(58), not_after=day(148), names=("a.test", "b.test"), seen_at=day(58))
    assert judged(day(66), (leaf,), newer=(logged,)) is None
    found = judged(day(67.5), (leaf,), newer=(logged,))
    assert found is not None and found.step == "undeployed" and found.in_ct_alone
    twin = replace(logged, not_before=day(0.1), seen_at=day(0.1))
    assert judged(day(67.5), (leaf,), newer=(twin,)) is None
    other = replace(logged, names=("b.test",))
    assert judged(day(67.5), (leaf,), newer=(other,)) is None


# ── by path ─────────────────────────────────────────────────────────────────────


def above(subject: str, issuer: str, days: float) -> CertificateReport:
    return certificate((), day(-1000), 1000 + days, issuer=issuer, subject=subject)


def test_an_intermediate_of_the_path_is_judged_by_its_own_lifetime() -> None:
    leaf = certificate(("a.test",), BEGIN, 90)
    found = judged(day(1), (leaf, above(LE, "CN=Root", 20)))
    assert found is not None and found.step == "sixth" and not found.is_leaf


def test_a_cross_sign_may_end_where_another_path_holds() -> None:
    leaf = certificate(("a.test",), BEGIN, 90)
    short, long = above(LE, "CN=Old Root", 5), above(LE, "CN=New Root", 900)
    assert judged(day(1), (leaf, short, long)) is None
    assert judged(day(1), (leaf, short), anchored=frozenset({LE})) is None


def test_dead_weight_is_in_no_path() -> None:
    leaf, stray = certificate(("a.test",), BEGIN, 90), above(OTHER, "CN=Else", 1)
    known = {each.sha256: each for each in (leaf, stray)}
    chain = (leaf.sha256, stray.sha256)
    assert expiry.path_of(chain, known) == (leaf.sha256,)
    assert expiry.expired_extras(chain, known, day(2)) == (stray.sha256,)
    assert expiry.expired_extras(chain, known, day(0)) == ()


@pytest.mark.parametrize(
    ("name", "who"),
    [
        ("CN=R12,O=Let's Encrypt,C=US", "Let's Encrypt"),
        ("C=US,O=Acme\\, Inc.,CN=CA 1", "Acme, Inc."),
        ("CN=Only a name", "Only a name"),
        ("", ""),
    ],
)
def test_a_ca_is_its_organisation(name: str, who: str) -> None:
    assert expiry.authority(name) == who


# ── by the CA's word ────────────────────────────────────────────────────────────


def says(start: float, end: float, before: Suggested | None = None) -> Suggested:
    period = (BEGIN, day(90))
    return expiry.suggestion(before, "x", Window(start=day(start), end=day(end)), period, day(1))


def test_a_routine_window_is_no_alarm_and_a_jump_is() -> None:
    routine = says(58, 62)
    assert not routine.jumped
    assert not says(57, 61, routine).jumped
    assert says(10, 12, routine).jumped
    assert says(10, 12).jumped  # heard for the first time: no CA's routine is so early
    assert says(10, 12, says(10, 12, routine)).jumped
    assert not says(58, 62, says(10, 12, routine)).jumped


def test_a_jump_is_told_at_once_and_a_window_that_passed_means_overdue() -> None:
    leaf = certificate(("a.test",), BEGIN, 90)
    jumped = replace(says(10, 12), certificate=leaf.sha256)
    found = judged(day(9), (leaf,), suggested=(jumped,))
    assert found is not None and found.step == "wanted"
    routine = replace(says(58, 62), certificate=leaf.sha256)
    assert judged(day(66), (leaf,), suggested=(routine,)) is None
    late = judged(day(67), (leaf,), suggested=(routine,))
    assert late is not None and late.step == "overdue" and late.window == routine.window


def test_revoked_comes_before_all() -> None:
    leaf = certificate(("a.test",), BEGIN, 90)
    found = judged(day(89), (leaf,), revoked=frozenset({leaf.sha256}))
    assert found is not None and found.step == "revoked"
