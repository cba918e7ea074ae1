"""What DNS says of a renewal, and of mail servers that check DANE: lines of evidence for the rules they explain."""

from __future__ import annotations

from probes.facts import Facts
from probes.look import Chain
from probes.pki.certificate import Certificate
from probes.published import caa_line, dane_mismatch


def renewal_lines(facts: Facts, leaf: Certificate) -> tuple[str, ...]:
    """Whether CAA, where it was asked for, stands in the way of a renewal of *leaf*."""
    return tuple(caa_line(each, leaf) for each in facts.evidence.published if each.kind == "CAA")


def dane_lines(facts: Facts, chain: Chain) -> tuple[str, ...]:
    """TLSA records, where they were asked for, that match nothing in *chain*."""
    found = (dane_mismatch(each, chain) for each in facts.evidence.published if each.kind == "TLSA")
    return tuple(line for line in found if line is not None)
