"""One address, as seen: what was agreed, what flapped, and what keeps current clients from any certificate. Pure.

`obstacle` answers that last question, here and nowhere else, so that no two rules can answer it differently. Long,
because a `Look` is asked so many things: all that an address showed, from whichever side.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from operator import itemgetter
from typing import TypeVar

from probes import mtls
from probes.clients import CURRENT_CIPHERS, CURRENT_GROUPS, CURRENT_SIGNATURES, TLS11, TLS13
from probes.model import (
    Alerted,
    CertificateRequest,
    Dropped,
    Endpoint,
    Evidence,
    Handshake,
    Malformed,
    NotTls,
    Outcome,
    Stalled,
    Unreached,
)
from probes.pki.certificate import Certificate, parse
from probes.pki.views import MODERN, View
from probes.plan import ALIKE, ALIKE_BY_KEY, IMPLICIT, NO_APPLICATION_PROTOCOL, OLD_CLIENTS, Told, completed
from probes.values import once, value

UNRECOGNIZED_NAME, PROTOCOL_VERSION = 112, 70
_SETTLED = frozenset(
    {40, 47, 70, 71, 109, 112, 120}
)  # settled by settings (RFC 8446 section 6.2); not 80, internal_error
INTERNAL_ERROR = 80

Chain = tuple[bytes, ...]


@value
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
        self.handshakes = tuple(shake for shake in handshakes if shake.offer.purpose != IMPLICIT)
        self.implicit = next((shake for shake in handshakes if shake.offer.purpose == IMPLICIT), None)
        self.evidence = evidence
        self._tries: dict[tuple[str, ...], tuple[Handshake, ...]] = {}
        self._passed: dict[tuple[str, ...], tuple[Handshake, ...]] = {}

    @property
    def address(self) -> str:
        return self.endpoint.address

    @once
    def server_name(self) -> str | None:
        return self.evidence.target.server_name

    @once
    def reference(self) -> str:
        """The identity a client expects here: the name it sends, else the address it was given."""
        return self.server_name or self.evidence.target.host

    def tries(self, *purposes: str) -> tuple[Handshake, ...]:
        """All handshakes made for these questions, in the order made."""
        made = self._tries.get(purposes)
        if made is None:
            made = tuple([shake for shake in self.handshakes if shake.offer.purpose in purposes])
            self._tries[purposes] = made
        return made

    def last(self, purpose: str) -> Handshake | None:
        return next(reversed(self.tries(purpose)), None)

    def passed(self, *purposes: str) -> tuple[Handshake, ...]:
        made = self._passed.get(purposes)
        if made is None:
            made = self._passed[purposes] = tuple([shake for shake in self.tries(*purposes) if completed(shake)])
        return made

    @once
    def current(self) -> tuple[Handshake, ...]:
        """The tries that any current client's hello is like."""
        return self.tries("modern", "small", "http", "alone")

    @once
    def named(self) -> tuple[Handshake, ...]:
        return tuple(shake for shake in self.handshakes if shake.offer.server_name == self.server_name)

    @once
    def told(self) -> Told:
        return Told(self.handshakes)

    @once
    def agreed(self) -> tuple[Handshake, ...]:
        """Handshakes for the name that came to an agreement, whatever was offered."""
        return tuple(shake for shake in self.named if completed(shake))

    @once
    def is_gap(self) -> bool:
        """This prober could not look at the address at all (no IPv6 here, egress refused)."""
        return bool(self.handshakes) and all(
            isinstance(shake.outcome, Unreached) and shake.outcome.kind == "local" for shake in self.handshakes
        )

    @once
    def connected(self) -> bool:
        return any(not isinstance(shake.outcome, Unreached) for shake in self.handshakes)

    @once
    def spoke(self) -> bool:
        """Did the far end ever send anything that is TLS?"""
        return any(shake.version is not None or isinstance(shake.outcome, Alerted) for shake in self.handshakes)

    @once
    def versions(self) -> frozenset[int]:
        """The versions agreed on with the name (or, where the name fails, with any)."""
        return frozenset(shake.version for shake in self.agreed if shake.version is not None)

    @once
    def best(self) -> Handshake | None:
        """The handshake that shows this address best: as a current client sees it, else as any sees it."""
        order = ("modern", "small", "http", "alone", "tls13", "tls12", "everything", "no-alpn", "tls12-everything")
        for purpose in order:
            if self.passed(purpose):
                return self.passed(purpose)[-1]
        return next(iter(self.agreed), None)

    @once
    def shown(self) -> Handshake | None:
        """The handshake whose certificate current clients judge."""
        if self.best is not None and self.best.certificates:
            return self.best
        return next((shake for shake in self.agreed if shake.certificates), None)

    @once
    def chain(self) -> Chain:
        return self.shown.certificates if self.shown else ()

    @once
    def samples(self) -> tuple[Handshake, ...]:
        """The handshakes whose certificate any back end alike would have chosen the same.

        Hellos of current clients first; TLS 1.2 alone may rightly meet a certificate for another kind of key, so
        such a one counts where the kind is the same. An old client's counts where it met a chain that others met as
        well, or not the same one each time.
        """
        alike = [shake for shake in self.passed(*ALIKE) if shake.certificates]
        kinds = {_key_kind(shake.certificates) for shake in alike}
        for shake in self.passed(*ALIKE_BY_KEY):
            if shake.certificates and _key_kind(shake.certificates) in kinds:
                alike.append(shake)
        chains = {shake.certificates for shake in alike}
        for purpose in OLD_CLIENTS:
            shown = [shake for shake in self.passed(purpose) if shake.certificates]
            steady = len({shake.certificates for shake in shown}) == 1
            alike += [shake for shake in shown if not steady or shake.certificates in chains] if chains else []
        return tuple(alike)

    @once
    def chains(self) -> tuple[tuple[Chain, int], ...]:
        """The distinct chains that like offers got, with how often: more than one means that the address flaps."""
        return _tally([shake.certificates for shake in self.samples] or ([self.chain] if self.chain else []))

    @once
    def second_chains(self) -> tuple[Chain, ...]:
        """What hellos got that take no certificate with the usual one's kind of key: RSA beside ECDSA, for example."""
        usual = {_key_kind(chain) for chain, _ in self.chains}
        shown = dict.fromkeys(shake.certificates for shake in self.agreed if shake.certificates)
        return tuple(chain for chain in shown if leaf_of(chain) is not None and _key_kind(chain) not in usual)

    @once
    def leaf(self) -> Certificate | None:
        return leaf_of(self.chain)

    @once
    def signs(self) -> bool:
        """Does the key sign the exchange? With RSA key exchange it decrypts, and its keyUsage may say so alone."""
        return self.shown is None or self.shown.version == TLS13 or self.shown.group is not None

    @once
    def view(self) -> View:
        return MODERN if self.signs else replace(MODERN, wants_signing_usage=False)

    @once
    def flaps(self) -> bool:
        """Equal offers were answered differently, for no reason of theirs."""
        ways = (self.chains, self.agreed_versions, self.agreed_protocols, self.agreed_demands)
        return max(map(len, ways)) > 1 or bool(self.outages)

    @once
    def agreed_versions(self) -> tuple[tuple[int, int], ...]:
        """The distinct versions that offers of the same ones came to, with how often: one server keeps to one."""
        alike = self.passed("modern", "small", "http", "split", "alone", "again", "sample")
        return _tally([shake.version for shake in alike if shake.version is not None])

    @once
    def agreed_protocols(self) -> tuple[tuple[str | None, int], ...]:
        """The distinct application protocols that equal offers came to, with how often."""
        # Where no certificate was read, TLS 1.3 has not shown its encrypted extensions either, ALPN among them.
        alike = self.passed("modern", "small", "split", "alone", "again", "sample")
        return _tally([shake.alpn for shake in alike if shake.certificates])

    @once
    def agreed_demands(self) -> tuple[tuple[bool, int], ...]:
        """Whether like offers that came to one version were asked for a client certificate, with how often each."""
        alike = [shake for shake in (*self.passed(*ALIKE), *self.passed(*ALIKE_BY_KEY)) if shake.certificates]
        by_version: dict[int | None, list[bool]] = {}
        for shake in alike:
            by_version.setdefault(shake.version, []).append(shake.certificate_request is not None)
        mixed = next((asked for asked in by_version.values() if any(asked) and not all(asked)), [])
        return _tally(mixed)

    @once
    def outages(self) -> tuple[Handshake, ...]:
        """Tries that broke off although an equal offer got through, with hardly anything else open.

        A busy endpoint that sheds a crowd is not a flapping one: one failure at least must have met a
        connection that was alone.
        """
        broken = [
            shake
            for shake in self.tries("modern", "small", "http", "tls12", "again", "sample", "sample12", *OLD_CLIENTS)
            if not completed(shake)
            and isinstance(shake.outcome, Dropped | Stalled | Unreached | NotTls | Alerted)
            and any(completed(other) for other in self.handshakes if _equal(other, shake))
        ]
        return tuple(broken) if any(shake.crowd <= QUIET or _is_settled(shake) for shake in broken) else ()

    @once
    def shed(self) -> int:
        """Connections of a crowd that were dropped by an endpoint which answers when asked more quietly."""
        plain = self.tries("modern", "small", "http", "tls12", "again", "sample", "sample12")
        broken = [shake for shake in plain if isinstance(shake.outcome, Dropped | Stalled | Unreached)]
        equal = any(completed(other) for shake in broken for other in self.handshakes if _equal(other, shake))
        return len(broken) if equal and not self.outages else 0

    @once
    def refuses_http1(self) -> bool:
        """Every hello that named http/1.1 alone was refused for it."""
        asked = self.tries("http")
        return bool(asked) and all(
            isinstance(shake.outcome, Alerted) and shake.outcome.code == NO_APPLICATION_PROTOCOL for shake in asked
        )

    @once
    def refused_without_certificate(self) -> tuple[Handshake, ...]:
        """Handshakes that were asked for a client certificate and refused, by alert or in HTTP, once none was given."""
        return mtls.demanding(self.named)

    @once
    def client_auth(self) -> mtls.Auth | None:
        """Is a client certificate asked for here, and demanded? None: it cannot be told."""
        return mtls.auth(self.named)

    @once
    def certificate_requests(self) -> tuple[CertificateRequest, ...]:
        return mtls.requests(self.named)

    @once
    def presented(self) -> mtls.Presented | None:
        """What came of our client certificate here; None where this check has none."""
        evidence = self.evidence
        if evidence.identity is None:
            return None
        fetched = tuple(der for each in evidence.fetched for der in each.certificates)
        known = (*self.chain, *evidence.trust.added, *fetched)
        return mtls.presented(self.named, evidence.identity, evidence.taken_at, known)

    @property
    def client_auth_fault(self) -> str | None:
        """The mtls.* code that a client meets here which sends what this check was given: our certificate, or none."""
        ours = self.presented
        if ours is not None and ours.outcome in {"accepted", "refused"}:
            return ours.code
        return "mtls.certificate-required" if self.refused_without_certificate else None

    @once
    def quantum_fault(self) -> str | None:
        """Why the big post-quantum hello fails where the small one passes: by its size, or by its groups."""
        if self.passed("modern") or not self.tries("modern") or not self.passed("small") or self.outages:
            return None  # where equal hellos fare differently, what one of them met tells nothing of its size
        padded, split, quantum = self.last("padded"), self.last("split"), self.last("quantum")
        if (padded and not completed(padded)) or (split and not completed(split)):
            return "reach.large-hello"
        return "negotiation.group" if quantum and not completed(quantum) else None

    @once
    def obstacle(self) -> Obstacle | None:
        return obstacle(self)

    @property
    def works(self) -> bool:
        return self.connected and self.obstacle is None


Value = TypeVar("Value")


def _tally(values: Iterable[Value]) -> tuple[tuple[Value, int], ...]:
    """The distinct values with how often each, the most frequent first. A Counter costs several times as much."""
    counted: dict[Value, int] = {}
    for each in values:
        counted[each] = counted.get(each, 0) + 1
    return tuple(sorted(counted.items(), key=itemgetter(1), reverse=True))


QUIET = 1  # connections open at once that no server is excused from


def _equal(one: Handshake, other: Handshake) -> bool:
    """Were the same bytes offered, but for randomness? What was done after the certificate does not count."""
    first, second = one.offer, other.offer
    return replace(first, purpose="", until="certificate", ask_http=False) == replace(
        second, purpose="", until="certificate", ask_http=False
    )


def _is_settled(shake: Handshake) -> bool:
    """Refused for what was offered, which no crowd is the reason of."""
    return isinstance(shake.outcome, Alerted) and shake.outcome.code in _SETTLED


def _key_kind(chain: Chain) -> str | None:
    leaf = leaf_of(chain)
    return leaf.key_kind if leaf is not None else None


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
    if look.implicit is not None and completed(look.implicit):
        return Obstacle(code="reach.not-tls", witnesses=look.current, contrast=(look.implicit,))
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
