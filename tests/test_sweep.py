"""Many targets in one process, full and light, on the lab's servers."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import pytest_asyncio

from probes.__main__ import CRITICAL, USAGE, main
from probes.check import Options, ders
from probes.codec import from_json
from probes.glance import GAP
from probes.lab import Case, Lab, start
from probes.model import Report, Target, Trust, UsageError
from probes.sweep import Failed, Tally, sweep, targets_in
from probes.sweep_command import json_line, text_line


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def lab() -> AsyncIterator[Lab]:
    async with await start(port=0) as each:
        yield each


def options(lab: Lab, *, light: bool) -> Options:
    return Options(
        trust=Trust(default=(), default_name=None, added=ders(lab.root_pem)), overrides=lab.overrides, light=light
    )


def some(lab: Lab, codes: set[str | None]) -> list[Case]:
    return [case for case in lab.cases if case.expected in codes]


async def swept(lab: Lab, cases: list[Case], *, light: bool) -> dict[str, Report]:
    targets = [Target.parse(case.target) for case in cases]
    found = [result async for result in sweep(targets, options(lab, light=light), at_once=4)]
    assert all(isinstance(result, Report) for result in found)
    return {str(result.target): result for result in found if isinstance(result, Report)}


@pytest.mark.asyncio(loop_scope="module")
async def test_a_sweep_names_each_target_s_cause_once(lab: Lab) -> None:
    cases = some(lab, {None, "validity.expired", "chain.self-signed", "reach.refused"})
    found = await swept(lab, cases, light=False)
    assert len(found) == len({str(Target.parse(case.target)) for case in cases})
    assert all(found[str(Target.parse(case.target))].cause == case.expected for case in cases)


@pytest.mark.asyncio(loop_scope="module")
async def test_a_mistake_of_our_own_about_one_target_ends_no_sweep(lab: Lab) -> None:
    [bad, good] = [Target.parse(case.target) for case in some(lab, {None})[:2]]

    def faulty(_address: str, port: int) -> str | None:
        if port == bad.port:
            raise LookupError("no such thing")
        return None

    chosen = replace(options(lab, light=True), permit=faulty)
    found = [result async for result in sweep([bad, good], chosen, at_once=1)]
    assert isinstance(found[0], Failed) and found[0].target == bad and "LookupError" in found[0].why
    assert isinstance(found[1], Report) and found[1].status == "ok"


@pytest.mark.asyncio(loop_scope="module")
async def test_a_light_look_makes_three_handshakes_and_says_what_it_left_out(lab: Lab) -> None:
    cases = some(lab, {None, "validity.expired", "chain.self-signed", "reach.refused", "negotiation.legacy-only"})
    found = await swept(lab, cases, light=True)
    for case in cases:
        report = found[str(Target.parse(case.target))]
        assert GAP in report.gaps
        if case.expected in {"validity.expired", "chain.self-signed", "reach.refused"}:
            assert report.cause == case.expected
        if case.expected is None:
            assert report.status == "ok", (case.name, report.summary)
        if case.expected == "negotiation.legacy-only":
            assert report.status == "broken"


@pytest.mark.asyncio(loop_scope="module")
async def test_a_sweep_left_early_leaves_nothing_running(lab: Lab) -> None:
    import asyncio

    before = asyncio.all_tasks()
    results = sweep([Target.parse(case.target) for case in some(lab, {None})], options(lab, light=True), at_once=2)
    async for _ in results:
        break
    await results.aclose()  # type: ignore[attr-defined]
    assert asyncio.all_tasks() == before


async def test_a_target_that_may_not_be_asked_is_told_and_the_others_go_on() -> None:
    trust = Trust(default=(), default_name=None)
    asked = Options(trust=trust, permit=lambda address, port: "not allowed here")
    found = [each async for each in sweep([Target.parse("127.0.0.1:1"), Target.parse("127.0.0.2:1")], asked)]
    assert all(isinstance(each, Failed) and "not allowed here" in each.why for each in found)
    tally = Tally(total=2)
    for each in found:
        tally = tally.counting(each)
        assert json.loads(json_line(each))["error"]
        assert text_line(each).startswith("? ")
    assert str(tally) == "2 of 2: 0 broken, 0 warnings, 0 ok, 2 could not be checked"


def test_a_file_is_read_line_by_line() -> None:
    lines = ["# ours", "", "api.example.com", "api.example.com:443  # again", "[2001:db8::7]:8443", " b.example "]
    assert [str(target) for target in targets_in(lines)] == [
        "api.example.com:443",
        "[2001:db8::7]:8443",
        "b.example:443",
    ]


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        (["good.example", "bad_port:x", "http//"], "line 2 (“bad_port:x”), line 3 (“http//”)"),
        ([f"a b{n}" for n in range(9)], "and 4 more"),
        (["# nothing"], "without a target"),
    ],
)
def test_a_file_that_cannot_be_read_names_its_lines(lines: list[str], said: str) -> None:
    with pytest.raises(UsageError) as raised:
        targets_in(lines)
    assert said in str(raised.value)


@pytest.fixture
def refused(tmp_path: Path) -> Iterator[Path]:
    from socket import socket

    with socket() as bound:  # bound and not listening: connections are refused
        bound.bind(("127.0.0.1", 0))
        path = tmp_path / "hosts.txt"
        path.write_text(f"127.0.0.1:{bound.getsockname()[1]}\n")
        yield path


def test_the_command_prints_one_report_a_line(refused: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["sweep", str(refused), "--json"]) == CRITICAL
    printed = capsys.readouterr().out.splitlines()
    assert [from_json(json.loads(line)).cause for line in printed] == ["reach.refused"]
    assert main(["sweep", str(refused), "--light"]) == CRITICAL
    told = capsys.readouterr()
    assert told.out.startswith("✗ 127.0.0.1:")
    assert "1 of 1: 1 broken" in told.err


@pytest.mark.parametrize("argv", [["sweep"], ["sweep", "/nowhere"], ["sweep", "-", "--at-once", "0"]])
def test_wrong_usage_is_told(argv: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(argv) == USAGE
    assert capsys.readouterr().err.startswith("tls: ")
