"""Evidence for tests: the defaults are healthy, a test names only what it breaks.

    facts(healthy(modern=dropped("rst"), padded=dropped("rst")))        # one address, one thing broken
    facts(healthy("192.0.2.7"), healthy("192.0.2.8", every=REFUSED))    # two addresses, one down

`Server` answers any offer as a server with these settings would (RFC 8446 section 4.1.1, RFC 5246 section 7.4.1.3);
`healthy` makes all the offers that `plan` asks for, wave by wave, as `survey` does, and takes what comes back.
No socket, no clock: everything is taken at `NOW`.
"""

from __future__ import annotations

import hashlib
import shlex
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import cache
from typing import Literal, TypeAlias

from probes import plan, resuming
from probes.catalogue import CATALOGUE
from probes.clients import TLS10, TLS11, TLS12, TLS13
from probes.facts import Facts
from probes.model import (
    Alerted,
    CertificateRequest,
    Completed,
    Dropped,
    Endpoint,
    Evidence,
    Finding,
    Gap,
    Handshake,
    HttpAnswer,
    Malformed,
    NotTls,
    Offer,
    Outcome,
    Resolution,
    Rule,
    Severity,
    Stalled,
    Target,
    Timing,
    Trust,
    Unreached,
)
from probes.observed import Misdirection, Session
from probes.rules import RULES
from probes.survey import MAX_WAVES
from tests.pki import NOW, Issued, KeyKind, authority, intermediate, leaf

Chain: TypeAlias = tuple[bytes, ...]
Change: TypeAlias = Outcome | Callable[[Handshake], Handshake]
Changes: TypeAlias = Change | Sequence[Change]  # a sequence: one for each try in turn, the last one from then on

ADDRESS, OTHER, THIRD = "192.0.2.7", "192.0.2.8", "2001:db8::9"
TARGET = Target.parse("healthy.test")
DAY = timedelta(days=1)

# ── endings ─────────────────────────────────────────────────────────────────────

REFUSED = Unreached(kind="refused", detail="ECONNREFUSED")
TIMED_OUT = Unreached(kind="timeout", detail="no answer to SYN in 2.5 s")
UNREACHABLE = Unreached(kind="unreachable", detail="EHOSTUNREACH")
LOCAL = Unreached(kind="local", detail="this machine has no IPv6")
HTTP = NotTls(protocol="HTTP", first_bytes=b"HTTP/1.1 400 Bad Request\r\n")


def alerted(code: int, *, level: int = 2, encrypted: bool = False, awaiting: str = "server_hello") -> Alerted:
    return Alerted(level=level, code=code, encrypted=encrypted, awaiting=awaiting)


def dropped(kind: Literal["rst", "fin"] = "rst", *, received: int = 0, awaiting: str = "server_hello") -> Dropped:
    return Dropped(kind=kind, awaiting=awaiting, received=received)


def stalled(*, received: int = 0, awaiting: str = "server_hello") -> Stalled:
    return Stalled(awaiting=awaiting, received=received)


def malformed(why: str = "a record of 65535 bytes") -> Malformed:
    return Malformed(why=why, awaiting="server_hello")


# ── certificates ────────────────────────────────────────────────────────────────


@cache
def root() -> Issued:
    """The root that every test trusts."""
    return authority()


@cache
def issuing() -> Issued:
    return intermediate(root())


@cache
def _chain(kind: KeyKind) -> Chain:
    return (leaf(issuing(), key_kind=kind).der, issuing().der)


def chain(kind: KeyKind = "p256") -> Chain:
    """The healthy chain, for healthy.test."""
    return _chain(kind)


@cache
def default_chain() -> Chain:
    """What a server shows that knows no name: a good certificate for another host."""
    return (leaf(issuing(), names=("default.test",), owner="default").der, issuing().der)


def ders(*issued: Issued) -> Chain:
    return tuple(each.der for each in issued)


def store(*roots: Issued, added: tuple[Issued, ...] = ()) -> Trust:
    """A default store of these roots; of the tests' own root when none is named."""
    return Trust(default=ders(*(roots or (root(),))), default_name="test store", added=ders(*added))


# ── a server's answers ──────────────────────────────────────────────────────────

_RSA_SCHEMES = (0x0804, 0x0805, 0x0806, 0x0401, 0x0501, 0x0601, 0x0201)
_SCHEMES = {"rsa": _RSA_SCHEMES, "p256": (0x0403, 0x0203), "p384": (0x0503,), "p521": (0x0603,)}
TLS13_SUITES = (0x1301, 0x1302, 0x1303)
AEAD = (0xC02B, 0xC02F, 0xC02C, 0xC030, 0xCCA9, 0xCCA8)
CBC = (0xC009, 0xC013, 0xC00A, 0xC014)
_ECDSA_SUITES = frozenset({0xC02B, 0xC02C, 0xCCA9, 0xC009, 0xC00A, 0xC023, 0xC024, 0xC0AC, 0xC0AD, 0xC007, 0xC008})
_EPHEMERAL = frozenset((*AEAD, *CBC, 0xC023, 0xC024, 0xC027, 0xC028, 0xC0AC, 0xC0AD, 0xC007, 0xC008, 0xC011, 0xC012))

_DHE = frozenset({0x009E, 0x009F, 0xCCAA, 0x0033, 0x0039, 0x0067, 0x006B, 0xC09E, 0xC09F})
_FFDHE2048 = 0x0100


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """A server's settings; the defaults are a current nginx with a P-256 certificate. Times in milliseconds."""

    chain: Chain = ()  # empty: the healthy chain of this kind of key
    default: Chain | None = None  # without the name, or for another; None: the same chain
    key_kind: KeyKind = "p256"
    versions: tuple[int, ...] = (TLS13, TLS12)
    ciphers: tuple[int, ...] = (*TLS13_SUITES, *AEAD, *CBC)
    groups: tuple[int, ...] = (0x11EC, 0x001D, 0x0017, 0x0018)
    schemes: tuple[int, ...] = ()  # empty: those of the key
    alpn: tuple[str, ...] = ("h2", "http/1.1")  # empty: ALPN is ignored
    wants: CertificateRequest | None = None
    skew: timedelta | None = timedelta(0)  # None: it does not answer in HTTP
    age_s: int | None = None
    tcp: float = 10.0
    first_byte: float = 21.0
    gives: Literal["tickets", "handles", "nothing"] = "tickets"  # handles stand for entries of its own cache
    keys: str = "one"  # what seals its tickets, or names its cache; "": it never honours what it gives
    early_data: int = 0  # bytes that its tickets allow
    early_status: int = 200

    def handshake(self, endpoint: Endpoint, offer: Offer) -> Handshake:
        """How this server answers *offer*."""
        seen = self._handshake(endpoint, offer)
        session = offer.session
        if session is not None and isinstance(seen.outcome, Completed):
            taken = self._knows(session) and seen.version == session.version
            seen = replace(seen, resumed=taken, certificates=() if taken else seen.certificates)
            if offer.early_data:
                seen = self._with_early_data(seen)
        return replace(seen, sessions=self._sessions(seen)) if seen.finished_ok else seen

    def _knows(self, session: Session) -> bool:
        handle = session.ticket or session.session_id
        return bool(self.keys) and handle[:16] == hashlib.sha256(self.keys.encode()).digest()[:16]

    def _with_early_data(self, seen: Handshake) -> Handshake:
        if not seen.resumed or not self.early_data:
            return replace(seen, early_data="rejected")
        return replace(seen, early_data="accepted", http=HttpAnswer(status=self.early_status, date=None, skew_s=None))

    def _sessions(self, seen: Handshake) -> tuple[Session, ...]:
        """Two tickets in TLS 1.3, one before, which begin with the name of their key (RFC 5077 section 4)."""
        if self.gives == "nothing" or seen.version is None or seen.version < TLS12 or seen.cipher is None:
            return ()
        tls13 = seen.version == TLS13
        made = []
        for number in range(2 if tls13 else 1):
            which = f"{seen.endpoint} {seen.offer.purpose} {seen.offer.session} {number}".encode()
            handle = hashlib.sha256(self.keys.encode()).digest()[:16] + hashlib.sha256(which).digest()[:16]
            ticket = handle + bytes(160) if self.gives == "tickets" else handle if tls13 else b""
            made.append(
                Session(
                    version=seen.version,
                    cipher=seen.cipher,
                    session_id=b"" if ticket else handle,
                    ticket=ticket,
                    secret=bytes(32),
                    lifetime_s=7200,
                    max_early_data=self.early_data if tls13 else 0,
                    alpn=seen.alpn,
                    extended_master_secret=not tls13,
                )
            )
        return tuple(made)

    def _handshake(self, endpoint: Endpoint, offer: Offer) -> Handshake:
        outcome, choice = self._negotiated(offer)
        timing = Timing(tcp=self.tcp, first_byte=self.first_byte)
        seen = Handshake(endpoint=endpoint, offer=offer, outcome=outcome, timing=timing, hello_size=offer.pad_to or 300)
        if choice is None:
            return seen
        version, cipher, group, scheme, alpn = choice
        seen = replace(seen, version=version, cipher=cipher, group=group)
        seen = replace(seen, timing=replace(timing, server_hello=self.first_byte))
        if offer.until == "server_hello":
            return replace(seen, group=group if version == TLS13 else None)
        named = offer.server_name is not None and offer.server_name != plan.OTHER_NAME
        served = self.chain or chain(self.key_kind)
        seen = replace(
            seen,
            alpn=alpn,
            certificates=served if named or self.default is None else self.default,
            timing=replace(seen.timing, certificate=self.first_byte + 1),
            certificate_request=self.wants,
        )
        if version < TLS13 or offer.until == "finished":
            seen = replace(seen, signature_scheme=scheme)
        return self._finished(seen) if offer.until == "finished" else seen

    def _finished(self, seen: Handshake) -> Handshake:
        seen = replace(seen, finished_ok=True, signature_ok=True)
        seen = replace(seen, timing=replace(seen.timing, finished=self.first_byte + 2))
        if not seen.offer.ask_http or self.skew is None or seen.alpn not in {None, "http/1.1"}:
            return seen
        skew_s = self.skew.total_seconds()
        return replace(seen, http=HttpAnswer(status=200, date=NOW + self.skew, skew_s=skew_s, age_s=self.age_s))

    def _negotiated(self, offer: Offer) -> tuple[Outcome, tuple[int, int, int | None, int | None, str | None] | None]:
        common = [version for version in self.versions if version in offer.versions]
        if not common:
            return alerted(70), None
        version = max(common)
        schemes = self.schemes or _SCHEMES["rsa" if self.key_kind.startswith("rsa") else self.key_kind]
        scheme = next((each for each in offer.signature_algorithms if each in schemes), None)
        # Before TLS 1.3 an ECDHE suite takes a curve: no hybrid, no finite field.
        usable = [each for each in self.groups if version == TLS13 or each < 0x0100]
        group = next((each for each in usable if each in offer.groups), None)
        signs = scheme is not None or version < TLS12
        able = [each for each in self.ciphers if each in offer.ciphers and self._usable(each, version)]
        # A suite for which a curve or a scheme is missing is passed over for the next, as OpenSSL does.
        fit = (c for c in able if version == TLS13 or c not in _EPHEMERAL or (group and signs and offer.extensions))
        cipher = next(fit, None)
        if cipher is None:
            return alerted(40), None
        if version < TLS13 and (cipher not in _EPHEMERAL or cipher in _DHE):
            group = _FFDHE2048 if cipher in _DHE else None  # the server's own choice (RFC 7919 section 4)
            scheme = scheme if cipher in _DHE else None
            if cipher in _DHE and scheme is None and version >= TLS12:
                return alerted(40), None
        elif not offer.extensions or group is None or (scheme is None and version >= TLS12):
            return alerted(40), None
        alpn = next((each for each in self.alpn if each in offer.alpn), None)
        if self.alpn and offer.alpn and alpn is None:
            return alerted(120), None
        return Completed(), (version, cipher, group, scheme if version >= TLS12 else None, alpn)

    def _usable(self, cipher: int, version: int) -> bool:
        if (cipher >> 8 == 0x13) != (version == TLS13):
            return False
        if cipher >> 8 == 0x13:
            return True
        if version < TLS12 and cipher in (*AEAD, 0xC023, 0xC024, 0xC027, 0xC028, 0x009C, 0x009D):
            return False
        return (cipher in _ECDSA_SUITES) != self.key_kind.startswith("rsa")


HEALTHY = Server()
RSA = Server(key_kind="rsa2048", ciphers=(*TLS13_SUITES, *AEAD, *CBC, 0x009C, 0x009D, 0x002F, 0x0035))
OLD_AND_NEW = replace(RSA, versions=(TLS13, TLS12, TLS11, TLS10))


# ── handshakes and evidence ─────────────────────────────────────────────────────


def healthy(
    address: str = ADDRESS,
    *,
    target: Target = TARGET,
    server: Server = HEALTHY,
    crowd: int = 12,
    every: Changes | None = None,
    purposes: Mapping[str, Changes] | None = None,
    **changes: Changes,
) -> tuple[Handshake, ...]:
    """All that a check sees at *address*: the first wave, and what the answers then ask for.

    Keywords are purposes (`no_sni` is "no-sni", `family_go` is "family:go") and what becomes of their handshakes;
    *purposes* says the same by their own names; *every* is for all the others. *crowd*: connections open while the
    first wave runs; later waves are alone.
    """
    endpoint = Endpoint(address=address, port=target.port)
    by_purpose = {**(purposes or {}), **{_purpose(name): change for name, change in changes.items()}}
    tries: Counter[str] = Counter()
    seen: tuple[Handshake, ...] = ()
    offers = plan.first(target)
    for wave in range(MAX_WAVES):
        for offer in offers:
            shake = replace(server.handshake(endpoint, offer), crowd=1 if wave else crowd)
            change = by_purpose.get(offer.purpose, every)
            if change is not None:
                shake = _changed(shake, change, tries[offer.purpose])
            tries[offer.purpose] += 1
            seen = (*seen, shake)
        offers = plan.following(target, seen)
    unknown = set(by_purpose) - set(tries)
    assert not unknown, f"no such offer was made: {unknown}; made were {sorted(tries)}"
    return seen


def revisited(
    *looks: tuple[Handshake, ...],
    servers: Mapping[str, Server] | None = None,
    change: Callable[[Handshake], Handshake] | None = None,
) -> tuple[Handshake, ...]:
    """*looks*, and all that comes of offering their sessions again, round by round, as `survey.resume` does.

    *servers* answer, by address, HEALTHY where none is named; *change* may make something else of each answer.
    """
    seen = tuple(shake for look in looks for shake in look)
    for _ in range(resuming.ROUNDS):
        for endpoint, offer in resuming.next_offers(seen):
            server = (servers or {}).get(endpoint.address, HEALTHY)
            shake = server.handshake(endpoint, offer)
            seen = (*seen, change(shake) if change else shake)
    return seen


def _purpose(keyword: str) -> str:
    name = keyword.replace("_", "-")
    return name.replace("family-", "family:", 1).replace("openssl-1-0", "openssl-1.0").replace("tls1-0", "tls1.0")


def _changed(shake: Handshake, changes: Changes, nth: int) -> Handshake:
    change = changes[min(nth, len(changes) - 1)] if isinstance(changes, Sequence) else changes
    return change(shake) if callable(change) else ended(shake, change)


def ended(shake: Handshake, outcome: Outcome) -> Handshake:
    """The same offer with another ending and nothing chosen."""
    reached = not isinstance(outcome, Unreached)
    timing = Timing(tcp=shake.timing.tcp if reached else None)
    size = shake.hello_size if reached else 0
    return Handshake(
        endpoint=shake.endpoint, offer=shake.offer, outcome=outcome, timing=timing, crowd=shake.crowd, hello_size=size
    )


def untouched(shake: Handshake) -> Handshake:
    return shake


def serves(served: Chain) -> Callable[[Handshake], Handshake]:
    """This certificate chain instead, where one is shown at all."""
    return lambda shake: replace(shake, certificates=served) if shake.certificates else shake


def then(outcome: Outcome) -> Callable[[Handshake], Handshake]:
    """Agreed, certificate shown, and then it ended so (a client certificate was demanded, for one)."""
    return lambda shake: replace(shake, outcome=outcome)


def answered_by(server: Server) -> Callable[[Handshake], Handshake]:
    """Another back end takes this connection."""
    return lambda shake: replace(server.handshake(shake.endpoint, shake.offer), crowd=shake.crowd)


def evidence(
    *shakes: tuple[Handshake, ...],
    target: Target = TARGET,
    trust: Trust | None = None,
    taken_at: datetime = NOW,
    resolution: Resolution | None = None,
    origin: Endpoint | None = None,
    gaps: tuple[Gap, ...] = (),
    misdirections: tuple[Misdirection, ...] = (),
) -> Evidence:
    """Evidence of what was seen at each address; of one healthy address when nothing is given."""
    looks = shakes or ((healthy(target=target),) if resolution is None else ())
    addresses = tuple(dict.fromkeys(s.endpoint.address for look in looks for s in look if s.endpoint != origin))
    return Evidence(
        target=target,
        taken_at=taken_at,
        trust=trust or store(),
        resolution=resolution or Resolution(addresses=addresses, source="DNS 192.0.2.53", elapsed_ms=1.5),
        handshakes=tuple(shake for look in looks for shake in look),
        origin=origin,
        misdirections=misdirections,
        gaps=gaps,
    )


def facts(
    *shakes: tuple[Handshake, ...],
    target: Target = TARGET,
    trust: Trust | None = None,
    origin: Endpoint | None = None,
    resolution: Resolution | None = None,
) -> Facts:
    return Facts(evidence(*shakes, target=target, trust=trust, origin=origin, resolution=resolution))


# ── what every finding owes its reader ──────────────────────────────────────────

_RULE: dict[str, Rule] = {rule.code: rule for rule in RULES}


def found(code: str, seen: Facts) -> tuple[Finding, ...]:
    """What the rule for *code* says, alone."""
    return tuple(_RULE[code].check(seen))


def silent(code: str, seen: Facts) -> bool:
    return found(code, seen) == ()


def fires(
    code: str, seen: Facts, *, severity: Severity, at: tuple[str, ...] = (ADDRESS,), asks: str | None = None
) -> Finding:
    """The rule's one finding, checked for what the catalogue asks of each: values, place, and a command to run.

    *asks*: the address that the command turns to, where that is not the first one of the finding.
    """
    [finding] = found(code, seen)
    assert finding.code == code and code in CATALOGUE
    assert finding.severity == severity
    assert finding.addresses == at
    assert finding.explanation.endswith(".") and "\n" not in finding.explanation
    assert finding.evidence and all(line and "\n" not in line for line in finding.evidence)
    assert finding.fix.strip() and "…)" not in finding.fix
    assert set(finding.fails_for) <= set(seen.everyone)
    assert len(set(finding.fails_for)) == len(finding.fails_for)
    words = shlex.split(finding.next_command)
    place = asks or (at[0] if at else seen.evidence.target.host)
    assert words and any(place in word for word in words), finding.next_command
    if at:
        assert any(place in line for line in finding.evidence), finding.evidence
    return finding
