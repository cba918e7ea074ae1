"""A follower for tests: real sockets, a state file, a clock that stands still unless moved, and what was told."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random

from probes.ct.loglist import LogList, parse_log_list
from probes.ct.monitor import Event
from probes.ct.watchset import WatchSet
from probes.ct_follow import Habits, ListChange, Status, Told, follow, wanted
from probes.ct_store import FileStore, Found
from probes.net.logfetch import Manners
from tests.ct.logserver import Listed, log_list

QUICK = Manners(per_second=None, first_pause_s=0.002, longest_pause_s=0.02, total_s=2.0, patience_s=5.0, attempts=4)
WATCHED = "example.test"


class Clock:
    """The time of the logs and of the follower alike, in seconds of the epoch; it moves when told."""

    def __init__(self) -> None:
        self.seconds = datetime(2026, 11, 22, 6, tzinfo=UTC).timestamp()

    def __call__(self) -> float:
        return self.seconds

    def now(self) -> datetime:
        return datetime.fromtimestamp(self.seconds, UTC)

    def move(self, **span: float) -> None:
        self.seconds += timedelta(**span).total_seconds()


@dataclass(slots=True)
class Heard:
    """What was told, in order."""

    told: list[Told] = field(default_factory=list)

    @property
    def found(self) -> list[Found]:
        return [each for each in self.told if isinstance(each, Found)]

    @property
    def identities(self) -> list[str]:
        return [each.issuance.tbs_sha256 for each in self.found]

    @property
    def events(self) -> list[Event]:
        return [each for each in self.told if isinstance(each, Event)]

    @property
    def kinds(self) -> list[str]:
        return [each.kind for each in self.events]

    @property
    def changes(self) -> list[str]:
        return [each.text for each in self.told if isinstance(each, ListChange)]

    @property
    def last(self) -> dict[str, Status]:
        """The last status of each log, by the first word of its name."""
        return {each.log.description.split()[0]: each for each in self.told if isinstance(each, Status)}

    def told_of_nothing(self) -> bool:
        return not self.found and not self.events

    @property
    def troubles(self) -> dict[str, str]:
        return {name: status.trouble for name, status in self.last.items() if status.trouble}


def parsed(*listed: Listed) -> LogList:
    return parse_log_list(json.dumps(log_list(*listed)).encode())


class Watcher:
    """Looks at logs with one state file; each `look` is a new process as far as the state is concerned."""

    def __init__(self, folder: Path, clock: Clock, *domains: str, manners: Manners = QUICK) -> None:
        self.path = folder / "state.json"
        self.clock, self.manners = clock, manners
        self.watch = WatchSet.compile(domains or (WATCHED,))
        self.heard = Heard()  # of all looks

    async def look(self, *listed: Listed, **habits: float | bool) -> Heard:
        """Read everything that the logs have now, from the start unless said otherwise."""
        return await self.follow(
            *listed,
            habits=replace(Habits(from_start=True, once=True), **habits),  # type: ignore[arg-type]
        )

    async def follow(
        self,
        *listed: Listed,
        habits: Habits,
        also: Callable[[Told], None] | None = None,
        reload: Callable[[], Awaitable[LogList]] | None = None,
    ) -> Heard:
        """Follow until cancelled, or once. *also* is told too."""
        store, heard, logs = self.store(), Heard(), parsed(*listed)

        def tell(told: Told) -> None:
            heard.told.append(told)
            self.heard.told.append(told)
            if also is not None:
                also(told)

        try:
            following = {bytes.fromhex(each) for each in store.positions}
            await follow(
                wanted(logs, self.clock.now(), following=following),
                self.watch,
                store,
                tell,
                manners=self.manners,
                now=self.clock.now,
                rng=Random(7),
                habits=habits,
                listed=logs,
                reload=reload,
            )
        finally:
            store.close()
        return heard

    def store(self) -> FileStore:
        store = FileStore(self.path, self.clock.now)
        store.open(for_writing=True)
        return store

    def findings(self) -> list[dict[str, object]]:
        """What is durable."""
        store = FileStore(self.path, self.clock.now)
        store.open(for_writing=False)
        return list(store.findings())

    def announced(self) -> list[str]:
        """The identities of the issuances in the findings, in order; more than once would be an error."""
        return [str(line["tbs_sha256"]) for line in self.findings() if line["type"] == "issuance"]
