"""The leaf is past its notAfter. Hurts everyone (RFC 5280 section 4.1.2.5)."""

from __future__ import annotations

from collections.abc import Iterator

from probes.facts import Facts
from probes.look import leaf_of
from probes.model import Finding, Rule
from probes.rules.phrase import addresses, date, duration, issuer, subject, where, x509


def check(facts: Facts) -> Iterator[Finding]:
    faulty = {
        look: chains
        for look in facts.looks
        if (
            chains := [
                c
                for c, _ in look.chains
                if facts.time_fault(c) == "validity.expired" and not facts.clock_excuse(look, c)
            ]
        )
    }
    looks = tuple(faulty)
    leaf = leaf_of(faulty[looks[0]][0]) if looks else None
    if leaf is None:
        return
    evidence = [f"taken at {date(facts.now)} by this prober's clock"]
    for look in looks[:4]:
        each = leaf_of(faulty[look][0])
        if each is not None:
            evidence.append(
                f"{look.address}: {subject(each)}, issued by {issuer(each)}, "
                f"valid {date(each.not_before)} to {date(each.not_after)}, SHA-256 {each.sha256[:16]}…"
            )
        evidence += [
            f"{look.address}: the server's own clock (HTTP Date) agrees"
            for s in look.handshakes
            if s.http and s.http.date
        ][:1]
    yield Finding(
        code="validity.expired",
        severity="critical",
        explanation=f"The certificate of {where(looks)} expired {duration(facts.now - leaf.not_after)} ago, on {date(leaf.not_after)}.",
        evidence=tuple(evidence),
        addresses=addresses(looks),
        fails_for=facts.fails_for("validity.expired", looks),
        fix="Renew and deploy it: then reload the server, since a renewed file that nobody reloaded looks exactly like this. If the renewal failed, its log (certbot, acme client) says why.",
        next_command=x509(looks[0], "-subject", "-dates"),
        stops_all=True,
    )


RULE = Rule(code="validity.expired", source="RFC 5280 section 4.1.2.5", check=check)
