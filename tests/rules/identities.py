"""Evidence with a client certificate in it, for the tests of the rules about them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from typing import Any

from probes import plan
from probes.facts import Facts
from probes.model import CertificateRequest, Completed, Endpoint, Handshake, HttpAnswer, Outcome
from probes.observed import Identity
from tests.evidence import ADDRESS, HEALTHY, TARGET, Server, alerted, dropped, evidence, healthy, root
from tests.pki import CLIENT_AUTH, NOW, Issued, authority, intermediate, leaf

ASKS = replace(
    HEALTHY,
    wants=CertificateRequest(
        ca_names=(root().certificate.subject.public_bytes(),), signature_algorithms=(0x0403, 0x0804, 0x0401)
    ),
)
UNNAMED = replace(HEALTHY, wants=CertificateRequest(signature_algorithms=(0x0403, 0x0804)))
AFTER = "application_data"


def after(code: int) -> Outcome:
    """An alert that TLS 1.3 sends once it has seen our certificate, or none."""
    return alerted(code, encrypted=True, awaiting=AFTER)


HANGS_UP = dropped("rst", received=3000, awaiting=AFTER)
REFUSING_PAGE = b"<html><head><title>400 The SSL certificate error</title></head></html>"
DEMANDING_PAGE = b"<html><head><title>400 No required SSL certificate was sent</title></head></html>"


def page(status: int, body: bytes) -> HttpAnswer:
    return HttpAnswer(status=status, date=NOW, skew_s=0.0, body=body)


def client_issuer() -> Issued:
    return intermediate(root(), "Clients CA", usages=())


def client(*above: Issued, issuer: Issued | None = None, **changed: Any) -> tuple[Issued, ...]:
    """A client's chain: its leaf, and what is sent with it."""
    changed.setdefault("usages", (CLIENT_AUTH,))
    made = leaf(issuer or client_issuer(), names=(), subject="client", owner="client", **changed)
    return (made, *above)


def good() -> tuple[Issued, ...]:
    return client(client_issuer())


def stranger() -> tuple[Issued, ...]:
    return client(issuer=authority("Strange Root"))


def shown(
    chain: tuple[Issued, ...],
    answer: Outcome | HttpAnswer | None,
    *,
    server: Server = ASKS,
    plain: Outcome | HttpAnswer | None = None,
    address: str = ADDRESS,
    sent: bool = True,
    now: datetime = NOW,
) -> Facts:
    """What a check with *chain* sees: *answer* to it, *plain* to the exchanges without; None goes through."""
    endpoint = Endpoint(address=address, port=TARGET.port)
    change = _answering(plain)
    shakes = healthy(address, server=server, modern=change, http=change)
    for offer in plan.first(TARGET, identify=True):
        if offer.identify:
            shake = replace(server.handshake(endpoint, offer), crowd=12, identified=sent and server.wants is not None)
            shakes = (*shakes, _answering(answer)(shake))
    seen = evidence(shakes, taken_at=now)
    return Facts(replace(seen, identity=Identity(label="robot", chain=tuple(each.der for each in chain))))


def _answering(answer: Outcome | HttpAnswer | None) -> Callable[[Handshake], Handshake]:
    def change(shake: Handshake) -> Handshake:
        if isinstance(answer, HttpAnswer):
            return replace(shake, outcome=Completed(), http=answer if shake.offer.ask_http else None)
        return shake if answer is None else replace(shake, outcome=answer)

    return change
