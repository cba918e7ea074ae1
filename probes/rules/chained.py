"""What the rules about chains share: the addresses that serve a chain with one fault, and the lines that show it."""

from __future__ import annotations

from collections.abc import Iterator

from probes.facts import Facts
from probes.look import Chain, Look
from probes.model import Finding, Severity
from probes.pki.certificate import Certificate
from probes.pki.judge import ChainFacts
from probes.rules.phrase import addresses, date, issuer, subject, where
from probes.rules.renewal import dane_lines, renewal_lines
from probes.values import value


@value
class Chained:
    """One fault of a chain, and where it is served; `known` tells of the first such chain."""

    code: str
    looks: tuple[Look, ...]
    known: ChainFacts
    leaf: Certificate
    fails_for: tuple[str, ...]
    evidence: tuple[str, ...]

    @property
    def place(self) -> str:
        return where(self.looks)

    def finding(
        self,
        *,
        explanation: str,
        fix: str,
        next_command: str,
        more: tuple[str, ...] = (),
        severity: Severity = "critical",
    ) -> Finding:
        return Finding(
            code=self.code,
            severity=severity,
            explanation=explanation,
            evidence=(*more, *self.evidence),
            addresses=addresses(self.looks),
            fails_for=self.fails_for,
            fix=fix,
            next_command=next_command,
            stops_all=severity == "critical",
        )


def chained(facts: Facts, code: str) -> Iterator[Chained]:
    """At most one: all addresses where some chain served has the fault *code*."""
    served: list[tuple[Look, Chain]] = []
    for look in facts.looks:
        chains = [chain for chain, _ in look.chains if facts.chain_fault(look, chain) == code]
        served += [(look, chain) for chain in chains[:1]]
    if not served:
        return
    looks = tuple(look for look, _ in served)
    known = facts.chain(*served[0])
    if known.leaf is None:
        return
    yield Chained(
        code=code,
        looks=looks,
        known=known,
        leaf=known.leaf,
        fails_for=facts.fails_for(code, looks),
        evidence=(
            *_lines(looks[0], known),
            *dane_lines(facts, served[0][1]),
            *(renewal_lines(facts, known.leaf) if code == "chain.self-signed" else ()),
        ),
    )


def _lines(look: Look, known: ChainFacts) -> Iterator[str]:
    """The chain as served, then why the path that fails least fails."""
    for position, each in enumerate(known.served[:6]):
        if isinstance(each, Certificate):
            said = f"{subject(each)}, issued by {issuer(each)}, until {date(each.not_after)}"
            yield f"{look.address} sends [{position}] {said}"
        else:
            yield f"{look.address} sends [{position}] something unreadable: {each.why}"
    if len(known.served) > 6:
        yield f"{look.address} sends {len(known.served)} certificates in all"
    if known.best is not None:
        for fault in known.best.faults[:4]:
            yield f"best path, depth {fault.depth}: {fault.kind.replace('_', ' ')} at {subject(fault.certificate)} ({fault.detail})"
