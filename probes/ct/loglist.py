"""The list of logs, version 3 JSON: which logs there are, in which state, and which of them a monitor follows.

The list holds placeholder logs on purpose: what cannot be a log becomes a problem text, never an exception.
"""

from __future__ import annotations

import json
from base64 import b64decode
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any, Literal

Kind = Literal["rfc6962", "static"]
State = Literal["pending", "qualified", "usable", "readonly", "retired", "rejected", "unknown"]
STATES: tuple[State, ...] = ("pending", "qualified", "usable", "readonly", "retired", "rejected")
LONGEST_LIST = 16 << 20
DEFAULT_MMD_S = 86400


class BadList(ValueError):
    """The bytes are no log list at all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Log:
    """One log. *url* is where entries are read (RFC 6962: the prefix of `ct/v1/`; static: the monitoring prefix),
    always with a slash at its end; *origin* is the name in checkpoints; *final* the last head of a read-only log.

    *start* and *end* bound the notAfter of the certificates that it takes: [start, end).
    """

    description: str
    operator: str
    log_id: bytes
    key: bytes
    kind: Kind
    url: str
    submission_url: str
    origin: str = ""
    mmd_s: int = DEFAULT_MMD_S
    state: State = "usable"
    state_since: datetime | None = None
    final: tuple[int, bytes] | None = None
    start: datetime | None = None
    end: datetime | None = None
    log_type: str = "prod"


@dataclass(frozen=True, slots=True, kw_only=True)
class LogList:
    """A list as published; *problems* are about entries of it that are no usable logs."""

    version: str
    timestamp: datetime | None
    logs: tuple[Log, ...]
    problems: tuple[str, ...] = ()

    def by_id(self) -> dict[bytes, Log]:
        """The logs by log id."""
        return {log.log_id: log for log in self.logs}


@dataclass(frozen=True, slots=True, kw_only=True)
class Watchable:
    """Whether a monitor follows this log, and why (not)."""

    log: Log
    follow: bool
    reason: str


def parse_log_list(raw: bytes) -> LogList:
    """Read the list; BadList only when it is no list at all."""
    try:
        read = json.loads(raw)
        operators = read["operators"]
    except (ValueError, KeyError, TypeError, RecursionError) as wrong:
        raise BadList("this is no log list: version 3 JSON with operators is expected") from wrong
    if not isinstance(operators, list):
        raise BadList("this is no log list: its operators are no list")
    logs: dict[bytes, Log] = {}
    problems: list[str] = []
    for operator, kind, entry in _entries(operators, problems):
        try:
            log = _log(operator, kind, entry)
        except (ValueError, KeyError, TypeError, AttributeError, OverflowError) as wrong:
            problems.append(f"{_label(operator, entry)}: {_fault(wrong)}; it is passed over")
            continue
        if log.log_id in logs:
            problems.append(f"{_label(operator, entry)}: listed twice under one log id; the first is taken")
            continue
        logs[log.log_id] = log
    return LogList(
        version=str(read.get("version", "")),
        timestamp=_instant(read.get("log_list_timestamp")),
        logs=tuple(logs.values()),
        problems=tuple(problems),
    )


def watchable(listed: LogList, now: datetime) -> tuple[Watchable, ...]:
    """Each log with whether a monitor follows it *now*. A read-only log is followed until its final head is read.

    An ended temporal interval does not end the following: what the log still says must still be checked.
    """
    return tuple(_watchable(log, now) for log in listed.logs)


def changes(old: LogList, new: LogList) -> tuple[str, ...]:
    """What is different in *new*, in words, one line for each log."""
    before, after = old.by_id(), new.by_id()
    lines = [f"{log.description}: new, {log.state}" for log_id, log in after.items() if log_id not in before]
    lines += [f"{log.description}: no longer listed" for log_id, log in before.items() if log_id not in after]
    for log_id, log in after.items():
        if log_id in before and (said := _differences(before[log_id], log)):
            lines.append(f"{log.description}: {', '.join(said)}")
    return tuple(lines)


def _watchable(log: Log, now: datetime) -> Watchable:
    match log.state:
        case "pending":
            follow, reason = False, "pending: no browser takes its timestamps yet"
        case "qualified" | "usable":
            follow, reason = True, log.state
        case "readonly":
            size = f" of {log.final[0]} entries" if log.final else ""
            follow, reason = True, f"read-only: followed to its final head{size}"
        case "retired" | "rejected":
            since = f" since {log.state_since:%Y-%m-%d}" if log.state_since else ""
            follow, reason = False, f"{log.state}{since}"
        case _:
            follow, reason = False, "no known state in the log list"
    if follow and log.end is not None and log.end <= now:
        reason += f"; closed for new certificates since {log.end:%Y-%m-%d}"
    return Watchable(log=log, follow=follow, reason=reason)


def _differences(old: Log, new: Log) -> list[str]:
    said = []
    if old.state != new.state:
        said.append(f"{old.state} became {new.state}")
    if new.final and old.final != new.final:
        said.append(f"final head at {new.final[0]} entries")
    said += [
        f"{name} {getattr(old, field) or 'none'} became {getattr(new, field) or 'none'}"
        for field, name in _WATCHED_FIELDS
        if getattr(old, field) != getattr(new, field)
    ]
    if (old.start, old.end) != (new.start, new.end):
        said.append("another temporal interval")
    return said


# The key cannot change: the log id is its hash.
_WATCHED_FIELDS = (
    ("kind", "protocol"),
    ("url", "address"),
    ("submission_url", "submission address"),
    ("mmd_s", "maximum merge delay"),
    ("operator", "operator"),
    ("log_type", "type"),
    ("description", "name"),
)


def _entries(operators: list[Any], problems: list[str]) -> Iterator[tuple[str, Kind, dict[str, Any]]]:
    kinds: tuple[tuple[Kind, str], ...] = (("rfc6962", "logs"), ("static", "tiled_logs"))
    for operator in operators:
        if not isinstance(operator, dict):
            problems.append("an operator that is no object; it is passed over")
            continue
        for kind, field in kinds:
            listed = operator.get(field) or []
            if not isinstance(listed, list):
                problems.append(f"{operator.get('name')}: {field} is no list")
                continue
            for entry in listed:
                yield str(operator.get("name", "")), kind, entry


def _log(operator: str, kind: Kind, entry: dict[str, Any]) -> Log:
    log_id, key = b64decode(entry["log_id"], validate=True), b64decode(entry["key"], validate=True)
    if sha256(key).digest() != log_id:
        raise ValueError("its log id is not the SHA-256 of its key")
    url, submission = (entry["url"],) * 2 if kind == "rfc6962" else (entry["monitoring_url"], entry["submission_url"])
    url, submission = _prefix(url), _prefix(submission)
    state, since, final = _state(entry.get("state") or {})
    interval = entry.get("temporal_interval") or {}
    mmd_s = entry.get("mmd", DEFAULT_MMD_S)
    if type(mmd_s) is not int or mmd_s < 0:
        raise ValueError("its mmd is no number of seconds")
    return Log(
        description=str(entry.get("description") or url),
        operator=operator,
        log_id=log_id,
        key=key,
        kind=kind,
        url=url,
        submission_url=submission,
        # static-ct-api: the submission prefix as a schema-less URL without trailing slashes.
        origin=submission.partition("://")[2].rstrip("/") if kind == "static" else "",
        mmd_s=mmd_s,
        state=state,
        state_since=since,
        final=final,
        start=_instant(interval.get("start_inclusive")),
        end=_instant(interval.get("end_exclusive")),
        log_type=str(entry.get("log_type", "prod")),
    )


def _state(state: dict[str, Any]) -> tuple[State, datetime | None, tuple[int, bytes] | None]:
    name: State = next((each for each in STATES if each in state), "unknown")
    value = state.get(name) or {}
    final = value.get("final_tree_head")
    if not final:
        return name, _instant(value.get("timestamp")), None
    size, root = final["tree_size"], b64decode(final["sha256_root_hash"], validate=True)
    if type(size) is not int or size < 0 or len(root) != 32:
        raise ValueError("its final tree head is none")
    return name, _instant(value.get("timestamp")), (size, root)


def _prefix(url: str) -> str:
    """An http(s) prefix with its slash. Old lists omit the scheme."""
    url = url if "://" in url else f"https://{url}"
    if not url.startswith(("https://", "http://")) or any(letter <= " " for letter in url):
        raise ValueError("its address is no web address")
    return url.rstrip("/") + "/"


def _instant(text: object) -> datetime | None:
    if not isinstance(text, str):
        return None
    try:
        read = datetime.fromisoformat(text)
    except ValueError:
        return None
    return read if read.tzinfo else read.replace(tzinfo=UTC)


def _label(operator: str, entry: object) -> str:
    named = entry.get("description") if isinstance(entry, dict) else None
    return f"{operator or 'an operator'}'s log {str(named)[:100]!r}" if named else f"a log of {operator or 'nobody'}"


def _fault(wrong: Exception) -> str:
    if isinstance(wrong, KeyError):
        return f"it has no {wrong.args[0]}"
    text = str(wrong)
    return text if text.startswith("its ") else "it is malformed"
