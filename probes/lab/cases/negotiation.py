"""Mode 3: client and server find no parameters in common, or only old ones."""

from probes.lab.gate import alerting, by_hello
from probes.lab.spec import Service, Site, Spec
from probes.lab.tls import Terms, serving, terms

_X25519MLKEM768 = 0x11EC
_CBC = "ECDHE+AES:AES"


def _under(site: Site, **changes: object) -> Terms:
    return terms(site.trust.leaf(site.name), site.trust.issuing_r, **changes)


def _ed448(site: Site) -> tuple[Service, ...]:
    trust = site.trust
    return (serving(terms(trust.leaf(site.name, key="ed448", issuer=trust.issuing_e), trust.issuing_e)),)


def _post_quantum_intolerant(site: Site) -> tuple[Service, ...]:
    good, bad = serving(_under(site, groups="X25519:P-256:P-384")), alerting(40)
    return (by_hello(lambda hello: bad if _X25519MLKEM768 in (hello.groups or ()) else good),)


SPECS = (
    Spec(
        name="no-common-version.lab",
        mode=3,
        expected="negotiation.protocol-version",
        status="broken",
        description="every version is refused (alert 70)",
        build=lambda _: (alerting(70),),
    ),
    Spec(
        name="no-common-cipher.lab",
        mode=3,
        expected="negotiation.cipher",
        status="broken",
        description="TLS 1.2 with a Camellia suite alone, which no current client offers",
        build=lambda site: (serving(_under(site, newest="TLSv1.2", ciphers="ECDHE-RSA-CAMELLIA256-SHA384")),),
    ),
    Spec(
        name="handshake-failure.lab",
        mode=3,
        expected="negotiation.cipher",
        status="broken",
        description="every ClientHello is answered with handshake_failure (alert 40)",
        build=lambda _: (alerting(40),),
    ),
    Spec(
        name="no-common-group.lab",
        mode=3,
        expected="negotiation.group",
        status="broken",
        description="X448 is the only key-exchange group: no browser offers it",
        build=lambda site: (serving(_under(site, groups="X448")),),
    ),
    Spec(
        name="post-quantum-intolerant.lab",
        mode=3,
        expected="negotiation.group",
        status="broken",
        description="fails (alert 40) as soon as a client offers post-quantum key exchange, as current browsers do",
        build=_post_quantum_intolerant,
    ),
    Spec(
        name="no-common-signature.lab",
        mode=3,
        expected="negotiation.signature",
        status="broken",
        description="an Ed448 certificate: no browser accepts that signature",
        build=_ed448,
    ),
    Spec(
        name="legacy-only.lab",
        mode=3,
        expected="negotiation.legacy-only",
        status="broken",
        description="nothing newer than TLS 1.1",
        build=lambda site: (serving(_under(site, oldest="TLSv1", newest="TLSv1.1", ciphers=_CBC)),),
    ),
    Spec(
        name="modern-only.lab",
        mode=3,
        expected="negotiation.modern-only",
        status="warning",
        description="TLS 1.3 alone: older clients fail",
        build=lambda site: (serving(_under(site, oldest="TLSv1.3")),),
    ),
    Spec(
        name="alpn.lab",
        mode=3,
        expected="negotiation.alpn",
        status="broken",
        description="insists on a protocol that browsers do not offer: whoever sends ALPN gets alert 120",
        build=lambda site: (serving(_under(site, alpn=(b"mqtt",), alpn_required=True)),),
    ),
    Spec(
        name="weak-offered.lab",
        mode=3,
        expected=None,
        status="ok",
        notice="negotiation.weak-offered",
        description="TLS 1.0 and CBC suites are offered beside good ones",
        build=lambda site: (serving(_under(site, oldest="TLSv1", ciphers=f"ECDHE+AESGCM:{_CBC}")),),
    ),
)
