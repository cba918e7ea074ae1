"""Second matrix, mode 1 and its healthy neighbours: names, wildcards, addresses, routing by SNI."""

from __future__ import annotations

from ipaddress import ip_address

from cryptography import x509

from tests.endpoints.authority import Party, key
from tests.endpoints.bench import Bench, Vhost
from tests.endpoints.cases import CURRENT, Case, Place, Proof, Register
from tests.endpoints.second_serving import Build, at, good, minted, named, nginx, on, served

MISMATCH = r"Verify return code: 62"
IP_MISMATCH = r"Verify return code: 64"
NO_CERTIFICATE = r"no peer certificate available"
OTHER = "tenant-b.matrix.test"
DEFAULT, WRONG, UNKNOWN = "sni.default-certificate", "sni.name-mismatch", "sni.unrecognized"
ONE_CERTIFICATE = "one certificate for every name: default and mismatch look the same"


def others(bench: Bench, name: str = OTHER) -> tuple[Party, ...]:
    return (bench.hierarchy.leaf(name), bench.hierarchy.intermediate)


def two_vhosts(certified: str, *, served_as: str | None = None) -> Build:
    """A default host, and one for the host whose certificate says something else."""

    def build(bench: Bench, case: Case) -> Place:
        chain = others(bench, certified.replace("{host}", case.host).replace("{bare}", case.host.partition(".")[2]))
        return at(
            bench.nginx(
                Vhost(names=(OTHER,), chains=(others(bench),)), Vhost(names=(served_as or case.host,), chains=(chain,))
            )
        )

    return build


def www_only(bench: Bench, case: Case) -> Place:
    """The vhost was written for www.HOST; HOST itself falls to the default server."""
    chain = (bench.hierarchy.leaf("www." + case.host, case.host), bench.hierarchy.intermediate)
    return at(
        bench.nginx(Vhost(names=("_",), chains=(others(bench),)), Vhost(names=("www." + case.host,), chains=(chain,)))
    )


def per_name_file(bench: Bench, case: Case) -> Place:
    """nginx loads the certificate by variable; the file for this name was never deployed."""
    home = bench.file("", ".d").with_suffix(".certs")
    home.mkdir()
    leaf, intermediate = others(bench)
    for name in ("", OTHER):
        (home / f"{name}.pem").write_text(leaf.key_pem + leaf.pem + intermediate.pem)
        (home / f"{name}.pem").chmod(0o644)
    home.chmod(0o755)
    lines = f"ssl_certificate {home}/$ssl_server_name.pem; ssl_certificate_key {home}/$ssl_server_name.pem;"
    return at(bench.nginx(Vhost(names=("_",), extra=lines)))


def per_name_file_deployed(bench: Bench, case: Case) -> Place:
    home = bench.file("", ".d").with_suffix(".certs")
    home.mkdir()
    leaf, intermediate = good(bench, case)
    for name in ("", case.host):
        (home / f"{name}.pem").write_text(leaf.key_pem + leaf.pem + intermediate.pem)
    lines = f"ssl_certificate {home}/$ssl_server_name.pem; ssl_certificate_key {home}/$ssl_server_name.pem;"
    return at(bench.nginx(Vhost(names=("_",), extra=lines)))


def routed(rules: str) -> Build:
    """haproxy in TCP mode routes by SNI: `mine` serves the host well, `other` another tenant, `dead` nobody."""

    def build(bench: Bench, case: Case) -> Place:
        mine = served(bench, "nginx", good(bench, case), case.host)
        other = served(bench, "nginx", others(bench), OTHER)
        dead = bench.place()
        tag = f"b{mine[1]}-{mine[0].replace('.', '-')}"
        backends = "".join(
            f"\nbackend {name}-{tag}\n mode tcp\n server s {place[0]}:{place[1]}"
            for name, place in (("mine", mine), ("other", other), ("dead", dead))
        )
        lines = rules.replace("HOST", case.host)
        for name in ("mine", "other", "dead"):
            lines = lines.replace(f"@{name}", f"{name}-{tag}")
        return at(
            bench.haproxy(
                "frontend {id}\n mode tcp\n bind {bind}\n tcp-request inspect-delay 3s\n"
                f" tcp-request content accept if {{ req.ssl_hello_type 1 }}\n{lines}{backends}"
            )
        )

    return build


def crt_list(filters: str) -> Build:
    """haproxy with a crt-list whose first entry is the other tenant's."""

    def build(bench: Bench, case: Case) -> Place:
        first, mine = bench.combined(*others(bench)), bench.combined(*good(bench, case))
        listed = bench.file(f"{first} {OTHER}\n{mine} {filters.replace('HOST', case.host)}\n", ".list")
        return at(
            bench.haproxy(
                f"frontend {{id}}\n mode http\n bind {{bind}} ssl crt-list {listed} alpn h2,http/1.1\n"
                " http-request return status 200"
            )
        )

    return build


def apache_two(alias: str) -> Build:
    """Two name-based hosts; the second one's ServerName is the host or is not."""

    def build(bench: Bench, case: Case) -> Place:
        place = bench.apache(f"ServerName {OTHER}", *others(bench))
        bench.apache_vhost(place, f"ServerName {alias.replace('HOST', case.host)}", *good(bench, case))
        return at(place)

    return build


def caddy_strict(bench: Bench, case: Case) -> Place:
    """caddy holds no certificate for the name and has no default: alert 80 for it, and for any name."""
    return at(
        bench.caddy(*others(bench, "caddy-tenant.matrix.test"), policy={"match": {"sni": ["nobody.matrix.test"]}})
    )


def address_certificate(
    *, names: tuple[str, ...] = (), addresses: tuple[str, ...] = ("{address}",), cn: str = ""
) -> Build:
    """Asked for as an IP literal; `{address}` among the SANs stands for it."""

    def build(bench: Bench, case: Case) -> Place:
        h = bench.hierarchy
        where = bench.place()
        sans: list[x509.GeneralName] = [x509.DNSName(name) for name in names]
        sans += [x509.IPAddress(ip_address(text.replace("{address}", where[0]))) for text in addresses]
        leaf = minted(
            cn.replace("{address}", where[0]) or "gateway",
            by=h.intermediate,
            extensions=[(x509.SubjectAlternativeName(sans), False)] if sans else [],
        )
        served(bench, "nginx", (leaf, h.intermediate), "_", place=where)
        return at(where, host=where[0])

    return build


def six(bench: Bench, case: Case) -> Place:
    h = bench.hierarchy
    where = bench.place("::1")
    served(bench, "nginx", (h.leaf("::2"), h.intermediate), "_", place=where)
    return at(where, host="::1")


def asked_as(sent: str, *, certified: str) -> Build:
    """`--sni`: the name sent and expected is not the host."""

    def build(bench: Bench, case: Case) -> Place:
        where = bench.nginx(
            Vhost(names=(OTHER,), chains=(others(bench),)),
            Vhost(names=(certified,), chains=((bench.hierarchy.leaf(certified), bench.hierarchy.intermediate),)),
        )
        return at(where, sni=sent)

    return build


def no_dns_name(bench: Bench, case: Case) -> Place:
    """SANs are there, but only a URI and an e-mail address; the common name says the host."""
    h = bench.hierarchy
    own = key("rsa2048")
    names: list[x509.GeneralName] = [
        x509.UniformResourceIdentifier(f"spiffe://{case.host}/web"),
        x509.RFC822Name(f"admin@{case.host}"),
    ]
    leaf = minted(case.host, by=h.intermediate, under=own, extensions=[(x509.SubjectAlternativeName(names), False)])
    return at(served(bench, "nginx", (leaf, h.intermediate), "_"))


def no_subject(bench: Bench, case: Case) -> Place:
    h = bench.hierarchy
    leaf = minted("", by=h.intermediate, names=(case.host,), no_subject=True)
    return at(served(bench, "nginx", (leaf, h.intermediate), case.host))


def register(to: Register) -> None:
    bad, why = (DEFAULT, WRONG), ONE_CERTIFICATE
    proof = MISMATCH
    to.add(
        "sni/bare-name-falls-to-default",
        "nginx",
        www_only,
        DEFAULT,
        host="example.matrix.test",
        proof=proof,
        fails=CURRENT,
    )
    to.add("sni/wildcard-for-the-bare-name", "nginx", two_vhosts("*.{host}"), WRONG, proof=proof, fails=CURRENT)
    to.add(
        "sni/wildcard-two-levels-up",
        "nginx",
        two_vhosts("*.matrix.test"),
        WRONG,
        host="a.deep.matrix.test",
        proof=proof,
        fails=CURRENT,
    )
    # OpenSSL's own matcher still takes part-label wildcards; RFC 9525 section 6.3, browsers, curl and Go do not.
    to.add(
        "sni/wildcard-part-of-a-label",
        "nginx",
        two_vhosts("api*.matrix.test"),
        WRONG,
        host="api7.matrix.test",
        proof=Proof(want="no alternative certificate subject name matches|SSL: no alternative", tool="curl"),
        fails=("chrome", "firefox", "go"),
    )
    to.add(
        "sni/wildcard-in-the-middle",
        "nginx",
        two_vhosts("shop.*.matrix.test"),
        WRONG,
        host="shop.eu.matrix.test",
        proof=proof,
        fails=CURRENT,
    )
    to.add("sni/typo-in-certificate", "nginx", two_vhosts("sni-typo-in-certificat.matrix.test"), WRONG, proof=proof)
    to.add("sni/certificate-of-the-parent", "nginx", two_vhosts("{bare}"), WRONG, proof=proof)
    to.add("sni/old-name-on-haproxy", "haproxy", on("haproxy", named("old.matrix.test")), bad, why=why, proof=proof)
    to.add("sni/old-name-on-gnutls", "gnutls", on("gnutls", named("old.matrix.test")), bad, why=why, proof=proof)
    to.add("sni/old-name-on-stunnel", "stunnel", on("stunnel", named("old.matrix.test")), bad, why=why, proof=proof)
    to.add("sni/localhost-certificate", "apache", on("apache", named("localhost")), bad, why=why, proof=proof)
    to.add(
        "sni/only-uri-and-mail-names",
        "nginx",
        no_dns_name,
        bad,
        why=why,
        proof=Proof(want="fine", tool="curl"),  # curl of this age falls back to the common name
        fails=("chrome", "firefox", "go"),
    )
    to.add("sni/per-name-file-missing", "nginx", per_name_file, UNKNOWN, proof=NO_CERTIFICATE, fails=CURRENT)
    to.add(
        "sni/route-to-default-backend",
        "haproxy+nginx",
        routed(" use_backend @mine if { req.ssl_sni -i www.HOST }\n default_backend @other"),
        DEFAULT,
        proof=proof,
        fails=CURRENT,
    )
    to.add(
        "sni/route-to-dead-backend",
        "haproxy+nginx",
        routed(" use_backend @dead if { req.ssl_sni -i HOST }\n default_backend @other"),
        UNKNOWN,
        proof=NO_CERTIFICATE,
        fails=CURRENT,
    )
    to.add(
        "sni/route-only-without-name",
        "haproxy+nginx",
        routed(" use_backend @mine if ! { req.ssl_sni -m found }"),
        UNKNOWN,
        proof=NO_CERTIFICATE,
    )
    to.add(
        "sni/route-none",
        "haproxy+nginx",
        routed(" use_backend @mine if { req.ssl_sni -i www.HOST }"),
        ("reach.closed", "reach.reset", UNKNOWN),
        proof=NO_CERTIFICATE,
        why="closed for every name that can be tried, so the name cannot be shown to be the reason",
    )
    to.add(
        "sni/route-wrong-tenant",
        "haproxy+nginx",
        routed(" use_backend @other if { req.ssl_sni -i HOST }\n default_backend @mine"),
        WRONG,
        proof=proof,
    )
    to.add("sni/crt-list-filter-excludes", "haproxy", crt_list("www.HOST"), DEFAULT, proof=proof)
    to.add("sni/apache-alias-forgotten", "apache", apache_two("www.HOST"), DEFAULT, proof=proof)
    to.add(
        "sni/caddy-no-policy",
        "caddy",
        caddy_strict,
        (UNKNOWN, "negotiation.cipher", "reach.closed"),
        why="caddy answers alert 40 or 80 to every name it has no policy for, and to none",
        proof=NO_CERTIFICATE,
    )
    to.add(
        "sni/ip-in-common-name",
        "nginx",
        address_certificate(addresses=(), cn="{address}"),
        WRONG,
        proof=Proof(want="fine", tool="curl"),
        fails=("chrome", "go", "java"),
    )
    to.add(
        "sni/ip-names-only",
        "nginx",
        address_certificate(addresses=(), names=("gw.matrix.test",)),
        WRONG,
        proof=IP_MISMATCH,
        fails=CURRENT,
    )
    to.add(
        "sni/ip-next-address",
        "nginx",
        address_certificate(addresses=("127.0.0.9", "10.1.2.3")),
        WRONG,
        proof=IP_MISMATCH,
        fails=CURRENT,
    )
    to.add("sni/ip6-next-address", "nginx", six, WRONG, proof=IP_MISMATCH, fails=CURRENT)
    to.add(
        "sni/override-not-served",
        "nginx",
        asked_as("new.matrix.test", certified="www.shop.matrix.test"),
        DEFAULT,
        proof=proof,
    )
    healthy(to)


def healthy(to: Register) -> None:
    def add(name: str, server: str, build: Build, *, host: str | None = None, proof: str | Proof = ()) -> None:  # type: ignore[assignment]
        to.add(f"healthy/{name}", server, build, host=host, proof=proof)

    add("override-served", "nginx", asked_as("www.shop.matrix.test", certified="www.shop.matrix.test"))
    add("wildcard-covers", "nginx", nginx(named("*.matrix.test")))
    add(
        "wildcard-and-bare",
        "haproxy",
        on("haproxy", named("shop.matrix.test", "*.shop.matrix.test")),
        host="shop.matrix.test",
    )
    add("wildcard-deep", "caddy", on("caddy", named("*.eu.shop.matrix.test")), host="de.eu.shop.matrix.test")
    add("wildcard-covers-idn", "nginx", nginx(named("*.idn.matrix.test")), host="xn--bcher-kva.idn.matrix.test")
    add(
        "upper-case-in-certificate",
        "apache",
        on("apache", named("WWW.Upper.Matrix.TEST")),
        host="www.upper.matrix.test",
    )
    add(
        "upper-case-asked",
        "nginx",
        nginx(named("www.asked.matrix.test")),
        host="WWW.Asked.MATRIX.test",
        proof="Verify return code: 0",
    )
    add(
        "trailing-dot-asked",
        "nginx",
        nginx(named("dot.matrix.test")),
        host="dot.matrix.test.",
        proof=Proof(want="CN = dot.matrix.test"),
    )
    add(
        "idn-asked-in-unicode",
        "nginx",
        nginx(named("xn--mnchen-3ya.matrix.test")),
        host="münchen.matrix.test",
        proof=Proof(want="CN = xn--mnchen"),
    )
    add(
        "hundred-and-fifty-names",
        "haproxy",
        on("haproxy", named(*(f"tenant-{n}.hosted.matrix.test" for n in range(150)), "{host}")),
    )
    add("long-name", "nginx", nginx(), host="a" * 60 + "." + "b" * 60 + "." + "c" * 60 + ".matrix.test")
    add("digits-and-hyphens", "gnutls", on("gnutls"), host="3--x.1.matrix.test")
    add("underscore", "nginx", nginx(), host="my_service.matrix.test")
    add("no-subject", "nginx", no_subject)
    add(
        "route-by-name",
        "haproxy+nginx",
        routed(" use_backend @mine if { req.ssl_sni -i HOST }\n default_backend @other"),
    )
    add("route-by-name-else-reject", "haproxy+nginx", routed(" use_backend @mine if { req.ssl_sni -i HOST }"))
    add(
        "route-by-suffix",
        "haproxy+nginx",
        routed(" use_backend @mine if { req.ssl_sni -m end .matrix.test }\n default_backend @dead"),
    )
    add("per-name-file", "nginx", per_name_file_deployed)
    add("crt-list", "haproxy", crt_list("HOST"))
    add("apache-second-vhost", "apache", apache_two("HOST"))
    add(
        "apache-strict-sni",
        "apache",
        lambda bench, case: at(bench.apache(f"ServerName {case.host}\n SSLStrictSNIVHostCheck on", *good(bench, case))),
    )
    add("ip-and-names", "nginx", address_certificate(names=("gw.matrix.test",), addresses=("10.0.0.1", "{address}")))
    add("ip-alone-no-subject-match", "nginx", address_certificate(cn="unrelated text"))
