"""A CA that wants many certificates of one channel replaced at once: one message for all of them. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from bot.expiry import Suggested
from bot.lineages import Lineage

MASS = 3  # certificates of one CA in one channel: fewer speak for themselves


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """One certificate of a mass replacement."""

    lineage: int
    name: str
    certificate: str
    owner: str = ""
    is_replaced: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Mass:
    """A CA wants many certificates of one channel replaced at once: one message for all of them."""

    id: int = 0
    team: str
    channel: str
    authority: str
    opened_at: datetime
    deadline: datetime  # the earliest end of their windows
    explanation_url: str = ""
    members: tuple[Member, ...] = ()
    is_open: bool = True
    was_late: bool = False  # the deadline has passed, and people were told who is left
    shown: str = ""

    @property
    def root(self) -> str:
        return f"mass:{self.id}"

    @property
    def left(self) -> tuple[Member, ...]:
        return tuple(each for each in self.members if not each.is_replaced)


def jumps(lineage: Lineage) -> tuple[Suggested, ...]:
    """The certificates of *lineage* that their CA wants back, and that no message for many names yet."""
    served = {place.leaf for place in lineage.places}
    return tuple(
        each
        for each in lineage.suggested
        if each.jumped and each.certificate in served and each.certificate not in lineage.massed
    )


def joined(
    mass: Mass | None, lineages: Sequence[Lineage], authority: str, now: datetime
) -> tuple[Mass, tuple[Lineage, ...]] | None:
    """The mass replacement that *lineages*, of one channel and CA, amount to or add to; None while each speaks for
    itself."""
    found = [(lineage, each) for lineage in lineages for each in jumps(lineage)]
    if not found or (mass is None and len(found) < MASS):
        return None
    members = tuple(
        Member(
            lineage=lineage.id,
            name=lineage.name,
            certificate=each.certificate,
            owner=lineage.owner,
        )
        for lineage, each in found
    )
    windows = [each.window for _, each in found]
    first = lineages[0]
    whole = mass or Mass(
        team=first.team,
        channel=first.channel,
        authority=authority,
        opened_at=now,
        deadline=min(each.end for each in windows),
        explanation_url=next((each.explanation_url for each in windows if each.explanation_url), ""),
    )
    known = {(each.lineage, each.certificate) for each in whole.members}
    added = tuple(each for each in members if (each.lineage, each.certificate) not in known)
    after = {lineage.id: lineage for lineage, _ in found}
    for member in members:
        each = after[member.lineage]
        after[member.lineage] = replace(each, massed=tuple(sorted({*each.massed, member.certificate})))
    deadline = min([whole.deadline, *(each.end for each in windows)])
    return replace(whole, members=whole.members + added, deadline=deadline), tuple(after.values())


def progressed(mass: Mass, lineage: Lineage) -> Mass:
    """After a look of *lineage*: what it no longer serves anywhere is replaced. Over when all are."""
    served = {sha256 for place in lineage.places for sha256 in place.path}
    members = tuple(
        replace(each, is_replaced=each.certificate not in served) if each.lineage == lineage.id else each
        for each in mass.members
    )
    return replace(mass, members=members, is_open=any(not each.is_replaced for each in members))
