"""Some addresses behind the name fail before they show a certificate, others work. Hurts whoever is sent there."""

from __future__ import annotations

from collections.abc import Iterator

from probes.facts import Facts
from probes.look import Look
from probes.model import Finding, Rule
from probes.rules.phrase import addresses, lines, s_client, where

_CONFIGURED = ("negotiation.",)


def _down(look: Look) -> bool:
    """No current client gets a certificate there, and not merely because versions, suites or ALPN differ.

    A server that agrees to nothing at all, whatever is offered, is not configured differently: it fails.
    """
    return look.obstacle is not None and not (look.agreed and look.obstacle.code.startswith(_CONFIGURED))


def check(facts: Facts) -> Iterator[Finding]:
    down = tuple(look for look in facts.looks if _down(look))
    up = tuple(look for look in facts.looks if look.works)
    if not down or not up:
        return
    codes = dict.fromkeys(look.obstacle.code for look in down if look.obstacle)
    yield Finding(
        code="balancer.address-down",
        severity="critical",
        explanation=f"{len(down)} of {len(facts.looks)} addresses fail ({where(down)}: {', '.join(codes)}); {where(up)} {'works' if len(up) == 1 else 'work'}.",
        evidence=(
            *(line for look in down[:3] if look.obstacle for line in lines(look.obstacle.witnesses, at=True, limit=2)),
            *(line for look in up[:2] for line in lines(look.passed("modern", "small"), at=True, limit=1)),
        ),
        addresses=addresses(down),
        fails_for=facts.everyone,
        fix="Take the failing addresses out of DNS or the balancer, mend them (the other findings say how), and put them back; a health check that speaks TLS with the name would have done it.",
        next_command=s_client(down[0]),
    )


RULE = Rule(code="balancer.address-down", source="RFC 8305 section 4", check=check)
