"""The catalogue: code → mode, title, usual severity, stage. Data; a code is never renamed.

`STAGE_ORDER` is ranking rule 2: what fails first comes first. All families stand here;
the rules for modes 5, 6 and 8 come with their probes.
"""

from __future__ import annotations

from probes.model import Severity
from probes.values import value

STAGE_ORDER = (
    "dns",
    "tcp",
    "hello",
    "negotiation",
    "certificate",
    "client-auth",
    "revocation",
    "resumption",
)


@value
class Entry:
    code: str
    mode: int
    severity: Severity
    stage: str
    title: str


def _entries(mode: int, stage: str, rows: tuple[tuple[str, Severity, str], ...]) -> tuple[Entry, ...]:
    return tuple(
        Entry(code=code, mode=mode, severity=severity, stage=stage, title=title) for code, severity, title in rows
    )


_ROWS: tuple[Entry, ...] = (
    *_entries(0, "dns", (("reach.dns", "critical", "The name does not resolve"),)),
    *_entries(
        0,
        "tcp",
        (
            ("reach.refused", "critical", "The connection is refused"),
            ("reach.timeout", "critical", "The address does not answer"),
            ("reach.unreachable", "critical", "There is no route to the address"),
        ),
    ),
    *_entries(
        0,
        "hello",
        (
            ("reach.not-tls", "critical", "The port does not speak TLS"),
            ("reach.reset", "critical", "The connection is reset after the ClientHello"),
            ("reach.closed", "critical", "The connection is closed after the ClientHello"),
            ("reach.stalled", "critical", "The server goes silent during the handshake"),
            ("reach.slow", "warning", "The handshake is slow to begin"),
            ("reach.large-hello", "warning", "A ClientHello larger than one packet fails"),
        ),
    ),
    *_entries(
        1,
        "hello",
        (
            ("sni.default-certificate", "critical", "The server serves its default certificate for this name"),
            ("sni.name-mismatch", "critical", "The certificate does not cover the name"),
            ("sni.unrecognized", "critical", "The server does not know this name"),
            ("sni.required", "notice", "Clients that send no server name fail"),
        ),
    ),
    *_entries(
        2,
        "certificate",
        (
            ("chain.incomplete", "critical", "An intermediate certificate is not sent"),
            ("chain.untrusted", "critical", "The chain ends at a root that is not trusted"),
            ("chain.self-signed", "critical", "The certificate is self-signed"),
            ("chain.expired-intermediate", "critical", "An intermediate certificate has expired"),
            ("chain.cross-sign", "warning", "One path runs over a bad cross-sign"),
            ("chain.wrong-intermediate", "critical", "The intermediate sent did not issue the certificate"),
            ("chain.misordered", "warning", "The chain is sent in the wrong order"),
            ("chain.weak", "critical", "The chain uses a weak key or signature"),
            ("chain.wrong-usage", "critical", "The certificate may not be used for a TLS server"),
        ),
    ),
    *_entries(
        3,
        "negotiation",
        (
            ("negotiation.protocol-version", "critical", "No common protocol version"),
            ("negotiation.cipher", "critical", "No common cipher suite"),
            ("negotiation.group", "critical", "No common key-exchange group"),
            ("negotiation.signature", "critical", "No common signature algorithm"),
            ("negotiation.legacy-only", "critical", "Nothing newer than TLS 1.1 is offered"),
            ("negotiation.modern-only", "warning", "Only TLS 1.3 is offered"),
            ("negotiation.weak-offered", "notice", "Weak versions or suites are offered beside good ones"),
            ("negotiation.alpn", "warning", "No common application protocol"),
        ),
    ),
    *_entries(
        4,
        "certificate",
        (
            ("validity.expired", "critical", "The certificate has expired"),
            ("validity.not-yet-valid", "critical", "The certificate is not valid yet"),
            ("validity.expiring", "warning", "The certificate expires soon"),
            ("validity.clock-skew", "warning", "A clock is wrong"),
        ),
    ),
    *_entries(
        5,
        "client-auth",
        (
            ("mtls.certificate-required", "critical", "The server wants a client certificate"),
            ("mtls.unknown-ca", "critical", "The client certificate's CA is not accepted"),
            ("mtls.certificate-rejected", "critical", "The client certificate is refused"),
        ),
    ),
    *_entries(
        6,
        "revocation",
        (
            ("revocation.revoked", "critical", "A certificate of the chain is revoked"),
            ("revocation.ocsp-slow", "warning", "The OCSP responder is slow"),
            ("revocation.ocsp-unreachable", "warning", "The OCSP responder does not answer"),
            ("revocation.crl-slow", "warning", "A CRL is slow to fetch"),
            ("revocation.crl-unreachable", "warning", "A CRL cannot be had"),
            ("revocation.staple-missing", "warning", "Must-staple certificate without a staple"),
            ("revocation.staple-invalid", "critical", "The stapled OCSP response is not valid"),
        ),
    ),
    *_entries(
        7,
        "certificate",
        (
            ("balancer.certificate-differs", "warning", "Addresses serve different certificates"),
            ("balancer.address-down", "critical", "Some addresses fail, others work"),
            ("balancer.configuration-differs", "warning", "Addresses are configured differently"),
            ("balancer.intermittent", "warning", "One address answers differently each time"),
            ("balancer.origin-differs", "warning", "The origin differs from the balancer"),
        ),
    ),
    *_entries(
        8,
        "resumption",
        (
            ("resumption.tickets-not-shared", "warning", "Session tickets are not shared"),
            ("resumption.broken", "critical", "Resumed handshakes fail"),
            ("resumption.early-data", "warning", "Early data can be replayed"),
            ("resumption.coalescing", "warning", "HTTP/2 connection coalescing misroutes"),
            ("resumption.unsupported", "notice", "Sessions are not resumed"),
        ),
    ),
)

CATALOGUE: dict[str, Entry] = {entry.code: entry for entry in _ROWS}


def stage_rank(code: str) -> int:
    """Where the failure of *code* stands in time; smaller fails first."""
    return STAGE_ORDER.index(CATALOGUE[code].stage)
