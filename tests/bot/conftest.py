"""The real bot against the local workspace, over loopback. The checker alone is chosen by the test."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from bot.config import HttpMode, SocketMode
from bot.local import UNLIMITED, Limits, Running, Workspace, serve
from bot.manifest import MANIFEST
from bot.model import Check
from bot.notify import Outbox
from bot.service import serving
from probes.model import Report
from tests.bot import reports

Json = dict[str, Any]


@dataclass
class Checker:
    """Answers with what the test laid out: a report, an exception, or what a function makes of the check.

    `asked` are the checks so far; while `gate` is cleared, checks wait; `tells` is the progress they report.
    """

    answer: Report | Exception | Callable[[Check], Report] | None = None
    asked: list[Check] = field(default_factory=list)
    gate: asyncio.Event = field(default_factory=asyncio.Event)
    tells: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        self.gate.set()

    async def __call__(self, check: Check, on_progress: Callable[[str], None], /) -> Report:
        self.asked.append(check)
        for text in self.tells:
            on_progress(text)
        await self.gate.wait()
        if isinstance(self.answer, Exception):
            raise self.answer
        if callable(self.answer):
            return self.answer(check)
        return self.answer or reports.broken(str(check.target))


class Desk:
    """A workspace and the bot in it, with the words a test needs."""

    def __init__(self, workspace: Workspace, running: Running, database: Path, checker: Checker) -> None:
        self.workspace = workspace
        self.running = running
        self.database = database
        self.checker = checker
        self.outbox: Outbox | None = None
        self._bot: AsyncExitStack | None = None

    async def start(self, *, http_port: int | None = None, **settings: Any) -> None:
        connection: SocketMode | HttpMode
        if http_port is None:
            connection = SocketMode(
                bot_token=self.running.bot_token, app_token=self.running.app_token, api_url=self.running.api_url
            )
        else:
            connection = HttpMode(
                bot_token=self.running.bot_token,
                signing_secret=self.running.signing_secret,
                port=http_port,
                api_url=self.running.api_url,
            )
        self._bot = AsyncExitStack()
        self.outbox = await self._bot.enter_async_context(
            serving(connection, database=self.database, checker=self.checker, **settings)
        )
        if http_port is None:
            await self.workspace.connected(2)

    async def stop(self) -> None:
        if self._bot is not None:
            await self._bot.aclose()
            self._bot = None

    async def tls(self, text: str, *, channel: str | None = None, user: str | None = None) -> Any:
        ws = self.workspace
        return await ws.command(user or ws.me, channel or ws.incidents, "/tls", text)

    @property
    def holds_checks_back(self) -> bool:
        """The test lets checks wait, and means to. Another checker than the test's own never does."""
        return isinstance(self.checker, Checker) and not self.checker.gate.is_set()

    async def settled(self) -> None:
        """Everything delivered, worked off and said."""
        await self.workspace.settled()
        if not self.holds_checks_back:
            running = [task for task in asyncio.all_tasks() if task.get_name().startswith("request ")]
            await asyncio.gather(*running, return_exceptions=True)
        assert self.outbox is not None
        await self.outbox.settled()

    async def worked_off(self) -> None:
        """Every request is finished, whether or not all is said yet."""
        await self.workspace.settled()
        running = [task for task in asyncio.all_tasks() if task.get_name().startswith("request ")]
        await asyncio.gather(*running)

    def bot_messages(self, channel: str | None = None) -> list[Json]:
        ws = self.workspace
        return [m for m in ws.messages(channel or ws.incidents) if m.get("user") == ws.bot]

    async def headline(self, containing: str, count: int = 1) -> Json:
        """The bot's root message whose text holds *containing*, once there are so many."""

        def found() -> list[Json] | None:
            roots = [
                m for m in self.bot_messages() if m.get("thread_ts") in {None, m["ts"]} and containing in m["text"]
            ]
            return roots if len(roots) >= count else None

        roots = await self.workspace.wait_for(found)
        assert roots is not None
        return roots[-1]

    async def replies(self, root: Json, count: int, channel: str | None = None) -> list[Json]:
        """The bot's replies in the thread of *root*, once there are so many."""
        ws = self.workspace

        def found() -> list[Json] | None:
            thread = [
                m
                for m in ws.thread(channel or ws.incidents, root["ts"])
                if m["ts"] != root["ts"] and m.get("user") == ws.bot
            ]
            return thread if len(thread) >= count else None

        return await ws.wait_for(found) or []

    def answers(self) -> list[Any]:
        """What was said to one person alone, but for the line that everybody is told once."""
        return [each for each in self.workspace.whispers() if "First time?" not in said(each.message)]

    async def whisper(self, containing: str) -> Any:
        def found() -> Any:
            return next((w for w in self.workspace.whispers() if containing in said(w.message)), None)

        return await self.workspace.wait_for(found)


def said(message: Json) -> str:
    """Everything a message shows, text and blocks."""
    return str(message.get("text", "")) + "\n" + "\n".join(_texts(message.get("blocks") or []))


def _texts(value: object) -> list[str]:
    if isinstance(value, dict):
        own = [value["text"]] if isinstance(value.get("text"), str) else []
        return own + [text for item in value.values() if not isinstance(item, str) for text in _texts(item)]
    if isinstance(value, list):
        return [text for item in value for text in _texts(item)]
    return []


@pytest.fixture
def limits() -> Limits:
    return UNLIMITED


@pytest.fixture
async def idle_desk(tmp_path: Path, limits: Limits) -> AsyncIterator[Desk]:
    """A workspace whose bot is not running yet."""
    workspace = Workspace(manifest=MANIFEST, limits=limits)
    running = await serve(workspace, port=0)
    desk = Desk(workspace, running, tmp_path / "bot.db", Checker())
    try:
        yield desk
    finally:
        await desk.stop()
        await running.close()


@pytest.fixture
async def desk(idle_desk: Desk) -> Desk:
    await idle_desk.start()
    return idle_desk
