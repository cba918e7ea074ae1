"""Old versions or weak suites are offered beside good ones. Hurts nobody today; auditors mind, and downgrades need it."""

from __future__ import annotations

from collections.abc import Iterator

from probes.clients import TLS11, TLS12
from probes.facts import Facts, is_weak
from probes.look import Look
from probes.model import Finding, Handshake, Rule
from probes.rules.phrase import addresses, choice, listed, many, s_client, where
from probes.wire.registry import version_name
from probes.wire.suites import cipher_name, suite


def _weak(look: Look) -> list[Handshake]:
    """Agreements that a careful server would have refused, for a server that has better to offer."""
    if max(look.versions, default=0) < TLS12:
        return []
    seen = [shake for shake in look.handshakes if shake.version is not None and shake.cipher is not None]
    return [shake for shake in seen if (shake.version or 0) <= TLS11 or is_weak(shake.cipher)]


def _broken(code: int) -> bool:
    """Weak by what it is made of: the survey offers the common ones only, an enumeration finds all."""
    known = suite(code)
    if known is None or is_weak(code):
        return known is not None
    return known.export or known.auth == "anon" or any(part in known.enc for part in ("RC4", "RC2", "DES", "NULL"))


def _weak_enumerated(facts: Facts, look: Look) -> tuple[str, ...]:
    """What --enumerate found beyond: old versions with how many suites, weak suites by name."""
    place = (look.endpoint.address, look.endpoint.port)
    found = next((each for each in facts.evidence.enumerated if (each.address, each.port) == place), None)
    if found is None or max(found.versions, default=0) < TLS12:
        return ()
    old = [f"{version_name(v)} ({many(len(suites), 'suite')})" for v, suites in found.suites if v <= TLS11]
    weak = dict.fromkeys(cipher_name(s) for _, suites in found.suites for s in suites if _broken(s))
    return (*old, *weak)


def check(facts: Facts) -> Iterator[Finding]:
    weak = {look: _weak(look) for look in facts.looks if look.works}
    listing = {look: _weak_enumerated(facts, look) for look in weak}
    looks = tuple(look for look in weak if weak[look] or listing[look])
    if not looks:
        return
    yield Finding(
        code="negotiation.weak-offered",
        severity="notice",
        explanation=f"{where(looks)} also agrees to old versions or weak suites; current clients do not use them.",
        evidence=tuple(
            f"{look.address}: agrees to {listed(listing[look] or dict.fromkeys(map(choice, weak[look])), 12)}"
            for look in looks[:4]
        ),
        addresses=addresses(looks),
        fix="Drop TLS 1.0 and 1.1, RC4, 3DES, export, NULL and anonymous suites (nginx `ssl_protocols TLSv1.2 TLSv1.3;`) once nobody needs them.",
        next_command=s_client(looks[0], "-tls1_1", "-cipher", "ALL:@SECLEVEL=0"),
    )


RULE = Rule(code="negotiation.weak-offered", source="RFC 8996 section 1; RFC 9325 section 4.1", check=check)
