"""Mode 3: what client and server have in common, or not."""

from __future__ import annotations

from collections.abc import Callable

from tests.endpoints import faults
from tests.endpoints.authority import Party, dsa_key, issue, key
from tests.endpoints.bench import Bench, Vhost
from tests.endpoints.cases import (
    CURRENT,
    EVERYONE,
    HURT,
    OLD,
    VERIFIED,
    WARNING,
    Case,
    Place,
    Proof,
    Register,
)
from tests.endpoints.matrix_names import at, sink

Build = Callable[[Bench, Case], Place]
RELAXED = "DEFAULT:@SECLEVEL=0"
REFUSED = r"alert number (40|47|70|71|80|112)|handshake failure|no shared cipher|errno=104|unexpected eof"


def ok_chain(bench: Bench, host: str, kind: str = "rsa2048") -> tuple[Party, ...]:
    h = bench.hierarchy
    return (h.leaf(host, under=key(kind)), h.intermediate)


def nginx(
    extra: str = "", *, protocols: str = "TLSv1.2 TLSv1.3", legacy: bool = False, kinds: tuple[str, ...] = ("rsa2048",)
) -> Build:
    def build(bench: Bench, case: Case) -> Place:
        chains = tuple(ok_chain(bench, case.host, kind) for kind in kinds)
        vhost = Vhost(names=(case.host,), chains=chains, extra=extra)
        return at(bench.nginx(vhost, protocols=protocols, legacy=legacy))

    return build


def haproxy(bind: str, kind: str = "rsa2048") -> Build:
    def build(bench: Bench, case: Case) -> Place:
        return at(bench.haproxy_tls(*ok_chain(bench, case.host, kind), bind=bind))

    return build


def apache(lines: str, kind: str = "rsa2048") -> Build:
    def build(bench: Bench, case: Case) -> Place:
        return at(bench.apache(f"ServerName {case.host}\n {lines}", *ok_chain(bench, case.host, kind)))

    return build


def s_server(*args: str, kind: str | None = "rsa2048") -> Build:
    def build(bench: Bench, case: Case) -> Place:
        return at(bench.s_server(*args, chain=ok_chain(bench, case.host, kind) if kind else ()))

    return build


def gnutls(*args: str, kind: str | None = "rsa2048") -> Build:
    def build(bench: Bench, case: Case) -> Place:
        return at(bench.gnutls(*args, chain=ok_chain(bench, case.host, kind) if kind else ()))

    return build


def gnutls_psk(bench: Bench, case: Case) -> Place:
    passwords = bench.file("someone:0123456789abcdef0123456789abcdef\n", ".psk")
    return at(bench.gnutls("--pskpasswd", str(passwords), "--priority", "NORMAL:-KX-ALL:+ECDHE-PSK:+DHE-PSK:+PSK"))


def caddy(policy: dict[str, object], kind: str = "rsa2048") -> Build:
    def build(bench: Bench, case: Case) -> Place:
        return at(bench.caddy(*ok_chain(bench, case.host, kind), policy=dict(policy)))

    return build


def stunnel(lines: str) -> Build:
    def build(bench: Bench, case: Case) -> Place:
        return at(bench.stunnel(f"connect = {sink(bench)}\n{lines}", *ok_chain(bench, case.host)))

    return build


def raw(handler: faults.Handler) -> Build:
    def build(bench: Bench, case: Case) -> Place:
        return at(bench.raw(handler))

    return build


def dsa_certificate(bench: Bench, case: Case) -> Place:
    """A DSA leaf on s_server: only DHE-DSS suites fit it, which nobody has."""
    own = dsa_key()
    leaf = issue(case.host, by=bench.hierarchy.intermediate, names=(case.host,), under=own)  # type: ignore[arg-type]
    return at(bench.s_server("-cipher", "ALL:@SECLEVEL=0", chain=(leaf, bench.hierarchy.intermediate)))


def proof(want: str, *args: str, tool: str = "s_client") -> Proof:
    return Proof(want=want, args=args, tool=tool)


def register(to: Register) -> None:
    _versions(to)
    _ciphers(to)
    _groups(to)
    _signatures(to)
    _alpn(to)


def _versions(to: Register) -> None:
    legacy = "negotiation.legacy-only"

    def old(version: str) -> tuple[Proof, ...]:
        flag = {"TLSv1": "-tls1", "TLSv1.1": "-tls1_1"}[version]
        return (
            proof(REFUSED + "|unsupported protocol", "-tls1_2"),
            proof(rf"Protocol *: {version}\b", flag, "-cipher", RELAXED),
        )

    sides: dict[str, tuple[str, Build, str]] = {
        "nginx-tls1.0": ("nginx", nginx(protocols="TLSv1", legacy=True), "TLSv1"),
        "nginx-tls1.1": ("nginx", nginx(protocols="TLSv1.1", legacy=True), "TLSv1.1"),
        "nginx-tls1.0-and-1.1": ("nginx", nginx(protocols="TLSv1 TLSv1.1", legacy=True), "TLSv1.1"),
        "haproxy-tls1.0": ("haproxy", haproxy(f"ssl-min-ver TLSv1.0 ssl-max-ver TLSv1.0 ciphers {RELAXED}"), "TLSv1"),
        "haproxy-tls1.1": ("haproxy", haproxy(f"ssl-min-ver TLSv1.0 ssl-max-ver TLSv1.1 ciphers {RELAXED}"), "TLSv1.1"),
        "apache-tls1.0": ("apache", apache(f"SSLProtocol TLSv1\n SSLCipherSuite {RELAXED}"), "TLSv1"),
        "s-server-tls1.0": ("openssl", s_server("-tls1", "-cipher", RELAXED), "TLSv1"),
        "s-server-tls1.1": ("openssl", s_server("-tls1_1", "-cipher", RELAXED), "TLSv1.1"),
        "gnutls-tls1.0": ("gnutls", gnutls("--priority", "NORMAL:-VERS-ALL:+VERS-TLS1.0"), "TLSv1"),
        "gnutls-tls1.1": ("gnutls", gnutls("--priority", "NORMAL:-VERS-ALL:+VERS-TLS1.1"), "TLSv1.1"),
    }
    for name, (server, build, version) in sides.items():
        to.add(f"negotiation/legacy-{name}", server, build, legacy, fails=CURRENT,
               passes=("openssl-1.0",) if version == "TLSv1" else (), proof=old(version))  # fmt: skip

    modern = "negotiation.modern-only"
    refuses_12 = (proof(VERIFIED), proof(REFUSED + "|protocol version", "-tls1_2"))
    for server, build in {
        "nginx": nginx(protocols="TLSv1.3"),
        "haproxy": haproxy("ssl-min-ver TLSv1.3 alpn h2,http/1.1"),
        "apache": apache("SSLProtocol TLSv1.3"),
        "caddy": caddy({"protocol_min": "tls1.3"}),
        "stunnel": stunnel("sslVersion = TLSv1.3"),
        "openssl": s_server("-tls1_3"),
        "gnutls": gnutls("--priority", "NORMAL:-VERS-ALL:+VERS-TLS1.3"),
    }.items():
        to.add(f"negotiation/modern-only-{server}", server, build, modern, status=WARNING, passes=CURRENT, fails=OLD,
               proof=refuses_12)  # fmt: skip

    version = "negotiation.protocol-version"
    to.add("negotiation/alert-70-to-all", "raw", raw(faults.alerts(70)), version, fails=EVERYONE,
           proof="alert number 70")  # fmt: skip
    to.add("negotiation/alert-70-then-reset", "raw", raw(faults.alerts(70, then_reset=True)), version, fails=EVERYONE,
           proof="alert number 70|errno=104")  # fmt: skip
    to.add(
        "negotiation/tls1.0-wanted-but-forbidden",
        "haproxy",
        haproxy("ssl-min-ver TLSv1.0 ssl-max-ver TLSv1.0"),
        (version, "negotiation.legacy-only", "negotiation.cipher"),
        why="TLS 1.0 alone at OpenSSL's security level 2: no version is usable; seen from outside, alert 70 or 40",
        fails=CURRENT,
        proof=REFUSED,
    )
    weak = ("negotiation.weak-offered",)
    weak_proof = (proof(VERIFIED), proof(r"Protocol *: TLSv1\b", "-tls1", "-cipher", RELAXED))
    to.add("healthy/weak-offered-nginx", "nginx", nginx(protocols="TLSv1 TLSv1.1 TLSv1.2 TLSv1.3", legacy=True),
           findings=weak, proof=weak_proof)  # fmt: skip
    to.add("healthy/weak-offered-haproxy", "haproxy", haproxy(f"ssl-min-ver TLSv1.0 ciphers {RELAXED}"),
           findings=weak, proof=weak_proof)  # fmt: skip
    to.add("healthy/weak-offered-gnutls", "gnutls", gnutls("--priority", "NORMAL:+VERS-TLS1.0:+VERS-TLS1.1"),
           findings=weak, proof=weak_proof)  # fmt: skip


def _ciphers(to: Register) -> None:
    code = "negotiation.cipher"

    def nginx_12(ciphers: str, *, legacy: bool = False) -> Build:
        return nginx(f"ssl_ciphers {ciphers};", protocols="TLSv1.2", legacy=legacy)

    all_but_node = tuple(name for name in CURRENT if name != "node")  # whose default suites hold ARIA (tests/software)
    odd = {
        "camellia": ("ECDHE-RSA-CAMELLIA128-SHA256", CURRENT),
        "aria": ("ECDHE-ARIA128-GCM-SHA256", all_but_node),
    }
    for name, (suite, fails) in odd.items():
        to.add(f"negotiation/{name}-only", "nginx", nginx_12(suite), code, fails=fails,
               proof=(proof(REFUSED), proof("Cipher is ", "-tls1_2", "-cipher", "ALL")))  # fmt: skip
    to.add("negotiation/haproxy-camellia-only", "haproxy",
           haproxy("ssl-max-ver TLSv1.2 ciphers CAMELLIA256-SHA256"), code, fails=CURRENT, proof=REFUSED)  # fmt: skip
    to.add("negotiation/gnutls-camellia-only", "gnutls",
           gnutls("--priority", "NORMAL:-VERS-ALL:+VERS-TLS1.2:-CIPHER-ALL:+CAMELLIA-128-GCM"), code, fails=CURRENT,
           proof=REFUSED)  # fmt: skip
    some = {
        "dhe": ("DHE-RSA-AES128-GCM-SHA256", ("chrome", "go", "rustls")),
        "rsa-key-exchange": ("AES256-SHA", ("rustls",)),
        "ecdhe-cbc-sha1": ("ECDHE-RSA-AES128-SHA", ("rustls",)),
        "ecdhe-cbc-sha256": ("ECDHE-RSA-AES128-SHA256", ("chrome", "rustls")),
        "ccm": ("DHE-RSA-AES128-CCM", ("chrome", "go", "rustls")),
    }
    for name, (suite, fails) in some.items():
        dh = {"dhe": True, "ccm": True}.get(name, False)
        to.add(f"negotiation/{name}-only", "haproxy" if dh else "nginx",
               haproxy(f"ssl-max-ver TLSv1.2 ciphers {suite}") if dh else nginx_12(suite), code, fails=fails,
               proof=proof("Cipher is ", "-tls1_2", "-cipher", "ALL"))  # fmt: skip
    to.add(
        "negotiation/tls1.3-ccm-only",
        "nginx",
        nginx("ssl_conf_command Ciphersuites TLS_AES_128_CCM_SHA256;", protocols="TLSv1.3"),
        code,
        fails=CURRENT,
        proof=(proof(REFUSED), proof("Cipher is TLS_AES_128_CCM", "-ciphersuites", "TLS_AES_128_CCM_SHA256")),
    )
    to.add(
        "negotiation/s-server-ccm8-only",
        "openssl",
        s_server("-tls1_3", "-ciphersuites", "TLS_AES_128_CCM_8_SHA256"),
        code,
        fails=CURRENT,
        proof=REFUSED,
    )
    to.add(
        "negotiation/s-server-psk-only",
        "openssl",
        s_server("-nocert", "-psk", "0123456789abcdef", "-tls1_2", kind=None),
        code,
        fails=CURRENT,
        proof=REFUSED,
    )
    to.add("negotiation/s-server-anonymous-only", "openssl",
           s_server("-nocert", "-cipher", "aNULL:@SECLEVEL=0", "-tls1_2", kind=None), code, fails=CURRENT,
           proof=REFUSED)  # fmt: skip
    to.add("negotiation/gnutls-anonymous-only", "gnutls",
           gnutls("--priority", "NORMAL:-VERS-ALL:+VERS-TLS1.2:-KX-ALL:+ANON-ECDH", kind=None), code, fails=CURRENT,
           proof=REFUSED)  # fmt: skip
    to.add("negotiation/gnutls-psk-only", "gnutls", gnutls_psk, code, fails=CURRENT, proof=REFUSED)
    to.add("negotiation/alert-71-to-all", "raw", raw(faults.alerts(71)), code, fails=EVERYONE, proof="alert number 71")
    to.add("negotiation/alert-40-to-all", "raw", raw(faults.alerts(40)), (code, "negotiation.protocol-version"),
           why="alert 40 to every hello: by default a missing suite, and as true of a missing version",
           fails=EVERYONE, proof="alert number 40")  # fmt: skip


def _groups(to: Register) -> None:
    code = "negotiation.group"
    for group in ("secp521r1", "X448"):
        to.add(f"negotiation/{group.lower()}-only", "nginx", nginx(f"ssl_ecdh_curve {group};"), code, fails=("chrome",),
               proof=(proof(VERIFIED), proof(REFUSED, "-groups", "X25519:P-256:P-384")))  # fmt: skip
    to.add("negotiation/haproxy-secp521r1-only", "haproxy", haproxy("curves secp521r1"), code, fails=("chrome",),
           proof=proof(REFUSED, "-groups", "X25519:P-256:P-384"))  # fmt: skip
    to.add("negotiation/s-server-ffdhe-only", "openssl", s_server("-tls1_3", "-groups", "ffdhe2048"), code,
           fails=("chrome", "go", "rustls"), proof=proof(REFUSED, "-groups", "X25519:P-256:P-384"))  # fmt: skip
    to.add("negotiation/gnutls-ffdhe-only", "gnutls",
           gnutls("--priority", "NORMAL:-VERS-ALL:+VERS-TLS1.3:-GROUP-ALL:+GROUP-FFDHE3072"), code,
           fails=("chrome", "go", "rustls"), proof=proof(REFUSED, "-groups", "X25519:P-256:P-384"))  # fmt: skip
    to.add("negotiation/gnutls-x448-only", "gnutls",
           gnutls("--priority", "NORMAL:-VERS-ALL:+VERS-TLS1.3:-GROUP-ALL:+GROUP-X448"), code, fails=("chrome", "go"),
           proof=proof(REFUSED, "-groups", "X25519:P-256:P-384"))  # fmt: skip
    to.add("negotiation/brainpool-only", "nginx",
           nginx("ssl_ecdh_curve brainpoolP256r1; ssl_ciphers ECDHE+AESGCM;", protocols="TLSv1.2"),
           (code, "negotiation.cipher"), why="in TLS 1.2 no common group makes every ECDHE suite unusable: both words",
           fails=CURRENT, proof=proof(REFUSED, "-groups", "X25519:P-256:P-384"))  # fmt: skip
    to.add("negotiation/tls1.2-secp521r1-only", "nginx",
           nginx("ssl_ecdh_curve secp521r1; ssl_ciphers ECDHE+AESGCM;", protocols="TLSv1.2"),
           (code, "negotiation.cipher"), why="in TLS 1.2 no common group makes every ECDHE suite unusable: both words",
           fails=("chrome",), proof=proof(REFUSED, "-groups", "X25519:P-256:P-384"))  # fmt: skip


def _signatures(to: Register) -> None:
    code = "negotiation.signature"
    browsers = "ECDSA+SHA256:RSA-PSS+SHA256:RSA+SHA256:ECDSA+SHA384:RSA-PSS+SHA384:RSA+SHA384:RSA-PSS+SHA512:RSA+SHA512"
    like_chrome = proof(REFUSED, "-sigalgs", browsers)
    for kind in ("ed25519", "ed448", "p521"):
        to.add(f"negotiation/{kind}-certificate", "nginx", nginx(kinds=(kind,)), code, fails=("chrome",),
               proof=(proof(VERIFIED), like_chrome))  # fmt: skip
    to.add("negotiation/haproxy-ed25519-certificate", "haproxy", haproxy("alpn h2,http/1.1", kind="ed25519"), code,
           fails=("chrome",), proof=like_chrome)  # fmt: skip
    to.add("negotiation/gnutls-ed25519-certificate", "gnutls", gnutls(kind="ed25519"), code, fails=("chrome",),
           proof=like_chrome)  # fmt: skip
    limited = {
        "sigalgs-ed25519-with-rsa": ("ed25519", "rsa2048", ("chrome", "go", "curl")),
        "sigalgs-sha224": ("RSA+SHA224", "rsa2048", ("chrome", "go")),
        "sigalgs-p521-with-p256": ("ecdsa_secp521r1_sha512", "p256", ("chrome",)),
        "sigalgs-pss-pss": ("rsa_pss_pss_sha256", "rsa2048", ("chrome",)),
    }
    for name, (algorithms, kind, fails) in limited.items():
        to.add(f"negotiation/{name}", "nginx",
               nginx(f"ssl_conf_command SignatureAlgorithms {algorithms};", kinds=(kind,)),
               (code, "negotiation.cipher"),
               why="OpenSSL says handshake_failure for want of a signature and, in 1.2, 'no shared cipher': both true",
               fails=fails, proof=like_chrome)  # fmt: skip
    to.add("negotiation/dsa-certificate", "openssl", dsa_certificate, (code, "negotiation.cipher"),
           why="a DSA key fits DHE-DSS suites only: neither suite nor signature in common",
           fails=CURRENT, proof=REFUSED)  # fmt: skip
    to.add("healthy/sigalgs-pss-sha512", "nginx",
           nginx("ssl_conf_command SignatureAlgorithms rsa_pss_rsae_sha512:RSA+SHA512;"))  # fmt: skip
    to.add("healthy/sigalgs-sha384", "nginx",
           nginx("ssl_conf_command SignatureAlgorithms rsa_pss_rsae_sha384:RSA+SHA384;"))  # fmt: skip


def _alpn(to: Register) -> None:
    code = "negotiation.alpn"
    foreign = (proof(r"alert number 120|no application protocol", "-alpn", "h2,http/1.1"), proof(VERIFIED))
    for server, build in {
        "s-server": s_server("-alpn", "foo"),
        "gnutls": gnutls("--alpn", "foo", "--alpn-fatal"),
        "caddy": caddy({"alpn": ["foo"]}),
    }.items():
        to.add(f"negotiation/alpn-{server}", {"s-server": "openssl"}.get(server, server), build, code, status=HURT,
               fails=("chrome", "firefox"), proof=foreign)  # fmt: skip
    to.add("negotiation/alpn-gnutls-acme", "gnutls", gnutls("--alpn", "acme-tls/1", "--alpn-fatal"), code, status=HURT,
           fails=("chrome",), proof=foreign)  # fmt: skip
