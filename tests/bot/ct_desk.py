"""A desk whose bot follows CT logs of our own on loopback."""

from __future__ import annotations

import asyncio
import json
import os
import sqlite3
from collections.abc import Callable
from contextlib import closing, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from bot.ct_reader import CtSource
from probes.ct_follow import Habits
from probes.model import Endpoint
from probes.net.logfetch import Manners
from tests.bot.conftest import Desk, Json, said
from tests.ct.logserver import Listed, log_list

HABITS = Habits(prove=True, poll_s=0.1, partial_wait_s=0.05, recheck_s=0.1)
MANNERS = Manners(per_second=None, first_pause_s=0.01, longest_pause_s=0.1, total_s=2.0, patience_s=2.0, attempts=3)
NO_RESOLVER = Endpoint(address="127.0.0.1", port=9)  # nobody answers there: no question leaves this machine


def source(folder: Path, *listed: Listed, resolver: Endpoint = NO_RESOLVER, **more: Any) -> CtSource:
    """The logs in a list of their own."""
    path = folder / "log_list.json"
    path.write_text(json.dumps(log_list(*listed)), encoding="utf-8")
    chosen = {"habits": HABITS, "crtsh": "http://127.0.0.1:9", **more}
    return CtSource(log_list=str(path), manners=replace(MANNERS, resolver=resolver), **chosen)


async def begun(desk: Desk, domain: str, *, channel: str | None = None, options: str = "", logs: int = 1) -> None:
    """*domain* is watched, and every log is at its end."""
    await desk.tls(f"ct watch {domain} {options}".strip(), channel=channel)
    await desk.worked_off()
    await followed(desk, logs)


async def followed(desk: Desk, logs: int = 1) -> None:
    """So many logs have a position."""
    await until(lambda: rows(desk, "select count(*) from ct_positions")[0][0] >= logs)


def rows(desk: Desk, sql: str) -> list[tuple[Any, ...]]:
    """What the bot's memory holds."""
    with closing(sqlite3.connect(f"file:{desk.database}?mode=ro", uri=True)) as db:
        return db.execute(sql).fetchall()


async def until(holds: Callable[[], bool], seconds: float = 20.0) -> None:
    """Back when it holds: for what no message tells."""
    async with asyncio.timeout(seconds):
        while not holds():
            await asyncio.sleep(0.02)


def issuances(desk: Desk, channel: str | None = None) -> list[Json]:
    """The messages about issuances in a channel."""
    return [
        m for m in desk.bot_messages(channel) if "was issued by" in said(m) and m.get("thread_ts") in {None, m["ts"]}
    ]


async def issuance(desk: Desk, containing: str, *, channel: str | None = None) -> Json:
    """The message of an issuance, once it says *containing*."""

    def found() -> Json | None:
        return next((m for m in issuances(desk, channel) if containing in said(m)), None)

    message = await desk.workspace.wait_for(found)
    assert message is not None
    return message


async def evidence_of(desk: Desk, root: Json, channel: str | None = None) -> bytes:
    """The JSON file in the thread of *root*."""
    ws = desk.workspace

    def found() -> bytes | None:
        thread = ws.thread(channel or ws.incidents, root["ts"])
        files = [file for m in thread for file in m.get("files") or () if file["name"].endswith(".json")]
        return ws.files.file(files[0]["id"]).content if files else None

    content = await ws.wait_for(found)
    assert content is not None
    return content


def children(module: str) -> list[int]:
    """The processes that this one started as `python -m MODULE` and that are alive."""
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        with suppress(OSError):
            words = (entry / "cmdline").read_bytes().split(b"\0")
            fields = (entry / "stat").read_text().rpartition(")")[2].split()
            if module.encode() in words and int(fields[1]) == os.getpid() and fields[0] != "Z":
                found.append(int(entry.name))
    return found
