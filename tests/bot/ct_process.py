"""The bot that follows CT logs, as a process of its own that can be killed (`python -m tests.bot.ct_process SPEC`)."""

from __future__ import annotations

import asyncio
import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

from bot.config import SocketMode
from bot.ct_reader import CtSource
from bot.service import serving
from tests.bot.conftest import Checker, Desk
from tests.bot.ct_desk import HABITS, MANNERS, NO_RESOLVER

ROOT = Path(__file__).resolve().parents[2]


async def started(desk: Desk, log_list: str) -> asyncio.subprocess.Process:
    """The process, once it is connected."""
    running = desk.running
    spec: dict[str, Any] = {
        "api_url": running.api_url,
        "bot_token": running.bot_token,
        "app_token": running.app_token,
        "database": str(desk.database),
        "log_list": log_list,
    }
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.bot.ct_process", json.dumps(spec), cwd=ROOT
    )
    await desk.workspace.connected(2, 60)
    return process


async def _be_the_bot(spec: dict[str, str]) -> None:
    connection = SocketMode(bot_token=spec["bot_token"], app_token=spec["app_token"], api_url=spec["api_url"])
    source = CtSource(
        log_list=spec["log_list"],
        manners=replace(MANNERS, resolver=NO_RESOLVER),
        habits=HABITS,
        crtsh="http://127.0.0.1:9",
    )
    async with serving(connection, database=Path(spec["database"]), checker=Checker(), ct=source):
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(_be_the_bot(json.loads(sys.argv[1])))
