"""A certificate of the chain is revoked, says a signed answer: a staple, an OCSP responder or a CRL (RFC 5280 section 5)."""

from __future__ import annotations

from collections.abc import Iterator

from probes.facts import Facts
from probes.model import Finding, Rule
from probes.rules.phrase import addresses, listed
from probes.rules.sourced import Sourced, again, named, sourced, told


def _reasons(found: Sourced) -> str:
    given = dict.fromkeys(each.status.reason for each in found.sources if each.status and each.status.reason)
    return listed(given) or "it gives no reason"


def check(facts: Facts) -> Iterator[Finding]:
    found = sourced(facts, facts.standings.revoked)
    if found is None:
        return
    look, first = found.looks[0], found.first
    failing = facts.fails_for("revocation.revoked", found.looks)
    asked = facts.standings.asked(facts.chain(look, look.chain))
    against = tuple(
        f"yet another source disagrees: {told(each)}"
        for each in asked
        if each.certificate == first.certificate and each.outcome in {"good", "slow"}
    )
    spared = "clients that do not check still pass" if failing else "no client known here checks"
    whose = "its own certificate" if first.certificate == look.leaf else named(look, first.certificate)
    yield Finding(
        code="revocation.revoked",
        severity="critical",
        explanation=f"{found.place} serves a revoked certificate: {whose} was {first.why}; {spared}.",
        evidence=(*found.evidence(), *against),
        addresses=addresses(found.looks),
        fails_for=failing,
        fix=f"Issue a new certificate, with a new key, and deploy it at every address; ask the authority why it was revoked ({_reasons(found)}).",
        next_command=again(first, look),
    )


RULE = Rule(code="revocation.revoked", source="RFC 6960 section 2.2; RFC 5280 section 5.3", check=check)
