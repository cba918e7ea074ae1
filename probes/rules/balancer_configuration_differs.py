"""Addresses behind one name differ in versions, suites, ALPN or client-certificate demands. Hurts some clients at some addresses."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from probes.clients import TLS13
from probes.facts import Facts
from probes.look import Look
from probes.model import Completed, Finding, Handshake, Rule
from probes.rules.phrase import addresses, s_client, where
from probes.wire.registry import version_name
from probes.wire.suites import cipher_name

Settings = tuple[tuple[str, str], ...]
_MILD = "revocation.staple-missing"  # a warning by the catalogue, also where it shows at some addresses alone
_CONFIGURED = ("negotiation.", "mtls.", "revocation.staple-")
_CLIENT_AUTH = {"none": "not asked for", "optional": "asked for", "required": "demanded"}


def _accepts(look: Look, purpose: str) -> str:
    seen = look.tries(purpose)
    agreed = next((shake for shake in seen if shake.version is not None), None)
    return version_name(agreed.version) if agreed and agreed.version else "refused"


def _cipher(seen: Handshake | None, *, any_version: bool) -> str:
    """The suite chosen; before TLS 1.3 it follows from the key, so it counts only between keys of one kind."""
    if seen is None or seen.cipher is None or not (any_version or seen.version == TLS13):
        return "-"
    return cipher_name(seen.cipher)


def _staple(facts: Facts, look: Look) -> str:
    """Only a fault of the staple tells addresses apart: servers fetch one when they first need it."""
    known = [facts.chain(look, chain) for chain, _ in look.chains]
    if any(facts.standings.unstapled(look, each) for each in known):
        return "missing, though demanded"
    return "no good" if any(facts.standings.bad_staples(look, each) for each in known) else "as due"


def _settings(facts: Facts, look: Look, *, same_keys: bool) -> Settings:
    """What was negotiated where every address was asked the same."""
    best = look.best
    return (
        ("newest version", version_name(best.version) if best and best.version else "-"),
        ("TLS 1.2", _accepts(look, "tls12")),
        ("TLS 1.1 or 1.0", _accepts(look, "legacy")),
        ("suite", _cipher(best, any_version=same_keys)),
        ("suite of TLS 1.2", _cipher(next(iter(look.passed("tls12")), None), any_version=same_keys)),
        ("ALPN", (best.alpn or "none") if best else "-"),
        ("client certificate", _CLIENT_AUTH.get(look.client_auth or "none", "not asked for")),
        ("staple", _staple(facts, look)),
    )


def _comparable(look: Look) -> bool:
    """It works or its obstacle is one of configuration, and it answered everything put to it."""
    configured = look.obstacle is not None and look.obstacle.code.startswith("negotiation.") and bool(look.agreed)
    steady = not look.outages and (configured or any(isinstance(s.outcome, Completed) for s in look.current))
    return steady and look.connected and (look.obstacle is None or configured)


def _by_transport(facts: Facts) -> Iterator[Finding]:
    """TCP and QUIC of one address serve different leaves, and one of the two is wrong."""
    differing: dict[Look, tuple[str, str]] = {}
    for look in facts.looks:
        seen = next((each for each in facts.evidence.quic if each.address == look.address and each.certificates), None)
        if seen is None or not look.chain or seen.certificates[0] == look.chain[0]:
            continue
        faults = (facts.certificate_fault(look, look.chain), facts.certificate_fault(look, seen.certificates))
        if (faults[0] is None) != (faults[1] is None):
            differing[look] = (faults[0] or "sound", faults[1] or "sound")
    looks = tuple(differing)
    if looks:
        yield Finding(
            code="balancer.configuration-differs",
            severity="warning",
            explanation=f"{where(looks)} serves another certificate over HTTP/3 (QUIC) than over TCP, and one of the two is wrong.",
            evidence=tuple(
                f"{look.address}: the certificate over TCP: {over_tcp}; over HTTP/3: {over_quic}"
                for look, (over_tcp, over_quic) in differing.items()
            ),
            addresses=addresses(looks),
            fix="Give the QUIC listener the same certificate and reload it: often only the TCP listener was renewed.",
            next_command=s_client(looks[0]),
        )


def check(facts: Facts) -> Iterator[Finding]:
    if len(facts.looks) < 2:
        yield from _by_transport(facts)
        return
    comparable = [look for look in facts.looks if _comparable(look)]
    same_keys = len({look.leaf.key_kind if look.leaf else None for look in comparable}) == 1
    settings = {look: _settings(facts, look, same_keys=same_keys) for look in comparable}
    if len(set(settings.values())) < 2:
        yield from _by_transport(facts)
        return
    usual = Counter(settings.values()).most_common(1)[0][0]
    failing = tuple(look for look in settings if (facts.fault(look) or "").startswith(_CONFIGURED))
    partly = bool(failing) and len(failing) < len(settings)
    odd = failing if partly else tuple(look for look, each in settings.items() if each != usual)
    differing = [name for index, (name, _) in enumerate(usual) if len({each[index] for each in settings.values()}) > 1]
    yield Finding(
        code="balancer.configuration-differs",
        severity="critical" if any(facts.fault(look) != _MILD for look in failing) else "warning",
        explanation=f"The addresses behind this name are configured differently: {where(odd)} differs in {', '.join(differing)}.",
        evidence=tuple(
            f"{look.address}: " + ", ".join(f"{name} {value}" for name, value in each if name in differing)
            for look, each in list(settings.items())[:8]
        ),
        addresses=addresses(odd),
        fails_for=tuple(
            dict.fromkeys(
                name for look in failing if (code := facts.fault(look)) for name in facts.fails_for(code, (look,))
            )
        ),
        fix="Give every back end the same TLS settings and reload each; the odd one is usually an old image, or a change that was rolled out half-way.",
        next_command=s_client(odd[0], "-brief"),
    )


RULE = Rule(code="balancer.configuration-differs", source="RFC 8446 section 4.1.1", check=check)
