"""Second matrix, mode 7 and its healthy neighbours: two to six addresses in many mixtures."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

from tests.endpoints import faults
from tests.endpoints.authority import Party, issue, key
from tests.endpoints.bench import Bench, Vhost
from tests.endpoints.cases import CURRENT, EVERYONE, HURT, WARNING, Case, Place, Proof, Register
from tests.endpoints.faults import FullQueue
from tests.endpoints.second_serving import DAY, At, Build, at, served

Shared = tuple[Party, ...]
Face = Callable[[Bench, Case, Shared, At], object]
EXPIRED = r"Verify return code: 10"
UNABLE = r"Verify return code: (20|21)"
REFUSED = "errno=111|Connection refused"


def fine(bench: Bench, case: Case, chain: Shared, place: At) -> object:
    return served(bench, "nginx", chain, case.host, place=place)


def fine_on(server: str, extra: str = "") -> Face:
    return lambda bench, case, chain, place: served(bench, server, chain, case.host, extra, place)


def with_leaf(since: timedelta = -30 * DAY, until: timedelta = 60 * DAY) -> Face:
    """Another leaf of the same name."""

    def face(bench: Bench, case: Case, chain: Shared, place: At) -> object:
        h = bench.hierarchy
        return served(
            bench,
            "nginx",
            (h.leaf(case.host, since=since, until=until), h.intermediate),
            case.host,
            place=place,
        )

    return face


lapsed = with_leaf(until=-3 * DAY)
renewed = with_leaf(since=-DAY, until=89 * DAY)
early = with_leaf(since=5 * DAY, until=95 * DAY)


def alone(bench: Bench, case: Case, chain: Shared, place: At) -> object:
    return served(bench, "nginx", chain[:1], case.host, place=place)


def with_root(bench: Bench, case: Case, chain: Shared, place: At) -> object:
    return served(bench, "nginx", (*chain, bench.hierarchy.root), case.host, place=place)


def own_self_signed(bench: Bench, case: Case, chain: Shared, place: At) -> object:
    leaf = issue(case.host, names=(case.host,), under=key("p256", f"{place}"))
    return served(bench, "nginx", (leaf,), case.host, place=place)


def private(bench: Bench, case: Case, chain: Shared, place: At) -> object:
    h = bench.hierarchy
    chain = (h.leaf(case.host, by=h.stranger_intermediate), h.stranger_intermediate)
    return served(bench, "nginx", chain, case.host, place=place)


def another_name(bench: Bench, case: Case, chain: Shared, place: At) -> object:
    h = bench.hierarchy
    return served(bench, "nginx", (h.leaf("staging.matrix.test"), h.intermediate), "_", place=place)


def refused(bench: Bench, case: Case, chain: Shared, place: At) -> object:
    return None


def http(bench: Bench, case: Case, chain: Shared, place: At) -> object:
    return bench.nginx(Vhost(names=(case.host,)), at=place, tls=False)


def rejects(bench: Bench, case: Case, chain: Shared, place: At) -> object:
    return bench.nginx(Vhost(names=("_",), extra="ssl_reject_handshake on;"), at=place)


def fault(handler: faults.Handler) -> Face:
    return lambda bench, case, chain, place: bench.raw(handler, at=place)


def set_to(protocols: str = "TLSv1.2 TLSv1.3", extra: str = "", *, http2: bool = True, legacy: bool = False) -> Face:
    def face(bench: Bench, case: Case, chain: Shared, place: At) -> object:
        vhost = Vhost(names=(case.host,), chains=(chain,), extra=extra)
        return bench.nginx(vhost, at=place, protocols=protocols, http2=http2, legacy=legacy)

    return face


def several(*faces: Face, dropping: bool = False) -> Build:
    """One address a face on a shared port; `dropping` adds one whose SYNs get no answer."""

    def build(bench: Bench, case: Case) -> Place:
        addresses: list[str] = []
        if dropping:
            dead = bench.address()
            bench._queues.append(FullQueue(dead))
            port = bench._queues[-1].port
            addresses = [bench.address() for _ in faces]
        else:
            addresses, port = bench.places(len(faces))
        chain = (bench.hierarchy.leaf(case.host), bench.hierarchy.intermediate)
        for address, face in zip(addresses, faces, strict=True):
            face(bench, case, chain, (address, port))
        return Place(addresses=(*addresses, dead) if dropping else tuple(addresses), port=port)

    return build


def six_and_four(six: Face, four: Face) -> Build:
    def build(bench: Bench, case: Case) -> Place:
        where, port = bench.place("::1")
        other = bench.address()
        chain = (bench.hierarchy.leaf(case.host), bench.hierarchy.intermediate)
        six(bench, case, chain, (where, port))
        four(bench, case, chain, (other, port))
        return Place(addresses=(where, other), port=port)

    return build


def robin(*faces: Face, weights: tuple[int, ...] = ()) -> Build:
    """One address; haproxy gives each connection to the next backend."""

    def build(bench: Bench, case: Case) -> Place:
        chain = (bench.hierarchy.leaf(case.host), bench.hierarchy.intermediate)
        lines = []
        for number, face in enumerate(faces):
            place = bench.place()
            face(bench, case, chain, place)
            weight = f" weight {weights[number]}" if weights else ""
            lines.append(f" server b{number} {place[0]}:{place[1]}{weight}")
        return at(bench.haproxy("listen {id}\n mode tcp\n balance roundrobin\n bind {bind}\n" + "\n".join(lines)))

    return build


def second(want: str, number: int = 1) -> Proof:
    return Proof(want=want, at=number)


def register(to: Register) -> None:
    differs, down = "balancer.certificate-differs", "balancer.address-down"
    configured, wavers = "balancer.configuration-differs", "balancer.intermittent"

    def add(name: str, build: Build, causes: str | tuple[str, ...], **known: object) -> None:
        known.setdefault("status", frozenset({"broken"}))
        server = known.pop("server", "nginx")
        to.add(f"{known.pop('family', 'balancer')}/{name}", server, build, causes, **known)  # type: ignore[arg-type]

    ok = second("Verify return code: 0")
    add("three-leaves-of-one-name", several(fine, renewed, with_leaf()), differs, status=WARNING, proof=ok)
    add("six-one-renewed", several(fine, fine, fine, fine, fine, renewed), differs, status=WARNING, proof=ok)
    add("four-one-without-intermediate", several(fine, fine, alone, fine), differs, proof=second(UNABLE, 2))
    add("first-of-three-without-intermediate", several(alone, fine, fine), differs, proof=second(UNABLE, 0))
    add("five-one-lapsed", several(fine, fine, fine, fine, lapsed), differs, proof=second(EXPIRED, 4))
    add("most-lapsed", several(lapsed, lapsed, fine), differs, proof=second(EXPIRED))
    add("one-early", several(fine, early), differs, proof=second("Verify return code: 9 "))
    add("one-private", several(fine, fine, private), differs, proof=second(UNABLE, 2))
    add("one-of-staging", several(fine, another_name, fine), differs, proof=second("Verify return code: 62"))
    add(
        "one-self-signed-of-four",
        several(fine, fine, own_self_signed, fine),
        differs,
        proof=second("Verify return code: 18", 2),
    )
    add("one-lapsed-one-alone-one-fine", several(lapsed, alone, fine), differs, proof=second(UNABLE))
    add("four-one-refused", several(fine, refused, fine, fine), down, proof=second(REFUSED))
    add("six-two-refused", several(fine, fine, refused, fine, refused, fine), down, proof=second(REFUSED, 2))
    add("two-one-drops-syn", several(fine, dropping=True), down, proof=second("the tool gave up"), silent=True)
    add(
        "four-one-drops-syn",
        several(fine, fine, fine, dropping=True),
        down,
        proof=second("the tool gave up", 3),
        silent=True,
    )
    add("three-one-http", several(fine, http, fine), down, proof=second("wrong version|http request"))
    add("three-one-resets", several(fine, fine, fault(faults.resets)), down, proof=second("errno=104|reset", 2))
    add("three-one-closes", several(fault(faults.closes), fine, fine), down, proof=second("no peer certificate", 0))
    add("three-one-alert-112", several(fine, fine, rejects), down, proof=second("alert number 112", 2))
    add("three-one-alert-40", several(fine, fault(faults.alerts(40)), fine), down, proof=second("alert number 40"))
    add("three-one-alert-80", several(fine, fault(faults.alerts(80)), fine), down, proof=second("alert number 80"))
    add(
        "three-one-silent",
        several(fine, fine, fault(faults.is_silent)),
        down,
        proof=second("the tool gave up", 2),
        silent=True,
    )
    add("one-refused-one-http-one-fine", several(refused, http, fine), down, proof=second(REFUSED, 0))
    add(
        "one-drops-one-refused-one-fine",
        several(fine, refused, dropping=True),
        down,
        proof=second(REFUSED),
        silent=True,
    )
    both = "two faults at two addresses, each with a balancer code of its own"
    add(
        "one-refused-one-alone-one-fine", several(refused, alone, fine), (down, differs), why=both, proof=second(UNABLE)
    )
    add("one-http-one-renewed-one-fine", several(http, renewed, fine), down, proof=second("wrong version|http", 0))
    add(
        "three-one-1.3-alone",
        several(fine, fine, set_to("TLSv1.3")),
        configured,
        status=WARNING,
        proof=Proof(want="alert number 70|no peer", args=("-tls1_2",), at=2),
    )
    add(
        "four-one-1.2-alone",
        several(fine, set_to("TLSv1.2"), fine, fine),
        configured,
        status=WARNING,
        proof=Proof(want="alert number 70|no peer", args=("-tls1_3",), at=1),
    )
    add(
        "three-one-without-h2",
        several(fine, fine, set_to(http2=False)),
        configured,
        status=WARNING,
        proof=Proof(want="ALPN protocol: http/1.1|No ALPN negotiated", args=("-alpn", "h2,http/1.1"), at=2),
    )
    add(
        "three-one-with-static-rsa",
        several(fine, set_to("TLSv1.2", "ssl_ciphers AES128-SHA;"), fine),
        configured,
        status=HURT,
        proof=second("Cipher is AES128-SHA"),
    )
    add("six-and-four-six-lapsed", six_and_four(lapsed, fine), differs, proof=second(EXPIRED, 0))
    add("six-and-four-six-http", six_and_four(http, fine), down, proof=second("wrong version|http", 0))
    add("six-and-four-four-refused", six_and_four(fine, refused), down, proof=second(REFUSED))
    add("six-and-four-four-alone", six_and_four(fine, alone), differs, proof=second(UNABLE))
    add("robin-one-early", robin(fine, early), wavers, status=HURT, server="haproxy+nginx")
    add("robin-one-1.2-alone", robin(fine, set_to("TLSv1.2")), wavers, status=HURT, server="haproxy+nginx")
    add("robin-one-alert-112", robin(fine, rejects), wavers, status=HURT, server="haproxy+nginx")
    add("robin-one-of-four-alone", robin(fine, fine, alone, fine), wavers, status=HURT, server="haproxy+nginx")
    add("robin-one-private", robin(private, fine), wavers, status=HURT, server="haproxy+nginx")
    add("robin-one-another-name", robin(fine, another_name), wavers, status=HURT, server="haproxy+nginx")
    add("robin-one-without-h2", robin(fine, set_to(http2=False)), wavers, status=HURT, server="haproxy+nginx")
    add("robin-first-alert-112", robin(rejects, fine), wavers, status=HURT, server="haproxy+nginx")
    add("robin-first-alert-40", robin(fault(faults.alerts(40)), fine), wavers, status=HURT, server="haproxy+nginx")
    add("robin-one-alert-80", robin(fine, fault(faults.alerts(80))), wavers, status=HURT, server="haproxy+nginx")
    add("robin-one-of-three-alert-112", robin(fine, fine, rejects), wavers, status=HURT, server="haproxy+nginx")
    add(
        "robin-one-of-three-1.2-alone",
        robin(fine, fine, set_to("TLSv1.2")),
        wavers,
        status=HURT,
        server="haproxy+nginx",
    )
    # The catalogue speaks of different chains, not of different leaves.
    add(
        "two-one-with-the-root",
        several(fine, with_root),
        differs,
        status=WARNING,
        proof=second("Verify return code: 0"),
    )
    add("robin-one-with-the-root", robin(fine, with_root), wavers, status=WARNING, server="haproxy+nginx")
    alike(add)
    healthy(to)


def alike(add: Callable[..., None]) -> None:
    """All addresses broken: no balancer's fault."""
    add(
        "all-three-lapsed",
        several(lapsed, lapsed, lapsed),
        "validity.expired",
        family="validity",
        proof=second(EXPIRED),
        fails=CURRENT,
    )
    add(
        "all-four-alone",
        several(alone, alone, alone, alone),
        "chain.incomplete",
        family="chain",
        proof=second(UNABLE),
        fails=("curl", "go"),
    )
    add(
        "all-two-self-signed-by-themselves",
        several(own_self_signed, own_self_signed),
        "chain.self-signed",
        family="chain",
        proof=second("Verify return code: 18"),
        fails=CURRENT,
    )
    add(
        "all-three-private", several(private, private, private), "chain.untrusted", family="chain", proof=second(UNABLE)
    )
    add(
        "all-three-another-name",
        several(another_name, another_name, another_name),
        ("sni.default-certificate", "sni.name-mismatch"),
        family="sni",
        proof=second("Verify return code: 62"),
        why="one certificate for every name",
    )
    add(
        "all-three-refused",
        several(refused, refused, refused),
        "reach.refused",
        family="reach",
        proof=second(REFUSED),
        fails=EVERYONE,
    )
    add(
        "all-five-http",
        several(http, http, http, http, http),
        "reach.not-tls",
        family="reach",
        proof=second("wrong version|http"),
        fails=EVERYONE,
    )
    add(
        "all-three-reset",
        several(*[fault(faults.resets)] * 3),
        "reach.reset",
        family="reach",
        proof=second("errno=104|reset"),
        fails=EVERYONE,
    )
    add(
        "all-two-alert-112",
        several(rejects, rejects),
        "sni.unrecognized",
        family="sni",
        proof=second("alert number 112"),
        fails=CURRENT,
    )
    add(
        "all-three-1.3-alone",
        several(*[set_to("TLSv1.3")] * 3),
        "negotiation.modern-only",
        family="negotiation",
        status=WARNING,
        proof=second("Verify return code: 0"),
    )
    add(
        "all-two-static-rsa",
        several(*[set_to("TLSv1.2", "ssl_ciphers AES128-SHA;")] * 2),
        "negotiation.cipher",
        family="negotiation",
        proof=second("Cipher is AES128-SHA"),
    )
    none = "no address works and no two fail alike"
    add(
        "none-refused-and-dropping",
        several(refused, dropping=True),
        ("reach.refused", "reach.timeout"),
        family="reach",
        why=none,
        proof=second(REFUSED, 0),
        silent=True,
    )
    add(
        "none-lapsed-and-alone",
        several(lapsed, alone),
        ("validity.expired", "chain.incomplete", "balancer.certificate-differs"),
        family="validity",
        why=none,
        proof=second(EXPIRED, 0),
    )
    add(
        "none-refused-and-http",
        several(refused, http),
        ("reach.refused", "reach.not-tls", "balancer.address-down"),
        family="reach",
        why=none,
        proof=second(REFUSED, 0),
    )


def healthy(to: Register) -> None:
    def add(name: str, server: str, build: Build, **known: object) -> None:
        to.add(f"healthy/{name}", server, build, **known)  # type: ignore[arg-type]

    add("six-addresses", "nginx", several(*[fine] * 6))
    add("four-haproxies", "haproxy", several(*[fine_on("haproxy")] * 4))
    add("three-apaches", "apache", several(*[fine_on("apache")] * 3))
    # Each caddy seals tickets with a key of its own, and refuses the other's.
    to.add(
        "balancer/two-caddies",
        "caddy",
        several(*[fine_on("caddy")] * 2),
        "resumption.tickets-not-shared",
        status=frozenset({"warning"}),
    )
    add("three-gnutls-like-nginx-without-alpn", "nginx", several(*[set_to(http2=False)] * 3))
    add("six-and-four", "nginx", six_and_four(fine, fine))
    add("robin-of-four", "haproxy+nginx", robin(fine, fine, fine, fine))
    add("robin-weighted", "haproxy+nginx", robin(fine, fine, weights=(200, 1)))
