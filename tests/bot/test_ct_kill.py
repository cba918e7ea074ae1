"""kill -9 of the whole bot while certificates come in: none is passed over, none is told twice."""

from __future__ import annotations

import asyncio
import random
from pathlib import Path

from tests.bot.conftest import Desk, said
from tests.bot.ct_desk import followed, issuances, rows, source, until
from tests.bot.ct_process import started
from tests.ct.certificates import Authority
from tests.ct.logserver import CtLog

_KILLS = 6


async def test_no_kill_loses_or_repeats_an_issuance(idle_desk: Desk, tmp_path: Path) -> None:
    desk, chance = idle_desk, random.Random(11)
    names = []
    with CtLog() as log:
        log.fill(3)
        settings = source(tmp_path, log.listed("rfc6962"))
        bot = await started(desk, settings.log_list)
        try:
            await desk.tls("ct watch example.test")
            await followed(desk)
            for number in range(_KILLS):
                # Each by a CA of its own, answered by nobody: all of them are to be told.
                log.submit(Authority(f"CA {number}").issue(f"n{number}.example.test"))
                names.append(f"n{number}.example.test")
                await asyncio.sleep(chance.random() * 0.6)  # wherever that falls: fetching, keeping, or telling
                bot.kill()
                await bot.wait()
                bot = await started(desk, settings.log_list)
            await until(lambda: len(rows(desk, "select 1 from ct_cases")) == _KILLS, 60.0)
            unsent = "select count(*) from outbox where sent_revision < revision and state = 'live'"
            await until(lambda: rows(desk, unsent) == [(0,)], 60.0)
        finally:
            bot.kill()
            await bot.wait()
        assert rows(desk, "select verified from ct_positions") == [(3 + _KILLS,)]
    told = "\n".join(said(message) for message in [*issuances(desk), *shared(desk)])
    assert all(name in told for name in names)
    roots = [m for m in issuances(desk) if any(f"for `{name}`" in said(m) for name in names)]
    assert len(roots) == len({said(m).splitlines()[1] for m in roots}) == 5
    assert len(shared(desk)) == 1


def shared(desk: Desk) -> list[dict[str, object]]:
    """The message that the sixth shares with whatever would come."""
    return [m for m in desk.bot_messages() if "more certificate" in m["text"]]
