"""A report becomes a verdict: what it means for the incident of its endpoint, what is said, all in one transaction."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import TypeAlias

from bot import check_notes, commands, incidents
from bot.casebook import KEEP, Watching
from bot.cases import Cases, below
from bot.history import History
from bot.issuances import Issued
from bot.model import Check, Content, Entry, Incident, Intake, Note, PastCheck, Transition, Vigil
from bot.quotable import Quotable
from bot.render import ct_advice as ct_words
from bot.render import incident as room
from bot.render import report
from bot.worked import LastWorked
from probes.model import Report

LOG = logging.getLogger("bot.verdicts")
IssuedBefore: TypeAlias = Callable[[str, Sequence[str], str, datetime], Awaitable[Sequence[Issued]]]
"""Certificates that were logged shortly before a moment: of a workspace, as channels know them, for a host."""


class Verdicts:
    """Concludes checks, whoever asked for them."""

    def __init__(
        self,
        *,
        history: History,
        cases: Cases,
        quotable: Quotable,
        last_worked: LastWorked,
        issued_before: IssuedBefore,
    ) -> None:
        self._history = history
        self._cases = cases
        self._quotable = quotable
        self._last_worked = last_worked
        self._issued_before = issued_before

    async def conclude(
        self,
        intake: Intake,
        check: Check,
        headline: Note,
        seen: Report,
        before: PastCheck | None,
        *,
        is_a_look: bool = False,
        along: Callable[[Incident | None], list[Note]] = lambda _: [],
    ) -> None:
        """Record what *check* has *seen*, and finish the request. *before*: the check that *headline* showed until now;
        *is_a_look*: nobody waits for it; *along*: what goes into the same transaction, on the memory's thread."""
        done = PastCheck(
            id=intake.id,
            team=intake.team,
            channel=intake.channel,
            user=intake.user,
            command=commands.written(check),
            headline=headline.key,
            at=datetime.now(UTC),
            report=seen,
        )
        endpoint = incidents.endpoint_of(check.target)
        async with self._cases.alone(intake.channel, endpoint):
            transition, vigil = await self._stepped(intake, check, headline, done, endpoint)
            issued = await self._issued(intake, done, transition)
            told = await self._told_with(intake, done, transition, issued)
            details = before is None or (before.report.status, before.report.cause) != (seen.status, seen.cause)

            def say(incident: Incident | None) -> tuple[list[Entry], list[Note]]:
                notes = [*check_notes.verdict(headline, done, incident, vigil, transition), *along(incident)]
                if is_a_look and incident is not None:
                    notes.append(below(incident, f"look:{done.id}", room.looked_again(done, transition)))
                elif before is not None:
                    notes.append(check_notes.below(done, headline, "outcome", report.outcome(done, transition)))
                if details and not (incident is not None and headline.key != incident.root and not headline.parent):
                    notes += check_notes.details(done, headline)
                if incident is None:
                    return [], notes
                if transition.kind == "recovered" and vigil is not None:
                    notes.append(below(incident, f"recovered:{done.id}", room.recovered(incident, done, vigil)))
                if told is not None:
                    notes.append(below(incident, "context", told))
                events = incidents.certificate_events(before.report if before is not None else None, done)
                logged = [ct_words.timeline_entry(each) for each in issued]
                return [*logged, *events, check_notes.timeline_entry(done, transition)], notes

            now = datetime.now(UTC)
            after = _vigil_after(transition, vigil, done.at, is_a_look=is_a_look, now=now)
            await self._history.record(done, transition, say, now, vigil=after)
        LOG.info(
            "checked request=%s target=%s status=%s cause=%s elapsed_ms=%.0f incident=%s",
            intake.id, seen.target, seen.status, seen.cause, seen.elapsed_ms, transition.kind,
        )  # fmt: skip

    async def _stepped(
        self, intake: Intake, check: Check, headline: Note, done: PastCheck, endpoint: str
    ) -> tuple[Transition, Vigil | None]:
        """What the check means for the incident of its endpoint, and who watches that."""
        standing = await self._history.standing(intake.team, intake.channel, endpoint)
        if standing is None:
            standing = await self._history.rooted(headline.key)
        if standing is None:
            asked = intake.received_at
            return incidents.step(None, done, asked_at=asked, thread_ts=headline.thread_ts), None
        vigil = await self._history.vigil(standing.id)
        if headline.key != standing.root:
            if headline.parent == standing.root or not incidents.speaks_for(check):
                # It tells of one address, or of one client: the incident is about more.
                counted = replace(standing, checks=standing.checks + 1)
                return Transition(kind="healthy", was=standing, now=counted), vigil
            _, is_given_up = await self._history.posted_as(standing.root)
            if is_given_up:  # nobody can see that message: from here on it is this one
                standing = replace(standing, root=headline.key, thread_ts=headline.thread_ts)
        return incidents.step(standing, done, asked_at=intake.received_at), vigil

    async def _issued(self, intake: Intake, done: PastCheck, transition: Transition) -> Sequence[Issued]:
        """Certificates for the host of a new incident that were logged within the day before."""
        if transition.kind not in {"opened", "relapsed"}:
            return ()
        seen_in = await self._quotable(intake)
        return await self._issued_before(intake.team, seen_in, done.report.target.host, done.at)

    async def _told_with(
        self, intake: Intake, done: PastCheck, transition: Transition, issued: Sequence[Issued]
    ) -> Content | None:
        """What a new incident brings with it from the past."""
        if transition.kind != "opened" or transition.now is None:
            return None
        seen_in = await self._quotable(intake)
        good = await self._last_worked(done, seen_in=seen_in)
        newest = replace(transition.now, id=1 << 62)  # it has no number yet: all others are earlier
        # In a burst of failures, what opened a moment before says nothing yet.
        known = await self._cases.alike(newest, seen_in)
        alike = [(each, link) for each, link in known if each.host == newest.host or each.state == "resolved"]
        appeared = [ct_words.appeared(each, newest.host, done.at) for each in issued]
        return room.context_of(newest, done, good, alike, datetime.now(UTC), appeared=appeared)

    async def as_before(self, old: PastCheck) -> list[Note]:
        """The message that shows *old*, as it was before it said "checking"."""
        incident = await self._history.rooted(old.headline)
        if incident is not None:
            return await self._cases.root(incident)
        return [check_notes.headline_of(old, report.headline(old))]


def _vigil_after(
    transition: Transition, vigil: Vigil | None, at: datetime, *, is_a_look: bool, now: datetime
) -> Watching:
    """What becomes of a vigil when a check is recorded."""
    if vigil is None:
        return KEEP
    if transition.kind == "recovered":
        return None
    return incidents.looked(vigil, at, now=now) if is_a_look else KEEP
