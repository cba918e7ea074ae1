"""What the check says of each family, and what the family's own software does, at ninety endpoints.

Every server is started once, every endpoint checked once, each program asked once; software that is not installed is
skipped by name.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from probes.check import Options, check
from probes.model import ClientReport, Report, Target, Trust
from tests.endpoints.authority import bundle
from tests.endpoints.bench import Bench, missing
from tests.software.clients import SOFTWARE, Outcomes, Software
from tests.software.spots import Spot, build

AT_ONCE = 3

_LONG = "no public CA issues below eight others, and the search for paths goes no further"
_UNDERSCORE = "an underscore makes no host name (RFC 952), but many serve one, and most clients take it"
_NAMED_BY_OPENSSL = "the library matches names by itself; curl, whose family it is held to, by rules of its own"
_SECLEVEL = "security level 1; Node since version 24 (OpenSSL 3.5) is at level 2 and refuses it"

# Where the software does otherwise than its family is said to, and why that is let stand.
EXPLAINED: dict[str, dict[str, str]] = {
    "curl": {"long-11": _LONG},
    "openssl": {
        "long-11": _LONG,
        "wildcard-prefix": _NAMED_BY_OPENSSL,
        "wildcard-suffix": _NAMED_BY_OPENSSL,
        "cn-beside-ip": _NAMED_BY_OPENSSL,
        "ip-cn": _NAMED_BY_OPENSSL,
        "underscore-wildcard": _NAMED_BY_OPENSSL,
    },
    "python": {"long-11": _LONG, "underscore-wildcard": _UNDERSCORE},
    "node": {"long-11": _LONG},
    "java": {"long-10": _LONG, "long-11": _LONG, "underscore": _UNDERSCORE, "underscore-wildcard": _UNDERSCORE},
    "go": {"long-10": _LONG, "long-11": _LONG},
}

# Where an older version than the family's current one does otherwise: seen or not, both are right.
BY_VERSION: dict[str, dict[str, str]] = {
    "node": dict.fromkeys(("rsa1024", "rsa1024-intermediate", "rsa1536", "rsa1536-intermediate"), _SECLEVEL),
    "java": {"signs-sha1": "Java since version 24 (JDK-8340321) refuses SHA-1 in the handshakes of TLS 1.2"},
    "go": {
        "rsa-kx": "Go since version 1.22 does not offer RSA key exchange",
        "rsa-kx-cbc": "Go since version 1.22 does not offer RSA key exchange",
        "group-brainpoolp256r1": "Go before version 1.22 gets through by RSA key exchange",
        "signs-sha1": "Go since version 1.25 refuses SHA-1 in the handshakes of TLS 1.2 (RFC 9155)",
    },
}


class World:
    """The endpoints, and what the check says of them. Programs are asked on first need."""

    def __init__(self, spots: list[Spot], roots: Path, reports: dict[str, Report]) -> None:
        self.spots, self.roots, self.reports = spots, roots, reports
        self._asked: dict[str, Outcomes] = {}

    def predicted(self, family: str, spot: Spot) -> ClientReport:
        return next(client for client in self.reports[spot.id].clients if client.name == family)

    def outcomes(self, software: Software) -> Outcomes:
        if software.missing:
            pytest.skip(software.missing)
        if software.name not in self._asked:
            self._asked[software.name] = software.ask(self.spots, self.roots)
        return self._asked[software.name]


async def checked(spots: list[Spot], roots: tuple[bytes, ...]) -> dict[str, Report]:
    few = asyncio.Semaphore(AT_ONCE)
    trust = Trust(default=(), default_name=None, added=roots)

    async def one(spot: Spot) -> Report:
        target = Target.parse(f"{spot.host}:{spot.port}")
        overrides = {(target.host, spot.port): (spot.address,)}
        async with few:
            return await check(target, Options(trust=trust, overrides=overrides))

    return dict(zip((spot.id for spot in spots), await asyncio.gather(*map(one, spots)), strict=True))


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    lacking = missing("nginx+openssl")
    if lacking:
        pytest.skip(lacking)
    bench = Bench()
    try:
        spots = build(bench)
        trusted = bench.hierarchy.trusted
        roots = bench.file(bundle(*trusted))
        bench.start()
        yield World(spots, roots, asyncio.run(checked(spots, tuple(party.der for party in trusted))))
    finally:
        bench.close()


each_software = pytest.mark.parametrize("software", SOFTWARE, ids=lambda software: software.name)


@each_software
def test_a_family_fares_as_its_own_software_does(world: World, software: Software) -> None:
    asked = world.outcomes(software)
    differ = {
        spot.id: f"said to {client.outcome} ({client.code}); {software.name} said: {asked[spot.id].said}"
        for spot in world.spots
        if (client := world.predicted(software.family, spot)).outcome != ("pass" if asked[spot.id].passed else "fail")
    }
    explained, by_version = EXPLAINED[software.name], BY_VERSION.get(software.name, {})
    assert not {id: said for id, said in differ.items() if id not in explained and id not in by_version}
    assert not set(explained) - set(differ), "these agree by now, and need no excuse"


@each_software
def test_the_table_is_a_trap_for_every_program(world: World, software: Software) -> None:
    """Where all passes or all fails, agreement is worth nothing."""
    asked = world.outcomes(software)
    passed = sum(outcome.passed for outcome in asked.values())
    assert 25 <= passed <= len(asked) - 25


def test_every_family_is_judged_at_every_endpoint(world: World) -> None:
    unjudged = [spot.id for spot in world.spots for software in SOFTWARE if not _judged(world, software.family, spot)]
    assert len(world.spots) >= 90 and not unjudged


def _judged(world: World, family: str, spot: Spot) -> bool:
    return any(client.name == family for client in world.reports[spot.id].clients)


def test_every_excuse_is_for_an_endpoint_of_the_table(world: World) -> None:
    known = {spot.id for spot in world.spots}
    for table in (EXPLAINED, BY_VERSION):
        assert set(table) <= {software.name for software in SOFTWARE}
        assert all(set(excuses) <= known for excuses in table.values())
