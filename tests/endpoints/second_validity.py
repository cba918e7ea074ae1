"""Second matrix, mode 4 and its healthy neighbours: lifetimes at their edges, clocks, what HTTP answers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

from tests.endpoints.authority import Party, authority, issue, key
from tests.endpoints.bench import Bench
from tests.endpoints.cases import CURRENT, OK, VERIFIED, WARNING, Case, Place, Register
from tests.endpoints.second_serving import DAY, HOUR, Build, at, dated, good, nginx, on

EXPIRED = r"Verify return code: 10"
EARLY = r"Verify return code: 9 "
MINUTE = timedelta(minutes=1)


def answering(status: str, *headers: str, chain: Callable[[Bench, Case], Sequence[Party]] = good) -> Build:
    """TLS by stunnel, and exactly this HTTP answer behind it; `{now+N}` is the time N seconds from now."""

    def build(bench: Bench, case: Case) -> Place:
        async def respond(reader, writer) -> None:  # type: ignore[no-untyped-def]
            await reader.readuntil(b"\r\n\r\n")
            lines = [_with_time(header) for header in headers]
            head = "\r\n".join([f"HTTP/1.1 {status}", *lines, "Content-Length: 0", "Connection: close", "", ""])
            writer.write(head.encode())
            await writer.drain()

        behind = bench.raw(respond)
        return at(bench.stunnel(f"connect = {behind[0]}:{behind[1]}", *chain(bench, case)))

    return build


def _with_time(header: str) -> str:
    name, _, value = header.partition(": ")
    if not value.startswith("now"):
        return header
    moment = datetime.now(UTC) + timedelta(seconds=float(value.removeprefix("now") or 0))
    return f"{name}: {format_datetime(moment, usegmt=True)}"


def asctime(bench: Bench, case: Case) -> Place:
    """The obsolete date forms of RFC 9110 section 5.6.7."""

    async def respond(reader, writer) -> None:  # type: ignore[no-untyped-def]
        await reader.readuntil(b"\r\n\r\n")
        date = datetime.now(UTC).strftime("%A, %d-%b-%y %H:%M:%S GMT")
        writer.write(f"HTTP/1.1 200 OK\r\nDate: {date}\r\nContent-Length: 0\r\n\r\n".encode())
        await writer.drain()

    behind = bench.raw(respond)
    return at(bench.stunnel(f"connect = {behind[0]}:{behind[1]}", *good(bench, case)))


def expired_self_signed(bench: Bench, case: Case) -> Sequence[Party]:
    return (issue(case.host, names=(case.host,), since=-400 * DAY, until=-35 * DAY),)


def expired_private(bench: Bench, case: Case) -> Sequence[Party]:
    h = bench.hierarchy
    return (h.leaf(case.host, by=h.stranger_intermediate, until=-DAY), h.stranger_intermediate)


def expired_with_expired_issuer(bench: Bench, case: Case) -> Sequence[Party]:
    old = authority("Second Lapsed Together CA", by=bench.hierarchy.root, until=-HOUR)
    return (bench.hierarchy.leaf(case.host, by=old, until=-2 * HOUR), old)


def expired_other_name(bench: Bench, case: Case) -> Sequence[Party]:
    h = bench.hierarchy
    return (h.leaf("previous-owner.matrix.test", since=-290 * DAY, until=-200 * DAY), h.intermediate)


def expired_ec(bench: Bench, case: Case) -> Sequence[Party]:
    h = bench.hierarchy
    return (
        h.leaf(case.host, by=h.ec_intermediate, under=key("p256"), since=-91 * DAY, until=-20 * MINUTE),
        h.ec_intermediate,
    )


def issuer_expiring(bench: Bench, case: Case) -> Sequence[Party]:
    """The leaf outlives its intermediate, which has nine days left."""
    old = authority("Second Expiring CA", by=bench.hierarchy.root, until=9 * DAY)
    return (bench.hierarchy.leaf(case.host, by=old, until=60 * DAY), old)


def register(to: Register) -> None:
    expired = "validity.expired"
    for name, (since, until) in {
        "half-a-minute-ago": (-90 * DAY, -timedelta(seconds=30)),
        "yesterday": (-91 * DAY, -DAY),
        "nine-years-ago": (-4000 * DAY, -3300 * DAY),
        "one-hour-certificate": (-2 * HOUR, -HOUR),
        "160-hours": (-timedelta(hours=161), -HOUR),
    }.items():
        to.add(f"validity/lapsed-{name}", "nginx", nginx(dated(since, until)), expired, proof=EXPIRED, fails=CURRENT)
    for server in ("gnutls", "stunnel", "caddy", "apache"):
        to.add(f"validity/lapsed-{server}-ec", server, on(server, expired_ec), expired, proof=EXPIRED, fails=CURRENT)
    to.add(
        "validity/lapsed-self-signed",
        "haproxy",
        on("haproxy", expired_self_signed),
        expired,
        proof="Verify return code: (10|18)",
        fails=CURRENT,
    )
    to.add("validity/lapsed-private", "nginx", nginx(expired_private), expired, proof=r"Verify return code: (10|20|21)")
    to.add("validity/lapsed-with-issuer", "nginx", nginx(expired_with_expired_issuer), expired, proof=EXPIRED)
    to.add(
        "validity/lapsed-alone",
        "haproxy",
        on("haproxy", lambda bench, case: (bench.hierarchy.leaf(case.host, until=-DAY),)),
        expired,
        proof=r"Verify return code: (10|20|21)",
    )
    to.add(
        "validity/lapsed-default-certificate",
        "apache",
        on("apache", expired_other_name),
        (expired, "sni.default-certificate", "sni.name-mismatch"),
        proof=r"Verify return code: (10|62)",
        why="an expired certificate of another name: rule 5 against the name being unrouted",
    )
    to.add(
        "validity/early-by-an-hour",
        "nginx",
        nginx(dated(HOUR, 90 * DAY)),
        "validity.not-yet-valid",
        proof=EARLY,
        fails=CURRENT,
    )
    to.add(
        "validity/early-by-two-minutes",
        "haproxy",
        on("haproxy", dated(20 * MINUTE, 90 * DAY)),
        "validity.not-yet-valid",
        proof=EARLY,
        fails=CURRENT,
    )
    to.add(
        "validity/early-by-a-year",
        "caddy",
        on("caddy", dated(365 * DAY, 700 * DAY)),
        "validity.not-yet-valid",
        proof=EARLY,
        fails=CURRENT,
    )
    # The edges: a sixth of the lifetime, and thirty days.
    for name, (since, until) in {
        "90-days-an-hour-left": (-90 * DAY + HOUR, HOUR),
        "90-days-below-a-sixth": (-75 * DAY - HOUR, 15 * DAY - HOUR),
        "398-days-below-30": (-369 * DAY, 29 * DAY),
        "825-days-below-30": (-796 * DAY, 29 * DAY),
        "ten-years-a-week-left": (-3643 * DAY, 7 * DAY),
        "160-hours-below-a-sixth": (-timedelta(hours=134), timedelta(hours=26)),
        "47-days-below-a-sixth": (-39.5 * DAY, 7.5 * DAY),
    }.items():
        to.add(
            f"validity/soon-{name}",
            "nginx",
            nginx(dated(since, until)),
            "validity.expiring",
            status=WARNING,
            proof=VERIFIED,
            passes=tuple(set(CURRENT) - {"safari"}),
        )
    to.add(
        "validity/soon-the-issuer",
        "nginx",
        nginx(issuer_expiring),
        (None, "validity.expiring"),
        status=OK | WARNING,
        why="the catalogue counts a certificate's lifetime; whether an issuer's counts is left open",
        proof=VERIFIED,
    )
    skew = "validity.clock-skew"
    for name, seconds in {"three-hours-behind": -3 * 3600, "a-day-ahead": 86400, "since-1970": -1.79e9}.items():
        to.add(
            f"validity/clock-{name}",
            "stunnel",
            answering("200 OK", f"Date: now{seconds:+.0f}"),
            (skew, None),
            status=WARNING | OK,
            why="nobody fails by it today; the catalogue names a server's clock that is off",
            proof=VERIFIED,
            findings=(skew,) if abs(seconds) < 1e6 else (),
        )
    healthy(to)


def healthy(to: Register) -> None:
    def add(name: str, server: str, build: Build, **known: object) -> None:
        to.add(f"healthy/{name}", server, build, **known)  # type: ignore[arg-type]

    for name, (since, until) in {
        "398-days-31-left": (-367 * DAY, 31 * DAY),
        "398-days-new": (-DAY, 397 * DAY),
        "825-days": (-100 * DAY, 725 * DAY),
        "an-hour-in-all": (-5 * MINUTE, 55 * MINUTE),
        "a-day-in-all": (-8 * HOUR, 16 * HOUR),
        "90-days-above-a-sixth": (-75 * DAY + HOUR, 15 * DAY + HOUR),
        "160-hours-above-a-sixth": (-timedelta(hours=132), timedelta(hours=28)),
        "47-days-above-a-sixth": (-39 * DAY, 8 * DAY),
        "half-a-minute-old": (-timedelta(seconds=30), 90 * DAY),
    }.items():
        add(f"lifetime-{name}", "nginx", nginx(dated(since, until)))
    # Safari refuses leaves of over 825 days from added roots, too; whoever runs such a one knows it.
    add("lifetime-ten-years", "haproxy", on("haproxy", dated(-365 * DAY, 3285 * DAY)), passes=("curl", "go", "python"))
    for status in (
        "301 Moved",
        "400 Bad Request",
        "403 Forbidden",
        "404 Not Found",
        "426 Upgrade Required",
        "500 Internal Server Error",
        "503 Service Unavailable",
    ):
        add(f"http-{status[:3]}", "stunnel", answering(status, "Date: now", "Location: https://elsewhere.test/"))
    # RFC 9110 section 15.5.20: the server says that it does not answer for the very name that it was asked by.
    misdirected = answering("421 Misdirected Request", "Date: now")
    to.add("names/http-421", "stunnel", misdirected, "resumption.coalescing", status=frozenset({"warning"}))
    add("http-no-date", "stunnel", answering("200 OK"))
    add("http-date-40-s-behind", "stunnel", answering("200 OK", "Date: now-40"))
    add("http-date-40-s-ahead", "stunnel", answering("200 OK", "Date: now+40"))
    add("http-date-garbage", "stunnel", answering("200 OK", "Date: yesterday, probably"))
    add("http-date-empty", "stunnel", answering("200 OK", "Date:"))
    add("http-date-obsolete-form", "stunnel", asctime)
    # A shared cache answers: Date is of the origin's answer, Age says how long ago that was (RFC 9111 section 5.1).
    add("http-from-a-cache", "stunnel", answering("200 OK", "Date: now-86400", "Age: 86400", "X-Cache: HIT"))
    add("http-last-modified-long-ago", "stunnel", answering("200 OK", "Last-Modified: now-9000000", "Date: now"))
