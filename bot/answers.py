"""How a request is answered: to whoever asked, or aloud. That it is done, and its answer, are one transaction."""

from __future__ import annotations

from datetime import UTC, datetime

from bot.history import History
from bot.model import Content, Intake, Note
from bot.notify import Outbox
from bot.render import words

_PEOPLE = frozenset({"", "U", "W"})  # how the ids of people begin; where a channel's is none


def reply(intake: Intake, content: Content, *, replaces: bool = False) -> Note:
    """*content* for whoever asked, and for nobody else. *replaces*: in the place of the message that was pressed.

    What was asked in no channel (the App Home, a global shortcut) is answered in a direct message.
    """
    return Note(
        key=f"reply:{intake.key}",
        kind="message" if intake.channel[:1] in _PEOPLE else "reply",
        team=intake.team,
        channel=intake.channel or intake.user,
        user=intake.user,
        response_url=intake.response_url,
        thread_ts=intake.thread_ts,
        replace_original=replaces and intake.ephemeral_button,
        content=content,
    )


def aloud(intake: Intake, key: str, content: Content) -> Note:
    """*content* for everybody, where *intake* was asked."""
    return Note(
        key=key,
        kind="message",
        team=intake.team,
        channel=intake.channel,
        thread_ts=intake.thread_ts,
        user=intake.user,
        content=content,
    )


class Answers:
    """Writes down what is to be said, and has it said."""

    def __init__(self, history: History, outbox: Outbox) -> None:
        self._history = history
        self._outbox = outbox

    async def private(self, intake: Intake, content: Content, *, replaces: bool = False) -> None:
        """Tell whoever asked, and nobody else; the request is done."""
        await self.finish(intake, reply(intake, content, replaces=replaces))

    async def as_asked(self, intake: Intake, what: str, content: Content) -> None:
        """Asked aloud, answered aloud: in a thread it becomes part of the incident. A command's answer is private."""
        if intake.kind == "mention":
            await self.finish(intake, aloud(intake, f"{what}:{intake.id}", content))
        else:
            await self.private(intake, content)

    async def fault(self, intake: Intake, error_id: str) -> None:
        """Our own fault; the request is over."""
        await self.finish(intake, reply(intake, words.fault(error_id, what="That")), error=error_id)

    async def finish(self, intake: Intake, *notes: Note, error: str | None = None) -> None:
        """The request is done, and *notes* are to be said."""
        await self._history.finish(intake.id, datetime.now(UTC), notes, error=error)
        self._outbox.wake()

    async def note(self, *notes: Note) -> None:
        """*notes* are to be said; the request goes on."""
        await self._history.note(notes)
        self._outbox.wake()

    def wake(self) -> None:
        """What was written elsewhere is to be said."""
        self._outbox.wake()
