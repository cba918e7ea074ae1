"""Nothing is wrong here. Each is unusual in a way that must not look like a fault."""

from datetime import timedelta

from probes.lab.spec import Service, Site, Spec
from probes.lab.tls import Terms, serving, terms


def _usual(site: Site, **changes: object) -> Terms:
    return terms(site.trust.leaf(site.name), site.trust.issuing_r, **changes)


def _healthy(site: Site) -> tuple[Service, ...]:
    return (serving(_usual(site)),)


def _ecdsa(site: Site) -> tuple[Service, ...]:
    trust = site.trust
    return (serving(terms(trust.leaf(site.name, key=trust.ec_key, issuer=trust.issuing_e), trust.issuing_e)),)


def _short_lived(site: Site) -> tuple[Service, ...]:
    leaf = site.trust.leaf(site.name, age=timedelta(days=2), lifetime=timedelta(days=6))
    return (serving(terms(leaf, site.trust.issuing_r)),)


def _wildcard(site: Site) -> tuple[Service, ...]:
    return (serving(terms(site.trust.leaf("*.wildcard.lab"), site.trust.issuing_r)),)


def _ip_literal(site: Site) -> tuple[Service, ...]:
    return (serving(terms(site.trust.leaf(site.addresses[0]), site.trust.issuing_r)),)


def _two_intermediates(site: Site) -> tuple[Service, ...]:
    trust = site.trust
    return (serving(terms(trust.leaf(site.name, issuer=trust.issuing_p), trust.issuing_p, trust.policy)),)


def _two_addresses(site: Site) -> tuple[Service, ...]:
    server = serving(_usual(site))  # one context: one certificate, one ticket key
    return server, server


SPECS = (
    Spec(
        name="healthy.lab",
        mode=None,
        expected=None,
        status="ok",
        description="nothing is wrong here: TLS 1.2 and 1.3, RSA, one intermediate, h2",
        build=_healthy,
    ),
    Spec(
        name="healthy-ecdsa.lab",
        mode=None,
        expected=None,
        status="ok",
        description="healthy, with an ECDSA certificate",
        build=_ecdsa,
    ),
    Spec(
        name="healthy-short-lived.lab",
        mode=None,
        expected=None,
        status="ok",
        description="healthy: a 6-day certificate with 4 days left",
        build=_short_lived,
    ),
    Spec(
        name="healthy.wildcard.lab",
        mode=None,
        expected=None,
        status="ok",
        description="healthy, under a wildcard certificate",
        build=_wildcard,
    ),
    Spec(
        name="",
        mode=None,
        expected=None,
        status="ok",
        description="healthy, asked for by address: the certificate has an IP address",
        build=_ip_literal,
    ),
    Spec(
        name="healthy-post-quantum.lab",
        mode=None,
        expected=None,
        status="ok",
        description="healthy: post-quantum key exchange first, X25519 for the others",
        build=lambda site: (serving(_usual(site, groups="X25519MLKEM768:X25519:P-256:P-384")),),
    ),
    Spec(
        name="healthy-classical.lab",
        mode=None,
        expected=None,
        status="ok",
        description="healthy, without post-quantum key exchange",
        build=lambda site: (serving(_usual(site, groups="X25519:P-256:P-384")),),
    ),
    Spec(
        name="healthy-hello-retry.lab",
        mode=None,
        expected=None,
        status="ok",
        description="healthy, but P-384 alone: most clients are asked for another key share first",
        build=lambda site: (serving(_usual(site, groups="P-384")),),
    ),
    Spec(
        name="healthy-tls1.2-only.lab",
        mode=None,
        expected=None,
        status="ok",
        description="healthy, with TLS 1.2 alone",
        build=lambda site: (serving(_usual(site, newest="TLSv1.2")),),
    ),
    Spec(
        name="healthy-http1.lab",
        mode=None,
        expected=None,
        status="ok",
        description="healthy, with HTTP/1.1 alone",
        build=lambda site: (serving(_usual(site, alpn=(b"http/1.1",))),),
    ),
    Spec(
        name="healthy-no-alpn.lab",
        mode=None,
        expected=None,
        status="ok",
        description="healthy, and takes no notice of ALPN",
        build=lambda site: (serving(_usual(site, alpn=())),),
    ),
    Spec(
        name="healthy-two-intermediates.lab",
        mode=None,
        expected=None,
        status="ok",
        description="healthy, over two intermediates in the right order",
        build=_two_intermediates,
    ),
    Spec(
        name="healthy-two-addresses.lab",
        mode=None,
        expected=None,
        status="ok",
        description="healthy, on two addresses that are alike",
        build=_two_addresses,
        addresses=2,
    ),
)
