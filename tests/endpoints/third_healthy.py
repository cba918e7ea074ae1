"""Third matrix: more endpoints with nothing wrong, each a neighbour of one that is broken in modes 0 and 4 to 8."""

from __future__ import annotations

import ssl
from collections.abc import Callable

from tests.endpoints.authority import Party
from tests.endpoints.bench import Bench
from tests.endpoints.cases import Case, Place, Register
from tests.endpoints.second_serving import dated, nginx
from tests.endpoints.third_balancer import fine
from tests.endpoints.third_mtls import (
    NGINX_NO_CA,
    NGINX_ON,
    NGINX_OPTIONAL,
    _apache,
    _caddy,
    _haproxy,
    _loop,
    _nginx,
    _s_server,
    shown,
)
from tests.endpoints.third_reach import before, bounds, late_hello
from tests.endpoints.third_responders import crl, delegate, ocsp_answer, web
from tests.endpoints.third_resumption import answering_early, apache, haproxy, one_vhost, shared, two_names
from tests.endpoints.third_revocation import good, good_crl, revocable
from tests.endpoints.third_serving import DAY, HOUR, At, Build, Face, answers, at, http, keyed_nginx, robin, several
from tests.endpoints.third_starttls import everywhere, spoken

TLS_1_2 = ssl.TLSVersion.TLSv1_2


def haproxy_both_names(bench: Bench, case: Case, second: str, chain: tuple[Party, ...]) -> At:
    return bench.haproxy_tls(*chain, bind="alpn h2,http/1.1")


def haproxy_passes_on(*faces: Face, balance: str) -> Build:
    """One address; haproxy in TCP mode that balances otherwise than by turns."""

    def build(bench: Bench, case: Case) -> Place:
        place = robin(*faces)(bench, case)
        bench._haproxy[-1] = bench._haproxy[-1].replace("balance roundrobin", f"balance {balance}")
        return at((place.addresses[0], place.port))

    return build


def register(to: Register) -> None:
    def add(name: str, server: str, build: Build, **more: object) -> None:
        to.add(f"healthy/{name}", server, build, **more)  # type: ignore[arg-type]

    mtls(add)
    revocation(add)
    second_visits(add)
    for protocol in ("pop3", "ldap", "postgres", "mysql", "xmpp"):
        add(f"starttls-{protocol}-tls1.2", "none", spoken(protocol, most=TLS_1_2))
    for protocol in ("imap", "ldap", "xmpp"):
        add(f"starttls-{protocol}-asks-for-certificates", "none", spoken(protocol, asks=ssl.CERT_OPTIONAL))
    for protocol in ("smtp", "postgres", "ldap"):
        add(f"starttls-{protocol}-two-addresses", "none", everywhere(protocol, protocol))
    add("starttls-imap-no-tickets", "none", spoken("imap", tickets=0))
    for name, (since, until) in {
        "7-days-2-left": (-5 * DAY, 2 * DAY),
        "45-days-9-left": (-36 * DAY, 9 * DAY),
        "24-hours-6-left": (-18 * HOUR, 6 * HOUR),
        "365-days-45-left": (-320 * DAY, 45 * DAY),
    }.items():
        add(f"third-{name}", "nginx", nginx(dated(since, until)))
    add("third-a-box-that-bounds-at-3000", "nginx", before(bounds(3000, "silence")))
    add("third-first-byte-after-0.1-s", "nginx", before(late_hello(0.1)), waits=True)


def mtls(add: Callable[..., None]) -> None:
    add("mtls-good-nginx-tls1.2", "nginx", shown(_nginx(NGINX_ON, "TLSv1.2"), "good-both-uses"))
    add("mtls-good-apache-both-uses", "apache", shown(_apache("SSLVerifyClient require"), "good-both-uses"))
    add("mtls-good-apache-optional", "apache", shown(_apache("SSLVerifyClient optional"), "good"))
    add("mtls-good-caddy-rsa", "caddy", shown(_caddy("require_and_verify"), "good-rsa"))
    add("mtls-good-haproxy-rsa", "haproxy", shown(_haproxy("verify required"), "good-rsa"))
    add("mtls-good-haproxy-optional", "haproxy", shown(_haproxy("verify optional"), "good"))
    add("mtls-good-openssl-rsa", "openssl", shown(_s_server("-Verify", "3", "-verify_return_error"), "good-rsa"))
    add("mtls-good-nginx-optional", "nginx", shown(_nginx(NGINX_OPTIONAL), "good"))
    add("mtls-good-nginx-no-ca", "nginx", shown(_nginx(NGINX_NO_CA), "good"))
    add("mtls-wrong-ca-but-nobody-asks", "haproxy", shown(_haproxy(""), "wrong-ca"))
    add("mtls-server-only-but-nobody-asks", "apache", shown(_apache(""), "server-only"))
    bearer = http("401 Unauthorized", "{}", "WWW-Authenticate: Bearer", "Content-Type: application/json")
    add("mtls-api-401-bearer-asks-nobody", "none", shown(_loop(answers(bearer), ssl.CERT_NONE)))
    add("mtls-api-403-haproxy", "haproxy", shown(_haproxy("", " http-request deny deny_status 403")))
    add("mtls-api-403-nginx", "nginx", shown(_nginx("location = / { return 403; }")))
    add("mtls-api-401-nginx", "nginx", shown(_nginx("location = / { return 401; }")))
    add("mtls-good-apache-tls1.2", "apache",
        shown(_apache("SSLVerifyClient require\n SSLProtocol TLSv1.2"), "good"))  # fmt: skip


def revocation(add: Callable[..., None]) -> None:
    add("revocation-ocsp-after-0.5-s", "nginx", revocable(web(ocsp_answer(), after_s=0.5)), waits=True)
    add("revocation-crl-after-0.5-s", "nginx", revocable(listed=web(crl(), after_s=0.5)), waits=True)
    for server in ("haproxy", "openssl", "caddy"):
        add(f"revocation-both-good-{server}", server, revocable(good, good_crl, server=server))
    add("revocation-both-good-tls1.2", "nginx", revocable(good, good_crl, protocols="TLSv1.2"))
    two = revocable(listed=good_crl, points=lambda own: [[own], [own.replace("i1.crl", "again.crl")]])
    add("revocation-crl-at-two-points", "nginx", two)
    add("revocation-staple-and-crl-good", "nginx", revocable(good, good_crl, staple=ocsp_answer()))
    by_delegate = web(ocsp_answer(signer=delegate(until=DAY), with_signer=True))
    add("revocation-delegate-for-a-day-more", "nginx", revocable(by_delegate))


def second_visits(add: Callable[..., None]) -> None:
    add("resumption-three-haproxies-share", "haproxy", several(*[haproxy("all")] * 3))
    add("resumption-three-apaches-share", "apache", several(*[apache("all")] * 3))
    add("resumption-robin-of-five-shares", "haproxy+nginx", robin(*[shared] * 5))
    add("resumption-random-shares", "haproxy+nginx", haproxy_passes_on(shared, shared, shared, balance="random"))
    add("resumption-by-source-shares", "haproxy+nginx", haproxy_passes_on(shared, shared, balance="source"))
    add("resumption-early-425-at-two", "nginx",
        several(*[keyed_nginx("all", "ssl_early_data on; if ($ssl_early_data) { return 425; }")] * 2))  # fmt: skip
    nowhere = "if ($ssl_early_data) { return 425; } location = / { return 404; }"
    add("resumption-early-425-else-404", "nginx", several(answering_early(nowhere)))
    add("resumption-shared-name-haproxy", "haproxy", two_names(haproxy_both_names))
    add("resumption-shared-name-elsewhere-one-vhost", "nginx", two_names(one_vhost, elsewhere=True))
    add("balancer-six", "nginx", several(*[fine] * 6))
