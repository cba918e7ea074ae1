"""A clock is off: by another clock the certificate is in its time and by ours it is not, or the two just disagree."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

from probes.facts import Facts
from probes.look import Look
from probes.model import Finding, Rule
from probes.observed import ClockWitness
from probes.rules.phrase import addresses, date, duration, quoted, where, x509

FRESH = timedelta(hours=1)  # clocks that nobody keeps in step are off by minutes; a younger certificate finds them out


def check(facts: Facts) -> Iterator[Finding]:
    skewed = {look: max(skews, key=abs) for look in facts.looks if (skews := facts.skews(look))}
    excused = [look for look in facts.looks if any(facts.clock_excuse(look, chain) for chain, _ in look.chains)]
    looks = tuple(dict.fromkeys((*skewed, *excused))) or (facts.looks if facts.own_skews else ())
    if not looks:
        yield from _fresh(facts)
        return
    yield Finding(
        code="validity.clock-skew",
        severity="warning",
        explanation=f"{_who(facts, skewed, excused)}; {_matter(facts, looks, excused)}.",
        evidence=(
            *(
                f"{look.address}: HTTP Date is {duration(timedelta(seconds=s))} {'ahead' if s > 0 else 'behind'}"
                for look, s in skewed.items()
            ),
            *(_said(witness) for witness in facts.evidence.clocks),
            *(f"an answer signed for {look.address} is {_span(s)} ahead" for look, s in _signed(facts, excused)),
            f"this prober's clock: {date(facts.now)}",
            _whose(facts, skewed, excused),
        ),
        addresses=addresses(looks),
        fix="Compare both machines with NTP (`chronyc tracking`, `timedatectl`), and set right the one that is off; clients with the wrong clock refuse fresh certificates or accept old ones.",
        next_command=f"date -u; {_ask(facts, looks[0])} | grep -i ^date",
    )


def _who(facts: Facts, skewed: dict[Look, float], excused: list[Look]) -> str:
    """Whose clock is off, and by how much."""
    if facts.own_skews:
        by = facts.own_skews[0]
        return f"This prober's clock is {_span(by)} {'behind' if by > 0 else 'ahead of'} NTP's"
    if skewed:
        by = next(iter(skewed.values()))
        return f"The clock of {where(tuple(skewed))} is {_span(by)} {'ahead of' if by > 0 else 'behind'} this prober's"
    behind = max((s for _, s in _signed(facts, excused)), default=0.0)
    return f"This prober's clock is at least {_span(behind)} behind: authorities have signed answers since"


def _matter(facts: Facts, looks: tuple[Look, ...], excused: list[Look]) -> str:
    if excused:
        return "by the other clock the certificate is valid, by this prober's it is not"
    if any(facts.time_fault(chain) for look in looks for chain, _ in look.chains):
        return "the certificate is out of its time by this prober's clock, which other witnesses share"
    return "the certificate is valid by both"


def _whose(facts: Facts, skewed: dict[Look, float], excused: list[Look]) -> str:
    """Which of the clocks is wrong, as far as the witnesses tell."""
    ntp = [each for each in facts.evidence.clocks if each.skew_s is not None]
    if facts.own_skews or (not skewed and excused):
        return "this prober's clock is wrong"
    if ntp:
        return "NTP agrees with this prober: the server's clock is wrong"
    witnesses = [look for look in facts.looks if any(s.http and s.http.date for s in look.handshakes)]
    if agree := [look for look in witnesses if look not in skewed]:
        return f"{len(agree)} other addresses agree with this prober: the server's clock is wrong"
    if len(skewed) > 1 and max(skewed.values()) - min(skewed.values()) < 5:
        return f"{len(skewed)} addresses agree against this prober: its clock is likely wrong"
    return "with one witness it cannot be told which of the two clocks is wrong"


def _signed(facts: Facts, looks: list[Look]) -> Iterator[tuple[Look, float]]:
    for look in looks:
        if behind := facts.signed_skew(look, look.chain):
            yield look, behind


def _said(witness: ClockWitness) -> str:
    if witness.skew_s is not None:
        return f"{witness.name}: {abs(witness.skew_s):.1f} s {'ahead of' if witness.skew_s > 0 else 'behind'} this prober's clock"
    return f"{witness.name} says that its clock is {'' if witness.synchronised else 'not '}synchronised"


def _span(seconds: float) -> str:
    return duration(timedelta(seconds=seconds))


def _fresh(facts: Facts) -> Iterator[Finding]:
    """No clock is off here. Where one is off in the fleet, a certificate this young is what finds it."""
    young = {
        look: age
        for look in facts.looks
        if look.leaf is not None and timedelta(0) <= (age := facts.now - look.leaf.not_before) < FRESH
    }
    if not young:
        return
    looks = tuple(young)
    least = min(young.values())
    yield Finding(
        code="validity.clock-skew",
        severity="notice",
        explanation=f"The certificate at {where(looks)} is {duration(least)} old: clients whose clocks are further behind refuse it as not yet valid.",
        evidence=tuple(
            f"{look.address}: notBefore {date(look.leaf.not_before)}, {duration(age)} ago"
            for look, age in young.items()
            if look.leaf is not None
        ),
        addresses=addresses(looks),
        fix="If some clients say “not yet valid”, set their clocks right (`chronyc tracking`, `timedatectl`); the certificate itself is in its time.",
        next_command=f"date -u; {x509(looks[0], '-dates')}",
    )


def _ask(facts: Facts, look: Look) -> str:
    """The command that asks this address, by the name, for its Date."""
    port = look.endpoint.port
    host = f"[{facts.reference}]" if ":" in facts.reference else facts.reference
    address = f"[{look.address}]" if ":" in look.address else look.address
    pinned = () if look.server_name is None else ("--resolve", f"{host}:{port}:{address}")
    return quoted("curl", "-skI", "--max-time", "5", *pinned, f"https://{host}:{port}/")


RULE = Rule(code="validity.clock-skew", source="RFC 9110 section 6.6.1; RFC 5280 section 4.1.2.5", check=check)
