"""A must-staple certificate comes without a staple: clients that read the demand refuse it (RFC 7633 section 4.2.3.1)."""

from __future__ import annotations

from collections.abc import Iterator

from probes.facts import Facts
from probes.look import Look
from probes.model import Finding, Handshake, Rule
from probes.rules.phrase import addresses, question, s_client, subject, where


def _bare(facts: Facts, look: Look) -> tuple[tuple[Handshake, ...], int]:
    """The handshakes with a must-staple leaf and no staple, and how many there were with such a leaf."""
    bare: list[Handshake] = []
    count = 0
    for chain, _ in look.chains:
        known = facts.chain(look, chain)
        lacking = facts.standings.unstapled(look, known)
        bare += lacking
        if known.leaf is not None and known.leaf.must_staple:
            count += len(facts.standings.with_leaf(look, known.leaf))
    return tuple(bare), count


def check(facts: Facts) -> Iterator[Finding]:
    lacking = {look: each for look in facts.looks if (each := _bare(facts, look))[0]}
    looks = tuple(lacking)
    if not looks:
        return
    bare, count = lacking[looks[0]]
    leaf = looks[0].leaf
    failing = facts.fails_for("revocation.staple-missing", looks)
    often = "" if len(bare) == count else f" {len(bare)} times in {count}"
    name = f"“{subject(leaf)}”" if leaf else "its certificate"
    urls = leaf.ocsp_urls if leaf else ()
    yield Finding(
        code="revocation.staple-missing",
        severity="warning",  # the catalogue's: those who read the demand are few
        explanation=f"{where(looks)} serves {name}, which demands a stapled OCSP response (must-staple), without one{often}.",
        evidence=(
            *(f"{look.address}: {len(b)} of {n} handshakes came without a staple" for look, (b, n) in lacking.items()),
            f"{looks[0].address}: {question(bare[0])} asked for a staple (status_request) and got none",
            "the certificate's TLS feature extension names status_request (5)",
            f"the staple can be had from {urls[0]}"
            if urls
            else "the certificate names no OCSP responder: no server can staple",
        ),
        addresses=addresses(looks),
        fails_for=failing,
        fix="Turn stapling on (nginx `ssl_stapling on;` with a `resolver`, Apache `SSLUseStapling on`, haproxy `ocsp-update on`) and see that the server can reach the responder."
        if urls
        else "Have the certificate issued anew without must-staple: its authority has no OCSP responder any more, so the demand can never be met.",
        next_command=f"{s_client(looks[0], '-status')} 2>/dev/null | grep -A 3 'OCSP response'",
    )


RULE = Rule(code="revocation.staple-missing", source="RFC 7633 section 4.2.3.1", check=check)
