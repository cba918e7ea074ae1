"""The name does not resolve: NXDOMAIN, SERVFAIL, no address, or no answer, told apart (RFC 1035, RFC 2308). Hurts everyone."""

from __future__ import annotations

from collections.abc import Iterator

from probes.facts import Facts
from probes.model import Finding, ResolutionFailure, Rule, shown
from probes.rules.phrase import quoted

_SAID: dict[ResolutionFailure, tuple[str, str]] = {
    "nxdomain": (
        "does not exist (NXDOMAIN)",
        "Check the spelling; then create the A or AAAA record, or ask why it was removed. A negative answer is cached for the zone's SOA minimum.",
    ),
    "no-data": (
        "exists, but has no A or AAAA record",
        "Add the A or AAAA record, or the missing target of the CNAME.",
    ),
    "servfail": (
        "cannot be resolved: the name server fails (SERVFAIL)",
        "Ask the zone's own servers: DNSSEC that does not validate and dead delegations both end in SERVFAIL. `dig +cd` tells them apart.",
    ),
    "timeout": (
        "cannot be resolved: no name server answered in time",
        "Check the resolver and the way to it (UDP and TCP port 53), then the zone's own name servers.",
    ),
    "refused": (
        "cannot be resolved: the name server refuses to answer",
        "This resolver does not serve this client or zone: correct the resolver setting, or its access list.",
    ),
    "malformed": (
        "cannot be resolved: the name server's answer makes no sense",
        "Something on the way rewrites DNS, or the server is broken: ask another resolver and compare.",
    ),
}


def check(facts: Facts) -> Iterator[Finding]:
    resolution = facts.evidence.resolution
    if resolution.failure is None:
        return
    host = facts.evidence.target.host
    said, fix = _SAID[resolution.failure]
    target = resolution.aliases[-1] if resolution.aliases else None
    if target is not None and resolution.failure in {"nxdomain", "no-data"}:
        lacks = "does not exist (NXDOMAIN)" if resolution.failure == "nxdomain" else "has no A or AAAA record"
        said = f"is an alias (CNAME) of {shown(target, 80)}, which {lacks}"
        fix = f"Create {shown(target, 80)} again, or point the CNAME at what took its place."
    if resolution.dnssec == "bogus":
        said = "cannot be resolved: its DNSSEC does not validate, so every validating resolver answers SERVFAIL"
        fix = "Mend the signatures (expired RRSIG, or a signer that stopped), or correct the DS record at the parent after a key change; until then taking the DS away makes the zone insecure but reachable."
    yield Finding(
        code="reach.dns",
        severity="critical",
        explanation=f"The name {host} {said}.",
        evidence=(f"{host}: {resolution.failure}, asked by {resolution.source}", *resolution.detail),
        addresses=(),
        fails_for=facts.everyone,
        fix=fix,
        next_command=quoted(
            "dig", *(("+cd", "+dnssec") if resolution.dnssec == "bogus" else ()), host, "A", host, "AAAA"
        ),
        stops_all=True,
    )


RULE = Rule(code="reach.dns", source="RFC 2308 section 2; RFC 1035 section 4.1.1", check=check)
