"""Did somebody ask for this certificate? What a channel expects of a domain, and how an issuance compares. Pure.

Expected is what the channel said (CAs by `--expect-ca`, answers given to earlier messages) and what can be seen: keys
and CAs of the certificates that its own watch list finds served. What other channels watch decides nothing here:
whoever could add a watch of an attacker's server elsewhere would silence this channel.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal, TypeAlias

from probes.caa import Finding as CaaFinding

State: TypeAlias = Literal["expected", "open", "approved", "investigated"]
Remember: TypeAlias = Literal["certificate", "ca", "key"]
REMEMBER: tuple[Remember, ...] = ("certificate", "ca", "key")
UNEXPECTED = "ct.unexpected-issuance"  # the cause of an incident that *Investigate* opens
_ODD = frozenset({"odd", "bytes"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Guard:
    """A domain that a channel watches. Empty `expected_cas`: those that are learned."""

    team: str
    channel: str
    domain: str
    expected_cas: tuple[str, ...] = ()
    lookalikes: bool = True
    added_by: str = ""
    added_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What a channel knows of a domain's certificates. CAs as `folded` names; keys and certificates as hex SHA-256."""

    served_cas: frozenset[str] = frozenset()
    served_keys: frozenset[str] = frozenset()
    filled_cas: frozenset[str] = frozenset()  # from a back-fill: issued before the domain was watched
    filled_keys: frozenset[str] = frozenset()
    approved_cas: frozenset[str] = frozenset()
    approved_keys: frozenset[str] = frozenset()
    approved_certificates: frozenset[str] = frozenset()

    @property
    def cas(self) -> frozenset[str]:
        return self.served_cas | self.filled_cas | self.approved_cas

    @property
    def keys(self) -> frozenset[str]:
        return self.served_keys | self.filled_keys | self.approved_keys


@dataclass(frozen=True, slots=True, kw_only=True)
class Name:
    """A name of the certificate that touches a watched domain, and how (`probes.ct.watchset.Match`)."""

    domain: str
    name: str
    how: str = "name"


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """One log entry of an issuance."""

    log_id: str
    log: str
    index: int
    at: datetime
    is_precert: bool = True
    is_verified: bool = True
    has_proof: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Issued:
    """An issuance as it is remembered; `tbs` is its identity. Texts are a stranger's."""

    tbs: str
    serial: str = ""
    issuer: str = ""
    ca: str = ""
    spki: str = ""
    names: tuple[str, ...] = ()
    more_names: int = 0  # beyond those kept
    not_before: datetime | None = None
    not_after: datetime | None = None
    is_ca: bool = False
    problems: tuple[str, ...] = ()
    matches: tuple[Name, ...] = ()
    found_at: datetime
    logged_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Served:
    """Where the certificate is served, and where another one with its key: endpoints that may be told of."""

    certificate: tuple[str, ...] = ()
    key: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """Whether a channel expected it, and why (ours, without markup)."""

    is_expected: bool
    because: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """An issuance in a channel: whether it was expected there, and what people made of it."""

    id: int
    team: str
    channel: str
    tbs: str
    domains: tuple[str, ...]
    state: State
    because: str
    at: datetime
    answered_by: str = ""
    remembered: str = ""  # what *Expected* remembered
    incident: int = 0
    told_in: str = ""  # the key of a message that it shares with others; empty: it has its own
    ca_before: bool = False
    key_before: bool = False

    @property
    def root(self) -> str:
        """The key of the message that shows it, where it has its own."""
        return f"ct:{self.id}"

    @property
    def message(self) -> str:
        """The key of the message that tells of it."""
        return self.told_in or self.root


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """Everything that the message of a case says."""

    case: Case
    issued: Issued
    places: tuple[Place, ...] = ()
    caa: tuple[CaaFinding, ...] | None = None  # None: not looked up yet
    caa_at: datetime | None = None
    served: Served = field(default_factory=Served)


def folded(ca: str) -> str:
    """A CA's name as it is compared."""
    return " ".join(ca.replace("\N{RIGHT SINGLE QUOTATION MARK}", "'").casefold().split())


def is_meant(expected: str, issued: Issued, domains: Iterable[str]) -> bool:
    """Does *expected*, as a person wrote it, name the CA of *issued*? By name, part of it, or one of the CA's own
    *domains*, as CAA records have them."""
    wanted = folded(expected)
    return wanted in folded(issued.ca) or wanted in folded(issued.issuer) or wanted in set(domains)


def judged(
    issued: Issued, guards: Sequence[Guard], known: Mapping[str, Known], ca_domains: Sequence[str] = ()
) -> Verdict:
    """Whether the channel of *guards* (those whose domains the certificate touches) expected it: for each domain."""
    verdicts = [_of_domain(issued, guard, known.get(guard.domain, Known()), ca_domains) for guard in guards]
    return next((each for each in verdicts if not each.is_expected), verdicts[0])


def _of_domain(issued: Issued, guard: Guard, known: Known, ca_domains: Sequence[str]) -> Verdict:
    if issued.tbs in known.approved_certificates:
        return Verdict(is_expected=True, because="this certificate was approved")
    if issued.is_ca:
        return Verdict(is_expected=False, because="it is a CA certificate, which could issue for any name")
    matches = [each for each in issued.matches if each.domain == guard.domain]
    if matches and all(each.how in _ODD for each in matches):
        return Verdict(is_expected=False, because="its names are written as no honest CA writes them")
    if issued.spki and issued.spki in known.approved_keys:
        return Verdict(is_expected=True, because="its key was approved")
    ca = folded(issued.ca)
    if ca and ca in known.approved_cas:
        return Verdict(is_expected=True, because="its CA was approved")
    if guard.expected_cas:
        if any(is_meant(each, issued, ca_domains) for each in guard.expected_cas):
            return Verdict(is_expected=True, because=f"its CA is expected for {guard.domain}")
        return Verdict(is_expected=False, because=f"its CA is not one of those expected for {guard.domain}")
    if issued.spki and issued.spki in known.keys:
        return Verdict(is_expected=True, because="its key is known")
    if ca and ca in known.cas:
        return Verdict(is_expected=True, because=f"its CA is known for {guard.domain}")
    if known.cas:
        return Verdict(is_expected=False, because=f"neither its CA nor its key is known for {guard.domain}")
    return Verdict(is_expected=False, because=f"no CA is known for {guard.domain} yet")


def is_forbidden(caa: Iterable[CaaFinding] | None) -> bool:
    """Whether CAA forbade a name of it, as far as was seen."""
    return any(each.verdict == "forbidden" for each in caa or ())
