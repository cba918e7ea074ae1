"""What people do with an incident: clicks, notes, the timeline, the post-mortem. One step at a time for each incident.

A click is judged by `bot.incidents` against the incident as it is now, not as the pressed button showed it; what comes
of it, the root's new words and the timeline are one transaction.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from bot import commands, incidents
from bot.answers import reply
from bot.casebook import KEEP, Watching
from bot.cases import ALIKE, Appeared, Cases, below, below_key
from bot.history import History
from bot.incidents import Done, Refused
from bot.messages import Message, Messages
from bot.model import Act, Content, Entry, Incident, Intake, TimelineNote, Vigil
from bot.notify import Outbox
from bot.quotable import Quotable
from bot.render import incident as render
from bot.render import postmortem, words
from bot.worked import LastWorked

PIN, UNPIN = "incident.pin", "incident.unpin"
EDITED, DELETED = "incident.edited", "incident.deleted"
PUSHPIN = "pushpin"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Source:
    """A message that becomes a note, and by whom."""

    ts: str
    thread_ts: str | None
    user: str
    text: str
    edited_ts: str | None = None


class Response:
    """The incidents of all channels, as people act on them. `on_vigil`: a new one is stored."""

    def __init__(
        self,
        *,
        history: History,
        outbox: Outbox,
        cases: Cases,
        messages: Messages,
        quotable: Quotable,
        last_worked: LastWorked,
        appeared: Appeared,
        on_vigil: Callable[[], None],
    ) -> None:
        self._history = history
        self._outbox = outbox
        self._cases = cases
        self._messages = messages
        self._quotable = quotable
        self._last_worked = last_worked
        self._appeared = appeared
        self._on_vigil = on_vigil

    def acts(self) -> dict[str, Act]:
        """What each button, shortcut and event of an incident does."""
        marks = {PIN: self.pinned, UNPIN: self.mirrored, EDITED: self.mirrored, DELETED: self.mirrored}
        return {**dict.fromkeys(render.ACTIONS, self.pressed), render.ADD_TO_TIMELINE: self.shortcut, **marks}

    # ── clicks ──────────────────────────────────────────────────────────────────

    async def pressed(self, intake: Intake) -> None:
        """A button or a choice of the root."""
        number, rest = render.pressed_value(intake.text)
        incident = await self._history.incident(number)
        if incident is None or (incident.team, incident.channel) != (intake.team, intake.channel):
            await self._decline(intake, "unknown", render.gone(), "")
            return
        async with self._cases.alone(incident.channel, incident.endpoint):
            incident = await self._history.incident(number)
            assert incident is not None
            match intake.action:
                case render.COMMAND_TAKEN:
                    shown = render.commander_shown(rest)
                    await self._act(intake, incident, incidents.commanded(incident, intake.user, instead_of=shown))
                case render.SEVERITY if (severity := render.severity_shown(rest)) is not None:
                    await self._act(intake, incident, incidents.rated(incident, severity), is_told=False)
                case render.RESOLVE:
                    done = incidents.resolved(incident, intake.user, intake.received_at)
                    await self._act(intake, incident, done, vigil=None)
                case render.REOPEN:
                    other = await self._history.standing(incident.team, incident.channel, incident.endpoint)
                    await self._act(intake, incident, incidents.reopened(incident, other=other))
                case render.WATCH:
                    await self._watch(intake, incident)
                case render.UNWATCH:
                    await self._unwatch(intake, incident)
                case render.POSTMORTEM:
                    await self._postmortem(intake, incident)
                case render.MORE:
                    await self._more(intake, incident, rest)
                case _:
                    await self._decline(intake, "unknown", words.unknown_button(), incident.target)

    async def _act(
        self,
        intake: Intake,
        incident: Incident,
        outcome: Done | Refused,
        *,
        vigil: Watching = KEEP,
        is_told: bool = True,
    ) -> None:
        if isinstance(outcome, Refused):
            content = render.refused(outcome.why, incident, intake.user)
            await self._decline(intake, outcome.why, content, incident.target)
            return
        now = outcome.incident
        entry = Entry(
            key=f"request:{intake.id}", kind="act", at=intake.received_at, user=intake.user, text=outcome.text
        )
        notes = await self._cases.root(now, vigil=vigil)
        if is_told:
            notes.append(below(now, f"act:{intake.id}", render.act(intake.user, outcome.text)))
        await self._history.act(intake, now, [entry], notes, _now(), vigil=vigil)
        self._outbox.wake()

    async def _decline(self, intake: Intake, why: str, content: Content, target: str) -> None:
        await self._history.decline(intake, why, target, (reply(intake, content),), _now())
        self._outbox.wake()

    async def _watch(self, intake: Intake, incident: Incident) -> None:
        if await self._history.vigil(incident.id) is not None:
            await self._act(intake, incident, Refused(why="watched"))
        elif incident.state != "open":
            await self._act(intake, incident, Refused(why="healthy" if incident.state == "recovered" else "resolved"))
        else:
            now = _now()
            vigil = Vigil(
                incident=incident.id, user=intake.user, started_at=now, next_at=now + incidents.pause_after(0)
            )
            done = Done(incident=incident, text="has it watched until it is fixed")
            await self._act(intake, incident, done, vigil=vigil)
            self._on_vigil()

    async def _unwatch(self, intake: Intake, incident: Incident) -> None:
        if await self._history.vigil(incident.id) is None:
            await self._act(intake, incident, Refused(why="unwatched"))
        else:
            await self._act(intake, incident, Done(incident=incident, text="stopped watching it"), vigil=None)

    async def _more(self, intake: Intake, incident: Incident, what: str) -> None:
        check = await self._history.check(incident.last_check)
        if what == render.TIMELINE:
            content = render.timeline(incident, await self._history.timeline(incident.id))
        elif what == render.BEFORE:
            content = render.before(incident, await self._cases.alike(incident, await self._quotable(intake)), _now())
        elif what == render.WORKED and check is not None:
            seen_in = await self._quotable(intake)
            good = await self._last_worked(check, seen_in=seen_in)
            appeared = await self._appeared(check, seen_in, good, incident.opened_at)
            content = render.worked(check, good, appeared)
        else:
            content = words.unknown_button()
        await self._history.act(intake, incident, [], [reply(intake, content)], _now())
        self._outbox.wake()

    # ── notes ───────────────────────────────────────────────────────────────────

    async def note(self, intake: Intake, asked: TimelineNote) -> None:
        """`note TEXT`: for the incident of the thread it is said in, or the channel's newest."""
        source = _Source(ts=intake.message_ts or "", thread_ts=intake.thread_ts, user=intake.user, text=asked.text)
        incident = await self._of(intake, source)
        if incident is None:
            await self._decline(intake, "no incident", render.no_incident(), "")
            return
        async with self._cases.alone(intake.channel, f"message {source.ts or intake.key}"):
            await self._noted(intake, incident, source, key=_note_key(intake, source))

    async def shortcut(self, intake: Intake) -> None:
        """*Add to timeline* on a message, whose words came with the request."""
        given = json.loads(intake.text)
        source = _Source(
            ts=str(given["ts"]),
            thread_ts=given.get("thread_ts"),
            user=str(given.get("user") or intake.user),
            text=str(given.get("text") or "(no text)"),
            edited_ts=given.get("edited_ts"),
        )
        incident = await self._of(intake, source)
        if incident is None:
            await self._decline(intake, "no incident", render.no_incident(), "")
            return
        async with self._cases.alone(intake.channel, f"message {source.ts}"):
            await self._noted(intake, incident, source, key=f"message:{source.ts}")

    async def pinned(self, intake: Intake) -> None:
        """📌 on a message of an incident's thread, or of a channel that has an incident; elsewhere it is not for us."""
        ts = intake.message_ts or ""
        async with self._cases.alone(intake.channel, f"message {ts}"):
            message = await self._messages.read(intake.team, intake.channel, ts)
            source = _source_of(message) if message is not None else None
            incident = await self._of(intake, source) if source is not None else None
            unpinned = await self._history.last_unpinned(intake.team, intake.channel, ts, intake.user)
            if source is None or incident is None or unpinned > _version(intake):
                await self._history.decline(intake, "no incident, no message or no pin", "", (), _now())
                return
            await self._noted(intake, incident, source, key=f"message:{source.ts}", is_answered=False)

    async def _of(self, intake: Intake, source: _Source) -> Incident | None:
        for ts in (source.thread_ts, source.ts):
            found = await self._history.in_thread(intake.team, intake.channel, ts) if ts else None
            if found is not None:
                return found
        return await self._history.newest_standing(intake.team, intake.channel)

    async def _noted(
        self, intake: Intake, incident: Incident, source: _Source, *, key: str, is_answered: bool = True
    ) -> None:
        async with self._cases.alone(incident.channel, incident.endpoint):
            known = await self._history.entry(incident.id, key)
            entry = Entry(
                key=key,
                kind="note",
                at=_moment(source.ts) or intake.received_at,
                user=source.user,
                text=source.text,
                source_ts=source.ts or None,
                added_by=intake.user,
                edited_ts=source.edited_ts,
            )
            is_new = known is None or known.state == "withdrawn"
            entries, notes = [], []
            if is_new:
                entries = [entry]
                if not await self._is_in_its_thread(incident, source):
                    notes.append(below(incident, f"note:{key}", render.noted(entry)))
            if is_answered:
                link = await self._cases.link(incident)
                notes.append(reply(intake, render.note_taken(incident, link, is_new=is_new)))
            current = await self._history.incident(incident.id)
            await self._history.act(intake, current or incident, entries, notes, _now())
        self._outbox.wake()

    async def _is_in_its_thread(self, incident: Incident, source: _Source) -> bool:
        if not source.ts:
            return False
        ts, _ = await self._history.posted_as(incident.root)
        return source.thread_ts in {ts, incident.thread_ts} - {None} or source.ts == ts

    async def mirrored(self, intake: Intake) -> None:
        """What happened to a message happens to the notes taken from it: an edit, a deletion, an unpinning."""
        async with self._cases.alone(intake.channel, f"message {intake.message_ts}"):
            await self._mirrored(intake)

    async def _mirrored(self, intake: Intake) -> None:
        ts = intake.message_ts or ""
        found = await self._history.taken_from(intake.team, intake.channel, ts)
        entries = []
        for incident, known in found:
            if intake.action == UNPIN and known.added_by != intake.user:
                continue
            after = incidents.merged(known, _news(intake, known))
            if after is not None:
                entries.append((incident, after))
        if not entries:
            await self._history.decline(intake, "nothing to mirror", "", (), _now())
            return
        for incident, after in entries:
            async with self._cases.alone(incident.channel, incident.endpoint):
                current = await self._history.incident(incident.id) or incident
                notes = []
                if await self._history.is_noted(below_key(incident, f"note:{after.key}")):
                    notes.append(below(incident, f"note:{after.key}", _as_noted(after)))
                await self._history.act(intake, current, [after], notes, _now())
        self._outbox.wake()

    # ── the post-mortem ─────────────────────────────────────────────────────────

    async def _postmortem(self, intake: Intake, incident: Incident) -> None:
        entries = await self._history.timeline(incident.id)
        edition = _edition(incident, entries)
        if await self._history.is_noted(below_key(incident, f"post-mortem:{edition}:md")):
            await self._decline(intake, "uploaded already", render.exported_already(incident), incident.target)
            return
        seen_in = await self._quotable(intake)
        numbers = dict.fromkeys(
            [incident.first_check, *(entry.check for entry in entries if entry.check), incident.last_check]
        )
        checks = [check for number in numbers if (check := await self._history.check(number)) is not None]
        good = await self._last_worked(checks[0], seen_in=seen_in) if checks else None
        story = postmortem.Story(
            incident=incident,
            entries=entries,
            checks=checks,
            good=good,
            alike=await self._history.alike(incident, seen_in=seen_in, limit=ALIKE),
            now=_now(),
        )
        stem = postmortem.stem(story)
        written, data = await asyncio.to_thread(_exports, story)
        notes = [
            replace(
                below(incident, f"post-mortem:{edition}:{kind}", render.exported(incident, title)),
                kind="file",
                filename=f"{stem}.{kind}",
                file_text=text,
            )
            for kind, title, text in (("md", "Markdown", written), ("json", "JSON", data))
        ]
        await self._history.act(intake, incident, [], notes, _now())
        self._outbox.wake()


def _exports(story: postmortem.Story) -> tuple[str, str]:
    return postmortem.as_markdown(story), json.dumps(postmortem.as_json(story), indent=2, ensure_ascii=False) + "\n"


def _edition(incident: Incident, entries: Sequence[Entry]) -> str:
    """Changes when what the post-mortem says does."""
    parts = [str(len(entries)), str(max((entry.id for entry in entries), default=0))]
    return "-".join([*parts, max((entry.edited_ts or "" for entry in entries), default=""), incident.state])


def _source_of(message: Message) -> _Source:
    return _Source(
        ts=message.ts,
        thread_ts=message.thread_ts,
        user=message.user,
        text=message.text or "(no text)",
        edited_ts=message.edited_ts,
    )


def _note_key(intake: Intake, source: _Source) -> str:
    return f"message:{source.ts}" if source.ts else f"request:{intake.id}"


def _news(intake: Intake, known: Entry) -> Entry:
    """*known* as the event says that it is now."""
    given = json.loads(intake.text)
    version = str(given.get("version") or "") or None
    match intake.action:
        case other if other == DELETED:
            return replace(known, state="deleted", edited_ts=version)
        case other if other == UNPIN:
            return replace(known, state="withdrawn", edited_ts=known.edited_ts)
        case _:
            return replace(known, text=_without_command(str(given.get("text") or "")), edited_ts=version)


def _version(intake: Intake) -> str:
    """The time, as Slack tells it, of the event."""
    return str(json.loads(intake.text).get("version") or "")


def _without_command(text: str) -> str:
    """The words of a note whose message began as a command to the bot."""
    command = commands.parse(text)
    return command.text if isinstance(command, TimelineNote) else text


def _as_noted(entry: Entry) -> Content:
    if entry.state == "live":
        return render.noted(entry)
    return render.note_gone(entry)


def _moment(ts: str) -> datetime | None:
    """A message's time. Slack's ts are Unix seconds."""
    try:
        return datetime.fromtimestamp(float(ts), UTC) if ts else None
    except (ValueError, OverflowError, OSError):
        return None


def _now() -> datetime:
    return datetime.now(UTC)
