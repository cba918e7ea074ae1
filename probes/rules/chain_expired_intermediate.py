"""An issuing certificate that was sent has expired, and no other path holds. Hurts everyone (RFC 5280 section 6.1.3)."""

from __future__ import annotations

from collections.abc import Iterator

from probes.facts import Facts
from probes.model import Finding, Rule
from probes.pki.checks import Fault
from probes.rules.chained import Chained, chained
from probes.rules.phrase import s_client, subject

_RENEW = "Replace the intermediate by the CA's current one (its AIA URL, or the chain your CA delivers with a renewal); the leaf may stay if the new one has the same key."
_RENEW_ROOT = "The root itself is over: have the leaf issued under a current root, or give clients the root's renewed certificate (same key) for their stores."


def culprit(found: Chained) -> Fault | None:
    """The issuer that is out of its time."""
    faults = found.known.best.faults if found.known.best else ()
    dated = [f for f in faults if f.depth > 0 and f.kind in {"expired", "not_yet_valid"}]
    return dated[0] if dated else None


def _told(fault: Fault | None) -> tuple[str, str]:
    """What is out of its time and how, and the fix."""
    if fault is None:
        return "an issuing certificate that is out of its time", _RENEW
    is_root = fault.certificate.is_self_issued
    kind = "a root" if is_root else "an intermediate"
    when = "is not valid yet" if fault.kind == "not_yet_valid" else "has expired"
    return f"{kind} that {when}, “{subject(fault.certificate)}”", _RENEW_ROOT if is_root else _RENEW


def check(facts: Facts) -> Iterator[Finding]:
    for found in chained(facts, "chain.expired-intermediate"):
        look = found.looks[0]
        told, fix = _told(culprit(found))
        yield found.finding(
            explanation=f"The certificate of {found.place} is issued under {told}; no other path to a trusted root holds.",
            fix=fix,
            next_command=s_client(look, "-showcerts"),
        )


RULE = Rule(code="chain.expired-intermediate", source="RFC 5280 section 6.1.3", check=check)
