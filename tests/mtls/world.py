"""Client certificates, good and broken, and the servers they are shown to.

The healthy identity is a leaf with clientAuth under an intermediate of the root that every server here trusts; each
other differs from it in one thing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Literal

from probes.check import Options, check
from probes.model import Report, Target, Trust
from probes.pki.credential import Credential, read
from tests.endpoints.authority import CLIENT_AUTH, SERVER_AUTH, Party, authority, bundle, issue, key
from tests.endpoints.bench import Bench, Vhost

HOST = "mtls.test"
DAY = timedelta(days=1)
Flaw = Literal["none", "good", "wrong-ca", "no-intermediate", "expired", "future", "server-only", "revoked"]


class World:
    """The authorities, a server's chain, and one identity for each flaw."""

    def __init__(self) -> None:
        self.root = authority("Clients Root", under=key("rsa2048", "clients-root"))
        self.issuing = authority("Clients Issuing", by=self.root)
        self.stranger = authority("Strange Root")
        self.served = issue(HOST, by=self.issuing, under=key("p256", "mtls-server"), names=(HOST,))
        self.identities: dict[Flaw, tuple[Party, ...]] = {
            "good": (self._client(), self.issuing),
            "wrong-ca": (self._client(by=self.stranger),),
            "no-intermediate": (self._client(),),
            "expired": (self._client(since=-30 * DAY, until=-2 * DAY), self.issuing),
            "future": (self._client(since=3 * DAY, until=60 * DAY), self.issuing),
            "server-only": (self._client(usages=(SERVER_AUTH,)), self.issuing),
        }

    def _client(self, *, by: Party | None = None, **changed: object) -> Party:
        changed.setdefault("usages", (CLIENT_AUTH,))
        return issue("client", by=by or self.issuing, under=key("p256", "mtls-client"), **changed)  # type: ignore[arg-type]

    @property
    def chain(self) -> tuple[Party, ...]:
        return (self.served, self.issuing)

    def credential(self, flaw: Flaw) -> Credential | None:
        if flaw == "none":
            return None
        chain = self.identities[flaw]
        return read(flaw, bundle(*chain), chain[0].key_pem, named="chain", key_named="key")

    def trust(self) -> Trust:
        return Trust(default=(), default_name=None, added=(self.root.der,))


async def judged(world: World, place: tuple[str, int], flaw: Flaw, *, timeout_s: float = 10.0) -> Report:
    """The report of one check of *place* with the identity of *flaw*."""
    options = Options(
        trust=world.trust(), addresses=(place[0],), identity=world.credential(flaw), timeout_s=timeout_s, patience_s=2.5
    )
    return await check(Target.parse(f"{HOST}:{place[1]}"), options)


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """One server software with one setting; `words` is the client authentication that a report must name."""

    name: str
    software: str
    auth: Literal["none", "optional", "required"]
    build: Callable[[Bench, World], tuple[str, int]]


def _nginx(lines: str, protocols: str = "TLSv1.2 TLSv1.3") -> Callable[[Bench, World], tuple[str, int]]:
    def build(bench: Bench, world: World) -> tuple[str, int]:
        # ssl_verify_depth counts the intermediate too, and is 1 by default.
        extra = f"ssl_client_certificate {bench.file(world.root.pem)}; ssl_verify_depth 3; {lines}"
        return bench.nginx(Vhost(names=(HOST,), chains=(world.chain,), extra=extra), protocols=protocols)

    return build


def _haproxy(bind: str) -> Callable[[Bench, World], tuple[str, int]]:
    def build(bench: Bench, world: World) -> tuple[str, int]:
        return bench.haproxy_tls(*world.chain, bind=f"ca-file {bench.file(world.root.pem)} {bind}")

    return build


def _apache(lines: str) -> Callable[[Bench, World], tuple[str, int]]:
    def build(bench: Bench, world: World) -> tuple[str, int]:
        inside = f"SSLCACertificateFile {bench.file(world.root.pem)}\n SSLVerifyDepth 3\n {lines}"
        return bench.apache(inside, *world.chain)

    return build


def _caddy(mode: str) -> Callable[[Bench, World], tuple[str, int]]:
    def build(bench: Bench, world: World) -> tuple[str, int]:
        authentication = {"mode": mode, "trusted_ca_certs_pem_files": [str(bench.file(world.root.pem))]}
        return bench.caddy(*world.chain, policy={"client_authentication": authentication})

    return build


def _stunnel(lines: str) -> Callable[[Bench, World], tuple[str, int]]:
    def build(bench: Bench, world: World) -> tuple[str, int]:
        behind = bench.nginx(Vhost(names=("plain",)), tls=False)
        ca = bench.file(world.root.pem)
        return bench.stunnel(f"CAfile = {ca}\nconnect = {behind[0]}:{behind[1]}\n{lines}", *world.chain)

    return build


def _gnutls(*flags: str) -> Callable[[Bench, World], tuple[str, int]]:
    def build(bench: Bench, world: World) -> tuple[str, int]:
        return bench.gnutls("--x509cafile", str(bench.file(world.root.pem)), *flags, chain=world.chain, asks=True)

    return build


def _openssl(*flags: str) -> Callable[[Bench, World], tuple[str, int]]:
    def build(bench: Bench, world: World) -> tuple[str, int]:
        return bench.s_server("-CAfile", str(bench.file(world.root.pem)), *flags, chain=world.chain)

    return build


SERVERS: Sequence[Server] = (
    Server(name="nginx", software="nginx", auth="required", build=_nginx("ssl_verify_client on;")),
    Server(name="nginx-1.2", software="nginx", auth="required", build=_nginx("ssl_verify_client on;", "TLSv1.2")),
    Server(name="nginx-optional", software="nginx", auth="optional", build=_nginx("ssl_verify_client optional;")),
    Server(name="haproxy", software="haproxy", auth="required", build=_haproxy("verify required")),
    Server(
        name="haproxy-1.2",
        software="haproxy",
        auth="required",
        build=_haproxy("verify required ssl-max-ver TLSv1.2 alpn h2,http/1.1"),
    ),
    Server(name="haproxy-optional", software="haproxy", auth="optional", build=_haproxy("verify optional")),
    Server(name="apache", software="apache", auth="required", build=_apache("SSLVerifyClient require")),
    Server(
        name="apache-1.2",
        software="apache",
        auth="required",
        build=_apache("SSLVerifyClient require\n SSLProtocol -all +TLSv1.2"),
    ),
    Server(name="apache-optional", software="apache", auth="optional", build=_apache("SSLVerifyClient optional")),
    Server(name="caddy", software="caddy", auth="required", build=_caddy("require_and_verify")),
    Server(name="caddy-optional", software="caddy", auth="optional", build=_caddy("verify_if_given")),
    Server(name="stunnel", software="stunnel+nginx", auth="required", build=_stunnel("verifyChain = yes")),
    Server(
        name="gnutls",
        software="gnutls",
        auth="required",
        build=_gnutls("--require-client-cert", "--verify-client-cert"),
    ),
    Server(
        name="gnutls-1.2",
        software="gnutls",
        auth="required",
        build=_gnutls("--require-client-cert", "--verify-client-cert", "--priority", "NORMAL:-VERS-ALL:+VERS-TLS1.2"),
    ),
    Server(name="gnutls-optional", software="gnutls", auth="optional", build=_gnutls("--verify-client-cert")),
    Server(
        name="openssl",
        software="openssl",
        auth="required",
        build=_openssl("-Verify", "3", "-verify_return_error", "-tls1_3"),
    ),
    Server(
        name="openssl-1.2",
        software="openssl",
        auth="required",
        build=_openssl("-Verify", "3", "-verify_return_error", "-tls1_2"),
    ),
    Server(
        name="openssl-optional",
        software="openssl",
        auth="optional",
        build=_openssl("-verify", "3", "-verify_return_error"),
    ),
)
