"""The server wants a client certificate, none was sent, and it ends the handshake for that (RFC 8446 section 4.4.2.4)."""

from __future__ import annotations

from collections.abc import Iterator

from probes.facts import Facts
from probes.model import Finding, Rule
from probes.pki.distinguished import read
from probes.rules.phrase import addresses, lines, listed, s_client, where


def check(facts: Facts) -> Iterator[Finding]:
    looks = tuple(look for look in facts.looks if look.works and look.refused_without_certificate)
    if not looks:
        return
    request = looks[0].refused_without_certificate[0].certificate_request
    accepted = [read(name).text for name in request.ca_names] if request else []
    yield Finding(
        code="mtls.certificate-required",
        severity="critical",
        explanation=f"{where(looks)} demands a client certificate and ends the handshake without one.",
        evidence=(
            *(evidence for look in looks[:3] for evidence in lines(look.refused_without_certificate, at=True)),
            f"accepted CAs: {listed(accepted) or 'any (no names were sent)'}",
        ),
        addresses=addresses(looks),
        fails_for=facts.fails_for("mtls.certificate-required", looks),
        fix="Give clients a certificate of an accepted CA with clientAuth among its usages, or make it optional on the server (nginx `ssl_verify_client optional;`).",
        next_command=s_client(looks[0], "-cert", "client.pem", "-key", "client.key"),
        stops_all=True,
    )


RULE = Rule(code="mtls.certificate-required", source="RFC 8446 section 4.4.2.4", check=check)
