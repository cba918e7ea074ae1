"""The handshake fails for this name: alert 112, or it passes with another name or none (RFC 6066 section 3)."""

from __future__ import annotations

from collections.abc import Iterator

from probes.facts import Facts
from probes.model import Finding, Rule
from probes.rules.obstructed import obstructed
from probes.rules.phrase import s_client


def check(facts: Facts) -> Iterator[Finding]:
    for found in obstructed(facts, "sni.unrecognized"):
        look = found.looks[0]
        yield found.finding(
            explanation=f"{found.place} refuses the name {look.server_name}: no certificate is configured for it there.",
            fix="Add the name to a server block with its certificate (nginx `server_name`, HAProxy `crt-list`, Caddy site address), or send clients to the right host; then reload.",
            next_command=s_client(look, "-msg"),
        )


RULE = Rule(code="sni.unrecognized", source="RFC 6066 section 3", check=check)
