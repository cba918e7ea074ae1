"""The product on real servers: each verdict, the contract around it, and what it costs the target.

Every server is started once, every case checked once; each test then holds one claim.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest

from tests.endpoints.bench import Bench, Vhost, missing
from tests.endpoints.cases import Case, Place
from tests.endpoints.faults import Counting
from tests.endpoints.matrix import CASES
from tests.endpoints.proofs import built, unproved
from tests.endpoints.runner import Json, all_reports, arguments, by_command, checked, judged
from tests.endpoints.third import MISSED

CONNECTIONS_AN_ADDRESS = 24
CONNECTIONS_WITH_ENUMERATION = 60
BY_COMMAND = (
    "healthy/nginx-h2",
    "healthy/ip-literal-v6",
    "healthy/dns-a-record",
    "healthy/private-root-given",
    "healthy/idn",
    "validity/expired-nginx",
    "validity/expiring-apache",
    "chain/untrusted-only-another-root",
    "reach/silent",
    "balancer/origin-expired",
    "healthy/mtls-good-nginx",
    "mtls/expired-nginx",
    "healthy/starttls-imap",
    "healthy/revocation-crl-good",
    "revocation/crl-lists-it",
    "resumption/shared-name-own-certificate",
)
RUNNABLE = frozenset(
    {
        "openssl",
        "curl",
        "dig",
        "nc",
        "timeout",
        "getent",
        "gnutls-cli",
        "nmap",
        "tls",
        "ip",
        "date",
        "ss",
        "time",
        "for",
        "printf",
        "echo",
    }
)


class World:
    """The bench with all cases on it, and the report (or the exception) of each."""

    def __init__(self, bench: Bench, places: dict[str, Place], counters: dict[str, Counting]) -> None:
        self.bench = bench
        self.places = places
        self.counters = counters
        self.reports: dict[str, Json | Exception] = {}

    def report(self, case: Case) -> Json:
        if case.id not in self.places:
            pytest.skip(missing(case.server) or "not built")
        found = self.reports[case.id]
        if isinstance(found, Exception):
            raise AssertionError(f"the product raised {found!r}") from found
        return found


# All proofs take as long as all checks: a plain run makes every fifth of the quick ones.
SAMPLE = [case for case in CASES.values() if not case.waits][::5]
COUNTED = ("healthy", "expired", "modern-only", "tls1.2-only", "legacy", "no-suite")


def counted(bench: Bench) -> tuple[dict[str, Place], dict[str, Counting]]:
    """Endpoints behind a proxy that counts connections."""
    h = bench.hierarchy
    places, counters = {}, {}
    for name in COUNTED:
        host = f"counted-{name.replace('.', '-')}.matrix.test"
        until = timedelta(days=-3 if name == "expired" else 60)
        chain = (h.leaf(host, until=until), h.intermediate)
        protocols = {"modern-only": "TLSv1.3", "tls1.2-only": "TLSv1.2", "no-suite": "TLSv1.2", "legacy": "TLSv1"}
        extra = "ssl_ciphers ECDHE-RSA-CAMELLIA128-SHA256;" if name == "no-suite" else ""
        behind = bench.nginx(
            Vhost(names=(host,), chains=(chain,), extra=extra),
            protocols=protocols.get(name, "TLSv1.2 TLSv1.3"),
            legacy=name == "legacy",
        )
        counters[name] = Counting(*behind)
        front = bench.raw(counters[name].handler)
        places[name] = Place(addresses=(front[0],), port=front[1])
    return places, counters


def counting_case(name: str) -> Case:
    host = f"counted-{name.replace('.', '-')}.matrix.test"
    return Case(
        id=f"counted/{name}",
        family="healthy",
        server="nginx",
        build=lambda bench, case: Place(addresses=(), port=0),
        causes=frozenset(),
        status=frozenset(),
        host=host,
    )


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    bench = Bench()
    try:
        places = built(bench, CASES.values())
        fronts, counters = counted(bench) if missing("nginx") is None else ({}, {})
        places.update({f"counted/{name}": place for name, place in fronts.items()})
        bench.start()
        made = World(bench, places, counters)
        cases = [case for case in CASES.values() if case.id in places]
        cases += [counting_case(name) for name in fronts]
        made.reports = asyncio.run(all_reports(bench, cases, places))
        yield made
    finally:
        bench.close()


@pytest.fixture(scope="module")
def shown(world: World, request: pytest.FixtureRequest) -> dict[str, list[str]]:
    """What independent tools do not confirm, by case. After the checks: tools and checks must not meet."""
    soak = request.config.getoption("--soak")
    ready = [case for case in (CASES.values() if soak else SAMPLE) if case.id in world.places]
    with ThreadPoolExecutor(8) as pool:
        found = pool.map(lambda case: unproved(world.bench, case, world.places[case.id]), ready)
        return {case.id: problems for case, problems in zip(ready, found, strict=True)}


LABELLED = [
    pytest.param(case, marks=pytest.mark.xfail(reason=MISSED[id], strict=False)) if id in MISSED else case
    for id, case in CASES.items()
]


@pytest.mark.parametrize("case", LABELLED, ids=CASES)
def test_the_cause_is_the_labelled_one(world: World, case: Case) -> None:
    report = world.report(case)
    findings = [(finding["severity"], finding["code"], finding["evidence"][:3]) for finding in report["findings"]]
    assert not judged(case, report).wrong, f"{report['summary']}\n{findings}"


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_the_report_keeps_the_contract(world: World, case: Case) -> None:
    assert not judged(case, world.report(case)).flaws


@pytest.mark.parametrize(
    "case",
    [case if case in SAMPLE else pytest.param(case, marks=pytest.mark.soak) for case in CASES.values()],
    ids=CASES,
)
def test_independent_tools_show_what_the_label_says(world: World, shown: dict[str, list[str]], case: Case) -> None:
    if case.id not in world.places:
        pytest.skip(missing(case.server) or "not built")
    assert not shown[case.id]


def test_every_server_outlived_the_checks(world: World) -> None:
    """A server that fell over would have been judged for lying dead."""
    assert not world.bench.ended()


@pytest.mark.parametrize("name", COUNTED)
def test_a_check_makes_few_connections(world: World, name: str) -> None:
    if name not in world.counters:
        pytest.skip(missing("nginx") or "not built")
    world.report(counting_case(name))
    questioned = name in {"legacy", "no-suite"}  # negotiation is in question: suites are enumerated
    limit = CONNECTIONS_WITH_ENUMERATION if questioned else CONNECTIONS_AN_ADDRESS
    assert 0 < world.counters[name].connections <= limit
    # Twelve are open here at most; the proxy learns of an ending a little later.
    assert world.counters[name].at_once <= 16


@pytest.fixture(scope="module")
def commanded(world: World) -> dict[str, subprocess.CompletedProcess[str]]:
    """The command, run for a few cases of every kind."""
    ready = [id for id in BY_COMMAND if id in world.places]
    with ThreadPoolExecutor(4) as pool:
        done = pool.map(lambda id: by_command(*arguments(world.bench, CASES[id], world.places[id])), ready)
        return dict(zip(ready, done, strict=True))


@pytest.mark.parametrize("id", BY_COMMAND)
def test_the_command_agrees_with_the_label(commanded: dict[str, subprocess.CompletedProcess[str]], id: str) -> None:
    case = CASES[id]
    if id not in commanded:
        pytest.skip(missing(case.server) or "not built")
    done = commanded[id]
    report = json.loads(done.stdout)
    assert not judged(case, report).wrong, report["summary"]
    critical = any(finding["severity"] == "critical" for finding in report["findings"])
    assert done.returncode == (1 if critical else 0), done.stderr


def test_every_next_command_is_one_a_shell_can_run(world: World) -> None:
    commands = {
        finding["next_command"]
        for report in world.reports.values()
        if not isinstance(report, Exception)
        for finding in report["findings"]
    }
    assert commands
    for command in sorted(commands):
        first = command.split()[0]
        assert first in RUNNABLE or "=" in first, command
    # One shell for all of them; each alone only to name the one that it could not read.
    if _readable("\n".join(commands)):
        return
    assert not [command for command in sorted(commands) if not _readable(command)]


def _readable(script: str) -> bool:
    # On its standard input: all commands together are longer than one argument may be.
    return subprocess.run(["sh", "-n"], input=script.encode(), capture_output=True, check=False).returncode == 0


@pytest.mark.parametrize("id", ["validity/expired-nginx", "chain/incomplete-nginx", "sni/nginx-default-server"])
def test_the_next_command_of_a_certificate_fault_ends_and_prints(world: World, id: str) -> None:
    """The command names the host and port; where DNS must not be asked it names the address."""
    case = CASES[id]
    report = world.report(case)
    command = next(finding["next_command"] for finding in report["findings"] if finding["code"] == report["cause"])
    done = subprocess.run(
        ["sh", "-c", command], capture_output=True, text=True, timeout=20, stdin=subprocess.DEVNULL, check=False
    )
    assert "BEGIN CERTIFICATE" in done.stdout or "notAfter" in done.stdout or "subject" in done.stdout + done.stderr, (
        f"{command}\n{done.stdout[-500:]}\n{done.stderr[-500:]}"
    )


@pytest.mark.parametrize("words", [(), ("http://[",), ("host:99999",), ("a" * 10_000,), ("host", "--resolve", "x")])
def test_wrong_usage_ends_with_2(words: tuple[str, ...]) -> None:
    done = by_command(*words)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr + done.stdout


async def test_a_check_leaves_the_bench_undisturbed(world: World) -> None:
    """The same endpoint checked twice gives the same verdict: servers that serve one at a time are still there."""
    for id in ("healthy/s-server-www", "healthy/haproxy-small-maxconn", "healthy/gnutls-http"):
        case = CASES[id]
        world.report(case)
        again = await checked(world.bench, case, world.places[id])
        assert not judged(case, again).wrong
