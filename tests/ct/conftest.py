from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.ct.following import Clock, Watcher
from tests.ct.logserver import CtLog

MakeLog = Callable[..., CtLog]


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def make_log(clock: Clock) -> Iterator[MakeLog]:
    """A factory of serving logs, all of this test's clock; they end with the test."""
    with ExitStack() as stack:

        def make(name: str = "sycamore", **options: object) -> CtLog:
            return stack.enter_context(CtLog(name, now=clock, **options))  # type: ignore[arg-type]

        yield make


@pytest.fixture
def watcher(tmp_path: Path, clock: Clock) -> Watcher:
    return Watcher(tmp_path, clock)
