"""The lab: all its cases, served on loopback until it is closed."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime

from probes.lab.cases import SPECS
from probes.lab.listen import UNROUTED, NotPossible, Sockets, bind, has_many_addresses, is_unrouted
from probes.lab.spec import Site, Spec
from probes.lab.status import Page, Web
from probes.lab.trust import Trust, establish
from probes.model import ResolutionFailure, Status
from probes.values import value

DEFAULT_PORT = 8443


@value
class Case:
    """One endpoint, and the verdict that is owed for it."""

    name: str  # what to check: a name under .lab, or an IP literal
    port: int
    addresses: tuple[str, ...]  # what the name resolves to; empty when `resolution` says why not
    expected: str | None  # the cause; None: healthy
    status: Status
    description: str  # one line for the welcome list
    mode: int | None  # the family it belongs to; None: simply healthy
    notice: str | None = None  # a notice that must stand among the findings
    resolution: ResolutionFailure | None = None
    origin: str | None = None  # ADDR:PORT for --origin: the server behind the balancer
    also: tuple[str, ...] = ()  # other names that resolve to the same addresses
    remark: str = ""  # what is not as announced, e.g. another port

    @property
    def target(self) -> str:
        return f"{self.name}:{self.port}"

    @property
    def command(self) -> str:
        """What to type after `/tls` or `tls`."""
        return f"check {self.target}" + (f" --origin {self.origin}" if self.origin else "")


@value
class LeftOut:
    """A case that this machine cannot show."""

    name: str
    why: str


class Lab:
    """A running lab. Make one with `start`; end it with `close`, or use it in `async with`."""

    def __init__(
        self,
        *,
        trust: Trust,
        cases: tuple[Case, ...],
        left_out: tuple[LeftOut, ...],
        web_socket: tuple[str, int],
        sockets: Sockets,
    ) -> None:
        self.trust = trust
        self.cases = cases
        self.left_out = left_out
        self._web_socket = web_socket
        self._sockets = sockets

    @property
    def root_pem(self) -> str:
        """The root to trust. Its key was made for this lab and lives in this process only."""
        return self.trust.root.pem

    @property
    def overrides(self) -> Mapping[tuple[str, int], tuple[str, ...] | ResolutionFailure]:
        """What the resolver is to answer for (host, port): addresses, or the failure to report."""
        return {
            (name, case.port): case.resolution or case.addresses
            for case in self.cases
            for name in (case.name, *case.also)
        }

    @property
    def allowed(self) -> tuple[tuple[str, int], ...]:
        """Exactly the sockets of the lab, the one that serves issuers, OCSP responses and CRLs included."""
        sockets = {(address, case.port) for case in self.cases for address in case.addresses}
        origins = {(case.origin.rpartition(":")[0], case.port) for case in self.cases if case.origin}
        return tuple(sorted(sockets | origins | {self._web_socket}))

    def case(self, name: str) -> Case:
        """The case called *name*; KeyError if there is none."""
        for case in self.cases:
            if case.name == name:
                return case
        raise KeyError(name)

    async def close(self) -> None:
        await self._sockets.close()

    async def __aenter__(self) -> Lab:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()


async def start(*, port: int = DEFAULT_PORT, many_addresses: bool | None = None) -> Lab:
    """Serve every case in the running event loop.

    Each case has loopback addresses of its own, all on *port*; 0 lets the system choose a port for
    each case. Where a port is taken, that case moves to another and says so in `remark`.
    *many_addresses* False keeps to 127.0.0.1 (None: ask the machine); cases that need several
    addresses are then left out.
    """
    if many_addresses is None:
        many_addresses = has_many_addresses()
    trust = establish(datetime.now(UTC))
    sockets = Sockets()
    try:
        web, web_socket = await _serve_web(sockets)
        opening = _Opening(
            trust=trust,
            sockets=sockets,
            port=port if many_addresses else 0,
            wanted_port=port,
            # RFC 5280 section 4.2.2.1: one DER certificate over HTTP
            issuer_url=web.publish(Page(body=trust.issuing_r.der, content_type="application/pkix-cert")),
            web=web,
            pool=_addresses() if many_addresses else itertools.repeat("127.0.0.1"),
        )
        cases: list[Case] = []
        left_out: list[LeftOut] = []
        for spec in SPECS:
            try:
                _check_possible(spec, many_addresses)
                cases.append(await opening.open(spec))
            except NotPossible as reason:
                left_out.append(LeftOut(name=spec.name, why=str(reason)))
    except BaseException:
        await sockets.close()
        raise
    return Lab(trust=trust, cases=tuple(cases), left_out=tuple(left_out), web_socket=web_socket, sockets=sockets)


async def _serve_web(sockets: Sockets) -> tuple[Web, tuple[str, int]]:
    """The server of everything that the lab's certificates name, and its socket."""
    [bound] = bind(["127.0.0.1"], 0)
    address, port = bound.getsockname()
    web = Web(f"http://{address}:{port}")
    await sockets.open(bound, web.peer())
    return web, (address, port)


def _addresses() -> Iterator[str]:
    return (f"127.0.0.{last}" for last in range(2, 255))


def _check_possible(spec: Spec, many_addresses: bool) -> None:
    if spec.addresses > 1 and not many_addresses:
        raise NotPossible("this machine has one IPv4 loopback address, and the case needs several")
    if spec.unrouted and not is_unrouted(UNROUTED, DEFAULT_PORT):
        raise NotPossible("this machine has no address that fails for want of a route without a packet leaving it")


@value
class _Opening:
    """What all cases share while the lab starts."""

    trust: Trust
    sockets: Sockets
    port: int
    wanted_port: int
    issuer_url: str
    web: Web
    pool: Iterator[str]

    async def open(self, spec: Spec) -> Case:
        if spec.resolution:
            return _case(spec, (), self.wanted_port or DEFAULT_PORT)
        if spec.unrouted:
            return _case(spec, (UNROUTED,), self.wanted_port or DEFAULT_PORT)
        addresses = tuple(itertools.islice(self.pool, spec.addresses))
        bound = bind(addresses, self.port)
        port = bound[0].getsockname()[1]
        site = Site(
            trust=self.trust,
            name=spec.name or addresses[0],
            addresses=addresses,
            issuer_url=self.issuer_url,
            web=self.web,
        )
        for one, service in zip(bound, spec.build(site), strict=True):
            await self.sockets.open(one, service)
        return _case(spec, addresses, port, self._remark(port))

    def _remark(self, port: int) -> str:
        if self.wanted_port in (0, port):
            return ""
        return f"port {port}, because {self.wanted_port} is not free here"


def _case(spec: Spec, addresses: Sequence[str], port: int, remark: str = "") -> Case:
    resolved = tuple(addresses[:-1] if spec.origin else addresses)
    return Case(
        name=spec.name or addresses[0],
        port=port,
        addresses=resolved,
        expected=spec.expected,
        status=spec.status,
        description=spec.description,
        mode=spec.mode,
        notice=spec.notice,
        also=spec.also,
        resolution=spec.resolution,
        origin=f"{addresses[-1]}:{port}" if spec.origin else None,
        remark=remark,
    )
