"""The server under test and the ways to reach it; what every benchmark is handed."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from probes.check import Options, default_trust
from probes.model import Target
from tests.bench.path import DelayedPath
from tests.endpoints.bench import Bench, Vhost, program

NAME = "bench.test"
FAR_MS = 50.0


class NoServer(Exception):
    """Nothing here can serve; the text says what to install."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ground:
    """A healthy endpoint (directly and behind paths that count, or that take 50 ms), and room for broken ones."""

    software: str
    address: str
    port: int
    root_der: bytes
    root_file: Path
    bench: Bench
    counting: DelayedPath
    far: DelayedPath
    repeats: float  # 1: as published; less: quick

    def times(self, full: int) -> int:
        """How often to repeat what a published run repeats *full* times."""
        return max(1, round(full * self.repeats))

    def target(self, port: int | None = None) -> Target:
        return Target.parse(f"{NAME}:{port or self.port}")

    def options(self, address: str | None = None, *, port: int | None = None, timeout_s: float = 10.0) -> Options:
        """How the command line would check NAME at *address*:*port* (default: the server itself)."""
        place = (NAME, port or self.port)
        return Options(
            trust=default_trust((self.root_der,)),
            overrides={place: (address or self.address,)},
            timeout_s=timeout_s,
        )


@contextlib.contextmanager
def ground(*, repeats: float) -> Iterator[Ground]:
    """The healthy endpoint of nginx, or else of `openssl s_server`. Raises NoServer."""
    bench = Bench()
    try:
        hierarchy = bench.hierarchy
        chain = (hierarchy.leaf(NAME, f"*.{NAME}"), hierarchy.intermediate)
        if program("nginx"):
            software = "nginx"
            address, port = bench.nginx(Vhost(names=(NAME,), chains=(chain,)))
        elif program("openssl"):
            software = "openssl s_server (one connection at a time, so slower than nginx: nginx is not installed)"
            address, port = bench.s_server(chain=chain)
        else:
            raise NoServer("neither nginx nor openssl is installed")
        bench.start()
        with DelayedPath(address, port, 0) as counting, DelayedPath(address, port, FAR_MS) as far:
            yield Ground(
                software=software,
                address=address,
                port=port,
                root_der=hierarchy.root.der,
                root_file=bench.file(hierarchy.root.pem),
                bench=bench,
                counting=counting,
                far=far,
                repeats=repeats,
            )
    finally:
        bench.close()
