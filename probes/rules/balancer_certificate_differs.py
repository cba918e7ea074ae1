"""Addresses behind one name serve different certificates or chains. Hurts whoever is sent to the wrong one."""

from __future__ import annotations

from collections.abc import Iterator

from probes.facts import Facts
from probes.look import Chain, Look, leaf_of
from probes.model import Finding, Rule
from probes.rules.phrase import addresses, date, issuer, many, rotation, subject, where, x509


def _groups(looks: tuple[Look, ...]) -> dict[Chain, list[Look]]:
    """Addresses by what they serve; those that flap are another rule's."""
    groups: dict[Chain, list[Look]] = {}
    for look in looks:
        if look.chain and len(look.chains) == 1:
            groups.setdefault(look.chain, []).append(look)
    return groups


def check(facts: Facts) -> Iterator[Finding]:
    groups = _groups(facts.looks)
    if len(groups) < 2:
        return
    faults = {chain: facts.certificate_fault(looks[0], chain) for chain, looks in groups.items()}
    excused = {chain for chain, looks in groups.items() if facts.clock_excuse(looks[0], chain)}
    wrong = {chain: fault for chain, fault in faults.items() if fault is not None and chain not in excused}
    partly_wrong = bool(wrong) and len(wrong) < len(groups)
    bad = tuple(look for chain in wrong for look in groups[chain])
    shown = bad if partly_wrong else tuple(look for looks in groups.values() for look in looks)
    same_leaf = len({chain[0] for chain in groups}) == 1
    what = "the same certificate with different chains" if same_leaf else "different certificates"
    tail = f"; those of {where(bad)} are wrong ({', '.join(dict.fromkeys(wrong.values()))})" if partly_wrong else ""
    yield Finding(
        code="balancer.certificate-differs",
        severity="critical" if wrong else "warning",
        explanation=f"The addresses behind this name serve {what}{tail}.",
        evidence=(
            *(_line(chain, looks, faults[chain]) for chain, looks in list(groups.items())[:6]),
            *rotation(map(leaf_of, groups), facts.now),
        ),
        addresses=addresses(shown),
        fails_for=tuple(dict.fromkeys(name for code in wrong.values() for name in facts.fails_for(code, bad))),
        fix="Deploy the same certificate and chain to every back end, then reload each; a back end that was missed by the last renewal is the usual reason.",
        next_command=x509(shown[0], "-subject", "-issuer", "-dates", "-fingerprint", "-sha256"),
    )


def _line(chain: Chain, looks: list[Look], fault: str | None) -> str:
    leaf = leaf_of(chain)
    said = (
        f"{subject(leaf)}, issued by {issuer(leaf)}, until {date(leaf.not_after)}, SHA-256 {leaf.sha256[:16]}…"
        if leaf
        else "an unreadable certificate"
    )
    return f"{where(tuple(looks))}: {said}, {many(len(chain), 'certificate')} sent" + (f" → {fault}" if fault else "")


RULE = Rule(code="balancer.certificate-differs", source="RFC 9525 section 6; RFC 8446 section 4.4.2", check=check)
