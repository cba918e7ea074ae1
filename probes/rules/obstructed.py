"""What every rule about an obstacle shares: the addresses it stops, whom it stops, and the handshakes that show it."""

from __future__ import annotations

from collections.abc import Iterator

from probes.facts import Facts
from probes.look import Look
from probes.model import Finding, Severity
from probes.rules.phrase import addresses, fips, lines, where
from probes.values import value


@value
class Obstructed:
    """The addresses at which one code stops current clients; `place` names them for a sentence."""

    code: str
    looks: tuple[Look, ...]
    fails_for: tuple[str, ...]
    evidence: tuple[str, ...]

    @property
    def place(self) -> str:
        return where(self.looks)

    @property
    def severity(self) -> Severity:
        return "critical"

    @property
    def stops_all(self) -> bool:
        return True

    def finding(self, *, explanation: str, fix: str, next_command: str) -> Finding:
        return Finding(
            code=self.code,
            severity=self.severity,
            explanation=explanation,
            evidence=self.evidence,
            addresses=addresses(self.looks),
            fails_for=self.fails_for,
            fix=fix,
            next_command=next_command,
            stops_all=self.stops_all,
        )


_MAY_BE_FIPS = {"negotiation.cipher", "negotiation.group", "negotiation.signature"}


def obstructed(facts: Facts, code: str) -> Iterator[Obstructed]:
    """At most one: all addresses that *code* stops, with what failed there and what passed beside it."""
    looks = tuple(look for look in facts.looks if look.obstacle is not None and look.obstacle.code == code)
    if not looks:
        return
    evidence: list[str] = []
    for look in looks[:4]:
        if look.obstacle is not None:
            evidence += lines(look.obstacle.witnesses, at=True)
            evidence += lines(look.obstacle.contrast, at=True, limit=2)
    if code in _MAY_BE_FIPS:
        evidence += fips(looks)
    yield Obstructed(code=code, looks=looks, fails_for=facts.fails_for(code, looks), evidence=tuple(evidence))
