"""Certificate Transparency, watched: the reader runs while any domain is watched, what it finds is kept and told, and
what is not known when it is told (CAA, a proof, where it is served) is found out after.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from bot.ct_book import CtBook
from bot.ct_reader import Begin, CtSource, Died, Keeper, Listed, Reader
from bot.issuances import Case, Issued, Place
from bot.notify import Outbox
from bot.render import ct as words
from bot.render.ct_logs import Running
from bot.rooms import Rooms
from probes.caa import Finding

if TYPE_CHECKING:
    from probes.ct.position import Event, Position
    from probes.ct_follow import Status
    from probes.ct_store import Found

LOG = logging.getLogger("bot.ct")
_AGAIN_S: Final = (0.2, 1.0, 5.0, 30.0, 60.0)  # after the reader ended
KEPT: Final = timedelta(days=400)
_AT_ONCE: Final = 10  # whose CAA is asked
_TAKEN_S: Final = 5.0
_EXAMINED_EVERY_S: Final = 30.0
_SERVED_EVERY: Final = timedelta(minutes=2)
_SERVED_FOR: Final = timedelta(days=7)
_FILLED_FOR: Final = timedelta(days=1)


class CtWatch:
    """The following of all logs, for all channels. `run` it as a task. Without *source* nothing is followed."""

    def __init__(
        self,
        *,
        book: CtBook,
        outbox: Outbox,
        rooms: Rooms,
        source: CtSource | None,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._book = book
        self._outbox = outbox
        self._rooms = rooms
        self._source = source
        self._clock = clock
        self._changed = asyncio.Event()
        self._asked = self._taken = 0  # changes of what is watched: how many there were, how many the reader goes by
        self._took = asyncio.Condition()
        self._found = asyncio.Event()
        self._statuses: dict[str, Status] = {}
        self._trouble = ""
        self._has_kept = False
        self._served_at: datetime | None = None
        self._pruned_at: datetime | None = None
        self.reader = Reader(Keeper(load=book.load, commit=self._commit, told=self._told))

    @property
    def is_on(self) -> bool:
        return self._source is not None

    @property
    def logs(self) -> int:
        """How many logs are followed now."""
        return len(self._statuses)

    def running(self) -> Running:
        """How it stands with the reader."""
        return Running(is_up=self.reader.is_up, trouble=self._trouble, statuses=dict(self._statuses))

    async def changed(self) -> None:
        """Other domains are watched. Back when the reader goes by them, so that nothing logged after is read without
        them; after some seconds in any case."""
        self._asked += 1
        asked = self._asked
        self._changed.set()
        if self._source is None:
            return
        with suppress(TimeoutError):
            async with asyncio.timeout(_TAKEN_S), self._took:
                await self._took.wait_for(lambda: self._taken >= asked)

    async def _goes_by(self, asked: int) -> None:
        async with self._took:
            self._taken = asked
            self._took.notify_all()

    async def run(self) -> None:
        """Follow, and find out, until cancelled."""
        if self._source is None:
            return
        async with asyncio.TaskGroup() as loops:
            loops.create_task(self._read(), name="ct read")
            loops.create_task(self._find_out(), name="ct find out")

    # ── the reader ──────────────────────────────────────────────────────────────

    async def _read(self) -> None:
        """While any domain is watched there is a reader; one that ended is started again."""
        attempts = 0
        while True:
            self._changed.clear()
            asked = self._asked
            domains, similar = await self._book.domains()
            # A reader that only begins reads nothing without them.
            await self._goes_by(asked)
            if not domains:
                self._statuses.clear()
                self._trouble = ""
                await self._changed.wait()
                continue
            self._has_kept = False
            try:
                await self._serve(domains, similar)
            except Exception:
                LOG.exception("ct reader")
            # One that kept something works: its end was no fault of its beginning.
            attempts = 0 if self._has_kept else min(attempts + 1, len(_AGAIN_S) - 1)
            await asyncio.sleep(_AGAIN_S[attempts])

    async def _serve(self, domains: Sequence[str], similar: Sequence[str]) -> None:
        """One reader, from its start until it ends or nothing is watched any more."""
        assert self._source is not None
        begin = Begin(
            source=self._source,
            domains=tuple(domains),
            similar=tuple(similar),
            following=await self._book.following(),
        )
        reading = asyncio.create_task(self.reader.run(begin), name="ct reader")
        reading.add_done_callback(lambda _: self._changed.set())
        try:
            while True:
                await self._changed.wait()
                if reading.done():
                    return
                self._changed.clear()
                asked = self._asked
                domains, similar = await self._book.domains()
                if not domains:
                    return
                try:
                    await self.reader.watch(domains, similar)
                except (ConnectionError, Died):  # it only begins, or it ends
                    await asyncio.sleep(_AGAIN_S[0])
                    self._changed.set()
                else:
                    await self._goes_by(asked)
        finally:
            reading.cancel()
            await asyncio.gather(reading, return_exceptions=True)

    async def _commit(self, position: Position, found: Sequence[Found], events: Sequence[Event]) -> None:
        notes = await self._book.commit(position, found, events, self._clock())
        self._has_kept = True
        if found:
            self._found.set()
        if notes:
            self._outbox.wake()

    async def _told(self, told: Status | Listed | str) -> None:
        now = self._clock()
        if isinstance(told, str):
            LOG.info("ct list: %s", told)
            await self._book.changed(told, now)
        elif isinstance(told, Listed):
            self._trouble = told.trouble
            if told.trouble:
                LOG.warning("ct log list: %s", told.trouble)
            if told.logs:
                for line in await self._book.listed(told, now):
                    LOG.info("ct list: %s", line)
        else:
            self._statuses[told.log.log_id.hex()] = told
            if told.note:
                LOG.info("ct log=%s: %s", told.log.description, told.note)
                await self._book.changed(f"{told.log.description}: {told.note}", now)

    # ── what is found out after ─────────────────────────────────────────────────

    async def _find_out(self) -> None:
        while True:
            is_news = self._found.is_set()
            self._found.clear()
            try:
                await self._look_for_served(is_news=is_news)
                await self._examine()
                await self._prove()
                await self._forget()
            except Died:
                LOG.info("ct: the reader is not there to ask; again soon")
            except Exception:
                LOG.exception("ct: finding out")
            with suppress(TimeoutError):
                await asyncio.wait_for(self._found.wait(), _EXAMINED_EVERY_S if self.reader.is_up else 1.0)

    async def _examine(self) -> None:
        """What CAA says of those that were found: some at a time, and all that can be known now."""
        while batch := await self._book.unexamined(_AT_ONCE):
            found = await asyncio.gather(*map(self._caa, batch))
            for issued, caa in zip(batch, found, strict=True):
                if await self._book.examined(issued.tbs, caa, self._clock()):
                    self._outbox.wake()
            if None in found:
                return  # nobody could be asked: later again

    async def _caa(self, issued: Issued) -> Sequence[Finding] | None:
        names = tuple(dict.fromkeys(each.name.lower() for each in issued.matches if each.how in {"name", "wildcard"}))
        try:
            return await self.reader.caa(names, issued.issuer) if names else ()
        except Died:
            if not self.reader.is_up:
                raise
            return None

    async def _prove(self) -> None:
        """Entries whose proof could not be had when they were found."""
        for issued, place in await self._book.unproved():
            if not place.is_verified:
                continue
            evidence = await self._evidence(issued, place)
            if evidence is not None and await self._book.proved(issued.tbs, place, evidence):
                self._outbox.wake()

    async def _evidence(self, issued: Issued, place: Place) -> dict[str, Any] | None:
        from probes.ct.description import CertificateFacts
        from probes.ct.issuance import Issuance, Seen

        stamp = round(place.at.timestamp() * 1000)
        seen = Seen(log_id=place.log_id, index=place.index, timestamp_ms=stamp, is_precert=place.is_precert)
        bundle = await self.reader.evidence(
            place.log_id, Issuance(tbs_sha256=issued.tbs, seen=(seen,), facts=CertificateFacts())
        )
        return (
            {"schema": 1, "type": "issuance", "tbs_sha256": issued.tbs, "evidence": bundle.to_json()}
            if bundle
            else None
        )

    async def _look_for_served(self, *, is_news: bool) -> None:
        """Whether the watches of the channel, or of public ones beside it, see open cases served."""
        now = self._clock()
        if not is_news and self._served_at is not None and now - self._served_at < _SERVED_EVERY:
            return
        self._served_at = now
        rooms: dict[tuple[str, str], list[str]] = {}
        for case, issued in await self._book.unserved(now - _SERVED_FOR):
            place = case.team, case.channel
            if place not in rooms:
                rooms[place] = await self._tellable(case)
            if await self._book.found_served(case, await self._book.served(issued, case.team, rooms[place])):
                self._outbox.wake()

    async def _tellable(self, case: Case) -> list[str]:
        """The channels whose watches may be told of in the channel of the case."""
        if await self._rooms.is_shared(case.team, case.channel):
            return [case.channel]
        others = [room for room in await self._book.watching_channels(case.team) if room != case.channel]
        return [case.channel, *await self._rooms.public(case.team, others[:40])]

    async def _forget(self) -> None:
        now = self._clock()
        if self._pruned_at is None or now - self._pruned_at > timedelta(days=1):
            while await self._book.prune(now - KEPT):
                pass
            self._pruned_at = now

    # ── back-fills ──────────────────────────────────────────────────────────────

    async def backfill(self, domain: str) -> str:
        """What crt.sh knows becomes known CAs and keys; a line that says so, or why not. Asked at most once a day."""
        at, now = await self._book.filled_at(domain), self._clock()
        if at is None or now - at > _FILLED_FOR:
            for pause in (0.0, 0.5, 2.0):  # the reader may be starting for this very domain
                await asyncio.sleep(pause)
                if self.reader.is_up:
                    break
            try:
                found = await self.reader.backfill(domain)
            except Died:
                return words.not_backfilled("my reader of logs is not there to ask")
            if isinstance(found, str) or found is None:
                return words.not_backfilled(found or "an error of mine")
            await self._book.fill(domain, found, now)
            at = now
        return words.backfilled(await self._book.filled(domain), at)
