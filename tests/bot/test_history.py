"""The memory: one effect a request, one transaction a conclusion, and the search."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from bot.history import History
from bot.incidents import endpoint_of, step
from bot.lineages import Lineage
from bot.model import Content, Intake, Note, Owed, PastCheck
from bot.plain import plain
from probes.model import Report
from tests.bot import reports

NOW = datetime(2026, 11, 21, 22, 0, tzinfo=UTC)


@pytest.fixture
async def history(tmp_path: Path) -> AsyncIterator[History]:
    opened = await History.open(tmp_path / "deep" / "bot.db")
    yield opened
    await opened.close()


def intake(key: str = "command:1") -> Intake:
    return Intake(
        key=key, kind="command", team="T1", channel="C1", user="U1", text="check api.example.com", received_at=NOW
    )


def note(key: str, text: str = "hello", **more: str | None) -> Note:
    return Note(key=key, kind="message", team="T1", channel="C1", content=Content(text=text), **more)  # type: ignore[arg-type]


async def recorded(history: History, key: str, report: Report) -> PastCheck:
    number = await history.take_in(intake(key), verdict="check")
    assert number is not None
    check = PastCheck(
        id=number, team="T1", channel="C1", user="U1", command="check api.example.com", headline=f"check:{number}",
        at=NOW, report=report,
    )  # fmt: skip
    standing = await history.standing("T1", "C1", endpoint_of(report.target))
    transition = step(standing, check, asked_at=NOW)
    await history.record(check, transition, lambda _: ([], [note(check.headline)]), NOW)
    return check


async def unsent(history: History) -> list[Owed]:
    """What can be sent, in full."""
    found = [await history.current(due.id) for due in (await history.unsent(1e12))[0]]
    return [owed for owed in found if owed is not None]


async def test_a_request_is_taken_in_once(history: History) -> None:
    assert await history.take_in(intake(), verdict="check") == 1
    assert await history.take_in(intake(), verdict="check") is None
    assert [found.key for found in await history.unfinished()] == ["command:1"]


async def test_a_recorded_check_comes_back_without_loss_and_finishes_its_request(history: History) -> None:
    check = await recorded(history, "command:1", reports.broken())
    assert await history.check(check.id) == check
    assert await history.unfinished() == []
    assert [due.key for due in (await history.unsent(1e12))[0]] == ["check:1"]


async def test_a_conclusion_that_fails_leaves_nothing_behind(history: History) -> None:
    check = await recorded(history, "command:1", reports.broken())
    with pytest.raises(Exception, match="UNIQUE"):
        await history.record(check, step(None, check, asked_at=NOW), lambda _: ([], [note("other")]), NOW)
    assert [found.id for found in await history.incidents("T1", "", seen_in=["C1"], limit=9)] == [1]
    assert [due.key for due in (await history.unsent(1e12))[0]] == ["check:1"]


async def test_the_check_before_is_that_of_the_same_endpoint(history: History) -> None:
    first = await recorded(history, "command:1", reports.broken())
    await recorded(history, "command:2", reports.broken("other.example.com"))
    last = await recorded(history, "command:3", reports.healthy())
    assert await history.check_before(last, seen_in=["C1"]) == first
    assert await history.check_before(first, seen_in=["C1"]) is None
    assert await history.check_before(last, seen_in=["C2"]) is None


async def test_incidents_open_repeat_change_and_recover(history: History) -> None:
    await recorded(history, "c:1", reports.broken())
    await recorded(history, "c:2", reports.broken())
    standing = await history.standing("T1", "C1", "api.example.com:443")
    assert standing is not None and (standing.cause, standing.checks) == ("validity.expired", 2)
    await recorded(history, "c:3", reports.broken(code="chain.incomplete"))
    await recorded(history, "c:4", reports.healthy())
    [found] = await history.incidents("T1", "", seen_in=["C1"], limit=9)
    assert (found.cause, found.state, found.checks) == ("chain.incomplete", "recovered", 4)


async def test_an_edit_of_a_note_is_one_more_revision_and_the_same_words_are_none(history: History) -> None:
    await history.note([note("k", "one")])
    [owed] = await unsent(history)
    await history.sent(owed.id, owed.revision, "1.1")
    await history.note([note("k", "one")])
    assert await unsent(history) == []
    await history.note([note("k", "two")])
    [owed] = await unsent(history)
    assert (owed.note.content.text, owed.ts, owed.revision) == ("two", "1.1", 2)


async def test_a_reply_waits_for_its_parent_and_then_knows_its_thread(history: History) -> None:
    await history.note([note("root"), note("reply", parent="root")])
    [root] = await unsent(history)
    await history.sent(root.id, root.revision, "1.1")
    [reply] = await unsent(history)
    assert (reply.note.key, reply.thread_ts) == ("reply", "1.1")


@pytest.mark.parametrize(
    ("word", "found"), [("", 2), ("other", 1), ("expired", 2), ("BROKEN", 2), ("100%", 0), ("_", 0)]
)
async def test_history_is_searched_by_host_cause_verdict_and_words(history: History, word: str, found: int) -> None:
    await recorded(history, "c:1", reports.broken())
    await recorded(history, "c:2", replace(reports.broken("other.example.com"), summary="x"))
    assert len(await history.lines("T1", word, seen_in=["C1"], before=None, limit=9)) == found


async def test_one_team_does_not_see_anothers_checks(history: History) -> None:
    await recorded(history, "c:1", reports.broken())
    assert await history.lines("T2", "", seen_in=["C1"], before=None, limit=9) == []
    assert await history.incidents("T2", "", seen_in=["C1"], limit=9) == []


async def test_migrating_twice_changes_nothing(tmp_path: Path) -> None:
    for _ in range(2):
        await (await History.open(tmp_path / "bot.db")).close()


# ── forgetting ──────────────────────────────────────────────────────────────────


async def rows(history: History, table: str) -> list[str]:
    name = "key" if table in {"outbox", "intakes"} else "text"
    return [row[name] for row in await history._run(history._rows, f"select {name} from {table} order by id")]


async def worded(history: History) -> list[str]:
    """The messages whose words are remembered."""
    sql = "select key from outbox where content != '' order by id"
    return [row["key"] for row in await history._run(history._rows, sql)]


async def test_the_message_of_an_open_renewal_is_kept_however_old_it_is(history: History) -> None:
    await history.note([note("lineage:1:1"), note("lineage:1:2"), note("due:T1:C1:1"), note("due:T1:C1:2")])
    for due in (await history.unsent(1e12))[0]:
        await history.sent(due.id, 1, "1.1")
    state = json.dumps(plain(Lineage(id=1, team="T1", channel="C1", names=("a.example",), episode=2, is_open=True)))
    columns = "(id, team, channel, names_key, owner, is_open, within, state)"
    sql = f"insert into lineages {columns} values (1, 'T1', 'C1', '', '', 1, 'due:T1:C1:1', ?)"
    await history._write(history._db.execute, sql, (state,))
    await history.prune(datetime.now(UTC) + timedelta(days=400))
    assert await worded(history) == ["lineage:1:2", "due:T1:C1:1"]


async def test_what_is_old_is_forgotten_and_what_is_unsent_unfinished_or_a_report_is_not(history: History) -> None:
    check = await recorded(history, "command:1", reports.broken())
    await history.take_in(replace(intake("command:2"), text="help"), verdict="help", finished=True)
    await history.take_in(replace(intake("command:3"), text="unfinished"), verdict="check")
    await history.note([note("check:1:why", parent="check:1"), note("unsent", parent="check:1"), note("dead")])
    await history.note([note("orphan", parent="dead")])
    ids = {due.key: due.id for due in (await history.unsent(1e12))[0]}
    await history.sent(ids["check:1"], 1, "1.1")
    ids |= {due.key: due.id for due in (await history.unsent(1e12))[0]}
    await history.sent(ids["check:1:why"], 1, "1.2")
    await history.undeliverable(ids["dead"], "is_archived")

    assert await history.prune(NOW - timedelta(days=1)) == 0
    assert await history.prune(datetime.now(UTC) + timedelta(days=400)) == 7
    assert await rows(history, "intakes") == ["command:1", "command:3"]
    assert await rows(history, "outbox") == ["check:1", "check:1:why", "unsent"]
    assert await worded(history) == ["check:1", "unsent"]
    assert await rows(history, "audit") == []
    assert await history.check(check.id) == check


async def test_what_is_said_of_an_old_message_is_an_edit_of_it(history: History) -> None:
    await history.note([note("drift:1"), note("drift:1:why", parent="drift:1")])
    for number in (1, 2):
        [due] = (await history.unsent(1e12))[0]
        await history.sent(due.id, 1, f"1.{number}")
    await history.prune(datetime.now(UTC) + timedelta(days=400))
    assert await worded(history) == []
    assert (await history.unsent(1e12))[0] == []
    again = replace(note("drift:1"), content=Content(text="It is as it was."))
    await history.note([again])
    [due] = (await history.unsent(1e12))[0]
    assert due.is_posted
    owed = await history.current(due.id)
    assert owed is not None and (owed.ts, owed.note.content.text) == ("1.1", "It is as it was.")
    await history.sent(due.id, owed.revision, None)
    await history.prune(datetime.now(UTC) + timedelta(days=1_200))
    assert await rows(history, "outbox") == []


async def test_a_root_whose_words_are_forgotten_is_not_posted_anew(history: History) -> None:
    await history.note([note("root")])
    [due] = (await history.unsent(1e12))[0]
    await history.sent(due.id, 1, "1.1")
    await history.note([note("news", parent="root")])
    [due] = (await history.unsent(1e12))[0]
    owed = await history.current(due.id)
    assert owed is not None
    await history._write(history._db.execute, "update outbox set content = '' where key = 'root'", ())
    assert not await history.thread_vanished(owed)


async def test_much_that_is_old_is_forgotten_whole(history: History) -> None:
    for number in range(450):
        await history.take_in(intake(f"command:{number}"), verdict="help", finished=True)
    assert await history.prune(NOW + timedelta(days=1)) == 899
    assert await rows(history, "intakes") == ["command:449"]
    again = await history.take_in(intake("command:450"), verdict="help", finished=True)
    assert again == 451  # numbers are never given twice


async def test_writes_that_come_together_share_a_commit_and_one_that_fails_undoes_itself_alone(tmp_path: Path) -> None:
    history = await History.open(tmp_path / "bot.db")
    try:
        good = [history._write(history._db.execute, _AUDIT, (str(number),)) for number in range(5)]
        bad = history._write(history._db.execute, "insert into audit (no_such_column) values (1)")
        outcomes = await asyncio.gather(*good[:3], bad, *good[3:], return_exceptions=True)
        assert [isinstance(outcome, Exception) for outcome in outcomes] == [False, False, False, True, False, False]
        kept = await history._run(history._rows, "select action from audit order by action")
        assert [row["action"] for row in kept] == ["0", "1", "2", "3", "4"]
    finally:
        await history.close()


_AUDIT = "insert into audit (at, team, channel, user, action, text, verdict) values ('', '', '', '', ?, '', '')"
