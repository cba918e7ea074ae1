"""HTTP/2 clients reuse a connection for every name its certificate covers, and this address does not serve them all on it."""

from __future__ import annotations

from collections.abc import Iterator

from probes.facts import Facts
from probes.look import Look
from probes.model import Finding, Rule
from probes.observed import Misdirection
from probes.rules.phrase import addresses, listed, quoted, where

MISDIRECTED = 421  # RFC 9110 section 15.5.20

_FIX = (
    "Give each group of names that is served apart its own certificate and addresses; or serve every name of the "
    "certificate on every listener that holds it. A 421 makes most clients try again on a connection of its own, late."
)


def check(facts: Facts) -> Iterator[Finding]:
    astray = [each for each in facts.evidence.misdirections if _is_astray(each)]
    places = {each.address for each in astray}
    refused = {look: line for look in facts.looks if (line := _refuses_its_own(look)) is not None}
    looks = tuple(look for look in facts.looks if look.address in places or look in refused)
    if not looks:
        return
    names = listed(dict.fromkeys(each.name for each in astray), 4)
    if astray:
        explanation = (
            f"Browsers may reuse an HTTP/2 connection to {where(looks)} for {names}, which is not served on it."
        )
    else:
        explanation = f"{where(looks)} answers 421 Misdirected Request to a request whose Host and server name agree."
    yield Finding(
        code="resumption.coalescing",
        severity="warning",
        explanation=explanation,
        evidence=(*map(_line, astray[:6]), *refused.values()),
        addresses=addresses(looks),
        fix=_FIX,
        next_command=_command(looks[0], astray),
    )


def _is_astray(each: Misdirection) -> bool:
    return each.status == MISDIRECTED or each.same_certificate is False


def _line(each: Misdirection) -> str:
    said = [f"a request for it is answered {each.status}"] if each.status == MISDIRECTED else []
    if each.same_certificate is False:
        said.append(f"its own handshake gets {each.detail or 'another certificate'}")
    return f"{each.address}: the certificate covers {each.name}, but {' and '.join(said)}"


def _refuses_its_own(look: Look) -> str | None:
    """Our one request names the host of the handshake: whoever calls that misdirected takes it for another's."""
    asked = [shake for shake in look.named if shake.http is not None and shake.http.status == MISDIRECTED]
    if look.server_name is None or not asked:
        return None
    return f"{look.address}: a request for / with Host {look.server_name} and the same server name → 421 Misdirected Request"


def _command(look: Look, astray: list[Misdirection]) -> str:
    host, port = look.server_name or look.address, look.endpoint.port
    at = f"[{look.address}]" if ":" in look.address else look.address
    name = next((each.name for each in astray if each.address == look.address), host)
    words = ("curl", "-sv", "--http2", "--max-time", "5", "--connect-to", f"{host}:{port}:{at}:{port}")
    return quoted(*words, "-H", f"Host: {name}", f"https://{host}:{port}/")


RULE = Rule(code="resumption.coalescing", source="RFC 9113 section 9.1.1; RFC 9110 section 15.5.20", check=check)
