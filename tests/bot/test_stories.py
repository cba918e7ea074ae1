"""What a person expects to be told of certificates and drift: each warning once, to whom, and nothing else."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from bot.expiry import SeenInCt
from bot.history import History
from bot.lineages import Lineage
from probes.ari import Window
from probes.model import CertificateReport
from tests.bot.town import Town
from tests.bot.year import LE, OTHER, certificate, day

A = ("a.test",)
NOTHING: list[str] = []


@pytest.fixture
async def town(tmp_path: Path) -> AsyncIterator[Town]:
    history = await History.open(tmp_path / "bot.db")
    town = Town(history)
    try:
        yield town
    finally:
        print(*town.log, sep="\n")  # what a person would have read, where a story goes wrong
        await history.close()


def leaf(
    start: float, days: float = 90, names: Sequence[str] = A, issuer: str = LE, key: str = ""
) -> CertificateReport:
    return certificate(names, day(start), days, issuer=issuer, key=key)


def like(found: Sequence[str], *patterns: str) -> bool:
    """Each line contains its pattern, and there is no other."""
    fits = len(found) == len(patterns) and all(re.search(p, line) for p, line in zip(patterns, found, strict=True))
    assert fits, "\n".join(["said:", *found, "expected:", *patterns])
    return True


async def renewed_on_habit(town: Town, days: float, times: int, share: float = 1 / 3) -> float:
    """*times* renewals with *share* of the lifetime left; the day on which the last certificate begins."""
    await town.watch("a.test", leaf(0, days))
    start, step = 0.0, days / 24
    for _ in range(times):
        due = start + days * (1 - share)
        at = start + step
        while at < due:
            await town.look(at=at)
            at += step
        start = due
        town.serve("a.test", leaf(start, days))
        await town.look(at=start + days / 200)
    return start


# ── by share of lifetime, and by habit ──────────────────────────────────────────

LIFETIMES = [398.0, 200.0, 100.0, 90.0, 47.0, 160 / 24]


@pytest.mark.parametrize("days", LIFETIMES)
async def test_renewed_on_habit_is_silent(town: Town, days: float) -> None:
    await renewed_on_habit(town, days, 4)
    assert await town.said(edits=True) == NOTHING


@pytest.mark.parametrize("days", LIFETIMES)
async def test_renewed_late_is_overdue_once_and_recovers_once(town: Town, days: float) -> None:
    start = await renewed_on_habit(town, days, 3)
    at = 0.70
    while at < 0.78:
        await town.look(at=start + days * at)
        at += 0.01
    await town.look(at=start + days * 0.82)
    town.serve("a.test", leaf(start + days * 0.82, days))
    await town.look(at=start + days * 0.83)
    found = await town.said()
    # Half a day is more than a twentieth of six days: there it is late a little later.
    assert like(found, "^🟠 a.test is usually renewed by now, and is not", "^↳ ✅ a.test is renewed, until")
    assert "<@" not in found[0]


@pytest.mark.parametrize("days", LIFETIMES)
async def test_never_renewed_climbs_in_one_thread_and_calls_its_owner(town: Town, days: float) -> None:
    start = await renewed_on_habit(town, days, 2)
    at = 0.70
    while at < 1.0:
        await town.look(at=start + days * at)
        at += 0.002 if days > 50 else 0.004
    found = [line for line in await town.said() if "nobody has acknowledged" not in line]
    # Of six days the last sixth begins within a day of the warning before it: only the message says so, by an edit.
    sixth = ["left, and.* not renewed"] if days > 10 else []
    assert like(found, "usually renewed by now", *sixth, "↳ 🟠 <@U1>.*still", "↳ 🔴 <@U1>.*still")
    assert not any(re.search(r"\b0 (days|hours)", line) for line in found)


async def test_without_a_habit_the_shares_alone_speak(town: Town) -> None:
    await town.watch("a.test", leaf(0, 398, issuer=OTHER))
    await town.live(300, 398, every=1)
    found = [line for line in await town.said() if "nobody" not in line]
    assert like(found, "^🟠 a.test: the certificate expires", "↳ 🟠 <@U1> 14 days", "↳ 🔴 <@U1> 7 days")


async def test_a_habit_of_ninety_days_says_nothing_of_a_year(town: Town) -> None:
    start = await renewed_on_habit(town, 90, 3)
    yearly = leaf(start + 60, 398)
    town.serve("a.test", yearly)
    for at in range(60, 360, 10):
        await town.look(at=start + at)
    assert await town.said() == NOTHING


async def test_renewed_to_a_shorter_lifetime_is_judged_by_the_new_one(town: Town) -> None:
    await renewed_on_habit(town, 398, 2, share=0.1)
    start = 398 * 0.9 * 2
    for _ in range(3):
        town.serve("a.test", leaf(start, 90))
        for at in range(0, 72, 3):
            await town.look(at=start + at)
        start += 70
    assert await town.said() == NOTHING


# ── part of the addresses ───────────────────────────────────────────────────────


async def test_five_of_eight_addresses(town: Town) -> None:
    old, new = leaf(0), leaf(60)
    await town.watch("a.test", *[old] * 8)
    await town.live(58, 60)
    town.serve("a.test", *[new] * 5, *[old] * 3)
    await town.live(60, 68)
    assert await town.said() == NOTHING  # within the time to deploy
    await town.live(68, 73)
    assert like(await town.said(), "a.test is renewed, but 3 of 8 addresses still serve the old certificate")
    town.serve("a.test", *[new] * 8)
    await town.live(73, 75)
    assert like(await town.said(), "^↳ ✅ a.test is renewed at all 8 addresses")


async def test_rolled_out_within_hours_is_silent(town: Town) -> None:
    old, new = leaf(0), leaf(60)
    await town.watch("a.test", *[old] * 8)
    await town.live(58, 60)
    for number in range(1, 9):
        town.serve("a.test", *[new] * number, *[old] * (8 - number))
        await town.look(at=60 + number / 24)
    await town.live(61, 75)
    assert await town.said(edits=True) == NOTHING


async def test_rolled_back_at_one_of_eight(town: Town) -> None:
    old, new = leaf(0), leaf(60)
    await town.watch("a.test", *[old] * 8)
    await town.live(58, 60)
    town.serve("a.test", *[new] * 8)
    await town.live(60, 72)
    town.serve("a.test", old, *[new] * 7)
    await town.live(72, 75)
    assert like(await town.said(), "1 of 8 addresses still serves the old certificate")


async def test_rolled_back_everywhere_is_told_once_and_once_when_it_is_over(town: Town) -> None:
    old, new = leaf(0), leaf(60)
    await town.watch("a.test", old)
    await town.live(58, 60)
    town.serve("a.test", new)
    await town.live(60, 64)
    assert await town.said() == NOTHING
    town.serve("a.test", old)
    await town.live(64, 66)
    assert like(await town.said(), "🟠 a.test serves an older certificate again, which expires 01 Apr")
    town.serve("a.test", new)
    await town.live(66, 68)
    assert like(await town.said(), "↳ ✅ a.test is renewed")
    await town.live(68, 72)
    assert await town.said(edits=True) == NOTHING
    town.serve("a.test", old)
    await town.live(72, 74)
    town.serve("a.test", new)
    await town.live(74, 75)
    assert like(await town.said(), "↳ 🟠 it is back. a.test serves an older", "↳ ✅ a.test is renewed")


async def test_addresses_with_certificates_of_their_own_are_not_a_half_done_renewal(town: Town) -> None:
    blue, green = leaf(0, key="blue"), leaf(20, key="green")
    await town.watch("a.test", blue, green)
    await town.live(21, 60)
    town.serve("a.test", leaf(60, key="blue 2"), green)
    await town.live(60, 78)
    town.serve("a.test", leaf(60, key="blue 2"), leaf(80, key="green 2"))
    await town.live(80, 100)
    assert await town.said(edits=True) == NOTHING


# ── other names ─────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "later", [("a.test", "www.a.test"), ("*.test", "a.test"), ("new.test", "a.test"), ("*.test",)], ids=str
)
async def test_a_renewal_under_other_names_goes_on_in_the_same_thread(town: Town, later: tuple[str, ...]) -> None:
    await town.watch("a.test", leaf(0, names=("a.test", "old.test")))
    await town.live(74, 78)
    assert like(await town.said(), "a.test: the certificate expires")
    town.serve("a.test", leaf(78, names=later))
    await town.live(78, 80)
    found = await town.said()
    if later[0] != "*.test":  # which covers what went, too
        assert "certificate no longer covers old.test." in found.pop()
    assert like(found, "^↳ ✅ a.test is renewed")
    assert len(await lineages_of(town)) == 1


async def lineages_of(town: Town) -> list[Lineage]:
    return await town.history._run(town.book._kept.all)


async def test_names_that_change_leave_the_habit(town: Town) -> None:
    start = await renewed_on_habit(town, 90, 2)
    town.serve("a.test", leaf(start + 60, names=("a.test", "b.test")))
    for at in range(61, 130):
        await town.look(at=start + at)
    assert like(await town.said(), "^🟠 a.test is usually renewed by now")


async def test_other_names_at_some_addresses_are_one_renewal_half_done(town: Town) -> None:
    old, new = leaf(0), leaf(60, names=("a.test", "b.test"))
    await town.watch("a.test", old, old, old)
    await town.live(58, 60)
    town.serve("a.test", new, new, old)
    await town.live(60, 74)
    assert like(await town.said(), "is renewed, but 1 of 3 addresses still serves the old")
    assert len(await lineages_of(town)) == 1


async def test_a_host_that_gets_a_certificate_of_its_own_leaves_the_others_alone(town: Town) -> None:
    both = leaf(0, names=("a.test", "b.test"))
    await town.watch("a.test", both)
    await town.watch("b.test", both)
    await town.live(50, 56)
    town.serve("a.test", leaf(56))
    await town.live(56, 74)
    found = await town.said()
    assert not any("still serve" in line or "renewed" in line for line in found)
    await town.live(75, 78)
    assert like(await town.said(), "b.test: the certificate .*expires")


async def test_two_certificates_that_become_one_are_both_renewed(town: Town) -> None:
    await town.watch("a.test", leaf(0))
    await town.watch("b.test", leaf(0, names=("b.test",)))
    await town.live(76, 78)
    assert len(await town.said()) == 2
    both = leaf(78, names=("a.test", "b.test"))
    town.serve("a.test", both)
    town.serve("b.test", both)
    await town.live(78, 80)
    assert like(await town.said(), "↳ ✅ a.test is renewed", "↳ ✅ b.test is renewed, until")
    await town.live(80, 85)
    assert await town.said(edits=True) == NOTHING


# ── one certificate, many hosts; many certificates, one night ───────────────────


async def test_a_certificate_at_many_hosts_is_one_thread(town: Town) -> None:
    names = tuple(f"h{number}.test" for number in range(20))
    old = leaf(0, names=names)
    for name in names:
        await town.watch(name, old)
    for at in (70.0, 76.0, 83.0, 87.0):
        await town.look(*names, kind="full", at=at)
    assert like(await town.said(), "h0.test: the certificate expires", "<@U1> 7 days left", "<@U1> 3 days left")
    for name in names[:18]:
        town.serve(name, leaf(87, names=names))
    await town.look(*names, kind="full", at=87.2)
    await town.look(*names, kind="full", at=87.5)
    for name in names[18:]:
        town.serve(name, leaf(87, names=names))
    await town.look(*names, kind="full", at=87.8)
    assert like(await town.said(), "↳ ✅ h0.test is renewed at all 20")


async def test_a_job_that_broke_for_a_fleet_is_not_a_flood(town: Town) -> None:
    names = [f"h{number:03}.test" for number in range(60)]
    for name in names:
        await town.watch(name, leaf(0, names=(name,)))
    for at in (70.0, 76.0, 76.5):
        await town.look(*names, kind="full", at=at)
    found = await town.said()
    alone = [line for line in found if not line.startswith("↳")]
    assert len(alone) == 11  # ten, and one for all others
    assert [line for line in alone if "50 more certificates in need of renewal" in line]
    assert len(found) == 61
    for name in names:
        town.serve(name, leaf(77, names=(name,)))
    await town.look(*names, kind="full", at=77.5)
    found = await town.said(edits=True)
    assert sum(line.startswith("↳ ✅") for line in found) == 60
    assert [line for line in found if "Nothing is left to do about the 50" in line]
    await town.look(*names, kind="full", at=79)
    assert await town.said(edits=True) == NOTHING


async def test_a_fleet_that_is_renewed_in_one_night_is_silent(town: Town) -> None:
    names = [f"h{number:03}.test" for number in range(60)]
    for name in names:
        await town.watch(name, leaf(0, names=(name,)))
    await town.look(*names, kind="full", at=50)
    for name in names:
        town.serve(name, leaf(60, names=(name,)))
    await town.look(*names, at=60.5)
    await town.look(*names, kind="full", at=61)
    assert await town.said(edits=True) == NOTHING


# ── what a chain, a log or a CA says ────────────────────────────────────────────


async def test_an_intermediate_that_ends_before_the_leaf(town: Town) -> None:
    await town.watch("a.test", leaf(0))
    town.sites["a.test"].above = (certificate((), day(-1000), 1060, issuer="CN=Root,O=Root", subject=LE),)
    await town.live(20, 34)
    assert like(await town.said(), "the intermediate R12 that it sends expires.*Send its successor")


async def test_a_cross_sign_that_ends_beside_a_path_that_holds(town: Town) -> None:
    await town.watch("a.test", leaf(0))
    cross = certificate((), day(-1000), 1060, issuer="CN=Old Root,O=Root", subject=LE)
    town.sites["a.test"].above = (cross, certificate((), day(-1000), 3650, issuer="CN=Root,O=Root", subject=LE))
    await town.live(20, 59)
    assert await town.said() == NOTHING


async def test_revoked_is_an_incident_and_not_a_warning_beside_it(town: Town) -> None:
    await town.watch("a.test", leaf(0))
    await town.live(10, 12)
    town.sites["a.test"].fault = "revocation.revoked"
    await town.live(12, 15)
    town.sites["a.test"].fault = ""
    town.serve("a.test", leaf(15))
    await town.live(15, 18)
    assert await town.said() == NOTHING
    assert [line.split(" ", 1)[1] for line in town.verdicts] == [
        "a.test broke revocation.revoked", "a.test recovered",
    ]  # fmt: skip


async def test_a_window_that_jumps_is_told_once_and_recovers(town: Town) -> None:
    old = leaf(0)
    await town.watch("a.test", old)
    await town.live(8, 10)
    await town.asks("Let's Encrypt", (old, Window(start=day(58), end=day(62), explanation_url="")))
    await town.asks("Let's Encrypt", (old, Window(start=day(58.1), end=day(62.1), explanation_url="")))
    assert await town.said() == NOTHING
    for _ in range(3):
        await town.asks("Let's Encrypt", (old, Window(start=day(10), end=day(12), explanation_url="https://ca.test/w")))
        await town.live(10, 11)
    assert like(await town.said(), "<@U1> a.test: its CA wants the certificate replaced by")
    town.serve("a.test", leaf(11))
    await town.live(11, 13)
    assert like(await town.said(), "↳ ✅ a.test is renewed")


def in_the_log(seen_at: float, names: Sequence[str] = A) -> SeenInCt:
    return SeenInCt(
        sha256="ee" * 32, not_before=day(60), not_after=day(150), names=tuple(names), seen_at=day(seen_at)
    )  # fmt: skip


async def test_renewed_in_a_log_and_not_served(town: Town) -> None:
    town.logged = lambda now: [in_the_log(60)] if day(60) <= now < day(71) else []
    await town.watch("a.test", leaf(0))
    await town.live(58, 69)
    assert await town.said() == NOTHING
    await town.live(69, 71)
    assert like(await town.said(), "a.test has a new certificate, and no address serves it")
    town.serve("a.test", leaf(60, key="logged"))
    await town.live(71, 73)
    assert like(await town.said(), "↳ ✅ a.test is renewed")


async def test_a_log_that_has_another_name_too_few_is_no_renewal(town: Town) -> None:
    town.logged = lambda _: [in_the_log(60, ("www.a.test",))]
    await town.watch("a.test", leaf(0))
    await town.live(58, 74)
    assert await town.said() == NOTHING


async def test_a_new_certificate_that_is_not_good_yet_is_no_renewal(town: Town) -> None:
    await town.watch("a.test", leaf(0))
    await town.live(76, 78)
    await town.said()
    town.serve("a.test", leaf(79))
    await town.look(at=78)
    assert await town.said() == NOTHING
    await town.look(at=79.2)
    assert like(await town.said(), "↳ ✅ a.test is renewed")


# ── another CA, another key ─────────────────────────────────────────────────────


@pytest.mark.parametrize("expected", [("Other Trust Ltd", "Let's Encrypt"), ("other", "R12")])
async def test_an_expected_ca_is_no_news(town: Town, expected: tuple[str, ...]) -> None:
    await town.watch("a.test", leaf(0), expected=expected)
    await town.live(55, 60)
    town.serve("a.test", leaf(60, issuer=OTHER))
    await town.live(60, 64)
    assert await town.said() == NOTHING


@pytest.mark.parametrize("expected", [("Let's Encrypt",), ("letsencrypt.org",), ("R12",), ("DigiCert", "R12")])
async def test_a_ca_that_is_expected_from_the_beginning(town: Town, expected: tuple[str, ...]) -> None:
    await town.watch("a.test", leaf(0), expected=expected)
    await town.live(10, 40)
    assert await town.said() == NOTHING


async def test_a_ca_that_was_never_expected_is_told_once(town: Town) -> None:
    await town.watch("a.test", leaf(0, 398), expected=("DigiCert",))
    await town.look(kind="full", at=10)
    await town.look(at=10.1)
    assert like(await town.said(), "certificate from Let's Encrypt; expected is DigiCert")
    await town.live(11, 60)
    assert await town.said() == NOTHING


@pytest.mark.parametrize("expected", [(), ("Let's Encrypt",)])
async def test_another_ca_is_told_once_on_the_light_look_that_sees_it(town: Town, expected: tuple[str, ...]) -> None:
    await town.watch("a.test", leaf(0), expected=expected)
    await town.live(55, 60)
    town.serve("a.test", leaf(60, issuer=OTHER))
    await town.look(at=60.5)
    assert like(await town.said(), "certificate from another CA: Other Trust Ltd instead of Let's Encrypt")
    await town.live(61, 76)
    assert await town.said() == NOTHING


@pytest.mark.parametrize("after_minutes", [3, 6])
async def test_another_ca_soon_after_a_full_look_waits_for_no_other_day(town: Town, after_minutes: float) -> None:
    """Even where the first light look is the one that sees it, or the full look was minutes ago."""
    await town.watch("a.test", leaf(0), expected=("Let's Encrypt",))
    await town.look(kind="full", at=58)
    if after_minutes > 5:
        await town.look(at=58 + 1 / 1440)
    town.serve("a.test", leaf(58, issuer=OTHER))
    for minute in (after_minutes, after_minutes + 5, after_minutes + 10):
        await town.look(at=58 + minute / 1440)
    assert like(await town.said(), "certificate from another CA: Other Trust Ltd")


async def test_a_key_that_is_kept_once_is_told_once(town: Town) -> None:
    await town.watch("a.test", leaf(0))
    for number, key in enumerate(("", "", "same", "same", "same"), 1):
        await town.live(60 * number - 2, 60 * number)
        town.serve("a.test", leaf(60 * number, key=key))
    await town.live(300, 304)
    assert like(await town.said(), "renewed with the old key")


# ── people ──────────────────────────────────────────────────────────────────────


async def test_acknowledged_is_silent_until_it_is_worse(town: Town) -> None:
    await town.watch("a.test", leaf(0))
    await town.live(76, 77)
    await town.press("ack", "a.test")
    await town.live(77, 82)
    assert like(await town.said(), "expires", "↳ — 👀 <@U2> is at it")
    await town.live(83, 86)
    assert like(await town.said(), "↳ 🟠 <@U1> .* left, and the certificate is still not renewed")
    town.serve("a.test", leaf(86))
    await town.live(86, 87)
    assert like(await town.said(), "↳ ✅")


async def test_snoozed_and_over(town: Town) -> None:
    await town.watch("a.test", leaf(0))
    await town.live(76, 77)
    await town.press("snooze:1w", "a.test")
    await town.said()
    await town.live(77, 83)
    assert await town.said() == NOTHING
    await town.live(84, 86)
    assert like(await town.said(), "↳ 🟠 <@U1> .* left")


async def test_no_snooze_goes_past_the_end(town: Town) -> None:
    await town.watch("a.test", leaf(0))
    await town.live(88, 89)
    assert await town.press("snooze:1w", "a.test") == ""
    (lineage,) = await lineages_of(town)
    assert lineage.snoozed_until == day(90)
    await town.look(kind="full", at=90.1)
    assert "has expired: that cannot be snoozed" in await town.press("snooze:1d", "a.test")


async def test_two_channels_with_owners_of_their_own(town: Town) -> None:
    await town.watch("a.test", leaf(0), owner="U1")
    await town.watch("a.test", channel="C2", owner="S-web")
    await town.live(80, 84)
    assert like(await town.said(), "expires", "<@U1>")
    assert like(await town.said(channel="C2"), "expires", r"<!subteam\^S-web>")


async def test_removed_and_added_again_is_not_told_again(town: Town) -> None:
    watch = await town.watch("a.test", leaf(0))
    await town.live(76, 77)
    await town.said()
    await town.watchlist.remove(watch)
    await town.book.tidy(town.now)
    assert like(await town.said(edits=True), "✎ ➖ a.test is no longer watched here")
    await town.watch("a.test")
    await town.live(78, 80)
    assert await town.said() == NOTHING
    await town.live(83, 84)
    assert like(await town.said(), "<@U1> .* left")


async def test_down_for_weeks_over_two_steps_is_one_message(town: Town) -> None:
    await town.watch("a.test", leaf(0))
    await town.live(60, 62)
    await town.live(83, 85)
    assert like(await town.said(), "^🟠 <@U1> a.test: the certificate expires .* still not renewed")


async def test_down_while_it_was_renewed(town: Town) -> None:
    await town.watch("a.test", leaf(0))
    await town.live(76, 77)
    await town.said()
    town.serve("a.test", leaf(80))
    await town.live(95, 97)
    assert like(await town.said(), "↳ ✅ a.test is renewed")


async def test_recovered_and_late_again_is_a_new_thread(town: Town) -> None:
    await town.watch("a.test", leaf(0))
    await town.live(76, 77)
    town.serve("a.test", leaf(77))
    await town.live(77, 78)
    await town.said()
    await town.live(153, 155)
    assert like(await town.said(), "^🟠 a.test: the certificate expires")


async def test_a_clock_that_is_a_day_ahead_for_an_hour_says_nothing_twice(town: Town) -> None:
    await town.watch("a.test", leaf(0))
    await town.live(76, 80)
    await town.look(kind="full", at=83)  # in truth day 82
    await town.look(kind="full", at=82.1)
    await town.live(83, 85)
    assert like(await town.said(), "expires", "<@U1>")


# ── settings ────────────────────────────────────────────────────────────────────


async def test_a_staple_that_is_missing_for_an_hour_and_for_days(town: Town) -> None:
    await town.watch("a.test", leaf(0, 398))
    await town.live(10, 14)
    town.serve("a.test", revocation=())
    await town.look(kind="full", at=14)
    town.serve("a.test")
    await town.live(15, 17)
    assert await town.said() == NOTHING
    town.serve("a.test", revocation=())
    await town.live(17, 20)
    assert like(await town.said(), "🟠 a.test: no OCSP staple any more")
    town.serve("a.test")
    await town.live(20, 24)
    assert like(await town.said(), "↳ ✅ a.test is as it was")


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"alpn": None}, "ALPN no longer agreed"),
        ({"agreed_versions": ("TLSv1.2",), "version": "TLSv1.2"}, "TLSv1.3"),
        ({"agreed_versions": ("TLSv1.0", "TLSv1.2", "TLSv1.3")}, "TLSv1.0 agreed now"),
        ({"agreed_suites": ("TLS_AES_128_GCM_SHA256", "TLS_RSA_WITH_RC4_128_SHA")}, "weak suites agreed now"),
        ({"client_auth": "required"}, "client certificates are demanded"),
    ],
)
async def test_a_setting_that_changes_is_told_once_and_once_when_it_is_back(
    town: Town, changed: dict[str, object], words: str
) -> None:
    await town.watch("a.test", leaf(0, 398))
    await town.live(10, 13)
    town.serve("a.test", **changed)
    await town.live(13, 17)
    assert like(await town.said(), words)
    town.serve("a.test")
    await town.live(17, 20)
    assert like(await town.said(), "↳ ✅ a.test is as it was")


async def test_a_change_of_a_whole_fleet_is_not_a_flood(town: Town) -> None:
    names = [f"h{number:03}.test" for number in range(40)]
    for name in names:
        await town.watch(name, leaf(0, 398, names=(name,)))
    await town.look(*names, kind="full", at=10)
    await town.look(*names, kind="full", at=13)
    for name in names:
        town.serve(name, agreed_versions=("TLSv1.2",), version="TLSv1.2")
    await town.look(*names, kind="full", at=14)
    found = await town.said()
    alone = [line for line in found if not line.startswith("↳")]
    assert len(alone) == 11 and len(found) == 41
    assert "🟠 40 endpoints have changed within an hour" in alone[-1] and "no longer agreed (40)" in alone[-1]
    for name in names:
        town.serve(name)
    await town.look(*names, kind="full", at=15)
    assert sum(line.startswith("↳ ✅") for line in await town.said()) == 40


async def test_a_chain_that_is_sent_no_more(town: Town) -> None:
    await town.watch("a.test", leaf(0, 398))
    await town.live(10, 13)
    town.sites["a.test"].above = ()
    await town.live(13, 16)
    assert like(await town.said(), "only the leaf is sent")
    town.sites["a.test"].above = None
    await town.live(16, 18)
    assert like(await town.said(), "↳ ✅ a.test is as it was")


async def test_a_reissue_with_the_same_end_is_silent(town: Town) -> None:
    await town.watch("a.test", leaf(0))
    await town.live(20, 22)
    again = replace(leaf(22, 68), sha256="ab" * 32)
    town.serve("a.test", again)
    await town.live(22, 26)
    assert await town.said(edits=True) == NOTHING
