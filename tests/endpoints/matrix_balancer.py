"""Mode 7: several addresses behind one name, one address with several faces, a balancer and its origin."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

from tests.endpoints import faults
from tests.endpoints.authority import Party, key
from tests.endpoints.bench import Bench, Vhost
from tests.endpoints.cases import CURRENT, EVERYONE, HURT, VERIFIED, WARNING, Case, Place, Proof, Register

DAY = timedelta(days=1)
At = tuple[str, int]
Build = Callable[[Bench, Case], Place]
# One address's server: given the bench, the case, the shared chain and the place.
Face = Callable[[Bench, Case, tuple[Party, ...], At], object]
EXPIRED = r"Verify return code: 10"


def good(bench: Bench, case: Case, chain: tuple[Party, ...], place: At) -> object:
    return bench.nginx(Vhost(names=(case.host,), chains=(chain,)), at=place)


def good_haproxy(bench: Bench, case: Case, chain: tuple[Party, ...], place: At) -> object:
    return bench.haproxy_tls(*chain, bind="alpn h2,http/1.1 ssl-min-ver TLSv1.2", at=place)


def expired(bench: Bench, case: Case, chain: tuple[Party, ...], place: At) -> object:
    h = bench.hierarchy
    lapsed = h.leaf(case.host, until=-2 * DAY)
    return bench.nginx(Vhost(names=(case.host,), chains=((lapsed, h.intermediate),)), at=place)


def other_leaf(bench: Bench, case: Case, chain: tuple[Party, ...], place: At) -> object:
    h = bench.hierarchy
    renewed = h.leaf(case.host, since=-2 * DAY, until=88 * DAY)
    return bench.nginx(Vhost(names=(case.host,), chains=((renewed, h.intermediate),)), at=place)


def other_name(bench: Bench, case: Case, chain: tuple[Party, ...], place: At) -> object:
    h = bench.hierarchy
    return bench.nginx(Vhost(names=("_",), chains=((h.leaf("default.matrix.test"), h.intermediate),)), at=place)


def self_signed(bench: Bench, case: Case, chain: tuple[Party, ...], place: At) -> object:
    from tests.endpoints.authority import issue

    return bench.nginx(Vhost(names=("_",), chains=((issue(case.host, names=(case.host,)),),)), at=place)


def lone_leaf(bench: Bench, case: Case, chain: tuple[Party, ...], place: At) -> object:
    return bench.nginx(Vhost(names=(case.host,), chains=(chain[:1],)), at=place)


def nothing(bench: Bench, case: Case, chain: tuple[Party, ...], place: At) -> object:
    return None


def silent(bench: Bench, case: Case, chain: tuple[Party, ...], place: At) -> object:
    return bench.raw(faults.is_silent, at=place)


def resets(bench: Bench, case: Case, chain: tuple[Party, ...], place: At) -> object:
    return bench.raw(faults.resets, at=place)


def plain_http(bench: Bench, case: Case, chain: tuple[Party, ...], place: At) -> object:
    return bench.nginx(Vhost(names=(case.host,)), at=place, tls=False)


def rejecting(bench: Bench, case: Case, chain: tuple[Party, ...], place: At) -> object:
    return bench.nginx(Vhost(names=("_",), extra="ssl_reject_handshake on;"), at=place)


def nginx_with(
    extra: str = "", *, protocols: str = "TLSv1.2 TLSv1.3", http2: bool = True, legacy: bool = False
) -> Face:
    def face(bench: Bench, case: Case, chain: tuple[Party, ...], place: At) -> object:
        vhost = Vhost(names=(case.host,), chains=(chain,), extra=extra)
        return bench.nginx(vhost, at=place, protocols=protocols, http2=http2, legacy=legacy)

    return face


def several(*faces: Face) -> Build:
    """One address for each face, all on one port, all with the same certificate unless the face says otherwise."""

    def build(bench: Bench, case: Case) -> Place:
        addresses, port = bench.places(len(faces))
        h = bench.hierarchy
        chain = (h.leaf(case.host), h.intermediate)
        for address, face in zip(addresses, faces, strict=True):
            face(bench, case, chain, (address, port))
        return Place(addresses=tuple(addresses), port=port)

    return build


def dual_stack(bench: Bench, case: Case) -> Place:
    h = bench.hierarchy
    chain = (h.leaf(case.host), h.intermediate)
    six, port = bench.place("::1")
    four = bench.address()
    for address in (four, six):
        good(bench, case, chain, (address, port))
    return Place(addresses=(four, six), port=port)


def round_robin(*faces: Face) -> Build:
    """One address: haproxy in TCP mode, each connection to the next face."""

    def build(bench: Bench, case: Case) -> Place:
        h = bench.hierarchy
        chain = (h.leaf(case.host), h.intermediate)
        lines = []
        for number, face in enumerate(faces):
            place = bench.place()
            face(bench, case, chain, place)
            lines.append(f" server b{number} {place[0]}:{place[1]}")
        front = bench.haproxy(
            "listen {id}\n mode tcp\n balance roundrobin\n retries 0\n bind {bind}\n" + "\n".join(lines)
        )
        return Place(addresses=(front[0],), port=front[1])

    return build


def with_origin(front: Face, origin: Face) -> Build:
    def build(bench: Bench, case: Case) -> Place:
        h = bench.hierarchy
        chain = (h.leaf(case.host), h.intermediate)
        edge, behind = bench.place(), bench.place()
        front(bench, case, chain, edge)
        origin(bench, case, chain, behind)
        return Place(addresses=(edge[0],), port=edge[1], origin=behind)

    return build


def passed_through(bench: Bench, case: Case) -> Place:
    """The balancer is plain TCP in front of the origin: both are one."""
    h = bench.hierarchy
    origin = bench.nginx(Vhost(names=(case.host,), chains=((h.leaf(case.host), h.intermediate),)))
    front = bench.haproxy(f"listen {{id}}\n mode tcp\n bind {{bind}}\n server o {origin[0]}:{origin[1]}")
    return Place(addresses=(front[0],), port=front[1], origin=origin)


def dual_certificate_pair(bench: Bench, case: Case) -> Place:
    """RSA and ECDSA on both addresses: the same pair, so nothing differs."""
    h = bench.hierarchy
    addresses, port = bench.places(2)
    chains = ((h.leaf(case.host), h.intermediate), (h.leaf(case.host, under=key("p256")), h.intermediate))
    for address in addresses:
        bench.nginx(Vhost(names=(case.host,), chains=chains), at=(address, port))
    return Place(addresses=tuple(addresses), port=port)


def register(to: Register) -> None:
    differs, down = "balancer.certificate-differs", "balancer.address-down"
    configured = "balancer.configuration-differs"
    first_good = Proof(want=VERIFIED)

    def second(want: str, *args: str) -> tuple[Proof, ...]:
        return (first_good, Proof(want=want, args=args, at=1))

    to.add("balancer/one-expired", "nginx", several(good, expired), differs, proof=second(EXPIRED))
    to.add("balancer/one-of-three-expired", "nginx", several(good, good, expired), differs,
           proof=(first_good, Proof(want=EXPIRED, at=2)))  # fmt: skip
    to.add("balancer/one-incomplete", "nginx", several(good, lone_leaf), differs,
           proof=second(r"Verify return code: (20|21)"))  # fmt: skip
    to.add("balancer/one-self-signed", "nginx", several(good, self_signed), differs,
           proof=second(r"Verify return code: 18"))  # fmt: skip
    to.add("balancer/one-another-name", "nginx", several(good, other_name), differs,
           proof=second(r"Verify return code: 62"))  # fmt: skip
    to.add("balancer/one-renewed", "nginx", several(good, other_leaf), differs, status=WARNING, passes=CURRENT,
           proof=second(VERIFIED))  # fmt: skip
    to.add("balancer/haproxy-beside-nginx-renewed", "nginx+haproxy", several(good_haproxy, other_leaf), differs,
           status=WARNING, passes=CURRENT, proof=second(VERIFIED))  # fmt: skip

    to.add("balancer/one-refused", "nginx", several(good, nothing), down, proof=second("errno=111|refused"))
    to.add("balancer/first-refused", "nginx", several(nothing, good), down,
           proof=(Proof(want="errno=111|refused"), Proof(want=VERIFIED, at=1)))  # fmt: skip
    to.add("balancer/two-of-three-refused", "nginx", several(nothing, good, nothing), down,
           proof=(Proof(want="errno=111|refused"), Proof(want=VERIFIED, at=1)))  # fmt: skip
    to.add("balancer/one-silent", "nginx", several(good, silent), down, proof=second("the tool gave up"),
           silent=True)  # fmt: skip
    to.add("balancer/one-plain-http", "nginx", several(good, plain_http), down, proof=second("wrong version number"))
    to.add("balancer/one-resets", "nginx", several(good, resets), down, proof=second("errno=104|reset"))
    to.add("balancer/one-rejects-the-name", "nginx", several(good, rejecting), down, proof=second("alert number 112"))

    to.add("balancer/one-without-tls1.3", "nginx", several(good, nginx_with(protocols="TLSv1.2")), configured,
           status=WARNING, passes=CURRENT, proof=second("Protocol *: TLSv1.2|TLSv1.2, Cipher"))  # fmt: skip
    to.add("balancer/one-tls1.3-only", "nginx", several(good, nginx_with(protocols="TLSv1.3")), configured,
           status=WARNING, passes=CURRENT, proof=second("alert|protocol version", "-tls1_2"))  # fmt: skip
    to.add("balancer/one-without-h2", "nginx", several(good, nginx_with(http2=False)), configured, status=WARNING,
           passes=CURRENT, proof=second("ALPN protocol: http/1.1", "-alpn", "h2,http/1.1"))  # fmt: skip
    to.add(
        "balancer/one-with-other-suites",
        "nginx",
        several(
            nginx_with(protocols="TLSv1.2"), nginx_with("ssl_ciphers ECDHE-RSA-AES256-GCM-SHA384;", protocols="TLSv1.2")
        ),
        configured,
        status=HURT,
        proof=second("alert number 40", "-tls1_2", "-cipher", "ECDHE-RSA-AES128-GCM-SHA256"),
    )
    to.add(
        "balancer/one-legacy",
        "nginx",
        several(good, nginx_with(protocols="TLSv1 TLSv1.1", legacy=True)),
        (configured, down),
        why="TLS 1.0 and 1.1 alone at one address: its configuration differs, and for today's clients it is down",
        proof=second("alert|unsupported protocol", "-tls1_2"),
    )

    to.add("balancer/robin-one-expired", "haproxy+nginx", round_robin(good, expired), "balancer.intermittent",
           status=HURT, proof=Proof(want="Verify return code: (0|10)"))  # fmt: skip
    to.add("balancer/robin-one-of-three-expired", "haproxy+nginx", round_robin(good, good, expired),
           "balancer.intermittent", status=HURT, proof=Proof(want="Verify return code: (0|10)"))  # fmt: skip
    to.add("balancer/robin-one-resets", "haproxy+nginx", round_robin(good, resets), "balancer.intermittent",
           status=HURT, proof=Proof(want="Verify return code: 0|eof|errno"))  # fmt: skip
    to.add("balancer/robin-one-refused", "haproxy+nginx", round_robin(good, nothing), "balancer.intermittent",
           status=HURT, proof=Proof(want="Verify return code: 0|eof|errno"))  # fmt: skip
    to.add("balancer/robin-one-renewed", "haproxy+nginx", round_robin(good, other_leaf), "balancer.intermittent",
           status=WARNING, passes=CURRENT, proof=first_good)  # fmt: skip
    to.add("balancer/robin-one-plain-http", "haproxy+nginx", round_robin(good, plain_http), "balancer.intermittent",
           status=HURT, proof=Proof(want="Verify return code: 0|wrong version"))  # fmt: skip
    to.add("balancer/robin-one-incomplete", "haproxy+nginx", round_robin(good, lone_leaf), "balancer.intermittent",
           status=HURT, proof=Proof(want="Verify return code: (0|20|21)"))  # fmt: skip

    origin = "balancer.origin-differs"
    for name, face in {"expired": expired, "self-signed": self_signed, "incomplete": lone_leaf}.items():
        to.add(f"balancer/origin-{name}", "haproxy+nginx", with_origin(good_haproxy, face), origin, status=HURT,
               proof=first_good)  # fmt: skip
    to.add(
        "balancer/origin-another-leaf", "nginx", with_origin(good, other_leaf), origin, status=HURT, proof=first_good
    )

    # The same fault everywhere is that fault, not the balancer's.
    to.add("validity/expired-at-both-addresses", "nginx", several(expired_shared, expired_shared), "validity.expired",
           fails=EVERYONE, proof=(Proof(want=EXPIRED), Proof(want=EXPIRED, at=1)))  # fmt: skip
    to.add("reach/refused-at-both-addresses", "none", several(nothing, nothing), "reach.refused", fails=EVERYONE,
           proof="errno=111|refused")  # fmt: skip
    to.add("reach/silent-at-both-addresses", "raw", several(silent, silent), "reach.stalled", fails=EVERYONE,
           proof="the tool gave up", silent=True)  # fmt: skip
    to.add("chain/incomplete-at-both-addresses", "nginx", several(lone_leaf, lone_leaf), "chain.incomplete",
           fails=("curl", "go"), proof=r"Verify return code: (20|21)")  # fmt: skip
    to.add("negotiation/modern-only-at-both-addresses", "nginx",
           several(nginx_with(protocols="TLSv1.3"), nginx_with(protocols="TLSv1.3")), "negotiation.modern-only",
           status=WARNING, passes=CURRENT, proof=first_good)  # fmt: skip

    to.add("healthy/two-addresses", "nginx", several(good, good))
    to.add("healthy/three-addresses", "nginx", several(good, good, good))
    to.add("healthy/dual-stack", "nginx", dual_stack)
    to.add("healthy/round-robin-of-equals", "haproxy+nginx", round_robin(good, good, good))
    to.add("healthy/origin-passed-through", "haproxy+nginx", passed_through)
    to.add("healthy/origin-the-same", "nginx", with_origin(good, good))
    to.add("healthy/dual-certificates-at-two-addresses", "nginx", dual_certificate_pair)


def expired_shared(bench: Bench, case: Case, chain: tuple[Party, ...], place: At) -> object:
    """One expired certificate, the same at each address that calls this for one case."""
    h = bench.hierarchy
    lapsed = _SHARED.setdefault((id(bench), case.id), h.leaf(case.host, until=-2 * DAY))
    return bench.nginx(Vhost(names=(case.host,), chains=((lapsed, h.intermediate),)), at=place)


_SHARED: dict[tuple[int, str], Party] = {}
