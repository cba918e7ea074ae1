"""Many requests in an instant while a sweep runs: none lost, none double. How long they take is for the benchmark."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.bench.burst import burst
from tests.bench.ground import Ground, NoServer, ground


@pytest.fixture(scope="module")
def healthy() -> Iterator[Ground]:
    try:
        with ground(repeats=0.2) as built:
            yield built
    except NoServer as error:
        pytest.skip(str(error))


@pytest.mark.parametrize("mode", ["socket", "http"])
async def test_every_request_of_a_burst_is_acknowledged_stored_once_and_finished(healthy: Ground, mode: str) -> None:
    made = await burst(healthy, is_http=mode == "http", faults={"deliver_twice": True})
    assert (made.unacknowledged, made.lost, made.double) == (0, 0, 0)
    assert len(made.acks_ms.samples) == 40
