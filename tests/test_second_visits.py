"""Second visits to real servers, set up as in practice: who resumes, who does not, and who must not be blamed."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest

from probes.check import Options, check, default_trust
from probes.model import Report, ResumptionReport, Target
from tests.endpoints.authority import Party
from tests.endpoints.bench import Bench, Vhost, missing
from tests.endpoints.matrix_names import sink

Place = tuple[tuple[str, ...], int]
UNSUPPORTED, EARLY, NOT_SHARED, COALESCING = (
    "resumption.unsupported",
    "resumption.early-data",
    "resumption.tickets-not-shared",
    "resumption.coalescing",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Second:
    """One set-up: how it is built, the resumption.* codes owed, and what each version does."""

    server: str
    build: Callable[[Bench, str], Place]
    codes: tuple[str, ...] = ()
    tls13: bool | None = True  # honoured; None: not offered
    tls12: bool | None = True


def chain(bench: Bench, host: str) -> tuple[Party, ...]:
    return (bench.hierarchy.leaf(host), bench.hierarchy.intermediate)


def nginx(extra: str = "", protocols: str = "TLSv1.2 TLSv1.3") -> Callable[[Bench, str], Place]:
    def build(bench: Bench, host: str) -> Place:
        vhost = Vhost(names=(host,), chains=(chain(bench, host),), extra=extra)
        address, port = bench.nginx(vhost, protocols=protocols)
        return (address,), port

    return build


def two_nginx(*extras: str, own_keys: bool = False) -> Callable[[Bench, str], Place]:
    """Two addresses that show the same certificate; *own_keys*: each seals its tickets with a key of its own."""

    def build(bench: Bench, host: str) -> Place:
        addresses, port = bench.places(2)
        shown = chain(bench, host)
        for number, address in enumerate(addresses):
            extra = extras[number] if extras else ""
            if own_keys:
                extra += f" ssl_session_ticket_key {bench.file(os.urandom(80), '.key')};"
            bench.nginx(Vhost(names=(host,), chains=(shown,), extra=extra), at=(address, port))
        return tuple(addresses), port

    return build


def second_vhost(bench: Bench, host: str) -> Place:
    first = Vhost(names=(f"default.{host}",), chains=(chain(bench, f"default.{host}"),))
    address, port = bench.nginx(first, Vhost(names=(host,), chains=(chain(bench, host),)))
    return (address,), port


def haproxy(bind: str) -> Callable[[Bench, str], Place]:
    def build(bench: Bench, host: str) -> Place:
        address, port = bench.haproxy_tls(*chain(bench, host), bind=bind)
        return (address,), port

    return build


def apache(lines: str = "") -> Callable[[Bench, str], Place]:
    def build(bench: Bench, host: str) -> Place:
        address, port = bench.apache(f"ServerName {host}\n {lines}", *chain(bench, host))
        return (address,), port

    return build


def caddy(bench: Bench, host: str) -> Place:
    address, port = bench.caddy(*chain(bench, host))
    return (address,), port


def stunnel(bench: Bench, host: str) -> Place:
    address, port = bench.stunnel(f"connect = {sink(bench)}\n", *chain(bench, host))
    return (address,), port


def s_server(*args: str) -> Callable[[Bench, str], Place]:
    def build(bench: Bench, host: str) -> Place:
        address, port = bench.s_server(*args, chain=chain(bench, host))
        return (address,), port

    return build


def gnutls(*args: str) -> Callable[[Bench, str], Place]:
    def build(bench: Bench, host: str) -> Place:
        address, port = bench.gnutls(*args, chain=chain(bench, host))
        return (address,), port

    return build


NO_TICKETS = "ssl_session_tickets off;"
CASES: dict[str, Second] = {
    "nginx": Second(server="nginx", build=nginx()),
    "nginx-tls12": Second(server="nginx", build=nginx(protocols="TLSv1.2"), tls13=None),
    "nginx-tls13": Second(server="nginx", build=nginx(protocols="TLSv1.3"), tls12=None),
    "nginx-another-vhost": Second(server="nginx", build=second_vhost),
    "nginx-cache-and-tickets": Second(server="nginx", build=nginx("ssl_session_cache shared:one:1m;")),
    "nginx-shared-cache": Second(server="nginx", build=nginx(f"{NO_TICKETS} ssl_session_cache shared:two:1m;")),
    "nginx-builtin-cache": Second(server="nginx", build=nginx(f"{NO_TICKETS} ssl_session_cache builtin:100;")),
    "nginx-nothing": Second(
        server="nginx",
        build=nginx(f"{NO_TICKETS} ssl_session_cache none;"),
        codes=(UNSUPPORTED,),
        tls13=False,
        tls12=False,
    ),
    "nginx-off": Second(
        server="nginx",
        build=nginx(f"{NO_TICKETS} ssl_session_cache off;"),
        codes=(UNSUPPORTED,),
        tls13=False,
        tls12=None,
    ),
    "nginx-early": Second(server="nginx", build=nginx("ssl_early_data on;"), codes=(EARLY,)),
    "nginx-early-425": Second(
        server="nginx", build=nginx("ssl_early_data on; if ($ssl_early_data) { return 425; }"), codes=(EARLY,)
    ),
    "nginx-421": Second(server="nginx", build=nginx("return 421;"), codes=(COALESCING,)),
    "nginx-two-equal": Second(server="nginx", build=two_nginx()),
    "nginx-two-keys": Second(server="nginx", build=two_nginx(own_keys=True), codes=(NOT_SHARED,)),
    "nginx-two-caches": Second(
        server="nginx",
        build=two_nginx(*(f"{NO_TICKETS} ssl_session_cache shared:{name}:1m;" for name in ("three", "four"))),
    ),
    "haproxy": Second(server="haproxy", build=haproxy("alpn h2,http/1.1")),
    "haproxy-cache": Second(server="haproxy", build=haproxy("no-tls-tickets")),
    "haproxy-0rtt": Second(server="haproxy", build=haproxy("allow-0rtt alpn http/1.1"), codes=(EARLY,)),
    "apache": Second(server="apache", build=apache()),
    "apache-nothing": Second(
        server="apache", build=apache("SSLSessionTickets off"), codes=(UNSUPPORTED,), tls13=False, tls12=None
    ),
    "caddy": Second(server="caddy", build=caddy),
    "stunnel": Second(server="stunnel", build=stunnel),
    "openssl-no-ticket": Second(server="openssl", build=s_server("-no_ticket")),
    "openssl-no-tickets-in-13": Second(server="openssl", build=s_server("-num_tickets", "0"), tls13=None),
    "openssl-one-ticket": Second(server="openssl", build=s_server("-num_tickets", "1")),
    "openssl-after-a-retry": Second(server="openssl", build=s_server("-groups", "P-384")),
    "openssl-asks-for-certificates": Second(server="openssl", build=s_server("-verify", "1")),
    "gnutls": Second(server="gnutls", build=gnutls()),
    "gnutls-no-ticket": Second(server="gnutls", build=gnutls("--noticket"), tls13=None),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    bench: Bench
    places: dict[str, Place]

    def checked(self, name: str) -> Report:
        if name not in self.places:
            pytest.skip(missing(CASES[name].server) or "not built")
        addresses, port = self.places[name]
        target = Target.parse(f"{name}.second.test:{port}")
        options = Options(
            trust=default_trust(tuple(party.der for party in self.bench.hierarchy.trusted)),
            overrides={(target.host, port): addresses},
        )
        return asyncio.run(check(target, options))


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    bench = Bench()
    try:
        places = {
            name: each.build(bench, f"{name}.second.test") for name, each in CASES.items() if not missing(each.server)
        }
        bench.start()
        yield World(bench=bench, places=places)
    finally:
        bench.close()


@pytest.mark.parametrize("name", CASES)
def test_a_second_visit_is_judged_as_it_is(world: World, name: str) -> None:
    case, report = CASES[name], world.checked(name)
    codes = {finding.code for finding in report.findings if finding.code.startswith("resumption.")}
    assert codes == set(case.codes), [finding.evidence for finding in report.findings]
    for endpoint in report.endpoints:
        assert _honoured(endpoint.resumption.get("TLSv1.3")) == case.tls13
        assert _honoured(endpoint.resumption.get("TLSv1.2")) == case.tls12
    assert "resumption" not in {gap.what for gap in report.gaps}


def _honoured(told: ResumptionReport | None) -> bool | None:
    return None if told is None or not told.offered else told.honoured


def test_what_accepts_early_data_but_minds_replays_is_healthy(world: World) -> None:
    report = world.checked("nginx-early-425")
    assert report.status == "ok", [(finding.code, finding.evidence) for finding in report.findings]
    assert "425" in next(finding for finding in report.findings if finding.code == EARLY).explanation


def test_addresses_with_keys_of_their_own_show_different_key_names(world: World) -> None:
    report = world.checked("nginx-two-keys")
    names = {endpoint.resumption["TLSv1.3"].key_name for endpoint in report.endpoints}
    assert len(names) == 2 and None not in names
    assert all(endpoint.resumption["TLSv1.3"].honoured_elsewhere is False for endpoint in report.endpoints)


def test_addresses_that_share_their_keys_show_one_key_name(world: World) -> None:
    report = world.checked("nginx-two-equal")
    assert report.status == "ok"
    assert len({endpoint.resumption["TLSv1.3"].key_name for endpoint in report.endpoints}) == 1
    assert all(endpoint.resumption["TLSv1.3"].honoured_elsewhere for endpoint in report.endpoints)
