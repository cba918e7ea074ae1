"""kill -9 in the middle of a busy session, again and again: what was acknowledged is done and said, once.

A session is commands, clicks, triage, incidents, notes and the identity form, several at a time. The bot is a process
of its own; it is killed at a random moment and started again on what it left.
"""

from __future__ import annotations

import asyncio
import json
import random
import sqlite3
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import closing, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from bot.local import UNLIMITED, Refused, Running, Workspace, serve
from bot.local.delivery import Delivery
from bot.manifest import MANIFEST
from bot.render import incident as room
from bot.render import report
from tests.bot.conftest import Json, said
from tests.bot.process import Spec, killed, started
from tests.bot.test_identities import OURS, filled

SECRET = "a secret for tests that is long enough to be one"
_AT_ONCE = 7
_LASTS_S = 0.7
_PATIENCE_S = 240.0


@dataclass
class Session:
    """People at work, and what they were promised."""

    running: Running
    database: Path
    chance: random.Random
    checked: list[tuple[str, str]] = field(default_factory=list)  # acknowledged: room, host
    triaged: list[tuple[str, str]] = field(default_factory=list)
    mentioned: list[tuple[str, str, str]] = field(default_factory=list)  # the same by an event: room, host, ts
    noted: list[str] = field(default_factory=list)
    kept: list[str] = field(default_factory=list)  # identities
    number: int = 0

    @property
    def workspace(self) -> Workspace:
        return self.running.workspace

    def rooms(self) -> list[str]:
        """The newest rooms, where the work is."""
        return [each.id for each in self.workspace.team.channels.values() if each.name.startswith("room")][-3:]

    def busy(self) -> list[Awaitable[None]]:
        """Some acts, at random moments of the next instant."""
        acts = [self._check, self._check, self._triage, self._answer, self._answer, self._press, self._press]
        acts += [self._note, self._identity, self._mention]
        return [self._later(self.chance.choice(acts)) for _ in range(_AT_ONCE)]

    async def _later(self, act: Callable[[str, int], Awaitable[None]]) -> None:
        self.number += 1
        number, place = self.number, self.chance.choice(self.rooms())
        await asyncio.sleep(self.chance.uniform(0, _LASTS_S))
        with suppress(Refused):  # the message says something else by now, or no form is open
            await act(place, number)

    async def _tls(self, place: str, text: str) -> Delivery:
        return await self.workspace.command(self._someone(), place, "/tls", text)

    def _someone(self) -> str:
        return self.chance.choice((self.workspace.me, self.workspace.other))

    async def _check(self, place: str, number: int) -> None:
        host = f"host{number}.example.com"
        if (await self._tls(place, f"check {host}")).is_acked:
            self.checked.append((place, host))

    async def _mention(self, place: str, number: int) -> None:
        host = f"host{number}.example.com"
        message = await self.workspace.mention(self._someone(), place, f"check {host}")
        self.mentioned.append((place, host, str(message["ts"])))

    async def _triage(self, place: str, number: int) -> None:
        host = f"host{number}.example.com"
        if (await self._tls(place, f"triage {host}")).is_acked:
            self.triaged.append((place, host))

    async def _note(self, place: str, number: int) -> None:
        before = any("is broken" in each["text"] for each in self.workspace.messages(place))
        text = f"note number {number} of this session"
        if (await self._tls(place, f"note {text}")).is_acked and before:
            self.noted.append(text)

    async def _identity(self, place: str, number: int) -> None:
        name, user = f"identity-{number}", self._someone()
        await self.workspace.command(user, place, "/tls", "identity add")
        values = filled(OURS)
        values["name"]["name"]["value"] = name
        delivery = await self.workspace.submit_view(user, values)
        if delivery.is_acked and not (delivery.response or {}).get("response_action"):
            self.kept.append(name)

    async def _answer(self, place: str, number: int) -> None:
        asking = [each for each in self.workspace.messages(place) if each["text"].startswith("Triage")]
        if asking:
            message = self.chance.choice(asking)
            if buttons := answers_of(message):
                await self.workspace.click(message, self.chance.choice(buttons), user=self._someone())

    async def _press(self, place: str, number: int) -> None:
        verdicts = [each for each in self.workspace.messages(place) if "is broken" in each["text"]]
        acts = (report.AGAIN, report.RAW, report.CHANGED, room.COMMAND_TAKEN, room.WATCH, room.RESOLVE, room.REOPEN)
        if verdicts:
            await self.workspace.click(self.chance.choice(verdicts), self.chance.choice(acts), user=self._someone())


def answers_of(message: Json) -> list[str]:
    """The buttons of a walkthrough's question, but for those that lead back."""
    elements = [element for block in message["blocks"] for element in block.get("elements", ())]
    found = [str(element.get("action_id", "")) for element in elements]
    return [action for action in found if action.startswith("triage.answer.") or action == "triage.skip"]


class Memory:
    """The database, read from beside."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def rows(self, sql: str) -> list[sqlite3.Row]:
        with closing(sqlite3.connect(f"file:{self._path}?mode=ro", uri=True, timeout=30)) as beside:
            beside.row_factory = sqlite3.Row
            return beside.execute(sql).fetchall()

    def count(self, sql: str) -> int:
        return int(self.rows(sql)[0][0])


async def settled(memory: Memory) -> None:
    """Every request is finished and everything is said."""
    owed = (
        "select (select count(*) from intakes where finished_at is null and kind != 'look')"
        " + (select count(*) from outbox where sent_revision < revision and state = 'live')"
    )
    async with asyncio.timeout(_PATIENCE_S):
        quiet = 0
        while quiet < 3:
            quiet = quiet + 1 if memory.count(owed) == 0 else 0
            await asyncio.sleep(0.2)


async def killed_again_and_again(tmp_path: Path, times: int, seed: int) -> None:
    chance = random.Random(seed)
    workspace = Workspace(manifest=MANIFEST, limits=UNLIMITED, ack_deadline_s=2.0, retry_delays_s=(1.0, 2.0, 4.0, 8.0))
    running = await serve(workspace, port=0)
    database = tmp_path / "bot.db"
    spec = Spec.of(running, database, secret_key=SECRET)
    session = Session(running, database, chance)
    bot = await started(spec, running)
    try:
        for number in range(times):
            workspace.team.add_channel(f"room{number}", {workspace.me, workspace.other, workspace.bot})
            acts = [asyncio.ensure_future(act) for act in session.busy()]
            await asyncio.sleep(chance.uniform(0.05, _LASTS_S + 0.3))
            await killed(bot)
            await workspace.wait_for(lambda: workspace.socket_mode.connections == 0)
            bot = await started(spec, running)
            await asyncio.gather(*acts)
        memory = Memory(database)
        await workspace.settled(60)
        await settled(memory)
        as_promised(session, memory)
        await walkthroughs_go_on(session, memory)
        await settled(memory)
        as_promised(session, memory)
    finally:
        await killed(bot)
        await running.close()


def as_promised(session: Session, memory: Memory) -> None:
    """Nothing lost, nothing twice, and the database whole."""
    workspace = session.workspace
    assert [tuple(row) for row in memory.rows("pragma integrity_check")] == [("ok",)]
    assert memory.rows("pragma foreign_key_check") == []
    assert memory.count("select count(*) - count(distinct key) from intakes") == 0

    by_key = Counter(key for each in said_by(workspace) if (key := key_of(each)))
    assert [key for key, count in by_key.items() if count > 1] == []
    stands = {(channel.id, ts): each for channel in workspace.team.channels.values() for ts, each in messages(channel)}
    for row in memory.rows("select * from outbox where kind = 'message'"):
        assert row["state"] == "live", dict(row)
        shown = stands[row["channel"], row["ts"]]
        assert key_of(shown) == row["key"]
        assert shown["text"] == json.loads(row["content"])["text"]
    for row in memory.rows("select upload, filename from outbox where kind = 'file'"):
        assert len(workspace.files.file(row["upload"]).shares) == 1, dict(row)
        with_name = [file for file in workspace.files.files.values() if file.name == row["filename"] and file.shares]
        assert len(with_name) == 1

    # An event that nobody acknowledges comes again, but not for ever.
    acked = {each.payload["event"].get("ts") for each in workspace.courier.log if is_mention(each) and each.is_acked}
    heard = [(place, host) for place, host, ts in session.mentioned if ts in acked]
    for place, host in session.checked + heard:
        verdicts = [each for each in workspace.messages(place) if host in each["text"] and is_root(each)]
        known = [tuple(row) for row in memory.rows(f"select * from intakes where text like '%{host}%'")]
        assert len(verdicts) == 1, (host, [each["text"] for each in verdicts], known)
        assert "is broken" in verdicts[0]["text"]
    for place, host in session.triaged:
        assert len([each for each in walkthroughs(workspace, place) if host in each["text"]]) == 1, host
    for text in session.noted:
        assert memory.count(f"select count(*) from timeline where text = '{text}'") == 1, text
    names = Counter(row["name"] for row in memory.rows("select name from identities"))
    assert all(names[name] == 1 for name in session.kept)


async def walkthroughs_go_on(session: Session, memory: Memory) -> None:
    """Wherever a walkthrough was when the bot died, it can be answered to its end."""
    workspace = session.workspace
    for place, host in session.triaged[-6:]:
        [message] = [each for each in walkthroughs(workspace, place) if host in each["text"]]
        while buttons := answers_of(message):
            before = said(message)
            assert (await workspace.click(message, buttons[0])).is_acked
            await workspace.wait_for(lambda: said(message) != before, 60)  # noqa: B023 - awaited here
            await settled(memory)
        assert "likely cause" in said(message)


def is_mention(delivery: Delivery) -> bool:
    return delivery.kind == "events_api" and delivery.payload["event"]["type"] == "app_mention"


def messages(channel: Any) -> list[tuple[str, Json]]:
    return [(str(each["ts"]), each) for each in channel.messages.values()]


def said_by(workspace: Workspace) -> list[Json]:
    return [each for channel in workspace.team.channels.values() for _, each in messages(channel)]


def key_of(message: Json) -> str | None:
    payload = (message.get("metadata") or {}).get("event_payload") or {}
    return payload.get("key")


def is_root(message: Json) -> bool:
    return (
        message.get("user", "").startswith("U")
        and message.get("thread_ts") in {None, message["ts"]}
        and "metadata" in message
    )


def walkthroughs(workspace: Workspace, place: str) -> list[Json]:
    return [each for each in workspace.messages(place) if each["text"].startswith("Triage") and key_of(each)]


async def test_a_bot_killed_in_a_busy_session_loses_nothing_and_says_nothing_twice(tmp_path: Path) -> None:
    await killed_again_and_again(tmp_path, 3, seed=3)


@pytest.mark.soak
async def test_a_bot_killed_at_fifty_moments_loses_nothing_and_says_nothing_twice(tmp_path: Path) -> None:
    await killed_again_and_again(tmp_path, 50, seed=50)
