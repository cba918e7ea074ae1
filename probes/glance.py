"""A light look: three handshakes an address, for many targets or often. What it leaves out is one gap.

small    finished     the chain current clients judge, signature and Finished checked
modern   ServerHello  does a browser's large post-quantum hello get an answer?
tls12    Certificate  what a client of TLS 1.2 alone meets, in clear and so almost free
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from functools import lru_cache

from probes import plan
from probes.model import Endpoint, Gap, Handshake, Offer, Target
from probes.values import changed

MAX_ADDRESSES = 32
GAP = Gap(
    what="light look",
    why="three handshakes an address; server names, old clients, resumption and revocation were not looked at",
)

Shake = Callable[[Endpoint, Offer, int], Awaitable[Handshake]]


@lru_cache(maxsize=4)
def _offers() -> tuple[Offer, ...]:
    nobody = Target(host="glance.invalid")
    by_purpose = {offer.purpose: offer for offer in plan.first(nobody)}
    return (
        changed(by_purpose["small"], until="finished"),
        changed(by_purpose["modern"], until="server_hello"),
        changed(by_purpose["tls12"], until="certificate", ask_http=False),
    )


def offers(target: Target) -> tuple[Offer, ...]:
    """The three hellos for *target*."""
    return tuple(changed(offer, server_name=target.server_name) for offer in _offers())


async def glance(target: Target, endpoints: tuple[Endpoint, ...], *, shake: Shake) -> tuple[Handshake, ...]:
    """Three handshakes with each of the first 32 endpoints. `shake` never raises and ends by the check's deadline."""
    asked = offers(target)
    made = [shake(endpoint, offer, len(asked)) for endpoint in endpoints[:MAX_ADDRESSES] for offer in asked]
    return tuple(await asyncio.gather(*made))
