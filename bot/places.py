"""Where the bot may still speak: not in channels that were archived, deleted or that sent it away, nor in workspaces
that took it out. And a channel that gets another id (it was shared with another workspace) takes what it has along.

Everything that speaks by itself (watches, digests, vigils) asks `is_open` first; it is answered from memory. Events
come twice and out of order: each place keeps the time of the newest, and older ones say nothing.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Final, Literal, TypeAlias

from bot.history import Book, History
from bot.rows import stamp

Why: TypeAlias = Literal["archived", "deleted", "left", "moved", "uninstalled"]
_EVERYWHERE: Final = "*"  # no channel's id
_OPEN: Final = ""
# What is owed to a channel that is closed is said nowhere: nobody reads it there, and it is old when they do again.
_STOPPED = (
    "delete from vigils where incident in (select id from incidents where team = :team and channel = :channel)",
    "update outbox set state = 'dead', error = :why where team = :team and channel = :channel and state = 'live'"
    " and sent_revision < revision and kind != 'reply'",
)
_OLD = (
    "update outbox set state = 'dead', error = 'uninstalled' where team = :team and state = 'live'"
    " and sent_revision < revision"
)
# Whatever belongs to a channel says so in a column of that name, and these two in their state besides.
_PLACED = (
    "select m.name from sqlite_master m join pragma_table_info(m.name) c on c.name = 'channel'"
    " where m.type = 'table' and m.name != 'closed_channels'"
)
_WITH_STATE = ("lineages", "masses")


async def _nobody_waits() -> None:
    return


class Places(Book):
    """The places of all workspaces. Make it with `Places.known`; `on_change` is told when one is closed or opened."""

    def __init__(self, history: History) -> None:
        super().__init__(history)
        self._closed: dict[tuple[str, str], str] = {}
        self.on_change: Callable[[], Awaitable[None]] = _nobody_waits

    @classmethod
    async def known(cls, history: History) -> Places:
        """What is remembered of them."""
        places = cls(history)
        rows = await places._run(places._rows, "select team, channel, why from closed_channels where why != ''")
        places._closed = {(row["team"], row["channel"]): row["why"] for row in rows}
        return places

    def is_open(self, team: str, channel: str) -> bool:
        """Whether anything can be said there, as far as Slack has told."""
        return not ({(team, channel), (team, _EVERYWHERE)} & self._closed.keys())

    async def close(self, team: str, channel: str, why: Why, *, at: float) -> bool:
        """The channel was closed at *at* (Unix seconds): who watched there watches no more. False for old news."""
        is_news = await self._write(self._close, team, channel, why, _stamped(at))
        if is_news:
            self._closed[team, channel] = why
            await self.on_change()
        return is_news

    async def open(self, team: str, channel: str, *, at: float) -> bool:
        """The channel was opened again at *at*, or the bot invited back. False for old news, or when it was open."""
        if (team, channel) not in self._closed:
            # Remembered all the same: the news that it was closed may come after this.
            await self._write(self._put, team, channel, _OPEN, _stamped(at))
            return False
        is_news = await self._write(self._put, team, channel, _OPEN, _stamped(at))
        if is_news:
            self._closed.pop((team, channel), None)
            await self.on_change()
        return is_news

    async def move(self, team: str, old: str, new: str, *, at: float) -> bool:
        """The channel *old* is called *new* from *at* on: what is remembered of the one is the other's. What both have
        stays the other's, and nothing more is said under the old name. False for old news."""
        is_news = await self._write(self._move, team, old, new, _stamped(at))
        if is_news:
            self._closed[team, old] = "moved"
            await self.on_change()
        return is_news

    def _move(self, team: str, old: str, new: str, at: str) -> bool:
        if not self._put(team, old, "moved", at):
            return False
        for row in self._rows(_PLACED):
            sql = f"update or ignore {row['name']} set channel = ? where team = ? and channel = ?"  # noqa: S608 - our own
            self._db.execute(sql, (new, team, old))
        for name in _WITH_STATE:
            sql = f"update {name} set state = json_set(state, '$.channel', channel) where team = ? and channel = ?"  # noqa: S608
            self._db.execute(sql, (team, new))
        return True

    async def leave(self, team: str, *, at: float, stop: Callable[[str], None]) -> bool:
        """The whole workspace took the bot out at *at*; *stop* is done in the same transaction. False for old news."""

        def left() -> bool:
            is_news = self._put(team, _EVERYWHERE, "uninstalled", _stamped(at))
            if is_news:
                stop(team)
            return is_news

        is_news = await self._write(left)
        if is_news:
            self._closed[team, _EVERYWHERE] = "uninstalled"
            await self.on_change()
        return is_news

    async def come_back(self, team: str) -> None:
        """The bot is installed there, from now on. What was owed when it was taken out is old, and is said no more."""
        was_gone = (team, _EVERYWHERE) in self._closed
        await self._write(self._come_back, team, was_gone)
        if was_gone:
            del self._closed[team, _EVERYWHERE]
            await self.on_change()

    def _come_back(self, team: str, was_gone: bool) -> None:
        if was_gone:
            self._db.execute(_OLD, {"team": team})
            self._db.execute("delete from closed_channels where team = ? and channel = ?", (team, _EVERYWHERE))
        # Remembered all the same: news of an earlier uninstall may come after this.
        self._put(team, _EVERYWHERE, _OPEN, _stamped(None))

    def _close(self, team: str, channel: str, why: Why, at: str) -> bool:
        if not self._put(team, channel, why, at):
            return False
        for sql in _STOPPED:
            self._db.execute(sql, {"team": team, "channel": channel, "why": why})
        return True

    def _put(self, team: str, channel: str, why: str, at: str) -> bool:
        cursor = self._db.execute(
            "insert into closed_channels (team, channel, why, at) values (?, ?, ?, ?)"
            " on conflict (team, channel) do update set why = excluded.why, at = excluded.at where at < excluded.at",
            (team, channel, why, at),
        )
        return bool(cursor.rowcount == 1)


def _stamped(at: float | None) -> str:
    """To the microsecond: events of one channel follow closely."""
    moment = datetime.fromtimestamp(at, UTC) if at is not None else datetime.now(UTC)
    return f"{stamp(moment)[:19]}.{moment.microsecond:06d}"
