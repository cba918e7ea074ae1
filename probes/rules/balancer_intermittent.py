"""One address answers differently from one connection to the next: a bad back end among good ones. Hurts a share of connections."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from probes.facts import Facts
from probes.look import Look, leaf_of
from probes.model import Finding, Rule
from probes.plan import completed
from probes.rules.phrase import addresses, line, many, odds, rotation, s_client, subject, where
from probes.wire.registry import version_name

_SAMPLES = ("modern", "small", "http", "again", "alone", "sample", "sample12", "tls12")


def _evidence(look: Look) -> Iterator[str]:
    broken = look.outages
    samples = look.tries(*dict.fromkeys((*_SAMPLES, *(shake.offer.purpose for shake in broken))))
    if broken:
        good = sum(1 for shake in samples if completed(shake))
        yield f"{look.address}: {good} of {many(len(samples), 'like handshake')} agreed, the others broke off"
        yield from dict.fromkeys(line(shake, at=True) for shake in broken[:3])
    if len(look.agreed_versions) > 1:
        yield f"{look.address}: like handshakes agreed on " + _counted(
            (version_name(version), count) for version, count in look.agreed_versions
        )
    if len(look.agreed_protocols) > 1:
        yield f"{look.address}: like handshakes chose by ALPN " + _counted(
            (protocol or "nothing", count) for protocol, count in look.agreed_protocols
        )
    if look.agreed_demands:
        yield f"{look.address}: like handshakes were asked for a client certificate " + _counted(
            ("yes" if asked else "no", count) for asked, count in look.agreed_demands
        )
    if len(look.chains) > 1:
        total = sum(count for _, count in look.chains)
        for chain, count in look.chains[:4]:
            leaf = leaf_of(chain)
            said = f"{subject(leaf)}, SHA-256 {leaf.sha256[:16]}…" if leaf else "an unreadable certificate"
            yield f"{look.address}: {count} of {total} like handshakes got {said}, {many(len(chain), 'certificate')} sent"
        rarest = look.chains[-1][1]
        yield f"{look.address}: {many(total, 'handshake')} meet a back end that takes {rarest} of {total} connections with odds of {odds(total, rarest / total)}; rarer ones may be there unseen"
        yield from rotation((leaf_of(chain) for chain, _ in look.chains), look.evidence.taken_at)


def _counted(answers: Iterable[tuple[str, int]]) -> str:
    return ", ".join(f"{answer} {many(count, 'time')}" for answer, count in answers)


def check(facts: Facts) -> Iterator[Finding]:
    looks = tuple(look for look in facts.looks if look.works and look.flaps)
    if not looks:
        return
    faults = {
        fault
        for look in looks
        for chain, _ in look.chains
        if (fault := facts.certificate_fault(look, chain)) is not None
    }
    severe = bool(faults) or any(look.outages for look in looks)
    yield Finding(
        code="balancer.intermittent",
        severity="critical" if severe else "warning",
        explanation=f"{where(looks)} answers like handshakes differently from one connection to the next: more than one back end stands behind it, and they are not alike.",
        evidence=tuple(evidence for look in looks[:3] for evidence in _evidence(look)),
        addresses=addresses(looks),
        fails_for=tuple(dict.fromkeys(name for fault in sorted(faults) for name in facts.fails_for(fault, looks))),
        fix="Ask each back end directly, find the odd one, and take it out of the pool or deploy to it what the others have.",
        next_command=f"for i in 1 2 3 4 5 6 7 8; do {s_client(looks[0])} 2>&1 | grep -m1 -E '^subject=|errno|alert'; done",
    )


RULE = Rule(code="balancer.intermittent", source="RFC 8446 section 4.4.2", check=check)
