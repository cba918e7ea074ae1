"""An incident's room in the local workspace: its root, its thread, its timeline."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable
from contextlib import closing
from typing import Any

from bot.render import incident as room
from tests.bot.conftest import Desk, Json, said

HOST = "api.example.com"


async def opened(desk: Desk, host: str = HOST) -> Json:
    await desk.tls(f"check {host}")
    root = await desk.headline(f"{host} is broken")
    await desk.replies(root, 2)
    await desk.settled()
    return root


async def shows(desk: Desk, message: Json, part: str) -> None:
    await desk.workspace.wait_for(lambda: part in said(message))


def in_thread(desk: Desk, root: Json) -> list[str]:
    return [said(each) for each in desk.workspace.thread(desk.workspace.incidents, root["ts"])[1:]]


async def threaded(desk: Desk, root: Json, part: str) -> str:
    """The first message of the thread that says *part*, once it is there."""
    return await desk.workspace.wait_for(lambda: next((t for t in in_thread(desk, root) if part in t), None)) or ""


async def timeline(desk: Desk, root: Json) -> str:
    await desk.settled()
    before = len(desk.answers())
    await desk.workspace.click(root, room.MORE, "1:timeline")
    await desk.workspace.wait_for(lambda: len(desk.answers()) > before)
    return said(desk.answers()[-1].message)


async def until(desk: Desk, claim: Callable[[], bool]) -> None:
    """Wait for what shows in no message."""
    async with asyncio.timeout(20):
        while not claim():
            await desk.settled()
            await asyncio.sleep(0)


def values(message: Json, action: str) -> list[Json]:
    return [e for block in message["blocks"] for e in block.get("elements", ()) if e.get("action_id") == action]


def rows(desk: Desk, sql: str) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(desk.database)) as beside:
        return beside.execute(sql).fetchall()
