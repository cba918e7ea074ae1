"""One set of servers for the directory: starting them takes longer than all checks of one."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest

from probes.lab.issue import Issued
from probes.lab.listen import Sockets, bind
from probes.lab.tls import serving, terms
from tests.endpoints.bench import Bench, missing
from tests.mtls.world import SERVERS, World


@pytest.fixture(scope="package")
def world() -> World:
    return World()


@pytest.fixture
async def plain(world: World) -> AsyncIterator[tuple[str, int]]:
    """A server that never asks for a certificate."""
    issued = Issued(certificate=world.served.certificate, key=world.served.key)
    above = Issued(certificate=world.issuing.certificate, key=world.issuing.key)
    sockets = Sockets()
    [bound] = bind(["127.0.0.1"], 0)
    await sockets.open(bound, serving(terms(issued, above)))
    yield bound.getsockname()
    await sockets.close()


@pytest.fixture(scope="package")
def places(world: World) -> Iterator[dict[str, tuple[str, int]]]:
    """Where each server listens that is installed here, by name."""
    bench = Bench()
    found = {server.name: server.build(bench, world) for server in SERVERS if missing(server.software) is None}
    bench.start()
    try:
        yield found
        assert bench.ended() == []
    finally:
        bench.close()
