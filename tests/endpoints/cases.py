"""A case: an endpoint, what is wrong with it, and which verdicts would be right."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.endpoints.authority import Party
    from tests.endpoints.bench import Bench

OLD = ("android-7", "openssl-1.0", "java-8", "embedded-tls1.0")
CURRENT = ("chrome", "firefox", "safari", "android", "curl", "go", "java", "dotnet", "node", "python", "rustls")
EVERYONE = CURRENT + OLD
OK = frozenset({"ok"})
WARNING = frozenset({"warning"})
BROKEN = frozenset({"broken"})
HURT = WARNING | BROKEN


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """What an independent tool must show at this endpoint, so that the label is not a mere claim."""

    want: str  # regular expression over stdout and stderr
    args: tuple[str, ...] = ()
    at: int = 0  # index of the address
    tool: str = "s_client"  # s_client | gnutls-cli | curl | dig | second-visit
    server_name: str | None = None  # s_client: another name, "" for none


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a case is served. `addresses` go into --resolve unless a resolver is asked."""

    addresses: tuple[str, ...]
    port: int
    trust: tuple[Party, ...] | None = None  # None: the hierarchy's roots
    only: bool = False  # --only-ca-file instead of --ca-file
    origin: tuple[str, int] | None = None
    resolver: tuple[str, int] | None = None
    host: str | None = None  # None: the case's host
    sni: str | None = None  # --sni: a name sent and expected instead of the host
    identity: tuple[Party, ...] | None = None  # --client-cert: leaf first, the leaf's key with it
    starttls: str | None = None
    also: tuple[tuple[str, tuple[str, ...]], ...] = ()  # further --resolve, at the same port


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """`causes` holds every verdict that would be right (None: healthy); more than one needs a `why`."""

    id: str
    family: str  # a family of the catalogue, or healthy
    server: str
    build: Callable[[Bench, Case], Place]
    causes: frozenset[str | None]
    status: frozenset[str]
    host: str
    why: str = ""
    findings: frozenset[str] = frozenset()  # must stand among the findings, as notices or more
    fails: tuple[str, ...] = ()  # client families that must fail
    passes: tuple[str, ...] = ()
    proofs: tuple[Proof, ...] = ()
    waits: bool = False  # a check of it takes seconds by its nature
    silent: bool = False  # the answer must come within 3.5 s

    @property
    def healthy(self) -> bool:
        return self.causes == {None}


@dataclass(slots=True)
class Register:
    """Collects cases; two of one id would hide each other."""

    cases: dict[str, Case] = field(default_factory=dict)

    def add(
        self,
        id: str,
        server: str,
        build: Callable[[Bench, Case], Place],
        causes: str | tuple[str | None, ...] | None = None,
        *,
        status: frozenset[str] | None = None,
        host: str | None = None,
        why: str = "",
        findings: tuple[str, ...] = (),
        fails: tuple[str, ...] = (),
        passes: tuple[str, ...] = (),
        proof: str | Proof | tuple[Proof, ...] = (),
        waits: bool = False,
        silent: bool = False,
    ) -> None:
        accepted = frozenset(causes if isinstance(causes, tuple) else (causes,))
        assert len(accepted) == 1 or why, f"{id}: why are there several right answers?"
        assert id not in self.cases, id
        proofs = (Proof(want=proof),) if isinstance(proof, str) else (proof,) if isinstance(proof, Proof) else proof
        family = "healthy" if accepted == {None} else id.partition("/")[0]
        self.cases[id] = Case(
            id=id,
            family=family,
            server=server,
            build=build,
            causes=accepted,
            status=status or (OK if family == "healthy" else BROKEN),
            host=host or id.replace("/", "-").replace("_", "-").replace(".", "-") + ".matrix.test",
            why=why,
            findings=frozenset(findings),
            fails=fails,
            passes=passes or (CURRENT if family == "healthy" else ()),
            proofs=proofs or ((Proof(want=VERIFIED),) if family == "healthy" else ()),
            waits=waits or silent,
            silent=silent,
        )


VERIFIED = r"Verify return code: 0 \(ok\)"
