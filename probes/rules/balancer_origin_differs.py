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


def _alike(one: Look, other: Look) -> tuple[int, int]:
    """How many of the offers that both answered were answered by the same choice, and how many there were."""
    both = [(one.last(purpose), other.last(purpose)) for purpose in dict.fromkeys(s.offer.purpose for s in one.agreed)]
    pairs = [(a, b) for a, b in both if a is not None and b is not None]
    same = [a for a, b in pairs if (a.version, a.cipher, a.group, a.alpn) == (b.version, b.cipher, b.group, b.alpn)]
    return len(same), len(pairs)


def _path(front: Look, origin: Look) -> tuple[str, ...]:
    """Is TLS passed through to the origin, or terminated in front of it? Only as far as choices tell."""
    same, asked = _alike(front, origin)
    if asked < 3:
        return ()
    if same < asked:
        return (
            f"{same} of {asked} offers were answered alike: something in front of the origin terminates TLS itself",
        )
    if front.leaf is not None and origin.leaf is not None and front.leaf.sha256 == origin.leaf.sha256:
        return (
            f"all {asked} offers were answered alike, with the same certificate: passed through, or configured alike",
        )
    return (f"all {asked} offers were answered alike, with other certificates: configured alike, terminated apart",)


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
            *_path(compared, origin),
            *(lines(origin.obstacle.witnesses, at=True, limit=2) if origin.obstacle else ()),
        ),
        addresses=addresses(front or facts.looks),
        fix="If the balancer only passes connections through, both must serve the same: deploy to both. If it terminates TLS, check that it accepts what the origin serves.",
        next_command=s_client(origin, "-showcerts"),
    )


RULE = Rule(code="balancer.origin-differs", source="RFC 9525 section 6", check=check)
