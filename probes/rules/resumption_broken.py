"""A resumed handshake breaks where a fresh one of the same offer passes. Hurts every client on its second visit."""

from __future__ import annotations

from collections.abc import Iterator

from probes.clients import CURRENT
from probes.facts import Facts
from probes.model import Finding, Rule
from probes.resuming import Answer
from probes.rules.phrase import listed
from probes.rules.resumed import contrast, resume_command, resuming
from probes.wire.registry import version_name


def check(facts: Facts) -> Iterator[Finding]:
    looks = {look.endpoint: look for look in facts.looks}
    broken = [
        answer
        for each in resuming(facts)
        for answer in (each.here, each.early, *each.elsewhere)
        if answer is not None and answer.breaks and not looks[answer.question.place].flaps
    ]
    if not broken:
        return
    # Early data is sent by few, and whoever sends it tries again without.
    worst = [answer for answer in broken if not answer.question.early] or broken
    first = worst[0].question
    places = dict.fromkeys(answer.question.place for answer in worst)
    versions = listed(dict.fromkeys(version_name(answer.question.version) for answer in worst))
    how = "with early data" if first.early else "that resume a session"
    yield Finding(
        code="resumption.broken",
        severity="warning" if first.early else "critical",
        explanation=f"{listed(place.address for place in places)} breaks off handshakes of {versions} {how}; "
        "fresh ones pass.",
        evidence=tuple(line for answer in worst[:3] for line in contrast(answer)),
        addresses=tuple(look.address for look in facts.looks if look.endpoint in places),
        fails_for=_resuming_families(facts, worst),
        fix="Look in the server's log at the second visit. OpenSSL servers that ask for client certificates need a session "
        "id context (Apache and nginx set it; own programs call SSL_CTX_set_session_id_context). Until then turn tickets "
        "and the session cache off (nginx `ssl_session_tickets off; ssl_session_cache off;`).",
        next_command=resume_command(looks[first.home], looks[first.place], first.version),
    )


def _resuming_families(facts: Facts, broken: list[Answer]) -> tuple[str, ...]:
    """Who agrees to such a version there and gets through afresh: they all resume on their second visit."""
    if all(answer.question.early for answer in broken):
        return ()
    hit = []
    for family in CURRENT:
        for answer in broken:
            look = next(each for each in facts.looks if each.endpoint == answer.question.place)
            seen = look.told.decides(family, look.server_name)
            verdict = facts.verdict(family, look)
            if (
                seen is not None
                and seen.version == answer.question.version
                and verdict is not None
                and not verdict.code
            ):
                hit.append(family.name)
                break
    return tuple(hit)


RULE = Rule(code="resumption.broken", source="RFC 8446 section 2.2; RFC 5246 section 7.3", check=check)
