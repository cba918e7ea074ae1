"""Third matrix, mode 5: who is asked for a client certificate, what is shown, and what the server makes of it."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization

from tests.endpoints import faults
from tests.endpoints.authority import NOW, Party
from tests.endpoints.bench import Bench, Vhost
from tests.endpoints.cases import Case, Place, Proof, Register
from tests.endpoints.third_serving import (
    DAY,
    OK_200,
    At,
    Build,
    answers,
    at,
    chain_of,
    context,
    http,
    identities,
    serve_tls,
)

REQUIRED, UNKNOWN, REJECTED = "mtls.certificate-required", "mtls.unknown-ca", "mtls.certificate-rejected"
Serve = Callable[[Bench, Case, Sequence[Party]], At]
TLS_1_2 = ssl.TLSVersion.TLSv1_2


def _nginx(lines: str, protocols: str = "TLSv1.2 TLSv1.3", *, http2: bool = True) -> Serve:
    def serve(bench: Bench, case: Case, chain: Sequence[Party]) -> At:
        ca = bench.file(identities().root.pem)
        text = lines.replace("{ca}", f"ssl_client_certificate {ca}; ssl_verify_depth 3;")
        text = text.replace("{crl}", str(bench.file(client_crls())))
        vhost = Vhost(names=(case.host,), chains=(tuple(chain),), extra=text)
        return bench.nginx(vhost, protocols=protocols, http2=http2)

    return serve


def _haproxy(bind: str, rules: str = "") -> Serve:
    def serve(bench: Bench, case: Case, chain: Sequence[Party]) -> At:
        ca = bench.file(identities().root.pem)
        words = bind.replace("{crl}", str(bench.file(client_crls())))
        pem = bench.combined(*chain)
        return bench.haproxy(
            f"frontend {{id}}\n mode http\n bind {{bind}} ssl crt {pem} ca-file {ca} alpn h2,http/1.1 {words}\n"
            f"{rules}\n http-request return status 200 content-type text/plain string fine"
        )

    return serve


def _apache(lines: str) -> Serve:
    def serve(bench: Bench, case: Case, chain: Sequence[Party]) -> At:
        ca = bench.file(identities().root.pem)
        inside = f"ServerName {case.host}\n SSLCACertificateFile {ca}\n SSLVerifyDepth 3\n {lines}"
        return bench.apache(inside, *chain)

    return serve


def _caddy(mode: str, **policy: object) -> Serve:
    def serve(bench: Bench, case: Case, chain: Sequence[Party]) -> At:
        asked = {"mode": mode, "trusted_ca_certs_pem_files": [str(bench.file(identities().root.pem))]}
        return bench.caddy(*chain, policy={"client_authentication": asked, **policy})

    return serve


def _stunnel(lines: str) -> Serve:
    def serve(bench: Bench, case: Case, chain: Sequence[Party]) -> At:
        behind = bench.nginx(Vhost(names=(case.host,)), tls=False)
        ca = bench.file(identities().root.pem)
        return bench.stunnel(f"CAfile = {ca}\nconnect = {behind[0]}:{behind[1]}\n{lines}", *chain)

    return serve


def _gnutls(*flags: str) -> Serve:
    def serve(bench: Bench, case: Case, chain: Sequence[Party]) -> At:
        ca = bench.file(identities().root.pem)
        return bench.gnutls("--x509cafile", str(ca), *flags, chain=chain, asks=True)

    return serve


def _s_server(*flags: str) -> Serve:
    def serve(bench: Bench, case: Case, chain: Sequence[Party]) -> At:
        ca = bench.file(identities().root.pem)
        return bench.s_server("-CAfile", str(ca), "-no-CApath", "-num_tickets", "2", *flags, chain=chain)

    return serve


def _loop(handler: faults.Handler, asks: ssl.VerifyMode = ssl.CERT_OPTIONAL, **known: object) -> Serve:
    def serve(bench: Bench, case: Case, chain: Sequence[Party]) -> At:
        return serve_tls(bench, context(bench, chain, asks=asks, **known), handler)  # type: ignore[arg-type]

    return serve


def _peer(writer: asyncio.StreamWriter) -> object:
    return writer.get_extra_info("ssl_object").getpeercert()


async def closes_on_strangers(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Ends the connection of those who showed nothing, without an alert or a word."""
    if _peer(writer):
        await answers()(reader, writer)
    else:
        writer.transport.abort()


async def resets_strangers(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    if _peer(writer):
        await answers()(reader, writer)
    else:
        faults.reset(writer)


async def hangs_up_after_the_request(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Reads the request of those who showed nothing, and closes without an answer."""
    request = await reader.read(4096)
    if request and _peer(writer):
        writer.write(OK_200)
        await writer.drain()


async def greets_after_tls(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Implicit TLS for mail, as on port 465: it asks for a certificate and does not mind to get none."""
    writer.write(b"220 mx.matrix.test ESMTP\r\n")
    while await reader.readline():
        writer.write(b"502 5.5.2 what?\r\n")
        await writer.drain()


async def hangs_up_on_all(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """A protocol that is not HTTP: it ends the connection on a request it cannot read."""
    await reader.read(4096)


def _haproxy_trusting_issuing(bench: Bench, case: Case, chain: Sequence[Party]) -> At:
    known = identities()
    both = bench.file(known.issuing.pem + known.root.pem)
    return bench.haproxy_tls(*chain, bind=f"alpn h2,http/1.1 ca-file {both} verify required")


def refuses_strangers(status: str, body: str) -> faults.Handler:
    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await answers(OK_200 if _peer(writer) else http(status, body))(reader, writer)

    return handler


def client_crls() -> str:
    """CRLs of both client authorities; "revoked" stands in the lower one's."""
    known = identities()
    gone = known.kinds["revoked"][0].certificate.serial_number
    entry = x509.RevokedCertificateBuilder().serial_number(gone).revocation_date(NOW - DAY).build()
    text = ""
    for issuer, entries in ((known.issuing, [entry]), (known.root, [])):
        builder = x509.CertificateRevocationListBuilder().issuer_name(issuer.certificate.subject)
        builder = builder.last_update(NOW - DAY).next_update(NOW + 30 * DAY)
        for each in entries:
            builder = builder.add_revoked_certificate(each)
        crl = builder.sign(issuer.key, hashes.SHA256())
        text += crl.public_bytes(serialization.Encoding.PEM).decode()
    return text


def shown(serve: Serve, kind: str | None = None, **leaf: object) -> Build:
    """A check that shows the identity *kind* (None: none) to the server."""

    def build(bench: Bench, case: Case) -> Place:
        place = serve(bench, case, chain_of(bench, case, **leaf))
        return Place(addresses=(place[0],), port=place[1], identity=identities().kinds[kind] if kind else None)

    return build


NGINX_ON = "{ca} ssl_verify_client on;"
NGINX_OPTIONAL = "{ca} ssl_verify_client optional;"
NGINX_NO_CA = "{ca} ssl_verify_client optional_no_ca;"
ONLY_VERIFIED = 'if ($ssl_client_verify != "SUCCESS") { return 403; }'
ASKED = "Acceptable client certificate CA names|Client Certificate Types|Requested Signature Algorithms"


def register(to: Register) -> None:
    none_shown(to)
    wrong_shown(to)
    meeting_other_faults(to)
    healthy(to)


def none_shown(to: Register) -> None:
    def add(name: str, server: str, serve: Serve, proof: object = ASKED) -> None:
        to.add(f"mtls/{name}", server, shown(serve), REQUIRED, proof=proof)  # type: ignore[arg-type]

    says_400 = Proof(tool="curl", want="No required SSL certificate")
    add("none-nginx-400", "nginx", _nginx(NGINX_ON), says_400)
    add("none-nginx-400-h1", "nginx", _nginx(NGINX_ON, http2=False), says_400)
    add("none-nginx-400-tls1.2", "nginx", _nginx(NGINX_ON, "TLSv1.2"), says_400)
    add("none-nginx-400-tls1.3", "nginx", _nginx(NGINX_ON, "TLSv1.3"), says_400)
    add(
        "none-nginx-own-page",
        "nginx",
        _nginx(NGINX_ON + " error_page 495 496 =403 @who; location @who { return 403 'who are you?'; }"),
        Proof(tool="curl", want="who are you"),
    )
    add(
        "none-nginx-closes-without-answer",
        "nginx",
        _nginx(NGINX_ON + " error_page 495 496 @drop; location @drop { return 444; }"),
        Proof(tool="curl", want="Empty reply|HTTP/2|curl: "),
    )
    add("none-nginx-optional-but-403", "nginx", _nginx(f"{NGINX_OPTIONAL} {ONLY_VERIFIED}"),
        Proof(tool="curl", want="403 Forbidden"))  # fmt: skip
    add("none-nginx-no-ca-but-403", "nginx", _nginx(f"{NGINX_NO_CA} {ONLY_VERIFIED}"),
        Proof(tool="curl", want="403 Forbidden"))  # fmt: skip
    add("none-haproxy", "haproxy", _haproxy("verify required"), Proof(tool="curl", want=r"curl: \(\d+\)"))
    add("none-haproxy-tls1.2", "haproxy", _haproxy("verify required ssl-max-ver TLSv1.2"),
        Proof(tool="curl", want="handshake failure|alert"))  # fmt: skip
    add("none-haproxy-optional-but-403", "haproxy",
        _haproxy("verify optional", " http-request deny deny_status 403 unless { ssl_c_used }"),
        Proof(tool="curl", want="403"))  # fmt: skip
    add("none-apache", "apache", _apache("SSLVerifyClient require"), Proof(tool="curl", want=r"curl: \(\d+\)"))
    add("none-apache-tls1.2", "apache", _apache("SSLVerifyClient require\n SSLProtocol TLSv1.2"),
        Proof(tool="curl", want="handshake failure|alert"))  # fmt: skip
    # Nothing in the handshake shows it: TLS 1.3 asks after it, of clients that offered to be asked (RFC 8446 4.6.2).
    add("none-apache-in-a-directory", "apache", _apache("<Location />\n SSLVerifyClient require\n </Location>"),
        Proof(tool="curl", want="certificate required|403"))  # fmt: skip
    # In TLS 1.2 the server asks anew (HelloRequest), and ends with alert 40.
    add("none-apache-in-a-directory-tls1.2", "apache",
        _apache("SSLProtocol TLSv1.2\n <Location />\n SSLVerifyClient require\n </Location>"),
        Proof(tool="curl", want="handshake failure|403"))  # fmt: skip
    add("none-caddy", "caddy", _caddy("require_and_verify"), Proof(tool="curl", want=r"curl: \(\d+\)"))
    add("none-caddy-tls1.2", "caddy", _caddy("require_and_verify", protocol_max="tls1.2"),
        Proof(tool="curl", want="bad certificate|alert"))  # fmt: skip
    add("none-caddy-any-certificate", "caddy", _caddy("require"), Proof(tool="curl", want=r"curl: \(\d+\)"))
    add("none-gnutls", "gnutls", _gnutls("--require-client-cert", "--verify-client-cert"))
    add("none-gnutls-tls1.2", "gnutls",
        _gnutls("--require-client-cert", "--priority", "NORMAL:-VERS-ALL:+VERS-TLS1.2"))  # fmt: skip
    add("none-stunnel", "stunnel+nginx", _stunnel("verifyChain = yes"), Proof(tool="curl", want=r"curl: \(\d+\)"))
    add("none-openssl", "openssl", _s_server("-Verify", "3", "-verify_return_error"))
    add("none-openssl-tls1.2", "openssl", _s_server("-Verify", "3", "-verify_return_error", "-tls1_2"))
    add("none-closed", "none", _loop(closes_on_strangers))
    add("none-closed-tls1.2", "none", _loop(closes_on_strangers, most=TLS_1_2))
    add("none-reset", "none", _loop(resets_strangers))
    add("none-no-answer-to-the-request", "none", _loop(hangs_up_after_the_request))
    add("none-json-403", "none", _loop(refuses_strangers("403 Forbidden", '{"error":"client certificate required"}')),
        Proof(tool="curl", want="client certificate required"))  # fmt: skip


def wrong_shown(to: Register) -> None:
    everywhere: dict[str, tuple[str, Serve]] = {
        "nginx": ("nginx", _nginx(NGINX_ON)),
        "haproxy": ("haproxy", _haproxy("verify required")),
        "apache": ("apache", _apache("SSLVerifyClient require")),
        "caddy": ("caddy", _caddy("require_and_verify")),
        "openssl": ("openssl", _s_server("-Verify", "3", "-verify_return_error")),
    }
    kinds = {"wrong-ca": UNKNOWN, "alone": UNKNOWN, "expired": REJECTED, "server-only": REJECTED}
    failing = Proof(tool="curl", want=r"SSL certificate error|Bad Request|curl: \(\d+\)")
    for name, (server, serve) in everywhere.items():
        for kind, code in kinds.items():
            causes: tuple[str, ...] = (code,)
            why = ""
            if name == "caddy" and kind in {"wrong-ca", "alone"}:
                causes, why = (UNKNOWN, REJECTED), "Go answers every failure to verify with bad_certificate (42)"
            to.add(f"mtls/{kind}-{name}", server, shown(serve, kind), causes, why=why, proof=failing)

    def add(name: str, server: str, serve: Serve, kind: str, *codes: str, why: str = "") -> None:
        to.add(f"mtls/{name}", server, shown(serve, kind), codes, why=why, proof=failing)

    add("future-nginx", "nginx", _nginx(NGINX_ON), "future", REJECTED)
    add("future-haproxy", "haproxy", _haproxy("verify required"), "future", REJECTED)
    add("wrong-ca-nginx-optional", "nginx", _nginx(NGINX_OPTIONAL), "wrong-ca", UNKNOWN)
    add("wrong-ca-nginx-tls1.2", "nginx", _nginx(NGINX_ON, "TLSv1.2"), "wrong-ca", UNKNOWN)
    add("expired-nginx-tls1.2", "nginx", _nginx(NGINX_ON, "TLSv1.2"), "expired", REJECTED)
    add("wrong-ca-haproxy-optional", "haproxy", _haproxy("verify optional"), "wrong-ca", UNKNOWN)
    add("wrong-ca-haproxy-tls1.2", "haproxy", _haproxy("verify required ssl-max-ver TLSv1.2"), "wrong-ca", UNKNOWN)
    add("self-signed-haproxy", "haproxy", _haproxy("verify required"), "self-signed", UNKNOWN)
    add("expired-apache-tls1.2", "apache", _apache("SSLVerifyClient require\n SSLProtocol TLSv1.2"), "expired",
        REJECTED)  # fmt: skip
    add("revoked-nginx", "nginx", _nginx(NGINX_ON + " ssl_crl {crl};"), "revoked", REJECTED)
    add("revoked-haproxy", "haproxy", _haproxy("verify required crl-file {crl}"), "revoked", REJECTED)
    add("wrong-ca-stunnel", "stunnel+nginx", _stunnel("verifyChain = yes"), "wrong-ca", UNKNOWN)
    add("wrong-ca-gnutls", "gnutls", _gnutls("--require-client-cert", "--verify-client-cert"), "wrong-ca", UNKNOWN,
        REJECTED, why="GnuTLS answers every failure to verify with bad_certificate (42)")  # fmt: skip
    add(
        "wrong-ca-loop-required",
        "none",
        _loop(answers(), ssl.CERT_REQUIRED),
        "wrong-ca",
        UNKNOWN,
        REJECTED,
        REQUIRED,
        why="asyncio hangs up before its alert is sent, with a certificate as without one, and names no CAs: all that "
        "is certain is that it wants another one",
    )
    wrong_kind = "an EC key fits none of the algorithms asked for: nothing can be shown, or what is shown is refused"
    add("wrong-kind-of-key-nginx", "nginx", _nginx(NGINX_ON + " ssl_conf_command ClientSignatureAlgorithms "
        "RSA-PSS+SHA256:RSA+SHA256;"), "good", REQUIRED, REJECTED, why=wrong_kind)  # fmt: skip


def meeting_other_faults(to: Register) -> None:
    def add(name: str, server: str, build: Build, code: str, want: str) -> None:
        to.add(name, server, build, code, proof=want)

    required = _haproxy("verify required")
    add("validity/lapsed-on-an-mtls-server", "haproxy", shown(required, until=-2 * DAY), "validity.expired", "code: 10")
    add("validity/lapsed-on-an-mtls-nginx-good-identity", "nginx",
        shown(_nginx(NGINX_ON), "good", until=-2 * DAY), "validity.expired", "code: 10")  # fmt: skip
    add("chain/incomplete-on-an-mtls-server", "nginx", _alone(_nginx(NGINX_ON)), "chain.incomplete", "code: (20|21)")
    add("chain/incomplete-on-an-mtls-haproxy", "haproxy", _alone(required), "chain.incomplete", "code: (20|21)")
    add("sni/another-name-on-an-mtls-server", "haproxy", _named(required, "elsewhere.matrix.test"),
        "sni.name-mismatch", "code: 62")  # fmt: skip
    to.cases["sni/another-name-on-an-mtls-server"] = _accepting_default(to.cases["sni/another-name-on-an-mtls-server"])
    soon = timedelta(days=5)
    to.add("mtls/none-and-expiring", "haproxy", shown(required, since=-85 * DAY, until=soon), REQUIRED, proof=ASKED)


def _accepting_default(case: Case) -> Case:
    why = "one certificate for every name: the name is not routed, and the certificate does not cover it"
    return replace(case, causes=frozenset({"sni.name-mismatch", "sni.default-certificate"}), why=why)


def _alone(serve: Serve) -> Build:
    return lambda bench, case: at(serve(bench, case, chain_of(bench, case)[:1]))


def _named(serve: Serve, name: str) -> Build:
    return lambda bench, case: at(serve(bench, case, (bench.hierarchy.leaf(name), bench.hierarchy.intermediate)))


def healthy(to: Register) -> None:
    def add(name: str, server: str, serve: Serve, kind: str | None = None, **more: object) -> None:
        to.add(f"healthy/mtls-{name}", server, shown(serve, kind), **more)  # type: ignore[arg-type]

    add("nginx-optional", "nginx", _nginx(NGINX_OPTIONAL))
    add("nginx-optional-no-ca", "nginx", _nginx(NGINX_NO_CA))
    add("nginx-optional-tls1.2", "nginx", _nginx(NGINX_OPTIONAL, "TLSv1.2 TLSv1.3", http2=False))
    add("nginx-only-admin-demands", "nginx",
        _nginx(NGINX_OPTIONAL + " location /admin { " + ONLY_VERIFIED + " return 200 'in'; }"))  # fmt: skip
    add("nginx-optional-404", "nginx", _nginx(NGINX_OPTIONAL + " location = / { return 404; }"))
    add("nginx-optional-to-login", "nginx", _nginx(NGINX_OPTIONAL + " location = / { return 302 /login; }"))
    add(
        "nginx-optional-bearer",
        "nginx",
        _nginx(NGINX_OPTIONAL + " location = / { add_header WWW-Authenticate Bearer always; return 401; }"),
    )
    add("haproxy-optional", "haproxy", _haproxy("verify optional"))
    add("haproxy-optional-ignores", "haproxy", _haproxy("verify optional ca-ignore-err all crt-ignore-err all"),
        "wrong-ca")  # fmt: skip
    add("apache-optional", "apache", _apache("SSLVerifyClient optional"))
    add("apache-only-a-directory", "apache", _apache("<Location /secure>\n SSLVerifyClient require\n </Location>"))
    add("caddy-if-given", "caddy", _caddy("verify_if_given"))
    add("caddy-request", "caddy", _caddy("request"))
    add("gnutls-asks", "gnutls", _gnutls())
    add("openssl-asks", "openssl", _s_server("-verify", "3"))
    add("stunnel-asks", "stunnel+nginx", _stunnel("requireCert = no\nverifyChain = no"))
    add("loop-asks", "none", _loop(answers()))
    add("mail-without-http-asks", "none", _loop(greets_after_tls))
    add("closes-on-everyone-asks-nobody", "none", _loop(hangs_up_on_all, ssl.CERT_NONE))
    add("server-knows-the-issuing-ca", "haproxy", _haproxy_trusting_issuing, "alone")
    for status in ("401 Unauthorized", "403 Forbidden", "400 Bad Request", "503 Service Unavailable"):
        add(f"api-{status[:3]}-asks-nobody", "none", _loop(answers(http(status)), ssl.CERT_NONE))
    add("api-403-names-a-key", "none", _loop(answers(http("403 Forbidden", '{"error":"api key missing"}')),
        ssl.CERT_NONE))  # fmt: skip
    fine: dict[str, tuple[str, Serve]] = {
        "nginx": ("nginx", _nginx(NGINX_ON)),
        "nginx-tls1.2-too": ("nginx", _nginx(NGINX_ON, http2=False)),
        "nginx-crl": ("nginx", _nginx(NGINX_ON + " ssl_crl {crl};")),
        "haproxy": ("haproxy", _haproxy("verify required")),
        "haproxy-crl": ("haproxy", _haproxy("verify required crl-file {crl}")),
        "apache": ("apache", _apache("SSLVerifyClient require")),
        "caddy": ("caddy", _caddy("require_and_verify")),
        "stunnel": ("stunnel+nginx", _stunnel("verifyChain = yes")),
        "gnutls": ("gnutls", _gnutls("--require-client-cert", "--verify-client-cert")),
        "openssl": ("openssl", _s_server("-Verify", "3", "-verify_return_error")),
        "closes-on-strangers": ("none", _loop(closes_on_strangers)),
    }
    for name, (server, serve) in fine.items():
        add(f"good-{name}", server, serve, "good")
    add("good-rsa", "nginx", _nginx(NGINX_ON), "good-rsa")
    add("good-both-uses", "haproxy", _haproxy("verify required"), "good-both-uses")
    add("good-without-usages", "haproxy", _haproxy("verify required"), "good-no-usage")
    add("good-but-nobody-asks", "nginx", _nginx(""), "good")
    add("expired-but-nobody-asks", "nginx", _nginx(""), "expired")
    add("no-ca-takes-a-stranger", "nginx", _nginx(NGINX_NO_CA), "wrong-ca")
