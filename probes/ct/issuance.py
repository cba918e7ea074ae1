"""One issuance: a precertificate and its certificate, in however many logs, are one event."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from probes.ct.description import CertificateFacts, describe
from probes.ct.entries import tbs_identity
from probes.ct.sift import Hit
from probes.ct.watchset import Match


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """One log entry of an issuance."""

    log_id: str
    index: int
    timestamp_ms: int
    is_precert: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Issuance:
    """What was issued, by the SHA-256 of its TBS (hex): the identity over precertificate, certificate and all logs.

    *seen* in the order of finding; *facts* and *matches* from the first entry.
    """

    tbs_sha256: str
    seen: tuple[Seen, ...]
    facts: CertificateFacts
    matches: tuple[Match, ...] = ()

    @property
    def first(self) -> Seen:
        """Where it was found first."""
        return self.seen[0]

    @property
    def logged_ms(self) -> int:
        """The oldest log timestamp: when it was issued, within seconds."""
        return min(each.timestamp_ms for each in self.seen)

    @property
    def log_ids(self) -> tuple[str, ...]:
        """The logs it is in, each once."""
        return tuple(dict.fromkeys(each.log_id for each in self.seen))


def issuance_of(hit: Hit, *, log_id: bytes) -> Issuance:
    """The issuance that a hit shows. *log_id* as bytes; it is hex in the value."""
    entry = hit.entry
    return Issuance(
        tbs_sha256=tbs_identity(entry).hex(),
        seen=(
            Seen(
                log_id=log_id.hex(),
                index=entry.index,
                timestamp_ms=entry.timestamp_ms,
                is_precert=entry.is_precert,
            ),
        ),
        facts=describe(entry.tbs, is_tbs=entry.is_precert),
        matches=hit.matches,
    )


def merged(first: Issuance, again: Issuance) -> Issuance:
    """*first* with the entries of *again* added; the same entry is not added twice. Both are of one TBS."""
    if first.tbs_sha256 != again.tbs_sha256:
        raise ValueError("these are two issuances")
    known = {(each.log_id, each.index) for each in first.seen}
    more = tuple(each for each in again.seen if (each.log_id, each.index) not in known)
    matches = tuple(dict.fromkeys((*first.matches, *again.matches)))
    return replace(first, seen=(*first.seen, *more), matches=matches)


def issuances(found: Iterable[Issuance]) -> tuple[Issuance, ...]:
    """One for each TBS, in the order of finding."""
    by_tbs: dict[str, Issuance] = {}
    for each in found:
        known = by_tbs.get(each.tbs_sha256)
        by_tbs[each.tbs_sha256] = merged(known, each) if known else each
    return tuple(by_tbs.values())
