"""What an error text says, whichever library's words it uses: a claim, and the causes it points to. Data.

A claim's causes stand most likely first, as (code, weight); the weights of one claim sum to at most 1. Where the one
who speaks is a server that judges its client's certificate, `at_server` holds instead. One list, so a long module.
"""

from __future__ import annotations

from typing import Literal, TypeAlias

from probes.values import value

Side: TypeAlias = Literal["client", "server", "unknown"]
Causes: TypeAlias = tuple[tuple[str, float], ...]

WRAPPER, VAGUE, PLAIN, PRECISE = 1, 2, 3, 4


@value
class Claim:
    """`says`: one sentence for people. `weight`: how much it counts beside other claims of the same text.

    `raised_by`: the side that always raises it; `unknown`: the side that speaks, so the text around it decides.
    """

    says: str
    causes: Causes
    at_server: Causes = ()
    says_at_server: str = ""
    raised_by: Side = "unknown"
    weight: int = PLAIN


@value
class Said:
    """The words a library has for a claim. `library` empty: the text around it tells.

    `within_tls`: these words are said elsewhere too; they count where the text speaks of TLS besides.
    """

    library: str
    claim: Claim
    patterns: tuple[str, ...]
    within_tls: bool = False


def said(library: str, claim: Claim, *patterns: str) -> Said:
    return Said(library=library, claim=claim, patterns=patterns)


def said_within_tls(library: str, claim: Claim, *patterns: str) -> Said:
    return Said(library=library, claim=claim, patterns=patterns, within_tls=True)


_REFUSED_CA: Causes = (("mtls.unknown-ca", 0.75), ("mtls.certificate-rejected", 0.15))
_REFUSED: Causes = (("mtls.certificate-rejected", 0.85), ("mtls.unknown-ca", 0.07))
_SERVER_JUDGED = "The server judged its client's certificate: "

# ── trust ───────────────────────────────────────────────────────────────────────

NO_PATH = Claim(
    says="The client could not build a path from the server's certificate to a root that it trusts.",
    causes=(("chain.incomplete", 0.5), ("chain.untrusted", 0.35), ("chain.self-signed", 0.08)),
    at_server=_REFUSED_CA,
    says_at_server=_SERVER_JUDGED + "it found no path to a CA that it accepts.",
    weight=PRECISE,
)
NOT_TRUSTED = Claim(
    says="The client does not trust the CA that the server's certificate leads to.",
    causes=(("chain.untrusted", 0.5), ("chain.incomplete", 0.27), ("chain.self-signed", 0.15)),
    at_server=_REFUSED_CA,
    says_at_server=_SERVER_JUDGED + "its CA is not one that the server accepts.",
)
BROWSER_NOT_TRUSTED = Claim(
    says="The browser does not trust the issuer of the server's certificate.",
    causes=(("chain.untrusted", 0.45), ("chain.self-signed", 0.28), ("chain.incomplete", 0.18)),
    raised_by="client",
)
SELF_OR_UNTRUSTED = Claim(
    says="The client does not trust the server's certificate: it is self-signed, or comes from a CA it does not know.",
    causes=(("chain.self-signed", 0.45), ("chain.untrusted", 0.38), ("chain.incomplete", 0.1)),
    at_server=_REFUSED_CA,
    says_at_server=_SERVER_JUDGED + "it is self-signed, or its CA is not accepted.",
)
LEAF_ALONE = Claim(
    says="The client got the server's own certificate but not the intermediate that issued it.",
    causes=(("chain.incomplete", 0.75), ("chain.untrusted", 0.18)),
    at_server=_REFUSED_CA,
    says_at_server=_SERVER_JUDGED + "it came without its intermediate, or from a CA that is not accepted.",
    weight=PRECISE,
)
PRIVATE_ROOT = Claim(
    says="The chain ends at a root that was sent along but that the client does not hold: a private CA, or a proxy "
    "that inspects TLS.",
    causes=(("chain.untrusted", 0.82), ("chain.self-signed", 0.09)),
    at_server=_REFUSED_CA,
    says_at_server=_SERVER_JUDGED + "it leads to a private root that the server does not accept.",
    weight=PRECISE,
)
SELF_SIGNED = Claim(
    says="The server's certificate is its own issuer, so no root vouches for it.",
    causes=(("chain.self-signed", 0.8), ("chain.untrusted", 0.15)),
    at_server=(("mtls.unknown-ca", 0.6), ("mtls.certificate-rejected", 0.32)),
    says_at_server=_SERVER_JUDGED + "it is self-signed.",
    weight=PRECISE,
)
NO_ANCHORS = Claim(
    says="The client's own trust store is empty or cannot be read, so it trusts nobody.",
    causes=(("chain.untrusted", 0.75), ("chain.incomplete", 0.1)),
    at_server=(("mtls.unknown-ca", 0.8),),
    weight=PRECISE,
)
DISTRUSTED = Claim(
    says="The client holds the issuing CA but has withdrawn its trust in it.",
    causes=(("chain.untrusted", 0.75), ("chain.cross-sign", 0.1), ("revocation.revoked", 0.08)),
    weight=PRECISE,
    raised_by="client",
)
PINNED = Claim(
    says="The certificate is not the one the client was told to expect (pinning): it was exchanged, or something on "
    "the path answers in the server's place.",
    causes=(("chain.untrusted", 0.6), ("balancer.certificate-differs", 0.15), ("sni.default-certificate", 0.1)),
    raised_by="client",
    weight=PRECISE,
)
NO_CT = Claim(
    says="The browser found no proof that the certificate was logged publicly (Certificate Transparency).",
    causes=(("chain.untrusted", 0.5), ("chain.incomplete", 0.1)),
    raised_by="client",
    weight=PRECISE,
)
WRONG_ISSUER = Claim(
    says="A signature in the chain does not match its issuer: the intermediate that was sent did not sign this "
    "certificate.",
    causes=(("chain.wrong-intermediate", 0.65), ("chain.untrusted", 0.12), ("chain.misordered", 0.08)),
    at_server=_REFUSED,
    weight=PRECISE,
)
NO_ISSUER_FURTHER_UP = Claim(
    says="A certificate further up the chain lacks its issuer: the root is unknown, or one of two paths is broken.",
    causes=(("chain.untrusted", 0.45), ("chain.incomplete", 0.35), ("chain.cross-sign", 0.1)),
    at_server=_REFUSED_CA,
    weight=PRECISE,
)
CROSS_SIGN = Claim(
    says="The chain runs to an old root that has expired; clients that hold the newer root pass, others fail.",
    causes=(("chain.cross-sign", 0.45), ("chain.expired-intermediate", 0.35), ("validity.expired", 0.08)),
    raised_by="client",
    weight=PRECISE,
)
MISORDERED = Claim(
    says="The certificates of the chain stand in the wrong order, or strays are among them.",
    causes=(("chain.misordered", 0.6), ("chain.wrong-intermediate", 0.2), ("chain.incomplete", 0.1)),
    weight=PRECISE,
)
WEAK = Claim(
    says="A key or a signature in the chain is weaker than this side accepts (SHA-1, MD5, RSA below 2048 bits).",
    causes=(("chain.weak", 0.88),),
    at_server=(("mtls.certificate-rejected", 0.75), ("chain.weak", 0.15)),
    weight=PRECISE,
)
WRONG_USAGE = Claim(
    says="The certificate's key usage forbids what it is used for.",
    causes=(("chain.wrong-usage", 0.85), ("mtls.certificate-rejected", 0.08)),
    at_server=(("mtls.certificate-rejected", 0.85), ("chain.wrong-usage", 0.08)),
    says_at_server=_SERVER_JUDGED + "its usage does not allow client authentication.",
    weight=PRECISE,
)
BAD_CA = Claim(
    says="A certificate that signed another one may not do so: it is not marked as a CA, or its limits forbid it.",
    causes=(("chain.wrong-usage", 0.5), ("chain.wrong-intermediate", 0.2), ("chain.untrusted", 0.15)),
    at_server=_REFUSED,
    weight=PRECISE,
)
CA_AS_SERVER = Claim(
    says="The server shows a CA certificate as its own: a self-signed one made without limits, most often.",
    causes=(("chain.wrong-usage", 0.45), ("chain.self-signed", 0.4)),
    at_server=_REFUSED,
    weight=PRECISE,
)
VERIFY = Claim(
    says="The client refused the server's certificate, and the text does not say why.",
    causes=(
        ("chain.incomplete", 0.3),
        ("chain.untrusted", 0.3),
        ("validity.expired", 0.12),
        ("sni.name-mismatch", 0.1),
        ("chain.self-signed", 0.08),
    ),
    at_server=(("mtls.unknown-ca", 0.5), ("mtls.certificate-rejected", 0.35)),
    says_at_server=_SERVER_JUDGED + "it was refused, and the text does not say why.",
    weight=VAGUE,
)
NOT_AUTHENTICATED = Claim(
    says="The other side showed no certificate that was accepted.",
    causes=VERIFY.causes,
    at_server=(("mtls.certificate-required", 0.6), ("mtls.unknown-ca", 0.2)),
    says_at_server=_SERVER_JUDGED + "there was none, or it was not accepted.",
    weight=VAGUE,
)
CHAIN_VALIDATION = Claim(
    says="Android refused the server's chain as a whole; most often a certificate is out of its time, or the device's "
    "clock is.",
    causes=(("validity.expired", 0.4), ("chain.untrusted", 0.25), ("validity.clock-skew", 0.15)),
    raised_by="client",
)

KEY_MISMATCH = Claim(
    says="The private key does not belong to the first certificate of the file: a renewed certificate with the old "
    "key, or a chain file in the wrong order.",
    causes=(("chain.misordered", 0.42), ("chain.wrong-intermediate", 0.2)),
    raised_by="server",
)
NO_ISSUER_TO_STAPLE = Claim(
    says="The server does not hold its certificate's issuer, so it can neither send it nor staple.",
    causes=(("chain.incomplete", 0.45), ("revocation.staple-missing", 0.3), ("chain.self-signed", 0.15)),
    raised_by="server",
    weight=PRECISE,
)

REFUSED_SOMEHOW = Claim(
    says="A certificate was not accepted, and the text does not say why.",
    causes=(
        ("chain.untrusted", 0.32),
        ("chain.incomplete", 0.28),
        ("validity.expired", 0.1),
        ("sni.name-mismatch", 0.1),
    ),
    at_server=(("mtls.unknown-ca", 0.45), ("mtls.certificate-rejected", 0.4)),
    weight=WRAPPER,
)
LOOKS_EXPIRED = Claim(
    says="A certificate has expired.",
    causes=(("validity.expired", 0.7), ("chain.expired-intermediate", 0.12)),
    at_server=(("mtls.certificate-rejected", 0.85),),
    weight=VAGUE,
)
LOOKS_UNTRUSTED = Claim(
    says="A certificate, or the CA behind it, is not trusted.",
    causes=(("chain.untrusted", 0.48), ("chain.incomplete", 0.24), ("chain.self-signed", 0.16)),
    at_server=(("mtls.unknown-ca", 0.7), ("mtls.certificate-rejected", 0.18)),
    weight=VAGUE,
)
LOOKS_SELF_SIGNED = Claim(
    says="A self-signed certificate was met.",
    causes=(("chain.self-signed", 0.48), ("chain.untrusted", 0.38), ("chain.incomplete", 0.06)),
    at_server=(("mtls.unknown-ca", 0.7), ("mtls.certificate-rejected", 0.18)),
    weight=VAGUE,
)
LOOKS_MISNAMED = Claim(
    says="The names in the certificate do not cover the name that was asked for.",
    causes=(("sni.name-mismatch", 0.62), ("sni.default-certificate", 0.3)),
    at_server=(("mtls.certificate-rejected", 0.8),),
    weight=VAGUE,
)

# ── time ────────────────────────────────────────────────────────────────────────

EXPIRED = Claim(
    says="By the client's clock the server's certificate, or one above it, has expired.",
    causes=(("validity.expired", 0.76), ("chain.expired-intermediate", 0.12), ("validity.clock-skew", 0.07)),
    at_server=(("mtls.certificate-rejected", 0.9),),
    says_at_server=_SERVER_JUDGED + "it has expired.",
    weight=PRECISE,
)
EXPIRED_ISSUER = Claim(
    says="A certificate that issued the server's one has expired.",
    causes=(("chain.expired-intermediate", 0.7), ("chain.cross-sign", 0.15), ("validity.expired", 0.08)),
    weight=PRECISE,
    raised_by="client",
)
NOT_YET = Claim(
    says="By the client's clock the server's certificate is not valid yet.",
    causes=(("validity.not-yet-valid", 0.58), ("validity.clock-skew", 0.37)),
    at_server=(("mtls.certificate-rejected", 0.65), ("validity.clock-skew", 0.25)),
    says_at_server=_SERVER_JUDGED + "it is not valid yet.",
    weight=PRECISE,
)
OUT_OF_TIME = Claim(
    says="By the client's clock the server's certificate is outside its validity: expired, most often.",
    causes=(("validity.expired", 0.64), ("validity.not-yet-valid", 0.14), ("validity.clock-skew", 0.13)),
    at_server=(("mtls.certificate-rejected", 0.88),),
    says_at_server=_SERVER_JUDGED + "it is outside its validity.",
)
CLOCK = Claim(
    says="A clock is wrong, and certificates look expired or not yet valid because of it.",
    causes=(("validity.clock-skew", 0.8), ("validity.not-yet-valid", 0.08), ("validity.expired", 0.06)),
    weight=PRECISE,
)
EXPIRING = Claim(
    says="The certificate still holds, but not for long.",
    causes=(("validity.expiring", 0.85), ("validity.expired", 0.08)),
    weight=PRECISE,
)

# ── names ───────────────────────────────────────────────────────────────────────

NAME = Claim(
    says="The certificate that the server showed does not cover the name the client asked for.",
    causes=(("sni.name-mismatch", 0.6), ("sni.default-certificate", 0.33)),
    at_server=_REFUSED,
    weight=PRECISE,
)
DEFAULT_CERTIFICATE = Claim(
    says="The server answered with its default certificate: it has none, or no route, for this name.",
    causes=(("sni.default-certificate", 0.72), ("sni.name-mismatch", 0.2)),
    weight=PRECISE,
)
UNKNOWN_NAME = Claim(
    says="The server has nothing to serve under the name the client sent.",
    causes=(("sni.unrecognized", 0.72), ("sni.default-certificate", 0.1), ("sni.required", 0.08)),
    raised_by="server",
    weight=PRECISE,
)
NO_NAME_FALLBACK = Claim(
    says="The server showed the certificate that it keeps for clients that send no server name.",
    causes=(("sni.required", 0.6), ("sni.default-certificate", 0.3)),
    raised_by="client",
    weight=PRECISE,
)
NO_NAME_SENT = Claim(
    says="The client sent no server name, and this server wants one.",
    causes=(("sni.required", 0.75), ("sni.unrecognized", 0.12)),
    raised_by="server",
    weight=PRECISE,
)

# ── negotiation ─────────────────────────────────────────────────────────────────

VERSION = Claim(
    says="Client and server have no TLS version in common that both allow.",
    causes=(("negotiation.protocol-version", 0.75), ("negotiation.legacy-only", 0.15)),
    weight=PRECISE,
)
OLD_SERVER = Claim(
    says="The server chose a TLS version that is too old for this client.",
    causes=(("negotiation.protocol-version", 0.5), ("negotiation.legacy-only", 0.42)),
    raised_by="client",
    weight=PRECISE,
)
VERSION_OR_CIPHER = Claim(
    says="Client and server have no TLS version or no cipher suite in common.",
    causes=(("negotiation.protocol-version", 0.42), ("negotiation.cipher", 0.33), ("negotiation.legacy-only", 0.1)),
)
CIPHER = Claim(
    says="Client and server have no cipher suite in common.",
    causes=(("negotiation.cipher", 0.74), ("negotiation.protocol-version", 0.1), ("negotiation.signature", 0.05)),
    weight=PRECISE,
)
WEAK_DH = Claim(
    says="The server's Diffie-Hellman parameters are too small for this client.",
    causes=(("negotiation.group", 0.5), ("negotiation.cipher", 0.35)),
    raised_by="client",
    weight=PRECISE,
)
GROUP = Claim(
    says="Client and server have no key-exchange group in common.",
    causes=(("negotiation.group", 0.8), ("negotiation.cipher", 0.1)),
    weight=PRECISE,
)
SIGNATURE = Claim(
    says="Client and server have no signature algorithm in common that fits the certificate.",
    causes=(("negotiation.signature", 0.72), ("chain.weak", 0.12), ("negotiation.cipher", 0.05)),
    weight=PRECISE,
)
LEGACY_RENEGOTIATION = Claim(
    says="The server knows only the old, unsafe renegotiation, which current libraries refuse.",
    causes=(("negotiation.legacy-only", 0.45), ("negotiation.protocol-version", 0.3), ("negotiation.cipher", 0.1)),
    raised_by="client",
    weight=PRECISE,
)
LEGACY_ONLY = Claim(
    says="The server offers nothing newer than TLS 1.1.",
    causes=(("negotiation.legacy-only", 0.62), ("negotiation.protocol-version", 0.28)),
    weight=PRECISE,
)
MODERN_ONLY = Claim(
    says="The server offers TLS 1.3 alone, and this client is older.",
    causes=(("negotiation.modern-only", 0.55), ("negotiation.protocol-version", 0.35)),
    weight=PRECISE,
)
WEAK_OFFERED = Claim(
    says="Old versions or weak suites are on offer beside good ones.",
    causes=(("negotiation.weak-offered", 0.75), ("negotiation.legacy-only", 0.1)),
)
ALPN = Claim(
    says="Client and server agreed on no application protocol (ALPN), or not on the one that is needed.",
    causes=(("negotiation.alpn", 0.88),),
    weight=PRECISE,
)
HANDSHAKE = Claim(
    says="The handshake failed, and these words alone do not say why.",
    causes=(
        ("negotiation.cipher", 0.22),
        ("negotiation.protocol-version", 0.2),
        ("reach.closed", 0.1),
        ("mtls.certificate-required", 0.1),
        ("chain.untrusted", 0.1),
    ),
    weight=WRAPPER,
)

# ── before TLS ──────────────────────────────────────────────────────────────────

NOT_TLS = Claim(
    says="What came back was not TLS: plain HTTP or another protocol on this port, or a proxy in between.",
    causes=(("reach.not-tls", 0.85), ("negotiation.protocol-version", 0.06)),
    raised_by="client",
    weight=PRECISE,
)
ODD_LENGTH = Claim(
    says="The connection ended inside a record, or its bytes are no TLS: this library says the same of both.",
    causes=(("reach.closed", 0.45), ("reach.not-tls", 0.36), ("negotiation.protocol-version", 0.06)),
)
GARBLED = Claim(
    says="Bytes that are no TLS record came over the connection: another protocol on this port, or a proxy in between.",
    causes=(("reach.not-tls", 0.7), ("negotiation.protocol-version", 0.15)),
)
PLAIN_TO_TLS = Claim(
    says="Somebody spoke plain text (HTTP, most often) to a port that wants TLS.",
    causes=(("reach.not-tls", 0.88),),
    raised_by="server",
    weight=PRECISE,
)
TLS_TO_PLAIN = Claim(
    says="TLS bytes came to a port that speaks plain text: the client uses TLS where the server does not.",
    causes=(("reach.not-tls", 0.88),),
    raised_by="server",
    weight=PRECISE,
)
TLS_UNAVAILABLE = Claim(
    says="The server could not begin TLS on a connection that started in plain text.",
    causes=(("reach.not-tls", 0.5), ("negotiation.protocol-version", 0.12)),
    raised_by="server",
)
PROXY = Claim(
    says="The proxy on the way refused or broke the tunnel (CONNECT); the server itself was never reached.",
    causes=(("reach.not-tls", 0.42), ("reach.unreachable", 0.24), ("reach.refused", 0.12)),
    weight=PRECISE,
)
RESET = Claim(
    says="The connection was reset before the handshake was through.",
    causes=(("reach.reset", 0.72), ("reach.closed", 0.1), ("sni.unrecognized", 0.05), ("reach.large-hello", 0.04)),
    weight=PLAIN,
)
RESET_ALONE = Claim(
    says="The connection was reset; whether during the handshake, the text does not say.",
    causes=(("reach.reset", 0.65), ("reach.closed", 0.12)),
    weight=VAGUE,
)
CLOSED = Claim(
    says="The other side closed the connection during the handshake and said nothing.",
    causes=(("reach.closed", 0.66), ("reach.reset", 0.14), ("negotiation.protocol-version", 0.06)),
    weight=PLAIN,
)
CLOSED_ALONE = Claim(
    says="The other side closed the connection early.",
    causes=(("reach.closed", 0.6), ("reach.reset", 0.18)),
    weight=VAGUE,
)
CLOSED_SOMEHOW = Claim(
    says="The connection was closed, for a reason that may stand beside these words.",
    causes=(("reach.closed", 0.55), ("reach.reset", 0.18), ("negotiation.protocol-version", 0.1)),
    weight=WRAPPER,
)
STALLED = Claim(
    says="The connection stood, but the handshake did not get on in time.",
    causes=(
        ("reach.stalled", 0.64),
        ("reach.slow", 0.12),
        ("reach.large-hello", 0.1),
        ("reach.timeout", 0.06),
    ),
    weight=PRECISE,
)
TIMEOUT = Claim(
    says="Nothing answered the connection attempt: a firewall drops it, or nothing is there.",
    causes=(("reach.timeout", 0.82), ("reach.stalled", 0.07)),
    raised_by="client",
)
TIMEOUT_ALONE = Claim(
    says="Something took too long; the text does not say which step.",
    causes=(("reach.timeout", 0.5), ("reach.stalled", 0.3)),
    weight=VAGUE,
)
REFUSED = Claim(
    says="The address answered that nothing listens on this port.",
    causes=(("reach.refused", 0.92),),
    raised_by="client",
)
UNREACHABLE = Claim(
    says="There is no route to the address, or something on the way forbids it.",
    causes=(("reach.unreachable", 0.9),),
    raised_by="client",
)
DNS = Claim(
    says="The name did not resolve, so no connection was made.",
    causes=(("reach.dns", 0.95),),
    raised_by="client",
    weight=PRECISE,
)
CORRUPT = Claim(
    says="A record did not decrypt: something on the path changes bytes, or two parties disagree about the keys.",
    causes=(("balancer.intermittent", 0.3), ("resumption.broken", 0.26), ("reach.not-tls", 0.16)),
    weight=PRECISE,
)
UPSTREAM = Claim(
    says="A proxy could not get through to the server behind it; these words alone do not say why.",
    causes=(("reach.reset", 0.25), ("reach.refused", 0.22), ("reach.timeout", 0.12), ("reach.closed", 0.12)),
    weight=WRAPPER,
)

CONNECT_FAILED = Claim(
    says="The connection could not be made; the text does not say how it failed.",
    causes=(("reach.refused", 0.3), ("reach.timeout", 0.28), ("reach.unreachable", 0.12), ("reach.dns", 0.1)),
    weight=WRAPPER,
)
SLOW = Claim(
    says="The handshake gets through, but it takes long.",
    causes=(("reach.slow", 0.62), ("reach.stalled", 0.15), ("revocation.ocsp-slow", 0.06)),
)

# ── client certificates ─────────────────────────────────────────────────────────

CERTIFICATE_WANTED = Claim(
    says="The server wants a client certificate, and none was sent.",
    causes=(("mtls.certificate-required", 0.88), ("mtls.certificate-rejected", 0.05)),
    raised_by="server",
    weight=PRECISE,
)
CLIENT_CA = Claim(
    says="The server does not accept the CA that issued the client certificate.",
    causes=(("mtls.unknown-ca", 0.82), ("mtls.certificate-rejected", 0.1)),
    raised_by="server",
    weight=PRECISE,
)
CLIENT_REFUSED = Claim(
    says="The server refused the client certificate that was sent.",
    causes=(("mtls.certificate-rejected", 0.6), ("mtls.unknown-ca", 0.3)),
    raised_by="server",
    weight=PRECISE,
)
CLIENT_BAD = Claim(
    says="The server did not accept the client certificate, or got none; the alert is the same.",
    causes=(("mtls.certificate-rejected", 0.46), ("mtls.certificate-required", 0.3), ("mtls.unknown-ca", 0.18)),
    raised_by="server",
    weight=PRECISE,
)
CLIENT_OUT_OF_TIME = Claim(
    says="The server refused the client certificate: it has expired, is revoked or may not be used for this.",
    causes=(("mtls.certificate-rejected", 0.9),),
    raised_by="server",
    weight=PRECISE,
)

# ── revocation ──────────────────────────────────────────────────────────────────

REVOKED = Claim(
    says="A certificate of the server's chain has been revoked by its issuer.",
    causes=(("revocation.revoked", 0.93),),
    at_server=(("mtls.certificate-rejected", 0.9),),
    says_at_server=_SERVER_JUDGED + "it has been revoked.",
    weight=PRECISE,
)
NO_STATUS = Claim(
    says="Whether the certificate is revoked could not be found out: no answer from OCSP or the CRL.",
    causes=(("revocation.ocsp-unreachable", 0.5), ("revocation.crl-unreachable", 0.42)),
    weight=PRECISE,
)
OCSP_DOWN = Claim(
    says="The OCSP responder did not answer, or answered with an error.",
    causes=(("revocation.ocsp-unreachable", 0.8), ("revocation.ocsp-slow", 0.1)),
    weight=PRECISE,
)
STATUS_SLOW = Claim(
    says="Asking whether certificates are revoked took long.",
    causes=(("revocation.crl-slow", 0.45), ("revocation.ocsp-slow", 0.42)),
    weight=PRECISE,
)
OCSP_SLOW = Claim(
    says="The OCSP responder did not answer in time.",
    causes=(("revocation.ocsp-unreachable", 0.5), ("revocation.ocsp-slow", 0.45)),
    weight=PRECISE,
)
CRL_DOWN = Claim(
    says="A certificate revocation list could not be had, or the one at hand is out of date.",
    causes=(("revocation.crl-unreachable", 0.85), ("revocation.crl-slow", 0.07)),
    weight=PRECISE,
)
STAPLE_MISSING = Claim(
    says="The certificate demands a stapled OCSP response (must-staple), and the server sent none.",
    causes=(("revocation.staple-missing", 0.88), ("revocation.staple-invalid", 0.06)),
    weight=PRECISE,
)
CANNOT_STAPLE = Claim(
    says="The certificate names no OCSP responder, so the server cannot staple an answer.",
    causes=(("revocation.ocsp-unreachable", 0.48), ("revocation.staple-missing", 0.4)),
    raised_by="server",
    weight=PRECISE,
)
STAPLE_BAD = Claim(
    says="The OCSP response that the server stapled is stale, badly signed or for another certificate.",
    causes=(("revocation.staple-invalid", 0.72), ("revocation.ocsp-unreachable", 0.15)),
    weight=PRECISE,
)
OCSP_BAD = Claim(
    says="The OCSP answer about the certificate could not be used: stale, badly signed or malformed.",
    causes=(("revocation.staple-invalid", 0.5), ("revocation.ocsp-unreachable", 0.38)),
    weight=PRECISE,
)

# ── sessions and connections that are used again ────────────────────────────────

RESUMED = Claim(
    says="A resumed session failed where a fresh handshake would have worked.",
    causes=(("resumption.broken", 0.7), ("resumption.tickets-not-shared", 0.2)),
    weight=PRECISE,
)
RESUMPTION_DEMANDED = Claim(
    says="The server demands that this connection resumes the session of an earlier one (FTPS data after control), and "
    "the client did not.",
    causes=(("resumption.broken", 0.45), ("resumption.unsupported", 0.35), ("resumption.tickets-not-shared", 0.1)),
    raised_by="server",
    weight=PRECISE,
)
TICKET = Claim(
    says="A session ticket could not be opened by the server that got it: its keys are not shared, or were rotated.",
    causes=(("resumption.tickets-not-shared", 0.62), ("resumption.broken", 0.25)),
    weight=PRECISE,
)
NOT_RESUMED = Claim(
    says="Sessions are not resumed: every connection pays for a full handshake.",
    causes=(("resumption.unsupported", 0.5), ("resumption.tickets-not-shared", 0.35)),
    weight=PRECISE,
)
EARLY_DATA = Claim(
    says="A request sent as early data (0-RTT) was refused, because it could have been replayed.",
    causes=(("resumption.early-data", 0.85), ("resumption.broken", 0.07)),
    raised_by="server",
    weight=PRECISE,
)
MISDIRECTED = Claim(
    says="The request came over a connection made for another name, and the server does not serve it there (421).",
    causes=(("resumption.coalescing", 0.66), ("sni.name-mismatch", 0.1), ("sni.default-certificate", 0.08)),
    raised_by="server",
    weight=PRECISE,
)

# ── balancers and edges ─────────────────────────────────────────────────────────

EDGE_HANDSHAKE = Claim(
    says="The edge (CDN or balancer), here the client, could not make a handshake with the origin behind it.",
    causes=(
        ("negotiation.cipher", 0.24),
        ("balancer.origin-differs", 0.23),
        ("negotiation.protocol-version", 0.17),
        ("sni.unrecognized", 0.1),
        ("reach.not-tls", 0.08),
    ),
    raised_by="client",
)
EDGE_CERTIFICATE = Claim(
    says="The edge (CDN or balancer), here the client, refused the certificate of the origin behind it.",
    causes=(
        ("chain.untrusted", 0.28),
        ("validity.expired", 0.23),
        ("chain.self-signed", 0.17),
        ("sni.name-mismatch", 0.12),
        ("balancer.origin-differs", 0.1),
    ),
    raised_by="client",
)
EDGE_EMPTY = Claim(
    says="The origin behind the edge (CDN or balancer) reset or closed the connection, or gave an answer nobody "
    "understood.",
    causes=(("reach.reset", 0.38), ("reach.closed", 0.26), ("balancer.origin-differs", 0.1)),
    raised_by="client",
)
CERTIFICATE_DIFFERS = Claim(
    says="The same name shows one certificate now and another later: not all servers behind it are alike.",
    causes=(("balancer.certificate-differs", 0.62), ("balancer.intermittent", 0.25)),
    raised_by="client",
    weight=PRECISE,
)
CONFIGURATION_DIFFERS = Claim(
    says="The servers behind one name are set up differently.",
    causes=(("balancer.configuration-differs", 0.7), ("balancer.intermittent", 0.15)),
    raised_by="client",
    weight=PRECISE,
)
INTERMITTENT = Claim(
    says="It fails at some times and works at others: not all servers behind the name are alike, or one is overloaded.",
    causes=(("balancer.intermittent", 0.45), ("balancer.address-down", 0.25)),
)
SERVER_DOWN = Claim(
    says="The balancer took one of its servers out of service.",
    causes=(("balancer.address-down", 0.6), ("balancer.intermittent", 0.1)),
    weight=VAGUE,
)
SOME_ADDRESSES = Claim(
    says="Some of the addresses or back ends behind the name fail while others work.",
    causes=(("balancer.address-down", 0.6), ("balancer.intermittent", 0.2)),
    weight=PRECISE,
)
OTHER_ADDRESS_WORKS = Claim(
    says="One address of the name failed, and the connection was then made to another.",
    causes=(("balancer.address-down", 0.6), ("reach.refused", 0.12), ("reach.timeout", 0.08)),
    raised_by="client",
)
LARGE_HELLO = Claim(
    says="A ClientHello larger than one packet (post-quantum key share) does not get through.",
    causes=(("reach.large-hello", 0.8), ("reach.stalled", 0.08)),
    weight=PRECISE,
)

# ── what only looks like a failed connection ────────────────────────────────────

OTHER_MATTER = Claim(says="These words are about something else, or about a success.", causes=())
