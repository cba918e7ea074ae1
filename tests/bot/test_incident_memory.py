"""What the memory does with incidents: old databases, search with and without FTS5, and what a root may hold."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlite_utils import Database

from bot import fulltext, migrations
from bot.history import History
from bot.incidents import endpoint_of, step
from bot.local.blocks import block_problems
from bot.model import Entry, Incident, Intake, PastCheck, Vigil
from bot.render import changes, postmortem
from bot.render import incident as room
from bot.render.limits import WHOLE, weight
from probes.model import OfferedReport, Report, ResumptionReport
from tests.bot import reports

AT = reports.TAKEN_AT


@pytest.fixture(params=["with FTS5", "without FTS5"])
async def history(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[History]:
    if request.param == "without FTS5":
        monkeypatch.setattr(fulltext, "_INDEX", "create virtual table texts_index using no_such_module (body)")
    opened = await History.open(tmp_path / "bot.db")
    assert opened.has_index == (request.param == "with FTS5")
    yield opened
    await opened.close()


async def recorded(history: History, report: Report, *entries: Entry, key: str = "1") -> PastCheck:
    intake = Intake(key=key, kind="command", team="T1", channel="C1", user="U1", text="check", received_at=AT)
    number = await history.take_in(intake, verdict="check")
    assert number is not None
    check = PastCheck(
        id=number,
        team="T1",
        channel="C1",
        user="U1",
        command="check x",
        headline=f"check:{number}",
        at=AT,
        report=report,
    )
    standing = await history.standing("T1", "C1", endpoint_of(report.target))
    await history.record(check, step(standing, check, asked_at=AT), lambda _: (entries, ()), AT)
    return check


def note(text: str, key: str = "message:1.1") -> Entry:
    return Entry(key=key, kind="note", at=AT, user="U1", text=text, source_ts="1.1")


async def found(history: History, word: str) -> tuple[int, int]:
    checks = await history.lines("T1", word, seen_in=["C1"], limit=9)
    return len(checks), len(await history.incidents("T1", word, seen_in=["C1"], limit=9))


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("", (1, 1)),
        ("api.example.com", (1, 1)),
        ("example", (1, 1)),
        ("validity.expired", (1, 1)),
        ("encrypt", (1, 1)),
        ("firmware", (0, 1)),
        ("firmware HSM", (0, 1)),
        ("firmware nowhere", (0, 0)),
        ('"', (0, 0)),
        ("' or 1=1 --", (0, 0)),
        ("NEAR(a b) OR *", (0, 0)),
        ("ﬁ\u202e<!channel>", (0, 0)),
    ],
)
async def test_words_are_found_with_and_without_an_index(
    history: History, word: str, expected: tuple[int, int]
) -> None:
    await recorded(history, reports.broken(), note("the HSM firmware was upgraded"))
    assert await found(history, word) == expected


async def test_an_edited_note_is_found_by_its_new_words_and_a_deleted_one_by_none(history: History) -> None:
    await recorded(history, reports.broken(), note("zebra"))
    incident = await history.incident(1)
    known = await history.entry(1, "message:1.1")
    assert incident is not None and known is not None
    for number, after in enumerate((replace(known, text="giraffe"), replace(known, text="", state="deleted"))):
        intake = Intake(key=f"e{number}", kind="event", team="T1", channel="C1", user="U1", text="", received_at=AT)
        taken = await history.take_in(intake, verdict="accepted")
        assert taken is not None
        await history.act(replace(intake, id=taken), incident, [after], (), AT)
        assert (await found(history, "zebra"))[1] == 0
        assert (await found(history, "giraffe"))[1] == 1 - number


async def test_an_index_that_missed_something_is_rebuilt(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as without:
        without.setattr(fulltext, "_INDEX", "create virtual table texts_index using no_such_module (body)")
        history = await History.open(tmp_path / "bot.db")
        await recorded(history, reports.broken(), note("zebra"))
        await history.close()
    history = await History.open(tmp_path / "bot.db")
    try:
        assert history.has_index
        assert await found(history, "zeb") == (0, 1)
    finally:
        await history.close()


async def test_incidents_of_an_older_version_get_their_roots_and_one_stands_for_each_endpoint(tmp_path: Path) -> None:
    path = tmp_path / "old.db"
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        database = Database(connection)
        for migration in migrations.STEPS.pending(database):
            if migration.name >= "0004":
                break
            migration.fn(database)
            database.table("_sqlite_migrations").insert(
                {"migration_set": "clienthello", "name": migration.name, "applied_at": "2026-11-01"}
            )
        for number in (1, 2):
            connection.execute(
                "insert into intakes (id, key, kind, team, channel, user, text, thread_ts, received_at)"
                " values (?, ?, 'command', 'T1', 'C1', 'U1', 'check a.example', '1.5', '2026-11-20T10:00:00+00:00')",
                (number, f"k{number}"),
            )
            connection.execute(
                "insert into checks values (?, 'T1', 'C1', 'U1', 'check a.example', ?, '2026-11-20T10:00:01+00:00',"
                " 'a.example:443', 'a.example', 'a.example', null, 'broken', 'validity.expired', 4,"
                " 'It ended.', 1, '{}')",
                (number, f"check:{number}"),
            )
        for number, cause, state in ((1, "chain.incomplete", "changed"), (2, "validity.expired", "open")):
            connection.execute(
                "insert into incidents values"
                " (?, 'T1', 'C1', 'a.example:443', ?, ?, '2026-11-20T10:00:01+00:00', null, ?, ?, 1)",
                (number, cause, state, number, number),
            )
    history = await History.open(path)
    try:
        standing = await history.standing("T1", "C1", "a.example:443")
        assert standing is not None
        assert (standing.id, standing.root, standing.thread_ts, standing.opened_by) == (2, "check:2", "1.5", "U1")
        assert [each.state for each in await history.incidents("T1", "", seen_in=["C1"], limit=9)] == [
            "open",
            "resolved",
        ]
        assert await found(history, "ended") == (2, 0)
    finally:
        await history.close()


# ── pure ────────────────────────────────────────────────────────────────────────


def incident(**changed: object) -> Incident:
    known = Incident(
        id=1,
        channel="C1",
        target="a:443",
        cause="validity.expired",
        state="open",
        opened_at=AT,
        endpoint="a:443",
        root="k",
    )
    return replace(known, **changed)  # type: ignore[arg-type]


def check(report: Report) -> PastCheck:
    return PastCheck(id=1, team="T1", channel="C1", user="U1", command="check a", headline="k", at=AT, report=report)


_nasty = st.text(alphabet="<>&*_`~|[]!@#\\\u202e\U0001f984ab\n ", max_size=3000)


@settings(max_examples=40, deadline=None)
@given(text=_nasty, state=st.sampled_from(["open", "recovered", "resolved"]), watched=st.booleans())
def test_whatever_is_in_it_the_root_and_the_timeline_keep_slacks_limits(text: str, state: str, watched: bool) -> None:
    known = incident(
        state=state, target=text, endpoint=text, cause=text, host=text, issuer=text, ended_at=AT, commander="U2"
    )
    seen = check(reports.broken(summary=text))
    vigil = Vigil(incident=1, user="U1", started_at=AT, looked_at=AT) if watched else None
    entries = [Entry(key=str(n), kind="note", at=AT, user="U1", text=text) for n in range(99)]
    for content in (
        room.root(known, seen, vigil),
        room.timeline(known, entries),
        room.noted(entries[0]),
        room.recovered(known, seen, vigil),
        room.before(known, [(known, "https://x.example/archives/C1/p1")] * 9, AT),
    ):
        assert block_problems(list(content.blocks), "message") == []
        assert weight(content.blocks) <= WHOLE
        assert "<!channel>" not in str(content)


@settings(max_examples=40, deadline=None)
@given(text=_nasty)
def test_nothing_in_a_post_mortem_formats_it(text: str) -> None:
    seen = check(reports.broken(findings=(reports.finding(explanation=text, evidence=(text,)),)))
    entries = [Entry(key="1", kind="note", at=AT, user="U1", text=text)]
    story = postmortem.Story(incident=incident(), entries=entries, checks=[seen], good=None, alike=[], now=AT)
    written = postmortem.as_markdown(story)
    headings = [line for line in written.splitlines() if line.startswith("#")]
    assert headings[0] == "# INC-1: a:443, validity.expired"
    assert all(line.lstrip("# ") in {"Root cause", "Evidence", "Fix", "Verdicts", "Timeline"} for line in headings[1:])


def test_time_to_root_cause_begins_with_the_question() -> None:
    asked = incident(asked_at=AT - timedelta(seconds=7), cause_at=AT)
    assert postmortem.time_to_cause(asked) == timedelta(seconds=7)
    assert postmortem.time_to_cause(incident()) is None


def test_offers_and_tickets_that_changed_are_told() -> None:
    def at(versions: tuple[str, ...], key: str, honoured: bool) -> Report:
        offered = OfferedReport(versions=versions, suites=("A", "B"), groups=("X25519",))
        resumed = {"TLSv1.2": ResumptionReport(offered=True, honoured=honoured, key_name=key)}
        return reports.healthy(endpoints=(reports.endpoint(offered=offered, resumption=resumed),))

    lines = changes.differences(at(("TLSv1.3", "TLSv1.2"), "aa", True), at(("TLSv1.3",), "bb", False))
    assert lines == [
        "Offered versions: no longer `TLSv1.2`",
        "Ticket key (TLSv1.2): `bb` instead of `aa`",
        "Session tickets (TLSv1.2): no longer honoured",
    ]


def test_certificates_above_the_leaf_that_came_and_went_are_named() -> None:
    issuing = reports.leaf(subject="CN=R11", sha256="11" * 32)
    whole = reports.healthy(endpoints=(reports.endpoint(chain=(reports.leaf(), issuing)),))
    assert changes.differences(whole, reports.healthy()) == [
        "Chain sent: 2 → 1 certificates, the same leaf",
        "Sent no longer: `CN=R11`",
    ]
