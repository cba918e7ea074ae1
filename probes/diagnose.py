"""Evidence → diagnosis: every rule, then the catalogue's ranking picks *the* cause. Pure."""

from __future__ import annotations

from probes.catalogue import stage_rank
from probes.facts import Facts
from probes.model import Diagnosis, Evidence, Finding, Status, shown
from probes.rules import RULES

_PLACE = {rule.code: place for place, rule in enumerate(RULES)}
_SEVERITY = {"critical": 0, "warning": 1, "notice": 2}


def diagnose(evidence: Evidence) -> Diagnosis:
    """Judge *evidence*. The same evidence always gives the same diagnosis."""
    return judge(Facts(evidence))


def judge(facts: Facts) -> Diagnosis:
    """`diagnose`, for a caller that needs the facts as well."""
    found = [finding for rule in RULES for finding in rule.check(facts)]
    ranked = sorted(found, key=lambda finding: _rank(finding, facts))
    cause = _cause(ranked, facts)
    findings = tuple(ranked if cause is None else [cause, *(each for each in ranked if each is not cause)])
    status: Status = (
        "ok" if cause is None else "broken" if any(f.severity == "critical" for f in findings) else "warning"
    )
    return Diagnosis(status=status, cause=cause, findings=findings, summary=_summary(cause, facts))


def _rank(finding: Finding, facts: Facts) -> tuple[int, bool, int, int]:
    """Smaller comes first: severity, whom it stops (rule 1), when it fails (rule 2), then the order of RULES."""
    # Rule 5, an expired leaf whatever else is wrong with its chain, is the order of RULES within the certificate stage.
    everywhere = finding.stops_all and not _is_partial(finding, facts)
    return (_SEVERITY[finding.severity], not everywhere, stage_rank(finding.code), _PLACE[finding.code])


def _is_partial(finding: Finding, facts: Facts) -> bool:
    """Does it show at some of the name's addresses only, or on some connections only?"""
    if not finding.addresses:
        return False
    at = set(finding.addresses)
    if at < set(facts.addresses):
        return True
    looks = [look for look in facts.looks if look.address in at]
    return (
        finding.code.startswith(("chain.", "validity.", "sni.", "revocation.revoked"))
        and bool(looks)
        and all(len(look.chains) > 1 for look in looks)
        and not all(facts.certificate_fault(look, chain) == finding.code for look in looks for chain, _ in look.chains)
    )


def _cause(ranked: list[Finding], facts: Facts) -> Finding | None:
    candidates = [finding for finding in ranked if finding.severity != "notice"]
    if not candidates:
        return None
    balancing = [finding for finding in candidates if finding.code.startswith("balancer.")]
    faults = [finding for finding in candidates if not finding.code.startswith("balancer.")]
    whole = [finding for finding in faults if not _is_partial(finding, facts)]
    # Rule 1: what stops every client at every address comes before what stops some.
    if whole and whole[0].severity == "critical" and whole[0].stops_all:
        return whole[0]
    # Rule 3: a fault of some addresses only makes the difference the cause, and the fault a finding.
    partial = [finding for finding in faults if _is_partial(finding, facts)]
    if partial and balancing and _SEVERITY[balancing[0].severity] <= _SEVERITY[partial[0].severity]:
        worst_whole = min((_SEVERITY[finding.severity] for finding in whole), default=2)
        if worst_whole >= _SEVERITY[balancing[0].severity]:
            return balancing[0]
    return candidates[0]


def _summary(cause: Finding | None, facts: Facts) -> str:
    """One sentence a tired person understands."""
    target = facts.evidence.target
    if cause is not None:
        return cause.explanation
    count = len(facts.looks)
    if not count:
        return f"{target} could not be looked at from here."
    where = "1 address" if count == 1 else f"{count} addresses"
    identity = facts.evidence.identity
    leaf = facts.looks[0].leaf
    left = f"; the certificate has {(leaf.not_after - facts.now).days} days left" if leaf is not None else ""
    taken = all(look.presented is not None and look.presented.outcome == "accepted" for look in facts.looks)
    ours = f", with the client certificate {shown(identity.label)}" if taken and identity is not None else ""
    return f"{target} is healthy: every current client gets through at {where}{ours}{left}."
