"""Drift: what differs, what is expected, when it is believed, and that it is told once, and once when it is over."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, datetime, timedelta
from typing import Any

import pytest

from bot.drift import Habits, drifts, slower
from bot.drift_memory import FullLook, Memory, step
from bot.plain import plain, typed
from bot.sighting import Kind, Served, Sighting
from bot.watched import Pace
from tests.bot.year import BEGIN, LE, OTHER, certificate, day

FIRST = certificate(("a.test", "www.a.test"), BEGIN, 90)
CA = certificate((), day(-1000), 4000, issuer="CN=Root,O=Root", subject=LE)
KNOWN = {each.sha256: each for each in (FIRST, CA)}


def served(address: str = "192.0.2.1", **changed: Any) -> Served:
    usual = Served(
        address=address,
        failed_stage=None,
        chain=(FIRST.sha256, CA.sha256),
        version="TLSv1.3",
        alpn="h2",
        client_auth="none",
        staple=True,
        resumes=True,
        resumes_elsewhere=True,
        versions=("TLSv1.2", "TLSv1.3"),
        suites=("TLS_AES_128_GCM_SHA256", "ECDHE-RSA-AES128-GCM-SHA256"),
    )
    return replace(usual, **changed)


def saw(*each: Served, kind: Kind = "full", **changed: Any) -> Sighting:
    return replace(Sighting(kind=kind, status="ok", cause=None, served=each or (served(),)), **changed)


def found(new: Sighting, *, good: Sighting | None = None, habits: Habits | None = None) -> list[tuple[str, str]]:
    return [(each.kind, each.severity) for each in drifts(good or saw(), new, KNOWN, habits, now=day(1))]


def with_leaf(*names: str, **changed: Any) -> Sighting:
    leaf = certificate(names or FIRST.names, day(60), 90, **changed)
    KNOWN[leaf.sha256] = leaf
    return saw(served(chain=(leaf.sha256, CA.sha256)))


# ── what differs ────────────────────────────────────────────────────────────────


def test_the_same_is_no_drift() -> None:
    assert found(saw()) == []


@pytest.mark.parametrize(
    ("changed", "kind", "severity"),
    [
        ({"staple": False}, "staple-lost", "warning"),
        ({"resumes": False}, "resumption-broken", "warning"),
        ({"resumes_elsewhere": False}, "tickets-unshared", "warning"),
        ({"client_auth": "required"}, "client-auth", "warning"),
        ({"client_auth": "optional"}, "client-auth", "notice"),
        ({"alpn": None}, "alpn", "warning"),
        ({"alpn": "http/1.1"}, "alpn", "warning"),
        ({"versions": ("TLSv1.2",)}, "versions-gone", "warning"),
        ({"versions": ("TLSv1", "TLSv1.2", "TLSv1.3")}, "versions-weak", "warning"),
        ({"suites": ("TLS_AES_128_GCM_SHA256",)}, "suites-gone", "notice"),
        ({"chain": (FIRST.sha256,)}, "chain-shortened", "warning"),
    ],
)
def test_one_setting_changed_is_one_drift(changed: dict[str, Any], kind: str, severity: str) -> None:
    assert found(saw(served(**changed))) == [(kind, severity)]


def test_a_weak_suite_that_appears_is_a_warning() -> None:
    suites = (*(served().suites or ()), "ECDHE-RSA-DES-CBC3-SHA")
    assert found(saw(served(suites=suites))) == [("suites-weak", "warning")]


def test_old_versions_that_go_are_worth_a_notice() -> None:
    before = saw(served(versions=("TLSv1", "TLSv1.2", "TLSv1.3")))
    assert found(saw(), good=before) == [("versions-gone", "notice")]


def test_a_light_look_compares_the_version_agreed_on() -> None:
    before = saw(served(versions=None, suites=None), kind="light")
    after = saw(served(versions=None, suites=None, version="TLSv1.2"), kind="light")
    assert found(after, good=before) == [("version", "warning")]


def test_what_a_look_left_out_is_not_compared() -> None:
    unseen: dict[str, Any] = dict.fromkeys(
        ("staple", "resumes", "resumes_elsewhere", "client_auth", "versions", "suites"), None
    )
    assert found(saw(served(**unseen))) == []


def test_an_address_that_fails_is_no_drift_of_its_settings() -> None:
    assert found(saw(served(failed_stage="tcp", chain=(), alpn=None, version=None))) == []


def test_addresses_are_one_drift_each_and_settings_one_for_all() -> None:
    both = saw(served(), served("192.0.2.2"))
    assert found(both) == [("address-new", "notice")]
    assert found(saw(), good=both) == [("address-gone", "notice")]
    lost = saw(served(staple=False), served("192.0.2.2", staple=False))
    (drift,) = drifts(both, lost, KNOWN, now=day(1))
    assert drift.addresses == ("192.0.2.1", "192.0.2.2")
    assert found(saw(served("192.0.2.9")), habits=Habits(addresses_rotate=True)) == []
    assert found(replace(saw(), served=())) == []


def test_a_verdict_that_broke_is_critical_unless_the_certificates_thread_tells_it() -> None:
    def broken(*codes: str) -> Sighting:
        findings = tuple((code, "critical", ()) for code in codes)
        return saw(status="broken", cause=codes[0], findings=findings)

    assert found(broken("chain.incomplete")) == [("broken", "critical")]
    assert found(broken("validity.expired")) == []
    assert found(broken("balancer.certificate-differs", "validity.expired")) == []
    assert found(broken("balancer.certificate-differs", "chain.incomplete")) == [("broken", "critical")]


# ── certificates ────────────────────────────────────────────────────────────────


def test_a_renewal_that_is_right_is_silent() -> None:
    assert found(with_leaf()) == []


def test_another_ca_is_a_warning_and_another_intermediate_of_the_same_is_none() -> None:
    assert found(with_leaf(issuer=OTHER)) == [("issuer", "warning")]
    assert found(with_leaf(issuer=OTHER), habits=Habits(authorities=frozenset({"Other Trust Ltd"}))) == []
    assert found(with_leaf(issuer="CN=E7,O=Let's Encrypt,C=US")) == []


def test_a_name_that_is_lost_is_a_warning_and_one_gained_is_none() -> None:
    assert found(with_leaf("a.test")) == [("names", "warning")]
    assert found(with_leaf("a.test", "www.a.test", "b.test")) == []


def test_keys_are_judged_by_habit() -> None:
    first = certificate(FIRST.names, BEGIN, 90, key="k")
    KNOWN[first.sha256] = first
    good = saw(served(chain=(first.sha256, CA.sha256)))
    kept, fresh = with_leaf(key="k"), with_leaf(key="other")
    always_new = Habits(keys=(("x", False), ("y", False)))
    always_kept = Habits(keys=(("x", True), ("y", True)))
    assert found(kept, good=good, habits=always_new) == [("key-kept", "notice")]
    assert found(fresh, good=good, habits=always_kept) == [("key-changed", "warning")]
    assert found(kept, good=good, habits=always_kept) == []
    assert found(fresh, good=good, habits=always_new) == []
    assert found(kept, good=good, habits=Habits(keys=(("x", False),))) == []  # one renewal is no habit


def test_a_shorter_chain_under_a_new_leaf_is_judged_by_the_findings() -> None:
    renewed = with_leaf()
    shorter = replace(renewed, served=(replace(renewed.served[0], chain=renewed.served[0].chain[:1]),))
    assert found(shorter) == []
    faulty = replace(shorter, findings=(("chain.incomplete", "critical", ()),))
    assert found(faulty) == [("chain-shortened", "warning")]


def test_an_expired_certificate_that_nothing_needs_is_a_notice() -> None:
    stray = certificate((), day(-400), 390, subject="CN=Old,O=Old")
    KNOWN[stray.sha256] = stray
    assert found(saw(served(chain=(FIRST.sha256, CA.sha256, stray.sha256)))) == [("extra", "notice")]


def test_a_second_certificate_that_ends_is_told_before_and_after() -> None:
    fine, soon, over = (certificate(FIRST.names, day(1 - age), 90) for age in (20, 80, 95))
    KNOWN.update({each.sha256: each for each in (fine, soon, over)})

    def keys(leaf: str) -> list[tuple[str, str]]:
        new = saw(served(others=((leaf, CA.sha256),)))
        return [(each.text.split()[-3], each.severity) for each in drifts(saw(), new, KNOWN, None, now=day(1))]

    assert keys(fine.sha256) == []
    assert keys(soon.sha256) == [("ends", "warning")]
    assert keys(over.sha256) == [("ended", "warning")]
    assert keys("0" * 64) == []  # not remembered
    long = certificate(FIRST.names, day(1 - 350), 398)  # 48 days are left: less than a sixth, more than 30 days
    KNOWN[long.sha256] = long
    assert keys(long.sha256) == []


# ── handshake times ─────────────────────────────────────────────────────────────


def paces(*medians: float, count: int = 96) -> list[Pace]:
    return [
        Pace(day=date(2027, 1, 1) + timedelta(days=n), count=count, mean=m, least=m, most=9 * m, median=m)
        for n, m in enumerate(medians)
    ]


def test_a_day_off_its_own_history_is_drift_and_one_slow_look_is_not() -> None:
    usual = [80, 84, 79, 81, 90, 83, 82, 80]
    late = slower(paces(*usual, 200))
    assert late is not None and late.text == "handshakes take 200 ms instead of 82 ms"
    assert slower(paces(*usual, 105)) is None  # `most` is nine times that
    assert slower(paces(*usual[:5], 200)) is None  # too short a history
    assert slower(paces(*usual, 200, count=3)) is None  # three looks are no day
    assert slower([]) is None


def test_a_history_that_swings_is_given_room() -> None:
    assert slower(paces(50, 200, 60, 220, 55, 190, 70, 210, 230)) is None


# ── told once ───────────────────────────────────────────────────────────────────


class Life:
    """A watch that is looked at; `said` is what it told, `back` the messages that were over."""

    def __init__(self) -> None:
        self.memory = Memory(began=day(-10))
        self.full: FullLook | None = None
        self.said: list[str] = []
        self.back: list[int] = []
        self.runs = 0

    def look(self, at: datetime, sighting: Sighting) -> list[str]:
        if sighting.kind == "full":
            if self.full is not None and self.full.sighting == sighting:
                self.full = replace(self.full, count=self.full.count + 1)
            else:
                self.runs += 1
                self.full = FullLook(run=self.runs, count=1, sighting=sighting)
        stepped = step(typed(Memory, plain(self.memory)), sighting, self.full, KNOWN, at)
        self.memory = stepped.memory
        news = [each.key for each in stepped.news]
        self.said += news
        self.back += stepped.back
        return news


def light(*each: Served, **changed: Any) -> Sighting:
    few = tuple(replace(one, staple=None, resumes=None, versions=None, suites=None) for one in each or (served(),))
    return saw(*few, kind="light", **changed)


@pytest.fixture
def life() -> Life:
    made = Life()
    made.look(day(0), light())
    made.look(day(0), saw())
    return made


def test_what_a_light_look_sees_is_told_when_a_full_one_sees_it(life: Life) -> None:
    shorter = served(chain=(FIRST.sha256,))
    assert life.look(day(1), light(shorter)) == []
    assert life.look(day(1.01), saw(shorter)) == ["chain-shortened"]
    assert life.look(day(1.1), light(shorter)) == []
    assert life.look(day(2), saw(shorter)) == []


def test_what_the_full_look_does_not_see_was_never_there(life: Life) -> None:
    life.look(day(1), light(served(chain=(FIRST.sha256,))))
    life.look(day(1.01), saw())
    life.look(day(1.1), light())
    assert life.said == [] and life.memory.suspects == ()


def test_it_goes_back_once_and_coming_again_is_no_news(life: Life) -> None:
    shorter = served(chain=(FIRST.sha256,))
    for at in (1, 2, 3):
        life.look(day(at), saw(shorter))
        life.look(day(at + 0.5), saw())
        life.look(day(at + 0.6), light())
    assert life.said == ["chain-shortened"]
    assert life.back == [1, 1, 1]  # the same note, by the same key


def test_what_flaps_is_told_when_two_full_looks_saw_it(life: Life) -> None:
    lost = served(staple=False)
    assert life.look(day(1), saw(lost)) == []
    assert life.look(day(2), saw()) == []
    assert life.look(day(3), saw(lost)) == []
    assert life.look(day(4), saw(lost)) == ["staple-lost"]
    life.look(day(5), saw())
    assert life.back == []
    life.look(day(6), saw())
    assert life.back == [1]


def test_what_stays_is_how_it_is_and_its_end_would_be_new(life: Life) -> None:
    other = served(alpn="http/1.1")
    for at in range(1, 20):
        life.look(day(at), light(other))
        life.look(day(at + 0.1), saw(other))
    assert life.said == ["alpn:http/1.1"] and life.back == []
    for at in range(60, 63):
        life.look(day(at), light())
        life.look(day(at + 0.1), saw())
    assert life.said == ["alpn:http/1.1", "alpn:h2"]


def test_while_it_is_broken_nothing_is_told_here(life: Life) -> None:
    shorter = served(chain=(FIRST.sha256,))
    findings = (("chain.incomplete", "critical", ("192.0.2.1",)),)
    life.look(day(1), saw(shorter, status="broken", cause="chain.incomplete", findings=findings))
    assert life.said == []
    assert life.look(day(2), saw(served(chain=(FIRST.sha256,), alpn=None))) == ["alpn:None", "chain-shortened"]


def test_a_pool_of_addresses_is_learned(life: Life) -> None:
    for at in range(1, 30):
        many = [served(f"198.51.100.{(at * 7 + n) % 20}") for n in range(3)]
        life.look(day(at), light(*many))
        life.look(day(at + 0.1), saw(*many))
    later = [each for each in life.said if each.startswith("address-")]
    assert len(later) <= 9  # of the first days; then it is known to rotate
    before = len(life.said)
    life.look(day(31), light(served("198.51.100.99")))
    life.look(day(31.1), saw(served("198.51.100.99")))
    assert len(life.said) == before


def test_in_the_first_days_addresses_come_and_go_unremarked() -> None:
    life = Life()
    life.memory = Memory(began=day(0))
    life.look(day(0), saw())
    life.look(day(1), saw(served(), served("192.0.2.2")))
    life.look(day(2), saw(served("192.0.2.2")))
    assert life.said == []


def test_the_same_look_twice_tells_nothing_twice(life: Life) -> None:
    shorter = saw(served(chain=(FIRST.sha256,)))
    life.look(day(1), shorter)
    life.look(day(1), shorter)
    life.look(day(0.5), shorter)  # and a clock that went back
    assert life.said == ["chain-shortened"]
