"""Second matrix, mode 0 and its healthy neighbours: names, ports, proxies that expect something else.

Long, because each peer and each name server is a function of its own beside the table that names it.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from typing import cast

import dns.flags
import dns.message
import dns.rcode
import dns.rrset

from tests.endpoints import faults
from tests.endpoints.bench import Bench, Vhost
from tests.endpoints.cases import CURRENT, EVERYONE, Case, Place, Proof, Register
from tests.endpoints.second_serving import At, Build, at, good, on, served

NOTHING = "no peer certificate available"
NOT_TLS = "wrong version number|packet length too long|unsupported protocol|unexpected message|http request"
Answer = Callable[[dns.message.Message, str], dns.message.Message | None]


def proxy_expected(server: str) -> Build:
    """The listener waits for a PROXY header, and gets a ClientHello."""

    def build(bench: Bench, case: Case) -> Place:
        chain = good(bench, case)
        if server == "haproxy":
            return at(bench.haproxy_tls(*chain, bind="accept-proxy alpn h2,http/1.1"))
        address, port = bench.place()
        lines = (
            f"server {{ listen {address}:{port} ssl proxy_protocol; server_name {case.host};\n"
            f" ssl_certificate {bench.file(''.join(p.pem for p in chain))};"
            f" ssl_certificate_key {bench.file(chain[0].key_pem)}; }}"
        )
        bench._nginx[False].append(lines)
        bench.listens(address, port)
        return at((address, port))

    return build


def proxy_unexpected(server: str) -> Build:
    """A TCP balancer sends a PROXY header to a server that does not expect one."""

    def build(bench: Bench, case: Case) -> Place:
        behind = served(bench, server, good(bench, case), case.host)
        return at(tcp_balancer(bench, behind, "send-proxy"))

    return build


def tcp_balancer(bench: Bench, behind: At, option: str = "") -> At:
    return bench.haproxy(f"listen {{id}}\n mode tcp\n bind {{bind}}\n server s {behind[0]}:{behind[1]} {option}")


def balanced(server: str, option: str = "") -> Build:
    return lambda bench, case: at(
        tcp_balancer(bench, served(bench, server, good(bench, case), case.host, BENIGN.get(server, "")), option)
    )


BENIGN = {"openssl": "-num_tickets 2"}


def proxied_well(bench: Bench, case: Case) -> Place:
    """PROXY protocol on both sides."""
    behind = bench.haproxy_tls(*good(bench, case), bind="accept-proxy alpn h2,http/1.1")
    return at(tcp_balancer(bench, behind, "send-proxy-v2"))


def twice_encrypted(bench: Bench, case: Case) -> Place:
    """The balancer speaks TLS to a backend that speaks plain HTTP: 503 over good TLS."""
    pem = bench.combined(*good(bench, case))
    behind = bench.nginx(Vhost(names=(case.host,)), tls=False)
    return at(
        bench.haproxy(
            f"listen {{id}}\n mode http\n bind {{bind}} ssl crt {pem} alpn h2,http/1.1\n"
            f" server s {behind[0]}:{behind[1]} ssl verify none"
        )
    )


def tls_behind_http(bench: Bench, case: Case) -> Place:
    """haproxy in HTTP mode without `ssl` in front of a TLS server."""
    behind = served(bench, "nginx", good(bench, case), case.host)
    return at(bench.haproxy(f"listen {{id}}\n mode http\n bind {{bind}}\n server s {behind[0]}:{behind[1]}"))


def plain(server: str) -> Build:
    def build(bench: Bench, case: Case) -> Place:
        if server == "caddy":
            return at(bench.caddy(tls=False))
        if server == "apache":
            where = bench.place()
            bench._apache.append(f"Listen {where[0]}:{where[1]} http")
            bench.apache_vhost(where, f"ServerName {case.host}")
            bench.listens(*where)
            return at(where)
        return at(bench.nginx(Vhost(names=(case.host,)), tls=False))

    return build


def after(seconds: float, how: Callable[..., object] | None = None) -> Build:
    """The server's process takes the connection late, as one that starts or swaps."""

    def build(bench: Bench, case: Case) -> Place:
        behind = served(bench, "nginx", good(bench, case), case.host)
        return at(bench.raw(faults.forwards(*behind, after_s=seconds)))

    return build


async def hangs_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Closes at once, before any hello."""


async def hangs_up_hard(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    faults.reset(writer)


async def half_closes(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Ends its own direction after the hello and goes on reading."""
    await faults.client_hello(reader)
    writer.write_eof()
    await faults.is_silent(reader, writer)


async def half_a_record(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """A record header that promises a ServerHello, twenty bytes of it, and the end."""
    await faults.client_hello(reader)
    writer.write(bytes([22, 3, 3, 0, 122, 2, 0, 0, 118, 3, 3]) + bytes(20))
    await writer.drain()


async def half_a_record_then_silence(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await half_a_record(reader, writer)
    await faults.is_silent(reader, writer)


async def echoes(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """An echo service: the client's own hello comes back."""
    while piece := await reader.read(4096):
        writer.write(piece)
        await writer.drain()


async def resets_after_a_second(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await faults.client_hello(reader)
    await asyncio.sleep(1.0)
    faults.reset(writer)


def raw(handler: faults.Handler) -> Build:
    return lambda bench, case: at(bench.raw(handler))


# ── names ──


class _Server(asyncio.DatagramProtocol):
    def __init__(self, answer: Answer, delay_s: float) -> None:
        self._answer, self._delay_s = answer, delay_s
        self._transport: asyncio.DatagramTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        query = dns.message.from_wire(data)
        reply = self._answer(query, dns.rdatatype.to_text(query.question[0].rdtype))
        if reply is not None and self._transport is not None:
            send, wire = self._transport.sendto, reply.to_wire()
            asyncio.get_running_loop().call_later(self._delay_s, send, wire, addr)


def resolved(answer: Callable[[At], Answer], *, delay_s: float = 0.0, reachable: str | None = None) -> Build:
    """A healthy server, and a name server of the case's own that answers as given."""

    def build(bench: Bench, case: Case) -> Place:
        where = bench.place(reachable) if reachable else None
        where = served(bench, "nginx", good(bench, case), case.host, place=where)
        server = bench.place()
        given = answer(where)

        async def listen() -> None:
            loop = asyncio.get_running_loop()
            sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            sock.setblocking(False)
            sock.bind(server)
            transport, _ = await loop.create_datagram_endpoint(lambda: _Server(given, delay_s), sock=sock)
            bench.loop._datagrams.append(transport)

        bench.loop.run(listen())
        return Place(addresses=(where[0],), port=where[1], resolver=server)

    return build


def dead_resolver(bench: Bench, case: Case) -> Place:
    where = served(bench, "nginx", good(bench, case), case.host)
    return Place(addresses=(where[0],), port=where[1], resolver=bench.place())


def records(
    *lines: str, rcode: str = "NOERROR", only: tuple[str, ...] = (), other: str | None = "NOERROR"
) -> Callable[[At], Answer]:
    """`lines` are "OWNER TYPE DATA", OWNER `@` for the name asked; `{a}` is the server's address.

    The question's type must be among `only` (all, when empty); another one gets `other`: an rcode, or None
    for no answer at all.
    """

    def given(where: At) -> Answer:
        def answer(query: dns.message.Message, asked: str) -> dns.message.Message | None:
            reply = dns.message.make_response(query, recursion_available=True)
            if only and asked not in only:
                if other is None:
                    return None
                reply.set_rcode(dns.rcode.from_text(other))
                return reply
            reply.set_rcode(dns.rcode.from_text(rcode))
            for line in lines:
                owner, kind, data = line.replace("{a}", where[0]).split(" ", 2)
                if kind in (asked, "CNAME"):
                    name = query.question[0].name.to_text() if owner == "@" else owner
                    reply.answer.append(dns.rrset.from_text(name, 60, "IN", kind, data))
            return reply

        return answer

    return given


def lame(where: At) -> Answer:
    """Neither authoritative nor recursive: an empty answer, RA clear."""

    def answer(query: dns.message.Message, asked: str) -> dns.message.Message:
        reply = dns.message.make_response(query)
        reply.flags &= ~dns.flags.RA
        return reply

    return answer


def register(to: Register) -> None:
    ended = ("reach.closed", "reach.reset")
    unread = "the server closes with the hello unread: the kernel sends RST, FIN or both, as it falls"
    gone = Proof(want=NOTHING)
    to.add(
        "reach/haproxy-expects-proxy-header",
        "haproxy",
        proxy_expected("haproxy"),
        ended,
        why=unread,
        proof=gone,
        fails=EVERYONE,
    )
    to.add(
        "reach/nginx-expects-proxy-header",
        "nginx",
        proxy_expected("nginx"),
        ended,
        why=unread,
        proof=gone,
        fails=EVERYONE,
    )
    to.add(
        "reach/proxy-header-into-nginx",
        "haproxy+nginx",
        proxy_unexpected("nginx"),
        "reach.not-tls",
        proof=NOT_TLS,
        fails=EVERYONE,
    )
    to.add(
        "reach/proxy-header-into-haproxy",
        "haproxy",
        proxy_unexpected("haproxy"),
        (*ended, "reach.not-tls"),
        why="OpenSSL ends the connection over a wrong version number, with or without an alert",
        proof=gone,
        fails=EVERYONE,
    )
    to.add(
        "reach/proxy-header-into-apache",
        "haproxy+apache",
        proxy_unexpected("apache"),
        (*ended, "reach.not-tls"),
        why=unread,
        proof=NOT_TLS + "|" + NOTHING,
        fails=EVERYONE,
    )
    to.add(
        "reach/haproxy-without-ssl", "haproxy+nginx", tls_behind_http, "reach.not-tls", proof=NOT_TLS, fails=EVERYONE
    )
    for server in ("nginx", "apache", "caddy"):
        to.add(f"reach/plain-{server}", server, plain(server), "reach.not-tls", proof=NOT_TLS, fails=EVERYONE)
    for name, banner in {
        "mysql": b"J\x00\x00\x00\x0a8.0.36\x00\x08\x00\x00\x00abcdefgh\x00\xff\xff\xff\x02\x00",
        "vnc": b"RFB 003.008\n",
        "telnet": b"\xff\xfd\x18\xff\xfd\x20\xff\xfd\x23\xff\xfd\x27login: ",
        "rsync": b"@RSYNCD: 31.0\n",
        "nntp": b"200 news.matrix.test ready\r\n",
        "imap-preauth": b"* PREAUTH IMAP4rev1 ready\r\n",
        "ftp-several-lines": b"220-Welcome\r\n220-to this server\r\n220 ready\r\n",
        "smtp-421": b"421 4.3.2 too busy\r\n",
    }.items():
        to.add(
            f"reach/speaks-{name}",
            "raw",
            raw(faults.greets(banner)),
            "reach.not-tls",
            proof=NOT_TLS + "|no peer certificate",
            fails=EVERYONE,
        )
    for name, answer in {
        "redis": b"-ERR unknown command\r\n",
        "memcached": b"ERROR\r\n",
        "amqp": b"AMQP\x00\x00\x09\x01",
        "h2c-settings": b"\x00\x00\x00\x04\x00\x00\x00\x00\x00",
        "rtsp": b"RTSP/1.0 400 Bad Request\r\n\r\n",
        "postgresql": b"E\x00\x00\x00\x8bSFATAL\x00C0A000\x00Munsupported frontend protocol 768.0\x00\x00",
        "html-without-a-head": b"<html><body>400 Bad Request</body></html>",
        "zeros": bytes(64),
    }.items():
        to.add(
            f"reach/replies-{name}",
            "raw",
            raw(faults.replies(answer)),
            "reach.not-tls",
            proof=NOT_TLS + "|no peer certificate",
            fails=EVERYONE,
        )
    to.add(
        "reach/echo-service",
        "raw",
        raw(echoes),
        "reach.not-tls",
        proof="unexpected message|no peer certificate",
        fails=EVERYONE,
    )
    to.add(
        "reach/hangs-up-at-once",
        "raw",
        raw(hangs_up),
        ended,
        why=unread,
        proof=NOTHING + "|errno=104|reset|eof",
        fails=EVERYONE,
    )
    to.add(
        "reach/resets-at-once",
        "raw",
        raw(hangs_up_hard),
        "reach.reset",
        proof="errno=104|reset|errno=0|" + NOTHING,
        fails=EVERYONE,
    )
    to.add("reach/half-closes", "raw", raw(half_closes), "reach.closed", proof=gone, fails=EVERYONE)
    to.add(
        "reach/ends-within-server-hello",
        "raw",
        raw(half_a_record),
        ("reach.stalled", "reach.closed"),
        proof=gone,
        why="the flight stops midway, by a close",
        fails=EVERYONE,
    )
    to.add(
        "reach/stops-within-server-hello",
        "raw",
        raw(half_a_record_then_silence),
        "reach.stalled",
        proof="the tool gave up",
        fails=EVERYONE,
        silent=True,
    )
    to.add(
        "reach/resets-after-a-second",
        "raw",
        raw(resets_after_a_second),
        "reach.reset",
        proof="errno=104|reset",
        fails=EVERYONE,
        waits=True,
    )
    to.add(
        "reach/late-by-1600-ms",
        "nginx",
        after(1.6),
        "reach.slow",
        status=frozenset({"warning"}),
        passes=CURRENT,
        proof="Verify return code: 0",
        waits=True,
    )
    unresolved = {
        "cname-to-nowhere": (records("@ CNAME gone.matrix.test.", rcode="NXDOMAIN"), "status: NXDOMAIN"),
        "cname-alone": (records("@ CNAME gone.matrix.test."), "CNAME"),
        "cname-loop": (
            records("@ CNAME loop.matrix.test.", "loop.matrix.test. CNAME {host}.".replace("{host}", "x")),
            "CNAME",
        ),
        "notimp": (records(rcode="NOTIMP"), "status: NOTIMP"),
        "formerr": (records(rcode="FORMERR"), "status: FORMERR"),
        "only-mail": (records("@ MX 10 mail.matrix.test.", only=("MX",)), "ANSWER: 0"),
        "a-nxdomain-aaaa-servfail": (records(rcode="NXDOMAIN", only=("A",), other="SERVFAIL"), "status: NXDOMAIN"),
    }
    for name, (answer_given, shown) in unresolved.items():
        to.add(
            f"reach/name-{name}",
            "nginx",
            resolved(answer_given),
            "reach.dns",
            fails=EVERYONE,
            proof=Proof(want=shown, tool="dig"),
        )
    to.add(
        "reach/name-lame",
        "nginx",
        resolved(lame),
        "reach.dns",
        fails=EVERYONE,
        proof=Proof(want="recursion requested but not available", tool="dig"),
    )
    to.add(
        "reach/name-server-down",
        "nginx",
        dead_resolver,
        "reach.dns",
        fails=EVERYONE,
        silent=True,
        proof=Proof(want="connection refused|no servers could be reached", tool="dig"),
    )
    healthy(to)


def healthy(to: Register) -> None:
    def add(name: str, server: str, build: Build, **known: object) -> None:
        to.add(f"healthy/{name}", server, build, **known)  # type: ignore[arg-type]

    for server in ("nginx", "apache", "gnutls", "stunnel", "caddy"):
        add(f"behind-tcp-balancer-{server}", f"haproxy+{server}", balanced(server))
    add("proxy-header-on-both-sides", "haproxy", proxied_well)
    add("backend-not-tls", "haproxy+nginx", twice_encrypted)
    add("late-by-300-ms", "nginx", after(0.3))
    add("late-by-700-ms", "nginx", after(0.7), waits=True)
    add(
        "rate-limited-gently",
        "haproxy",
        lambda bench, case: at(
            bench.haproxy(
                "listen {id}\n mode http\n"
                f" bind {{bind}} ssl crt {bench.combined(*good(bench, case))} alpn h2,http/1.1\n"
                " rate-limit sessions 60\n http-request return status 200"
            )
        ),
    )
    add("limit-conn-1", "nginx", on("nginx", extra="limit_conn few 1;"))
    a = Proof(want="ANSWER: 1,", tool="dig")
    add("name-slow-by-a-second", "nginx", resolved(records("@ A {a}"), delay_s=1.0), proof=a, waits=True)
    add("name-without-aaaa-answer", "nginx", resolved(records("@ A {a}", only=("A",), other=None)), proof=a, waits=True)
    for name, rcode in {
        "servfail": "SERVFAIL",
        "nxdomain": "NXDOMAIN",
        "notimp": "NOTIMP",
        "refused": "REFUSED",
    }.items():
        add(f"name-aaaa-{name}", "nginx", resolved(records("@ A {a}", only=("A",), other=rcode)), proof=a)
    add(
        "name-by-cname",
        "nginx",
        resolved(records("@ CNAME edge.matrix.test.", "edge.matrix.test. A {a}")),
        proof=Proof(want="CNAME", tool="dig"),
    )
    add(
        "name-by-five-cnames",
        "nginx",
        resolved(
            records(
                "@ CNAME c1.matrix.test.",
                *(f"c{n}.matrix.test. CNAME c{n + 1}.matrix.test." for n in range(1, 5)),
                "c5.matrix.test. A {a}",
            )
        ),
        proof=Proof(want="CNAME", tool="dig"),
    )
    add(
        "name-only-aaaa",
        "nginx",
        resolved(records("@ AAAA {a}", only=("AAAA",)), reachable="::1"),
        proof=Proof(want="ANSWER: 0", tool="dig"),
    )
    add(
        "name-same-address-twice",
        "nginx",
        resolved(records("@ A {a}", "@ A {a}")),
        proof=Proof(want="ANSWER: [12],", tool="dig"),
    )
