"""The server wants a client certificate, none was sent, and it refuses for that: by alert, in HTTP, or by hanging up (RFC 8446 section 4.4.2.4)."""

from __future__ import annotations

from collections.abc import Iterator

from probes.facts import Facts
from probes.look import Look
from probes.model import Alerted, Dropped, Finding, Rule
from probes.mtls import denies, word_of
from probes.rules.identified import accepted, exchange_lines
from probes.rules.phrase import addresses, s_client, where

CODE = "mtls.certificate-required"


def check(facts: Facts) -> Iterator[Finding]:
    looks = tuple(look for look in facts.looks if look.works and look.client_auth_fault == CODE)
    if not looks:
        return
    yield Finding(
        code=CODE,
        severity="critical",
        explanation=f"{where(looks)} demands a client certificate and {_how(looks[0])} without one.",
        evidence=(
            *(one for look in looks[:3] for one in exchange_lines(look.refused_without_certificate)),
            accepted(looks),
            *_contrast(looks[0]),
        ),
        addresses=addresses(looks),
        fails_for=facts.fails_for(CODE, looks),
        fix="Give clients a certificate of an accepted CA with clientAuth among its usages, or make it optional on the server (nginx `ssl_verify_client optional;`).",
        next_command=s_client(looks[0], "-cert", "client.pem", "-key", "client.key"),
        stops_all=True,
    )


def _how(look: Look) -> str:
    outcome = look.refused_without_certificate[0].outcome
    if isinstance(outcome, Alerted):
        return "ends the handshake"
    return "hangs up" if isinstance(outcome, Dropped) else "answers requests with an error"


def _contrast(look: Look) -> Iterator[str]:
    if any(isinstance(shake.outcome, Dropped) for shake in look.refused_without_certificate):
        yield "our reading: no word came, but every exchange that was asked for a certificate and had none ended so"
    elif any(denies(shake.http) and word_of(shake.http) is None for shake in look.refused_without_certificate):
        yield "our reading: the answer does not say why, but a certificate was asked for and none given"


RULE = Rule(code=CODE, source="RFC 8446 section 4.4.2.4", check=check)
