"""Third matrix, mode 4: lifetimes short and long, clocks, and addresses instead of names."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

from tests.endpoints.authority import NOW, Party
from tests.endpoints.bench import Bench, Vhost
from tests.endpoints.cases import CURRENT, HURT, WARNING, Case, Place, Register
from tests.endpoints.second_serving import dated, minted, nginx, on
from tests.endpoints.third_responders import Made, ocsp_answer, served_at, url, urls, web
from tests.endpoints.third_serving import DAY, HOUR, At, Build, at

EXPIRED, SOON, CLOCK = "validity.expired", "validity.expiring", "validity.clock-skew"
VALID = r"Verify return code: 0 \(ok\)"


def says(date: datetime | None, since: timedelta, until: timedelta) -> Build:
    """haproxy whose HTTP Date is *date*; None: the time at which it is set up."""

    def build(bench: Bench, case: Case) -> Place:
        h = bench.hierarchy
        chain = (h.leaf(case.host, since=since, until=until), h.intermediate)
        return at(_dated_haproxy(bench, chain, date or datetime.now(UTC)))

    return build


def _dated_haproxy(bench: Bench, chain: tuple[Party, ...], date: datetime) -> At:
    pem = bench.combined(*chain)
    return bench.haproxy(
        f"frontend {{id}}\n mode http\n bind {{bind}} ssl crt {pem} alpn h2,http/1.1\n"
        f' http-request return status 200 hdr date "{format_datetime(date, usegmt=True)}"'
    )


def responder_agrees_with_us(bench: Bench, case: Case) -> Place:
    """The server's clock is a week behind; its OCSP responder's is ours, and by both the certificate has lapsed."""
    h, where = bench.hierarchy, bench.place()
    leaf = minted(case.host, by=h.intermediate, names=(case.host,), since=-90 * DAY, until=-10 * DAY,
        extensions=urls(url(where), [], False))  # fmt: skip
    made = Made(leaf=leaf, issuer=h.intermediate, other=h.leaf("other.matrix.test"), bench=bench)
    served_at(bench, where, web(ocsp_answer()), made)
    return at(_dated_haproxy(bench, (leaf, h.intermediate), NOW - 7 * DAY))


def literal(names: tuple[str, ...] = ("{address}",), *, address: str | None = None, subject: str = "") -> Build:
    """A check of a bare address; `{address}` in the names stands for it."""

    def build(bench: Bench, case: Case) -> Place:
        h = bench.hierarchy
        place = bench.place(address)
        listed = tuple(name.replace("{address}", place[0]) for name in names)
        chain = (h.leaf(*listed), h.intermediate)
        bench.nginx(Vhost(names=("_",), chains=(chain,)), at=place)
        return at(place, host=place[0])

    return build


def written(in_san: bool) -> Build:
    """The address as text: in the common name, or as a dNSName. Clients compare neither (RFC 9525 section 6.5)."""

    def build(bench: Bench, case: Case) -> Place:
        h, place = bench.hierarchy, bench.place()
        leaf = minted(place[0], by=h.intermediate, names=(place[0],) if in_san else ("www.matrix.test",))
        bench.nginx(Vhost(names=("_",), chains=((leaf, h.intermediate),)), at=place)
        return at(place, host=place[0])

    return build


def register(to: Register) -> None:
    soon = {
        "90-days-14-left": (-76 * DAY, 14 * DAY),
        "398-days-29-left": (-369 * DAY, 29 * DAY),
        "6-days-12-hours-left": (-6 * DAY + 12 * HOUR, 12 * HOUR),
        "160-hours-20-left": (-140 * HOUR, 20 * HOUR),
        "200-days-28-left": (-172 * DAY, 28 * DAY),
        "100-days-10-left": (-90 * DAY, 10 * DAY),
    }
    for name, (since, until) in soon.items():
        build = nginx(dated(since, until))
        to.add(f"validity/third-{name}", "nginx", build, SOON, status=WARNING, passes=CURRENT, proof=VALID)
    for server in ("haproxy", "caddy"):
        to.add(f"validity/third-6-days-lapsed-{server}", server, on(server, dated(-8 * DAY, -2 * DAY)), EXPIRED,
            proof="code: 10", fails=CURRENT)  # fmt: skip

    def clock(name: str, build: Build, code: str, proof: str, status: frozenset[str] = HURT) -> None:
        to.add(f"validity/third-clock-{name}", "haproxy", build, code, status=status, proof=proof)

    clock("behind-the-end", says(NOW - 12 * DAY, -90 * DAY, -6 * DAY), CLOCK, "code: 10")
    clock("ahead-of-the-beginning", says(NOW + 3 * DAY, 1 * DAY, 91 * DAY), CLOCK, "code: 9 ")
    clock("agrees-it-is-over", says(NOW, -90 * DAY, -6 * DAY), EXPIRED, "code: 10")
    clock("behind-but-after-the-end", says(NOW - 2 * DAY, -90 * DAY, -6 * DAY), EXPIRED, "code: 10")
    clock("is-outvoted-by-a-responder", responder_agrees_with_us, EXPIRED, "code: 10")

    to.add("sni/address-as-dns-name", "nginx", written(True), "sni.name-mismatch", proof="code: (62|64)")
    to.add("sni/address-as-common-name", "nginx", written(False), "sni.name-mismatch", proof="code: (62|64)")
    to.add("sni/address-of-another-host", "nginx", literal(("127.0.0.77",)), "sni.name-mismatch",
        proof="code: (62|64)")  # fmt: skip
    to.add("sni/address-v6-of-another-host", "nginx", literal(("2001:db8::1",), address="::1"), "sni.name-mismatch",
        proof="code: (62|64)")  # fmt: skip

    for name, (since, until) in {
        "6-days-3-left": (-3 * DAY, 3 * DAY),
        "160-hours-30-left": (-130 * HOUR, 30 * HOUR),
        "90-days-20-left": (-70 * DAY, 20 * DAY),
        "398-days-40-left": (-358 * DAY, 40 * DAY),
        "200-days-35-left": (-165 * DAY, 35 * DAY),
        "100-days-18-left": (-82 * DAY, 18 * DAY),
    }.items():
        to.add(f"healthy/third-{name}", "nginx", nginx(dated(since, until)))
    to.add("healthy/third-clock-agrees", "haproxy", says(None, -30 * DAY, 60 * DAY))
    to.add("healthy/third-address", "nginx", literal())
    to.add("healthy/third-address-v6", "nginx", literal(address="::1"))
    to.add("healthy/third-address-among-names", "nginx", literal(("www.matrix.test", "127.9.9.9", "{address}")))
    to.add("healthy/third-address-as-both", "nginx", literal(("{address}", "matrix.test")))
