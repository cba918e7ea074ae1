"""What the watching parts say in a digest: lineages that want a renewal, and drift."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any, Final

from bot import issuances
from bot.ct_book import CtBook
from bot.digest import Item, Said, Weight
from bot.digest_book import DigestBook
from bot.digesting import Source
from bot.expiry import CRITICAL, Step
from bot.lineage_book import LineageBook
from bot.lineages import Lineage
from bot.render import ct as ct_words
from bot.render.limits import code, prose
from bot.render.words import listed

_STEPS: Final[dict[Step, str]] = {
    "overdue": "renewal overdue",
    "undeployed": "renewed, not in use everywhere",
    "sixth": "not renewed yet",
    "wanted": "its CA wants it replaced",
    "twelfth": "still not renewed",
    "last": "about to expire",
    "expired": "expired",
    "revoked": "revoked",
}


def of_lineages(book: LineageBook) -> Source:
    """Open lineages need their owner."""

    async def source(team: str, channel: str, since: datetime, now: datetime) -> Said:
        return Said(needs=tuple(_item(lineage, now) for lineage in await book.open_ones(team, channel)))

    return source


def _item(lineage: Lineage, now: datetime) -> Item:
    step = lineage.told[-1][0] if lineage.told else "sixth"
    until = f", ends {lineage.until:%-d %B}" if lineage.until is not None and lineage.until > now else ""
    state = ""
    if lineage.snoozed_until is not None and lineage.snoozed_until > now:
        state = f", snoozed until {lineage.snoozed_until:%-d %B}"
    elif lineage.acknowledged_by:
        state = f", <@{lineage.acknowledged_by}> is at it"
    weight: Weight = "critical" if step in CRITICAL else "warning"
    return Item(
        weight="notice" if state.startswith(", snoozed") else weight,
        subject=lineage.names[0] if lineage.names else "a certificate without names",
        text=f"{_STEPS[step]}{until}{state}",
        owner=lineage.owner,
        key=lineage.root,
    )


def of_issuances(book: CtBook) -> Source:
    """Certificates in CT logs: what nobody answered needs somebody; the expected, look-alikes and logs stand aside."""

    async def source(team: str, channel: str, since: datetime, now: datetime) -> Said:
        found = await book.since(team, channel, since)
        needs = tuple(
            Item(
                weight="critical" if issuances.is_forbidden(found.caa.get(case.tbs)) else "warning",
                subject=issued.matches[0].name if issued.matches else case.domains[0],
                text=f"a certificate by {code(issued.ca or '?', 60)} that nobody is known to have asked for",
                key=case.told_in or case.root,
            )
            for case, issued in found.waiting
        )
        changed = tuple(
            Item(
                weight="notice",
                subject=issued.matches[0].name if issued.matches else case.domains[0],
                text=f"its certificate by {code(issued.ca or '?', 60)} was expected, says <@{case.answered_by}>",
                key=case.told_in or case.root,
            )
            for case, issued in found.answered
            if case.state == "approved"
        )
        return Said(needs=needs, changed=changed, aside=ct_words.aside(found))

    return source


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
        return Item(weight="notice", subject=row["target"], text=f"back as it was: {text}{where}")
    return Item(weight=weight, subject=row["target"], text=f"{text}{where}")
