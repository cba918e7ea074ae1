"""What a case of the lab is declared with. The declarations themselves are in `probes.lab.cases`."""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from typing import TypeAlias

from probes.lab.gate import Peer
from probes.lab.status import Web
from probes.lab.trust import Trust
from probes.model import ResolutionFailure, Status
from probes.values import value


class Deaf(Enum):
    """Sockets that never accept."""

    REFUSING = "the port is held, nothing listens: RST in answer to SYN"
    FULL = "the accept queue is full: SYNs are dropped"


Service: TypeAlias = Peer | Deaf


@value
class Site:
    """What a case is built from: the authorities, its own name and addresses, and where issuers can be fetched."""

    trust: Trust
    name: str
    addresses: tuple[str, ...]
    issuer_url: str  # where the DER of trust.issuing_r can be fetched
    web: Web  # where OCSP responses and CRLs are published


Build: TypeAlias = Callable[[Site], tuple[Service, ...]]


@value
class Spec:
    """One line of the table. `build` returns one service for each address, the origin's last."""

    name: str  # "" stands for the case's own address: an IP literal is asked for
    mode: int | None  # the catalogue's, by which the list is grouped; None: simply healthy
    expected: str | None  # the cause a check must name; None: a healthy endpoint
    status: Status
    description: str
    build: Build = lambda _: ()
    addresses: int = 1
    origin: bool = False  # the last address is the origin behind the others: it does not resolve
    also: tuple[str, ...] = ()  # other names that resolve to the same addresses
    notice: str | None = None  # a finding of severity notice that must stand in the report
    resolution: ResolutionFailure | None = None  # the name does not resolve, for this reason
    unrouted: bool = False  # the name resolves to an address without a route
