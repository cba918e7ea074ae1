"""The table: endpoints that differ in one thing, served by nginx and `openssl s_server` on loopback.

Each is a trap for some client and none for another: what the families are said to do is compared with what they do.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa

from tests.endpoints.authority import CLIENT_AUTH, SERVER_AUTH, Party, authority, issue, key
from tests.endpoints.bench import Bench, Vhost

DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Spot:
    """One endpoint as clients reach it. *host* is a name that resolves to *address*, or the address itself."""

    id: str
    host: str
    address: str
    port: int

    @property
    def is_ip(self) -> bool:
        return self.host == self.address


class Table:
    """Collects the endpoints on a bench."""

    def __init__(self, bench: Bench) -> None:
        self.bench = bench
        self.h = bench.hierarchy
        self.spots: list[Spot] = []

    def host(self, id: str) -> str:
        return f"{id}.software.test"

    def add(
        self,
        id: str,
        chain: Sequence[Party] | None = None,
        *,
        host: str | None = None,
        protocols: str = "TLSv1.2 TLSv1.3",
        ciphers: str = "",
        curves: str = "",
        extra: str = "",
        legacy: bool = False,
        at: tuple[str, int] | None = None,
    ) -> None:
        """An nginx listener with this chain (default: a healthy one) and these settings."""
        host = host or self.host(id)
        lines = [extra]
        lines += [f"ssl_ciphers {ciphers};"] if ciphers else []
        lines += [f"ssl_ecdh_curve {curves};"] if curves else []
        served = tuple(chain or (self.h.leaf(host), self.h.intermediate))
        vhost = Vhost(names=("_",), chains=(served,), extra="\n".join(lines))
        address, port = self.bench.nginx(vhost, protocols=protocols, legacy=legacy, at=at)
        self.spots.append(Spot(id=id, host=host, address=address, port=port))

    def add_openssl(self, id: str, *args: str, chain: Sequence[Party]) -> None:
        """An `openssl s_server`, for what nginx does in HTTP or not at all."""
        address, port = self.bench.s_server(*args, chain=chain)
        self.spots.append(Spot(id=id, host=self.host(id), address=address, port=port))

    def leaf(self, id: str, by: Party | None = None, **changed: Any) -> Party:
        return self.h.leaf(self.host(id), by=by, **changed)

    def with_leaf(self, id: str, **changed: Any) -> None:
        """Only the leaf differs."""
        self.add(id, (self.leaf(id, **changed), self.h.intermediate))

    def under(self, id: str, issuer: Party, *above: Party, legacy: bool = False, **changed: Any) -> None:
        """A healthy leaf under *issuer*."""
        self.add(id, (self.leaf(id, by=issuer, **changed), issuer, *above), legacy=legacy)


def build(bench: Bench) -> list[Spot]:
    """Every endpoint of the table, configured and not yet started."""
    table = Table(bench)
    for part in (_keys, _negotiation, _chains, _usages, _strength, _dates, _names, _addresses, _client_certificates):
        part(table)
    return table.spots


def _keys(t: Table) -> None:
    h = t.h
    t.add("rsa")
    for kind in ("p256", "p384", "p521", "ed25519"):
        t.add(f"key-{kind}", (t.leaf(f"key-{kind}", by=h.ec_intermediate, under=key(kind)), h.ec_intermediate))


def _negotiation(t: Table) -> None:
    h = t.h
    for name, protocols in (("tls12", "TLSv1.2"), ("tls13", "TLSv1.3"), ("tls11", "TLSv1.1"), ("tls10", "TLSv1")):
        t.add(name, protocols=protocols, legacy=name in {"tls11", "tls10"})
    for name, ciphers in {
        "cbc": "ECDHE-RSA-AES128-SHA",
        "cbc-sha256": "ECDHE-RSA-AES128-SHA256",
        "rsa-kx": "AES128-GCM-SHA256",
        "rsa-kx-cbc": "AES128-SHA",
        "chacha": "ECDHE-RSA-CHACHA20-POLY1305",
        "rsa-ccm": "AES128-CCM",
        "rsa-aria": "ARIA128-GCM-SHA256",
        "ecdhe-aria": "ECDHE-ARIA128-GCM-SHA256",
        "camellia": "ECDHE-RSA-CAMELLIA128-SHA256",
    }.items():
        t.add(name, protocols="TLSv1.2", ciphers=ciphers)
    ecdsa = (t.leaf("ecdsa-ccm", by=h.ec_intermediate, under=key("p256")), h.ec_intermediate)
    t.add("ecdsa-ccm", ecdsa, protocols="TLSv1.2", ciphers="ECDHE-ECDSA-AES128-CCM")
    dh = t.bench.file(_DH_2048)
    for name, ciphers in (("dhe", "DHE-RSA-AES128-GCM-SHA256"), ("dhe-cbc", "DHE-RSA-AES128-SHA")):
        t.add(name, protocols="TLSv1.2", ciphers=ciphers, extra=f"ssl_dhparam {dh};")
    for curve in ("X25519", "prime256v1", "secp384r1", "secp521r1", "X448", "ffdhe2048", "brainpoolP256r1"):
        protocols = "TLSv1.2" if curve.startswith("brainpool") else "TLSv1.3"
        t.add(f"group-{curve.lower()}", curves=curve, protocols=protocols)
    t.add("tls13-aes256", protocols="TLSv1.3", extra="ssl_conf_command Ciphersuites TLS_AES_256_GCM_SHA384;")
    t.add("tls13-ccm", protocols="TLSv1.3", extra="ssl_conf_command Ciphersuites TLS_AES_128_CCM_SHA256;")
    t.add(
        "signs-sha1",
        protocols="TLSv1.2",
        extra="ssl_conf_command SignatureAlgorithms RSA+SHA1;",
        ciphers="ECDHE-RSA-AES128-GCM-SHA256",
        legacy=True,
    )


def _chains(t: Table) -> None:
    h = t.h
    t.add("incomplete", (t.leaf("incomplete"),))
    t.add("untrusted", (t.leaf("untrusted", by=h.stranger_intermediate), h.stranger_intermediate, h.stranger))
    t.add("self-signed", (issue(t.host("self-signed"), names=(t.host("self-signed"),)),))
    t.add("root-sent", (t.leaf("root-sent"), h.intermediate, h.root))
    t.add("stray", (t.leaf("stray"), h.intermediate, h.stranger_intermediate))
    t.add("misordered", (t.leaf("misordered", by=h.lower), h.intermediate, h.lower))
    t.add("wrong-intermediate", (t.leaf("wrong-intermediate"), h.ec_intermediate))
    expired = authority("Matrix Issuing Expired", by=h.root, until=-DAY)
    t.under("expired-intermediate", expired)
    # The same intermediate twice, by another root that has expired: who looks further finds the good one.
    old_root = authority("Matrix Old Root", since=-900 * DAY, until=-DAY)
    twice = authority("Matrix Issuing Twice", by=h.root)
    cross = issue("Matrix Issuing Twice", by=old_root, under=twice.key, ca=True, usages=None, until=-DAY)
    t.add("cross-sign-expired", (t.leaf("cross-sign-expired", by=twice), cross, twice))
    for length in (8, 9, 10, 11):
        _long(t, length)


def _long(t: Table, length: int) -> None:
    """A chain of *length* certificates, the root counted."""
    above = [t.h.root]
    for number in range(length - 2):
        above.append(authority(f"Matrix Deep {length}-{number}", by=above[-1]))
    t.under(f"long-{length}", above[-1], *reversed(above[1:-1]))


def _usages(t: Table) -> None:
    h = t.h
    t.with_leaf("eku-client", usages=(CLIENT_AUTH,))
    t.with_leaf("eku-none", usages=None)
    t.with_leaf("leaf-is-ca", ca=True, usages=(SERVER_AUTH, CLIENT_AUTH))
    t.with_leaf("encipher-only", key_usage=_usage(key_encipherment=True))
    t.with_leaf("cert-sign-only", key_usage=_usage(key_cert_sign=True))
    t.under("intermediate-eku-client", authority("Matrix Issuing Clients", by=h.root, usages=(CLIENT_AUTH,)))
    t.under("intermediate-no-ca", authority("Matrix Issuing Not CA", by=h.root, ca=False))
    short = _constrained("Matrix Issuing Short", h.root, x509.BasicConstraints(ca=True, path_length=0))
    below = authority("Matrix Issuing Below Short", by=short)
    t.add("path-length", (t.leaf("path-length", by=below), below, short))
    elsewhere = x509.NameConstraints(permitted_subtrees=[x509.DNSName("elsewhere.test")], excluded_subtrees=None)
    t.under("name-constraint", _constrained("Matrix Issuing Elsewhere", h.root, elsewhere))
    here = x509.NameConstraints(permitted_subtrees=[x509.DNSName("software.test")], excluded_subtrees=None)
    t.under("name-constraint-kept", _constrained("Matrix Issuing Here", h.root, here))
    odd = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.3.6.1.4.1.55555.1"), b"\x05\x00")
    t.add("unknown-critical", (_extended(t, "unknown-critical", odd), h.intermediate))


def _strength(t: Table) -> None:
    h = t.h
    t.add("sha1-leaf", (t.leaf("sha1-leaf", sha1=True), h.intermediate), legacy=True)
    t.under("sha1-intermediate", authority("Matrix Issuing SHA-1", by=h.root, sha1=True), legacy=True)
    for bits in (1024, 1536):
        small = rsa.generate_private_key(65537, bits)
        t.add(f"rsa{bits}", (t.leaf(f"rsa{bits}", under=small), h.intermediate), legacy=True)
        t.under(f"rsa{bits}-intermediate", authority(f"Matrix Issuing {bits}", by=h.root, under=small), legacy=True)


def _dates(t: Table) -> None:
    t.with_leaf("expired", since=-90 * DAY, until=-DAY)
    t.with_leaf("future", since=DAY, until=90 * DAY)
    t.with_leaf("long-lived", since=-DAY, until=3000 * DAY)


def _names(t: Table) -> None:
    h = t.h

    def named(id: str, *names: str, host: str | None = None, subject: str = "a server") -> None:
        t.add(id, (issue(subject, by=h.intermediate, names=names), h.intermediate), host=host)

    named("name-other", "other.test")
    named("name-case", "NAME-CASE.Software.TEST")
    named("name-many", "other.test", t.host("name-many"))
    named("wildcard", "*.software.test")
    named("wildcard-deep", "*.software.test", host="a.b.software.test")
    named("wildcard-apex", "*.apex.test", host="apex.test")
    named("wildcard-tld", "*.test", host="wild.test")
    named("wildcard-bare", "*", host="bare")
    named("wildcard-prefix", "api*.software.test", host="api7.software.test")
    named("wildcard-suffix", "*api.software.test", host="myapi.software.test")
    named("wildcard-middle", "a.*.software.test", host="a.b.software.test")
    named("wildcard-idn", "*.software.test", host="xn--bcher-kva.software.test")
    named("underscore", "under_score.software.test", host="under_score.software.test")
    named("underscore-wildcard", "*.software.test", host="under_line.software.test")
    named("cn-only", subject=t.host("cn-only"))
    named("cn-wildcard", subject="*.software.test")
    named("cn-beside-san", "other.test", subject=t.host("cn-beside-san"))
    named("cn-beside-ip", "192.0.2.1", subject=t.host("cn-beside-ip"))
    named("no-name", subject="no name at all")


def _addresses(t: Table) -> None:
    h = t.h

    def at_address(id: str, make: Callable[[str], Party]) -> None:
        place = t.bench.place()
        t.add(id, (make(place[0]), h.intermediate), host=place[0], at=place)

    at_address("ip-san", lambda ip: issue("ip", by=h.intermediate, names=(ip,)))
    at_address("ip-other", lambda ip: issue("ip", by=h.intermediate, names=("192.0.2.1",)))
    at_address("ip-cn", lambda ip: issue(ip, by=h.intermediate))
    at_address("ip-cn-beside-name", lambda ip: issue(ip, by=h.intermediate, names=("other.test",)))
    at_address("ip-as-name", _address_as_name(h.intermediate))


def _address_as_name(issuer: Party) -> Callable[[str], Party]:
    def make(ip: str) -> Party:
        names = x509.SubjectAlternativeName([x509.DNSName(ip)])
        return _signed(issue("ip", by=issuer), issuer, names)

    return make


def _client_certificates(t: Table) -> None:
    chain = (t.leaf("client-certificate-12"), t.h.intermediate)
    t.add_openssl("client-certificate-12", "-tls1_2", "-Verify", "1", "-verify_return_error", chain=chain)
    chain = (t.leaf("client-certificate-13"), t.h.intermediate)
    t.add_openssl("client-certificate-13", "-tls1_3", "-Verify", "1", "-verify_return_error", chain=chain)
    t.add("client-certificate-optional", extra="ssl_verify_client optional_no_ca;")


def _usage(**allowed: bool) -> x509.KeyUsage:
    names = (
        *("digital_signature", "content_commitment", "key_encipherment", "data_encipherment", "key_agreement"),
        *("key_cert_sign", "crl_sign", "encipher_only", "decipher_only"),
    )
    return x509.KeyUsage(**{name: allowed.get(name, False) for name in names})


def _constrained(subject: str, by: Party, extension: x509.BasicConstraints | x509.NameConstraints) -> Party:
    """An authority with this extension in the place of its own, or beside it."""
    return _signed(authority(subject, by=by), by, extension)


def _extended(t: Table, id: str, extension: x509.ExtensionType) -> Party:
    return _signed(t.leaf(id), t.h.intermediate, extension)


def _signed(party: Party, by: Party, extension: x509.ExtensionType) -> Party:
    """*party* once more, with *extension* critical (a subjectAltName is not) and signed again."""
    old = party.certificate
    builder = (
        x509.CertificateBuilder()
        .subject_name(old.subject)
        .issuer_name(old.issuer)
        .public_key(old.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(old.not_valid_before_utc)
        .not_valid_after(old.not_valid_after_utc)
    )
    for each in old.extensions:
        if each.oid != extension.oid:
            builder = builder.add_extension(each.value, each.critical)
    critical = not isinstance(extension, x509.SubjectAlternativeName)
    builder = builder.add_extension(extension, critical)
    return Party(certificate=builder.sign(by.key, hashes.SHA256()), key=party.key)


# The group of RFC 7919 appendix A.1 (ffdhe2048), as `openssl genpkey -genparam` writes it: making one takes seconds.
_DH_2048 = """-----BEGIN DH PARAMETERS-----
MIIBCAKCAQEA//////////+t+FRYortKmq/cViAnPTzx2LnFg84tNpWp4TZBFGQz
+8yTnc4kmz75fS/jY2MMddj2gbICrsRhetPfHtXV/WVhJDP1H18GbtCFY2VVPe0a
87VXE15/V8k1mE8McODmi3fipona8+/och3xWKE2rec1MKzKT0g6eXq8CrGCsyT7
YdEIqUuyyOP7uWrat2DX9GgdT0Kj3jlN9K5W7edjcrsZCwenyO4KbXCeAvzhzffi
7MA0BM0oNC9hkXL+nOmFg/+OTxIy7vKBg8P+OxtMb61zO7X8vC7CIAXFjvGDfRaD
ssbzSibBsu/6iGtCOGEoXJf//////////wIBAg==
-----END DH PARAMETERS-----
"""
