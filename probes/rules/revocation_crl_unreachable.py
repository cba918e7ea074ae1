"""A CRL cannot be had, or the one served is stale or badly signed: no client can use it (RFC 5280 section 6.3.3)."""

from __future__ import annotations

from collections.abc import Iterator

from probes.facts import Facts
from probes.model import Finding, Rule
from probes.rules.phrase import subject
from probes.rules.sourced import Sourced, checking, title, unreachable


def _explain(found: Sourced) -> str:
    source = found.first
    about = f"for “{subject(source.certificate)}”"
    match source.outcome:
        case "stale":
            said = f"{about} is {source.why}"
        case "good" | "slow" | "revoked":
            said = f"{about} came {len(source.times_ms)} of {len(source.samples_ms)} times"
        case "timeout":
            said = f"{about} did not come in time; clients that fetch it hang until they give up"
        case "unreachable" | "error":
            said = f"{about} cannot be had: {source.why}"
        case _:
            said = f"{about} is of no use: {source.why}"
    strict = checking("hard")
    who = f"{strict} fail" if strict else "clients set to insist on one fail"
    return f"The {title(source)} {said}; {who}, others go on without it."


def check(facts: Facts) -> Iterator[Finding]:
    yield from unreachable(
        facts,
        "crl",
        explain=_explain,
        fix="Publish a fresh CRL there before the old one's nextUpdate (if it is your own: `openssl ca -gencrl`, and see why the job that does it stopped); if it is your authority's, tell them.",
    )


RULE = Rule(code="revocation.crl-unreachable", source="RFC 5280 section 6.3.3", check=check)
