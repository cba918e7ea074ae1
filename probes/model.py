"""The values everything else passes around: what was asked, seen and judged.

Holds bytes, numbers, text and tuples; nothing here parses certificates, opens
sockets or knows the time. One module, though long: they refer to each other, and every part reads most of them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import TYPE_CHECKING, Literal, TypeAlias

from probes.observed import ClockWitness, Enumerated, Identity, Misdirection, Published, Quic, Session, StatusAnswer
from probes.values import value

if TYPE_CHECKING:
    from probes.facts import Facts

Severity: TypeAlias = Literal["critical", "warning", "notice"]
Status: TypeAlias = Literal["ok", "warning", "broken"]
Stage: TypeAlias = Literal["tcp", "hello", "negotiation", "certificate", "client-auth", "finished"]

DEFAULT_PORT = 443
MAX_HOST_LENGTH = 253  # RFC 1035 section 2.3.4, without the root's dot
STARTTLS_PROTOCOLS = ("smtp", "imap", "pop3", "ldap", "postgres", "mysql", "xmpp")


class UsageError(Exception):
    """The user's mistake: what was read, and what would work. Never our own fault."""


def shown(text: str, limit: int = 60) -> str:
    """*text* as it may be quoted back to a person: one line, no control or direction characters, capped."""
    plain = "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)
    return plain if len(plain) <= limit else plain[: limit - 1] + "…"


@value
class Target:
    """What was asked for. `host` is an A-label name or a bare IP literal (no brackets)."""

    host: str
    port: int = DEFAULT_PORT
    server_name: str | None = None  # what goes into server_name; None for IP literals (RFC 6066 section 3)
    starttls: str | None = None

    @classmethod
    def parse(cls, text: str, *, sni: str | None = None, starttls: str | None = None) -> Target:
        """The only door for host text. Raises UsageError for anything that is not `HOST[:PORT]`."""
        host_text, port_text = _split_target(text)
        port = _port(port_text, text)
        if starttls is not None and starttls not in STARTTLS_PROTOCOLS:
            raise UsageError(
                f"I read the STARTTLS protocol “{shown(starttls)}”. It must be one of {', '.join(STARTTLS_PROTOCOLS)}."
            )
        literal = ip_literal(host_text)
        host = str(literal) if literal else hostname(host_text)
        name = hostname(sni) if sni else (None if literal else host)
        return cls(host=host, port=port, server_name=name, starttls=starttls)

    @property
    def is_ip(self) -> bool:
        return ip_literal(self.host) is not None

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"


def _split_target(text: str) -> tuple[str, str | None]:
    """Split `HOST[:PORT]`, `[V6]:PORT`, a bare IPv6 literal, or a URL pasted in haste."""
    rest = text.strip()
    scheme, found, after = rest.partition("://")
    default = None
    if found:
        if scheme.lower() not in {"https", "http", "tls", "wss"}:
            raise _not_a_target(text)
        rest = re.split(r"[/?#]", after, maxsplit=1)[0].rpartition("@")[2]
        default = "80" if scheme.lower() == "http" else None
    if rest.startswith("["):
        inside, closed, tail = rest[1:].partition("]")
        if not closed or (tail and not tail.startswith(":")) or not isinstance(ip_literal(inside), IPv6Address):
            raise _not_a_target(text)
        return inside, tail[1:] if tail else default
    if rest.count(":") > 1 and ip_literal(rest):
        return rest, default
    host, colon, port = rest.partition(":")
    if not host or "/" in host or ":" in port:
        raise _not_a_target(text)
    return host, port if colon else default


def _not_a_target(text: str) -> UsageError:
    return UsageError(
        f"I read “{shown(text)}”. A target is a host name or an address, with a port if it is not {DEFAULT_PORT}: "
        "example.com, example.com:8443, 192.0.2.7:443, [2001:db8::7]:443."
    )


def _port(text: str | None, whole: str) -> int:
    if text is None:
        return DEFAULT_PORT
    if re.fullmatch(r"[0-9]{1,5}", text) and 1 <= int(text) <= 65535:
        return int(text)
    raise UsageError(f"I read “{shown(whole)}”. The port must be a number from 1 to 65535, as in example.com:8443.")


_ZONE = re.compile(r"[A-Za-z0-9_.-]{1,15}")  # an interface; ipaddress takes any text, escape sequences too


def ip_literal(text: str) -> IPv4Address | IPv6Address | None:
    """The address *text* spells in standard notation, or None. A zone (`fe80::1%eth0`) is kept."""
    _, scoped, zone = text.partition("%")
    if scoped and not _ZONE.fullmatch(zone):
        return None
    try:
        return ip_address(text)
    except ValueError:
        return None


_LABEL = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?<!-)")


def hostname(text: str) -> str:
    """*text* as a lower-case A-label name without the root's dot. Raises UsageError.

    An all-numeric last label is refused: resolvers would read it as an address in an old
    notation (`127.1`, `0x7f000001`), which is a way around address checks (WHATWG URL, host parsing).
    """
    name = text.strip().rstrip(".") if not text.strip().endswith("..") else text
    if not name.isascii():
        name = _a_label(name, text)
    name = name.lower()
    labels = name.split(".")
    if len(name) > MAX_HOST_LENGTH or not all(_LABEL.fullmatch(label) for label in labels):
        raise UsageError(
            f"I read “{shown(text)}”, which is not a host name: letters, digits and hyphens between dots, "
            "as in api.example.com or [2001:db8::7]."
        )
    if re.fullmatch(r"[0-9]+|0x[0-9a-f]*", labels[-1]):
        raise UsageError(f"I read “{shown(text)}”, which is not an address I understand. Write 192.0.2.7 in full.")
    return name


def _a_label(name: str, text: str) -> str:
    import idna  # only names outside ASCII pay for its tables

    try:
        return idna.encode(name, uts46=True).decode("ascii")
    except idna.IDNAError as error:
        raise UsageError(
            f"I read “{shown(text)}”, which is not a valid internationalised name: {shown(str(error), 120)}."
        ) from None


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Endpoint:
    """One address and port of the target."""

    address: str
    port: int

    def __str__(self) -> str:
        return f"[{self.address}]:{self.port}" if ":" in self.address else f"{self.address}:{self.port}"


# ── what was offered ────────────────────────────────────────────────────────────


@value
class Offer:
    """What is put into one ClientHello, and how it is sent. Numbers are IANA code points.

    `purpose` says which question the offer asks; two offers with equal fields but another
    purpose are the same offer made twice. `versions` descending; the oldest is the floor.
    """

    purpose: str
    server_name: str | None
    versions: tuple[int, ...]
    ciphers: tuple[int, ...]
    groups: tuple[int, ...]
    signature_algorithms: tuple[int, ...]
    key_shares: tuple[int, ...] = ()
    alpn: tuple[str, ...] = ()
    extensions: bool = True  # False: a hello without any extension, as embedded TLS 1.0 stacks send
    pad_to: int = 0  # bytes of the handshake message; 0: no padding
    split: bool = False  # the hello leaves in two TCP segments
    until: Literal["server_hello", "certificate", "finished"] = "certificate"
    ask_http: bool = False  # after the handshake: HEAD / and read the answer's Date
    session: Session | None = None  # resume this
    early_data: bool = False  # with the session: send a harmless GET before the handshake is through
    identify: bool = False  # answer a CertificateRequest with the identity of this check
    starttls: str | None = None  # the conversation in clear that comes first
    domain: str | None = None  # with it: the service's own name, which XMPP asks for


# ── how it ended ────────────────────────────────────────────────────────────────


@value
class Unreached:
    """No TCP connection. `detail` names the errno, or who said it."""

    kind: Literal["refused", "timeout", "unreachable", "local"]  # local: this prober cannot (no IPv6, egress refused)
    detail: str = ""


@value
class Completed:
    """The exchange went as far as the offer wanted (`Offer.until`)."""


@value
class Alerted:
    """The far end sent a fatal alert while `awaiting` was due (RFC 8446 section 6)."""

    level: int
    code: int
    encrypted: bool
    awaiting: str


@value
class Dropped:
    """The connection ended by RST or FIN while `awaiting` was due; `received` counts TLS bytes before it."""

    kind: Literal["rst", "fin"]
    awaiting: str
    received: int


@value
class Stalled:
    """Silence: nothing came within the patience of the check, or the flight stopped midway."""

    awaiting: str
    received: int


@value
class NotTls:
    """The far end spoke, but another protocol. `why`: how the conversation before TLS ended, where there was one."""

    protocol: str
    first_bytes: bytes
    why: str = ""


@value
class Malformed:
    """The far end spoke TLS that breaks its own rules (or chose what was not offered)."""

    why: str
    awaiting: str


Outcome: TypeAlias = Unreached | Completed | Alerted | Dropped | Stalled | NotTls | Malformed


@value
class Timing:
    """Milliseconds since the connection attempt began; None: that stage was not reached."""

    tcp: float | None = None
    starttls: float | None = None  # the conversation in clear is through
    first_byte: float | None = None
    server_hello: float | None = None
    certificate: float | None = None
    finished: float | None = None


@value
class CertificateRequest:
    """The server asks for a client certificate. `ca_names`: DER names as sent."""

    ca_names: tuple[bytes, ...] = ()
    signature_algorithms: tuple[int, ...] = ()


@value
class HttpAnswer:
    """The first line and the clock of an HTTP answer. `skew_s` = its Date − our clock at receipt.

    `body` is the begin of what followed a GET; `fields` the header fields that tell who answers (lower-case names).
    """

    status: int | None
    date: datetime | None
    skew_s: float | None
    age_s: int | None = None  # Age header: a cache's Date is this much older
    body: bytes = b""
    fields: tuple[tuple[str, str], ...] = ()


@value
class Handshake:
    """One offer made to one endpoint, and all that came of it. From a socket or a capture: the same type."""

    endpoint: Endpoint
    offer: Offer
    outcome: Outcome
    timing: Timing = Timing()
    version: int | None = None
    cipher: int | None = None
    group: int | None = None
    signature_scheme: int | None = None
    alpn: str | None = None
    hello_retry: bool = False
    hello_size: int = 0  # bytes of the ClientHello record(s) as sent
    certificates: tuple[bytes, ...] = ()  # DER, as served, leaf first
    staple: bytes | None = None
    certificate_request: CertificateRequest | None = None
    signature_ok: bool | None = None  # the key behind the leaf signed this handshake
    finished_ok: bool | None = None
    http: HttpAnswer | None = None
    identified: bool = False  # our client certificate was sent
    sessions: tuple[Session, ...] = ()  # what could be resumed later
    resumed: bool | None = None  # None: no session was offered
    early_data: Literal["accepted", "rejected"] | None = None
    crowd: int = 1  # connections open to this endpoint when this one began


# ── evidence ────────────────────────────────────────────────────────────────────

ResolutionFailure: TypeAlias = Literal["nxdomain", "servfail", "timeout", "no-data", "refused", "malformed"]


@value
class Resolution:
    """What the name resolved to. `failure` is None exactly when there is an address."""

    addresses: tuple[str, ...]
    source: str  # "literal", "--resolve", "hosts file", "DNS 192.0.2.53"
    failure: ResolutionFailure | None = None
    detail: tuple[str, ...] = ()  # one line a look-up: "A: NXDOMAIN from 192.0.2.53"
    aliases: tuple[str, ...] = ()  # the CNAME chain, without the name itself
    dnssec: Literal["secure", "bogus", "unknown"] = "unknown"  # bogus: only a resolver told not to check answers
    elapsed_ms: float = 0.0


@value
class Gap:
    """What could not be looked at, and why. Unknown is never fine."""

    what: str
    why: str
    addresses: tuple[str, ...] = ()


# Of a gap, by what it is about: what was looked at and is worth a line, though no fault. All others were not looked at.
REMARKS = {
    "client certificate": "client certificate",
    "dane": "DANE",
    "http3": "HTTP/3",
    "simultaneous connections": "simultaneous connections",
}


@value
class Fetched:
    """A certificate fetched from a caIssuers URL (RFC 5280 section 4.2.2.1), or why it could not be."""

    url: str
    certificates: tuple[bytes, ...] = ()
    problem: str | None = None


@value
class Trust:
    """The anchors a check is judged by, as DER. `default_name` is None when the default store was left out."""

    default: tuple[bytes, ...]
    default_name: str | None
    added: tuple[bytes, ...] = ()  # trusted by every client family


@value
class Evidence:
    """All that was seen; rules see nothing else. `taken_at` is the only now a rule knows."""

    target: Target
    taken_at: datetime
    trust: Trust
    resolution: Resolution
    handshakes: tuple[Handshake, ...] = ()
    origin: Endpoint | None = None  # --origin: compared with, never counted among the addresses
    fetched: tuple[Fetched, ...] = ()
    statuses: tuple[StatusAnswer, ...] = ()  # OCSP and CRL
    identity: Identity | None = None  # what `Offer.identify` presents
    misdirections: tuple[Misdirection, ...] = ()
    enumerated: tuple[Enumerated, ...] = ()
    quic: tuple[Quic, ...] = ()
    published: tuple[Published, ...] = ()
    clocks: tuple[ClockWitness, ...] = ()
    gaps: tuple[Gap, ...] = ()
    light: bool = False  # a light look: what it leaves out is one gap


# ── judgement ───────────────────────────────────────────────────────────────────


@value
class Finding:
    """A judgement with its evidence; `code` is in the catalogue, and so are its mode and usual severity."""

    code: str
    severity: Severity
    explanation: str
    evidence: tuple[str, ...]
    addresses: tuple[str, ...]
    fix: str
    next_command: str
    fails_for: tuple[str, ...] = ()
    stops_all: bool = False  # no current client gets through at these addresses


@value
class Rule:
    """One failure mode: when it is true (`check`), and where that is written down (`source`)."""

    code: str
    source: str
    check: Callable[[Facts], Iterator[Finding]]


@value
class Diagnosis:
    status: Status
    cause: Finding | None
    findings: tuple[Finding, ...]  # the cause first, then by rank
    summary: str


# ── the report: the catalogue's JSON as values ──────────────────────────────────


@value
class AlertReport:
    sender: Literal["server", "client"]
    level: Literal["warning", "fatal"]
    code: int
    name: str


@value
class CertificateReport:
    """Times are ISO 8601 in UTC; subject and issuer as RFC 4514 text (attacker's text: escape it); digests, serial and
    key id in hex.

    `tbs_sha256`: of the TBSCertificate without its SCT list, which a certificate shares with its precertificate
    (RFC 6962 section 3.2). What could not be read is empty.
    """

    subject: str
    issuer: str
    not_before: str
    not_after: str
    sha256: str
    names: tuple[str, ...] = ()
    spki_sha256: str = ""
    serial: str = ""
    authority_key_id: str = ""
    tbs_sha256: str = ""


@value
class RevocationReport:
    """One source of revocation status. `url` is empty for a staple; `outcome` is what it amounts to."""

    kind: Literal["staple", "ocsp", "crl"]
    url: str
    samples_ms: tuple[float | None, ...]
    outcome: str
    certificate: str = ""  # SHA-256 of the certificate in question


@value
class ResumptionReport:
    """How one version resumes at an address. `honoured` None: not tried, or not to be told."""

    offered: bool
    honoured: bool | None
    lifetime_s: int | None = None
    max_early_data: int | None = None
    key_name: str | None = None
    honoured_elsewhere: bool | None = None


@value
class OfferedReport:
    """What an endpoint agrees to, by name; `by_version` keeps the server's order."""

    versions: tuple[str, ...]
    suites: tuple[str, ...]
    groups: tuple[str, ...]
    by_version: dict[str, tuple[str, ...]] = field(default_factory=dict, hash=False)
    server_order: bool | None = None


@value
class Http3Report:
    """What came of QUIC at an address. `same_certificate`: the leaf is that of TCP; None: not to be told."""

    outcome: Literal["completed", "timeout", "refused", "closed", "unavailable"]
    port: int
    detail: str = ""
    alpn: str | None = None
    elapsed_ms: float | None = None
    same_certificate: bool | None = None


@value
class Repair:
    """What mends the cause: configuration lines, a corrected chain, a recipe. `verified`: this program proved it."""

    kind: str  # chain, nginx, haproxy, envoy, apache, aws, cloudflare, command, capture
    text: str = ""
    pem: str = ""
    verified: bool = False


@value
class EndpointReport:
    address: str
    connected: bool
    failed_stage: Stage | None
    timing_ms: dict[str, float | None] = field(hash=False)
    version: str | None = None
    cipher: str | None = None
    group: str | None = None
    alpn: str | None = None
    alert: AlertReport | None = None
    chain: tuple[CertificateReport, ...] = ()
    # What hellos got that take no certificate with that one's kind of key: RSA beside ECDSA.
    other_chains: tuple[tuple[CertificateReport, ...], ...] = ()
    samples: int = 0  # like handshakes that showed a certificate: so many chances to meet an odd back end
    client_auth: Literal["none", "optional", "required"] | None = None  # None: not seen
    ca_names: tuple[str, ...] = ()
    revocation: tuple[RevocationReport, ...] = ()
    resumption: dict[str, ResumptionReport] = field(default_factory=dict, hash=False)
    offered: OfferedReport | None = None
    http3: Http3Report | None = None
    agreed_versions: tuple[str, ...] = ()  # in any handshake for the name that came to an agreement, oldest first
    agreed_suites: tuple[str, ...] = ()  # sorted by name


@value
class FindingReport:
    code: str
    mode: int
    severity: Severity
    title: str
    explanation: str
    evidence: tuple[str, ...]
    addresses: tuple[str, ...]
    fails_for: tuple[str, ...]
    fix: str
    next_command: str
    source: str


@value
class ClientReport:
    name: str
    outcome: Literal["pass", "fail"]
    code: str | None = None


@value
class Report:
    """What a check says. `codec` turns it to and from the catalogue's JSON without loss."""

    target: Target
    started_at: datetime
    elapsed_ms: float
    status: Status
    cause: str | None
    mode: int | None
    summary: str
    findings: tuple[FindingReport, ...]
    gaps: tuple[Gap, ...]
    clients: tuple[ClientReport, ...]
    endpoints: tuple[EndpointReport, ...]
    repairs: tuple[Repair, ...] = ()
    schema: int = 1
