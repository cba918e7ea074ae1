"""The certificate chosen for the name does not cover it. Hurts everyone."""

from __future__ import annotations

from collections.abc import Iterator

from probes.facts import Facts
from probes.look import leaf_of
from probes.model import Finding, Rule, shown
from probes.pki.names import explain
from probes.rules.phrase import addresses, listed, names, where, x509


def check(facts: Facts) -> Iterator[Finding]:
    faulty = {
        look: chains
        for look in facts.looks
        if (chains := [chain for chain, _ in look.chains if facts.name_fault(look, chain) == "sni.name-mismatch"])
    }
    found = tuple(faulty)
    if not found:
        return
    evidence = []
    for look in found[:4]:
        for chain in faulty[look][:2]:
            leaf = leaf_of(chain)
            if leaf is not None:
                verdict = explain(leaf, look.reference)
                evidence.append(f"{look.address}: {shown(verdict.why, 160)}")
                evidence.append(f"{look.address}: names in the certificate: {listed(verdict.names) or 'none'}")
        default = [shake for shake in look.tries("other-name", "no-sni") if shake.certificates]
        evidence += [
            f"{look.address}: with {'another name' if shake.offer.purpose == 'other-name' else 'no name'} "
            f"{'the same' if shake.certificates[0] == look.chain[0] else 'another'} certificate is served"
            for shake in default
            if look.chain
        ]
    yield Finding(
        code="sni.name-mismatch",
        severity="critical",
        explanation=f"The certificate that {where(found)} serves for {facts.reference} does not cover that name: it is for {names(found[0])}.",
        evidence=tuple(evidence),
        addresses=addresses(found),
        fails_for=facts.fails_for("sni.name-mismatch", found),
        fix="Issue a certificate with this name among its subjectAltNames, or bind the right one to this name; then reload. A wildcard covers one label only, and browsers do not read the common name.",
        next_command=x509(found[0], "-subject", "-ext", "subjectAltName"),
        stops_all=True,
    )


RULE = Rule(code="sni.name-mismatch", source="RFC 9525 section 6.3", check=check)
