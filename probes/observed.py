"""What a look brings back beside handshakes: sessions, revocation answers, identities, enumerations. Values only.

Bytes, numbers, text and tuples; secrets stay out of every repr.
"""

from __future__ import annotations

from dataclasses import field
from typing import Literal, TypeAlias

from probes.values import value

SESSION_ID_LENGTH = 32  # the longest handle into a server's own cache (RFC 5246 section 7.4.1.2)


@value
class Session:
    """What one connection left behind and another may resume (RFC 5077, RFC 8446 section 4.6.1)."""

    version: int
    cipher: int
    session_id: bytes = b""  # TLS 1.2 and before; empty where the server gave none
    ticket: bytes = b""
    secret: bytes = field(repr=False)  # the PSK in TLS 1.3, the master secret before
    lifetime_s: int = 0
    age_add: int = 0
    max_early_data: int = 0  # bytes; 0: early data is not allowed
    obtained_s: float = 0.0  # loop time
    alpn: str | None = None
    extended_master_secret: bool = False


@value
class Identity:
    """A client certificate as rules may see it: DER chain, leaf first; its key is never here."""

    label: str
    chain: tuple[bytes, ...]


StatusKind: TypeAlias = Literal["ocsp", "crl"]
Unanswered: TypeAlias = Literal["timeout", "unreachable", "error", "refused"]


@value
class StatusAnswer:
    """What one OCSP responder or CRL distribution point said about one certificate.

    `samples_ms` holds one figure for each try, None where it brought nothing. `failure` is None exactly when `body`
    holds the (last) answer: timeout; unreachable (DNS, TCP, TLS); error (HTTP status, too large, not what was
    asked for); refused (egress policy: the far end is not to blame). `received`: bytes of a body that was still
    coming when the time ran out, which is slowness and not silence.
    """

    kind: StatusKind
    url: str
    certificate: bytes  # DER of the certificate asked about
    issuer: bytes  # DER
    samples_ms: tuple[float | None, ...] = ()
    body: bytes | None = field(default=None, repr=False)
    failure: Unanswered | None = None
    detail: str = ""
    received: int = 0


@value
class Misdirection:
    """What a name that the certificate also covers meets at this address (RFC 9113 section 9.1.1).

    `status` is the answer to a request for it on a connection made for the target; `same_certificate` tells
    whether its own handshake gets the target's certificate. None: not seen.
    """

    name: str
    address: str
    status: int | None = None
    same_certificate: bool | None = None
    detail: str = ""


@value
class Enumerated:
    """All that one endpoint agrees to, version by version. Numbers are IANA code points."""

    address: str
    port: int
    versions: tuple[int, ...] = ()
    suites: tuple[tuple[int, tuple[int, ...]], ...] = ()  # (version, suites in the order the server prefers)
    groups: tuple[int, ...] = ()
    server_order: bool | None = None  # does the server's preference decide?
    handshakes: int = 0


@value
class Quic:
    """What a QUIC handshake with one endpoint came to (RFC 9001); `certificates` as served, leaf first."""

    address: str
    port: int
    outcome: Literal["completed", "timeout", "refused", "closed", "unavailable"]
    detail: str = ""
    alpn: str | None = None
    elapsed_ms: float | None = None
    certificates: tuple[bytes, ...] = ()


@value
class ClockWitness:
    """What somebody who is not the target says of this prober's clock; asked only when a clock is in doubt.

    `skew_s` = their clock − ours (NTP); `synchronised` is the kernel's word that something keeps the clock in step.
    """

    name: str
    skew_s: float | None = None
    synchronised: bool | None = None


@value
class Published:
    """What DNS says beside addresses: CAA and TLSA records in presentation form, and whether DNSSEC holds."""

    kind: Literal["CAA", "TLSA"]
    name: str
    records: tuple[str, ...] = ()
    dnssec: Literal["secure", "insecure", "bogus", "unknown"] = "unknown"
    failure: str | None = None
