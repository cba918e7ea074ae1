"""Third matrix, mode 7: flapping back ends, rotations, origins, and addresses that ask or staple differently."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from tests.endpoints import faults
from tests.endpoints.authority import Party, issue, key
from tests.endpoints.bench import Bench, Vhost
from tests.endpoints.cases import HURT, WARNING, Case, Place, Proof, Register
from tests.endpoints.second_serving import minted
from tests.endpoints.third_responders import Answer, Made, ocsp_answer, urls
from tests.endpoints.third_serving import (
    DAY,
    HOUR,
    At,
    Build,
    Face,
    chain_of,
    identities,
    keyed_nginx,
    robin,
    several,
)

WAVERS, DIFFERS = "balancer.intermittent", "balancer.certificate-differs"
CONFIGURED, ORIGIN, DOWN = "balancer.configuration-differs", "balancer.origin-differs", "balancer.address-down"
VALID = r"Verify return code: 0 \(ok\)"
fine = keyed_nginx("all")


def another(
    since: timedelta = -30 * DAY, until: timedelta = 60 * DAY, *, alone: bool = False, ec: bool = False
) -> Face:
    """Another leaf of the name, by the other trusted chain when `ec`."""

    def face(bench: Bench, case: Case, chain: Sequence[Party], place: At) -> object:
        h = bench.hierarchy
        by = h.ec_intermediate if ec else h.intermediate
        leaf = h.leaf(case.host, by=by, since=since, until=until)
        return keyed_nginx("all")(bench, case, (leaf,) if alone else (leaf, by), place)

    return face


def private(bench: Bench, case: Case, chain: Sequence[Party], place: At) -> object:
    h = bench.hierarchy
    return keyed_nginx("all")(
        bench, case, (h.leaf(case.host, by=h.stranger_intermediate), h.stranger_intermediate), place
    )


def self_signed(bench: Bench, case: Case, chain: Sequence[Party], place: At) -> object:
    return keyed_nginx("all")(bench, case, (issue(case.host, names=(case.host,), under=key("p256", "t7")),), place)


def longer(bench: Bench, case: Case, chain: Sequence[Party], place: At) -> object:
    """The same leaf with a longer chain: the root is sent along."""
    return keyed_nginx("all")(bench, case, (*chain, bench.hierarchy.root), place)


def lower(bench: Bench, case: Case, chain: Sequence[Party], place: At) -> object:
    """A leaf of the lower intermediate: a chain of three, trusted as well."""
    h = bench.hierarchy
    return keyed_nginx("all")(bench, case, (h.leaf(case.host, by=h.lower), h.lower, h.intermediate), place)


def demanding(how: str) -> Face:
    def face(bench: Bench, case: Case, chain: Sequence[Party], place: At) -> object:
        asks = f"ssl_client_certificate {bench.file(identities().root.pem)}; ssl_verify_client {how};"
        return keyed_nginx("all", asks)(bench, case, chain, place)

    return face


def refused(bench: Bench, case: Case, chain: Sequence[Party], place: At) -> object:
    return None


lapsed = another(until=-2 * DAY)
renewed = another(since=-HOUR, until=90 * DAY)
alone = another(alone=True)
old = keyed_nginx("all", protocols="TLSv1.2")
new = keyed_nginx("all", protocols="TLSv1.3")
legacy_suite = keyed_nginx("all", "ssl_ciphers AES128-SHA;", protocols="TLSv1.2")


def with_origin(front: Face, behind: Face) -> Build:
    def build(bench: Bench, case: Case) -> Place:
        first, second = bench.place(), bench.place()
        chain = chain_of(bench, case)
        front(bench, case, chain, first)
        behind(bench, case, chain, second)
        return Place(addresses=(first[0],), port=first[1], origin=second)

    return build


def passes_through(bench: Bench, case: Case) -> Place:
    """A TCP balancer, and the origin behind it."""
    second = bench.place()
    fine(bench, case, chain_of(bench, case), second)
    first = bench.haproxy(f"listen {{id}}\n mode tcp\n bind {{bind}}\n server s {second[0]}:{second[1]}")
    return Place(addresses=(first[0],), port=first[1], origin=second)


def haproxy_ends_tls(bench: Bench, case: Case) -> Place:
    """A balancer that ends TLS with the origin's own certificate and settings."""
    chain = chain_of(bench, case)
    first = bench.haproxy_tls(*chain, bind="alpn h2,http/1.1 ssl-min-ver TLSv1.2")
    second = bench.haproxy_tls(*chain, bind="alpn h2,http/1.1 ssl-min-ver TLSv1.2")
    return Place(addresses=(first[0],), port=first[1], origin=second)


def stapling(*staples: Answer | None, must_staple: bool = True) -> Build:
    """One certificate at several addresses; each with its staple, or none."""

    def build(bench: Bench, case: Case) -> Place:
        h = bench.hierarchy
        leaf = minted(case.host, by=h.intermediate, names=(case.host,), extensions=urls(None, [], must_staple))
        made = Made(leaf=leaf, issuer=h.intermediate, other=h.leaf("other.matrix.test"), bench=bench)
        addresses, port = bench.places(len(staples))
        for address, answer in zip(addresses, staples, strict=True):
            lines = f"ssl_stapling on; ssl_stapling_file {bench.file(answer(made), '.der')};" if answer else ""
            vhost = Vhost(names=(case.host,), chains=((leaf, h.intermediate),), extra=lines)
            bench.nginx(vhost, at=(address, port))
        return Place(addresses=tuple(addresses), port=port)

    return build


def register(to: Register) -> None:
    def wavers(name: str, *faces: Face, status: frozenset[str] = HURT) -> None:
        to.add(f"balancer/flaps-{name}", "haproxy+nginx", robin(*faces), WAVERS, status=status)

    wavers("two-one-lapsed", fine, lapsed)
    wavers("two-first-lapsed", lapsed, fine)
    wavers("three-one-lapsed", fine, lapsed, fine)
    wavers("four-one-lapsed", fine, fine, fine, lapsed)
    wavers("two-one-private", fine, private)
    wavers("three-one-private", fine, fine, private)
    wavers("four-one-without-intermediate", fine, alone, fine, fine)
    wavers("two-one-self-signed", self_signed, fine)
    wavers("four-one-self-signed", fine, fine, self_signed, fine)
    wavers("two-one-1.3-alone", fine, new)
    wavers("three-one-1.2-alone", fine, old, fine)
    wavers("four-one-1.2-alone", fine, fine, fine, old)
    wavers("three-one-with-one-old-suite", fine, fine, legacy_suite)
    wavers("two-chains-both-trusted", fine, another(ec=True))
    wavers("two-one-with-a-lower-issuer", fine, lower, status=WARNING)
    wavers("rotation-one-of-two", another(), renewed, status=WARNING)
    wavers("rotation-one-of-three", fine, fine, renewed, status=WARNING)
    wavers("rotation-old-one-lapsed", renewed, renewed, lapsed)
    wavers("two-one-demands-a-client-certificate", fine, demanding("on"))
    wavers("three-one-silent", fine, fine, lambda bench, case, chain, place: bench.raw(faults.is_silent, at=place))

    def apart(name: str, code: str, *faces: Face, status: frozenset[str] = HURT, proof: object = VALID) -> None:
        to.add(f"balancer/apart-{name}", "nginx", several(*faces), code, status=status, proof=proof)  # type: ignore[arg-type]

    apart("one-demands-a-client-certificate", CONFIGURED, fine, demanding("on"))
    apart("one-of-three-demands-a-client-certificate", CONFIGURED, fine, fine, demanding("on"))
    apart("one-asks-for-a-client-certificate", CONFIGURED, fine, demanding("optional"), status=WARNING)
    apart("rotation-one-of-two", DIFFERS, fine, renewed, status=WARNING)
    apart("rotation-three-of-four", DIFFERS, renewed, renewed, renewed, fine, status=WARNING)
    apart("one-of-the-other-chain", DIFFERS, fine, another(ec=True))
    apart("one-expiring", DIFFERS, fine, another(since=-87 * DAY, until=3 * DAY), status=WARNING)
    apart("one-old-suite-alone", CONFIGURED, fine, legacy_suite)
    apart("one-refused-of-three-with-one-key", DOWN, fine, refused, fine)

    def origin(name: str, front: Face, behind: Face, status: frozenset[str] = HURT) -> None:
        build = with_origin(front, behind)
        to.add(f"balancer/origin-{name}", "nginx", build, ORIGIN, status=status, proof=VALID)

    origin("renewed", fine, renewed)
    origin("lapsed-behind-a-good-one", fine, lapsed)
    origin("of-another-chain", fine, another(ec=True))
    origin("without-its-intermediate", fine, alone)
    origin("private", fine, private)
    origin("self-made", fine, self_signed)
    origin("demands-a-client-certificate", fine, demanding("on"))
    origin("1.2-alone", fine, old)
    to.add("validity/lapsed-at-balancer-and-origin", "nginx", with_origin(lapsed, lapsed),
        ("validity.expired", ORIGIN), why="both are lapsed, by two different leaves", proof="code: 10")  # fmt: skip

    stale = ocsp_answer(this=-9 * DAY, until=-2 * DAY)
    unlisted = "only some addresses: a balancer.* finding, but none of them names staples"
    codes = (CONFIGURED, DIFFERS)
    none_at_last = Proof(want="no response sent", args=("-status",), at=1)
    to.add("balancer/staples-missing-at-one-of-two", "nginx", stapling(ocsp_answer(), None), codes, status=HURT,
        why=unlisted, findings=("revocation.staple-missing",), proof=none_at_last)  # fmt: skip
    to.add("balancer/staples-stale-at-one-of-two", "nginx", stapling(ocsp_answer(), stale), codes, status=HURT,
        why=unlisted, findings=("revocation.staple-invalid",),
        proof=Proof(want="Response Status: successful", args=("-status",), at=1))  # fmt: skip
    to.add("revocation/staples-missing-at-both", "nginx", stapling(None, None), "revocation.staple-missing",
        status=WARNING, proof=none_at_last)  # fmt: skip
    to.add("revocation/staples-stale-at-both", "nginx", stapling(stale, stale), "revocation.staple-invalid",
        proof=Proof(want="Response Status: successful", args=("-status",), at=1))  # fmt: skip
    healthy(to)


def healthy(to: Register) -> None:
    def add(name: str, server: str, build: Build) -> None:
        to.add(f"healthy/balancer-{name}", server, build)

    add("robin-of-two", "haproxy+nginx", robin(fine, fine))
    add("robin-of-three", "haproxy+nginx", robin(fine, fine, fine))
    add("robin-of-four", "haproxy+nginx", robin(fine, fine, fine, fine))
    add("two-ask", "nginx", several(demanding("optional"), demanding("optional")))
    add("five", "nginx", several(*[fine] * 5))
    add("origin-alike", "nginx", with_origin(fine, fine))
    add("origin-passed-through", "haproxy+nginx", passes_through)
    add("origin-alike-haproxy", "haproxy", haproxy_ends_tls)
    add("origin-asks-as-well", "nginx", with_origin(demanding("optional"), demanding("optional")))
    add("staples-at-both", "nginx", stapling(ocsp_answer(), ocsp_answer()))
    add("staples-at-one-not-required", "nginx", stapling(ocsp_answer(), None, must_staple=False))
