"""Watches and lookouts as rows of the memory ↔ values; how they are asked for. Pure."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any, Final, TypeAlias

from bot.watched import Failing, Flood, Lookout, Watch
from probes.model import Target

Row: TypeAlias = dict[str, Any]
LOOKOUT: Final = (
    "l.id as l_id, l.host, l.port, l.server_name, l.starttls, l.identity, l.bundle, l.status, l.cause,"
    " l.broken_since, l.goods, l.light, l.full, l.gist, l.seen_leaves, l.light_at, l.full_at, l.told_at, l.expires_at"
)
WATCHES: Final = f"select w.*, {LOOKOUT} from watches w join lookouts l on l.id = w.lookout"  # noqa: S608 - ours
# Not where the channel was archived or deleted, the bot sent away, or taken out of the workspace (`bot.places`).
HEARD: Final = (
    "not exists (select 1 from closed_channels x where x.team = w.team and x.channel in (w.channel, '*')"
    " and x.why != '')"
)


def key(lookout: Lookout) -> tuple[Any, ...]:
    target = lookout.target
    name = target.server_name or ""
    return (
        lookout.team,
        target.host,
        target.port,
        name,
        target.starttls or "",
        lookout.identity or "",
        lookout.bundle,
    )


def seconds(at: datetime | None) -> float | None:
    return at.timestamp() if at else None


def utc(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def maybe(seconds: float | None) -> datetime | None:
    return None if seconds is None else utc(seconds)


def lookout_of(row: Row) -> Lookout:
    return Lookout(
        id=row["l_id"],
        team=row["team"],
        target=Target(
            host=row["host"],
            port=row["port"],
            server_name=row["server_name"] or None,
            starttls=row["starttls"] or None,
        ),
        identity=row["identity"] or None,
        bundle=row["bundle"],
        status=row["status"],
        cause=row["cause"],
        broken_since=maybe(row["broken_since"]),
        goods=row["goods"],
        light=row["light"],
        full=row["full"],
        gist=row["gist"],
        leaves=tuple(row["seen_leaves"].split()),
        light_at=maybe(row["light_at"]),
        full_at=maybe(row["full_at"]),
        told_at=maybe(row["told_at"]),
        expires_at=maybe(row["expires_at"]),
    )


def flood_of(row: Row) -> Flood:
    members = json.loads(row["members"])
    return Flood(
        key=row["key"],
        team=row["team"],
        channel=row["channel"],
        began_at=utc(row["began_at"]),
        members={
            int(number): Failing(target=target, cause=cause, is_over=is_over)
            for number, (target, cause, is_over) in members.items()
        },
    )


def watch_of(row: Row) -> Watch:
    return Watch(
        id=row["id"],
        team=row["team"],
        channel=row["channel"],
        lookout=lookout_of(row),
        owner=row["owner"],
        labels=tuple(json.loads(row["labels"])),
        expected_cas=tuple(json.loads(row["expected_cas"])),
        snoozed_until=maybe(row["snoozed_until"]),
        told=row["told"],
        added_by=row["added_by"],
        added_at=utc(row["added_at"]),
    )
