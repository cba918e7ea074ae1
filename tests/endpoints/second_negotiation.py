"""Second matrix, mode 3 and its healthy neighbours: what administrators write into cipher strings."""

from __future__ import annotations

from collections.abc import Sequence

from tests.endpoints.authority import Party, bundle, key
from tests.endpoints.bench import Bench
from tests.endpoints.cases import CURRENT, HURT, OLD, VERIFIED, WARNING, Case, Place, Proof, Register
from tests.endpoints.second_serving import Build, at, good, keyed, nginx, on

HANDSHAKE_FAILURE = "alert number 40|alert handshake failure|no peer certificate"
CIPHER, GROUP, MODERN = "negotiation.cipher", "negotiation.group", "negotiation.modern-only"
# Made by `openssl dhparam 512`, for nobody ever to use.
DHE_512 = """-----BEGIN DH PARAMETERS-----
MEYCQQCscKaqD8c1zN/5FyoNYZrgrM42JunBHHL2dQBTVRLnXDewnbrxY656V4Z/
DlLMPKC0ntofPcvTyar9uUYEKhvXAgEC
-----END DH PARAMETERS-----
"""


def suites(ciphers: str, *, protocols: str = "TLSv1.2", legacy: bool = False, extra: str = "") -> Build:
    return nginx(extra=f"ssl_ciphers {ciphers}; {extra}", protocols=protocols, legacy=legacy)


def weak_dhe() -> Build:
    """DHE alone with parameters of the size that Logjam was about."""

    def build(bench: Bench, case: Case) -> Place:
        parameters = bench.file(DHE_512)
        priority = "NORMAL:-VERS-ALL:+VERS-TLS1.2:-KX-ALL:+DHE-RSA:-GROUP-ALL"
        return at(bench.gnutls("--priority", priority, "--dhparams", str(parameters), chain=good(bench, case)))

    return build


def gnutls(priority: str, kind: str = "rsa2048") -> Build:
    def build(bench: Bench, case: Case) -> Place:
        chain = keyed(kind)(bench, case)
        return at(bench.gnutls("--priority", priority, chain=chain))

    return build


def elliptic(bench: Bench, case: Case) -> Sequence[Party]:
    h = bench.hierarchy
    return (h.leaf(case.host, by=h.ec_intermediate, under=key("p256")), h.ec_intermediate)


def optional_certificate(server: str) -> Build:
    def build(bench: Bench, case: Case) -> Place:
        chain = good(bench, case)
        ca = bench.file(bundle(bench.hierarchy.stranger))
        if server == "stunnel":
            behind = bench.raw(_http)
            return at(bench.stunnel(f"connect = {behind[0]}:{behind[1]}\nverify = 1\nCAfile = {ca}", *chain))
        if server == "openssl":
            return at(bench.s_server("-verify", "2", "-CAfile", str(ca), chain=chain))
        policy = {"client_authentication": {"mode": "request"}}
        return at(bench.caddy(*chain, policy=policy))

    return build


async def _http(reader, writer) -> None:  # type: ignore[no-untyped-def]
    await reader.readuntil(b"\r\n\r\n")
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")


def register(to: Register) -> None:
    refused_12 = Proof(want=HANDSHAKE_FAILURE, args=("-tls1_2",))
    to.add(
        "negotiation/static-rsa-gcm-only",
        "nginx",
        suites("AES128-GCM-SHA256:AES256-GCM-SHA384"),
        CIPHER,
        proof=Proof(want="Cipher is AES(128|256)-GCM"),
        fails=("rustls", "go"),
        passes=("curl", "chrome"),
    )
    to.add(
        "negotiation/static-rsa-haproxy",
        "haproxy",
        on("haproxy", extra="ciphers AES256-SHA:AES128-SHA ssl-max-ver TLSv1.2"),
        CIPHER,
        proof=Proof(want="Cipher is AES256-SHA"),
        fails=("rustls", "go"),
    )
    to.add(
        "negotiation/cbc-sha1-only",
        "nginx",
        suites("ECDHE-RSA-AES128-SHA:ECDHE-RSA-AES256-SHA"),
        CIPHER,
        proof=Proof(want="Cipher is ECDHE-RSA-AES"),
        fails=("rustls",),
        passes=("curl", "firefox"),
    )
    to.add(
        "negotiation/cbc-sha2-only",
        "apache",
        on("apache", extra="SSLProtocol TLSv1.2\n SSLCipherSuite ECDHE-RSA-AES128-SHA256:ECDHE-RSA-AES256-SHA384"),
        CIPHER,
        proof=Proof(want="Cipher is ECDHE-RSA-AES"),
        fails=("chrome", "firefox", "rustls"),
        passes=("curl",),
    )
    to.add(
        "negotiation/ccm-suites",
        "nginx",
        suites("AES128-CCM:DHE-RSA-AES128-CCM"),
        CIPHER,
        proof=Proof(want="Cipher is DHE-RSA-AES128-CCM|Cipher is AES128-CCM", args=("-cipher", "ALL")),
        fails=("chrome", "firefox", "go"),
    )
    to.add(
        "negotiation/aria-suites",
        "nginx",
        suites("ECDHE-ARIA128-GCM-SHA256:ECDHE-ARIA256-GCM-SHA384"),
        CIPHER,
        proof=Proof(want="Cipher is ECDHE-ARIA", args=("-cipher", "ALL")),
        fails=("chrome", "firefox", "go", "java"),
    )
    to.add(
        "negotiation/dhe-suites",
        "haproxy",
        on("haproxy", extra="ciphers DHE-RSA-AES256-GCM-SHA384:DHE-RSA-AES128-GCM-SHA256 ssl-max-ver TLSv1.2"),
        CIPHER,
        proof=Proof(want="Cipher is DHE-RSA"),
        fails=("chrome", "go", "rustls"),
        passes=("curl",),
    )
    to.add(
        "negotiation/dhe-512",
        "gnutls",
        weak_dhe(),
        (CIPHER, GROUP),
        why="no current browser offers DHE, and a group of 512 bits is refused by those that do",
        proof=Proof(want="dh key too small|Cipher is \\(NONE\\)"),
        fails=("chrome", "curl", "go"),
    )
    to.add(
        "negotiation/ecdsa-suites-rsa-certificate",
        "nginx",
        suites("ECDHE-ECDSA-AES128-GCM-SHA256"),
        CIPHER,
        proof=HANDSHAKE_FAILURE,
        fails=CURRENT,
    )
    to.add(
        "negotiation/rsa-suites-ec-certificate",
        "apache",
        on("apache", keyed("p256"), "SSLProtocol TLSv1.2\n SSLCipherSuite ECDHE-RSA-AES128-GCM-SHA256"),
        CIPHER,
        proof=HANDSHAKE_FAILURE,
        fails=CURRENT,
    )
    to.add(
        "negotiation/ecdsa-suites-rsa-certificate-beside-1.3",
        "nginx",
        suites("ECDHE-ECDSA-AES128-GCM-SHA256", protocols="TLSv1.2 TLSv1.3"),
        (MODERN, CIPHER),
        status=HURT,
        why="TLS 1.2 is spoken, but no suite of it fits the key: for clients it is TLS 1.3 alone",
        proof=refused_12,
        passes=CURRENT,
    )
    to.add(
        "negotiation/null-only",
        "nginx",
        suites("NULL-SHA256:ECDHE-RSA-NULL-SHA@SECLEVEL=0", legacy=True),
        CIPHER,
        proof=HANDSHAKE_FAILURE,
        fails=CURRENT,
    )
    for server, extra in (
        ("apache", "SSLProtocol TLSv1.3"),
        ("stunnel", "sslVersion = TLSv1.3"),
        ("haproxy", "ssl-min-ver TLSv1.3 alpn h2"),
        ("openssl", "-tls1_3 -ciphersuites TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256"),
    ):
        to.add(
            f"negotiation/only-1.3-{server}",
            server,
            on(server, extra=extra),
            MODERN,
            status=WARNING,
            passes=CURRENT,
            fails=OLD,
            proof=VERIFIED,
        )
    to.add(
        "negotiation/gnutls-only-1.3",
        "gnutls",
        gnutls("NORMAL:-VERS-TLS1.2:-VERS-TLS1.1:-VERS-TLS1.0"),
        MODERN,
        status=WARNING,
        passes=CURRENT,
        fails=OLD,
        proof=VERIFIED,
    )
    legacy = "negotiation.legacy-only"
    seclevel = ("-cipher", "DEFAULT@SECLEVEL=0")
    to.add(
        "negotiation/gnutls-only-1.1",
        "gnutls",
        gnutls("NORMAL:-VERS-ALL:+VERS-TLS1.1:+SHA1:+SIGN-ALL"),
        legacy,
        proof=Proof(want="Protocol *(version)?: TLSv1.1", args=("-tls1_1", *seclevel)),
        fails=CURRENT,
    )
    to.add(
        "negotiation/haproxy-only-1.0",
        "haproxy",
        on("haproxy", extra="ssl-min-ver TLSv1.0 ssl-max-ver TLSv1.0 ciphers ALL@SECLEVEL=0"),
        legacy,
        proof=Proof(want="Protocol *(version)?: TLSv1\\b", args=("-tls1", *seclevel)),
        fails=CURRENT,
    )
    to.add(
        "negotiation/stunnel-only-1.0",
        "stunnel",
        on("stunnel", extra="sslVersion = TLSv1\nciphers = ALL@SECLEVEL=0"),
        legacy,
        proof=Proof(want="Protocol *(version)?: TLSv1\\b", args=("-tls1", *seclevel)),
        fails=CURRENT,
    )
    to.add(
        "negotiation/gnutls-static-rsa",
        "gnutls",
        gnutls("NORMAL:-VERS-ALL:+VERS-TLS1.2:-KX-ALL:+RSA"),
        CIPHER,
        proof=Proof(want="Cipher is AES"),
        fails=("rustls", "go"),
        passes=("curl",),
    )
    to.add(
        "negotiation/gnutls-dhe-only",
        "gnutls",
        gnutls("NORMAL:-VERS-ALL:+VERS-TLS1.2:-KX-ALL:+DHE-RSA"),
        CIPHER,
        proof=Proof(want="Cipher is DHE-RSA"),
        fails=("chrome", "go", "rustls"),
    )
    to.add(
        "negotiation/gnutls-x448-alone",
        "gnutls",
        gnutls("NORMAL:-GROUP-ALL:+GROUP-X448"),
        GROUP,
        proof=Proof(want="X448"),
        fails=("chrome", "firefox", "go"),
    )
    to.add(
        "negotiation/gnutls-ffdhe-alone",
        "gnutls",
        gnutls("NORMAL:-VERS-ALL:+VERS-TLS1.3:-GROUP-ALL:+GROUP-FFDHE3072"),
        GROUP,
        proof=Proof(want="Server Temp Key: DH|ffdhe|Verify return code: 0"),
        fails=("chrome", "go"),
    )
    to.add(
        "negotiation/p521-curve-1.3",
        "haproxy",
        on("haproxy", extra="curves secp521r1 ssl-min-ver TLSv1.3"),
        GROUP,
        proof=Proof(want="ECDH, P-521|secp521r1"),
        fails=("chrome", "rustls"),
        passes=("curl",),
    )
    to.add(
        "negotiation/brainpool-curve-apache",
        "apache",
        on("apache", extra="SSLProtocol TLSv1.2\n SSLOpenSSLConfCmd Curves brainpoolP256r1\n SSLCipherSuite ECDHE"),
        GROUP,
        proof=Proof(want="alert number 40|brainpool|no peer certificate"),
        fails=("chrome", "firefox", "go"),
    )
    to.add(
        "negotiation/only-ed25519-signatures",
        "nginx",
        nginx(extra="ssl_conf_command SignatureAlgorithms ed25519:ed448;"),
        ("negotiation.signature", CIPHER),
        why="alert 40 to every hello: what the server lacks cannot be seen from outside",
        proof=HANDSHAKE_FAILURE,
        fails=CURRENT,
    )
    to.add(
        "negotiation/p521-certificate-haproxy",
        "haproxy",
        on("haproxy", keyed("p521")),
        "negotiation.signature",
        proof=VERIFIED,
        fails=("chrome",),
        passes=("curl", "firefox"),
    )
    # Windows has no ChaCha20 suite enabled (Schannel: supported from Server 2022 on, not by default).
    chacha = "ssl_conf_command Ciphersuites TLS_CHACHA20_POLY1305_SHA256;"
    for name, build in {
        "1.3": nginx(extra=chacha),
        "1.2": suites("ECDHE-RSA-CHACHA20-POLY1305"),
        "1.3-alone": nginx(extra=chacha, protocols="TLSv1.3"),
    }.items():
        to.add(
            f"negotiation/chacha-{name}",
            "nginx",
            build,
            CIPHER,
            proof=Proof(want="CHACHA20"),
            fails=("dotnet",),
            passes=tuple(set(CURRENT) - {"dotnet"}),
        )
    healthy(to)


def healthy(to: Register) -> None:
    def add(name: str, server: str, build: Build, **known: object) -> None:
        to.add(f"healthy/{name}", server, build, **known)  # type: ignore[arg-type]

    add(
        "aes128-alone-everywhere",
        "haproxy",
        on("haproxy", extra="ciphersuites TLS_AES_128_GCM_SHA256 ciphers ECDHE-RSA-AES128-GCM-SHA256"),
    )
    add("seclevel-3", "openssl", on("openssl", elliptic, "-cipher ECDHE@SECLEVEL=3 -num_tickets 0"))
    add(
        "mozilla-intermediate",
        "nginx",
        nginx(
            extra="ssl_ciphers ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384:"
            "ECDHE-RSA-AES256-GCM-SHA384:ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305:"
            "DHE-RSA-AES128-GCM-SHA256; ssl_prefer_server_ciphers off; ssl_session_tickets off;"
        ),
    )
    add(
        "static-rsa-preferred",
        "nginx",
        suites("AES128-SHA:ECDHE-RSA-AES128-GCM-SHA256", extra="ssl_prefer_server_ciphers on;"),
    )
    add("only-1.2-apache", "apache", on("apache", extra="SSLProtocol TLSv1.2"))
    add("only-1.2-stunnel", "stunnel", on("stunnel", extra="sslVersion = TLSv1.2"))
    add("only-1.2-haproxy-ec", "haproxy", on("haproxy", keyed("p256"), "ssl-max-ver TLSv1.2"))
    add("only-1.2-gnutls", "gnutls", gnutls("NORMAL:-VERS-TLS1.3"))
    add("one-suite-1.2", "nginx", suites("ECDHE-RSA-AES256-GCM-SHA384"))
    add("gnutls-priority-secure128", "gnutls", gnutls("SECURE128"))
    add("gnutls-pfs", "gnutls", gnutls("PFS"))
    add("gnutls-legacy", "gnutls", gnutls("LEGACY"))
    add("gnutls-performance", "gnutls", gnutls("PERFORMANCE"))
    add("gnutls-server-precedence", "gnutls", gnutls("NORMAL:%SERVER_PRECEDENCE"))
    add("gnutls-aes256-p384", "gnutls", gnutls("NORMAL:-CIPHER-ALL:+AES-256-GCM:-GROUP-ALL:+GROUP-SECP384R1"))
    add("gnutls-tickets-off", "gnutls", gnutls("NORMAL:%NO_TICKETS"))
    add("curve-p384", "haproxy", on("haproxy", extra="curves secp384r1"))
    add("curve-p256", "apache", on("apache", extra="SSLOpenSSLConfCmd Curves prime256v1"))
    add("curves-unusual-order", "nginx", nginx(extra="ssl_ecdh_curve secp521r1:X448:secp384r1:X25519;"))
    add("alpn-none", "nginx", nginx(http2=False))
    add("alpn-h2-alone-haproxy", "haproxy", on("haproxy", extra="alpn h2"))
    add("alpn-http1.1-alone", "haproxy", on("haproxy", extra="alpn http/1.1"))
    add("alpn-absent-haproxy", "haproxy", on("haproxy", extra="ssl-min-ver TLSv1.2"))
    add("old-versions-beside", "haproxy", on("haproxy", extra="ssl-min-ver TLSv1.0 ciphers ALL@SECLEVEL=0"))
    add("many-tickets", "openssl", on("openssl", extra="-num_tickets 6"))
    add("no-tickets", "haproxy", on("haproxy", extra="no-tls-tickets"))
    add("client-certificate-optional-s-server", "openssl", optional_certificate("openssl"))
    add("client-certificate-requested-caddy", "caddy", optional_certificate("caddy"))
    add("client-certificate-ignored-stunnel", "stunnel", optional_certificate("stunnel"))
    add("tiny-records", "nginx", nginx(extra="ssl_buffer_size 512;"))
    add("tiny-fragments", "openssl", on("openssl", extra="-split_send_frag 512 -max_send_frag 512"))
