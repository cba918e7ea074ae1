"""Incidents as pure transitions: one per channel, target and cause; a changed cause is news, a repeat is not."""

from __future__ import annotations

from collections.abc import Sequence

from bot.model import Incident, Transition


def step(standing: Sequence[Incident], cause: str | None) -> Transition:
    """What the newest check of a target, whose cause is *cause*, does to the target's *standing* open incidents.

    At most one is open at a time; should there be more, the newest counts. A warning's cause opens an incident as a
    failure's does: it has a name and somebody will want to know when it went away.
    """
    current = max(standing, key=lambda incident: incident.id, default=None)
    if current is None:
        return Transition(kind="opened", opened=cause) if cause else Transition(kind="healthy")
    if cause is None:
        return Transition(kind="recovered", ended=current)
    if cause == current.cause:
        return Transition(kind="unchanged", seen=current)
    return Transition(kind="changed", ended=current, opened=cause)
