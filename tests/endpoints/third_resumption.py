"""Third matrix, mode 8: the second visit, early data, and names that share a connection."""

from __future__ import annotations

import asyncio
import base64
import ssl
from collections.abc import Callable, Sequence
from pathlib import Path

from OpenSSL import SSL

from tests.endpoints import faults
from tests.endpoints.authority import Party
from tests.endpoints.bench import Bench, Vhost
from tests.endpoints.cases import OK, WARNING, Case, Place, Proof, Register
from tests.endpoints.third_serving import (
    OK_200,
    At,
    Build,
    Face,
    answers,
    at,
    chain_of,
    context,
    keyed_nginx,
    robin,
    serve_tls,
    several,
    ticket_key,
)

UNSHARED, BROKEN_AGAIN, EARLY = "resumption.tickets-not-shared", "resumption.broken", "resumption.early-data"
COALESCING, NONE_AT_ALL = "resumption.coalescing", "resumption.unsupported"
PRE_SHARED_KEY, SESSION_TICKET = 41, 35
CACHE = "ssl_session_tickets off; ssl_session_cache shared:third:1m;"
OFF = "ssl_session_tickets off; ssl_session_cache off;"
VALID = r"Verify return code: 0 \(ok\)"
REFUSED_ONCE = Proof(tool="second-visit", want="n")
FAILS_AGAIN = Proof(tool="second-visit", want="^F+$")
RESUMED = Proof(tool="second-visit", want="^R+$")
own = keyed_nginx(None)
shared = keyed_nginx("all")


def haproxy(keys: str | None, bind: str = "") -> Face:
    """haproxy with the ticket keys of that name, in its own form: three lines of base64."""

    def face(bench: Bench, case: Case, chain: Sequence[Party], place: At) -> object:
        secret = Path(ticket_key(bench, f"{case.host}-{keys or place[0]}")).read_bytes()
        lines = "".join(base64.b64encode(bytes([n]) + secret[1:]).decode() + "\n" for n in range(3))
        words = f"alpn h2,http/1.1 {bind} tls-ticket-keys {bench.file(lines, '.keys')}"
        return bench.haproxy_tls(*chain, bind=words, at=place)

    return face


def apache(keys: str | None) -> Face:
    def face(bench: Bench, case: Case, chain: Sequence[Party], place: At) -> object:
        line = f"SSLSessionTicketKeyFile {ticket_key(bench, f'{case.host}-{keys or place[0]}')}"
        return bench.apache(f"ServerName {case.host}\n {line}", *chain, at=place)

    return face


def with_keys(*names: str) -> Face:
    """nginx that seals with the first key and opens with each, as during a rotation."""

    def face(bench: Bench, case: Case, chain: Sequence[Party], place: At) -> object:
        files = [ticket_key(bench, f"{case.host}-{name}") for name in names]
        lines = " ".join(f"ssl_session_ticket_key {file};" for file in files)
        return bench.nginx(Vhost(names=(case.host,), chains=(tuple(chain),), extra=lines), at=place)

    return face


def standard(**known: object) -> Face:
    """The standard library's server."""

    def face(bench: Bench, case: Case, chain: Sequence[Party], place: At) -> object:
        return serve_tls(bench, context(bench, chain, **known), answers(), place)  # type: ignore[arg-type]

    return face


def s_server(*flags: str) -> Face:
    return lambda bench, case, chain, place: bench.s_server(*flags, chain=chain, at=place)


def gnutls(*flags: str) -> Build:
    return lambda bench, case: at(bench.gnutls(*flags, chain=chain_of(bench, case)))


def caddy(bench: Bench, case: Case, chain: Sequence[Party], place: At) -> object:
    return bench.caddy(*chain, at=place)


def one_of(face: Face) -> Build:
    return several(face)


def answering_early(lines: str) -> Face:
    return keyed_nginx(None, f"ssl_early_data on; {lines}")


# ── second visits that fail ──


def fails_again(extension: int, how: str, protocols: str = "TLSv1.2 TLSv1.3") -> Build:
    """A box that cannot take a hello which offers to resume, in front of a healthy nginx."""

    def build(bench: Bench, case: Case) -> Place:
        where = bench.place()
        keyed_nginx(None, protocols=protocols)(bench, case, chain_of(bench, case), where)

        def refuses(hello: bytes) -> bool:
            return len(faults.extension(hello, extension)) > 0

        if how in {"reset", "close"}:
            return at(bench.raw(faults.refuses_hello(*where, refuses=refuses, how=how)))

        async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            hello = await faults.client_hello(reader)
            if not refuses(hello):
                await faults._relayed(*where, hello, reader, writer)
            elif how == "silence":
                await faults.is_silent(reader, writer)
            else:
                writer.write(bytes([21, 3, 3, 0, 2, 2, int(how)]))
                await writer.drain()

        return at(bench.raw(handler))

    return build


def forgets_its_context(most: int) -> Face:
    """OpenSSL with optional client certificates and no session id context: it fails each resumption (internal_error).

    A classic of servers written on OpenSSL: SSL_CTX_set_session_id_context was forgotten.
    """

    def face(bench: Bench, case: Case, chain: Sequence[Party], place: At) -> object:
        made = SSL.Context(SSL.TLS_SERVER_METHOD)
        made.set_max_proto_version(most)
        made.use_certificate(chain[0].certificate)
        for party in chain[1:]:
            made.add_extra_chain_cert(party.certificate)
        made.use_privatekey(chain[0].key)
        made.set_verify(SSL.VERIFY_PEER, lambda *_: True)

        async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            session = SSL.Connection(made, None)
            session.set_accept_state()
            request = await _spoken(session, session.do_handshake, reader, writer)
            request = await _spoken(session, lambda: session.recv(4096), reader, writer) if request is not None else b""
            if request:
                session.sendall(OK_200)
                session.shutdown()
                await _flush(session, writer)

        bench.raw(handler, at=place)
        return place

    return face


async def _flush(session: SSL.Connection, writer: asyncio.StreamWriter) -> None:
    try:
        while piece := session.bio_read(65536):
            writer.write(piece)
    except SSL.WantReadError:
        pass
    await writer.drain()


async def _spoken(
    session: SSL.Connection, act: Callable[[], object], reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> object:
    """The result of *act* once the peer has said enough, None when it failed."""
    while True:
        try:
            result = act()
        except SSL.WantReadError:
            await _flush(session, writer)
            if not (piece := await reader.read(65536)):
                return None
            session.bio_write(piece)
        except SSL.Error:
            await _flush(session, writer)
            return None
        else:
            await _flush(session, writer)
            return result if result is not None else b""


# ── two names on one address ──

Two = Callable[[Bench, Case, str, tuple[Party, ...]], At]


def two_names(
    serve: Two, *, elsewhere: bool = False, resolves: bool = True, covered: bool = True, wildcard: bool = False
) -> Build:
    """A certificate with a second name; the name is resolved to the same address, to another, or not at all."""

    def build(bench: Bench, case: Case) -> Place:
        h = bench.hierarchy
        second = f"second.{case.host}"
        names = (case.host, f"*.{case.host}") if wildcard else (case.host, second) if covered else (case.host,)
        place = serve(bench, case, second, (h.leaf(*names), h.intermediate))
        table: dict[str, faults.DnsAnswer] = {case.host: (f"A {place[0]}",)}
        if resolves:
            table[second] = (f"A {bench.address() if elsewhere else place[0]}",)
            if not elsewhere:
                return Place(addresses=(place[0],), port=place[1], also=((second, (place[0],)),))
        resolver = bench.place()
        bench.loop.serve_dns(*resolver, table)
        return Place(addresses=(place[0],), port=place[1], resolver=resolver)

    return build


def one_vhost(bench: Bench, case: Case, second: str, chain: tuple[Party, ...]) -> At:
    return bench.nginx(Vhost(names=(case.host, second), chains=(chain,)))


def two_vhosts(bench: Bench, case: Case, second: str, chain: tuple[Party, ...]) -> At:
    """Two hosts, one certificate: nothing wrong with sharing a connection."""
    return bench.nginx(Vhost(names=(case.host,), chains=(chain,)), Vhost(names=(second,), chains=(chain,)))


def own_certificate(http2: bool = True) -> Two:
    """The second name has a certificate of its own."""

    def serve(bench: Bench, case: Case, second: str, chain: tuple[Party, ...]) -> At:
        h = bench.hierarchy
        other = (h.leaf(second), h.intermediate)
        first = Vhost(names=(case.host,), chains=(chain,))
        return bench.nginx(first, Vhost(names=(second,), chains=(other,)), http2=http2)

    return serve


def strict(answer: str = "return 421;", http2: bool = True) -> Two:
    """nginx that answers a request for another name than the handshake's with 421."""

    def serve(bench: Bench, case: Case, second: str, chain: tuple[Party, ...]) -> At:
        extra = f"if ($ssl_server_name != $host) {{ {answer} }}"
        first = Vhost(names=(case.host,), chains=(chain,), extra=extra)
        return bench.nginx(first, Vhost(names=(second,), chains=(chain,), extra=extra), http2=http2)

    return serve


def apache_vhosts(differs: str, *, copied: bool = False) -> Two:
    """Apache: 421 when the two hosts' TLS settings differ, be it in the path of one certificate (`copied`)."""

    def serve(bench: Bench, case: Case, second: str, chain: tuple[Party, ...]) -> At:
        same = f"SSLEngine on\n SSLCertificateFile {bench.combined(*chain)}\n"
        other = f"SSLEngine on\n SSLCertificateFile {bench.combined(*chain)}\n" if copied else same
        place = bench.apache(f"ServerName {case.host}\n Protocols h2 http/1.1\n {same}")
        bench.apache_vhost(place, f"ServerName {second}\n Protocols h2 http/1.1\n {other} {differs}")
        return place

    return serve


def caddy_strict(bench: Bench, case: Case, second: str, chain: tuple[Party, ...]) -> At:
    place = bench.caddy(*chain)
    list(bench._caddy.values())[-1]["strict_sni_host"] = True
    return place


def caddy_plain(bench: Bench, case: Case, second: str, chain: tuple[Party, ...]) -> At:
    return bench.caddy(*chain)


def haproxy_two(bench: Bench, case: Case, second: str, chain: tuple[Party, ...]) -> At:
    """haproxy with a certificate for both names and another for the second one."""
    h = bench.hierarchy
    other = bench.combined(h.leaf(second), h.intermediate)
    listed = bench.file(f"{bench.combined(*chain)} {case.host}\n{other} {second}\n", ".list")
    return bench.haproxy(
        f"frontend {{id}}\n mode http\n bind {{bind}} ssl crt-list {listed} alpn h2,http/1.1\n"
        " http-request return status 200"
    )


def haproxy_421(bench: Bench, case: Case, second: str, chain: tuple[Party, ...]) -> At:
    pem = bench.combined(*chain)
    return bench.haproxy(
        f"frontend {{id}}\n mode http\n bind {{bind}} ssl crt {pem} alpn h2,http/1.1\n"
        " http-request set-var(txn.sni) ssl_fc_sni\n"
        " http-request return status 421 unless { req.hdr(host),field(1,:),strcmp(txn.sni) eq 0 }\n"
        " http-request return status 200"
    )


def register(to: Register) -> None:
    tickets(to)
    again(to)
    early(to)
    names(to)
    healthy(to)


def tickets(to: Register) -> None:
    def add(name: str, server: str, build: Build, **more: object) -> None:
        to.add(f"resumption/{name}", server, build, UNSHARED, status=WARNING, proof=REFUSED_ONCE, **more)  # type: ignore[arg-type]

    add("two-nginx", "nginx", several(own, own))
    add("two-nginx-tls1.2", "nginx", several(*[keyed_nginx(None, protocols="TLSv1.2")] * 2))
    add("three-nginx-one-apart", "nginx", several(shared, shared, own))
    add("four-nginx-in-pairs", "nginx", several(*[keyed_nginx("a")] * 2, *[keyed_nginx("b")] * 2))
    add("two-haproxies", "haproxy", several(haproxy(None), haproxy(None)))
    add("two-apaches", "apache", several(apache(None), apache(None)))
    add("two-caddies", "caddy", several(caddy, caddy))  # one process, yet each of its servers has keys of its own
    add("two-of-the-standard-library", "none", several(standard(), standard()))
    add("robin-of-two", "haproxy+nginx", robin(own, own))
    add("robin-of-two-haproxies", "haproxy", robin(haproxy(None), haproxy(None)))
    add("robin-of-three", "haproxy+nginx", robin(own, own, own))
    add("robin-one-apart", "haproxy+nginx", robin(shared, own))
    add("robin-of-five", "haproxy+nginx", robin(own, own, own, own, own))
    add("rotation-half-done", "nginx", several(with_keys("new", "old"), with_keys("old")))
    add("one-without-tickets", "nginx", several(own, keyed_nginx(None, OFF)))


def again(to: Register) -> None:
    def add(name: str, server: str, build: Build, **more: object) -> None:
        to.add(f"resumption/broken-{name}", server, build, BROKEN_AGAIN, proof=FAILS_AGAIN, **more)  # type: ignore[arg-type]

    add("reset-on-a-psk", "nginx", fails_again(PRE_SHARED_KEY, "reset"))
    add("closed-on-a-psk", "nginx", fails_again(PRE_SHARED_KEY, "close"))
    add("silent-on-a-psk", "nginx", fails_again(PRE_SHARED_KEY, "silence"), waits=True)
    for alert in (40, 47, 80):
        add(f"alert-{alert}-on-a-psk", "nginx", fails_again(PRE_SHARED_KEY, str(alert)))
    add("reset-on-a-ticket", "nginx", fails_again(SESSION_TICKET, "reset", "TLSv1.2"))
    add("alert-40-on-a-ticket", "nginx", fails_again(SESSION_TICKET, "40", "TLSv1.2"))
    add("context-forgotten", "none", one_of(forgets_its_context(SSL.TLS1_3_VERSION)))
    add("context-forgotten-tls1.2", "none", one_of(forgets_its_context(SSL.TLS1_2_VERSION)))


def early(to: Register) -> None:
    def add(name: str, server: str, build: Build, **more: object) -> None:
        to.add(f"resumption/early-{name}", server, build, EARLY, status=WARNING, proof=VALID, **more)  # type: ignore[arg-type]

    add("nginx", "nginx", one_of(answering_early("")))
    add("nginx-h1", "nginx", one_of(keyed_nginx(None, "ssl_early_data on;", http2=False)))
    add("nginx-404", "nginx", one_of(answering_early("location = / { return 404; }")))
    add("nginx-redirects", "nginx", one_of(answering_early("location = / { return 301 https://elsewhere.test/; }")))
    add("two-nginx-shared", "nginx", several(*[keyed_nginx("all", "ssl_early_data on;")] * 2))
    add("haproxy", "haproxy", one_of(haproxy(None, "allow-0rtt")))

    to.add(
        "resumption/early-haproxy-waits-for-the-handshake",
        "haproxy",
        one_of(haproxy_waiting),
        (EARLY, None),
        status=WARNING | OK,
        proof=VALID,
        why="0-RTT is on, but no request is answered before the handshake is complete: nothing can be replayed",
    )


def haproxy_waiting(bench: Bench, case: Case, chain: Sequence[Party], place: At) -> object:
    pem = bench.combined(*chain)
    return bench.haproxy(
        f"frontend {{id}}\n mode http\n bind {{bind}} ssl crt {pem} alpn h2,http/1.1 allow-0rtt\n"
        " http-request wait-for-handshake\n http-request return status 200",
        at=place,
    )


def names(to: Register) -> None:
    def add(name: str, server: str, build: Build, **more: object) -> None:
        more.setdefault("proof", Proof(tool="curl", want="HTTP/2 421", args=("-i", "-H", "Host: second.{host}")))
        to.add(f"resumption/shared-name-{name}", server, build, COALESCING, status=WARNING, **more)  # type: ignore[arg-type]

    add("own-certificate", "nginx", two_names(own_certificate()), proof=VALID)
    add("own-certificate-haproxy", "haproxy", two_names(haproxy_two), proof=VALID)
    add("421-nginx", "nginx", two_names(strict()))
    add("421-haproxy", "haproxy", two_names(haproxy_421))
    add("421-caddy", "caddy", two_names(caddy_strict))
    add("421-apache-copied-files", "apache", two_names(apache_vhosts("", copied=True)))
    add("421-apache-versions", "apache", two_names(apache_vhosts("SSLProtocol TLSv1.2")))
    add("421-apache-suites", "apache", two_names(apache_vhosts("SSLCipherSuite ECDHE-RSA-AES128-GCM-SHA256")))
    add("421-apache-client-certificates", "apache",
        two_names(apache_vhosts("SSLVerifyClient optional_no_ca")))  # fmt: skip


def healthy(to: Register) -> None:
    def add(name: str, server: str, build: Build, **more: object) -> None:
        to.add(f"healthy/resumption-{name}", server, build, **more)  # type: ignore[arg-type]

    def resumed(name: str, server: str, build: Build) -> None:
        add(name, server, build, proof=RESUMED)

    resumed("two-nginx-share", "nginx", several(shared, shared))
    resumed("three-nginx-share", "nginx", several(shared, shared, shared))
    resumed("two-nginx-share-tls1.2", "nginx", several(*[keyed_nginx("all", protocols="TLSv1.2")] * 2))
    resumed("two-haproxies-share", "haproxy", several(haproxy("all"), haproxy("all")))
    resumed("two-apaches-share", "apache", several(apache("all"), apache("all")))
    resumed("robin-shares", "haproxy+nginx", robin(shared, shared))
    resumed("robin-of-three-shares", "haproxy+nginx", robin(shared, shared, shared))
    resumed("robin-haproxies-share", "haproxy", robin(haproxy("all"), haproxy("all")))
    # Each seals with another key, and opens the other's: the names in the tickets differ, and nothing is lost.
    resumed("two-nginx-rotating", "nginx", several(with_keys("new", "old"), with_keys("old", "new")))
    resumed("robin-rotating", "haproxy+nginx", robin(with_keys("new", "old"), with_keys("old", "new")))
    resumed("three-nginx-rotating", "nginx",
        several(with_keys("a", "b", "c"), with_keys("b", "a", "c"), with_keys("c", "b", "a")))  # fmt: skip
    add("nothing-nginx", "nginx", one_of(keyed_nginx(None, OFF)), status=OK, findings=(NONE_AT_ALL,))
    add("nothing-nginx-tls1.2", "nginx", one_of(keyed_nginx(None, OFF, "TLSv1.2")), findings=(NONE_AT_ALL,))
    add("haproxy-cache-alone", "haproxy", one_of(haproxy(None, "no-tls-tickets ssl-max-ver TLSv1.2")))
    add("standard-library-tls1.2-no-1.3-tickets", "none", one_of(standard(most=ssl.TLSVersion.TLSv1_2, tickets=0)))
    add("two-without-anything", "nginx", several(*[keyed_nginx(None, OFF)] * 2))
    add("cache-alone", "nginx",
        one_of(keyed_nginx(None, CACHE)))  # fmt: skip
    add("cache-alone-tls1.2", "nginx",
        one_of(keyed_nginx(None, CACHE, "TLSv1.2")))  # fmt: skip
    add("builtin-cache", "nginx", one_of(keyed_nginx(None, "ssl_session_tickets off; ssl_session_cache builtin;")))
    add("s-server-no-ticket", "openssl", one_of(s_server("-no_ticket")))
    add("s-server-no-ticket-no-cache", "openssl", one_of(s_server("-no_ticket", "-no_cache")))
    for count in (0, 1, 4):
        add(f"s-server-{count}-tickets", "openssl", one_of(s_server("-num_tickets", str(count))))
        add(f"standard-library-{count}-tickets", "none", one_of(standard(tickets=count)))
    add("gnutls-without-tickets", "gnutls", gnutls("--noticket"))
    add("gnutls-with-tickets", "gnutls", gnutls())
    add("early-data-425", "nginx", one_of(answering_early("if ($ssl_early_data) { return 425; }")))
    add("early-data-425-h1", "nginx",
        one_of(keyed_nginx(None, "ssl_early_data on; if ($ssl_early_data) { return 425; }", http2=False)))  # fmt: skip
    add("early-data-on-but-tls1.2", "nginx", one_of(keyed_nginx(None, "ssl_early_data on;", "TLSv1.2")))
    add("shared-name-one-vhost", "nginx", two_names(one_vhost))
    add("shared-name-two-vhosts", "nginx", two_names(two_vhosts))
    add("shared-name-h1-own-certificate", "nginx", two_names(own_certificate(http2=False)))
    add("shared-name-h1-421", "nginx", two_names(strict(http2=False)))
    add("shared-name-elsewhere", "nginx", two_names(own_certificate(), elsewhere=True))
    add("shared-name-does-not-resolve", "nginx", two_names(own_certificate(), resolves=False))
    add("shared-name-is-not-covered", "nginx", two_names(own_certificate(), covered=False))
    add("shared-name-is-a-wildcard", "nginx", two_names(one_vhost, wildcard=True))
    add("shared-name-caddy", "caddy", two_names(caddy_plain))
    alike = Proof(tool="curl", want="HTTP/2 404", args=("-i", "-H", "Host: second.{host}"))
    add("shared-name-apache-alike", "apache", two_names(apache_vhosts("")), proof=alike)
    add("context-kept", "none", one_of(standard(asks=ssl.CERT_OPTIONAL)))
