"""Rows of the memory ↔ values. Pure."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime
from typing import Any

from bot.model import CheckLine, Content, Entry, Incident, Intake, Note, Owed, PastCheck, StoredIdentity, Vigil
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


def _maybe(text: str | None) -> datetime | None:
    return moment(text) if text else None


def _columns(value: Any, *left_out: str) -> dict[str, Any]:
    """The fields of *value* as a row holds them."""
    fields = {name: getattr(value, name) for name in value.__dataclass_fields__ if name not in left_out}
    return {name: stamp(each) if isinstance(each, datetime) else each for name, each in fields.items()}


def incident_row(incident: Incident) -> dict[str, Any]:
    return _columns(incident, "id")


def incident_of(row: dict[str, Any]) -> Incident:
    times = ("asked_at", "cause_at", "recovered_at", "ended_at")
    kept = {name: row[name] for name in Incident.__dataclass_fields__}
    return Incident(**kept | {name: _maybe(row[name]) for name in times} | {"opened_at": moment(row["opened_at"])})


def entry_row(entry: Entry) -> dict[str, Any]:
    return _columns(entry, "id", "check") | {"check_id": entry.check}


def entry_of(row: dict[str, Any]) -> Entry:
    kept = {name: row[name] for name in Entry.__dataclass_fields__ if name not in {"check", "at"}}
    return Entry(**kept, check=row["check_id"], at=moment(row["at"]))


def vigil_row(vigil: Vigil) -> dict[str, Any]:
    return _columns(vigil)


def vigil_of(row: dict[str, Any]) -> Vigil:
    return Vigil(
        incident=row["incident"],
        user=row["user"],
        started_at=moment(row["started_at"]),
        looks=row["looks"],
        looked_at=_maybe(row["looked_at"]),
        next_at=_maybe(row["next_at"]),
    )


def check_line_of(row: dict[str, Any]) -> CheckLine:
    return CheckLine(**row | {"at": moment(row["at"])})


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
        is_passing=bool(row["passing"]),
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
