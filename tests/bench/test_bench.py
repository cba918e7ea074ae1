"""The benchmarks run, and the page says what was measured. Nothing here judges a time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from tests.bench.checks import parts, warm
from tests.bench.ground import Ground, NoServer, ground
from tests.bench.page import page, table
from tests.bench.path import DelayedPath
from tests.bench.results import Aim, Machine, Results, Section, Spread
from tests.bench.sweeps import sweeps
from tests.bench.timing import timed_check

MACHINE = Machine(
    date="2026-01-02 03:04 UTC", system="Linux 6", cores=2, processor="a processor", load=0.1, software=("Python 3.11",)
)
SECTION = Section(
    name="warm",
    title="A check",
    method="Ten times.",
    columns=("", "ms"),
    rows=(("time", Spread(samples=(30.0, 10.0, 20.5))),),
    aims=(Aim(what="time", limit=40, measured=20.5, unit="ms"),),
)
RESULTS = Results(machine=MACHINE, server="a server", quick=False, sections=(SECTION,))


@pytest.fixture(scope="module")
def healthy() -> Iterator[Ground]:
    try:
        with ground(repeats=0.001) as built:  # every benchmark once
            yield built
    except NoServer as error:
        pytest.skip(str(error))


def test_a_spread_gives_median_and_nearest_rank_percentiles() -> None:
    spread = Spread(samples=tuple(float(n) for n in range(100, 0, -1)))
    assert (spread.median, spread.percentile(0.95), spread.percentile(0.99)) == (50.5, 95, 99)
    assert (spread.least, spread.most, spread.mean) == (1, 100, 50.5)
    assert Spread(samples=(7.0,)).percentile(0.99) == 7


def test_an_aim_is_met_up_to_its_limit_and_no_further() -> None:
    assert Aim(what="", limit=40, measured=40, unit="ms").met
    assert not Aim(what="", limit=40, measured=40.1, unit="ms").met
    assert Aim(what="", limit=40, measured=40, unit="", at_least=True).met
    assert not Aim(what="", limit=40, measured=39.9, unit="", at_least=True).met


def test_the_page_shows_median_least_and_most() -> None:
    assert "| time | 20.5 (10–30) |" in page(RESULTS)


def test_the_page_says_whether_aims_are_met() -> None:
    assert "All aims are met." in page(RESULTS)
    missed = replace(SECTION, aims=(*SECTION.aims, Aim(what="CPU", limit=15, measured=16.25, unit="ms")))
    text = page(replace(RESULTS, sections=(missed,)))
    assert "1 of 2 aims are **not met**." in text
    assert "| CPU  | 16.2 ms  | ≤ 15 ms | **not met** |" in text


def test_the_page_names_machine_load_skips_and_what_was_not_measured() -> None:
    quiet, busy = page(RESULTS), page(replace(RESULTS, machine=replace(MACHINE, load=3.2), skipped=("sslyze: no",)))
    assert "2 cores, a processor, Linux 6" in quiet
    assert "not idle" not in quiet
    assert "load average 3.2 on 2 cores" in busy
    assert "- sslyze: no" in busy
    assert "## Not measured" in quiet


def test_a_table_stays_a_table_whatever_its_cells_hold() -> None:
    [_, _, row] = table(("tool", "×"), [("a|b", 1234.5)]).splitlines()
    assert row == "| a\\|b | 1,234 |"


async def test_a_warm_check_is_measured(healthy: Ground) -> None:
    section = await warm(healthy)
    rows = {row[0]: row[1] for row in section.rows}
    assert 12 <= float(str(rows["connections to the address"])) <= 24
    assert all(isinstance(value, float) and value > 0 for value in rows.values())


async def test_each_part_of_a_check_is_measured(healthy: Ground) -> None:
    section = await parts(healthy)
    assert [row for row in section.rows if not isinstance(row[1], Spread)] == []


async def test_a_sweep_is_measured(healthy: Ground) -> None:
    section = await sweeps(healthy)
    assert all(isinstance(value, float) and value > 0 for row in section.rows for value in row[1:])
    assert [aim.at_least for aim in section.aims] == [True, True, False]


async def test_the_far_path_takes_its_round_trips(healthy: Ground) -> None:
    path: DelayedPath = healthy.far
    report, cost = await timed_check(healthy.target(path.port), healthy.options(path.address, port=path.port))
    assert report.status == "ok"
    assert cost.wall_ms >= 2 * path.rtt_ms  # connect, hello: less would mean that the path does not delay
    assert path.connections() >= 12
