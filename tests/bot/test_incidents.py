"""Incidents as transitions: a changed cause is news, a repeat is not; what people may do, and what they may not."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from bot import incidents
from bot.incidents import Done, Refused, step
from bot.model import Check, Entry, Incident, PastCheck
from probes.model import Report, Target
from tests.bot import reports

AT = reports.TAKEN_AT


def seen(report: Report | None = None, number: int = 1) -> PastCheck:
    return PastCheck(
        id=number,
        team="T1",
        channel="C1",
        user="U1",
        command="check api.example.com",
        headline="check:1",
        at=AT,
        report=report or reports.broken(),
    )


def opened(report: Report | None = None) -> Incident:
    now = step(None, seen(report), asked_at=AT - timedelta(seconds=9)).now
    assert now is not None
    return replace(now, id=1)


# ── certificates ────────────────────────────────────────────────────────────────


def shown(report: Report, **leaf: Any) -> Report:
    """*report*, with another leaf at its first address."""
    first, *others = report.endpoints
    changed = replace(first, chain=(replace(first.chain[0], **leaf), *first.chain[1:]))
    return replace(report, endpoints=(changed, *others))


def test_a_certificate_that_took_anothers_place_is_an_event() -> None:
    before = reports.broken()
    [event] = incidents.certificate_events(before, seen(shown(before, sha256="5e" * 32)))
    assert "another certificate is served" in event.text
    assert event.at == AT
    assert incidents.certificate_events(before, seen(before)) == []
    assert incidents.certificate_events(None, seen(before)) == []


def test_a_certificate_that_is_hours_old_is_told_at_its_own_time() -> None:
    born = AT - timedelta(hours=3)
    [event] = incidents.certificate_events(None, seen(shown(reports.broken(), not_before=born.isoformat())))
    assert event.at == born
    assert "begins to be valid" in event.text
    for not_before in (
        (AT - timedelta(hours=25)).isoformat(),
        (AT + timedelta(hours=1)).isoformat(),
        "?",
        "2026-01-01",
    ):
        assert incidents.certificate_events(None, seen(shown(reports.broken(), not_before=not_before))) == []


# ── checks ──────────────────────────────────────────────────────────────────────


def test_a_broken_verdict_opens_an_incident() -> None:
    transition = step(None, seen(), asked_at=AT - timedelta(seconds=9))
    assert transition.kind == "opened" and transition.now is not None
    now = transition.now
    assert (now.cause, now.target, now.root, now.opened_by) == (
        "validity.expired",
        "api.example.com:443",
        "check:1",
        "U1",
    )
    assert now.issuer == "CN=R11,O=Let's Encrypt,C=US"
    assert (now.asked_at, now.cause_at) == (AT - timedelta(seconds=9), AT)


@pytest.mark.parametrize("status", ["ok", "warning"])
def test_what_works_opens_none(status: str) -> None:
    report = replace(reports.broken(), status=status)  # type: ignore[arg-type]
    assert step(None, seen(report), asked_at=AT).kind == "healthy"


def test_the_same_cause_again_is_no_news() -> None:
    transition = step(opened(), seen(number=2), asked_at=AT)
    assert transition.kind == "unchanged" and transition.now is not None
    assert (transition.now.checks, transition.now.last_check, transition.now.first_check) == (2, 2, 1)


def test_another_cause_changes_the_incident_and_keeps_it_one() -> None:
    transition = step(opened(), seen(reports.broken(code="chain.incomplete"), 2), asked_at=AT)
    assert transition.kind == "changed" and transition.now is not None
    assert (transition.now.id, transition.now.cause, transition.now.state) == (1, "chain.incomplete", "open")


def test_health_recovers_it_and_a_further_failure_is_the_same_incident() -> None:
    recovered = step(opened(), seen(reports.healthy(), 2), asked_at=AT)
    assert recovered.kind == "recovered" and recovered.now is not None
    assert (recovered.now.state, recovered.now.recovered_at, recovered.now.cause) == (
        "recovered",
        AT,
        "validity.expired",
    )
    assert step(recovered.now, seen(reports.healthy(), 3), asked_at=AT).kind == "healthy"
    relapsed = step(recovered.now, seen(number=4), asked_at=AT)
    assert relapsed.kind == "relapsed" and relapsed.now is not None
    assert (relapsed.now.state, relapsed.now.recovered_at) == ("open", None)


def test_a_failure_seen_from_the_message_of_a_resolved_incident_opens_that_again() -> None:
    over = replace(opened(), state="resolved", ended_at=AT, ended_by="U2")
    now = step(over, seen(number=2), asked_at=AT).now
    assert now is not None and (now.state, now.ended_at, now.ended_by) == ("open", None, None)


def test_it_ends_by_itself_a_day_after_it_recovered_and_not_before() -> None:
    recovered = replace(opened(), state="recovered", recovered_at=AT)
    assert incidents.lapsed(recovered, AT + timedelta(hours=23)) is None
    ended = incidents.lapsed(recovered, AT + timedelta(hours=24))
    assert ended is not None and (ended.state, ended.ended_at, ended.ended_by) == ("resolved", AT, None)
    assert incidents.lapsed(opened(), AT + timedelta(days=9)) is None


@pytest.mark.parametrize(
    ("failing", "addresses", "severity"),
    [("all", ("192.0.2.7",), "sev1"), ("go", ("192.0.2.7",), "sev2"), ("all", ("192.0.2.8",), "sev2")],
)
def test_who_fails_and_where_says_how_bad_it_is(failing: str, addresses: tuple[str, ...], severity: str) -> None:
    names = tuple(client.name for client in reports.clients()) if failing == "all" else (failing,)
    endpoints = tuple(reports.endpoint(address) for address in {"192.0.2.7", *addresses})
    finding = reports.finding(addresses=addresses)
    report = reports.broken(clients=reports.clients(failing=names), endpoints=endpoints, findings=(finding,))
    assert incidents.severity_of(report) == severity


@pytest.mark.parametrize(
    ("target", "endpoint"),
    [
        (Target.parse("a.example"), "a.example:443"),
        (Target.parse("192.0.2.7"), "192.0.2.7:443"),
        (Target.parse("192.0.2.7", sni="a.example"), "192.0.2.7:443 sni=a.example"),
        (Target.parse("mail.example:25", starttls="smtp"), "mail.example:25 starttls=smtp"),
    ],
)
def test_what_is_asked_differently_is_another_endpoint(target: Target, endpoint: str) -> None:
    assert incidents.endpoint_of(target) == endpoint


def test_a_look_at_one_address_or_with_a_certificate_does_not_speak_for_the_endpoint() -> None:
    target = Target.parse("a.example")
    assert incidents.speaks_for(Check(target=target))
    assert not incidents.speaks_for(Check(target=target, addresses=("192.0.2.7",)))
    assert not incidents.speaks_for(Check(target=target, identity="payments"))


# ── people ──────────────────────────────────────────────────────────────────────


def test_of_two_who_take_command_at_once_one_has_it_and_the_other_is_told() -> None:
    first = incidents.commanded(opened(), "U1", instead_of=None)
    assert isinstance(first, Done) and first.incident.commander == "U1"
    assert incidents.commanded(first.incident, "U2", instead_of=None) == Refused(why="taken")
    assert incidents.commanded(first.incident, "U1", instead_of=None) == Refused(why="yours")
    over = incidents.commanded(first.incident, "U2", instead_of="U1")
    assert isinstance(over, Done) and over.text == "took command from <@U1>"


def test_what_is_resolved_is_reopened_first() -> None:
    done = incidents.resolved(opened(), "U1", AT)
    assert isinstance(done, Done) and "still broken" in done.text
    over = done.incident
    assert incidents.resolved(over, "U2", AT) == Refused(why="resolved")
    assert incidents.commanded(over, "U2", instead_of=None) == Refused(why="resolved")
    assert incidents.rated(over, "sev3") == Refused(why="resolved")
    assert incidents.reopened(over, other=opened()) == Refused(why="standing")
    again = incidents.reopened(over, other=None)
    assert isinstance(again, Done) and again.incident.state == "open"
    assert incidents.reopened(again.incident, other=None) == Refused(why="standing")


def test_pauses_grow_and_stay_at_the_longest() -> None:
    pauses = [incidents.pause_after(looks) for looks in range(40)]
    assert pauses == sorted(pauses) and pauses[0] < timedelta(minutes=1) and pauses[-1] == incidents.PAUSES[-1]


# ── notes ───────────────────────────────────────────────────────────────────────


def entry(text: str, version: str | None = None, state: str = "live") -> Entry:
    return Entry(key="k", kind="note", at=AT, user="U1", text=text, edited_ts=version, state=state)  # type: ignore[arg-type]


def test_an_edit_changes_a_note_and_an_older_or_equal_one_does_not() -> None:
    after = incidents.merged(entry("one"), entry("two", "5.0"))
    assert after is not None and after.text == "two"
    assert incidents.merged(after, entry("old", "4.0")) is None
    assert incidents.merged(after, entry("two", "5.0")) is None


def test_what_is_deleted_leaves_no_words_behind_and_does_not_come_back() -> None:
    gone = incidents.merged(entry("secret"), entry("secret", "6.0", "deleted"))
    assert gone is not None and (gone.text, gone.state) == ("", "deleted")
    assert incidents.merged(gone, entry("again", "7.0")) is None
