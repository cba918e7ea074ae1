"""The handshake fails for this name: alert 112, or it passes with another name or none (RFC 6066 section 3)."""

from __future__ import annotations

from collections.abc import Iterator

from probes.facts import Facts
from probes.look import UNRECOGNIZED_NAME
from probes.model import Alerted, Finding, Rule
from probes.rules.obstructed import Obstructed, obstructed
from probes.rules.phrase import s_client

_FIX = "Add the name to a server block with its certificate (nginx `server_name`, HAProxy `crt-list`, Caddy site address), or send clients to the right host; then reload."


def _is_told(found: Obstructed) -> bool:
    """Does the server itself say that it does not know the name?"""
    outcomes = [shake.outcome for look in found.looks if look.obstacle for shake in look.obstacle.witnesses]
    return any(isinstance(outcome, Alerted) and outcome.code == UNRECOGNIZED_NAME for outcome in outcomes)


def _said(found: Obstructed) -> str:
    look = found.looks[0]
    if _is_told(found):
        return f"refuses the name {look.server_name}: no certificate is configured for it there"
    if look.obstacle and look.obstacle.contrast:
        return f"fails for the name {look.server_name} alone: with another name, or none, it serves a certificate"
    return f"refuses the handshake for {look.server_name}, most likely because it has no certificate for that name"


def check(facts: Facts) -> Iterator[Finding]:
    for found in obstructed(facts, "sni.unrecognized"):
        look = found.looks[0]
        yield found.finding(
            explanation=f"{found.place} {_said(found)}.",
            fix=_FIX
            if _is_told(found)
            else f"{_FIX} If the name is configured, see whether its certificate file is there and its back end answers: the log of that host or route says so.",
            next_command=s_client(look, "-msg"),
        )


RULE = Rule(code="sni.unrecognized", source="RFC 6066 section 3", check=check)
