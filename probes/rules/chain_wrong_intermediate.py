"""The intermediate sent did not issue the leaf. Hurts everyone that does not find the right one (RFC 8446 section 4.4.2)."""

from __future__ import annotations

from collections.abc import Iterator

from probes.facts import Facts
from probes.model import Finding, Rule
from probes.rules.chained import Chained, chained
from probes.rules.phrase import issuer, s_client, subject


def sent(found: Chained) -> str:
    """The certificate sent in the issuer's place."""
    wrong = found.known.wrong_issuers
    return subject(wrong[0]) if wrong else "another certificate"


def compared(found: Chained) -> tuple[str, ...]:
    """What is wanted, beside what was sent."""
    wanted = found.known.missing
    if wanted is None:
        return ()
    key = f", key identifier {wanted.key_identifier.hex()}" if wanted.key_identifier else ""
    said = [f"wanted: {issuer(wanted.wanted_by)}{key}"]
    for wrong in found.known.wrong_issuers[:2]:
        identifier = wrong.extensions.ski
        said.append(f"sent: {subject(wrong)}" + (f", key identifier {identifier.hex()}" if identifier else ""))
    return tuple(said)


def check(facts: Facts) -> Iterator[Finding]:
    for found in chained(facts, "chain.wrong-intermediate"):
        look = found.looks[0]
        yield found.finding(
            explanation=f"{found.place} sends “{sent(found)}” as the issuer, but it did not issue the certificate before it.",
            fix="Send the intermediate that signed this leaf. It usually goes wrong when a renewal changes the issuer and only the leaf file is replaced: take the chain that came with the certificate.",
            next_command=s_client(look, "-showcerts"),
            more=compared(found),
        )


RULE = Rule(code="chain.wrong-intermediate", source="RFC 8446 section 4.4.2", check=check)
