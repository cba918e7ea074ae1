"""Healthy endpoints of every kind: whoever calls one of these ill gives a false alarm."""

from __future__ import annotations

from collections.abc import Callable

from tests.endpoints import faults
from tests.endpoints.authority import key
from tests.endpoints.bench import Bench, Vhost
from tests.endpoints.cases import VERIFIED, Case, Place, Proof, Register
from tests.endpoints.matrix_names import at
from tests.endpoints.matrix_negotiation import apache, caddy, gnutls, haproxy, nginx, ok_chain, s_server, stunnel

Build = Callable[[Bench, Case], Place]


def named(*names: str) -> Build:
    """A leaf for *names* (`{host}` among them stands for the host)."""

    def build(bench: Bench, case: Case) -> Place:
        h = bench.hierarchy
        leaf = h.leaf(*(name.replace("{host}", case.host) for name in names))
        return at(bench.nginx(Vhost(names=(case.host,), chains=((leaf, h.intermediate),))))

    return build


def many_names(count: int) -> Build:
    def build(bench: Bench, case: Case) -> Place:
        h = bench.hierarchy
        names = [f"customer-{number}.of.many.matrix.test" for number in range(count)]
        leaf = h.leaf(*names[: count // 2], case.host, *names[count // 2 :])
        return at(bench.nginx(Vhost(names=(case.host,), chains=((leaf, h.intermediate),))))

    return build


def ec_chain(bench: Bench, case: Case) -> Place:
    h = bench.hierarchy
    leaf = h.leaf(case.host, by=h.ec_intermediate, under=key("p256"))
    return at(bench.nginx(Vhost(names=(case.host,), chains=((leaf, h.ec_intermediate),))))


def line_server(bench: Bench, case: Case) -> Place:
    """stunnel in front of something that is not HTTP and speaks first."""
    behind = bench.raw(faults.greets(b"welcome to the line server\r\n"))
    return at(bench.stunnel(f"connect = {behind[0]}:{behind[1]}", *ok_chain(bench, case.host)))


def garbage(bench: Bench, case: Case) -> Place:
    behind = bench.raw(faults.greets(bytes(range(256)) * 4))
    return at(bench.stunnel(f"connect = {behind[0]}:{behind[1]}", *ok_chain(bench, case.host)))


def closes_after_handshake(bench: Bench, case: Case) -> Place:
    """TLS is terminated, then nothing stands behind it: closed as soon as the handshake is through."""
    pem = bench.combined(*ok_chain(bench, case.host))
    dead = bench.place()
    return at(
        bench.haproxy(
            f"listen {{id}}\n mode tcp\n bind {{bind}} ssl crt {pem}\n retries 0\n server x {dead[0]}:{dead[1]}"
        )
    )


def stunnel_closes(bench: Bench, case: Case) -> Place:
    dead = bench.place()
    return at(bench.stunnel(f"connect = {dead[0]}:{dead[1]}", *ok_chain(bench, case.host)))


def somewhat_slow(seconds: float) -> Build:
    def build(bench: Bench, case: Case) -> Place:
        good = bench.nginx(Vhost(names=(case.host,), chains=(ok_chain(bench, case.host),)))
        return at(bench.raw(faults.forwards(*good, after_s=seconds)))

    return build


def haproxy_inspects_shortly(bench: Bench, case: Case) -> Place:
    good = bench.nginx(Vhost(names=(case.host,), chains=(ok_chain(bench, case.host),)))
    return at(
        bench.haproxy(
            "listen {id}\n mode tcp\n bind {bind}\n tcp-request inspect-delay 300ms\n"
            f" tcp-request content accept if WAIT_END\n server up {good[0]}:{good[1]}"
        )
    )


def haproxy_routes_by_name(bench: Bench, case: Case) -> Place:
    good = bench.nginx(Vhost(names=(case.host,), chains=(ok_chain(bench, case.host),)))
    return at(
        bench.haproxy(
            "listen {id}\n mode tcp\n bind {bind}\n tcp-request inspect-delay 5s\n"
            " tcp-request content accept if { req.ssl_hello_type 1 }\n"
            f" use-server up if {{ req.ssl_sni -i {case.host} }}\n server up {good[0]}:{good[1]}"
        )
    )


def haproxy_small_maxconn(bench: Bench, case: Case) -> Place:
    pem = bench.combined(*ok_chain(bench, case.host))
    return at(
        bench.haproxy(
            f"frontend {{id}}\n mode http\n maxconn 2\n bind {{bind}} ssl crt {pem} alpn h2,http/1.1\n"
            " http-request return status 200"
        )
    )


def optional_client_certificate(server: str) -> Build:
    def build(bench: Bench, case: Case) -> Place:
        h = bench.hierarchy
        chain = ok_chain(bench, case.host)
        ca = bench.file(h.stranger.pem)
        if server == "haproxy":
            return at(bench.haproxy_tls(*chain, bind=f"ca-file {ca} verify optional alpn h2,http/1.1"))
        if server == "apache":
            return at(
                bench.apache(f"ServerName {case.host}\n SSLVerifyClient optional\n SSLCACertificateFile {ca}", *chain)
            )
        extra = f"ssl_client_certificate {ca}; ssl_verify_client optional;"
        return at(bench.nginx(Vhost(names=(case.host,), chains=(chain,), extra=extra)))

    return build


def small_segments(bench: Bench, case: Case) -> Place:
    """A proxy whose path carries 536 bytes a segment: the hello comes in pieces, and that is fine."""
    good = bench.nginx(Vhost(names=(case.host,), chains=(ok_chain(bench, case.host),)))
    return at(bench.raw(faults.forwards(*good), segment=536))


def register(to: Register) -> None:
    def add(name: str, server: str, build: Build, **more: object) -> None:
        to.add(f"healthy/{name}", server, build, **more)  # type: ignore[arg-type]

    h2 = Proof(want="ALPN protocol: h2", args=("-alpn", "h2,http/1.1"))
    add("nginx-h2", "nginx", nginx(), proof=(Proof(want=VERIFIED), h2, Proof(want="fine", tool="curl")))
    add("nginx-http1.1-only", "nginx", http1_only)
    add("nginx-p256", "nginx", nginx(kinds=("p256",)))
    add("nginx-p384", "nginx", nginx(kinds=("p384",)))
    add("nginx-rsa-3072", "nginx", nginx(kinds=("rsa3072",)))
    add("nginx-rsa-4096", "nginx", nginx(kinds=("rsa4096",)))
    add("nginx-dual-certificates", "nginx", nginx(kinds=("rsa2048", "p256")))
    add("nginx-tls1.2-only", "nginx", nginx(protocols="TLSv1.2"))
    add("nginx-tls1.2-gcm", "nginx", nginx("ssl_ciphers ECDHE+AESGCM;", protocols="TLSv1.2"))
    add("nginx-tls1.2-gcm-p256", "nginx", nginx("ssl_ciphers ECDHE+AESGCM;", protocols="TLSv1.2", kinds=("p256",)))
    add("nginx-mozilla-intermediate", "nginx", nginx(
        "ssl_ciphers ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384:"
        "ECDHE-RSA-AES256-GCM-SHA384:ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305; "
        "ssl_prefer_server_ciphers off; ssl_session_tickets off;"))  # fmt: skip
    add("nginx-one-tls1.3-suite", "nginx", nginx("ssl_conf_command Ciphersuites TLS_AES_256_GCM_SHA384;"))
    add("nginx-p384-group-only", "nginx", nginx("ssl_ecdh_curve secp384r1;"))
    add("nginx-p256-group-only", "nginx", nginx("ssl_ecdh_curve prime256v1;"))
    add("nginx-p384-group-first", "nginx", nginx("ssl_ecdh_curve secp384r1:X25519:prime256v1;"))
    add("nginx-no-tickets", "nginx", nginx("ssl_session_tickets off; ssl_session_cache none;"))
    add("nginx-session-cache", "nginx", nginx("ssl_session_cache shared:one:1m;"))
    add("nginx-limit-conn", "nginx", nginx("limit_conn few 2;"))
    add("nginx-small-records", "nginx", nginx("ssl_buffer_size 1k;"))
    add("wildcard", "nginx", named("*.matrix.test"))
    add("name-in-capitals", "nginx", named("{host}", "OTHER.Matrix.TEST"))
    add("idn", "nginx", named("xn--bcher-kva.matrix.test"), host="bücher.matrix.test", proof=Proof(
        want=VERIFIED, server_name="xn--bcher-kva.matrix.test"))  # fmt: skip
    add("many-names", "nginx", many_names(100))
    add("very-many-names", "nginx", many_names(900))
    add("short-ec-chain", "nginx", ec_chain)

    add("haproxy", "haproxy", haproxy("alpn h2,http/1.1"), proof=(Proof(want=VERIFIED), h2))
    add("haproxy-no-alpn", "haproxy", haproxy(""))
    add("haproxy-tls1.2-only", "haproxy", haproxy("ssl-max-ver TLSv1.2"))
    add("haproxy-p256", "haproxy", haproxy("alpn h2,http/1.1", kind="p256"))
    add("haproxy-no-tickets", "haproxy", haproxy("no-tls-tickets alpn h2,http/1.1"))
    add("haproxy-small-maxconn", "haproxy", haproxy_small_maxconn, waits=True)
    add("haproxy-routes-by-name", "haproxy+nginx", haproxy_routes_by_name)
    add("apache", "apache", apache(""))
    add("apache-h2", "apache", apache("Protocols h2 http/1.1"), proof=(Proof(want=VERIFIED), h2))
    add("apache-p384", "apache", apache("", kind="p384"))
    add("apache-tls1.2-only", "apache", apache("SSLProtocol TLSv1.2"))
    add("caddy", "caddy", caddy({}), proof=(Proof(want=VERIFIED), Proof(want="fine", tool="curl")))
    add("caddy-p256", "caddy", caddy({}, kind="p256"))
    add("caddy-http1.1-only", "caddy", caddy({"alpn": ["http/1.1"]}))
    add("caddy-p384-group-only", "caddy", caddy({"curves": ["secp384r1"]}))
    add("gnutls-http", "gnutls", gnutls(), proof=(Proof(want=VERIFIED), Proof(want="Status: The certificate is trusted",
                                                                              tool="gnutls-cli")))  # fmt: skip
    add("gnutls-echo", "gnutls", gnutls("--echo"))
    add("gnutls-secure128", "gnutls", gnutls("--priority", "SECURE128:-VERS-ALL:+VERS-TLS1.2:+VERS-TLS1.3"))
    add("gnutls-no-tickets", "gnutls", gnutls("--noticket"))
    add("s-server-www", "openssl", s_server())
    add("s-server-reverses-lines", "openssl", s_server("-rev"))
    add("s-server-tls1.2", "openssl", s_server("-tls1_2"))
    add("s-server-p256", "openssl", s_server(kind="p256"))
    add("s-server-no-tickets", "openssl", s_server("-num_tickets", "0"))
    add("stunnel-http", "stunnel", stunnel(""))
    add("stunnel-line-server", "stunnel", line_server)
    add("stunnel-garbage", "stunnel", garbage)
    add("stunnel-nothing-behind", "stunnel", stunnel_closes)
    add("haproxy-nothing-behind", "haproxy", closes_after_handshake)
    add("slow-300-ms", "nginx", somewhat_slow(0.3), waits=True)
    add("haproxy-inspects-300-ms", "haproxy+nginx", haproxy_inspects_shortly, waits=True)
    add("small-segments", "nginx", small_segments)
    for server in ("nginx", "haproxy", "apache"):
        add(f"{server}-client-certificate-optional", server, optional_client_certificate(server))


def http1_only(bench: Bench, case: Case) -> Place:
    return at(bench.nginx(Vhost(names=(case.host,), chains=(ok_chain(bench, case.host),)), http2=False))
