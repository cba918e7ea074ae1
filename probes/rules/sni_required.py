"""Clients that send no server name get another certificate, an alert or a close. Hurts very old and embedded clients."""

from __future__ import annotations

from collections.abc import Iterator

from probes.facts import Facts
from probes.look import Look, leaf_of
from probes.model import Dropped, Finding, Rule, Stalled, Unreached
from probes.pki.names import covers
from probes.plan import completed
from probes.rules.phrase import addresses, line, s_client, where


def _needs_name(look: Look) -> bool:
    """The name gets its own good certificate, and without a name something else happens."""
    nameless = look.last("no-sni")
    leaf = look.leaf
    if look.server_name is None or nameless is None or leaf is None or not covers(leaf, look.reference):
        return False
    if isinstance(nameless.outcome, Unreached) or (look.shed and isinstance(nameless.outcome, Dropped | Stalled)):
        return False  # who sheds hellos that have the name as well has not told anything of those without
    other = leaf_of(nameless.certificates)
    return not completed(nameless) or (other is not None and not covers(other, look.reference))


def check(facts: Facts) -> Iterator[Finding]:
    looks = tuple(look for look in facts.looks if look.works and not look.flaps and _needs_name(look))
    if not looks:
        return
    yield Finding(
        code="sni.required",
        severity="notice",
        explanation=f"{where(looks)} serves {facts.reference} only to clients that send the name; those that send none fail.",
        evidence=tuple(line(shake, at=True) for look in looks[:4] for shake in look.tries("no-sni")[-1:]),
        addresses=addresses(looks),
        fails_for=facts.fails_for("sni.required", looks),
        fix="Nothing, unless old or embedded clients or health checks without SNI matter: then make this certificate the default of the listener.",
        next_command=s_client(looks[0], name=False),
    )


RULE = Rule(code="sni.required", source="RFC 6066 section 3", check=check)
