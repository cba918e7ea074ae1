"""Less than a sixth of the lifetime is left, and less than 30 days: a failure is on its way (RFC 5280 section 4.1.2.5)."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

from probes.facts import Facts
from probes.look import Look, leaf_of
from probes.model import Finding, Rule
from probes.pki.certificate import Certificate
from probes.rules.phrase import addresses, date, duration, subject, where, x509
from probes.rules.renewal import renewal_lines

_SHARE = 6
_AT_MOST = timedelta(days=30)


def _due(facts: Facts, look: Look) -> Certificate | None:
    """The certificate of the paths in use that runs out first, if it is that far: leaf or intermediate, never the anchor.

    Of a certificate for another kind of key too, which only clients without the usual one are shown.
    """
    due: list[Certificate] = []
    for chain in (look.chain, *look.second_chains):
        sound = facts.chain(look, chain).sound if chain else None
        used = sound.certificates[:-1] if sound and len(sound.certificates) > 1 else (leaf_of(chain),)
        due += [each for each in used if each is not None and is_due(each, facts.now)]
    return min(due, key=lambda each: each.not_after, default=None)


def is_due(each: Certificate, now: datetime) -> bool:
    """In its last sixth, and in its last 30 days: so a 90-day certificate from day 75 on, one of 160 hours for 26."""
    left = each.not_after - now
    return timedelta(0) <= left < min((each.not_after - each.not_before) / _SHARE, _AT_MOST) and now >= each.not_before


def check(facts: Facts) -> Iterator[Finding]:
    due = {look: each for look in facts.looks if (each := _due(facts, look)) is not None}
    looks = tuple(due)
    if not looks:
        return
    first = min(due.values(), key=lambda each: each.not_after)
    lifetime = first.not_after - first.not_before
    yield Finding(
        code="validity.expiring",
        severity="warning",
        explanation=f"The certificate “{subject(first)}” of {where(looks)} expires in {duration(first.not_after - facts.now)}, on {date(first.not_after)}.",
        evidence=(
            *(f"{look.address}: {subject(each)}, until {date(each.not_after)}" for look, each in list(due.items())[:4]),
            f"lifetime {duration(lifetime)}; less than a sixth of it ({duration(lifetime / _SHARE)}) is left",
            *renewal_lines(facts, first),
        ),
        addresses=addresses(looks),
        fix="Renew it now and see why the automatic renewal has not: most clients renew with a third of the lifetime left.",
        next_command=x509(looks[0], "-subject", "-dates"),
    )


RULE = Rule(code="validity.expiring", source="RFC 5280 section 4.1.2.5", check=check)
