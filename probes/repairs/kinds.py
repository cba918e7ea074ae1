"""What a root cause needs of a server's configuration: one table for the servers that one configures by lines. Data.

A server says its lines for each kind (`nginx`, `haproxy`, …); where it has none, the causes of that kind have no lines.
"""

from __future__ import annotations

_KINDS = {
    "reach.not-tls": "plain",
    "reach.refused": "plain",
    "reach.large-hello": "large_hello",
    "sni.default-certificate": "named",
    "sni.name-mismatch": "named",
    "sni.unrecognized": "named",
    "sni.required": "nameless",
    "chain.incomplete": "deploy",
    "chain.untrusted": "deploy",
    "chain.self-signed": "deploy",
    "chain.expired-intermediate": "deploy",
    "chain.cross-sign": "deploy",
    "chain.wrong-intermediate": "deploy",
    "chain.misordered": "deploy",
    "chain.weak": "deploy",
    "chain.wrong-usage": "deploy",
    "negotiation.protocol-version": "versions",
    "negotiation.legacy-only": "versions",
    "negotiation.modern-only": "versions",
    "negotiation.cipher": "suites",
    "negotiation.weak-offered": "suites",
    "negotiation.group": "groups",
    "negotiation.signature": "keys",
    "negotiation.alpn": "alpn",
    "validity.expired": "deploy",
    "validity.not-yet-valid": "deploy",
    "validity.expiring": "deploy",
    "mtls.certificate-required": "clients",
    "mtls.unknown-ca": "clients",
    "mtls.certificate-rejected": "client_checks",
    "revocation.ocsp-slow": "staple",
    "revocation.ocsp-unreachable": "staple",
    "revocation.staple-missing": "staple",
    "revocation.staple-invalid": "staple",
    "balancer.certificate-differs": "deploy",
    "balancer.address-down": "pool",
    "balancer.configuration-differs": "suites",
    "balancer.intermittent": "pool",
    "balancer.origin-differs": "origin",
    "resumption.tickets-not-shared": "tickets",
    "resumption.broken": "tickets",
    "resumption.early-data": "no_early_data",
    "resumption.coalescing": "misdirected",
    "resumption.unsupported": "resume",
}


def by_code(**lines: str) -> dict[str, str]:
    """A server's *lines* of each kind, by catalogue code."""
    assert lines.keys() <= set(_KINDS.values()), "a kind that no cause needs"
    return {code: lines[kind] for code, kind in _KINDS.items() if kind in lines}
