"""One file, one thread that writes and one that reads: every job is short, and writes that wait share a commit.

Whoever reads does not wait for the disk (WAL): a commit takes milliseconds, and an acknowledgement waits for one. What
was written before a read was asked for is seen by it.

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
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import IO, Any, Self, TypeAlias, TypeVar

from sqlite_utils import Database

from bot import migrations
from bot.model import Content, Note
from bot.rows import stamp

Result = TypeVar("Result")
_Waiting: TypeAlias = tuple[Callable[..., Any], tuple[Any, ...], "Future[Any]"]


class InUse(Exception):
    """Another bot process holds the database."""


_MOST_TOGETHER = 8  # writes in a transaction: what comes first waits for the transaction that runs


class Store:
    """A database that one thread writes. Make it with `open`; `close` it when done."""

    def __init__(self, database: Database, reading: Database, threads: _Threads, lock: IO[str]) -> None:
        self._writing = database
        self._reading = reading
        self._threads = threads
        self._lock = lock
        self._waiting: deque[_Waiting] = deque()
        self._first: deque[_Waiting] = deque()
        self.written = asyncio.Event()  # set by each write; whoever shows what is stored waits for it and clears it

    @classmethod
    async def open(cls, path: Path) -> Self:
        """Open the file at *path*, made and migrated if need be. Raises InUse while another process holds it."""
        threads = _Threads()
        loop = asyncio.get_running_loop()
        try:
            lock = await loop.run_in_executor(threads.writer, _locked, path)
            try:
                database = await loop.run_in_executor(threads.writer, _opened, path)
                reading = await loop.run_in_executor(threads.reader, _opened_to_read, path)
                memory = cls(database, reading, threads, lock)
                await loop.run_in_executor(threads.writer, memory._prepare)
                return memory
            except BaseException:
                lock.close()
                raise
        except BaseException:
            threads.shutdown(wait=False)
            raise

    def _prepare(self) -> None:
        """What a memory does to its database before it is used."""

    async def close(self) -> None:
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(self._threads.reader, self._reading.close)
        await loop.run_in_executor(self._threads.writer, self._writing.close)
        self._threads.shutdown(wait=True)
        self._lock.close()

    @property
    def _db(self) -> Database:
        """The connection of the thread that asks."""
        return self._reading if self._threads.is_reader() else self._writing

    async def _run(self, job: Callable[..., Result], *arguments: Any) -> Result:
        """Do *job*, which reads alone."""
        return await asyncio.get_running_loop().run_in_executor(self._threads.reader, job, *arguments)

    async def _write(self, job: Callable[..., Result], *arguments: Any) -> Result:
        """Do *job* in a transaction; back when it is on the disk.

        Writes that come while the disk is busy share the next transaction: a burst of requests waits for two
        commits, not for one each. Each has a savepoint of its own, so that one that fails undoes itself alone.
        """
        return await self._written(self._waiting, job, arguments)

    async def _write_first(self, job: Callable[..., Result], *arguments: Any) -> Result:
        """The same, before all other writes that wait: somebody is waiting for an acknowledgement."""
        return await self._written(self._first, job, arguments)

    async def _written(self, queue: deque[_Waiting], job: Callable[..., Result], arguments: tuple[Any, ...]) -> Result:
        written: Future[Result] = Future()
        queue.append((job, arguments, written))
        self._threads.writer.submit(self._write_waiting)
        result = await asyncio.wrap_future(written)
        self.written.set()
        return result

    def _write_waiting(self) -> None:
        queue = self._first or self._waiting
        if not queue:
            return
        outcomes: list[tuple[Future[Any], Any, BaseException | None]] = []
        try:
            with self._db.atomic():
                # There are as many calls of this as there are writes: what is left for now gets its turn.
                while queue and len(outcomes) < _MOST_TOGETHER:
                    job, arguments, written = queue.popleft()
                    outcomes.append((written, *self._attempted(job, arguments)))
                    if queue is self._waiting and self._first:
                        break
        except BaseException as error:
            outcomes = [(written, None, error) for written, _, _ in outcomes]
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


class _Threads:
    """One thread that writes, one that reads."""

    def __init__(self) -> None:
        self.writer = ThreadPoolExecutor(max_workers=1, thread_name_prefix="memory")
        self.reader = ThreadPoolExecutor(max_workers=1, thread_name_prefix="memory read", initializer=self._begin)
        self._reader_id = 0

    def _begin(self) -> None:
        self._reader_id = threading.get_ident()

    def is_reader(self) -> bool:
        return threading.get_ident() == self._reader_id

    def shutdown(self, *, wait: bool) -> None:
        self.reader.shutdown(wait=wait)
        self.writer.shutdown(wait=wait)


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


def _opened_to_read(path: Path) -> Database:
    connection = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=10.0)
    connection.isolation_level = None
    return Database(connection)
