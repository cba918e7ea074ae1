"""Every rule with a chain that breaks it and a twin that keeps it, judged here and by two independent verifiers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cache
from ipaddress import ip_address, ip_network
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.verification import PolicyBuilder, Store, VerificationError
from OpenSSL import crypto

from probes.pki import verify
from tests.pki_tests.issuing import AT, CLIENT, HOST, Issued, authority, name, root, server, usage

DNS, IP, DIRECTORY = x509.DNSName, x509.IPAddress, x509.DirectoryName
EMAIL, URI = x509.RFC822Name, x509.UniformResourceIdentifier
PRIVATE = x509.OtherName(x509.ObjectIdentifier("1.3.6.1.4.1.99999.1"), b"\x05\x00")
STRANGE = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4"), b"\x05\x00")


@dataclass(frozen=True)
class Chain:
    """As served, and the store; *host* None where only the chain counts."""

    served: tuple[Issued, ...]
    anchors: tuple[Issued, ...]
    host: str = HOST
    at: datetime = AT


@dataclass(frozen=True)
class Twins:
    """*reason*: the code that the bad one fails with. *blind*: oracles that take the bad one, too, or refuse the good
    one, and why."""

    bad: Callable[[], Chain]
    good: Callable[[], Chain]
    reason: str = "name_constraint"
    blind: dict[str, str] = field(default_factory=dict)


@cache
def top() -> Issued:
    return root()


def limited(
    *names: x509.GeneralName,
    permitted: tuple[x509.GeneralName, ...] = (),
    excluded: tuple[x509.GeneralName, ...] = (),
    host: str = HOST,
    subject: str | None = None,
    critical: bool = True,
) -> Chain:
    """A leaf of *names* (beside HOST) below an authority of such name constraints."""
    constraints = x509.NameConstraints(permitted or None, excluded or None)
    issuing = authority("Limited", top(), more=[(constraints, critical)])
    listed = [*names] if host != HOST else [DNS(HOST), *names]
    return Chain((server(issuing, subject or HOST, names=listed), issuing), (top(),), host)


def below(**changes: Any) -> Chain:
    """A leaf below an authority that is odd."""
    issuing = authority("Odd", top(), **changes)
    return Chain((server(issuing), issuing), (top(),))


def odd(host: str = HOST, **changes: Any) -> Chain:
    """A leaf that is odd."""
    issuing = authority("Issuing", top())
    return Chain((server(issuing, **changes), issuing), (top(),), host)


def signed(algorithm: bytes, *, outside_only: bool) -> Chain:
    """A leaf whose signatureAlgorithm was changed after it was signed."""
    chain = odd()
    leaf, issuing = chain.served
    ecdsa_sha256 = bytes.fromhex("06082a8648ce3d040302")
    assert leaf.der.count(ecdsa_sha256) == 2
    at = leaf.der.rindex(ecdsa_sha256)
    changed = leaf.der[:at] + algorithm + leaf.der[at + len(algorithm) :] if outside_only else leaf.der
    return Chain((Issued(x509.load_der_x509_certificate(changed), leaf.key), issuing), chain.anchors)


SHA384 = bytes.fromhex("06082a8648ce3d040303")
RULES: dict[str, Twins] = {
    "permitted DNS": Twins(
        lambda: limited(permitted=(DNS("example.org"),)), lambda: limited(permitted=(DNS("example.com"),))
    ),
    "permitted DNS is labels, not letters": Twins(
        lambda: limited(permitted=(DNS("ample.com"),)), lambda: limited(permitted=(DNS("www.example.com"),))
    ),
    "excluded wins": Twins(
        lambda: limited(permitted=(DNS("example.com"),), excluded=(DNS("example.com"),)),
        lambda: limited(permitted=(DNS("example.com"),), excluded=(DNS("example.org"),)),
    ),
    "second name": Twins(
        lambda: limited(DNS("a.example.org"), excluded=(DNS("example.org"),)),
        lambda: limited(DNS("a.example.net"), excluded=(DNS("example.org"),)),
    ),
    "wildcard over an excluded name": Twins(
        lambda: limited(DNS("*.example.net"), excluded=(DNS("secret.example.net"),)),
        lambda: limited(DNS("*.example.net"), excluded=(DNS("very.secret.example.net"),)),
        blind={"openssl": "it compares the wildcard as text"},
    ),
    "wildcard beyond a permitted name": Twins(
        lambda: limited(DNS("*.example.net"), permitted=(DNS("example.com"), DNS("one.example.net"))),
        lambda: limited(DNS("*.example.net"), permitted=(DNS("example.com"), DNS("example.net"))),
    ),
    "no DNS name under DNS constraints": Twins(
        lambda: limited(DNS(".example.com"), permitted=(DNS("example.com"),)),
        lambda: limited(DNS("ab.example.com"), permitted=(DNS("example.com"),)),
        blind={"openssl": "it compares the end of the name alone"},
    ),
    "IPv4": Twins(
        lambda: limited(IP(ip_address("192.0.3.1")), permitted=(IP(ip_network("192.0.2.0/24")),), host="192.0.3.1"),
        lambda: limited(IP(ip_address("192.0.2.1")), permitted=(IP(ip_network("192.0.2.0/24")),), host="192.0.2.1"),
    ),
    "IPv6 excluded": Twins(
        lambda: limited(IP(ip_address("2001:db8::1")), excluded=(IP(ip_network("2001:db8::/32")),), host="2001:db8::1"),
        lambda: limited(IP(ip_address("2001:db9::1")), excluded=(IP(ip_network("2001:db8::/32")),), host="2001:db9::1"),
    ),
    "mailbox": Twins(
        lambda: limited(EMAIL("b@example.com"), permitted=(EMAIL("a@example.com"),)),
        lambda: limited(EMAIL("a@EXAMPLE.com"), permitted=(EMAIL("a@example.com"),)),
    ),
    "mailbox host": Twins(
        lambda: limited(EMAIL("a@sub.example.com"), permitted=(EMAIL("example.com"),)),
        lambda: limited(EMAIL("a@example.com"), permitted=(EMAIL("example.com"),)),
    ),
    "mailbox domain": Twins(
        lambda: limited(EMAIL("a@example.com"), permitted=(EMAIL(".example.com"),)),
        lambda: limited(EMAIL("a@sub.example.com"), permitted=(EMAIL(".example.com"),)),
    ),
    "URI host": Twins(
        lambda: limited(URI("https://a.example.com/x"), permitted=(URI("example.com"),)),
        lambda: limited(URI("https://u@example.com:444/x"), permitted=(URI("example.com"),)),
        blind={"cryptography": "it refuses every constraint on URIs"},
    ),
    "URI excluded": Twins(
        lambda: limited(URI("https://a.example.com/x"), excluded=(URI(".example.com"),)),
        lambda: limited(URI("https://example.com/x"), excluded=(URI(".example.com"),)),
        blind={"cryptography": "it refuses every constraint on URIs"},
    ),
    "URI without a host": Twins(
        lambda: limited(URI("urn:x:y"), excluded=(URI(".example.com"),)),
        lambda: limited(URI("https://example.org/"), excluded=(URI(".example.com"),)),
        blind={"cryptography": "it refuses every constraint on URIs"},
    ),
    "directory name of the subject": Twins(
        lambda: limited(permitted=(DIRECTORY(name(None, "Other")),)),
        lambda: limited(excluded=(DIRECTORY(name(None, "Other")),)),
        blind={"cryptography": "it refuses every constraint on directory names"},
    ),
    "directory name in the subjectAltName": Twins(
        lambda: limited(DIRECTORY(name("x", "Other")), excluded=(DIRECTORY(name(None, "Other")),)),
        lambda: limited(DIRECTORY(name("Other", "x")), excluded=(DIRECTORY(name(None, "Other")),)),
        blind={"cryptography": "it refuses every constraint on directory names"},
    ),
    "a form that nobody compares": Twins(
        lambda: limited(PRIVATE, excluded=(PRIVATE,)),
        lambda: limited(excluded=(PRIVATE,)),
    ),
    "constraints on intermediates": Twins(
        lambda: _two_levels("bad.example.org"),
        lambda: _two_levels("good.example.com"),
    ),
    "unknown critical extension": Twins(
        lambda: odd(more=[(STRANGE, True)]), lambda: odd(more=[(STRANGE, False)]), "unknown_critical_extension"
    ),
    "unknown critical extension above": Twins(
        lambda: below(more=[(STRANGE, True)]), lambda: below(more=[(STRANGE, False)]), "unknown_critical_extension"
    ),
    "CA flag": Twins(lambda: below(ca=False), below, "not_ca"),
    "no basicConstraints": Twins(lambda: below(ca=None), below, "not_ca"),
    "keyCertSign": Twins(lambda: below(key_usage=usage("crl_sign")), below, "wrong_usage"),
    "usage nests": Twins(
        lambda: below(eku=CLIENT),
        lambda: below(eku=(*CLIENT, x509.OID_SERVER_AUTH)),
        "wrong_usage",
        {"openssl": "it is not told what the chain is for"},
    ),
    "leaf usage": Twins(
        lambda: odd(eku=CLIENT),
        lambda: odd(eku=None),
        "wrong_usage",
        {"openssl": "it is not told what the chain is for"},
    ),
    "path length": Twins(lambda: _deep(0), lambda: _deep(1), "path_length"),
    "expired": Twins(lambda: odd(end=AT - timedelta(seconds=1)), lambda: odd(end=AT), "expired"),
    "not yet valid": Twins(lambda: odd(start=AT + timedelta(seconds=1)), lambda: odd(start=AT), "not_yet_valid"),
    "two signature algorithms": Twins(
        lambda: signed(SHA384, outside_only=True), lambda: signed(SHA384, outside_only=False), "unreadable"
    ),
    "a key of P-192": Twins(
        lambda: odd(key=ec.generate_private_key(ec.SECP192R1())),
        lambda: odd(key=ec.generate_private_key(ec.SECP384R1())),
        "weak_key",
        {
            "openssl": "strength is asked of the handshake, not of the chain",
            "cryptography": "it does not look at the leaf's key",
        },
    ),
    "host": Twins(lambda: odd(host="other.example.com"), odd, "other-names", {"openssl": "it is not told the host"}),
}


def _two_levels(middle: str) -> Chain:
    constraints = x509.NameConstraints(None, [DNS("example.org")])
    upper = authority("Upper", top(), constraints=constraints)
    lower = authority("Lower", upper, names=[DNS(middle)])
    return Chain((server(lower), lower, upper), (top(),))


def _deep(allowed: int) -> Chain:
    upper = authority("Upper", top(), path_len=allowed)
    lower = authority("Lower", upper)
    return Chain((server(lower), lower, upper), (top(),))


def ours(chain: Chain) -> tuple[bool, tuple[str, ...]]:
    found = verify(
        [each.der for each in chain.served],
        anchors=[each.der for each in chain.anchors],
        host=chain.host,
        at=chain.at,
    )
    assert found.ok == (not found.reasons)
    return found.ok, found.reasons


def by_cryptography(chain: Chain) -> bool:
    leaf, *pool = (each.x509 for each in chain.served)
    try:
        subject: x509.DNSName | x509.IPAddress = IP(ip_address(chain.host))
    except ValueError:
        subject = DNS(chain.host)
    builder = PolicyBuilder().store(Store([each.x509 for each in chain.anchors])).time(chain.at)
    try:
        builder.build_server_verifier(subject).verify(leaf, pool)
    except VerificationError:
        return False
    return True


def by_openssl(chain: Chain) -> bool:
    trusted = crypto.X509Store()
    for each in chain.anchors:
        trusted.add_cert(crypto.X509.from_cryptography(each.x509))
    trusted.set_time(chain.at)
    leaf, *pool = (crypto.X509.from_cryptography(each.x509) for each in chain.served)
    try:
        crypto.X509StoreContext(trusted, leaf, pool).verify_certificate()
    except crypto.X509StoreContextError:
        return False
    return True


@pytest.mark.parametrize("rule", RULES)
def test_one_twin_holds_and_the_other_fails_for_its_fault(rule: str) -> None:
    twins = RULES[rule]
    assert ours(twins.good()) == (True, ())
    ok, reasons = ours(twins.bad())
    assert not ok and reasons[0] == twins.reason


@pytest.mark.parametrize("rule", [rule for rule, twins in RULES.items() if "cryptography" not in twins.blind])
def test_cryptography_agrees(rule: str) -> None:
    twins = RULES[rule]
    assert (by_cryptography(twins.bad()), by_cryptography(twins.good())) == (False, True)


@pytest.mark.parametrize("rule", [rule for rule, twins in RULES.items() if "openssl" not in twins.blind])
def test_openssl_agrees(rule: str) -> None:
    twins = RULES[rule]
    assert (by_openssl(twins.bad()), by_openssl(twins.good())) == (False, True)


def test_what_an_oracle_is_excused_for_it_does() -> None:
    """An excuse that is none any more is taken back."""
    oracles = {"cryptography": by_cryptography, "openssl": by_openssl}
    for rule, twins in RULES.items():
        for oracle in twins.blind:
            answers = oracles[oracle](twins.bad()), oracles[oracle](twins.good())
            assert answers != (False, True), (rule, oracle)
