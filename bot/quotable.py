"""Whose checks may be told where a request was made."""

from __future__ import annotations

from bot.history import History
from bot.model import Intake
from bot.people import People
from bot.rooms import Rooms

_MOST_ROOMS = 40  # other channels that one answer looks into; conversations.info is Tier 3 (50 a minute)


class Quotable:
    """The channels whose checks may be told where *intake* was asked: that one itself, and the public ones where all
    who read along are members of the workspace, and so is who asked."""

    def __init__(self, *, history: History, rooms: Rooms, people: People) -> None:
        self._history = history
        self._rooms = rooms
        self._people = people

    async def __call__(self, intake: Intake) -> list[str]:
        # Nobody asked for a look: what it says stands in the channel, and there the channel alone decides.
        is_member = not intake.user or await self._people.is_member(intake.team, intake.user)
        if not is_member or await self._rooms.is_shared(intake.team, intake.channel):
            return [intake.channel]
        others = await self._history.channels(intake.team, limit=_MOST_ROOMS)
        others = [room for room in others if room != intake.channel]
        return [intake.channel, *await self._rooms.public(intake.team, others)]
