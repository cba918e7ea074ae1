"""What the evidence amounts to, address by address and family by family: the ground the rules stand on. Pure.

Two questions are answered here and nowhere else, so that no two rules can answer them differently:
`obstacle` (what keeps current clients from ever seeing a certificate) and `Facts.verdict` (does this
family get through at this address, and if not, by which code).
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from ipaddress import ip_address

from probes import plan
from probes.clients import (
    CURRENT,
    CURRENT_CIPHERS,
    CURRENT_GROUPS,
    CURRENT_SIGNATURES,
    FAMILIES,
    TLS11,
    TLS13,
    WEAK_CIPHERS,
    Family,
)
from probes.model import (
    Alerted,
    Dropped,
    Endpoint,
    Evidence,
    Handshake,
    Malformed,
    NotTls,
    Outcome,
    Stalled,
    Trust,
    Unreached,
)
from probes.pki.anchors import Anchors
from probes.pki.certificate import Certificate, parse
from probes.pki.judge import ChainFacts, assess, chain_fault, client_fault
from probes.pki.names import covers
from probes.pki.views import MODERN, View
from probes.plan import NO_APPLICATION_PROTOCOL, completed

QUANTUM = 0x11EC  # X25519MLKEM768
UNRECOGNIZED_NAME, PROTOCOL_VERSION = 112, 70
INTERNAL_ERROR = 80
CLOCK_TOLERANCE_S = 300.0  # our own limit: what NTP keeps in step never comes near it

Chain = tuple[bytes, ...]


@lru_cache(maxsize=8)
def anchors(trust: Trust) -> Anchors:
    """The store a check is judged by: the default one, where it counts, and what was added."""
    default = Anchors.from_ders(trust.default, source=trust.default_name or "default store")
    return default | Anchors.from_ders(trust.added, source="the CA file given", added=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Obstacle:
    """What stops current clients at one address before a certificate can be judged.

    `witnesses` are the handshakes that failed so; `contrast` those that differ in one thing and passed.
    """

    code: str
    witnesses: tuple[Handshake, ...]
    contrast: tuple[Handshake, ...] = ()


class Look:
    """All that was seen at one address."""

    def __init__(self, endpoint: Endpoint, handshakes: tuple[Handshake, ...], evidence: Evidence) -> None:
        self.endpoint = endpoint
        self.handshakes = handshakes
        self.evidence = evidence

    @property
    def address(self) -> str:
        return self.endpoint.address

    @property
    def server_name(self) -> str | None:
        return self.evidence.target.server_name

    @property
    def reference(self) -> str:
        """The identity a client expects here: the name it sends, else the address it was given."""
        return self.server_name or self.evidence.target.host

    def tries(self, *purposes: str) -> tuple[Handshake, ...]:
        """All handshakes made for these questions, in the order made."""
        return tuple(shake for shake in self.handshakes if shake.offer.purpose in purposes)

    def last(self, purpose: str) -> Handshake | None:
        return next(reversed(self.tries(purpose)), None)

    def passed(self, *purposes: str) -> tuple[Handshake, ...]:
        return tuple(shake for shake in self.tries(*purposes) if completed(shake))

    @cached_property
    def current(self) -> tuple[Handshake, ...]:
        """The tries that any current client's hello is like."""
        return self.tries("modern", "small", "http", "alone")

    @cached_property
    def named(self) -> tuple[Handshake, ...]:
        return tuple(shake for shake in self.handshakes if shake.offer.server_name == self.server_name)

    @cached_property
    def agreed(self) -> tuple[Handshake, ...]:
        """Handshakes for the name that came to an agreement, whatever was offered."""
        return tuple(shake for shake in self.named if completed(shake))

    @cached_property
    def is_gap(self) -> bool:
        """This prober could not look at the address at all (no IPv6 here, egress refused)."""
        return bool(self.handshakes) and all(
            isinstance(shake.outcome, Unreached) and shake.outcome.kind == "local" for shake in self.handshakes
        )

    @cached_property
    def connected(self) -> bool:
        return any(not isinstance(shake.outcome, Unreached) for shake in self.handshakes)

    @cached_property
    def spoke(self) -> bool:
        """Did the far end ever send anything that is TLS?"""
        return any(shake.version is not None or isinstance(shake.outcome, Alerted) for shake in self.handshakes)

    @cached_property
    def versions(self) -> frozenset[int]:
        """The versions agreed on with the name (or, where the name fails, with any)."""
        return frozenset(shake.version for shake in self.agreed if shake.version is not None)

    @cached_property
    def best(self) -> Handshake | None:
        """The handshake that shows this address best: as a current client sees it, else as any sees it."""
        order = ("modern", "small", "http", "alone", "tls13", "tls12", "everything", "no-alpn", "tls12-everything")
        for purpose in order:
            if self.passed(purpose):
                return self.passed(purpose)[-1]
        return next(iter(self.agreed), None)

    @cached_property
    def shown(self) -> Handshake | None:
        """The handshake whose certificate current clients judge."""
        if self.best is not None and self.best.certificates:
            return self.best
        return next((shake for shake in self.agreed if shake.certificates), None)

    @cached_property
    def chain(self) -> Chain:
        return self.shown.certificates if self.shown else ()

    @cached_property
    def chains(self) -> tuple[tuple[Chain, int], ...]:
        """The distinct chains that equal offers got, with how often: more than one means that the address flaps."""
        counted = Counter(shake.certificates for shake in self.passed("modern", "small", "http", "alone"))
        counted.pop((), None)
        if not counted and self.chain:
            counted[self.chain] = 1
        return tuple(counted.most_common())

    @cached_property
    def leaf(self) -> Certificate | None:
        return leaf_of(self.chain)

    @cached_property
    def signs(self) -> bool:
        """Does the key sign the exchange? With RSA key exchange it decrypts, and its keyUsage may say so alone."""
        return self.shown is None or self.shown.version == TLS13 or self.shown.group is not None

    @property
    def view(self) -> View:
        return MODERN if self.signs else replace(MODERN, wants_signing_usage=False)

    @cached_property
    def flaps(self) -> bool:
        """Equal offers were answered differently, for no reason of theirs."""
        return max(map(len, (self.chains, self.agreed_versions, self.agreed_protocols))) > 1 or bool(self.outages)

    @cached_property
    def agreed_versions(self) -> tuple[tuple[int, int], ...]:
        """The distinct versions that offers of the same ones came to, with how often: one server keeps to one."""
        alike = self.passed("modern", "small", "http", "alone", "again")
        return tuple(Counter(shake.version for shake in alike if shake.version is not None).most_common())

    @cached_property
    def agreed_protocols(self) -> tuple[tuple[str | None, int], ...]:
        """The distinct application protocols that equal offers came to, with how often."""
        # Where no certificate was read, TLS 1.3 has not shown its encrypted extensions either, ALPN among them.
        alike = (shake for shake in self.passed("modern", "small", "alone", "again") if shake.certificates)
        return tuple(Counter(shake.alpn for shake in alike).most_common())

    @cached_property
    def outages(self) -> tuple[Handshake, ...]:
        """Tries that broke off although an equal offer got through, with hardly anything else open.

        A busy endpoint that sheds a crowd is not a flapping one: one failure at least must have met a
        connection that was alone.
        """
        broken = [
            shake
            for shake in self.tries("modern", "small", "http", "tls12", "again")
            if not completed(shake)
            and isinstance(shake.outcome, Dropped | Stalled | Unreached | NotTls | Alerted)
            and any(completed(other) for other in self.handshakes if _equal(other, shake))
        ]
        return tuple(broken) if any(shake.crowd <= QUIET for shake in broken) else ()

    @cached_property
    def shed(self) -> int:
        """Connections of a crowd that were dropped by an endpoint which answers when asked more quietly."""
        plain = self.tries("modern", "small", "http", "tls12", "again")
        broken = [shake for shake in plain if isinstance(shake.outcome, Dropped | Stalled | Unreached)]
        equal = any(completed(other) for shake in broken for other in self.handshakes if _equal(other, shake))
        return len(broken) if equal and not self.outages else 0

    @cached_property
    def refuses_http1(self) -> bool:
        """Every hello that named http/1.1 alone was refused for it."""
        asked = self.tries("http")
        return bool(asked) and all(
            isinstance(shake.outcome, Alerted) and shake.outcome.code == NO_APPLICATION_PROTOCOL for shake in asked
        )

    @cached_property
    def refused_without_certificate(self) -> tuple[Handshake, ...]:
        """Handshakes that were asked for a client certificate and ended by an alert once none was given."""
        return tuple(
            shake
            for shake in self.tries("modern", "http")
            if shake.certificate_request is not None and shake.certificates and isinstance(shake.outcome, Alerted)
        )

    @cached_property
    def quantum_fault(self) -> str | None:
        """Why the big post-quantum hello fails where the small one passes: by its size, or by its groups."""
        if self.passed("modern") or not self.tries("modern") or not self.passed("small") or self.outages:
            return None  # where equal hellos fare differently, what one of them met tells nothing of its size
        padded, split, quantum = self.last("padded"), self.last("split"), self.last("quantum")
        if (padded and not completed(padded)) or (split and not completed(split)):
            return "reach.large-hello"
        return "negotiation.group" if quantum and not completed(quantum) else None

    @cached_property
    def obstacle(self) -> Obstacle | None:
        return obstacle(self)

    @property
    def works(self) -> bool:
        return self.connected and self.obstacle is None


QUIET = 1  # connections open at once that no server is excused from


def _equal(one: Handshake, other: Handshake) -> bool:
    """Were the same bytes offered, but for randomness? What was done after the certificate does not count."""
    first, second = one.offer, other.offer
    return replace(first, purpose="", until="certificate", ask_http=False) == replace(
        second, purpose="", until="certificate", ask_http=False
    )


def leaf_of(chain: Chain) -> Certificate | None:
    """The first certificate of *chain*, where it can be read."""
    if not chain:
        return None
    first = parse(chain[0])
    return first if isinstance(first, Certificate) else None


def obstacle(look: Look) -> Obstacle | None:
    """One address, one obstacle: the first of these that is true; None when current clients get a certificate.

    Before TLS (how it ended), then the name (what passes without it), then ALPN, then what varying the
    hello cures, then what the alerts say (RFC 8446 section 6.2).
    """
    if look.is_gap or not look.handshakes:
        return None
    if not look.connected:
        return _unreached(look)
    if look.passed("modern", "small", "http", "alone"):
        return None
    failed = look.current or look.named
    nameless = look.passed("no-sni", "other-name")
    if look.server_name is not None and nameless and not look.agreed:
        return Obstacle(code="sni.unrecognized", witnesses=failed, contrast=nameless)
    if not look.spoke:
        return _before_tls(look, failed)
    return _by_alpn(look, failed) or _by_cure(look, failed) or _by_ending(look, failed)


_UNREACHED = {"refused": "reach.refused", "timeout": "reach.timeout", "unreachable": "reach.unreachable"}


def _unreached(look: Look) -> Obstacle | None:
    kinds = Counter(s.outcome.kind for s in look.handshakes if isinstance(s.outcome, Unreached))
    kinds.pop("local", None)
    if not kinds:
        return None
    kind = max(kinds, key=lambda each: (kinds[each], each))
    return Obstacle(code=_UNREACHED[kind], witnesses=look.handshakes)


def _ending_code(outcome: Outcome) -> str | None:
    match outcome:
        case NotTls() | Malformed():
            return "reach.not-tls"
        case Dropped(kind="rst"):
            return "reach.reset"
        case Dropped():
            return "reach.closed"
        case Stalled():
            return "reach.stalled"
        case _:
            return None


def _before_tls(look: Look, failed: tuple[Handshake, ...]) -> Obstacle | None:
    """Nothing that is TLS ever came. What was heard outweighs what was not; else the plainest hello tells."""
    heard = tuple(shake for shake in look.handshakes if isinstance(shake.outcome, NotTls | Malformed))
    if heard:
        return Obstacle(code="reach.not-tls", witnesses=heard)
    codes = Counter(filter(None, (_ending_code(shake.outcome) for shake in failed)))
    if not codes:
        return _unreached(look)
    code = max(codes, key=lambda each: (codes[each], each))
    return Obstacle(code=code, witnesses=failed)


def _by_alpn(look: Look, failed: tuple[Handshake, ...]) -> Obstacle | None:
    said = tuple(s for s in failed if isinstance(s.outcome, Alerted) and s.outcome.code == NO_APPLICATION_PROTOCOL)
    without = look.passed("no-alpn")
    if said or without:
        return Obstacle(code="negotiation.alpn", witnesses=said or failed, contrast=without)
    return None


def _by_cure(look: Look, failed: tuple[Handshake, ...]) -> Obstacle | None:
    """Something for this name came to an agreement, though nothing that current clients offer did: what was it?"""
    cures = tuple(shake for shake in look.agreed if shake.offer.until != "server_hello")
    if not cures:
        return None
    newest = max(shake.version or 0 for shake in cures)
    if newest <= TLS11:
        return Obstacle(code="negotiation.legacy-only", witnesses=failed, contrast=cures)
    cure = max(cures, key=lambda shake: shake.version or 0)
    code = missing_part(cure)
    if code is None:
        # Nothing strange was chosen. A server that says why (not 70) knows the versions; if TLS 1.2 alone passes,
        # TLS 1.3 lacks something: its suites and groups were all offered, so it is what the key may sign with.
        refused = any(isinstance(shake.outcome, Alerted) and shake.outcome.code != PROTOCOL_VERSION for shake in failed)
        lacking = "negotiation.signature" if look.passed("tls12") else "negotiation.cipher"
        code = lacking if refused else "negotiation.protocol-version"
    return Obstacle(code=code, witnesses=failed, contrast=(cure,))


def missing_part(seen: Handshake) -> str | None:
    """The part of the server's choice in *seen* that no current client offers."""
    if seen.cipher is not None and seen.cipher not in CURRENT_CIPHERS:
        return "negotiation.cipher"
    if seen.group is not None and seen.group not in CURRENT_GROUPS:
        return "negotiation.group"
    if seen.signature_scheme is not None and seen.signature_scheme not in CURRENT_SIGNATURES:
        return "negotiation.signature"
    return None


def _by_ending(look: Look, failed: tuple[Handshake, ...]) -> Obstacle:
    """Nothing agrees to anything: the alerts of the plain offers tell, else how the connections ended."""
    alerts = Counter(shake.outcome.code for shake in failed if isinstance(shake.outcome, Alerted))
    if alerts:
        number = max(alerts, key=lambda each: (alerts[each], each))
        return Obstacle(code=_alert_code(number, look), witnesses=failed)
    codes = Counter(filter(None, (_ending_code(shake.outcome) for shake in failed)))
    code = max(codes, key=lambda each: (codes[each], each)) if codes else "reach.closed"
    return Obstacle(code=code, witnesses=failed)


def _alert_code(number: int, look: Look) -> str:
    if number == UNRECOGNIZED_NAME:
        return "sni.unrecognized"
    if number == PROTOCOL_VERSION:
        return "negotiation.protocol-version"
    # Go's TLS stack answers internal_error when it has no certificate for the name (Caddy, Traefik and others).
    if number == INTERNAL_ERROR and look.server_name is not None:
        return "sni.unrecognized"
    return "negotiation.cipher"


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """One family at one address: `code` None means that it gets through."""

    code: str | None


class Facts:
    """The evidence of one check, seen from where rules stand."""

    def __init__(self, evidence: Evidence) -> None:
        self.evidence = evidence
        self.anchors = anchors(evidence.trust)
        self.now = evidence.taken_at
        self.fetched: Chain = tuple(der for fetched in evidence.fetched for der in fetched.certificates)
        by_endpoint: dict[Endpoint, list[Handshake]] = {}
        for shake in evidence.handshakes:
            by_endpoint.setdefault(shake.endpoint, []).append(shake)
        looks = [Look(endpoint, tuple(shakes), evidence) for endpoint, shakes in by_endpoint.items()]
        self.origin = next((look for look in looks if look.endpoint == evidence.origin), None)
        self.all_looks = tuple(look for look in looks if look.endpoint != evidence.origin)
        self.looks = tuple(look for look in self.all_looks if not look.is_gap)
        self._assessed: dict[tuple[Chain, str, View], ChainFacts] = {}
        self._family_faults: dict[tuple[Chain, str, View, bool], str | None] = {}
        self._verdicts: dict[tuple[str, Endpoint], Verdict | None] = {}

    @property
    def addresses(self) -> tuple[str, ...]:
        """The addresses that could be looked at."""
        return tuple(look.address for look in self.looks)

    @property
    def everyone(self) -> tuple[str, ...]:
        return tuple(family.name for family in FAMILIES)

    @property
    def reference(self) -> str:
        """The identity that clients expect: the name they send, else the address they were given."""
        return self.evidence.target.server_name or self.evidence.target.host

    # certificates ------------------------------------------------------------------

    def chain(self, look: Look, chain: Chain) -> ChainFacts:
        """What *chain* amounts to for current clients; what was fetched counts as known."""
        key = (chain, look.reference, look.view)
        if key not in self._assessed:
            self._assessed[key] = assess(
                chain, look.reference, self.anchors, self.now, extra=self.fetched, view=look.view
            )
        return self._assessed[key]

    def chain_fault(self, look: Look, chain: Chain) -> str | None:
        """The chain.* code that is true of *chain* for current clients, or None."""
        return chain_fault(self.chain(look, chain))

    def _family_chain_fault(self, family: Family, look: Look, chain: Chain) -> str | None:
        view = family.view if look.signs else replace(family.view, wants_signing_usage=False)
        # MODERN is as strict as any family, so a path that it finds sound is sound for each that searches as widely.
        if view.search == MODERN.search and self.chain(look, chain).sound is not None:
            return None
        key = (chain, look.reference, view, family.aia)
        if key not in self._family_faults:
            self._family_faults[key] = client_fault(
                chain, look.reference, self.anchors, self.now, view=view, extra=self.fetched, aia=family.aia
            )
        return self._family_faults[key]

    def name_fault(self, look: Look, chain: Chain) -> str | None:
        """sni.* when the leaf of *chain* does not cover what was asked for: the default, or a wrong one of its own."""
        leaf = leaf_of(chain)
        if leaf is None or covers(leaf, look.reference):
            return None
        if look.server_name is None:
            return "sni.name-mismatch"
        others = tuple(shake.certificates[0] for shake in look.tries("other-name", "no-sni") if shake.certificates)
        unknown = tuple(shake.certificates[0] for shake in look.tries("other-name") if shake.certificates)
        # A server that serves unknown names something, and serves this name the same, does not know this name.
        same = chain[0] in (unknown or others)
        return "sni.default-certificate" if same and unknown else "sni.name-mismatch"

    def time_fault(self, chain: Chain) -> str | None:
        """validity.* of the leaf by this prober's clock."""
        leaf = leaf_of(chain)
        if leaf is None:
            return None
        if self.now > leaf.not_after:
            return "validity.expired"
        return "validity.not-yet-valid" if self.now < leaf.not_before else None

    def certificate_fault(self, look: Look, chain: Chain) -> str | None:
        """The first thing wrong with *chain* for current clients, in the catalogue's ranking."""
        return self.name_fault(look, chain) or self.time_fault(chain) or self.severe_chain_fault(look, chain)

    def severe_chain_fault(self, look: Look, chain: Chain) -> str | None:
        fault = self.chain_fault(look, chain)
        return fault if fault not in {"chain.cross-sign", "chain.misordered"} else None

    def fault(self, look: Look) -> str | None:
        """The first thing at this address by which a current client fails now, or None."""
        if look.obstacle is not None:
            return look.obstacle.code
        for chain, _ in look.chains:
            fault = self.certificate_fault(look, chain)
            if fault is not None and not self.clock_excuse(look, chain):
                return fault
        verdicts = (self.verdict(family, look) for family in CURRENT)
        return next((verdict.code for verdict in verdicts if verdict is not None and verdict.code is not None), None)

    # clients -----------------------------------------------------------------------

    def verdict(self, family: Family, look: Look) -> Verdict | None:
        """Does *family* get through at this address? None: it cannot be told."""
        key = (family.name, look.endpoint)
        if key not in self._verdicts:
            self._verdicts[key] = self._verdict_of(family, look)
        return self._verdicts[key]

    def _verdict_of(self, family: Family, look: Look) -> Verdict | None:
        if look.obstacle is not None and (family.current or look.obstacle.code.startswith("reach.")):
            return Verdict(code=look.obstacle.code)
        if look.quantum_fault is not None and QUANTUM in family.groups:
            return Verdict(code=look.quantum_fault)
        seen = plan.decided(family, look.server_name, look.handshakes)
        if seen is None:
            return None
        if not completed(seen):
            return self._refused(family, look, seen)
        verdict = self._by_certificate(family, look, seen.certificates or look.chain)
        if verdict == Verdict(code=None) and family.alpn == ("http/1.1",) and look.refuses_http1:
            return Verdict(code="negotiation.alpn")
        if verdict == Verdict(code=None) and look.refused_without_certificate:
            return Verdict(code="mtls.certificate-required")
        return verdict

    def _refused(self, family: Family, look: Look, seen: Handshake) -> Verdict | None:
        if isinstance(seen.outcome, Unreached | Malformed) or look.outages:
            return None
        if not family.sends_server_name and look.server_name is not None and not look.passed("no-sni"):
            return Verdict(code="sni.required")
        if not look.versions & set(family.versions):
            modern = bool(look.versions) and min(look.versions) == TLS13
            return Verdict(code="negotiation.modern-only" if modern else "negotiation.protocol-version")
        return Verdict(code=self._missing_for(family, look))

    def _missing_for(self, family: Family, look: Look) -> str:
        """Which part the family lacks: the first of which it has nothing that the server ever chose."""
        shared = [shake for shake in look.agreed if shake.version in family.versions]
        newest = max((shake.version or 0 for shake in shared), default=0)
        chosen = [shake for shake in shared if shake.version == newest]
        for code, offered, seen in (
            ("negotiation.cipher", family.ciphers, {shake.cipher for shake in chosen}),
            ("negotiation.group", family.groups, {shake.group for shake in chosen}),
            ("negotiation.signature", family.signature_algorithms, {shake.signature_scheme for shake in chosen}),
        ):
            known = seen - {None}
            if known and not known & set(offered):
                return code
        return "negotiation.cipher"

    def _by_certificate(self, family: Family, look: Look, chain: Chain) -> Verdict | None:
        if not chain:
            return Verdict(code=None) if look.shown is None and look.works else None
        name = self.name_fault(look, chain)
        if name is not None:
            return Verdict(code="sni.required" if not family.sends_server_name and look.chain != chain else name)
        skewed = self.clock_excuse(look, chain)
        time = self.time_fault(chain)
        if time is not None and not skewed:
            return Verdict(code=time)
        return Verdict(code=self._family_chain_fault(family, look, chain))

    def fails_for(self, code: str, looks: tuple[Look, ...]) -> tuple[str, ...]:
        """The families that fail with *code* at any of *looks*."""
        return tuple(
            family.name
            for family in FAMILIES
            if any((verdict := self.verdict(family, look)) is not None and verdict.code == code for look in looks)
        )

    # clocks ------------------------------------------------------------------------

    def skews(self, look: Look) -> tuple[float, ...]:
        """Seconds by which the server's HTTP Date is ahead of this prober's clock, where it is off beyond tolerance."""
        seen = (shake.http.skew_s for shake in look.handshakes if shake.http and shake.http.skew_s is not None)
        cached = {shake.http.age_s for shake in look.handshakes if shake.http}
        return () if any(cached - {None, 0}) else tuple(skew for skew in seen if abs(skew) > CLOCK_TOLERANCE_S)

    def clock_excuse(self, look: Look, chain: Chain) -> float | None:
        """The skew by which a certificate out of its time by our clock is in its time by the server's."""
        leaf = leaf_of(chain)
        if leaf is None or self.time_fault(chain) is None:
            return None
        for skew in self.skews(look):
            theirs = self.now.timestamp() + skew
            if leaf.not_before.timestamp() <= theirs <= leaf.not_after.timestamp():
                return skew
        return None


def is_weak(cipher: int | None) -> bool:
    return cipher in WEAK_CIPHERS


def is_ipv6(address: str) -> bool:
    return ip_address(address.partition("%")[0]).version == 6
