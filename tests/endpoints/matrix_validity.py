"""Mode 4: certificates whose time is not now, or soon over; and clocks."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

from tests.endpoints.authority import issue, key
from tests.endpoints.bench import Bench, Vhost
from tests.endpoints.cases import CURRENT, EVERYONE, HURT, OK, WARNING, Case, Place, Proof, Register
from tests.endpoints.matrix_names import OTHER, at, sink

Build = Callable[[Bench, Case], Place]


def dated(server: str, since: timedelta, until: timedelta, *, self_signed: bool = False, alone: bool = False) -> Build:
    def build(bench: Bench, case: Case) -> Place:
        h = bench.hierarchy
        by = None if self_signed else h.intermediate
        leaf = issue(case.host, by=by, names=(case.host,), since=since, until=until)
        chain = (leaf,) if self_signed or alone else (leaf, h.intermediate)
        match server:
            case "nginx":
                return at(bench.nginx(Vhost(names=(case.host,), chains=(chain,))))
            case "haproxy":
                return at(bench.haproxy_tls(*chain))
            case "apache":
                return at(bench.apache(f"ServerName {case.host}", *chain))
            case "caddy":
                return at(bench.caddy(*chain))
            case "gnutls":
                return at(bench.gnutls(chain=chain))
            case "stunnel":
                return at(bench.stunnel(f"connect = {sink(bench)}", *chain))
        return at(bench.s_server(chain=chain))

    return build


def second(since: timedelta, until: timedelta) -> Build:
    """An ECDSA certificate that is fine, and beside it one for RSA keys, valid from *since* to *until*."""

    def build(bench: Bench, case: Case) -> Place:
        h = bench.hierarchy
        usual = h.leaf(case.host, under=key("p256"))
        rsa = issue(case.host, by=h.intermediate, names=(case.host,), since=since, until=until)
        return at(bench.nginx(Vhost(names=(case.host,), chains=((usual, h.intermediate), (rsa, h.intermediate)))))

    return build


def expired_default(bench: Bench, case: Case) -> Place:
    h = bench.hierarchy
    leaf = h.leaf(OTHER, until=timedelta(days=-3))
    return at(bench.nginx(Vhost(names=("_",), chains=((leaf, h.intermediate),))))


def clock(server_off: timedelta, since: timedelta, until: timedelta) -> Build:
    """haproxy whose HTTP Date is off by `server_off`."""

    def build(bench: Bench, case: Case) -> Place:
        h = bench.hierarchy
        date = format_datetime(datetime.now(UTC) + server_off, usegmt=True)
        pem = bench.combined(h.leaf(case.host, since=since, until=until), h.intermediate)
        return at(
            bench.haproxy(
                f"frontend {{id}}\n mode http\n bind {{bind}} ssl crt {pem} alpn h2,http/1.1\n"
                f' http-request return status 200 hdr date "{date}"'
            )
        )

    return build


def register(to: Register) -> None:
    day, hour = timedelta(days=1), timedelta(hours=1)
    expired, early, expiring = "validity.expired", "validity.not-yet-valid", "validity.expiring"
    code_10, code_9 = r"Verify return code: 10", r"Verify return code: 9"
    for server in ("nginx", "haproxy", "apache", "caddy", "gnutls", "stunnel", "openssl"):
        to.add(f"validity/expired-{server}", server, dated(server, -95 * day, -5 * day), expired, fails=EVERYONE,
               proof=code_10)  # fmt: skip
    for name, until in {"seconds": -timedelta(seconds=5), "an-hour": -hour, "years": -2000 * day}.items():
        to.add(f"validity/expired-by-{name}", "nginx", dated("nginx", -2090 * day, until), expired, fails=EVERYONE,
               proof=code_10)  # fmt: skip
    to.add("validity/expired-and-incomplete", "nginx", dated("nginx", -95 * day, -5 * day, alone=True), expired,
           fails=EVERYONE, proof=r"Verify return code: (10|20|21)")  # fmt: skip
    to.add("validity/expired-and-self-signed", "nginx", dated("nginx", -95 * day, -5 * day, self_signed=True), expired,
           fails=EVERYONE, proof=r"Verify return code: (10|18)")  # fmt: skip
    to.add(
        "validity/expired-and-another-name",
        "nginx",
        expired_default,
        (expired, "sni.default-certificate", "sni.name-mismatch"),
        why="expired and for another name: both stop everyone, at one stage",
        fails=EVERYONE,
        proof=r"Verify return code: (10|62)",
    )
    for name, since in {"a-week": 7 * day, "ten-minutes": timedelta(minutes=10), "years": 800 * day}.items():
        to.add(f"validity/not-before-{name}", "nginx", dated("nginx", since, since + 90 * day), early, fails=EVERYONE,
               proof=code_9)  # fmt: skip
    to.add("validity/not-before-haproxy", "haproxy", dated("haproxy", day, 91 * day), early, fails=EVERYONE,
           proof=code_9)  # fmt: skip
    ok = r"Verify return code: 0 \(ok\)"
    soon = {
        "90-days-10-left": (-80 * day, 10 * day),
        "90-days-hours-left": (-90 * day + 5 * hour, 5 * hour),
        "365-days-25-left": (-340 * day, 25 * day),
        "47-days-6-left": (-41 * day, 6 * day),
        "6-days-12-hours-left": (-6 * day + 12 * hour, 12 * hour),
    }
    for name, (since, until) in soon.items():
        to.add(f"validity/expiring-{name}", "nginx", dated("nginx", since, until), expiring, status=WARNING,
               passes=CURRENT, proof=ok)  # fmt: skip
    to.add("validity/expiring-apache", "apache", dated("apache", -85 * day, 5 * day), expiring, status=WARNING,
           passes=CURRENT, proof=ok)  # fmt: skip
    shown_to_rsa = ("-tls1_2", "-cipher", "aRSA")
    to.add("validity/second-certificate-expired", "nginx", second(-95 * day, -5 * day), expired, status=WARNING,
           fails=("openssl-1.0",), passes=CURRENT,
           proof=(Proof(want=ok), Proof(want=code_10, args=shown_to_rsa)))  # fmt: skip
    to.add("validity/second-certificate-early", "nginx", second(5 * day, 95 * day), early, status=WARNING,
           fails=("openssl-1.0",), passes=CURRENT,
           proof=(Proof(want=ok), Proof(want=code_9, args=shown_to_rsa)))  # fmt: skip
    to.add("validity/second-certificate-expiring", "nginx", second(-85 * day, 5 * day), expiring, status=WARNING,
           passes=CURRENT, proof=(Proof(want=ok), Proof(want=ok, args=shown_to_rsa)))  # fmt: skip
    to.add(
        "validity/expired-says-one-clock",
        "haproxy",
        clock(-10 * day, -95 * day, -5 * day),
        "validity.clock-skew",
        status=HURT,
        proof=code_10,
    )
    to.add(
        "validity/early-says-one-clock",
        "haproxy",
        clock(2 * day, day, 90 * day),
        "validity.clock-skew",
        status=HURT,
        proof=code_9,
    )
    to.add(
        "validity/server-clock-off",
        "haproxy",
        clock(-5 * hour, -30 * day, 60 * day),
        ("validity.clock-skew", None),
        why="the certificate is fine by both clocks; the catalogue names a clock that is off, nobody fails by it",
        status=WARNING | OK,
        proof=ok,
    )
    healthy = {
        "6-day-certificate": (-day, 5 * day),
        "6-day-certificate-2-days-left": (-4 * day, 2 * day),
        "90-days-31-left": (-59 * day, 31 * day),
        "90-days-16-left": (-74 * day, 16 * day),
        "47-days-9-left": (-38 * day, 9 * day),
        "365-days-31-left": (-334 * day, 31 * day),
        "minutes-old": (-timedelta(minutes=4), 90 * day),
    }
    for name, (since, until) in healthy.items():
        to.add(f"healthy/{name}", "nginx", dated("nginx", since, until))
