"""What the watching parts say in a digest: lineages that want a renewal, and drift."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from bot import issuances
from bot.ct_book import CtBook
from bot.digest import Item, Said, Weight, on
from bot.digest_book import DigestBook
from bot.digesting import Source
from bot.expiry import CRITICAL
from bot.issuances import Case, Issued
from bot.lineage_book import LineageBook
from bot.lineages import Lineage
from bot.render import ct as ct_words
from bot.render import words
from bot.render.ct import Since
from bot.render.expiry import STEPS
from bot.render.limits import code, prose
from bot.render.words import listed


def of_lineages(book: LineageBook) -> Source:
    """Open lineages need their owner, unless somebody put them off."""

    async def source(team: str, channel: str, since: datetime, now: datetime) -> Said:
        found = await book.open_ones(team, channel)
        snoozed = {each.id for each in found if each.snoozed_until is not None and each.snoozed_until > now}
        return Said(
            needs=tuple(_item(each, now) for each in found if each.id not in snoozed),
            rests=tuple(_item(each, now) for each in found if each.id in snoozed),
        )

    return source


def _item(lineage: Lineage, now: datetime) -> Item:
    step = lineage.told[-1][0] if lineage.told else "sixth"
    weight: Weight = "critical" if step in CRITICAL else "warning"
    state, owner = "", lineage.owner
    if lineage.snoozed_until is not None and lineage.snoozed_until > now:
        weight, state, owner = "notice", f", snoozed until {on(lineage.snoozed_until)}", ""
    elif lineage.acknowledged_by:
        state, owner = f", <@{lineage.acknowledged_by}> is at it", ""
    return Item(
        weight=weight,
        subject=lineage.name,
        text=f"{STEPS[step]}{state}",
        owner=owner,
        key=lineage.root,
        by=lineage.until,
    )


def of_issuances(book: CtBook) -> Source:
    """Certificates in CT logs: what nobody answered needs somebody; the expected, look-alikes and logs stand aside."""

    async def source(team: str, channel: str, since: datetime, now: datetime) -> Said:
        found = await book.since(team, channel, since)
        needs = tuple(_waiting(found, told) for told in _by_message(found.waiting))
        changed = tuple(
            Item(
                weight="notice",
                subject=_name(case, issued),
                text=f"its certificate by {code(issued.ca or '?', 60)} was expected, says <@{case.answered_by}>",
                key=case.message,
            )
            for case, issued in found.answered
            if case.state == "approved"
        )
        domains = len(await book.guards(team, channel))
        return Said(needs=needs, changed=changed, aside=ct_words.aside(found), domains=domains)

    return source


def _name(case: Case, issued: Issued) -> str:
    return issued.matches[0].name if issued.matches else case.domains[0]


def _by_message(waiting: Iterable[tuple[Case, Issued]]) -> list[list[tuple[Case, Issued]]]:
    """Those that one message tells of are one thing to do."""
    told: dict[str, list[tuple[Case, Issued]]] = {}
    for case, issued in waiting:
        told.setdefault(case.message, []).append((case, issued))
    return list(told.values())


def _waiting(found: Since, told: Sequence[tuple[Case, Issued]]) -> Item:
    case, issued = told[0]
    what = f"a certificate by {code(issued.ca or '?', 60)}"
    if len(told) > 1:
        what += f" and {words.counted(len(told) - 1, 'more', 'more')} told with it"
    return Item(
        weight="critical" if any(issuances.is_forbidden(found.caa.get(each.tbs)) for each, _ in told) else "warning",
        subject=_name(case, issued),
        text=f"{what}; nobody is known to have asked for {'them' if len(told) > 1 else 'it'}",
        key=case.message,
    )


def of_drift(book: DigestBook) -> Source:
    """What drifted since the last digest, and what went back."""

    async def source(team: str, channel: str, since: datetime, now: datetime) -> Said:
        return Said(changed=tuple(_drift(row) for row in await book.drifted(team, channel, since)))

    return source


def _drift(row: dict[str, Any]) -> Item:
    addresses = json.loads(row["addresses"] or "[]")
    where = f" at {listed((code(each, 60) for each in addresses), 3)}" if addresses else ""
    text = prose(row["text"], 160)
    weight: Weight = row["severity"] if row["severity"] in {"critical", "warning"} else "notice"
    if row["ended"] == "back":
        return Item(weight="notice", subject=row["target"], text=f"right again; it was: {text}{where}")
    return Item(weight=weight, subject=row["target"], text=f"{text}{where}")
