"""kill -9 while digests are on their way: each is in its channel once, with its picture, wherever the bot died."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from bot.digest_book import DigestBook, Planned
from bot.digest_times import DigestPlan
from bot.history import History
from bot.local import UNLIMITED, Workspace, serve
from bot.manifest import MANIFEST
from bot.model import Incident
from bot.watched import Lookout, Watch
from bot.watchlist import Watchlist
from probes.model import Target
from tests.bot.process import Spec, killed, started
from tests.bot.test_kills import Memory, key_of, settled

_ROUNDS = 6


async def something_to_say(database: Path, workspace: Workspace) -> None:
    """A digest is due since a minute; an incident is open, and a certificate ends within the horizon."""
    history, now, team = await History.open(database), datetime.now(UTC), workspace.team.id
    try:
        target = Target.parse("api.example.com")
        watch = Watch(
            id=0,
            team=team,
            channel=workspace.incidents,
            lookout=Lookout(id=0, team=team, target=target),
            owner=workspace.me,
            snoozed_until=now + timedelta(days=1),
            added_at=now,
        )
        await Watchlist(history).add(watch, "", most=9)
        ends = (now + timedelta(days=40)).timestamp()
        execute = history._db.execute
        await history._write(execute, "update lookouts set expires_at = ?, status = 'ok'", (ends,))
        incident = Incident(
            id=0, channel=workspace.incidents, target=str(target), cause="reach.refused", state="open", opened_at=now
        )
        await history._write(history._keep, replace(incident, team=team))
        at = (now - timedelta(minutes=1)).time().replace(second=0, microsecond=0)
        plan = DigestPlan(at=at, zone="UTC")
        channel, before = workspace.incidents, now - timedelta(days=1)
        planned = Planned(team=team, channel=channel, plan=plan, set_by=workspace.me, set_at=before)
        await DigestBook(history).plan(planned, 0, ())
    finally:
        await history.close()


async def test_digests_under_kill_9_are_posted_once_each(tmp_path: Path) -> None:
    chance = random.Random(11)
    workspace = Workspace(manifest=MANIFEST, limits=UNLIMITED, ack_deadline_s=2.0, retry_delays_s=(1.0, 2.0, 4.0))
    running = await serve(workspace, port=0)
    database = tmp_path / "bot.db"
    await something_to_say(database, workspace)
    spec = Spec.of(running, database)
    asked = []
    bot = await started(spec, running)
    try:
        for number in range(_ROUNDS):
            room = workspace.team.add_channel(f"room{number}", {workspace.me, workspace.bot}).id
            if (await workspace.command(workspace.me, room, "/tls", "digest now")).is_acked:
                asked.append(room)
            await asyncio.sleep(chance.uniform(0.0, 1.6))  # anywhere between its composition and its last edit
            await killed(bot)
            await workspace.wait_for(lambda: workspace.socket_mode.connections == 0)
            bot = await started(spec, running)
        memory = Memory(database)

        def all_are_said() -> bool:
            return memory.count("select count(*) from digests") == len(asked) + 1

        await workspace.wait_for(all_are_said, 120)
        await settled(memory)
    finally:
        await killed(bot)
        await running.close()
    said = [each for place in (workspace.incidents, *asked) for each in workspace.messages(place) if key_of(each)]
    digests = [each for each in said if str(key_of(each)).startswith("digest:")]
    assert Counter(str(key_of(each)).split(":")[2] for each in digests) == dict.fromkeys(
        (workspace.incidents, *asked), 1
    )
    [planned] = [each for each in digests if "request" not in str(key_of(each))]
    assert "1 thing needs somebody" in planned["text"]
    assert [block["type"] for block in planned["blocks"]].count("image") == 1
