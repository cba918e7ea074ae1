"""The messages that a check consists of: its headline, what stands below it, its line in the timeline. Pure.

A request's number (`Intake.id`) names them all, so that a check made once more after a crash says nothing twice.
"""

from __future__ import annotations

from dataclasses import replace

from bot.cases import root_note
from bot.model import Content, Entry, Incident, Intake, Note, PastCheck, Transition, Vigil
from bot.render import incident as room
from bot.render import repair, report, words


def headline_key(intake: Intake) -> str:
    return f"check:{intake.id}"


def headline(intake: Intake, content: Content) -> Note:
    """The message that a check answers with, to be edited in place; one for each request."""
    return Note(
        key=headline_key(intake),
        kind="message",
        team=intake.team,
        channel=intake.channel,
        thread_ts=intake.thread_ts,
        user=intake.user,
        response_url=intake.response_url,
        content=content,
    )


def headline_of(check: PastCheck, content: Content, *, thread_ts: str | None = None) -> Note:
    """The message that shows *check*, with other words."""
    return Note(
        key=check.headline,
        kind="message",
        team=check.team,
        channel=check.channel,
        thread_ts=thread_ts,
        content=content,
    )


def verdict(
    note: Note, done: PastCheck, incident: Incident | None, vigil: Vigil | None, transition: Transition
) -> list[Note]:
    """The message that was asked for, *note*, and the incident's root where that is another one."""
    if incident is None:
        return [replace(note, content=report.headline(done))]
    shown = None if transition.kind == "recovered" else vigil
    if note.key == incident.root:
        return [replace(note, content=room.root(incident, done, shown))]
    if transition.kind == "healthy" and incident.last_check != done.id:
        return [replace(note, content=report.headline(done))]
    own = room.belonging(report.headline(done), incident)
    return [replace(note, content=own), root_note(incident, room.root(incident, done, shown))]


def details(check: PastCheck, place: Note) -> list[Note]:
    """Why, after it what to do, and then the corrected chain; the outbox keeps that order."""
    remedy = report.what_to_do(check)
    why = below(check, place, "why", report.why(check))
    notes = [why] if remedy is None else [why, below(check, place, "remedy", remedy)]
    chain = repair.chain_of(check.report)
    if chain is None:
        return notes
    name, content = repair.chain_name(check.report), repair.chain_file(check.report, chain)
    file = file_below(check, place, "chain", content, filename=name, text=chain.pem)
    return [*notes, file, below(check, place, "in-place", repair.in_place(check, chain, report.AGAIN))]


def below_key(check: PastCheck, what: str) -> str:
    return f"check:{check.id}:{what}"


def below(check: PastCheck, place: Intake | Note, what: str, content: Content) -> Note:
    """A message in the thread of the check's headline, or beside it when that stands in a thread itself."""
    return Note(
        key=below_key(check, what),
        kind="message",
        team=check.team,
        channel=check.channel,
        parent=(place.parent if isinstance(place, Note) else None) or check.headline,
        thread_ts=place.thread_ts,
        content=content,
    )


def file_below(
    check: PastCheck, place: Intake | Note, what: str, content: Content, *, filename: str, text: str
) -> Note:
    """A file in the same place as `below`."""
    return replace(below(check, place, what, content), kind="file", filename=filename, file_text=text)


def timeline_entry(check: PastCheck, transition: Transition) -> Entry:
    """What the timeline says of a check."""
    seen = check.report
    first = "opened: " if transition.kind == "opened" else ""
    cause = f", {seen.cause}" if seen.cause else ""
    summary = f": {words.clause(seen.summary)}" if seen.status != "ok" else ""
    text = f"{words.SIGN[seen.status]} {first}{words.STATUS[seen.status]}{cause}{summary} ({check.command})"
    return Entry(key=f"check:{check.id}", kind="verdict", at=check.at, user=check.user, text=text, check=check.id)
