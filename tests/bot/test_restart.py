"""Stopping and starting at every point: what was acknowledged is finished, once."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sqlite3
import sys
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from bot.history import History
from bot.local import UNLIMITED, Workspace, serve
from bot.manifest import MANIFEST
from bot.model import Content, Intake, Note
from bot.render import report
from bot.store import InUse
from tests.bot.conftest import Desk, said


def asked(desk: Desk, number: int = 1, text: str = "check api.example.com") -> Intake:
    ws = desk.workspace
    return Intake(
        key=f"command:{number}",
        kind="command",
        team=ws.team.id,
        channel=ws.incidents,
        user=ws.me,
        text=text,
        received_at=datetime.now(UTC),
    )


async def whole(desk: Desk, messages: int = 3) -> None:
    headline = await desk.headline("is broken")
    await desk.replies(headline, messages - 1)
    await desk.settled()
    assert len(desk.bot_messages()) == messages


async def test_a_request_stored_and_not_begun_is_finished_at_the_next_start(idle_desk: Desk) -> None:
    history = await History.open(idle_desk.database)
    await history.take_in(asked(idle_desk), verdict="check")
    await history.close()
    await idle_desk.start()
    await whole(idle_desk)


async def test_a_request_that_said_checking_says_nothing_twice(idle_desk: Desk) -> None:
    idle_desk.checker.gate.clear()
    await idle_desk.start()
    await idle_desk.tls("check api.example.com")
    await idle_desk.headline("Checking")
    for task in [task for task in asyncio.all_tasks() if task.get_name().startswith("request ")]:
        task.cancel()
    await idle_desk.stop()
    idle_desk.checker.gate.set()
    await idle_desk.start()
    await whole(idle_desk)


async def test_a_post_that_was_made_and_not_recorded_is_found_again(idle_desk: Desk) -> None:
    ws = idle_desk.workspace
    history = await History.open(idle_desk.database)
    note = Note(key="k1", kind="message", team=ws.team.id, channel=ws.incidents, content=Content(text="is broken"))
    await history.note([note])
    [owed], _ = await history.unsent(1e12)
    await history.attempt(owed.id, datetime.now(UTC).timestamp())
    await history.close()
    metadata = {"event_type": "clienthello_message", "event_payload": {"key": "k1"}}
    ws.post(ws.team.channel(ws.incidents), ws.bot_message("is broken", [], metadata=metadata))
    await idle_desk.start()
    await idle_desk.settled()
    assert len(idle_desk.bot_messages()) == 1
    assert ws.calls_of("chat.postMessage") == []


async def test_a_post_that_was_begun_and_never_made_is_made(idle_desk: Desk) -> None:
    ws = idle_desk.workspace
    history = await History.open(idle_desk.database)
    note = Note(key="k1", kind="message", team=ws.team.id, channel=ws.incidents, content=Content(text="is broken"))
    await history.note([note])
    [owed], _ = await history.unsent(1e12)
    await history.attempt(owed.id, datetime.now(UTC).timestamp())
    await history.close()
    await idle_desk.start()
    await idle_desk.settled()
    assert [message["text"] for message in idle_desk.bot_messages()] == ["is broken"]


@pytest.mark.parametrize(
    ("age", "headline"), [(timedelta(hours=2), "could not be checked"), (timedelta(0), "is broken")]
)
async def test_a_request_that_took_the_process_down_for_an_hour_is_given_up_visibly(
    idle_desk: Desk, age: timedelta, headline: str
) -> None:
    history = await History.open(idle_desk.database)
    intake = replace(asked(idle_desk), received_at=datetime.now(UTC) - age)
    number = await history.take_in(intake, verdict="check")
    assert number is not None
    for _ in range(10):
        await history.begin(number)
    await history.close()
    await idle_desk.start()
    await idle_desk.headline(headline)


async def test_a_pressed_button_survives_a_restart(idle_desk: Desk) -> None:
    await idle_desk.start()
    await idle_desk.tls("check api.example.com")
    await whole(idle_desk)
    headline = idle_desk.bot_messages()[0]
    await idle_desk.stop()
    await idle_desk.start()
    await idle_desk.workspace.click(headline, report.AGAIN)
    replies = await idle_desk.replies(headline, 3)
    assert "Checked again" in said(replies[2])


async def test_what_is_old_is_forgotten_at_the_start_and_old_buttons_still_work(idle_desk: Desk) -> None:
    await idle_desk.start()
    await idle_desk.tls("check api.example.com")
    await whole(idle_desk)
    headline = idle_desk.bot_messages()[0]
    await idle_desk.stop()
    with closing(sqlite3.connect(idle_desk.database)) as beside, beside:
        beside.execute("update outbox set noted_at = 0")
        beside.execute("update audit set at = '2020-01-01'")
        beside.execute("update intakes set received_at = '2020-01-01', finished_at = '2020-01-01'")
    await idle_desk.start()

    def audit_is_empty() -> bool:
        with closing(sqlite3.connect(idle_desk.database)) as beside:
            return bool(beside.execute("select count(*) from audit").fetchone() == (0,))

    async with asyncio.timeout(10):
        while not audit_is_empty():
            await idle_desk.settled()
    for action, count in ((report.AGAIN, 3), (report.RAW, 4), (report.CHANGED, 5)):
        await idle_desk.workspace.click(headline, action)
        await idle_desk.replies(headline, count)


async def test_stopping_lets_a_running_check_finish(idle_desk: Desk) -> None:
    idle_desk.checker.gate.clear()
    await idle_desk.start()
    await idle_desk.tls("check api.example.com")
    await idle_desk.headline("Checking")
    stopping = asyncio.create_task(idle_desk.stop())
    await idle_desk.workspace.wait_for(lambda: idle_desk.workspace.socket_mode.connections == 0)
    idle_desk.checker.gate.set()
    await stopping
    assert len(idle_desk.bot_messages()) == 3


async def test_two_processes_never_hold_one_memory(tmp_path: Path) -> None:
    first = await History.open(tmp_path / "bot.db")
    with pytest.raises(InUse):
        await History.open(tmp_path / "bot.db")
    await first.close()
    await (await History.open(tmp_path / "bot.db")).close()


# ── the real thing: kill -9 ─────────────────────────────────────────────────────

_BOT = """
import asyncio, json, sys
from pathlib import Path
from bot.config import SocketMode
from bot.service import serving
from tests.bot import reports

async def check(asked, on_progress):
    await asyncio.sleep(0.05)
    return reports.broken(str(asked.target))

async def main():
    url, bot, app, database = sys.argv[1:]
    connection = SocketMode(bot_token=bot, app_token=app, api_url=url)
    async with serving(connection, database=Path(database), checker=check):
        await asyncio.Event().wait()

asyncio.run(main())
"""


async def killed_and_restarted(tmp_path: Path, after_s: list[float]) -> None:
    """Ask, kill the bot so many seconds after the acknowledgement, start it again; at the end count what was said."""
    workspace = Workspace(manifest=MANIFEST, limits=UNLIMITED)
    running = await serve(workspace, port=0)
    arguments = [running.api_url, running.bot_token, running.app_token, str(tmp_path / "bot.db")]

    async def start() -> asyncio.subprocess.Process:
        bot = await asyncio.create_subprocess_exec(sys.executable, "-c", _BOT, *arguments)
        await workspace.connected(2, 20)
        return bot

    bot = await start()
    acknowledged: list[str] = []
    try:
        for round_number, delay in enumerate(after_s):
            host = f"host{round_number}.example.com"
            # A channel each: what is tested is the memory, not the pace of one channel.
            room = workspace.team.add_channel(f"room{round_number}", {workspace.me, workspace.bot})
            delivery = await workspace.command(workspace.me, room.id, "/tls", f"check {host}")
            if delivery.is_acked:
                acknowledged.append(room.id)
            await asyncio.sleep(delay)
            os.kill(bot.pid, signal.SIGKILL)
            await bot.wait()
            await workspace.wait_for(lambda: workspace.socket_mode.connections == 0)
            bot = await start()

        def all_said() -> bool:
            return all(len(workspace.messages(room)) >= 3 for room in acknowledged) and all(
                "is broken" in workspace.messages(room)[0]["text"] for room in acknowledged
            )

        await workspace.wait_for(all_said, 60)
        for asked_in in acknowledged:
            assert len(workspace.messages(asked_in)) == 3, json.dumps(workspace.messages(asked_in), indent=1)
        assert len(acknowledged) == len(after_s)
    finally:
        bot.kill()
        await bot.wait()
        await running.close()


async def test_a_killed_bot_loses_nothing_and_says_nothing_twice(tmp_path: Path) -> None:
    await killed_and_restarted(tmp_path, [0.0, 0.02, 0.07])


@pytest.mark.soak
async def test_a_bot_killed_at_many_moments_loses_nothing(tmp_path: Path) -> None:
    await killed_and_restarted(tmp_path, [number * 0.004 for number in range(60)])
