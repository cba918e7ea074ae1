"""TLS 1.3 alone is offered: clients without it fail. Hurts old libraries, appliances and embedded devices."""

from __future__ import annotations

from collections.abc import Iterator

from probes.clients import TLS13
from probes.facts import Facts
from probes.look import Look
from probes.model import Finding, Rule, Unreached
from probes.rules.phrase import addresses, lines, s_client, where


def _modern_only(look: Look) -> bool:
    """TLS 1.3 is agreed to, and TLS 1.2 was tried and refused."""
    tried = [shake for shake in look.tries("tls12") if not isinstance(shake.outcome, Unreached)]
    return look.versions == {TLS13} and bool(tried)


def check(facts: Facts) -> Iterator[Finding]:
    looks = tuple(look for look in facts.looks if look.works and not look.outages and _modern_only(look))
    if not looks:
        return
    yield Finding(
        code="negotiation.modern-only",
        severity="warning",
        explanation=f"{where(looks)} speaks TLS 1.3 alone: current clients pass, older ones fail.",
        evidence=tuple(evidence for look in looks[:3] for evidence in lines(look.tries("small", "tls12"), at=True)),
        addresses=addresses(looks),
        fails_for=facts.fails_for("negotiation.modern-only", looks),
        fix="Enable TLS 1.2 beside it (nginx `ssl_protocols TLSv1.2 TLSv1.3;`) with suites that fit the certificate's key, unless old clients are kept out on purpose.",
        next_command=s_client(looks[0], "-tls1_2"),
    )


RULE = Rule(code="negotiation.modern-only", source="RFC 8446 section 4.2.1", check=check)
