"""Old versions or weak suites are offered beside good ones. Hurts nobody today; auditors mind, and downgrades need it."""

from __future__ import annotations

from collections.abc import Iterator

from probes.clients import TLS11, TLS12
from probes.facts import Facts, is_weak
from probes.look import Look
from probes.model import Finding, Handshake, Rule
from probes.rules.phrase import addresses, choice, listed, s_client, where


def _weak(look: Look) -> list[Handshake]:
    """Agreements that a careful server would have refused, for a server that has better to offer."""
    if max(look.versions, default=0) < TLS12:
        return []
    seen = [shake for shake in look.handshakes if shake.version is not None and shake.cipher is not None]
    return [shake for shake in seen if (shake.version or 0) <= TLS11 or is_weak(shake.cipher)]


def check(facts: Facts) -> Iterator[Finding]:
    weak = {look: found for look in facts.looks if look.works and (found := _weak(look))}
    looks = tuple(weak)
    if not looks:
        return
    yield Finding(
        code="negotiation.weak-offered",
        severity="notice",
        explanation=f"{where(looks)} also agrees to old versions or weak suites; current clients do not use them.",
        evidence=tuple(
            f"{look.address}: agrees to {listed(dict.fromkeys(map(choice, weak[look])))}" for look in looks[:4]
        ),
        addresses=addresses(looks),
        fix="Drop TLS 1.0 and 1.1, RC4, 3DES, export, NULL and anonymous suites (nginx `ssl_protocols TLSv1.2 TLSv1.3;`) once nobody needs them.",
        next_command=s_client(looks[0], "-tls1_1", "-cipher", "ALL:@SECLEVEL=0"),
    )


RULE = Rule(code="negotiation.weak-offered", source="RFC 8996 section 1; RFC 9325 section 4.1", check=check)
