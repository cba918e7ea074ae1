"""A hello larger than one packet fails where a small one passes. Hurts clients with post-quantum key shares first."""

from __future__ import annotations

from collections.abc import Iterator

from probes.facts import Facts
from probes.look import Look
from probes.model import Dropped, Finding, Handshake, Malformed, NotTls, Rule, Stalled
from probes.plan import completed
from probes.rules.phrase import addresses, lines, s_client, where

# A long ALPN list makes the hello large with every OpenSSL; post-quantum groups only newer ones can offer.
_PADDING = "-alpn \"http/1.1,$(printf 'p%0200d,' 1 2 3 4 5 6 7)end\""


def _fails(look: Look, purpose: str) -> bool:
    """Did every one of at least two tries fail, each by breaking off?"""
    tries = look.tries(purpose)
    return len(tries) > 1 and not any(completed(shake) for shake in tries)


def _at_risk(look: Look) -> bool:
    """Only the hello in two segments breaks off: on this path the big one happened to arrive in one piece.

    Who sheds whole hellos as well (a limit on connections) has not told anything of segments.
    """
    broke = [isinstance(shake.outcome, Dropped | Stalled | NotTls | Malformed) for shake in look.tries("split")]
    return bool(look.passed("modern")) and _fails(look, "split") and all(broke) and not (look.shed or look.outages)


def _told(look: Look) -> tuple[Handshake, ...]:
    """The handshakes that differ in size and segmentation alone."""
    return look.tries("modern", "padded", "split", "small")


def check(facts: Facts) -> Iterator[Finding]:
    working = tuple(look for look in facts.looks if look.works and look.passed("small"))
    broken = tuple(look for look in working if look.quantum_fault == "reach.large-hello")
    looks = broken or tuple(look for look in working if _at_risk(look))
    if not looks:
        return
    first = looks[0]
    sizes = {shake.offer.purpose: shake.hello_size for shake in first.handshakes}
    yield Finding(
        code="reach.large-hello",
        severity="critical" if broken else "warning",
        explanation=f"{where(looks)} answers a ClientHello of {sizes.get('small', 0)} bytes in one packet, but not one that spans two; "
        "browsers and new libraries send such hellos for post-quantum key exchange.",
        evidence=(
            *(line for look in looks[:3] for line in lines(_told(look), at=True, limit=5)),
            f"sizes: browser hello {sizes.get('modern', 0)} bytes, small {sizes.get('small', 0)} bytes",
        ),
        addresses=addresses(looks),
        fails_for=facts.fails_for("reach.large-hello", looks),
        fix="A box that reads the server name from the first segment alone must wait for the whole hello (HAProxy: `tcp-request inspect-delay 5s` with `req.ssl_hello_type 1`), "
        "or be updated; if large packets vanish, mend the path MTU.",
        next_command=s_client(first).replace(" </dev/null", f" {_PADDING} </dev/null"),
    )


RULE = Rule(code="reach.large-hello", source="RFC 8446 section 5.1; RFC 9293 section 3.7", check=check)
