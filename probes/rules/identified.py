"""What the rules about client certificates share: the exchanges in which one was asked for, in words. Pure.

The server's word and our reading of the certificate are always told apart.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from probes.facts import Facts
from probes.look import Look
from probes.model import Alerted, Dropped, Finding, Handshake, shown
from probes.mtls import Presented, denies, word_of
from probes.pki.certificate import Certificate, parse
from probes.pki.identity import accepted_names
from probes.rules.phrase import addresses, line, listed, many, s_client, where
from probes.wire.registry import alert_meaning, alert_name

_TITLE = re.compile(rb"<title>(.{1,120}?)</title>", re.I | re.S)
_SHOWN_CAS = 6


def exchange_lines(shakes: Iterable[Handshake], *, limit: int = 3) -> tuple[str, ...]:
    """One line for each exchange, with what HTTP said where TLS went through."""
    return tuple(dict.fromkeys(map(_exchange, shakes)))[:limit]


def _exchange(shake: Handshake) -> str:
    said = line(shake, at=True)
    if shake.http is None or (word_of(shake.http) is None and not denies(shake.http)):
        return said
    title = _TITLE.search(shake.http.body)
    text = (title[1] if title else shake.http.body[:120]).decode("utf-8", "replace")
    return f"{said}, then HTTP {shake.http.status}: “{shown(' '.join(text.split()), 120)}”"


def accepted(looks: Iterable[Look]) -> str:
    """The CAs that these addresses say they accept."""
    names = dict.fromkeys(
        name for look in looks for asked in look.certificate_requests for name in accepted_names(asked)
    )
    return f"accepted CAs: {listed(names, _SHOWN_CAS) or 'any (no names were sent)'}"


def refused(facts: Facts, code: str) -> Iterator[tuple[tuple[Look, ...], Presented]]:
    """At most one: the addresses that refuse our certificate by *code*, and what the first of them made of it."""
    looks = tuple(
        look for look in facts.looks if look.works and look.presented is not None and look.presented.code == code
    )
    if looks and looks[0].presented is not None:
        yield looks, looks[0].presented


def refusal(facts: Facts, looks: tuple[Look, ...], seen: Presented, *, code: str, why: str, fix: str) -> Finding:
    """The finding about a refused certificate; *why* is a clause."""
    identity = facts.evidence.identity
    label = shown(identity.label) if identity is not None else "given"
    return Finding(
        code=code,
        severity="critical",
        explanation=f"{where(looks)} refuses the client certificate {label}: {why}.",
        evidence=(
            *(one for look in looks[:3] if look.presented for one in exchange_lines(look.presented.witnesses)),
            f"the server's word: {_word(seen)}",
            *(f"our reading of the certificate: {doubt.says}" for doubt in seen.doubts[:4]),
            *(() if seen.doubts else ("our reading of the certificate: nothing in it says why",)),
            accepted(looks),
            *ours(facts),
            _without(looks),
        ),
        addresses=addresses(looks),
        fails_for=facts.fails_for(code, looks),
        fix=fix,
        next_command=s_client(looks[0], "-cert", "client.pem", "-key", "client.key"),
        stops_all=True,
    )


def _word(seen: Presented) -> str:
    outcome = seen.witnesses[0].outcome
    if isinstance(outcome, Alerted):
        return f"alert {outcome.code} {alert_name(outcome.code)}: {alert_meaning(outcome.code)}"
    if isinstance(outcome, Dropped):
        return "none: it hangs up once it has seen the certificate"
    return "in HTTP alone, and it does not say what is wrong with the certificate"


def ours(facts: Facts) -> Iterator[str]:
    """The certificate that was shown, as far as it decides."""
    leaf = leaf_shown(facts)
    if leaf is None or facts.evidence.identity is None:
        return
    usages = ", ".join(leaf.eku_names) if leaf.eku_names is not None else "any (no extended key usage)"
    yield (
        f"shown: “{shown(leaf.subject or '(no subject)', 120)}”, issued by “{shown(leaf.issuer, 120)}”, valid "
        f"{leaf.not_before:%Y-%m-%d} to {leaf.not_after:%Y-%m-%d}, for {usages}, "
        f"{many(len(facts.evidence.identity.chain) - 1, 'further certificate')} sent along"
    )


def leaf_shown(facts: Facts) -> Certificate | None:
    identity = facts.evidence.identity
    parsed = parse(identity.chain[0]) if identity is not None and identity.chain else None
    return parsed if isinstance(parsed, Certificate) else None


def _without(looks: tuple[Look, ...]) -> str:
    demanded = looks[0].client_auth == "required"
    return "without a certificate: refused, too" if demanded else "without a certificate: the server goes on"
