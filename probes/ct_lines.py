"""What `tls ct` prints: what was told and how logs stand, for people and as JSON. Nothing here reads or waits."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from probes.ct.position import Event, Position
from probes.ct_follow import ListChange, Status
from probes.ct_store import Found, event_json, finding_json
from probes.model import shown

MARK = {"critical": "✗", "warning": "!", "notice": "·"}
_NAMES_SHOWN = 4


def as_line(told: Found | Event | ListChange, at: datetime) -> dict[str, Any]:
    if isinstance(told, Found):
        return finding_json(told, "issuance", at)
    if isinstance(told, Event):
        return event_json(told, at)
    return {"schema": 1, "type": "list", "text": told.text}


def as_text(told: Found | Event | ListChange) -> str:
    if isinstance(told, ListChange):
        return f"· log list: {shown(told.text, 300)}"
    if isinstance(told, Event):
        return f"{MARK[told.severity]} {told.kind}: {shown(told.text, 600)}"
    facts, seen = told.issuance.facts, told.issuance.first
    more = len(facts.names) - _NAMES_SHOWN
    names = ", ".join(facts.names[:_NAMES_SHOWN]) + (f" and {more} more names" if more > 0 else "")
    logged = datetime.fromtimestamp(min(seen.timestamp_ms / 1000, 4e9), UTC)
    if told.issuance.matches:
        why = ", ".join(sorted({match.domain for match in told.issuance.matches}))
        first = f"+ {why}: {shown(names, 400)}"
    else:
        similar = told.lookalikes[0]
        first = f"~ {shown(similar.name, 100)} looks like {similar.domain} ({similar.why})"
    until = f"until {facts.not_after:%Y-%m-%d}, " if facts.not_after else ""
    what = "precertificate" if seen.is_precert else "certificate"
    sure = "" if told.verified else "; NOT under a head that the log signed"
    by, where = shown(facts.ca or facts.issuer or "an unreadable issuer", 100), shown(told.log.description, 100)
    return (
        f"{first}\n"
        f"    by {by}, {until}serial {facts.serial}\n"
        f"    {what}, logged {logged:%Y-%m-%d %H:%M:%S} UTC in {where}, entry {seen.index}{sure}\n"
        f"    TBS {told.issuance.tbs_sha256}  key {facts.spki_sha256}"
    )


def stored_json(position: Position, named: dict[str, str]) -> dict[str, Any]:
    raised = [each.split(" ")[0] for each in position.raised]
    promised = position.promised.size if position.promised else 0
    trouble = position.trouble if position.state not in ("finished", "gone") else None
    critical = {"split-view", "shrunken", "inconsistent"}
    concerning = set(raised) - {"finished"}
    return {
        "log": named.get("description", position.log_id),
        "log_id": position.log_id,
        "url": named.get("url", ""),
        "state": position.state,
        "first": position.first,
        "downloaded": position.downloaded,
        "verified": position.verified_size,
        "promised": promised,
        "behind": max(promised - position.verified_size, 0),
        "newest_entry": _moment(position.newest_ms),
        "newest_head": _moment(position.newest_head_ms),
        "raised": raised,
        "malformed": {"told": position.malformed.told, "counted": position.malformed.more},
        "listed": named.get("state", ""),
        "trouble": trouble and {"what": trouble.what, "why": trouble.why, "since": _moment(trouble.since_ms)},
        "severity": "critical" if concerning & critical else "warning" if concerning or trouble else "notice",
    }


def status_json(status: Status) -> dict[str, Any]:
    lag = status.lag
    return {
        "schema": 1,
        "type": "status",
        "log": status.log.description,
        "log_id": status.log.log_id.hex(),
        "state": status.state,
        "first": status.first,
        "downloaded": status.downloaded,
        "verified": status.verified,
        "promised": status.promised,
        "behind": lag.entries if lag else None,
        "newest_entry_age_s": _seconds(lag.entry_age) if lag else None,
        "newest_head_age_s": _seconds(lag.head_age) if lag else None,
        "trouble": status.trouble,
    }


def status_text(status: Status) -> str:
    said = status_json(status)
    age = said["newest_entry_age_s"]
    read = f"{status.verified:,} of {status.promised:,} entries verified"
    newest = f", newest entry {timedelta(seconds=age)} old" if age is not None else ""
    trouble = f"; {shown(status.trouble, 200)}" if status.trouble else ""
    mark, name = "!" if status.trouble else "✓", shown(status.log.description, 100)
    return f"{mark} {name}: {status.state}, {read}{newest}{trouble}"


def _seconds(length: timedelta | None) -> int | None:
    return None if length is None else int(length.total_seconds())


def _moment(stamp_ms: int) -> str | None:
    if not stamp_ms:
        return None
    return datetime.fromtimestamp(min(stamp_ms / 1000, 4e9), UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
