"""Rows of the memory ↔ values. Pure."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime
from typing import Any

from bot.model import Content, Incident, Intake, Note, Owed, PastCheck, StoredIdentity
from probes.codec import from_json


def stamp(moment: datetime) -> str:
    """*moment* in UTC, in a form that sorts as text."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds")


def moment(text: str) -> datetime:
    """The time that a `stamp` names."""
    return datetime.fromisoformat(text)


def like(word: str) -> str:
    """A LIKE pattern, with `\\` as its escape, for texts that hold *word*."""
    escaped = word.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    return f"%{escaped}%"


def intake_of(row: dict[str, Any]) -> Intake:
    return Intake(
        **{name: row[name] for name in Intake.__dataclass_fields__ if name not in {"received_at", "ephemeral_button"}},
        received_at=moment(row["received_at"]),
        ephemeral_button=bool(row["ephemeral_button"]),
    )


def past_check_of(row: dict[str, Any]) -> PastCheck:
    report = from_json(json.loads(row["report"]))
    kept = {name: row[name] for name in ("id", "team", "channel", "user", "command", "headline")}
    return PastCheck(**kept, at=moment(row["at"]), report=report)


def incident_of(row: dict[str, Any]) -> Incident:
    return Incident(
        id=row["id"],
        channel=row["channel"],
        target=row["target"],
        cause=row["cause"],
        state=row["state"],
        opened_at=moment(row["opened_at"]),
        ended_at=moment(row["ended_at"]) if row["ended_at"] else None,
        checks=row["checks"],
    )


def identity_row(identity: StoredIdentity) -> dict[str, Any]:
    """The columns of an identity, but for its sealed key."""
    return {
        "team": identity.team,
        "name": identity.name,
        "patterns": json.dumps(identity.patterns),
        "chain": json.dumps([base64.b64encode(der).decode("ascii") for der in identity.chain]),
        "added_by": identity.added_by,
        "added_at": stamp(identity.added_at),
    }


def stored_identity_of(row: dict[str, Any]) -> StoredIdentity:
    return StoredIdentity(
        team=row["team"],
        name=row["name"],
        patterns=tuple(json.loads(row["patterns"])),
        chain=tuple(base64.b64decode(text) for text in json.loads(row["chain"])),
        added_by=row["added_by"],
        added_at=moment(row["added_at"]),
    )


def owed_of(row: dict[str, Any]) -> Owed:
    content = json.loads(row["content"])
    note = Note(
        key=row["key"],
        kind=row["kind"],
        team=row["team"],
        channel=row["channel"],
        content=Content(text=content["text"], blocks=tuple(content["blocks"]), classic=tuple(content["classic"])),
        parent=row["parent"],
        thread_ts=row["thread_ts"],
        user=row["user"],
        response_url=row["response_url"],
        replace_original=bool(row["replace_original"]),
        filename=row["filename"],
        file_text=row["file_text"],
    )
    return Owed(
        id=row["id"],
        note=note,
        revision=row["revision"],
        sent_revision=row["sent_revision"],
        ts=row["ts"],
        thread_ts=row["place"],
        attempted_at=row["attempted_at"],
        attempts=row["attempts"],
        upload=row["upload"],
    )
