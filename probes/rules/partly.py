"""What the rules about negotiation share: current clients fail in part, others agree."""

from __future__ import annotations

from collections.abc import Iterator

from probes.clients import FAMILY
from probes.facts import Facts
from probes.look import Look
from probes.model import Finding
from probes.rules.phrase import addresses, choice, fips, line, listed, s_client, where


def partly(facts: Facts, code: str, *, lacks: str, fix: str) -> Iterator[Finding]:
    """One finding for all addresses that work, but not for some current families, by *code*. *lacks*: what is not shared."""
    looks = tuple([look for look in facts.looks if look.works and facts.failing(look, code)])
    if not looks:
        return
    labels = dict.fromkeys(family.label for look in looks for family in facts.failing(look, code))
    yield Finding(
        code=code,
        severity="critical",
        explanation=f"{where(looks)} has no {lacks} in common with {listed(labels)}; other clients pass.",
        evidence=(*(evidence for look in looks[:3] for evidence in _evidence(look, code, facts)), *fips(looks)),
        addresses=addresses(looks),
        fails_for=facts.fails_for(code, looks),
        fix=fix,
        next_command=s_client(looks[0], "-brief"),
    )


def _evidence(look: Look, code: str, facts: Facts) -> Iterator[str]:
    if look.best is not None:
        yield f"{look.address}: offered what all current clients know, the server chose {choice(look.best)}"
    for name in facts.fails_for(code, (look,))[:3]:
        shakes = look.tries(f"family:{name}")
        if shakes:
            yield f"{look.address}: {line(shakes[-1]).replace('the hello of ' + name, 'the hello of ' + FAMILY[name].label)}"
