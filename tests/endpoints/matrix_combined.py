"""Faults that meet, faults that other things look like, and servers that mind being probed.

What ranks first is the catalogue's ranking: what stops every client, then what fails first.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

from tests.endpoints import faults
from tests.endpoints.authority import issue, key
from tests.endpoints.bench import Bench, Vhost
from tests.endpoints.cases import CURRENT, EVERYONE, HURT, OK, VERIFIED, WARNING, Case, Place, Proof, Register
from tests.endpoints.matrix_balancer import expired, good, lone_leaf, nginx_with, nothing, several
from tests.endpoints.matrix_names import OTHER, at
from tests.endpoints.matrix_negotiation import RELAXED, gnutls, ok_chain, s_server

DAY = timedelta(days=1)
Build = Callable[[Bench, Case], Place]
TLS_1_3 = bytes([0x03, 0x04])
X25519MLKEM768 = bytes([0x11, 0xEC])


def nginx(
    *,
    until: timedelta = 60 * DAY,
    alone: bool = False,
    protocols: str = "TLSv1.2 TLSv1.3",
    legacy: bool = False,
    rejects_others: bool = False,
    name: str | None = None,
    small_self_signed: bool = False,
) -> Build:
    """nginx with several things wrong at once."""

    def build(bench: Bench, case: Case) -> Place:
        h = bench.hierarchy
        leaf = h.leaf(name or case.host, since=-80 * DAY, until=until)
        chain = (leaf,) if alone else (leaf, h.intermediate)
        if small_self_signed:
            chain = (issue(case.host, names=(case.host,), under=key("rsa1024", "small")),)
        vhosts = [Vhost(names=(case.host,), chains=(chain,))]
        if rejects_others:
            vhosts.insert(0, Vhost(names=("_",), extra="ssl_reject_handshake on;"))
        return at(bench.nginx(*vhosts, protocols=protocols, legacy=legacy))

    return build


def box(refuses: Callable[[bytes], bool], how: str) -> Build:
    """A box before a healthy nginx that resets or closes on the hellos it `refuses`."""

    def build(bench: Bench, case: Case) -> Place:
        inner = bench.nginx(Vhost(names=(case.host,), chains=(ok_chain(bench, case.host),)))
        return at(bench.raw(faults.refuses_hello(*inner, refuses=refuses, how=how)))

    return build


def offers(extension: int, value: bytes) -> Callable[[bytes], bool]:
    """Whether a hello lists the two-byte *value* in the extension of that number."""

    def listed(hello: bytes) -> bool:
        return value in faults.extension(hello, extension)

    return listed


def haproxy_limits(condition: str) -> Build:
    """haproxy that refuses connections of a source by a stick table, as a shield against floods does."""

    def build(bench: Bench, case: Case) -> Place:
        pem = bench.combined(*ok_chain(bench, case.host))
        return at(
            bench.haproxy(
                f"frontend {{id}}\n mode http\n bind {{bind}} ssl crt {pem} alpn h2,http/1.1\n"
                " stick-table type ip size 1k expire 30s store conn_cur,conn_rate(10s)\n"
                " tcp-request connection track-sc0 src\n"
                f" tcp-request connection reject if {{ {condition} }}\n http-request return status 200"
            )
        )

    return build


def warned_about_the_name(bench: Bench, case: Case) -> Place:
    """s_server that sends a *warning* alert 112 for every other name than its second one, and goes on."""
    second = bench.hierarchy.leaf(OTHER)
    return at(
        bench.s_server(
            "-servername",
            OTHER,
            "-cert2",
            str(bench.file(second.pem)),
            "-key2",
            str(bench.file(second.key_pem)),
            "-tls1_2",
            chain=ok_chain(bench, case.host),
        )
    )


def dual_stack_one_refused(bench: Bench, case: Case) -> Place:
    six, port = bench.place("::1")
    four = bench.address()
    good(bench, case, ok_chain(bench, case.host), (four, port))
    return Place(addresses=(four, six), port=port)


def register(to: Register) -> None:
    _together(to)
    _boxes(to)
    _shields(to)


def _together(to: Register) -> None:
    lapsed, lacking = r"Verify return code: 10", r"Verify return code: (20|21)"
    to.add("validity/expired-and-tls1.3-only", "nginx", nginx(until=-DAY, protocols="TLSv1.3"), "validity.expired",
           fails=EVERYONE, proof=lapsed)  # fmt: skip
    to.add("validity/expired-and-weak-offered", "nginx",
           nginx(until=-DAY, protocols="TLSv1 TLSv1.1 TLSv1.2 TLSv1.3", legacy=True), "validity.expired",
           fails=EVERYONE, proof=lapsed)  # fmt: skip
    to.add("validity/expired-and-sni-required", "nginx", nginx(until=-DAY, rejects_others=True), "validity.expired",
           fails=EVERYONE, findings=("sni.required",), proof=lapsed)  # fmt: skip
    to.add("chain/incomplete-and-expiring", "nginx", nginx(until=3 * DAY, alone=True), "chain.incomplete",
           fails=("curl", "go"), findings=("validity.expiring",), proof=lacking)  # fmt: skip
    to.add("chain/incomplete-and-tls1.3-only", "nginx", nginx(alone=True, protocols="TLSv1.3"), "chain.incomplete",
           fails=("curl", "go"), proof=lacking)  # fmt: skip
    to.add("chain/incomplete-and-sni-required", "nginx", nginx(alone=True, rejects_others=True), "chain.incomplete",
           fails=("curl", "go"), findings=("sni.required",), proof=lacking)  # fmt: skip
    to.add(
        "chain/incomplete-and-another-name",
        "nginx",
        nginx(alone=True, name=OTHER),
        ("chain.incomplete", "sni.default-certificate", "sni.name-mismatch"),
        why="both stop the client at one stage",
        fails=("curl", "go"),
        proof=r"Verify return code: (20|21|62)",
    )
    to.add(
        "chain/self-signed-and-small",
        "nginx",
        nginx(small_self_signed=True, legacy=True),
        ("chain.self-signed", "chain.weak"),
        why="self-signed stops everyone, the key most: self-signed should rank, yet both are critical",
        fails=("chrome", "go"),
        proof=r"Verify return code: (18|66)|too small|bad signature",
    )
    to.add("sni/default-and-tls1.3-only", "nginx", nginx(name=OTHER, protocols="TLSv1.3"),
           ("sni.default-certificate", "sni.name-mismatch"), why="one certificate for every name", fails=CURRENT,
           proof=r"Verify return code: 62")  # fmt: skip
    to.add("balancer/one-expired-both-tls1.3-only", "nginx",
           several(nginx_with(protocols="TLSv1.3"), expired), ("balancer.certificate-differs",),
           proof=(Proof(want=VERIFIED), Proof(want=lapsed, at=1)))  # fmt: skip
    to.add("balancer/dual-stack-v6-refused", "nginx", dual_stack_one_refused, "balancer.address-down",
           proof=(Proof(want=VERIFIED), Proof(want="errno=111|refused", at=1)))  # fmt: skip
    to.add(
        "balancer/one-refused-one-expired",
        "nginx",
        several(good, nothing, expired),
        ("balancer.address-down", "balancer.certificate-differs"),
        why="two addresses of three fail, each in its own way: either finding is true of the name",
        proof=(Proof(want=VERIFIED), Proof(want="errno=111|refused", at=1)),
    )
    to.add(
        "balancer/one-refused-others-incomplete",
        "nginx",
        several(lone_leaf, lone_leaf, nothing),
        ("balancer.address-down", "chain.incomplete"),
        why="incomplete wherever one gets through: mending it lets most clients through, yet one address is down",
        proof=(Proof(want=lacking), Proof(want="errno=111|refused", at=2)),
    )


def _boxes(to: Register) -> None:
    """One field of the hello decides: version, group."""
    modern_groups = ("-groups", "X25519:P-256")
    for how in ("reset", "close"):
        to.add(
            f"negotiation/tls1.3-intolerant-{how}",
            "nginx",
            box(offers(43, TLS_1_3), how),
            "negotiation.protocol-version",
            fails=("chrome", "go", "curl"),
            passes=("openssl-1.0",),
            proof=(Proof(want="errno|eof"), Proof(want=VERIFIED, args=("-tls1_2",))),
        )
        to.add(
            f"negotiation/post-quantum-intolerant-{how}",
            "nginx",
            box(offers(10, X25519MLKEM768), how),
            "negotiation.group",
            fails=("chrome", "firefox"),
            passes=("openssl-1.0", "java-8"),
            proof=Proof(want=VERIFIED, args=modern_groups),
        )
    to.add(
        "healthy/alpn-h2-only",
        "gnutls",
        gnutls("--alpn", "h2"),
        proof=(Proof(want=VERIFIED), Proof(want="ALPN protocol: h2", args=("-alpn", "h2,http/1.1"))),
    )
    to.add("healthy/alpn-of-its-own-not-insisted-on", "gnutls", gnutls("--alpn", "foo"))
    to.add("healthy/fragmented-handshake", "openssl", s_server("-max_send_frag", "512"))
    to.add("healthy/no-middlebox-compatibility", "openssl", s_server("-no_middlebox"))
    to.add("healthy/warned-about-the-name", "openssl", warned_about_the_name)
    to.add(
        "healthy/tls1.3-cookie",
        "openssl",
        s_server("-stateless"),
        (None, "negotiation.modern-only"),
        why="s_server -stateless asks for a TLS 1.3 cookie; whether TLS 1.2 still works is OpenSSL's version's affair",
        status=OK | WARNING,
        proof=VERIFIED,
    )
    to.add("healthy/weak-suite-among-good", "haproxy", haproxy_weak_suite)


def haproxy_weak_suite(bench: Bench, case: Case) -> Place:
    chain = ok_chain(bench, case.host)
    return at(bench.haproxy_tls(*chain, bind=f"alpn h2,http/1.1 ssl-min-ver TLSv1.2 ciphers AES128-SHA:{RELAXED}"))


def _shields(to: Register) -> None:
    for name, condition in {"6-at-once": "sc0_conn_cur gt 6", "3-at-once": "sc0_conn_cur gt 3"}.items():
        to.add(
            f"healthy/haproxy-allows-{name}",
            "haproxy",
            haproxy_limits(condition),
            (None, "balancer.intermittent") if name == "3-at-once" else None,
            why="fewer than a browser opens: some connections do fail" if name == "3-at-once" else "",
            status=OK | HURT if name == "3-at-once" else None,
            proof=VERIFIED,
        )
