"""What the two rules about a leaf for other names share: where it is served, and the lines that show it."""

from __future__ import annotations

from collections.abc import Iterator

from probes.facts import Facts
from probes.look import Chain, Look, leaf_of
from probes.model import shown
from probes.pki.names import explain
from probes.rules.obstructed import Obstructed
from probes.rules.phrase import listed, names, x509
from probes.values import value


@value
class Misnamed(Obstructed):
    """The addresses that serve a leaf for other names, for one reason; `names` are those of the first."""

    @property
    def names(self) -> str:
        return names(self.looks[0])

    @property
    def next_command(self) -> str:
        return x509(self.looks[0], "-subject", "-ext", "subjectAltName")


def misnamed(facts: Facts, code: str) -> Iterator[Misnamed]:
    """At most one: all addresses where a chain served has the fault *code*."""
    faulty: dict[Look, list[Chain]] = {}
    for look in facts.looks:
        for chain, _ in look.chains:
            if facts.name_fault(look, chain) == code:
                faulty.setdefault(look, []).append(chain)
    if not faulty:
        return
    looks = tuple(faulty)
    yield Misnamed(
        code=code,
        looks=looks,
        fails_for=facts.fails_for(code, looks),
        evidence=tuple(line for look in looks[:4] for line in _lines(look, faulty[look][:2])),
    )


def _lines(look: Look, chains: list[Chain]) -> Iterator[str]:
    for chain in chains:
        leaf = leaf_of(chain)
        if leaf is not None:
            verdict = explain(leaf, look.reference)
            yield f"{look.address}: {shown(verdict.why, 160)}"
            yield f"{look.address}: names in the certificate: {listed(verdict.names) or 'none'}"
    for shake in look.tries("other-name", "no-sni"):
        if shake.certificates and look.chain:
            asked = "another name" if shake.offer.purpose == "other-name" else "no name"
            same = "the same" if shake.certificates[0] == look.chain[0] else "another"
            yield f"{look.address}: with {asked} {same} certificate is served"
