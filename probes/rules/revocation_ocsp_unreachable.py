"""An OCSP responder does not answer, or with an error, or with what no client can use: unknown, stale, badly signed (RFC 6960 section 2.3)."""

from __future__ import annotations

from collections.abc import Iterator

from probes.facts import Facts
from probes.model import Finding, Rule
from probes.rules.phrase import subject
from probes.rules.sourced import Sourced, checking, title, unreachable


def _explain(found: Sourced) -> str:
    source = found.first
    about = f"about “{subject(source.certificate)}”"
    match source.outcome:
        case "timeout":
            said = f"does not answer in time {about}; clients that ask hang until they give up"
        case "unreachable":
            said = f"cannot be reached: {source.why}"
        case "error" if source.status is None:
            said = f"answers {about} with an error: {source.why}"
        case "good" | "slow" | "revoked":
            said = f"answered {len(source.times_ms)} of {len(source.samples_ms)} times {about}"
        case _:
            said = f"answers {about}, but with what no client can use: {source.why}"
    strict = checking("hard")
    who = f"{strict} fail" if strict else "clients set to insist on an answer fail"
    return f"The {title(source)} {said}; {who}, others go on without one."


def check(facts: Facts) -> Iterator[Finding]:
    yield from unreachable(
        facts,
        "ocsp",
        explain=_explain,
        fix="Ask the responder from here and from where your clients are; if it is your authority's, tell them, and staple the response meanwhile; if it is gone for good, have the certificate issued anew without its URL.",
    )


RULE = Rule(code="revocation.ocsp-unreachable", source="RFC 6960 section 2.3", check=check)
