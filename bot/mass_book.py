"""A CA that wants many certificates back, as it is remembered; on the memory's thread, inside a transaction."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from bot import masses
from bot.history import Book
from bot.lineages import Lineage
from bot.masses import Mass
from bot.model import Note
from bot.plain import digest_of, text_of, typed
from bot.render import expiry as words


class MassBook(Book):
    """The mass replacements of all channels: told once, kept current, and called out when their time is up."""

    def joined(
        self, lineages: Sequence[Lineage], authority: str, now: datetime
    ) -> tuple[dict[int, Lineage], list[Note]]:
        """What a CA's answers for *lineages*, of one channel, amount to: those told together, and the notes."""
        first = lineages[0]
        standing = next(iter(self._open(first.team, first.channel, authority)), None)
        found = masses.joined(standing, lineages, authority, now)
        if found is None:
            return {}, []
        mass, members = found
        return {each.id: each for each in members}, self._tell(self._keep(mass), is_new=standing is None)

    def progressed(self, was: Lineage, lineage: Lineage) -> list[Note]:
        """A look of one that is told together with others."""
        if not was.massed:
            return []
        notes = []
        for mass in self._open(was.team, was.channel):
            after = masses.progressed(mass, lineage)
            if after != mass:
                notes += self._tell(after)
        return notes

    def late(self, now: datetime) -> list[Note]:
        """Masses whose deadline is over: whoever is left is called, once."""
        notes = []
        for row in self._rows("select id, state from masses where is_open"):
            mass = _mass_of(row)
            if now >= mass.deadline and not mass.was_late:
                self._keep(replace(mass, was_late=True))
                notes.append(
                    replace(_root(mass), key=f"{mass.root}:late", parent=mass.root, content=words.mass_late(mass))
                )
        return notes

    def _tell(self, mass: Mass, *, is_new: bool = False) -> list[Note]:
        root = _root(mass)
        shown = digest_of(root.content)
        notes = [root] if shown != mass.shown else []
        self._keep(replace(mass, shown=shown))
        calls = words.mass_calls(each.owner for each in mass.members) if is_new else None
        if calls is not None:
            notes.append(replace(root, key=f"{mass.root}:owners", parent=mass.root, content=calls))
        if not mass.is_open:
            notes.append(replace(root, key=f"{mass.root}:over", parent=mass.root, content=words.mass_over(mass)))
        return notes

    def _open(self, team: str, channel: str, authority: str | None = None) -> list[Mass]:
        rows = self._rows(
            "select id, state from masses where team = ?1 and channel = ?2 and is_open"
            " and authority = coalesce(?3, authority)",
            team,
            channel,
            authority,
        )
        return [_mass_of(row) for row in rows]

    def _keep(self, mass: Mass) -> Mass:
        execute = self._db.execute
        if not mass.id:
            sql = "insert into masses (team, channel, authority, is_open, state) values (?, ?, ?, 1, '')"
            mass = replace(mass, id=int(execute(sql, (mass.team, mass.channel, mass.authority)).lastrowid or 0))
        sql = "update masses set is_open = ?, state = ? where id = ?"
        execute(sql, (int(mass.is_open), text_of(mass), mass.id))
        return mass


def _root(mass: Mass) -> Note:
    return Note(key=mass.root, kind="message", team=mass.team, channel=mass.channel, content=words.mass(mass))


def _mass_of(row: Mapping[str, object]) -> Mass:
    return replace(typed(Mass, json.loads(str(row["state"]))), id=int(str(row["id"])))
