"""Where a monitor's position and findings live, so that a crash loses nothing and repeats nothing.

`Store` is the contract; `FileStore` keeps it in two files: the state (JSON, replaced in one step) and the findings
(one JSON a line, only ever appended to). The state says how long the findings are: what was appended and not yet
counted when the process died is cut off at the next start, and found again.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
from base64 import b64encode
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal, NamedTuple, Protocol

from probes.ct.issuance import Issuance
from probes.ct.loglist import Log, LogList
from probes.ct.lookalikes import Lookalike
from probes.ct.merkle import CompactTree
from probes.ct.position import Event, Position
from probes.ct_evidence import Bundle

_VERSION = 1
_MAX_STATE = 64 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """An entry that concerns somebody: a match, or a look-alike alone.

    *verified*: the entry is under a head that the log signed; False only where a log was found inconsistent.
    *leaf* is the entry itself, and *bundle* the proof of it, where it was asked for.
    """

    issuance: Issuance
    log: Log
    leaf: bytes
    verified: bool
    lookalikes: tuple[Lookalike, ...] = ()
    bundle: Bundle | None = None


class News(NamedTuple):
    """What of a commit nobody was told before."""

    found: tuple[Found, ...] = ()
    events: tuple[Event, ...] = ()


class Store(Protocol):
    """What survives. `commit` is one step: all of it is durable when it returns, or nothing of it was."""

    async def load(self, log_id: str) -> Position | None:
        """The position last committed for this log (hex id)."""

    async def commit(self, position: Position, found: Sequence[Found], events: Sequence[Event]) -> News:
        """Keep all three; back with what is new.

        An issuance is news once, by its TBS over all logs and both forms. So is a malformed entry, by log and index.
        What was read twice (after a crash, or from a log read anew) comes twice and is news once.
        """


UNLISTED = "no longer listed"


class BadState(ValueError):
    """A state file that is none, or that belongs to other findings; the text says which."""


class FileStore:
    """A Store in FILE and FILE.findings. One process at a time: the second is refused by a lock."""

    def __init__(self, path: Path, now: Callable[[], datetime]) -> None:
        self.path, self._now = path, now
        self.findings_path = path.with_name(path.name + ".findings")
        self.names: dict[str, dict[str, str]] = {}
        self.positions: dict[str, Position] = {}
        self._length = 0
        self._known: set[str] = set()
        self._malformed: set[tuple[str, int]] = set()
        self._seen: set[tuple[str, int, bool]] = set()
        self._busy = asyncio.Lock()
        self._lock_file: int | None = None

    def open(self, *, for_writing: bool) -> None:
        """Read both files; BadState when they are damaged. For writing, uncounted findings are cut off."""
        if for_writing:
            self._lock()
        stored = self._state()
        try:
            self._length = int(stored["findings_length"])
            self.names = {log_id: dict(each) for log_id, each in stored["logs_known"].items()}
            self.positions = {log_id: _position(each) for log_id, each in stored["positions"].items()}
        except (KeyError, TypeError, ValueError, AttributeError) as wrong:
            raise BadState(f"{self.path} is damaged: {type(wrong).__name__}, {wrong}") from None
        present = self.findings_path.stat().st_size if self.findings_path.exists() else 0
        if present < self._length:
            raise BadState(f"{self.findings_path} is shorter than {self.path} says: findings were removed")
        if for_writing and present > self._length:
            with self.findings_path.open("r+b") as file:
                file.truncate(self._length)
                os.fsync(file.fileno())
        for line in self.findings():
            try:
                self._remember(line)
            except (KeyError, TypeError):
                raise BadState(f"{self.findings_path} holds a line that is no finding") from None

    def close(self) -> None:
        """Give up the lock."""
        if self._lock_file is not None:
            os.close(self._lock_file)
            self._lock_file = None

    def findings(self) -> Iterable[dict[str, Any]]:
        """What was committed, oldest first."""
        if self._length == 0:
            return
        left = self._length
        with self.findings_path.open("rb") as file:
            for line in file:
                left -= len(line)
                if left < 0:
                    return
                try:
                    yield json.loads(line)
                except ValueError:
                    raise BadState(f"{self.findings_path} holds a line that is no finding") from None

    async def know(self, followed: Iterable[Log], listed: LogList) -> tuple[str, ...]:
        """What `status` says of logs, also of those that never answer; back with what is no longer in the list."""
        async with self._busy:
            said = {**self.names, **{log.log_id.hex(): {} for log in followed}}
            logs = {log_id.hex(): log for log_id, log in listed.by_id().items()}
            unlisted = []
            for log_id, before in said.items():
                log = logs.get(log_id)
                if log is not None:
                    said[log_id] = {"description": log.description, "url": log.url, "state": log.state}
                else:
                    said[log_id] = {**before, "state": UNLISTED}
                    if (position := self.positions.get(log_id)) is None or position.state not in ("finished", "gone"):
                        unlisted.append(before.get("description", log_id))
            self.names = said
            await asyncio.to_thread(self._write, [], self.positions)
            return tuple(unlisted)

    async def load(self, log_id: str) -> Position | None:
        async with self._busy:
            return self.positions.get(log_id)

    async def commit(self, position: Position, found: Sequence[Found], events: Sequence[Event]) -> News:
        # Shielded: a cancelled caller must not leave memory and disk at odds.
        return await asyncio.shield(asyncio.ensure_future(self._commit(position, found, events)))

    async def _commit(self, position: Position, found: Sequence[Found], events: Sequence[Event]) -> News:
        async with self._busy:
            at = self._now()
            lines, news = self._lines(found, events, at)
            positions = {**self.positions, position.log_id: position}
            await asyncio.to_thread(self._write, lines, positions)
            self.positions = positions
            for line in lines:
                self._remember(line)
            return news

    def _lines(
        self, found: Sequence[Found], events: Sequence[Event], at: datetime
    ) -> tuple[list[dict[str, Any]], News]:
        lines: list[dict[str, Any]] = []
        new_found: list[Found] = []
        new_events: list[Event] = []
        known = set()
        for each in found:
            tbs, seen = each.issuance.tbs_sha256, each.issuance.first
            if (seen.log_id, seen.index, each.verified) in self._seen:
                continue
            is_new = tbs not in self._known and tbs not in known
            known.add(tbs)
            lines.append(finding_json(each, "issuance" if is_new else "seen", at))
            if is_new:
                new_found.append(each)
        for event in events:
            if event.kind == "malformed-entry" and (event.log_id, event.evidence.get("index")) in self._malformed:
                continue
            lines.append(event_json(event, at))
            new_events.append(event)
        return lines, News(tuple(new_found), tuple(new_events))

    def _remember(self, line: dict[str, Any]) -> None:
        if line["type"] in ("issuance", "seen"):
            self._known.add(line["tbs_sha256"])
            self._seen.add((line["log_id"], line["index"], line["verified"]))
        elif line["type"] == "event" and line["kind"] == "malformed-entry":
            self._malformed.add((line["log_id"], line["evidence"]["index"]))

    def _write(self, lines: list[dict[str, Any]], positions: dict[str, Position]) -> None:
        """Findings first, then the state that counts them: between the two, nothing has happened yet."""
        length = self._length
        if lines:
            added = "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines).encode()
            with self.findings_path.open("r+b" if self.findings_path.exists() else "xb") as file:
                file.seek(length)
                file.write(added)
                file.truncate()
                file.flush()
                os.fsync(file.fileno())
            length += len(added)
        state = {
            "version": _VERSION,
            "findings_length": length,
            "logs_known": self.names,
            "positions": {log_id: position.to_json() for log_id, position in positions.items()},
        }
        beside = self.path.with_name(self.path.name + ".new")
        with beside.open("w", encoding="utf-8") as file_:
            json.dump(state, file_)
            file_.flush()
            os.fsync(file_.fileno())
        beside.replace(self.path)
        _sync_folder(self.path.parent)
        self._length = length

    def _state(self) -> dict[str, Any]:
        try:
            if self.path.stat().st_size > _MAX_STATE:
                raise BadState(f"{self.path} is too large to be a state of ours")
            stored = json.loads(self.path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return {"findings_length": 0, "logs_known": {}, "positions": {}}
        except (ValueError, RecursionError) as wrong:
            if isinstance(wrong, BadState):
                raise
            raise BadState(f"{self.path} is no state of `tls ct follow`: it is no JSON") from None
        if not isinstance(stored, dict) or stored.get("version") != _VERSION:
            raise BadState(f"{self.path} is no state of `tls ct follow`, or one of another version")
        return stored

    def _lock(self) -> None:
        path = self.path.with_name(self.path.name + ".lock")
        self._lock_file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        with contextlib.suppress(ImportError):  # Windows has none: there it is for the user to run one alone
            import fcntl

            try:
                fcntl.flock(self._lock_file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                self.close()
                raise BadState(f"{self.path} is in use by another `tls ct follow`") from None


def _position(stored: dict[str, Any]) -> Position:
    """A position, whose trees are trees."""
    position = Position.from_json(stored)
    for tree in (position.tree, position.verified_tree):
        CompactTree.from_json(tree)
    return position


def finding_json(found: Found, kind: Literal["issuance", "seen"], at: datetime) -> dict[str, Any]:
    """A finding as a line: `issuance` is news, `seen` is one more entry of an issuance told before."""
    issuance, seen, facts = found.issuance, found.issuance.first, found.issuance.facts
    return {
        "schema": 1,
        "type": kind,
        "at": _iso(at),
        "tbs_sha256": issuance.tbs_sha256,
        "log": found.log.description,
        "log_id": seen.log_id,
        "index": seen.index,
        "logged_at": _iso(datetime.fromtimestamp(min(seen.timestamp_ms, _LAST_MS) / 1000, UTC)),
        "precertificate": seen.is_precert,
        "verified": found.verified,
        "matches": [asdict(match) for match in issuance.matches],
        "lookalikes": [asdict(each) for each in found.lookalikes],
        "certificate": {
            key: _iso(value) if isinstance(value, datetime) else value for key, value in asdict(facts).items()
        },
        "leaf_input": b64encode(found.leaf).decode(),
        "evidence": found.bundle.to_json() if found.bundle else None,
    }


def event_json(event: Event, at: datetime) -> dict[str, Any]:
    """An event as a line."""
    return {
        "schema": 1,
        "type": "event",
        "at": _iso(at),
        "kind": event.kind,
        "severity": event.severity,
        "log": event.log,
        "log_id": event.log_id,
        "text": event.text,
        "evidence": event.evidence,
    }


_LAST_MS = 253_402_300_799_000  # the end of the year 9999


def _iso(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def _sync_folder(folder: Path) -> None:
    """So that the rename itself survives a power cut; not every system can."""
    with contextlib.suppress(OSError):
        opened = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(opened)
        finally:
            os.close(opened)
