"""What the two rules about a leaf out of its time share: where it is served, and the lines that show it."""

from __future__ import annotations

from collections.abc import Iterator

from probes.facts import Facts
from probes.look import Look, leaf_of
from probes.pki.certificate import Certificate
from probes.rules.obstructed import Obstructed
from probes.rules.phrase import date, issuer, subject, x509
from probes.rules.renewal import renewal_lines
from probes.values import value


@value
class Untimely(Obstructed):
    """The addresses that serve a leaf out of its time in one way, and the first such leaf."""

    leaf: Certificate

    @property
    def next_command(self) -> str:
        return x509(self.looks[0], "-subject", "-dates")


def untimely(facts: Facts, code: str) -> Iterator[Untimely]:
    """At most one: all addresses where a leaf has the fault *code*, and no server's clock says that it has not."""
    leaves: dict[Look, Certificate] = {}
    for look in facts.looks:
        for chain, _ in look.chains:
            leaf = leaf_of(chain)
            if leaf is not None and facts.time_fault(chain) == code and facts.clock_excuse(look, chain) is None:
                leaves.setdefault(look, leaf)
    if not leaves:
        return
    looks = tuple(leaves)
    lines = [f"taken at {date(facts.now)} by this prober's clock"]
    for look, leaf in list(leaves.items())[:4]:
        lines += _lines(facts, look, leaf)
    lines += renewal_lines(facts, leaves[looks[0]])
    yield Untimely(
        code=code,
        looks=looks,
        leaf=leaves[looks[0]],
        fails_for=facts.fails_for(code, looks),
        evidence=tuple(lines),
    )


def _lines(facts: Facts, look: Look, leaf: Certificate) -> Iterator[str]:
    yield (
        f"{look.address}: {subject(leaf)}, issued by {issuer(leaf)}, "
        f"valid {date(leaf.not_before)} to {date(leaf.not_after)}, SHA-256 {leaf.sha256[:16]}…"
    )
    if facts.skews(look):
        yield f"{look.address}: the server's own clock (HTTP Date) is off, but by it the certificate is no better"
    elif any(shake.http is not None and shake.http.skew_s is not None for shake in look.handshakes):
        yield f"{look.address}: the server's own clock (HTTP Date) agrees"
