"""Third matrix, mode 6: responders, lists and staples, and what meets them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.x509 import ocsp

from tests.endpoints.authority import SERVER_AUTH, Party
from tests.endpoints.bench import Bench, Vhost
from tests.endpoints.cases import WARNING, Case, Place, Proof, Register
from tests.endpoints.second_serving import minted
from tests.endpoints.third_responders import (
    REVOKED,
    UNKNOWN,
    Answer,
    Made,
    Source,
    crl,
    delegate,
    hangs,
    hangs_up,
    impostor,
    intermediate,
    ocsp_answer,
    ocsp_error,
    openssl_responder,
    refused,
    served_at,
    url,
    urls,
    web,
)
from tests.endpoints.third_serving import DAY, HOUR, Build, at, identities

SLOW, DEAD = "revocation.ocsp-slow", "revocation.ocsp-unreachable"
CRL_SLOW, CRL_DEAD = "revocation.crl-slow", "revocation.crl-unreachable"
GONE, MISSING, INVALID = "revocation.revoked", "revocation.staple-missing", "revocation.staple-invalid"
FAILED = ocsp.OCSPResponseStatus
VALID = r"Verify return code: 0 \(ok\)"
STAPLED = Proof(want="OCSP Response Status: successful", args=("-status",))
UNSTAPLED = Proof(want="OCSP response: no response sent", args=("-status",))
LDAP = "ldap://directory.matrix.test/cn=Matrix,o=Matrix?certificateRevocationList"


def revocable(
    asked: Source | None = None,
    listed: Source | None = None,
    *,
    staple: Answer | None = None,
    must_staple: bool = False,
    server: str = "nginx",
    points: Callable[[str], list[list[str]]] = lambda own: [[own]],
    since: timedelta = -30 * DAY,
    until: timedelta = 60 * DAY,
    alone: bool = False,
    mtls: bool = False,
    protocols: str = "TLSv1.2 TLSv1.3",
    issuer_listed: Source | None = None,
    responder: str | None = None,
) -> Build:
    """A leaf with an OCSP URL if it can be `asked` about, a CRL if it is `listed`; both answer as given.

    `issuer_listed`: the intermediate too is listed. `responder`: `openssl ocsp` with that index letter.
    """

    def build(bench: Bench, case: Case) -> Place:
        h = bench.hierarchy
        ocsp_at, crl_at, issuer_at = bench.place(), bench.place(), bench.place()
        if responder is not None:
            ocsp_at = (ocsp_at[0], bench._port_everywhere())
        issuer = intermediate(bench, url(issuer_at, "root.crl")) if issuer_listed else h.intermediate
        asks = asked is not None or responder is not None
        extensions = urls(url(ocsp_at) if asks else None, points(url(crl_at, "i1.crl")) if listed else [], must_staple)
        leaf = minted(case.host, by=issuer, names=(case.host,), since=since, until=until, extensions=extensions)
        made = Made(leaf=leaf, issuer=issuer, other=h.leaf("other.matrix.test", by=issuer), bench=bench)
        for source, where in ((asked, ocsp_at), (listed, crl_at)):
            if source is not None:
                served_at(bench, where, source, made)
        if issuer_listed:
            above = Made(leaf=issuer, issuer=h.root, other=h.intermediate, bench=bench)
            served_at(bench, issuer_at, issuer_listed, above)
        if responder is not None:
            openssl_responder(bench, case, ocsp_at[1], made, state=responder)
        chain = (leaf,) if alone else (leaf, issuer)
        return at(_served(bench, case, server, chain, staple(made) if staple else None, mtls, protocols))

    return build


def _served(
    bench: Bench, case: Case, server: str, chain: tuple[Party, ...], staple: bytes | None, mtls: bool, protocols: str
) -> tuple[str, int]:
    file = bench.file(staple, ".der") if staple else None
    match server:
        case "nginx":
            extra = f"ssl_stapling on; ssl_stapling_file {file};" if file else ""
            if mtls:
                extra += f"ssl_client_certificate {bench.file(identities().root.pem)}; ssl_verify_client on;"
            return bench.nginx(Vhost(names=(case.host,), chains=(chain,), extra=extra), protocols=protocols)
        case "openssl":
            return bench.s_server(*(("-status_file", str(file)) if file else ()), "-num_tickets", "2", chain=chain)
        case "haproxy":
            pem = bench.combined(*chain)
            if staple:
                pem.with_suffix(".pem.ocsp").write_bytes(staple)
            return bench.haproxy(
                f"frontend {{id}}\n mode http\n bind {{bind}} ssl crt {pem} alpn h2,http/1.1\n"
                " http-request return status 200"
            )
        case "apache":
            cache = "SSLStaplingCache shmcb:staples(64000)"
            if cache not in bench._apache:
                bench._apache.append(cache)
            return bench.apache(f"ServerName {case.host}\n SSLUseStapling on", *chain)
        case _:
            return bench.caddy(*chain)


good = web(ocsp_answer())
good_crl = web(crl(others=3))


def register(to: Register) -> None:
    gone(to)
    responders(to)
    lists(to)
    staples(to)
    meeting_other_faults(to)
    healthy(to)


def gone(to: Register) -> None:
    def add(name: str, build: Build, **more: object) -> None:
        to.add(f"revocation/{name}", str(more.pop("server", "nginx")), build, GONE, proof=VALID, **more)  # type: ignore[arg-type]

    said = web(ocsp_answer(REVOKED))
    add("ocsp-says-revoked", revocable(said))
    add("openssl-ocsp-says-revoked", revocable(responder="R"), server="openssl+nginx")
    add("ocsp-says-revoked-sha256-id", revocable(web(ocsp_answer(REVOKED, certid=hashes.SHA256()))))
    add("delegate-says-revoked", revocable(web(ocsp_answer(REVOKED, signer=delegate(), with_signer=True))))
    add("crl-lists-it", revocable(listed=web(crl(gone=True, others=5))))
    add("crl-lists-it-on-haproxy", revocable(listed=web(crl(gone=True)), server="haproxy"), server="haproxy")
    add("crl-holds-it", revocable(listed=web(crl(gone=True, reason=x509.ReasonFlags.certificate_hold))))
    add("crl-for-users-lists-it", revocable(listed=web(crl(gone=True, only_users=True))))
    add("long-crl-lists-it", revocable(listed=web(crl(gone=True, others=2000))))
    add("staple-says-revoked", revocable(said, staple=ocsp_answer(REVOKED)))
    add("staple-alone-says-revoked", revocable(staple=ocsp_answer(REVOKED), server="openssl"), server="openssl")
    add("crl-lists-it-ocsp-is-dead", revocable(refused, web(crl(gone=True))))
    add("ocsp-says-revoked-crl-is-dead", revocable(said, refused))
    add("ocsp-says-revoked-ldap-crl", revocable(said, refused, points=lambda own: [[LDAP]]))
    add("ocsp-says-revoked-staple-says-good", revocable(said, staple=ocsp_answer()))
    add("crl-lists-the-issuer", revocable(issuer_listed=web(crl(gone=True))))
    add("slow-crl-lists-it", revocable(listed=web(crl(gone=True), after_s=1.0)), waits=True)


def responders(to: Register) -> None:
    def add(name: str, source: Source, code: str = DEAD, *, waits: bool = False, server: str = "nginx") -> None:
        build = revocable(source, server=server)
        to.add(f"revocation/ocsp-{name}", server, build, code, status=WARNING, proof=VALID, waits=waits)

    for late in (2.5, 3.0, 4.0):
        add(f"after-{late}-s", web(ocsp_answer(), after_s=late), SLOW, waits=True)
    add("body-after-3-s", web(ocsp_answer(), body_after_s=3.0), SLOW, waits=True)
    add("after-3-s-on-haproxy", web(ocsp_answer(), after_s=3.0), SLOW, waits=True, server="haproxy")
    add("hangs", hangs, waits=True)
    add("refused", refused)
    add("refused-on-haproxy", refused, server="haproxy")
    add("hangs-up", hangs_up)
    for status in ("500 Internal Server Error", "404 Not Found", "403 Forbidden", "503 Service Unavailable"):
        add(f"http-{status[:3]}", web(b"<html>no</html>", status=status))
    add("garbage", web(b"<html>login first</html>"))
    add("empty", web(b""))
    add("try-later", web(ocsp_error(FAILED.TRY_LATER)))
    add("unauthorized", web(ocsp_error(FAILED.UNAUTHORIZED)))
    add("internal-error", web(ocsp_error(FAILED.INTERNAL_ERROR)))
    add("of-another-certificate", web(ocsp_answer(of_other=True)))
    add("by-an-impostor", web(ocsp_answer(signer=impostor)))
    add("stale", web(ocsp_answer(this=-9 * DAY, until=-2 * DAY)))
    add("of-the-future", web(ocsp_answer(this=2 * DAY, until=9 * DAY)))
    add("by-a-delegate-without-the-usage",
        web(ocsp_answer(signer=delegate(usages=(SERVER_AUTH,)), with_signer=True)))  # fmt: skip
    add("by-an-expired-delegate", web(ocsp_answer(signer=delegate(until=-DAY), with_signer=True)))
    add("by-the-delegate-of-a-stranger", web(ocsp_answer(signer=delegate(stranger=True), with_signer=True)))
    to.add("revocation/ocsp-openssl-does-not-know-it", "openssl+nginx", revocable(responder=""), DEAD, status=WARNING,
           proof=VALID)  # fmt: skip
    to.add("revocation/ocsp-says-unknown", "nginx", revocable(web(ocsp_answer(UNKNOWN))), DEAD, status=WARNING,
           proof=VALID)  # fmt: skip
    to.add("revocation/ocsp-refused-beside-a-good-crl", "nginx", revocable(refused, good_crl), DEAD, status=WARNING,
           proof=VALID)  # fmt: skip


def lists(to: Register) -> None:
    def add(name: str, source: Source, code: str = CRL_DEAD, *, waits: bool = False) -> None:
        build = revocable(listed=source)
        to.add(f"revocation/crl-{name}", "nginx", build, code, status=WARNING, proof=VALID, waits=waits)

    for late in (2.5, 3.5):
        add(f"after-{late}-s", web(crl(), after_s=late), CRL_SLOW, waits=True)
    add("body-after-3-s", web(crl(), body_after_s=3.0), CRL_SLOW, waits=True)
    add("hangs", hangs, waits=True)
    add("refused", refused)
    add("hangs-up", hangs_up)
    add("of-the-future", web(crl(this=2 * DAY, until=9 * DAY)))
    add("404", web(b"not here", status="404 Not Found"))
    add("500", web(b"oops", status="500 Internal Server Error"))
    add("garbage", web(b"<html>portal</html>"))
    add("stale", web(crl(this=-9 * DAY, until=-2 * DAY)))
    add("stale-by-an-hour", web(crl(this=-9 * DAY, until=-HOUR)))
    add("by-an-impostor", web(crl(signer=impostor)))
    add("of-another-issuer", web(crl(point=lambda made: made.bench.hierarchy.stranger_intermediate)))
    to.add("revocation/crl-of-the-root-404", "nginx", revocable(issuer_listed=web(b"", status="404 Not Found")),
           CRL_DEAD, status=WARNING, proof=VALID)  # fmt: skip
    to.add("revocation/crl-of-the-root-stale", "nginx",
           revocable(issuer_listed=web(crl(this=-90 * DAY, until=-20 * DAY))), CRL_DEAD, status=WARNING,
           proof=VALID)  # fmt: skip
    to.add("revocation/crl-404-beside-good-ocsp", "nginx",
           revocable(good, web(b"", status="404 Not Found")), CRL_DEAD, status=WARNING, proof=VALID)  # fmt: skip


def staples(to: Register) -> None:
    def missing(name: str, server: str, build: Build) -> None:
        to.add(f"revocation/must-staple-{name}", server, build, MISSING, status=WARNING, proof=UNSTAPLED)

    missing("nginx", "nginx", revocable(good, must_staple=True))
    missing("haproxy", "haproxy", revocable(good, must_staple=True, server="haproxy"))
    missing("openssl", "openssl", revocable(must_staple=True, server="openssl"))
    missing("tls1.2", "nginx", revocable(must_staple=True, protocols="TLSv1.2"))
    missing("without-an-ocsp-url", "nginx", revocable(must_staple=True))

    def invalid(name: str, answer: Answer, asked: Source | None = good, **more: object) -> None:
        build = revocable(asked, staple=answer, **more)  # type: ignore[arg-type]
        to.add(f"revocation/staple-{name}", str(more.get("server", "nginx")), build, INVALID, proof=STAPLED)

    stale = ocsp_answer(this=-9 * DAY, until=-2 * DAY)
    invalid("stale", stale)
    invalid("stale-openssl", stale, server="openssl")
    invalid("stale-tls1.2", stale, protocols="TLSv1.2")
    invalid("stale-by-an-hour", ocsp_answer(this=-7 * DAY, until=-HOUR))
    invalid("stale-must-staple", stale, must_staple=True)
    invalid("stale-without-an-ocsp-url", stale, None)
    invalid("of-another-certificate", ocsp_answer(of_other=True))
    invalid("by-an-impostor", ocsp_answer(signer=impostor))
    invalid("of-the-future", ocsp_answer(this=2 * DAY, until=9 * DAY))
    invalid("by-a-delegate-without-the-usage",
        ocsp_answer(signer=delegate(usages=(SERVER_AUTH,)), with_signer=True))  # fmt: skip


def meeting_other_faults(to: Register) -> None:
    said = web(ocsp_answer(REVOKED))
    to.add("chain/incomplete-and-revoked", "nginx", revocable(said, web(crl(gone=True)), alone=True),
           "chain.incomplete", proof="code: (20|21)")  # fmt: skip
    to.add("validity/lapsed-and-revoked", "nginx", revocable(said, until=-2 * DAY), "validity.expired",
           proof="code: 10")  # fmt: skip
    to.add("revocation/revoked-and-expiring", "nginx", revocable(said, since=-85 * DAY, until=5 * DAY), GONE,
           proof=VALID)  # fmt: skip
    to.add("revocation/revoked-and-must-staple-missing", "nginx", revocable(said, must_staple=True), GONE, proof=VALID)
    to.add("revocation/revoked-and-crl-slow", "nginx", revocable(said, web(crl(), after_s=3.0)), GONE, proof=VALID,
           waits=True)  # fmt: skip
    to.add("mtls/none-and-revoked", "nginx", revocable(said, mtls=True), "mtls.certificate-required",
           proof=Proof(tool="curl", want="No required SSL certificate"))  # fmt: skip
    to.add("validity/expiring-and-ocsp-refused", "nginx", revocable(refused, since=-85 * DAY, until=5 * DAY),
           "validity.expiring", status=WARNING, proof=VALID)  # fmt: skip


def healthy(to: Register) -> None:
    def add(name: str, build: Build, server: str = "nginx", **more: object) -> None:
        to.add(f"healthy/revocation-{name}", server, build, **more)  # type: ignore[arg-type]

    add("ocsp-good", revocable(good))
    add("openssl-ocsp-good", revocable(responder="V"), "openssl+nginx")
    add("ocsp-good-by-post-alone", revocable(web(ocsp_answer(), methods=(b"POST",))))
    add("ocsp-good-chunked", revocable(web(ocsp_answer(), chunked=True)))
    add("ocsp-good-sha256-id", revocable(web(ocsp_answer(certid=hashes.SHA256()))))
    add("ocsp-good-by-a-delegate", revocable(web(ocsp_answer(signer=delegate(), with_signer=True))))
    add("ocsp-good-without-next-update", revocable(web(ocsp_answer(until=None))))
    add("ocsp-good-days-old", revocable(web(ocsp_answer(this=-5 * DAY, until=2 * DAY))))
    add("ocsp-good-seconds-old", revocable(web(ocsp_answer(this=timedelta(seconds=-2)))))
    add("ocsp-good-for-ten-minutes-more", revocable(web(ocsp_answer(this=-7 * DAY, until=timedelta(minutes=10)))))
    add("crl-good-for-ten-minutes-more", revocable(listed=web(crl(this=-7 * DAY, until=timedelta(minutes=10)))))
    add("crl-lists-its-neighbour", revocable(listed=web(crl(gone=True, whom=lambda made: made.other))))
    add("ocsp-after-1.2-s", revocable(web(ocsp_answer(), after_s=1.2)), waits=True)
    add("crl-good", revocable(listed=good_crl))
    add("crl-good-on-haproxy", revocable(listed=good_crl, server="haproxy"), "haproxy")
    add("crl-good-and-long", revocable(listed=web(crl(others=3000))))
    add("crl-good-and-empty", revocable(listed=web(crl())))
    add("crl-good-for-users", revocable(listed=web(crl(only_users=True, others=2))))
    add("crl-after-1.2-s", revocable(listed=web(crl(), after_s=1.2)), waits=True)
    add("crl-and-ocsp-good", revocable(good, good_crl))
    add("ldap-in-the-same-point", revocable(listed=good_crl, points=lambda own: [[LDAP, own]]))
    add("ldap-in-a-point-of-its-own", revocable(listed=good_crl, points=lambda own: [[LDAP], [own]]))
    add("crl-of-the-root-good", revocable(issuer_listed=web(crl(others=2))))
    add("crl-of-the-root-and-own-good", revocable(listed=good_crl, issuer_listed=web(crl())))

    def stapled(name: str, build: Build, server: str = "nginx") -> None:
        add(f"staple-{name}", build, server, proof=STAPLED)

    stapled("good", revocable(good, staple=ocsp_answer()))
    stapled("good-tls1.2", revocable(good, staple=ocsp_answer(), protocols="TLSv1.2"))
    stapled("good-openssl", revocable(good, staple=ocsp_answer(), server="openssl"), "openssl")
    stapled("good-haproxy", revocable(good, staple=ocsp_answer(), server="haproxy"), "haproxy")
    stapled("good-apache", revocable(good, server="apache"), "apache")
    stapled("good-caddy", revocable(good, server="caddy"), "caddy")
    stapled("sha256-id", revocable(good, staple=ocsp_answer(certid=hashes.SHA256())))
    stapled("by-a-delegate", revocable(good, staple=ocsp_answer(signer=delegate(), with_signer=True)))
    stapled("without-an-ocsp-url", revocable(staple=ocsp_answer()))
    stapled("on-must-staple", revocable(good, staple=ocsp_answer(), must_staple=True))
    stapled("on-must-staple-apache", revocable(good, must_staple=True, server="apache"), "apache")
    stapled("on-must-staple-tls1.2", revocable(good, staple=ocsp_answer(), must_staple=True, protocols="TLSv1.2"))
