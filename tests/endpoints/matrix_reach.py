"""Mode 0: what fails before TLS begins."""

from __future__ import annotations

from collections.abc import Callable

from tests.endpoints import faults
from tests.endpoints.bench import Bench, Vhost
from tests.endpoints.cases import EVERYONE, HURT, WARNING, Case, Place, Proof, Register
from tests.endpoints.faults import DnsAnswer, Handler

Build = Callable[[Bench, Case], Place]
WRONG_VERSION = r"wrong version number|packet length too long|unsupported protocol"
EOF_OR_RESET = r"unexpected eof|reset by peer|errno=0|errno=104|write:errno|:SSL routines::"
SILENT = "the tool gave up"
TIMED_OUT = SILENT


def raw(handler: Handler, segment: int | None = None) -> Build:
    def build(bench: Bench, case: Case) -> Place:
        address, port = bench.raw(handler, segment=segment)
        return Place(addresses=(address,), port=port)

    return build


def haproxy(section: str, backend: Handler | None = None) -> Build:
    """`{good}` in the section is the place of a healthy nginx, `{raw}` that of `backend`."""

    def build(bench: Bench, case: Case) -> Place:
        text = section.replace("{host}", case.host)
        if "{good}" in text:
            text = text.replace("{good}", "{}:{}".format(*healthy_nginx(bench, case)))
        if "{dead}" in text:
            text = text.replace("{dead}", "{}:{}".format(*bench.place()))
        if backend is not None:
            text = text.replace("{raw}", "{}:{}".format(*bench.raw(backend)))
        address, port = bench.haproxy(text)
        return Place(addresses=(address,), port=port)

    return build


def healthy_nginx(bench: Bench, case: Case) -> tuple[str, int]:
    h = bench.hierarchy
    return bench.nginx(Vhost(names=(case.host,), chains=((h.leaf(case.host), h.intermediate),)))


def before_nginx(handler: Callable[[str, int], Handler], segment: int | None = None) -> Build:
    """A raw box in front of a healthy nginx."""

    def build(bench: Bench, case: Case) -> Place:
        address, port = bench.raw(handler(*healthy_nginx(bench, case)), segment=segment)
        return Place(addresses=(address,), port=port)

    return build


def refused(bench: Bench, case: Case) -> Place:
    address, port = bench.place()
    return Place(addresses=(address,), port=port)


def refused_v6(bench: Bench, case: Case) -> Place:
    _, port = bench.place("::1")
    return Place(addresses=("::1",), port=port)


def full_queue(bench: Bench, case: Case) -> Place:
    address, port = bench.full_queue()
    return Place(addresses=(address,), port=port)


def named(answer: DnsAnswer, also: dict[str, DnsAnswer] | None = None) -> Build:
    """The host is looked up at a name server of the bench; `{good}` in records is a healthy nginx's address."""

    def build(bench: Bench, case: Case) -> Place:
        address, port = healthy_nginx(bench, case)

        def at(value: DnsAnswer) -> DnsAnswer:
            return value if isinstance(value, str) else tuple(text.replace("{good}", address) for text in value)

        table = {case.host: at(answer), **{name: at(value) for name, value in (also or {}).items()}}
        resolver = bench.place()
        bench.loop.serve_dns(*resolver, table)
        return Place(addresses=(address,), port=port, resolver=resolver)

    return build


def dig(want: str) -> Proof:
    return Proof(tool="dig", want=want)


def apache_plain(bench: Bench, case: Case) -> Place:
    address, port = bench.apache("ServerName plain.test")
    return Place(addresses=(address,), port=port)


def nginx_plain(bench: Bench, case: Case) -> Place:
    address, port = bench.nginx(Vhost(names=(case.host,)), tls=False)
    return Place(addresses=(address,), port=port)


def caddy_plain(bench: Bench, case: Case) -> Place:
    address, port = bench.caddy(tls=False)
    return Place(addresses=(address,), port=port)


def stunnel_client(bench: Bench, case: Case) -> Place:
    """stunnel in client mode: plain text in front of a TLS server, the classic mix-up of the two sides."""
    address, port = healthy_nginx(bench, case)
    place = bench.stunnel(f"client = yes\nconnect = {address}:{port}")
    return Place(addresses=(place[0],), port=place[1])


def register(to: Register) -> None:
    def add(id: str, server: str, build: Build, *causes: str, **more: object) -> None:
        more.setdefault("fails", EVERYONE if more.get("status") is None else ())
        to.add(id, server, build, causes if len(causes) > 1 else causes[0], **more)  # type: ignore[arg-type]

    add("reach/refused", "none", refused, "reach.refused", proof=r"errno=111|refused")
    add("reach/refused-v6", "none", refused_v6, "reach.refused", proof=r"errno=111|refused")
    add("reach/timeout-full-accept-queue", "none", full_queue, "reach.timeout", proof=TIMED_OUT, silent=True)

    add("reach/dns-nxdomain", "none", named("nxdomain"), "reach.dns", proof=dig("NXDOMAIN"))
    add("reach/dns-servfail", "none", named("servfail"), "reach.dns", proof=dig("SERVFAIL"))
    add("reach/dns-no-data", "none", named("no-data"), "reach.dns", proof=dig("NOERROR.*ANSWER: 0"))
    add("reach/dns-refused", "none", named("refused"), "reach.dns", proof=dig("REFUSED"))
    add("reach/dns-silent", "none", named("silence"), "reach.dns", proof=dig("timed out|no servers"), waits=True)

    plain: dict[str, Build] = {"nginx": nginx_plain, "apache": apache_plain, "caddy": caddy_plain}
    for server, build in plain.items():
        add(f"reach/http-{server}", server, build, "reach.not-tls", proof=WRONG_VERSION)
    add(
        "reach/http-haproxy",
        "haproxy",
        haproxy("frontend {id}\n mode http\n bind {bind}\n http-request return status 200"),
        "reach.not-tls",
        proof=WRONG_VERSION,
    )
    banners = {
        "ssh": b"SSH-2.0-OpenSSH_9.2p1 Debian-2+deb12u3\r\n",
        "smtp": b"220 mail.matrix.test ESMTP Postfix (Debian/GNU)\r\n",
        "imap": b"* OK [CAPABILITY IMAP4rev1 STARTTLS] Dovecot ready.\r\n",
        "pop3": b"+OK Dovecot (Debian) ready.\r\n",
        "ftp": b"220 (vsFTPd 3.0.3)\r\n",
        "mysql": bytes.fromhex("4a0000000a") + b"8.0.36\x00" + bytes(60),
    }
    for name, banner in banners.items():
        add(f"reach/banner-{name}", "raw", raw(faults.greets(banner)), "reach.not-tls", proof=WRONG_VERSION)
    answers = {
        "redis": b"-ERR Protocol error: expected '$', got ' '\r\n",
        "proxy-error": b"HTTP/1.1 502 Bad Gateway\r\nServer: squid\r\nContent-Length: 0\r\n\r\n",
        "text": b"Client sent garbage, goodbye\r\n",
    }
    for name, answer in answers.items():
        add(f"reach/answer-{name}", "raw", raw(faults.replies(answer)), "reach.not-tls", proof=WRONG_VERSION)

    add("reach/reset", "raw", raw(faults.resets), "reach.reset", proof=r"errno=104|reset by peer")
    add(
        "reach/stunnel-client-mode",
        "stunnel+nginx",
        stunnel_client,
        "reach.not-tls",
        proof=WRONG_VERSION,
    )
    add("reach/closed", "raw", raw(faults.closes), "reach.closed", proof=r"unexpected eof")
    add(
        "reach/haproxy-no-server",
        "haproxy",
        haproxy("listen {id}\n mode tcp\n retries 0\n bind {bind}\n server down {dead}"),
        "reach.closed",
        "reach.reset",
        why="haproxy closes with the hello unread or read, which makes RST or FIN a matter of microseconds",
        proof=EOF_OR_RESET,
    )
    add(
        "reach/haproxy-rejects-all",
        "haproxy",
        haproxy(
            "listen {id}\n mode tcp\n bind {bind}\n tcp-request inspect-delay 2s\n"
            " tcp-request content reject if { req.ssl_hello_type 1 }\n server up {good}"
        ),
        "reach.closed",
        "reach.reset",
        why="haproxy closes with the hello unread or read, which makes RST or FIN a matter of microseconds",
        proof=EOF_OR_RESET,
    )
    add("reach/silent", "raw", raw(faults.is_silent), "reach.stalled", proof=SILENT, silent=True)
    add(
        "reach/haproxy-to-a-silent-server",
        "haproxy",
        haproxy("listen {id}\n mode tcp\n bind {bind}\n server mute {raw}", backend=faults.is_silent),
        "reach.stalled",
        proof=SILENT,
        silent=True,
    )
    add(
        "reach/haproxy-silent-drop",
        "haproxy",
        haproxy(
            "listen {id}\n mode tcp\n bind {bind}\n tcp-request inspect-delay 2s\n"
            " tcp-request content silent-drop if { req.ssl_hello_type 1 }\n server up {good}"
        ),
        "reach.stalled",
        proof=SILENT,
        silent=True,
    )
    for count in (3, 60, 600, 1500):
        add(
            f"reach/stalls-after-{count}-bytes",
            "nginx",
            before_nginx(lambda a, p, n=count: faults.forwards(a, p, stall_after=n)),  # type: ignore[misc]
            "reach.stalled",
            proof=SILENT,
            silent=True,
        )
    for tenths in (17, 22):
        add(
            f"reach/slow-{tenths}00-ms",
            "nginx",
            before_nginx(lambda a, p, t=tenths: faults.forwards(a, p, after_s=t / 10)),  # type: ignore[misc]
            "reach.slow",
            status=WARNING,
            proof=r"Verify return code: 0 \(ok\)",
            waits=True,
        )
    add(
        "reach/slow-haproxy-inspects",
        "haproxy+nginx",
        haproxy(
            "listen {id}\n mode tcp\n bind {bind}\n tcp-request inspect-delay 1500ms\n"
            " tcp-request content accept if WAIT_END\n server up {good}"
        ),
        "reach.slow",
        status=WARNING,
        proof=r"Verify return code: 0 \(ok\)",
        waits=True,
    )
    for how in ("reset", "close", "silence"):
        add(
            f"reach/large-hello-{how}",
            "nginx",
            before_nginx(lambda a, p, h=how: faults.bounds_hello(a, p, limit=1400, how=h)),  # type: ignore[misc]
            "reach.large-hello",
            status=HURT,
            fails=("chrome", "firefox"),
            passes=("java-8", "openssl-1.0"),
            proof=r"Verify return code: 0 \(ok\)",
            waits=how == "silence",
        )
    add(
        "reach/hello-in-one-segment",
        "nginx",
        before_nginx(faults.wants_one_segment, segment=1400),
        "reach.large-hello",
        status=HURT,
        proof=r"Verify return code: 0 \(ok\)",
    )

    healthy: dict[str, Build] = {
        "dns-a-record": named(("A {good}",)),
        "dns-cname": named(("CNAME edge.cdn.test.",), {"edge.cdn.test": ("A {good}",)}),
        "dns-aaaa-servfail": named(("A {good}", "AAAA-SERVFAIL")),
        "dns-truncated-then-tcp": named(("A {good}", "truncate")),
    }
    for name, answer_of in healthy.items():
        to.add(f"healthy/{name}", "nginx", answer_of, proof=dig("" if "truncated" in name else "NOERROR"))
