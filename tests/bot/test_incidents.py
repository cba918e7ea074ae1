"""Incidents: a changed cause is news, a repeat is not."""

from __future__ import annotations

from datetime import UTC, datetime

from bot.incidents import step
from bot.model import Incident


def incident(cause: str, number: int = 1) -> Incident:
    opened = datetime(2026, 11, 21, tzinfo=UTC)
    return Incident(id=number, channel="C1", target="a:443", cause=cause, state="open", opened_at=opened)


def test_a_first_failure_opens_an_incident() -> None:
    transition = step((), "validity.expired")
    assert (transition.kind, transition.opened) == ("opened", "validity.expired")


def test_health_without_an_incident_is_no_news() -> None:
    assert step((), None).kind == "healthy"


def test_the_same_cause_again_changes_nothing() -> None:
    standing = incident("validity.expired")
    transition = step([standing], "validity.expired")
    assert (transition.kind, transition.seen, transition.opened, transition.ended) == (
        "unchanged",
        standing,
        None,
        None,
    )


def test_another_cause_ends_one_incident_and_opens_the_next() -> None:
    standing = incident("validity.expired")
    transition = step([standing], "chain.incomplete")
    assert (transition.kind, transition.ended, transition.opened) == ("changed", standing, "chain.incomplete")


def test_health_recovers_it() -> None:
    standing = incident("validity.expired")
    transition = step([standing], None)
    assert (transition.kind, transition.ended, transition.opened) == ("recovered", standing, None)
