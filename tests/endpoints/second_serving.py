"""What the second matrix is built from: one chain on any server software, and certificates bent by hand."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Sequence
from datetime import timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes

from tests.endpoints.authority import NOW, SERVER_AUTH, Key, Party, common_name, key
from tests.endpoints.bench import Bench, Vhost
from tests.endpoints.cases import Case, Place

Build = Callable[[Bench, Case], Place]
Chain = Callable[[Bench, Case], Sequence[Party]]
At = tuple[str, int]
DAY = timedelta(days=1)
HOUR = timedelta(hours=1)


def at(place: At, host: str | None = None, sni: str | None = None) -> Place:
    return Place(addresses=(place[0],), port=place[1], host=host, sni=sni)


def good(bench: Bench, case: Case) -> Sequence[Party]:
    return (bench.hierarchy.leaf(case.host), bench.hierarchy.intermediate)


def named(*names: str) -> Chain:
    """A healthy chain for *names*; `{host}` stands for the host."""

    def chain(bench: Bench, case: Case) -> Sequence[Party]:
        h = bench.hierarchy
        return (h.leaf(*(name.replace("{host}", case.host) for name in names)), h.intermediate)

    return chain


def dated(since: timedelta, until: timedelta) -> Chain:
    def chain(bench: Bench, case: Case) -> Sequence[Party]:
        h = bench.hierarchy
        return (h.leaf(case.host, since=since, until=until), h.intermediate)

    return chain


def keyed(kind: str) -> Chain:
    """A leaf with another kind of key under the RSA chain."""

    def chain(bench: Bench, case: Case) -> Sequence[Party]:
        h = bench.hierarchy
        return (h.leaf(case.host, under=key(kind)), h.intermediate)

    return chain


def served(
    bench: Bench, server: str, chain: Sequence[Party], host: str, extra: str = "", place: At | None = None
) -> At:
    """*chain* on one of the server programs in its plainest form; `extra` in that program's own words."""
    match server:
        case "nginx":
            return bench.nginx(Vhost(names=(host,), chains=(tuple(chain),), extra=extra), at=place)
        case "haproxy":
            return bench.haproxy_tls(*chain, bind=extra or "alpn h2,http/1.1", at=place)
        case "apache":
            return bench.apache(f"ServerName {host}\n {extra}", *chain, at=place)
        case "caddy":
            return bench.caddy(*chain, at=place)
        case "stunnel":
            behind = bench.nginx(Vhost(names=(host,)), tls=False)
            return bench.stunnel(f"connect = {behind[0]}:{behind[1]}\n{extra}", *chain, at=place)
        case "gnutls":
            return bench.gnutls(*extra.split(), chain=chain)
        case _:
            return bench.s_server(*extra.split(), chain=chain, at=place)


def on(server: str, chain: Chain = good, extra: str = "") -> Build:
    return lambda bench, case: at(served(bench, server, chain(bench, case), case.host, extra))


def nginx(
    chain: Chain = good,
    extra: str = "",
    *,
    protocols: str = "TLSv1.2 TLSv1.3",
    http2: bool = True,
    legacy: bool = False,
) -> Build:
    def build(bench: Bench, case: Case) -> Place:
        vhost = Vhost(names=(case.host,), chains=(tuple(chain(bench, case)),), extra=extra)
        return at(bench.nginx(vhost, protocols=protocols, http2=http2, legacy=legacy))

    return build


def minted(
    subject: str,
    *,
    by: Party | None,
    under: Key | None = None,
    names: Sequence[str] = (),
    since: timedelta = -30 * DAY,
    until: timedelta = 60 * DAY,
    ca: bool = False,
    path_length: int | None = None,
    extensions: Sequence[tuple[x509.ExtensionType, bool]] = (),
    key_ids: bool = True,
    no_subject: bool = False,
    digest: hashes.SHA256 | hashes.SHA384 | hashes.SHA512 | None = None,
) -> Party:
    """A certificate with exactly these extensions beside its constraints and names."""
    own = under or key("rsa2048")
    signer = by.key if by else own
    subject_name = x509.Name([]) if no_subject else common_name(subject)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject_name)
        .issuer_name(by.certificate.subject if by else subject_name)
        .public_key(own.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(NOW + since)
        .not_valid_after(NOW + until)
        .add_extension(x509.BasicConstraints(ca=ca, path_length=path_length), critical=True)
    )
    if key_ids:
        builder = builder.add_extension(x509.SubjectKeyIdentifier.from_public_key(own.public_key()), critical=False)
        builder = builder.add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), critical=False
        )
    if names:
        san = x509.SubjectAlternativeName([x509.DNSName(name) for name in names])
        builder = builder.add_extension(san, critical=no_subject)
    if not ca and not any(isinstance(extension, x509.ExtendedKeyUsage) for extension, _ in extensions):
        builder = builder.add_extension(x509.ExtendedKeyUsage([SERVER_AUTH]), critical=False)
    for extension, critical in extensions:
        builder = builder.add_extension(extension, critical=critical)
    return Party(certificate=builder.sign(signer, digest or hashes.SHA256()), key=own)


def usage(*granted: str) -> x509.KeyUsage:
    """keyUsage with only these bits."""
    bits = [
        "digital_signature",
        "content_commitment",
        "key_encipherment",
        "data_encipherment",
        "key_agreement",
        "key_cert_sign",
        "crl_sign",
        "encipher_only",
        "decipher_only",
    ]
    return x509.KeyUsage(**{bit: bit in granted for bit in bits})


def version_1(bench: Bench, subject: str, *, by: Party | None, under: Key, days: int = 365) -> Party:
    """An X.509 version 1 certificate, which openssl issues when it is given no extensions."""
    own = Party(certificate=bench.hierarchy.root.certificate, key=under)  # only its key is used
    key_file = bench.file(own.key_pem)
    request = bench.file("")
    result = bench.file("")
    ask = ["openssl", "req", "-new", "-key", str(key_file), "-subj", f"/CN={subject}", "-out", str(request)]
    sign = ["openssl", "x509", "-req", "-in", str(request), "-days", str(days), "-sha256", "-out", str(result)]
    if by is None:
        sign += ["-signkey", str(key_file)]
    else:
        sign += ["-CA", str(bench.file(by.pem)), "-CAkey", str(bench.file(by.key_pem)), "-set_serial", "77"]
    for command in (ask, sign):
        subprocess.run(command, check=True, capture_output=True, stdin=subprocess.DEVNULL)
    return Party(certificate=x509.load_pem_x509_certificate(result.read_bytes()), key=under)
