"""The balancer and the origin behind it differ; the origin's address was given. Hurts whoever bypasses or re-encrypts."""

from __future__ import annotations

from collections.abc import Iterator

from probes.facts import Facts
from probes.look import Look
from probes.model import Finding, Rule
from probes.rules.phrase import addresses, choice, lines, s_client, subject, where

_SEEN = ("version", "certificate", "chain", "ALPN")


def _seen(look: Look) -> tuple[str, str, str, str]:
    best = look.best
    leaf = look.leaf
    return (
        choice(best).split(",")[0] if best else "none",
        f"{subject(leaf)} {leaf.sha256[:16]}…" if leaf else "none",
        f"{len(look.chain)} sent",
        (best.alpn or "none") if best else "none",
    )


def check(facts: Facts) -> Iterator[Finding]:
    origin = facts.origin
    front = tuple(look for look in facts.looks if look.works)
    if origin is None or origin.is_gap or not facts.looks:
        return
    compared = front[0] if front else facts.looks[0]
    here, there = _seen(compared), _seen(origin)
    fault = facts.fault(origin)
    differing = [name for name, one, other in zip(_SEEN, here, there, strict=True) if one != other]
    if not differing and fault == facts.fault(compared):
        return
    place = f"{origin.endpoint}"
    yield Finding(
        code="balancer.origin-differs",
        severity="critical" if fault and fault != facts.fault(compared) else "warning",
        explanation=f"The origin {place} differs from {where(front or facts.looks)}"
        + (f" in {', '.join(differing)}" if differing else "")
        + (f"; the origin itself fails with {fault}" if fault else "")
        + ".",
        evidence=(
            f"{compared.address}: " + ", ".join(f"{n} {v}" for n, v in zip(_SEEN, here, strict=True)),
            f"origin {place}: " + ", ".join(f"{n} {v}" for n, v in zip(_SEEN, there, strict=True)),
            *(lines(origin.obstacle.witnesses, at=True, limit=2) if origin.obstacle else ()),
        ),
        addresses=addresses(front or facts.looks),
        fix="If the balancer only passes connections through, both must serve the same: deploy to both. If it terminates TLS, check that it accepts what the origin serves.",
        next_command=s_client(origin, "-showcerts"),
    )


RULE = Rule(code="balancer.origin-differs", source="RFC 9525 section 6", check=check)
