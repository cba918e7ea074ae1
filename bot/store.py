"""One connection to one file, owned by one thread: every job is short, and writes that wait share a commit.

Durability: WAL with synchronous=FULL. NORMAL would survive the death of the process, but not of the machine, and what
was acknowledged to a person is to survive both. It costs one fsync a transaction, measured well below the time that
an acknowledgement has.

One process owns the file: `open` takes a lock beside it, so that during a deploy the new bot waits for the old one to
finish instead of running its requests a second time. The kernel drops the lock with the process, however it died.
"""

from __future__ import annotations

import asyncio
import fcntl
import json
import os
import sqlite3
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import IO, Any, Self, TypeVar

from sqlite_utils import Database

from bot import migrations
from bot.model import Content, Note
from bot.rows import stamp

Result = TypeVar("Result")


class InUse(Exception):
    """Another bot process holds the database."""


class Store:
    """A database that one thread owns. Make it with `open`; `close` it when done."""

    def __init__(self, database: Database, thread: ThreadPoolExecutor, lock: IO[str]) -> None:
        self._db = database
        self._thread = thread
        self._lock = lock
        self._waiting: deque[tuple[Callable[..., Any], tuple[Any, ...], Future[Any]]] = deque()
        self.written = asyncio.Event()  # set by each write; whoever shows what is stored waits for it and clears it

    @classmethod
    async def open(cls, path: Path) -> Self:
        """Open the file at *path*, made and migrated if need be. Raises InUse while another process holds it."""
        thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="history")
        loop = asyncio.get_running_loop()
        try:
            lock = await loop.run_in_executor(thread, _locked, path)
            try:
                database = await loop.run_in_executor(thread, _opened, path)
                return await cls(database, thread, lock)._opened()
            except BaseException:
                lock.close()
                raise
        except BaseException:
            thread.shutdown(wait=False)
            raise

    async def _opened(self) -> Self:
        """What a memory does to its database before it is used."""
        await self._run(self._prepare)
        return self

    def _prepare(self) -> None:
        return

    async def close(self) -> None:
        await self._run(self._db.close)
        self._thread.shutdown(wait=True)
        self._lock.close()

    async def _run(self, job: Callable[..., Result], *arguments: Any) -> Result:
        return await asyncio.get_running_loop().run_in_executor(self._thread, job, *arguments)

    async def _write(self, job: Callable[..., Result], *arguments: Any) -> Result:
        """Do *job* in a transaction; back when it is on the disk.

        Writes that come while the disk is busy share the next transaction: a burst of requests waits for two
        commits, not for one each. Each has a savepoint of its own, so that one that fails undoes itself alone.
        """
        written: Future[Result] = Future()
        self._waiting.append((job, arguments, written))
        self._thread.submit(self._write_waiting)
        result = await asyncio.wrap_future(written)
        self.written.set()
        return result

    def _write_waiting(self) -> None:
        batch = [self._waiting.popleft() for _ in range(len(self._waiting))]
        if not batch:
            return
        outcomes: list[tuple[Future[Any], Any, BaseException | None]] = []
        try:
            with self._db.atomic():
                for job, arguments, written in batch:
                    outcomes.append((written, *self._attempted(job, arguments)))
        except BaseException as error:
            outcomes = [(written, None, error) for _, _, written in batch]
        for written, result, failure in outcomes:
            if not written.set_running_or_notify_cancel():
                continue  # nobody waits any more; it is written all the same
            if failure is None:
                written.set_result(result)
            else:
                written.set_exception(failure)

    def _attempted(self, job: Callable[..., Any], arguments: tuple[Any, ...]) -> tuple[Any, BaseException | None]:
        try:
            with self._db.atomic():
                return job(*arguments), None
        except Exception as error:
            return None, error

    def _rows(self, sql: str, *values: Any) -> list[dict[str, Any]]:
        return list(self._db.query(sql, values))

    # ── what every transaction may end with ────────────────────────────────────────────

    def _finish(self, intake_id: int, now: datetime, notes: Sequence[Note], error: str | None) -> None:
        self._db.execute("update intakes set finished_at = ?, error = ? where id = ?", (stamp(now), error, intake_id))
        self._note(notes)

    def _note(self, notes: Sequence[Note]) -> None:
        for note in notes:
            self._db.execute(
                "insert into outbox (key, kind, team, channel, parent, thread_ts, user, response_url, replace_original,"
                " filename, file_text, content, pictures, passing, noted_at, revision, sent_revision, attempts,"
                " retry_at, state) values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 1, 0, 0, 0, 'live')"
                " on conflict (key) do update set content = excluded.content, pictures = excluded.pictures,"
                " passing = excluded.passing, revision = revision + 1, attempts = 0, retry_at = 0, state = 'live'"
                " where content != excluded.content or state = 'dead'",
                (
                    note.key,
                    note.kind,
                    note.team,
                    note.channel,
                    note.parent,
                    note.thread_ts,
                    note.user,
                    note.response_url,
                    int(note.replace_original),
                    note.filename,
                    note.file_text,
                    content_text(note.content),
                    json.dumps([picture.key for picture in note.pictures]) if note.pictures else None,
                    int(note.is_passing),
                    time.time(),
                ),
            )
            for picture in note.pictures:
                self._db.execute(
                    "insert into pictures (team, key, png, alt, noted_at) values (?, ?, ?, ?, ?)"
                    " on conflict (team, key) do update set png = excluded.png, alt = excluded.alt,"
                    " upload = null, state = 'new', attempts = 0 where png != excluded.png",
                    (note.team, picture.key, picture.png, picture.alt, time.time()),
                )


def content_text(content: Content) -> str:
    """How a note's words stand in its row."""
    return json.dumps(asdict(content), ensure_ascii=False, separators=(",", ":"))


def _locked(path: Path) -> IO[str]:
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = path.with_name(path.name + ".lock").open("a+", encoding="ascii")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        lock.seek(0)
        holder = lock.read(20).strip()
        lock.close()
        raise InUse(f"{path} is in use by another bot process" + (f" (pid {holder})" if holder else "")) from None
    lock.truncate(0)
    lock.write(f"{os.getpid()}\n")  # for people: the lock itself is the kernel's
    lock.flush()
    return lock


def _opened(path: Path) -> Database:
    connection = sqlite3.connect(path, timeout=10.0)
    # sqlite-utils begins and ends transactions itself (`Database.atomic`).
    connection.isolation_level = None
    database = Database(connection)
    database.enable_wal()
    database.execute("pragma synchronous = full")
    database.execute("pragma foreign_keys = on")
    migrations.apply(database)
    return database
