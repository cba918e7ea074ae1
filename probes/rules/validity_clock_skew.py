"""A clock is off: by the server's clock the certificate is in its time and by ours it is not, or the two just disagree."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

from probes.facts import Facts
from probes.look import Look
from probes.model import Finding, Rule
from probes.rules.phrase import addresses, date, duration, quoted, where


def _disagreeing(facts: Facts) -> dict[Look, float]:
    """The addresses whose clock is off by ours, and by how many seconds they are ahead."""
    return {look: max(skews, key=abs) for look in facts.looks if (skews := facts.skews(look))}


def check(facts: Facts) -> Iterator[Finding]:
    skewed = _disagreeing(facts)
    looks = tuple(skewed)
    if not looks:
        return
    excused = [look for look in looks if any(facts.clock_excuse(look, chain) for chain, _ in look.chains)]
    witnesses = [look for look in facts.looks if any(s.http and s.http.date for s in look.handshakes)]
    by = skewed[looks[0]]
    way = "ahead of" if by > 0 else "behind"
    span = duration(timedelta(seconds=by))
    agree = [look for look in witnesses if look not in skewed]
    whose = (
        f"{len(agree)} other addresses agree with this prober: the server's clock is wrong"
        if agree
        else f"{len(looks)} addresses agree against this prober: its clock is likely wrong"
        if len(looks) > 1 and max(skewed.values()) - min(skewed.values()) < 5
        else "with one witness it cannot be told which of the two clocks is wrong"
    )
    matter = (
        "by its clock the certificate is valid, by this prober's it is not"
        if excused
        else "the certificate is valid by both"
    )
    yield Finding(
        code="validity.clock-skew",
        severity="warning",
        explanation=f"The clock of {where(looks)} is {span} {way} this prober's; {matter}.",
        evidence=(
            *(
                f"{look.address}: HTTP Date is {duration(timedelta(seconds=s))} {'ahead' if s > 0 else 'behind'}"
                for look, s in skewed.items()
            ),
            f"this prober's clock: {date(facts.now)}",
            whose,
        ),
        addresses=addresses(looks),
        fix="Compare both machines with NTP (`chronyc tracking`, `timedatectl`), and set right the one that is off; clients with the wrong clock refuse fresh certificates or accept old ones.",
        next_command=f"date -u; {_ask(facts, looks[0])} | grep -i ^date",
    )


def _ask(facts: Facts, look: Look) -> str:
    """The command that asks this address, by the name, for its Date."""
    port = look.endpoint.port
    host = f"[{facts.reference}]" if ":" in facts.reference else facts.reference
    address = f"[{look.address}]" if ":" in look.address else look.address
    pinned = () if look.server_name is None else ("--resolve", f"{host}:{port}:{address}")
    return quoted("curl", "-skI", "--max-time", "5", *pinned, f"https://{host}:{port}/")


RULE = Rule(code="validity.clock-skew", source="RFC 9110 section 6.6.1; RFC 5280 section 4.1.2.5", check=check)
