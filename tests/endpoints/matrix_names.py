"""Mode 1: which certificate is chosen for a name."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

from tests.endpoints.authority import issue
from tests.endpoints.bench import Bench, Vhost
from tests.endpoints.cases import CURRENT, EVERYONE, Case, Place, Proof, Register

MISMATCH = r"Verify return code: 62"
IP_MISMATCH = r"Verify return code: 64"
ALERT = "alert number {}"
OTHER = "other.matrix.test"
Build = Callable[[Bench, Case], Place]


def at(place: tuple[str, int], host: str | None = None) -> Place:
    return Place(addresses=(place[0],), port=place[1], host=host)


def nginx_default(bench: Bench, case: Case) -> Place:
    h = bench.hierarchy
    return at(
        bench.nginx(
            Vhost(names=(OTHER,), chains=((h.leaf(OTHER), h.intermediate),)),
            Vhost(names=("third.matrix.test",), chains=((h.leaf("third.matrix.test"), h.intermediate),)),
        )
    )


def nginx_snakeoil(bench: Bench, case: Case) -> Place:
    snakeoil = issue("debian", names=("debian",), ca=False, until=timedelta(days=3000))
    return at(bench.nginx(Vhost(names=("_",), chains=((snakeoil,),))))


def nginx_wrong_vhost_certificate(name: str) -> Build:
    """The host has a vhost of its own whose certificate is for *name*; the default is another."""

    def build(bench: Bench, case: Case) -> Place:
        h = bench.hierarchy
        return at(
            bench.nginx(
                Vhost(names=(OTHER,), chains=((h.leaf(OTHER), h.intermediate),)),
                Vhost(names=(case.host,), chains=((h.leaf(name.replace("{host}", case.host)), h.intermediate),)),
            )
        )

    return build


def nginx_common_name_only(bench: Bench, case: Case) -> Place:
    h = bench.hierarchy
    bare = issue(case.host, by=h.intermediate)
    return at(
        bench.nginx(
            Vhost(names=(OTHER,), chains=((h.leaf(OTHER), h.intermediate),)),
            Vhost(names=(case.host,), chains=((bare, h.intermediate),)),
        )
    )


def nginx_rejects(bench: Bench, case: Case) -> Place:
    """The default server rejects; only another name is served."""
    h = bench.hierarchy
    return at(
        bench.nginx(
            Vhost(names=("_",), extra="ssl_reject_handshake on;"),
            Vhost(names=(OTHER,), chains=((h.leaf(OTHER), h.intermediate),)),
        )
    )


def nginx_rejects_this_name(bench: Bench, case: Case) -> Place:
    h = bench.hierarchy
    return at(
        bench.nginx(
            Vhost(names=(OTHER,), chains=((h.leaf(OTHER), h.intermediate),)),
            Vhost(names=(case.host,), extra="ssl_reject_handshake on;"),
        )
    )


def nginx_rejects_others(bench: Bench, case: Case) -> Place:
    h = bench.hierarchy
    return at(
        bench.nginx(
            Vhost(names=("_",), extra="ssl_reject_handshake on;"),
            Vhost(names=(case.host,), chains=((h.leaf(case.host), h.intermediate),)),
        )
    )


def nginx_another_without_sni(bench: Bench, case: Case) -> Place:
    h = bench.hierarchy
    return at(
        bench.nginx(
            Vhost(names=(OTHER,), chains=((h.leaf(OTHER), h.intermediate),)),
            Vhost(names=(case.host,), chains=((h.leaf(case.host), h.intermediate),)),
        )
    )


def nginx_no_cipher_for_this_name(bench: Bench, case: Case) -> Place:
    h = bench.hierarchy
    return at(
        bench.nginx(
            Vhost(names=(OTHER,), chains=((h.leaf(OTHER), h.intermediate),)),
            Vhost(
                names=(case.host,),
                chains=((h.leaf(case.host), h.intermediate),),
                extra="ssl_ciphers ECDHE-ECDSA-AES128-GCM-SHA256;",
            ),
            protocols="TLSv1.2",
        )
    )


def haproxy_crt(*, served: bool, strict: bool) -> Build:
    def build(bench: Bench, case: Case) -> Place:
        h = bench.hierarchy
        chains = [(h.leaf(OTHER), h.intermediate)] + ([(h.leaf(case.host), h.intermediate)] if served else [])
        crts = " ".join(f"crt {bench.combined(*chain)}" for chain in chains)
        return at(
            bench.haproxy(
                f"frontend {{id}}\n mode http\n bind {{bind}} ssl {crts} {'strict-sni' if strict else ''}"
                " alpn h2,http/1.1\n http-request return status 200"
            )
        )

    return build


def haproxy_drops_name(action: str) -> Build:
    """A TCP balancer that reads SNI and refuses exactly this name."""

    def build(bench: Bench, case: Case) -> Place:
        h = bench.hierarchy
        good = bench.nginx(
            Vhost(names=(OTHER,), chains=((h.leaf(OTHER), h.intermediate),)),
            Vhost(names=(case.host,), chains=((h.leaf(case.host), h.intermediate),)),
        )
        return at(
            bench.haproxy(
                "listen {id}\n mode tcp\n bind {bind}\n tcp-request inspect-delay 2s\n"
                f" tcp-request content {action} if {{ req.ssl_sni -i {case.host} }}\n"
                f" tcp-request content accept if {{ req.ssl_hello_type 1 }}\n server up {good[0]}:{good[1]}"
            )
        )

    return build


def caddy_without(bench: Bench, case: Case) -> Place:
    h = bench.hierarchy
    other = f"neighbour-of-{case.host}"
    return at(bench.caddy(h.leaf(other), h.intermediate))


def caddy_default_sni(bench: Bench, case: Case) -> Place:
    h = bench.hierarchy
    other = f"neighbour-of-{case.host}"
    return at(bench.caddy(h.leaf(other), h.intermediate, policy={"default_sni": other}))


def apache_default(bench: Bench, case: Case) -> Place:
    h = bench.hierarchy
    place = bench.apache(f"ServerName {OTHER}", h.leaf(OTHER), h.intermediate)
    bench.apache_vhost(place, "ServerName third.matrix.test", h.leaf("third.matrix.test"), h.intermediate)
    return at(place)


def apache_strict(*, served: bool) -> Build:
    def build(bench: Bench, case: Case) -> Place:
        h = bench.hierarchy
        place = bench.apache(f"ServerName {OTHER}\n SSLStrictSNIVHostCheck on", h.leaf(OTHER), h.intermediate)
        if served:
            bench.apache_vhost(place, f"ServerName {case.host}", h.leaf(case.host), h.intermediate)
        return at(place)

    return build


def apache_wrong_vhost(bench: Bench, case: Case) -> Place:
    h = bench.hierarchy
    place = bench.apache(f"ServerName {OTHER}", h.leaf(OTHER), h.intermediate)
    bench.apache_vhost(place, f"ServerName {case.host}", h.leaf(f"www.{case.host}"), h.intermediate)
    return at(place)


def single(server: str) -> Build:
    """One certificate for whatever name, and it does not cover the one asked for."""

    def build(bench: Bench, case: Case) -> Place:
        h = bench.hierarchy
        chain = (h.leaf(OTHER), h.intermediate)
        if server == "stunnel":
            return at(bench.stunnel(f"connect = {sink(bench)}", *chain))
        if server == "gnutls":
            return at(bench.gnutls(chain=chain))
        if server == "haproxy":
            return at(bench.haproxy_tls(*chain))
        return at(bench.s_server(chain=chain))

    return build


def stunnel_sni_slave(bench: Bench, case: Case) -> Place:
    """stunnel's `sni =` services: the name is routed to a service whose certificate is for another."""
    h = bench.hierarchy
    place = bench.stunnel(f"connect = {sink(bench)}", h.leaf(OTHER), h.intermediate)
    master = len(bench._stunnel) - 1
    chain = bench.combined(h.leaf("elsewhere.matrix.test"), h.intermediate)
    bench._stunnel.append(f"[s{master + 1}]\nsni = s{master}:{case.host}\ncert = {chain}\nconnect = {sink(bench)}\n")
    return at(place)


def gnutls_name_fatal(bench: Bench, case: Case) -> Place:
    """gnutls-serv that knows one name and alerts 112 for every other."""
    h = bench.hierarchy
    return at(bench.gnutls("--sni-hostname", OTHER, "--sni-hostname-fatal", chain=(h.leaf(OTHER), h.intermediate)))


def s_server_name_fatal(bench: Bench, case: Case) -> Place:
    h = bench.hierarchy
    second = h.leaf(OTHER)
    return at(
        bench.s_server(
            "-servername", OTHER, "-servername_fatal",
            "-cert2", str(bench.file(second.pem)), "-key2", str(bench.file(second.key_pem)),
            chain=(h.leaf("third.matrix.test"), h.intermediate),
        )
    )  # fmt: skip


def sink(bench: Bench) -> str:
    """A plain TCP service for TLS terminators to connect to: nginx without TLS."""
    address, port = bench.nginx(Vhost(names=("plain.test",)), tls=False)
    return f"{address}:{port}"


def ip_literal(*names: str, ipv6: bool = False) -> Build:
    """The target is an IP literal; `{ip}` among the SANs stands for it."""

    def build(bench: Bench, case: Case) -> Place:
        h = bench.hierarchy
        address, port = bench.place("::1" if ipv6 else None)
        leaf = h.leaf(*(name.replace("{ip}", address) for name in names))
        bench.nginx(Vhost(names=("_",), chains=((leaf, h.intermediate),)), at=(address, port))
        return Place(addresses=(address,), port=port, host=address)

    return build


def register(to: Register) -> None:
    default, mismatch, unrecognized = "sni.default-certificate", "sni.name-mismatch", "sni.unrecognized"
    alert_112 = ALERT.format(112)
    one = "one certificate for every name: the server has no default beside others, so both readings are true"
    to.add("sni/nginx-default-server", "nginx", nginx_default, default, fails=EVERYONE, proof=MISMATCH)
    to.add("sni/apache-default-vhost", "apache", apache_default, default, fails=EVERYONE, proof=MISMATCH)
    to.add(
        "sni/haproxy-first-certificate",
        "haproxy",
        haproxy_crt(served=False, strict=False),
        default,
        fails=EVERYONE,
        proof=MISMATCH,
    )
    to.add("sni/caddy-default-sni", "caddy", caddy_default_sni, (default, unrecognized), fails=EVERYONE,
           why="caddy before 2.8 gives the default only without SNI and alert 80 for a name it has not",
           proof="Verify return code: 62|alert number 80")  # fmt: skip
    to.add(
        "sni/nginx-snakeoil",
        "nginx",
        nginx_snakeoil,
        (default, mismatch, "chain.self-signed"),
        why="the distribution's self-signed default: wrong name and self-signed, both stop everyone at one stage",
        fails=EVERYONE,
        proof=r"Verify return code: (18|62)",
    )
    for server in ("stunnel", "gnutls", "haproxy", "openssl"):
        to.add(f"sni/{server}-single-certificate", server, single(server), (default, mismatch), why=one,
               fails=EVERYONE, proof=MISMATCH)  # fmt: skip
    for name, text in {
        "www-only": "www.{host}",
        "apex-wildcard": "*.{host}",
        "deep-wildcard": "*.test",
        "typo": "{host}x",
    }.items():
        to.add(f"sni/vhost-{name}", "nginx", nginx_wrong_vhost_certificate(text), mismatch, fails=EVERYONE,
               proof=MISMATCH)  # fmt: skip
    to.add("sni/vhost-common-name-only", "nginx", nginx_common_name_only, mismatch, fails=("chrome", "go", "firefox"),
           proof=r"Verify return code: (0|62)")  # fmt: skip
    to.add("sni/apache-wrong-vhost", "apache", apache_wrong_vhost, mismatch, fails=EVERYONE, proof=MISMATCH)
    to.add("sni/stunnel-wrong-service", "stunnel", stunnel_sni_slave, mismatch, fails=EVERYONE, proof=MISMATCH)
    only_name = "a literal is asked for without SNI: no name was sent that could have been routed"
    to.add("sni/ip-without-ip-san", "nginx", ip_literal(OTHER), (mismatch, default), why=only_name, fails=EVERYONE,
           proof=IP_MISMATCH)  # fmt: skip
    to.add("sni/ip-another-ip-san", "nginx", ip_literal("127.0.0.99"), (mismatch, default), why=only_name,
           fails=EVERYONE, proof=IP_MISMATCH)  # fmt: skip
    to.add("sni/ip-as-dns-name", "nginx", ip_literal(OTHER, "127-0-0-1.test"), (mismatch, default), why=only_name,
           fails=EVERYONE, proof=IP_MISMATCH)  # fmt: skip

    to.add("sni/nginx-reject-handshake", "nginx", nginx_rejects, unrecognized, fails=CURRENT, proof=alert_112)
    to.add("sni/nginx-rejects-this-name", "nginx", nginx_rejects_this_name, unrecognized, fails=CURRENT,
           proof=alert_112)  # fmt: skip
    to.add("sni/haproxy-strict", "haproxy", haproxy_crt(served=False, strict=True), unrecognized, fails=CURRENT,
           proof="alert number (40|112)")  # fmt: skip
    to.add("sni/caddy-no-certificate", "caddy", caddy_without, unrecognized, fails=CURRENT, proof=ALERT.format(80))
    to.add("sni/gnutls-name-fatal", "gnutls", gnutls_name_fatal, unrecognized, fails=CURRENT, proof=alert_112)
    to.add("sni/s-server-name-fatal", "openssl", s_server_name_fatal, unrecognized, fails=CURRENT, proof=alert_112)
    to.add(
        "sni/haproxy-rejects-name",
        "haproxy+nginx",
        haproxy_drops_name("reject"),
        unrecognized,
        fails=CURRENT,
        proof=(Proof(want="unexpected eof|errno="), Proof(want="Certificate chain", server_name=OTHER)),
    )
    to.add(
        "sni/haproxy-drops-name",
        "haproxy+nginx",
        haproxy_drops_name("silent-drop"),
        unrecognized,
        fails=CURRENT,
        proof=(Proof(want="the tool gave up"), Proof(want="Certificate chain", server_name=OTHER)),
        waits=True,
    )
    to.add(
        "sni/no-cipher-for-this-name",
        "nginx",
        nginx_no_cipher_for_this_name,
        (unrecognized, "negotiation.cipher", default),
        why="nginx chooses suites by the vhost: it fails only for this name, and for want of a suite",
        fails=CURRENT,
        proof=ALERT.format(40),
    )
    to.add(
        "sni/apache-strict-unknown",
        "apache",
        apache_strict(served=False),
        (unrecognized, default, mismatch),
        why="apache refuses in HTTP (403) or in TLS by its version; in TLS the default certificate is served",
        fails=EVERYONE,
        proof="Verify return code: 62|alert number 112",
    )

    to.add("healthy/sni-required-nginx-rejects", "nginx", nginx_rejects_others, findings=("sni.required",))
    to.add("healthy/sni-required-nginx-other", "nginx", nginx_another_without_sni, findings=("sni.required",))
    to.add("healthy/sni-required-haproxy-strict", "haproxy", haproxy_crt(served=True, strict=True),
           findings=("sni.required",))  # fmt: skip
    to.add("healthy/sni-required-haproxy-first", "haproxy", haproxy_crt(served=True, strict=False),
           findings=("sni.required",))  # fmt: skip
    to.add("healthy/sni-required-apache", "apache", apache_strict(served=True), findings=("sni.required",))
    to.add("healthy/ip-literal", "nginx", ip_literal("{ip}"))
    to.add("healthy/ip-literal-v6", "nginx", ip_literal("::1", ipv6=True))
    to.add("healthy/ip-literal-beside-names", "nginx", ip_literal(OTHER, "{ip}", "10.0.0.1"))
